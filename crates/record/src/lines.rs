//! Lines of Python programs, looked at many times a second on a thread of its own, which is late where nobody waits for it and costs no more than it may.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use barograph_model::{Batch, Described, Lines};
use barograph_sources::{Faults, LineSource, LineStatus, Machine, Source, SourceCost, Targets};

use crate::clock::{deadline_nanos, now, thread_cpu_nanos};

/// The share of a core that looking at lines may take, whatever rate was asked for: a job of many processes is then looked at less often.
pub const LINES_SHARE: f64 = 0.1;

/// What may be used at once and is made up for later, in nanoseconds of CPU time: opening the first processes.
const ADVANCE: f64 = 200_000_000.0;

/// Rows that wait to be gathered; beyond, nobody looks.
const MOST_ROWS: usize = 50_000;

/// How long the end of a recording waits for a reading that is under way.
const LAST_WAIT: Duration = Duration::from_millis(100);

/// How often, and at what cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LineOptions {
    /// Looks in a second.
    pub hertz: u32,
    /// The share of a core that it may take. What is dearer is done less often.
    pub share: f64,
}

/// What the thread and the recorder share.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    rows: Batch,
    cost: SourceCost,
    faults: Faults,
    status: LineStatus,
    stop: bool,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct LineThread {
    shared: Arc<Shared>,
    targets: Targets,
}

impl LineThread {
    /// Starts it, or says why that can't be.
    pub(crate) fn start(machine: &Arc<Machine>, targets: Targets, options: LineOptions) -> Result<LineThread, String> {
        let source = LineSource::open(machine, targets.clone()).map_err(|fault| fault.to_string())?;
        let state = State {
            rows: Batch::new(Lines::TABLE),
            cost: SourceCost::default(),
            faults: Faults::default(),
            status: LineStatus::default(),
            stop: false,
            ended: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let theirs = Arc::clone(&shared);
        let work = move || watch(&theirs, source, options);
        // A limit of processes leaves no room for it, perhaps.
        thread::Builder::new().name("lines".to_owned()).spawn(work).map_err(|error| format!("no thread for it: {error}"))?;
        Ok(LineThread { shared, targets })
    }

    pub(crate) fn targets(&self) -> &Targets {
        &self.targets
    }

    pub(crate) fn status(&self) -> LineStatus {
        self.shared.lock().status.clone()
    }

    pub(crate) fn cost(&self) -> SourceCost {
        self.shared.lock().cost
    }

    pub(crate) fn faults(&self) -> Faults {
        self.shared.lock().faults
    }

    pub(crate) fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.shared.lock().rows);
    }

    /// Ends the thread, and waits a little for its last rows.
    pub(crate) fn stop(&mut self) {
        let mut state = self.shared.lock();
        state.stop = true;
        self.shared.changed.notify_all();
        // However it went, what is there is there.
        drop(self.shared.changed.wait_timeout_while(state, LAST_WAIT, |state| !state.ended));
    }
}

impl Drop for LineThread {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
    }
}

fn watch(shared: &Shared, mut source: LineSource, options: LineOptions) {
    let period = 1_000_000_000 / i64::from(options.hertz.max(1));
    let (began, cpu_then) = (deadline_nanos(), thread_cpu_nanos());
    let (mut due, mut chance) = (began, Chance(began.cast_unsigned() | 1));
    loop {
        if wait(shared, due) {
            break;
        }
        let cpu = thread_cpu_nanos();
        // It always succeeds: what fails, fails for one process.
        let _ = source.read(now());
        let used = thread_cpu_nanos();
        hand_over(shared, &mut source, Duration::from_nanos(u64::try_from(used - cpu).unwrap_or(0)));
        let now = deadline_nanos();
        // Looks that were slept through are not made up for.
        due = due.saturating_add(chance.about(period)).max(now);
        // What all of it so far may have cost by then, it has cost.
        let paid = began.saturating_add((((used - cpu_then) as f64 - ADVANCE) / options.share) as i64);
        due = due.max(paid);
    }
    source.finish();
    hand_over(shared, &mut source, Duration::ZERO);
    shared.lock().ended = true;
    shared.changed.notify_all();
}

/// Numbers without a pattern, so that we do not keep step with a program that does something a hundred times a second.
struct Chance(u64);

impl Chance {
    /// A length of time from three quarters of this to five quarters.
    fn about(&mut self, nanos: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        nanos - nanos / 4 + (self.0 >> 33).cast_signed() % (nanos / 2).max(1)
    }
}

/// Sleeps until this deadline. Says whether it is over.
fn wait(shared: &Shared, deadline: i64) -> bool {
    let mut state = shared.lock();
    while !state.stop {
        let left = deadline.saturating_sub(deadline_nanos());
        if left <= 0 {
            return false;
        }
        let left = Duration::from_nanos(left.cast_unsigned());
        state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    true
}

fn hand_over(shared: &Shared, source: &mut LineSource, cost: Duration) {
    let mut state = shared.lock();
    let is_full = state.rows.len() > MOST_ROWS;
    source.each_batch(&mut |rows| {
        if !is_full {
            state.rows.append(rows);
        } else if !rows.is_empty() {
            state.cost.failures += 1;
        }
        rows.clear();
    });
    state.cost.reads += 1;
    state.cost.read_time += cost;
    state.faults = source.faults();
    if state.status != *source.status() {
        state.status.clone_from(source.status());
    }
}
