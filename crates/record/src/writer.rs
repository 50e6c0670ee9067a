//! Hands rows to the sink: on a thread of its own, so that a slow disk never holds up a tick.
//!
//! Rows gather in a bundle, one batch for each table. At a write interval, or when it is large, the bundle goes to the thread, which takes its rows over
//! and sends it back empty. Until there is anything to publish the sink is called here, and where no thread can be had always: of a short job, for whose
//! end someone waits, a thread would take more time than its work, and late ticks are better than no recording.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use barograph_model::{Batch, Setup, Sink};

use crate::clock::thread_cpu_nanos;
use crate::control::Process;
use crate::order::Answer;
use crate::system_call::release_memory;

/// Rows that wait for a sink which does not answer; beyond, they are dropped and counted. About 64 MB of process rows.
const MOST_WAITING_ROWS: usize = 200_000;

/// So many rows go to the sink before the next publish is due: it packs them, here each takes some 300 bytes.
const MANY_ROWS: usize = 512;

/// What the sink has said so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) written_bytes: u64,
    pub(crate) rows_lost: u64,
    /// The last thing that went wrong, and how often anything did.
    pub(crate) error: Option<String>,
    pub(crate) errors: u64,
    /// CPU time that the thread has used.
    pub(crate) thread_cpu_nanos: i64,
}

#[derive(Default)]
struct Bundle {
    batches: Vec<Batch>,
    /// To be published once the sink has taken it. Not so the last: whoever gets the sink back writes the end together with it.
    publish: bool,
    /// How it is recorded from here on, if that was changed.
    setup: Option<Setup>,
    /// Whom to tell.
    told: Vec<Answer>,
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
    /// No thread is needed yet.
    Early(S),
    Thread {
        to: Sender<Bundle>,
        back: Receiver<Bundle>,
        thread: JoinHandle<S>,
    },
    /// No thread could be had.
    Here(S),
    /// While a thread is started.
    Nowhere,
}

pub(crate) struct Writer<S> {
    bundle: Bundle,
    spare: Option<Bundle>,
    publish_due: bool,
    to_tell: Vec<Answer>,
    hand: Hand<S>,
    process: Process,
    progress: Arc<Mutex<Progress>>,
    dropped: u64,
}

impl<S: Sink + Send + 'static> Writer<S> {
    /// What encoding takes, memory and program, is given back to the kernel after each publish if the process is ours alone.
    pub(crate) fn new(sink: S, process: Process) -> Writer<S> {
        let (hand, progress) = (Hand::Early(sink), Arc::default());
        let (bundle, spare) = (Bundle::default(), Some(Bundle::default()));
        Writer { bundle, spare, publish_due: false, to_tell: Vec::new(), hand, process, progress, dropped: 0 }
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

    /// Has what was gathered published: now, or as soon as the sink is free.
    pub(crate) fn publish(&mut self) {
        self.publish_due = true;
        self.relieve();
    }

    /// Whom to tell once what is gathered now has been published.
    pub(crate) fn tell(&mut self, who: Answer) {
        self.to_tell.push(who);
    }

    /// Tells the sink with the next publish how it is recorded from now on.
    pub(crate) fn set_up(&mut self, setup: Setup) {
        self.bundle.setup = Some(setup);
    }

    /// Whether anything waits to be published.
    pub(crate) fn has_rows(&self) -> bool {
        self.bundle.rows() > 0
    }

    /// Whether somebody waits to be told, and the sink was too busy to take what he waits for.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.to_tell.is_empty()
    }

    /// Sends what was gathered to the sink if it is due, or much. To be called when all rows of a tick are in.
    pub(crate) fn relieve(&mut self) {
        if self.publish_due || self.bundle.rows() >= MANY_ROWS {
            self.hand_over();
        }
    }

    /// Sends what was gathered to the sink. Waits for nobody: while the sink is busy, rows go on gathering.
    pub(crate) fn hand_over(&mut self) {
        self.bundle.publish = self.publish_due;
        if self.publish_due || self.bundle.rows() >= MANY_ROWS {
            self.start();
        }
        match &mut self.hand {
            Hand::Early(sink) | Hand::Here(sink) => {
                self.bundle.told.append(&mut self.to_tell);
                put(sink, &mut self.bundle, &self.progress, self.process);
            }
            Hand::Thread { to, back, .. } => {
                self.spare = self.spare.take().or_else(|| back.try_recv().ok());
                let Some(spare) = self.spare.take() else { return };
                self.bundle.told.append(&mut self.to_tell);
                // A thread that is gone has panicked; its rows are lost, and the job goes on.
                let _ = to.send(std::mem::replace(&mut self.bundle, spare));
            }
            Hand::Nowhere => {}
        }
        self.publish_due = false;
    }

    /// Has a thread own the sink from now on.
    fn start(&mut self) {
        self.hand = match std::mem::replace(&mut self.hand, Hand::Nowhere) {
            Hand::Early(sink) => match start(sink, Arc::clone(&self.progress), self.process) {
                Ok((to, back, thread)) => Hand::Thread { to, back, thread },
                Err(sink) => Hand::Here(*sink),
            },
            other => other,
        };
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
        self.publish_due = false;
        self.hand_over();
        let progress = Arc::clone(&self.progress);
        let dropped = self.dropped;
        let sink = match self.hand {
            Hand::Early(sink) | Hand::Here(sink) => Some(sink),
            Hand::Thread { to, back, thread } => {
                drop((to, back));
                thread.join().ok()
            }
            Hand::Nowhere => None,
        };
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        progress.rows_lost += dropped;
        (sink, progress)
    }
}

