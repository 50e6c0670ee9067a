//! What the fuzz targets of `fuzz/` call: files of a recording that somebody made, read by all that reads them.
#![allow(clippy::unwrap_used, reason = "a fuzz target says what is wrong by panicking")]

use std::fs;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::errors::ParquetError;

use crate::facts::FACTS_FILE;
use crate::guard::guarded;
use crate::parts::Part;
use crate::{Error, Facts, Query, Timeline, repair};

/// The table of the part, which has all that a table may have.
const TABLE: &str = "job";

/// These bytes as a `recording.json`: facts that survive being written, or an error that says what to do.
pub fn facts(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FACTS_FILE), bytes).unwrap();
    match Timeline::open(folder.path()) {
        Ok(timeline) => {
            let facts = timeline.facts();
            timeline.state();
            facts.write(folder.path(), crate::Durability::Crash).unwrap();
            assert_eq!(&Facts::read(folder.path()).unwrap(), facts);
        }
        Err(Error::Facts { .. } | Error::TooNew { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// These bytes as a part, between two that are whole: it is read or it is set aside, and what `repair` calls whole can be read.
pub fn part(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FACTS_FILE), "{\"write_interval_seconds\":0}").unwrap();
    let table = folder.path().join(TABLE);
    fs::create_dir(&table).unwrap();
    fs::write(table.join("000000.parquet"), bytes).unwrap();
    read_all(folder.path());
    let report = repair(folder.path()).unwrap();
    let timeline = Timeline::open(folder.path()).unwrap();
    if timeline.has_table(TABLE) {
        let rows = timeline.frame(TABLE, &Query::all()).unwrap().len();
        // Too large for memory is not damaged.
        let is_whole = |damage: &crate::Damage| damage.why.contains("more memory");
        assert!(timeline.damaged().iter().all(is_whole), "repair left what can't be read: {:?}", timeline.damaged());
        assert!(report.rows == rows as u64 || !timeline.damaged().is_empty());
    }
    assert!(repair(folder.path()).is_ok_and(|second| second.is_clean()));
}

/// These bytes as a file of columns: where our reader of pages and that of the parquet crate both give rows, they are the same. Says how many rows ours gave,
/// and how many the other.
pub fn pages(bytes: &[u8]) -> (Option<usize>, Option<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("000000.parquet");
    fs::write(&path, bytes).unwrap();
    let Ok(part) = Part::open(&path) else { return (None, None) };
    let (count, rows) = (part.schema().fields().len(), usize::try_from(part.rows()).unwrap());
    // Any numbers that hang on the input: where to skip, and what to leave out.
    let mut dice = bytes.iter().rev().take(64).fold(1_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let mut throw = |limit: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % limit.max(1)
    };
    let some: Vec<usize> = (0..count).filter(|_| throw(3) > 0).collect();
    let (mut ranges, mut at) = (Vec::new(), throw(rows / 2 + 1));
    while at < rows && ranges.len() < 100 {
        let end = rows.min(at + 1 + throw(rows / 4 + 1));
        ranges.push(at..end);
        at = end + throw(rows / 2 + 1);
    }
    let few = RowSelection::from_consecutive_ranges(ranges.into_iter(), rows);
    let all = (ProjectionMask::all(), None);
    let less = (ProjectionMask::roots(part.parquet_schema(), some), Some(few));
    let read = |(mask, rows): (ProjectionMask, Option<RowSelection>), is_ours: bool| -> Result<Vec<RecordBatch>, ParquetError> {
        let groups = || (0..part.row_groups()).collect();
        // A spoilt file may say that a page has the same rows again and again.
        guarded(|| {
            let file = if is_ours { part.by_column() } else { part.by_page()? };
            let batches = part.batches(file, mask, groups(), rows, 1000);
            batches?.take(200).map(|batch| Ok(batch?)).collect()
        })
    };
    let mut counts = (None, None);
    for asked in [less, all] {
        let (ours, theirs) = (read(asked.clone(), true), read(asked, false));
        if let (Ok(ours), Ok(theirs)) = (&ours, &theirs) {
            // Where a group says that it has more rows than it has, they come in other batches.
            assert!(in_one(ours) == in_one(theirs), "two readers, two truths");
        }
        let rows = |batches: Result<Vec<RecordBatch>, ParquetError>| batches.ok().map(|batches| batches.iter().map(RecordBatch::num_rows).sum());
        counts = (rows(ours), rows(theirs));
    }
    counts
}

fn in_one(batches: &[RecordBatch]) -> Option<RecordBatch> {
    batches.first().map(|first| concat_batches(&first.schema(), batches).unwrap())
}

/// Reads a recording in every way that there is.
fn read_all(folder: &Path) {
    let timeline = Timeline::open(folder).unwrap();
    for table in timeline.tables().unwrap() {
        let frame = timeline.frame(&table.name, &Query::all()).unwrap();
        assert_eq!(frame.times().len(), frame.len());
        assert!(frame.monotonic().is_sorted());
        if let (Some(&first), Some(&last)) = (frame.times().iter().min(), frame.times().iter().max()) {
            let middle = Query::all().between(Some(first + (last - first) / 3), Some(last)).equal("pid", 1).equal_text("name", "a");
            timeline.frame(&table.name, &middle).unwrap();
        }
        for field in table.fields.iter().take(3) {
            match timeline.thin(&table.name, &field.name, &Query::all(), 10) {
                Ok(_) | Err(Error::NotNumeric { .. } | Error::NoColumn { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let query = Query::all().columns(table.fields.iter().take(2).map(|field| field.name.clone()));
        let chunks = timeline.chunks(&table.name, &query, 1000).unwrap();
        let rows: usize = chunks.take(100).map(|chunk| chunk.unwrap().len()).sum();
        // A part may be too large as a whole, or spoilt in columns that are not asked for.
        assert!(rows <= frame.len() || !timeline.damaged().is_empty());
    }
    for piece in timeline.wide(&[TABLE], None, None).unwrap().take(100) {
        piece.unwrap();
    }
    timeline.process_life(1, 1).unwrap();
    timeline.processes_at(1 << 60).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_input(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let inputs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty());
        for input in inputs {
            assert!(std::panic::catch_unwind(|| run(&fs::read(&input).unwrap())).is_ok(), "{}", input.display());
        }
    }

    #[test]
    fn every_input_of_the_fuzzer_is_facts_or_an_error() {
        every_input("facts", facts);
    }

    #[test]
    fn every_input_of_the_fuzzer_is_a_part_or_set_aside() {
        every_input("part", part);
    }

    #[test]
    fn every_input_of_the_fuzzer_is_the_same_by_both_readers() {
        let read = |bytes: &[u8]| {
            pages(bytes);
        };
        every_input("part", read);
        every_input("pages", read);
    }
}
