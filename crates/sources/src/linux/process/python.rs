//! Stacks of Python programs, read by py-spy from their memory without stopping them: which line each thread is in.
//!
//! Nothing is asked of the programs and nothing is put into them: process_vm_readv(2) copies the interpreter's own records. What changes while it is
//! copied gives a failed reading, which is counted, or seldom a stack that was never quite so.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use barograph_model::{Batch, LineCounters, LineRow, Lines, Moment, Rows, StackFrame};
use py_spy::config::LockingStrategy;
use py_spy::{Config, Frame, PythonSpy, StackTrace};
use remoteprocess::ProcessMemory;

use super::cpu_nanos;
use super::cpu_time;
use super::parse;
use crate::platform::Targets;
use crate::scan::{lines, number, words};
use crate::{Fault, FaultKind, Faults, Machine, Root, Source};

/// How often it is looked who came and went.
const LOOK_NANOS: i64 = 50_000_000;
/// CPU time that a look may take before it breaks off, and goes on with the next process at the next look.
const LOOK_CPU_NANOS: i64 = 3_000_000;
/// The first and the longest time until it is tried again whether a process runs Python, or can be read.
const TRY_AGAIN_NANOS: (i64, i64) = (30_000_000, 20_000_000_000);
/// A process that we found ourselves is known to the recorder by then, or has ended, or is looked for again.
const OWN_FINDINGS_LAST_NANOS: i64 = 5_000_000_000;
/// After so many failed readings in a row a process is opened anew: it may have executed another program.
const FAILURES_IN_A_ROW: u32 = 20;
/// A process that runs Python and can't be read after so many attempts is told of.
const ATTEMPTS: u32 = 6;
/// A thread that waits has a row so often.
const WAIT_NANOS: i64 = 1_000_000_000;
/// More than this between two samples is a gap, in which nobody looked.
const GAP_NANOS: i64 = 2_000_000_000;

/// What came of looking at stacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineStatus {
    /// Python processes that were read.
    pub processes: u64,
    /// Readings of the stacks of a process.
    pub samples: u64,
    /// Readings that failed.
    pub failed: u64,
    /// Python processes that this user may not read.
    pub denied: u64,
    /// Python processes that could not be read for another reason.
    pub unreadable: u64,
    /// The last such reason.
    pub why: Option<String>,
}

/// The source of the table `lines`.
pub struct LineSource {
    machine: Arc<Machine>,
    targets: Targets,
    list: Vec<(u32, u64)>,
    known: BTreeMap<(u32, u64), Known>,
    looked: i64,
    cursor: usize,
    buffer: Vec<u8>,
    faults: Faults,
    status: LineStatus,
    rows: Rows<Lines>,
}

/// A process of the job.
struct Known {
    found: i64,
    /// When it was last among the targets, or seen to live.
    listed: i64,
    /// Whether it has not been among the targets so far.
    is_own_finding: bool,
    /// Not looked at before.
    due: i64,
    attempts: u32,
    told: bool,
    python: Option<Box<PythonProcess>>,
}

impl LineSource {
    /// Looks at those of these processes that run Python, and at their children before the targets name them.
    pub fn open(machine: &Arc<Machine>, targets: Targets) -> Result<LineSource, Fault> {
        if !machine.is_ours() {
            return Err(Fault { kind: FaultKind::Other, what: "lines".into(), why: "the processes of another machine can't be read".into() });
        }
        Ok(LineSource {
            machine: Arc::clone(machine),
            targets,
            list: Vec::new(),
            known: BTreeMap::new(),
            looked: i64::MIN,
            cursor: 0,
            buffer: Vec::new(),
            faults: Faults::default(),
            status: LineStatus::default(),
            rows: Rows::new(),
        })
    }

    /// What came of it so far.
    pub fn status(&self) -> &LineStatus {
        &self.status
    }

