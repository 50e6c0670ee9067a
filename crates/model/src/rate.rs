//! Rates of counters: worked out when someone looks, never stored.

/// A counter's value and when it was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Nanoseconds of the monotonic clock.
    pub monotonic_nanos: i64,
    /// The counter, in its base unit.
    pub value: f64,
}

/// What is known of a rate at a moment. "Nothing happened" is only ever said by [`Rate::Value`] of 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Units per second since the sample before.
    Value(f64),
    /// There is no sample before this one.
    First,
    /// The counter could not be read, or went backwards (a reset), or no time has passed.
    NoData,
    /// The sample before is so old that a rate would hide a gap.
    Stale,
}

impl Rate {
    /// The rate, if there is one.
    pub fn value(self) -> Option<f64> {
        match self {
            Rate::Value(value) => Some(value),
            Rate::First | Rate::NoData | Rate::Stale => None,
        }
    }
}

/// The rate between two readings of a counter. A `before` that lies more than `stale_nanos` back makes the rate [`Rate::Stale`].
pub fn rate(before: Option<Sample>, now: Option<Sample>, stale_nanos: i64) -> Rate {
    let Some(now) = now else { return Rate::NoData };
    let Some(before) = before else { return Rate::First };
    let elapsed = now.monotonic_nanos.saturating_sub(before.monotonic_nanos);
    if elapsed <= 0 || now.value < before.value {
        Rate::NoData
    } else if elapsed > stale_nanos {
        Rate::Stale
    } else {
        Rate::Value((now.value - before.value) / (elapsed as f64 / 1e9))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, value: f64) -> Option<Sample> {
        Some(Sample { monotonic_nanos: seconds * 1_000_000_000, value })
    }

    #[test]
    fn a_rate_has_four_states() {
        const MINUTE: i64 = 60_000_000_000;
        assert_eq!(rate(at(1, 10.0), at(3, 30.0), MINUTE), Rate::Value(10.0));
        assert_eq!(rate(at(1, 10.0), at(3, 10.0), MINUTE), Rate::Value(0.0));
        assert_eq!(rate(None, at(3, 30.0), MINUTE), Rate::First);
        assert_eq!(rate(at(1, 10.0), None, MINUTE), Rate::NoData);
        assert_eq!(rate(at(1, 10.0), at(3, 9.0), MINUTE), Rate::NoData, "a counter that went backwards was reset");
        assert_eq!(rate(at(3, 10.0), at(3, 30.0), MINUTE), Rate::NoData, "no time has passed");
        assert_eq!(rate(at(1, 10.0), at(62, 30.0), MINUTE), Rate::Stale);
    }
}
