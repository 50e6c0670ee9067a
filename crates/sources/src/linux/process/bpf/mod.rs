//! All processes' counters in one reading: a BPF iterator over the kernel's tasks, in place of two files of /proc for each process.
//!
//! It is a fast path and never the only one. Whom it does not know, or knows with another start, or saw while threads of it ended, is read from /proc; where it
//! can't be had, all are. A process's name, parents and start come from /proc first, so the two are compared at every tick. What stands in the columns
//! means the same whichever way it came: `tests/iterator.rs` compares them field by field.

mod btf;
mod call;
mod program;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use barograph_model::Moment;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::cpu_time::CpuTime;
use super::parse::{Io, Name, Stat};
use crate::scan::lines;
use crate::{Machine, Root};
use btf::Btf;
use call::Pages;
use program::{COUNTERS, First, Record};

/// Below so many processes /proc is cheap enough.
const LEAST_PROCESSES: usize = 100;
/// So long there must have been as many before it is made ready: a short command does not pay for it.
const LEAST_NANOS: i64 = 1_000_000_000;
/// The iterator visits every thread. Up to so many to a process it was seen to be cheaper than /proc, whose files add up all threads too.
const MOST_THREADS_EACH: u64 = 16;
/// The kernel's description of its own types.
const TYPES: &str = "kernel/btf/vmlinux";
/// The kernel gives at most so much at a time.
const MOST_AT_ONCE: usize = 32 * 1024;
/// The capability without which /proc refuses what processes of other users read and wrote: so the iterator must not tell it either.
const CAP_SYS_PTRACE: u32 = 19;

// Of the kernel's linux/sched.h and linux/pid_namespace.h, where they have not changed since there are BPF iterators.
const PF_KTHREAD: u64 = 0x0020_0000;
const INITIAL_NAMESPACE: &str = "pid:[4026531836]";

/// What the iterator says of a process, as the files of /proc would.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) stat: Stat,
    pub(super) io: Io,
    /// How long all threads ran.
    pub(super) ran_nanos: u64,
}

/// The fast path: whether there is one, and what it read at this tick.
pub(super) struct Fast {
    machine: Arc<Machine>,
    state: State,
    bytes: Vec<u8>,
    /// In the order of pids.
    processes: Vec<Sum>,
    /// Threads whose process has not been seen yet.
    early: Vec<Record>,
    served: u64,
}

enum State {
    /// Nothing has called for it yet, or only since this time on the clock of [`Moment::monotonic_nanos`].
    Idle(Option<i64>),
    /// A thread prepares it: that takes longer than a tick should.
    Loading(JoinHandle<Result<OwnedFd, String>>),
    /// The descriptor ties our program to the kernel's list of tasks; with it, both go.
    Ready(OwnedFd),
    Off(String),
}

/// The sum over the records of a process.
struct Sum {
    pid: u32,
    changes: u64,
    /// No thread ended between two records.
    whole: bool,
    threads_seen: u64,
    counters: [u64; COUNTERS],
    first: First,
}

impl Fast {
    pub(super) fn new(machine: &Arc<Machine>) -> Fast {
        Fast {
            machine: Arc::clone(machine),
            state: State::Off("not asked for".to_owned()),
            bytes: Vec::new(),
            processes: Vec::new(),
            early: Vec::new(),
            served: 0,
        }
    }

    /// From now on it may be used.
    pub(super) fn allow(&mut self) {
        self.state = State::Idle(None);
    }

    /// How it stands: `ok`, `not needed` for so few processes, `not ready yet`, or why it can't be had.
    pub(super) fn status(&self) -> String {
        match &self.state {
            State::Idle(_) => "not needed".to_owned(),
            State::Loading(_) => "not ready yet".to_owned(),
            State::Ready(_) => "ok".to_owned(),
            State::Off(why) => why.clone(),
        }
    }

    /// Whether it will never be used.
    pub(super) fn is_off(&self) -> bool {
        matches!(self.state, State::Off(_))
    }

    /// Processes that it answered for at this tick.
    pub(super) fn served(&self) -> u64 {
        self.served
    }

