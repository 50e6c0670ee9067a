//! What people and scripts say: `barograph mark`, `gauge` and `span`, to recordings that go on and to those that have ended.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use barograph_beacon::{Address, Beacon, Message, Sent, What};
use barograph_store::{Facts, Timeline};
use rustix::process::Signal;
use serde_json::json;

use crate::harness::{BAROGRAPH, Place, Ran, ended, eventually, finish, finish_with_input, is_there, output_of, python, rows, send, text};
use crate::terminal::{INTERACTIVE, at_terminal};

/// A command that sees no recorder but those of this test.
fn alone(place: &Place, mut command: Command) -> Command {
    command.env("TMPDIR", place.path("")).env_remove("XDG_RUNTIME_DIR").env_remove("BAROGRAPH_BEACON").env_remove("BAROGRAPH_SPAN");
    command
}

fn barograph(place: &Place, arguments: &[&str]) -> Command {
    alone(place, place.barograph(arguments))
}

/// Runs a script of bash as the job, to which the program under test is known by its name.
fn run_script(place: &Place, script: &str) -> Ran {
    let script = format!("barograph() {{ {BAROGRAPH} \"$@\"; }}\n{script}");
    Ran { output: finish(alone(place, place.run_command(&["-i", "50ms"], &["bash", "-c", &script]))), recording: place.path("run.baro") }
}

