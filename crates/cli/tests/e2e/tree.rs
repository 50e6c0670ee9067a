//! Which processes are of the job: children of any thread, daemons, orphans; and how long it lasts.

use std::collections::BTreeSet;

use barograph_store::{Query, Timeline};

use crate::harness::{Place, Ran, job, python, rows, written};

/// Pids that have rows of their own in the table.
fn pids(timeline: &Timeline, table: &str) -> BTreeSet<i64> {
    rows(timeline, table).map(|frame| frame.ints("pid").into_iter().flatten().collect()).unwrap_or_default()
}

/// Runs one of the cases of `family.py`; it writes the pid that must be found.
fn family(place: &Place, options: &[&str], case: &str) -> Ran {
    place.run(&[&["-i", "50ms"], options].concat(), &[python(), &job("family.py"), case])
}

#[test]
fn nobody_escapes() {
    for case in ["daemon", "thread", "orphan", "session"] {
        let place = Place::new();
        let ran = family(&place, &[], case);
        let pid: i64 = written(&place.path("pid")).trim().parse().unwrap();
        let timeline = ran.timeline();
        for table in ["process", "processes"] {
            assert!(pids(&timeline, table).contains(&pid), "{case}: {pid} is not in {table}");
        }
        let life = timeline.frame("processes", &Query::all().equal("pid", pid)).unwrap();
        assert!(life.ints("in_job").iter().all(|member| *member == Some(1)), "{case}");
        assert!(life.texts("change").iter().any(|change| matches!(change, Some("exited" | "gone"))), "{case}: its end was seen");
        assert!(timeline.facts().end.as_ref().unwrap().totals.processes_seen.unwrap() >= 2);
    }
}

#[test]
fn the_whole_tree_is_waited_for_unless_asked() {
    let place = Place::new();
    let ran = place.run(&["--until", "tree"], &["sh", "-c", "(sleep 0.5; echo done > late) & exit 3"]);
    assert_eq!(ran.code(), 3);
    assert!(place.path("late").exists(), "we ended before the child");

    let place = Place::new();
    let ran = place.run(&["--until", "root"], &["sh", "-c", "sleep 300 < /dev/null > /dev/null 2>&1 & echo $! > pid; exit 3"]);
    assert_eq!(ran.code(), 3);
    let pid: u32 = written(&place.path("pid")).trim().parse().unwrap();
    crate::harness::send(pid, rustix::process::Signal::KILL);
    let place = Place::new();
    let ran = place.run(&["--until", "300ms", "-i", "50ms"], &["sh", "-c", "sleep 300 < /dev/null > /dev/null 2>&1 & echo $! > pid; exit 3"]);
    assert_eq!(ran.code(), 3);
    let end = crate::harness::ended(&ran.recording).facts().end.clone().unwrap();
    assert_eq!(end.reason, "duration");
    assert!(end.totals.wall_seconds.unwrap() >= 0.3);
    let pid: u32 = written(&place.path("pid")).trim().parse().unwrap();
    crate::harness::send(pid, rustix::process::Signal::KILL);
}

#[test]
fn the_root_is_named_and_its_exit_is_an_event() {
    let place = Place::new();
    let ran = place.run(&["-i", "20ms"], &["sh", "-c", "sleep 0.2; sleep 0.1"]);
    let timeline = ran.timeline();
    let root = timeline.facts().root.unwrap();
    assert!(pids(&timeline, "process").contains(&(root.pid as i64)));
    let events = rows(&timeline, "events").unwrap();
    let names: Vec<&str> = events.texts("name").into_iter().flatten().collect();
    assert_eq!(names, ["started", "exited", "ended"]);
    let recorder = timeline.facts().recorder.pid as i64;
    assert!(!pids(&timeline, "process").contains(&recorder), "we are not of the job");
}
