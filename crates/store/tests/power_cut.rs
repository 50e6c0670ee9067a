//! The power is cut: whatever a crash may legally leave, what was promised is there, and nothing half is shown.
//!
//! The writer works on a file system in memory that remembers each change and each sync. Afterwards its power is cut at many moments, in many ways.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, which say when they have to be skipped")]

mod common;

use std::io::ErrorKind;
use std::path::Path;

use barograph_model::{Rows, Sink};
use barograph_store::{Durability, Options, Query, Recording, State, Timeline, repair};
use barograph_test_disk::{Law, Operation, TestDisk};
use common::{Processes, at, end, facts, machine, processes};

fn disk() -> Option<TestDisk> {
    let disk = TestDisk::mount().inspect_err(|error| eprintln!("skipped: no file system can be mounted here: {error}"));
    disk.ok()
}

/// What a reader has been promised from a moment of the disk on.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    ticks: i64,
    ended: bool,
}

/// What happened to the disk, and what was promised meanwhile.
struct Past {
    disk: TestDisk,
    /// Processes of each tick.
    count: u64,
    promises: Vec<(usize, Promise)>,
}

impl Past {
    fn promised(&self, moment: usize) -> Promise {
        let known = self.promises.partition_point(|(since, _)| *since <= moment);
        self.promises[..known].last().map_or(Promise::default(), |(_, promise)| *promise)
    }

    fn promise(&mut self, promise: Promise) {
        self.promises.push((self.disk.moment(), promise));
    }
}

/// In a folder that is as new as the recording.
const RUN: &str = "results/run.baro";

/// Every so many ticks somebody is named: a table that is seldom written.
const NAMED_EVERY: i64 = 40;
const NAMED_AT: i64 = 25;

fn named_before(ticks: i64) -> usize {
    usize::try_from((ticks - 1 - NAMED_AT).div_euclid(NAMED_EVERY) + 1).unwrap()
}

fn named(tick: i64) -> Rows<Processes> {
    let mut rows = Rows::new();
    rows.row(at(tick)).set(Processes::pid, tick.unsigned_abs()).set(Processes::start_ticks, 1).text(Processes::name, b"somebody".as_slice());
    rows
}

/// Ticks up to this number, published at every tenth, on a disk to which something may happen meanwhile.
fn record(ticks: i64, count: u64, mut happens: impl FnMut(&TestDisk, i64)) -> Option<Past> {
    let mut past = Past { disk: disk()?, count, promises: Vec::new() };
    let path = past.disk.path().join(RUN);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut recording = Recording::create(path, facts(), Options::default()).unwrap();
    for tick in 0..ticks {
        happens(&past.disk, tick);
        let mut taken = recording.take(&machine(tick)).and(recording.take(&processes(tick, count)));
        if tick % NAMED_EVERY == NAMED_AT {
            taken = taken.and(recording.take(&named(tick)));
        }
        if tick % 10 == 9 && taken.is_ok() && recording.publish().is_ok() {
            past.promise(Promise { ticks: tick + 1, ended: false });
        }
    }
    recording.finish(end(ticks), Durability::PowerCut).unwrap();
    assert_eq!(recording.rows_lost(), 0);
    past.promise(Promise { ticks, ended: true });
    Some(past)
}

/// Cuts the power at so many moments, and some more times after the last, and looks at what is left.
fn cut_everywhere(past: &Past, cuts: usize) {
    let mut life = past.disk.history();
    let moments = life.moments();
    for cut in 0..cuts + 12 {
        let moment = moments.min(moments * cut / cuts);
        let law = if cut % 2 == 0 { Law::Ordered } else { Law::AnyOrder };
        life.advance(moment);
        let left = tempfile::tempdir().unwrap();
        life.cut(law, cut as u64, left.path()).unwrap();
        let promise = past.promised(moment);
        let context = format!("{law:?}, cut {cut} at moment {moment} of {moments}, {promise:?}");
        look_at(&left.path().join(RUN), past.count, promise, &context);
    }
}

