//! What is on the screen, as plain data: made by the reader from a recording, drawn by the screen.

use barograph_view::human;
use barograph_view::{Points, ProcessRow, Unit};

use crate::table;
use crate::window::Window;

/// How a recording stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is being written.
    #[default]
    Live,
    /// It has ended, and this is how, in words.
    Ended { how: String, well: bool },
    /// It was cut off.
    Interrupted,
}

/// All that is drawn, but for what is the program's own state.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scene {
    /// The command, or what else is watched.
    pub(crate) title: String,
    /// The host and what it may use, in pieces: those that there is no room for are left out, from the end.
    pub(crate) about: Vec<String>,
    pub(crate) standing: Standing,
    /// The moment that is looked at, the first and the last one, and when recording began. UTC nanoseconds.
    pub(crate) cursor: i64,
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) start: i64,
    /// Whether ticks are less than a second apart.
    pub(crate) is_fine: bool,
    pub(crate) window: Window,
    pub(crate) meters: Vec<Meter>,
    pub(crate) spans: Vec<Bar>,
    pub(crate) events: Vec<Mark>,
    /// Processes of that moment, the lines of the table of them, and their sums.
    pub(crate) processes: Vec<ProcessRow>,
    pub(crate) lines: Vec<table::Line>,
    pub(crate) totals: table::Totals,
    /// The process that is looked at closely.
    pub(crate) life: Option<Life>,
}

/// One number and its curve.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Meter {
    pub(crate) title: String,
    pub(crate) unit: Unit,
    /// At the cursor.
    pub(crate) value: Option<f64>,
    /// What there is of it at most, if that is known.
    pub(crate) limit: Option<f64>,
    pub(crate) curve: Vec<Cell>,
}

/// A column of a curve. NaN where nothing is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) mean: f64,
    pub(crate) max: f64,
}

impl Cell {
    /// Nothing is known.
    pub(crate) const NOTHING: Cell = Cell { mean: f64::NAN, max: f64::NAN };
}

/// Two of which nothing is known are the same.
impl PartialEq for Cell {
    fn eq(&self, other: &Cell) -> bool {
        let same = |left: f64, right: f64| left == right || (left.is_nan() && right.is_nan());
        same(self.mean, other.mean) && same(self.max, other.max)
    }
}

/// A span.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// In which row it is drawn: below those within which it lies.
    pub(crate) lane: usize,
    pub(crate) is_open: bool,
    pub(crate) has_failed: bool,
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mark {
    pub(crate) at: i64,
    pub(crate) name: String,
    pub(crate) detail: Option<String>,
}

/// A process from its begin to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Life {
    pub(crate) title: String,
    /// What is known of it, under its names.
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) meters: Vec<Meter>,
}

impl Meter {
    /// The number at the cursor, of what there is.
    pub(crate) fn says(&self) -> String {
        let Some(value) = self.value else { return "–".to_owned() };
        match self.limit {
            Some(limit) if self.unit == Unit::Cores => format!("{} of {}", table::cores(value), human::set(format!("{} cores", human::cores(limit)))),
            Some(limit) => format!("{} of {}", amount(self.unit, value), human::set(amount(self.unit, limit))),
            None => amount(self.unit, value),
        }
    }

    /// The value that fills the height: a little more than the highest that is seen, and of shares all. Steps are coarse, so that a growing curve seldom rescales.
    pub(crate) fn top(&self) -> f64 {
        let peak = self.curve.iter().map(|cell| cell.max).fold(0.0_f64, f64::max);
        match (self.unit, self.limit) {
            // How far it is from what there is, is what one wants to see.
            // A hundredth more than there is, is how well time can be told.
            (Unit::Cores, Some(limit)) => {
                if peak > limit * 1.1 {
                    peak
                } else {
                    limit
                }
            }
            (Unit::Bytes, Some(limit)) if peak > limit / 8.0 => limit.max(peak),
            (unit, _) => round_up(unit, peak),
        }
    }

    /// Whether there is little left of it.
    pub(crate) fn is_scarce(&self) -> bool {
        matches!(self.unit, Unit::Bytes) && self.value.zip(self.limit).is_some_and(|(value, limit)| limit > 0.0 && value >= 0.9 * limit)
    }
}

/// A number in its unit.
pub(crate) fn amount(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Cores => format!("{} cores", table::cores(value)),
        Unit::Bytes => human::byte_amount(value),
        Unit::BytesPerSecond => human::byte_rate(value),
        Unit::Ratio => human::share(value),
        Unit::Seconds => human::seconds(value),
        Unit::Hertz => format!("{} GHz", human::number(value / 1e9)),
        Unit::Count => human::count(value),
        Unit::PerSecond => human::count_rate(value),
        Unit::Number => human::any_number(value),
    }
}

/// The next of 1, 2, 5, 10 …, in bytes of 1, 2, 4, 8 …
fn round_up(unit: Unit, value: f64) -> f64 {
    if value.is_nan() || value <= 0.0 {
        return 0.0;
    }
    if matches!(unit, Unit::Bytes | Unit::BytesPerSecond) {
        return 2.0_f64.powf(value.log2().ceil());
    }
    let decade = 10.0_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * decade).into_iter().find(|step| *step >= value).unwrap_or(value)
}

