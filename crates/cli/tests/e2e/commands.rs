//! The other commands that look at a machine: `attach`, `record`, `snapshot`.

use std::fs;
use std::process::{Child, Stdio};

use crate::harness::{Place, copy_program, ended, eventually, finish, output_of, python, rows, send, text, wait_for_recording};
use rustix::process::Signal;

fn start_sleeper(place: &Place, program: &str) -> Child {
    place.command(program).arg("300").stdout(Stdio::null()).spawn().unwrap()
}

/// A thread collects it, or it would be a zombie for as long as the test.
fn collect(mut child: Child) {
    std::thread::spawn(move || child.wait());
}

#[test]
fn attach_by_pid_ends_with_the_tree() {
    let place = Place::new();
    let mut shell = place.command("sh");
    let root = shell.args(["-c", "sleep 300; true"]).spawn().unwrap();
    let pid = root.id();
    let children = || fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok();
    let child: u32 = eventually("the child", || children()?.split_whitespace().next()?.parse().ok());
    let attached = place.barograph(["attach", "-q", "-o", "run", "-i", "50ms", &pid.to_string()]);
    let attached = { attached }.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_recording(&place, "run.baro");
    send(child, Signal::KILL);
    collect(root);
    let output = output_of(attached);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let timeline = ended(&place.path("run.baro"));
    assert_eq!(timeline.facts().root.unwrap().pid, u64::from(pid));
    let pids: Vec<Option<i64>> = rows(&timeline, "processes").unwrap().ints("pid");
    assert!(pids.contains(&Some(pid.into())) && pids.contains(&Some(child.into())), "{pids:?}");
}

#[test]
fn attach_by_name_finds_all_of_them() {
    let place = Place::new();
    // Longer than the 15 bytes that the kernel keeps of a name.
    let name = format!("barograph-sleeper-{}", std::process::id());
    copy_program("/bin/sleep", place.path(&name));
    let program = place.path(&name).display().to_string();
    let sleepers = [start_sleeper(&place, &program), start_sleeper(&place, &program)];
    let pids = sleepers.each_ref().map(Child::id);
    // Between fork and execve a child still has our own name.
    eventually("both under their name", || {
        let named = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(&program));
        pids.iter().all(named).then_some(())
    });
    let mut attach = place.barograph(["attach", "-q", "-o", "run", "-i", "50ms", &name]);
    let attached = attach.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_recording(&place, "run.baro");
    for sleeper in sleepers {
        send(sleeper.id(), Signal::KILL);
        collect(sleeper);
    }
    assert!(output_of(attached).status.success());
    let timeline = ended(&place.path("run.baro"));
    let seen = rows(&timeline, "processes").unwrap().ints("pid");
    assert!(pids.iter().all(|pid| seen.contains(&Some((*pid).into()))), "{seen:?}");
}

#[test]
fn attach_to_nobody_is_a_mistake() {
    let place = Place::new();
    for word in ["4194304", "no-such-program-anywhere"] {
        let output = finish(place.barograph(["attach", "-o", "run", word]));
        assert!(!output.status.success() && text(&output.stderr).contains(word), "{}", text(&output.stderr));
    }
    assert!(!place.path("run.baro").exists());
}

