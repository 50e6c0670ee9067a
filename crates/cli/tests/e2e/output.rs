//! Where recordings go, what is said at the end, and which processes get rows.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use barograph_store::Timeline;

use crate::harness::{Place, ended, finish, job, python, rows, text};

/// Names in the place's folder that are not hidden.
fn names(place: &Place) -> BTreeSet<String> {
    fs::read_dir(place.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

fn run(place: &Place, arguments: &[&str]) -> std::process::Output {
    let output = finish(place.barograph([&["run"], arguments].concat()));
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let place = Place::new();
    for _ in 0..3 {
        run(&place, &["-o", "a.baro", "--", "true"]);
    }
    assert_eq!(names(&place), ["a-2.baro", "a-3.baro", "a.baro"].map(str::to_owned).into());
    let id = |name: &str| ended(&place.path(name)).facts().id.clone();
    let first = id("a.baro");
    let said = run(&place, &["-o", "a.baro", "--force", "--", "true"]);
    assert!(text(&said.stderr).contains("a.baro"));
    assert_ne!(id("a.baro"), first, "it was replaced");
    assert_eq!(names(&place).len(), 3);
}

#[test]
fn force_replaces_nothing_but_recordings() {
    let place = Place::new();
    fs::create_dir(place.path("thesis.baro")).unwrap();
    fs::write(place.path("thesis.baro/chapter"), "years of work").unwrap();
    let output = finish(place.barograph(["run", "-o", "thesis.baro", "--force", "--", "sh", "-c", "exit 3"]));
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("nothing was recorded"), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(place.path("thesis.baro/chapter")).unwrap(), "years of work");
}

#[test]
fn without_a_name_it_is_called_after_the_command() {
    let place = Place::new();
    run(&place, &["--", "/bin/true"]);
    let found = names(&place);
    assert!(found.len() == 1 && found.iter().all(|name| name.starts_with("true-") && name.ends_with(".baro")), "{found:?}");

    let place = Place::new();
    let mut command = place.barograph(["run", "--", "true"]);
    command.env("BAROGRAPH_DIR", place.path("deep/er"));
    assert!(finish(command).status.success());
    assert_eq!(fs::read_dir(place.path("deep/er")).unwrap().count(), 1);
}

#[test]
fn a_flat_file_is_one_table_of_sums() {
    for ending in ["csv", "tsv", "jsonl", "parquet", "arrow"] {
        let place = Place::new();
        let name = format!("usage.{ending}");
        for _ in 0..2 {
            run(&place, &["-q", "-i", "20ms", "-o", &name, "--", "sleep", "0.15"]);
        }
        assert_eq!(names(&place), [format!("usage-2.{ending}"), name.clone()].into(), "a name that is taken gets a number, and nothing else is left");
        assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 2, "nothing hidden is left");
        let bytes = fs::read(place.path(&name)).unwrap();
        let expected: &[u8] = match ending {
            "csv" => b"time,",
            "tsv" => b"time\t",
            "jsonl" => b"{\"",
            "parquet" => b"PAR1",
            _ => b"ARROW1",
        };
        assert!(bytes.starts_with(expected), "{ending}: {:?}", text(&bytes[..40.min(bytes.len())]));
    }
}

#[test]
fn a_flat_file_has_a_row_for_each_tick() {
    let place = Place::new();
    run(&place, &["-q", "-i", "20ms", "-o", "usage.csv", "--", "sleep", "1"]);
    let file = fs::read_to_string(place.path("usage.csv")).unwrap();
    let mut lines = file.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    for column in ["job.resident_bytes", "memory.available_bytes"] {
        assert!(header.contains(&column), "{header:?}");
    }
    let lines: Vec<&str> = lines.collect();
    assert!(lines.len() >= 5, "{} lines", lines.len());
    assert!(lines.iter().all(|line| line.split(',').count() == header.len()));
}