/// Buckets of a column. Those that are read are as wide as suits them: with so many, each lies well within a column.
pub(crate) const BUCKETS_OF_COLUMN: usize = 4;

/// The columns of a curve. A row stands for the time since the one before it, if that is not so long ago that nothing is known of it; a bucket for its column.
pub(crate) fn cells(points: &Points, window: Window, stale: i64) -> Vec<Cell> {
    let mut cells = vec![Cell::NOTHING; window.columns];
    let mut weights = vec![0.0_f64; window.columns];
    // The point before, and whether anything was known then.
    let mut before: Option<(i64, bool)> = None;
    for (place, x) in points.x.iter().enumerate() {
        let at = (x * 1e6) as i64;
        let mean = points.mean.get(place).copied().filter(|mean| !mean.is_nan());
        let follows = |(before, known): &(i64, bool)| points.max.is_empty() && *known && (0..=stale).contains(&(at - before));
        let since = before.filter(follows).map_or(at, |(before, _)| before);
        before = Some((at, mean.is_some()));
        let Some(mean) = mean else { continue };
        let max = points.max.get(place).copied().filter(|max| !max.is_nan()).unwrap_or(mean);
        if at < window.from || since >= window.to() {
            continue;
        }
        let last = window.nearest(at);
        let first = match window.column(since) {
            Some(column) => (column + 1).min(last),
            None if since < window.from && since != at => 0,
            None => last,
        };
        for column in first..=last {
            let cell = &mut cells[column];
            let weight = ((at - since) as f64).max(1.0);
            cell.mean = if cell.mean.is_nan() { mean } else { (cell.mean * weights[column] + mean * weight) / (weights[column] + weight) };
            cell.max = cell.max.max(max);
            weights[column] += weight;
        }
    }
    cells
}

/// Puts spans into rows: each below those within which it lies, and beside none that it would cover.
pub(crate) fn arrange(bars: &mut [(u32, Bar)]) {
    bars.sort_by_key(|(depth, bar)| (bar.from, *depth));
    let mut ends: Vec<i64> = Vec::new();
    for (depth, bar) in bars {
        let least = usize::try_from(*depth).unwrap_or(0).min(64);
        let free = (least..ends.len()).find(|lane| ends[*lane] <= bar.from);
        bar.lane = free.unwrap_or_else(|| least.max(ends.len()));
        if ends.len() <= bar.lane {
            ends.resize(bar.lane + 1, i64::MIN);
        }
        ends[bar.lane] = bar.to;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const S: i64 = 1_000_000_000;

    fn points(x: &[f64], mean: &[f64]) -> Points {
        Points { x: Arc::new(x.iter().map(|second| second * 1e3).collect()), mean: mean.to_vec(), ..Points::default() }
    }

    fn means(cells: &[Cell]) -> Vec<Option<f64>> {
        cells.iter().map(|cell| Some(cell.mean).filter(|mean| !mean.is_nan())).collect()
    }

    #[test]
    fn a_point_stands_for_the_time_before_it() {
        let window = Window { from: 0, step: S, columns: 8 };
        let cells = cells(&points(&[0.5, 2.5, 3.5, 7.5], &[1.0, 2.0, f64::NAN, 4.0]), window, 3 * S);
        assert_eq!(means(&cells), [Some(1.0), Some(2.0), Some(2.0), None, None, None, None, Some(4.0)]);
    }

    #[test]
    fn points_of_one_column_are_one_and_the_highest_is_kept() {
        let window = Window { from: 0, step: 4 * S, columns: 2 };
        let cells = cells(&points(&[0.0, 1.0, 2.0, 4.0], &[0.0, 1.0, 3.0, 5.0]), window, 3 * S);
        assert_eq!((cells[0].max, cells[1].max), (3.0, 5.0));
        assert!((cells[0].mean - 2.0).abs() < 0.1, "{cells:?}");
    }

    #[test]
    fn ticks_that_are_late_leave_no_hole() {
        let window = Window { from: 0, step: S, columns: 4 };
        assert_eq!(means(&cells(&points(&[0.99, 2.01, 3.0], &[1.0, 2.0, 3.0]), window, 3 * S)), [1.0, 2.0, 2.0, 3.0].map(Some));
    }

    #[test]
    fn numbers_stand_beside_what_there_is() {
        let meter = |unit, value, limit| Meter { title: String::new(), unit, value, limit, curve: Vec::new() }.says();
        assert_eq!(meter(Unit::Cores, Some(1.5), Some(2.0)), "1.50 of 2 cores");
        assert_eq!(meter(Unit::Bytes, Some(1.25 * 1073741824.0), Some(4.0 * 1073741824.0)), "1.25 GiB of 4 GiB");
        assert_eq!(meter(Unit::Ratio, Some(0.123), None), "12.3 %");
        assert_eq!(meter(Unit::Cores, None, Some(2.0)), "–");
    }

    #[test]
    fn spans_lie_below_those_they_are_within_and_beside_no_other() {
        let bar = |depth, from, to| (depth, Bar { from, to, ..Bar::default() });
        let mut bars = [bar(0, 0, 100), bar(1, 0, 50), bar(1, 50, 100), bar(1, 60, 90), bar(2, 70, 80), bar(0, 100, 120)];
        arrange(&mut bars);
        assert_eq!(bars.map(|(_, bar)| bar.lane), [0, 1, 1, 2, 3, 0]);
    }
}
