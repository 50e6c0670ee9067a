//! What is said of a recording in which the clock was set back by an hour, and the machine slept: the same as if neither had happened, and that it did.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod sample;

use std::path::Path;

use barograph_model::{Moment, Rows, Sink};
use barograph_sources::{Cpu, Job, Own};
use barograph_store::{Options, Recording};
use sample::{START, said};
use serde_json::Value;

const SECOND: i64 = 1_000_000_000;
const TICKS: i64 = 300;
const SET_BACK: i64 = 100;
const SLEPT: i64 = 200;
const SLEEP: i64 = 5_000 * SECOND;

fn at(tick: i64) -> Moment {
    let since = tick * SECOND + if tick >= SLEPT { SLEEP } else { 0 };
    let set = if tick >= SET_BACK { -3600 * SECOND } else { 0 };
    // Late by a little each time, so that no two ticks have the same UTC.
    Moment { utc_nanos: START + since + set + tick, monotonic_nanos: sample::facts().clock.monotonic_nanos + since }
}

/// A job with one core busy and one idle, on a machine that was awake for 300 s. It has no end: it was cut off.
fn write(folder: &Path) {
    let mut recording = Recording::create(folder.join("run.baro"), sample::facts(), Options::default()).unwrap();
    let (mut job, mut cpu, mut own) = (Rows::<Job>::new(), Rows::<Cpu>::new(), Rows::<Own>::new());
    for tick in 0..TICKS {
        let seconds = tick as f64;
        job.row(at(tick)).set(Job::processes, 1).set(Job::user, seconds).set(Job::system, 0.0).set(Job::resident, 1 << 20);
        cpu.row(at(tick)).set(Cpu::user, 1e6 + seconds).set(Cpu::system, 0.0).set(Cpu::idle, 1e6 + seconds);
        own.row(at(tick)).set(Own::ticks, tick.unsigned_abs()).set(Own::suspended, if tick >= SLEPT { SLEEP as f64 / 1e9 } else { 0.0 });
    }
    for batch in [&*job, &*cpu, &*own] {
        recording.take(batch).unwrap();
    }
    recording.publish().unwrap();
}

#[test]
fn the_report_is_that_of_the_time_that_passed_and_says_what_the_clock_did() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let report: Value = serde_json::from_str(&said(folder.path(), &["report", "run.baro", "--json"])).unwrap();
    for group in ["job", "machine"] {
        let cpu = &report[group]["cpu"];
        assert_eq!(["total", "mean", "p95", "peak"].map(|figure| cpu[figure].as_f64().unwrap().round()), [299.0, 1.0, 1.0, 1.0], "{cpu}");
    }
    let slept = SLEEP as f64 / 1e9;
    assert_eq!(report["window"]["seconds"].as_f64(), Some(slept + 299.0));
    let curve = report["curves"]["job_cpu"]["values"].as_array().unwrap();
    assert!(curve.iter().flat_map(Value::as_f64).all(|cores| (cores - 1.0).abs() < 1e-6), "{curve:?}");
    assert!(curve.iter().any(Value::is_null), "the time asleep has no curve");
    let note = |name: &str| report["notices"].as_array().unwrap().iter().find(|note| note["name"] == name).cloned().unwrap_or_default();
    assert_eq!([note("clock_set"), note("gaps")].map(|note| note["count"].as_u64()), [Some(1), Some(1)]);
    assert!(note("clock_set")["text"].as_str().unwrap().contains("set back by 1 h"), "{report}");
    assert!(note("suspended")["text"].as_str().unwrap().contains("1 h 23 min"), "{report}");
}

#[test]
fn lists_and_exports_go_by_the_time_that_passed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let list: Value = serde_json::from_str(&said(folder.path(), &["ls", "--json"])).unwrap();
    assert_eq!(list[0]["wall_seconds"].as_f64(), Some(SLEEP as f64 / 1e9 + 299.0));
    assert_eq!(list[0]["cpu_seconds"].as_f64(), Some(299.0));
    for options in [&["--table", "own"][..], &[]] {
        let column = if options.is_empty() { "own.ticks" } else { "ticks" };
        let command = [&["export", "run.baro"], options, &["--columns", column, "-o", "-", "--format", "csv"]].concat();
        let text = said(folder.path(), &command);
        let ticks: Vec<i64> = text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect();
        assert_eq!(ticks, (0..TICKS).collect::<Vec<_>>(), "{options:?}");
    }
}