/// Starts recording the machine, and waits until it is heard.
fn record(place: &Place, name: &str) -> Child {
    let mut command = barograph(place, &["record", "-q", "-i", "50ms", "-w", "100ms", "--processes", "none", "-o", name]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("a recording", || Facts::read(&place.path(format!("{name}.baro"))).ok()?.beacon);
    child
}

fn stop(child: Child) {
    send(child.id(), Signal::INT);
    let output = output_of(child);
    assert!(output.status.success(), "{output:?}");
}

/// Rows of a table as texts, those of the recorder left out.
fn said(timeline: &Timeline, table: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let Some(frame) = rows(timeline, table) else { return Vec::new() };
    let cells = |column: &str| -> Vec<String> {
        let (texts, ints, floats) = (frame.texts(column), frame.ints(column), frame.floats(column));
        let cell = |row: usize| {
            let int = || ints[row].map(|int| int.to_string());
            texts[row].map(str::to_owned).or_else(int).or_else(|| floats[row].map(|float| float.to_string())).unwrap_or_default()
        };
        (0..frame.len()).map(cell).collect()
    };
    let (by, cells): (_, Vec<_>) = (frame.texts("by"), columns.iter().map(|column| cells(column)).collect());
    let is_ours = |row: &usize| by[*row] != Some("recorder");
    (0..frame.len()).filter(is_ours).map(|row| cells.iter().map(|column| column[row].clone()).collect()).collect()
}

fn refused(command: Command) -> String {
    let output = finish(command);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    text(&output.stderr)
}

#[test]
fn a_script_says_what_it_does() {
    let place = Place::new();
    let script = r#"
set -e
barograph mark 'epoch 3' -k loss=0.25 -k file='a, "b"' -k last=true
barograph gauge queue -7.5
barograph span outer -k year=2026 -- bash -c 'echo "$BAROGRAPH_SPAN" > outer; exec "$0" span inner -- head -c 1000000 /dev/zero' "$BAROGRAPH_PROGRAM" | wc -c
status=0; barograph span failing -- sh -c 'exit 7' || status=$?
echo "status $status"
id=$(barograph span begin half)
BAROGRAPH_SPAN=$id barograph span end --error 'no more'
export BAROGRAPH_SPAN=$id
barograph span begin child --parent 00000000000000ff > child
barograph span begin orphan > /dev/null
echo $$ > pid
echo "$id" > half
"#;
    let ran = run_script(&place, &format!("export BAROGRAPH_PROGRAM={BAROGRAPH}\n{script}"));
    assert_eq!(ran.stdout(), "1000000\nstatus 7\n", "{}", ran.stderr());
    let timeline = ran.timeline();
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap().trim().to_owned();
    let pid = read("pid");
    assert_eq!(
        said(&timeline, "events", &["by", "name", "pid", "attributes"]),
        [["program", "epoch 3", &pid, r#"{"loss":0.25,"file":"a, \"b\"","last":true}"#]]
    );
    let gauges = rows(&timeline, "gauges").unwrap();
    assert_eq!((gauges.texts("name"), gauges.floats("value")), (vec![Some("queue")], vec![Some(-7.5)]));
    let edges = said(&timeline, "span_edges", &["edge", "name", "parent", "attributes", "status", "detail"]);
    let edges: Vec<Vec<&str>> = edges.iter().map(|edge| edge.iter().map(String::as_str).collect()).collect();
    let (outer, half) = (read("outer"), read("half"));
    let expected: [[&str; 6]; 11] = [
        ["begin", "outer", "", r#"{"year":2026}"#, "", ""],
        ["begin", "inner", &outer, "", "", ""],
        ["end", "", "", "", "ok", ""],
        ["end", "", "", "", "ok", ""],
        ["begin", "failing", "", "", "", ""],
        ["end", "", "", "", "error", "exit 7"],
        ["begin", "half", "", "", "", ""],
        ["end", "", "", "", "error", "no more"],
        ["begin", "child", "00000000000000ff", "", "", ""],
        ["begin", "orphan", &half, "", "", ""],
        ["", "", "", "", "", ""],
    ];
    assert_eq!(edges, expected[..10]);
    assert_eq!(half.len(), 16);
    let frame = rows(&timeline, "span_edges").unwrap();
    let (written, cpu, spans) = (frame.ints("written_bytes"), frame.floats("process_cpu_seconds"), frame.texts("span"));
    assert_eq!((written[1], cpu[1], spans[1]), (Some(0), Some(0.0), spans[2]));
    // The pipe writes into nothing else.
    assert_eq!(written[2], Some(1_000_000));
}

#[test]
fn what_a_command_cost_is_exact() {
    let place = Place::new();
    let code = "
import os, resource
list(range(2_000_000)); open('/dev/null', 'w').write('x' * 50_000)
if os.fork() == 0: sum(range(3_000_000)); os._exit(0)
os.wait()
own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
open('used', 'w').write(f'{sum(u.ru_utime + u.ru_stime for u in own)} {sum(u.ru_minflt for u in own)} {os.getpid()}')
";
    fs::write(place.path("job.py"), code).unwrap();
    let timeline = run_script(&place, &format!("barograph span work -- {} job.py", python())).timeline();
    let used = fs::read_to_string(place.path("used")).unwrap();
    let [cpu, faults, pid] = used.split(' ').map(|word| word.parse::<f64>().unwrap()).collect::<Vec<_>>()[..] else { panic!("{used}") };
    let frame = rows(&timeline, "span_edges").unwrap();
    let told = frame.floats("process_cpu_seconds")[1].unwrap();
    // What comes after the last look is the end of the interpreter.
    assert!(told >= cpu && told < cpu * 1.5 + 0.2, "{told} and {cpu}");
    let told = frame.ints("minor_faults")[1].unwrap() as f64;
    assert!(told >= faults && told < faults * 1.5 + 500.0, "{told} and {faults}");
    assert!(frame.ints("written_bytes")[1].unwrap() >= 50_000);
    assert_eq!(frame.ints("pid"), [Some(pid as i64); 2]);
}

#[test]
fn a_span_ends_as_its_command_does() {
    let place = Place::new();
    let script = r"
barograph span killed -- sh -c 'kill -TERM $$'; echo $?
barograph span missing -- ./no-such-program 2> /dev/null; echo $?
barograph span unexecutable -- /etc/passwd 2> /dev/null; echo $?
PYTHON asked.py &
wait $!; echo $?
";
    let asked = format!(
        "
import os, signal, subprocess, sys, time
child = subprocess.Popen([{BAROGRAPH:?}, 'span', 'asked', '--', 'sh', '-c', 'trap \"exit 5\" USR1; echo > ready; while :; do sleep 0.01; done'])
while not os.path.exists('ready'): time.sleep(0.01)
child.send_signal(signal.SIGUSR1)
sys.exit(child.wait())
"
    );
    fs::write(place.path("asked.py"), asked).unwrap();
    let ran = run_script(&place, &script.replace("PYTHON", python()));
    assert_eq!(ran.stdout(), "143\n127\n126\n5\n", "{}", ran.stderr());
    let edges = said(&ran.timeline(), "span_edges", &["edge", "name", "status", "detail"]);
    let edges: Vec<Vec<&str>> = edges.iter().map(|edge| edge.iter().map(String::as_str).collect()).collect();
    assert_eq!(edges, [["begin", "killed", "", ""], ["end", "", "error", "signal 15"], ["begin", "asked", "", ""], ["end", "", "error", "exit 5"]]);
}

#[test]
fn where_nobody_records_a_script_goes_on_and_a_person_is_told() {
    let place = Place::new();
    let script = format!(
        "set -e; {BAROGRAPH} mark a; {BAROGRAPH} gauge b 1; id=$({BAROGRAPH} span begin c); {BAROGRAPH} span end $id; {BAROGRAPH} span d -- sh -c 'exit 4'"
    );
    for beacon in [None, Some(""), Some("/nowhere/at-all.sock"), Some("@nobody")] {
        let mut command = alone(&place, place.command("sh"));
        command.args(["-c", &script]).envs(beacon.map(|beacon| ("BAROGRAPH_BEACON", beacon)));
        let output = finish(command);
        assert_eq!((output.status.code(), text(&output.stdout), text(&output.stderr)), (Some(4), String::new(), String::new()), "{beacon:?}");
    }
    let line = format!("TMPDIR=$PWD XDG_RUNTIME_DIR= {BAROGRAPH} mark a; echo status=$?\r");
    let (shown, _) =
        at_terminal(&place, true, &INTERACTIVE.map(str::to_owned), &[("ready> ", json!(line)), ("status=1\r\n.*ready> ", json!("exit\r"))]);
    assert!(shown.contains("nothing is being recorded"), "{shown}");
}

#[test]
fn the_only_recording_is_found_and_one_of_several_must_be_named() {
    let place = Place::new();
    let first = record(&place, "first");
    assert!(finish(barograph(&place, &["mark", "to the only one"])).status.success());
    let second = record(&place, "second");
    let output = finish(barograph(&place, &["mark", "to whom?"]));
    assert!(output.status.success(), "a script goes on");
    let told = text(&output.stderr);
    let beacons: Vec<String> = ["first", "second"].map(|name| Facts::read(&place.path(format!("{name}.baro"))).unwrap().beacon.unwrap()).into();
    assert!(told.contains("2 recordings go on") && beacons.iter().all(|beacon| told.contains(&format!("BAROGRAPH_BEACON={beacon}  "))), "{told}");
    assert!(finish(barograph(&place, &["mark", "by its folder", "--to", "second.baro", "--by", "person"])).status.success());
    let mut named = barograph(&place, &["mark", "by its socket"]);
    named.env("BAROGRAPH_BEACON", &beacons[1]);
    assert!(finish(named).status.success());
    stop(first);
    stop(second);
    assert_eq!(said(&ended(&place.path("first.baro")), "events", &["name"]), [["to the only one"]]);
    assert_eq!(said(&ended(&place.path("second.baro")), "events", &["by", "name"]), [["person", "by its folder"], ["program", "by its socket"]]);
}

#[test]
fn who_has_no_descriptor_left_takes_nobodys_socket_away() {
    let place = Place::new();
    let recorder = record(&place, "run");
    let mut poor = alone(&place, place.command("sh"));
    poor.args(["-c", &format!("ulimit -n 4; {BAROGRAPH} mark unheard; true")]);
    assert!(finish(poor).status.success());
    assert!(finish(barograph(&place, &["mark", "heard"])).status.success());
    stop(recorder);
    assert_eq!(said(&ended(&place.path("run.baro")), "events", &["name"]), [["heard"]]);
}

#[test]
fn a_person_at_a_terminal_is_a_person() {
    let place = Place::new();
    let recorder = record(&place, "run");
    let line = format!("TMPDIR=$PWD XDG_RUNTIME_DIR= {BAROGRAPH} mark typed; (TMPDIR=$PWD XDG_RUNTIME_DIR= {BAROGRAPH} mark scripted; true)\r");
    at_terminal(&place, true, &INTERACTIVE.map(str::to_owned), &[("ready> ", json!(line)), ("ready> ", json!("exit\r"))]);
    stop(recorder);
    let said = said(&ended(&place.path("run.baro")), "events", &["by", "name"]);
    assert_eq!(said, [["person", "typed"], ["program", "scripted"]]);
}

#[test]
fn a_moment_that_has_passed_is_marked_and_one_outside_is_refused() {
    let place = Place::new();
    let recorder = record(&place, "run");
    std::thread::sleep(Duration::from_millis(300));
    let mark = |label: &str, at: &str| barograph(&place, &["mark", label, "--at", at, "--to", "run.baro"]);
    assert!(finish(mark("begun", "start")).status.success());
    assert!(finish(mark("earlier", "-200ms")).status.success());
    let told = refused(mark("too early", "1h ago"));
    assert!(told.contains("is before the beginning of the recording") && told.contains("--at \"1h ago\""), "{told}");
    assert!(refused(mark("too late", "+2h")).contains("has not come yet"));
    assert!(refused(mark("nonsense", "soon")).contains("no time that I know"));
    // The socket alone tells when the recording began as well.
    assert!(refused(barograph(&place, &["mark", "too early", "--at", "1h ago"])).contains("before the beginning"));
    stop(recorder);
    let timeline = ended(&place.path("run.baro"));
    let frame = rows(&timeline, "events").unwrap();
    let at = |name: &str| frame.texts("name").iter().position(|found| *found == Some(name)).map(|row| (frame.times()[row], frame.monotonic()[row]));
    let clock = &timeline.facts().clock;
    let begun = at("begun").unwrap();
    assert!((begun.0 - clock.utc_nanos).abs() < 2_000_000 && (begun.1 - clock.monotonic_nanos).abs() < 2_000_000, "{begun:?} {clock:?}");
    assert!(at("earlier").unwrap().1 > begun.1);
    assert_eq!(said(&timeline, "events", &["name"]).len(), 2);
}

/// A short recording that has ended.
fn ended_recording(place: &Place) -> Timeline {
    place.run(&["-i", "50ms"], &["sleep", "0.3"]).timeline()
}

fn files(folder: &Path) -> HashMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())).collect()
}

#[test]
fn an_ended_recording_can_still_be_marked() {
    let place = Place::new();
    ended_recording(&place);
    let before = files(&place.path("run.baro/events"));
    let mark = |arguments: &[&str]| barograph(&place, &[&["mark", "--to", "run.baro"], arguments].concat());
    assert!(finish(mark(&["the fan 🌀 stopped", "--at", "+100ms", "-k", "fan=2"])).status.success());
    assert!(refused(mark(&["when?"])).contains("say when it was with --at"));
    assert!(refused(mark(&["early", "--at", "3h ago"])).contains("before the beginning"));
    assert!(refused(mark(&["late", "--at", "now"])).contains("after the end"));
    assert!(refused(barograph(&place, &["gauge", "--to", "run.baro", "x", "1"])).contains("has ended"));
    assert!(refused(barograph(&place, &["span", "begin", "x", "--to", "run.baro"])).contains("has ended"));
    let timeline = ended(&place.path("run.baro"));
    let frame = rows(&timeline, "events").unwrap();
    let mut names = frame.texts("name");
    // The job may have started later than that.
    let marked = names.iter().position(|name| *name == Some("the fan 🌀 stopped")).unwrap();
    assert_eq!(frame.monotonic()[marked] - timeline.facts().clock.monotonic_nanos, 100_000_000);
    assert_eq!((frame.texts("by")[marked], frame.texts("attributes")[marked]), (Some("program"), Some("{\"fan\":2}")));
    assert!(frame.monotonic().is_sorted(), "it has its place by its time");
    names.remove(marked);
    assert_eq!(names, [Some("started"), Some("exited"), Some("ended")]);
    let after = files(&place.path("run.baro/events"));
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)), "what was there is as it was");
    assert!(text(&finish(barograph(&place, &["repair", "run.baro"])).stdout).contains("nothing had to be mended"));
}