    /// Reads everyone, if so many processes with so many threads are worth it. Once they are, it is made ready first.
    pub(super) fn read(&mut self, at: Moment, processes: usize, threads: u64) {
        let in_vain = !self.processes.is_empty() && self.served == 0;
        self.processes.clear();
        self.served = 0;
        let worth = processes >= LEAST_PROCESSES && threads <= processes as u64 * MOST_THREADS_EACH;
        self.state = match std::mem::replace(&mut self.state, State::Idle(None)) {
            State::Idle(Some(since)) if worth && at.monotonic_nanos - since >= LEAST_NANOS => self.load(),
            State::Idle(since) => State::Idle(worth.then(|| since.unwrap_or(at.monotonic_nanos))),
            State::Loading(thread) if thread.is_finished() => match thread.join() {
                Ok(Ok(link)) => State::Ready(link),
                Ok(Err(why)) => State::Off(why),
                Err(_) => State::Off("its thread failed".to_owned()),
            },
            // A namespace of time, perhaps.
            State::Ready(_) if in_vain => State::Off("it knows none of the processes of /proc by pid and start".to_owned()),
            other => other,
        };
        let State::Ready(link) = &self.state else { return };
        if !worth {
            return;
        }
        let added_up = match read_all(link, &mut self.bytes) {
            Ok(()) => self.add_up(),
            // A limit of ours or of the machine's passes: at this tick /proc is read.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = added_up {
            self.processes.clear();
            self.state = State::Off(why);
        }
    }

    /// It is not read at this tick.
    pub(super) fn rest(&mut self) {
        self.processes.clear();
        self.served = 0;
    }

    /// The pids of all processes that it saw at this tick, in order; none if it was not read.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().map(|sum| sum.pid)
    }

    /// Whether it saw a process of this pid at this tick.
    pub(super) fn has_seen(&self, pid: u32) -> bool {
        self.processes.binary_search_by_key(&pid, |sum| sum.pid).is_ok()
    }

    fn load(&self) -> State {
        let machine = Arc::clone(&self.machine);
        match Builder::new().name("iterator".to_owned()).stack_size(128 * 1024).spawn(move || load(&machine)) {
            Ok(thread) => State::Loading(thread),
            Err(error) => State::Off(format!("no thread: {error}")),
        }
    }

    /// Adds up the records of each process.
    fn add_up(&mut self) -> Result<(), String> {
        let records = program::records(&self.bytes).ok_or("the iterator gave something else than our program writes")?;
        self.early.clear();
        for record in records {
            if let Some(first) = record.first {
                self.processes.push(Sum::new(&record, first));
            } else if let Some(sum) = find(&mut self.processes, record.process) {
                sum.add(&record);
            } else {
                self.early.push(record);
            }
        }
        self.settle()
    }

    /// The kernel lists tasks in the order of their numbers. Numbers begin anew at some point, so a thread may come before its process.
    fn settle(&mut self) -> Result<(), String> {
        if !self.processes.is_sorted_by_key(|sum| sum.pid) {
            return Err("the iterator's processes are in no order".to_owned());
        }
        for record in &self.early {
            if let Some(sum) = find(&mut self.processes, record.process) {
                sum.add(record);
            }
        }
        Ok(())
    }

    /// What is known of this process now, if it is the one that is known and all of it was seen.
    pub(super) fn answer(&mut self, pid: u32, known: &Stat) -> Option<Answer> {
        let (nanos, page) = (1_000_000_000 / self.machine.ticks_per_second, self.machine.page_size);
        let answer = find(&mut self.processes, pid)?.answer(known, nanos, page);
        self.served += u64::from(answer.is_some());
        answer
    }
}

fn find(processes: &mut [Sum], pid: u32) -> Option<&mut Sum> {
    let index = processes.binary_search_by_key(&pid, |sum| sum.pid).ok()?;
    processes.get_mut(index)
}

