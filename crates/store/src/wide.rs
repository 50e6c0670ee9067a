//! The flat form of a recording: one row a tick, with the tables that have one row a tick side by side, and the sums of those whose rows can be
//! summed.
//!
//! It is made from what the files say of themselves and knows no table by name. A value stands in one row only: a table that is read less often than
//! the others is absent from the rows between.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampNanosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use barograph_model::Physical;

use crate::schema::time_fields;
use crate::{Error, FieldInfo, Frame, Query, TableInfo, Timeline};

/// Ticks of one piece.
const ROWS: u64 = if cfg!(test) { 2 } else { 8192 };

/// The flat form, piece by piece. The first piece comes in any case, if need be an empty one.
#[derive(Debug)]
pub struct Wide<'a> {
    timeline: &'a Timeline,
    tables: Vec<Source>,
    schema: SchemaRef,
    /// The table whose rows are the ticks.
    ticks: Option<String>,
    /// The rows that were asked for, by UTC.
    asked: Query,
    /// All other times are of the monotonic clock: pieces are then one after the other, whatever became of UTC.
    begin: i64,
    next: i64,
    /// Rows from this time on are yet to be given to a tick.
    rows_from: i64,
    end: i64,
    step: i64,
}

/// A table that is part of the flat form.
#[derive(Debug)]
struct Source {
    name: String,
    counted: Option<String>,
    columns: Vec<String>,
    /// Which of the columns are whole numbers.
    is_whole: Vec<bool>,
}

impl Timeline {
    /// The flat form of this time. Tables come in the order of these names, others after them.
    pub fn wide(&self, order: &[&str], from: Option<i64>, to: Option<i64>) -> Result<Wide<'_>, Error> {
        let mut tables = self.tables()?;
        tables.sort_by_key(|table| order.iter().position(|name| *name == table.name).unwrap_or(usize::MAX));
        // Of those with a row at each tick, the one that is read last: all rows of a tick have come then.
        let ticks = tables.iter().filter(|table| is_each_tick(table)).max_by_key(|table| (table.rows, table.monotonic_range)).cloned();
        let asked = Query::all().between(from, to);
        let (rows, range) = ticks.as_ref().map_or(Ok((0, None)), |table| self.extent(&table.name, &asked))?;
        let (begin, end) = range.unwrap_or((0, -1));
        let pieces = i64::try_from(rows / ROWS).unwrap_or(i64::MAX).saturating_add(1);
        let mut fields: Vec<Field> = time_fields().to_vec();
        let mut sources = Vec::new();
        for table in tables {
            let columns: Vec<FieldInfo> = table.fields.iter().filter(|field| belongs(&table, field)).cloned().collect();
            fields.extend(columns.iter().map(|column| wide_field(&table, column)));
            if !columns.is_empty() {
                let is_whole = columns.iter().map(is_whole).collect();
                sources.push(Source {
                    name: table.name,
                    counted: table.counted,
                    columns: columns.into_iter().map(|column| column.name).collect(),
                    is_whole,
                });
            }
        }
        Ok(Wide {
            timeline: self,
            tables: sources,
            schema: Arc::new(Schema::new(fields)),
            ticks: ticks.map(|table| table.name),
            asked,
            begin,
            next: begin,
            // Rows of the first tick were read before it was over.
            rows_from: i64::MIN,
            end,
            step: (end.saturating_sub(begin) / pieces).saturating_add(1),
        })
    }
}

impl Wide<'_> {
    /// Its columns: `time`, `monotonic_nanos`, then `table.column`.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How much of the time has been read, 0 to 1.
    pub fn progress(&self) -> f64 {
        if self.next > self.end { 1.0 } else { (self.next - self.begin) as f64 / (self.end - self.begin).max(1) as f64 }
    }

    fn piece(&mut self, name: &str, from: i64, to: i64) -> Result<RecordBatch, Error> {
        let ticks = self.timeline.frame(name, &self.asked.clone().columns(Vec::<String>::new()).monotonic(from, to))?;
        // Rows after the last tick of a piece belong to the first one of the next. Those after the very last tick go to that.
        let rows_to = if to >= self.end { to } else { ticks.monotonic().last().copied().unwrap_or(self.rows_from.saturating_sub(1)) };
        let rows_from = self.rows_from;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(TimestampNanosecondArray::from(ticks.times().to_vec()).with_timezone("UTC")),
            Arc::new(Int64Array::from(ticks.monotonic().to_vec())),
        ];
        for source in &self.tables {
            let query = self.asked.clone().columns(source.columns.iter().chain(&source.counted).cloned()).monotonic(rows_from, rows_to);
            arrays.extend(source.arrays(&self.timeline.frame(&source.name, &query)?, ticks.monotonic()));
        }
        self.rows_from = rows_to + 1;
        let failed = |error| Error::part(&self.timeline.folder().join(name), parquet::errors::ParquetError::from(error));
        RecordBatch::try_new(self.schema.clone(), arrays).map_err(failed)
    }
}

