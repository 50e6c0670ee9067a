//! Where batches go: a recording, a file, a server.

use crate::{Batch, Setup};

/// Takes batches. Events are rows of the table `events`, and travel as batches too.
pub trait Sink {
    /// What can go wrong.
    type Error: std::error::Error;

    /// Takes the rows of this batch; the caller keeps the batch and empties it.
    fn take(&mut self, batch: &Batch) -> Result<(), Self::Error>;

    /// From here on it is recorded so: somebody has changed it.
    fn set_up(&mut self, setup: &Setup) {
        let _ = setup;
    }

    /// Makes what was taken visible to readers.
    fn publish(&mut self) -> Result<(), Self::Error>;

    /// Bytes that it has written so far.
    fn bytes_written(&self) -> u64;

    /// Rows that it had to drop so far.
    fn rows_lost(&self) -> u64;
}
