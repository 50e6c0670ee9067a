//! `barograph top` at a terminal of the test's own, whose screen is read as a person sees it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};

use barograph_store::Query;
use barograph_view::human;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::harness::{BAROGRAPH, Place, ended, eventually, finish, python, rows, send, text};
use crate::terminal::INTERACTIVE;

const ROWS: u16 = 30;
const COLUMNS: u16 = 100;

/// Keys that have no letter.
const ENTER: &str = "\r";
const REDRAW: &str = "\x0c";

/// A terminal, what runs there, and its screen.
struct Terminal {
    master: File,
    /// Open so that its state can be asked for when nobody else has it open any more.
    line: OwnedFd,
    /// Its modes before anything ran there.
    before: String,
    screen: vt100::Parser,
    child: Child,
}

impl Terminal {
    /// Runs a command there, as the leader of a session.
    fn run(place: &Place, command: &[&str]) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let line = open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        tcsetwinsize(&line, Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let before = modes(&line);
        let stream = || Stdio::from(line.try_clone().unwrap());
        let mut setsid: Command = place.command("setsid");
        setsid.arg("--ctty").args(command).stdin(stream()).stdout(stream()).stderr(stream());
        setsid.env("TERM", "xterm").env("PS1", "ready> ").env("XDG_RUNTIME_DIR", place.path("")).env_remove("NO_COLOR");
        let child = setsid.spawn().unwrap();
        Terminal { master: File::from(master), line, before, screen: vt100::Parser::new(ROWS, COLUMNS, 0), child }
    }

    fn top(place: &Place, arguments: &[&str]) -> Terminal {
        let command: Vec<&str> = [BAROGRAPH, "top"].iter().chain(arguments).copied().collect();
        Terminal::run(place, &command)
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Takes in what has been drawn.
    fn look(&mut self) {
        let soon = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        while poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&soon)).is_ok_and(|ready| ready > 0) {
            let mut bytes = [0; 65536];
            match self.master.read(&mut bytes) {
                Ok(read) if read > 0 => self.screen.process(&bytes[..read]),
                _ => return,
            }
        }
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// The screen once it is as it should be.
    fn shows(&mut self, what: &str, is_right: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        eventually(what, || {
            self.look();
            last = self.text();
            is_right(&last).then(|| last.clone())
        })
    }

    fn shows_words(&mut self, words: &str) -> String {
        self.shows(words, |screen| screen.contains(words))
    }

    fn is_full_screen(&self) -> bool {
        self.screen.screen().alternate_screen()
    }

    /// Waits for the end of what runs there, and takes in its last words.
    fn end(&mut self) -> ExitStatus {
        let status = eventually("its end", || {
            self.look();
            self.child.try_wait().unwrap()
        });
        self.look();
        status
    }

    /// Whether it is as it was found: its modes, a cursor, and what was there before.
    fn is_as_before(&self) -> bool {
        modes(&self.line) == self.before && !self.is_full_screen() && !self.screen.screen().hide_cursor()
    }
}

/// What a terminal does with what is typed and written.
fn modes(line: &OwnedFd) -> String {
    format!("{:?}", tcgetattr(line).unwrap())
}

impl Drop for Terminal {
    #[allow(clippy::print_stderr, reason = "who looks at a failure wants to see the screen")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.text());
        }
        // After a failure, nothing is to go on.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that does not outlive its test.
struct Burner(Child);

impl Drop for Burner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folders of recordings that it makes for itself.
fn folders(place: &Place) -> usize {
    let names = std::fs::read_dir(place.path("")).unwrap().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().starts_with("barograph-top-")).count()
}

/// The line of a process, in words.
fn line_of(screen: &str, pid: u64) -> Option<Vec<String>> {
    let lines = screen.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    lines.into_iter().find(|words: &Vec<String>| words.first() == Some(&pid.to_string()))
}

