//! All sources of a recording, opened: read together at a tick, each one timed, none able to end it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use barograph_model::{Batch, Moment};
use barograph_sources::{
    Cadence, Cost, Entry, Fault, Faults, Machine, OwnSource, PROCESS_MEMORY_PERIOD, ProcessMemorySource, ProcessSource, SOURCES, Source, SourceCost,
    Targets, Watch,
};

use crate::budget::Saving;
use crate::clock::{monotonic_nanos, nanos};
use crate::slow::Slow;

/// How the source of processes is called among the others.
const PROCESSES: &str = "process";

/// How the source of memory with shared pages told apart is called.
const PROCESS_MEMORY: &str = "process_memory";

/// What is read.
#[derive(Clone, Debug)]
pub struct PanelOptions {
    /// Which processes.
    pub watch: Watch,
    /// Whether memory with shared pages told apart is read for the job's processes, now and then.
    pub process_memory: bool,
    /// Whether many processes may be read at once by a BPF iterator, where there is one.
    pub fast: bool,
}

struct Open {
    name: &'static str,
    source: Box<dyn Source>,
    cost: SourceCost,
    /// In nanoseconds; 0 for at every tick.
    period: i64,
    due: i64,
}

impl Open {
    /// Whether it is to be read at this tick.
    fn is_due(&mut self, at: Moment) -> bool {
        if at.monotonic_nanos < self.due {
            return false;
        }
        // A little early, so that a tick that is a little early too is not passed over.
        self.due = at.monotonic_nanos.saturating_add(self.period - self.period / 20);
        true
    }
}

/// The sources of a recording.
pub struct Panel {
    processes: ProcessSource,
    process_cost: SourceCost,
    targets: Option<Targets>,
    open: Vec<Open>,
    slow: Vec<Slow>,
    own: OwnSource,
    status: Vec<(String, String)>,
}

impl Panel {
    /// Opens every source. One that fails is left out and named in [`Panel::status`]; only processes must be there.
    pub fn open(machine: &Arc<Machine>, options: PanelOptions) -> Result<Panel, Fault> {
        let mut processes = ProcessSource::open(machine, options.watch)?;
        if options.fast {
            processes.allow_fast();
        }
        let mut panel = Panel {
            processes,
            process_cost: SourceCost::default(),
            targets: None,
            open: Vec::new(),
            slow: Vec::new(),
            own: OwnSource::open(machine),
            status: vec![(PROCESSES.to_owned(), "ok".to_owned())],
        };
        for entry in SOURCES {
            panel.add(machine, entry);
        }
        if options.process_memory {
            let targets = Targets::default();
            let source = ProcessMemorySource::new(machine, targets.clone());
            panel.slow.push(Slow::new(PROCESS_MEMORY, Box::new(source), PROCESS_MEMORY_PERIOD, Duration::from_secs(1)));
            panel.targets = Some(targets);
        }
        Ok(panel)
    }

    fn add(&mut self, machine: &Arc<Machine>, entry: &Entry) {
        let status = match (entry.open)(machine) {
            Ok(Some(source)) => {
                let mut open = |source, period| self.open.push(Open { name: entry.name, source, cost: SourceCost::default(), period, due: i64::MIN });
                match entry.cadence {
                    Cadence::EachTick => open(source, 0),
                    Cadence::AtMost(period) => open(source, nanos(period)),
                    Cadence::Slow(period) => self.slow.push(Slow::new(entry.name, source, period, Duration::ZERO)),
                }
                "ok".to_owned()
            }
            Ok(None) => "not on this machine".to_owned(),
            Err(fault) => fault.to_string(),
        };
        self.status.push((entry.name.to_owned(), status));
    }

    /// Each source's name, and `ok` or why it gives nothing.
    pub fn status(&self) -> &[(String, String)] {
        &self.status
    }

    /// The source of processes.
    pub fn processes(&mut self) -> &mut ProcessSource {
        &mut self.processes
    }

