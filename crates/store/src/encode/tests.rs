//! Random tables as row groups and as parts, read back by the parquet crate: each cell to the bit, and all that the index says of them.

use std::fs;
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use barograph_model::{Bytes, Count, Counter, Described, Field, Gauge, Id, Level, Metric, Moment, Number, Ratio, Rows, Seconds, Text, table};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::column::page::Page as Read;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::part::OpenPart;

table! {
    /// Rows of subjects; with both times 15 columns, which is the first number that a list of Thrift has no short form for.
    Keyed = "keyed" in "nowhere" {
        key {
            /// Who.
            name: Text = "name",
            /// Which of them.
            number: Id = "number",
            /// What nobody would take for a key.
            share: Gauge<Ratio> = "share",
        }
        /// The place of the row among all.
        serial: Counter<Count> = "serial",
        /// Whole.
        level: Gauge<Level> = "level",
        /// Whole.
        size: Gauge<Bytes> = "size",
        /// Whole.
        reads: Counter<Count> = "reads",
        /// Broken.
        amount: Gauge<Number> = "amount",
        /// Broken.
        busy: Counter<Seconds> = "busy",
        /// Broken.
        rest: Gauge<Seconds> = "rest",
        /// Said.
        state: Text = "state",
        /// Said.
        command: Text = "command",
        /// Said.
        host: Text = "host",
    }
}

table! {
    /// A row a tick; 14 columns.
    Plain = "plain" in "nowhere" {
        /// The place of the row among all.
        serial: Counter<Count> = "serial",
        /// Whole.
        level: Gauge<Level> = "level",
        /// Whole.
        size: Gauge<Bytes> = "size",
        /// Whole.
        reads: Counter<Count> = "reads",
        /// Whole.
        writes: Counter<Count> = "writes",
        /// Broken.
        amount: Gauge<Number> = "amount",
        /// Broken.
        busy: Counter<Seconds> = "busy",
        /// Broken.
        rest: Gauge<Seconds> = "rest",
        /// Broken.
        load: Gauge<Ratio> = "load",
        /// Said.
        state: Text = "state",
        /// Said.
        command: Text = "command",
        /// Said.
        host: Text = "host",
    }
}

/// Row counts at which something begins: a packed group, a part of a block, a block, a compressed row group, a page, several.
const COUNTS: [usize; 12] = [0, 1, 31, 32, 33, 127, 128, 129, 16383, 16384, 16385, 40000];

/// A value, told apart by its bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Cell {
    Int(i64),
    Float(u64),
    Text(Arc<str>),
}

/// The cells of a row: both times, then the metrics.
type Line = Vec<Option<Cell>>;

/// How the values of a column follow one another.
#[derive(Clone, Copy, Debug)]
enum Values {
    Constant,
    /// Grows by the same each row, and wraps.
    Steady,
    /// Few, in no order.
    Few,
    /// The same for some rows.
    Stretches,
    /// Of all values.
    Any,
    /// The ends of the range, and what is special between them.
    Odd,
}

#[derive(Clone, Copy, Debug)]
enum Absent {
    None,
    All,
    /// So many percent of them.
    Some(u8),
    /// Stretches of this length in turn.
    Stretches(usize),
    /// All but one.
    AllBut(usize),
}

/// All cells of a column follow from it.
#[derive(Clone, Copy, Debug)]
struct Recipe {
    values: Values,
    absent: Absent,
    seed: u64,
}

/// How a table is filled.
#[derive(Clone, Debug)]
struct Filling {
    /// Rows of one moment.
    tick_rows: usize,
    utc: Recipe,
    monotonic: Recipe,
    columns: Vec<Recipe>,
}

