//! Who may ask: the token, and the names under which this server is asked.
//!
//! Any page in the same browser can send requests to a loopback address, and a name of somebody else's can be made to mean it (DNS rebinding). So a
//! request must know the token, by a cookie that other sites can't have sent (SameSite=Strict) or as a bearer; must call us by a name of ours; and must not
//! come from another origin. A port of the same machine is another origin, but the same site: hence `Sec-Fetch-Site` and `Origin` beside the cookie.

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::api::Shared;
use crate::assets;
use crate::failure::Failure;

/// Nothing comes from elsewhere, nothing is sent elsewhere, nobody frames us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// How long the browser that we start may take to come.
const TICKET_LIFE: Duration = Duration::from_secs(60);

/// Who may ask.
#[derive(Debug)]
pub(crate) struct Guard {
    token: String,
    cookie: String,
    /// Names besides addresses under which we may be asked.
    names: Vec<String>,
    /// Whether we can be asked from other machines.
    open: bool,
    /// A token that is good once: the arguments of the browser that we start can be read by others.
    ticket: Mutex<Option<(String, Instant)>>,
}

/// 128 random bits in hexadecimal.
fn random() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Takes as long for a text that is nearly right as for one that is not.
fn is_same(said: &[u8], secret: &[u8]) -> bool {
    let differing = said.iter().zip(secret).fold(0, |all, (a, b)| all | (a ^ b));
    // The length is no secret.
    said.len() == secret.len() && std::hint::black_box(differing) == 0
}

impl Guard {
    /// Browsers send a host's cookies to all its ports, so the name tells which server a cookie is for.
    pub(crate) fn new(bound: IpAddr, port: u16, host: &str) -> io::Result<Guard> {
        let open = !bound.is_loopback();
        let mut names = vec!["localhost".to_owned()];
        if open && !host.is_empty() {
            names.extend([host.to_ascii_lowercase(), format!("{}.local", host.to_ascii_lowercase())]);
        }
        Ok(Guard { token: random()?, cookie: format!("barograph_{port}"), names, open, ticket: Mutex::new(None) })
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// A token for the browser that we start.
    pub(crate) fn ticket(&self) -> io::Result<String> {
        let ticket = random()?;
        *self.ticket.lock().unwrap_or_else(PoisonError::into_inner) = Some((ticket.clone(), Instant::now()));
        Ok(ticket)
    }

    fn is_token(&self, said: &[u8]) -> bool {
        is_same(said, self.token.as_bytes())
    }

    fn is_ticket(&self, said: &[u8]) -> bool {
        let mut ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner);
        let good = ticket.as_ref().is_some_and(|(text, since)| is_same(said, text.as_bytes()) && since.elapsed() < TICKET_LIFE);
        if good {
            *ticket = None;
        }
        good
    }

    /// Whether the request has the cookie, or the token as a bearer.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b';'));
        let named =
            |cookie: &[u8]| cookie.trim_ascii().strip_prefix(self.cookie.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")).map(<[u8]>::to_vec);
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let mut said = cookies.filter_map(named).chain(bearer.map(<[u8]>::to_vec));
        said.any(|said| self.is_token(&said))
    }

    /// Whether this `Host` is one of ours. An address can't be made to mean another machine, and any port may be forwarded to ours.
    fn is_our_name(&self, host: &str) -> bool {
        let name = if let Some(rest) = host.strip_prefix('[') {
            rest.split_once(']').map_or("", |(address, _)| address)
        } else {
            host.rsplit_once(':').map_or(host, |(name, _)| name)
        };
        match name.parse::<IpAddr>() {
            Ok(address) => self.open || address.is_loopback(),
            Err(_) => self.names.iter().any(|known| known.eq_ignore_ascii_case(name)),
        }
    }

    /// Why this request is none of ours, if it is not.
    fn refuses(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Failure> {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).unwrap_or_default();
        if headers.get_all(header::HOST).iter().count() != 1 || !self.is_our_name(host) {
            let why = "this server does not answer to this name: use the address that `barograph view` printed";
            return Some(Failure::new(StatusCode::MISDIRECTED_REQUEST, why));
        }
        let foreign = || Some(Failure::forbidden("this came from another site, which may not ask here"));
        let is_navigation = method.is_safe() && !uri.path().starts_with("/api");
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if !is_navigation && site.is_some_and(|site| site != b"same-origin" && site != b"none") {
            return foreign();
        }
        let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        if origin.is_some_and(|origin| origin.strip_prefix("http://").or(origin.strip_prefix("https://")) != Some(host)) {
            return foreign();
        }
        None
    }
}

