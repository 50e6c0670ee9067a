//! Spans, the named blocks of a program's code: one row for each, made of its edges, with what it cost.
//!
//! Nothing of this is stored. What the sender read at both edges gives exact numbers; what it did not read is worked out from the samples around the
//! edges, and told to be. Where neither tells, there is no number.

mod cost;
mod edges;
mod processes;
mod table;
mod track;

use std::sync::Arc;

use barograph_model::{Described, Events, Moment, Words};

use crate::{Error, Frame, Timeline};
use edges::{Block, SelfTime};
use processes::{Readings, Seen};

pub use cost::{Cost, How};
pub use table::SpanTable;

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// As it should.
    Ok,
    /// By an error.
    Error,
    /// Not at all: it was open when its process or the recording ended, or still is.
    #[default]
    Open,
}

impl Status {
    /// The word for it in the table and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Error => "error",
            Status::Open => "open",
        }
    }
}

/// One span. What is not known is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Span<'a> {
    /// Its id, as the sender made it.
    pub id: &'a str,
    /// The span within which it began.
    pub parent: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
    /// Who said it: `program`, `person` or `rule`.
    pub by: &'a str,
    /// How it ended.
    pub status: Status,
    /// Why it ended in an error.
    pub detail: Option<&'a str>,
    /// What else was said at its begin: a JSON object.
    pub attributes: Option<&'a str>,
    /// How many spans it lies within.
    pub depth: u32,
    /// The process in which it began.
    pub pid: Option<i64>,
    /// When that process began, in clock ticks since boot; absent if it has no rows.
    pub start_ticks: Option<i64>,
    /// The thread in which it began.
    pub thread: Option<i64>,
    /// The process in which it ended.
    pub end_pid: Option<i64>,
    /// The thread in which it ended.
    pub end_thread: Option<i64>,
    /// When it began.
    pub begin: Moment,
    /// When it ended; of an open one, when its process or the recording did, or the latest moment that is known.
    pub end: Option<Moment>,
    /// What it cost.
    pub cost: Cost,
    /// Why something of it is absent, in words.
    pub note: Option<&'static str>,
}

impl Span<'_> {
    /// How long it took, or has taken so far.
    pub fn wall_seconds(&self) -> Option<f64> {
        self.end.map(|end| seconds(self.begin, end))
    }
}

/// Which spans to read. The default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanQuery {
    /// Those that were open at or after this UTC time, in nanoseconds since 1970.
    pub from: Option<i64>,
    /// Those that began at or before this UTC time, in nanoseconds since 1970.
    pub to: Option<i64>,
    /// Those of this name.
    pub name: Option<String>,
}

/// The spans of a recording, in the order in which they began, as they were on disk at one moment.
#[derive(Debug)]
pub struct Spans {
    blocks: Vec<Block>,
    words: Words,
    self_times: Vec<SelfTime>,
    chosen: Vec<u32>,
    readings: Readings,
}

impl Timeline {
    /// The spans that are asked for; none in a recording without spans.
    pub fn spans(&self, query: &SpanQuery) -> Result<Spans, Error> {
        let (mut blocks, words) = edges::read(self)?;
        let stale = self.facts().stale_nanos();
        if blocks.is_empty() {
            return Ok(Spans { blocks, words, self_times: Vec::new(), chosen: Vec::new(), readings: Readings::default() });
        }
        let seen = Seen::read(self)?;
        blocks.iter_mut().for_each(|block| block.settle(&seen));
        let self_times = edges::self_times(&blocks);
        let name = query.name.as_deref();
        let is_asked = |block: &Block| {
            let until = block.until.map_or(block.begin.at.utc_nanos, |until| until.utc_nanos);
            query.from.is_none_or(|from| until >= from)
                && query.to.is_none_or(|to| block.begin.at.utc_nanos <= to)
                && name.is_none_or(|name| words.get(block.name) == Some(name))
        };
        let chosen: Vec<u32> = (0..).zip(&blocks).filter(|(_, block)| is_asked(block)).map(|(row, _)| row).collect();
        let readings = Readings::read(self, seen, chosen.iter().map(|&row| &blocks[row as usize]), stale)?;
        Ok(Spans { blocks, words, self_times, chosen, readings })
    }
}

/// No events, in these columns or all.
pub(crate) fn empty_events(columns: Option<&[String]>) -> Frame {
    table::empty(Events::TABLE, columns)
}

impl Spans {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// The span at this place, with its cost, which is worked out now.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, place: usize) -> Span<'_> {
        let row = self.chosen[place] as usize;
        let block = &self.blocks[row];
        let (cost, note) = self.readings.cost(block, self.self_times[row]);
        Span {
            id: &block.id,
            parent: block.parent.as_deref(),
            name: self.words.get(block.name).unwrap_or_default(),
            by: self.words.get(block.by).unwrap_or_default(),
            status: block.status,
            detail: block.detail.as_deref(),
            attributes: block.attributes.as_deref(),
            depth: block.depth,
            pid: block.begin.pid,
            start_ticks: block.process.map(|process| self.readings.start_ticks(process)),
            thread: block.begin.thread,
            end_pid: block.end.as_ref().and_then(|end| end.pid),
            end_thread: block.end.as_ref().and_then(|end| end.thread),
            begin: block.begin.at,
            end: block.until,
            cost,
            note: block.note.or(note),
        }
    }

    /// When the span at this place began, and when it ended, as [`Span::end`] has it. Its cost is not worked out for that.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn extent(&self, place: usize) -> (Moment, Option<Moment>) {
        let block = &self.blocks[self.chosen[place] as usize];
        (block.begin.at, block.until)
    }

    /// All of them, in the order in which they began.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Span<'_>> {
        (0..self.len()).map(|place| self.get(place))
    }

    /// All of them as columns, with kind, unit and help of each in the metadata: what [`SpanTable`] declares. `time` is when they began, and beside it
    /// stand `end_time` and `end_monotonic_nanos`.
    pub fn frame(&self) -> Frame {
        table::frame(self.iter())
    }

    /// The same in pieces of so many rows. At least one comes, if need be an empty one: it has the columns.
    pub fn frames(&self, rows: usize) -> impl Iterator<Item = Frame> {
        let rows = rows.max(1);
        (0..self.len().div_ceil(rows).max(1)).map(move |piece| {
            let places = piece * rows..((piece + 1) * rows).min(self.len());
            table::frame(places.map(|place| self.get(place)))
        })
    }
}

fn seconds(begin: Moment, end: Moment) -> f64 {
    nanos_between(begin.monotonic_nanos, end.monotonic_nanos) as f64 / 1e9
}

/// As far as 64 bits go: a file may hold any times.
fn nanos_between(begin: i64, end: i64) -> i64 {
    end.saturating_sub(begin)
}

/// A text that spans share.
type Shared = Arc<str>;

#[cfg(test)]
mod tests;
