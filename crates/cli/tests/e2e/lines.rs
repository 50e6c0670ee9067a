//! Lines of Python programs: what is known to be hot is found to be hot, what takes memory is found to take it, and who can't be looked at harms nobody.
#![allow(clippy::print_stderr, reason = "a test that was left out says so")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{BAROGRAPH, Place, copy_program, ended, example, finish, is_there, job, python, rows, text};

/// `report --lines --json` of the recording `run`.
fn told(place: &Place) -> Value {
    let output = finish(place.barograph(["report", "run.baro", "--lines", "--json", "--top", "1000"]));
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is told of the line of a job that ends in this remark, all functions that hold it together.
fn of_line<'a>(told: &'a Value, job: &str, remark: &str) -> Vec<&'a Value> {
    let number = line_number(job, remark);
    let lines = told["lines"]["lines"].as_array().unwrap();
    let name = Path::new(job).file_name();
    lines.iter().filter(|line| line["line"] == number && Path::new(line["file"].as_str().unwrap()).file_name() == name).collect()
}

fn line_number(job: &str, remark: &str) -> usize {
    let source = std::fs::read_to_string(job).unwrap();
    source.lines().position(|line| line.ends_with(&format!("# {remark}"))).unwrap() + 1
}

fn sum(lines: &[&Value], amount: &str) -> f64 {
    lines.iter().map(|line| line["own"][amount].as_f64().unwrap()).sum()
}

/// Every Python that pyenv or the system has, and that is supported.
fn pythons() -> Vec<PathBuf> {
    let versions = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"];
    let real = |version: &str| {
        let output = Place::new().command(format!("python{version}")).args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
        output.status.success().then(|| PathBuf::from(text(&output.stdout).trim_end()))
    };
    let found: Vec<PathBuf> = versions.iter().filter_map(|version| real(version)).collect();
    if found.is_empty() { vec![python().into()] } else { found }
}

#[test]
fn the_hot_line_the_allocating_line_and_the_waiting_line_are_found() {
    let hot_py = example("hot.py");
    for python in pythons() {
        let place = Place::new();
        let python = python.to_str().unwrap();
        let timeline = place.run(&["--lines", "-i", "100ms"], &[python, &hot_py, "1200", "300"]).timeline();
        assert_eq!(timeline.facts().sources.get("lines").map(String::as_str), Some("ok"));
        let told = told(&place);
        let all = told["lines"]["all"]["cpu_seconds"].as_f64().unwrap();
        let hot = of_line(&told, &hot_py, "the hot line");
        assert!(sum(&hot, "cpu_seconds") > 0.6 * all && all > 0.5, "{python}: {} of {all}", sum(&hot, "cpu_seconds"));
        let allocating = sum(&of_line(&told, &hot_py, "the allocating line"), "resident_bytes");
        assert!((200e6..400e6).contains(&allocating), "{python}: {allocating}");
        let hottest = sum(&hot, "resident_bytes");
        assert!(hottest.abs() < 60e6, "{python}: memory is not the hot line's: {hottest}");
        let waiting = of_line(&told, &hot_py, "the waiting line");
        let (waited, cpu) = (sum(&waiting, "waiting_seconds"), sum(&waiting, "cpu_seconds"));
        assert!((0.2..2.0).contains(&waited) && cpu < 0.1, "{python}: {waited} {cpu}");
        // The function that calls the hot line has it in its total. The rest is how Python begins.
        let main = told["lines"]["functions"].as_array().unwrap().iter().find(|function| function["function"] == "main").unwrap();
        assert!(main["total"]["cpu_seconds"].as_f64().unwrap() > 0.7 * all, "{python}: {main} of {all}");
        assert_eq!(hot[0]["source"].as_str().unwrap().split("  #").next(), Some("total += sum(digit * digit % 7 for digit in range(40))"));
    }
}

#[test]
fn threads_and_a_child_have_lines_of_their_own() {
    let workers_py = job("workers.py");
    for python in pythons() {
        let place = Place::new();
        let python = python.to_str().unwrap();
        let timeline = place.run(&["--lines", "-i", "100ms"], &[python, &workers_py, "1.5"]).timeline();
        let told = told(&place);
        assert_eq!(told["lines"]["processes"], 2, "{python}");
        for remark in ["the first thread's line", "the second thread's line", "the child's line"] {
            let cpu = sum(&of_line(&told, &workers_py, remark), "cpu_seconds");
            assert!(cpu > 0.02, "{python}: {remark}: {cpu}");
        }
        let idle = of_line(&told, &workers_py, "the idle thread's line");
        assert!(sum(&idle, "cpu_seconds") < 0.1 && sum(&idle, "waiting_seconds") > 0.5, "{python}: {idle:?}");
        // It waits in the standard library, and has few rows.
        let lines = rows(&timeline, "lines").unwrap();
        let names = lines.texts("thread_name");
        let of_idle = names.iter().filter(|name| **name == Some("idle")).count();
        assert!((1..20).contains(&of_idle), "{python}: {of_idle} of {}", lines.len());
        let threads = lines.ints("thread");
        let numbered = |name: &str| {
            let mut numbers: Vec<_> = names.iter().zip(&threads).filter(|(other, _)| **other == Some(name)).map(|(_, number)| *number).collect();
            numbers.dedup();
            numbers
        };
        assert!(numbered("first").len() == 1 && numbered("first")[0].is_some() && numbered("first") != numbered("second"), "{python}");
    }
}

