//! Buckets of a window. Their edges stand at whole multiples of their width, whatever the window: a line does not flicker while it is panned.

use crate::Window;
use crate::rows::seconds;

/// Buckets of equal width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Where the first one begins.
    pub(crate) from: i64,
    /// How wide each is.
    pub(crate) width: i64,
    /// How many there are.
    pub(crate) count: usize,
}

impl Grid {
    /// The narrowest bucket: 2⁻⁹ s, a whole number of nanoseconds.
    pub(crate) const LEAST_NANOS: i64 = 1_000_000_000 >> 9;

    /// The finest grid that covers the window with no more buckets than it allows, but for the two that any window may touch. Widths are seconds times
    /// powers of two, and the same for every window of that length.
    pub(crate) fn of(window: Window) -> Grid {
        let span = window.to.saturating_sub(window.from).max(1);
        let most = i64::try_from(window.buckets).unwrap_or(i64::MAX).max(2);
        let mut width = Grid::LEAST_NANOS;
        while span / width + 2 > most && width < i64::MAX / 4 {
            width *= 2;
        }
        let (first, last) = (window.from.div_euclid(width), (window.from + span - 1).div_euclid(width));
        Grid { from: first * width, width, count: usize::try_from(last - first + 1).unwrap_or(usize::MAX) }
    }

    /// Where the last one ends.
    pub(crate) fn to(self) -> i64 {
        self.from.saturating_add(self.width.saturating_mul(self.count as i64))
    }

    /// The middle of a bucket.
    pub(crate) fn middle(self, bucket: usize) -> i64 {
        self.from + bucket as i64 * self.width + self.width / 2
    }

    /// Says to which buckets a time belongs, and for how many seconds to each. A moment belongs to where it is.
    pub(crate) fn spread(self, begin: i64, end: i64, mut take: impl FnMut(usize, f64)) {
        // A moment on an edge ends what was before.
        let place = |nanos: i64| (nanos - self.from).div_euclid(self.width);
        let last = place(end - 1);
        let first = if begin >= end { last } else { place(begin) };
        for bucket in first.max(0)..=last.min(i64::try_from(self.count).unwrap_or(i64::MAX) - 1) {
            let from = self.from + bucket * self.width;
            take(bucket as usize, seconds(end.min(from + self.width) - begin.max(from)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_moment_on_an_edge_ends_what_was_before() {
        let grid = Grid { from: 0, width: 10, count: 3 };
        let spread = |begin, end| {
            let mut parts = Vec::new();
            grid.spread(begin, end, |bucket, seconds| parts.push((bucket, (seconds * 1e9).round())));
            parts
        };
        assert_eq!(spread(5, 25), [(0, 5.0), (1, 10.0), (2, 5.0)]);
        assert_eq!(spread(10, 20), [(1, 10.0)]);
        assert_eq!(spread(20, 20), [(1, 0.0)]);
        assert_eq!(spread(-30, 0), []);
        assert_eq!(spread(25, 99), [(2, 5.0)]);
    }

    proptest! {
        #[test]
        fn a_grid_covers_its_window_with_no_more_buckets_than_asked_for(from in -1_i64 << 60..1 << 60, length in 1_i64..1 << 60, buckets in 2_usize..3000) {
            let grid = Grid::of(Window { from, to: from + length, buckets });
            prop_assert!(grid.count <= buckets);
            prop_assert!(grid.from <= from && grid.from + grid.width * grid.count as i64 >= from + length);
            prop_assert!(grid.width == Grid::LEAST_NANOS || grid.count * 2 + 4 > buckets, "{grid:?} is too coarse for {buckets}");
            prop_assert!(grid.from % grid.width == 0 && (grid.width / Grid::LEAST_NANOS).count_ones() == 1);
            let mut seconds = 0.0;
            grid.spread(from, from + length, |_, part| seconds += part);
            prop_assert!((seconds - length as f64 / 1e9).abs() < seconds * 1e-9);
        }
    }
}
