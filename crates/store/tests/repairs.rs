//! What a crash can leave, and what repair makes of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::path::Path;

use barograph_model::{Gauges, Moment, Rows, Sink};
use barograph_store::{Durability, Error, FACTS_FILE, Query, State, Timeline, repair};
use common::{at, check, end, machine, processes, recording};

/// A recording that was killed: published, not ended, and nobody holds it.
fn killed() -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, path, mut recording) = recording();
    for tick in 0..900 {
        recording.take(&machine(tick)).unwrap();
        recording.take(&processes(tick, 100)).unwrap();
    }
    recording.publish().unwrap();
    drop(recording);
    (folder, path)
}

#[test]
fn a_killed_recording_gets_its_end_and_loses_its_litter() {
    let (_folder, path) = killed();
    fs::write(path.join("process/.000000.parquet.tmp"), "PAR1 half a f").unwrap();
    fs::write(path.join(format!(".{FACTS_FILE}.tmp")), "{").unwrap();
    let timeline = Timeline::open(&path).unwrap();
    assert_eq!(timeline.state(), State::Interrupted);
    check(&timeline, 900, 100);
    let report = repair(&path).unwrap();
    assert_eq!((report.leftovers.len(), report.damaged.len(), report.end_written, report.rows), (3, 0, true, 900 * 101), "{report}");
    let timeline = Timeline::open(&path).unwrap();
    let written = timeline.facts().end.clone().unwrap();
    assert_eq!((written.reason.as_str(), written.utc_nanos, written.totals.wall_seconds), ("interrupted", end(899).utc_nanos, Some(899.0)));
    check(&timeline, 900, 100);
    assert!(repair(&path).unwrap().is_clean(), "twice does no more than once");
}

#[test]
fn parts_that_cannot_be_read_are_set_aside() {
    let (_folder, path) = killed();
    let whole = Timeline::open(&path).unwrap().table("process").unwrap();
    assert!(whole.parts >= 2);
    let first = path.join("process/000000.parquet");
    let bytes = fs::read(&first).unwrap();
    for (name, content) in spoilt(&bytes) {
        fs::write(&first, content).unwrap();
        let timeline = Timeline::open(&path).unwrap();
        let rows = timeline.frame("process", &Query::all());
        assert!(rows.is_ok_and(|frame| !frame.is_empty() && (frame.len() as u64) < whole.rows), "{name}");
        assert_eq!(timeline.damaged().len(), 1, "{name}");
        let report = repair(&path).unwrap();
        assert_eq!((report.damaged.len(), first.exists()), (1, false), "{name}: {report}");
        assert!(repair(&path).unwrap().is_clean(), "{name}");
        assert_eq!(Timeline::open(&path).unwrap().table("process").unwrap().parts, whole.parts - 1);
    }
    assert_eq!(fs::read_dir(path.join("damaged")).unwrap().count(), spoilt(&bytes).len());
}

/// A good part, made bad in the ways of crashes and of disks.
fn spoilt(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut holed = bytes.to_vec();
    holed[4..bytes.len() / 2].fill(0);
    let mut footless = bytes.to_vec();
    let length = bytes.len();
    footless[length - 8..length - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    vec![
        ("empty", Vec::new()),
        ("cut", bytes[..length / 2].to_vec()),
        ("zeros", vec![0; length]),
        ("garbage", bytes.iter().map(|byte| byte.wrapping_mul(31) ^ 0x5a).collect()),
        ("pages lost, index whole", holed),
        ("a wild length", footless),
    ]
}

#[test]
fn lost_facts_are_made_anew() {
    for content in [None, Some(""), Some("{\"format\": 1, \"comm")] {
        let (_folder, path) = killed();
        let id = Timeline::open(&path).unwrap().facts().id.clone();
        match content {
            None => fs::remove_file(path.join(FACTS_FILE)).unwrap(),
            Some(text) => fs::write(path.join(FACTS_FILE), text).unwrap(),
        }
        assert!(Timeline::open(&path).unwrap_err().to_string().contains("barograph repair"));
        let report = repair(&path).unwrap();
        assert!(report.facts_rebuilt.is_some() && report.end_written);
        let timeline = Timeline::open(&path).unwrap();
        assert_eq!((timeline.facts().id.as_str(), timeline.facts().interval_seconds), (id.as_str(), 1.0));
        assert_eq!(timeline.facts().clock.utc_nanos, common::BEGIN);
        check(&timeline, 900, 100);
        assert!(repair(&path).unwrap().is_clean());
    }
}

#[test]
fn what_a_program_said_often_does_not_make_an_interval_of_lost_facts() {
    let (_folder, path, mut recording) = recording();
    let mut said = Rows::<Gauges>::new();
    for tick in 0..20 {
        recording.take(&machine(tick)).unwrap();
        recording.take(&processes(tick, 3)).unwrap();
        for millis in 0..100 {
            let at = Moment { monotonic_nanos: at(tick).monotonic_nanos + millis * 1_000_000, ..at(tick) };
            said.row(at).text(Gauges::name, b"loss".as_slice()).set(Gauges::value, millis as f64);
        }
    }
    recording.take(&said).unwrap();
    recording.publish().unwrap();
    drop(recording);
    fs::remove_file(path.join(FACTS_FILE)).unwrap();
    assert!(repair(&path).unwrap().facts_rebuilt.is_some());
    assert_eq!(Timeline::open(&path).unwrap().facts().interval_seconds, 1.0);
}

#[test]
fn a_live_recording_is_left_alone() {
    let (_folder, path, mut recording) = recording();
    recording.take(&machine(0)).unwrap();
    recording.publish().unwrap();
    assert!(matches!(repair(&path), Err(Error::Live { .. })));
    fs::remove_file(path.join(FACTS_FILE)).unwrap();
    assert!(matches!(repair(&path), Err(Error::Live { .. })), "even without facts");
}

#[test]
fn what_is_no_recording_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let error = repair(folder.path()).unwrap_err();
    assert!(matches!(error, Error::NotARecording { .. }) && error.to_string().contains("no table"), "what can't be done is not advised: {error}");
    assert!(matches!(repair(Path::new("/nowhere/at/all")), Err(Error::Missing { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let (_folder, path, mut recording) = recording();
    recording.take(&machine(0)).unwrap();
    recording.finish(end(1), Durability::Crash).unwrap();
    assert!(matches!(repair(&path), Err(Error::Live { .. })), "its recorder has not let go of it");
    drop(recording);
    assert!(repair(&path).unwrap().is_clean(), "an ended recording needs nothing");
}
