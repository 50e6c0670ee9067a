//! Rows of one table as cells: for each subject and tick a value, or why there is none.

use std::collections::{BTreeMap, HashMap};

use barograph_model::{Physical, Rate};
use barograph_store::{Adding, Frame, Point, Reading, Series, SharedRows, TableInfo, sum_of_columns};

use crate::clock::Clock;
use crate::columns::{has_passing_subjects, is_counter, shares_of};
use crate::{Error, Key, Spec};

/// What a subject has at a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Cell {
    /// It is not there. In a sum it counts for nothing.
    #[default]
    Absent,
    /// It is there, and its value is not known.
    Unknown,
    /// The level or rate over the tick's time.
    Value(f64),
}

impl Cell {
    pub(crate) fn value(self) -> Option<f64> {
        match self {
            Cell::Value(value) => Some(value),
            Cell::Absent | Cell::Unknown => None,
        }
    }
}

/// A moment at which the table was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tick {
    /// When it is shown, nanoseconds.
    pub(crate) shown: i64,
    /// The monotonic clock.
    pub(crate) monotonic: i64,
    /// How long before it its values hold: since the tick before, and next to no time after a gap.
    pub(crate) nanos: i64,
}

/// For so long a value holds of which nothing is known but that it was so at a moment.
pub(crate) const MOMENT_NANOS: i64 = 1;

/// What that weighs: nothing beside any time, and by itself enough for a mean.
const MOMENT_SECONDS: f64 = 1e-18;

/// What so much time weighs.
pub(crate) fn seconds(nanos: i64) -> f64 {
    if nanos <= MOMENT_NANOS { MOMENT_SECONDS } else { nanos as f64 / 1e9 }
}

impl Tick {
    /// Whether there is a gap before it.
    pub(crate) fn is_after_gap(&self) -> bool {
        self.nanos <= MOMENT_NANOS
    }
}

/// A line before it is thinned: a cell for each tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cells {
    /// The values of the table's keys; of a sum none.
    pub(crate) key: Vec<Key>,
    /// The cells.
    pub(crate) cells: Vec<Cell>,
    /// By how much a counter grew at each tick, gaps included; empty for a level.
    pub(crate) gains: Vec<f64>,
}

/// Rows of a table between two times.
pub(crate) struct Rows<'a> {
    table: &'a TableInfo,
    frame: Frame,
    pub(crate) stale_nanos: i64,
    pub(crate) ticks: Vec<Tick>,
    /// For each row its tick.
    tick_of: Vec<usize>,
    /// For each subject its key and rows, in the order of keys.
    subjects: BTreeMap<Vec<Key>, Vec<usize>>,
}

impl<'a> Rows<'a> {
    /// Rows of a frame that has the table's keys and its column of what counts.
    pub(crate) fn new(table: &'a TableInfo, frame: Frame, clock: Clock, stale_nanos: i64) -> Rows<'a> {
        let mut ticks: Vec<Tick> = Vec::new();
        let mut tick_of = Vec::with_capacity(frame.len());
        for (&monotonic, shown) in frame.monotonic().iter().zip(clock.shown_times(&frame)) {
            let before = ticks.last().map(|tick| tick.monotonic);
            if before != Some(monotonic) {
                let nanos = before.map(|before| monotonic - before).filter(|nanos| *nanos <= stale_nanos);
                ticks.push(Tick { shown, monotonic, nanos: nanos.unwrap_or(MOMENT_NANOS) });
            }
            tick_of.push(ticks.len() - 1);
        }
        let mut subjects: BTreeMap<Vec<Key>, Vec<usize>> = BTreeMap::new();
        let keys = keys_of(table, &frame);
        for row in 0..frame.len() {
            subjects.entry(keys.iter().map(|column| column[row].clone()).collect()).or_default().push(row);
        }
        Rows { table, frame, stale_nanos, ticks, tick_of, subjects }
    }

    /// The cells of each subject that counts. A filter by a subject's name asks for that one whether it counts or not.
    pub(crate) fn subjects(&self, spec: &Spec) -> Vec<Cells> {
        let is_named = self.table.keys.iter().any(|key| spec.filter.contains_key(key));
        let counted = self.table.counted.as_ref().filter(|_| !is_named).map(|counted| self.frame.ints(counted));
        let values = sum_of_columns(&self.frame, &spec.plus, &spec.minus);
        let shared = shares_of(self.table, spec).map(|shares| shares.read(&self.frame));
        let counts = |row: usize| counted.as_ref().is_none_or(|counted| counted[row] == Some(1));
        let of = |(key, rows): (&Vec<Key>, &Vec<usize>)| {
            let rows: Vec<usize> = rows.iter().copied().filter(|&row| counts(row)).collect();
            (!rows.is_empty()).then(|| self.cells(key, &rows, &values, shared.as_ref(), spec))
        };
        self.subjects.iter().filter_map(of).collect()
    }

    fn cells(&self, key: &[Key], rows: &[usize], values: &[Option<f64>], shared: Option<&SharedRows>, spec: &Spec) -> Cells {
        let (utc, monotonic) = (self.frame.times(), self.frame.monotonic());
        let mut adding = Adding::default();
        let readings = rows.iter().map(|&row| {
            let whole = shared.and_then(|shared| adding.push(shared, row, monotonic[row]));
            Reading { utc_nanos: utc[row], monotonic_nanos: monotonic[row], value: values[row], whole }
        });
        let field = spec.plus.first().and_then(|first| self.table.fields.iter().find(|field| field.name == *first));
        let cells = vec![Cell::Absent; self.ticks.len()];
        let (series, gains) = match field.filter(|field| is_counter(field)) {
            Some(field) => (Series::of_counter(readings, kept_unit(&field.unit), self.stale_nanos), vec![0.0; self.ticks.len()]),
            None => (Series::of_level(readings, self.stale_nanos), Vec::new()),
        };
        let mut cells = Cells { key: key.to_vec(), cells, gains };
        let first_row = rows.first().map(|&row| self.tick_of[row]);
        for point in &series.points {
            self.put(point, series.is_rate, first_row, &mut cells);
        }
        cells
    }

    /// A point holds for all ticks of its time.
    fn put(&self, point: &Point, is_rate: bool, first_row: Option<usize>, cells: &mut Cells) {
        let Ok(last) = self.ticks.binary_search_by_key(&point.monotonic_nanos, |tick| tick.monotonic) else { return };
        let cell = match point.value {
            Rate::Value(value) => Cell::Value(value),
            // Who was not there before its first row.
            Rate::First if !self.table.keys.is_empty() && first_row == Some(last) => Cell::Absent,
            Rate::First | Rate::NoData | Rate::Stale => Cell::Unknown,
        };
        let first = if is_rate { self.ticks[..last].partition_point(|tick| tick.monotonic <= point.since_nanos) } else { last };
        cells.cells[first.min(last)..=last].fill(cell);
        if is_rate {
            cells.gains[last] += point.gain;
        }
    }

    /// The sum of all subjects at each tick. Of processes, what is not known of one is left out: they come and go, and some can't be read; of all else it
    /// leaves the sum without a value.
    pub(crate) fn sum<'c>(&self, all: impl IntoIterator<Item = &'c Cells>) -> Cells {
        let is_lenient = has_passing_subjects(self.table);
        let mut sum = Cells { key: Vec::new(), cells: vec![Cell::Absent; self.ticks.len()], gains: Vec::new() };
        for one in all {
            for (sum, cell) in sum.cells.iter_mut().zip(&one.cells) {
                *sum = match (*sum, *cell) {
                    (Cell::Value(a), Cell::Value(b)) => Cell::Value(a + b),
                    (Cell::Absent, other) | (other, Cell::Absent) => other,
                    (Cell::Value(known), Cell::Unknown) | (Cell::Unknown, Cell::Value(known)) if is_lenient => Cell::Value(known),
                    (Cell::Unknown, _) | (_, Cell::Unknown) => Cell::Unknown,
                };
            }
            if sum.gains.is_empty() {
                sum.gains = one.gains.clone();
            } else {
                sum.gains.iter_mut().zip(&one.gains).for_each(|(sum, gain)| *sum += gain);
            }
        }
        sum
    }

