//! What the tests of this crate share: two tables with every physical type, rows whose values follow from their number, and folders.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests, of which each file uses a part")]

use std::path::PathBuf;

use barograph_model::{Bytes, Count, Counter, Gauge, Id, Level, Moment, Rows, Seconds, Text, table};
use barograph_store::{Clock, End, Facts, Options, Query, Recording, Timeline};
use tempfile::TempDir;

table! {
    /// One row a tick.
    pub(crate) Machine = "machine" in "/proc/machine" {
        /// Memory in use.
        used: Gauge<Bytes> = "used",
        /// Time spent working.
        busy: Counter<Seconds> = "busy",
        /// Below zero at times.
        mood: Gauge<Level> = "mood",
        /// What it does.
        doing: Text = "doing",
    }
}

table! {
    /// Use of processes.
    pub(crate) Process = "process" in "/proc/PID/stat" {
        key {
            /// Process id.
            pid: Id = "pid",
            /// Start.
            start_ticks: Id = "starttime",
        }
        /// Memory in RAM.
        resident: Gauge<Bytes> = "rss",
        /// CPU time.
        cpu: Counter<Seconds> = "utime",
        /// Threads.
        threads: Gauge<Count> = "num_threads",
    }
}

table! {
    /// Who the processes are.
    pub(crate) Processes = "processes" in "/proc/PID" {
        key {
            /// Process id.
            pid: Id = "pid",
            /// Start.
            start_ticks: Id = "starttime",
        }
        /// Its name.
        name: Text = "comm",
    }
}

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const BEGIN: i64 = 1_700_000_000 * SECOND;

pub(crate) fn at(tick: i64) -> Moment {
    Moment { utc_nanos: BEGIN + tick * SECOND, monotonic_nanos: 5 * SECOND + tick * SECOND }
}

/// The row of a tick: every third cell is absent, another in each column.
pub(crate) fn machine(tick: i64) -> Rows<Machine> {
    let mut rows = Rows::new();
    let tick_u64 = u64::try_from(tick).unwrap();
    rows.row(at(tick))
        .set(Machine::used, (tick % 3 != 0).then_some(tick_u64 * 4096))
        .set(Machine::busy, (tick % 3 != 1).then_some(tick as f64 / 3.0))
        .set(Machine::mood, (tick % 3 != 2).then_some(50 - tick))
        .text(Machine::doing, (tick % 4 != 0).then(|| if tick % 8 < 4 { "résumé, \"quoted\"".as_bytes() } else { b"" }));
    rows
}

/// The rows of a tick of so many processes.
pub(crate) fn processes(tick: i64, count: u64) -> Rows<Process> {
    let mut rows = Rows::new();
    let tick_u64 = u64::try_from(tick).unwrap();
    for pid in (1..=count).rev() {
        rows.row(at(tick))
            .set(Process::pid, pid)
            .set(Process::start_ticks, pid * 10)
            .set(Process::resident, pid * 1_000_000 + tick_u64)
            .set(Process::cpu, noise(tick_u64, pid))
            .set(Process::threads, (pid % 2 == 0).then_some(pid));
    }
    rows
}

/// Numbers that no compression makes small, so that parts fill up.
fn noise(tick: u64, pid: u64) -> f64 {
    let mixed = (tick << 20 | pid).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) as f64 / 1e3
}

pub(crate) fn facts() -> Facts {
    let clock = Clock { utc_nanos: at(0).utc_nanos, monotonic_nanos: at(0).monotonic_nanos, zone: "Europe/Berlin".into() };
    Facts { clock, command: Some(vec!["sleep".into(), "1".into()]), interval_seconds: 1.0, ..Facts::default() }
}

pub(crate) fn end(tick: i64) -> End {
    End { utc_nanos: at(tick).utc_nanos, monotonic_nanos: at(tick).monotonic_nanos, reason: "exited".into(), ..End::default() }
}

/// A new recording in a folder that goes when the test ends.
pub(crate) fn recording() -> (TempDir, PathBuf, Recording) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.baro");
    let recording = Recording::create(&path, facts(), Options::default()).unwrap();
    (folder, path, recording)
}

/// Every row of both tables is what its tick and pid say, none stands twice, and none is missing up to this many ticks.
pub(crate) fn check(timeline: &Timeline, ticks: i64, count: u64) {
    let machine = timeline.frame("machine", &Query::all()).unwrap();
    assert_eq!(machine.times(), (0..ticks).map(|tick| at(tick).utc_nanos).collect::<Vec<_>>());
    assert_eq!(machine.ints("used_bytes"), (0..ticks).map(|tick| (tick % 3 != 0).then_some(tick * 4096)).collect::<Vec<_>>());
    assert_eq!(machine.floats("busy_seconds"), (0..ticks).map(|tick| (tick % 3 != 1).then_some(tick as f64 / 3.0)).collect::<Vec<_>>());
    if count > 0 {
        check_processes(timeline, ticks, count);
    }
    assert_eq!(timeline.damaged(), []);
}

pub(crate) fn check_processes(timeline: &Timeline, ticks: i64, count: u64) {
    let frame = timeline.frame("process", &Query::all()).unwrap();
    let mut seen: Vec<(i64, i64, i64)> = frame
        .times()
        .iter()
        .zip(frame.ints("pid"))
        .zip(frame.ints("resident_bytes"))
        .map(|((&time, pid), resident)| (time, pid.unwrap(), resident.unwrap()))
        .collect();
    assert!(seen.is_sorted_by_key(|row| row.0), "in the order of time");
    seen.sort_unstable();
    let wanted = (0..ticks).flat_map(|tick| (1..=count as i64).map(move |pid| (at(tick).utc_nanos, pid, pid * 1_000_000 + tick)));
    assert!(seen.into_iter().eq(wanted), "each row once, with its own numbers");
}