impl Sum {
    fn new(record: &Record, first: First) -> Sum {
        let (before, after) = record.changes;
        Sum { pid: record.process, changes: before, whole: before == after && before % 2 == 0, threads_seen: 1, counters: record.counters, first }
    }

    fn add(&mut self, record: &Record) {
        self.whole &= record.changes == (self.changes, self.changes);
        self.threads_seen += 1;
        for (sum, counter) in self.counters.iter_mut().zip(record.counters) {
            *sum = sum.saturating_add(counter);
        }
    }

    fn answer(&self, known: &Stat, nanos_per_tick: u64, page: u64) -> Option<Answer> {
        let first = &self.first;
        let is_kernel = first.flags & PF_KTHREAD != 0;
        // A thread that began meanwhile is one too many, and does no harm. One too few was passed by.
        if !self.whole || self.threads_seen < first.threads || first.started_nanos / nanos_per_tick != known.start_ticks {
            return None;
        }
        // Names of the kernel's workers are longer than what is told here, and change with their work: the one that was seen first stays.
        let name = if is_kernel { known.name } else { name(&first.name)? };
        let [user, system, run, minor_faults, major_faults, read, written, read_calls, write_calls, storage_read, storage_written, cancelled] =
            self.counters;
        let the_kernel_showed = CpuTime { user: first.shown[0], system: first.shown[1] };
        let cpu = CpuTime::divided_twice(CpuTime { user, system }, run, the_kernel_showed, known.cpu);
        let [children_user, children_system, children_minor_faults, children_major_faults] = first.children;
        let whole_ticks = |nanos: u64| nanos - nanos % nanos_per_tick;
        let pages = if is_kernel { 0 } else { first.resident_pages.iter().map(|&pages| u64::try_from(pages).unwrap_or(0)).sum() };
        let stat = Stat {
            name,
            state: letter(first.state, first.exit_state),
            parent: first.parent,
            minor_faults,
            children_minor_faults,
            major_faults,
            children_major_faults,
            cpu,
            children_cpu: CpuTime { user: whole_ticks(children_user), system: whole_ticks(children_system) },
            nice: first.priority - 120,
            threads: first.threads,
            virtual_bytes: if is_kernel { 0 } else { first.virtual_pages.saturating_mul(page) },
            resident_pages: pages,
            core: Some(first.core),
            // The rest is of interest only where an identity is looked at, and then read from /proc.
            ..*known
        };
        let io = Io { read, written, read_calls, write_calls, storage_read, storage_written, cancelled };
        Some(Answer { stat, io, ran_nanos: run })
    }
}

/// The name as /proc/PID/stat has it; `None` if that writes some of its bytes in another way.
fn name(bytes: &[u8; 16]) -> Option<Name> {
    let name = bytes.split(|&byte| byte == 0).next()?;
    (!name.iter().any(|byte| matches!(byte, b'\n' | b'\\'))).then(|| Name::new(name))
}

/// The letter of a task's state.
fn letter(state: u64, exit_state: u64) -> u8 {
    const IDLE: u64 = 0x402;
    const WAITS_FOR_LOCK: u64 = 0x1000;
    const FROZEN: u64 = 0x8000;
    if state & (WAITS_FOR_LOCK | FROZEN) != 0 {
        return b'D';
    }
    if state & IDLE == IDLE {
        return b'I';
    }
    // The highest of these seven bits tells.
    match (state | exit_state) & 0x7f {
        0 => b'R',
        bits => b"SDTtXZP"[usize::try_from(bits.ilog2()).unwrap_or(0)],
    }
}

/// Makes the iterator ready. An error says in words why it can't be had.
fn load(machine: &Machine) -> Result<OwnedFd, String> {
    check(machine)?;
    let types = types(machine).map_err(|error| format!("{}: {error}", machine.path(Root::Sys, TYPES)))?;
    let program = program::make(&Btf::parse(types.bytes()).ok_or("the kernel's types can't be understood")?)?;
    let program = call::load(&program).map_err(|error| format!("the kernel refuses the program: {error}"))?;
    call::attach(&program).map_err(|error| format!("the kernel refuses to attach the program: {error}"))
}

