//! Figures: rates and levels worked out from raw columns, and what they add up to. Nothing here is ever stored.
//!
//! A rate stands for the time between two rows, a level for the time since the row before. Means and percentiles weigh by that time, because ticks
//! are not evenly spaced: a dense start, or a busy machine, must not count more than it lasted. Where rows are missing there is no value.

use std::collections::BTreeMap;

use barograph_model::{Described, Field, Kind, Metric, Rate, Sample, Table, Unit, rate};

use crate::{Adding, Frame, Query, Shares, WholeSoFar};

/// The kernel counts most CPU time in ticks of 10 ms. Over less than ten of them a rate would mostly show the ticks.
const LEAST_NANOS_OF_TIMES: i64 = 100_000_000;

/// The age at which the row before is too old for a rate: three intervals, at least two seconds.
pub fn stale_nanos(interval_seconds: f64) -> i64 {
    ((3.0 * interval_seconds).max(2.0) * 1e9) as i64
}

/// What a series is made of: columns of one table, added and taken away.
#[derive(Clone, Debug)]
pub struct Figure {
    table: &'static Table,
    plus: Vec<&'static Metric>,
    minus: Vec<&'static Metric>,
}

impl Figure {
    /// One column.
    pub fn of<T: Described, K>(field: Field<T, K>) -> Figure {
        Figure { table: T::TABLE, plus: vec![&T::TABLE.metrics[field.index()]], minus: Vec::new() }
    }

    /// One column of a table that only the running program knows.
    ///
    /// # Panics
    /// If there is no such metric: that is a mistake in the caller.
    pub fn of_metric(table: &'static Table, metric: usize) -> Figure {
        Figure { table, plus: vec![&table.metrics[metric]], minus: Vec::new() }
    }

    /// And another one of the same table. It does not count where no row has it.
    #[must_use]
    pub fn plus<T: Described, K>(mut self, field: Field<T, K>) -> Figure {
        debug_assert_eq!(T::TABLE.name, self.table.name);
        self.plus.push(&T::TABLE.metrics[field.index()]);
        self
    }

    /// Less this one of the same table. Without it, there is no value.
    #[must_use]
    pub fn minus<T: Described, K>(mut self, field: Field<T, K>) -> Figure {
        debug_assert_eq!(T::TABLE.name, self.table.name);
        self.minus.push(&T::TABLE.metrics[field.index()]);
        self
    }

