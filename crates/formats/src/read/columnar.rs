//! Parquet and Arrow's file format, read in batches: their columns say themselves what they are.

use std::io::Read;
use std::os::unix::fs::FileExt;

use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use ::parquet::basic::Compression;
use ::parquet::errors::ParquetError;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::{Block, root_as_footer, root_as_message};
use arrow_schema::{DataType, Schema, TimeUnit};
use barograph_store::{Finite, check_flat, guarded, read_foreign};

use super::ReadError;
use super::source::{Column, Each, LeftOut, MOST_COLUMNS, Opening, Row, Source, Value, unique_names};

const PARQUET: &[u8] = b"PAR1";
const ARROW: &[u8] = b"ARROW1";

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 1024;

/// Bytes that a piece of an Arrow file may have: it must be in memory as a whole.
const LONGEST_BLOCK: u64 = 1 << 30;

pub(crate) fn sniff_parquet(head: &[u8]) -> bool {
    head.starts_with(PARQUET)
}

pub(crate) fn sniff_arrow(head: &[u8]) -> bool {
    head.starts_with(ARROW)
}

/// What the tail of a whole file looks like. Both formats end in an index and their mark, so a file that was cut off has none.
fn check_tail(opening: &Opening, mark: &[u8], name: &str) -> Result<(), ReadError> {
    let mut tail = vec![0; mark.len()];
    let end = opening.bytes.saturating_sub(mark.len() as u64);
    let read = opening.file.read_exact_at(&mut tail, end);
    if read.is_err() || tail != mark || opening.bytes < 2 * mark.len() as u64 {
        let what =
            format!("it begins as {name} file and has no end: it is still being written, or was cut off; wait for it, or write or copy it again");
        return Err(ReadError::unreadable(&opening.path, what));
    }
    Ok(())
}

pub(crate) fn open_parquet(opening: Opening) -> Result<Box<dyn Source>, ReadError> {
    check_tail(&opening, PARQUET, "a Parquet")?;
    let file = opening.file.try_clone().map_err(|error| ReadError::disk(&opening.path, error))?;
    let load = || ArrowReaderMetadata::load(&Finite(file), ArrowReaderOptions::new());
    let metadata = check_flat(&opening.file).and_then(|()| guarded(load)).map_err(|error| spoilt(&opening, &error))?;
    let mut chunks = metadata.metadata().row_groups().iter().flat_map(|group| group.columns());
    let unknown = chunks.find_map(|chunk| match chunk.compression() {
        Compression::BROTLI(_) => Some("Brotli"),
        Compression::LZO => Some("LZO"),
        _ => None,
    });
    if let Some(unknown) = unknown {
        let what = format!("it is compressed with {unknown}, which is not read here; write it anew with Snappy, gzip, LZ4 or Zstandard");
        return Err(ReadError::unreadable(&opening.path, what));
    }
    let columns = columns(&opening, metadata.schema())?;
    Ok(Box::new(Parquet { opening, metadata, columns }))
}

fn spoilt(opening: &Opening, error: &ParquetError) -> ReadError {
    ReadError::unreadable(&opening.path, format!("its bytes can't be read ({error}); write or copy it again"))
}

/// The columns as the schema has them: names, and ids where we wrote them.
fn columns(opening: &Opening, schema: &Schema) -> Result<Vec<Column>, ReadError> {
    let fields = schema.fields();
    if fields.len() > MOST_COLUMNS {
        let what = format!("it has {} columns, and no more than {MOST_COLUMNS} can be shown; leave some out", fields.len());
        return Err(ReadError::unreadable(&opening.path, what));
    }
    let (names, _) = unique_names(fields.iter().map(|field| field.name().clone()));
    let column = |(name, field): (String, &std::sync::Arc<arrow_schema::Field>)| Column {
        name,
        id: field.metadata().get("id").cloned(),
        is_moments: matches!(field.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64),
        ..Column::default()
    };
    Ok(names.into_iter().zip(fields.iter()).map(column).collect())
}

struct Parquet {
    opening: Opening,
    metadata: ArrowReaderMetadata,
    columns: Vec<Column>,
}

