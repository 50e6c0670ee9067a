//! Narrow places: as pid 1, behind hidepid, with no room for a thread, with an interval longer than anybody waits.
//!
//! Most of these only root can make; others are told that the test was left out.
#![allow(clippy::print_stderr, reason = "a test that was left out says so")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{BAROGRAPH, Place, copy_program, ended, finish, job, python, rows};

/// Nobody has these numbers; each test has its own, as limits of a user count all that is his.
const STRANGERS: [&str; 2] = ["54321", "54322"];

/// Whether we may make namespaces and become others: root outside of a container that forbids it.
fn may_confine() -> bool {
    let unshare = Place::new().command("unshare").args(["--pid", "--fork", "--mount", "--mount-proc", "true"]).output();
    let may = unshare.is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("left out: only root can make such a place");
    }
    may
}

/// Runs a line of shell in which `$BAROGRAPH` is the program, in a place where any user may write.
fn shell(place: &Place, wrapper: &[&str], line: &str) -> std::process::Output {
    std::fs::set_permissions(place.path(""), Permissions::from_mode(0o777)).unwrap();
    // The program may lie where a stranger has no way to.
    copy_program(BAROGRAPH, place.path("barograph"));
    let mut command = place.command(wrapper.first().unwrap_or(&"sh"));
    command.args(wrapper.iter().skip(1)).args(if wrapper.is_empty() { &[][..] } else { &["sh"] }).args(["-c", line]);
    command.env("BAROGRAPH", place.path("barograph"));
    finish(command)
}

#[test]
fn as_pid_one_it_collects_orphans_and_ends() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let job = "(sleep 0.2; echo late > late) & exit 3";
    let line = format!("exec \"$BAROGRAPH\" run -q -o run -- sh -c '{job}'");
    let output = shell(&place, &["unshare", "--pid", "--fork", "--mount-proc"], &line);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(place.path("late").exists(), "the orphan was not waited for");
    let facts = ended(&place.path("run.baro")).facts().clone();
    assert_eq!(facts.recorder.pid, 1);
    assert!(facts.end.unwrap().totals.processes_seen.unwrap() >= 2);
}

#[test]
fn an_orphan_of_the_commands_pid_does_not_change_its_status() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let line = format!("exec \"$BAROGRAPH\" run -q -o run -- sh -c '{} {} $$ & exit 3'", python(), job("namesake.py"));
    let output = shell(&place, &["unshare", "--pid", "--fork", "--mount-proc"], &line);
    if place.path("unable").exists() {
        eprintln!("left out: this kernel gives nobody the pid of his choice");
        return;
    }
    assert!(place.path("namesake").exists(), "{output:?}");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let timeline = ended(&place.path("run.baro"));
    assert_eq!(timeline.facts().end.clone().unwrap().exit.unwrap().code, Some(3));
    let exits = rows(&timeline, "events").unwrap().texts("name").into_iter().filter(|name| *name == Some("exited")).count();
    assert_eq!(exits, 1);
}

#[test]
fn behind_hidepid_the_job_is_seen() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    let run = "\"$BAROGRAPH\" run -q -i 20ms -o run -- sh -c 'sleep 2 & wait'";
    let line = format!("mount -o remount,hidepid=2 /proc && exec setpriv --reuid={} --clear-groups {run}", STRANGERS[0]);
    let output = shell(&place, &["unshare", "--pid", "--fork", "--mount", "--mount-proc"], &line);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let timeline = ended(&place.path("run.baro"));
    let names = rows(&timeline, "processes").unwrap().texts("name").into_iter().flatten().map(str::to_owned).collect::<Vec<_>>();
    assert!(names.iter().any(|name| name == "sleep"), "{names:?}");
}

#[test]
fn without_room_for_a_thread_it_records_all_the_same() {
    if !may_confine() {
        return;
    }
    let place = Place::new();
    // One for us, one for the job.
    let stranger = STRANGERS[1];
    let line = format!("exec setpriv --reuid={stranger} --clear-groups prlimit --nproc=2 \"$BAROGRAPH\" run -q -i 20ms -o run -- sleep 2");
    let output = shell(&place, &[], &line);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let job = rows(&ended(&place.path("run.baro")), "job").unwrap();
    assert!(job.len() > 2, "no tick between the begin and the end: {} rows", job.len());
}

#[test]
fn an_interval_of_hours_does_not_hold_up_the_end() {
    let place = Place::new();
    // The deadline of every command here is far below the interval.
    let ran = place.run(&["-i", "2h", "-w", "2h", "--no-dense-start"], &["sleep", "0.1"]);
    let job = rows(&ran.timeline(), "job").unwrap();
    assert_eq!(job.len(), 2, "the beginning and the end");
}
