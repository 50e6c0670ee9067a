//! Our failure is never the job's: no room on the disk, in memory, for files or processes. The job runs, its exit status is ours, and it is said what is missing.
#![allow(clippy::print_stderr, reason = "a test that was left out says so")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::thread;

use barograph_store::{Notice, State, Timeline};
use rustix::process::Signal;

use crate::container::Group;
use crate::harness::{BAROGRAPH, Place, Ran, ended, finish, python, rows, send, text, written};

/// Runs a line of shell as a parent of us would be; `$BAROGRAPH` is the program.
fn shell(place: &Place, line: &str) -> Output {
    let mut command = place.command("bash");
    command.args(["-c", line]).env("BAROGRAPH", BAROGRAPH);
    finish(command)
}

/// The same where file systems may be mounted that go with the shell; `None`, said aloud, where that is not allowed.
fn shell_that_mounts(place: &Place, line: &str) -> Option<Output> {
    let mut command = place.command("unshare");
    command.args(["--mount", "bash", "-c", &format!("mkdir disk && mount -t tmpfs -o size=1m tmpfs disk || exit 99; {line}")]);
    let output = finish({
        command.env("BAROGRAPH", BAROGRAPH);
        command
    });
    let allowed = !matches!(output.status.code(), Some(1 | 99));
    if !allowed {
        eprintln!("left out: only root may mount");
    }
    allowed.then_some(output)
}

#[test]
fn a_disk_that_is_full_from_the_start() {
    let place = Place::new();
    let line = "head -c 2m /dev/zero > disk/fill; $BAROGRAPH run -i 20ms -w 50ms -o disk/run -- sh -c 'echo out; sleep 0.2; exit 5'";
    let Some(output) = shell_that_mounts(&place, &format!("{line}; code=$?; ls -d disk/run* >&2; exit $code")) else { return };
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(5), "out\n"), "{said}");
    assert!(said.contains("nothing was recorded") && said.contains("make room") && said.contains("exit 5"), "{said}");
    assert!(said.contains("cannot access"), "something was left behind: {said}");
}

#[test]
fn a_disk_that_fills_while_the_job_runs() {
    let place = Place::new();
    // Not before there is something to keep, and room put aside for the end.
    let job = "until [ -s disk/run.baro/.reserve ]; do sleep 0.02; done; head -c 2m /dev/zero > disk/fill; sleep 0.5; echo out; exit 5";
    let line = format!("$BAROGRAPH run -q -i 20ms -w 50ms -o disk/run -- sh -c '{job}'; code=$?; cp -r disk/run.baro kept; exit $code");
    let Some(output) = shell_that_mounts(&place, &line) else { return };
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(5), "out\n"), "{said}");
    assert!(said.contains("disk/run.baro/") && said.contains("make room"), "{said}");
    let timeline = Timeline::open(place.path("kept")).unwrap();
    assert!(timeline.damaged().is_empty() && rows(&timeline, "job").unwrap().len() > 1);
    // The end fits where the reserve was, and says until when there is anything.
    assert_eq!(timeline.state(), State::Ended);
    let report = text(&finish(place.barograph(["report", "kept"])).stdout);
    assert!(report.contains("write error") && report.contains("make room"), "{report}");
}

#[test]
fn a_disk_that_becomes_read_only_while_the_job_runs() {
    let place = Place::new();
    let job = "until [ -e disk/run.baro/job/000000.parquet ]; do sleep 0.02; done; \
               until mount -o remount,ro disk 2> busy; do sleep 0.01; done; sleep 0.3; echo out; exit 5";
    let Some(output) = shell_that_mounts(&place, &format!("$BAROGRAPH run -q -i 20ms -w 50ms -o disk/run -- sh -c '{job}'")) else { return };
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(5), "out\n"), "{said}");
    assert!(said.contains("disk/run.baro/") && said.contains("record to a folder that you may write"), "{said}");
}

#[test]
fn a_folder_that_may_not_be_written() {
    let place = Place::new();
    let line = "mount -o remount,ro disk; cd disk; $BAROGRAPH run -- sh -c 'echo out; exit 5'";
    let Some(output) = shell_that_mounts(&place, line) else { return };
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(5), "out\n"), "{said}");
    assert!(said.contains("nothing was recorded") && said.contains("-o"), "{said}");
}

#[test]
fn files_may_not_be_large() {
    // The kernel's answer to a write beyond the limit is a signal that ends whoever wrote.
    for blocks in [0, 1, 4, 16] {
        let place = Place::new();
        let output = shell(&place, &format!("ulimit -f {blocks}; exec $BAROGRAPH run -q -i 10ms -w 50ms -o run -- sh -c 'sleep 0.4; exit 5'"));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{blocks}: {said}");
        assert!(said.contains("File too large") && said.contains("run.baro/"), "{blocks}: {said}");
    }
}

