//! What the fuzz target `asked` of `fuzz/` calls: any requests, sent by somebody who knows the token.
#![allow(clippy::unwrap_used, reason = "a fuzz target says what is wrong by panicking")]

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::{App, router};
use crate::hour::{Hour, write};
use crate::making::{Settings, Wanted};
use crate::server::Options;

/// Requests to one server: what they add to its recording is read again by each that follows.
const MOST: usize = 500;

/// A server of one short recording, and what it stands on.
struct Served {
    runtime: Runtime,
    service: TowerToHyperService<Router>,
    run: String,
    token: String,
    answered: usize,
    _place: TempDir,
}

impl Served {
    fn new() -> Served {
        let place = tempfile::tempdir().unwrap();
        write(&place.path().join("run.baro"), Hour { ticks: 90, processes: 3, spans: 12 });
        let options = Options { paths: vec![place.path().to_owned()], read_only: true, ..Options::default() };
        let mut app = App::new(options, SocketAddr::from((Ipv4Addr::LOCALHOST, 80))).unwrap();
        // It has nothing of the machine running, but what is on disk may be changed.
        app.is_read_only = false;
        let (run, token) = (app.library.runs()[0].id.clone(), app.guard.token().to_owned());
        let service = TowerToHyperService::new(router(Arc::new(app)));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Served { runtime, service, run, token, answered: 0, _place: place }
    }

    /// The status of the answer, which is whole if it has an end.
    fn answer(&mut self, request: Request<Body>) -> StatusCode {
        self.answered += 1;
        let has_body = request.method() != Method::HEAD;
        self.runtime.block_on(async {
            let response = self.service.call(request).await.unwrap();
            let (status, kind) = (response.status(), response.headers().get(header::CONTENT_TYPE).cloned());
            let is = |name: &str| kind.as_ref().is_some_and(|kind| kind.as_bytes().starts_with(name.as_bytes()));
            if is("text/event-stream") {
                return status;
            }
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            if has_body && is("application/json") {
                let said: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert!(status.is_success() || said["error"].is_string(), "{status}: {said}");
            }
            status
        })
    }
}

/// A method and an address, lines of headers, an empty line, and the body; `RUN` in the address is the id of the recording. Whatever comes is answered, and
/// a fault is never the server's.
pub fn asked(input: &[u8]) {
    thread_local!(static SERVED: RefCell<Option<Served>> = const { RefCell::new(None) });
    let (head, body) = input.windows(2).position(|pair| pair == b"\n\n").map_or((input, &[][..]), |at| (&input[..at], &input[at + 2..]));
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let (method, address) = lines.next().unwrap_or_default().split_once(' ').unwrap_or_default();
    if address.starts_with("/api/control") {
        // It would record this machine.
        return settings(body);
    }
    if address.starts_with("/api/tree") {
        // It would watch a process of this machine for a while.
        return;
    }
    SERVED.with_borrow_mut(|served| {
        let served = match served {
            Some(served) if served.answered < MOST => served,
            _ => served.insert(Served::new()),
        };
        let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
        let request = Request::builder().method(method).uri(address.replace("RUN", &served.run));
        let Ok(mut request) = request.body(Body::from(body.to_vec())) else { return };
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", served.token)).unwrap());
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let (name, value) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.insert(name, value);
            }
        }
        let status = served.answer(request);
        assert!(!status.is_server_error(), "{status}");
    });
}

/// What the page may say of a recorder.
fn settings(said: &[u8]) {
    if let Ok(wanted) = serde_json::from_slice::<Wanted>(said) {
        let _ = Settings::default().with(wanted.clone());
        let _ = wanted.change();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_of_the_fuzzer_is_answered() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/asked");
        let inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty());
        for input in inputs {
            assert!(std::panic::catch_unwind(|| asked(&std::fs::read(&input).unwrap())).is_ok(), "{}", input.display());
        }
    }

    #[test]
    fn what_the_page_asks_is_answered() {
        let mut served = Served::new();
        let token = format!("Bearer {}", served.token);
        let mut ask = |method: &str, address: &str, body: &'static str| {
            let request = Request::builder().method(method).uri(address.replace("RUN", &served.run)).header(header::HOST, "localhost");
            let request = request.header(header::AUTHORIZATION, &token).header(header::CONTENT_TYPE, "application/json");
            served.answer(request.body(Body::from(body)).unwrap())
        };
        for address in
            ["/api/session", "/api/runs/RUN", "/api/runs/RUN/processes", "/api/runs/RUN/spans?limit=3", "/api/difference?a=RUN", "/api/live"]
        {
            assert_eq!(ask("GET", address, ""), StatusCode::OK, "{address}");
        }
        assert_eq!(ask("POST", "/api/runs/RUN/events", r#"{"at":1795166405000,"name":"a"}"#), StatusCode::CREATED);
        assert_eq!(ask("POST", "/api/runs/RUN/events/import", "event,timestamp\nb,+3s\n"), StatusCode::OK);
        assert_eq!(ask("GET", "/api/runs/nobody", ""), StatusCode::NOT_FOUND);
    }
}
