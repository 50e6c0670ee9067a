//! Memory against what the kernel tells the job itself: VmHWM, getrusage(2), and smaps_rollup.

#![allow(clippy::print_stderr, reason = "a comparison that was left out says so")]

use barograph_store::Frame;

use crate::harness::{Place, Ran, finish, job, python, rows};
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

#[test]
fn shared_pages_are_counted_for_each_and_once() {
    // A pass over the processes' page tables breaks off when it takes too long, as on a busy machine; the next one would come much later.
    let complete = (0..5).find_map(|_| {
        let place = Place::new();
        let ran = place.run(&["-i", "100ms"], &[python(), &job("share.py"), "64", "10", "1.6"]);
        let once = rows(&ran.timeline(), "process_memory")?;
        (once.len() == 11).then_some((place, ran, once))
    });
    let (place, ran, once): (Place, Ran, Frame) = complete.expect("a pass over eleven processes");
    let [proportional, resident] = printed(&ran.stdout())[..] else { panic!("{}", ran.stdout()) };
    assert!(resident > 10.0 * proportional / 2.0, "most of it is shared: {proportional} {resident}");
    // Pages of Python itself are shared with whoever else runs one: its part of them changes as those come and go.
    assert_same("each page once", once.floats("proportional_bytes").into_iter().flatten().sum(), proportional, 6.0 * MIB);
    let job = rows(&ran.timeline(), "job").unwrap();
    assert_same("pages for each", highest(&job, "resident_bytes"), resident, 0.0);
    assert_same("peak of the job", totals(&ran).peak_resident_bytes.unwrap() as f64, resident, 0.0);
    let text = notice(&report(&place), "shared_memory").unwrap();
    assert!(text.contains("count for each") && text.contains("each page counted once"), "{text}");
    let human = finish(place.barograph(["report", "run.baro"]));
    assert!(String::from_utf8_lossy(&human.stdout).contains("pages that"), "{human:?}");
}
