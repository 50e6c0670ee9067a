//! Spans: blocks of code of one thread, and tasks, which run in turns on any.

use std::fmt::{self, Display};
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::pin;
use std::task::Poll;
use std::thread;

use barograph_beacon::{self as beacon, Message, Readings, SpanId, Status, Value, What};

use crate::stack;

const PANICKED: &str = "panicked";
const CANCELLED: &str = "cancelled: dropped before it had finished";

/// An open block of code of this thread: it ends when this is dropped. [`span!`](crate::span!) makes it.
///
/// It can't be sent to another thread, nor be held where an asynchronous function waits in a runtime of several threads: that is what
/// [`task!`](crate::task!) is for. If the thread panics while it is open, it ends in an error.
#[must_use = "the span ends when this is dropped, which without a name is at once: `let _span = span!(…)`"]
pub struct Span {
    open: Option<Open>,
    of_one_thread: PhantomData<*const ()>,
}

struct Open {
    id: SpanId,
    /// A child that was forked meanwhile must not end it.
    pid: u32,
    was_panicking: bool,
    failure: Option<String>,
}

impl Span {
    /// Nothing: nobody listens.
    #[doc(hidden)]
    pub fn off() -> Span {
        Span { open: None, of_one_thread: PhantomData }
    }

    #[doc(hidden)]
    pub fn begin(name: &(impl AsRef<str> + ?Sized), parent: Option<SpanId>, attributes: &[(&str, Value<'_>)]) -> Span {
        let Some(id) = beacon::begin(name.as_ref(), parent.or_else(stack::innermost), attributes) else { return Span::off() };
        stack::enter(id);
        let open = Open { id, pid: std::process::id(), was_panicking: thread::panicking(), failure: None };
        Span { open: Some(open), of_one_thread: PhantomData }
    }

    /// Its id, to be named as the parent of spans on other threads; `None` if nobody listens.
    pub fn id(&self) -> Option<SpanId> {
        self.open.as_ref().map(|open| open.id)
    }

    /// It will have ended in an error, for this reason.
    pub fn fail(&mut self, why: impl Display) {
        if let Some(open) = &mut self.open {
            open.failure = Some(why.to_string());
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        stack::leave(open.id);
        if open.pid == std::process::id() {
            let failure = open.failure.as_deref().or_else(|| (thread::panicking() && !open.was_panicking).then_some(PANICKED));
            beacon::end(open.id, failure.map_or(Status::Ok, Status::Error));
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.id()).finish()
    }
}

/// The innermost span that is open on this thread, to be named as the parent of spans on other threads: `span!(parent: id, "name")`.
pub fn current() -> Option<SpanId> {
    stack::innermost()
}

/// An open span of something that runs in turns, on whatever thread: an asynchronous task. [`task!`](crate::task!) makes it.
///
/// Its CPU time is that of its turns, and what others do between them is not charged to it. If it is dropped before the future has finished, it ends in
/// an error.
#[must_use = "the span ends when this is dropped; `run` it"]
#[derive(Debug)]
pub struct Task {
    open: Option<OpenTask>,
}

#[derive(Debug)]
struct OpenTask {
    id: SpanId,
    pid: u32,
    /// Where it began: both edges name this thread, as what they tell of CPU time belongs together.
    thread: u32,
    cpu_nanos: u64,
}

impl Task {
    #[doc(hidden)]
    pub fn off() -> Task {
        Task { open: None }
    }

    #[doc(hidden)]
    pub fn begin(name: &(impl AsRef<str> + ?Sized), parent: Option<SpanId>, attributes: &[(&str, Value<'_>)]) -> Task {
        let open = OpenTask::begin(name.as_ref(), parent.or_else(stack::innermost), attributes);
        Task { open }
    }

    /// Its id; `None` if nobody listens.
    pub fn id(&self) -> Option<SpanId> {
        self.open.as_ref().map(|open| open.id)
    }

    /// Runs a future to its end, each turn of which is within this span.
    pub async fn run<F: Future>(self, future: F) -> F::Output {
        self.run_and_judge(future, |_| None).await
    }

    /// The same of one that may fail: then the span ends in its error.
    pub async fn try_run<T, E: Display>(self, future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.run_and_judge(future, |result| result.as_ref().err().map(ToString::to_string)).await
    }

    #[doc(hidden)]
    pub async fn run_and_judge<F: Future>(mut self, future: F, judge: impl FnOnce(&F::Output) -> Option<String>) -> F::Output {
        let mut future = pin!(future);
        let output = poll_fn(|context| self.turn(|| future.as_mut().poll(context))).await;
        if let Some(open) = self.open.take() {
            open.end(judge(&output).as_deref());
        }
        output
    }

    fn turn<T>(&mut self, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        let Some(open) = &mut self.open else { return poll() };
        let _turn = Turn::begin(open);
        poll()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open.end(Some(if thread::panicking() { PANICKED } else { CANCELLED }));
        }
    }
}

impl OpenTask {
    fn begin(name: &str, parent: Option<SpanId>, attributes: &[(&str, Value<'_>)]) -> Option<OpenTask> {
        let mut id = None;
        beacon::say(|beacon| {
            let span = beacon.new_span();
            id = Some(span);
            begin_in_turns(beacon, name, span, parent, attributes)
        });
        Some(OpenTask { id: id?, pid: std::process::id(), thread: this_thread(), cpu_nanos: 0 })
    }

    fn end(self, failure: Option<&str>) {
        if self.pid == std::process::id() {
            end_of_turns(self.id, self.thread, self.cpu_nanos, failure, &[]);
        }
    }
}

/// A turn of a task, on this thread. It ends by a panic too.
struct Turn<'a>(&'a mut OpenTask);

impl<'a> Turn<'a> {
    fn begin(task: &'a mut OpenTask) -> Turn<'a> {
        stack::enter_and_count(task.id);
        Turn(task)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.cpu_nanos += stack::leave(self.0.id);
    }
}

/// The begin of what runs in turns: it has used nothing of any thread yet.
pub(crate) fn begin_in_turns<'a>(
    beacon: &beacon::Beacon,
    name: &'a str,
    span: SpanId,
    parent: Option<SpanId>,
    attributes: &'a [(&'a str, Value<'a>)],
) -> Message<'a> {
    let (readings, at) = beacon.at_begin();
    let readings = Readings { thread_cpu_nanos: Some(0), ..readings };
    Message { at: Some(at), attributes, readings, ..Message::new(What::Begin { name, span, parent }) }
}

/// The end of what runs in turns, which have used so much.
pub(crate) fn end_of_turns(span: SpanId, thread: u32, cpu_nanos: u64, failure: Option<&str>, attributes: &[(&str, Value<'_>)]) {
    beacon::say(|beacon| {
        let (readings, at) = beacon.at_end();
        let readings = Readings { thread_cpu_nanos: Some(cpu_nanos), ..readings };
        let status = failure.map_or(Status::Ok, Status::Error);
        Message { at: Some(at), thread: Some(thread), attributes, readings, ..Message::new(What::End { span, status }) }
    });
}

pub(crate) fn this_thread() -> u32 {
    rustix::thread::gettid().as_raw_pid().cast_unsigned()
}
