//! Who, besides the clock, tells a recorder what to do: the signals of a process of its own, or a handle within somebody else's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use rustix::event::{EventfdFlags, eventfd};

use crate::job::Signals;
use crate::order::{Answer, Change, Order, Ordered};

/// Whose the process is that a recorder runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// Ours alone: its signals, its memory and its children are ours to handle.
    Ours,
    /// Another program's, in which we are a guest: we look, and leave all of that as it is.
    Theirs,
}

/// Where orders arrive.
pub(crate) struct Orders {
    wake: Arc<OwnedFd>,
    orders: Receiver<Ordered>,
}

impl Orders {
    /// The next order. A recorder whose handle is gone stops.
    fn next(&self) -> Option<Ordered> {
        match self.orders.try_recv() {
            Ok(order) => Some(order),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Ordered { order: Order::Stop("stopped".to_owned()), by: "program", answer: Answer::nobody() }),
        }
    }
}

/// Tells a recorder on another thread of this process what to do; it may be used from any thread. When it is dropped, the recorder stops.
///
/// In a forked child there is no recorder: what the handle is asked there reaches nobody, the parent's recorder least of all.
pub struct Handle {
    /// The process that the recorder runs in.
    pid: u32,
    wake: Arc<OwnedFd>,
    orders: Option<Sender<Ordered>>,
}

impl Handle {
    /// Ends the recording: the recorder reads everything once more and returns from its run.
    pub fn stop(&self, why: &str) {
        self.order(Order::Stop(why.to_owned()), Answer::nobody());
    }

    /// Has everything read now, and waits until readers can see it. The answer is an error of writing, if there was one; `None` if the recorder has stopped.
    pub fn read_now(&self) -> Option<Result<(), String>> {
        self.ask(Order::Read)
    }

    /// Somebody looks at the recording: for the next ten seconds it is published every second.
    pub fn watched(&self) {
        self.order(Order::Watched, Answer::nobody());
    }

    /// Has it recorded otherwise from now on. The answer is why that can't be, if it can't; `None` if the recorder has stopped.
    pub fn set(&self, change: Change) -> Option<Result<(), String>> {
        self.ask(Order::Set(change))
    }

    /// Waits for what became of it.
    fn ask(&self, order: Order) -> Option<Result<(), String>> {
        let (told, answer) = channel();
        // Who does not wait any more needs no answer.
        self.order(
            order,
            Answer::to(move |outcome| {
                let _ = told.send(outcome);
            }),
        );
        // Where nobody has taken the order, it has gone with its sender.
        answer.recv().ok().flatten()
    }

    /// Whether this is the process of the recorder, and not a child that was forked from it.
    pub fn is_in_its_process(&self) -> bool {
        self.pid == std::process::id()
    }

    fn order(&self, order: Order, answer: Answer) {
        if let Some(orders) = self.orders.as_ref().filter(|_| self.is_in_its_process()) {
            // Who is not there any more needs no orders.
            let _ = orders.send(Ordered { order, by: "program", answer });
            self.wake();
        }
    }

    fn wake(&self) {
        // It fails only if 2^64 wakes are waiting.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let orders = self.orders.take();
        if !self.is_in_its_process() {
            // Other threads may have been amid a change of it when we were forked.
            std::mem::forget(orders);
            return;
        }
        drop(orders);
        self.wake();
    }
}

/// Who tells the recorder what to do.
pub(crate) enum Control {
    Signals(Signals),
    Handle(Orders),
}

impl Control {
    /// For a recorder in somebody else's process, with what to order it by.
    pub(crate) fn by_handle() -> io::Result<(Control, Handle)> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (to, orders) = channel();
        let control = Control::Handle(Orders { wake: Arc::clone(&wake), orders });
        Ok((control, Handle { pid: std::process::id(), wake, orders: Some(to) }))
    }

    pub(crate) fn process(&self) -> Process {
        match self {
            Control::Signals(_) => Process::Ours,
            Control::Handle(_) => Process::Theirs,
        }
    }

    /// What becomes readable when there is something to do.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Control::Signals(signals) => signals.descriptor(),
            Control::Handle(orders) => orders.wake.as_fd(),
        }
    }

    pub(crate) fn signals(&self) -> Option<&Signals> {
        match self {
            Control::Signals(signals) => Some(signals),
            Control::Handle(_) => None,
        }
    }

    /// The next order, if they come by a handle.
    pub(crate) fn next_order(&self) -> Option<Ordered> {
        let Control::Handle(orders) = self else { return None };
        // What comes after this makes it readable again.
        let _ = rustix::io::read(&orders.wake, &mut [0_u8; 8]);
        orders.next()
    }
}
