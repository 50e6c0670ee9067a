//! The time that is shown: UTC as it was recorded, unless somebody set the clock back meanwhile.

use barograph_store::{Frame, Query};

/// Maps the two clocks of the rows to the one axis that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Where UTC went back: what is added to the monotonic clock, so that the axis begins with the UTC of the begin and never steps.
    steady: Option<i64>,
}

impl Clock {
    /// By the times of the ticks, which come in the order of the monotonic clock.
    pub(crate) fn of(utc: &[i64], monotonic: &[i64]) -> Clock {
        let begin = utc.first().zip(monotonic.first()).map(|(utc, monotonic)| utc - monotonic);
        Clock { steady: begin.filter(|_| !utc.is_sorted()) }
    }

    /// The shown time of a row, in nanoseconds.
    pub(crate) fn shown(self, utc_nanos: i64, monotonic_nanos: i64) -> i64 {
        self.steady.map_or(utc_nanos, |offset| monotonic_nanos.saturating_add(offset))
    }

    /// The shown range of a table.
    pub(crate) fn shown_range(self, utc: Option<(i64, i64)>, monotonic: Option<(i64, i64)>) -> Option<(i64, i64)> {
        match self.steady {
            None => utc,
            Some(offset) => monotonic.map(|(first, last)| (first.saturating_add(offset), last.saturating_add(offset))),
        }
    }

    /// The rows between two shown times, both included.
    pub(crate) fn between(self, query: Query, from: i64, to: i64) -> Query {
        match self.steady {
            None => query.between(Some(from), Some(to)),
            Some(offset) => query.monotonic(from.saturating_sub(offset), to.saturating_sub(offset)),
        }
    }

    /// The shown times of all rows.
    pub(crate) fn shown_times(self, frame: &Frame) -> Vec<i64> {
        frame.times().iter().zip(frame.monotonic()).map(|(&utc, &monotonic)| self.shown(utc, monotonic)).collect()
    }
}

/// As the page has it.
pub(crate) fn millis(nanos: i64) -> f64 {
    // Whole milliseconds and the rest apart: what an f64 can't hold is less than a microsecond.
    (nanos.div_euclid(1_000_000)) as f64 + nanos.rem_euclid(1_000_000) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_is_shown_as_it_was_unless_it_went_back() {
        let forth = Clock::of(&[1000, 1010, 5000], &[0, 10, 20]);
        assert_eq!((forth.shown(1010, 10), forth.shown(5000, 20)), (1010, 5000));
        let back = Clock::of(&[1000, 1010, 500], &[0, 10, 20]);
        assert_eq!((back.shown(1000, 0), back.shown(500, 20)), (1000, 1020));
        assert_eq!(back.shown_range(Some((500, 1010)), Some((0, 20))), Some((1000, 1020)));
        assert_eq!(back.between(Query::all(), 1000, 1020), Query::all().monotonic(0, 20));
        assert_eq!(Clock::of(&[], &[]), Clock::default());
    }

    #[test]
    fn milliseconds_keep_their_fractions() {
        assert_eq!(millis(1_500_000), 1.5);
        assert_eq!(millis(-1_500_000), -1.5);
        assert_eq!(millis(1_795_000_000_123_456_789), 1_795_000_000_123.456_8);
    }
}
