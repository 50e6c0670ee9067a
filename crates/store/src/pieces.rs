//! A long table part by part and unsorted: for who goes through all of it, on several threads if need be.

use crate::catalogue::Listed;
use crate::{Error, Frame, Query, Timeline};

/// Some rows of a table: those of one part. It can be read on any thread.
pub struct Piece {
    listed: Listed,
}

impl Piece {
    /// The rows that are asked for, a frame for each row group. In a table with keys the rows of one subject stand together, in the order of time; each
    /// frame's rows are later than those of the frame before, and each piece's than those of the piece before.
    pub fn frames(&self, query: &Query) -> Result<Vec<Frame>, Error> {
        self.listed.groups(query)
    }

    /// How many rows it had when it was listed.
    pub fn rows(&self) -> u64 {
        self.listed.outline.rows
    }

    /// Between which times of the monotonic clock they lay.
    pub fn monotonic_range(&self) -> Option<(i64, i64)> {
        self.listed.outline.monotonic_range
    }
}

impl Timeline {
    /// The parts of a table that may have rows that are asked for, in the order of time.
    pub fn pieces(&self, table: &str, query: &Query) -> Result<Vec<Piece>, Error> {
        let listed = self.listed(table)?;
        Ok(listed.into_iter().filter(|listed| listed.outline.may_match(query)).map(|listed| Piece { listed: listed.closed() }).collect())
    }
}
