//! What a table in memory takes from its rows: the columns of a spec, and how their numbers are understood.

use std::ops::Range;

use barograph_model::Physical;
use barograph_store::{Adding, Frame, Rates, Reading, SharedRows, Shares, TableInfo};

use crate::clock::Clock;
use crate::columns::{has_passing_subjects, is_counter, shares_of};
use crate::rows::kept_unit;
use crate::{Key, Spec};

/// The columns of a spec.
#[derive(Debug)]
pub(crate) struct Asked {
    plus: Vec<String>,
    minus: Vec<String>,
    counted: Option<String>,
    /// The table's keys, and whether each is a text.
    pub(crate) keys: Vec<(String, bool)>,
    pub(crate) is_counter: bool,
    /// What its rates are shares of.
    shares: Option<Shares>,
    unit: barograph_model::Unit,
    /// Whether a sum leaves out who has no value, rather than having none itself.
    pub(crate) is_lenient: bool,
    pub(crate) stale_nanos: i64,
    pub(crate) clock: Clock,
}

impl Asked {
    pub(crate) fn new(table: &TableInfo, spec: &Spec, clock: Clock, stale_nanos: i64) -> Asked {
        let field = table.fields.iter().find(|field| spec.plus.first() == Some(&field.name));
        let is_text = |name: &String| table.fields.iter().any(|field| field.name == *name && field.physical == Some(Physical::Text));
        // A filter by a subject's name asks for that one whether it counts or not.
        let is_named = table.keys.iter().any(|key| spec.filter.contains_key(key));
        Asked {
            plus: spec.plus.clone(),
            minus: spec.minus.clone(),
            counted: table.counted.clone().filter(|_| !is_named),
            keys: table.keys.iter().map(|key| (key.clone(), is_text(key))).collect(),
            is_counter: field.is_some_and(is_counter),
            shares: shares_of(table, spec),
            unit: field.map_or(barograph_model::Unit::None, |field| kept_unit(&field.unit)),
            is_lenient: has_passing_subjects(table),
            stale_nanos,
            clock,
        }
    }

    /// The columns that must be read.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &String> {
        let keys = self.keys.iter().map(|(key, _)| key);
        keys.chain(&self.counted).chain(&self.plus).chain(&self.minus).chain(self.shares.iter().flat_map(Shares::columns))
    }

    /// Whether its rates are shares of a whole, so that they do not tell by how much the counter grew.
    pub(crate) fn is_shared(&self) -> bool {
        self.shares.is_some()
    }

    /// What makes rates of one subject's counter; none for a level.
    pub(crate) fn rates(&self) -> Option<Rates> {
        self.is_counter.then(|| Rates::new(self.unit, self.stale_nanos))
    }

    /// Its columns of these rows.
    pub(crate) fn read<'a>(&self, frame: &'a Frame) -> Taken<'a> {
        let keys = key_columns(&self.keys, frame);
        Taken {
            utc: frame.times(),
            monotonic: frame.monotonic(),
            runs: runs(frame.len(), &keys),
            keys,
            values: values(frame, &self.plus, &self.minus),
            counted: self.counted.as_ref().map(|counted| frame.numbers(counted)),
            shared: self.shares.as_ref().map(|shares| shares.read(frame)),
        }
    }
}

/// Rows as they come, in the order of the file.
pub(crate) struct Taken<'a> {
    utc: &'a [i64],
    monotonic: &'a [i64],
    keys: Vec<KeyColumn<'a>>,
    /// Rows of the same subject that stand together.
    pub(crate) runs: Vec<Range<usize>>,
    values: Vec<f64>,
    counted: Option<Vec<f64>>,
    shared: Option<SharedRows>,
}