    /// Whether memory with shared pages told apart is read.
    pub(crate) fn has_process_memory(&self) -> bool {
        self.targets.is_some()
    }

    /// Does without this from now on.
    pub(crate) fn save(&mut self, saving: Option<Saving>) {
        let pss = match saving {
            None => 1,
            Some(Saving::RarePss) => 4,
            Some(_) => 0,
        };
        self.slow.iter_mut().filter(|slow| slow.name == PROCESS_MEMORY).for_each(|slow| slow.thin(pss));
        self.processes.read_others_every(match saving {
            None | Some(Saving::RarePss | Saving::NoPss) => 1,
            Some(Saving::RareOthers) => 3,
            Some(Saving::NoOthers | Saving::RareTicks) => 0,
        });
    }

    /// Reads everything that is due at this tick.
    pub fn read(&mut self, at: Moment) {
        // Processes come first: then what they used is part of what the machine is seen to have used.
        timed(&mut self.process_cost, || self.processes.read(by_now(at)).is_err());
        for open in &mut self.open {
            if open.is_due(at) {
                timed(&mut open.cost, || open.source.read(by_now(at)).is_err());
            }
        }
        if let Some(targets) = &self.targets {
            targets.set(self.processes.member_identities());
        }
    }

    /// At the next tick everything is due but the slow sources: for the last one.
    pub fn all_due(&mut self) {
        self.open.iter_mut().for_each(|open| open.due = i64::MIN);
    }

    /// Sends out the slow sources that are due, each to its thread.
    pub fn send_slow(&mut self, at: Moment) {
        self.slow.iter_mut().for_each(|slow| slow.tick(at));
    }

    /// Reads the slow sources here and now.
    pub fn read_slow(&mut self, at: Moment) {
        self.slow.iter_mut().for_each(|slow| slow.read_here(at));
    }

    /// Writes the recorder's own row, the last one of a tick; `cost.faults` is filled in here.
    pub fn read_own(&mut self, at: Moment, mut cost: Cost) {
        cost.faults = self.faults();
        cost.processes_left_out = self.processes.left_out();
        cost.processes_fast = self.processes.fast_served();
        self.own.read(by_now(at), &cost);
    }

    /// CPU time of the threads of slow sources, as far as they have told.
    pub(crate) fn threads_cpu_nanos(&self) -> i64 {
        self.slow.iter().map(Slow::thread_cpu_nanos).sum()
    }

    /// Writes what each source has cost.
    pub fn read_own_sources(&mut self, at: Moment) {
        self.own.source(at, PROCESSES, self.process_cost);
        for Open { name, cost, .. } in &self.open {
            self.own.source(at, name, *cost);
        }
        for slow in &self.slow {
            self.own.source(at, slow.name, slow.cost);
        }
    }

    /// Failures so far, by kind.
    pub fn faults(&self) -> Faults {
        let mut faults = self.processes.faults();
        self.open.iter().for_each(|open| faults.add(open.source.faults()));
        self.slow.iter().for_each(|slow| faults.add(slow.faults()));
        faults
    }

    /// Shows every batch.
    pub fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        self.processes.each_batch(visit);
        self.open.iter_mut().for_each(|open| open.source.each_batch(visit));
        self.slow.iter_mut().for_each(|slow| slow.each_batch(visit));
        self.own.each_batch(visit);
    }
}

/// The same tick, and when its next source is read: on a busy machine that may be as long after the tick began as ticks lie apart, and rates are worked
/// out on it.
fn by_now(at: Moment) -> Moment {
    Moment { monotonic_nanos: monotonic_nanos(), ..at }
}

fn timed(cost: &mut SourceCost, read: impl FnOnce() -> bool) {
    let begin = Instant::now();
    cost.failures += u64::from(read());
    cost.reads += 1;
    cost.read_time += begin.elapsed();
}