#[test]
fn a_process_that_burns_is_seen_and_the_terminal_is_given_back() {
    let place = Place::new();
    let mut burner = place.command(python());
    let burner = Burner(burner.args(["-c", "while 1: 2", "glow"]).spawn().unwrap());
    let mut top = Terminal::top(&place, &["-i", "200ms"]);
    top.shows_words("● live");
    assert!(top.is_full_screen());
    assert_ne!(modes(&top.line), top.before, "keys come one by one");
    assert_eq!(folders(&place), 1);
    let pid = u64::from(burner.0.id());
    top.press(&format!("/{pid}{ENTER}"));
    let cores = |screen: &str| line_of(screen, pid)?.iter().skip(1).find_map(|word| word.parse::<f64>().ok());
    let screen = top.shows("the burner", |screen| screen.contains("python3 -c 'while 1: 2' glow") && cores(screen).is_some_and(|cores| cores > 0.0));
    assert!(screen.contains("1 process · 1 thread"), "{screen}");
    top.press("q");
    assert!(top.end().success());
    assert!(top.is_as_before());
    assert_eq!(folders(&place), 0);
}

#[test]
fn a_signal_ends_it_as_it_ends_others_and_the_terminal_is_given_back() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let place = Place::new();
        let mut top = Terminal::top(&place, &[]);
        top.shows_words("● live");
        send(top.child.id(), signal);
        let status = top.end();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(signal.as_raw()), "{status}");
        assert!(top.is_as_before());
        assert_eq!(folders(&place), 0);
    }
}

#[test]
fn it_is_put_aside_and_taken_up_again() {
    let place = Place::new();
    let mut shell = Terminal::run(&place, &INTERACTIVE);
    shell.shows_words("ready>");
    shell.press(&format!("'{BAROGRAPH}' top\r"));
    shell.shows_words("● live");
    shell.press("\x1a");
    shell.shows_words("Stopped");
    assert!(!shell.is_full_screen());
    shell.press("echo $((20 + 3))\r");
    shell.shows("the shell's answer", |screen| screen.lines().any(|line| line.trim() == "23"));
    shell.press("fg\r");
    shell.shows_words("● live");
    assert!(shell.is_full_screen());
    shell.press("q");
    shell.shows("the prompt", |screen| screen.lines().last().is_some_and(|line| line.trim() == "ready>"));
    shell.press("exit $?\r");
    assert!(shell.end().success());
}

