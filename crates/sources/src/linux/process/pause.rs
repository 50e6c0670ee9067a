//! Tells a reading that was held up in its midst from one that took its time.
//!
//! Who is stopped, suspended, or waits for a core between the reading's time and its last file has counters of a later time under that one. Beside the row
//! before, a whole second's work may then seem to be done in a tick.

use rustix::time::{ClockId, clock_gettime};

/// Waits that are shorter don't matter, however close the rows lie.
const SHORT_NANOS: i64 = 10_000_000;

/// A reading from its begin.
pub(super) struct Reading {
    began: i64,
    cpu: i64,
}

impl Reading {
    pub(super) fn begin() -> Reading {
        Reading { began: nanos(ClockId::Boottime), cpu: nanos(ClockId::ThreadCPUTime) }
    }

    /// How long it has taken, if it waited for more than twice the time since the row before: rates would be more than three times what they were. To read
    /// again for less would leave too few readings where many programs want each core.
    pub(super) fn held_up(&self, since_row_before: i64) -> Option<i64> {
        let most = since_row_before.saturating_mul(2).max(SHORT_NANOS);
        let taken = nanos(ClockId::Boottime) - self.began;
        // To ask how much of it was work takes longer than the question above.
        (taken > most && taken - (nanos(ClockId::ThreadCPUTime) - self.cpu) > most).then_some(taken)
    }
}

fn nanos(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn to_wait_holds_a_reading_up() {
        let reading = Reading::begin();
        std::thread::sleep(Duration::from_millis(30));
        assert!(reading.held_up(10_000_000).is_some_and(|taken| taken >= 30_000_000));
        assert_eq!(reading.held_up(i64::MAX), None);
    }

    #[test]
    fn to_work_does_not() {
        // Others may take the core away; that this much is waited for each time can't be.
        let worked = (0..20).any(|_| {
            let (reading, begin) = (Reading::begin(), Instant::now());
            while begin.elapsed() < Duration::from_millis(12) {}
            reading.held_up(0).is_none()
        });
        assert!(worked);
    }
}