fn look_at(path: &Path, count: u64, promise: Promise, context: &str) {
    if promise.ticks > 0 {
        let timeline = Timeline::open(path).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(!promise.ended || timeline.state() == State::Ended, "{context}");
        assert_rows(&timeline, count, promise.ticks, context);
    }
    // Before the first publish nothing is promised: it may not be there, or not open. But it must not be taken for more than it is.
    match repair(path) {
        Ok(report) => {
            assert!(promise.ticks == 0 || report.damaged.is_empty() && report.facts_rebuilt.is_none(), "{context}: {report}");
            let timeline = Timeline::open(path).unwrap();
            assert_rows(&timeline, count, promise.ticks, context);
            assert_eq!(timeline.state(), State::Ended, "{context}");
            let again = repair(path).unwrap();
            assert!(again.is_clean(), "{context}: {again}");
        }
        Err(error) => assert!(promise.ticks == 0, "{context}: {error}"),
    }
}

/// Each table has the rows of its first ticks, at least so many, each once and with its own numbers.
fn assert_rows(timeline: &Timeline, count: u64, least: i64, context: &str) {
    let times = |table: &str| if timeline.has_table(table) { timeline.frame(table, &Query::all()).unwrap().times().to_vec() } else { Vec::new() };
    let machine = times("machine");
    let ticks_of_processes = times("process").len() as i64 / count.cast_signed();
    assert!(machine.len() as i64 >= least && ticks_of_processes >= least, "{context}: {} and {ticks_of_processes} ticks", machine.len());
    assert!(machine.iter().copied().eq((0..machine.len() as i64).map(|tick| at(tick).utc_nanos)), "{context}");
    let named = times("processes");
    assert!(named.len() >= named_before(least), "{context}: {} of {} names", named.len(), named_before(least));
    assert!(named.iter().copied().eq((0..named.len() as i64).map(|row| at(row * NAMED_EVERY + NAMED_AT).utc_nanos)), "{context}");
    if ticks_of_processes > 0 {
        common::check_processes(timeline, ticks_of_processes, count);
    }
    assert_eq!(timeline.damaged(), [], "{context}");
}

#[test]
fn a_power_cut_loses_nothing_that_was_published() {
    let Some(past) = record(120, 10, |_, _| {}) else { return };
    cut_everywhere(&past, 400);
}

#[test]
fn a_power_cut_loses_no_row_group_that_was_closed_and_no_part_that_was_left() {
    // So many rows that memory is full between two publishes, and row groups are closed then.
    let Some(past) = record(70, 4000, |_, _| {}) else { return };
    let parts = Timeline::open(past.disk.path().join(RUN)).unwrap().table("process").unwrap().parts;
    assert!(parts > 1, "only {parts} part");
    cut_everywhere(&past, 12);
}

#[test]
fn what_failed_and_went_well_later_is_safe_too() {
    let faults =
        [(20, Operation::SyncFile), (60, Operation::SyncFolder), (100, Operation::Write), (140, Operation::Rename), (180, Operation::Create)];
    let Some(past) = record(220, 10, |disk, tick| {
        disk.heal();
        for (_, operation) in faults.iter().filter(|(begin, _)| (*begin..begin + 15).contains(&tick)) {
            disk.fail(*operation, ErrorKind::Other);
        }
    }) else {
        return;
    };
    let promised: Vec<i64> = past.promises.iter().map(|(_, promise)| promise.ticks).collect();
    assert!(faults.iter().all(|(begin, _)| !promised.contains(&(begin + 10)) && promised.contains(&(begin + 20))), "{promised:?}");
    cut_everywhere(&past, 500);
}

#[test]
fn an_end_that_is_the_first_publish_is_safe_as_well() {
    let Some(past) = record(9, 3, |_, _| {}) else { return };
    assert_eq!(past.promises.len(), 1);
    cut_everywhere(&past, 60);
}