    /// Its table.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// The metrics that it is made of, those of the whole that it is a share of included.
    pub fn metrics(&self) -> impl Iterator<Item = &'static Metric> {
        let whole = self.table.whole.filter(|_| self.shares().is_some());
        let places = whole.into_iter().flat_map(|whole| whole.parts.iter().copied().chain(whole.worth));
        let others = places.map(|place| &self.table.metrics[place]);
        let is_new = |metric: &&'static Metric| !self.plus.iter().chain(&self.minus).any(|own| own.name == metric.name);
        self.plus.iter().chain(&self.minus).copied().chain(others.filter(is_new).collect::<Vec<_>>())
    }

    /// What its rate is a share of, where its table says so.
    fn shares(&self) -> Option<Shares> {
        Shares::of(self.table, &self.plus.first()?.column())
    }

    /// The unit of its columns; that of the series is this per second if it is a counter.
    pub fn unit(&self) -> Unit {
        self.plus.first().map_or(Unit::None, |metric| metric.unit)
    }

    /// Whether its series is a rate.
    pub fn is_counter(&self) -> bool {
        self.plus.first().is_some_and(|metric| metric.kind == Kind::Counter)
    }

    /// The columns that must be read for it.
    pub fn columns(&self) -> Vec<String> {
        let keys = self.table.key_metrics().iter().chain(self.counted());
        keys.chain(self.metrics()).map(Metric::column).collect()
    }

    /// What to read for several figures of one table at once.
    pub fn query<'a>(figures: impl IntoIterator<Item = &'a Figure>, from: Option<i64>, to: Option<i64>) -> Query {
        let mut columns: Vec<String> = Vec::new();
        for column in figures.into_iter().flat_map(Figure::columns) {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        Query::all().columns(columns).between(from, to)
    }

    /// Its series in these rows; of a table with keys, the sum over the rows that count.
    pub fn series(&self, frame: &Frame, stale_nanos: i64) -> Series {
        let values = self.values(frame);
        let mut subjects: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
        let keys = self.keys_of_rows(frame);
        let counted = self.counted().map(|metric| frame.ints(&metric.column()));
        for row in 0..frame.len() {
            if counted.as_ref().is_none_or(|counted| counted[row] == Some(1)) {
                subjects.entry(keys.iter().map(|key| key[row].clone()).collect()).or_default().push(row);
            }
        }
        let shared = self.shares().map(|shares| shares.read(frame));
        let of_one = |rows: &Vec<usize>| {
            let (times, monotonic) = (frame.times(), frame.monotonic());
            let mut whole = Adding::default();
            let readings = rows.iter().map(|&row| Reading {
                utc_nanos: times[row],
                monotonic_nanos: monotonic[row],
                value: values[row],
                whole: shared.as_ref().and_then(|shared| whole.push(shared, row, monotonic[row])),
            });
            if self.is_counter() { Series::of_counter(readings, self.unit(), stale_nanos) } else { Series::of_level(readings, stale_nanos) }
        };
        Series::sum(self.is_counter(), subjects.values().map(of_one).collect())
    }

    fn counted(&self) -> Option<&'static Metric> {
        let name = self.table.counted?;
        self.table.metrics.iter().find(|metric| metric.name == name)
    }

    fn keys_of_rows(&self, frame: &Frame) -> Vec<Vec<String>> {
        let text = |metric: &Metric| -> Vec<String> {
            let column = metric.column();
            match metric.kind {
                Kind::Text => frame.texts(&column).into_iter().map(|text| text.unwrap_or_default().to_owned()).collect(),
                _ => frame.ints(&column).into_iter().map(|value| value.map_or_else(String::new, |value| value.to_string())).collect(),
            }
        };
        self.table.key_metrics().iter().map(text).collect()
    }

    fn values(&self, frame: &Frame) -> Vec<Option<f64>> {
        let names = |metrics: &[&'static Metric]| metrics.iter().map(|metric| metric.column()).collect::<Vec<_>>();
        sum_of_columns(frame, &names(&self.plus), &names(&self.minus))
    }
}

/// Columns added and taken away, in each row: absent where any of them is, unless that column is absent everywhere and merely adds.
pub fn sum_of_columns(frame: &Frame, plus: &[String], minus: &[String]) -> Vec<Option<f64>> {
    let read = |column: &String| frame.floats(column);
    let plus: Vec<_> = plus.iter().map(read).filter(|column| column.iter().any(Option::is_some)).collect();
    let minus: Vec<_> = minus.iter().map(read).collect();
    let sum = |columns: &[Vec<Option<f64>>], row: usize| columns.iter().map(|column| column[row]).sum::<Option<f64>>();
    let value = |row: usize| if plus.is_empty() { None } else { Some(sum(&plus, row)? - sum(&minus, row)?) };
    (0..frame.len()).map(value).collect()
}

/// What a row says of one subject: a counter or level, before anything is worked out of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// UTC time of the row.
    pub utc_nanos: i64,
    /// The same on the monotonic clock.
    pub monotonic_nanos: i64,
    /// The value, if it could be read.
    pub value: Option<f64>,
    /// What a counter is a share of, if it is one.
    pub whole: Option<WholeSoFar>,
}

impl Reading {
    fn sample(self) -> Option<Sample> {
        Some(Sample { monotonic_nanos: self.monotonic_nanos, value: self.value? })
    }
}

/// A rate or level, and the time that it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// UTC time of the row, where the time that it stands for ends.
    pub utc_nanos: i64,
    /// The same on the monotonic clock.
    pub monotonic_nanos: i64,
    /// Where that time begins, on the monotonic clock. The same as its end where nothing is known of what was before.
    pub since_nanos: i64,
    /// The rate per second, or the level; or why there is none.
    pub value: Rate,
    /// By how much a counter grew, gaps included; 0 for a level.
    pub gain: f64,
}

