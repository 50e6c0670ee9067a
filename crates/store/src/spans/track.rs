//! Readings of one quantity over time, and what they say of moments between them.

/// Readings in the order of time, on the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Track {
    at: Vec<i64>,
    value: Vec<f64>,
    /// Readings that are lower than the one before them: a counter was reset there, and nobody knows when.
    falls: Vec<usize>,
    /// The highest of each pair, of each four, and so on: filled by [`Track::close`].
    highest: Vec<Vec<f64>>,
}

impl Track {
    /// Adds a reading. One that is not later than the last is none.
    pub(super) fn push(&mut self, at: i64, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite() && *value >= 0.0)
            && self.at.last().is_none_or(|last| at > *last)
        {
            if self.value.last().is_some_and(|last| value < *last) {
                self.falls.push(self.value.len());
            }
            self.at.push(at);
            self.value.push(value);
        }
    }

    /// No reading comes any more.
    pub(super) fn close(&mut self) {
        while self.highest.last().unwrap_or(&self.value).len() > 1 {
            let below = self.highest.last().unwrap_or(&self.value);
            self.highest.push(below.chunks(2).map(|pair| pair.iter().copied().fold(0.0, f64::max)).collect());
        }
    }

    /// When the last reading was.
    pub(super) fn last_at(&self) -> Option<i64> {
        self.at.last().copied()
    }

    /// The last reading.
    pub(super) fn last(&self) -> Option<f64> {
        self.value.last().copied()
    }

    /// By how much a counter grew, if a reading lies between these moments, both included, and others near enough around them.
    pub(super) fn growth(&self, begin: i64, end: i64, stale_nanos: i64) -> Option<f64> {
        let (first, last) = self.within(begin, end)?;
        let before = if self.at[first] == begin { first } else { first.checked_sub(1)? };
        let after = if self.at[last] == end { last } else { last + 1 };
        let fell = |place: usize| self.falls.partition_point(|fall| *fall <= place);
        if fell(before) != fell(after) {
            return None;
        }
        let grew = self.on_line(last, after, end, stale_nanos)? - self.on_line(before, first, begin, stale_nanos)?;
        Some(grew.max(0.0))
    }

    /// The highest reading between these moments, both included.
    pub(super) fn highest(&self, begin: i64, end: i64) -> Option<f64> {
        let (mut first, last) = self.within(begin, end)?;
        let (mut end, mut level, mut highest) = (last + 1, 0, 0.0_f64);
        while first < end {
            let values = if level == 0 { &self.value } else { self.highest.get(level - 1)? };
            if first % 2 == 1 {
                highest = highest.max(values[first]);
                first += 1;
            }
            if end % 2 == 1 {
                end -= 1;
                highest = highest.max(values[end]);
            }
            (first, end, level) = (first / 2, end / 2, level + 1);
        }
        Some(highest)
    }

    /// What a mark that only rises came to between these moments, if it rose between the readings that lie there: then that was so high, and when.
    pub(super) fn risen(&self, begin: i64, end: i64) -> Option<f64> {
        let (first, last) = self.within(begin, end)?;
        Some(self.value[last]).filter(|mark| *mark > self.value[first])
    }

    /// The reading that is nearest to this moment, if it is near enough.
    pub(super) fn nearest(&self, moment: i64, stale_nanos: i64) -> Option<f64> {
        let after = self.at.partition_point(|at| *at < moment);
        let distance = |place: usize| Some((self.at.get(place)?.abs_diff(moment), place));
        let (distance, place) = [after.checked_sub(1).and_then(distance), distance(after)].into_iter().flatten().min()?;
        (distance <= stale_nanos.unsigned_abs() / 2).then(|| self.value[place])
    }

    /// The first and last reading between these moments.
    fn within(&self, begin: i64, end: i64) -> Option<(usize, usize)> {
        let first = self.at.partition_point(|at| *at < begin);
        let after = self.at.partition_point(|at| *at <= end);
        (first < after).then(|| (first, after - 1))
    }

    /// The value at this moment, on the line between these two readings, if they are near enough to each other.
    fn on_line(&self, before: usize, after: usize, moment: i64, stale_nanos: i64) -> Option<f64> {
        let ((from, low), (to, high)) = ((self.at[before], self.value[before]), (*self.at.get(after)?, *self.value.get(after)?));
        let gap = from.abs_diff(to);
        if gap == 0 {
            return Some(low);
        }
        (gap <= stale_nanos.unsigned_abs()).then(|| low + (high - low) * (from.abs_diff(moment) as f64 / gap as f64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn track(readings: &[(i64, f64)]) -> Track {
        let mut track = Track::default();
        readings.iter().for_each(|&(at, value)| track.push(at, Some(value)));
        track.close();
        track
    }

    #[test]
    fn edges_lie_on_the_line_between_their_readings() {
        let track = track(&[(0, 0.0), (10, 10.0), (20, 10.0), (30, 40.0)]);
        assert_eq!(track.growth(5, 25, 10), Some(20.0));
        assert_eq!(track.growth(0, 30, 10), Some(40.0));
        assert_eq!(track.growth(10, 10, 10), Some(0.0));
    }

    #[test]
    fn what_no_reading_saw_is_not_guessed() {
        let track = track(&[(10, 0.0), (20, 10.0), (60, 40.0), (70, 5.0)]);
        assert_eq!(track.growth(12, 18, 10), None, "between two readings");
        assert_eq!(track.growth(5, 20, 10), None, "before the first");
        assert_eq!(track.growth(60, 75, 10), None, "after the last");
        assert_eq!(track.growth(15, 25, 10), None, "in a gap");
        assert_eq!(track.growth(15, 25, 40), Some(8.75));
        assert_eq!(track.growth(60, 65, 10), None, "a counter that falls");
        assert_eq!(track.growth(20, 70, 100), None, "and has fallen meanwhile");
        assert_eq!(Track::default().growth(0, 1, 10), None);
    }

    #[test]
    fn the_nearest_reading_is_near() {
        let track = track(&[(10, 1.0), (20, 2.0)]);
        assert_eq!([4, 5, 14, 16, 25, 26].map(|moment| track.nearest(moment, 10)), [None, Some(1.0), Some(1.0), Some(2.0), Some(2.0), None]);
    }

    #[test]
    fn a_mark_that_rose_within_was_reached_within() {
        let track = track(&[(10, 5.0), (20, 5.0), (30, 9.0)]);
        assert_eq!((track.risen(5, 25), track.risen(15, 30), track.risen(25, 40)), (None, Some(9.0), None));
    }

    proptest! {
        #[test]
        fn the_highest_is_the_highest(steps in prop::collection::vec((1_i64..5, 0_u32..100), 1..200), a in 0_i64..500, length in 0_i64..300) {
            let mut at = 0;
            let readings: Vec<(i64, f64)> = steps.iter().map(|&(step, value)| { at += step; (at, f64::from(value)) }).collect();
            let naive = readings.iter().filter(|(at, _)| (a..=a + length).contains(at)).map(|(_, value)| *value).reduce(f64::max);
            prop_assert_eq!(track(&readings).highest(a, a + length), naive);
        }

        /// Parts of a time grow by what the whole does, and nothing shrinks.
        #[test]
        fn growth_adds_up(steps in prop::collection::vec((1_i64..5, 0_u32..100), 2..100), cut in prop::collection::vec(0.0_f64..1.0, 3)) {
            let (mut at, mut value) = (0, 0.0);
            let readings: Vec<(i64, f64)> = steps.iter().map(|&(step, grew)| { at += step * 10; value += f64::from(grew); (at, value) }).collect();
            let track = track(&readings);
            let mut cut: Vec<i64> = cut.iter().map(|share| readings[0].0 + ((at - readings[0].0) as f64 * share) as i64).collect();
            cut.sort_unstable();
            let [whole, first, second] = [(0, 2), (0, 1), (1, 2)].map(|(from, to)| track.growth(cut[from], cut[to], 1000));
            prop_assert!([whole, first, second].into_iter().flatten().all(|grew| grew >= 0.0));
            if let (Some(whole), Some(first), Some(second)) = (whole, first, second) {
                prop_assert!((whole - first - second).abs() < 1e-6);
            }
        }
    }
}