#[test]
fn events_go_out_as_they_came_in() {
    let place = Place::new();
    let zone = ended_recording(&place);
    let at = |millis: i64| {
        let nanos = zone.facts().clock.utc_nanos + millis * 1_000_000;
        (nanos, jiff::Timestamp::from_nanosecond(nanos.into()).unwrap())
    };
    let naive = at(10).1.strftime("%Y-%m-%d %H:%M:%S.%f").to_string();
    let table = format!("event,timestamp\n\"a, \"\"quoted\"\"\nand broken 🎻\",{}\nnaive,{naive}\nnumber,{}\n' lead',+40ms\n", at(5).1, at(20).0,);
    fs::write(place.path("events.csv"), &table).unwrap();
    let import = ["mark", "--to", "run.baro", "--import", "events.csv", "--tz", "UTC"];
    let output = finish(barograph(&place, &import));
    assert_eq!(text(&output.stderr), "barograph: 4 events added\n");
    let export = |name: &str| {
        let output = finish(barograph(&place, &["export", "run.baro", "--marks", "-o", name]));
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(place.path(name)).unwrap()
    };
    let first = export("first.csv");
    assert!(first.starts_with("event,timestamp\n\"a, \"\"quoted\"\"\nand broken 🎻\",") && first.lines().count() == 6, "{first}");
    let frame = rows(&ended(&place.path("run.baro")), "events").unwrap();
    let times: Vec<i64> = frame.times().iter().zip(frame.texts("by")).filter(|(_, by)| *by != Some("recorder")).map(|(time, _)| *time).collect();
    assert_eq!(times, [5, 10, 20, 40].map(|millis| at(millis).0));

    // Into another recording of the same time, and out again.
    fs::remove_dir_all(place.path("run.baro/events")).unwrap();
    let output = finish_with_input(barograph(&place, &["mark", "--to", "run.baro", "--import", "-"]), Some(first.clone().into_bytes()));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(export("second.csv"), first);

    fs::write(place.path("events.csv"), "event,timestamp\nfine,+1ms\nbad,soon\nlate,2100-01-01\n").unwrap();
    let told = refused(barograph(&place, &import));
    assert!(told.contains("events.csv: nothing was added: 2 rows make no sense") && told.contains("line 3: ") && told.contains("line 4: "), "{told}");
    assert_eq!(export("third.csv"), first, "nothing is half imported");
}