impl Iterator for Wide<'_> {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.ticks.clone()?;
        if self.next > self.end {
            return None;
        }
        let (from, to) = (self.next, self.next.saturating_add(self.step - 1).min(self.end));
        self.next = to.saturating_add(1);
        Some(self.piece(&name, from, to))
    }
}

impl Source {
    /// Its columns with one cell for each tick: the value of the row at that tick, or the sum of its rows that count.
    fn arrays(&self, frame: &Frame, ticks: &[i64]) -> Vec<ArrayRef> {
        let counted = self.counted.as_ref().map(|column| frame.ints(column));
        let counts = |row: usize| counted.as_ref().is_none_or(|counted| counted[row] == Some(1));
        // A row that lies between two ticks, from a source on a thread of its own, belongs to the later one.
        let place = |row: usize| Some(ticks.partition_point(|tick| *tick < frame.monotonic()[row]).min(ticks.len().checked_sub(1)?));
        let rows: Vec<(usize, usize)> = (0..frame.len()).filter(|row| counts(*row)).filter_map(|row| Some((row, place(row)?))).collect();
        let summed = self.counted.is_some();
        let array = |(column, is_whole): (&String, &bool)| -> ArrayRef {
            if *is_whole {
                Arc::new(Int64Array::from(placed(&rows, &frame.ints(column), ticks.len(), summed, i64::saturating_add)))
            } else {
                Arc::new(Float64Array::from(placed(&rows, &frame.floats(column), ticks.len(), summed, |a, b| a + b)))
            }
        };
        self.columns.iter().zip(&self.is_whole).map(array).collect()
    }
}

fn placed<V: Copy>(rows: &[(usize, usize)], values: &[Option<V>], ticks: usize, summed: bool, add: impl Fn(V, V) -> V) -> Vec<Option<V>> {
    let mut cells = vec![None; ticks];
    for &(row, place) in rows {
        if let Some(value) = values[row] {
            cells[place] = Some(cells[place].filter(|_| summed).map_or(value, |sum| add(sum, value)));
        }
    }
    cells
}

/// A table of numbers with one row a tick. One with texts and no key is a list of happenings.
fn is_each_tick(table: &TableInfo) -> bool {
    table.keys.is_empty() && table.fields.iter().all(is_number)
}

/// Whether a column is part of the flat form: all numbers of a table with one row a tick; of a table whose rows can be summed, what can be summed.
fn belongs(table: &TableInfo, field: &FieldInfo) -> bool {
    let is_sum = table.counted.as_ref().is_some_and(|counted| *counted != field.name)
        && !table.keys.contains(&field.name)
        && ["counter", "gauge"].contains(&field.kind.as_str())
        && ["bytes", "seconds", "count"].contains(&field.unit.as_str());
    is_number(field) && (is_each_tick(table) || is_sum)
}

fn wide_field(table: &TableInfo, column: &FieldInfo) -> Field {
    let kept = if is_whole(column) { DataType::Int64 } else { DataType::Float64 };
    let facts = [
        ("id", &column.id),
        ("kind", &column.kind),
        ("unit", &column.unit),
        ("ucum", &column.ucum),
        ("help", &column.help),
        ("origin", &column.origin),
    ];
    let facts: HashMap<String, String> = facts.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    Field::new(format!("{}.{}", table.name, column.name), kept, true).with_metadata(facts)
}

fn is_number(field: &FieldInfo) -> bool {
    matches!(field.physical, Some(Physical::Int | Physical::Float))
}

