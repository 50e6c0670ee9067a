//! Rows that are added to a recording after its end: as a further part of a table, beside those that are there.

use std::path::{Path, PathBuf};

use barograph_model::Batch;

use crate::disk::{self, Durability};
use crate::encode::{Encoder, Shape};
use crate::part::OpenPart;
use crate::{Error, Facts, parts, state};

/// Adds these rows to a recording that nobody writes any more. They appear all at once, or not at all.
///
/// The part takes its own name when it is whole and synced. Of two who add at the same time, one is refused by the lock of the other.
pub fn append(folder: &Path, rows: &Batch) -> Result<(), Error> {
    put(&claim(folder)?, rows)
}

/// A recording that nobody writes, and that nobody else can add to meanwhile.
pub(crate) struct Claim {
    folder: PathBuf,
    facts: Facts,
    _lock: Option<state::Lock>,
}

impl Claim {
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// Makes sure that nobody else writes to this recording.
pub(crate) fn claim(folder: &Path) -> Result<Claim, Error> {
    let (lock, facts) = state::claim(folder)?;
    Ok(Claim { folder: folder.to_owned(), facts: facts?, _lock: lock })
}

/// Adds these rows.
pub(crate) fn put(claim: &Claim, rows: &Batch) -> Result<(), Error> {
    let Claim { folder, facts, .. } = claim;
    if rows.is_empty() {
        return Ok(());
    }
    let mut part = OpenPart::new(rows.table(), folder, Shape::new(rows.table(), &facts.id));
    part.begin_with(next_number(folder, rows.table().name)?);
    part.group.push(rows);
    let staged = part.stage(&mut Encoder::default(), true)?;
    staged.sync(Durability::PowerCut)?;
    part.commit(staged)?;
    part.sync_names()?;
    // The table itself may be new.
    disk::sync_folder(folder)
}

/// The number after all that there are, also of parts that can't be read.
fn next_number(folder: &Path, table: &str) -> Result<u32, Error> {
    let numbers = parts::list(&folder.join(table))?;
    let number = |path: &std::path::PathBuf| path.file_stem()?.to_str()?.parse::<u32>().ok();
    Ok(numbers.iter().filter_map(number).max().map_or(0, |last| last.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use barograph_model::{EventRow, Events, Moment, Rows, Sink};

    use super::*;
    use crate::{End, Options, Query, Recording, Timeline};

    fn events(times: &[i64]) -> Rows<Events> {
        let mut rows = Rows::<Events>::new();
        for &time in times {
            rows.add(EventRow { at: Moment { utc_nanos: time, monotonic_nanos: time }, by: "person", name: Some("said"), ..EventRow::default() });
        }
        rows
    }

    fn times(folder: &Path) -> Vec<i64> {
        let timeline = Timeline::open(folder).unwrap();
        assert!(timeline.damaged().is_empty());
        timeline.frame("events", &Query::all()).unwrap().monotonic().to_vec()
    }

    #[test]
    fn rows_come_in_their_place_and_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.baro");
        let mut recording = Recording::create(&path, Facts::default(), Options::default()).unwrap();
        recording.take(&events(&[10, 30])).unwrap();
        recording.publish().unwrap();
        assert!(matches!(append(&path, &events(&[20])), Err(Error::Live { .. })), "a recorder writes");
        recording.finish(End::default(), Durability::Crash).unwrap();
        assert!(matches!(append(&path, &events(&[20])), Err(Error::Live { .. })), "it still has its lock");
        drop(recording);
        let first = std::fs::read(path.join("events/000000.parquet")).unwrap();
        append(&path, &events(&[20])).unwrap();
        append(&path, &events(&[5])).unwrap();
        append(&path, &events(&[])).unwrap();
        assert_eq!(times(&path), [5, 10, 20, 30]);
        assert_eq!(std::fs::read(path.join("events/000000.parquet")).unwrap(), first);
        assert_eq!(std::fs::read_dir(path.join("events")).unwrap().count(), 3);
        let held = state::lock(&path);
        assert!(matches!(append(&path, &events(&[20])), Err(Error::Live { .. })), "somebody else adds");
        drop(held);
        assert!(crate::repair(&path).unwrap().is_clean());
    }

    #[test]
    fn a_table_that_was_not_there_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.baro");
        let mut recording = Recording::create(&path, Facts::default(), Options::default()).unwrap();
        recording.finish(End::default(), Durability::Crash).unwrap();
        drop(recording);
        append(&path, &events(&[7])).unwrap();
        assert_eq!(times(&path), [7]);
        assert!(append(folder.path(), &events(&[7])).is_err());
    }
}
