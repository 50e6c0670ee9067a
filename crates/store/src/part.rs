//! The part of a table that is being written: a Parquet file whose closed row groups stay as they are, and whose open ones become one when they are closed.
//!
//! Why so: a Parquet file ends in its index, so it can't grow in place and stay readable. Each write therefore makes the whole file anew under a
//! hidden name and renames it over the old one. What makes that cheap is that nearly all of it is copied as bytes, not encoded again, and that a part
//! stays small: when it has [`PART_BYTES`] or [`PART_GROUPS`] it is left for good, and the next number opens.
//!
//! Rows that are new become a row group of their own, or one with the few that came just before. When memory is full all that are in memory are
//! written once more, as one row group, which is closed then: the longer it is, the smaller is each row.
//!
//! Many readers (polars, DuckDB) open a file more than once, and may read the index of one state and the rows of the next. So a state holds the bytes
//! of the one before, index and all, at the places where they were, and puts its own behind them; indexes of states before that become holes, which
//! take no disk. Only when a row group is closed are the holes left out.
//!
//! ```text
//! state 1   closed groups | rows 1 | index 1
//! state 2   closed groups | rows 1 | index 1 | rows 2 | index 2
//! state 3   closed groups | rows 1 |  hole   | rows 2 | index 2 | rows 3 | index 3
//! closed    closed groups | rows 1 to 4 | index 4
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use barograph_model::Table;

use crate::Error;
use crate::disk::{self, Durability, temporary};
use crate::encode::{Encoder, Entry, Output, Shape, TAIL_BYTES};
use crate::group::Group;

/// A part of this size is left for good. Every publish writes the open part anew, so this bounds what a publish writes per table.
const PART_BYTES: u64 = 512 << 10;

/// A part with this many row groups is left for good: their entries in the file's index are read and written at every publish.
const PART_GROUPS: usize = 8;

/// A row group of so many rows is not written anew before it is closed.
const KEPT_ROWS: usize = 2048;

/// A state of this size leaves its holes out: not all that copies files keeps holes.
const HOLED_BYTES: u64 = 2 * PART_BYTES;

/// The open part of one table, and the rows that it still has in memory.
pub(crate) struct OpenPart {
    pub(crate) table: &'static Table,
    pub(crate) group: Group,
    /// Whether there are rows that no file holds.
    pub(crate) dirty: bool,
    /// The first so many of the rows in memory are the last row group of the file as well.
    written: usize,
    shape: Shape,
    folder: PathBuf,
    folder_made: bool,
    number: u32,
    /// Row groups at the beginning of the part that are no longer in memory.
    closed: Vec<Entry>,
    /// The state of this number that is on disk.
    on_disk: Option<State>,
    /// Whether a name in the folder may not survive a power cut yet.
    name_unsynced: bool,
}

/// A state of a part, as it was written.
struct State {
    /// Size of the file.
    bytes: u64,
    /// How it ends: the length of the index, and Parquet's mark.
    tail: [u8; TAIL_BYTES],
    /// The row groups of the rows that are in memory as well.
    open: Vec<Entry>,
}

/// A part that is written under its hidden name, and not yet visible.
pub(crate) struct Staged {
    file: File,
    hidden: PathBuf,
    path: PathBuf,
    closes: bool,
    state: State,
    /// Bytes that were written, holes not counted.
    written: u64,
}

impl OpenPart {
    pub(crate) fn new(table: &'static Table, recording: &Path, shape: Shape) -> OpenPart {
        OpenPart {
            table,
            group: Group::new(table),
            dirty: false,
            written: 0,
            shape,
            folder: recording.join(table.name),
            folder_made: false,
            number: 0,
            closed: Vec::new(),
            on_disk: None,
            name_unsynced: false,
        }
    }

    /// Leaves the numbers below this one to those who have them.
    pub(crate) fn begin_with(&mut self, number: u32) {
        self.number = number;
    }

    /// Writes the part with all rows in memory as its last row group, under its hidden name. Closing means: for good.
    pub(crate) fn stage(&mut self, encoder: &mut Encoder, close: bool) -> Result<Staged, Error> {
        self.make_folder()?;
        let before = self.before()?;
        let path = self.path();
        let hidden = temporary(&path);
        match self.write(encoder, before.as_ref(), &hidden, close) {
            Ok((file, state, written)) => Ok(Staged { file, hidden, path, closes: close, state, written }),
            Err(source) => {
                let _ = fs::remove_file(&hidden);
                Err(Error::disk(&hidden, source))
            }
        }
    }

    /// Makes a staged part visible, and forgets the rows that are now closed.
    pub(crate) fn commit(&mut self, staged: Staged) -> Result<u64, Error> {
        if let Err(source) = fs::rename(&staged.hidden, &staged.path) {
            let _ = fs::remove_file(&staged.hidden);
            return Err(Error::disk(&staged.path, source));
        }
        (self.dirty, self.name_unsynced) = (false, true);
        self.written = self.group.len();
        let bytes = staged.state.bytes;
        self.on_disk = Some(staged.state);
        if staged.closes {
            self.group.clear();
            self.close_written();
            if bytes >= PART_BYTES || self.closed.len() >= PART_GROUPS {
                self.leave();
            }
        }
        Ok(staged.written)
    }

    /// Rows that no file holds.
    pub(crate) fn unwritten(&self) -> usize {
        self.group.len() - self.written
    }

