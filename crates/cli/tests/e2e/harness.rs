//! What every test needs: a folder of its own, the binary with a deadline, and the recording read back.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use barograph_store::{Frame, Query, State, Timeline};
use rustix::process::{Pid, Signal, kill_process};

/// The program under test.
pub(crate) const BAROGRAPH: &str = env!("CARGO_BIN_EXE_barograph");

/// No command of a test lives longer: what hangs fails, and does not hold up the others. A second of CPU time takes more than half a minute where dozens want it.
const DEADLINE: Duration = Duration::from_secs(180);

/// Where the jobs are, small Python programs that say in their first lines what they do.
pub(crate) fn job(name: &str) -> String {
    format!("{}/tests/e2e/jobs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Where the jobs are that people are shown too.
pub(crate) fn example(name: &str) -> String {
    format!("{}/../../examples/jobs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The Python program itself. What is first in PATH may be a script that looks for it, with processes and descriptors of its own.
pub(crate) fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().expect("these tests need python3");
        text(&output.stdout).trim_end().to_owned()
    })
}

/// A folder of the test's own, in which everything runs.
pub(crate) struct Place(tempfile::TempDir);

/// A command that has ended, and where its recording would be.
pub(crate) struct Ran {
    pub(crate) output: Output,
    pub(crate) recording: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Any program, started here with nothing to read.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path()).stdin(Stdio::null()).env_remove("BAROGRAPH_DIR");
        command
    }

    pub(crate) fn barograph<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(BAROGRAPH);
        command.args(arguments);
        command
    }

    /// `barograph run -q -o run OPTIONS -- JOB`, not yet started.
    pub(crate) fn run_command<S: AsRef<OsStr>>(&self, options: &[&str], job: &[S]) -> Command {
        let mut command = self.barograph(["run", "-q", "-o", "run"]);
        command.args(options).arg("--").args(job);
        command
    }

    /// The same, run to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, options: &[&str], job: &[S]) -> Ran {
        Ran { output: finish(self.run_command(options, job)), recording: self.path("run.baro") }
    }

    /// Runs Python code as the job.
    pub(crate) fn run_python(&self, options: &[&str], code: &str) -> Ran {
        self.run(options, &[python(), "-c", code])
    }
}

impl Ran {
    pub(crate) fn code(&self) -> i32 {
        self.output.status.code().unwrap_or_else(|| panic!("killed: {:?}", self.output))
    }

    pub(crate) fn stdout(&self) -> String {
        text(&self.output.stdout)
    }

    pub(crate) fn stderr(&self) -> String {
        text(&self.output.stderr)
    }

    /// The recording, which must have ended; the job must have ended well.
    pub(crate) fn timeline(&self) -> Timeline {
        assert_eq!(self.code(), 0, "{}", self.stderr());
        ended(&self.recording)
    }
}

/// Copies a program that is to be executed. Another process does it: were the copy open for writing here, a child that another test starts meanwhile would
/// have it open as well until it executes its own program, and who is so written to can't be executed (ETXTBSY, execve(2)).
pub(crate) fn copy_program(from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) {
    assert!(Command::new("cp").arg("--").args([from.as_ref(), to.as_ref()]).status().unwrap().success());
}

/// Waits until the recording of this name has its first facts, and nobody is waiting for its start.
pub(crate) fn wait_for_recording(place: &Place, name: &str) {
    eventually("a recording", || place.path(name).join("recording.json").exists().then_some(()));
}

/// Opens a recording that must have ended.
pub(crate) fn ended(path: &Path) -> Timeline {
    let timeline = Timeline::open(path).unwrap();
    assert_eq!(timeline.state(), State::Ended);
    assert!(timeline.damaged().is_empty());
    timeline
}

/// All rows of a table; an empty frame if there is none.
pub(crate) fn rows(timeline: &Timeline, table: &str) -> Option<Frame> {
    timeline.has_table(table).then(|| timeline.frame(table, &Query::all()).unwrap())
}

/// The last value of a column of numbers.
pub(crate) fn last(frame: &Frame, column: &str) -> f64 {
    frame.floats(column).into_iter().flatten().next_back().unwrap_or_else(|| panic!("no value of {column}"))
}

/// Runs to the end, or to the deadline, which fails.
pub(crate) fn finish(command: Command) -> Output {
    finish_with_input(command, None)
}

pub(crate) fn finish_with_input(mut command: Command, input: Option<Vec<u8>>) -> Output {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let writer = child.stdin.take().zip(input).map(|(mut stdin, input)| thread::spawn(move || stdin.write_all(&input)));
    let output = output_of(child);
    // A reader that ends early is its own affair.
    writer.map(|writer| writer.join().unwrap());
    output
}

/// Waits for a child with a deadline.
pub(crate) fn output_of(child: Child) -> Output {
    let pid = child.id();
    let (done, waiting) = channel::<()>();
    let watchdog = thread::spawn(move || {
        let late = waiting.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout);
        if late {
            let _ = kill_process(process(pid), Signal::KILL);
        }
        late
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    assert!(!watchdog.join().unwrap(), "{pid} did not end: {}", text(&output.stderr));
    output
}

/// Asks until the answer is there, or the deadline, which fails.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether there is such a program; that a test is left out without it is said aloud.
#[allow(clippy::print_stderr, reason = "a test that was left out says so")]
pub(crate) fn is_there(program: &str) -> bool {
    let found = Place::new().command("sh").args(["-c", "command -v \"$0\"", program]).output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("left out: there is no {program}");
    }
    found
}

/// What a job has written into a file, once it ends with a line feed.
pub(crate) fn written(path: &Path) -> String {
    eventually(&path.display().to_string(), || std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n')))
}

pub(crate) fn process(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed()).unwrap()
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill_process(process(pid), signal).unwrap();
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