fn is_whole(field: &FieldInfo) -> bool {
    field.physical == Some(Physical::Int)
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use barograph_model::{Count, Counter, Described, Gauge, Moment, Ratio, Rows, Sink, Text, table};

    use super::*;
    use crate::{Facts, Options, Recording};

    table! {
        /// The garden.
        Garden = "garden" in "the garden" {
            /// Flowers.
            flowers: Gauge<Count> = "counted",
        }
    }

    table! {
        /// The well, seldom looked at.
        Well = "well" in "the well" {
            /// How full it is.
            level: Gauge<Ratio> = "measured",
        }
    }

    table! {
        /// Trees.
        Trees = "trees" in "the garden" counted by counted {
            key {
                /// Its name.
                tree: Text = "asked",
            }
            /// 1 if it counts.
            counted: Gauge<Count> = "asked",
            /// Apples so far.
            apples: Counter<Count> = "counted",
            /// How green it is, which can't be summed.
            green: Gauge<Ratio> = "seen",
        }
    }

    fn at(tick: i64) -> Moment {
        Moment { utc_nanos: tick * 1000, monotonic_nanos: tick * 1000 }
    }

    #[test]
    fn a_clock_that_was_set_back_mixes_no_ticks() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(folder.path().join("run.baro"), Facts::default(), Options::default()).unwrap();
        let (mut garden, mut trees) = (Rows::<Garden>::new(), Rows::<Trees>::new());
        for tick in 0..10_u64 {
            let at = at(tick.cast_signed());
            // Set back at the sixth tick, to where it was in the middle of the second.
            let at = Moment { utc_nanos: at.utc_nanos - if tick > 5 { 4500 } else { 0 }, ..at };
            garden.row(at).set(Garden::flowers, tick);
            trees.row(at).text(Trees::tree, b"old".as_slice()).set(Trees::counted, 1).set(Trees::apples, tick * 10);
        }
        for batch in [&*garden, &trees] {
            recording.take(batch).unwrap();
        }
        recording.publish().unwrap();
        let timeline = Timeline::open(folder.path().join("run.baro")).unwrap();
        let whole = |from, to| {
            let mut wide = timeline.wide(&[Garden::TABLE.name], from, to).unwrap();
            let pieces: Vec<RecordBatch> = wide.by_ref().map(Result::unwrap).collect();
            let rows = arrow_select::concat::concat_batches(wide.schema(), &pieces).unwrap();
            [2, 3].map(|column| rows.column(column).as_primitive::<Int64Type>().iter().flatten().collect::<Vec<_>>())
        };
        assert_eq!(whole(None, None), [(0..10).collect::<Vec<_>>(), (0..10).map(|tick| tick * 10).collect()]);
        assert_eq!(whole(Some(2500), Some(3500)), [[3, 7, 8], [30, 70, 80]], "what had that time on the wall");
    }

    #[test]
    fn one_row_a_tick_with_sums_and_no_value_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(folder.path().join("run.baro"), Facts::default(), Options::default()).unwrap();
        let (mut garden, mut well, mut trees) = (Rows::<Garden>::new(), Rows::<Well>::new(), Rows::<Trees>::new());
        for tick in 0..5 {
            garden.row(at(tick)).set(Garden::flowers, tick.unsigned_abs());
            for (name, counted, apples) in [("oak", 0, Some(9)), ("old", 1, Some(tick.unsigned_abs())), ("new", 1, (tick > 2).then_some(10))] {
                trees.row(at(tick)).text(Trees::tree, name.as_bytes()).set(Trees::counted, counted).set(Trees::apples, apples).set(Trees::green, 0.5);
            }
        }
        well.row(Moment { utc_nanos: 1999, monotonic_nanos: 1999 }).set(Well::level, 0.25);
        for batch in [&*garden, &well, &trees] {
            recording.take(batch).unwrap();
        }
        recording.publish().unwrap();
        let timeline = Timeline::open(folder.path().join("run.baro")).unwrap();
        let mut wide = timeline.wide(&[Well::TABLE.name], None, None).unwrap();
        let names: Vec<String> = wide.schema().fields().iter().map(|field| field.name().clone()).collect();
        let id = |table: &'static barograph_model::Table, index: usize| table.metrics[index].id();
        let expected = [id(Well::TABLE, Well::level.index()), id(Garden::TABLE, Garden::flowers.index()), id(Trees::TABLE, Trees::apples.index())];
        assert_eq!(names[2..], expected);
        let pieces: Vec<RecordBatch> = wide.by_ref().map(Result::unwrap).collect();
        assert!(pieces.len() > 1);
        let rows = arrow_select::concat::concat_batches(wide.schema(), &pieces).unwrap();
        let level: Vec<_> = rows.column(2).as_primitive::<arrow_array::types::Float64Type>().iter().collect();
        assert_eq!(level, [None, None, Some(0.25), None, None], "a reading between ticks belongs to the next one");
        let apples: Vec<_> = rows.column(4).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(apples, [Some(0), Some(1), Some(2), Some(13), Some(14)]);
    }
}
