//! What watching costs, and what could not be watched: the recorder as a source like any other.

use std::sync::Arc;
use std::time::Duration;

use barograph_model::{Batch, Bytes, Count, Counter, Described, Gauge, Moment, Rows, Seconds, Table, Text, table};

use crate::scan::{number, words};
use crate::{FaultKind, Faults, KeptFile, Machine, Root};

table! {
    /// What the recorder itself used, and what it missed.
    pub Own = "own" in "the recorder" {
        /// Ticks so far.
        ticks: Counter<Count> = "the recorder",
        /// Ticks that were left out because the machine or the recorder was busy, stopped or suspended.
        missed_ticks: Counter<Count> = "the recorder",
        /// How long the reading of the tick before took.
        tick_duration: Gauge<Seconds> = "the recorder",
        /// How much later than planned this tick began.
        lateness: Gauge<Seconds> = "the recorder",
        /// Time that the machine has been suspended since boot.
        suspended: Counter<Seconds> = "clock_gettime(2), CLOCK_BOOTTIME less CLOCK_MONOTONIC",
        /// CPU time of the recorder, all of its threads, in its own code and in the kernel.
        cpu: Counter<Seconds> = "clock_gettime(2), CLOCK_PROCESS_CPUTIME_ID",
        /// RAM that the recorder has, read once a second; absent where it records from within another program.
        resident: Gauge<Bytes> = "/proc/self/statm",
        /// Bytes that the recorder wrote to its recording.
        written: Counter<Bytes> = "the recorder",
        /// Rows that the recorder had to drop because the recording could not be written.
        rows_lost: Counter<Count> = "the recorder",
        /// Processes that were read at this tick and got no row, by the user's choice.
        processes_left_out: Gauge<Count> = "the recorder",
        /// Processes whose counters a BPF iterator gave at this tick; those of all others came from /proc.
        processes_fast: Gauge<Count> = "the recorder",
        /// Readings refused to this user.
        denied: Counter<Count> = "EACCES and EPERM",
        /// Things that were gone when they were to be read, such as processes that had just ended.
        vanished: Counter<Count> = "ENOENT and ESRCH",
        /// Files that did not read as they should.
        malformed: Counter<Count> = "the parsers",
        /// Readings that failed at a limit of the recorder, such as the number of its descriptors.
        limited: Counter<Count> = "EMFILE, ENFILE and ENOMEM",
        /// Readings that failed in any other way.
        failed: Counter<Count> = "other errors",
    }
}

table! {
    /// What each source cost, written seldom: its columns are counters.
    pub OwnSources = "own_sources" in "the recorder" {
        key {
            /// Name of the source.
            source: Text = "the recorder",
        }
        /// Times that it was read.
        reads: Counter<Count> = "the recorder",
        /// Time spent reading it.
        read_time: Counter<Seconds> = "the recorder",
        /// Readings that failed as a whole.
        failures: Counter<Count> = "the recorder",
    }
}

/// The tables that this source fills.
pub(super) const TABLES: &[&Table] = &[Own::TABLE, OwnSources::TABLE];

/// What the recorder knows of itself at a tick.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Ticks so far.
    pub ticks: u64,
    /// Ticks that were left out.
    pub missed_ticks: u64,
    /// How long the reading of the tick before took; `None` at the first.
    pub tick_duration: Option<Duration>,
    /// How much later than planned this tick began.
    pub lateness: Duration,
    /// Time in suspend since boot.
    pub suspended: Duration,
    /// Bytes written to the recording.
    pub written_bytes: u64,
    /// Rows dropped.
    pub rows_lost: u64,
    /// Processes read that got no row.
    pub processes_left_out: u64,
    /// Processes that a BPF iterator told of.
    pub processes_fast: u64,
    /// Failures by kind.
    pub faults: Faults,
    /// CPU time of the recorder's threads, where the process is another program's; without it, that of the process is meant.
    pub threads_cpu: Option<Duration>,
}

/// What one source cost so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceCost {
    /// Times that it was read.
    pub reads: u64,
    /// Time spent reading it.
    pub read_time: Duration,
    /// Readings that failed as a whole.
    pub failures: u64,
}

/// How often our own memory is looked at.
const RESIDENT_NANOS: i64 = 1_000_000_000;

/// Fills the tables `own` and `own_sources`.
pub struct OwnSource {
    statm: Option<KeptFile>,
    resident: Option<u64>,
    /// When that was read, on the monotonic clock.
    resident_at: i64,
    page_size: u64,
    buffer: Vec<u8>,
    rows: Rows<Own>,
    source_rows: Rows<OwnSources>,
}

impl OwnSource {
    /// Opens what tells our own memory; without it that column is absent.
    pub fn open(machine: &Arc<Machine>) -> OwnSource {
        OwnSource {
            statm: if machine.is_ours() { machine.keep(Root::Proc, "self/statm").ok() } else { None },
            resident: None,
            resident_at: i64::MIN,
            page_size: machine.page_size,
            buffer: Vec::new(),
            rows: Rows::new(),
            source_rows: Rows::new(),
        }
    }

    /// Writes the row of this tick.
    pub fn read(&mut self, at: Moment, cost: &Cost) {
        // A little early, so that a tick that is a little early too does not make it two seconds.
        if cost.threads_cpu.is_none() && at.monotonic_nanos.saturating_sub(self.resident_at) > RESIDENT_NANOS / 20 * 19 {
            (self.resident, self.resident_at) = (self.resident(), at.monotonic_nanos);
        }
        let of_process = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
            time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
        };
        self.rows
            .row(at)
            .set(Own::ticks, cost.ticks)
            .set(Own::missed_ticks, cost.missed_ticks)
            .set(Own::tick_duration, cost.tick_duration.map(|duration| duration.as_secs_f64()))
            .set(Own::lateness, cost.lateness.as_secs_f64())
            .set(Own::suspended, cost.suspended.as_secs_f64())
            .set(Own::cpu, cost.threads_cpu.map_or_else(of_process, |cpu| cpu.as_secs_f64()))
            .set(Own::resident, self.resident)
            .set(Own::written, cost.written_bytes)
            .set(Own::rows_lost, cost.rows_lost)
            .set(Own::processes_left_out, cost.processes_left_out)
            .set(Own::processes_fast, cost.processes_fast)
            .set(Own::denied, cost.faults.of(FaultKind::Denied))
            .set(Own::vanished, cost.faults.of(FaultKind::Gone))
            .set(Own::malformed, cost.faults.of(FaultKind::Malformed))
            .set(Own::limited, cost.faults.of(FaultKind::Limit))
            .set(Own::failed, cost.faults.of(FaultKind::Other));
    }

    fn resident(&mut self) -> Option<u64> {
        self.statm.as_ref()?.read(&mut self.buffer).ok()?;
        words(&self.buffer).nth(1).and_then(number)?.checked_mul(self.page_size)
    }

    /// Writes a row for a source.
    pub fn source(&mut self, at: Moment, name: &str, cost: SourceCost) {
        self.source_rows
            .row(at)
            .text(OwnSources::source, name.as_bytes())
            .set(OwnSources::reads, cost.reads)
            .set(OwnSources::read_time, cost.read_time.as_secs_f64())
            .set(OwnSources::failures, cost.failures);
    }

    /// Shows both batches.
    pub fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.rows);
        visit(&mut self.source_rows);
    }
}