    /// Writes the rows of threads that wait, at the end.
    pub fn finish(&mut self) {
        for process in self.known.values_mut().filter_map(|known| known.python.as_mut()) {
            process.finish(&mut self.rows);
        }
    }

    /// Finds out who came and went, and who of them runs Python.
    fn look(&mut self, now: i64) {
        self.targets.copy_into(&mut self.list);
        for &identity in &self.list {
            let known = self.known.entry(identity).or_insert_with(|| Known::new(now));
            (known.listed, known.is_own_finding) = (now, false);
        }
        let (rows, machine) = (&mut self.rows, &self.machine);
        self.known.retain(|&(pid, start_ticks), known| {
            let is_listed = known.listed == now;
            if !is_listed
                && known.is_own_finding
                && now - known.listed >= OWN_FINDINGS_LAST_NANOS
                && super::start_ticks(machine, pid) == Some(start_ticks)
            {
                known.listed = now;
            }
            let stays = is_listed || known.is_own_finding && now - known.listed < OWN_FINDINGS_LAST_NANOS;
            if let Some(python) = known.python.as_mut().filter(|_| !stays) {
                python.finish(rows);
            }
            stays
        });
        let begin = cpu_nanos();
        let all: Vec<(u32, u64)> = self.known.keys().copied().collect();
        for step in 0..all.len() {
            let identity = all[(self.cursor + step) % all.len()];
            self.find_children(identity.0, now);
            self.consider(identity, now);
            if cpu_nanos() - begin > LOOK_CPU_NANOS {
                self.cursor = (self.cursor + step + 1) % all.len();
                return;
            }
        }
    }

    /// The children of a process's main thread, which the recorder may not have seen yet.
    fn find_children(&mut self, pid: u32, now: i64) {
        if self.machine.read(Root::Proc, &format!("{pid}/task/{pid}/children"), &mut self.buffer).is_err() {
            return;
        }
        let children: Vec<u32> = words(&self.buffer).filter_map(|word| u32::try_from(number(word)?).ok()).collect();
        for child in children {
            if self.known.range((child, 0)..=(child, u64::MAX)).next().is_none()
                && let Some(start) = super::start_ticks(&self.machine, child)
            {
                self.known.insert((child, start), Known { is_own_finding: true, ..Known::new(now) });
            }
        }
    }

    /// Opens a process if it runs Python and is due.
    fn consider(&mut self, (pid, start_ticks): (u32, u64), now: i64) {
        let Some(known) = self.known.get_mut(&(pid, start_ticks)) else { return };
        if known.python.is_some() || now < known.due {
            return;
        }
        // A child begins as a copy of its parent, and is often another program a moment later: opening it then would be for nothing.
        let is_young = known.due == i64::MIN;
        let wait = (now - known.found).clamp(TRY_AGAIN_NANOS.0, TRY_AGAIN_NANOS.1);
        known.due = now.saturating_add(wait);
        if is_young || !runs_python(&self.machine, pid, &mut self.buffer) {
            return;
        }
        known.attempts += 1;
        let opened = catch_unwind(AssertUnwindSafe(|| PythonProcess::open(&self.machine, pid, start_ticks)));
        let fault = match opened {
            Ok(Ok(process)) => {
                known.python = Some(Box::new(process));
                self.status.processes += u64::from(!known.told);
                known.told = true;
                return;
            }
            Ok(Err(fault)) => fault,
            Err(_) => Fault::malformed(format!("process {pid}"), "py-spy failed"),
        };
        // An interpreter that has only just begun has nothing to read yet.
        let is_denied = fault.kind == FaultKind::Denied;
        if known.told || !is_denied && known.attempts < ATTEMPTS {
            return;
        }
        known.told = true;
        self.faults.count(fault.kind);
        if is_denied {
            self.status.denied += 1;
        } else {
            self.status.unreadable += 1;
        }
        self.status.why = Some(fault.to_string());
    }
}