#[test]
fn events_are_imported_while_it_goes_on() {
    let place = Place::new();
    let recorder = record(&place, "run");
    let events: String = (0..2000).map(|number| format!("event {number},+{number}us\n")).collect();
    let output = finish_with_input(barograph(&place, &["mark", "--import", "-", "--to", "run.baro"]), Some(events.into_bytes()));
    assert_eq!(text(&output.stderr), "barograph: 2000 events added\n");
    stop(recorder);
    let timeline = ended(&place.path("run.baro"));
    let frame = rows(&timeline, "events").unwrap();
    let times: HashMap<&str, i64> = frame.texts("name").into_iter().flatten().zip(frame.monotonic().iter().copied()).collect();
    assert_eq!(times.len(), 2001);
    for number in [500, 1000, 1999] {
        let since = times[format!("event {number}").as_str()] - timeline.facts().clock.monotonic_nanos;
        assert!((since - number * 1000).abs() < 2_000_000, "{number}: {since}");
    }
}

#[test]
fn a_shell_speaks_to_the_socket_itself() {
    if !is_there("socat") {
        return;
    }
    let place = Place::new();
    let script = r#"printf '{"mark": "half way"}\n{"gauge": "x", "value": 1}' | socat -u - UNIX-SENDTO:$BAROGRAPH_BEACON"#;
    let timeline = run_script(&place, script).timeline();
    assert_eq!(said(&timeline, "events", &["name"]), [["half way"]]);
    assert_eq!(rows(&timeline, "gauges").unwrap().len(), 1);
}

