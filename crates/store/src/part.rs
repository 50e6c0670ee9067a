//! The part of a table that is being written: a Parquet file whose closed row groups stay as they are, and whose last one is written anew each time.
//!
//! Why so: a Parquet file ends in its index, so it can't grow in place and stay readable. Each write therefore makes the whole file anew under a
//! hidden name and renames it over the old one. What makes that cheap is that nearly all of it is copied as bytes, not encoded again, and that a part
//! stays small: when it has [`PART_BYTES`] or [`PART_GROUPS`] it is left for good, and the next number opens.
//!
//! Many readers (polars, DuckDB) open a file more than once, and may read the index of one state and the rows of the next. So a state holds the bytes
//! of the one before, index and all, at the places where they were, and puts its own behind them; the state before that becomes a hole, which takes
//! no disk. Only when a row group is closed are the holes left out.
//!
//! ```text
//! state 1   closed groups | rows 1 | index 1
//! state 2   closed groups | rows 1 | index 1 | rows 2 | index 2
//! state 3   closed groups |       hole       | rows 2 | index 2 | rows 3 | index 3
//! closed    closed groups | rows 4 | index 4
//! ```

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use barograph_model::Table;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData};

use crate::Error;
use crate::disk::{self, Durability, temporary};
use crate::encode::{Effort, Shape, write_group};
use crate::group::Group;
use crate::guard::guarded;
use crate::index::check_flat;

/// A part of this size is left for good. Every publish writes the open part anew, so this bounds what a publish writes per table.
const PART_BYTES: u64 = 512 << 10;

/// A part with this many row groups is left for good: their entries in the file's index are read and written at every publish.
const PART_GROUPS: usize = 16;

/// A state of this size leaves its holes out: not all that copies files keeps holes.
const HOLED_BYTES: u64 = 2 * PART_BYTES;

/// Bytes that go to the file at once.
const BUFFER_BYTES: usize = 16 << 10;

/// What a Parquet file begins and ends with.
const MAGIC_BYTES: u64 = 4;

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
    /// Whether a state of this number is on disk.
    on_disk: bool,
    /// Whether a name in the folder may not survive a power cut yet.
    name_unsynced: bool,
    /// Row groups at the beginning of the file that are no longer in memory.
    closed: usize,
}

/// A part that is written under its hidden name, and not yet visible.
pub(crate) struct Staged {
    file: File,
    hidden: PathBuf,
    path: PathBuf,
    closes: bool,
    /// Size of the file.
    bytes: u64,
    /// Bytes that were written, holes not counted.
    written: u64,
}

/// A file that is flushed at the end only. Parquet's writer does so after every column, which of a few rows is a few dozen bytes.
struct Unhurried<'a>(BufWriter<&'a File>);

impl Write for Unhurried<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The state of a part that is on disk.
struct Before {
    file: File,
    metadata: ParquetMetaData,
    bytes: u64,
    /// Where its closed row groups end.
    closed_end: Option<u64>,
    /// Where the row group begins that is written anew, or else the index.
    open_begin: u64,
}

impl OpenPart {
    pub(crate) fn new(table: &'static Table, recording: &Path, id: &str) -> Result<OpenPart, Error> {
        let folder = recording.join(table.name);
        let shape = Shape::new(table, id).map_err(|source| Error::part(&folder, source))?;
        Ok(OpenPart {
            table,
            group: Group::new(table),
            dirty: false,
            written: 0,
            shape,
            folder,
            folder_made: false,
            number: 0,
            on_disk: false,
            name_unsynced: false,
            closed: 0,
        })
    }

    /// Leaves the numbers below this one to those who have them.
    pub(crate) fn begin_with(&mut self, number: u32) {
        self.number = number;
    }

    /// Writes the part with all rows in memory as its last row group, under its hidden name. Closing means: for good.
    pub(crate) fn stage(&mut self, close: bool) -> Result<Staged, Error> {
        self.make_folder()?;
        let path = self.path();
        let hidden = temporary(&path);
        match self.write(&hidden, close) {
            Ok((file, bytes, written)) => Ok(Staged { file, hidden, path, closes: close, bytes, written }),
            Err(error) => {
                let _ = fs::remove_file(&hidden);
                Err(error)
            }
        }
    }

