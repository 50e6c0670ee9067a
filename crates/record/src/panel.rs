//! All sources of a recording, opened: read together at a tick, each one timed, none able to end it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use barograph_model::{Batch, Moment};
use barograph_sources::{
    Cadence, Cost, Entry, Fault, Faults, Machine, OwnSource, PROCESS_MEMORY_PERIOD, ProcessMemorySource, ProcessSource, SOURCES, Source, SourceCost,
    Targets, Watch,
};

use crate::slow::Slow;

/// How the source of processes is called among the others.
const PROCESSES: &str = "process";

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
            panel.slow.push(Slow::new("process_memory", Box::new(source), PROCESS_MEMORY_PERIOD, Duration::from_secs(1)));
            panel.targets = Some(targets);
        }
        Ok(panel)
    }

    fn add(&mut self, machine: &Arc<Machine>, entry: &Entry) {
        let status = match (entry.open)(machine) {
            Ok(Some(source)) => {
                match entry.cadence {
                    Cadence::EachTick => self.open.push(Open { name: entry.name, source, cost: SourceCost::default() }),
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

    /// Reads everything that is read at each tick.
    pub fn read(&mut self, at: Moment) {
        // Processes come first: then what they used is part of what the machine is seen to have used.
        timed(&mut self.process_cost, || self.processes.read(at).is_err());
        for Open { source, cost, .. } in &mut self.open {
            timed(cost, || source.read(at).is_err());
        }
        if let Some(targets) = &self.targets {
            targets.set(self.processes.member_identities());
        }
    }

    /// Sends out the slow sources that are due, each to its thread.
    pub fn send_slow(&mut self, at: Moment) {
        self.slow.iter_mut().for_each(|slow| slow.tick(at));
    }

    /// Reads the slow sources here and now.
    pub fn read_slow(&mut self, at: Moment) {
        self.slow.iter_mut().for_each(|slow| slow.read_here(at));
    }

    /// Writes the recorder's own row; `cost.faults` is filled in here.
    pub fn read_own(&mut self, at: Moment, mut cost: Cost) {
        cost.faults = self.faults();
        cost.processes_left_out = self.processes.left_out();
        cost.processes_fast = self.processes.fast_served();
        self.own.read(at, &cost);
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

fn timed(cost: &mut SourceCost, read: impl FnOnce() -> bool) {
    let begin = Instant::now();
    cost.failures += u64::from(read());
    cost.reads += 1;
    cost.read_time += begin.elapsed();
}
