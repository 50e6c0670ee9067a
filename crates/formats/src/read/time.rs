//! When a row was: texts and numbers as moments of UTC.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::source::{Column, Row, Value};

/// Times that a recording may have, in nanoseconds: half of what fits, so that the distance of any two fits too.
const LAST_NANOS: i128 = i64::MAX as i128 / 2;

/// Names of columns of times, in lower case, best first.
const NAMES: [&str; 18] = [
    "time",
    "timestamp",
    "@timestamp",
    "datetime",
    "date_time",
    "date",
    "utc",
    "time_utc",
    "utc_time",
    "ts",
    "epoch",
    "unix",
    "unixtime",
    "unix_time",
    "unix_timestamp",
    "when",
    "at",
    "wall_time",
];

/// What such a name may end in where the column has numbers: the unit, in nanoseconds.
const UNITS: [(&str, i64); 14] = [
    ("_s", 1_000_000_000),
    ("_sec", 1_000_000_000),
    ("_secs", 1_000_000_000),
    ("_seconds", 1_000_000_000),
    ("_ms", 1_000_000),
    ("_millis", 1_000_000),
    ("_milliseconds", 1_000_000),
    ("_us", 1000),
    ("_micros", 1000),
    ("_microseconds", 1000),
    ("_ns", 1),
    ("_nanos", 1),
    ("_nanoseconds", 1),
    ("_epoch", 0),
];

/// Where a file may have its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a column, whose name may tell the unit of its numbers.
    Column { column: usize, unit: Option<i64>, texts_only: bool },
    /// In one of days and one of times of day.
    DayAndTime { day: usize, time: usize },
}

impl Place {
    /// Columns that hold nothing but times, if this is the place.
    pub(crate) fn columns(&self) -> Vec<usize> {
        match self {
            Place::Column { column, .. } => vec![*column],
            Place::DayAndTime { day, time } => vec![*day, *time],
        }
    }
}

/// Where to look for times, best first.
pub(crate) fn places(columns: &[Column]) -> Vec<Place> {
    let lower: Vec<String> = columns.iter().map(|column| column.name.trim().to_lowercase().replace([' ', '-'], "_")).collect();
    let find = |name: &str| lower.iter().position(|known| known == name);
    let mut places = Vec::new();
    if let (Some(day), Some(time)) = (find("date"), find("time")) {
        places.push(Place::DayAndTime { day, time });
    }
    let column = |column: usize, unit: Option<i64>| Place::Column { column, unit, texts_only: false };
    places.extend(NAMES.iter().filter_map(|name| find(name)).map(|place| column(place, None)));
    for (suffix, unit) in UNITS {
        let known = |name: &String| name.strip_suffix(suffix).is_some_and(|name| NAMES.contains(&name) || name == "t");
        places.extend(lower.iter().enumerate().filter(|(_, name)| known(name)).map(|(place, _)| column(place, Some(unit).filter(|unit| *unit > 0))));
    }
    places.extend(columns.iter().enumerate().filter(|(_, known)| known.is_moments).map(|(place, _)| column(place, None)));
    // What pandas writes of an index without a name. Its numbers are those of the rows.
    let index = |name: &str| name.is_empty() || ["index", "unnamed:_0", "__index_level_0__"].contains(&name);
    let indexes = lower.iter().enumerate().filter(|(_, name)| index(name));
    places.extend(indexes.map(|(column, _)| Place::Column { column, unit: None, texts_only: true }));
    let mut unique: Vec<Place> = Vec::new();
    for place in places {
        if !unique.iter().any(|known| known.columns() == place.columns()) {
            unique.push(place);
        }
    }
    unique.truncate(MOST_PLACES);
    unique
}

const MOST_PLACES: usize = 8;

/// What stands in a cell of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// A number of a unit that may not be known yet, in billionths of it.
    Number(i128),
    /// A moment, and its offset from UTC in seconds.
    Moment(i64, Option<i32>),
    /// A clock on the wall.
    Local(DateTime),
}

