//! Sources on the machine that runs the tests: what they say of processes that we start ourselves, and what reading them takes.
//!
//! Nothing here depends on how fast or busy the machine is. The tests take turns, as they look at the descriptors and limits of this process.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]
#![allow(clippy::print_stderr, reason = "a test that was left out says so")]
#![allow(unsafe_code, reason = "an allocator that counts, wait4(2) and fork(2) are unsafe by nature")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use barograph_model::{Batch, Moment};
use barograph_sources::{
    Cadence, Exit, FaultKind, Machine, ProcessMemorySource, ProcessSource, Roots, SOURCES, Scope, Select, Source, Targets, Watch, start_ticks,
};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, kill_process, kill_process_group, setpriority_process, setrlimit, waitid,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES_IN_USE: Cell<i64> = const { Cell::new(0) };
}

fn count(allocations: u64, bytes: i64) {
    // At a thread's very end there is nothing to count in any more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + allocations));
    let _ = BYTES_IN_USE.try_with(|sum| sum.set(sum.get() + bytes));
}

// SAFETY: all is passed on to the system's allocator unchanged; the counters are plain cells that need no memory of their own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promises are the system allocator's demands.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock of our own, in seconds: what depends on time does not depend on the machine's.
fn at(second: f64) -> Moment {
    let nanos = 1_000_000_000_000 + (second * 1e9) as i64;
    Moment { utc_nanos: nanos, monotonic_nanos: nanos }
}

fn this_machine() -> Arc<Machine> {
    Arc::new(Machine::open(Roots::default()).unwrap())
}

fn tree_of(roots: Vec<u32>) -> ProcessSource {
    let watch = Watch { roots, adopts: false, scope: Scope::Tree, select: Select::Everyone };
    ProcessSource::open(&this_machine(), watch).unwrap()
}

/// Empties a source, and gives the rows of one table as maps from column to value.
fn rows_of(source: &mut dyn Source, table: &str) -> Vec<BTreeMap<String, String>> {
    let mut rows = Vec::new();
    source.each_batch(&mut |batch| {
        if batch.table().name == table {
            rows.extend((0..batch.len()).map(|row| row_of(batch, row)));
        }
        batch.clear();
    });
    rows
}

fn row_of(batch: &Batch, row: usize) -> BTreeMap<String, String> {
    let cells = batch.table().metrics.iter().zip(batch.columns()).filter_map(|(metric, column)| {
        let value = match metric.physical {
            barograph_model::Physical::Int => column.int(row)?.to_string(),
            barograph_model::Physical::Float => column.float(row)?.to_string(),
            barograph_model::Physical::Text => column.text(row)?.to_owned(),
        };
        Some((metric.column(), value))
    });
    cells.collect()
}

fn empty(source: &mut dyn Source) {
    source.each_batch(&mut Batch::clear);
}

/// A shell that runs a script, and can be talked to. It and its children end with us.
struct Shell {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Shell {
    fn start(script: &str) -> Shell {
        Shell::of(Command::new("sh").args(["-c", script]))
    }

