//! Programs of people, at a terminal: pagers, editors, prompts, progress bars, job control, and a terminal that hangs up.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{BAROGRAPH, Place, ended, finish_with_input, is_there, job, python, written};

/// What somebody types, after what.
pub(crate) type Steps<'a> = &'a [(&'a str, Value)];

/// A shell with job control.
pub(crate) const INTERACTIVE: [&str; 4] = ["bash", "--norc", "--noprofile", "-i"];

/// Runs a command at a terminal, and returns what it showed and its exit status. The command leads the session, or a shell does.
pub(crate) fn at_terminal(place: &Place, leads: bool, command: &[String], steps: Steps<'_>) -> (String, i64) {
    let mut typist = place.command(python());
    typist.arg(job("typist.py"));
    let orders = json!({ "command": command, "steps": steps, "leads": leads });
    let output = finish_with_input(typist, Some(orders.to_string().into_bytes()));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert!(said["missing"].is_null(), "{command:?} did not show {}: {said:#}", said["missing"]);
    (said["shown"].as_str().unwrap().to_owned(), said["status"].as_i64().unwrap())
}

fn recorded(command: &[&str]) -> Vec<String> {
    let ours = [BAROGRAPH, "run", "-q", "-i", "50ms", "-o", "run", "--force", "--"];
    ours.iter().chain(command).map(|word| (*word).to_owned()).collect()
}

/// The command alone and as we run it, which must show the same, byte for byte, and end in the same way. Returns what was shown.
fn the_same(place: &Place, command: &[&str], steps: Steps<'_>) -> (String, i64) {
    let alone: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    let [alone, ours] = [alone, recorded(command)].map(|command| at_terminal(place, false, &command, steps));
    assert_eq!(alone, ours);
    ended(&place.path("run.baro"));
    ours
}

#[test]
fn the_surroundings_are_the_same_and_a_new_size_is_told_once() {
    let place = Place::new();
    let (shown, status) = the_same(&place, &[python(), &job("resized.py")], &[("ready\r\n", json!({ "size": [40, 120] }))]);
    assert!(shown.contains("group True session True") && shown.contains("size (80, 24)"), "{shown}");
    assert!(shown.contains("changes [(120, 40)]"), "{shown}");
    assert_eq!(status, 0);
}

#[test]
fn a_pager_pages() {
    if !is_there("less") {
        return;
    }
    let place = Place::new();
    let lines: Vec<String> = (1..=100).map(|number| format!("line {number}")).collect();
    fs::write(place.path("text"), lines.join("\n") + "\n").unwrap();
    let (shown, status) = the_same(&place, &["less", "text"], &[("line 23\\b", json!(" ")), ("line 46\\b", json!("G")), ("line 100\\b", json!("q"))]);
    assert!(!shown.contains("line 60\r"), "pages were left out: {shown}");
    assert_eq!(status, 0);
}

#[test]
fn an_editor_edits() {
    if !is_there("vi") {
        return;
    }
    for command in [vec!["vi".to_owned(), "text".to_owned()], recorded(&["vi", "text"])] {
        let place = Place::new();
        fs::write(place.path("text"), "first\n").unwrap();
        let steps = [("first", json!("osecond\u{1b}")), ("second", json!(":wq\r"))];
        assert_eq!(at_terminal(&place, false, &command, &steps).1, 0);
        assert_eq!(fs::read_to_string(place.path("text")).unwrap(), "first\nsecond\n", "{command:?}");
    }
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let place = Place::new();
    let code = "import getpass; word = getpass.getpass('Secret: '); print('it has', len(word))";
    let (shown, _) = the_same(&place, &[python(), "-c", code], &[("Secret: ", json!("open sesame\r"))]);
    assert!(shown.contains("it has 11") && !shown.contains("sesame"), "{shown}");
}

#[test]
fn a_progress_bar_moves() {
    let place = Place::new();
    let code = "
import sys, time
for done in range(0, 101, 25):
    end = '\\r' if sys.stderr.isatty() else '\\n'
    print(f'{done:3} %', end=end, file=sys.stderr, flush=True)
    time.sleep(0.02)
print()
";
    let (shown, _) = the_same(&place, &[python(), "-c", code], &[]);
    assert_eq!(shown, "  0 %\r 25 %\r 50 %\r 75 %\r100 %\r\r\n");
}

#[test]
fn a_terminal_that_hangs_up_ends_the_job_as_it_would_alone() {
    // As under `ssh -t host barograph run -- job` whose connection is lost: we lead the session, and the kernel tells nobody else.
    let code = "
import os, signal, sys, time
signal.signal(signal.SIGHUP, lambda *_: (open('told', 'a').write('hung up\\n'), sys.exit(9)))
print('ready', flush=True)
time.sleep(20)
open('told', 'a').write('nobody told me\\n')
";
    for command in [vec![python().to_owned(), "-c".to_owned(), code.to_owned()], recorded(&[python(), "-c", code])] {
        let place = Place::new();
        let (_, status) = at_terminal(&place, true, &command, &[("ready\r\n", json!({ "hang up": true }))]);
        assert_eq!((written(&place.path("told")).as_str(), status), ("hung up\n", 9), "{command:?}");
    }
}

#[test]
fn a_job_that_stops_itself_gives_the_terminal_back() {
    // As `ssh` does at ~^Z: nobody but the job is sent the signal.
    let place = Place::new();
    let code = "import os, signal; print('begun', flush=True); os.kill(os.getpid(), signal.SIGTSTP); print('taken up', flush=True)";
    fs::write(place.path("job.py"), code).unwrap();
    let line = format!("{BAROGRAPH} run -q -i 50ms -o run -- {} job.py; echo status=$?\r", python());
    let steps = [("ready> ", json!(line)), ("Stopped[^$]*ready> ", json!("fg\r")), ("taken up\r\n.*ready> ", json!("exit 3\r"))];
    let (shown, status) = at_terminal(&place, true, &INTERACTIVE.map(str::to_owned), &steps);
    assert_eq!(status, 3, "{shown}");
    assert_eq!(ended(&place.path("run.baro")).facts().end.clone().unwrap().exit.unwrap().code, Some(0));
}

#[test]
fn a_job_that_does_not_stop_keeps_the_terminal() {
    // Ctrl-Z is the job's to ignore: we must not give the terminal away under it. Should the job end before we hear of Ctrl-Z, that is ours.
    let place = Place::new();
    let code = "
import os, select, signal, time
# A handler of Python's waits for the end of what Python does, and that may be to read. This pipe is told at once.
told, tell = os.pipe()
os.set_blocking(tell, False)
signal.set_wakeup_fd(tell)
signal.signal(signal.SIGTSTP, lambda *_: None)
while not os.path.exists('run.baro/recording.json'):
    time.sleep(0.01)
os.write(1, b'ready\\n')
while 0 not in select.select([0, told], [], [])[0]:
    os.read(told, 1)
    os.write(1, b'not me\\n')
print('typed', input(), flush=True)
";
    fs::write(place.path("job.py"), code).unwrap();
    let line = format!("{BAROGRAPH} run -q -i 50ms -o run -- {} job.py; echo status=$?\r", python());
    let steps =
        [("ready> ", json!(line)), ("ready\r\n", json!("\u{1a}")), ("not me\r\n", json!("word\r")), ("typed word\r\nstatus=0\r\n", json!("exit\r"))];
    at_terminal(&place, true, &INTERACTIVE.map(str::to_owned), &steps);
}

#[test]
fn what_is_summed_up_does_not_stop_a_background_job() {
    // With `stty tostop`, who writes from the background is stopped. The job writes nothing.
    let place = Place::new();
    let line = format!("stty tostop; {BAROGRAPH} run -o run -- sleep 0.2 & wait $!; echo status=$?\r");
    let steps = [("ready> ", json!(line)), ("recorded in[^$]*status=0\r\n", json!("exit\r"))];
    at_terminal(&place, true, &INTERACTIVE.map(str::to_owned), &steps);
}

#[test]
fn the_typist_hears() {
    // Else the comparisons above compare nothing.
    let words = ["sh", "-c", "echo said; exit 4"].map(str::to_owned);
    assert_eq!(at_terminal(&Place::new(), false, &words, &[("said", json!(""))]), ("said\r\n".to_owned(), 4));
}
