//! Numbers against independent witnesses over the same time: getrusage(2) of the job by itself, and the control group that it ran in.
//!
//! A witness that counts the same thing over the same time is as busy or idle as we are, so a loaded machine changes both. Two per cent may lie between.
#![allow(clippy::print_stderr, reason = "a comparison that was left out says so")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use barograph_store::{Frame, Totals};
use serde_json::Value;

use crate::harness::{Place, Ran, finish, job, last, python, rows};

/// What may lie between two who count the same.
const SHARE: f64 = 0.02;

/// Theirs and ours are the same within two per cent, or within what neither can see.
pub(crate) fn assert_same(what: &str, ours: f64, theirs: f64, unseen: f64) {
    eprintln!("{what}: {ours}, the witness {theirs}, {:+.2} %", (ours / theirs - 1.0) * 100.0);
    assert!((ours - theirs).abs() <= (theirs * SHARE).max(unseen), "{what}: {ours}, and the witness says {theirs}");
}

pub(crate) fn totals(ran: &Ran) -> Totals {
    ran.timeline().facts().end.clone().unwrap().totals
}

pub(crate) fn cpu_seconds(totals: &Totals) -> f64 {
    totals.user_seconds.unwrap() + totals.system_seconds.unwrap()
}

/// The number in the last line of what the job printed.
pub(crate) fn printed(ran: &Ran) -> f64 {
    let stdout = ran.stdout();
    stdout.lines().next_back().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("{:?} {}", ran.output, ran.stderr()))
}

/// What `barograph report --json` says.
pub(crate) fn report(place: &Place) -> Value {
    let output = finish(place.barograph(["report", "--json", "run.baro"]));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Whether the report has a note of this name; its text.
pub(crate) fn notice(report: &Value, name: &str) -> Option<String> {
    let notices = report["notices"].as_array().unwrap();
    notices.iter().find(|notice| notice["name"] == name).map(|notice| notice["text"].as_str().unwrap().to_owned())
}

/// A control group of the test's own, which counts CPU time by the nanosecond, whoever collects whom.
struct ControlGroup(PathBuf);

impl ControlGroup {
    /// `None` where we may not make one: in most containers, and for ordinary users.
    fn new(name: &str) -> Option<ControlGroup> {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let mut roots = mounts.lines().filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (path, kind, options) = (words.next()?, words.next()?, words.next()?);
            (kind == "cgroup2" || kind == "cgroup" && options.split(',').any(|option| option == "cpuacct")).then(|| PathBuf::from(path))
        });
        let group = roots.find_map(|root| {
            let folder = root.join(format!("barograph-test-{name}-{}", std::process::id()));
            std::fs::create_dir(&folder).ok().map(|()| ControlGroup(folder))
        });
        let group = group.filter(|group| group.cpu_seconds().is_some());
        if group.is_none() {
            eprintln!("left out: the comparison with a control group, which can't be made here");
        }
        group
    }

    /// A line of shell that puts itself into the group and becomes the command.
    fn entering(&self, command: &[&str]) -> Vec<String> {
        let line = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.0.display());
        ["sh", "-c", &line, "sh"].into_iter().chain(command.iter().copied()).map(str::to_owned).collect()
    }

    fn cpu_seconds(&self) -> Option<f64> {
        let read = |name: &str| std::fs::read_to_string(self.0.join(name)).ok();
        let v2 = || read("cpu.stat")?.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse::<f64>().ok()).map(|micros| micros / 1e6);
        let v1 = || read("cpuacct.usage")?.trim().parse::<f64>().ok().map(|nanos| nanos / 1e9);
        v2().or_else(v1)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Runs the job, in a control group if one can be had, and compares its CPU time with what that says. What the job printed comes back, and what the group has seen.
fn run_in_group(name: &str, options: &[&str], command: &[&str]) -> (Place, Ran, f64, Option<f64>) {
    let place = Place::new();
    let group = ControlGroup::new(name);
    let command = group.as_ref().map_or_else(|| command.iter().map(ToString::to_string).collect(), |group| group.entering(command));
    let ran = place.run(options, &command);
    let seen = group.map(|group| group.cpu_seconds().unwrap());
    // A shell's first steps are not in what the group saw: a millisecond or two.
    if let Some(seen) = seen {
        assert_same(&format!("{name}, by control group"), cpu_seconds(&totals(&ran)), seen, 0.02);
    }
    let printed = printed(&ran);
    (place, ran, printed, seen)
}

/// The same, compared with what the job printed too; what it used comes back.
fn run_and_compare(name: &str, options: &[&str], command: &[&str]) -> (Place, Ran, f64) {
    let (place, ran, printed, seen) = run_in_group(name, options, command);
    // The last steps of all are not in what the job printed: a millisecond or two. But a host that takes the core away just then may make it a tenth of a second,
    // and no kernel tells whose that was: then the group is the witness.
    let used = seen.filter(|seen| seen - printed > (printed * SHARE).max(0.02)).unwrap_or(printed);
    assert_same(&format!("{name}, by getrusage"), cpu_seconds(&totals(&ran)), used, 0.02);
    (place, ran, used)
}

