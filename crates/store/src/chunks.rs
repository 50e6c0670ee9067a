//! A long table in pieces of time, so that a day of a thousand processes does not need all memory at once.

use crate::{Error, Frame, Query, Timeline};

/// Rows of a table in pieces: each a span of time, in order. Rows of the same time are always in the same piece.
#[derive(Debug)]
pub struct Chunks<'a> {
    timeline: &'a Timeline,
    table: String,
    query: Query,
    begin: i64,
    next: i64,
    end: i64,
    step: i64,
}

impl Timeline {
    /// The rows that are asked for, in pieces of about so many rows. At least one piece comes, if need be an empty one: it has the columns.
    pub fn chunks(&self, table: &str, query: &Query, rows: u64) -> Result<Chunks<'_>, Error> {
        let info = self.table(table)?;
        let (first, last) = info.range.unwrap_or((0, 0));
        let begin = query.from.unwrap_or(first).max(first);
        let end = query.to.unwrap_or(last).min(last).max(begin);
        let pieces = i64::try_from(info.rows / rows.max(1)).unwrap_or(i64::MAX).saturating_add(1);
        let step = (last.saturating_sub(first) / pieces).max(1);
        Ok(Chunks { timeline: self, table: table.to_owned(), query: query.clone(), begin, next: begin, end, step })
    }
}

impl Chunks<'_> {
    /// How much of the time has been read, 0 to 1.
    pub fn progress(&self) -> f64 {
        if self.next > self.end { 1.0 } else { (self.next - self.begin) as f64 / (self.end - self.begin).max(1) as f64 }
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<Frame, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next > self.end {
            return None;
        }
        let to = self.next.saturating_add(self.step - 1).min(self.end);
        let query = self.query.clone().between(Some(self.next), Some(to));
        self.next = to.saturating_add(1);
        Some(self.timeline.frame(&self.table, &query))
    }
}
