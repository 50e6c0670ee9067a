//! Columns of one table over some time: what travels from the sources to every sink.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::{Cell, Declared, Described, Field, Moment, Physical, Table, Text, Words};

/// Texts that a column remembers from one emptying to the next, so that the same names need no new memory.
const REMEMBERED_WORDS: usize = 4096;
/// The same in bytes: command lines are long, and seldom come again.
const REMEMBERED_BYTES: usize = 64 * 1024;

/// The values of one metric, one for each row of its batch.
#[derive(Clone, Debug, Default)]
pub struct Column {
    bits: Vec<i64>,
    present: Vec<bool>,
    /// The texts that its cells name. Few columns have any, and at each tick all columns are touched: the smaller they are, the less memory that is.
    words: Option<Box<Words>>,
}

impl Column {
    /// The 64 bits of each cell: an integer, the bits of an `f64`, or the number of a text. 0 where the cell is absent.
    pub fn bits(&self) -> &[i64] {
        &self.bits
    }

    /// Whether each cell holds a value.
    pub fn present(&self) -> &[bool] {
        &self.present
    }

    /// The integer in this row, if there is one. Meaningful for columns of [`Physical::Int`].
    pub fn int(&self, row: usize) -> Option<i64> {
        self.present[row].then(|| self.bits[row])
    }

    /// The number in this row, if there is one. Meaningful for columns of [`Physical::Float`].
    pub fn float(&self, row: usize) -> Option<f64> {
        self.int(row).map(|bits| f64::from_bits(bits.cast_unsigned()))
    }

    /// The text in this row, if there is one. Meaningful for columns of [`Physical::Text`].
    pub fn text(&self, row: usize) -> Option<&str> {
        self.int(row).and_then(|number| self.words.as_ref()?.get(u32::try_from(number).ok()?))
    }

    fn push_absent(&mut self) {
        self.bits.push(0);
        self.present.push(false);
    }

    fn set_last(&mut self, bits: Option<i64>) {
        if let (Some(bits), Some(cell), Some(present)) = (bits, self.bits.last_mut(), self.present.last_mut()) {
            *cell = bits;
            *present = true;
        }
    }

    fn append(&mut self, other: &Column, physical: Physical) {
        self.present.extend_from_slice(&other.present);
        if physical != Physical::Text {
            self.bits.extend_from_slice(&other.bits);
            return;
        }
        let words = other.words.iter().flat_map(|words| words.iter());
        let numbers: Vec<i64> = words.map(|word| self.intern(word.as_bytes())).collect();
        let renumbered = other.bits.iter().map(|&bits| usize::try_from(bits).ok().and_then(|n| numbers.get(n)).copied().unwrap_or(0));
        self.bits.extend(renumbered);
    }

    /// The number of this text.
    fn intern(&mut self, text: &[u8]) -> i64 {
        self.words.get_or_insert_default().intern(text).into()
    }

    fn truncate(&mut self, rows: usize) {
        self.bits.truncate(rows);
        self.present.truncate(rows);
    }

    fn clear(&mut self) {
        self.bits.clear();
        self.present.clear();
        if let Some(words) = &mut self.words
            && (words.len() > REMEMBERED_WORDS || words.bytes() > REMEMBERED_BYTES)
        {
            words.clear();
        }
    }
}

/// Rows of one table, as columns. Every row has its moment; every other cell may be absent.
#[derive(Clone, Debug)]
pub struct Batch {
    table: &'static Table,
    utc_nanos: Vec<i64>,
    monotonic_nanos: Vec<i64>,
    columns: Vec<Column>,
}

impl Batch {
    /// A batch of this table with no rows.
    pub fn new(table: &'static Table) -> Batch {
        Batch { table, utc_nanos: Vec::new(), monotonic_nanos: Vec::new(), columns: vec![Column::default(); table.metrics.len()] }
    }