#[test]
fn files_may_not_be_many() {
    let mut recorded = 0;
    // Below, the loader does not even find our libraries.
    for most in [5, 6, 10, 16, 24, 27, 28, 29, 30, 32, 40, 64] {
        let place = Place::new();
        // The job has what it would have: as many descriptors, and no signal blocked.
        let job = format!(
            "{} -c 'import resource, time; print(resource.getrlimit(7)[1], [line for line in open(\"/proc/self/status\") if \"SigBlk\" in line]); \
             time.sleep(0.1); exit(5)'",
            python()
        );
        let output = shell(&place, &format!("ulimit -n {most}; exec $BAROGRAPH run -q -i 10ms -w 30ms -o run -- {job}"));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{most}: {said}");
        assert_eq!(text(&output.stdout), format!("{most} ['SigBlk:\\t0000000000000000\\n']\n"), "{said}");
        match Timeline::open(place.path("run.baro")) {
            Ok(timeline) => assert!(timeline.damaged().is_empty(), "{most}"),
            Err(_) => assert!(said.contains("nothing was recorded: ") && said.contains("Too many open files"), "{most}: {said}"),
        }
        recorded += u32::from(said.is_empty());
    }
    assert!(recorded > 0, "64 descriptors must be enough");
}

#[test]
fn descriptors_run_out_while_the_job_runs() {
    let place = Place::new();
    let job = "until [ -e run.baro/job/000000.parquet ]; do sleep 0.02; done; prlimit --pid $PPID --nofile=4:4; sleep 0.4; exit 5";
    let ran = place.run(&["-i", "20ms", "-w", "50ms"], &["sh", "-c", job]);
    assert_eq!(ran.code(), 5, "{}", ran.stderr());
    assert!(ran.stderr().contains("Too many open files"), "{}", ran.stderr());
    let timeline = Timeline::open(&ran.recording).unwrap();
    assert!(timeline.damaged().is_empty() && rows(&timeline, "job").unwrap().len() > 1);
}

/// What is said under a limit of so many KiB of address space, where there is room for our program and its libraries; where there is none, nobody can help.
/// The status is the job's.
pub(crate) fn with_memory(kibibytes: u32, preload: &str) -> Option<String> {
    let place = Place::new();
    let output = shell(
        &place,
        &format!(
            "ulimit -v {kibibytes}; export LD_PRELOAD={preload}; exec $BAROGRAPH run -q -i 10ms -w 30ms -o run -- sh -c 'echo ran >> ran; sleep 0.1; exit 5'"
        ),
    );
    let said = text(&output.stderr);
    // The kernel kills where it finds no room for a program, and the loader complains of a library, by the program's path, or of its own memory.
    let by_loader = output.status.code() == Some(127) && !said.starts_with("barograph: ");
    if by_loader || output.status.signal() == Some(libc::SIGSEGV) && said.is_empty() {
        return None;
    }
    assert_eq!(output.status.code(), Some(5), "{kibibytes}: {said}");
    assert_eq!(fs::read_to_string(place.path("ran")).unwrap(), "ran\n", "{kibibytes}: {said}");
    // Memory may also be at its end just when the recording has been made, and nobody knows of it yet.
    if let Ok(timeline) = Timeline::open(place.path("run.baro")) {
        assert!(timeline.damaged().is_empty(), "{kibibytes}");
        let why = notices(&timeline);
        assert!(
            why.len() <= 1 && why.iter().all(|why| said.contains(&format!("{why}: nothing is recorded from here on"))),
            "{kibibytes}: {why:?} {said}"
        );
    }
    Some(said)
}

/// What the recorder has noted about its failure.
fn notices(timeline: &Timeline) -> Vec<&str> {
    let failed = |notice: &&Notice| notice.name == "recorder_failed";
    timeline.facts().notices.iter().filter(failed).map(|notice| notice.detail.as_str()).collect()
}

#[test]
fn memory_is_scarce_from_the_start() {
    const STEP: usize = 500;
    let (mut first, mut without, mut enough) = (None, 0, 0);
    // From where the loader finds no room for our program to where nothing is missing, wherever that is.
    for kibibytes in (20_000..200_000).step_by(STEP) {
        if let Some(said) = with_memory(kibibytes, "") {
            first.get_or_insert(kibibytes);
            without += u32::from(said.contains("there is no memory"));
            enough = if said.is_empty() { enough + 1 } else { 0 };
        }
        if enough == 3 {
            break;
        }
    }
    assert!(without > 0 && enough == 3, "memory was never scarce, or always");
    // Where it is too little for what Rust's runtime, the arguments, or a thread need.
    let first = first.unwrap();
    for kibibytes in (first - STEP as u32..first + 500).step_by(20) {
        with_memory(kibibytes, "");
    }
}

