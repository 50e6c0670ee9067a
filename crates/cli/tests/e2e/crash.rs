//! What a recorder that is killed leaves: a recording that opens, and says that it was cut off.

use std::process::Stdio;

use barograph_store::{State, Timeline};
use rustix::process::Signal;

use crate::harness::{Place, eventually, rows, send, written};

#[test]
fn killed_at_any_moment_it_loses_one_write_interval() {
    // Publishing all the time, so that the kill falls into it as often as not.
    for pause_millis in [0, 7, 40, 150, 400] {
        let place = Place::new();
        let mut command = place.run_command(&["-i", "5ms", "-w", "20ms"], &["sh", "-c", "echo $$ > pid; exec sleep 300"]);
        let mut recorder = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let job: u32 = written(&place.path("pid")).trim().parse().unwrap();
        let path = place.path("run.baro");
        eventually("the first part", || Timeline::open(&path).ok()?.has_table("job").then_some(()));
        std::thread::sleep(std::time::Duration::from_millis(pause_millis));
        let rows_before = rows(&Timeline::open(&path).unwrap(), "job").unwrap();
        assert_eq!(Timeline::open(&path).unwrap().state(), State::Live);
        send(recorder.id(), Signal::KILL);
        recorder.wait().unwrap();

        let timeline = Timeline::open(&path).unwrap();
        assert_eq!(timeline.state(), State::Interrupted, "after {pause_millis} ms");
        for table in timeline.tables().unwrap() {
            let frame = rows(&timeline, &table.name).unwrap();
            assert!(frame.monotonic().is_sorted(), "{}", table.name);
        }
        assert!(timeline.damaged().is_empty(), "{:?}", timeline.damaged());
        let rows_after = rows(&timeline, "job").unwrap();
        assert!(rows_after.len() >= rows_before.len() && rows_after.times().starts_with(rows_before.times()), "what was there stays");
        assert!(std::fs::exists(format!("/proc/{job}")).unwrap(), "the job lives on");
        send(job, Signal::KILL);
    }
}

#[test]
fn what_was_published_is_no_older_than_the_write_interval() {
    let place = Place::new();
    let mut command = place.run_command(&["-i", "10ms", "-w", "100ms"], &["sh", "-c", "echo $$ > pid; exec sleep 300"]);
    let mut recorder = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let job: u32 = written(&place.path("pid")).trim().parse().unwrap();
    let path = place.path("run.baro");
    // From the outside one can see a publish only by its rows; several must follow each other, and each must be near to the one before.
    let mut ends = Vec::new();
    eventually("publishes", || {
        let end = Timeline::open(&path).ok()?.table("own").ok()?.range?.1;
        if ends.last() != Some(&end) {
            ends.push(end);
        }
        (ends.len() >= 6).then_some(())
    });
    send(recorder.id(), Signal::KILL);
    recorder.wait().unwrap();
    send(job, Signal::KILL);
    let mut steps: Vec<i64> = ends.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000).collect();
    steps.sort_unstable();
    // The median, as this machine may have been busy at one of them, and we may have overslept another.
    assert!((1..1000).contains(&steps[steps.len() / 2]), "{steps:?} ms between publishes");
}

#[test]
fn a_cut_off_recording_does_not_disturb_the_next() {
    let place = Place::new();
    let mut command = place.run_command(&["-w", "20ms"], &["sh", "-c", "echo $$ > pid; exec sleep 300"]);
    let mut recorder = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let job: u32 = written(&place.path("pid")).trim().parse().unwrap();
    send(recorder.id(), Signal::KILL);
    recorder.wait().unwrap();
    send(job, Signal::KILL);
    assert_eq!(place.run(&[], &["true"]).code(), 0);
    assert_eq!(Timeline::open(place.path("run.baro")).unwrap().state(), State::Interrupted);
    assert_eq!(Timeline::open(place.path("run-2.baro")).unwrap().state(), State::Ended);
    assert_eq!(place.run(&["--force"], &["true"]).code(), 0);
    assert_eq!(Timeline::open(place.path("run.baro")).unwrap().state(), State::Ended);
}