fn mix(seed: u64, row: usize) -> u64 {
    let mixed = (seed ^ row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}

/// Texts of which no two are alike, and none is easy.
static ODD_TEXTS: LazyLock<Vec<Arc<str>>> = LazyLock::new(|| {
    let limits = [LONGEST_LIMIT, LONGEST_LIMIT + 1].map(|len| "z".repeat(len));
    let odd = ["", "\0", "a\0b", "a", "\u{7f}", "ß", "résumé, \"quoted\"\r\n", "漢字", "🦀", "\u{ffff}", "\u{10ffff}", "\\xFF"];
    odd.into_iter().map(str::to_owned).chain(limits).map(Into::into).collect()
});

impl Recipe {
    fn cell(self, physical: Physical, row: usize, rows: usize) -> Option<Cell> {
        let random = mix(self.seed, row);
        let is_absent = match self.absent {
            Absent::None => false,
            Absent::All => true,
            Absent::Some(percent) => mix(!self.seed, row) % 100 < percent.into(),
            Absent::Stretches(length) => (row / length).is_multiple_of(2),
            Absent::AllBut(one) => row != one % rows,
        };
        (!is_absent).then(|| match physical {
            Physical::Int => Cell::Int(self.int(row, random)),
            Physical::Float => Cell::Float(self.float(row, random).to_bits()),
            Physical::Text => Cell::Text(self.text(row, random, rows)),
        })
    }

    fn int(self, row: usize, random: u64) -> i64 {
        match self.values {
            Values::Constant => self.seed.cast_signed(),
            Values::Steady => mix(self.seed, 0).wrapping_add((self.seed % 4096).wrapping_mul(row as u64)).cast_signed(),
            Values::Few => (random % 100).cast_signed() - 50,
            Values::Stretches => mix(self.seed, row / 37).cast_signed(),
            Values::Any => random.cast_signed(),
            Values::Odd => [i64::MIN, i64::MAX, 0, -1, 1, 1 << 32][random as usize % 6],
        }
    }

    /// Any but those that no cell holds.
    fn float(self, row: usize, random: u64) -> f64 {
        let any = |bits: u64| Some(f64::from_bits(bits)).filter(|float| float.is_finite()).unwrap_or(-0.1);
        match self.values {
            Values::Constant => any(self.seed),
            Values::Steady => (self.seed % 4096) as f64 * row as f64,
            Values::Few => (random % 100) as f64 / 7.0 - 7.0,
            Values::Stretches => any(mix(self.seed, row / 37)),
            Values::Any => any(random),
            Values::Odd => {
                let odd = [0.0, -0.0, 5e-324, -5e-324, f64::MIN_POSITIVE / 3.0, f64::MAX, f64::MIN, 1.0, -3.0, 9_007_199_254_740_993.0];
                odd[random as usize % odd.len()]
            }
        }
    }

    fn text(self, row: usize, random: u64, rows: usize) -> Arc<str> {
        match self.values {
            Values::Constant => "the same".into(),
            Values::Steady => format!("row {row}").into(),
            Values::Few => format!("one of {}", random % 20).into(),
            Values::Stretches => format!("stretch {}", mix(self.seed, row / 37)).into(),
            // Five of them are some hundred KB long together.
            Values::Any if row.is_multiple_of(rows.div_ceil(5)) => "long 漢字\0".repeat(5000 + (random % 5000) as usize).into(),
            Values::Any => format!("{random:x}").into(),
            Values::Odd => ODD_TEXTS[random as usize % ODD_TEXTS.len()].clone(),
        }
    }
}

impl Filling {
    /// The rows from this one on, of so many in all.
    fn lines(&self, table: &'static Table, from: usize, rows: usize) -> Vec<Line> {
        let serial = |metric: &Metric| metric.name == "serial";
        let line = |row: usize| {
            let times = [self.utc, self.monotonic].map(|time| time.cell(Physical::Int, row / self.tick_rows, rows));
            let cells =
                table.metrics.iter().zip(&self.columns).map(|(metric, recipe)| {
                    if serial(metric) { Some(Cell::Int(row as i64)) } else { recipe.cell(metric.physical, row - from, rows) }
                });
            times.into_iter().chain(cells).collect()
        };
        (from..from + rows).map(line).collect()
    }
}

fn values() -> impl Strategy<Value = Values> {
    prop::sample::select(vec![Values::Constant, Values::Steady, Values::Few, Values::Stretches, Values::Any, Values::Odd])
}

fn column() -> impl Strategy<Value = Recipe> {
    let absent = prop_oneof![
        4 => Just(Absent::None),
        1 => Just(Absent::All),
        2 => (1_u8..100).prop_map(Absent::Some),
        1 => (1_usize..70).prop_map(Absent::Stretches),
        1 => any::<usize>().prop_map(Absent::AllBut),
    ];
    (values(), absent, any::<u64>()).prop_map(|(values, absent, seed)| Recipe { values, absent, seed })
}

fn time() -> impl Strategy<Value = Recipe> {
    column().prop_map(|recipe| Recipe { absent: Absent::None, ..recipe })
}

fn filling() -> impl Strategy<Value = Filling> {
    // Enough for either table.
    let columns = prop::collection::vec(column(), Keyed::TABLE.metrics.len());
    (prop::sample::select(vec![1_usize, 2, 5, 50]), time(), time(), columns).prop_map(|(tick_rows, utc, monotonic, columns)| Filling {
        tick_rows,
        utc,
        monotonic,
        columns,
    })
}

/// The lines as a batch of the table.
fn rows<T: Described>(lines: &[Line]) -> Rows<T> {
    let mut rows = Rows::<T>::new();
    for line in lines {
        let &[Some(Cell::Int(utc_nanos)), Some(Cell::Int(monotonic_nanos)), ref cells @ ..] = &line[..] else { unreachable!() };
        let mut row = rows.row(Moment { utc_nanos, monotonic_nanos });
        for (place, cell) in cells.iter().enumerate() {
            match cell {
                None => {}
                Some(Cell::Int(value)) => drop(row.set(Field::<T, Gauge<Level>>::new(place), *value)),
                Some(Cell::Float(bits)) => drop(row.set(Field::<T, Gauge<Number>>::new(place), f64::from_bits(*bits))),
                Some(Cell::Text(text)) => drop(row.text(Field::<T, Text>::new(place), text.as_bytes())),
            }
        }
    }
    rows
}

/// Each list of lines as a row group of one file.
fn write<T: Described>(groups: &[Vec<Line>]) -> File {
    let file = tempfile::tempfile().unwrap();
    let (mut shape, mut encoder, mut output) = (Shape::new(T::TABLE, "id"), Encoder::default(), Output::new(&file, 0));
    let entries: Vec<Entry> = groups
        .iter()
        .map(|lines| {
            let mut group = Group::new(T::TABLE);
            lines.chunks(97).for_each(|lines| group.push(&rows::<T>(lines)));
            encoder.write_group(&mut output, &mut shape, &group, 0).unwrap()
        })
        .collect();
    let (bytes, tail) = shape.finish(output, &entries.iter().collect::<Vec<_>>()).unwrap();
    let mut end = [0; TAIL_BYTES];
    file.read_exact_at(&mut end, bytes - TAIL_BYTES as u64).unwrap();
    assert_eq!((file.metadata().unwrap().len(), end), (bytes, tail));
    file
}

fn cells(array: &ArrayRef) -> Vec<Option<Cell>> {
    let cell = |row: usize| match array.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if &**zone == "UTC" => {
            Cell::Int(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
        DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).into()),
        other => panic!("{other}"),
    };
    (0..array.len()).map(|row| array.is_valid(row).then(|| cell(row))).collect()
}