#[test]
fn names_are_kept_whatever_they_are() {
    let place = Place::new();
    let code = r#"
import json, os, socket
beacon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
beacon.connect(os.environ['BAROGRAPH_BEACON'])
for name in ['a,b', '"quoted"', 'two\nlines', 'nul \0 in it', '\U0001f3bb', '', '\u202eright to left', 'é' * 30_000]:
    beacon.send(json.dumps({'mark': name}, ensure_ascii=False).encode())
    beacon.send(json.dumps({'begin': name, 'span': name[:9] or 'x', 'attributes': {name[:9]: name}}).encode()[:65536])
beacon.send(b'{"mark": "' + b'x' * 100_000 + b'"}')
for wrong in [b'', b'{', b'\xff', b'{"mark": 1}', b'[' * 60_000, b'{"begin": "no id"}', b'{"mark": "a"}\n{"mark": ']:
    beacon.send(wrong)
beacon.send(b'{"dropped": 5}')
"#;
    let timeline = place.run_python(&[], code).timeline();
    let names: Vec<String> = said(&timeline, "events", &["name"]).concat();
    let long = format!("{}…", "é".repeat(2046));
    assert_eq!(names, ["a,b", "\"quoted\"", "two\nlines", "nul \0 in it", "🎻", "", "\u{202e}right to left", &long, "a"]);
    let notices: HashMap<&str, u64> = timeline.facts().notices.iter().map(|notice| (notice.name.as_str(), notice.count)).collect();
    assert_eq!((notices["beacon_dropped"], notices["beacon_oversized"]), (5, 1));
    // Six of them, and the begin that is cut off.
    assert_eq!(notices["beacon_malformed"], 7);
    for command in [&["report", "run.baro"][..], &["export", "run.baro", "--marks", "-o", "-", "--format", "csv"]] {
        assert!(finish(barograph(&place, command)).status.success());
    }
}

