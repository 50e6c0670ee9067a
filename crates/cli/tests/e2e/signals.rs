//! Signals reach the job once, and end the recording cleanly.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use barograph_store::{State, Timeline};
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

use crate::harness::{BAROGRAPH, Place, Ran, ended, eventually, finish, job, output_of, python, rows, send, text, written};

/// Starts a command and waits until its job says that it is ready.
fn start(mut command: Command) -> Child {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // One byte at a time, so that what comes after stays in the pipe.
    let mut stdout = BufReader::with_capacity(1, child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child.stdout = Some(stdout.into_inner());
    child
}

/// Signals by which somebody, or a batch system, speaks to a job.
const SPOKEN: [&str; 14] = [
    "SIGTERM",
    "SIGINT",
    "SIGHUP",
    "SIGQUIT",
    "SIGUSR1",
    "SIGUSR2",
    "SIGWINCH",
    "SIGALRM",
    "SIGVTALRM",
    "SIGPROF",
    "SIGXCPU",
    "SIGIO",
    "SIGPWR",
    "SIGRTMIN",
];

fn counts(names: &[&str]) -> String {
    let counts: BTreeMap<&str, u32> = names.iter().map(|name| (*name, 1)).collect();
    serde_json::to_string(&counts).unwrap().replace(',', ", ").replace(':', ": ")
}

/// How often each signal came to the job that was sent to us.
fn heard(names: &[&str]) -> String {
    let place = Place::new();
    let child = start(place.run_command(&[], &[&[python(), &job("signals.py")], names].concat()));
    for name in names {
        let output = place.command("sh").args(["-c", &format!("kill -{} {}", name.trim_start_matches("SIG"), child.id())]).output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
    }
    let output = output_of(child);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert_eq!(ended(&place.path("run.baro")).facts().end.as_ref().unwrap().exit.unwrap().code, Some(5));
    text(&output.stdout).trim_end().to_owned()
}

#[test]
fn each_signal_reaches_the_job_once() {
    assert_eq!(heard(&SPOKEN), counts(&SPOKEN));
    // By themselves, as the kernel forgets a stop that waits when it is to continue.
    for name in ["SIGTSTP", "SIGTTIN", "SIGCONT"] {
        assert_eq!(heard(&[name]), counts(&[name]));
    }
}

#[test]
fn control_c_reaches_the_job_once() {
    let place = Place::new();
    for (keys, expected) in [(r"\x03", "SIGINT"), (r"\x1c", "SIGQUIT")] {
        let mut terminal = place.command(python());
        terminal.arg(job("terminal.py")).arg(keys);
        terminal.args([BAROGRAPH, "run", "-q", "-o", "run", "--force", "--", python(), &job("signals.py"), expected]);
        let output = finish(terminal);
        let shown = text(&output.stdout);
        assert!(shown.trim_end().ends_with(&counts(&[expected])), "{shown}");
        assert_eq!(output.status.code(), Some(5), "{shown}");
        ended(&place.path("run.baro"));
    }
}

#[test]
fn who_signals_his_own_group_is_not_signalled_again() {
    // `kill 0` in a script: we are of the group, and must not hand the job its own signal back.
    let place = Place::new();
    let code = "
import os, signal, time
got = []
signal.signal(signal.SIGTERM, lambda *_: got.append(1))
time.sleep(0.3)
os.kill(0, signal.SIGTERM)
time.sleep(0.3)
print(len(got))
";
    // A group of its own, so that the test is not in it.
    let mut session = place.command("setsid");
    session.args(["--wait", BAROGRAPH, "run", "-q", "-i", "20ms", "-o", "run", "--", python(), "-c", code]);
    let output = finish(session);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("1\n", Some(0)));
}

#[test]
fn an_alarm_that_was_set_before_us_is_the_jobs() {
    // `perl -e 'alarm 5; exec @ARGV'`: the timer survives execve(2), and would end us and leave the job behind.
    let place = Place::new();
    let code = "import os, signal, sys; signal.setitimer(signal.ITIMER_REAL, 2); os.execvp(sys.argv[1], sys.argv[1:])";
    let mut launcher = place.command(python());
    launcher.args(["-c", code, BAROGRAPH, "run", "-q", "-o", "run", "--", "sleep", "25"]);
    assert_eq!(finish(launcher).status.code(), Some(128 + 14));
    assert_eq!(ended(&place.path("run.baro")).facts().end.as_ref().unwrap().exit.unwrap().signal, Some(14));
}

#[test]
fn what_was_to_be_ignored_does_not_end_a_recording() {
    let place = Place::new();
    let mut nohup = place.command("nohup");
    nohup.args([BAROGRAPH, "record", "-q", "--processes", "none", "-o", "run"]);
    let recorder = nohup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the recording", || place.path("run.baro/recording.json").exists().then_some(()));
    // Both may wait to be heard at once: then the one with the lower number is heard first.
    send(recorder.id(), Signal::HUP);
    send(recorder.id(), Signal::TERM);
    assert_eq!(output_of(recorder).status.code(), Some(0));
    assert_eq!(ended(&place.path("run.baro")).facts().end.as_ref().unwrap().reason, "signal 15");
}

