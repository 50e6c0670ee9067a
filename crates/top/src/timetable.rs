//! The moments of a recording: when it was read, and when something happened. Who moves through time moves along these.

/// Moments in the order of time, UTC nanoseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Timetable {
    /// When everything was read.
    pub(crate) ticks: Vec<i64>,
    /// When something happened: marks, and begins of spans.
    pub(crate) events: Vec<i64>,
    /// Whether more is to come.
    pub(crate) is_live: bool,
    /// Time between two ticks, as it was meant to be.
    pub(crate) interval: i64,
    /// After so long nothing is known of the time between two ticks.
    pub(crate) stale: i64,
}

impl Timetable {
    /// The first tick. 0 where there is none.
    pub(crate) fn first(&self) -> i64 {
        self.ticks.first().copied().unwrap_or(0)
    }

    /// The last tick. 0 where there is none.
    pub(crate) fn last(&self) -> i64 {
        self.ticks.last().copied().unwrap_or(0)
    }

    /// The tick at this time, or the last one before it; before all of them, the first.
    pub(crate) fn tick_at(&self, at: i64) -> i64 {
        let after = self.ticks.partition_point(|tick| *tick <= at);
        self.ticks.get(after.saturating_sub(1)).copied().unwrap_or(0)
    }

    /// The tick so many before or after that at this time, as far as they go.
    pub(crate) fn step(&self, at: i64, by: i64) -> i64 {
        let after = self.ticks.partition_point(|tick| *tick <= at);
        let here = i64::try_from(after).unwrap_or(i64::MAX).saturating_sub(1);
        let last = i64::try_from(self.ticks.len()).unwrap_or(i64::MAX).saturating_sub(1);
        let there = usize::try_from(here.saturating_add(by).clamp(0, last.max(0))).unwrap_or(0);
        self.ticks.get(there).copied().unwrap_or(0)
    }

    /// The first tick after this time.
    pub(crate) fn after(&self, at: i64) -> Option<i64> {
        self.ticks.get(self.ticks.partition_point(|tick| *tick <= at)).copied()
    }

    /// The tick that shows the next event after this tick: the first one at or after it.
    pub(crate) fn next_event(&self, at: i64) -> Option<i64> {
        let after = &self.events[self.events.partition_point(|event| *event <= at)..];
        after.iter().map(|event| self.shows(*event)).find(|tick| *tick > at)
    }

    /// The tick that shows the last event before the one that this tick shows.
    pub(crate) fn previous_event(&self, at: i64) -> Option<i64> {
        let before = &self.events[..self.events.partition_point(|event| *event <= at)];
        before.iter().rev().map(|event| self.shows(*event)).find(|tick| *tick < at)
    }

    /// The tick at which what happened then can be seen: the first one that is not before it.
    fn shows(&self, event: i64) -> i64 {
        let place = self.ticks.partition_point(|tick| *tick < event);
        self.ticks.get(place).copied().unwrap_or_else(|| self.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Timetable {
        Timetable { ticks: vec![10, 20, 30, 40], events: vec![5, 22, 25, 30, 99], ..Timetable::default() }
    }

    #[test]
    fn ticks_are_found_and_stepped_along() {
        let table = table();
        assert_eq!([5, 10, 19, 20, 99].map(|at| table.tick_at(at)), [10, 10, 10, 20, 40]);
        assert_eq!([(20, 1), (20, -1), (25, 1), (25, -1), (10, -5), (30, 9)].map(|(at, by)| table.step(at, by)), [30, 10, 30, 10, 10, 40]);
        assert_eq!([5, 10, 40].map(|at| table.after(at)), [Some(10), Some(20), None]);
        assert_eq!((Timetable::default().tick_at(3), Timetable::default().step(3, 1)), (0, 0));
    }

    #[test]
    fn an_event_is_shown_by_the_first_tick_that_knows_of_it() {
        let table = table();
        assert_eq!([0, 10, 30, 40].map(|at| table.next_event(at)), [Some(10), Some(30), Some(40), None]);
        assert_eq!([10, 20, 30, 40].map(|at| table.previous_event(at)), [None, Some(10), Some(10), Some(30)]);
    }
}