#[test]
fn a_recording_is_stepped_to_a_moment_and_says_what_was_recorded() {
    let place = Place::new();
    let code = "import time; b = bytes(30 << 20); end = time.monotonic() + 3\nwhile time.monotonic() < end: sum(range(1000))";
    let timeline = place.run_python(&["-i", "250ms", "--no-dense-start"], code).timeline();
    let root = timeline.facts().root.unwrap();
    let export = finish(place.barograph(["export", "run.baro", "--table", "process", "--format", "jsonl", "-o", "-"]));
    assert!(export.status.success(), "{}", text(&export.stderr));
    let exported: Vec<serde_json::Value> = text(&export.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_root: Vec<&serde_json::Value> = exported.iter().filter(|row| row["pid"] == root.pid).collect();
    let middle = of_root.len() / 2;
    let (before, row) = (of_root[middle - 1], of_root[middle]);
    let cpu = |row: &serde_json::Value| row["user_seconds"].as_f64().unwrap() + row["system_seconds"].as_f64().unwrap();
    let nanos = |row: &serde_json::Value| row["monotonic_nanos"].as_i64().unwrap();
    let cores = (cpu(row) - cpu(before)) / ((nanos(row) - nanos(before)) as f64 / 1e9);
    let process = rows(&timeline, "process").unwrap();
    let at = process.times()[process.monotonic().iter().position(|monotonic| *monotonic == nanos(row)).unwrap()];
    let when = jiff::Timestamp::from_nanosecond(at.into()).unwrap();
    let job = timeline.frame("job", &Query::all().between(Some(at), Some(at))).unwrap();
    let memory = job.floats("resident_bytes")[0].unwrap();

    let mut top = Terminal::top(&place, &["run.baro", "--tz", "UTC"]);
    top.shows_words("exit 0");
    top.press(&format!("b{when}{ENTER}{REDRAW}"));
    let clock = when.strftime("%H:%M:%S%.1f").to_string();
    let screen = top.shows("that moment", |screen| screen.lines().nth(1).is_some_and(|line| line.contains(&clock)));
    let line = line_of(&screen, root.pid).unwrap_or_else(|| panic!("no {} in\n{screen}", root.pid)).join(" ");
    let resident = human::byte_amount(row["resident_bytes"].as_f64().unwrap());
    assert!(line.contains(&format!("{cores:.2}")) && line.contains(&resident), "{cores:.2} and {resident} in {line}");
    let shown = screen.lines().find(|line| line.starts_with("Memory")).unwrap();
    assert!(shown.contains(&human::byte_amount(memory)), "{} in {shown}", human::byte_amount(memory));

    // A step back is the row before, and the begin is the begin.
    top.press("T");
    let resident = human::byte_amount(before["resident_bytes"].as_f64().unwrap());
    top.shows("the sample before", |screen| {
        !screen.lines().nth(1).is_some_and(|line| line.contains(&when.strftime("%H:%M:%S%.1f").to_string()))
            && line_of(screen, root.pid).is_some_and(|line| line.join(" ").contains(&resident))
    });
    top.press("g");
    top.shows("the begin", |screen| {
        screen.lines().nth(1).is_some_and(|line| line.contains("+0 s of") || line.contains("ms of") || line.contains("µs of"))
    });
    top.press("G");
    top.press("q");
    assert!(top.end().success());
}

#[test]
fn a_run_in_progress_is_followed_to_its_end() {
    let place = Place::new();
    let wait = "import os, time\nwhile not os.path.exists('enough'): time.sleep(0.05)";
    let mut run = place.run_command(&["-i", "100ms", "-w", "100ms"], &[python(), "-c", wait]).spawn().unwrap();
    eventually("the recording", || place.path("run.baro/job").exists().then_some(()));
    let mut top = Terminal::top(&place, &["run.baro"]);
    top.shows_words("● live");
    // Who looks back is told how far.
    top.press("TTTTT");
    top.shows_words("behind live");
    top.press("G");
    top.shows_words("● live");
    std::fs::write(place.path("enough"), "").unwrap();
    top.shows_words("exit 0");
    assert!(run.wait().unwrap().success());
    ended(&place.path("run.baro"));
    top.press("q");
    assert!(top.end().success());
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let place = Place::new();
    let output = finish(place.barograph(["top"]));
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("barograph report") && said.contains("barograph snapshot"), "{said}");
    assert!(output.stdout.is_empty());
    assert_eq!(folders(&place), 0);
}

#[test]
fn what_is_no_recording_is_told_on_a_terminal_that_is_given_back() {
    let place = Place::new();
    std::fs::write(place.path("notes.txt"), "nothing").unwrap();
    for name in ["notes.txt", "nowhere.baro"] {
        let mut top = Terminal::top(&place, &[name]);
        top.shows_words(name);
        assert_eq!(top.end().code(), Some(1));
        assert!(top.is_as_before(), "{}", top.text());
    }
}

#[test]
fn a_file_is_shown_under_its_name_and_a_signal_leaves_nothing_of_it() {
    let place = Place::new();
    assert_eq!(place.run(&["-i", "100ms"], &["sleep", "1"]).code(), 0);
    assert!(finish(place.barograph(["export", "run.baro", "-o", "flat.csv"])).status.success());
    let made =
        || std::fs::read_dir(place.path("")).unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("barograph-")).count();
    let mut top = Terminal::run(&place, &["env", &format!("TMPDIR={}", place.path("").display()), BAROGRAPH, "top", "flat.csv"]);
    let screen = top.shows("the file", |screen| screen.contains("flat.csv") && screen.lines().any(|line| line.starts_with("Memory")));
    assert!(!screen.contains("the whole machine"), "{screen}");
    assert_eq!(made(), 1);
    send(top.child.id(), Signal::TERM);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&top.end()), Some(Signal::TERM.as_raw()));
    assert_eq!(made(), 0);
}
