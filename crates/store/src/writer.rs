//! The writer of a recording.
//!
//! **Why a torn write is harmless.** Nothing that readers see is ever written in place. A part, and `recording.json`, is written whole under a hidden
//! name, synced, and renamed over its own name, which the kernel does in one step. Killed at any instant, we leave the old file or the new one, and
//! at worst a hidden file that nobody reads. A row stands in the part of one number only: the one that is open when it is first written, and each
//! later state of that part holds all rows of the state before. So no reader can meet a row twice, or half of one.
//!
//! **What is lost.** With the process, by `kill -9`: the rows since the last publish. With the power: the same, as publish syncs the files, then the
//! renames. All files are written first, then all are synced, then all are renamed, so that one commit of the file system's journal serves all
//! tables.
//!
//! **What it costs.** Rows wait in memory, packed, only until their row group is closed. That happens to all larger tables together when the rows of
//! all of them come to [`BUDGET`] bytes: memory is then flat whatever the number of tables, processes and hours, and the row groups of a table span
//! as many ticks as that memory can buy. A closed row group stays on disk as it is; publishing again copies its bytes (see [`crate::part`]).
//! Measured with `examples/day.rs`, 50 processes for a day at 1 s: 1.6 ms of CPU for a publish in the first hour, 1.7 ms in the last; some 2 MB of
//! anonymous memory; 40 parts of processes a day, 18 to 36 of most other tables.
//!
//! **When the disk fails.** The rows stay in memory and the next publish tries again. Above [`BOUND`] the largest table
//! leaves to the file what the file has, or else drops its oldest rows, which are counted. A recorder that can't write must not become one that eats the machine's memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use barograph_model::{Batch, Setup, Sink, Table};

use crate::disk::{self, Durability};
use crate::encode::{Encoder, Shape};
use crate::facts::{End, Notice};
use crate::part::{OpenPart, Staged};
use crate::{Error, Facts, free_name, name, state};

/// Bytes of rows that may wait in memory, all tables together; packed as they are, some 250,000 cells.
const BUDGET: usize = 512 << 10;

/// Bytes of rows that may wait while the disk takes nothing.
const BOUND: usize = BUDGET / 2 * 3;

/// A table with less stays open when the others are closed: many small row groups would be mostly index.
const WORTH_CLOSING: usize = BUDGET / 32;

/// A row group of a table has no more rows: it is read, and written, as a whole.
const MOST_ROWS: usize = 1 << 15;

/// Kept free for the end of the recording, which must still be written when the disk is full.
const RESERVE_BYTES: usize = 16 << 10;

/// How to make a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Replace a recording of this name, unless it is being written.
    pub force: bool,
    /// Take the first free name (`NAME-2.baro` …) when this one is taken.
    pub suffix: bool,
}

/// How a part is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    /// Its rows stay in memory, and are written again with those that come.
    Open,
    /// Its rows are written for good, and leave memory.
    Close,
}

/// What the files of a recording say of their tables, worked out before there is a recording: for who has a core to spare then, and no time later.
#[derive(Clone)]
pub struct Preparation {
    id: String,
    shapes: Arc<Mutex<Vec<(&'static Table, Shape)>>>,
}

impl Preparation {
    /// Nothing yet, for the recording that will have this id.
    pub fn new(id: &str) -> Preparation {
        Preparation { id: id.to_owned(), shapes: Arc::default() }
    }

    /// Works it out for these tables. On any thread: what is not there when it is needed is worked out then.
    pub fn work_out(&self, tables: impl IntoIterator<Item = &'static Table>) {
        let tables: Vec<_> = tables.into_iter().collect();
        // Not while it is locked: there may be no memory.
        let room = Vec::with_capacity(tables.len());
        *self.shapes.lock().unwrap_or_else(PoisonError::into_inner) = room;
        for table in tables {
            let shape = Shape::new(table, &self.id);
            self.shapes.lock().unwrap_or_else(PoisonError::into_inner).push((table, shape));
        }
    }