    /// Makes room in memory where the disk takes nothing. Rows that the file has are left to it: its last row group counts as closed. Else the oldest
    /// are dropped. Returns how many were.
    pub(crate) fn make_room(&mut self) -> usize {
        if self.written == 0 {
            return self.group.drop_oldest();
        }
        self.group.forget(self.written);
        self.close_written();
        0
    }

    /// The last row group of the file stays as it is.
    fn close_written(&mut self) {
        self.written = 0;
        self.closed.extend(self.on_disk.iter_mut().flat_map(|state| state.open.drain(..)));
    }

    /// Makes the names of all states safe that were committed; of those, too, for which that failed before.
    pub(crate) fn sync_names(&mut self) -> Result<(), Error> {
        if self.name_unsynced {
            disk::sync_folder(&self.folder)?;
            self.name_unsynced = false;
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.number += 1;
        self.on_disk = None;
        self.closed.clear();
        self.written = 0;
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{:06}.parquet", self.number))
    }

    /// Only the table's own folder is ever made: when somebody deletes the recording while it is being written, it stays deleted.
    pub(crate) fn make_folder(&mut self) -> Result<(), Error> {
        if self.folder_made {
            return Ok(());
        }
        match fs::create_dir(&self.folder) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => return Err(Error::disk(&self.folder, source)),
            _ => self.folder_made = true,
        }
        Ok(())
    }

    /// Writes the next state: what is kept of the one before, rows in memory, and the index.
    fn write(&mut self, encoder: &mut Encoder, before: Option<&File>, hidden: &Path, close: bool) -> io::Result<(File, State, u64)> {
        let file = File::create(hidden)?;
        let closed_end = self.closed.last().map_or(0, |entry| entry.end);
        let (mut begin, mut copied, mut kept) = (0, 0, &[][..]);
        if let (Some(before), Some(state)) = (before, &self.on_disk) {
            copied = copy_range(before, &file, 0..closed_end)?;
            begin = closed_end;
            if !close && state.bytes < HOLED_BYTES {
                kept = worth_keeping(&state.open, self.group.len() - self.written);
                let index_begin = state.open.last().map_or(closed_end, |entry| entry.end);
                for range in state.open.iter().map(|entry| entry.begin..entry.end).chain(std::iter::once(index_begin..state.bytes)) {
                    copied += copy_range(before, &file, range)?;
                }
                begin = state.bytes;
            }
        }
        let from: usize = kept.iter().map(|entry| entry.rows).sum();
        let mut output = Output::new(&file, begin);
        let entry = encoder.write_group(&mut output, &mut self.shape, &self.group, from)?;
        let entries: Vec<&Entry> = self.closed.iter().chain(kept).chain([&entry]).collect();
        let (bytes, tail) = self.shape.finish(output, &entries)?;
        let open = kept.iter().cloned().chain([entry]).collect();
        Ok((file, State { bytes, tail, open }, copied + (bytes - begin)))
    }

    /// The file of the state on disk.
    ///
    /// When somebody took it away or spoilt it, its closed rows are gone and no write can bring them back: the next number opens then, so that
    /// what comes after is safe. A disk that merely fails to read is an error, for the next publish to try again.
    fn before(&mut self) -> Result<Option<File>, Error> {
        let Some(state) = &self.on_disk else { return Ok(None) };
        let path = self.path();
        match File::open(&path).and_then(|file| Ok(state.is_in(&file)?.then_some(file))) {
            Ok(Some(file)) => return Ok(Some(file)),
            Ok(None) => self.leave(),
            Err(source) if source.kind() == io::ErrorKind::NotFound => self.leave(),
            Err(source) => return Err(Error::disk(&path, source)),
        }
        Ok(None)
    }
}

impl State {
    /// Whether a file has the size and the end of this state.
    fn is_in(&self, file: &File) -> io::Result<bool> {
        let mut tail = [0; TAIL_BYTES];
        if file.metadata()?.len() != self.bytes {
            return Ok(false);
        }
        file.read_exact_at(&mut tail, self.bytes - TAIL_BYTES as u64)?;
        Ok(tail == self.tail)
    }
}

/// The first of the open row groups: those that are not better written anew together with so many rows that come behind them. Small ones are, so that
/// there are few and each row is written a few times; large ones would cost too much.
fn worth_keeping(open: &[Entry], mut rows: usize) -> &[Entry] {
    let mut kept = open;
    while let Some((last, rest)) = kept.split_last()
        && last.rows < KEPT_ROWS.min(2 * rows)
    {
        rows += last.rows;
        kept = rest;
    }
    kept
}

/// The standard library lets the kernel copy, and file systems that can share blocks do not even copy.
fn copy_range(mut from: &File, mut to: &File, range: Range<u64>) -> io::Result<u64> {
    from.seek(SeekFrom::Start(range.start))?;
    to.seek(SeekFrom::Start(range.start))?;
    let wanted = range.end.saturating_sub(range.start);
    let copied = if wanted > 0 { io::copy(&mut from.take(wanted), &mut to)? } else { 0 };
    if copied < wanted { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(copied) }
}

impl Staged {
    pub(crate) fn sync(&self, durability: Durability) -> Result<(), Error> {
        if durability == Durability::Crash {
            return Ok(());
        }
        self.file.sync_data().map_err(|source| {
            let _ = fs::remove_file(&self.hidden);
            Error::disk(&self.path, source)
        })
    }
}
