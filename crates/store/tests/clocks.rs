//! Clocks that misbehave: UTC set back and forward by an hour, and a machine that slept. The order of rows, rates and sums stay right.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod common;

use barograph_model::{Moment, Rate, Rows, Sink};
use barograph_store::{Figure, Query, Recording, Tally, Timeline, gaps};
use common::{BEGIN, Machine, Process, Processes, SECOND, recording};

const HOUR: i64 = 3600 * SECOND;

/// Ticks of the recording, and those at which something happens to the clocks.
const TICKS: i64 = 400;
const SET_BACK: i64 = 100;
const SET_FORWARD: i64 = 200;
const SLEPT: i64 = 300;

/// How long it slept.
const SLEEP: i64 = 7 * HOUR;

fn at(tick: i64) -> Moment {
    let since = tick * SECOND + if tick >= SLEPT { SLEEP } else { 0 };
    let set = if (SET_BACK..SET_FORWARD).contains(&tick) { -HOUR } else { 0 };
    // Each tick is a little late, so that after the clock was set no two ticks have the same UTC.
    Moment { utc_nanos: BEGIN + since + set + tick, monotonic_nanos: 5 * SECOND + since }
}

/// One core is busy while the machine is awake.
fn take(recording: &mut Recording, tick: i64) {
    let (mut machine, mut process, mut processes) = (Rows::<Machine>::new(), Rows::<Process>::new(), Rows::<Processes>::new());
    machine.row(at(tick)).set(Machine::busy, tick as f64).set(Machine::used, tick.unsigned_abs());
    process.row(at(tick)).set(Process::pid, 7).set(Process::start_ticks, 70).set(Process::cpu, tick as f64);
    if tick == 0 {
        processes.row(at(0)).set(Processes::pid, 7).set(Processes::start_ticks, 70).text(Processes::name, b"worker".as_slice());
    }
    for batch in [&*machine, &*process, &*processes] {
        recording.take(batch).unwrap();
    }
}

fn recorded() -> (tempfile::TempDir, Timeline) {
    let (folder, path, mut recording) = recording();
    for tick in 0..TICKS {
        take(&mut recording, tick);
        if tick % 10 == 9 {
            recording.publish().unwrap();
        }
    }
    drop(recording);
    (folder, Timeline::open(path).unwrap())
}

#[test]
fn rows_come_as_they_were_read_and_rates_are_those_of_the_time_that_passed() {
    let (_folder, timeline) = recorded();
    let frame = timeline.frame("machine", &Query::all()).unwrap();
    assert_eq!(frame.ints("used_bytes"), (0..TICKS).map(Some).collect::<Vec<_>>());
    let stale = 3 * SECOND;
    let series = Figure::of(Machine::busy).series(&frame, stale);
    for (tick, point) in (0..).zip(&series.points) {
        let wanted = match tick {
            0 => Rate::First,
            SLEPT => Rate::Stale,
            _ => Rate::Value(1.0),
        };
        assert_eq!(point.value, wanted, "tick {tick}");
    }
    let stats = series.stats().unwrap();
    assert_eq!((stats.total, stats.peak.unwrap().value), (Some((TICKS - 1) as f64), 1.0));
    let gaps = gaps(&frame, stale);
    assert_eq!(gaps.iter().map(|gap| gap.until_nanos - gap.monotonic_nanos).collect::<Vec<_>>(), [SLEEP + SECOND]);
}

#[test]
fn pieces_have_each_row_once_and_in_order() {
    let (_folder, timeline) = recorded();
    let pieces: Vec<i64> = timeline
        .chunks("process", &Query::all(), 7)
        .unwrap()
        .flat_map(|piece| piece.unwrap().floats("cpu_seconds"))
        .map(|seconds| seconds.unwrap() as i64)
        .collect();
    assert_eq!(pieces, (0..TICKS).collect::<Vec<_>>());
    let mut tally = Tally::of::<Process>();
    let cpu = tally.watch(Process::cpu);
    timeline.chunks("process", &Query::all().columns(tally.columns()), 7).unwrap().for_each(|piece| tally.add(&piece.unwrap()));
    let process = tally.finish().remove(0);
    assert_eq!((process.extents[cpu].first, process.extents[cpu].last, process.last), (Some(0.0), Some((TICKS - 1) as f64), at(TICKS - 1)));
}

#[test]
fn a_window_of_utc_has_what_had_that_time_on_the_wall() {
    let (_folder, timeline) = recorded();
    let (from, to) = (at(SET_BACK).utc_nanos, at(SET_BACK + 9).utc_nanos);
    let window = Query::all().between(Some(from), Some(to));
    assert_eq!(timeline.frame("machine", &window).unwrap().len(), 10);
    let pieces: usize = timeline.chunks("machine", &window, 3).unwrap().map(|piece| piece.unwrap().len()).sum();
    assert_eq!(pieces, 10);
    let buckets = timeline.thin("machine", "used_bytes", &Query::all(), 20).unwrap();
    assert!(buckets.len() <= 20 && buckets.windows(2).all(|pair| pair[0].to <= pair[1].from), "{buckets:?}");
    assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), TICKS.unsigned_abs());
}

#[test]
fn a_process_keeps_its_name_when_the_clock_is_set_back() {
    let (_folder, timeline) = recorded();
    let present = timeline.processes_at(at(SET_BACK + 50).utc_nanos).unwrap();
    assert_eq!(present.samples.floats("cpu_seconds"), [Some((SET_BACK + 50) as f64)]);
    assert_eq!(present.identities.texts("name"), [Some("worker")]);
}
