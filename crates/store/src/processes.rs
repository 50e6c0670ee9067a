//! Questions about processes: one process's life, and the processes of a moment.

use std::collections::HashMap;

use arrow_array::UInt64Array;
use arrow_select::take::take_record_batch;
use parquet::errors::ParquetError;

use crate::schema::arrow_schema_nullable;
use crate::{Error, Frame, Query, Timeline};

/// Names of the two tables and of their key columns, which the recorder's sources declare and this crate joins by.
pub(crate) const SAMPLES: &str = "process";
pub(crate) const IDENTITIES: &str = "processes";
pub(crate) const PID: &str = "pid";
pub(crate) const START: &str = "start_ticks";

/// The shortest time that a process's last row counts as the present.
const SHORTEST_WINDOW_SECONDS: f64 = 2.0;

/// One process from its first row to its last.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// Its rows of table `processes`: who it was, a new row whenever that changed.
    pub identity: Frame,
    /// Its rows of table `process`: what it used at each tick.
    pub samples: Frame,
}

/// The processes of one moment. Row `i` of both frames is the same process.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessesAt {
    /// The last row of table `process` of each process, ordered by pid.
    pub samples: Frame,
    /// Its latest row of table `processes`; all cells are absent for a process of which none is known.
    pub identities: Frame,
}

impl Timeline {
    /// One process's life. Both frames are empty for a process that has no rows.
    pub fn process_life(&self, pid: i64, start_ticks: i64) -> Result<Life, Error> {
        let query = Query::all().equal(PID, pid).equal(START, start_ticks);
        Ok(Life { identity: self.frame_or_empty(IDENTITIES, &query)?, samples: self.frame_or_empty(SAMPLES, &query)? })
    }

    /// The processes of a moment: those with a row in the two intervals, at least two seconds, that end there.
    pub fn processes_at(&self, utc_nanos: i64) -> Result<ProcessesAt, Error> {
        let window = (2.0 * self.facts().interval_seconds).max(SHORTEST_WINDOW_SECONDS) * 1e9;
        let samples = self.frame_or_empty(SAMPLES, &Query::all().between(Some(utc_nanos.saturating_sub(window as i64)), Some(utc_nanos)))?;
        // By the monotonic clock: where UTC was set back, a process may have been named at what is now a later time.
        let last = samples.monotonic().last().copied().unwrap_or(i64::MIN);
        let identities = self.frame_or_empty(IDENTITIES, &Query::all().monotonic(i64::MIN, last))?;
        let mut last: Vec<(Key, u64)> = last_rows(&samples).into_iter().collect();
        last.sort_unstable();
        let known = last_rows(&identities);
        let sample_rows: UInt64Array = last.iter().map(|(_, row)| Some(*row)).collect();
        let identity_rows: UInt64Array = last.iter().map(|(key, _)| known.get(key).copied()).collect();
        Ok(ProcessesAt { samples: self.pick(SAMPLES, &samples, &sample_rows)?, identities: self.pick(IDENTITIES, &identities, &identity_rows)? })
    }

    fn frame_or_empty(&self, table: &str, query: &Query) -> Result<Frame, Error> {
        match self.frame(table, query) {
            Err(Error::NoTable { .. }) => Ok(Frame::empty()),
            frame => frame,
        }
    }

    fn pick(&self, table: &str, frame: &Frame, rows: &UInt64Array) -> Result<Frame, Error> {
        let failed = |source| Error::part(&self.folder().join(table), ParquetError::from(source));
        let nullable = frame.batch().clone().with_schema(arrow_schema_nullable(frame.batch().schema_ref())).map_err(failed)?;
        Ok(Frame::new(take_record_batch(&nullable, rows).map_err(failed)?))
    }
}

/// A process: pid and start.
type Key = (i64, i64);

/// The last row of each process.
fn last_rows(frame: &Frame) -> HashMap<Key, u64> {
    let keys = frame.ints(PID).into_iter().zip(frame.ints(START));
    keys.zip(0..).filter_map(|((pid, start), row)| Some(((pid?, start?), row))).collect()
}
