//! What a program, a person or the recorder says of a moment (a mark), of a block of code (a span), or of a number of its own (a gauge).

use crate::{Bytes, Count, Counter, Gauge, Id, Moment, Number, Rows, Seconds, Text, table};

table! {
    /// Moments that a program, a person, a rule or the recorder named.
    pub Events = "events" in "the program, a person or the recorder" {
        /// Who said it: `recorder`, `program`, `person`, or `rule` for a line of output that matched, or a condition that began or ended.
        by: Text = "the sender",
        /// What it is called, such as `started`, `gap` or a program's own word; absent in a row that deletes an event.
        name: Text = "the sender",
        /// More about it, in words.
        detail: Text = "the sender",
        /// The process that it concerns.
        pid: Id = "the sender",
        /// How long it lasted; absent for a moment.
        duration: Gauge<Seconds> = "the sender",
        /// The thread that said it.
        thread: Id = "the sender",
        /// What else it said: a JSON object.
        attributes: Text = "the sender",
        /// The key of the event that this row edits or deletes; absent in one that is an event of its own.
        revises: Text = "the sender",
        /// Number of this revision among all of the recording: of an event the highest counts.
        revision: Id = "the recorder, or who added it",
    }
}

table! {
    /// Numbers that a program named and measured itself, such as a loss.
    pub Gauges = "gauges" in "the program" {
        key {
            /// What it is called.
            name: Text = "the sender",
        }
        /// The number.
        value: Gauge<Number> = "the sender",
        /// The process that said it.
        pid: Id = "the sender",
        /// The thread that said it.
        thread: Id = "the sender",
    }
}

table! {
    /// Begins and ends of spans, the named blocks of code of a program: `export --table spans` makes one row a span of them, with its cost. A span with no
    /// end was open when its process, or the recording, ended.
    pub SpanEdges = "span_edges" in "the program or a person" {
        /// `begin` or `end`.
        edge: Text = "the sender",
        /// The span: no other span of the recording is called so.
        span: Text = "the sender",
        /// The span within which it began; absent at an end, and for an outermost one.
        parent: Text = "the sender",
        /// Its name; absent at an end.
        name: Text = "the sender",
        /// Who said it: `program`, `person`, or `rule` for a line of output that matched.
        by: Text = "the sender",
        /// The process whose block it is.
        pid: Id = "the sender",
        /// The thread that said so.
        thread: Id = "the sender",
        /// How it ended: `ok` or `error`; absent at a begin.
        status: Text = "the sender",
        /// Why it ended in an error, in words.
        detail: Text = "the sender",
        /// What else it said: a JSON object.
        attributes: Text = "the sender",
        /// CPU time of the thread at this moment.
        thread_cpu: Counter<Seconds> = "clock_gettime(2) of the sender, CLOCK_THREAD_CPUTIME_ID",
        /// CPU time of the process, all threads, at this moment.
        process_cpu: Counter<Seconds> = "clock_gettime(2) of the sender, CLOCK_PROCESS_CPUTIME_ID",
        /// RAM of the process at this moment.
        resident: Gauge<Bytes> = "/proc/self/statm of the sender",
        /// Bytes that the process had read by read(2) and its like up to this moment, from anywhere.
        read: Counter<Bytes> = "/proc/self/io of the sender",
        /// Bytes that the process had written by write(2) and its like up to this moment, to anywhere.
        written: Counter<Bytes> = "/proc/self/io of the sender",
        /// Page faults without reading from a disk up to this moment.
        minor_faults: Counter<Count> = "getrusage(2) of the sender",
        /// Page faults that read from a disk up to this moment.
        major_faults: Counter<Count> = "getrusage(2) of the sender",
    }
}

/// One event, before it is a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventRow<'a> {
    /// When it happened or began.
    pub at: Moment,
    /// Who said it.
    pub by: &'a str,
    /// What it is called; `None` for one that is deleted.
    pub name: Option<&'a str>,
    /// More about it.
    pub detail: Option<&'a str>,
    /// The process that it concerns.
    pub pid: Option<u64>,
    /// How long it lasted, in seconds.
    pub duration_seconds: Option<f64>,
    /// The thread that said it.
    pub thread: Option<u64>,
    /// What else it said: a JSON object.
    pub attributes: Option<&'a str>,
    /// The key of the event that it revises.
    pub revises: Option<&'a str>,
    /// Number of the revision, if it is one.
    pub revision: Option<u64>,
}

impl Rows<Events> {
    /// Adds an event.
    pub fn add(&mut self, event: EventRow<'_>) {
        self.row(event.at)
            .text(Events::by, event.by.as_bytes())
            .text(Events::name, event.name.map(str::as_bytes))
            .text(Events::detail, event.detail.map(str::as_bytes))
            .set(Events::pid, event.pid)
            .set(Events::duration, event.duration_seconds)
            .set(Events::thread, event.thread)
            .text(Events::attributes, event.attributes.map(str::as_bytes))
            .text(Events::revises, event.revises.map(str::as_bytes))
            .set(Events::revision, event.revision);
    }
}