/// Reads a file, and compares what its index says with what its pages hold. Returns the lines of each row group.
fn read(file: &File, table: &'static Table) -> Result<Vec<Vec<Line>>, TestCaseError> {
    let reader = SerializedFileReader::new(file.try_clone().unwrap()).unwrap();
    let metadata = reader.metadata();
    let mut groups = Vec::new();
    for (number, told) in metadata.row_groups().iter().enumerate() {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.try_clone().unwrap()).unwrap();
        let mut columns = vec![Vec::new(); table.metrics.len() + 2];
        // Not the length of a page, so that a batch reaches over the end of one.
        for batch in builder.with_row_groups(vec![number]).with_batch_size(10_007).build().unwrap() {
            let batch = batch.unwrap();
            columns.iter_mut().zip(batch.columns()).for_each(|(column, array)| column.extend(cells(array)));
        }
        check_group(told, table, &columns)?;
        for (place, told) in told.columns().iter().enumerate() {
            let pages = reader.get_row_group(number).unwrap().get_column_page_reader(place).unwrap();
            check_pages(told, pages.map(Result::unwrap))?;
        }
        groups.push((0..columns[0].len()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect());
    }
    prop_assert_eq!(metadata.file_metadata().num_rows() as usize, groups.iter().map(Vec::len).sum::<usize>());
    Ok(groups)
}