type Started<S> = (Sender<Bundle>, Receiver<Bundle>, JoinHandle<S>);

/// Starts the thread. The sink comes back if there can be none, for which it waits in a slot that both sides know.
fn start<S: Sink + Send + 'static>(sink: S, progress: Arc<Mutex<Progress>>, process: Process) -> Result<Started<S>, Box<S>> {
    let (to, bundles) = channel::<Bundle>();
    let (done, back) = channel::<Bundle>();
    let slot = Arc::new(Mutex::new(Some(sink)));
    let take = |slot: &Mutex<Option<S>>| slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let theirs = Arc::clone(&slot);
    let work = move || {
        let Some(mut sink) = take(&theirs) else { unreachable!("only one thread takes the sink") };
        for mut bundle in bundles {
            put(&mut sink, &mut bundle, &progress, process);
            progress.lock().unwrap_or_else(PoisonError::into_inner).thread_cpu_nanos = thread_cpu_nanos();
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

fn put<S: Sink>(sink: &mut S, bundle: &mut Bundle, progress: &Mutex<Progress>, process: Process) {
    let mut outcome = Ok(());
    if let Some(setup) = bundle.setup.take() {
        sink.set_up(&setup);
    }
    for batch in bundle.batches.iter_mut().filter(|batch| !batch.is_empty()) {
        outcome = outcome.and(sink.take(batch));
        batch.clear();
    }
    let outcome = if bundle.publish { outcome.and_then(|()| sink.publish()) } else { outcome };
    if bundle.publish && process == Process::Ours {
        // What encoding took, memory and program, is not needed until the next time.
        release_memory();
    }
    let error = outcome.err().map(|error| error.to_string());
    for who in bundle.told.drain(..) {
        who.give(error.clone().map_or(Ok(()), Err));
    }
    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
    progress.written_bytes = sink.bytes_written();
    progress.rows_lost = sink.rows_lost();
    if error.is_some() {
        progress.errors += 1;
        progress.error = error;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, MutexGuard};
    use std::time::{Duration, Instant};

    use barograph_model::{EventRow, Events, Rows};

    use super::*;

    /// Counts what it gets, and takes nothing while the gate is held.
    #[derive(Clone, Default)]
    struct Counting {
        gate: Arc<Mutex<()>>,
        rows: Arc<AtomicUsize>,
        publishes: Arc<AtomicUsize>,
    }

    impl Counting {
        fn counts(&self) -> (usize, usize) {
            (self.rows.load(Ordering::SeqCst), self.publishes.load(Ordering::SeqCst))
        }

        fn hold(&self) -> MutexGuard<'_, ()> {
            self.gate.lock().unwrap()
        }
    }

    impl Sink for Counting {
        type Error = io::Error;

        fn take(&mut self, batch: &Batch) -> io::Result<()> {
            let _open = self.hold();
            self.rows.fetch_add(batch.len(), Ordering::SeqCst);
            Ok(())
        }

        fn publish(&mut self) -> io::Result<()> {
            self.publishes.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }

        fn bytes_written(&self) -> u64 {
            0
        }

        fn rows_lost(&self) -> u64 {
            0
        }
    }

    fn gather(writer: &mut Writer<Counting>, count: usize) {
        let mut rows = Rows::<Events>::new();
        for _ in 0..count {
            rows.add(EventRow { name: Some("tick"), ..EventRow::default() });
        }
        writer.gather(&mut rows);
        writer.relieve();
    }

    /// Ticks on, without rows, until it is so.
    fn tick_until(writer: &mut Writer<Counting>, what: &str, so: impl Fn(&Writer<Counting>) -> bool) {
        let begin = Instant::now();
        while !so(writer) {
            assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
            writer.relieve();
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Notes the threads on which it is called.
    #[derive(Clone, Default)]
    struct Noting(Arc<Mutex<Vec<thread::ThreadId>>>);

    impl Sink for Noting {
        type Error = io::Error;

        fn take(&mut self, _: &Batch) -> io::Result<()> {
            self.0.lock().unwrap().push(thread::current().id());
            Ok(())
        }

        fn publish(&mut self) -> io::Result<()> {
            self.0.lock().unwrap().push(thread::current().id());
            Ok(())
        }

        fn bytes_written(&self) -> u64 {
            0
        }

        fn rows_lost(&self) -> u64 {
            0
        }
    }

    #[test]
    fn no_thread_is_started_before_there_is_something_to_publish() {
        let here = thread::current().id();
        let row = || {
            let mut rows = Rows::<Events>::new();
            rows.add(EventRow { name: Some("tick"), ..EventRow::default() });
            rows
        };
        for publishes in [false, true] {
            let sink = Noting::default();
            let mut writer = Writer::new(sink.clone(), Process::Ours);
            writer.gather(&mut row());
            writer.hand_over();
            writer.gather(&mut row());
            if publishes {
                writer.publish();
            }
            writer.gather(&mut row());
            assert!(writer.finish().0.is_some());
            let called_here: Vec<bool> = sink.0.lock().unwrap().iter().map(|thread| *thread == here).collect();
            // The first rows, those of the publish, the publish, and the last.
            let expected: &[bool] = if publishes { &[true, false, false, false] } else { &[true, true] };
            assert_eq!(called_here, expected);
        }
    }

    #[test]
    fn many_rows_go_to_the_sink_before_the_publish_and_none_is_lost() {
        let sink = Counting::default();
        let mut writer = Writer::new(sink.clone(), Process::Ours);
        for _ in 0..MOST_WAITING_ROWS / 2_000 {
            gather(&mut writer, 5_000);
            tick_until(&mut writer, "rows wait for the publish", |writer| writer.bundle.rows() < MANY_ROWS);
        }
        let (_, publishes) = sink.counts();
        assert_eq!(publishes, 0);
        writer.publish();
        tick_until(&mut writer, "nothing is published", |_| sink.counts().1 == 1);
        let (_, progress) = writer.finish();
        assert_eq!(progress.rows_lost, 0);
        assert_eq!(sink.counts(), (MOST_WAITING_ROWS / 2_000 * 5_000, 1));
    }

    #[test]
    fn a_publish_that_finds_the_sink_busy_is_made_up_for() {
        let sink = Counting::default();
        let mut writer = Writer::new(sink.clone(), Process::Ours);
        let busy = sink.hold();
        gather(&mut writer, 1);
        writer.publish();
        gather(&mut writer, 1);
        writer.publish();
        assert_eq!(sink.counts(), (0, 0));
        drop(busy);
        tick_until(&mut writer, "the second publish was forgotten", |_| sink.counts() == (2, 2));
    }
}