impl Taken<'_> {
    /// Whether rows are as our recordings have them: of each subject in the order of time, and none earlier than this.
    pub(crate) fn are_in_order(&self, since: Option<i64>) -> bool {
        let monotonic = |run: &Range<usize>| &self.monotonic[run.clone()];
        self.runs.iter().all(|run| monotonic(run).is_sorted() && since.is_none_or(|since| self.monotonic[run.start] >= since))
    }

    /// Whether a row counts towards the sum of its table.
    pub(crate) fn counts(&self, row: usize) -> bool {
        self.counted.as_ref().is_none_or(|counted| counted[row] == 1.0)
    }

    /// Whose row it is.
    pub(crate) fn key(&self, row: usize) -> Vec<Key> {
        self.keys.iter().map(|column| column.key(row)).collect()
    }

    /// What a row says; rows of one subject must be asked for in their order.
    pub(crate) fn reading(&self, row: usize, whole: &mut Adding) -> Reading {
        let monotonic_nanos = self.monotonic[row];
        Reading {
            utc_nanos: self.utc[row],
            monotonic_nanos,
            value: Some(self.values[row]).filter(|value| !value.is_nan()),
            whole: self.shared.as_ref().and_then(|shared| whole.push(shared, row, monotonic_nanos)),
        }
    }

    /// The ticks of the rows, monotonic and UTC, in order.
    pub(crate) fn ticks(&self) -> Vec<(i64, i64)> {
        let (utc, monotonic) = (self.utc, self.monotonic);
        let mut ticks: Vec<(i64, i64)> = Vec::new();
        let mut missing: Vec<(i64, i64)> = Vec::new();
        for run in &self.runs {
            let mut place = ticks.partition_point(|tick| tick.0 < monotonic[run.start]);
            for row in run.clone() {
                while place < ticks.len() && ticks[place].0 < monotonic[row] {
                    place += 1;
                }
                match ticks.get(place) {
                    Some(tick) if tick.0 == monotonic[row] => {}
                    Some(_) => missing.push((monotonic[row], utc[row])),
                    None => ticks.push((monotonic[row], utc[row])),
                }
            }
        }
        if !missing.is_empty() {
            ticks.append(&mut missing);
            ticks.sort_unstable();
            ticks.dedup_by_key(|tick| tick.0);
        }
        ticks
    }
}

/// A column of keys.
enum KeyColumn<'a> {
    Whole(&'a [i64]),
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<&'a str>>),
}

/// The keys of rows.
fn key_columns<'a>(keys: &[(String, bool)], frame: &'a Frame) -> Vec<KeyColumn<'a>> {
    let column = |(key, is_text): &(String, bool)| {
        if *is_text {
            return KeyColumn::Texts(frame.texts(key));
        }
        frame.all_ints(key).map_or_else(|| KeyColumn::Ints(frame.ints(key)), KeyColumn::Whole)
    };
    keys.iter().map(column).collect()
}

/// Columns added and taken away; NaN where any is absent, unless it is absent in all rows and merely adds.
fn values(frame: &Frame, plus: &[String], minus: &[String]) -> Vec<f64> {
    let mut plus = plus.iter().map(|column| frame.numbers(column)).filter(|column| column.iter().any(|value| !value.is_nan()));
    let Some(mut values) = plus.next() else { return vec![f64::NAN; frame.len()] };
    for column in plus {
        values.iter_mut().zip(column).for_each(|(value, more)| *value += more);
    }
    for column in minus {
        values.iter_mut().zip(frame.numbers(column)).for_each(|(value, less)| *value -= less);
    }
    values
}

impl KeyColumn<'_> {
    fn same(&self, a: usize, b: usize) -> bool {
        match self {
            KeyColumn::Whole(values) => values[a] == values[b],
            KeyColumn::Ints(values) => values[a] == values[b],
            KeyColumn::Texts(values) => values[a] == values[b],
        }
    }

    fn key(&self, row: usize) -> Key {
        let nameless = || Key::Text(String::new());
        match self {
            KeyColumn::Whole(values) => Key::Number(values[row]),
            KeyColumn::Ints(values) => values[row].map_or_else(nameless, Key::Number),
            KeyColumn::Texts(values) => Key::Text(values[row].unwrap_or_default().to_owned()),
        }
    }
}

/// Rows of the same subject that stand together.
fn runs(rows: usize, keys: &[KeyColumn<'_>]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut begin = 0;
    for row in 1..=rows {
        if row == rows || keys.iter().any(|key| !key.same(begin, row)) {
            runs.push(begin..row);
            begin = row;
        }
    }
    runs
}
