//! The time that the curves show: so many columns of so much time each.

use crate::timetable::Timetable;

/// How long a column may be, in nanoseconds: lengths that people count in.
const NICE: [i64; 24] = {
    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;
    const MIN: i64 = 60 * S;
    const H: i64 = 60 * MIN;
    [
        10 * MS,
        20 * MS,
        50 * MS,
        100 * MS,
        200 * MS,
        500 * MS,
        S,
        2 * S,
        5 * S,
        10 * S,
        15 * S,
        30 * S,
        MIN,
        2 * MIN,
        5 * MIN,
        10 * MIN,
        15 * MIN,
        30 * MIN,
        H,
        2 * H,
        3 * H,
        6 * H,
        12 * H,
        24 * H,
    ]
};

/// How much time a column of the curves stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// That between two ticks: what comes in, comes in as a column.
    Ticks,
    /// So much that all is seen.
    Whole,
    /// So many nanoseconds.
    Nanos(i64),
}

/// The time that is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its begin, UTC nanoseconds.
    pub(crate) from: i64,
    /// How long a column is.
    pub(crate) step: i64,
    /// How many there are.
    pub(crate) columns: usize,
}

impl Scale {
    /// The next finer one, where this much is seen now.
    pub(crate) fn finer(self, window: i64, times: &Timetable) -> Scale {
        let least = NICE.iter().rev().find(|nice| **nice <= times.interval / 2).copied().unwrap_or(NICE[0]);
        let now = self.step(window, times);
        NICE.iter().rev().find(|nice| **nice < now && **nice >= least).map_or(self, |nice| Scale::Nanos(*nice))
    }

    /// The next coarser one; where that would be more than all, all.
    pub(crate) fn coarser(self, window: i64, times: &Timetable) -> Scale {
        let now = self.step(window, times);
        if self == Scale::Whole || window >= times.last() - times.first() {
            return Scale::Whole;
        }
        NICE.iter().find(|nice| **nice > now).map_or(Scale::Whole, |nice| Scale::Nanos(*nice))
    }

    fn step(self, window: i64, times: &Timetable) -> i64 {
        match self {
            Scale::Ticks => times.interval.max(1),
            Scale::Nanos(nanos) => nanos,
            // As it is with some eighty columns. It is a matter of where in the list to go on.
            Scale::Whole => (window / 80).max(1),
        }
    }
}

impl Window {
    /// The window in which this moment is seen. It stays where it was if it can, so that nothing moves without need; it is whole columns away from 1970, so that
    /// what has been drawn is drawn alike in the next one.
    pub(crate) fn of(scale: Scale, columns: usize, cursor: i64, follows: bool, before: Window, times: &Timetable) -> Window {
        let columns = columns.max(1);
        let count = i64::try_from(columns).unwrap_or(i64::MAX);
        let (first, last) = (times.first(), times.last());
        let step = match scale {
            Scale::Ticks => times.interval.max(1),
            Scale::Nanos(nanos) => nanos,
            Scale::Whole if times.is_live => nice_at_least((last - first) / (count - 1).max(1) + 1),
            // The last row is in the last column, not behind it.
            Scale::Whole => (last - first) / count + 1,
        };
        if scale == Scale::Whole && !times.is_live {
            return Window { from: first, step, columns };
        }
        let column_of = |at: i64| at.div_euclid(step);
        let latest = (column_of(last) + 1 - count).saturating_mul(step);
        // A recording that is shorter than the window begins at its left, unless it still grows: then time comes in at the right.
        let earliest = if times.is_live { latest.min(column_of(first) * step) } else { column_of(first) * step };
        let from = if follows {
            latest
        } else {
            let stays = before.step == step && before.columns == columns && (before.from..before.to()).contains(&cursor);
            let wanted = if stays { before.from } else { (column_of(cursor) - count / 2).saturating_mul(step) };
            wanted.min(latest).max(earliest)
        };
        Window { from, step, columns }
    }

    /// Its end, which is not of it.
    pub(crate) fn to(self) -> i64 {
        self.from.saturating_add(self.length())
    }

    /// How long it is.
    pub(crate) fn length(self) -> i64 {
        self.step.saturating_mul(i64::try_from(self.columns).unwrap_or(i64::MAX))
    }

    /// The column of a moment, if it is seen.
    pub(crate) fn column(self, at: i64) -> Option<usize> {
        if self.step <= 0 || at < self.from {
            return None;
        }
        usize::try_from((at - self.from) / self.step).ok().filter(|column| *column < self.columns)
    }

    /// The column of a moment, or the nearest one.
    pub(crate) fn nearest(self, at: i64) -> usize {
        self.column(at).unwrap_or(if at < self.from { 0 } else { self.columns.saturating_sub(1) })
    }
}

fn nice_at_least(nanos: i64) -> i64 {
    NICE.iter().find(|nice| **nice >= nanos).copied().unwrap_or(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn times(seconds: i64, is_live: bool) -> Timetable {
        Timetable { ticks: (0..=seconds).map(|tick| tick * S).collect(), interval: S, stale: 3 * S, is_live, ..Timetable::default() }
    }

    #[test]
    fn what_has_ended_fills_the_width() {
        let window = Window::of(Scale::Whole, 50, 0, false, Window::default(), &times(1000, false));
        assert_eq!((window.from, window.column(0), window.column(1000 * S), window.column(1001 * S + window.step)), (0, Some(0), Some(49), None));
    }

    #[test]
    fn what_goes_on_comes_in_at_the_right_a_column_each_tick() {
        let window = |seconds| Window::of(Scale::Ticks, 10, seconds * S, true, Window::default(), &times(seconds, true));
        assert_eq!((window(3).from, window(3).column(3 * S)), (-6 * S, Some(9)));
        assert_eq!((window(100).from, window(101).from), (91 * S, 92 * S));
    }

    #[test]
    fn the_window_stays_until_the_cursor_leaves_it() {
        let times = times(1000, false);
        let at = |cursor: i64, before| Window::of(Scale::Ticks, 10, cursor * S, false, before, &times);
        let first = at(500, Window::default());
        assert_eq!(first.from, 495 * S);
        assert_eq!(at(504, first), first);
        assert_eq!(at(505, first).from, 500 * S);
        assert_eq!([at(2, first).from, at(999, first).from], [0, 991 * S]);
    }

    #[test]
    fn scales_go_finer_and_coarser_and_end_at_all() {
        let times = times(1000, false);
        assert_eq!(Scale::Ticks.coarser(80 * S, &times), Scale::Nanos(2 * S));
        assert_eq!(Scale::Nanos(2 * S).finer(160 * S, &times), Scale::Nanos(S));
        assert_eq!(Scale::Nanos(S / 2).finer(40 * S, &times), Scale::Nanos(S / 2));
        assert_eq!(Scale::Nanos(10 * S).coarser(1100 * S, &times), Scale::Whole);
        assert_eq!(Scale::Whole.finer(1001 * S, &times), Scale::Nanos(10 * S));
    }
}