impl Known {
    fn new(now: i64) -> Known {
        Known { found: now, listed: now, is_own_finding: false, due: i64::MIN, attempts: 0, told: false, python: None }
    }
}

impl Source for LineSource {
    fn read(&mut self, at: Moment) -> Result<(), Fault> {
        let now = at.monotonic_nanos;
        if now >= self.looked.saturating_add(LOOK_NANOS) {
            self.looked = now;
            self.look(now);
        }
        for ((pid, start_ticks), known) in &mut self.known {
            let Some(process) = &mut known.python else { continue };
            let rows = &mut self.rows;
            self.status.samples += 1;
            let sampled = catch_unwind(AssertUnwindSafe(|| process.sample(&self.machine, at, rows)));
            if matches!(sampled, Ok(true)) {
                process.failures = 0;
                continue;
            }
            process.failures += 1;
            let ended = super::start_ticks(&self.machine, *pid) != Some(*start_ticks);
            if ended {
                self.status.samples -= 1;
            } else {
                self.status.failed += 1;
            }
            if ended || process.failures >= FAILURES_IN_A_ROW || sampled.is_err() {
                process.finish(rows);
                known.python = None;
                known.found = now;
                known.due = now.saturating_add(if ended { TRY_AGAIN_NANOS.1 } else { TRY_AGAIN_NANOS.0 });
            }
        }
        Ok(())
    }

    fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.rows);
    }

    fn faults(&self) -> Faults {
        self.faults
    }
}

/// Whether a process executes a Python interpreter, or has one loaded as a library.
fn runs_python(machine: &Machine, pid: u32, buffer: &mut Vec<u8>) -> bool {
    let Some(program) = machine.link(Root::Proc, &format!("{pid}/exe")) else {
        // Of a process that we may not look at, its name is all there is.
        return machine.text(Root::Proc, &format!("{pid}/comm")).is_some_and(|name| name.starts_with("python"));
    };
    if Path::new(&program).file_name().is_some_and(|name| name.to_string_lossy().starts_with("python")) {
        return true;
    }
    machine.read(Root::Proc, &format!("{pid}/maps"), buffer).is_ok() && memchr::memmem::find(buffer, b"/libpython").is_some()
}

/// Why the memory of a process may not be read. Where the kernel keeps even its owner from it, it says so nowhere else.
fn why_denied(machine: &Machine, error: &std::io::Error) -> String {
    match machine.text(Root::Proc, "sys/kernel/yama/ptrace_scope").as_deref().map(str::trim) {
        None | Some("0") => error.to_string(),
        Some(scope) => format!("{error}; kernel.yama.ptrace_scope is {scope}"),
    }
}

/// Whether a process has loaded the interpreter or a module of a Python without its lock, by their names: `python3.14t`, `cpython-314t-…`.
fn is_free_threaded(maps: &[u8]) -> bool {
    [&b"python3."[..], b"cpython-3"].iter().any(|begin| {
        memchr::memmem::find_iter(maps, begin).any(|place| {
            let rest = &maps[place + begin.len()..];
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits > 0 && rest.get(digits) == Some(&b't') && rest.get(digits + 1).is_none_or(|byte| !byte.is_ascii_alphanumeric())
        })
    })
}

/// A process whose stacks are read.
struct PythonProcess {
    pid: u32,
    start_ticks: u64,
    spy: PythonSpy,
    threads: HashMap<u64, Thread>,
    numbers: ThreadNumbers,
    buffer: Vec<u8>,
    failures: u32,
}

/// A thread, as Python knows it.
struct Thread {
    seen: i64,
    number: Option<u64>,
    wait: Option<Wait>,
}

/// A wait of which there is no row yet.
struct Wait {
    since: i64,
    until: Moment,
    trace: StackTrace,
    counters: LineCounters,
}