/// What the index says of a row group with these columns.
fn check_group(told: &RowGroupMetaData, table: &Table, columns: &[Vec<Option<Cell>>]) -> TestCaseResult {
    prop_assert!(columns.iter().all(|column| column.len() == told.num_rows() as usize));
    prop_assert_eq!(told.compressed_size(), told.columns().iter().map(ColumnChunkMetaData::compressed_size).sum::<i64>());
    prop_assert_eq!(told.total_byte_size(), told.columns().iter().map(ColumnChunkMetaData::uncompressed_size).sum::<i64>());
    let mut places = told.columns().iter().map(ColumnChunkMetaData::byte_range).collect::<Vec<_>>().into_iter();
    let mut end = places.next().map_or(0, |(begin, length)| begin + length);
    for (begin, length) in places {
        prop_assert_eq!(begin, end, "columns stand side by side");
        end = begin + length;
    }
    for (place, (told, cells)) in told.columns().iter().zip(columns).enumerate() {
        prop_assert_eq!(told.num_values() as usize, cells.len());
        // Bits of broken numbers have another order than the numbers.
        let limited = place < 2 || place < 2 + table.keys && table.metrics[place - 2].physical != Physical::Float;
        prop_assert_eq!(told.statistics().is_some(), limited, "column {}", place);
        if let Some(statistics) = told.statistics() {
            check_limits(statistics, cells)?;
        }
    }
    Ok(())
}

fn check_limits(statistics: &Statistics, cells: &[Option<Cell>]) -> TestCaseResult {
    // The crate takes statistics without limits for old ones.
    prop_assert!(!statistics.is_min_max_deprecated() || statistics.min_bytes_opt().is_none() && statistics.max_bytes_opt().is_none());
    prop_assert_eq!(statistics.null_count_opt(), Some(cells.iter().filter(|cell| cell.is_none()).count() as u64));
    match statistics {
        Statistics::Int64(limits) => {
            let ints = || cells.iter().flatten().map(|cell| if let Cell::Int(value) = cell { value } else { unreachable!("{cell:?}") });
            prop_assert_eq!((limits.min_opt(), limits.max_opt()), (ints().min(), ints().max()));
        }
        Statistics::ByteArray(limits) => {
            let texts = || cells.iter().flatten().map(|cell| if let Cell::Text(text) = cell { text.as_bytes() } else { unreachable!("{cell:?}") });
            let expected = texts().min().zip(texts().max()).filter(|(least, greatest)| least.len().max(greatest.len()) <= LONGEST_LIMIT);
            prop_assert_eq!(limits.min_opt().zip(limits.max_opt()).map(|(least, greatest)| (least.data(), greatest.data())), expected);
        }
        other => prop_assert!(false, "{}", other),
    }
    Ok(())
}