impl Point {
    /// How long that time is.
    pub fn seconds(&self) -> f64 {
        (self.monotonic_nanos - self.since_nanos) as f64 / 1e9
    }
}

/// Points of a figure in the order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Whether the values are rates.
    pub is_rate: bool,
    /// The points.
    pub points: Vec<Point>,
}

/// The highest value, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// The value.
    pub value: f64,
    /// UTC time of its row.
    pub utc_nanos: i64,
    /// The same on the monotonic clock.
    pub monotonic_nanos: i64,
}

/// What a series comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// By how much a counter grew, gaps included. A level has none.
    pub total: Option<f64>,
    /// Mean over time.
    pub mean: Option<f64>,
    /// 95 % of the time it was not above this.
    pub p95: Option<f64>,
    /// The highest value.
    pub peak: Option<Peak>,
}

impl Series {
    /// The rates of one subject's counter, whose readings come in the order of time. Times are counted in ticks of the kernel: readings too near each
    /// other are taken together.
    pub fn of_counter(readings: impl IntoIterator<Item = Reading>, unit: Unit, stale_nanos: i64) -> Series {
        Series { is_rate: true, points: rates(readings.into_iter(), stale_nanos, Rates::new(unit, stale_nanos).least) }
    }

    /// The levels of one subject, whose readings come in the order of time.
    pub fn of_level(readings: impl IntoIterator<Item = Reading>, stale_nanos: i64) -> Series {
        Series { is_rate: false, points: levels(readings.into_iter(), stale_nanos) }
    }

    /// The sum of several series that were read at the same ticks. A subject that was not there before does not count at that tick; one that
    /// could not be read, or comes after a gap, leaves the tick without a value.
    pub fn sum(is_rate: bool, mut series: Vec<Series>) -> Series {
        if series.len() < 2 {
            return Series { is_rate, points: series.pop().unwrap_or_default().points };
        }
        let mut ticks: BTreeMap<i64, Point> = BTreeMap::new();
        for point in series.into_iter().flat_map(|series| series.points) {
            ticks.entry(point.monotonic_nanos).and_modify(|sum| *sum = add(*sum, point)).or_insert(point);
        }
        Series { is_rate, points: ticks.into_values().collect() }
    }

    /// What it comes to; `None` for a series in which there is nothing at all.
    pub fn stats(&self) -> Option<Stats> {
        let known: Vec<(f64, f64)> = self.points.iter().filter_map(|point| Some((point.value.value()?, point.seconds()))).collect();
        let grew = self.is_rate && self.points.iter().any(|point| point.value != Rate::First && point.value != Rate::NoData);
        if known.is_empty() && !grew {
            return None;
        }
        let peak = self.points.iter().filter_map(|point| {
            let value = point.value.value()?;
            Some(Peak { value, utc_nanos: point.utc_nanos, monotonic_nanos: point.monotonic_nanos })
        });
        Some(Stats {
            total: grew.then(|| self.points.iter().map(|point| point.gain).sum()),
            mean: mean(&known),
            p95: quantile(known, 0.95),
            // Of equal peaks the first: when it was reached. Differences of sums that end in other bits are none.
            peak: peak.reduce(|best, next| match next.value > best.value + best.value.abs() * 1e-9 {
                true => next,
                false => Peak { value: best.value.max(next.value), ..best },
            }),
        })
    }

    /// The series as so many columns of a picture between two monotonic times. A rate gives its mean over a column, a level its highest value; a
    /// column of which nothing is known gives nothing.
    pub fn columns(&self, from: i64, to: i64, count: usize) -> Vec<Option<f64>> {
        let mut weights = vec![0.0_f64; count];
        let mut columns: Vec<Option<f64>> = vec![None; count];
        let span = (to - from).max(1) as f64;
        let place = |nanos: i64| ((nanos - from) as f64 / span * count as f64).clamp(0.0, count as f64);
        for point in self.points.iter().filter(|point| point.monotonic_nanos >= from && point.since_nanos <= to) {
            let Some(value) = point.value.value() else { continue };
            let (begin, end) = (place(point.since_nanos), place(point.monotonic_nanos));
            let last = (end.ceil() as usize).clamp(1, count);
            let first = (begin.floor() as usize).min(last - 1);
            for column in first..last {
                let weight = (end.min((column + 1) as f64) - begin.max(column as f64)).max(f64::MIN_POSITIVE);
                columns[column] = match columns[column] {
                    Some(known) if self.is_rate => Some((known * weights[column] + value * weight) / (weights[column] + weight)),
                    Some(known) => Some(known.max(value)),
                    None => Some(value),
                };
                weights[column] += weight;
            }
        }
        columns
    }
}