    /// The declaration of its table.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.utc_nanos.len()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.utc_nanos.is_empty()
    }

    /// UTC time of each row, in nanoseconds since 1970.
    pub fn utc_nanos(&self) -> &[i64] {
        &self.utc_nanos
    }

    /// Monotonic time of each row, in nanoseconds since boot.
    pub fn monotonic_nanos(&self) -> &[i64] {
        &self.monotonic_nanos
    }

    /// The columns, in the order of the table's metrics.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of this name (with its unit), such as `available_bytes`.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let index = self.table.metrics.iter().position(|metric| metric.column() == name)?;
        self.columns.get(index)
    }

    /// Takes over the rows of another batch of the same table. The other keeps its rows.
    ///
    /// # Panics
    /// If the tables differ: that is a mistake in the caller.
    pub fn append(&mut self, other: &Batch) {
        assert!(self.table.is(other.table), "rows of {} do not fit {}", other.table.name, self.table.name);
        self.utc_nanos.extend_from_slice(&other.utc_nanos);
        self.monotonic_nanos.extend_from_slice(&other.monotonic_nanos);
        for ((column, other), metric) in self.columns.iter_mut().zip(&other.columns).zip(self.table.metrics) {
            column.append(other, metric.physical);
        }
    }

    /// Keeps this many rows, and forgets those after them.
    pub fn truncate(&mut self, rows: usize) {
        self.utc_nanos.truncate(rows);
        self.monotonic_nanos.truncate(rows);
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
    }

    /// Forgets all rows; keeps the memory for the next ones.
    pub fn clear(&mut self) {
        self.utc_nanos.clear();
        self.monotonic_nanos.clear();
        self.columns.iter_mut().for_each(Column::clear);
    }

    /// Begins a row in which every cell is absent until it is set: for tables that no compiler knows, such as those made of somebody's file. Where
    /// one does, [`Rows`] is what to use.
    pub fn begin_row(&mut self, at: Moment) {
        self.push_row(at);
    }

    /// Sets the number of the metric at this position, in the last row. A value that no cell can hold leaves it absent.
    ///
    /// # Panics
    /// If that metric does not take such numbers.
    pub fn set_number<V: Cell>(&mut self, index: usize, value: V) {
        assert_eq!(self.table.metrics[index].physical, V::PHYSICAL, "{} takes other cells", self.table.metrics[index].name);
        self.columns[index].set_last(value.to_bits());
    }

    /// Sets the text of the metric at this position, in the last row.
    ///
    /// # Panics
    /// If that metric takes no text.
    pub fn set_text(&mut self, index: usize, text: &[u8]) {
        assert_eq!(self.table.metrics[index].physical, Physical::Text, "{} takes no text", self.table.metrics[index].name);
        let column = &mut self.columns[index];
        let number = column.intern(text);
        column.set_last(Some(number));
    }

    fn push_row(&mut self, at: Moment) {
        self.utc_nanos.push(at.utc_nanos);
        self.monotonic_nanos.push(at.monotonic_nanos);
        self.columns.iter_mut().for_each(Column::push_absent);
    }
}

/// A batch whose table the compiler knows.
#[derive(Debug)]
pub struct Rows<T> {
    batch: Batch,
    of: PhantomData<T>,
}

impl<T: Described> Default for Rows<T> {
    fn default() -> Self {
        Rows { batch: Batch::new(T::TABLE), of: PhantomData }
    }
}

impl<T: Described> Rows<T> {
    /// No rows yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a row in which every cell is absent until it is set.
    pub fn row(&mut self, at: Moment) -> Row<'_, T> {
        self.batch.push_row(at);
        Row { batch: &mut self.batch, of: PhantomData }
    }
}

impl<T> Deref for Rows<T> {
    type Target = Batch;
    fn deref(&self) -> &Batch {
        &self.batch
    }
}

impl<T> DerefMut for Rows<T> {
    fn deref_mut(&mut self) -> &mut Batch {
        &mut self.batch
    }
}

/// The last row of a batch, being filled.
pub struct Row<'a, T> {
    batch: &'a mut Batch,
    of: PhantomData<T>,
}

