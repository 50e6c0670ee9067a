//! The moments of a recording on the axis that is shown, for who steps through it.

use crate::View;

impl View {
    /// When everything was read: the times of the ticks, UTC nanoseconds, each once, in the order of time.
    pub fn ticks(&self) -> Vec<i64> {
        let known = self.known();
        let both = known.ticks.utc.iter().zip(&known.ticks.monotonic);
        let mut ticks: Vec<i64> = both.map(|(&utc, &monotonic)| known.clock.shown(utc, monotonic)).collect();
        ticks.sort_unstable();
        ticks.dedup();
        ticks
    }

    /// Where a row with these times stands on the axis that is shown: at its UTC, unless somebody set that clock back meanwhile.
    pub fn shown(&self, utc_nanos: i64, monotonic_nanos: i64) -> i64 {
        self.known().clock.shown(utc_nanos, monotonic_nanos)
    }
}