fn column(frame: &Frame, name: &str) -> Vec<f64> {
    frame.floats(name).into_iter().map(Option::unwrap_or_default).collect()
}

#[test]
fn threads_use_what_the_kernel_says() {
    for (threads, seconds, interval) in [("1", "1.5", "100ms"), ("4", "0.6", "100ms"), ("1", "1", "10ms"), ("4", "0.5", "10ms")] {
        let name = format!("{threads}-threads-{interval}");
        let (place, ran, used) = run_and_compare(&name, &["-i", interval], &[python(), &job("threads.py"), threads, seconds]);
        let timeline = ran.timeline();
        let table = rows(&timeline, "job").unwrap();
        assert_same(&format!("{name}, table"), last(&table, "user_seconds") + last(&table, "system_seconds"), used, 0.02);

        let report = report(&place);
        let (cpu, window) = (&report["job"]["cpu"], report["window"]["seconds"].as_f64().unwrap());
        assert_same(&format!("{name}, report"), cpu["total"].as_f64().unwrap(), used, 0.02);
        assert_same(&format!("{name}, mean rate times time"), cpu["mean"].as_f64().unwrap() * window, used, 0.02);
        let curve = report["curves"]["job_cpu"]["values"].as_array().unwrap_or_else(|| panic!("{report:#}"));
        let width = window / curve.len() as f64;
        let area: f64 = curve.iter().filter_map(Value::as_f64).map(|cores| cores * width).sum();
        assert_same(&format!("{name}, under the curve"), area, used, 0.02);
    }
}

#[test]
fn no_share_is_more_than_the_whole() {
    // More threads than cores, so that the machine is at its limit all the time.
    for interval in ["100ms", "10ms"] {
        let place = Place::new();
        let cores = std::thread::available_parallelism().unwrap().get();
        let ran = place.run(&["-i", interval], &[python(), &job("threads.py"), &(2 * cores).to_string(), "0.5"]);
        let timeline = ran.timeline();
        let report = report(&place);
        let online = rows(&timeline, "cpu").unwrap().floats("cores_online").into_iter().flatten().fold(0.0, f64::max);
        let (machine, used) = (&report["machine"]["cpu"], &report["job"]["cpu"]);
        for what in ["mean", "p95", "peak"] {
            let value = machine[what].as_f64().unwrap();
            assert!(value <= online * (1.0 + 1e-9), "{interval}: {what} is {value} of {online} cores");
        }
        // What the tree used the machine used: as the first is measured and the second counted in ticks, within what ticks can tell.
        let (tree, all) = (used["total"].as_f64().unwrap(), machine["total"].as_f64().unwrap());
        assert!(tree <= all * (1.0 + SHARE) + 0.05, "{interval}: the tree used {tree} s, and the machine {all} s");
        for share in ["cpu_pressure", "memory_pressure", "io_pressure"] {
            // Between two readings of the clock and of the file itself there may be a moment.
            let mean = report["machine"][share]["mean"].as_f64().unwrap_or(0.0);
            assert!(mean <= 1.0 + SHARE, "{interval}: {share} {mean}");
        }
    }
}

#[test]
fn rows_of_processes_add_up_to_the_job() {
    for interval in ["100ms", "10ms"] {
        let name = format!("4-processes-{interval}");
        let (_place, ran, used) = run_and_compare(&name, &["-i", interval], &[python(), &job("burners.py"), "4", "0.5"]);
        let process = rows(&ran.timeline(), "process").unwrap();
        let (pids, user, system) = (process.ints("pid"), column(&process, "user_seconds"), column(&process, "system_seconds"));
        let mut by_pid = std::collections::BTreeMap::new();
        for row in 0..process.len() {
            by_pid.insert(pids[row], user[row] + system[row]);
        }
        assert_eq!(by_pid.len(), 5, "{name}");
        // User and system time of each are in whole milliseconds, and a child's exit(2) comes after its last row.
        assert_same(&format!("{name}, rows"), by_pid.values().sum(), used, 5.0 * 0.002);
    }
}

