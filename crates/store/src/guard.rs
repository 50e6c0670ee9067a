//! The border to the reader of Parquet: whatever a file holds, what comes back is rows or an error.
//!
//! The parquet crate means to answer spoilt bytes with errors, and knows that in places it panics (apache/arrow-rs#9742 collects them; our fuzzer
//! met some more). A checksum of our own would only tell accidents from intent, and a second reader of the format to look before the first would be
//! as large as that. So its panics are caught here, and nowhere else, and become the error that the part deserves. They are not shown either: what
//! a person must know is that the part can't be read. Of what was read when it panicked nothing is kept.
//!
//! What can't be caught is memory that runs out. So parts that would need more than any part of ours are refused before they are decoded. Somebody
//! else's file may be larger: what it unpacks to is limited by 2 GiB for a page, and where it is compressed by gzip not at all.

use std::any::Any;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

#[cfg(panic = "abort")]
compile_error!("spoilt recordings must not end the program: the profile needs panic = \"unwind\"");

/// Cells in a part at most. The largest that the writer's bound of memory allows, all cells equal, has less.
const MOST_CELLS: u64 = if cfg!(test) { 1 << 14 } else { 1 << 25 };

/// Bytes that the rows of a part may take in memory: one long text can stand in many rows. A part of ours with more is thinkable, and no damage, but
/// nothing to be read at once.
pub(crate) const MOST_BYTES: usize = if cfg!(test) { 1 << 22 } else { 1 << 30 };

/// Half of what fits: the distance of any two possible times fits too. The years 1823 to 2116, and as long since a boot.
const LAST_NANOS: i64 = i64::MAX / 2;

thread_local! {
    /// Whether this thread is within the reader of Parquet.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// Lets a reader of other people's bytes read, such as that of the parquet crate. A panic in it is an error, and is not shown.
pub fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    silence();
    let outer = WITHIN.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    WITHIN.set(outer);
    result.unwrap_or_else(|panic| Err(ParquetError::General(format!("its bytes make no sense: {}", said(&*panic)))))
}

/// Makes the hook of panics, whoever set it, pass over those within the reader.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !WITHIN.try_with(Cell::get).unwrap_or(false) {
                before(panic);
            }
        }));
    });
}

fn said(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("the reader gave up")
}

/// A file whose end is an error for who reads beyond it. The parquet crate passes over the rest of a page's head without looking whether there is any: where
/// a head speaks of a billion things, it would ask for each.
#[derive(Debug)]
pub struct Finite(pub File);

impl Length for Finite {
    fn len(&self) -> u64 {
        Length::len(&self.0)
    }
}

impl ChunkReader for Finite {
    type T = FiniteReader;

    fn get_read(&self, start: u64) -> Result<FiniteReader> {
        self.0.get_read(start).map(FiniteReader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.0.get_bytes(start, length)
    }
}

/// What reads a [`Finite`] file.
#[derive(Debug)]
pub struct FiniteReader(BufReader<File>);

impl Read for FiniteReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 if !buffer.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}

/// Refuses an index that speaks of more rows than there can be.
pub(crate) fn check_size(metadata: &ParquetMetaData) -> Result<()> {
    let cells = metadata.row_groups().iter().try_fold(0_u64, |sum, group| {
        let rows = u64::try_from(group.num_rows()).ok()?;
        sum.checked_add(rows.checked_mul(1.max(group.num_columns() as u64))?)
    });
    match cells {
        Some(cells) if cells <= MOST_CELLS => Ok(()),
        _ => Err(ParquetError::General("its index speaks of more rows than a part has".to_owned())),
    }
}

/// Whether these can be times of a clock, so that any two of them may be subtracted.
pub(crate) fn are_possible(nanos: &[i64]) -> bool {
    nanos.iter().all(|nanos| (-LAST_NANOS..=LAST_NANOS).contains(nanos))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
    use arrow_schema::{DataType, Field, Schema};
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::schema::time_fields;
    use crate::{Query, Timeline};

    #[test]
    fn a_panic_within_is_an_error_and_one_outside_is_a_panic() {
        let error = guarded::<()>(|| panic!("no such page {}", 7)).unwrap_err().to_string();
        assert!(error.contains("make no sense") && error.contains("no such page 7"), "{error}");
        assert!(matches!(guarded(|| guarded::<u8>(|| panic!("inner")).or(Ok(1))), Ok(1)));
        assert!(!WITHIN.get(), "the panics of others are shown again");
        assert!(panic::catch_unwind(|| panic!("ours")).is_err());
    }

    /// What a reader says of a part with so many rows of this name, and these times beside sound ones.
    fn said_of(rows: usize, name: &str, time: i64) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(crate::FACTS_FILE), r#"{"write_interval_seconds":0}"#).unwrap();
        std::fs::create_dir(folder.path().join("birds")).unwrap();
        let fields: Vec<Field> = time_fields().into_iter().chain([Field::new("name", DataType::Utf8, true)]).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampNanosecondArray::from(vec![time; rows]).with_timezone("UTC")),
            Arc::new(Int64Array::from(vec![7; rows])),
            Arc::new(StringArray::from(vec![name; rows])),
        ];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let file = File::create(folder.path().join("birds/000000.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let timeline = Timeline::open(folder.path()).unwrap();
        let read = timeline.frame("birds", &Query::all()).unwrap().len();
        let damaged = timeline.damaged();
        assert_eq!(read, if damaged.is_empty() { rows } else { 0 });
        let why = damaged.first().map(|damage| damage.why.clone()).unwrap_or_default();
        let kept = crate::repair(folder.path()).unwrap().damaged.is_empty();
        assert_eq!(kept, why.is_empty() || why.contains("more memory"), "what is too much to be read at once is not damaged");
        why
    }

    #[test]
    fn what_no_part_of_ours_can_be_is_set_aside() {
        assert_eq!(said_of(5000, "wren", 0), "");
        assert!(said_of(6000, "wren", 0).contains("more rows than a part has"));
        assert!(said_of(1000, &"wren".repeat(2000), 0).contains("more memory"), "and 8 KB in the file");
        assert_eq!(said_of(1, "wren", LAST_NANOS), "");
        assert!(said_of(1, "wren", i64::MIN).contains("times that no clock has"));
    }
}