    fn take(&self, table: &'static Table) -> Option<Shape> {
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        let place = shapes.iter().position(|(known, _)| known.is(table))?;
        Some(shapes.swap_remove(place).1)
    }
}

impl std::fmt::Debug for Preparation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preparation").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A recording that is being written.
pub struct Recording {
    folder: PathBuf,
    facts: Facts,
    facts_dirty: bool,
    /// Whether the names of the recording and of its tables are safe from a power cut.
    names_synced: bool,
    /// Whether anything was ever published, and so promised to a reader.
    published: bool,
    reserved: bool,
    parts: Vec<OpenPart>,
    taken: usize,
    failing: bool,
    rows_lost: u64,
    bytes_written: u64,
    /// What a write waits for.
    durability: Durability,
    preparation: Option<Preparation>,
    /// Held for as long as we write: how readers know that the recording is live.
    _lock: Option<state::Lock>,
}

impl Recording {
    /// Makes the folder and writes the facts. Gives the recording an id if the facts have none.
    ///
    /// The folders above must exist. Nothing is overwritten but by [`Options::force`], and then only a recording.
    pub fn create(folder: impl Into<PathBuf>, mut facts: Facts, options: Options) -> Result<Recording, Error> {
        let folder = make_folder(folder.into(), options)?;
        let lock = state::lock(&folder);
        facts.locked = lock.is_some();
        if facts.id.is_empty() {
            facts.id = new_id();
        }
        let mut recording = Recording {
            folder,
            facts,
            facts_dirty: true,
            names_synced: false,
            published: false,
            reserved: false,
            parts: Vec::new(),
            taken: 0,
            failing: false,
            rows_lost: 0,
            bytes_written: 0,
            durability: Durability::PowerCut,
            preparation: None,
            _lock: lock,
        };
        if let Err(error) = recording.write_facts(Durability::Crash) {
            // A folder with nothing in it is no recording.
            let _ = fs::remove_dir(&recording.folder);
            return Err(error);
        }
        // Nothing is worth a wait for the disk yet: the first publish writes them again, and syncs them.
        recording.facts_dirty = true;
        Ok(recording)
    }

    /// Waits for no disk: for a recording that nobody will miss after a power cut, as what it is made of is there.
    #[must_use]
    pub fn unsynced(mut self) -> Recording {
        self.durability = Durability::Crash;
        self
    }

    /// Takes what was worked out before, if it was for the id that the recording has.
    #[must_use]
    pub fn prepared(mut self, preparation: Preparation) -> Recording {
        self.preparation = Some(preparation).filter(|preparation| preparation.id == self.facts.id);
        self
    }

    /// The folder, under the name that it got.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The facts as they are now.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The facts, to be changed; the next publish writes them.
    pub fn facts_mut(&mut self) -> &mut Facts {
        self.facts_dirty = true;
        &mut self.facts
    }

    /// Writes what is still in memory, and the end.
    ///
    /// A recording shorter than one write interval may be lost to a power cut by the very promise that was made for it, so it need not wait for the
    /// disk: [`Recording::durability_of`] says which durability is due. A failure leaves all in place for another try.
    pub fn finish(&mut self, end: End, durability: Durability) -> Result<(), Error> {
        let tables = self.write(durability, |part| (!part.group.is_empty()).then_some(Write::Close));
        // The reserve first: on a full disk it is what makes room for the end.
        let _ = fs::remove_file(self.folder.join(disk::RESERVE_FILE));
        self.note_lost_rows();
        self.facts.end = Some(end);
        self.facts_dirty = true;
        let facts = self.write_facts(durability);
        // No publish may have come before the end.
        let name = if durability == Durability::PowerCut && !self.names_synced { self.sync_name() } else { Ok(()) };
        tables.and(facts).and(name)
    }

    /// What a recording that ends at this moment of the monotonic clock owes its reader.
    pub fn durability_of(&self, end: &End) -> Durability {
        let young = self.facts.seconds_until(end.monotonic_nanos) < self.facts.write_interval_seconds;
        if young && !self.published { Durability::Crash } else { Durability::PowerCut }
    }

    /// At the end, rows that no file has are lost as well.
    fn note_lost_rows(&mut self) {
        const NAME: &str = "rows_lost";
        let count = self.rows_lost + self.parts.iter().map(|part| part.unwritten() as u64).sum::<u64>();
        if count > 0 {
            self.facts.notices.retain(|notice| notice.name != NAME);
            let detail = "rows that were dropped because the disk took none for too long".to_owned();
            self.facts.notices.push(Notice { name: NAME.to_owned(), detail, count });
        }
    }

    fn waiting(&self) -> usize {
        self.parts.iter().map(|part| part.group.bytes()).sum()
    }

    /// Closes the row groups of the tables that fill the memory.
    fn close_groups(&mut self, durability: Durability) -> Result<(), Error> {
        self.write(durability, |part| (part.group.bytes() >= WORTH_CLOSING).then_some(Write::Close))
    }

