//! Recordings that go on are changed and ended by `barograph control`, conditions are marked, and events are revised by `barograph mark`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use barograph_store::{Facts, Query, Timeline};
use serde_json::Value;

use crate::harness::{Place, ended, eventually, finish, output_of, text};

/// A command that sees no recorder but those of this test.
fn barograph(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.barograph(arguments);
    command.env("TMPDIR", place.path("")).env_remove("XDG_RUNTIME_DIR").env_remove("BAROGRAPH_BEACON").env_remove("BAROGRAPH_SPAN");
    command
}

/// Runs it: its status, and what it said.
fn ran(place: &Place, arguments: &[&str]) -> (i32, String, String) {
    let output = finish(barograph(place, arguments));
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn done(place: &Place, arguments: &[&str]) -> String {
    let (status, out, error) = ran(place, arguments);
    assert_eq!((status, error.as_str()), (0, ""), "{arguments:?}");
    out
}

/// Who said what, as it is now.
fn said(run: &Path) -> Vec<String> {
    let events = Timeline::open(run).unwrap().events(&Query::all()).unwrap();
    let (by, names) = (events.texts("by"), events.texts("name"));
    by.iter().zip(names).map(|(by, name)| format!("{} {}", by.unwrap(), name.unwrap())).collect()
}

fn start(place: &Place, name: &str, options: &[&str]) -> Child {
    let arguments = [&["run", "-q", "-i", "1h", "-w", "1h", "--no-dense-start", "-o", name], options].concat();
    let child = barograph(place, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("a recording", || Facts::read(&place.path(format!("{name}.baro"))).ok()?.beacon);
    child
}

/// A pipe that the job waits for, however long that takes.
fn pipe(place: &Place) -> PathBuf {
    let mut mkfifo = place.command("mkfifo");
    mkfifo.arg("go");
    assert!(finish(mkfifo).status.success());
    place.path("go")
}

#[test]
fn a_recording_that_goes_on_is_changed_and_ended() {
    let place = Place::new();
    let (status, _, error) = ran(&place, &["control", "stop"]);
    assert!(status == 1 && error.contains("nothing is being recorded"), "{error}");
    let go = pipe(&place);
    let child = start(&place, "run", &["--without", "disk", "--mark-on", "no such line", "--", "sh", "-c", "read line < go; exit 7"]);
    let run = place.path("run.baro");
    let facts = || Facts::read(&run).unwrap();
    assert_eq!(facts().sources["disk"], "left out");
    let told: Value = serde_json::from_str(&done(&place, &["control", "set", "--interval", "50ms", "--with-all", "--json"])).unwrap();
    assert_eq!(told["done"], "set");
    assert_eq!((facts().interval_seconds, facts().longest_interval_seconds, facts().sources["disk"].as_str()), (0.05, Some(3600.0), "ok"));
    done(&place, &["control", "run.baro", "snapshot"]);
    let rows = Timeline::open(&run).unwrap().table("own").unwrap().rows;
    assert!(rows >= 2, "{rows}");
    done(&place, &["control", "set", "--interval", "1h", "--mark-when", "processes >= 1"]);
    done(&place, &["control", "snapshot"]);
    assert_eq!(facts().mark_when, ["processes >= 1"]);
    assert!(said(&run).contains(&"rule processes >= 1".to_owned()), "{:?}", said(&run));
    assert!(said(&run).contains(&"person interval 50 ms → 3600 s".to_owned()), "{:?}", said(&run));
    // Who listens to lines is a child of the recorder's, and none of the job: not even when others are watched.
    done(&place, &["control", "set", "--processes", "all"]);
    done(&place, &["control", "snapshot"]);
    let job = Timeline::open(&run).unwrap().frame("job", &Query::all()).unwrap();
    assert_eq!(job.ints("processes").last(), Some(&Some(1)));
    assert!(Timeline::open(&run).unwrap().frame("process", &Query::all()).unwrap().ints("pid").contains(&Some(1)), "others have rows");
    let (status, _, error) = ran(&place, &["control", "set", "--without", "dsik"]);
    assert!(status == 1 && error.contains("\"dsik\"") && error.contains("disk"), "{error}");
    assert_eq!(ran(&place, &["control", "set"]).0, 2);
    assert_eq!(ran(&place, &["control", "set", "--interval", "0"]).0, 2);
    done(&place, &["control", "run.baro", "stop", "--reason", "seen enough"]);
    // It is complete, and its job goes on as if nothing had been.
    assert_eq!(ended(&run).facts().end.as_ref().unwrap().reason, "seen enough");
    let (status, _, error) = ran(&place, &["control", "run.baro", "stop"]);
    assert!(status == 1 && error.contains("has ended"), "{error}");
    std::fs::write(&go, "on\n").unwrap();
    assert_eq!(output_of(child).status.code(), Some(7));
}

#[test]
fn a_condition_is_marked_when_it_begins_and_when_it_ends() {
    let place = Place::new();
    let code = "
import time
block = b'x' * 300_000_000
time.sleep(0.7)
del block
time.sleep(0.7)
";
    let options = ["-i", "20ms", "--mark-when", "memory > 200 MB for 100ms", "--mark-when", "memory > 1 TB"];
    let timeline = place.run_python(&options, code).timeline();
    assert_eq!(timeline.facts().mark_when, ["memory > 200 MB for 100ms", "memory > 1 TB"]);
    let events = timeline.events(&Query::all().equal_text("by", "rule")).unwrap();
    assert_eq!(events.texts("name"), [Some("memory > 200 MB"), Some("memory > 200 MB ended")]);
    let resident = timeline.frame("job", &Query::all()).unwrap();
    let (times, bytes) = (resident.monotonic(), resident.ints("resident_bytes"));
    // The moments are those of the rows at which it turned.
    let over = |row: usize| bytes[row].is_some_and(|bytes| bytes > 200_000_000);
    let begin = (1..times.len()).find(|row| over(*row)).unwrap();
    let end = (begin..times.len()).find(|row| !over(*row)).unwrap();
    assert_eq!(events.monotonic(), [times[begin], times[end]]);
    let attributes: Value = serde_json::from_str(events.texts("attributes")[1].unwrap()).unwrap();
    let lasted = (times[end] - times[begin]) as f64 / 1e9;
    assert!((attributes["lasted_seconds"].as_f64().unwrap() - lasted).abs() < 1e-6, "{attributes}");
    assert!(attributes["extreme"].as_f64().unwrap() >= 300e6);
    for (wrong, why) in [("memory is large", "expected a metric"), ("memroy > 3", "no metric")] {
        let (status, _, error) = ran(&place, &["run", "--mark-when", wrong, "--", "true"]);
        assert!(status == 2 && error.contains(why), "{error}");
    }
    let (status, _, error) = ran(&place, &["record", "--duration", "1s", "--mark-when", "processes > 3"]);
    assert!(status == 1 && error.contains("--mark-when"), "{error}");
}

/// Lists, edits and deletes the marks `first` and `second` of this recording, whether it goes on or has ended.
fn revise(place: &Place, run: &str) {
    let listed = || -> Vec<Value> {
        let lines = done(place, &["mark", "--to", run, "--list", "--json"]);
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let key = |name: &str| listed().into_iter().find(|event| event["name"] == name).unwrap()["key"].as_str().unwrap().to_owned();
    let (first, second, started) = (key("first"), key("second"), key("started"));
    done(place, &["mark", "--to", run, "--edit", &first, "better", "-k", "loss=0.5", "--by", "person"]);
    let edited = || listed().into_iter().find(|event| event["key"] == first.as_str()).unwrap();
    let better = edited();
    assert_eq!((better["name"].as_str(), better["attributes"]["loss"].as_f64()), (Some("better"), Some(0.5)));
    let begin = better["utc_nanos"].as_i64().unwrap();
    done(place, &["mark", "--to", run, "--edit", &first, "--at", "+0s"]);
    let moved = edited();
    assert!(moved["utc_nanos"].as_i64().unwrap() < begin && moved["attributes"]["loss"] == 0.5, "{moved}");
    done(place, &["mark", "--to", run, "--delete", &second]);
    let names: Vec<String> = listed().iter().map(|event| event["name"].as_str().unwrap().to_owned()).collect();
    assert!(!names.contains(&"second".to_owned()) && !names.contains(&"first".to_owned()), "{names:?}");
    for (arguments, why) in
        [(["--delete", &second], "--list"), (["--delete", &started], "the recorder said"), (["--edit", &first], "what is to be otherwise")]
    {
        let (status, _, error) = ran(place, &[["mark", "--to", run].as_slice(), &arguments].concat());
        assert!(status == 1 && error.contains(why), "{error}");
    }
    let table = done(place, &["mark", "--to", run, "--list"]);
    assert!(table.starts_with("KEY") && table.contains(&first) && table.contains("better"), "{table}");
}

#[test]
fn events_are_listed_edited_and_deleted() {
    let place = Place::new();
    let go = pipe(&place);
    let child = start(&place, "run", &["--", "sh", "-c", "read line < go"]);
    for name in ["first", "second", "third"] {
        done(&place, &["mark", name, "--to", "run.baro"]);
    }
    revise(&place, "run.baro");
    done(&place, &["control", "stop"]);
    std::fs::write(&go, "on\n").unwrap();
    assert!(output_of(child).status.success());
    for name in ["first", "second"] {
        done(&place, &["mark", name, "--to", "run.baro", "--at", "+1ms"]);
    }
    let run = place.path("run.baro");
    let before = said(&run).iter().filter(|name| name.ends_with("better")).count();
    revise(&place, "run.baro");
    assert_eq!(said(&run).iter().filter(|name| name.ends_with("better")).count(), before + 1);
    // What others see is what is so now; what happened is in the table.
    let (marks, table) = (done(&place, &["export", "run.baro", "--marks", "-o", "-", "--format", "csv"]), rows(&run));
    assert!(marks.contains("third") && marks.contains("better") && !marks.contains("first") && !marks.contains("second"), "{marks}");
    let report = done(&place, &["report", "run.baro", "--json"]);
    assert!(report.contains("better") && !report.contains("\"second\""), "{report}");
    let events = done(&place, &["export", "run.baro", "--table", "events", "-o", "-", "--format", "csv", "--columns", "key,name"]);
    assert!(events.starts_with("time,monotonic_nanos,key,name\n") && !events.contains("second"), "{events}");
    assert!(table.contains(&Some("first".to_owned())) && table.contains(&None), "{table:?}");
}

/// The names in the rows as they were written.
fn rows(run: &Path) -> Vec<Option<String>> {
    let frame = Timeline::open(run).unwrap().frame("events", &Query::all()).unwrap();
    frame.texts("name").into_iter().map(|name| name.map(str::to_owned)).collect()
}
