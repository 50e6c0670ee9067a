//! The clocks: UTC for people, a clock that never steps for rates, and a clock without suspend for deadlines.

use std::time::Duration;

use barograph_model::Moment;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// This moment on both clocks of a row.
pub fn now() -> Moment {
    Moment { utc_nanos: read(ClockId::Realtime), monotonic_nanos: monotonic_nanos() }
}

/// The clock of [`Moment::monotonic_nanos`].
pub(crate) fn monotonic_nanos() -> i64 {
    read(ClockId::Boottime)
}

/// Nanoseconds of the clock that deadlines are kept on: it neither steps nor counts time in suspend.
pub(crate) fn deadline_nanos() -> i64 {
    read(ClockId::Monotonic)
}

/// CPU time that this process has used, all threads, its own code and the kernel's.
pub(crate) fn own_cpu_nanos() -> i64 {
    read(ClockId::ProcessCPUTime)
}

/// CPU time that the calling thread has used.
pub(crate) fn thread_cpu_nanos() -> i64 {
    read(ClockId::ThreadCPUTime)
}

/// Time that the machine has been suspended since boot.
pub(crate) fn suspended() -> Duration {
    let asleep = monotonic_nanos() - deadline_nanos();
    let asleep = Duration::from_nanos(u64::try_from(asleep).unwrap_or(0));
    // The two clocks are read one after the other: less than a millisecond is no suspend.
    if asleep < Duration::from_millis(1) { Duration::ZERO } else { asleep }
}

/// A length of time in nanoseconds; what does not fit, 292 years, is for ever.
pub(crate) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn read(clock: ClockId) -> i64 {
    let time: Timespec = clock_gettime(clock);
    let nanos = time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec);
    #[cfg(test)]
    let nanos = nanos + test::offset(clock);
    nanos
}

/// Clocks that a test can set, for the thread that it runs on.
#[cfg(test)]
pub(crate) mod test {
    use std::cell::Cell;

    use rustix::time::ClockId;

    thread_local! {
        static UTC: Cell<i64> = const { Cell::new(0) };
        static ASLEEP: Cell<i64> = const { Cell::new(0) };
    }

    /// Sets UTC forward or back.
    pub(crate) fn set_utc(by_nanos: i64) {
        UTC.set(UTC.get() + by_nanos);
    }

    /// The machine sleeps, and wakes up now: UTC and the clock of the rows have gone on, that of the deadlines has not.
    pub(crate) fn sleep(nanos: i64) {
        set_utc(nanos);
        ASLEEP.set(ASLEEP.get() + nanos);
    }

    pub(super) fn offset(clock: ClockId) -> i64 {
        match clock {
            ClockId::Realtime => UTC.get(),
            ClockId::Boottime => ASLEEP.get(),
            _ => 0,
        }
    }
}
