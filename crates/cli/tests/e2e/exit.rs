//! The exit status is the job's, whatever becomes of the recording.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Place, copy_program, ended, finish};

/// How the job's root process ended, as the recording has it: exit status, signal.
fn recorded_exit(place: &Place) -> (Option<i32>, Option<i32>) {
    let exit = ended(&place.path("run.baro")).facts().end.clone().unwrap().exit.unwrap();
    (exit.code, exit.signal)
}

#[test]
fn statuses_are_the_jobs() {
    for code in [0, 1, 3, 127, 128, 255] {
        let place = Place::new();
        let ran = place.run(&[], &["sh", "-c", &format!("exit {code}")]);
        assert_eq!((ran.code(), ran.stderr().as_str()), (code, ""));
        assert_eq!(recorded_exit(&place), (Some(code), None));
    }
}

#[test]
fn signals_are_told_as_shells_do() {
    for (name, number) in [("SEGV", 11), ("KILL", 9), ("TERM", 15), ("INT", 2), ("PIPE", 13)] {
        let place = Place::new();
        let ran = place.run(&[], &["sh", "-c", &format!("kill -{name} $$")]);
        assert_eq!(ran.code(), 128 + number, "{name}");
        assert_eq!(recorded_exit(&place), (None, Some(number)));
    }
}

#[test]
fn a_command_that_is_not_there_is_127() {
    let place = Place::new();
    for command in ["no-such-program", "./no-such-file", "/no/such/folder/program"] {
        let ran = place.run(&[], &[command]);
        assert_eq!(ran.code(), 127);
        assert!(ran.stderr().contains(command), "{}", ran.stderr());
        assert!(!ran.recording.exists(), "there was nothing to record");
    }
}

#[test]
fn a_command_that_cannot_be_executed_is_126() {
    let place = Place::new();
    fs::write(place.path("plain"), "echo never\n").unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    for command in ["./plain", "./folder", "./plain/below"] {
        let ran = place.run(&[], &[command]);
        assert_eq!(ran.code(), 126, "{command}: {}", ran.stderr());
        assert!(ran.stdout().is_empty() && ran.stderr().contains(command), "{}", ran.stderr());
    }
}

#[test]
fn a_script_without_a_first_line_is_the_shells() {
    let place = Place::new();
    fs::write(place.path("text"), "echo \"$0 $1\"\nexit 7\n").unwrap();
    copy_program(place.path("text"), place.path("script"));
    fs::set_permissions(place.path("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let ran = place.run(&[], &["./script", "one two"]);
    assert_eq!((ran.code(), ran.stdout().as_str()), (7, "./script one two\n"));
}

#[test]
fn a_recording_that_fails_is_not_the_jobs_failure() {
    let place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    // A file where a folder is needed, and a folder in which nobody can write, root included.
    for output in ["file/run", "/proc/run"] {
        let output = finish(place.barograph(["run", "-o", output, "--", "sh", "-c", "echo out; exit 3"]));
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stdout, b"out\n");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("nothing was recorded") && said.contains("exit 3"), "{said}");
    }
}

#[test]
fn a_folder_that_vanishes_is_not_the_jobs_failure() {
    let place = Place::new();
    let ran = place.run(&["-w", "50ms", "-i", "20ms"], &["sh", "-c", "rm -r run.baro; sleep 0.3; exit 4"]);
    assert_eq!(ran.code(), 4);
    assert!(!ran.stderr().is_empty(), "something must be said even with -q");
}

#[test]
fn mistakes_of_ours_are_told_before_the_job_starts() {
    let place = Place::new();
    for wrong in [["-i", "0"], ["-i", "soon"], ["--processes", "top:x"], ["--until", "later"], ["--processes", "user:no-such-user"]] {
        let ran = place.run(&wrong, &["touch", "started"]);
        assert_ne!(ran.code(), 0);
        assert!(!ran.stderr().is_empty() && !place.path("started").exists(), "{wrong:?}");
    }
}

#[test]
fn where_nothing_can_be_recorded_the_job_runs_all_the_same() {
    let place = Place::new();
    let ran = place.run(&["--proc-root", "no-such-folder"], &["sh", "-c", "echo ran; exit 7"]);
    assert_eq!((ran.code(), ran.stdout().as_str()), (7, "ran\n"));
    assert!(ran.stderr().contains("no-such-folder"), "{}", ran.stderr());
    assert_eq!(place.run(&["--proc-root", "no-such-folder"], &["no-such-program"]).code(), 127);
}