#[test]
fn the_summary_is_said_as_asked() {
    let said = |options: &[&str]| {
        let place = Place::new();
        let output = run(&place, &[options, &["-o", "run", "--", "sh", "-c", "exit 0"]].concat());
        assert!(output.stdout.is_empty(), "standard output is the job's");
        text(&output.stderr)
    };
    assert_eq!(said(&["-q"]), "");
    let plain = said(&[]);
    assert!(plain.contains("wall") && plain.contains("exit 0") && plain.contains("run.baro") && plain.lines().count() == 2, "{plain}");
    let line: serde_json::Value = serde_json::from_str(&said(&["--json"])).unwrap();
    assert_eq!((&line["exit"]["code"], line["path"].as_str()), (&0.into(), Some("run.baro")));
    assert!(line["wall_seconds"].as_f64().unwrap() > 0.0 && line["cpu_seconds"].is_number(), "{line}");
    let own = said(&["--summary", r"{exit}|{wall_seconds}|{path}|{nothing}\tx"]);
    let parts: Vec<&str> = own.trim_end().split('|').collect();
    assert!(parts[0] == "0" && parts[1].parse::<f64>().unwrap() > 0.0 && parts[2..] == ["run.baro", "{nothing}\tx"], "{own}");
}

/// Names of the processes with rows in `process`, in a run with this choice.
fn chosen(choice: &str) -> (BTreeSet<String>, Timeline) {
    let place = Place::new();
    let ran = place.run(
        &["--processes", choice, "-i", "50ms"],
        &["sh", "-c", "sleep 0.41 & dd if=/dev/zero bs=1M count=4 2> /dev/null | tail -c 1 > /dev/null; wait"],
    );
    let timeline = ran.timeline();
    let names = rows(&timeline, "processes").map(|frame| frame.texts("name").into_iter().flatten().map(str::to_owned).collect());
    let (names, timeline) = (names.unwrap_or_default(), timeline);
    assert!(rows(&timeline, "job").is_some(), "the job's sums are kept whatever is chosen");
    assert_eq!(timeline.facts().processes.selection, choice);
    (names, timeline)
}

#[test]
fn processes_get_rows_by_choice() {
    let (names, _) = chosen("tree");
    assert!(names.contains("sh") && names.contains("sleep"), "{names:?}");

    let (names, timeline) = chosen("none");
    assert!(names.is_empty() && !timeline.has_table("process"), "{names:?}");
    assert!(timeline.facts().processes.left_out.is_some());

    let (names, _) = chosen("name:^sleep$");
    assert_eq!(names, ["sleep".to_owned()].into());

    let (names, _) = chosen("all");
    let test_program = fs::read_to_string("/proc/self/comm").unwrap();
    assert!(names.contains(test_program.trim_end()) && names.contains("sleep"), "{names:?}");

    let user = text(&finish(Place::new().command("id")).stdout);
    let user = user.split(['(', ')']).nth(1).unwrap().to_owned();
    let (names, _) = chosen(&format!("user:{user}"));
    assert!(names.contains("sleep"), "{names:?}");
}

#[test]
fn the_busiest_are_found() {
    let place = Place::new();
    let burn = format!("sleep 1 & {} {} 0.5", python(), job("burn.py"));
    let ran = place.run(&["--processes", "top:1", "-i", "50ms"], &["sh", "-c", &burn]);
    let timeline = ran.timeline();
    let process = rows(&timeline, "process").unwrap();
    let ticks: BTreeSet<i64> = process.times().iter().copied().collect();
    assert_eq!(ticks.len(), process.len(), "one at each tick");
    let (pids, left_out) = (process.ints("pid"), rows(&timeline, "own").unwrap().ints("processes_left_out"));
    let root = timeline.facts().root.unwrap().pid as i64;
    assert!(pids.iter().any(|pid| *pid != Some(root)), "the burner is busier than the shell");
    assert!(left_out.into_iter().flatten().any(|count| count >= 1), "what was left out is counted");
}