#[test]
fn a_tree_of_many_is_never_seen_to_use_more_than_the_machine_has() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let (place, count) = (Place::new(), 48 * cores);
    let ran = place.run(&["-i", "100ms", "--no-dense-start", "--processes", "none"], &[python(), &job("burners.py"), &count.to_string(), "0.04"]);
    let used = printed(&ran);
    let table = rows(&ran.timeline(), "job").unwrap();
    let sums: Vec<f64> = column(&table, "user_seconds").iter().zip(column(&table, "system_seconds")).map(|(user, system)| user + system).collect();
    // While all of them live and rest, what they used is known to the nanosecond and not in ticks of 10 ms, two a process.
    let all_live = column(&table, "processes").into_iter().zip(&sums).filter(|(processes, _)| *processes > count as f64).map(|(_, sum)| *sum);
    assert_same("at rest, all alive", all_live.fold(0.0, f64::max), used, 0.02);
    // Nor is any rate above what there is, but for what the kernel is behind: at each of its ticks, of at most 10 ms, it writes down how long who runs has been running,
    // and a machine that others share with us may let three of them pass.
    // Nor is more counted than there was time for while it was read, which on a busy machine may be as long as ticks lie apart: the row of the next tick tells how
    // long this one took.
    let own = rows(&ran.timeline(), "own").unwrap();
    let took: Vec<f64> = own.floats("tick_duration_seconds").into_iter().skip(2).map(|took| took.unwrap_or(0.0)).chain([f64::INFINITY]).collect();
    let clock: Vec<f64> = table.ints("monotonic_nanos").into_iter().map(|nanos| nanos.unwrap() as f64 / 1e9).collect();
    assert_eq!((own.len(), took.len()), (clock.len(), clock.len() - 1));
    let windows = clock.windows(2).zip(&took).zip(sums.windows(2)).map(|((clock, took), sum)| (clock[1] - clock[0] + took, sum[1] - sum[0]));
    let windows: Vec<(f64, f64)> = windows.collect();
    let above: Vec<_> = windows.iter().filter(|(seconds, used)| *used > cores as f64 * (seconds + 0.03)).collect();
    let most = windows.iter().map(|(seconds, used)| used / seconds).fold(0.0, f64::max);
    eprintln!("{count} burners on {cores} cores: at most {most:.3} cores; in {} of {} windows more than there can be", above.len(), windows.len());
    assert!(windows.len() > 4 && above.is_empty(), "{above:?} of {windows:?}");
}

#[test]
fn brief_children_are_counted_once_whoever_collects_them() {
    // At most every twentieth of these is ever seen alive.
    for (how, count, interval) in [("child", "500", "100ms"), ("program", "1000", "100ms"), ("orphan", "250", "100ms"), ("orphan", "250", "10ms")] {
        let name = format!("{count}-brief-{how}-{interval}");
        let command = [python(), &job("brief.py"), how, count, "0.003"];
        let (_place, ran, used, _) = run_in_group(&name, &["-i", interval, "--no-dense-start"], &command);
        let ours = cpu_seconds(&totals(&ran));
        if how == "orphan" {
            // What its exit(2) costs an orphan can't tell: some tenths of a millisecond each. The group can.
            assert!(ours > used * (1.0 - SHARE) && ours < used * 1.25, "{name}: {ours}, and the orphans say {used}");
        } else {
            assert_same(&format!("{name}, by getrusage"), ours, used, 0.02);
        }
        // Nor does a row go back, or shoot ahead of what was used in the end.
        let table = rows(&ran.timeline(), "job").unwrap();
        let sums: Vec<f64> =
            column(&table, "user_seconds").into_iter().zip(column(&table, "system_seconds")).map(|(user, system)| user + system).collect();
        assert!(sums.is_sorted(), "{sums:?}");
    }
}

#[test]
fn a_process_is_not_charged_with_children_that_nobody_saw() {
    let place = Place::new();
    // With a tick a second hardly a child is ever seen, and the parent is once it has collected them.
    let ran = place.run(&["-i", "1s", "--no-dense-start"], &[python(), &job("unseen.py"), "300"]);
    let said: Vec<f64> = ran.stdout().split_whitespace().map(|word| word.parse().unwrap()).collect();
    let report = report(&place);
    let of_parent = report["processes"][0]["cpu_seconds"].as_f64().unwrap();
    // Its own times are in whole ticks.
    assert!(said[1] > 0.1 && (of_parent - said[0]).abs() <= 0.03, "{of_parent} s, and it says {said:?}");
    assert_same("job", report["job"]["cpu"]["total"].as_f64().unwrap(), said[0] + said[1], 0.02);
}

#[test]
fn it_is_said_that_ignored_children_are_in_no_sum() {
    for (handler, said) in [("SIG_IGN", true), ("SIG_DFL", false)] {
        let place = Place::new();
        let code = format!("import signal, time; signal.signal(signal.SIGCHLD, signal.{handler}); time.sleep(1.3)");
        let ran = place.run_python(&["-i", "100ms"], &code);
        ran.timeline();
        let text = notice(&report(&place), "uncounted_children");
        assert_eq!(text.as_ref().is_some_and(|text| text.contains("in no sum")), said, "{handler}: {text:?}");
    }
}

#[test]
fn a_short_job_among_thousands_is_seen() {
    let place = Place::new();
    let mut crowd = place.command(python());
    let mut crowd = crowd.args([job("crowd.py"), "2000".to_owned()]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(crowd.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // On a busy machine there may be no tick at all in this time, so it may try again.
    let seen = (0..5).any(|_| {
        let ran = place.run(&["-i", "50ms", "--force"], &["sleep", "0.15"]);
        let has_rows = rows(&ran.timeline(), "process").is_some_and(|rows| !rows.is_empty());
        has_rows && totals(&ran).peak_resident_bytes.is_some_and(|bytes| bytes > 100_000)
    });
    drop(crowd.stdin.take());
    crowd.wait().unwrap();
    assert_eq!(line, "ready\n");
    assert!(seen, "not once in five times");
}
