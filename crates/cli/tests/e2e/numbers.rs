//! The numbers are those of an independent witness: getrusage(2) in the job, or what the job is known to have done.
//!
//! Clock ticks are 10 ms and machines are busy, so the margins are wide; what they must catch is counting twice, not at all, or in the wrong unit.

use crate::harness::{Place, Ran, job, last, python, rows};
use crate::truth::{cpu_seconds, printed, totals};

const MIB: f64 = (1 << 20) as f64;

fn assert_close(what: &str, ours: f64, theirs: f64, share: f64, floor: f64) {
    let margin = (theirs * share).max(floor);
    assert!((ours - theirs).abs() <= margin, "{what}: {ours}, and the job says {theirs}");
}

#[test]
fn cpu_time_is_what_getrusage_says() {
    let place = Place::new();
    let ran = place.run(&["-i", "100ms"], &[python(), &job("burn.py"), "1"]);
    let used = printed(&ran);
    assert_close("totals", cpu_seconds(&totals(&ran)), used, 0.1, 0.05);
    let rows = rows(&ran.timeline(), "job").unwrap();
    assert_close("table", last(&rows, "user_seconds") + last(&rows, "system_seconds"), used, 0.1, 0.05);
}

#[test]
fn children_are_counted_once() {
    // Collected by the job; by nobody, as it does not want to know of them; and by us, as their parent has ended before them.
    for case in ["collected", "ignored", "orphaned", "nested"] {
        let place = Place::new();
        let ran = place.run(&["-i", "50ms"], &[python(), &job("children.py"), case]);
        // Each child writes what it used into a file of its own.
        ran.timeline();
        let used: f64 = std::fs::read_dir(place.path("used"))
            .unwrap()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap().parse::<f64>().unwrap())
            .sum();
        assert!(used > 0.5, "{case}: {used}");
        let ours = cpu_seconds(&totals(&ran));
        // The job itself uses some too, which is not in the sum of its children.
        assert!(ours > used * 0.85 && ours < used * 1.25 + 0.3, "{case}: {ours}, and the children say {used}");
    }
}

#[test]
fn many_short_children_are_all_in_the_sum() {
    let place = Place::new();
    let ran = place.run(&[], &[python(), &job("short_children.py"), "300"]);
    assert_close("CPU", cpu_seconds(&totals(&ran)), printed(&ran), 0.1, 0.1);
}

#[test]
fn memory_that_was_touched_is_the_peak() {
    let place = Place::new();
    let code = "import time; block = bytearray(200 << 20); block[::4096] = b'x' * len(block[::4096]); time.sleep(0.6)";
    let ran = place.run_python(&["-i", "50ms"], code);
    let totals = totals(&ran);
    for peak in [totals.peak_resident_bytes, totals.peak_process_resident_bytes] {
        let peak = peak.unwrap() as f64 / MIB;
        assert!((200.0..260.0).contains(&peak), "{peak} MiB");
    }
    let job = rows(&ran.timeline(), "job").unwrap();
    let largest = job.floats("resident_bytes").into_iter().flatten().fold(0.0, f64::max) / MIB;
    assert!((200.0..260.0).contains(&largest), "{largest} MiB");
}

#[test]
fn a_small_job_does_not_inherit_the_peak_of_a_large_parent() {
    let place = Place::new();
    let code = format!(
        "import os; block = bytearray(300 << 20); block[::4096] = b'x' * len(block[::4096])\n\
         os.execv({0:?}, [{0:?}, 'run', '-q', '-o', 'run', '-i', '20ms', '--', 'sleep', '0.3'])",
        crate::harness::BAROGRAPH
    );
    let mut command = place.command(python());
    command.args(["-c", &code]);
    let ran = Ran { output: crate::harness::finish(command), recording: place.path("run.baro") };
    let totals = totals(&ran);
    for peak in [totals.peak_resident_bytes, totals.peak_process_resident_bytes] {
        let peak = peak.unwrap() as f64 / MIB;
        assert!(peak < 50.0, "sleep has no {peak} MiB");
    }
}