    /// Writes the parts that are chosen. One that fails keeps its rows and hinders no other; the first failure is reported.
    fn write(&mut self, durability: Durability, choose: impl Fn(&OpenPart) -> Option<Write>) -> Result<(), Error> {
        let mut result = Ok(());
        let mut staged: Vec<(usize, Staged)> = Vec::new();
        let mut encoder = Encoder::default();
        for (index, part) in self.parts.iter_mut().enumerate() {
            let Some(how) = choose(part) else { continue };
            match part.stage(&mut encoder, how == Write::Close) {
                Ok(part) => staged.push((index, part)),
                Err(error) => result = result.and(Err(error)),
            }
        }
        drop(encoder);
        staged.retain(|(_, part)| match part.sync(durability) {
            Ok(()) => true,
            Err(error) => {
                result = std::mem::replace(&mut result, Ok(())).and(Err(error));
                false
            }
        });
        for (index, part) in staged {
            match self.parts[index].commit(part) {
                Ok(bytes) => self.bytes_written += bytes,
                Err(error) => result = result.and(Err(error)),
            }
        }
        if durability == Durability::PowerCut {
            for part in &mut self.parts {
                let synced = part.sync_names();
                result = result.and(synced);
            }
        }
        self.failing = result.is_err();
        result
    }

    fn write_facts(&mut self, durability: Durability) -> Result<(), Error> {
        if !self.facts_dirty {
            return Ok(());
        }
        self.bytes_written += self.facts.write(&self.folder, durability)?;
        self.facts_dirty = false;
        Ok(())
    }

    /// Puts the reserve aside, before the tables can take the room. Where there is none, each publish tries again.
    fn put_reserve_aside(&mut self) {
        if !self.reserved {
            self.reserved = fs::write(self.folder.join(disk::RESERVE_FILE), [0; RESERVE_BYTES]).is_ok();
        }
    }

    /// Makes the names of the folders safe, once.
    fn sync_names(&mut self) -> Result<(), Error> {
        if !self.names_synced {
            self.sync_name()?;
        }
        disk::sync_folder(&self.folder)?;
        self.names_synced = true;
        Ok(())
    }

    /// Makes the recording's own name safe, and those of the folders above it: they may have been made for it. One that we may not read was not.
    fn sync_name(&self) -> Result<(), Error> {
        for folder in self.folder.ancestors().skip(1) {
            match disk::sync_folder(folder) {
                Err(Error::Disk { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced?,
            }
        }
        Ok(())
    }

    /// Makes room in the largest table until what waits is bounded again.
    fn bound_memory(&mut self) {
        while self.waiting() > BOUND {
            let Some(largest) = self.parts.iter_mut().max_by_key(|part| part.group.bytes()) else { return };
            self.rows_lost += largest.make_room() as u64;
        }
    }
}

impl Sink for Recording {
    type Error = Error;

    /// Keeps the rows. Writes only when memory is full before the next publish is due, as it is at thousands of rows a second.
    fn take(&mut self, batch: &Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let known = self.parts.iter().position(|part| part.table.is(batch.table()));
        let index = match known {
            Some(index) => index,
            None => {
                let table = batch.table();
                let shape = self.preparation.as_ref().and_then(|preparation| preparation.take(table));
                let shape = shape.unwrap_or_else(|| Shape::new(table, &self.facts.id));
                let mut part = OpenPart::new(table, &self.folder, shape);
                // While the job runs, not while someone waits for the end. What fails here fails again, and is told, when the part is written.
                let _ = part.make_folder();
                self.parts.push(part);
                self.names_synced = false;
                self.parts.len() - 1
            }
        };
        let part = &mut self.parts[index];
        let before = part.group.bytes();
        part.group.push(batch);
        part.dirty = true;
        self.taken += part.group.bytes().saturating_sub(before);
        let mut result = Ok(());
        // While the disk fails, only publish tries it: a try at each batch would cost more than the sampling.
        let many = self.parts[index].group.len() >= 2 * MOST_ROWS;
        if (self.waiting() > BUDGET || many) && !self.failing {
            result = self.close_groups(self.durability);
        }
        self.bound_memory();
        result
    }

    fn set_up(&mut self, setup: &Setup) {
        let facts = self.facts_mut();
        facts.interval_seconds = setup.interval_seconds;
        facts.longest_interval_seconds = Some(setup.longest_interval_seconds);
        facts.write_interval_seconds = setup.write_interval_seconds;
        facts.processes.selection.clone_from(&setup.processes);
        facts.processes.left_out.clone_from(&setup.left_out);
        facts.mark_when.clone_from(&setup.mark_when);
        facts.sources.extend(setup.sources.iter().cloned());
    }

    /// Writes the rows that no file holds yet, and syncs them.
    fn publish(&mut self) -> Result<(), Error> {
        self.put_reserve_aside();
        self.published = true;
        // What none of the first tables took is seldom needed, and worked out then.
        self.preparation = None;
        // If as much comes again, will it fit?
        let full = self.waiting() + std::mem::take(&mut self.taken) > BUDGET;
        let tables = self.write(Durability::PowerCut, |part| {
            let close = full && part.group.bytes() >= WORTH_CLOSING || part.group.len() >= MOST_ROWS;
            if close { Some(Write::Close) } else { part.dirty.then_some(Write::Open) }
        });
        let facts = self.write_facts(Durability::PowerCut);
        let names = if self.names_synced { Ok(()) } else { self.sync_names() };
        tables.and(facts).and(names)
    }

    /// Bytes given to the disk so far, all states of all files.
    fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Rows that were dropped because the disk took none for too long.
    fn rows_lost(&self) -> u64 {
        self.rows_lost
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("folder", &self.folder).field("bytes_written", &self.bytes_written).finish_non_exhaustive()
    }
}

/// Making the folder is what takes the name: of two recorders that want it, one gets it.
fn make_folder(wanted: PathBuf, options: Options) -> Result<PathBuf, Error> {
    let mut folder = wanted.clone();
    let mut forced = false;
    loop {
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => return Err(Error::disk(&folder, source)),
            Err(_) if options.force && !forced => {
                name::remove_recording(&folder)?;
                forced = true;
            }
            Err(_) if options.suffix => folder = free_name(&wanted),
            Err(_) => return Err(Error::Exists { path: folder }),
        }
    }
}

/// An id for a recording, for who has to tell it before there is one: 128 bits from the kernel's generator, at the very least different from those of any
/// other moment.
pub fn new_id() -> String {
    let mut bits = [0_u8; 16];
    if rustix::rand::getrandom(&mut bits, rustix::rand::GetRandomFlags::NONBLOCK).is_err() {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        bits = since.as_nanos().to_le_bytes();
    }
    bits.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use barograph_model::{Described, Events, Gauges, Lines, Moment, Rows, SpanEdges};

    use super::*;
    use crate::FACTS_FILE;

    #[test]
    fn a_name_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.baro");
        let first = Recording::create(&path, Facts::default(), Options::default()).unwrap();
        assert_eq!(first.facts().id.len(), 32);
        assert!(matches!(Recording::create(&path, Facts::default(), Options::default()), Err(Error::Exists { .. })));
        let second = Recording::create(&path, Facts::default(), Options { suffix: true, force: false }).unwrap();
        assert_eq!(second.folder(), folder.path().join("a-2.baro"));
        assert_ne!(first.facts().id, second.facts().id);
        let force = Options { force: true, suffix: false };
        assert!(matches!(Recording::create(&path, Facts::default(), force), Err(Error::Live { .. })));
        let id = first.facts().id.clone();
        drop(first);
        let mut ended = Facts::read(&path).unwrap();
        ended.end = Some(End::default());
        ended.write(&path, Durability::Crash).unwrap();
        assert_ne!(Recording::create(&path, Facts::default(), force).unwrap().facts().id, id);
        assert!(path.join(FACTS_FILE).exists());
    }

