//! Signals reach the job once, and end the recording cleanly.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use barograph_store::{State, Timeline};
use rustix::process::Signal;

use crate::harness::{BAROGRAPH, Place, Ran, ended, eventually, finish, job, output_of, python, rows, send, text};

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

#[test]
fn each_signal_reaches_the_job_once() {
    let place = Place::new();
    let signals = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH];
    let child = start(place.run_command(&[], &[python(), &job("signals.py"), &signals.len().to_string()]));
    for signal in signals {
        send(child.id(), signal);
    }
    let output = output_of(child);
    let expected = r#"{"SIGHUP": 1, "SIGINT": 1, "SIGQUIT": 1, "SIGTERM": 1, "SIGUSR1": 1, "SIGUSR2": 1, "SIGWINCH": 1}"#;
    assert_eq!((text(&output.stdout).trim_end(), output.status.code()), (expected, Some(5)));
    assert_eq!(ended(&place.path("run.baro")).facts().end.as_ref().unwrap().exit.unwrap().code, Some(5));
}

#[test]
fn control_c_reaches_the_job_once() {
    let place = Place::new();
    for (keys, expected) in [(r"\x03", r#"{"SIGINT": 1}"#), (r"\x1c", r#"{"SIGQUIT": 1}"#)] {
        let mut terminal = place.command(python());
        terminal.arg(job("terminal.py")).arg(keys);
        terminal.args([BAROGRAPH, "run", "-q", "-o", "run", "--force", "--", python(), &job("signals.py"), "1"]);
        let output = finish(terminal);
        let shown = text(&output.stdout);
        assert!(shown.trim_end().ends_with(expected), "{shown}");
        assert_eq!(output.status.code(), Some(5), "{shown}");
        ended(&place.path("run.baro"));
    }
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