fn said(place: &Place, row: &dyn Row) -> Option<Result<Said, ()>> {
    match place {
        Place::Column { column, texts_only, .. } => {
            let said = match row.get(*column)? {
                Value::Int(value) => Ok(Said::Number(i128::from(value) * 1_000_000_000)),
                // As few digits as tell it from all others are what somebody wrote.
                Value::Float(value) => decimal(&format!("{value}")).map(Said::Number).ok_or(()),
                Value::Utc(nanos) => Ok(Said::Moment(nanos, None)),
                Value::Local(nanos) => {
                    Timestamp::from_nanosecond(nanos.into()).map(|time| Said::Local(TimeZone::UTC.to_datetime(time))).map_err(|_| ())
                }
                Value::Raw(text) | Value::Text(text) => std::str::from_utf8(text).map_err(|_| ()).and_then(|text| words(text.trim())),
            };
            Some(said.and_then(|said| if *texts_only && matches!(said, Said::Number(_)) { Err(()) } else { Ok(said) }))
        }
        Place::DayAndTime { day, time } => {
            let text = |column: usize| match row.get(column) {
                Some(Value::Raw(text) | Value::Text(text)) => std::str::from_utf8(text).ok(),
                _ => None,
            };
            let (day, time) = (text(*day)?.trim(), text(*time)?.trim());
            // A time that is more than one of a day makes the day idle.
            let is_of_day = time.contains(':') && !time.contains('-') && day.contains('-');
            Some(if is_of_day { words(&format!("{day}T{time}")) } else { Err(()) })
        }
    }
}

fn words(text: &str) -> Result<Said, ()> {
    if text.is_empty() {
        return Err(());
    }
    if let Some(number) = decimal(text) {
        return Ok(Said::Number(number));
    }
    if let Ok(time) = jiff::fmt::temporal::Pieces::parse(text) {
        let local = time.date().to_datetime(time.time().unwrap_or_default());
        return match time.to_numeric_offset() {
            Some(offset) => {
                let moment = offset.to_timestamp(local).map_err(|_| ())?;
                Ok(Said::Moment(i64::try_from(moment.as_nanosecond()).map_err(|_| ())?, Some(offset.seconds())))
            }
            None => Ok(Said::Local(local)),
        };
    }
    Err(())
}

/// A number with a fraction, in billionths, exactly. Of more than nine digits after the point the rest is left out.
fn decimal(text: &str) -> Option<i128> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || whole.len() > 24 {
        return None;
    }
    if !are_digits(whole) || !are_digits(fraction) {
        // 1.795e9, as some programs write it.
        let with_exponent = text.parse::<f64>().ok().filter(|value| value.is_finite() && value.abs() < 1e20 && text.contains(['e', 'E']))?;
        return decimal(&format!("{with_exponent}"));
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let sum = whole * 1_000_000_000 + nine.parse::<i128>().ok()?;
    Some(if text.starts_with('-') { -sum } else { sum })
}

/// What was found in one place of times, by reading all rows.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    place: Place,
    numbers: u64,
    moments: u64,
    locals: u64,
    /// Cells that are no times.
    pub(crate) wrong: u64,
    pub(crate) first_wrong: Option<String>,
    largest: i128,
    offsets: BTreeSet<i32>,
}

impl Found {
    pub(crate) fn new(place: Place) -> Found {
        Found { place, numbers: 0, moments: 0, locals: 0, wrong: 0, first_wrong: None, largest: 0, offsets: BTreeSet::new() }
    }

