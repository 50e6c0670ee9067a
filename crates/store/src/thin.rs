//! Thinning: a long series as few buckets in which no peak is lost.

/// What a series did within one span of time. A span without values makes no bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Where the span begins, UTC nanoseconds.
    pub from: i64,
    /// Where it ends, UTC nanoseconds; a value at this very time belongs to the next bucket, but for the last.
    pub to: i64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// First value.
    pub first: f64,
    /// Last value.
    pub last: f64,
    /// How many values there were.
    pub count: u64,
}

/// Thins a series in the order of time to at most so many buckets of equal length between two times, both included. For stored columns and for what
/// is worked out of them, such as rates. Values that are absent or not a number are passed over.
pub fn thin(times: &[i64], values: &[Option<f64>], from: i64, to: i64, buckets: usize) -> Vec<Bucket> {
    let mut thinned: Vec<Bucket> = Vec::new();
    if to < from || buckets == 0 {
        return thinned;
    }
    let mut current = None;
    for (&time, value) in times.iter().zip(values) {
        let Some(value) = value.filter(|value| !value.is_nan()) else { continue };
        if time < from || time > to {
            continue;
        }
        let index = index_of(time, from, to, buckets);
        match thinned.last_mut() {
            Some(bucket) if current == Some(index) => bucket.add(value),
            _ => thinned.push(Bucket::begin(edge(index, from, to, buckets), edge(index + 1, from, to, buckets), value)),
        }
        current = Some(index);
    }
    thinned
}

impl Bucket {
    fn begin(from: i64, to: i64, value: f64) -> Bucket {
        Bucket { from, to, min: value, max: value, first: value, last: value, count: 1 }
    }

    fn add(&mut self, value: f64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.last = value;
        self.count += 1;
    }
}

/// Times are wide and buckets many: their product needs more than 64 bits.
fn index_of(time: i64, from: i64, to: i64, buckets: usize) -> usize {
    let span = (i128::from(to) - i128::from(from)).max(1);
    // The last bucket whose edge, rounded down, is not after the time.
    let offset = i128::from(time) - i128::from(from);
    let index = ((offset + 1) * buckets as i128 - 1) / span;
    usize::try_from(index).unwrap_or(0).min(buckets - 1)
}

fn edge(index: usize, from: i64, to: i64, buckets: usize) -> i64 {
    let span = i128::from(to) - i128::from(from);
    let edge = i128::from(from) + span * index as i128 / buckets as i128;
    i64::try_from(edge).unwrap_or(to)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_moment_belongs_to_the_last_bucket() {
        let values: Vec<_> = (0..=10).map(|value| Some(f64::from(value))).collect();
        let times: Vec<i64> = (0..=10).collect();
        let thinned = thin(&times, &values, 0, 10, 2);
        assert_eq!(thinned[0], Bucket { from: 0, to: 5, min: 0.0, max: 4.0, first: 0.0, last: 4.0, count: 5 });
        assert_eq!(thinned[1], Bucket { from: 5, to: 10, min: 5.0, max: 10.0, first: 5.0, last: 10.0, count: 6 });
        assert_eq!(thin(&[7], &[Some(1.0)], 7, 7, 3).len(), 1, "a span of no length");
    }

    proptest! {
        #[test]
        fn minimum_and_maximum_of_every_bucket_survive(
            mut times in prop::collection::vec(-5_000_i64..5_000, 0..300),
            numbers in prop::collection::vec(prop::option::weighted(0.9, -1e9_f64..1e9), 300),
            buckets in 1_usize..60,
            edges in (-5_000_i64..5_000, 0_i64..5_000),
        ) {
            times.sort_unstable();
            let (from, to) = (edges.0, edges.0 + edges.1);
            let thinned = thin(&times, &numbers[..times.len()], from, to, buckets);
            let asked: Vec<(i64, f64)> = times.iter().zip(&numbers).filter(|(time, _)| (from..=to).contains(*time))
                .filter_map(|(&time, value)| Some((time, (*value)?))).collect();
            prop_assert!(thinned.len() <= buckets);
            prop_assert_eq!(thinned.iter().map(|bucket| bucket.count).sum::<u64>(), asked.len() as u64);
            for bucket in &thinned {
                let last = bucket.to == to;
                let inside: Vec<f64> = asked.iter().filter(|(time, _)| *time >= bucket.from && (*time < bucket.to || last && *time == to))
                    .map(|(_, value)| *value).collect();
                prop_assert_eq!(bucket.count, inside.len() as u64, "{:?}", bucket);
                prop_assert_eq!(bucket.min, inside.iter().copied().fold(f64::INFINITY, f64::min));
                prop_assert_eq!(bucket.max, inside.iter().copied().fold(f64::NEG_INFINITY, f64::max));
                prop_assert_eq!((Some(&bucket.first), Some(&bucket.last)), (inside.first(), inside.last()));
            }
        }

        /// At the ends of what a clock can tell too: the edges of the buckets are those of the range, cut into equal pieces that leave nothing out.
        #[test]
        fn buckets_tile_the_range(edges in (any::<i64>(), any::<i64>()), inside in prop::collection::vec(any::<i64>(), 1..40), buckets in 1_usize..40) {
            let (from, to) = (edges.0.min(edges.1), edges.0.max(edges.1));
            let ends: Vec<i64> = (0..=buckets).map(|index| edge(index, from, to, buckets)).collect();
            prop_assert_eq!((ends[0], ends[buckets]), (from, to));
            let exact = (i128::from(to) - i128::from(from)) / buckets as i128;
            prop_assert!(ends.windows(2).all(|pair| (exact..=exact + 1).contains(&(i128::from(pair[1]) - i128::from(pair[0])))));
            let mut times: Vec<i64> = inside.into_iter().chain([from, to]).filter(|time| (from..=to).contains(time)).collect();
            times.sort_unstable();
            let values: Vec<Option<f64>> = times.iter().map(|&time| Some(time as f64)).collect();
            let thinned = thin(&times, &values, from, to, buckets);
            prop_assert_eq!(thinned.iter().map(|bucket| bucket.count).sum::<u64>(), times.len() as u64, "no value is left out");
            for bucket in &thinned {
                let place = ends.iter().position(|&end| end == bucket.from).unwrap();
                prop_assert!(bucket.from == bucket.to || ends[place..].contains(&bucket.to));
                prop_assert!(bucket.first >= bucket.from as f64 && bucket.last <= bucket.to as f64);
            }
            prop_assert!(thinned.windows(2).all(|pair| pair[0].to <= pair[1].from), "each stands where the last one ended, or later");
        }

        /// By how much a counter grew can be told from its buckets as from its rows.
        #[test]
        fn growth_survives(steps in prop::collection::vec((1_i64..1000, 0_u32..1000), 1..300), buckets in 1_usize..60) {
            let (mut time, mut count) = (0, 0.0);
            let rows: Vec<(i64, f64)> = steps.iter().map(|&(step, gain)| { time += step; count += f64::from(gain); (time, count) }).collect();
            let (times, values): (Vec<i64>, Vec<Option<f64>>) = rows.iter().map(|&(time, count)| (time, Some(count))).unzip();
            let thinned = thin(&times, &values, times[0], time, buckets);
            let within: f64 = thinned.iter().map(|bucket| bucket.last - bucket.first).sum();
            let between: f64 = thinned.windows(2).map(|pair| pair[1].first - pair[0].last).sum();
            prop_assert_eq!(within + between, count - rows[0].1);
            prop_assert!(thinned.iter().all(|bucket| (bucket.min, bucket.max) == (bucket.first, bucket.last)));
        }
    }
}