fn add(sum: Point, point: Point) -> Point {
    let value = match (sum.value, point.value) {
        (Rate::Value(a), Rate::Value(b)) => Rate::Value(a + b),
        (Rate::First, other) | (other, Rate::First) => other,
        (Rate::Stale, _) | (_, Rate::Stale) => Rate::Stale,
        (Rate::NoData, _) | (_, Rate::NoData) => Rate::NoData,
    };
    Point { value, gain: sum.gain + point.gain, since_nanos: sum.since_nanos.min(point.since_nanos), ..sum }
}

/// Rates between readings that lie at least some time apart, worked out as the readings come.
#[derive(Clone, Debug)]
pub struct Rates {
    stale_nanos: i64,
    least: i64,
    /// The reading at which the next rate begins.
    from: Option<Reading>,
    /// That at which the last one began.
    began: Option<Reading>,
    /// The last reading that was too near for a rate of its own.
    rest: Option<Reading>,
}

impl Rates {
    /// Those of a counter in this unit. Times are counted in ticks of the kernel: readings too near each other are taken together.
    pub fn new(unit: Unit, stale_nanos: i64) -> Rates {
        Rates::apart(if unit == Unit::Seconds { LEAST_NANOS_OF_TIMES } else { 0 }, stale_nanos)
    }

    fn apart(least: i64, stale_nanos: i64) -> Rates {
        Rates { stale_nanos, least, from: None, began: None, rest: None }
    }

    /// Takes the next reading, in the order of time, and says which points are known now. One too near the last waits for the next.
    pub fn push(&mut self, row: Reading, mut say: impl FnMut(Point)) {
        if row.value.is_none() {
            say(growth(self.from, row, self.stale_nanos));
            return;
        }
        if let Some(held) = self.rest.filter(|held| row.monotonic_nanos - held.monotonic_nanos > self.stale_nanos) {
            say(growth(self.from, held, self.stale_nanos));
            self.from = Some(held);
        }
        if self.from.is_some_and(|from| row.monotonic_nanos - from.monotonic_nanos < self.least) {
            self.rest = Some(row);
        } else {
            say(growth(self.from, row, self.stale_nanos));
            (self.began, self.from, self.rest) = (self.from, Some(row), None);
        }
    }
}

/// Rates between rows that lie at least `least` apart; a shorter rest at the end lengthens the last of them.
fn rates(rows: impl Iterator<Item = Reading>, stale_nanos: i64, least: i64) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    let mut rates = Rates::apart(least, stale_nanos);
    for row in rows {
        rates.push(row, |point| points.push(point));
    }
    let Rates { from, began, rest, .. } = rates;
    if let Some(rest) = rest {
        match began.filter(|_| points.last().is_some_and(|point| matches!(point.value, Rate::Value(_)))) {
            Some(began) => {
                points.pop();
                points.push(growth(Some(began), rest, stale_nanos.saturating_add(least)));
            }
            // Two near rows are all there is: better a rough rate than none.
            None => points.push(growth(from, rest, stale_nanos)),
        }
    }
    points
}

fn growth(before: Option<Reading>, now: Reading, stale_nanos: i64) -> Point {
    let value = rate(before.and_then(Reading::sample), now.sample(), stale_nanos);
    let gain = match (before.and_then(|before| before.value), now.value, value) {
        (Some(before), Some(now), Rate::Value(_) | Rate::Stale) => now - before,
        _ => 0.0,
    };
    let share = || now.whole?.share(before?.whole?, gain);
    let value = if let (Rate::Value(_), Some(share)) = (value, share()) { Rate::Value(share) } else { value };
    let since_nanos = before.filter(|_| matches!(value, Rate::Value(_))).map_or(now.monotonic_nanos, |before| before.monotonic_nanos);
    Point { utc_nanos: now.utc_nanos, monotonic_nanos: now.monotonic_nanos, since_nanos, value, gain }
}

