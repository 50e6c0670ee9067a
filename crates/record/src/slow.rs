//! Sources that may be slow or hang, each on a thread of its own, behind a mailbox with one slot: the source itself travels through it.
//!
//! While the thread has the source, the recorder has none of it to wait for. A dead network mount then costs one thread that never comes back.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use barograph_model::{Batch, Moment};
use barograph_sources::{Faults, Source, SourceCost};

use crate::clock::{nanos, thread_cpu_nanos};

type Errand = (Box<dyn Source>, Moment);

/// The source comes home.
struct Answer {
    source: Box<dyn Source>,
    failed: bool,
    elapsed: Duration,
    /// CPU time that the thread has used in its life.
    thread_cpu: i64,
}

pub(crate) struct Slow {
    pub(crate) name: &'static str,
    pub(crate) cost: SourceCost,
    period: i64,
    /// Asked so many times more seldom; 0 is never.
    thinned: i64,
    /// Somebody does not want it.
    pub(crate) left_out: bool,
    due: i64,
    /// `None` while the thread has it.
    source: Option<Box<dyn Source>>,
    faults: Faults,
    mailbox: Option<(SyncSender<Errand>, Receiver<Answer>)>,
    failed_to_start: bool,
    thread_cpu: i64,
}

impl Slow {
    /// The source is asked every `period`, for the first time `delay` after the first tick.
    pub(crate) fn new(name: &'static str, source: Box<dyn Source>, period: Duration, delay: Duration) -> Slow {
        Slow {
            name,
            cost: SourceCost::default(),
            period: nanos(period),
            thinned: 1,
            left_out: false,
            // Becomes a time at the first tick.
            due: -nanos(delay),
            source: Some(source),
            faults: Faults::default(),
            mailbox: None,
            failed_to_start: false,
            thread_cpu: 0,
        }
    }

    /// From now on it is asked so many times more seldom; 0 is never.
    pub(crate) fn thin(&mut self, thinned: i64) {
        self.thinned = thinned;
    }

    /// Sends the source out if it is due and at home. Never waits.
    pub(crate) fn tick(&mut self, at: Moment) {
        self.fetch();
        if self.due <= 0 {
            self.due = at.monotonic_nanos.saturating_sub(self.due).max(1);
        }
        if at.monotonic_nanos < self.due || self.failed_to_start || self.thinned == 0 || self.left_out {
            return;
        }
        let Some(source) = self.source.take() else { return };
        match self.mailbox() {
            Some((to, _)) => {
                if let Err(error) = to.send((source, at)) {
                    self.source = Some(error.0.0);
                }
                self.due = at.monotonic_nanos.saturating_add(self.period.saturating_mul(self.thinned));
            }
            None => {
                // No thread to be had (a limit of processes, perhaps): do without this source rather than hold up ticks.
                self.source = Some(source);
                self.failed_to_start = true;
                self.cost.failures += 1;
            }
        }
    }

    /// Reads on the caller's thread: for one reading of everything, where waiting is right.
    pub(crate) fn read_here(&mut self, at: Moment) {
        if let Some(source) = self.source.as_mut().filter(|_| !self.left_out) {
            let begin = Instant::now();
            let failed = source.read(at).is_err();
            self.note(failed, begin.elapsed());
        }
    }

    /// Shows what the source has brought home.
    pub(crate) fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        self.fetch();
        if let Some(source) = &mut self.source {
            source.each_batch(visit);
        }
    }

    pub(crate) fn faults(&self) -> Faults {
        self.faults
    }

    /// CPU time of the source's thread, as of its last answer.
    pub(crate) fn thread_cpu_nanos(&self) -> i64 {
        self.thread_cpu
    }

    fn fetch(&mut self) {
        if let Some((_, from)) = &self.mailbox
            && let Ok(Answer { source, failed, elapsed, thread_cpu }) = from.try_recv()
        {
            self.thread_cpu = thread_cpu;
            self.faults = source.faults();
            self.source = Some(source);
            self.note(failed, elapsed);
        }
    }

    fn note(&mut self, failed: bool, elapsed: Duration) {
        self.cost.reads += 1;
        self.cost.failures += u64::from(failed);
        self.cost.read_time += elapsed;
    }

    fn mailbox(&mut self) -> Option<&(SyncSender<Errand>, Receiver<Answer>)> {
        if self.mailbox.is_none() {
            let (to, errands) = sync_channel::<Errand>(1);
            let (answers, from) = sync_channel::<Answer>(1);
            let work = move || {
                for (mut source, at) in errands {
                    let begin = Instant::now();
                    let failed = source.read(at).is_err();
                    let answer = Answer { source, failed, elapsed: begin.elapsed(), thread_cpu: thread_cpu_nanos() };
                    if answers.send(answer).is_err() {
                        return;
                    }
                }
            };
            thread::Builder::new().name(self.name.to_owned()).stack_size(128 * 1024).spawn(work).ok()?;
            self.mailbox = Some((to, from));
        }
        self.mailbox.as_ref()
    }
}