    fn of(command: &mut Command) -> Shell {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Shell { child, to, from }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints.
    fn hear(&mut self) -> String {
        let mut line = String::new();
        assert!(self.from.read_line(&mut line).unwrap() > 0, "it ended before it said what was to be heard");
        line.trim().to_owned()
    }

    /// Lets it go on from a `read`.
    fn tell(&mut self) {
        self.to.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn state(&self) -> char {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit(')').next().unwrap().trim().chars().next().unwrap()
    }

    fn wait_until_asleep(&self) {
        while self.state() != 'S' {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Asserts that a reading allocates nothing once it has seen all that there is. On a machine where things come and go, some readings may.
fn assert_settles(name: &str, mut read: impl FnMut(f64)) {
    let mut quiet = 0;
    for second in 0..200 {
        let before = ALLOCATIONS.get();
        read(f64::from(second));
        quiet = if ALLOCATIONS.get() == before { quiet + 1 } else { 0 };
        if quiet == 20 {
            return;
        }
    }
    panic!("{name} allocates at each reading, or at every few");
}

#[test]
fn reading_processes_allocates_nothing_in_the_steady_state() {
    let _turn = alone();
    let mut shell = Shell::start("sleep 1000 & sleep 1000 & echo ready; read x");
    shell.hear();
    let mut tree = tree_of(vec![shell.pid()]);
    assert_settles("the tree of processes", |second| {
        tree.read(at(second)).unwrap();
        empty(&mut tree);
    });

    // Where nobody else starts processes: a machine of files.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/machines/hostile-names/0/");
    for select in [Select::Everyone, Select::Busiest(2), Select::Named("^p".parse::<Pattern>().unwrap().0), Select::User("0".to_owned())] {
        let machine = Arc::new(Machine::open(Roots { proc: folder.join("proc"), ..Roots::default() }).unwrap());
        let watch = Watch { roots: vec![10], adopts: true, scope: Scope::Machine, select };
        let mut all = ProcessSource::open(&machine, watch.clone()).unwrap();
        assert_settles(&format!("{watch:?}"), |second| {
            all.read(at(second)).unwrap();
            empty(&mut all);
        });
    }
}

/// A regular expression as `--processes` takes it.
struct Pattern(regex_lite::Regex);

impl std::str::FromStr for Pattern {
    type Err = regex_lite::Error;

    fn from_str(text: &str) -> Result<Pattern, regex_lite::Error> {
        regex_lite::Regex::new(text).map(Pattern)
    }
}

#[test]
fn reading_the_machine_allocates_nothing_in_the_steady_state() {
    let _turn = alone();
    for entry in SOURCES.iter().filter(|entry| !matches!(entry.cadence, Cadence::Slow(_))) {
        if let Ok(Some(mut source)) = (entry.open)(&this_machine()) {
            assert_settles(entry.name, |second| {
                source.read(at(second)).unwrap();
                empty(&mut *source);
            });
        }
    }
}

#[test]
fn one_process_is_what_the_kernel_says_it_is() {
    let _turn = alone();
    let mut shell = Shell::start("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; (exit 3); echo ready; read x");
    shell.hear();
    shell.wait_until_asleep();
    let mut source = tree_of(vec![shell.pid()]);
    source.read(at(0.0)).unwrap();
    let row = rows_of(&mut source, "process").remove(0);
    let file = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", shell.pid())).unwrap();
    let stat = file("stat");
    let field = |number: usize| stat.rsplit(')').next().unwrap().split_whitespace().nth(number - 3).unwrap().to_owned();
    let ticks = |number: usize| (field(number).parse::<f64>().unwrap() / 100.0).to_string();
    for (column, expected) in [
        ("pid", shell.pid().to_string()),
        ("start_ticks", field(22)),
        ("state", "S".to_owned()),
        ("minor_faults", field(10)),
        ("children_user_seconds", ticks(16)),
        ("children_system_seconds", ticks(17)),
        ("virtual_size_bytes", field(23)),
        ("resident_bytes", (field(24).parse::<u64>().unwrap() * this_machine().page_size).to_string()),
        ("core", field(39)),
    ] {
        assert_eq!(row.get(column), Some(&expected), "{column}");
    }
    // By ticks of 10 ms, and by the nanosecond: it has one thread.
    let [user, system] = ["user_seconds", "system_seconds"].map(|column| row[column].parse::<f64>().unwrap());
    let run = file("schedstat").split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9;
    let [ticks_user, ticks_system] = [14, 15].map(|number| ticks(number).parse::<f64>().unwrap());
    assert!(user >= ticks_user && system >= ticks_system, "{user} {system}: {stat}");
    assert!((run - 0.002..=run + 1e-9).contains(&(user + system)), "{user} + {system}: {run}");
    let (status, io) = (file("status"), file("io"));
    let in_file =
        |text: &str, key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')?.split_whitespace().next().map(str::to_owned));
    for (column, text, key, unit) in [
        ("voluntary_switches", &status, "voluntary_ctxt_switches", 1),
        ("involuntary_switches", &status, "nonvoluntary_ctxt_switches", 1),
        ("peak_resident_bytes", &status, "VmHWM", 1024),
        ("anonymous_bytes", &status, "RssAnon", 1024),
        ("read_bytes", &io, "rchar", 1),
        ("written_bytes", &io, "wchar", 1),
        ("write_calls", &io, "syscw", 1),
    ] {
        let expected = in_file(text, key).map(|value| (value.parse::<u64>().unwrap() * unit).to_string());
        assert_eq!(row.get(column), expected.as_ref(), "{column}");
    }
    let descriptors = fs::read_dir(format!("/proc/{}/fd", shell.pid())).unwrap().count();
    assert_eq!(row.get("open_files"), Some(&descriptors.to_string()));
}

#[test]
fn who_has_not_run_is_read_now_and_then() {
    let _turn = alone();
    let shell = Shell::start("read nothing");
    shell.wait_until_asleep();
    let mut source = tree_of(vec![shell.pid()]);
    let nice = |source: &mut ProcessSource, second: f64| {
        source.read(at(second)).unwrap();
        rows_of(source, "process")[0]["nice"].clone()
    };
    assert_eq!([nice(&mut source, 0.0), nice(&mut source, 0.1)], ["0", "0"]);
    // What others do to it is to be seen in the end.
    setpriority_process(Pid::from_raw(shell.pid().cast_signed()), 5).unwrap();
    let seen: Vec<String> = (2..=51).map(|tick| nice(&mut source, f64::from(tick) / 10.0)).collect();
    let first = seen.iter().position(|nice| nice == "5");
    assert!(first.is_some_and(|first| seen[..first].iter().all(|nice| nice == "0") && seen[first..].iter().all(|nice| nice == "5")), "{seen:?}");
    // But for two moments of its own, nobody asks. Who comes to this machine meanwhile is looked at.
    let mut tick = 51;
    let mut fifty_ticks = || {
        let begin = read_calls();
        for _ in 0..50 {
            tick += 1;
            source.read(at(f64::from(tick) / 10.0)).unwrap();
        }
        read_calls() - begin
    };
    let calls: Vec<u64> = (0..50).map(|_| fifty_ticks()).collect();
    assert!(calls.iter().any(|&calls| calls < 80), "so many files were read in fifty ticks each: {calls:?}");
}

/// Calls that read, by this thread.
fn read_calls() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("syscr: ")).unwrap().parse().unwrap()
}

#[test]
fn whose_parent_has_gone_has_another_at_once() {
    let _turn = alone();
    let mut shell = Shell::start("sh -c 'sleep 1000 & echo $!; wait' & read nothing; kill $!; wait $!; echo gone; read nothing");
    let sleeper = shell.hear();
    let mut source = tree_of(vec![shell.pid()]);
    let parent = |source: &mut ProcessSource, second: f64| {
        source.read(at(second)).unwrap();
        let rows = rows_of(source, "processes");
        rows.iter().rfind(|row| row["pid"] == sleeper).map(|row| row["parent_pid"].clone())
    };
    let first = parent(&mut source, 0.0).unwrap();
    for tick in 1..5 {
        parent(&mut source, f64::from(tick) / 10.0);
    }
    shell.tell();
    assert_eq!(shell.hear(), "gone");
    assert!(parent(&mut source, 0.5).is_some_and(|second| second != first), "it has not run, and is another's");
    kill_process(Pid::from_raw(sleeper.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn the_job_is_sought_among_those_who_came_with_it_and_later() {
    let _turn = alone();
    let watch = Watch { roots: Vec::new(), adopts: true, scope: Scope::Tree, select: Select::Everyone };
    let mut source = ProcessSource::open(&this_machine(), watch).unwrap();
    source.read(at(0.0)).unwrap();
    // A child of ours that came before the job is none of it: its pid is below.
    let start = |script: &str| {
        let mut shell = Shell::start(script);
        shell.hear();
        shell
    };
    let before = start("echo ready; read x");
    let root = start("exec 3<&0; sh -c 'echo ready; read x; exit' <&3 & wait");
    if root.pid() < before.pid() {
        eprintln!("left out: pids began anew just now");
        return;
    }
    source.began_with(root.pid());
    source.list_anew();
    source.read(at(1.0)).unwrap();
    let members: Vec<u32> = source.members().collect();
    assert!(members.contains(&root.pid()) && members.len() >= 2, "{members:?}: the root {} and its child", root.pid());
    assert!(!members.contains(&before.pid()), "{members:?}: {} was there before", before.pid());
    // From then on everyone who comes is looked at, and who was passed over is not.
    let later = start("echo ready; read x");
    source.list_anew();
    source.read(at(2.0)).unwrap();
    let members: Vec<u32> = source.members().collect();
    assert!(members.contains(&later.pid()) && members.contains(&root.pid()) && !members.contains(&before.pid()), "{members:?}");
}

#[test]
fn a_child_is_seen_at_the_next_tick_though_the_last_listing_was_dear() {
    let _turn = alone();
    let mut shell = Shell::start("while echo ready; read x; do sleep 1000 & done");
    shell.hear();
    // Only the last pids are looked at, and others start processes too.
    let is_seen = (0..50).any(|_| {
        let mut source = tree_of(vec![shell.pid()]);
        source.read(at(0.0)).unwrap();
        let before = source.members().count();
        shell.tell();
        shell.hear();
        // No listing costs so little CPU time that there is another one so soon.
        source.read(at(1e-7)).unwrap();
        source.members().count() == before + 1
    });
    assert!(is_seen);
}

#[test]
fn threads_are_no_processes_though_their_pids_are_looked_at() {
    let _turn = alone();
    let watch = Watch { roots: Vec::new(), adopts: true, scope: Scope::Tree, select: Select::Everyone };
    let mut source = ProcessSource::open(&this_machine(), watch).unwrap();
    source.read(at(0.0)).unwrap();
    // The parent of each of its threads is its own: we.
    let script = "import sys, threading, time\nfor line in sys.stdin:\n  threading.Thread(target=time.sleep, args=[1000], daemon=True).start()\n  print(flush=True)";
    let mut program = Shell::of(Command::new("python3").args(["-c", script]));
    program.tell();
    program.hear();
    source.read(at(1.0)).unwrap();
    program.tell();
    program.hear();
    source.read(at(1.000_000_2)).unwrap();
    assert_eq!(source.members().collect::<Vec<_>>(), [program.pid()]);
}

#[test]
fn a_job_that_ends_before_anybody_looks_has_a_row() {
    let _turn = alone();
    for select in [Select::Everyone, Select::Nobody] {
        let expected = usize::from(matches!(select, Select::Everyone));
        let watch = Watch { roots: Vec::new(), adopts: true, scope: Scope::Tree, select };
        let mut source = ProcessSource::open(&this_machine(), watch).unwrap();
        source.read(at(0.0)).unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        source.began_with(pid);
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&child)), look).unwrap();
        source.before_collecting(pid);
        child.wait().unwrap();
        source.collected(at(0.1), pid, Exit { code: Some(0), ..Exit::default() });
        source.read(at(0.2)).unwrap();
        let rows = rows_of(&mut source, "processes");
        assert_eq!(rows.len(), expected, "{rows:?}");
        for row in rows {
            let cells = ["pid", "name", "change", "exit_code", "in_job"].map(|column| row[column].clone());
            assert_eq!(cells, [pid.to_string().as_str(), "true", "exited", "0", "1"]);
        }
    }
}

/// What wait4(2) says of a child that has ended: CPU seconds and minor faults, with those of the children that it collected.
fn wait_for(pid: u32) -> (f64, u64) {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: wait4 fills in a struct of the right type, of which zeroes are a valid value.
    let usage = unsafe {
        assert_eq!(libc::wait4(pid.cast_signed(), std::ptr::null_mut(), 0, usage.as_mut_ptr()), pid.cast_signed());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_minflt.cast_unsigned())
}

/// Reads until the shell is a zombie, and once more.
fn read_to_the_end(shell: &Shell, source: &mut ProcessSource) {
    let mut second = 1.0;
    loop {
        let ended = shell.state() == 'Z';
        source.read(at(second)).unwrap();
        empty(source);
        if ended {
            return;
        }
        second += 0.02;
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn five_thousand_short_children_are_counted_once_and_need_no_memory() {
    let _turn = alone();
    // Some children are seen and some are not; some live long enough to be read many times.
    let script = "echo ready; read x; i=0; while [ $i -lt 5000 ]; do (:); i=$((i+1)); [ $((i % 500)) = 0 ] && sh -c 'j=0; while [ $j -lt 90000 ]; do j=$((j+1)); done'; done";
    let mut shell = Shell::start(script);
    shell.hear();
    shell.wait_until_asleep();
    let mut source = tree_of(vec![shell.pid()]);
    (0..5).for_each(|tick| source.read(at(f64::from(tick) / 10.0)).unwrap());
    empty(&mut source);
    let bytes_before = BYTES_IN_USE.get();
    shell.tell();
    read_to_the_end(&shell, &mut source);
    let grown = BYTES_IN_USE.get() - bytes_before;
    assert!(grown < 128 * 1024, "grew by {grown} bytes");
    let totals = source.totals();
    let (seconds, _) = wait_for(shell.pid());
    let counted = totals.user_seconds + totals.system_seconds;
    assert!((counted - seconds).abs() <= 0.02 * seconds + 0.05, "{counted} s of {seconds} s");
}

#[test]
fn children_whose_parent_ignores_them_are_counted() {
    let _turn = alone();
    let script = "
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.write(1, b'\\n'); os.read(0, 1)
for _ in range(3):
    if os.fork() == 0:
        while sum(os.times()[:2]) < 0.3: pass
        os.write(1, b'\\n'); os.read(0, 1); os._exit(0)
time.sleep(1000)
";
    let mut shell = Shell::of(Command::new("python3").args(["-c", script]));
    shell.hear();
    let mut source = tree_of(vec![shell.pid()]);
    source.read(at(0.0)).unwrap();
    shell.tell();
    (0..3).for_each(|_| drop(shell.hear()));
    // They have burnt what they burn, and live.
    source.read(at(10.0)).unwrap();
    let burnt = |source: &ProcessSource| source.totals().user_seconds + source.totals().system_seconds;
    let before = burnt(&source);
    assert!(before >= 0.9 - 0.03, "{before} s of 0.9 s");
    (0..3).for_each(|_| shell.tell());
    for second in 11..2000 {
        source.read(at(f64::from(second))).unwrap();
        if source.members().count() == 1 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(source.members().count(), 1);
    (300..303).for_each(|second| source.read(at(f64::from(second) * 10.0)).unwrap());
    let after = burnt(&source);
    assert!(after >= before && after < before + 0.2, "{before} s before, {after} s after");
}

#[test]
fn orphans_that_become_ours_are_of_the_job_and_children_of_before_are_not() {
    let _turn = alone();
    rustix::process::set_child_subreaper(rustix::process::getpid().into()).unwrap();
    let older = Shell::start("read x");
    let watch = Watch { roots: Vec::new(), adopts: true, scope: Scope::Tree, select: Select::Everyone };
    let mut source = ProcessSource::open(&this_machine(), watch).unwrap();
    source.read(at(0.0)).unwrap();
    let mut shell = Shell::start("(setsid sleep 1000 & echo $!); (sleep 1000 & echo $!); echo ready; read x");
    let orphans: [u32; 2] = [shell.hear().parse().unwrap(), shell.hear().parse().unwrap()];
    shell.hear();
    source.read(at(10.0)).unwrap();
    let mut expected = vec![shell.pid(), orphans[0], orphans[1]];
    expected.sort_unstable();
    assert_eq!(source.members().collect::<Vec<_>>(), expected, "{} is older than the job", older.pid());
    for pid in orphans {
        kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
        while !fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") Z ") {
            std::thread::sleep(Duration::from_millis(1));
        }
        source.before_collecting(pid);
        wait_for(pid);
        source.collected(at(11.0), pid, Exit { signal: Some(9), ..Exit::default() });
    }
    source.read(at(20.0)).unwrap();
    assert_eq!(source.members().collect::<Vec<_>>(), [shell.pid()]);
    let ends: Vec<_> = rows_of(&mut source, "processes").into_iter().filter_map(|row| row.get("exit_signal").cloned()).collect();
    assert_eq!(ends, ["9", "9"]);
    rustix::process::set_child_subreaper(None).unwrap();
}

#[test]
fn kept_descriptors_are_given_back() {
    let _turn = alone();
    let open_now = || fs::read_dir("/proc/self/fd").unwrap().count();
    let without_source = open_now() + 2;
    let mut shell = Shell::start(
        "echo ready; while read x; do sleep 1000 & a=$!; sleep 1000 & b=$!; sleep 1000 & echo ready; read x; kill $a $b $!; wait; echo ready; done",
    );
    shell.hear();
    let mut source = tree_of(vec![shell.pid()]);
    source.read(at(0.0)).unwrap();
    let before = open_now();
    for round in 1..20 {
        let second = f64::from(round) * 10.0;
        shell.tell();
        shell.hear();
        source.read(at(second)).unwrap();
        assert_eq!(source.members().count(), 4);
        assert_eq!(open_now(), before + 6, "two files of each of three children");
        shell.tell();
        shell.hear();
        source.read(at(second + 5.0)).unwrap();
        empty(&mut source);
        assert_eq!(open_now(), before);
    }
    drop(source);
    assert_eq!(open_now(), without_source, "two pipes to the shell");
}

#[test]
fn a_lack_of_descriptors_is_not_the_end_of_a_process() {
    let _turn = alone();
    let mut shell = Shell::start("sleep 1000 & echo ready; read x");
    shell.hear();
    let limit = getrlimit(Resource::Nofile);
    let allow = |descriptors| setrlimit(Resource::Nofile, Rlimit { current: Some(descriptors), ..limit }).unwrap();
    // So few that none is kept.
    allow(128);
    let mut source = tree_of(vec![shell.pid()]);
    source.read(at(0.0)).unwrap();
    assert_eq!(rows_of(&mut source, "process").len(), 2);
    allow(3);
    let outcome = source.read(at(10.0));
    setrlimit(Resource::Nofile, limit).unwrap();
    outcome.unwrap();
    assert_eq!(rows_of(&mut source, "process").len(), 0, "what can't be read has no row");
    assert!(source.faults().of(FaultKind::Limit) >= 2);
    assert_eq!(source.members().count(), 2);
    source.read(at(20.0)).unwrap();
    let changes: Vec<_> = rows_of(&mut source, "processes").into_iter().map(|row| row["change"].clone()).collect();
    assert!(changes.iter().all(|change| change == "changed"), "nobody went, and nobody came: {changes:?}");
    source.read(at(30.0)).unwrap();
    assert_eq!(rows_of(&mut source, "process").len(), 2);
}

const SHARED_BYTES: usize = 64 << 20;

/// Not a test, but a program for the next two: a process with so much memory that so many children share, in pages of the smallest size.
#[test]
fn shares_memory_with_children() {
    let Ok(asked) = std::env::var("BAROGRAPH_SHARES_MEMORY") else { return };
    let (bytes, children) = asked.split_once(' ').unwrap();
    // SAFETY: this prctl(2) takes numbers alone, and concerns this process alone.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) }, 0);
    let memory = vec![1u8; bytes.parse().unwrap()];
    let fork = || {
        // SAFETY: the child, in which no other thread lives on, does nothing but sleep; it is ended by its parent.
        unsafe {
            match libc::fork() {
                0 => loop {
                    libc::pause();
                },
                pid => pid,
            }
        }
    };
    let children: Vec<i32> = (0..children.parse().unwrap()).map(|_| fork()).collect();
    let mut out = std::io::stdout();
    writeln!(out, "\nready").unwrap();
    out.flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    for pid in children {
        // SAFETY: kill and waitpid take numbers; a null status is allowed.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, std::ptr::null_mut(), 0);
        }
    }
    assert!(memory.iter().all(|&byte| byte == 1));
}

/// A process with so much memory, and so many children that share it. It ends when it can't hear us any more.
fn family_that_shares(bytes: usize, children: u32) -> Shell {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "shares_memory_with_children", "--nocapture"]).env("BAROGRAPH_SHARES_MEMORY", format!("{bytes} {children}"));
    let mut parent = Shell::of(&mut command);
    while parent.hear() != "ready" {}
    parent
}

#[test]
fn memory_that_ten_children_share_is_counted_once_as_pss() {
    let _turn = alone();
    let mut parent = family_that_shares(SHARED_BYTES, 10);
    let mut source = tree_of(vec![parent.pid()]);
    source.read(at(0.0)).unwrap();
    assert_eq!(source.members().count(), 11);
    let job = rows_of(&mut source, "job").remove(0);
    assert!(job["resident_bytes"].parse::<usize>().unwrap() > 11 * SHARED_BYTES, "RSS counts shared pages for each");

    let (machine, targets) = (this_machine(), Targets::default());
    // A pid that was used again is not taken for the process that had it.
    let reused = (parent.pid(), start_ticks(&machine, parent.pid()).unwrap() + 1);
    targets.set(at(7.0), source.member_identities().chain([reused]));
    let mut memory = ProcessMemorySource::new(&machine, targets);
    let mut sizes = BTreeMap::new();
    // A pass breaks off when it has used up its time, and the next one goes on.
    for pass in 0..1000 {
        memory.read(at(f64::from(pass) * 1000.0)).unwrap();
        memory.each_batch(&mut |batch| {
            assert!(batch.utc_nanos().iter().all(|&nanos| nanos == at(7.0).utc_nanos), "a row is of the tick whose processes these are");
        });
        sizes.extend(
            rows_of(&mut memory, "process_memory").into_iter().map(|row| (row["pid"].clone(), row["proportional_bytes"].parse::<usize>().unwrap())),
        );
        if sizes.len() == 11 {
            break;
        }
    }
    assert_eq!(sizes.len(), 11);
    let sum: usize = sizes.values().sum();
    assert!((SHARED_BYTES..SHARED_BYTES + (32 << 20)).contains(&sum), "the sum of PSS is {sum}");
    parent.to = None;
    parent.child.wait().unwrap();
}

fn thread_cpu_time() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).unwrap()
}

#[test]
fn page_tables_of_large_processes_are_walked_a_few_at_a_time() {
    let _turn = alone();
    let mut parent = family_that_shares(512 << 20, 40);
    let mut processes = tree_of(vec![parent.pid()]);
    processes.read(at(0.0)).unwrap();
    let all: Vec<u32> = processes.members().collect();
    assert_eq!(all.len(), 41);
    let begin = thread_cpu_time();
    all.iter().for_each(|pid| drop(fs::read(format!("/proc/{pid}/smaps_rollup")).unwrap()));
    let (whole, targets) = (thread_cpu_time() - begin, Targets::default());
    targets.set(at(0.0), processes.member_identities());
    let mut memory = ProcessMemorySource::new(&this_machine(), targets);
    let mut pass = |second: f64| -> Vec<u32> {
        memory.read(at(second)).unwrap();
        rows_of(&mut memory, "process_memory").iter().map(|row| row["pid"].parse().unwrap()).collect()
    };
    let mut seen = pass(1.0);
    if whole > Duration::from_millis(60) {
        assert!((1..all.len()).contains(&seen.len()), "{} of {} in one pass, though all take {whole:?}", seen.len(), all.len());
        // A pass of 20 ms rests for 10 s.
        assert_eq!(pass(9.0), [0; 0], "it did not rest");
    } else {
        eprintln!("left out: this machine walks the page tables of 20 GiB in {whole:?}, which is no strain");
    }
    // Each pass goes on where the last one broke off.
    for number in 1..=all.len() {
        if seen.len() >= all.len() {
            break;
        }
        seen.extend(pass(number as f64 * 100_000.0));
    }
    seen.truncate(all.len());
    seen.sort_unstable();
    assert_eq!(seen, all, "each once, before anybody twice");
    parent.to = None;
    parent.child.wait().unwrap();
}
