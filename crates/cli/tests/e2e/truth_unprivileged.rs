//! What an ordinary user may not read is said to be missing: neither zero, nor guessed, nor the end of what can be read.
#![allow(clippy::print_stderr, reason = "a test that was left out says so")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use barograph_store::Timeline;
use serde_json::Value;

use crate::harness::{BAROGRAPH, Place, copy_program, ended, finish, last, rows};
use crate::truth::{notice, report};

/// Nobody has this number.
const STRANGER: &str = "--reuid=54331";

/// A place where a stranger may write and finds the program; `None` for those who can't become somebody else.
fn place_of_a_stranger() -> Option<Place> {
    let place = Place::new();
    if !place.command("setpriv").args([STRANGER, "--clear-groups", "true"]).output().is_ok_and(|output| output.status.success()) {
        eprintln!("left out: only root can become somebody else");
        return None;
    }
    std::fs::set_permissions(place.path(""), Permissions::from_mode(0o777)).unwrap();
    copy_program(BAROGRAPH, place.path("barograph"));
    Some(place)
}

/// The program's command, run by the stranger.
fn by_stranger(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command("setpriv");
    command.args([STRANGER, "--clear-groups"]).arg(place.path("barograph")).args(arguments);
    command
}

fn recorded(place: &Place, arguments: &[&str]) -> (Timeline, Value) {
    let output = finish(by_stranger(place, arguments));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    (ended(&place.path("run.baro")), report(place))
}

/// The bytes and the calls that the job's rows have, oldest first.
fn column(timeline: &Timeline, name: &str) -> Vec<Option<f64>> {
    rows(timeline, "job").unwrap().floats(name)
}

#[test]
fn who_has_ended_withholds_nothing() {
    let Some(place) = place_of_a_stranger() else { return };
    // They have ended before they are met, and nobody collects them: their files are root's by then.
    let job = "fork or exit for 1..100; select undef, undef, undef, 2";
    let (timeline, report) = recorded(&place, &["run", "-q", "-i", "50ms", "-o", "run", "--", "perl", "-e", job]);
    assert!(rows(&timeline, "processes").unwrap().len() > 50, "the dead are seen");
    assert!(column(&timeline, "unreadable").iter().all(|count| *count == Some(0.0)));
    assert_eq!(last(&rows(&timeline, "own").unwrap(), "denied"), 0.0);
    assert!(notice(&report, "unreadable_processes").is_none() && notice(&report, "denied").is_none(), "{report}");
}

#[test]
fn a_setuid_child_is_missing_from_the_sums_and_blanks_none() {
    let Some(place) = place_of_a_stranger() else { return };
    copy_program("/bin/sleep", place.path("sleeper"));
    std::fs::set_permissions(place.path("sleeper"), Permissions::from_mode(0o4755)).unwrap();
    let job = "./sleeper 2 & dd if=/dev/zero of=/dev/null bs=1M count=8 2> /dev/null; sleep 0.3; wait";
    let (timeline, report) = recorded(&place, &["run", "-q", "-i", "50ms", "-o", "run", "--", "sh", "-c", job]);
    if column(&timeline, "unreadable").into_iter().flatten().fold(0.0, f64::max) < 1.0 {
        eprintln!("left out: this folder allows no setuid programs");
        return;
    }
    let text = notice(&report, "unreadable_processes").expect("the report says it");
    assert!(text.contains("up to 1 process ") && text.contains("missing"), "{text}");

    // The child's own row: what anybody may read is there, what only its user may read is absent.
    let (processes, process) = (rows(&timeline, "processes").unwrap(), rows(&timeline, "process").unwrap());
    let sleeper = processes.texts("name").iter().position(|name| *name == Some("sleeper")).and_then(|row| processes.ints("pid")[row]).unwrap();
    let of = |name: &str| -> Vec<f64> {
        let values = process.ints("pid").into_iter().zip(process.floats(name)).filter(|(pid, _)| *pid == Some(sleeper));
        values.filter_map(|(_, value)| value).collect()
    };
    assert!(of("resident_bytes").iter().any(|bytes| *bytes > 0.0) && of("user_seconds").len() >= 2);
    for refused in ["read_bytes", "written_bytes", "storage_read_bytes"] {
        assert!(of(refused).is_empty(), "{refused}: {:?}", of(refused));
    }
    // And all of the others is in the sums while it lives.
    let (written, unreadable) = (column(&timeline, "written_bytes"), column(&timeline, "unreadable"));
    let beside = written.iter().zip(&unreadable).filter(|row| *row.1 == Some(1.0)).filter_map(|row| *row.0).fold(0.0, f64::max);
    assert!(beside >= f64::from(8 << 20), "{beside}");
}

#[test]
fn the_io_of_others_is_unknown_and_not_zero() {
    let Some(place) = place_of_a_stranger() else { return };
    let mut other = place.command("sleep").arg("1000").spawn().unwrap();
    let pid = other.id().to_string();
    let attach = ["attach", &pid, "--duration", "400ms", "-i", "50ms", "-o", "run"];
    let output = finish(by_stranger(&place, &attach));
    other.kill().unwrap();
    other.wait().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("read "), "{said}");
    let (timeline, report) = (ended(&place.path("run.baro")), report(&place));
    for name in ["read_bytes", "written_bytes", "storage_written_bytes", "read_calls"] {
        assert!(column(&timeline, name).iter().all(Option::is_none), "{name}: {:?}", column(&timeline, name));
    }
    // What anybody may read is there.
    assert!(column(&timeline, "resident_bytes").into_iter().flatten().fold(0.0, f64::max) > 0.0);
    let totals = timeline.facts().end.clone().unwrap().totals;
    assert_eq!((totals.read_bytes, totals.written_bytes), (None, None));
    assert!(report["job"]["read"].is_null() && !report["job"]["memory"].is_null(), "{report:#}");
    assert!(notice(&report, "unreadable_processes").is_some_and(|text| text.contains("up to 1 process ")), "{report:#}");
    assert!(notice(&report, "denied").is_some_and(|text| text.contains("refused")), "{report:#}");
}

#[test]
fn a_machine_of_others_is_recorded_as_far_as_it_may_be_read() {
    let Some(place) = place_of_a_stranger() else { return };
    let (timeline, report) = recorded(&place, &["record", "-q", "--duration", "300ms", "-i", "100ms", "-o", "run"]);
    let process = rows(&timeline, "process").unwrap();
    let (pids, read) = (process.ints("pid"), process.floats("read_bytes"));
    let of_init: Vec<_> = pids.iter().zip(&read).filter(|(pid, _)| **pid == Some(1)).map(|(_, read)| *read).collect();
    assert!(!of_init.is_empty() && of_init.iter().all(Option::is_none), "{of_init:?}");
    // Our own may be read: the recorder has rows too.
    assert!(read.iter().flatten().any(|bytes| *bytes > 0.0));
    assert!(notice(&report, "denied").is_some_and(|text| text.contains("CAP_SYS_PTRACE")), "{report:#}");
}