/// Runs a job that takes all memory from the recorder once something is on disk, keeps it busy until it says so, and then goes on as it is told.
fn without_memory(place: &Place, then: &str) -> Ran {
    // Less than it has, again and again: whatever it gives back, it does not get again. Of its data, as a heap that it has put aside is address space already.
    let limit = "prlimit --pid $PPID --data=$(awk '/VmData/ { print ($2 - 1024) * 1024 }' /proc/$PPID/status)";
    let job = format!("until [ -e run.baro/job/000000.parquet ]; do sleep 0.02; done; until grep -q 'no memory left' said; do {limit}; done; {then}");
    let line = "exec $BAROGRAPH run -q -i 5ms -w 50ms --processes all -o run -- sh -c \"$JOB\" 2> said";
    let mut command = place.command("bash");
    command.args(["-c", line]).env("BAROGRAPH", BAROGRAPH).env("JOB", job);
    Ran { output: finish(command), recording: place.path("run.baro") }
}

#[test]
fn memory_runs_out_while_the_job_runs() {
    let place = Place::new();
    assert_eq!(without_memory(&place, "sleep 0.3; exit 5").code(), 5);
    let timeline = Timeline::open(place.path("run.baro")).unwrap();
    assert_eq!((timeline.state(), timeline.damaged().len()), (State::Interrupted, 0));
    let why = notices(&timeline);
    assert!(why.len() == 1 && why[0].contains("no memory left"), "{why:?}");
    assert!(rows(&timeline, "job").unwrap().len() > 1);
}

#[test]
fn without_memory_signals_still_reach_the_job_and_its_tree_is_waited_for() {
    let place = Place::new();
    let then = "trap '(sleep 0.5; echo late > late) & exit 5' USR1; echo $PPID > ready; while :; do sleep 0.1; done";
    let ran = thread::scope(|scope| {
        // Not by the job itself: what it says to its own group does not come back to it.
        scope.spawn(|| send(written(&place.path("ready")).trim().parse().unwrap(), Signal::USR1));
        without_memory(&place, then)
    });
    assert_eq!(ran.code(), 5);
    assert!(place.path("late").exists(), "what it left behind was not waited for");
}

#[test]
fn processes_may_not_be_many() {
    for most in [1, 2, 3] {
        let Some(group) = Group::new("pids") else { return };
        group.set("pids.max", &most.to_string());
        let place = Place::new();
        // A job that starts nobody.
        let job = format!("{} -c 'import time; time.sleep(0.2); exit(5)'", python());
        let output = shell(&place, &format!("{}; exec $BAROGRAPH run -q -i 20ms -w 50ms -o run -- {job}", group.enter()));
        drop(group);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{most}: {said}");
        if most == 1 {
            assert!(said.contains("nothing was recorded: there is no room for a process"), "{said}");
        } else {
            assert!(rows(&ended(&place.path("run.baro")), "job").unwrap().len() >= 2, "{most}: {said}");
        }
    }
}

#[test]
fn the_recorder_is_never_of_the_job() {
    let place = Place::new();
    // Attached to the shell that started it, it is a descendant of its own job.
    let line = "echo $$ > pid; $BAROGRAPH attach $$ -q -i 20ms --duration 400ms -o run & echo $! > recorder; wait $!; exit $?";
    let output = shell(&place, line);
    let timeline = Ran { output, recording: place.path("run.baro") }.timeline();
    let recorder: i64 = std::fs::read_to_string(place.path("recorder")).unwrap().trim().parse().unwrap();
    assert_eq!(timeline.facts().recorder.pid, recorder as u64);
    for table in ["process", "processes"] {
        let pids = rows(&timeline, table).unwrap().ints("pid");
        assert!(!pids.is_empty() && !pids.contains(&Some(recorder)), "{table}: {pids:?}");
    }
    let job = rows(&timeline, "job").unwrap();
    let counts: Vec<i64> = job.ints("processes").into_iter().flatten().collect();
    assert!(!counts.is_empty() && counts.iter().all(|count| *count == 1), "{counts:?}");
    let own = rows(&timeline, "own").unwrap().ints("resident_bytes").into_iter().flatten().max().unwrap();
    let totals = timeline.facts().end.clone().unwrap().totals;
    assert!(totals.peak_resident_bytes.unwrap() < own as u64 && totals.peak_process_resident_bytes.unwrap() < own as u64, "{totals:?}, we had {own}");
}

#[test]
fn a_recording_of_the_machine_has_no_job() {
    let place = Place::new();
    let output = finish(place.barograph(["record", "-q", "-i", "50ms", "--duration", "300ms", "-o", "run"]));
    let timeline = Ran { output, recording: place.path("run.baro") }.timeline();
    assert!(rows(&timeline, "job").is_none_or(|job| job.is_empty()), "whose job?");
    assert_eq!(timeline.facts().end.clone().unwrap().totals.peak_resident_bytes, None);
}
