//! The moments of a recording on the axis that is shown, for who steps through it.

use barograph_store::Query;

use crate::{Error, View};

impl View {
    /// When everything was read: the times of the ticks, UTC nanoseconds, each once, in the order of time.
    pub fn ticks(&self) -> Result<Vec<i64>, Error> {
        let known = self.known();
        let mut ticks = known.ticks(&Query::all())?.map(|frame| known.clock.shown_times(&frame)).unwrap_or_default();
        ticks.sort_unstable();
        ticks.dedup();
        Ok(ticks)
    }

    /// Where a row with these times stands on the axis that is shown: at its UTC, unless somebody set that clock back meanwhile.
    pub fn shown(&self, utc_nanos: i64, monotonic_nanos: i64) -> i64 {
        self.known().clock.shown(utc_nanos, monotonic_nanos)
    }
}
