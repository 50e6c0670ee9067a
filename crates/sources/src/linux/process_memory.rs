//! Memory with shared pages told apart: PSS and USS from /proc/PID/smaps_rollup, which walks all page tables of a process.
//!
//! That is dear (0.1 ms for 50 MB, 0.75 ms for 200 MB), and holds up the process while it maps memory. So it has a thread of its own, a slow cadence,
//! and a budget: a pass that has used up its time goes on with the next process at the next pass.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use barograph_model::{Batch, Bytes, Described, Gauge, Id, Moment, Rows, Table, table};

use super::process::{cpu_nanos, start_ticks};
use crate::scan::{lines, number, split_key, words};
use crate::{Fault, FaultKind, Faults, Machine, Root, Source};

table! {
    /// Memory of each process of the job with shared pages told apart, read seldom.
    pub ProcessMemory = "process_memory" in "/proc/PID/smaps_rollup" {
        key {
            /// Number of the process.
            pid: Id = "stat pid",
            /// When it began, in clock ticks since boot: with the pid it names one process for good.
            start_ticks: Id = "stat starttime",
        }
        /// Proportional set size: its own pages, and its share of those that it shares. The sum over processes counts each page once.
        proportional: Gauge<Bytes> = "Pss",
        /// The part of the proportional set size that belongs to no file.
        proportional_anonymous: Gauge<Bytes> = "Pss_Anon",
        /// The part of the proportional set size that maps files.
        proportional_file: Gauge<Bytes> = "Pss_File",
        /// The part of the proportional set size that is shared memory.
        proportional_shared: Gauge<Bytes> = "Pss_Shmem",
        /// Unique set size: what would be free if it ended.
        unique: Gauge<Bytes> = "Private_Clean and Private_Dirty",
        /// Its share of what is in swap.
        proportional_swap: Gauge<Bytes> = "SwapPss",
    }
}

/// The tables that this source fills.
pub(super) const TABLES: &[&Table] = &[ProcessMemory::TABLE];

/// How often a pass begins, at most.
pub const PROCESS_MEMORY_PERIOD: Duration = Duration::from_secs(10);
/// CPU time that a pass may cost before it breaks off: 20 ms. One that merely waited for its core, on a busy machine, goes on.
const PASS_NANOS: i64 = 20_000_000;
/// After a pass it rests this many times as long as it took, which is 0.2 % of the time.
const REST: i64 = 500;

/// The processes to look at, and the tick at which they were there, shared with whoever knows them.
#[derive(Clone, Debug, Default)]
pub struct Targets(Arc<Mutex<There>>);

#[derive(Debug, Default)]
struct There {
    at: Moment,
    processes: Vec<(u32, u64)>,
}

impl Targets {
    /// Says which processes, each by pid and start ticks, are to be looked at from this tick on.
    pub fn set(&self, at: Moment, targets: impl Iterator<Item = (u32, u64)>) {
        let mut there = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        there.at = at;
        there.processes.clear();
        there.processes.extend(targets);
    }

    /// The processes of this moment, in place of what is in the list, and their tick.
    pub(super) fn copy_into(&self, list: &mut Vec<(u32, u64)>) -> Moment {
        list.clear();
        let there = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.extend_from_slice(&there.processes);
        there.at
    }
}

/// The source of the table `process_memory`.
pub struct ProcessMemorySource {
    machine: Arc<Machine>,
    targets: Targets,
    list: Vec<(u32, u64)>,
    /// Where the last pass broke off.
    cursor: usize,
    /// On the clock of [`Moment::monotonic_nanos`].
    not_before: i64,
    buffer: Vec<u8>,
    faults: Faults,
    rows: Rows<ProcessMemory>,
}

impl ProcessMemorySource {
    /// Looks at these processes, whenever it is asked and has the time.
    pub fn new(machine: &Arc<Machine>, targets: Targets) -> ProcessMemorySource {
        ProcessMemorySource {
            machine: Arc::clone(machine),
            targets,
            list: Vec::new(),
            cursor: 0,
            not_before: i64::MIN,
            buffer: Vec::new(),
            faults: Faults::default(),
            rows: Rows::new(),
        }
    }
}