fn types(machine: &Machine) -> io::Result<Pages> {
    let file = machine.open_at(Root::Sys, TYPES, OFlags::empty())?;
    Pages::read(&file, usize::try_from(rustix::fs::fstat(&file)?.st_size).map_err(io::Error::other)?)
}

/// Whether what the iterator would tell is what /proc tells.
fn check(machine: &Machine) -> Result<(), String> {
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Err("not tried on this kind of machine".to_owned());
    }
    // A folder that plays /proc, a container's /proc, or that of a host seen from a container.
    if machine.link(Root::Proc, "self/ns/pid").as_deref() != Some(INITIAL_NAMESPACE) {
        return Err("not in the initial namespace of pids".to_owned());
    }
    let status = machine.text(Root::Proc, "self/status").unwrap_or_default();
    let effective = lines(status.as_bytes()).find_map(|line| line.strip_prefix(b"CapEff:"));
    let effective = effective.and_then(|digits| u64::from_str_radix(str::from_utf8(digits).ok()?.trim(), 16).ok()).unwrap_or(0);
    if effective >> CAP_SYS_PTRACE & 1 == 0 {
        return Err("it takes CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE, which root has".to_owned());
    }
    // The iterator does not tell them.
    if machine.number(Root::Proc, "sys/kernel/task_delayacct") != Some(0) {
        return Err("the kernel accounts for delays, which only /proc tells".to_owned());
    }
    // On such cores the kernel does not write down CPU time until it is asked for it.
    let tickless = machine.text(Root::Sys, "devices/system/cpu/nohz_full").unwrap_or_default();
    if tickless.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err("some cores count CPU time without ticks (nohz_full)".to_owned());
    }
    Ok(())
}