#[test]
fn a_watched_process_that_we_leave_lives_on() {
    let place = Place::new();
    let mut sleeper = start_sleeper(&place, "sleep");
    let output = finish(place.barograph(["attach", "-q", "-o", "run", "-i", "50ms", "--duration", "200ms", &sleeper.id().to_string()]));
    assert!(output.status.success());
    assert_eq!(ended(&place.path("run.baro")).facts().end.as_ref().unwrap().reason, "duration");
    assert!(sleeper.try_wait().unwrap().is_none(), "it was not ours to end");
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn record_ends_after_its_time() {
    let place = Place::new();
    let output = finish(place.barograph(["record", "-q", "-o", "run", "-i", "100ms", "--duration", "1s"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let timeline = ended(&place.path("run.baro"));
    assert_eq!(timeline.facts().end.as_ref().unwrap().reason, "duration");
    assert!(timeline.facts().end.as_ref().unwrap().totals.wall_seconds.unwrap() >= 1.0);
    for table in ["cpu", "memory", "system", "process", "processes", "own"] {
        assert!(timeline.has_table(table), "{table}");
    }
    assert!(!timeline.has_table("job"), "there was none");
    let seen = rows(&timeline, "processes").unwrap().ints("pid");
    assert!(seen.contains(&Some(std::process::id().into())), "every process of the machine has rows, this one too");
}

#[test]
fn record_ends_when_there_is_a_file_or_a_process_has_ended() {
    let place = Place::new();
    let mut record = place.barograph(["record", "-q", "-o", "run", "-i", "50ms", "--processes", "none", "--until-file", "stop"]);
    let recording = record.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_recording(&place, "run.baro");
    fs::write(place.path("stop"), "").unwrap();
    assert!(output_of(recording).status.success());
    assert!(ended(&place.path("run.baro")).facts().end.as_ref().unwrap().reason.contains("stop"));

    let sleeper = start_sleeper(&place, "sleep");
    let mut record = place.barograph(["record", "-q", "-o", "other", "-i", "1h", "--processes", "none", "--until-exit", &sleeper.id().to_string()]);
    let recording = record.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_recording(&place, "other.baro");
    send(sleeper.id(), Signal::KILL);
    collect(sleeper);
    assert!(output_of(recording).status.success());
    ended(&place.path("other.baro"));
}

#[test]
fn record_ends_by_a_signal() {
    let place = Place::new();
    let mut record = place.barograph(["record", "-q", "-o", "run", "-i", "1h", "--processes", "none"]);
    let recording = record.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_recording(&place, "run.baro");
    send(recording.id(), Signal::INT);
    assert!(output_of(recording).status.success(), "Ctrl-C is how a person ends it");
    assert_eq!(ended(&place.path("run.baro")).facts().end.as_ref().unwrap().reason, "signal 2");
}

#[test]
fn a_snapshot_is_strict_json_of_known_tables() {
    let place = Place::new();
    let output = finish(place.barograph(["snapshot", "--json"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let snapshot: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let known: Vec<&str> = barograph_sources::tables().iter().map(|table| table.name).collect();
    assert!(snapshot.keys().all(|name| known.contains(&name.as_str())), "{:?}", snapshot.keys());
    let memory = &snapshot["memory"][0];
    assert!(memory["available_bytes"].as_u64().unwrap() > 1 << 20, "{memory}");
    let this = u64::from(std::process::id());
    let process = snapshot["process"].as_array().unwrap();
    assert!(process.iter().any(|row| row["pid"] == this && row["start_ticks"].is_u64()), "this process is there");
    // A name that would end a line of any careless format is a string like others.
    let ugly = place.path("a\"b\n)c");
    copy_program("/bin/sleep", &ugly);
    let mut child = start_sleeper(&place, ugly.to_str().unwrap());
    eventually("its name", || fs::read_to_string(format!("/proc/{}/comm", child.id())).ok().filter(|name| name.starts_with("a\"b")));
    let output = finish(place.barograph(["snapshot", "--json", "--table", "processes"]));
    child.kill().unwrap();
    child.wait().unwrap();
    let snapshot: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = snapshot["processes"].as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    assert!(names.contains(&"a\"b\n)c"), "{names:?}");
}

#[test]
fn a_snapshot_into_a_closed_pipe_is_no_failure() {
    let place = Place::new();
    let mut shell = place.command("bash");
    shell.args(["-c", &format!("{} snapshot | head -n 1; echo ${{PIPESTATUS[0]}}", crate::harness::BAROGRAPH)]);
    let output = finish(shell);
    assert_eq!((text(&output.stdout).lines().next_back(), text(&output.stderr).as_str()), (Some("0"), ""));
}

#[test]
fn attach_counts_from_its_own_start() {
    let place = Place::new();
    // It has used a second of CPU time before we came.
    let mut burner = place.command(python());
    let burner = burner.args(["-c", "import time\nwhile time.process_time() < 1: pass\nprint('ready', flush=True)\ntime.sleep(300)"]);
    let mut burner = burner.stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(burner.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
    let pid = burner.id().to_string();
    let output = finish(place.barograph(["attach", "-q", "-o", "run", "-i", "50ms", "--duration", "300ms", &pid]));
    burner.kill().unwrap();
    burner.wait().unwrap();
    assert!(output.status.success());
    let totals = ended(&place.path("run.baro")).facts().end.as_ref().unwrap().totals;
    let used = totals.user_seconds.unwrap() + totals.system_seconds.unwrap();
    assert!(used < 0.5, "{used} s, of which it slept all");
}