fn levels(rows: impl Iterator<Item = Reading>, stale_nanos: i64) -> Vec<Point> {
    let mut before: Option<i64> = None;
    let point = |row: Reading| {
        let gap = before.is_none_or(|before| row.monotonic_nanos - before > stale_nanos || row.monotonic_nanos < before);
        let since_nanos = before.filter(|_| !gap).unwrap_or(row.monotonic_nanos);
        before = Some(row.monotonic_nanos);
        let value = row.value.map_or(Rate::NoData, Rate::Value);
        Point { utc_nanos: row.utc_nanos, monotonic_nanos: row.monotonic_nanos, since_nanos, value, gain: 0.0 }
    };
    rows.map(point).collect()
}

/// The mean by weight; of values without weight (a single reading) the plain mean.
fn mean(values: &[(f64, f64)]) -> Option<f64> {
    let weight: f64 = values.iter().map(|(_, weight)| weight).sum();
    if weight > 0.0 {
        return Some(values.iter().map(|(value, weight)| value * weight).sum::<f64>() / weight);
    }
    (!values.is_empty()).then(|| values.iter().map(|(value, _)| value).sum::<f64>() / values.len() as f64)
}

/// The smallest value that this share of the weight does not exceed.
fn quantile(mut values: Vec<(f64, f64)>, share: f64) -> Option<f64> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let weight: f64 = values.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    for &(value, own) in &values {
        below += own;
        if weight > 0.0 && below >= share * weight {
            return Some(value);
        }
    }
    values.last().map(|(value, _)| *value)
}

/// A stretch of time without rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// UTC time of the last row before it.
    pub utc_nanos: i64,
    /// The same on the monotonic clock.
    pub monotonic_nanos: i64,
    /// Monotonic time of the first row after it.
    pub until_nanos: i64,
}

/// Where rows that come at each tick are missing for longer than makes a rate stale.
pub fn gaps(frame: &Frame, stale_nanos: i64) -> Vec<Gap> {
    let (times, monotonic) = (frame.times(), frame.monotonic());
    let gap = |row: usize| Gap { utc_nanos: times[row], monotonic_nanos: monotonic[row], until_nanos: monotonic[row + 1] };
    (0..frame.len().saturating_sub(1)).map(gap).filter(|gap| gap.until_nanos - gap.monotonic_nanos > stale_nanos).collect()
}

#[cfg(test)]
mod tests {
    use barograph_model::{Count, Counter, Gauge, Moment, Rows, Seconds, Sink, table};
    use proptest::prelude::*;

    use super::*;
    use crate::{Facts, Options, Recording, Timeline};

    fn row(millis: i64, value: impl Into<Option<f64>>) -> Reading {
        Reading { utc_nanos: millis * 1_000_000, monotonic_nanos: millis * 1_000_000, value: value.into(), whole: None }
    }

    fn of(rows: &[Reading]) -> Series {
        Series::of_counter(rows.iter().copied(), Unit::Seconds, 3_000_000_000)
    }

    fn of_points(points: &[Point]) -> Series {
        Series { is_rate: true, points: points.to_vec() }
    }

    #[test]
    fn the_first_row_is_a_baseline_and_not_a_rate() {
        let stats = of(&[row(0, 100.0), row(1000, 101.0), row(2000, 104.0)]).stats().unwrap();
        assert_eq!((stats.total, stats.mean, stats.p95), (Some(4.0), Some(2.0), Some(3.0)));
        assert_eq!(stats.peak.map(|peak| (peak.value, peak.utc_nanos)), Some((3.0, 2_000_000_000)));
        assert_eq!(of(&[row(0, 100.0)]).stats(), None);
        assert_eq!(of(&[]).stats(), None);
    }