    pub(crate) fn add(&mut self, row: &dyn Row) {
        match said(&self.place, row) {
            None => {}
            Some(Ok(Said::Number(number))) => {
                self.numbers += 1;
                self.largest = self.largest.max(number.abs());
            }
            Some(Ok(Said::Moment(_, offset))) => {
                self.moments += 1;
                if self.offsets.len() < MOST_OFFSETS {
                    self.offsets.extend(offset);
                }
            }
            Some(Ok(Said::Local(_))) => self.locals += 1,
            Some(Err(())) => {
                self.wrong += 1;
                if self.first_wrong.is_none() {
                    let mut text = String::new();
                    for column in self.place.columns() {
                        match row.get(column) {
                            Some(Value::Raw(cell) | Value::Text(cell)) => text.push_str(&String::from_utf8_lossy(cell)),
                            other => text.push_str(&format!("{other:?}")),
                        }
                    }
                    self.first_wrong = Some(text);
                }
            }
        }
    }

    /// Whether more of its cells are times than not.
    pub(crate) fn is_good(&self) -> bool {
        self.numbers.max(self.moments + self.locals) > self.wrong + self.numbers.min(self.moments + self.locals)
    }

    /// How its cells are to be read from now on.
    pub(crate) fn clock(&self, zone: &TimeZone) -> Clock {
        let named = match self.place {
            Place::Column { unit, .. } => unit,
            Place::DayAndTime { .. } => None,
        };
        let unit = (self.numbers > self.moments + self.locals).then(|| named.unwrap_or_else(|| unit_of(self.largest)));
        Clock { place: self.place.clone(), unit, zone: zone.clone(), before: None, twice: 0 }
    }

    pub(crate) fn offsets(&self) -> &BTreeSet<i32> {
        &self.offsets
    }

    pub(crate) fn locals(&self) -> u64 {
        self.locals
    }

    pub(crate) fn columns(&self) -> Vec<usize> {
        self.place.columns()
    }
}

const MOST_OFFSETS: usize = 64;

/// Seconds until the year 5138, and so on: no time of ours is near a border.
fn unit_of(largest: i128) -> i64 {
    match largest / 1_000_000_000 {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1000,
        _ => 1,
    }
}

/// Reads the times of one place, row by row in the order of the file.
#[derive(Debug)]
pub(crate) struct Clock {
    place: Place,
    /// Of numbers, in nanoseconds, if they are numbers.
    unit: Option<i64>,
    zone: TimeZone,
    before: Option<i64>,
    /// Times that the clock on the wall showed twice, or not at all.
    pub(crate) twice: u64,
}

impl Clock {
    /// The moment of this row, if it has one that a recording may have.
    pub(crate) fn read(&mut self, row: &dyn Row) -> Option<i64> {
        let nanos = match (said(&self.place, row)?.ok()?, self.unit) {
            (Said::Number(number), Some(unit)) => number.checked_mul(unit.into())? / 1_000_000_000,
            (Said::Moment(nanos, _), None) => nanos.into(),
            (Said::Local(local), None) => self.local(local)?.as_nanosecond(),
            _ => return None,
        };
        let nanos = (nanos.abs() <= LAST_NANOS).then_some(nanos as i64)?;
        self.before = Some(nanos);
        Some(nanos)
    }

    /// Where clocks were put back a time comes twice: the second is meant where the first would lie before the row before.
    fn local(&mut self, local: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => ambiguous.compatible().ok(),
            AmbiguousOffset::Gap { .. } => {
                self.twice += 1;
                ambiguous.compatible().ok()
            }
            AmbiguousOffset::Fold { .. } => {
                self.twice += 1;
                let earlier = ambiguous.earlier().ok()?;
                let is_before = self.before.is_some_and(|before| earlier.as_nanosecond() < i128::from(before));
                if is_before { ambiguous.later().ok() } else { Some(earlier) }
            }
        }
    }

    /// Whether these are numbers that can't be times since 1970: they count from a start that nobody knows.
    pub(crate) fn counts_from_a_start(&self, last: i64) -> bool {
        self.unit.is_some() && last.unsigned_abs() < 100_000_000_000_000_000
    }
}
