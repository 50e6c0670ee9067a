//! Shares of a whole: what counters that the kernel counts in ticks grew by, beside what all of them grew by together.
//!
//! Over a tenth of a second, two cores that are busy all the time may gain 0.21 s by such counters, and that is no load of 2.1 cores. As shares of the whole
//! they never come to more than it.

use barograph_model::{Kind, Table, Unit};

use crate::Frame;

/// The columns of a table between which a whole is shared out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    parts: Vec<String>,
    worth: Option<String>,
}

/// The whole that a counter is a share of, up to a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WholeSoFar {
    /// What all parts have grown by since the first row.
    pub sum: f64,
    /// What the whole is worth: how many cores there are.
    pub worth: f64,
}

impl Shares {
    /// Those that this table declares, for a series that begins with this one of its columns.
    pub fn of(table: &Table, column: &str) -> Option<Shares> {
        let whole = table.whole?;
        let is_shared = |unit: Unit| {
            let is_this = |metric: &&barograph_model::Metric| metric.unit == unit && metric.kind == Kind::Counter && metric.column() == column;
            table.metrics.iter().any(|metric| is_this(&metric))
        };
        let name = |place: &usize| table.metrics[*place].column();
        let unit = table.metrics[*whole.parts.first()?].unit;
        is_shared(unit).then(|| Shares { parts: whole.parts.iter().map(name).collect(), worth: whole.worth.as_ref().map(name) })
    }

    /// The columns that must be read.
    pub fn columns(&self) -> impl Iterator<Item = &String> {
        self.parts.iter().chain(&self.worth)
    }

    /// Their values in these rows.
    pub fn read(&self, frame: &Frame) -> SharedRows {
        SharedRows {
            parts: self.parts.iter().map(|column| frame.numbers(column)).collect(),
            worth: self.worth.as_ref().map(|column| frame.numbers(column)),
        }
    }
}

/// The values of these columns in some rows; NaN is absent.
#[derive(Clone, Debug)]
pub struct SharedRows {
    parts: Vec<Vec<f64>>,
    worth: Option<Vec<f64>>,
}

/// The whole of one subject, added up as its rows come.
#[derive(Clone, Debug, Default)]
pub struct Adding {
    /// The last known value of each part, and when it was.
    before: Vec<f64>,
    nanos: i64,
    sum: f64,
    worth: Option<f64>,
}

impl Adding {
    /// Takes the next row of the subject. Gives nothing where nothing of the whole is known.
    ///
    /// The kernel corrects some parts downwards. Such a part adds nothing; that the whole does not seem too small for the others then, it is at least what
    /// the clock says.
    pub fn push(&mut self, rows: &SharedRows, row: usize, monotonic_nanos: i64) -> Option<WholeSoFar> {
        let worth = rows.worth.as_ref().map_or(1.0, |worth| worth[row]);
        self.worth = Some(worth).filter(|worth| *worth > 0.0).or(self.worth);
        let worth = self.worth?;
        let is_first = self.before.is_empty();
        self.before.resize(rows.parts.len(), f64::NAN);
        let (mut grew, mut went_back, mut is_known) = (0.0, false, false);
        for (before, part) in self.before.iter_mut().zip(&rows.parts) {
            let now = part[row];
            if now.is_nan() {
                continue;
            }
            is_known = true;
            if !before.is_nan() {
                grew += (now - *before).max(0.0);
                went_back |= now < *before;
            }
            *before = now;
        }
        if !is_known {
            return None;
        }
        let by_the_clock = worth * (monotonic_nanos - self.nanos) as f64 / 1e9;
        if !is_first {
            self.sum += if went_back { grew.max(by_the_clock) } else { grew };
        }
        self.nanos = monotonic_nanos;
        Some(WholeSoFar { sum: self.sum, worth })
    }
}

impl WholeSoFar {
    /// The share of a counter that grew by this since then; nothing where the whole did not grow.
    pub(crate) fn share(self, since: WholeSoFar, gain: f64) -> Option<f64> {
        let grew = self.sum - since.sum;
        (grew > 0.0).then(|| (gain / grew * self.worth).min(self.worth))
    }
}
