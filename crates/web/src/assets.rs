//! The page itself, which the program carries, and the page for those who may not see it.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

const INDEX: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page/index.html"));
const SCRIPT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page/page.js"));
const STYLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page/page.css"));

const HTML: &str = "text/html; charset=utf-8";

pub(crate) async fn index(headers: HeaderMap) -> Response {
    asset(&headers, HTML, INDEX)
}

pub(crate) async fn script(headers: HeaderMap) -> Response {
    asset(&headers, "text/javascript; charset=utf-8", SCRIPT)
}

pub(crate) async fn style(headers: HeaderMap) -> Response {
    asset(&headers, "text/css; charset=utf-8", STYLE)
}

/// A file of the page. Browsers ask each time whether it is still the same: another version of the program may listen at the same port tomorrow.
fn asset(headers: &HeaderMap, kind: &'static str, bytes: &'static [u8]) -> Response {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let described = [(header::CONTENT_TYPE, kind.to_owned()), (header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if known { (StatusCode::NOT_MODIFIED, described).into_response() } else { (described, Body::from(bytes)).into_response() }
}

/// For a browser that has no token, or that of another server.
pub(crate) fn stranger() -> Response {
    let text = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\"><title>Barograph</title>\
        <h1>This address has lost its key</h1>\
        <p>Whoever wants to look needs the address with the token, which <code>barograph view</code> prints when it starts: copy it from that terminal.\
        <p>If that has ended, type <code>barograph view</code> again. Each start has a token of its own.</html>";
    (StatusCode::UNAUTHORIZED, [(header::CONTENT_TYPE, HTML), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

/// Has the browser ask again by itself, so that the request is one of ours: with a link from another site it would send no cookie.
pub(crate) fn once_more(to: &str) -> Response {
    let to = to.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Barograph</title><meta http-equiv=\"refresh\" content=\"0;url={to}\"></html>"
    );
    ([(header::CONTENT_TYPE, HTML), (header::CACHE_CONTROL, "no-store")], text).into_response()
}
