//! The job finds the world as it would without us: streams, environment, limits, signals, descriptors, terminal.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{BAROGRAPH, Place, finish, finish_with_input, job, output_of, python, text};

/// The command as it would be alone, and as we run it.
fn without_and_with(command: &[String]) -> [Vec<String>; 2] {
    let ours = [BAROGRAPH, "run", "-q", "-o", "run", "--force", "--"].map(str::to_owned);
    [command.to_vec(), ours.iter().chain(command).cloned().collect()]
}

/// What a job says of its surroundings when it is started by this parent.
fn world(place: &Place, parent: &str, command: &[String]) -> String {
    let mut launcher = place.command(python());
    launcher.arg(job("parent.py")).arg(parent).args(command).stdout(Stdio::null()).stderr(Stdio::null());
    let output = output_of(launcher.spawn().unwrap());
    assert!(output.status.success(), "{parent}: {command:?}: {}", output.status);
    let world = fs::read_to_string(place.path("world")).unwrap();
    fs::remove_file(place.path("world")).unwrap();
    world
}

#[test]
fn the_world_is_the_same() {
    let place = Place::new();
    let probe = [python().to_owned(), job("world.py"), "world".to_owned()];
    for parent in ["plain", "limited", "blocking", "heedless", "without_input", "without_streams"] {
        let [alone, ours] = without_and_with(&probe).map(|command| world(&place, parent, &command));
        assert!(alone.len() > 1000, "{alone}");
        let (ours, told) = without_what_we_tell(&ours);
        assert_eq!(without_what_we_tell(&alone), (ours, Vec::new()), "{parent}");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("BAROGRAPH_BEACON") && told[1].contains("BAROGRAPH_RECORDING"), "{told:?}");
    }
}

/// The world, and apart from it what its environment says of the recorder.
fn without_what_we_tell(world: &str) -> (Value, Vec<String>) {
    let mut world: Value = serde_json::from_str(world).unwrap();
    let environment = world["environment"].as_array_mut().unwrap();
    let told = environment.extract_if(.., |entry| entry.as_str().unwrap().contains("b'BAROGRAPH_")).map(|entry| entry.as_str().unwrap().to_owned());
    let told = told.collect();
    (world, told)
}

#[test]
fn who_wants_no_beacon_has_the_environment_as_it_was() {
    let place = Place::new();
    let probe = ["cp", "/proc/self/environ", "world"].map(str::to_owned);
    let [alone, mut ours] = without_and_with(&probe);
    ours.insert(2, "--no-beacon".to_owned());
    let [alone, ours] = [alone, ours].map(|command| world(&place, "plain", &command));
    assert!(alone.contains("PATH="), "{alone}");
    assert_eq!(alone, ours);
}

/// The lines of /proc/self/status about signals, without the two that the C library keeps for its threads: posix_spawn(3) leaves them ignored.
fn signal_lines(status: &str) -> Vec<(String, u64)> {
    const OF_THE_LIBRARY: u64 = 0b11 << 31;
    let lines = status.lines().filter_map(|line| line.split_once(":\t"));
    let sets = lines.filter(|(name, _)| ["SigIgn", "SigBlk", "SigCgt"].contains(name));
    sets.map(|(name, set)| (name.to_owned(), u64::from_str_radix(set, 16).unwrap() & !OF_THE_LIBRARY)).collect()
}

#[test]
fn signals_are_blocked_and_ignored_as_they_were() {
    let place = Place::new();
    // No shell, which has ideas of its own about signals.
    let probe = ["cp", "/proc/self/status", "world"].map(str::to_owned);
    for (parent, ignored) in [("plain", 0), ("blocking", 1 << (13 - 1)), ("heedless", 0)] {
        let [alone, ours] = without_and_with(&probe).map(|command| signal_lines(&world(&place, parent, &command)));
        assert_eq!(alone, ours, "{parent}");
        assert_eq!(alone.iter().find(|(name, _)| name == "SigIgn").unwrap().1 & (1 << 12), ignored, "SIGPIPE, under {parent}");
    }
}

