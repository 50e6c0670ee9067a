//! All sources of a recording, opened: read together at a tick, each one timed, none able to end it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use barograph_model::{Batch, Moment};
use barograph_sources::{
    Cadence, Cost, Entry, Fault, FaultKind, Faults, Machine, OwnSource, PROCESS_MEMORY_PERIOD, ProcessMemorySource, ProcessSource, SOURCES, Source,
    SourceCost, Targets, Watch,
};

use crate::budget::Saving;
#[cfg(feature = "lines")]
use crate::clock::now;
use crate::clock::{monotonic_nanos, nanos};
#[cfg(feature = "lines")]
use crate::lines::{LineOptions, LineThread};
use crate::slow::Slow;

/// How the source of processes is called among the others.
const PROCESSES: &str = "process";

/// How the source of memory with shared pages told apart is called.
const PROCESS_MEMORY: &str = "process_memory";

/// The status of a source that somebody does not want.
const LEFT_OUT: &str = "left out";

/// How the source of lines is called among the others.
#[cfg(feature = "lines")]
const LINES: &str = "lines";

/// What is read.
#[derive(Clone, Debug)]
pub struct PanelOptions {
    /// Which processes.
    pub watch: Watch,
    /// Whether memory with shared pages told apart is read for the job's processes, now and then.
    pub process_memory: bool,
    /// Whether many processes may be read at once by a BPF iterator, where there is one.
    pub fast: bool,
    /// Sources of the machine that are not read, by name.
    pub without: Vec<String>,
}

struct Open {
    name: &'static str,
    source: Box<dyn Source>,
    cost: SourceCost,
    /// In nanoseconds; 0 for at every tick.
    period: i64,
    due: i64,
    /// Somebody does not want it any more.
    left_out: bool,
}

impl Open {
    /// Whether it is to be read at this tick.
    fn is_due(&mut self, at: Moment) -> bool {
        if self.left_out || at.monotonic_nanos < self.due {
            return false;
        }
        // A little early, so that a tick that is a little early too is not passed over.
        self.due = at.monotonic_nanos.saturating_add(self.period - self.period / 20);
        true
    }
}

/// The sources of a recording.
pub struct Panel {
    machine: Arc<Machine>,
    processes: ProcessSource,
    process_cost: SourceCost,
    targets: Option<Targets>,
    open: Vec<Open>,
    slow: Vec<Slow>,
    #[cfg(feature = "lines")]
    lines: Option<LineThread>,
    own: OwnSource,
    status: Vec<(String, String)>,
}

impl Panel {
    /// Opens every source. One that fails is left out and named in [`Panel::status`]; only processes must be there.
    pub fn open(machine: &Arc<Machine>, options: PanelOptions) -> Result<Panel, Fault> {
        check_sources(&options.without).map_err(|why| Fault { kind: FaultKind::Other, what: "sources".into(), why: why.into() })?;
        let mut processes = ProcessSource::open(machine, options.watch)?;
        if options.fast {
            processes.allow_fast();
        }
        let mut panel = Panel {
            machine: Arc::clone(machine),
            processes,
            process_cost: SourceCost::default(),
            targets: None,
            open: Vec::new(),
            slow: Vec::new(),
            #[cfg(feature = "lines")]
            lines: None,
            own: OwnSource::open(machine),
            status: vec![(PROCESSES.to_owned(), "ok".to_owned())],
        };
        panel.leave_out(&options.without);
        if options.process_memory {
            panel.read_process_memory(true);
        }
        Ok(panel)
    }

    /// From now on these sources of the machine are not read, and all others are. One that was never opened is opened now.
    pub(crate) fn leave_out(&mut self, without: &[String]) {
        for entry in SOURCES {
            let is_out = without.iter().any(|name| name == entry.name);
            let opened = self.open.iter_mut().filter(|open| open.name == entry.name).map(|open| &mut open.left_out);
            let mut all = opened.chain(self.slow.iter_mut().filter(|slow| slow.name == entry.name).map(|slow| &mut slow.left_out)).peekable();
            if all.peek().is_some() {
                all.for_each(|left_out| *left_out = is_out);
                self.say(entry.name, if is_out { LEFT_OUT } else { "ok" }.to_owned());
            } else if is_out {
                self.say(entry.name, LEFT_OUT.to_owned());
            } else if self.status_of(entry.name).is_none_or(|status| status == LEFT_OUT) {
                self.add(entry);
            }
        }
    }

    /// The sources of the machine that are not read.
    pub(crate) fn left_out(&self) -> Vec<String> {
        self.status.iter().filter(|(_, status)| status == LEFT_OUT).map(|(name, _)| name.clone()).collect()
    }

