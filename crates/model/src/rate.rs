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
    /// The counter could not be read, or went backwards (a reset), or is no number, or no time has passed.
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
    let rate = (now.value - before.value) / (elapsed as f64 / 1e9);
    // What is no number, or too large for one, is not below zero and yet no rate.
    if elapsed <= 0 || !(rate >= 0.0 && rate.is_finite()) {
        Rate::NoData
    } else if elapsed > stale_nanos {
        Rate::Stale
    } else {
        Rate::Value(rate)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn any_sample() -> impl Strategy<Value = Option<Sample>> {
        let nanos = prop_oneof![0_i64..10_000_000_000, any::<i64>()];
        let value = prop_oneof![(0_u32..50).prop_map(f64::from), any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(f64::MAX), Just(f64::MIN)];
        prop::option::weighted(0.9, (nanos, value).prop_map(|(monotonic_nanos, value)| Sample { monotonic_nanos, value }))
    }

    proptest! {
        #[test]
        fn each_state_means_what_it_says(before in any_sample(), now in any_sample(), stale in 0_i64..20_000_000_000) {
            let said = rate(before, now, stale);
            prop_assert_eq!(said.value().is_some(), matches!(said, Rate::Value(_)));
            let elapsed = before.zip(now).map(|(before, now)| i128::from(now.monotonic_nanos) - i128::from(before.monotonic_nanos));
            let gain = before.zip(now).map_or(f64::NAN, |(before, now)| now.value - before.value);
            // As far as rates can be told in numbers at all.
            let grew = (0.0..=f64::MAX / 1e9).contains(&gain);
            match said {
                Rate::First => prop_assert!(before.is_none() && now.is_some()),
                Rate::NoData => prop_assert!(now.is_none() || elapsed.is_some_and(|elapsed| elapsed <= 0) || before.is_some() && !grew, "{:?}", said),
                Rate::Stale => prop_assert!(gain >= 0.0 && elapsed.is_some_and(|elapsed| elapsed > stale.into())),
                Rate::Value(value) => {
                    let elapsed = elapsed.unwrap();
                    prop_assert!(gain >= 0.0 && value >= 0.0 && value.is_finite() && (1..=stale.into()).contains(&elapsed));
                    let seconds = elapsed as f64 / 1e9;
                    // The smallest of all numbers can't be divided.
                    let margin = gain * 1e-12 + f64::MIN_POSITIVE;
                    prop_assert!(!grew || (value * seconds - gain).abs() <= margin, "{} for {} s is not {}", value, seconds, gain);
                    prop_assert!(value != 0.0 || gain < f64::MIN_POSITIVE * 1e20, "nothing happened is said only then");
                }
            }
        }
    }
}
