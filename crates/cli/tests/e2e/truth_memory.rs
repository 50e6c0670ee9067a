//! Memory against what the kernel tells the job itself: VmHWM, getrusage(2), and smaps_rollup.

#![allow(clippy::print_stderr, reason = "a comparison that was left out says so")]

use std::fs::File;
use std::process::Stdio;

use barograph_store::{Frame, Timeline};

use crate::harness::{Place, Ran, eventually, finish, job, output_of, python, rows, written};
use crate::truth::{assert_same, notice, report, totals};

const MIB: f64 = (1 << 20) as f64;

/// The numbers in the line that the job printed.
fn printed(text: &str) -> Vec<f64> {
    let line = text.lines().find(|line| line.starts_with(|letter: char| letter.is_ascii_digit())).unwrap_or_else(|| panic!("{text:?}"));
    line.split(' ').map(|word| word.parse().unwrap()).collect()
}

fn highest(frame: &Frame, column: &str) -> f64 {
    frame.floats(column).into_iter().flatten().fold(0.0, f64::max)
}

#[test]
fn the_peak_is_what_the_kernel_says() {
    let place = Place::new();
    let ran = place.run(&["-i", "50ms"], &[python(), &job("touch.py"), "300"]);
    let (totals, said) = (totals(&ran), printed(&ran.stdout()));
    for (witness, theirs) in ["VmHWM", "ru_maxrss"].into_iter().zip(&said) {
        assert_same(&format!("peak of a process, {witness}"), totals.peak_process_resident_bytes.unwrap() as f64, *theirs, 0.0);
        assert_same(&format!("peak of the job, {witness}"), totals.peak_resident_bytes.unwrap() as f64, *theirs, 0.0);
    }
    let timeline = ran.timeline();
    let (job, process) = (rows(&timeline, "job").unwrap(), rows(&timeline, "process").unwrap());
    assert_same("sampled peak", highest(&job, "resident_bytes"), said[0], 0.0);
    assert_same("row of the process", highest(&process, "resident_bytes"), said[0], 0.0);
    // The curve has the step between the two halves.
    let half = said[0] - 150.0 * MIB;
    let near_half = job.floats("resident_bytes").into_iter().flatten().filter(|bytes| (bytes - half).abs() < half * 0.02).count();
    assert!(near_half >= 3, "{near_half} rows near {half}: {:?}", job.floats("resident_bytes"));
}

#[test]
fn the_peak_is_what_time_says() {
    let place = Place::new();
    let time = place.command("/usr/bin/time").arg("--version").output();
    if !time.is_ok_and(|output| output.status.success()) {
        eprintln!("left out: there is no /usr/bin/time");
        return;
    }
    let ran = place.run(&["-i", "50ms"], &["/usr/bin/time", "-f", "%M %U %S", python(), &job("touch.py"), "100"]);
    let said = printed(&ran.stderr());
    let totals = totals(&ran);
    assert_same("peak of a process", totals.peak_process_resident_bytes.unwrap() as f64, said[0] * 1024.0, 0.0);
    // It has hundredths of a second, rounded down.
    assert_same("user time", totals.user_seconds.unwrap(), said[1], 0.03);
    assert_same("system time", totals.system_seconds.unwrap(), said[2], 0.03);
}

/// The sum of proportional sets in a pass that came to all eleven processes which the job had at that tick.
fn complete_pass(timeline: &Timeline) -> Option<f64> {
    let (job, parts) = (rows(timeline, "job")?, rows(timeline, "process_memory")?);
    let parts: Vec<(i64, f64)> = parts.times().iter().copied().zip(parts.floats("proportional_bytes").into_iter().flatten()).collect();
    let eleven = job.times().iter().zip(job.ints("processes")).filter(|(_, count)| *count == Some(11));
    let mut passes = eleven.map(|(tick, _)| parts.iter().filter(|(time, _)| time == tick).map(|(_, bytes)| *bytes).collect::<Vec<f64>>());
    passes.find(|pass| pass.len() == 11).map(|pass| pass.iter().sum())
}

#[test]
fn shared_pages_are_counted_for_each_and_once() {
    let place = Place::new();
    let (path, ready, enough) = (place.path("run.baro"), place.path("ready"), place.path("enough"));
    // So little that a pass comes to all of them within its 20 ms of CPU, on a slow machine and unoptimised too.
    let mut command = place.run_command(&["-i", "100ms", "-w", "100ms"], &[python(), &job("share.py"), "32", "10", enough.to_str().unwrap()]);
    command.stdout(File::create(&ready).unwrap()).stderr(Stdio::piped());
    let recorder = command.spawn().unwrap();
    written(&ready);
    let open = || Timeline::open(&path).ok();
    // A pass comes a second after the begin. One that met too few, on a busy machine, or took too long, is followed by another, ten seconds later at the soonest.
    let once = eventually("a pass over eleven processes", || complete_pass(&open()?));
    // All of them have all pages by now, and a tick is to see it.
    let ticks = || Some(rows(&open()?, "job")?.len());
    let before = ticks().unwrap();
    eventually("two ticks", || ticks().filter(|ticks| *ticks >= before + 2));
    File::create(&enough).unwrap();
    let ran = Ran { output: output_of(recorder), recording: path.clone() };
    let [proportional, resident] = printed(&std::fs::read_to_string(&ready).unwrap())[..] else { panic!("{}", ran.stderr()) };
    assert!(resident > 10.0 * proportional / 2.0, "most of it is shared: {proportional} {resident}");
    // Pages of Python itself are shared with whoever else runs one: its part of them changes as those come and go.
    assert_same("each page once", once, proportional, 6.0 * MIB);
    let job = rows(&ran.timeline(), "job").unwrap();
    assert_same("pages for each", highest(&job, "resident_bytes"), resident, 0.0);
    assert_same("peak of the job", totals(&ran).peak_resident_bytes.unwrap() as f64, resident, 0.0);
    let text = notice(&report(&place), "shared_memory").unwrap();
    assert!(text.contains("count for each") && text.contains("each page counted once"), "{text}");
    let human = finish(place.barograph(["report", "run.baro"]));
    assert!(String::from_utf8_lossy(&human.stdout).contains("pages that"), "{human:?}");
}