#[test]
fn the_recording_says_whether_a_bpf_iterator_was_used() {
    let script = "i=0; while [ $i -lt 120 ]; do sleep 600 > /dev/null & i=$((i+1)); done; echo; wait";
    let mut crowd = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
    crowd.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    let recorded = |fast: &str, seconds: &str| {
        let place = Place::new();
        let ran = place.run(&["--processes", "all", "-i", "100ms", "--fast", fast], &["sleep", seconds]);
        let timeline = ran.timeline();
        let told: Vec<i64> = rows(&timeline, "own").unwrap().ints("processes_fast").into_iter().flatten().collect();
        let is_short = timeline.facts().end.as_ref().unwrap().totals.wall_seconds.unwrap() < 1.0;
        (timeline.facts().processes.fast.clone().unwrap(), told, is_short)
    };
    let (off, short) = (recorded("off", "0.3"), recorded("auto", "0.3"));
    // On a busy machine it takes long to be made ready.
    let auto = ["3", "6", "12", "24"].into_iter().map(|seconds| recorded("auto", seconds)).find(|auto| auto.0 != "not ready yet");
    let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(&crowd), rustix::process::Signal::KILL);
    let _ = crowd.wait();
    assert_eq!(off.0, "not asked for");
    for (status, told, is_short) in [&off, &short] {
        assert!(!is_short || status == &off.0 || status == "not needed", "a short command does not pay for it: {status}");
        assert!(!told.is_empty() && (!is_short || told.iter().all(|count| *count == 0)), "{told:?}");
    }
    let auto = auto.unwrap();
    match auto.0.as_str() {
        "ok" => assert!(auto.1[0] == 0 && auto.1.iter().any(|count| *count > 100), "{:?}", auto.1),
        why => {
            eprintln!("skipped in part: no BPF iterator here: {why}");
            assert!(auto.1.iter().all(|count| *count == 0) && !["not asked for", "not needed", "not ready yet"].contains(&why), "{why}");
        }
    }
}

#[test]
fn a_recorder_that_costs_too_much_does_without_something_and_says_so() {
    let place = Place::new();
    // Not even nothing is as cheap as that.
    let options = ["--max-overhead", "0.001%", "--processes", "all", "-i", "20ms", "-w", "1s"];
    let ran = place.run(&options, &["sleep", "11"]);
    let timeline = ran.timeline();
    let events = rows(&timeline, "events").unwrap();
    let told: Vec<String> = events
        .texts("name")
        .iter()
        .zip(events.texts("detail"))
        .filter(|(name, _)| **name == Some("overhead"))
        .map(|(_, detail)| detail.unwrap().to_owned())
        .collect();
    let expected = ["PSS is not read", "processes outside the job are not read", "ticks are twice as far apart"];
    assert_eq!(told.iter().map(|detail| detail.split(": ").nth(1).unwrap()).collect::<Vec<_>>(), expected, "{told:?}");
    let notice = timeline.facts().notices.iter().find(|notice| notice.name == "max_overhead").unwrap();
    assert!(notice.detail.contains(expected[2]), "{}", notice.detail);
    let at = |detail: usize| events.monotonic()[events.texts("detail").iter().position(|known| *known == Some(told[detail].as_str())).unwrap()];
    let process = rows(&timeline, "process").unwrap();
    let root = timeline.facts().root.unwrap().pid as i64;
    let job: Vec<i64> = process.ints("pid").iter().zip(process.monotonic()).filter(|(pid, _)| **pid == Some(root)).map(|(_, at)| *at).collect();
    assert!(job.iter().any(|time| *time > at(2)), "the job itself is read on");
    // Who is new is looked at once: it may be of the job.
    let others = |from: i64, to: i64| {
        process.ints("pid").iter().zip(process.monotonic()).filter(|(pid, time)| **pid == Some(1) && (from..to).contains(*time)).count()
    };
    assert!(others(0, at(0)) > 0 && others(at(1) + 500_000_000, i64::MAX) == 0);
    let since = at(2) + 500_000_000;
    let ticks: Vec<i64> = rows(&timeline, "own").unwrap().monotonic().iter().copied().filter(|time| *time > since).collect();
    // One at either end, and the last reading of all.
    let most = (ticks.last().unwrap() - since) / 40_000_000 + 3;
    assert!((ticks.len() as i64) <= most, "{} ticks, at most {most} are twice the interval apart", ticks.len());
}