/// What the index says of a column with these pages.
fn check_pages(told: &ColumnChunkMetaData, pages: impl Iterator<Item = Read>) -> TestCaseResult {
    let (mut counts, mut bytes, mut heads) = (Vec::new(), 0, 0);
    for (number, page) in pages.enumerate() {
        bytes += page.buffer().len() as i64;
        heads += 1;
        prop_assert!(told.encodings().any(|encoding| encoding == page.encoding()));
        if matches!(page, Read::DictionaryPage { .. }) {
            prop_assert_eq!((number, told.dictionary_page_offset().is_some()), (0, true));
        } else {
            counts.push(page.num_values() as usize);
        }
    }
    let rows = told.num_values() as usize;
    prop_assert_eq!(counts, (0..rows).step_by(PAGE_ROWS).map(|begin| PAGE_ROWS.min(rows - begin)).collect::<Vec<_>>());
    // Besides the pages stand their heads, of some ten bytes each.
    prop_assert!((bytes + 10 * heads..=bytes + 40 * heads).contains(&told.uncompressed_size()), "{} of {} bytes", told.uncompressed_size(), bytes);
    match told.compression() {
        Compression::UNCOMPRESSED => prop_assert_eq!(told.compressed_size(), told.uncompressed_size()),
        Compression::ZSTD(_) => prop_assert!(told.compressed_size() < told.uncompressed_size()),
        other => prop_assert!(false, "{}", other),
    }
    Ok(())
}

/// Whether these are the lines that went in: of a table without keys in their order, else those of a subject side by side and in their order.
fn check_lines(table: &Table, mut found: Vec<Line>, expected: &[Line]) -> TestCaseResult {
    if table.keys > 0 {
        check_order(table, &found)?;
        found.sort_by_key(|line| serial(table, line));
    }
    prop_assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        prop_assert_eq!(found, expected);
    }
    Ok(())
}

fn serial(table: &Table, line: &Line) -> i64 {
    match line[table.keys + 2] {
        Some(Cell::Int(serial)) => serial,
        ref other => unreachable!("{other:?}"),
    }
}

fn check_order(table: &Table, lines: &[Line]) -> TestCaseResult {
    let key = |line: &Line| line[2..table.keys + 2].to_vec();
    // No subject lacks a key.
    if lines.iter().any(|line| key(line).contains(&None)) {
        return Ok(());
    }
    let mut seen = std::collections::HashSet::new();
    for subject in lines.chunk_by(|a, b| key(a) == key(b)) {
        prop_assert!(seen.insert(key(&subject[0])), "a subject stands twice");
        prop_assert!(subject.is_sorted_by_key(|line| serial(table, line)));
    }
    Ok(())
}

/// Writes row groups of so many rows, and reads them back.
fn come_back<T: Described>(groups: &[(usize, Filling)]) -> TestCaseResult {
    let lines: Vec<Vec<Line>> = groups
        .iter()
        .scan(0, |from, (rows, filling)| {
            *from += rows;
            Some(filling.lines(T::TABLE, *from - rows, *rows))
        })
        .collect();
    let found = read(&write::<T>(&lines), T::TABLE)?;
    prop_assert_eq!(found.len(), lines.len());
    for (found, expected) in found.into_iter().zip(&lines) {
        check_lines(T::TABLE, found, expected)?;
    }
    Ok(())
}

/// What may happen to an open part.
#[derive(Clone, Debug)]
enum Step {
    /// So many rows come.
    Take(usize, Box<Filling>),
    Publish,
    Close,
    /// As on a disk that takes nothing for long.
    MakeRoom,
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop_oneof![8 => 1_usize..70, 4 => 100_usize..300, 1 => 2040_usize..2060];
    prop_oneof![
        6 => (rows, filling()).prop_map(|(rows, filling)| Step::Take(rows, Box::new(filling))),
        4 => Just(Step::Publish),
        2 => Just(Step::Close),
        1 => Just(Step::MakeRoom),
    ]
}

