//! Names and arguments that break careless parsers.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use barograph_store::Timeline;

use crate::harness::{Place, copy_program, python, rows};

const SLEEP: &str = "import time; time.sleep(0.4)";

fn texts(timeline: &Timeline, column: &str) -> Vec<String> {
    rows(timeline, "processes").unwrap().texts(column).into_iter().flatten().map(str::to_owned).collect()
}

#[test]
fn arguments_may_be_anything() {
    let mut long = vec![b'x'; 100 << 10];
    long.push(b'\n');
    let arguments = [&b"line\nfeed"[..], b"\xff\xfe\xc3(", b"", b"'\"\\ $(touch oops)", "émoji 🌡".as_bytes(), b"--quiet", b"-o", b"--", &long];
    let place = Place::new();
    let print = format!("import sys, os, time\nsys.stdout.buffer.write(b'\\0'.join(os.fsencode(word) for word in sys.argv[1:]))\n{SLEEP}");
    let mut command: Vec<OsString> = [python(), "-c", &print].map(OsString::from).into();
    command.extend(arguments.iter().map(|argument| OsString::from_vec(argument.to_vec())));
    let ran = place.run(&["-i", "50ms"], &command);
    let timeline = ran.timeline();
    assert!(ran.output.stdout == arguments.join(&0), "the job has them byte for byte");
    let kept = timeline.facts().command.clone().unwrap();
    assert_eq!(kept.len(), command.len());
    assert_eq!(kept[3], "line\nfeed");
    assert_eq!(kept[7], "émoji 🌡");
    assert!(texts(&timeline, "command_line").iter().all(|line| line.len() <= 17 << 10), "a long one is cut");
    assert!(!place.path("oops").exists());
}

#[test]
fn a_megabyte_of_arguments_is_recorded() {
    let place = Place::new();
    // One argument may have 128 KiB, all together 2 MiB.
    let word = "y".repeat(120 << 10);
    let command: Vec<&str> = [python(), "-c", SLEEP].into_iter().chain([word.as_str(); 9]).collect();
    let timeline = place.run(&["-i", "50ms"], &command).timeline();
    assert!(texts(&timeline, "command_line").iter().any(|line| line.contains("yyy")));
}

#[test]
fn names_may_be_anything() {
    // What is no UTF-8 is kept as its bytes in hexadecimal.
    let names = [(&b"a) R 1 1"[..], "a) R 1 1"), (b"new\nline", "new\nline"), (b"\xc3\x28\xff", r"\xC3(\xFF"), (b"((((", "(((("), (b" ", " ")];
    for (name, expected) in names {
        let place = Place::new();
        let program = place.path(std::ffi::OsStr::from_bytes(name));
        copy_program("/bin/sleep", &program);
        let ran = place.run(&["-i", "50ms"], &[program.as_os_str(), "0.3".as_ref()]);
        let timeline = ran.timeline();
        assert!(texts(&timeline, "name").iter().any(|found| found == expected), "{expected:?}: {:?}", texts(&timeline, "name"));
        let process = rows(&timeline, "process").unwrap();
        let root = timeline.facts().root.unwrap();
        assert!(process.ints("start_ticks").iter().all(|ticks| *ticks == Some(root.start_ticks as i64)), "{expected:?}");
        let threads = process.floats("threads");
        assert!(threads.iter().all(|count| *count == Some(1.0)), "{expected:?}: {threads:?}");
    }
}