impl Source for Parquet {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn each(&mut self, row: Each<'_>) -> Result<LeftOut, ReadError> {
        let file = self.opening.file.try_clone().map_err(|error| ReadError::disk(&self.opening.path, error))?;
        let mut reader = guarded(|| read_foreign(file, &self.metadata, BATCH_ROWS)).map_err(|error| spoilt(&self.opening, &error))?;
        while let Some(batch) = guarded(|| reader.next().transpose().map_err(ParquetError::from)).map_err(|error| spoilt(&self.opening, &error))? {
            each_of(&batch, row)?;
        }
        Ok(LeftOut::default())
    }
}

pub(crate) fn open_arrow(opening: Opening) -> Result<Box<dyn Source>, ReadError> {
    check_tail(&opening, ARROW, "an Arrow")?;
    let index = guarded(|| index(&opening)).map_err(|error| spoilt(&opening, &error))?;
    let columns = columns(&opening, &index.schema)?;
    Ok(Box::new(Arrow { opening, index, columns }))
}

struct Arrow {
    opening: Opening,
    index: Index,
    columns: Vec<Column>,
}

/// What the end of an Arrow file says.
struct Index {
    schema: arrow_schema::SchemaRef,
    version: arrow_ipc::MetadataVersion,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
}

fn torn(why: &str) -> ParquetError {
    ParquetError::General(why.to_owned())
}

/// The reader of the arrow crate would take the lengths that an index speaks of for memory to ask for. So pieces are looked for here.
fn index(opening: &Opening) -> Result<Index, ParquetError> {
    let tail = 4 + ARROW.len() as u64;
    let end = opening.bytes.checked_sub(tail).ok_or_else(|| torn("it is too short"))?;
    let mut length = [0; 4];
    opening.file.read_exact_at(&mut length, end)?;
    let length = u64::from(u32::from_le_bytes(length));
    if length > end.min(16 << 20) {
        return Err(torn("its index is longer than it can be"));
    }
    let mut bytes = vec![0; length as usize];
    opening.file.read_exact_at(&mut bytes, end - length)?;
    let footer = root_as_footer(&bytes).map_err(|error| torn(&error.to_string()))?;
    let schema = footer.schema().ok_or_else(|| torn("it has no schema"))?;
    let blocks = |blocks: Option<flatbuffers::Vector<'_, Block>>| blocks.map(|blocks| blocks.iter().copied().collect()).unwrap_or_default();
    Ok(Index {
        schema: std::sync::Arc::new(try_fb_to_schema(schema)?),
        version: footer.version(),
        dictionaries: blocks(footer.dictionaries()),
        batches: blocks(footer.recordBatches()),
    })
}

impl Arrow {
    fn block(&self, block: &Block) -> Result<Buffer, ParquetError> {
        let length = u64::try_from(block.bodyLength()).ok().zip(u64::try_from(block.metaDataLength()).ok());
        let length = length.and_then(|(body, head)| body.checked_add(head));
        let begin = u64::try_from(block.offset()).ok();
        let (Some(length), Some(begin)) = (length, begin) else { return Err(torn("its index makes no sense")) };
        if begin.checked_add(length).is_none_or(|end| end > self.opening.bytes) || length > LONGEST_BLOCK {
            return Err(torn("its index speaks of more than there is, or than fits into memory"));
        }
        let mut bytes = vec![0; length as usize];
        self.opening.file.read_exact_at(&mut bytes, begin)?;
        check_unpacked(block, &bytes)?;
        Ok(Buffer::from_vec(bytes))
    }
}

/// What is packed says how long it is unpacked, and that much memory would be asked for.
fn check_unpacked(block: &Block, bytes: &[u8]) -> Result<(), ParquetError> {
    let senseless = || torn("a piece of it makes no sense");
    let (head, body) = usize::try_from(block.metaDataLength()).ok().and_then(|head| bytes.split_at_checked(head)).ok_or_else(senseless)?;
    // Older files have the length alone.
    let head = head.strip_prefix(&[0xff; 4]).unwrap_or(head).get(4..).ok_or_else(senseless)?;
    let message = root_as_message(head).map_err(|error| torn(&error.to_string()))?;
    let batch = message.header_as_record_batch().or_else(|| message.header_as_dictionary_batch()?.data());
    let Some(batch) = batch.filter(|batch| batch.compression().is_some()) else { return Ok(()) };
    let length = |buffer: &arrow_ipc::Buffer| {
        let begin = usize::try_from(buffer.offset()).ok()?;
        let first = body.get(begin..begin.checked_add(8)?).filter(|_| buffer.length() >= 8)?;
        // Less than nothing is one that was left as it is.
        u64::try_from(i64::from_le_bytes(first.try_into().ok()?)).ok()
    };
    let all = batch.buffers().into_iter().flatten().filter_map(length).fold(0_u64, u64::saturating_add);
    if all > LONGEST_BLOCK { Err(torn("a piece of it is longer, once unpacked, than fits into memory")) } else { Ok(()) }
}

