//! Hands rows to the sink: on a thread of its own, so that a slow disk never holds up a tick.
//!
//! Rows gather in a bundle, one batch for each table. At a write interval the bundle goes to the thread, which takes its rows over and sends it back
//! empty. Where no thread can be had the sink is called here: late ticks are better than no recording.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use barograph_model::{Batch, Sink};

use crate::system_call::release_memory;

/// Rows that wait for a sink which does not answer; beyond, they are dropped and counted. About 64 MB of process rows.
const MOST_WAITING_ROWS: usize = 200_000;

/// What the sink has said so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) written_bytes: u64,
    pub(crate) rows_lost: u64,
    /// The last thing that went wrong, and how often anything did.
    pub(crate) error: Option<String>,
    pub(crate) errors: u64,
}

#[derive(Default)]
struct Bundle {
    batches: Vec<Batch>,
    /// Whether readers are to see it at once.
    publish: bool,
}

impl Bundle {
    fn add(&mut self, batch: &Batch) {
        match self.batches.iter_mut().find(|own| own.table().is(batch.table())) {
            Some(own) => own.append(batch),
            None => self.batches.push(batch.clone()),
        }
    }

    fn rows(&self) -> usize {
        self.batches.iter().map(Batch::len).sum()
    }
}

enum Hand<S> {
    Thread { to: Sender<Bundle>, back: Receiver<Bundle>, thread: JoinHandle<S> },
    Here(S),
}

pub(crate) struct Writer<S> {
    bundle: Bundle,
    spare: Option<Bundle>,
    hand: Hand<S>,
    progress: Arc<Mutex<Progress>>,
    dropped: u64,
}

impl<S: Sink + Send + 'static> Writer<S> {
    pub(crate) fn new(sink: S) -> Writer<S> {
        let progress = Arc::new(Mutex::new(Progress::default()));
        let hand = match start(sink, Arc::clone(&progress)) {
            Ok((to, back, thread)) => Hand::Thread { to, back, thread },
            Err(sink) => Hand::Here(*sink),
        };
        Writer { bundle: Bundle::default(), spare: Some(Bundle::default()), hand, progress, dropped: 0 }
    }

    /// Takes these rows over, and empties the batch.
    pub(crate) fn gather(&mut self, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        if self.bundle.rows() > MOST_WAITING_ROWS {
            self.dropped += batch.len() as u64;
        } else {
            self.bundle.add(batch);
        }
        batch.clear();
    }

    /// Sends what was gathered to the sink, to be published or not. Waits for nobody: while the sink is busy, rows go on gathering.
    pub(crate) fn send(&mut self, publish: bool) {
        self.bundle.publish = publish;
        match &mut self.hand {
            Hand::Here(sink) => put(sink, &mut self.bundle, &self.progress),
            Hand::Thread { to, back, .. } => {
                self.spare = self.spare.take().or_else(|| back.try_recv().ok());
                if let Some(spare) = self.spare.take() {
                    // A thread that is gone has panicked; its rows are lost, and the job goes on.
                    let _ = to.send(std::mem::replace(&mut self.bundle, spare));
                }
            }
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        progress.rows_lost += self.dropped;
        progress
    }

    /// Hands over the rest, unpublished, and gives the sink back; `None` if its thread has panicked.
    pub(crate) fn finish(mut self) -> (Option<S>, Progress) {
        if let Hand::Thread { back, .. } = &self.hand
            && self.spare.is_none()
        {
            self.spare = back.recv().ok();
        }
        // Whoever gets the sink back writes the end together with it.
        self.send(false);
        let progress = Arc::clone(&self.progress);
        let dropped = self.dropped;
        let sink = match self.hand {
            Hand::Here(sink) => Some(sink),
            Hand::Thread { to, back, thread } => {
                drop((to, back));
                thread.join().ok()
            }
        };
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        progress.rows_lost += dropped;
        (sink, progress)
    }
}

type Started<S> = (Sender<Bundle>, Receiver<Bundle>, JoinHandle<S>);

/// Starts the thread. The sink comes back if there can be none, for which it waits in a slot that both sides know.
fn start<S: Sink + Send + 'static>(sink: S, progress: Arc<Mutex<Progress>>) -> Result<Started<S>, Box<S>> {
    let (to, bundles) = channel::<Bundle>();
    let (done, back) = channel::<Bundle>();
    let slot = Arc::new(Mutex::new(Some(sink)));
    let take = |slot: &Mutex<Option<S>>| slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let theirs = Arc::clone(&slot);
    let work = move || {
        let Some(mut sink) = take(&theirs) else { unreachable!("only one thread takes the sink") };
        for mut bundle in bundles {
            put(&mut sink, &mut bundle, &progress);
            let _ = done.send(bundle);
        }
        sink
    };
    let spawned: io::Result<JoinHandle<S>> = thread::Builder::new().name("writer".to_owned()).spawn(work);
    spawned.map(|thread| (to, back, thread)).map_err(|_| match take(&slot) {
        Some(sink) => Box::new(sink),
        None => unreachable!("the thread that would have taken the sink never ran"),
    })
}

fn put<S: Sink>(sink: &mut S, bundle: &mut Bundle, progress: &Mutex<Progress>) {
    let mut outcome = Ok(());
    for batch in bundle.batches.iter_mut().filter(|batch| !batch.is_empty()) {
        outcome = outcome.and(sink.take(batch));
        batch.clear();
    }
    let outcome = if bundle.publish { outcome.and_then(|()| sink.publish()) } else { outcome };
    if bundle.publish {
        // What encoding took, memory and program, is not needed until the next time.
        release_memory();
    }
    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
    progress.written_bytes = sink.bytes_written();
    progress.rows_lost = sink.rows_lost();
    if let Err(error) = outcome {
        progress.errors += 1;
        progress.error = Some(error.to_string());
    }
}