/// Takes the steps, and reads all parts after each that writes.
fn grow<T: Described>(steps: Vec<Step>) -> TestCaseResult {
    let folder = tempfile::tempdir().unwrap();
    let (mut part, mut encoder) = (OpenPart::new(T::TABLE, folder.path(), Shape::new(T::TABLE, "id")), Encoder::default());
    let mut expected: Vec<Line> = Vec::new();
    for step in steps {
        let close = match step {
            Step::Take(rows_in_it, filling) => {
                let lines = filling.lines(T::TABLE, expected.len(), rows_in_it);
                part.group.push(&rows::<T>(&lines));
                part.dirty = true;
                expected.extend(lines);
                continue;
            }
            // What no file has would be lost.
            Step::MakeRoom if part.unwritten() == 0 && !part.group.is_empty() => {
                prop_assert_eq!(part.make_room(), 0);
                prop_assert!(part.group.is_empty());
                continue;
            }
            Step::Publish if part.dirty => false,
            Step::Close if !part.group.is_empty() => true,
            _ => continue,
        };
        let staged = part.stage(&mut encoder, close).unwrap();
        part.commit(staged).unwrap();
        let mut parts: Vec<_> = fs::read_dir(folder.path().join(T::TABLE.name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        parts.sort();
        let mut found = Vec::new();
        for path in parts {
            for group in read(&File::open(path).unwrap(), T::TABLE)? {
                if T::TABLE.keys > 0 {
                    check_order(T::TABLE, &group)?;
                }
                found.extend(group);
            }
        }
        found.sort_by_key(|line| serial(T::TABLE, line));
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert_eq!(found, expected);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn row_groups_come_back(groups in prop::collection::vec((prop_oneof![0_usize..40, 120_usize..400], filling()), 1..12), keyed: bool) {
        if keyed { come_back::<Keyed>(&groups)? } else { come_back::<Plain>(&groups)? }
    }

    #[test]
    fn parts_that_grow_and_are_closed_come_back(steps in prop::collection::vec(step(), 1..40), keyed: bool) {
        if keyed { grow::<Keyed>(steps)? } else { grow::<Plain>(steps)? }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2))]

    #[test]
    fn every_count_of_rows_comes_back(fillings in prop::collection::vec(filling(), COUNTS.len())) {
        for group in COUNTS.into_iter().zip(fillings) {
            come_back::<Keyed>(std::slice::from_ref(&group))?;
            come_back::<Plain>(&[group])?;
        }
    }
}

/// No kind of column escapes by chance.
#[test]
fn every_kind_of_column_comes_back_over_several_pages() {
    let all = [Values::Constant, Values::Steady, Values::Few, Values::Stretches, Values::Any, Values::Odd];
    let absences = [Absent::None, Absent::All, Absent::Some(40), Absent::Stretches(PAGE_ROWS), Absent::AllBut(2 * PAGE_ROWS)];
    for (number, values) in all.into_iter().enumerate() {
        let recipe = |place: usize| Recipe { values, absent: absences[(place + number) % absences.len()], seed: 0x1234_5678_9abc_def0 };
        let time = Recipe { values: Values::Steady, absent: Absent::None, seed: 1000 };
        let columns = (0..Keyed::TABLE.metrics.len()).map(recipe).collect();
        let filling = Filling { tick_rows: 10, utc: time, monotonic: time, columns };
        come_back::<Plain>(&[(2 * PAGE_ROWS + 1, filling)]).unwrap();
    }
}

/// The choice of an encoding stands for some row groups, in which the values may be of another kind.
#[test]
fn an_encoding_that_fits_no_longer_loses_nothing() {
    let filling = |number: usize| {
        let values = if number.is_multiple_of(3) { Values::Steady } else { Values::Odd };
        let recipe = Recipe { values, absent: Absent::None, seed: 77 };
        Filling { tick_rows: 1, utc: recipe, monotonic: recipe, columns: vec![recipe; Keyed::TABLE.metrics.len()] }
    };
    let groups: Vec<_> = (0..20).map(|number| (WORTH_COMPRESSING + number, filling(number))).collect();
    come_back::<Keyed>(&groups).unwrap();
    come_back::<Plain>(&groups).unwrap();
}