impl Source for Arrow {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn each(&mut self, row: Each<'_>) -> Result<LeftOut, ReadError> {
        let failed = |error: ParquetError| spoilt(&self.opening, &error);
        let mut decoder = FileDecoder::new(self.index.schema.clone(), self.index.version);
        for block in &self.index.dictionaries {
            let bytes = self.block(block).map_err(failed)?;
            guarded(|| decoder.read_dictionary(block, &bytes).map_err(ParquetError::from)).map_err(failed)?;
        }
        for block in &self.index.batches {
            let bytes = self.block(block).map_err(failed)?;
            if let Some(batch) = guarded(|| decoder.read_record_batch(block, &bytes).map_err(ParquetError::from)).map_err(failed)? {
                each_of(&batch, row)?;
            }
        }
        Ok(LeftOut::default())
    }
}

fn each_of(batch: &RecordBatch, row: Each<'_>) -> Result<(), ReadError> {
    (0..batch.num_rows()).try_for_each(|place| row(&Place { batch, row: place }))
}

struct Place<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl Row for Place<'_> {
    fn get(&self, column: usize) -> Option<Value<'_>> {
        cell(self.batch.columns().get(column)?.as_ref(), self.row)
    }
}

/// The cell of this row; none where it is absent, or of a type that can't be shown.
fn cell(array: &dyn Array, row: usize) -> Option<Value<'_>> {
    if array.is_null(row) {
        return None;
    }
    macro_rules! whole {
        ($Type:ty) => {
            Value::Int(array.as_primitive::<$Type>().value(row).into())
        };
    }
    macro_rules! moment {
        ($Type:ty, $zone:expr, $nanos:expr) => {{
            let nanos = i64::from(array.as_primitive::<$Type>().value(row)).checked_mul($nanos)?;
            if $zone { Value::Utc(nanos) } else { Value::Local(nanos) }
        }};
    }
    macro_rules! seconds {
        ($Type:ty, $each:expr) => {
            Value::Float(array.as_primitive::<$Type>().value(row) as f64 / $each)
        };
    }
    Some(match array.data_type() {
        DataType::Boolean => Value::Int(array.as_boolean().value(row).into()),
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => {
            let value = array.as_primitive::<UInt64Type>().value(row);
            i64::try_from(value).map_or(Value::Float(value as f64), Value::Int)
        }
        DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => Value::Text(array.as_string::<i64>().value(row).as_bytes()),
        DataType::Utf8View => Value::Text(array.as_string_view().value(row).as_bytes()),
        DataType::Binary => Value::Text(array.as_binary::<i32>().value(row)),
        DataType::Timestamp(TimeUnit::Second, zone) => moment!(TimestampSecondType, zone.is_some(), 1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => moment!(TimestampMillisecondType, zone.is_some(), 1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => moment!(TimestampMicrosecondType, zone.is_some(), 1000),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => moment!(TimestampNanosecondType, zone.is_some(), 1),
        DataType::Date32 => moment!(Date32Type, false, 86_400_000_000_000),
        DataType::Date64 => moment!(Date64Type, false, 1_000_000),
        DataType::Duration(TimeUnit::Second) => seconds!(DurationSecondType, 1.0),
        DataType::Duration(TimeUnit::Millisecond) => seconds!(DurationMillisecondType, 1e3),
        DataType::Duration(TimeUnit::Microsecond) => seconds!(DurationMicrosecondType, 1e6),
        DataType::Duration(TimeUnit::Nanosecond) => seconds!(DurationNanosecondType, 1e9),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary_opt()?;
            let Value::Int(key) = cell(dictionary.keys(), row)? else { return None };
            let (key, values) = (usize::try_from(key).ok()?, dictionary.values());
            return if key < values.len() { cell(values.as_ref(), key) } else { None };
        }
        _ => return None,
    })
}

/// The first bytes of a file.
pub(crate) fn head(file: &mut std::fs::File, most: u64) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(most).read_to_end(&mut head)?;
    Ok(head)
}