    #[test]
    fn a_gap_counts_in_the_total_and_in_no_rate() {
        let series = of(&[row(0, 0.0), row(1000, 1.0), row(61_000, 31.0), row(62_000, 32.0)]);
        assert_eq!(series.points[2].value, Rate::Stale);
        let stats = series.stats().unwrap();
        assert_eq!((stats.total, stats.mean), (Some(32.0), Some(1.0)));
        assert_eq!(series.columns(0, 62_000_000_000, 31)[2..30], [None; 28]);
    }

    #[test]
    fn a_counter_that_goes_back_is_no_spike() {
        let series = of(&[row(0, 50.0), row(1000, 51.0), row(2000, 1.0), row(3000, 2.0)]);
        assert_eq!(series.points[2].value, Rate::NoData);
        assert_eq!(series.stats().unwrap().total, Some(2.0));
        assert_eq!(series.stats().unwrap().peak.unwrap().value, 1.0);
    }

    #[test]
    fn an_unread_row_leaves_the_rate_to_the_next() {
        let series = of(&[row(0, 0.0), row(1000, None), row(2000, 4.0)]);
        assert_eq!(series.points.iter().map(|point| point.value).collect::<Vec<_>>(), [Rate::First, Rate::NoData, Rate::Value(2.0)]);
    }

    #[test]
    fn ticks_of_the_kernel_make_no_peak() {
        // One core all the time, counted in ticks of 10 ms and read every 10 ms or so: each single difference would be 0, 1 or 2 cores.
        let rows: Vec<Reading> = (0..60).map(|tick| row(tick * 11, (tick as f64 * 1.1).floor() / 100.0)).collect();
        let stats = of(&rows).stats().unwrap();
        assert!((0.9..1.1).contains(&stats.peak.unwrap().value), "{stats:?}");
        assert_eq!(stats.total, Some(0.64));
    }

    table! {
        /// A core's time, in whole ticks.
        Times = "times" in "nowhere" whole of (busy idle) worth cores {
            /// At work.
            busy: Counter<Seconds> = "counted",
            /// At rest.
            idle: Counter<Seconds> = "counted",
            /// How many there are.
            cores: Gauge<Count> = "counted",
        }
    }

