//! How rows become a row group of Parquet: which encoding for which column, and one column at a time, so that no second copy of the rows is made.
//!
//! Chosen by measurement (`examples/publish.rs` repeats it):
//! - tables with one row a tick: DELTA_BINARY_PACKED for whole numbers, BYTE_STREAM_SPLIT for others;
//! - tables keyed by process, device …: rows of a subject side by side, and BYTE_STREAM_SPLIT for all numbers;
//! - texts and the times of keyed tables by dictionary: they repeat; other numbers never: a dictionary of them only grows;
//! - statistics for times and keys alone: what readers prune by. For the other columns they would be a third of a small file.

use std::io::Write;
use std::sync::Arc;

use arrow_schema::Schema;
use barograph_model::{Physical, Table};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowSchemaConverter, encode_arrow_schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::metadata::{FileMetaData, KeyValue, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{ColumnPath, SchemaDescPtr};

use crate::cells::Cells;
use crate::group::Group;
use crate::schema::{MONOTONIC, TIME, arrow_schema, table_metadata};

/// Level 3 makes our row groups 3 % smaller, and takes 500 KB more memory while it works: a sixteenth of all that the recorder may have.
const ZSTD_LEVEL: i32 = 1;

/// Who made the file, in the form in which readers look for the faults of known writers.
const WRITER: &str = concat!("barograph version ", env!("CARGO_PKG_VERSION"));

/// The version of Parquet's own index.
const FILE_VERSION: i32 = 1;

/// Rows that are handed to the encoder at once; small, so that they stay in the processor's cache.
const CHUNK: usize = 1024;

/// A group of fewer rows is not worth what it takes to set up a compressor for each column: of a recording of a moment that would be most of the
/// work.
const WORTH_COMPRESSING: usize = 128;

/// How hard to try for few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Not compressed: for rows that are written again at the next publish, and for few rows.
    Light,
    /// Compressed: for rows that are written for good.
    Full,
}

impl Effort {
    pub(crate) fn of(group: &Group, close: bool) -> Effort {
        if close && group.len() >= WORTH_COMPRESSING { Effort::Full } else { Effort::Light }
    }
}

/// What all parts of a table have in common, worked out once.
pub(crate) struct Shape {
    table: &'static Table,
    schema: SchemaDescPtr,
    metadata: Vec<KeyValue>,
}

impl Shape {
    pub(crate) fn new(table: &'static Table, recording: &str) -> Result<Shape> {
        let pairs = table_metadata(table, recording);
        let arrow: Arc<Schema> = arrow_schema(table, &pairs);
        let schema = ArrowSchemaConverter::new().schema_root("row").convert(&arrow)?;
        // Twice, as pyarrow shows only what stands in Arrow's schema, and DuckDB only what stands beside it.
        let mut metadata: Vec<KeyValue> = pairs.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        metadata.push(KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), encode_arrow_schema(&arrow)));
        Ok(Shape { table, schema: Arc::new(schema), metadata })
    }

    /// A writer of a file of this shape.
    pub(crate) fn writer<W: Write + Send>(&self, target: W, effort: Effort) -> Result<SerializedFileWriter<W>> {
        SerializedFileWriter::new(target, self.schema.root_schema_ptr(), self.properties(effort)?)
    }

    /// What the index of a file of this shape says beside these row groups.
    pub(crate) fn file_metadata(&self, groups: &[RowGroupMetaData]) -> FileMetaData {
        let rows = groups.iter().map(RowGroupMetaData::num_rows).sum();
        let writer = Some(WRITER.to_owned());
        FileMetaData::new(FILE_VERSION, rows, writer, Some(self.metadata.clone()), self.schema.clone(), None)
    }

    fn properties(&self, effort: Effort) -> Result<WriterPropertiesPtr> {
        let keyed = self.table.keys > 0;
        let (compression, numbers) = match effort {
            Effort::Light => (Compression::UNCOMPRESSED, Encoding::DELTA_BINARY_PACKED),
            Effort::Full if keyed => (Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?), Encoding::BYTE_STREAM_SPLIT),
            Effort::Full => (Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?), Encoding::DELTA_BINARY_PACKED),
        };
        let mut properties = WriterProperties::builder()
            .set_compression(compression)
            .set_encoding(numbers)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true);
        for name in [TIME, MONOTONIC] {
            let column = ColumnPath::from(name);
            properties = properties
                .set_column_encoding(column.clone(), Encoding::DELTA_BINARY_PACKED)
                .set_column_dictionary_enabled(column.clone(), keyed)
                .set_column_statistics_enabled(column, EnabledStatistics::Chunk);
        }
        for (index, metric) in self.table.metrics.iter().enumerate() {
            let column = ColumnPath::from(metric.column());
            if index < self.table.keys {
                properties = properties.set_column_statistics_enabled(column.clone(), EnabledStatistics::Chunk);
            }
            match metric.physical {
                Physical::Int => {}
                Physical::Float => properties = properties.set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT),
                // The second encoding is for texts so many and long that their dictionary was given up.
                Physical::Text => {
                    properties =
                        properties.set_column_dictionary_enabled(column.clone(), true).set_column_encoding(column, Encoding::DELTA_LENGTH_BYTE_ARRAY);
                }
            }
        }
        Ok(Arc::new(properties.build()))
    }
}

