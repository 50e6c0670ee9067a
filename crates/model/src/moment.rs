//! A point in time, on the two clocks that every row carries.

/// When something was read or happened. Rows of one tick share the first, and those of one source both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since 1970-01-01 00:00 UTC. Steps when somebody sets the clock.
    pub utc_nanos: i64,
    /// Nanoseconds of a clock that never steps and goes on in suspend: CLOCK_BOOTTIME of clock_gettime(2). Rates are worked out on it.
    pub monotonic_nanos: i64,
}