/// Counts what became of many marks: all that was accepted is there, and all that was not is counted.
fn flood(senders: usize, each: usize) {
    let place = Place::new();
    let recorder = record(&place, "run");
    let address = Facts::read(&place.path("run.baro")).unwrap().beacon.unwrap();
    let threads: Vec<_> = (0..senders)
        .map(|sender| {
            let beacon = Beacon::connect(&Address::parse(address.as_ref()).unwrap()).unwrap();
            std::thread::spawn(move || {
                let name = format!("sender {sender}");
                let dropped = (0..each).filter(|_| beacon.send(&Message::new(What::Mark(&name))) == Sent::Dropped).count();
                assert!(beacon.flush(Duration::from_secs(120)), "the rest is never taken");
                dropped
            })
        })
        .collect();
    let dropped: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    let status = fs::read_to_string(format!("/proc/{}/status", recorder.id())).unwrap();
    let peak: u64 = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB").parse().unwrap();
    // All rows would take more.
    assert!(peak < 150_000, "{peak} kB");
    stop(recorder);
    let timeline = ended(&place.path("run.baro"));
    let marks = said(&timeline, "events", &["name"]).len();
    let told = timeline.facts().notices.iter().find(|notice| notice.name == "beacon_dropped").map_or(0, |notice| notice.count);
    assert_eq!((marks + dropped, told), (senders * each, dropped as u64));
    assert!(marks > 1000, "{marks}");
}

#[test]
fn a_million_marks_in_a_loop_are_there_or_counted() {
    flood(1, 1_000_000);
}

#[test]
fn ten_who_flood_are_heard_or_counted() {
    flood(10, 20_000);
}

#[test]
fn a_socket_that_vanishes_hurts_nobody() {
    let place = Place::new();
    let script = "set -e; barograph mark before; rm \"$BAROGRAPH_BEACON\"; barograph mark after; barograph span x -- echo done";
    let ran = run_script(&place, script);
    assert_eq!((ran.stdout().as_str(), ran.stderr().as_str()), ("done\n", ""));
    assert_eq!(said(&ran.timeline(), "events", &["name"]), [["before"]]);

    let place = Place::new();
    let script = format!("trap '' TERM; set -e; {BAROGRAPH} mark before; kill -9 $PPID; sleep 0.1; {BAROGRAPH} mark after; echo done > done");
    let output = finish(alone(&place, place.run_command(&[], &["sh", "-c", &script])));
    assert!(output.status.code().is_none(), "{output:?}");
    eventually("the job's end", || place.path("done").exists().then_some(()));
}

#[test]
fn a_language_without_such_sockets_speaks_through_a_pipe() {
    if !is_there("socat") {
        return;
    }
    let place = Place::new();
    let script =
        r#"i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo '{"mark": "'$i' é", "pid": '$$'}'; done | socat -u - UNIX-SENDTO:$BAROGRAPH_BEACON"#;
    let timeline = run_script(&place, script).timeline();
    let names: Vec<String> = said(&timeline, "events", &["name"]).concat();
    assert_eq!(names, (1..=3000).map(|number| format!("{number} é")).collect::<Vec<_>>());
    assert!(!timeline.facts().notices.iter().any(|notice| notice.name.starts_with("beacon")), "{:?}", timeline.facts().notices);
}

#[test]
fn the_program_that_the_guide_has_for_node_is_heard() {
    if !is_there("socat") || !is_there("node") {
        return;
    }
    let guide = include_str!("../../../../docs/beacon.md");
    let code = guide.split("```js\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let (place, elsewhere) = (Place::new(), Place::new());
    fs::write(place.path("say.js"), code).unwrap();
    let timeline = run_script(&place, "echo $$ > pid; exec node say.js").timeline();
    let pid = fs::read_to_string(place.path("pid")).unwrap().trim().to_owned();
    let edges = said(&timeline, "span_edges", &["edge", "name", "span", "pid"]);
    assert_eq!(edges, [["begin", "load", "1", &pid], ["end", "", "1", &pid]]);
    let mut nobody = Command::new("node");
    nobody.arg(place.path("say.js")).env("BAROGRAPH_BEACON", elsewhere.path("gone"));
    let output = finish(nobody);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