/// Runs the program for all tasks, and gathers what it writes.
fn read_all(link: &OwnedFd, bytes: &mut Vec<u8>) -> io::Result<()> {
    let iterator = call::open(link)?;
    bytes.clear();
    loop {
        bytes.reserve(MOST_AT_ONCE);
        match rustix::io::read(&iterator, rustix::buffer::spare_capacity(bytes)) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::process::{parse, watched::Watched};

    const KNOWN: &[u8] = b"7 (sleep) S 1 7 7 0 -1 0 1 0 0 0 1 1 0 0 20 0 1 0 500 4096 1 18446744073709551615";
    const FIRST: First = First {
        state: 1,
        exit_state: 0,
        flags: 0,
        parent: 1,
        priority: 120,
        core: 0,
        threads: 2,
        started_nanos: 5_009_999_999,
        virtual_pages: 3,
        resident_pages: [1, -5, 2],
        name: *b"sleep\0\0\0\0\0\0\0\0\0\0\0",
        children: [0; 4],
        shown: [0; 2],
    };

    fn record(changes: (u64, u64), first: Option<First>) -> Record {
        Record { process: 7, changes, counters: [10_000_000; COUNTERS], first }
    }

    fn answer(sum: &Sum) -> Option<Answer> {
        sum.answer(&parse::stat(KNOWN, 10_000_000).unwrap(), 10_000_000, 4096)
    }

    #[test]
    fn threads_are_added_up_if_all_were_seen_and_none_ended_meanwhile() {
        let mut sum = Sum::new(&record((4, 4), Some(FIRST)), FIRST);
        assert!(answer(&sum).is_none(), "one of two threads was passed by");
        sum.add(&record((4, 4), None));
        let whole = answer(&sum).unwrap();
        assert_eq!(
            (whole.stat.minor_faults, whole.io.read, whole.stat.cpu),
            (20_000_000, 20_000_000, CpuTime { user: 10_000_000, system: 10_000_000 })
        );
        // An approximate counter below 0 counts as none.
        assert_eq!((whole.stat.resident_pages, whole.stat.virtual_bytes, whole.stat.nice), (3, 3 * 4096, 0));
        sum.add(&record((6, 6), None));
        assert!(answer(&sum).is_none(), "a thread ended between two records");
        for changes in [(4, 6), (5, 5)] {
            let sum = Sum::new(&record(changes, Some(FIRST)), First { threads: 1, ..FIRST });
            assert!(answer(&sum).is_none(), "{changes:?}: its books were open");
        }
    }

    #[test]
    fn who_has_the_pid_now_is_not_who_had_it() {
        let one = First { threads: 1, ..FIRST };
        assert!(answer(&Sum::new(&record((0, 0), None), one)).is_some());
        let later = First { started_nanos: 5_010_000_000, ..one };
        assert!(answer(&Sum::new(&record((0, 0), None), later)).is_none());
    }

    #[test]
    fn workers_of_the_kernel_keep_their_names_and_have_no_memory() {
        let worker = First { threads: 1, flags: PF_KTHREAD, name: *b"kworker/0:1\0\0\0\0\0", ..FIRST };
        let told = answer(&Sum::new(&record((0, 0), None), worker)).unwrap().stat;
        assert_eq!((told.name.as_bytes(), told.virtual_bytes, told.resident_pages), (&b"sleep"[..], 0, 0));
        // Of these /proc writes two bytes for one.
        assert!(name(b"two\nlines\0\0\0\0\0\0\0").is_none() && name(b"back\\slash\0\0\0\0\0\0").is_none());
    }

    #[test]
    fn states_have_the_letters_of_proc() {
        let letters =
            [(0, 0), (1, 0), (2, 0), (4, 0), (8, 0), (0x80, 0x10), (0x80, 0x20), (0x40, 0), (0x402, 0), (0x800, 0), (0x2001, 0), (0x8001, 0)];
        let letters: Vec<u8> = letters.into_iter().map(|(state, exit_state)| letter(state, exit_state)).collect();
        assert_eq!(letters, b"RSDTtXZPIRSD");
    }

    #[test]
    fn cpu_time_does_not_go_back_from_the_iterator_to_proc_nor_from_there() {
        let known = parse::stat(KNOWN, 10_000_000).unwrap();
        let sum = |run, shown| {
            let mut sum = Sum::new(&record((0, 0), None), First { threads: 1, shown, ..FIRST });
            sum.counters[2] = run;
            sum
        };
        let millis = |process: &Watched| (process.stat.cpu.user / 1_000_000, process.stat.cpu.system / 1_000_000);
        let mut process = Watched::new(1, known, None);
        process.advance_fast(2, sum(206_000_000, [0, 0]).answer(&process.stat, 10_000_000, 4096).unwrap());
        assert_eq!(millis(&process), (103, 103));
        // For /proc the kernel divides otherwise, and remembers that.
        let divided = Stat { cpu: CpuTime { user: 120_000_000, system: 90_000_000 }, ..known };
        process.advance(3, divided, Some(216_000_000));
        assert_eq!(millis(&process), (113, 103));
        process.advance(4, divided, Some(216_000_000));
        assert_eq!(millis(&process), (113, 103));
        process.advance_fast(5, sum(223_000_000, [120_000_000, 90_000_000]).answer(&process.stat, 10_000_000, 4096).unwrap());
        assert_eq!(millis(&process), (120, 103));
        process.advance_fast(6, sum(240_000_000, [120_000_000, 90_000_000]).answer(&process.stat, 10_000_000, 4096).unwrap());
        assert_eq!(process.stat.cpu, CpuTime { user: 120_000_000, system: 120_000_000 });
    }

    #[test]
    fn a_thread_may_come_before_its_process() {
        let machine = Arc::new(Machine::open(crate::Roots::default()).unwrap());
        let mut fast = Fast::new(&machine);
        fast.processes.push(Sum::new(&record((0, 0), Some(FIRST)), FIRST));
        fast.processes.push(Sum::new(&Record { process: 5, ..record((0, 0), Some(FIRST)) }, FIRST));
        assert!(fast.settle().is_err(), "processes in no order");
        fast.processes.truncate(1);
        fast.early = vec![record((0, 0), None), Record { process: 9, ..record((0, 0), None) }];
        fast.settle().unwrap();
        assert_eq!(fast.processes[0].threads_seen, 2);
    }
}