/// Writes the rows as one row group.
pub(crate) fn write_group<W: Write + Send>(writer: &mut SerializedFileWriter<W>, table: &Table, group: &Group) -> Result<()> {
    let order = group.order();
    let rows = Rows { order: order.as_deref(), len: group.len() };
    let mut target = writer.next_row_group()?;
    for times in [&group.utc_nanos, &group.monotonic_nanos] {
        if let Some(mut column) = target.next_column()? {
            write_column::<Int64Type>(&mut column, &rows, times, false, |row| times.bits(row))?;
            column.close()?;
        }
    }
    for (cells, metric) in group.columns.iter().zip(table.metrics) {
        let Some(mut column) = target.next_column()? else { break };
        match metric.physical {
            Physical::Int => write_column::<Int64Type>(&mut column, &rows, cells, true, |row| cells.bits(row))?,
            Physical::Float => write_column::<DoubleType>(&mut column, &rows, cells, true, |row| f64::from_bits(cells.bits(row).cast_unsigned()))?,
            Physical::Text => {
                let words: Vec<ByteArray> = cells.words.iter().map(ByteArray::from).collect();
                let word = |row: usize| usize::try_from(cells.bits(row)).ok().and_then(|number| words.get(number)).cloned().unwrap_or_default();
                write_column::<ByteArrayType>(&mut column, &rows, cells, true, word)?;
            }
        }
        column.close()?;
    }
    target.close()?;
    Ok(())
}

/// The rows in the order in which they are written.
struct Rows<'a> {
    order: Option<&'a [u32]>,
    len: usize,
}

impl Rows<'_> {
    fn at(&self, position: usize) -> usize {
        self.order.map_or(position, |order| order[position] as usize)
    }
}

/// Parquet takes the values that are present and, for a column that may have absent ones, a level for each row: 1 is present, 0 absent.
fn write_column<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    rows: &Rows<'_>,
    cells: &Cells,
    nullable: bool,
    value: impl Fn(usize) -> T::T,
) -> Result<()> {
    let mut values: Vec<T::T> = Vec::with_capacity(CHUNK.min(rows.len));
    let mut levels: Vec<i16> = Vec::with_capacity(CHUNK.min(rows.len));
    for begin in (0..rows.len).step_by(CHUNK) {
        values.clear();
        levels.clear();
        for row in (begin..rows.len.min(begin + CHUNK)).map(|position| rows.at(position)) {
            let present = cells.is_present(row);
            levels.push(i16::from(present));
            if present {
                values.push(value(row));
            }
        }
        column.typed::<T>().write_batch(&values, nullable.then_some(levels.as_slice()), None)?;
    }
    Ok(())
}
