//! A threaded service that uses the crate `tracing`: one line, and its spans are in the recording.
//! `barograph run -o service.baro -- cargo run --example service --features tracing`

use std::hint::black_box;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

#[derive(Debug)]
struct Request {
    id: u32,
    depth: u32,
}

#[tracing::instrument(fields(leaves))]
fn handle(request: &Request) -> Result<u64, std::num::TryFromIntError> {
    let leaves = walk(request.depth);
    tracing::Span::current().record("leaves", leaves);
    u64::try_from(i64::from(request.id % 50) - 1).map(|id| id + leaves).inspect_err(|error| tracing::error!(%error, "refused"))
}

/// Recursion: each call is a span within the one that called it.
#[tracing::instrument(level = "info")]
fn walk(depth: u32) -> u64 {
    if depth == 0 {
        return (0..100_000).fold(0, |sum: u64, step| black_box(sum.wrapping_add(step))) % 2 + 1;
    }
    walk(depth - 1) + walk(depth - 1)
}

fn work(requests: &Mutex<Receiver<Request>>) {
    loop {
        let request = requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(request) = request else { return };
        // What went wrong is told by the span.
        let _ = handle(&request);
    }
}

fn main() {
    barograph::tracing::init();
    let (to, requests) = channel();
    let requests = Arc::new(Mutex::new(requests));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let requests = Arc::clone(&requests);
            thread::spawn(move || work(&requests))
        })
        .collect();
    for id in 0..200 {
        if to.send(Request { id, depth: id % 4 }).is_err() {
            break;
        }
    }
    drop(to);
    for worker in workers {
        let _ = worker.join();
    }
    tracing::info!(requests = 200, "served");
}
