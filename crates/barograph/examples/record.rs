//! A program that records itself, and then looks at what it did: `cargo run --example record --features record`.
#![allow(clippy::print_stdout, reason = "this is a program")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use barograph::record::{Query, Recorder, open};

#[barograph::profile(millis)]
fn burn(millis: u64) {
    let until = Instant::now() + Duration::from_millis(millis);
    while Instant::now() < until {
        black_box(0);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let recorder = Recorder::builder().interval(Duration::from_millis(20)).path("record-example").start()?;
    for millis in [50, 100, 200] {
        burn(millis);
        barograph::gauge!("burned", millis as f64);
    }
    let ended = recorder.stop()?;

    let seconds = ended.totals.user_seconds.unwrap_or(0.0) + ended.totals.system_seconds.unwrap_or(0.0);
    println!("{seconds:.2} s of CPU time, recorded in {}", ended.path.display());
    let recording = open(&ended.path)?;
    for table in recording.tables()? {
        println!("{:>6} rows of {}: {}", table.rows, table.name, table.help);
    }
    let edges = recording.frame("span_edges", &Query::all())?;
    for (edge, cpu) in edges.texts("edge").iter().zip(edges.floats("thread_cpu_seconds")) {
        println!("{:>6} at {:.3} s of the thread's CPU time", edge.unwrap_or_default(), cpu.unwrap_or(f64::NAN));
    }
    Ok(())
}
