//! When ticks are due: on absolute deadlines, so that nothing drifts, and never in a burst to catch up.

use std::time::Duration;

use crate::clock::nanos;

/// The first ticks of a recording come faster, so that a command of 300 ms still has a curve.
const DENSE_MILLIS: [i64; 10] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

/// The deadlines of a recording, in nanoseconds of any clock that does not step.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: i64,
    interval: i64,
    dense: bool,
    deadline: i64,
}

impl Schedule {
    /// Ticks at every multiple of `interval` after `start`; with `dense`, at 10, 20, 50 ms … before the first of them too.
    pub fn new(start: i64, interval: Duration, dense: bool) -> Schedule {
        let interval = nanos(interval).max(1);
        let mut schedule = Schedule { start, interval, dense, deadline: start };
        schedule.deadline = schedule.after(start);
        schedule
    }

    /// When the next tick is due.
    pub fn deadline(&self) -> i64 {
        self.deadline
    }

    /// After the tick that is due, ticks are so far apart.
    pub fn set_interval(&mut self, interval: Duration) {
        self.interval = nanos(interval).max(1);
    }

    /// From `now` on, ticks are so far apart: the next one is due at the next multiple. A dense start that is over does not begin again.
    pub fn change_interval(&mut self, now: i64, interval: Duration) {
        self.dense &= now - self.start < self.interval;
        self.set_interval(interval);
        self.deadline = self.after(now);
    }

    /// The tick that was due is done, and it is `now`. Chooses the next deadline in the future; returns how many regular ones have passed unused.
    pub fn advance(&mut self, now: i64) -> u64 {
        let done = self.deadline.max(self.start);
        self.deadline = self.after(done.max(now));
        let passed = (self.deadline - 1 - self.start) / self.interval - (done - self.start) / self.interval;
        u64::try_from(passed).unwrap_or(0)
    }

    fn after(&self, now: i64) -> i64 {
        let since = (now - self.start).max(0);
        let regular = (since / self.interval).saturating_add(1).saturating_mul(self.interval);
        let dense = DENSE_MILLIS.iter().map(|millis| millis * 1_000_000).find(|&offset| offset > since);
        match dense {
            Some(offset) if self.dense && since < self.interval => self.start.saturating_add(offset.min(regular)),
            _ => self.start.saturating_add(regular),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: i64 = 1_000_000;

    fn deadlines(interval_millis: u64, dense: bool, count: usize) -> Vec<i64> {
        let mut schedule = Schedule::new(7 * MILLI, Duration::from_millis(interval_millis), dense);
        let mut found = Vec::new();
        for _ in 0..count {
            found.push((schedule.deadline() - 7 * MILLI) / MILLI);
            assert_eq!(schedule.advance(schedule.deadline() + 1), 0);
        }
        found
    }

    #[test]
    fn the_start_is_dense() {
        assert_eq!(deadlines(1000, true, 9), [10, 20, 50, 100, 200, 500, 1000, 2000, 3000]);
        assert_eq!(deadlines(1000, false, 3), [1000, 2000, 3000]);
        assert_eq!(deadlines(30, true, 4), [10, 20, 30, 60]);
        assert_eq!(deadlines(60_000, true, 12), [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000, 120_000]);
        assert_eq!(deadlines(1, true, 3), [1, 2, 3]);
    }

    #[test]
    fn late_ticks_do_not_drift() {
        let mut schedule = Schedule::new(0, Duration::from_millis(100), false);
        for tick in 1..1000 {
            assert_eq!(schedule.deadline(), tick * 100 * MILLI);
            assert_eq!(schedule.advance(schedule.deadline() + 99 * MILLI), 0);
        }
    }

    #[test]
    fn a_change_holds_from_now_on() {
        let (start, hour) = (5 * MILLI, Duration::from_secs(3600));
        let mut schedule = Schedule::new(start, hour, false);
        assert_eq!(schedule.deadline(), start + 3_600_000 * MILLI);
        schedule.change_interval(start + 1_234 * MILLI, Duration::from_millis(100));
        assert_eq!(schedule.deadline(), start + 1_300 * MILLI, "nobody waits for the hour");
        assert_eq!(schedule.advance(schedule.deadline() + 1), 0, "ticks that were never due are not missed");
        assert_eq!(schedule.deadline(), start + 1_400 * MILLI);
        schedule.change_interval(start + 1_350 * MILLI, hour);
        assert_eq!(schedule.deadline(), start + 3_600_000 * MILLI);
    }

    #[test]
    fn a_dense_start_is_one() {
        let mut schedule = Schedule::new(0, Duration::from_secs(60), true);
        schedule.change_interval(300 * MILLI, Duration::from_secs(2));
        let mut found = Vec::new();
        for _ in 0..4 {
            found.push(schedule.deadline() / MILLI);
            assert_eq!(schedule.advance(schedule.deadline()), 0);
        }
        assert_eq!(found, [500, 1000, 2000, 4000], "it goes on while it lasts");
        schedule.change_interval(4_500 * MILLI, Duration::from_secs(60));
        assert_eq!(schedule.deadline(), 60_000 * MILLI, "it does not begin anew");
    }

    #[test]
    fn what_was_slept_through_is_counted_and_not_made_up_for() {
        let mut schedule = Schedule::new(0, Duration::from_millis(100), false);
        assert_eq!(schedule.advance(100 * MILLI + 1), 0);
        assert_eq!(schedule.advance(1050 * MILLI), 8, "the ticks at 300 to 1000 ms");
        assert_eq!(schedule.deadline(), 1100 * MILLI);
    }
}