#[test]
fn a_program_that_is_not_python_is_recorded_and_nothing_wrong_is_said() {
    let place = Place::new();
    let ran = place.run(&["--lines", "-i", "50ms"], &["sh", "-c", "for round in 1 2 3; do sleep 0.1; done"]);
    let timeline = ran.timeline();
    assert_eq!(ran.stderr(), "");
    assert!(!timeline.has_table("lines") && timeline.has_table("process"));
    // A busy machine leaves ticks out, and that is said.
    assert!(timeline.facts().notices.iter().all(|notice| notice.name == "missed_ticks"), "{:?}", timeline.facts().notices);
    assert_eq!(told(&place)["lines"], Value::Null);
    let output = finish(place.barograph(["report", "run.baro", "--lines"]));
    assert!(!output.status.success() && text(&output.stderr).contains("no Python program ran"), "{output:?}");
}

#[test]
fn without_lines_it_says_what_to_type() {
    let place = Place::new();
    place.run(&[], &["true"]).timeline();
    let output = finish(place.barograph(["report", "run.baro", "--lines"]));
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("`barograph run --lines -- true` records them"), "{output:?}");
}

#[test]
fn a_job_that_may_not_be_read_says_so_once() {
    let place = Place::new();
    // Where anybody may execute it.
    let python = "/usr/bin/python3";
    if !rustix::process::geteuid().is_root() || !is_there("setpriv") || !is_there(python) {
        eprintln!("left out: only root can become somebody else");
        return;
    }
    // Who may execute a program and not read it may not read its memory either, from its begin on.
    std::fs::set_permissions(place.path(""), std::fs::Permissions::from_mode(0o777)).unwrap();
    copy_program(BAROGRAPH, place.path("barograph"));
    copy_program(python, place.path("python3"));
    std::fs::set_permissions(place.path("python3"), std::fs::Permissions::from_mode(0o711)).unwrap();
    let code = "import time\nend = time.time() + 3\nwhile time.time() < end: pass";
    let mut command = place.command("setpriv");
    command.env("PYTHONHOME", "/usr").args(["--reuid=54331", "--clear-groups"]).arg(place.path("barograph"));
    command.args(["run", "-q", "-o", "run", "-i", "50ms", "--lines", "--", "./python3", "-c", code]);
    let output = finish(command);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr).matches("may not read").count(), 1, "{output:?}");
    let timeline = ended(&place.path("run.baro"));
    let denied: Vec<_> = timeline.facts().notices.iter().filter(|notice| notice.name == "lines_denied").collect();
    assert!(denied.len() == 1 && denied[0].count == 1, "{:?}", timeline.facts().notices);
    assert!(rows(&timeline, "job").unwrap().len() > 2, "the rest is recorded");
    let output = finish(place.barograph(["report", "run.baro", "--lines"]));
    assert!(!output.status.success() && text(&output.stderr).contains("may not read"), "{output:?}");
}

#[test]
fn without_room_for_a_thread_there_are_no_lines_and_a_reason() {
    let place = Place::new();
    if !rustix::process::geteuid().is_root() || !is_there("setpriv") || !is_there("prlimit") {
        eprintln!("left out: only root can become somebody else");
        return;
    }
    std::fs::set_permissions(place.path(""), std::fs::Permissions::from_mode(0o777)).unwrap();
    copy_program(BAROGRAPH, place.path("barograph"));
    let mut command = place.command("setpriv");
    // One for us, one for the job.
    command.args(["--reuid=54332", "--clear-groups", "prlimit", "--nproc=2"]).arg(place.path("barograph"));
    command.args(["run", "-q", "-i", "20ms", "-o", "run", "--lines", "--", "sleep", "2"]);
    let output = finish(command);
    assert!(output.status.success(), "{output:?}");
    let timeline = ended(&place.path("run.baro"));
    assert!(timeline.facts().sources["lines"].starts_with("no thread for it"), "{:?}", timeline.facts().sources);
    assert!(rows(&timeline, "job").unwrap().len() > 2);
    let output = finish(place.barograph(["report", "run.baro", "--lines"]));
    assert!(text(&output.stderr).contains("no thread for it"), "{output:?}");
}

#[test]
fn attaching_looks_at_lines_as_well() {
    let place = Place::new();
    let hot_py = example("hot.py");
    let mut job = place.command(python()).args([&hot_py, "1000000", "1"]).spawn().unwrap();
    let pid = job.id().to_string();
    let output = finish(place.barograph(["attach", &pid, "-q", "-o", "run", "-i", "100ms", "--lines=50", "--duration", "1.5"]));
    job.kill().unwrap();
    job.wait().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = told(&place);
    let hot = sum(&of_line(&told, &hot_py, "the hot line"), "cpu_seconds");
    assert!(hot > 0.5 * told["lines"]["all"]["cpu_seconds"].as_f64().unwrap(), "{hot}");
    let looks = told["lines"]["looks"].as_u64().unwrap();
    assert!((5..110).contains(&looks), "{looks}");
}