impl PythonProcess {
    fn open(machine: &Machine, pid: u32, start_ticks: u64) -> Result<PythonProcess, Fault> {
        let name = || format!("process {pid}");
        let (Ok(number), mut buffer) = (i32::try_from(pid), Vec::new()) else { return Err(Fault::malformed(name(), "no such pid")) };
        machine.read(Root::Proc, &format!("{pid}/maps"), &mut buffer)?;
        // Whether we may read its memory: py-spy's own error would be that it found no interpreter.
        let first = lines(&buffer).next().and_then(|line| std::str::from_utf8(line.split(|&byte| byte == b'-').next()?).ok());
        if let Some(address) = first.and_then(|address| usize::from_str_radix(address, 16).ok())
            && let Err(remoteprocess::Error::IOError(error)) = (remoteprocess::Process { pid: number }).read(address, &mut [0; 8])
            && error.kind() == std::io::ErrorKind::PermissionDenied
        {
            return Err(Fault { kind: FaultKind::Denied, what: name().into(), why: why_denied(machine, &error).into() });
        }
        let config = Config { blocking: LockingStrategy::NonBlocking, full_filenames: true, ..Config::default() };
        let is_free_threaded = is_free_threaded(&buffer);
        let failed = |error| {
            let why = if is_free_threaded { "stacks of free-threaded builds of Python can't be read".into() } else { format!("{error:#}").into() };
            Fault { kind: FaultKind::Other, what: name().into(), why }
        };
        let mut spy = PythonSpy::new(number, &config).map_err(failed)?;
        spy.get_stack_traces().map_err(failed)?;
        Ok(PythonProcess { pid, start_ticks, spy, threads: HashMap::new(), numbers: ThreadNumbers::default(), buffer, failures: 0 })
    }

    /// Adds the rows of this moment. `false` if its stacks or its counters could not be read.
    fn sample(&mut self, machine: &Machine, at: Moment, rows: &mut Rows<Lines>) -> bool {
        let Ok(traces) = self.spy.get_stack_traces() else { return false };
        let Some(counters) = self.counters(machine) else { return false };
        let now = at.monotonic_nanos;
        let is_alone = traces.len() == 1;
        for trace in traces {
            let Activity { number, is_running, cpu_seconds, minor_faults } = self.activity(machine, &trace, is_alone);
            let thread = self.threads.entry(trace.thread_id).or_insert(Thread { seen: now, number, wait: None });
            let since = thread.seen.max(now - GAP_NANOS);
            (thread.seen, thread.number) = (now, number);
            if let Some(wait) = &mut thread.wait {
                let goes_on =
                    !is_running && wait.trace.frames == trace.frames && now - wait.since < WAIT_NANOS && now - wait.until.monotonic_nanos < GAP_NANOS;
                if goes_on {
                    (wait.until, wait.counters) = (at, counters);
                    // A thread that has just begun gets its name a little later.
                    wait.trace.thread_name = wait.trace.thread_name.take().or(trace.thread_name);
                    continue;
                }
                add(rows, (self.pid, self.start_ticks, thread.number), wait);
                thread.wait = None;
            }
            if !is_running {
                thread.wait = Some(Wait { since, until: at, trace, counters });
                continue;
            }
            let frames = frames(&trace.frames);
            rows.add(&LineRow {
                at,
                pid: self.pid,
                start_ticks: self.start_ticks,
                thread: number,
                thread_name: trace.thread_name.as_deref(),
                is_running,
                holds_lock: trace.owns_gil,
                duration_seconds: (now - since) as f64 / 1e9,
                thread_cpu_seconds: cpu_seconds,
                thread_minor_faults: minor_faults,
                counters,
                frames: &frames,
            });
        }
        let (pid, start_ticks) = (self.pid, self.start_ticks);
        self.threads.retain(|_, thread| {
            let lives = thread.seen == now;
            if let Some(wait) = thread.wait.as_ref().filter(|_| !lives) {
                add(rows, (pid, start_ticks, thread.number), wait);
            }
            lives
        });
        true
    }

