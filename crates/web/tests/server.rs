//! The real server over real sockets: who may ask, what it bears, and what it answers.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use barograph_session::{Session, Settings, Watched};
use barograph_store::{Query, State, Timeline};
use barograph_web::{Error, Options, Server};
use serde_json::{Value, json};

/// Far beyond what anything takes on a machine with much to do.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server that runs until it is dropped.
struct Running {
    address: SocketAddr,
    token: String,
    over: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn of(paths: &[&Path], read_only: bool) -> Running {
        let options = Options { paths: paths.iter().map(|path| path.to_path_buf()).collect(), port: Some(0), read_only, ..Options::default() };
        let server = Server::bind(options).unwrap();
        let (address, token) = (server.address(), server.token().to_owned());
        let (over, is_over) = tokio::sync::oneshot::channel();
        let thread = thread::spawn(move || server.run_until(async { _ = is_over.await }));
        Running { address, token, over: Some(over), thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// A request with exactly these headers.
    fn raw(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        // It may be refused before all of it is sent.
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(body));
        Answer::read(stream)
    }

    fn host(&self) -> String {
        self.address.to_string()
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// A request of somebody who may ask.
    fn ask(&self, line: &str) -> Answer {
        self.raw(line, &[("Host", &self.host()), ("Authorization", &self.bearer())], b"")
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.ask(&format!("GET {path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    fn send(&self, line: &str, body: &Value) -> Answer {
        let headers = [
            ("Host", self.host()),
            ("Authorization", self.bearer()),
            ("Content-Type", "application/json".to_owned()),
            ("Origin", format!("http://{}", self.host())),
        ];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.raw(line, &headers, body.to_string().as_bytes())
    }

    fn control(&self, body: Value) -> Value {
        let answer = self.send("POST /api/control", &body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        answer.json()
    }

    /// An open event stream, past its head.
    fn stream(&self, path: &str) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n", self.host(), self.bearer()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.contains("200"), "{line}");
        while !line.trim().is_empty() {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        reader
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.over.take().map(|over| over.send(()));
        self.thread.take().map(|thread| thread.join());
    }
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn read(mut stream: TcpStream) -> Answer {
        let mut bytes = Vec::new();
        // What was refused may be reset after its answer.
        let _ = stream.read_to_end(&mut bytes);
        let end =
            bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: bytes[end + 4..].to_vec() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The sentence of an answer that is an error.
    fn error(&self) -> String {
        assert!(self.status >= 400, "{}", self.text());
        let error = self.json()["error"].as_str().unwrap().to_owned();
        assert!(error.len() > 10 && !error.contains("panicked"), "{error}");
        error
    }
}

/// A recording of this program, with rows.
fn record(folder: &Path, name: &str) -> PathBuf {
    let mut settings = Settings { watched: Watched::ThisProgram, path: Some(folder.join(name)), beacon: false, ..Settings::default() };
    settings.options.interval = Duration::from_millis(20);
    let session = Session::start(settings).unwrap();
    for _ in 0..5 {
        session.snapshot_now().unwrap();
    }
    session.stop().unwrap().path
}

fn until<T>(mut find: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(begin.elapsed() < DEADLINE, "it did not come");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn only_who_knows_the_token_may_ask() {
    let place = tempfile::tempdir().unwrap();
    let server = Running::of(&[place.path()], true);
    let host = server.host();
    let wrong = "0".repeat(32);
    let cookie = |token: &str| format!("barograph_{}={token}", server.address.port());
    let other_server = format!("barograph_1={}", server.token);
    let of_api = |headers: &[(&str, &str)]| server.raw("GET /api/session", &[&[("Host", host.as_str())], headers].concat(), b"");

    for headers in [
        &[][..],
        &[("Authorization", "Bearer ")],
        &[("Authorization", &format!("Bearer {wrong}"))],
        &[("Authorization", &format!("Basic {}", server.token))],
        &[("Authorization", &format!("Bearer {}0", server.token))],
        &[("Authorization", &format!("Bearer {}", &server.token[..31]))],
        &[("Cookie", &cookie(&wrong))],
        &[("Cookie", &cookie(""))],
        &[("Cookie", &other_server)],
    ] {
        let answer = of_api(headers);
        assert_eq!(answer.status, 401, "{headers:?}");
        assert!(answer.error().contains("barograph view"));
    }
    assert_eq!(of_api(&[("Authorization", &server.bearer())]).status, 200);
    assert_eq!(of_api(&[("Cookie", &format!("a=b; {}; c=d", cookie(&server.token)))]).status, 200);
    // The query is for the first page alone.
    let in_query = server.raw(&format!("GET /api/session?token={}", server.token), &[("Host", &host)], b"");
    assert_eq!(in_query.status, 401);

    for path in ["/", "/assets/page.js", "/assets/page.css", &format!("/?token={wrong}"), "/?token=", "/nothing"] {
        let page = server.raw(&format!("GET {path}"), &[("Host", &host)], b"");
        assert_eq!(page.status, 401, "{path}");
        assert!(page.text().contains("barograph view") && page.header("content-type").unwrap().starts_with("text/html"), "{path}");
        assert_eq!(page.header("set-cookie"), None, "{path}");
    }
}

#[test]
fn the_token_becomes_a_cookie_and_leaves_the_address() {
    let place = tempfile::tempdir().unwrap();
    let server = Running::of(&[place.path()], true);
    let host = server.host();
    let first = server.raw(&format!("GET /?token={}&run=ab", server.token), &[("Host", &host)], b"");
    assert_eq!((first.status, first.header("location")), (303, Some("/?run=ab")));
    let cookie = first.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict") && cookie.contains("; Path=/"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let page = server.raw("GET /", &[("Host", &host), ("Cookie", cookie)], b"");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("assets/page.js") && !page.text().contains(&server.token));
    for path in ["/assets/page.js", "/assets/page.css"] {
        let asset = server.raw(&format!("GET {path}"), &[("Host", &host), ("Cookie", cookie)], b"");
        let tag = asset.header("etag").unwrap();
        assert!(asset.status == 200 && asset.body.len() > 100, "{path}");
        let again = server.raw(&format!("GET {path}"), &[("Host", &host), ("Cookie", cookie), ("If-None-Match", tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    // A link on another site sends no cookie of ours to where it is redirected: the browser is told to ask by itself.
    let led = server.raw(&format!("GET /?token={}", server.token), &[("Host", &host), ("Sec-Fetch-Site", "cross-site")], b"");
    assert!(led.status == 200 && led.text().contains("http-equiv=\"refresh\"") && led.header("set-cookie").is_some(), "{}", led.text());
}

#[test]
fn every_answer_says_how_little_the_page_needs() {
    let place = tempfile::tempdir().unwrap();
    let server = Running::of(&[place.path()], true);
    for line in ["GET /", "GET /api/session", "GET /nothing", "POST /api/control", "DELETE /"] {
        let answer = server.ask(line);
        let policy = answer.header("content-security-policy").unwrap();
        for part in
            ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"]
        {
            assert!(policy.contains(part), "{line}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{line}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{line}");
        assert!(answer.header("cache-control").is_some(), "{line}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{line}");
    }
}

#[test]
fn foreign_names_and_foreign_sites_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let server = Running::of(&[place.path()], false);
    let (host, bearer, port) = (server.host(), server.bearer(), server.address.port());
    for foreign in ["evil.example", &format!("evil.example:{port}"), "192.0.2.7", &format!("localhost.evil.example:{port}"), ""] {
        for line in ["GET /", "GET /api/session", &format!("GET /?token={}", server.token)] {
            let answer = server.raw(line, &[("Host", foreign), ("Authorization", &bearer)], b"");
            assert_eq!(answer.status, 421, "{foreign} {line}");
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
    // No name, or two of them.
    assert!(server.raw("GET /api/session", &[("Authorization", &bearer)], b"").status >= 400);
    assert!(server.raw("GET /api/session", &[("Host", &host), ("Host", "evil.example"), ("Authorization", &bearer)], b"").status >= 400);
    for ours in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "localhost:8888".to_owned(), format!("[::1]:{port}")] {
        assert_eq!(server.raw("GET /api/session", &[("Host", &ours), ("Authorization", &bearer)], b"").status, 200, "{ours}");
    }

    let stop = br#"{"do":"snapshot"}"#;
    let post = |headers: &[(&str, &str)]| {
        let all = [&[("Host", host.as_str()), ("Authorization", bearer.as_str()), ("Content-Type", "application/json")], headers].concat();
        server.raw("POST /api/control", &all, stop)
    };
    let same = format!("http://{host}");
    // Nothing goes on that could be read: that is said to those who may ask.
    assert_eq!(post(&[]).status, 409);
    assert_eq!(post(&[("Origin", &same), ("Sec-Fetch-Site", "same-origin")]).status, 409);
    for origin in [
        "http://evil.example",
        "null",
        "https://evil.example",
        &format!("http://127.0.0.1:{}", port.wrapping_add(1)),
        "",
        &format!("http://{host}.evil.example"),
    ] {
        assert_eq!(post(&[("Origin", origin)]).status, 403, "{origin}");
        let read = server.raw("GET /api/session", &[("Host", &host), ("Authorization", &bearer), ("Origin", origin)], b"");
        assert_eq!(read.status, 403, "{origin}");
    }
    for site in ["cross-site", "same-site"] {
        assert_eq!(post(&[("Sec-Fetch-Site", site)]).status, 403, "{site}");
        assert_eq!(server.raw("GET /api/session", &[("Host", &host), ("Authorization", &bearer), ("Sec-Fetch-Site", site)], b"").status, 403);
    }
    // What a form of another site can send.
    let form = [("Host", host.as_str()), ("Authorization", bearer.as_str()), ("Content-Type", "text/plain")];
    assert_eq!(server.raw("POST /api/control", &form, stop).status, 415);
}

#[test]
fn nothing_is_reached_but_what_was_given() {
    let place = tempfile::tempdir().unwrap();
    let (given, other) = (place.path().join("given"), place.path().join("other"));
    fs::create_dir_all(&given).unwrap();
    fs::create_dir_all(&other).unwrap();
    record(&given, "a");
    record(&other, "secret");
    std::os::unix::fs::symlink(other.join("secret.baro"), given.join("link.baro")).unwrap();
    let server = Running::of(&[&given], false);
    let session = server.get("/api/session");
    let names: Vec<&str> = session["runs"].as_array().unwrap().iter().filter_map(|run| run["name"].as_str()).collect();
    assert!(names.contains(&"a.baro") && !names.contains(&"link.baro") && !names.contains(&"secret.baro"), "{names:?}");
    assert!(session["refused"][0]["why"].as_str().unwrap().contains("link out of the folder"), "{session}");
    let secret = Timeline::open(other.join("secret.baro")).unwrap().facts().id.clone();
    for id in [secret.as_str(), "..", "%2e%2e", "..%2f..%2fother%2fsecret.baro", "%2fetc%2fpasswd", "a.baro", "%00", "a%2f..%2f..%2fother"] {
        for rest in ["", "/events", "/frame?q=%7B%7D", "/events.csv", "/live"] {
            let answer = server.ask(&format!("GET /api/runs/{id}{rest}"));
            assert!(answer.status == 404 || answer.status == 400, "{id}{rest}: {} {}", answer.status, answer.text());
            assert!(!answer.text().contains("root:"), "{id}{rest}");
        }
    }
    for path in [
        "/../../../../etc/passwd",
        "/assets/../../../etc/passwd",
        "/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "//etc/passwd",
        "/assets/page.js/../../x",
    ] {
        assert_eq!(server.ask(&format!("GET {path}")).status, 404, "{path}");
    }
    let escapes = [
        "../other/x".to_owned(),
        "/tmp/x-barograph".to_owned(),
        other.join("x").display().to_string(),
        "a/../../x".to_owned(),
        given.join("link.baro/x").display().to_string(),
        "/".to_owned(),
        "x\u{0}y".to_owned(),
    ];
    for path in escapes {
        let answer = server.send("POST /api/control", &json!({ "do": "start", "settings": { "path": path } }));
        assert_eq!(answer.status, 403, "{path:?}: {}", answer.text());
        assert!(answer.error().contains("recordings are made in"), "{path:?}");
    }
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
}

#[test]
fn large_and_slow_clients_are_refused_while_others_are_served() {
    let place = tempfile::tempdir().unwrap();
    record(place.path(), "a");
    let server = Running::of(&[place.path()], false);
    let id = server.get("/api/session")["first"].as_str().unwrap().to_owned();
    let headers = [("Host", server.host()), ("Authorization", server.bearer()), ("Content-Type", "application/json".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let large = format!("{{\"do\":\"start\",\"settings\":{{\"path\":\"{}\"}}}}", "x".repeat(70_000));
    assert_eq!(server.raw("POST /api/control", &headers, large.as_bytes()).status, 413);
    assert_eq!(server.raw(&format!("POST /api/runs/{id}/events"), &headers, large.as_bytes()).status, 413);
    let many = "x,+0s\n".repeat(1_500_000);
    assert_eq!(server.raw(&format!("POST /api/runs/{id}/events/import"), &headers, many.as_bytes()).status, 413);
    let head = server.raw("GET /api/session", &[&headers[..], &[("X-Large", &"x".repeat(300_000))]].concat(), b"");
    assert!([400, 431].contains(&head.status), "{}", head.status);

    // Clients that never say what they want, that say it letter by letter, and that never send what they promised.
    let mut slow: Vec<TcpStream> = (0..40).map(|_| server.connect()).collect();
    for (index, stream) in slow.iter_mut().enumerate() {
        match index % 3 {
            0 => {}
            1 => stream.write_all(b"GET /api/session HTTP/1.1\r\nHost: ").unwrap(),
            _ => write!(
                stream,
                "POST /api/control HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
                server.host(),
                server.bearer()
            )
            .unwrap(),
        }
    }
    for _ in 0..20 {
        server.get("/api/session");
    }
    // Each of them is sent away, or told why.
    for (index, mut stream) in slow.into_iter().enumerate() {
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        match index % 3 {
            2 => assert!(said.contains(" 408 ") && said.contains("too slowly"), "{index}: {said}"),
            _ => assert!(!said.contains(" 200 "), "{index}: {said}"),
        }
    }
}

#[test]
fn two_hundred_open_streams_hurt_nobody() {
    let place = tempfile::tempdir().unwrap();
    let server = Running::of(&[place.path()], false);
    let machine = server.get("/api/session")["machine"].as_str().unwrap().to_owned();
    let mut streams: Vec<_> =
        (0..200).map(|index| server.stream(&if index % 2 == 0 { "/api/live".to_owned() } else { format!("/api/runs/{machine}/live") })).collect();
    for _ in 0..20 {
        server.get("/api/session");
        server.get(&format!("/api/runs/{machine}"));
    }
    // The last of them hears that the machine's recording grows.
    let mut line = String::new();
    let mut grown = 0;
    while grown < 3 {
        line.clear();
        assert!(streams[199].read_line(&mut line).unwrap() > 0, "the stream ended");
        grown += usize::from(line.starts_with("event: grown"));
    }
    // There is an end to how many there may be, and it is told.
    let more: Vec<_> = (0..60)
        .map(|_| {
            let mut stream = server.connect();
            write!(stream, "GET /api/live HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n", server.host(), server.bearer()).unwrap();
            let mut reader = BufReader::new(stream);
            line.clear();
            reader.read_line(&mut line).unwrap();
            (line.contains(" 503 "), reader)
        })
        .collect();
    assert!(more.iter().any(|(is_full, _)| *is_full) && !more[0].0);
    server.get("/api/session");
    drop((more, streams));
    // Room again for those who come later.
    until(|| (server.try_stream() == 200).then_some(()));
}

impl Running {
    /// The status of a stream that is closed again at once.
    fn try_stream(&self) -> u16 {
        let mut stream = self.connect();
        write!(stream, "GET /api/live HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n", self.host(), self.bearer()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = |port, bind| Options { port, bind, read_only: true, ..Options::default() };
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let error = Server::bind(options(Some(port), local)).unwrap_err();
    assert!(matches!(error, Error::Taken(_)) && error.to_string().contains("--port 0"), "{error}");
    let error = Server::bind(options(Some(0), IpAddr::from([192, 0, 2, 1]))).unwrap_err();
    assert!(error.to_string().contains("no address of this machine"), "{error}");
    // Nobody asked for the usual port: another one will do.
    let (first, second) = (Server::bind(options(None, local)).unwrap(), Server::bind(options(None, local)).unwrap());
    assert_ne!(first.address().port(), second.address().port());
}

#[test]
fn questions_without_sense_are_answered_in_words() {
    let place = tempfile::tempdir().unwrap();
    record(place.path(), "a");
    let server = Running::of(&[place.path()], true);
    let id = server.get("/api/session")["first"].as_str().unwrap().to_owned();
    let frame = |query: &str| format!("GET /api/runs/{id}/frame?q={query}");
    for (line, status) in [
        (frame(""), 400),
        (format!("GET /api/runs/{id}/frame"), 400),
        (frame("%7B%7D"), 400),
        (frame("%5B"), 400),
        (frame(&escape(r#"{"from":2,"to":1,"buckets":9,"specs":[]}"#)), 400),
        (format!("GET /api/runs/{id}/processes?at=soon"), 400),
        (format!("GET /api/runs/{id}/processes?at=nan"), 400),
        (format!("GET /api/runs/{id}/process?pid=1"), 400),
        (format!("GET /api/runs/{id}/process?pid=-7&start=1"), 404),
        (format!("GET /api/runs/{id}/spans?from=inf"), 400),
        (format!("GET /api/runs/{id}/nothing"), 404),
        ("GET /api/runs/nobody".to_owned(), 404),
        ("GET /api/difference".to_owned(), 400),
        ("GET /api/difference?a=nobody".to_owned(), 404),
        ("GET /api/tree?pid=0".to_owned(), 404),
        ("GET /api/tree?pid=4294967295".to_owned(), 404),
        ("GET /api/tree?pid=-1".to_owned(), 400),
        ("GET /api/control".to_owned(), 405),
        ("DELETE /api/session".to_owned(), 405),
    ] {
        let answer = server.ask(&line);
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
        answer.error();
    }
    // What another run has, and this one not, is no line of it.
    for spec in
        [r#"{"table":"weather","plus":["rain"]}"#, r#"{"table":"memory","plus":["rain"]}"#, r#"{"table":"../memory","plus":["available_bytes"]}"#]
    {
        let query = format!(r#"{{"from":1,"to":9e12,"buckets":9,"specs":[{spec}]}}"#);
        let answer = server.ask(&frame(&escape(&query)));
        assert!(answer.status == 200 && answer.text().contains("\"lines\":[]"), "{spec}: {}", answer.text());
    }
    // Nothing can be changed here.
    for line in [
        "POST /api/control",
        &format!("POST /api/runs/{id}/events"),
        &format!("PUT /api/runs/{id}/events/0"),
        &format!("POST /api/runs/{id}/events/import"),
    ] {
        let answer = server.send(line, &json!({}));
        assert!(answer.status == 403 && answer.error().contains("--read-only"), "{line}");
    }
    assert_eq!(server.ask(&format!("DELETE /api/runs/{id}/events/0")).status, 403);
    let session = server.get("/api/session");
    assert!(session["readOnly"] == true && session["machine"].is_null() && session["cannotRecord"].as_str().unwrap().contains("--read-only"));
}

/// A text as it stands in a query.
fn escape(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[test]
fn paths_that_are_no_recordings_are_told() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::create_dir(path("half.baro")).unwrap();
    fs::create_dir(path("torn.baro")).unwrap();
    fs::write(path("torn.baro/recording.json"), "{\"id\": ").unwrap();
    fs::create_dir(path("new.baro")).unwrap();
    fs::write(path("new.baro/recording.json"), "{\"format\": 99}").unwrap();
    fs::write(path("text.txt"), "hello").unwrap();
    fs::create_dir(path("empty.baro")).unwrap();
    fs::write(path("empty.baro/recording.json"), "{\"id\": \"0123456789abcdef\", \"clock\": {\"utc_nanos\": 5000000}}").unwrap();
    let server = Running::of(&[place.path(), &path("gone.baro"), &path("text.txt")], true);
    let session = server.get("/api/session");
    let why = |name: &str| {
        let refused = session["refused"].as_array().unwrap();
        let found = refused.iter().find(|refused| refused["path"].as_str().unwrap().ends_with(name));
        found.unwrap_or_else(|| panic!("{name}: {session}"))["why"].as_str().unwrap().to_owned()
    };
    assert!(why("half.baro").contains("no recording.json"));
    assert!(why("torn.baro").contains("barograph repair"));
    assert!(why("new.baro").contains("newer"));
    assert!(why("gone.baro").contains("no such recording"));
    assert!(why("text.txt").contains("not a recording"));
    // One without a row is a recording.
    let empty = server.get("/api/runs/0123456789abcdef");
    assert_eq!((empty["from"].as_f64(), empty["to"].as_f64()), (Some(5.0), Some(5.0)));
    assert_eq!(server.get("/api/runs/0123456789abcdef/processes")["processes"], json!([]));
    assert_eq!(server.get("/api/runs/0123456789abcdef/spans")["spans"], json!([]));
    assert_eq!(server.get("/api/runs/0123456789abcdef/events")["events"], json!([]));
}

/// The header of a frame, and its arrays by their places.
fn frame(answer: &Answer) -> (Value, impl Fn(&Value) -> Vec<f64> + use<>) {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/octet-stream")), "{}", answer.text());
    let bytes = &answer.body;
    assert_eq!(&bytes[..4], b"BFR1");
    let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    let header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let begin = (8 + length).next_multiple_of(8);
    let numbers: Vec<f64> = bytes[begin..].chunks_exact(8).map(|eight| f64::from_le_bytes(eight.try_into().unwrap())).collect();
    let array = move |place: &Value| {
        let [from, length] = serde_json::from_value::<[usize; 2]>(place.clone()).unwrap();
        numbers[from..from + length].to_vec()
    };
    (header, array)
}

#[test]
fn a_frame_has_the_numbers_of_the_files() {
    let place = tempfile::tempdir().unwrap();
    let path = record(place.path(), "a");
    let server = Running::of(&[place.path()], true);
    let run = server.get("/api/session")["runs"][0].clone();
    let (id, from, to) = (run["id"].as_str().unwrap(), run["from"].as_f64().unwrap(), run["to"].as_f64().unwrap());
    let specs = json!([{ "table": "memory", "plus": ["available_bytes"] }, { "table": "job", "plus": ["user_seconds", "system_seconds"] }]);
    let query = json!({ "from": from - 1000.0, "to": to + 1000.0, "buckets": 5000, "specs": specs });
    let answer = server.ask(&format!("GET /api/runs/{id}/frame?q={}", escape(&query.to_string())));
    let (header, array) = frame(&answer);
    let rows = Timeline::open(&path).unwrap().frame("memory", &Query::all()).unwrap();
    let line = &header["lines"][0];
    assert_eq!((line["spec"].as_u64(), line["unit"].as_str(), line["kind"].as_str()), (Some(0), Some("bytes"), Some("whole")));
    let (x, mean) = (array(&line["x"]), array(&line["mean"]));
    assert_eq!(mean, rows.floats("available_bytes").into_iter().map(Option::unwrap).collect::<Vec<_>>());
    assert_eq!(x.len(), rows.len());
    for (shown, time) in x.iter().zip(rows.times()) {
        assert!((shown - *time as f64 / 1e6).abs() < 0.001, "{shown} {time}");
    }
    assert!(line.get("min").is_none(), "each point is a row");
    assert_eq!((header["lines"][1]["unit"].as_str(), header["lines"].as_array().unwrap().len()), (Some("cores"), 2));
}

#[test]
fn what_is_recorded_through_the_page_is_a_recording() {
    let place = tempfile::tempdir().unwrap();
    let server = Running::of(&[place.path()], false);
    let path = place.path().join("mine.baro");
    let start = json!({ "do": "start", "settings": { "path": path, "intervalSeconds": 0.05, "writeIntervalSeconds": 0.2, "processes": "none" } });
    let session = server.control(start.clone());
    let (id, rows) = (session["recording"]["run"].as_str().unwrap().to_owned(), session["recording"]["rows"].as_u64().unwrap());
    assert_eq!(session["recording"]["intervalSeconds"], 0.05);
    assert_eq!(session["first"], id.as_str());
    let mut live = server.stream(&format!("/api/runs/{id}/live"));
    let refused = server.send("POST /api/control", &start);
    assert!(refused.status == 409 && refused.error().contains("stop it first"));
    until(|| server.get("/api/session")["recording"]["rows"].as_u64().filter(|now| *now > rows + 50));
    server.control(json!({ "do": "snapshot" }));
    // Changes apply to it while it goes on.
    let session = server.control(json!({ "do": "set", "settings": { "intervalSeconds": 0.02 } }));
    assert_eq!(session["recording"]["intervalSeconds"], 0.02);
    let mark_when = |conditions: &[&str]| json!({ "do": "set", "settings": { "markWhen": conditions }, "run": id });
    for (wrong, why) in [("memory is large", "expected a metric"), ("job.nothing > 1", "no metric"), ("memory > 1 mile", "its unit may be")] {
        let refused = server.send("POST /api/control", &mark_when(&[wrong]));
        assert!(refused.status == 400 && refused.error().contains(wrong) && refused.error().contains(why), "{}", refused.text());
    }
    let session = server.control(mark_when(&["memory.total_bytes > 1 KiB"]));
    assert_eq!(session["recording"]["markWhen"], json!(["memory.total_bytes > 1 KiB"]));
    until(|| server.get(&format!("/api/runs/{id}/events"))["events"].as_array()?.iter().any(|event| event["by"] == "rule").then_some(()));
    assert_eq!(server.get(&format!("/api/runs/{id}"))["markWhen"], json!(["memory.total_bytes > 1 KiB"]));

    let event =
        json!({ "at": until(|| server.get(&format!("/api/runs/{id}"))["to"].as_f64()), "name": "half way", "detail": "so far", "duration": 1500 });
    let added = server.send(&format!("POST /api/runs/{id}/events"), &event);
    assert_eq!(added.status, 201, "{}", added.text());
    assert_eq!((&added.json()["name"], &added.json()["by"], &added.json()["duration"]), (&json!("half way"), &json!("person"), &json!(1500.0)));

    let event = format!("/api/runs/{id}/events/{}", added.json()["key"].as_str().unwrap());
    let changed = server.send(&format!("PUT {event}"), &json!({ "at": added.json()["at"], "name": "nearly half way" }));
    assert_eq!((changed.status, &changed.json()["name"], &changed.json()["key"]), (200, &json!("nearly half way"), &added.json()["key"]));

    let session = server.control(json!({ "do": "stop" }));
    assert!(session["recording"].is_null());
    let head = |session: &Value| session["runs"].as_array().unwrap().iter().find(|run| run["id"] == id.as_str()).cloned().unwrap();
    assert_eq!(head(&session)["state"], "ended");
    let mut told = String::new();
    while !told.contains("\"ended\"") {
        assert!(live.read_line(&mut told).unwrap() > 0, "{told}");
    }
    assert!(told.contains("event: grown"), "{told}");
    // It is there for others too, whole.
    let timeline = Timeline::open(&path).unwrap();
    assert_eq!((timeline.state(), timeline.facts().interval_seconds), (State::Ended, 0.02));
    assert!(timeline.table("memory").unwrap().rows >= 4);
    // The name is taken: what is recorded next gets a number.
    let session = server.control(start);
    assert!(session["recording"]["path"].as_str().unwrap().ends_with("mine-2.baro"), "{}", session["recording"]);
    let again = server.control(json!({ "do": "reset" }));
    assert!(again["recording"]["path"].as_str().unwrap().ends_with("mine-3.baro"), "{}", again["recording"]);
    drop(server);
    // The server ended, and what it recorded with it.
    assert_eq!(Timeline::open(place.path().join("mine-3.baro")).unwrap().state(), State::Ended);
}

#[test]
fn events_are_added_and_imported_into_what_has_ended() {
    let place = tempfile::tempdir().unwrap();
    record(place.path(), "a");
    let server = Running::of(&[place.path()], false);
    let id = server.get("/api/session")["first"].as_str().unwrap().to_owned();
    let run = server.get(&format!("/api/runs/{id}"));
    assert_eq!(run["writable"], true);
    let (from, to) = (run["from"].as_f64().unwrap(), run["to"].as_f64().unwrap());
    let middle = (from + to) / 2.0;
    let added = server.send(&format!("POST /api/runs/{id}/events"), &json!({ "at": middle, "name": "here", "duration": 2.0 }));
    assert_eq!(added.status, 201, "{}", added.text());
    assert!((added.json()["at"].as_f64().unwrap() - middle).abs() < 0.001);
    for at in [from - 60_000.0, to + 60_000.0] {
        let refused = server.send(&format!("POST /api/runs/{id}/events"), &json!({ "at": at, "name": "elsewhere" }));
        assert!(refused.status == 400 && refused.error().contains("of the recording"), "{}", refused.text());
    }
    let import = |text: &str, zone: &str| {
        let headers = [("Host", server.host()), ("Authorization", server.bearer()), ("Content-Type", "text/csv".to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        server.raw(&format!("POST /api/runs/{id}/events/import?zone={zone}"), &headers, text.as_bytes())
    };
    let seconds = from / 1e3;
    let wrong = import(&format!("event,timestamp\na,{:.6}\nb,soon\n", seconds + 0.01), "UTC").json();
    assert_eq!((&wrong["added"], &wrong["refused"][0]["line"]), (&json!(0), &json!(3)), "{wrong}");
    let right = import(&format!("event,timestamp,detail\na,{:.6},so\nearly,{:.6},\n", seconds + 0.01, seconds - 900.0), "Europe/Berlin").json();
    assert_eq!((&right["added"], &right["refused"][0]["line"]), (&json!(1), &json!(3)), "{right}");
    assert_eq!(import("a,+0s\n", "Mars%2FPhobos").status, 400);
    let events = server.get(&format!("/api/runs/{id}/events"));
    let names: Vec<&str> =
        events["events"].as_array().unwrap().iter().filter(|event| event["by"] == "person").filter_map(|event| event["name"].as_str()).collect();
    assert_eq!(names, ["a", "here"]);
    let events = events["events"].as_array().unwrap();
    let of = |name: &str| events.iter().find(|event| event["name"] == name).unwrap();
    let path = |event: &Value| format!("/api/runs/{id}/events/{}", escape(event["key"].as_str().unwrap()));
    let later = json!({ "at": of("a")["at"].as_f64().unwrap() + 20.0, "name": "b", "detail": "more" });
    let changed = server.send(&format!("PUT {}", path(of("a"))), &later);
    assert_eq!((changed.status, &changed.json()["detail"], &changed.json()["key"]), (200, &json!("more"), &of("a")["key"]), "{}", changed.text());
    assert_eq!(server.send(&format!("PUT {}", path(of("a"))), &json!({ "at": from - 60_000.0, "name": "b" })).status, 400);
    assert_eq!(server.ask(&format!("DELETE {}", path(of("a")))).status, 204);
    assert_eq!(server.ask(&format!("DELETE {}", path(of("a")))).status, 404);
    assert_eq!(server.ask(&format!("DELETE /api/runs/{id}/events/nobody")).status, 404);
    // What the recorder said stands.
    let own = server.ask(&format!("DELETE {}", path(events.iter().find(|event| event["by"] == "recorder").unwrap())));
    assert!(own.status == 403, "{}", own.text());
    let names = server.get(&format!("/api/runs/{id}/events"))["events"].as_array().unwrap().iter().filter(|event| event["by"] == "person").count();
    assert_eq!(names, 1);
    let csv = server.ask(&format!("GET /api/runs/{id}/events.csv"));
    assert!(csv.text().starts_with("event,timestamp,duration,detail\n") && csv.text().contains("\nhere,20"), "{}", csv.text());
    assert!(csv.header("content-disposition").unwrap().contains("a-events.csv"));
}

#[test]
fn this_machine_is_shown_and_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let server = Running::of(&[place.path()], false);
    let session = server.get("/api/session");
    let id = session["machine"].as_str().unwrap();
    assert_eq!(session["first"], id);
    let run = until(|| Some(server.get(&format!("/api/runs/{id}"))).filter(|run| run["hasProcesses"] == true));
    assert_eq!(run["state"], "live");
    let path = PathBuf::from(run["path"].as_str().unwrap());
    let folder = path.ancestors().nth(2).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&folder.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    let own = i64::from(std::process::id());
    let moment = server.get(&format!("/api/runs/{id}/processes"));
    assert!(moment["processes"].as_array().unwrap().iter().any(|process| process["pid"] == own), "{moment}");
    let tree = server.get(&format!("/api/tree?pid={own}"));
    assert!(tree["threads"].as_i64().unwrap() > 1 && tree["processes"][0]["pid"] == own, "{tree}");
    // Nobody ends it through the page.
    assert_eq!(server.send("POST /api/control", &json!({ "do": "stop", "run": id })).status, 409);
    drop(server);
    assert!(!folder.exists());
}

#[test]
fn two_runs_stand_beside_each_other() {
    let place = tempfile::tempdir().unwrap();
    let paths = [record(place.path(), "a"), record(place.path(), "b")];
    let server = Running::of(&[&paths[0], &paths[1]], true);
    let ids: Vec<String> = paths.iter().map(|path| Timeline::open(path).unwrap().facts().id.clone()).collect();
    let figures = server.get(&format!("/api/difference?a={}&b={}", ids[0], ids[1]));
    let of = |name: &str| figures.as_array().unwrap().iter().find(|figure| figure["name"] == name).unwrap()["values"].clone();
    for (place, path) in paths.iter().enumerate() {
        let totals = Timeline::open(path).unwrap().facts().end.clone().unwrap().totals;
        assert_eq!(of("wall time")[place].as_f64(), totals.wall_seconds);
        assert_eq!(of("CPU time")[place].as_f64(), Some(totals.user_seconds.unwrap() + totals.system_seconds.unwrap()));
        assert_eq!(of("peak memory")[place].as_f64(), totals.peak_resident_bytes.map(|bytes| bytes as f64));
    }
}

#[test]
fn a_recording_that_comes_later_is_told_and_listed() -> io::Result<()> {
    let place = tempfile::tempdir()?;
    let server = Running::of(&[place.path()], true);
    let mut live = server.stream("/api/live");
    let mut line = String::new();
    let mut told = |live: &mut BufReader<TcpStream>| -> io::Result<()> {
        line.clear();
        while !line.contains("event: runs") {
            assert!(live.read_line(&mut line)? > 0, "{line}");
        }
        Ok(())
    };
    told(&mut live)?;
    let path = record(place.path(), "late");
    told(&mut live)?;
    let session = server.get("/api/session");
    assert_eq!(session["runs"][0]["name"], "late.baro");
    // A copy has the id of its original, and is another one all the same.
    let copy = place.path().join("copy.baro");
    fs::create_dir(&copy)?;
    fs::copy(path.join("recording.json"), copy.join("recording.json"))?;
    told(&mut live)?;
    let session = server.get("/api/session");
    let runs = session["runs"].as_array().unwrap();
    assert!(runs.len() == 2 && runs[0]["id"] != runs[1]["id"], "{session}");
    Ok(())
}