#[test]
fn a_parent_that_hears_nothing_of_its_children_gets_the_status() {
    let place = Place::new();
    let mut launcher = place.command(python());
    launcher.arg(job("parent.py")).args(["heedless", BAROGRAPH, "run", "-q", "-o", "run", "--", "sh", "-c", "sleep 0.1 & exit 3"]);
    assert_eq!(finish(launcher).status.code(), Some(3));
}

#[test]
fn streams_pass_through_byte_for_byte() {
    let place = Place::new();
    // All bytes, in no order that a line-wise copy would survive.
    let input: Vec<u8> = (0..10_u32 << 20).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let copy = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer); sys.stderr.buffer.write(b'\\xff\\0\\r\\n')";
    let output = finish_with_input(place.run_command(&[], &[python(), "-c", copy]), Some(input.clone()));
    assert!(output.status.success());
    assert!(output.stdout == input, "{} bytes of {}", output.stdout.len(), input.len());
    assert_eq!(output.stderr, b"\xff\0\r\n");
}

#[test]
fn a_pipe_that_closes_ends_the_job_as_it_would_alone() {
    let place = Place::new();
    let line = format!("{BAROGRAPH} run -q -o run -- yes | head -n 1; exit ${{PIPESTATUS[0]}}");
    let mut shell = place.command("bash");
    shell.args(["-c", &line]);
    let output = finish(shell);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("y\n", Some(128 + 13)));
}

#[test]
fn the_terminal_is_the_jobs() {
    let place = Place::new();
    let probe = [python().to_owned(), job("at_terminal.py")];
    let [alone, ours] = without_and_with(&probe).map(|command| {
        let mut terminal = place.command(python());
        terminal.arg(job("terminal.py")).arg(r"words\n").args(command);
        let output = finish(terminal);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    });
    assert!(alone.contains("[True, True, True]") && alone.contains("in front True") && alone.contains(r"typed 'words\n'"), "{alone}");
    assert_eq!(alone, ours);
}

#[test]
fn it_works_without_home_and_terminal_type() {
    let place = Place::new();
    let mut command = place.run_command(&[], &["sh", "-c", "echo fine"]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    let output = finish(command);
    assert_eq!((output.status.code(), text(&output.stdout).as_str(), text(&output.stderr).as_str()), (Some(0), "fine\n", ""));
}

#[test]
fn it_works_in_a_folder_that_is_gone() {
    let place = Place::new();
    let line = format!("mkdir gone; cd gone; rmdir ../gone; {BAROGRAPH} run -- sh -c 'echo fine; exit 3'");
    let mut shell = place.command("sh");
    shell.args(["-c", &line]);
    let output = finish(shell);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(3), "fine\n"));
    assert!(text(&output.stderr).contains("nothing was recorded"), "{}", text(&output.stderr));
}

#[test]
fn a_job_can_be_stopped_and_taken_up_again() {
    let place = Place::new();
    let mut terminal = place.command(python());
    terminal.args([job("job_control.py"), BAROGRAPH.to_owned(), "run".to_owned()]);
    let output = finish(terminal);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let at = |step: &str| said[step].as_str().unwrap_or_default().to_owned();
    assert!(at("stop").contains("Stopped"), "{said:#}");
    // We stop with the job, so that the shell has the terminal again, and nobody records what does not run.
    let states: Vec<char> = at("states")
        .lines()
        .filter(|line| ["barograph", " sh"].iter().any(|name| line.ends_with(name)))
        .filter_map(|line| line.chars().next())
        .collect();
    assert!(states.len() == 2 && states.iter().all(|state| *state == 'T'), "{said:#}");
    assert!(at("status").contains("status=130"), "{said:#}");
    assert_eq!(crate::harness::ended(&place.path("run.baro")).facts().end.clone().unwrap().exit.unwrap().signal, Some(2));
}