impl<T: Described> Row<'_, T> {
    /// Sets a cell. `None`, and a value that no cell can hold, leave it absent.
    pub fn set<K: Declared>(&mut self, field: Field<T, K>, value: impl Into<Option<K::Value>>) -> &mut Self {
        self.batch.columns[field.index].set_last(value.into().and_then(Cell::to_bits));
        self
    }

    /// Sets a text.
    pub fn text<'t>(&mut self, field: Field<T, Text>, value: impl Into<Option<&'t [u8]>>) -> &mut Self {
        if let Some(text) = value.into() {
            let column = &mut self.batch.columns[field.index];
            let number = column.intern(text);
            column.set_last(Some(number));
        }
        self
    }

    /// Sets the whole number of the metric at this position of the table; for parsers that find their metrics by walking the declaration.
    ///
    /// # Panics
    /// If that metric does not take whole numbers.
    pub fn set_int(&mut self, index: usize, value: u64) -> &mut Self {
        assert_eq!(T::TABLE.metrics[index].physical, Physical::Int, "{} takes no whole number", T::TABLE.metrics[index].name);
        self.batch.columns[index].set_last(value.to_bits());
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Bytes, Counter, Gauge, Seconds, table};

    table! {
        /// A table for these tests.
        Sample = "sample" in "nowhere" {
            key {
                /// Who.
                name: Text = "name",
            }
            /// How much.
            size: Gauge<Bytes> = "size",
            /// How long.
            busy: Counter<Seconds> = "busy",
        }
    }

    const NOON: Moment = Moment { utc_nanos: 12, monotonic_nanos: 3 };

    #[test]
    fn cells_that_are_not_set_are_absent() {
        let mut rows = Rows::<Sample>::new();
        rows.row(NOON).text(Sample::name, &b"a"[..]).set(Sample::busy, 1.5);
        rows.row(NOON).set(Sample::size, None).set(Sample::busy, f64::NAN);
        rows.row(NOON).set(Sample::size, u64::MAX);
        assert_eq!(rows.len(), 3);
        assert_eq!(rows.column("name").unwrap().text(0), Some("a"));
        assert_eq!(rows.column("busy_seconds").unwrap().float(0), Some(1.5));
        assert_eq!(rows.column("busy_seconds").unwrap().float(1), None, "not a number is no value");
        assert_eq!(rows.column("size_bytes").unwrap().int(2), None, "more than 2^63 can't be right");
    }

    #[test]
    fn cells_by_position_are_those_by_name() {
        let mut rows = Batch::new(Sample::TABLE);
        rows.begin_row(NOON);
        rows.set_text(Sample::name.index(), b"a");
        rows.set_number(Sample::size.index(), 7_i64);
        rows.set_number(Sample::busy.index(), f64::INFINITY);
        rows.begin_row(NOON);
        let cells = |row| (rows.columns()[0].text(row), rows.columns()[1].int(row), rows.columns()[2].float(row));
        assert_eq!([cells(0), cells(1)], [(Some("a"), Some(7), None), (None, None, None)]);
        assert!(std::panic::catch_unwind(|| Batch::new(Sample::TABLE).set_number(Sample::size.index(), 0.5)).is_err());
    }

    #[test]
    fn rows_that_are_taken_back_leave_the_others() {
        let mut rows = Rows::<Sample>::new();
        rows.row(NOON).text(Sample::name, &b"a"[..]).set(Sample::size, 1);
        rows.row(NOON).text(Sample::name, &b"b"[..]);
        rows.truncate(1);
        rows.row(NOON).text(Sample::name, &b"c"[..]).set(Sample::size, 3);
        let (name, size) = (rows.column("name").unwrap(), rows.column("size_bytes").unwrap());
        assert_eq!([0, 1].map(|row| (name.text(row), size.int(row))), [(Some("a"), Some(1)), (Some("c"), Some(3))]);
        assert!(rows.len() == 2 && rows.utc_nanos().len() == 2 && rows.monotonic_nanos().len() == 2);
    }

    #[test]
    fn appended_texts_keep_their_meaning() {
        let mut first = Rows::<Sample>::new();
        first.row(NOON).text(Sample::name, &b"a"[..]);
        let mut second = Rows::<Sample>::new();
        second.row(NOON).text(Sample::name, &b"b"[..]);
        second.row(NOON);
        second.row(NOON).text(Sample::name, &b"a"[..]);
        first.append(&second);
        let name = first.column("name").unwrap();
        assert_eq!((0..4).map(|row| name.text(row)).collect::<Vec<_>>(), [Some("a"), Some("b"), None, Some("a")]);
    }

    /// How many texts the first column remembers, and their bytes.
    fn remembered(rows: &Batch) -> (usize, usize) {
        rows.columns()[0].words.as_ref().map_or((0, 0), |words| (words.len(), words.bytes()))
    }

    #[test]
    fn long_texts_are_not_remembered_for_ever() {
        let mut rows = Rows::<Sample>::new();
        for number in 0..100 {
            rows.row(NOON).text(Sample::name, format!("{number:02000}").as_bytes());
        }
        rows.clear();
        assert_eq!(remembered(&rows), (0, 0));
    }

    #[test]
    fn an_emptied_batch_needs_no_new_memory() {
        let mut rows = Rows::<Sample>::new();
        rows.row(NOON).text(Sample::name, &b"a"[..]);
        let before = rows.columns()[0].bits.as_ptr();
        rows.clear();
        rows.row(NOON).text(Sample::name, &b"a"[..]);
        assert_eq!(rows.columns()[0].bits.as_ptr(), before);
        assert_eq!(remembered(&rows), (1, 1));
    }
    proptest! {
        /// However rows are gathered, appended and forgotten: each text is that of its row, and what is remembered has a limit.
        #[test]
        fn rows_keep_their_cells_and_memory_its_limit(
            ticks in prop::collection::vec((prop::collection::vec(prop::option::of(0_usize..6000), 0..40), any::<bool>()), 1..12),
            length in prop_oneof![Just(1_usize), Just(40), Just(5000)],
        ) {
            let text = |number: usize| format!("{number:0length$}");
            let (mut source, mut gathered) = (Rows::<Sample>::new(), Rows::<Sample>::new());
            let mut expected = Vec::new();
            for (rows, forget) in ticks {
                for &number in &rows {
                    let word = number.map(text);
                    source.row(NOON).text(Sample::name, word.as_deref().map(str::as_bytes)).set(Sample::size, number.map(|number| number as u64));
                }
                gathered.append(&source);
                expected.extend(rows);
                source.clear();
                let (words, bytes) = remembered(&source);
                prop_assert!(words <= REMEMBERED_WORDS && bytes <= REMEMBERED_BYTES);
                for (row, &number) in expected.iter().enumerate() {
                    prop_assert_eq!(gathered.columns()[0].text(row).map(str::to_owned), number.map(text));
                    prop_assert_eq!(gathered.columns()[1].int(row), number.map(|number| number as i64));
                }
                if forget {
                    gathered.clear();
                    expected.clear();
                }
            }
        }
    }
}
