//! What a call costs the program that makes it: nanoseconds for a mark, a gauge, and the begin and end of a span, with nobody listening and with somebody.
//!
//! `cargo bench -p barograph-beacon`. Whoever listens here reads and forgets, on another thread: what a recorder does with what it hears costs the recorder.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench says what it found, and where it can't go on")]

use std::hint::black_box;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use barograph_beacon::{Address, Status, Value, begin, connect_to, disconnect, end, flush, gauge, mark};

/// The median of some rounds, in nanoseconds a call. Between two rounds what is kept is sent.
fn nanos(calls: u32, mut call: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..15)
        .map(|_| {
            flush(Duration::from_secs(5));
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            start.elapsed().as_nanos() as f64 / f64::from(calls)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn all(state: &str, calls: u32) {
    let line = |what: &str, nanos: f64| println!("{state:>4}  {what:<28}{nanos:>10.1} ns");
    line("mark", nanos(calls, || mark(black_box("epoch"), &[])));
    line("mark with two attributes", nanos(calls, || mark(black_box("epoch"), &[("loss", Value::Float(0.25)), ("file", Value::Str("a.csv"))])));
    line("gauge", nanos(calls, || gauge(black_box("loss"), black_box(0.25))));
    let span = || {
        if let Some(span) = begin(black_box("step"), None, &[]) {
            end(span, Status::Ok);
        }
    };
    line("span begin and end", nanos(calls, span));
}

fn main() {
    // `cargo test --all-targets` starts benches too, without this word.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    disconnect();
    all("off", 1_000_000);
    let path = std::env::temp_dir().join(format!("barograph-bench-{}", std::process::id()));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = over.clone();
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 65_537];
        while !is_over.load(Ordering::Relaxed) {
            let _ = socket.recv(&mut buffer);
        }
    });
    assert!(connect_to(Address::Path(path.clone())));
    // So few at once that what the socket has no room for is kept, and none is dropped.
    all("on", 500);
    over.store(true, Ordering::Relaxed);
    reader.join().unwrap();
    let _ = std::fs::remove_file(path);
}