    /// Makes a staged part visible, and forgets the rows that are now closed.
    pub(crate) fn commit(&mut self, staged: &Staged) -> Result<u64, Error> {
        if let Err(source) = fs::rename(&staged.hidden, &staged.path) {
            let _ = fs::remove_file(&staged.hidden);
            return Err(Error::disk(&staged.path, source));
        }
        (self.dirty, self.on_disk, self.name_unsynced) = (false, true, true);
        self.written = self.group.len();
        if staged.closes {
            self.group.clear();
            self.written = 0;
            self.closed += 1;
            if staged.bytes >= PART_BYTES || self.closed >= PART_GROUPS {
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
        self.group.forget(std::mem::take(&mut self.written));
        self.closed += 1;
        0
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
        (self.on_disk, self.closed, self.written) = (false, 0, 0);
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

    fn write(&mut self, hidden: &Path, close: bool) -> Result<(File, u64, u64), Error> {
        let before = self.before()?;
        let target = File::create(hidden).map_err(|source| Error::disk(hidden, source))?;
        let copied = match &before {
            Some(before) => before.copy(&target, close || before.bytes >= HOLED_BYTES).map_err(|source| Error::disk(hidden, source))?,
            None => Copied::default(),
        };
        let known = before.as_ref().map_or(&[][..], |before| &before.metadata.row_groups()[..self.closed]);
        let bytes = self.append(&target, copied.end, known, Effort::of(&self.group, close)).map_err(|source| Error::part(hidden, source))?;
        Ok((target, bytes, copied.bytes + (bytes - copied.end)))
    }

    /// Writes the rows in memory behind the place where the copied bytes end, and the index of all row groups behind them. Returns the file's size.
    fn append(&self, target: &File, begin: u64, closed: &[RowGroupMetaData], effort: Effort) -> ParquetResult<u64> {
        (&*target).seek(SeekFrom::Start(begin))?;
        let mut target = Unhurried(BufWriter::with_capacity(BUFFER_BYTES, target));
        let mut writer = self.shape.writer(&mut target, effort)?;
        write_group(&mut writer, self.table, &self.group)?;
        writer.flush()?;
        let mut groups = closed.to_vec();
        for group in writer.flushed_row_groups() {
            groups.push(moved(group, i64::try_from(begin)?, groups.len())?);
        }
        drop(writer);
        let metadata = ParquetMetaData::new(self.shape.file_metadata(&groups), groups);
        // By way of memory: the writer of the index drops its buffer without telling what the disk said to the last of it.
        let mut index = Vec::new();
        ParquetMetaDataWriter::new(&mut index, &metadata).finish()?;
        target.write_all(&index)?;
        target.0.flush()?;
        Ok(target.0.stream_position()?)
    }

    /// The state on disk.
    ///
    /// When somebody took the file away or spoilt it, its closed rows are gone and no write can bring them back: the next number opens then, so that
    /// what comes after is safe. A disk that merely fails to read is an error, for the next publish to try again.
    fn before(&mut self) -> Result<Option<Before>, Error> {
        if !self.on_disk {
            return Ok(None);
        }
        let path = self.path();
        match File::open(&path) {
            Ok(file) => match check_flat(&file).and_then(|()| guarded(|| ParquetMetaDataReader::new().parse_and_finish(&file))) {
                Ok(metadata) if metadata.num_row_groups() >= self.closed => {
                    let bytes = file.metadata().map_err(|source| Error::disk(&path, source))?.len();
                    let (closed, open) = metadata.row_groups().split_at(self.closed);
                    let closed_end = closed.iter().map(|group| span(group).1).max();
                    let open_begin = open.first().map(|group| span(group).0).or(closed_end).unwrap_or(MAGIC_BYTES);
                    return Ok(Some(Before { file, bytes, closed_end, open_begin, metadata }));
                }
                Err(source @ ParquetError::External(_)) => return Err(Error::part(&path, source)),
                _ => self.leave(),
            },
            Err(source) if source.kind() == io::ErrorKind::NotFound => self.leave(),
            Err(source) => return Err(Error::disk(&path, source)),
        }
        Ok(None)
    }
}

/// What was copied of the state before.
#[derive(Clone, Copy, Debug, Default)]
struct Copied {
    /// Where what comes next begins. It begins with the mark of a Parquet file, which falls on the mark that the state before ends with.
    end: u64,
    /// How many bytes.
    bytes: u64,
}

impl Before {
    /// Copies the closed row groups, and unless the result shall be compact, the open one and the index, all to the places where they are.
    fn copy(&self, target: &File, compact: bool) -> io::Result<Copied> {
        if compact {
            let end = self.closed_end.unwrap_or(0);
            return Ok(Copied { end, bytes: copy_range(&self.file, target, 0, end)? });
        }
        let closed = copy_range(&self.file, target, 0, self.closed_end.unwrap_or(MAGIC_BYTES))?;
        let open = copy_range(&self.file, target, self.open_begin, self.bytes)?;
        Ok(Copied { end: self.bytes - MAGIC_BYTES, bytes: closed + open })
    }
}

/// The standard library lets the kernel copy, and file systems that can share blocks do not even copy.
fn copy_range(mut from: &File, mut to: &File, begin: u64, end: u64) -> io::Result<u64> {
    from.seek(SeekFrom::Start(begin))?;
    to.seek(SeekFrom::Start(begin))?;
    let wanted = end.saturating_sub(begin);
    let copied = io::copy(&mut from.take(wanted), &mut to)?;
    if copied < wanted { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(copied) }
}

/// Where a row group begins and ends in its file. Numbers that can't be right, from a file that somebody spoilt, become empty spans and not panics.
fn span(group: &RowGroupMetaData) -> (u64, u64) {
    let place = |column: &ColumnChunkMetaData| {
        let begin = u64::try_from(column.dictionary_page_offset().unwrap_or(column.data_page_offset())).unwrap_or(0);
        (begin, begin.saturating_add(u64::try_from(column.compressed_size()).unwrap_or(0)))
    };
    let begin = group.columns().iter().map(|column| place(column).0).min().unwrap_or(0);
    (begin, group.columns().iter().map(|column| place(column).1).max().unwrap_or(begin))
}

/// The same row group, so many bytes further on.
fn moved(group: &RowGroupMetaData, by: i64, ordinal: usize) -> ParquetResult<RowGroupMetaData> {
    let columns: ParquetResult<Vec<_>> = group
        .columns()
        .iter()
        .map(|column| {
            let dictionary = column.dictionary_page_offset().map(|offset| offset + by);
            column.clone().into_builder().set_data_page_offset(column.data_page_offset() + by).set_dictionary_page_offset(dictionary).build()
        })
        .collect();
    let begin = group.file_offset().map_or(by, |offset| offset + by);
    group.clone().into_builder().set_column_metadata(columns?).set_file_offset(begin).set_ordinal(i32::try_from(ordinal)?).build()
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