#[test]
fn a_signal_to_us_ends_the_job_and_completes_the_recording() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let place = Place::new();
        // An interval that nobody waits for.
        let child = start(place.run_command(&["-i", "1h", "-w", "1h", "--no-dense-start"], &["sh", "-c", "echo ready; exec sleep 300"]));
        send(child.id(), signal);
        let output = output_of(child);
        assert_eq!(output.status.code(), Some(128 + signal.as_raw()));
        let timeline = ended(&place.path("run.baro"));
        assert_eq!(timeline.facts().end.as_ref().unwrap().exit.unwrap().signal, Some(signal.as_raw()));
        assert!(timeline.table("job").unwrap().rows >= 1);
    }
}

#[test]
fn what_the_job_left_behind_is_ended_with_us() {
    let place = Place::new();
    let child = start(place.run_command(&["-i", "20ms", "-w", "50ms"], &["sh", "-c", "sleep 300 & echo ready; exit 3"]));
    // The command has ended, its child lives on as ours: now the signal is for us, and the child gets it too.
    eventually("the orphan in the recording", || {
        let timeline = Timeline::open(place.path("run.baro")).ok()?;
        let lives = rows(&timeline, "processes")?;
        let orphan = lives.ints("parent_pid").into_iter().zip(lives.texts("name")).any(|life| life == (Some(child.id().into()), Some("sleep")));
        orphan.then_some(())
    });
    send(child.id(), Signal::TERM);
    let output = output_of(child);
    let ran = Ran { output, recording: place.path("run.baro") };
    assert_eq!(ran.code(), 3, "the command's own status stays");
    let timeline = ended(&ran.recording);
    assert_eq!(timeline.facts().end.as_ref().unwrap().reason, format!("signal {}", Signal::TERM.as_raw()));
    assert_eq!(timeline.state(), State::Ended);
}

#[test]
fn one_signal_ends_the_whole_tree() {
    // The shell dies of it at once and tells nobody; what it left behind must not keep us, nor live on.
    let place = Place::new();
    let child = start(place.run_command(&["-i", "1h", "--no-dense-start"], &["sh", "-c", "sleep 25 & echo $! > pid; echo ready; wait"]));
    let left: u32 = written(&place.path("pid")).trim().parse().unwrap();
    send(child.id(), Signal::TERM);
    assert_eq!(output_of(child).status.code(), Some(128 + 15));
    assert!(!Path::new(&format!("/proc/{left}")).exists(), "it lives on");
    assert_eq!(ended(&place.path("run.baro")).facts().end.as_ref().unwrap().reason, "signal 15");
}

#[test]
fn who_needs_a_while_to_end_is_waited_for() {
    let place = Place::new();
    // It holds none of our streams, whose end we would wait for here in any case.
    let slow = "trap 'sleep 0.5; echo saved > saved; exit' TERM; echo ready; exec > slow 2>&1; while :; do sleep 0.02; done";
    let child = start(place.run_command(&["-i", "20ms", "-w", "50ms"], &["sh", "-c", &format!("sh -c \"{slow}\" & exit 3")]));
    eventually("the end of the command in the recording", || {
        let events = rows(&Timeline::open(place.path("run.baro")).ok()?, "events")?;
        events.texts("name").contains(&Some("exited")).then_some(())
    });
    send(child.id(), Signal::TERM);
    let output = output_of(child);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(place.path("saved").exists(), "we were gone before the child");
    ended(&place.path("run.baro"));
}

#[test]
fn a_batch_system_that_kills_after_its_grace_leaves_what_was_read() {
    // SIGCONT and SIGTERM, then SIGKILL to all, as Slurm does; the job does not listen, and nothing would have been written for an hour.
    let place = Place::new();
    let child =
        start(place.run_command(&["-i", "50ms", "-w", "1h"], &["sh", "-c", "trap '' TERM; echo $$ > pid; echo ready; while :; do sleep 0.02; done"]));
    let job: u32 = written(&place.path("pid")).trim().parse().unwrap();
    thread::sleep(Duration::from_millis(300));
    for signal in [Signal::CONT, Signal::TERM] {
        send(child.id(), signal);
        send(job, signal);
    }
    let asked = now_nanos();
    // Batch systems wait for half a minute; here it is as long as it takes.
    eventually("a row of the grace", || {
        let read = rows(&Timeline::open(place.path("run.baro")).ok()?, "job")?;
        (*read.monotonic().last()? > asked).then_some(())
    });
    send(child.id(), Signal::KILL);
    send(job, Signal::KILL);
    output_of(child);
    let timeline = Timeline::open(place.path("run.baro")).unwrap();
    assert_eq!((timeline.state(), timeline.damaged().len()), (State::Interrupted, 0));
}

/// The clock of the rows.
fn now_nanos() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