    #[test]
    fn a_share_of_all_ticks_is_never_more_than_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(folder.path().join("run.baro"), Facts::default(), Options::default()).unwrap();
        let mut rows = Rows::<Times>::new();
        // Two cores at work all the time, then half of it: the kernel counts whole ticks, and the readings are early or late by some of them.
        for (millis, busy, idle) in [(0, 5.0, 1.0), (100, 5.21, 1.0), (205, 5.40, 1.0), (305, 5.5, 1.1), (405, 5.6, 1.0)] {
            let at = Moment { utc_nanos: millis * 1_000_000, monotonic_nanos: millis * 1_000_000 };
            rows.row(at).set(Times::busy, busy).set(Times::idle, idle).set(Times::cores, 2_u64);
        }
        recording.take(&rows).unwrap();
        recording.publish().unwrap();
        let timeline = Timeline::open(folder.path().join("run.baro")).unwrap();
        let values = |field| -> Vec<f64> {
            let figure = Figure::of(field);
            let frame = timeline.frame("times", &Figure::query([&figure], None, None)).unwrap();
            let series = figure.series(&frame, i64::MAX);
            assert!((series.points.iter().map(|point| point.gain).sum::<f64>() - if figure.plus[0].name == "busy" { 0.6 } else { 0.1 }).abs() < 1e-9);
            series.points.iter().filter_map(|point| point.value.value()).map(|cores| (cores * 1e6).round() / 1e6).collect()
        };
        assert_eq!(values(Times::busy), [2.0, 2.0, 1.0, 1.0], "a whole of which a part went back is what the clock says");
        assert_eq!(values(Times::idle), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn a_dense_start_weighs_what_it_lasted() {
        let rows = [row(0, 1.0), row(10, 100.0), row(20, 100.0), row(1020, 1.0)];
        let series = Series { is_rate: false, points: levels(rows.into_iter(), 3_000_000_000) };
        let stats = series.stats().unwrap();
        assert!((stats.mean.unwrap() - (100.0 * 0.02 + 1.0) / 1.02).abs() < 1e-9);
        assert_eq!((stats.p95, stats.peak.map(|peak| peak.value), stats.total), (Some(1.0), Some(100.0), None));
    }

    #[test]
    fn a_single_reading_is_its_own_mean() {
        let series = Series { is_rate: false, points: levels([row(0, 7.0)].into_iter(), 1) };
        let stats = series.stats().unwrap();
        assert_eq!((stats.mean, stats.p95, stats.peak.map(|peak| peak.value)), (Some(7.0), Some(7.0), Some(7.0)));
        assert_eq!(series.columns(0, 0, 4).iter().flatten().count(), 1);
    }

    #[test]
    fn a_device_that_was_plugged_in_adds_and_a_reset_leaves_no_value() {
        let one = rates([row(0, 0.0), row(1000, 1.0), row(2000, 2.0)].into_iter(), i64::MAX, 0);
        let two = rates([row(1000, 900.0), row(2000, 902.0)].into_iter(), i64::MAX, 0);
        let sum = Series::sum(true, vec![of_points(&one), of_points(&two)]);
        assert_eq!(sum.points.iter().map(|point| point.value).collect::<Vec<_>>(), [Rate::First, Rate::Value(1.0), Rate::Value(3.0)]);
        let reset = rates([row(0, 9.0), row(1000, 1.0), row(2000, 2.0)].into_iter(), i64::MAX, 0);
        assert_eq!(Series::sum(true, vec![of_points(&one), of_points(&reset)]).points[1].value, Rate::NoData);
    }

    #[test]
    fn columns_take_the_mean_of_rates_and_the_highest_level() {
        let rows = [row(0, 0.0), row(1000, 0.0), row(2000, 4.0), row(4000, 4.0)];
        let rate = Series { is_rate: true, points: rates(rows.into_iter(), i64::MAX, 0) };
        assert_eq!(rate.columns(0, 4_000_000_000, 2), [Some(2.0), Some(0.0)]);
        let level = Series { is_rate: false, points: levels(rows.into_iter(), i64::MAX) };
        assert_eq!(level.columns(0, 4_000_000_000, 4), [Some(0.0), Some(4.0), Some(4.0), Some(4.0)]);
    }
    proptest! {
        /// What rates add up to is what the counter grew by, whatever was reset, could not be read, or was missing for long.
        #[test]
        fn the_sum_of_rates_is_the_growth(
            steps in prop::collection::vec((1_i64..5000, prop::option::weighted(0.9, 0_u32..100), prop::bool::weighted(0.1)), 0..100),
            stale in prop_oneof![Just(2000_i64), Just(1_000_000)],
        ) {
            let (mut millis, mut count) = (0, 0.0);
            let rows: Vec<Reading> = steps.iter().map(|&(step, gain, reset)| {
                millis += step;
                count = if reset { 0.0 } else { count + f64::from(gain.unwrap_or(0)) };
                row(millis, gain.map(|_| count))
            }).collect();
            let points = rates(rows.iter().copied(), stale * 1_000_000, 0);
            prop_assert_eq!(points.len(), rows.len());
            let read: Vec<f64> = rows.iter().filter_map(|row| row.value).collect();
            let grew: f64 = read.windows(2).map(|pair| (pair[1] - pair[0]).max(0.0)).sum();
            prop_assert_eq!(points.iter().map(|point| point.gain).sum::<f64>(), grew);
            for point in &points {
                match point.value {
                    Rate::Value(value) => {
                        prop_assert!(point.monotonic_nanos - point.since_nanos <= stale * 1_000_000, "no rate bridges a gap");
                        prop_assert!((value * point.seconds() - point.gain).abs() <= point.gain * 1e-9);
                    }
                    _ => prop_assert_eq!(point.since_nanos, point.monotonic_nanos),
                }
            }
            prop_assert_eq!(points.iter().filter(|point| point.value == Rate::First).count(), usize::from(!read.is_empty()));
            // A picture shows no more than there was, in however few columns.
            let series = Series { is_rate: true, points };
            let highest = series.stats().and_then(|stats| stats.peak).map_or(0.0, |peak| peak.value);
            prop_assert!(series.columns(0, millis * 1_000_000, 7).into_iter().flatten().all(|mean| (0.0..=highest * (1.0 + 1e-9)).contains(&mean)));
        }
    }
}