    /// Writes what is known of waits that are not over.
    fn finish(&mut self, rows: &mut Rows<Lines>) {
        for thread in self.threads.values_mut() {
            if let Some(wait) = thread.wait.take() {
                add(rows, (self.pid, self.start_ticks, thread.number), &wait);
            }
        }
    }

    /// What the process has used; `None` if it is gone. Its input and output may be unknown.
    fn counters(&mut self, machine: &Machine) -> Option<LineCounters> {
        let run = cpu_time::run_nanos(self.pid).filter(|_| machine.is_ours());
        machine.read(Root::Proc, &format!("{}/stat", self.pid), &mut self.buffer).ok()?;
        let stat = parse::stat(&self.buffer, nanos_per_tick(machine)).filter(|stat| stat.start_ticks == self.start_ticks && !stat.is_zombie())?;
        let io = machine.read(Root::Proc, &format!("{}/io", self.pid), &mut self.buffer).ok().and_then(|()| parse::io(&self.buffer));
        Some(LineCounters {
            cpu_seconds: Some(run.unwrap_or(stat.cpu.sum()) as f64 / 1e9),
            resident_bytes: stat.resident_pages.checked_mul(machine.page_size),
            read_bytes: io.map(|io| io.read),
            written_bytes: io.map(|io| io.written),
            minor_faults: Some(stat.minor_faults),
            major_faults: Some(stat.major_faults),
        })
    }

    /// What the kernel says of a thread.
    fn activity(&mut self, machine: &Machine, trace: &StackTrace, is_alone: bool) -> Activity {
        let said = trace.os_thread_id;
        let main = is_alone.then_some(u64::from(self.pid));
        let number = said.or_else(|| self.numbers.of(machine, &self.spy.process, trace.thread_id)).or(main);
        let idle = Activity { number, ..Activity::default() };
        if !trace.active {
            return idle;
        }
        let pid = self.pid;
        let read = |file: &str, buffer: &mut Vec<u8>| {
            number.is_some_and(|number| machine.read(Root::Proc, &format!("{pid}/task/{number}/{file}"), buffer).is_ok())
        };
        if !read("schedstat", &mut self.buffer) {
            // It is numbered otherwise where it lives, in a container, or has just ended: who has the lock runs, or waits for a device.
            self.numbers.known.remove(&trace.thread_id);
            return Activity { is_running: trace.owns_gil, ..idle };
        }
        // Nanoseconds on a core; zero if this kernel does not count them.
        let cpu = words(&self.buffer).next().and_then(self::number).filter(|&nanos| nanos > 0).map(|nanos| nanos as f64 / 1e9);
        let running = Activity { is_running: true, cpu_seconds: cpu, ..idle };
        if is_alone && said.is_some() {
            return running;
        }
        match read("stat", &mut self.buffer).then(|| parse::stat(&self.buffer, nanos_per_tick(machine))).flatten() {
            // Where Python does not tell the number of a thread, py-spy could not ask whether it runs.
            Some(stat) if said.is_none() && stat.state != b'R' => idle,
            stat => Activity { minor_faults: stat.map(|stat| stat.minor_faults), ..running },
        }
    }
}

fn nanos_per_tick(machine: &Machine) -> u64 {
    1_000_000_000 / machine.ticks_per_second.max(1)
}

/// What the kernel says of a thread.
#[derive(Clone, Copy, Default)]
struct Activity {
    /// Its number.
    number: Option<u64>,
    is_running: bool,
    /// CPU time, if it runs.
    cpu_seconds: Option<f64>,
    minor_faults: Option<u64>,
}

fn frames(frames: &[Frame]) -> Vec<StackFrame<'_>> {
    let line = |line: i32| u64::try_from(line).unwrap_or(0);
    frames.iter().map(|frame| StackFrame { function: &frame.name, file: &frame.filename, line: line(frame.line) }).collect()
}

