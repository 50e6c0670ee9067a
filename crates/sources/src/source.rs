//! What a source is, and how often it is asked.

use std::sync::Arc;
use std::time::Duration;

use barograph_model::{Batch, Moment, Table};

use crate::{Fault, Faults, Machine};

/// Something that can be read again and again, and fills tables.
pub trait Source: Send {
    /// Reads the machine now and adds rows. A failure ends neither the source nor the tick: it is counted, and the next tick tries again.
    fn read(&mut self, at: Moment) -> Result<(), Fault>;

    /// Shows each batch that it has filled; who has taken the rows empties it.
    fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch));

    /// Fields and rows that could not be read so far, beside failures of [`Source::read`].
    fn faults(&self) -> Faults {
        Faults::default()
    }
}

/// How often a source is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// At each tick, on the recorder's thread.
    EachTick,
    /// At a tick on the recorder's thread, but no more often than this: where the kernel's numbers move no faster, or nobody looks closer.
    AtMost(Duration),
    /// At most this often, on a thread of its own, because it may be slow or hang.
    Slow(Duration),
}

impl Cadence {
    /// For what belongs to the machine and not to the job: ten times a second is a curve, and a hundred times is mostly our own cost.
    pub(crate) const MACHINE: Cadence = Cadence::AtMost(Duration::from_millis(100));
}

/// Opens a source on a machine; `Ok(None)` where this machine has no such thing.
pub type Open = fn(&Arc<Machine>) -> Result<Option<Box<dyn Source>>, Fault>;

/// A line of the list of sources.
#[derive(Debug)]
pub struct Entry {
    /// Its name: that of its file.
    pub name: &'static str,
    /// The tables that it fills.
    pub tables: &'static [&'static Table],
    /// How often it is asked.
    pub cadence: Cadence,
    /// Opens it.
    pub open: Open,
}