    fn row_of<T: Described>() -> Rows<T> {
        let mut rows = Rows::new();
        let _ = rows.row(Moment { utc_nanos: 1, monotonic_nanos: 2 });
        rows
    }

    /// A recording of four tables with a row each, ended at once.
    fn moment(folder: &Path, preparation: Option<&Preparation>) -> Recording {
        let facts = Facts { id: "ab".repeat(16), ..Facts::default() };
        let mut recording = Recording::create(folder, facts, Options::default()).unwrap();
        if let Some(preparation) = preparation {
            recording = recording.prepared(preparation.clone());
        }
        recording.take(&row_of::<Events>()).unwrap();
        recording.take(&row_of::<Gauges>()).unwrap();
        recording.take(&row_of::<SpanEdges>()).unwrap();
        recording.take(&row_of::<Lines>()).unwrap();
        recording
    }

    const FOUR: [&str; 4] = ["events", "gauges", "span_edges", "lines"];

    #[test]
    fn what_was_worked_out_before_changes_no_byte_and_is_for_one_id_alone() {
        let folder = tempfile::tempdir().unwrap();
        let tables = [Events::TABLE, Gauges::TABLE, SpanEdges::TABLE, Lines::TABLE];
        let files = |name: &str, preparation: Option<&Preparation>| {
            let path = folder.path().join(name);
            moment(&path, preparation).finish(End::default(), Durability::Crash).unwrap();
            FOUR.map(|table| fs::read(path.join(table).join("000000.parquet")).unwrap())
        };
        let (ours, other) = (Preparation::new(&"ab".repeat(16)), Preparation::new(&"cd".repeat(16)));
        for preparation in [&ours, &other] {
            preparation.work_out(tables);
        }
        let plain = files("plain.baro", None);
        assert!(plain == files("prepared.baro", Some(&ours)) && plain == files("other.baro", Some(&other)));
        let left = |preparation: &Preparation| preparation.shapes.lock().unwrap().len();
        assert_eq!((left(&ours), left(&other)), (0, 4));
    }

    #[test]
    fn a_recorder_may_be_moved_to_a_thread() {
        fn moves<T: Send>() {}
        moves::<Recording>();
    }
}