/// Adds the row of a wait.
fn add(rows: &mut Rows<Lines>, (pid, start_ticks, thread): (u32, u64, Option<u64>), wait: &Wait) {
    rows.add(&LineRow {
        at: wait.until,
        pid,
        start_ticks,
        thread,
        thread_name: wait.trace.thread_name.as_deref(),
        is_running: false,
        holds_lock: wait.trace.owns_gil,
        duration_seconds: (wait.until.monotonic_nanos - wait.since) as f64 / 1e9,
        thread_cpu_seconds: None,
        thread_minor_faults: None,
        counters: wait.counters,
        frames: &frames(&wait.trace.frames),
    });
}

/// The kernel's numbers of threads, where Python does not tell them (before 3.11): the C library keeps each in the record to which the thread's Python
/// number, a pthread_t, points. Where in it, is found by looking for numbers that are those of threads of the process.
#[derive(Default)]
struct ThreadNumbers {
    place: Option<usize>,
    known: HashMap<u64, u64>,
}

impl ThreadNumbers {
    /// As much of a thread's record as holds its number.
    const RECORD: usize = 1024;

    fn of(&mut self, machine: &Machine, process: &remoteprocess::Process, thread: u64) -> Option<u64> {
        if let Some(number) = self.known.get(&thread) {
            return Some(*number);
        }
        let numbers: Vec<u64> = machine.names(Root::Proc, &format!("{}/task", process.pid)).iter().filter_map(|name| name.parse().ok()).collect();
        let record = process.copy(usize::try_from(thread).ok()?, Self::RECORD).ok()?;
        let is_number = |word: &[u8]| word.try_into().map(u32::from_ne_bytes).ok().map(u64::from).filter(|word| numbers.contains(word));
        // It stands where a pointer might: the upper halves of pointers, elsewhere, look like numbers of threads.
        let mut places = record.chunks_exact(8).enumerate().filter_map(|(place, word)| Some((place, is_number(&word[..4])?)));
        let (place, number) = match self.place {
            Some(known) => places.find(|(place, _)| *place == known)?,
            None => places.next()?,
        };
        self.place = Some(place);
        // Threads come and go, and their records are used again.
        if self.known.len() > numbers.len() {
            self.known.clear();
        }
        self.known.insert(thread, number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Error, ErrorKind};

    use super::*;
    use crate::Roots;

    #[test]
    fn a_python_without_its_lock_is_known_by_its_files() {
        let maps = |path: &str| format!("55d0-55d1 r-xp 00000000 08:01 42   {path}\n7f00-7f01 rw-p 00000000 00:00 0   [heap]\n").into_bytes();
        for path in ["/opt/bin/python3.14t", "/lib/libpython3.13t.so.1.0", "/lib/math.cpython-314t-x86_64-linux-gnu.so"] {
            assert!(is_free_threaded(&maps(path)), "{path}");
        }
        for path in
            ["/usr/bin/python3.14", "/usr/lib/python3.12/test.so", "/lib/python3.14tools/x", "/lib/math.cpython-314-x86_64.so", "/bin/python3t"]
        {
            assert!(!is_free_threaded(&maps(path)), "{path}");
        }
    }

    #[test]
    fn who_is_kept_from_its_own_processes_hears_by_what() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::open(Roots { proc: folder.path().into(), ..Roots::default() }).unwrap();
        let why = || why_denied(&machine, &Error::from(ErrorKind::PermissionDenied));
        assert_eq!(why(), "permission denied", "a kernel without Yama");
        fs::create_dir_all(folder.path().join("sys/kernel/yama")).unwrap();
        let scope = folder.path().join("sys/kernel/yama/ptrace_scope");
        fs::write(&scope, "0\n").unwrap();
        assert_eq!(why(), "permission denied");
        fs::write(&scope, "1\n").unwrap();
        assert_eq!(why(), "permission denied; kernel.yama.ptrace_scope is 1");
    }
}