#[test]
fn bytes_of_system_calls_are_counted() {
    let place = Place::new();
    let copy = "dd if=/dev/zero of=block bs=1M count=64 2> /dev/null && dd if=block of=/dev/null bs=64k 2> /dev/null";
    let ran = place.run(&["-i", "100ms"], &["sh", "-c", copy]);
    let totals = totals(&ran);
    let (read, written) = (totals.read_bytes.unwrap() as f64 / MIB, totals.written_bytes.unwrap() as f64 / MIB);
    // /dev/zero and /dev/null count as well: 64 MiB in and out, twice. Loading programs reads a little.
    assert!((128.0..136.0).contains(&read), "read {read} MiB");
    assert!((128.0..129.0).contains(&written), "wrote {written} MiB");
}

#[test]
fn a_short_command_has_a_curve() {
    let count = |options: &[&str]| {
        let place = Place::new();
        let ran = place.run(options, &["sleep", "0.3"]);
        rows(&ran.timeline(), "job").unwrap().len()
    };
    let plain = count(&["--no-dense-start"]);
    assert!(plain <= 3, "{plain} rows without the dense start");
    // A busy machine may have no time for many ticks within so short a time: then another try has.
    let dense: Vec<usize> = (0..20).map(|_| count(&[])).take_while(|rows| *rows < 5).collect();
    assert!(dense.len() < 20, "{dense:?} rows");
}

#[test]
fn intervals_down_to_a_millisecond_have_their_rows() {
    for (interval, millis) in [("10ms", 10), ("1ms", 1)] {
        let place = Place::new();
        let ran = place.run(&["-i", interval, "--no-dense-start"], &["sleep", "0.5"]);
        let timeline = ran.timeline();
        let job = rows(&timeline, "job").unwrap();
        // A loaded machine leaves ticks out, and says so in the row of the next one. The first row is from before the job, and the last from its end: those are
        // no ticks.
        let own = rows(&timeline, "own").unwrap();
        let missed = last(&own, "missed_ticks") as usize;
        let ticks = &job.monotonic()[1..job.len() - 1];
        let due = (ticks[ticks.len() - 1] - ticks[0]) as usize / 1_000_000 / millis;
        assert!(ticks.len() + missed + 3 >= due && ticks.len() <= due + 3, "{interval}: {} rows and {missed} missed, of {due}", job.len());
        assert!(job.monotonic().is_sorted_by(|a, b| a < b), "each row has a time of its own");
    }
}

#[test]
fn both_clocks_agree() {
    let place = Place::new();
    let ran = place.run(&["-i", "20ms"], &["sleep", "0.3"]);
    let timeline = ran.timeline();
    let clock = timeline.facts().clock.clone();
    let apart = |table: &str| -> Vec<i64> {
        let frame = rows(&timeline, table).unwrap();
        let both = frame.times().iter().zip(frame.monotonic());
        both.map(|(utc, monotonic)| (monotonic - clock.monotonic_nanos) - (utc - clock.utc_nanos)).collect()
    };
    for table in timeline.tables().unwrap() {
        // The machine's clock may be slewed meanwhile, not more than this. A source is read after its tick has begun.
        assert!(apart(&table.name).iter().all(|nanos| *nanos > -50_000_000), "{}: {:?}", table.name, apart(&table.name));
    }
    // A tick may have to wait for its core amid its readings, and not each of them does.
    assert!(apart("own").iter().any(|nanos| *nanos < 50_000_000), "{:?}", apart("own"));
}

#[test]
fn rows_say_when_their_source_was_read() {
    let place = Place::new();
    let ran = place.run(&["-i", "20ms"], &["sleep", "1"]);
    let timeline = ran.timeline();
    let ticks = |table: &str| {
        let frame = rows(&timeline, table).unwrap();
        frame.times().iter().copied().zip(frame.monotonic().iter().copied()).collect::<std::collections::BTreeMap<i64, i64>>()
    };
    let (own, job, cpu, memory) = (ticks("own"), ticks("job"), ticks("cpu"), ticks("memory"));
    assert!(own.len() >= 5);
    for (time, tick) in own {
        // One after the other, and all of one tick; the machine's memory not at each.
        let memory = memory.get(&time).copied();
        let in_turn = job[&time] < cpu[&time] && memory.is_none_or(|memory| cpu[&time] < memory && memory < tick) && cpu[&time] < tick;
        assert!(in_turn, "{} {} {memory:?} {tick}", job[&time], cpu[&time]);
    }
    assert!(memory.len() >= 2);
}
