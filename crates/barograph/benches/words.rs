//! What a word costs: marks, gauges and spans, with no recorder (off) and with one (on). Prints nanoseconds; asserts nothing.
//!
//! `cargo bench -p barograph --bench words --features tracing`, with `BAROGRAPH=path/to/barograph` for the second half.
//!
//! On, the process is the job of a real `barograph run`. It keeps to what the recorder takes in (a fifth of a core) by a pause after every
//! twenty, which is not counted: what is measured is a word that is sent, and not one that is dropped.
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use barograph::{gauge, mark, profile, span};

/// How many times calls are timed, and how many calls between two pauses: with no recorder there is none, and a call is shorter than a look at the clock.
const ROUNDS: u32 = 300;
const ON: (u32, Duration) = (20, Duration::from_millis(5));
const OFF: (u32, Duration) = (10_000, Duration::ZERO);

#[profile]
fn profiled(number: u32) -> u32 {
    black_box(number)
}

/// The median over rounds of what one call takes, in nanoseconds.
fn nanos((burst, pause): (u32, Duration), mut call: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            (0..burst).for_each(|_| call());
            let nanos = begin.elapsed().as_nanos() as f64 / f64::from(burst);
            std::thread::sleep(pause);
            nanos
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn measure(state: &str) {
    let pace = if barograph::is_on() { ON } else { OFF };
    let line = |what: &str, nanos: f64| println!("{state:>4}  {what:<44} {nanos:>10.1} ns");
    line("mark!(\"name\")", nanos(pace, || mark!("name")));
    line("mark!(\"name\", number = 7, file = \"a.csv\")", nanos(pace, || mark!("name", number = black_box(7), file = "a.csv")));
    line("gauge!(\"loss\", 0.31)", nanos(pace, || gauge!("loss", black_box(0.31))));
    line("span!(\"name\"), begin and end", nanos(pace, || drop(span!("name"))));
    line("span!(\"name\", number = 7), begin and end", nanos(pace, || drop(span!("name", number = black_box(7)))));
    line("#[profile] fn, begin and end", nanos(pace, || _ = profiled(black_box(7))));
    #[cfg(feature = "tracing")]
    {
        use tracing_subscriber::prelude::*;
        {
            let _default = tracing_subscriber::registry().set_default();
            line("the same, and only `tracing`'s own registry", nanos(pace, || drop(tracing::info_span!("name").entered())));
        }
        let _default = tracing_subscriber::registry().with(barograph::tracing::layer()).set_default();
        line("tracing::info_span!(\"name\").entered()", nanos(pace, || drop(tracing::info_span!("name").entered())));
    }
    println!("{:>4}  kept back at the end: {}", state, if barograph::flush(Duration::from_secs(5)) { "nothing" } else { "some" });
}

fn main() {
    if barograph::is_on() {
        measure("on");
        return;
    }
    measure("off");
    let Some(barograph) = std::env::var_os("BAROGRAPH") else {
        println!("  on  left out: BAROGRAPH does not name the program");
        return;
    };
    let Ok(this) = std::env::current_exe() else { return };
    let folder = std::env::temp_dir().join(format!("barograph-bench-{}.baro", std::process::id()));
    let ran = Command::new(barograph).args(["run", "-q", "-o"]).arg(&folder).arg("--").arg(this).status();
    println!("  on  {}", ran.map_or_else(|error| error.to_string(), |status| status.to_string()));
    if let Ok(facts) = std::fs::read_to_string(folder.join("recording.json")) {
        let dropped = facts.lines().any(|line| line.contains("beacon_dropped"));
        println!("  on  dropped: {}", if dropped { "some, so that these numbers are too small" } else { "nothing" });
    }
    let _ = std::fs::remove_dir_all(folder);
}