impl Source for ProcessMemorySource {
    fn read(&mut self, at: Moment) -> Result<(), Fault> {
        if at.monotonic_nanos < self.not_before {
            return Ok(());
        }
        let begin = cpu_nanos();
        // On a busy machine this may be later than when it was asked: the rows are then those of that tick, whose processes they are.
        let tick = self.targets.copy_into(&mut self.list);
        for _ in 0..self.list.len() {
            self.cursor = (self.cursor + 1) % self.list.len();
            let (pid, start) = self.list[self.cursor];
            // The list is as old as the tick before: the pid may be another process's by now.
            if start_ticks(&self.machine, pid) != Some(start) {
                continue;
            }
            match self.machine.read(Root::Proc, &format!("{pid}/smaps_rollup"), &mut self.buffer) {
                Ok(()) => write_row(&mut self.rows, tick, pid, start, parse(&self.buffer)),
                Err(fault) if fault.kind == FaultKind::Gone => {}
                Err(fault) => self.faults.count(fault.kind),
            }
            if cpu_nanos() - begin > PASS_NANOS {
                break;
            }
        }
        let rest = (cpu_nanos() - begin).saturating_mul(REST);
        self.not_before = at.monotonic_nanos.saturating_add(rest);
        Ok(())
    }

    fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.rows);
    }

    fn faults(&self) -> Faults {
        self.faults
    }
}

fn write_row(rows: &mut Rows<ProcessMemory>, at: Moment, pid: u32, start_ticks: u64, sizes: Option<Sizes>) {
    // A process without memory (a zombie) has an empty file, and no row.
    let Some(sizes) = sizes else { return };
    rows.row(at)
        .set(ProcessMemory::pid, u64::from(pid))
        .set(ProcessMemory::start_ticks, start_ticks)
        .set(ProcessMemory::proportional, sizes.proportional)
        .set(ProcessMemory::proportional_anonymous, sizes.anonymous)
        .set(ProcessMemory::proportional_file, sizes.file)
        .set(ProcessMemory::proportional_shared, sizes.shared)
        .set(ProcessMemory::unique, sizes.unique)
        .set(ProcessMemory::proportional_swap, sizes.swap);
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Sizes {
    proportional: Option<u64>,
    anonymous: Option<u64>,
    file: Option<u64>,
    shared: Option<u64>,
    unique: Option<u64>,
    swap: Option<u64>,
}

/// Lines of `key: value kB`, where kB means KiB; `None` if there is no proportional set size among them.
fn parse(text: &[u8]) -> Option<Sizes> {
    let mut sizes = Sizes::default();
    for line in lines(text) {
        let Some((key, rest)) = split_key(line) else { continue };
        let Some(bytes) = words(rest).next().and_then(number).and_then(|value| value.checked_mul(1024)) else { continue };
        match key {
            b"Pss" => sizes.proportional = Some(bytes),
            b"Pss_Anon" => sizes.anonymous = Some(bytes),
            b"Pss_File" => sizes.file = Some(bytes),
            b"Pss_Shmem" => sizes.shared = Some(bytes),
            b"Private_Clean" | b"Private_Dirty" => sizes.unique = Some(sizes.unique.unwrap_or(0).saturating_add(bytes)),
            b"SwapPss" => sizes.swap = Some(bytes),
            _ => {}
        }
    }
    sizes.proportional.is_some().then_some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_is_the_sum_of_clean_and_dirty() {
        let text =
            b"5581-7ffc ---p 00000000 00:00 0 [rollup]\nRss: 900 kB\nPss: 300 kB\nPss_Anon: 200 kB\nPrivate_Clean: 10 kB\nPrivate_Dirty: 190 kB\n";
        let sizes = parse(text).unwrap();
        assert_eq!((sizes.proportional, sizes.anonymous, sizes.unique), (Some(300 << 10), Some(200 << 10), Some(200 << 10)));
        assert_eq!(sizes.swap, None);
        assert_eq!(parse(b""), None);
        let most = parse(b"Pss: 1 kB\nPrivate_Clean: 18014398509481983 kB\nPrivate_Dirty: 18014398509481983 kB\n").unwrap();
        assert_eq!(most.unique, Some(u64::MAX), "which no cell takes");
    }
}