    /// The same with times of its own: words come one by one, and none says anything of another.
    pub(crate) fn own_times(&self, cells: &Cells) -> (Vec<Tick>, Cells) {
        let there = |place: &usize| cells.cells[*place] != Cell::Absent;
        let places: Vec<usize> = (0..self.ticks.len()).filter(there).collect();
        let mut ticks: Vec<Tick> = places.iter().map(|&place| self.ticks[place]).collect();
        for place in (0..ticks.len()).rev() {
            ticks[place].nanos = if place == 0 { MOMENT_NANOS } else { ticks[place].monotonic - ticks[place - 1].monotonic };
        }
        let gains = if cells.gains.is_empty() { Vec::new() } else { places.iter().map(|&place| cells.gains[place]).collect() };
        (ticks, Cells { key: cells.key.clone(), cells: places.iter().map(|&place| cells.cells[place]).collect(), gains })
    }
}

/// The keys of all rows, by column.
fn keys_of(table: &TableInfo, frame: &Frame) -> Vec<Vec<Key>> {
    let is_text = |name: &str| table.fields.iter().any(|field| field.name == name && field.physical == Some(Physical::Text));
    let nameless = || Key::Text(String::new());
    let keys = |name: &String| -> Vec<Key> {
        if is_text(name) {
            return frame.texts(name).into_iter().map(|text| text.map_or_else(nameless, |text| Key::Text(text.to_owned()))).collect();
        }
        frame.ints(name).into_iter().map(|number| number.map_or_else(nameless, Key::Number)).collect()
    };
    table.keys.iter().map(keys).collect()
}

/// The unit by its name in the file.
pub(crate) fn kept_unit(name: &str) -> barograph_model::Unit {
    use barograph_model::Unit;
    let units = [Unit::Bytes, Unit::Seconds, Unit::Hertz, Unit::Ratio, Unit::Count, Unit::Level, Unit::Number];
    units.into_iter().find(|unit| unit.name() == name).unwrap_or(Unit::None)
}

/// Refuses a spec that names no column, or one that its table does not have as numbers.
pub(crate) fn check(spec: &Spec, table: &TableInfo) -> Result<(), Error> {
    if spec.plus.is_empty() {
        return Err(Error::NoColumns { table: spec.table.clone() });
    }
    let numbers: HashMap<&str, bool> = table.fields.iter().map(|field| (field.name.as_str(), crate::columns::is_shown(field))).collect();
    for column in spec.plus.iter().chain(&spec.minus) {
        if !numbers.get(column.as_str()).copied().unwrap_or(false) {
            let known = table.fields.iter().filter(|field| crate::columns::is_shown(field)).map(|field| field.name.clone()).collect();
            return Err(Error::NoColumn { table: spec.table.clone(), column: column.clone(), known });
        }
    }
    Ok(())
}
