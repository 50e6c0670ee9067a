//! Events: moments and spans that a program, a person or the recorder named.

use crate::{Gauge, Id, Moment, Rows, Seconds, Text, table};

table! {
    /// Moments and spans that a program, a person or the recorder named.
    pub Events = "events" in "the program, a person or the recorder" {
        /// Who said it: `recorder`, or later `program`, `person`, `rule`.
        by: Text = "the sender",
        /// What it is called, such as `started`, `gap` or a program's own word.
        name: Text = "the sender",
        /// More about it, in words.
        detail: Text = "the sender",
        /// The process that it concerns.
        pid: Id = "the sender",
        /// How long it lasted; absent for a moment.
        duration: Gauge<Seconds> = "the sender",
    }
}

/// One event, before it is a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventRow<'a> {
    /// When it happened or began.
    pub at: Moment,
    /// Who said it.
    pub by: &'a str,
    /// What it is called.
    pub name: &'a str,
    /// More about it.
    pub detail: Option<&'a str>,
    /// The process that it concerns.
    pub pid: Option<u64>,
    /// How long it lasted, in seconds.
    pub duration_seconds: Option<f64>,
}

impl Rows<Events> {
    /// Adds an event.
    pub fn add(&mut self, event: EventRow<'_>) {
        self.row(event.at)
            .text(Events::by, event.by.as_bytes())
            .text(Events::name, event.name.as_bytes())
            .text(Events::detail, event.detail.map(str::as_bytes))
            .set(Events::pid, event.pid)
            .set(Events::duration, event.duration_seconds);
    }
}