    /// Whether memory with shared pages told apart is read from now on.
    pub(crate) fn read_process_memory(&mut self, wanted: bool) {
        match self.slow.iter_mut().find(|slow| slow.name == PROCESS_MEMORY) {
            Some(slow) => slow.left_out = !wanted,
            None if wanted => {
                let targets = Targets::default();
                let source = ProcessMemorySource::new(&self.machine, targets.clone());
                self.slow.push(Slow::new(PROCESS_MEMORY, Box::new(source), PROCESS_MEMORY_PERIOD, Duration::from_secs(1)));
                self.targets = Some(targets);
            }
            None => {}
        }
    }

    fn status_of(&self, name: &str) -> Option<&str> {
        self.status.iter().find(|(known, _)| known == name).map(|(_, status)| status.as_str())
    }

    fn say(&mut self, name: &str, status: String) {
        match self.status.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = status,
            None => self.status.push((name.to_owned(), status)),
        }
    }

    fn add(&mut self, entry: &Entry) {
        let status = match (entry.open)(&self.machine) {
            Ok(Some(source)) => {
                let mut open = |source, period| {
                    self.open.push(Open { name: entry.name, source, cost: SourceCost::default(), period, due: i64::MIN, left_out: false });
                };
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
        self.say(entry.name, status);
    }

    /// From now on, looks at the lines of the job's Python programs, on a thread of its own. If that can't be, [`Panel::status`] says why.
    #[cfg(feature = "lines")]
    pub(crate) fn watch_lines(&mut self, machine: &Arc<Machine>, options: LineOptions) {
        let targets = Targets::default();
        targets.set(now(), self.processes.member_identities());
        let status = match LineThread::start(machine, targets, options) {
            Ok(lines) => {
                self.lines = Some(lines);
                "ok".to_owned()
            }
            Err(why) => why,
        };
        self.status.push((LINES.to_owned(), status));
    }

    /// What came of looking at lines; `None` if nobody looks.
    #[cfg(feature = "lines")]
    pub fn line_status(&self) -> Option<barograph_sources::LineStatus> {
        self.lines.as_ref().map(LineThread::status)
    }

    /// Whether rows come in between ticks.
    pub(crate) fn has_lines(&self) -> bool {
        #[cfg(feature = "lines")]
        return self.lines.is_some();
        #[cfg(not(feature = "lines"))]
        false
    }

    /// The job is over, or nobody wants to know any more: the last rows are in when this comes back.
    pub(crate) fn end_lines(&mut self) {
        #[cfg(feature = "lines")]
        if let Some(lines) = &mut self.lines {
            lines.stop();
        }
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
        self.slow.iter().any(|slow| slow.name == PROCESS_MEMORY && !slow.left_out)
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
            targets.set(at, self.processes.member_identities());
        }
        #[cfg(feature = "lines")]
        if let Some(lines) = &self.lines {
            lines.targets().set(at, self.processes.member_identities());
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
        #[cfg(feature = "lines")]
        if let Some(lines) = &self.lines {
            self.own.source(at, LINES, lines.cost());
        }
    }

    /// Failures so far, by kind.
    pub fn faults(&self) -> Faults {
        let mut faults = self.processes.faults();
        self.open.iter().for_each(|open| faults.add(open.source.faults()));
        self.slow.iter().for_each(|slow| faults.add(slow.faults()));
        #[cfg(feature = "lines")]
        self.lines.iter().for_each(|lines| faults.add(lines.faults()));
        faults
    }

    /// Whether any batch has rows.
    pub(crate) fn has_rows(&mut self) -> bool {
        let mut any = false;
        self.each_batch(&mut |batch| any |= !batch.is_empty());
        any
    }

    /// Shows every batch.
    pub fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        self.processes.each_batch(visit);
        self.open.iter_mut().for_each(|open| open.source.each_batch(visit));
        self.slow.iter_mut().for_each(|slow| slow.each_batch(visit));
        #[cfg(feature = "lines")]
        self.lines.iter_mut().for_each(|lines| lines.each_batch(visit));
        self.own.each_batch(visit);
    }
}

/// Says which of these names are those of no source of the machine.
pub(crate) fn check_sources(names: &[String]) -> Result<(), String> {
    let Some(wrong) = names.iter().find(|name| SOURCES.iter().all(|entry| entry.name != name.as_str())) else { return Ok(()) };
    let known: Vec<&str> = SOURCES.iter().map(|entry| entry.name).collect();
    let instead = match wrong.as_str() {
        PROCESSES => "; rows of processes are left out by the choice of processes, none".to_owned(),
        PROCESS_MEMORY => "; that of PSS is left out by that name".to_owned(),
        _ => String::new(),
    };
    Err(format!("there is no source of the machine called {wrong:?}; there are {}{instead}", known.join(", ")))
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
