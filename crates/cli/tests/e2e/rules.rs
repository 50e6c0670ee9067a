//! Labels without a change to the program: `--mark-on` and `--span-on`, on the job's own output and on files that grow.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use barograph_store::{Facts, Timeline};
use rustix::process::Signal;
use serde_json::json;

use crate::harness::{BAROGRAPH, Place, ended, eventually, finish, job, output_of, python, rows, send, text};
use crate::terminal::{INTERACTIVE, at_terminal};

/// What rules have marked.
fn marks(timeline: &Timeline) -> Vec<String> {
    let Some(frame) = rows(timeline, "events") else { return Vec::new() };
    let by = frame.texts("by");
    frame.texts("name").into_iter().zip(by).filter(|(_, by)| *by == Some("rule")).map(|(name, _)| name.unwrap().to_owned()).collect()
}

#[test]
fn lines_are_marked_and_the_output_arrives_as_it_was() {
    let place = Place::new();
    let code = r#"
import os, random, sys
noise = random.Random(7).randbytes(3_000_000)
for place in range(0, len(noise), 100_000):
    os.write(1, noise[place:place + 100_000])
os.write(1, b'\nepoch 1\n'); os.write(2, b'\x1b[31mError\x1b[0m: no\n'); os.write(2, noise[:500_000])
os.write(1, b'epoch 2')
assert not os.isatty(1) and not os.isatty(2)
"#;
    let alone = {
        let mut command = place.command(python());
        command.args(["-c", code]);
        finish(command)
    };
    let ran = place.run_python(&["--mark-on", r"epoch (?<epoch>\d+)", "--mark-on", "^Error: .*"], code);
    assert!(ran.output.stdout == alone.stdout && ran.output.stderr == alone.stderr, "{} {}", ran.stdout().len(), ran.stderr().len());
    let timeline = ran.timeline();
    let mut found = marks(&timeline);
    found.sort();
    assert_eq!(found, ["Error: no", "epoch 1", "epoch 2"]);
    let frame = rows(&timeline, "events").unwrap();
    let row = frame.texts("name").iter().position(|name| *name == Some("epoch 1")).unwrap();
    let root = timeline.facts().root.unwrap().pid;
    assert_eq!((frame.texts("attributes")[row], frame.ints("pid")[row]), (Some(r#"{"epoch":1}"#), Some(root.cast_signed())));
}

#[test]
fn a_mark_has_the_time_of_its_line() {
    let place = Place::new();
    let code = "
import time
for name in 'abc':
    print('now', name, time.time_ns(), flush=True)
    time.sleep(0.15)
";
    let timeline = place.run_python(&["--mark-on", r"now (?<name>\w) (?<said>\d+)"], code).timeline();
    let frame = rows(&timeline, "events").unwrap();
    let mut seen = 0;
    for (row, attributes) in frame.texts("attributes").into_iter().enumerate() {
        let Some(attributes) = attributes else { continue };
        let said: serde_json::Value = serde_json::from_str(attributes).unwrap();
        let late = frame.times()[row] - said["said"].as_i64().unwrap();
        // A busy machine may be late, but never by the time to the next line and back.
        assert!((-1_000_000..5_000_000_000).contains(&late), "{late}");
        seen += 1;
    }
    assert_eq!((seen, marks(&timeline)), (3, vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
}

#[test]
fn spans_are_made_of_two_lines() {
    let place = Place::new();
    let job = ["printf", "begin a 1\nbegin b 2\nend 1\nbegin c 3\nend 2\n"];
    let timeline = place.run(&["--span-on", r"begin (?<name>\w) (?<n>\d)", r"end (?<n>\d)"], &job).timeline();
    let frame = rows(&timeline, "span_edges").unwrap();
    let (edges, names, spans) = (frame.texts("edge"), frame.texts("name"), frame.texts("span"));
    assert_eq!(names, [Some("a"), Some("b"), None, Some("c"), None]);
    assert_eq!((edges[2], spans[2], spans[4]), (Some("end"), spans[0], spans[1]));
    assert_eq!(frame.texts("by"), [Some("rule"); 5]);
}

#[test]
fn two_streams_into_one_stay_in_order() {
    let place = Place::new();
    let code = "import os\nfor number in range(3000): os.write(1 + number % 2, b'%d\\n' % number)";
    let mut command = place.command("sh");
    command.args(["-c", "exec \"$@\" 2>&1", "sh", BAROGRAPH, "run", "-q", "-o", "run", "--mark-on", "^2999$", "--", python(), "-c", code]);
    let output = finish(command);
    let expected: String = (0..3000).map(|number| format!("{number}\n")).collect();
    assert!(text(&output.stdout) == expected, "{output:?}");
    assert_eq!(marks(&ended(&place.path("run.baro"))), ["2999"]);
}

#[test]
fn a_file_is_written_by_the_job_itself() {
    let place = Place::new();
    fs::write(place.path("out"), "epoch 0\n").unwrap();
    let code = "
import os, stat
print('epoch 1', stat.S_ISREG(os.fstat(1).st_mode), os.lseek(1, 0, os.SEEK_CUR), flush=True)
print('epoch 2')
";
    let mut command = place.run_command(&["--mark-on", r"epoch \d"], &[python(), "-c", code]);
    command.stdout(File::options().append(true).open(place.path("out")).unwrap());
    assert!(command.status().unwrap().success());
    assert_eq!(fs::read_to_string(place.path("out")).unwrap(), "epoch 0\nepoch 1 True 8\nepoch 2\n".replace("True 8", "True 0"));
    assert_eq!(marks(&ended(&place.path("run.baro"))), ["epoch 1", "epoch 2"]);
}

#[test]
fn who_reads_no_more_ends_the_job_as_a_pipe_does() {
    let place = Place::new();
    let mut command = place.command("bash");
    let line = format!("{BAROGRAPH} run -q -o run --mark-on nothing -- yes | head -n 2; echo ${{PIPESTATUS[0]}}");
    command.args(["-c", &line]);
    assert_eq!(text(&finish(command).stdout), "y\ny\n141\n");
    assert_eq!(ended(&place.path("run.baro")).facts().end.clone().unwrap().exit.unwrap().signal, Some(13));
}

#[test]
fn a_recorder_that_dies_breaks_no_output() {
    let place = Place::new();
    let code = "
import os, signal, sys
print('before', flush=True)
os.kill(os.getppid(), signal.SIGKILL)
for number in range(20_000): print('after', number)
sys.stdout.flush()
print('error', file=sys.stderr)
open('done', 'w').write('done')
";
    let mut command = place.run_command(&["--mark-on", "after"], &[python(), "-c", code]);
    // Whoever reads the output waits for its end: that is when the job has ended.
    let output = output_of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(output.status.signal(), Some(9));
    assert!(output.stdout.ends_with(b"after 19999\n") && text(&output.stdout).lines().count() == 20_001, "{}", output.stdout.len());
    assert_eq!(text(&output.stderr), "error\n");
    assert!(place.path("done").exists());
}

#[test]
fn what_a_daemon_says_later_still_arrives() {
    let place = Place::new();
    let output = place.run(&["--until", "root", "--mark-on", "early|late"], &["sh", "-c", "(sleep 0.5; echo late) & echo early"]).output;
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("early\nlate\n", Some(0)));
    assert_eq!(marks(&ended(&place.path("run.baro"))), ["early"]);
}

#[test]
fn nonsense_is_refused_before_anything_is_started() {
    let place = Place::new();
    for (options, told) in [
        (&["--mark-on", "("][..], "--mark-on \"(\" is no regular expression"),
        (&["--span-on", "a", "[z-a]"], "--span-on \"[z-a]\" is no regular expression"),
        (&["--watch", "log"], "--watch needs to know what to look for"),
    ] {
        let ran = place.run(options, &["touch", "started"]);
        assert_eq!(ran.code(), 1);
        assert!(ran.stderr().contains(told), "{}", ran.stderr());
        assert!(!place.path("started").exists() && !ran.recording.exists());
    }
    let output = finish(place.barograph(["record", "--mark-on", "a", "--duration", "1s"]));
    assert!(text(&output.stderr).contains("name the file that it writes to with --watch FILE"), "{output:?}");
}

/// Appends to a file.
fn append(path: &Path, words: &str) {
    File::options().append(true).create(true).open(path).unwrap().write_all(words.as_bytes()).unwrap();
}

#[test]
fn a_log_is_followed_wherever_it_goes() {
    let place = Place::new();
    let log = place.path("job.log");
    fs::write(place.path("old.log"), "hit 0 was there before\n").unwrap();
    let mut command = place.barograph(["record", "-q", "-i", "50ms", "-w", "100ms", "--processes", "none", "-o", "run"]);
    command.args(["--watch", "job.log", "--watch", "old.log", "--mark-on", r"hit \d+"]).stderr(Stdio::piped());
    let recorder = command.spawn().unwrap();
    let recording = place.path("run.baro");
    eventually("a recording", || Facts::read(&recording).ok()?.beacon);
    let mut expected = Vec::new();
    let mut expect = |what: &str| {
        expected.push(what.to_owned());
        let seen = || Timeline::open(&recording).ok().filter(|timeline| timeline.has_table("events")).map(|timeline| marks(&timeline));
        eventually(what, || seen().filter(|seen| *seen == expected));
    };
    append(&log, "hit 1 in a file that was not there\nhit");
    expect("hit 1");
    append(&log, " 2 in two pieces\n");
    expect("hit 2");
    append(&place.path("old.log"), "hit 3\n");
    expect("hit 3");
    fs::rename(&log, place.path("job.log.1")).unwrap();
    append(&place.path("job.log.1"), "hit 4 after its name was taken\n");
    expect("hit 4");
    append(&log, "hit 5 in the next\n");
    expect("hit 5");
    fs::write(&log, "").unwrap();
    // A truncation is seen where the file is shorter than what was read.
    append(&log, "hit 6\n");
    expect("hit 6");
    append(&log, &"x".repeat(3_000_000));
    append(&log, " hit 7\nhit 8\n");
    expect("hit 8");
    append(&log, "hit 9 without an end");
    send(recorder.id(), Signal::INT);
    assert!(output_of(recorder).status.success());
    assert_eq!(marks(&ended(&recording)).last().unwrap(), "hit 9");
}

/// Steps at a terminal, of the command alone and of ours with a rule: both must show the same and end in the same way.
fn the_same(place: &Place, command: &[&str], steps: &[(&str, serde_json::Value)]) -> (String, i64) {
    let alone: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    let ours = [BAROGRAPH, "run", "-q", "-i", "50ms", "-o", "run", "--force", "--mark-on", "size|got", "--"];
    let ours = ours.iter().chain(command).map(|word| (*word).to_owned()).collect();
    let [alone, ours] = [alone, ours].map(|command| at_terminal(place, false, &command, steps));
    assert_eq!(alone, ours);
    ours
}

#[test]
fn at_a_terminal_the_job_has_a_terminal() {
    let place = Place::new();
    let code = r"
import os, sys
print([os.isatty(stream) for stream in range(3)], 'size', os.get_terminal_size(1), os.get_terminal_size(2), os.getpgrp() == os.tcgetpgrp(0))
print('\x1b[32mcolour\x1b[0m', end='\r\n', flush=True)
print('bar 1', end='\r', flush=True)
print('typed', input('prompt> '), file=sys.stderr)
sys.exit(6)
";
    let (shown, status) = the_same(&place, &[python(), "-c", code], &[("prompt> ", json!("word\r"))]);
    assert!(shown.contains("[True, True, True] size os.terminal_size(columns=80, lines=24) os.terminal_size(columns=80, lines=24) True"), "{shown}");
    assert_eq!(status, 6);
    assert_eq!(marks(&ended(&place.path("run.baro"))), ["size"]);
}

#[test]
fn at_a_terminal_ctrl_c_is_the_jobs() {
    let place = Place::new();
    let code = "
import os, signal, sys, time
# Not print(): the signal may come while that is at it.
signal.signal(signal.SIGINT, lambda *_: (os.write(1, b'got it\\n'), sys.exit(9)))
os.write(1, b'ready\\n')
time.sleep(20)
";
    let (shown, _) = the_same(&place, &[python(), "-c", code], &[("ready\r\n", json!("\u{3}"))]);
    assert!(shown.ends_with("got it\r\n"), "{shown}");
    let timeline = ended(&place.path("run.baro"));
    assert_eq!((marks(&timeline), timeline.facts().end.clone().unwrap().exit.unwrap().code), (vec!["got".to_owned()], Some(9)));
}

#[test]
fn at_a_terminal_a_new_size_is_passed_on() {
    let place = Place::new();
    let code = "
import os, signal
import time
sizes = []
signal.signal(signal.SIGWINCH, lambda *_: sizes.append(os.get_terminal_size(1)))
print('ready', flush=True)
end = time.monotonic() + 15
while not any(size == (120, 40) for size in sizes) and time.monotonic() < end: time.sleep(0.01)
print('size', sizes[-1])
";
    let command = [BAROGRAPH, "run", "-q", "-o", "run", "--mark-on", "size.*", "--", python(), "-c", code].map(str::to_owned);
    let (shown, _) = at_terminal(&place, false, &command, &[("ready\r\n", json!({ "size": [40, 120] }))]);
    assert!(shown.contains("size os.terminal_size(columns=120, lines=40)"), "{shown}");
}

#[test]
fn at_a_terminal_ctrl_z_and_fg_work() {
    let place = Place::new();
    fs::write(place.path("job.py"), "print('begun', flush=True); print('typed', input(), flush=True)").unwrap();
    let line = format!("{BAROGRAPH} run -q -i 50ms -o run --mark-on typed -- {} job.py; echo status=$?\r", python());
    let steps = [
        ("ready> ", json!(line)),
        ("begun\r\n", json!("\u{1a}")),
        ("Stopped[^$]*ready> ", json!("fg\r")),
        ("job.py[^\r]*\r\n", json!("word\r")),
        ("typed word\r\n.*ready> ", json!("exit 3\r")),
    ];
    let (shown, status) = at_terminal(&place, true, &INTERACTIVE.map(str::to_owned), &steps);
    assert_eq!(status, 3, "{shown}");
    assert_eq!(marks(&ended(&place.path("run.baro"))), ["typed"]);
}

#[test]
fn the_world_is_the_same_but_for_the_output() {
    let place = Place::new();
    let listed = |options: &[&str]| {
        let output = finish(place.run_command(&[options, &["--force"]].concat(), &[python(), &job("world.py"), "world"]));
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(place.path("world")).unwrap()
    };
    let (plain, ruled) = (listed(&[]), listed(&["--mark-on", "x"]));
    let differ: Vec<(&str, &str)> = plain.lines().zip(ruled.lines()).filter(|(plain, ruled)| plain != ruled).collect();
    assert!(plain.lines().count() == ruled.lines().count() && differ.len() <= 2, "{differ:#?}");
}