/// Lets those pass who may ask, and says to every browser how little the page needs.
pub(crate) async fn guard(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = admit(&app.guard, request, next).await;
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

async fn admit(guard: &Guard, request: Request, next: Next) -> Response {
    if let Some(failure) = guard.refuses(request.method(), request.uri(), request.headers()) {
        return failure.into_response();
    }
    if request.uri().path() == "/" && request.method() == Method::GET {
        let (said, rest) = split_token(request.uri().query().unwrap_or_default());
        if let Some(said) = said {
            let good = guard.is_token(said.as_bytes()) || guard.is_ticket(said.as_bytes());
            return if good { welcome(guard, request.headers(), &rest) } else { assets::stranger() };
        }
    }
    if guard.is_known(request.headers()) {
        return next.run(request).await;
    }
    if request.uri().path().starts_with("/api") {
        let why = "the token is missing, or that of a server that has ended: open the address that `barograph view` printed";
        return Failure::new(StatusCode::UNAUTHORIZED, why).into_response();
    }
    assets::stranger()
}

/// The token of a query, and the query without it.
fn split_token(query: &str) -> (Option<String>, String) {
    let (mut token, mut rest) = (None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.strip_prefix("token=") {
            Some(said) => token = Some(said.to_owned()),
            None => rest.push(pair),
        }
    }
    (token, rest.join("&"))
}

/// The token becomes a cookie, and leaves the address: histories and screens are read by others.
fn welcome(guard: &Guard, headers: &HeaderMap, query: &str) -> Response {
    let to = if query.is_empty() { "/".to_owned() } else { format!("/?{query}") };
    let is_led_here = headers.get("sec-fetch-site").is_some_and(|site| site != "none" && site != "same-origin");
    let mut response = if is_led_here { assets::once_more(&to) } else { Redirect::to(&to).into_response() };
    let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Strict", guard.cookie, guard.token);
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(bound: &str) -> Guard {
        Guard::new(bound.parse().unwrap(), 10132, "Atlas").unwrap()
    }

    #[test]
    fn a_name_of_ours_is_told_from_all_others() {
        let own = guard("127.0.0.1");
        for host in ["localhost:10132", "localhost", "LOCALHOST:1", "127.0.0.1:9", "127.0.0.2", "[::1]:10132", "[::1]"] {
            assert!(own.is_our_name(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:10132",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "atlas",
            "192.0.2.1",
            "[2001:db8::1]:10132",
            "[",
            "localhost@evil.example",
        ] {
            assert!(!own.is_our_name(host), "{host}");
        }
        let open = guard("0.0.0.0");
        for host in ["192.0.2.1:10132", "[2001:db8::1]:10132", "atlas:10132", "atlas.local", "localhost"] {
            assert!(open.is_our_name(host), "{host}");
        }
        assert!(!open.is_our_name("evil.example"));
    }

    #[test]
    fn a_ticket_is_good_once() {
        let guard = guard("127.0.0.1");
        assert_ne!(guard.token(), self::guard("127.0.0.1").token());
        assert_eq!(guard.token().len(), 32);
        let ticket = guard.ticket().unwrap();
        assert!(!guard.is_ticket(b"") && !guard.is_ticket(guard.token().as_bytes()));
        assert!(guard.is_ticket(ticket.as_bytes()));
        assert!(!guard.is_ticket(ticket.as_bytes()));
    }

    #[test]
    fn secrets_are_the_same_only_if_all_of_them_is() {
        assert!(is_same(b"abc", b"abc"));
        for other in [&b"abd"[..], b"ab", b"abcd", b"", b"bbc"] {
            assert!(!is_same(other, b"abc"));
        }
    }

    #[test]
    fn the_token_leaves_the_query_and_the_rest_stays() {
        assert_eq!(split_token("a=1&token=x&b=2"), (Some("x".to_owned()), "a=1&b=2".to_owned()));
        assert_eq!(split_token("a=1"), (None, "a=1".to_owned()));
        assert_eq!(split_token(""), (None, String::new()));
    }
}
