//! The part of a table that is being written: a Parquet file whose closed row groups stay as they are, and whose last one is written anew each time.
//!
//! Why so: a Parquet file ends in its index, so it can't grow in place and stay readable. Each write therefore makes the whole file anew under a
//! hidden name and renames it over the old one. What makes that cheap is that nearly all of it is copied as bytes, not encoded again, and that a part
//! stays small: when it has [`PART_BYTES`] or [`PART_GROUPS`] it is left for good, and the next number opens.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use barograph_model::Table;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedFileWriter;

use crate::Error;
use crate::disk::{Durability, temporary};
use crate::encode::{Effort, Shape, write_group};
use crate::group::Group;

/// A part of this size is left for good. Every publish writes the open part anew, so this bounds what a publish writes per table.
const PART_BYTES: u64 = 512 << 10;

/// A part with this many row groups is left for good: their entries in the file's index are read and written at every publish.
const PART_GROUPS: usize = 16;

/// The open part of one table, and the rows that it still has in memory.
pub(crate) struct OpenPart {
    pub(crate) table: &'static Table,
    pub(crate) group: Group,
    /// Whether there are rows that no file holds.
    pub(crate) dirty: bool,
    shape: Shape,
    folder: PathBuf,
    folder_made: bool,
    number: u32,
    /// Row groups at the beginning of the file that are no longer in memory.
    closed: usize,
}

/// A part that is written under its hidden name, and not yet visible.
pub(crate) struct Staged {
    file: File,
    hidden: PathBuf,
    path: PathBuf,
    closes: bool,
    bytes: u64,
}

impl OpenPart {
    pub(crate) fn new(table: &'static Table, recording: &Path, id: &str) -> Result<OpenPart, Error> {
        let folder = recording.join(table.name);
        let shape = Shape::new(table, id).map_err(|source| Error::part(&folder, source))?;
        Ok(OpenPart { table, group: Group::new(table), dirty: false, shape, folder, folder_made: false, number: 0, closed: 0 })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the part with all rows in memory as its last row group, under its hidden name. Closing means: for good.
    pub(crate) fn stage(&mut self, close: bool) -> Result<Staged, Error> {
        self.make_folder()?;
        let path = self.path();
        let hidden = temporary(&path);
        match self.write(&hidden, Effort::of(&self.group, close)) {
            Ok((file, bytes)) => Ok(Staged { file, hidden, path, closes: close, bytes }),
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
        self.dirty = false;
        if staged.closes {
            self.group.clear();
            self.closed += 1;
            if staged.bytes >= PART_BYTES || self.closed >= PART_GROUPS {
                self.leave();
            }
        }
        Ok(staged.bytes)
    }

    fn leave(&mut self) {
        self.number += 1;
        self.closed = 0;
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

    fn write(&mut self, hidden: &Path, effort: Effort) -> Result<(File, u64), Error> {
        let before = self.closed_groups()?;
        let target = File::create(hidden).map_err(|source| Error::disk(hidden, source))?;
        let mut writer = self.shape.writer(target, effort).map_err(|source| Error::part(hidden, source))?;
        if let Some((file, metadata)) = before {
            copy_groups(&mut writer, &file, metadata, self.closed).map_err(|source| Error::part(hidden, source))?;
        }
        write_group(&mut writer, self.table, &self.group).and_then(|()| writer.finish()).map_err(|source| Error::part(hidden, source))?;
        let bytes = writer.bytes_written() as u64;
        let file = writer.inner().try_clone().map_err(|source| Error::disk(hidden, source))?;
        Ok((file, bytes))
    }

    /// The file on disk, if it has closed row groups to be copied.
    ///
    /// When somebody took the file away or spoilt it, its closed rows are gone and no write can bring them back: the next number opens then, so that
    /// what comes after is safe. A disk that merely fails to read is an error, for the next publish to try again.
    fn closed_groups(&mut self) -> Result<Option<(File, ParquetMetaData)>, Error> {
        if self.closed == 0 {
            return Ok(None);
        }
        let path = self.path();
        match File::open(&path) {
            Ok(file) => match ParquetMetaDataReader::new().parse_and_finish(&file) {
                Ok(metadata) if metadata.num_row_groups() >= self.closed => return Ok(Some((file, metadata))),
                Err(source @ ParquetError::External(_)) => return Err(Error::part(&path, source)),
                _ => self.leave(),
            },
            Err(source) if source.kind() == io::ErrorKind::NotFound => self.leave(),
            Err(source) => return Err(Error::disk(&path, source)),
        }
        Ok(None)
    }
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

/// Copies the first row groups of a file as bytes.
fn copy_groups<W: Write + Send>(target: &mut SerializedFileWriter<W>, file: &File, metadata: ParquetMetaData, groups: usize) -> ParquetResult<()> {
    for group in metadata.row_groups().iter().take(groups) {
        copy_group(target, file, group)?;
    }
    Ok(())
}

/// One read for a whole row group, then its columns from memory: a read for each of forty columns would cost more than the encoding.
fn copy_group<W: Write + Send>(target: &mut SerializedFileWriter<W>, file: &File, group: &RowGroupMetaData) -> ParquetResult<()> {
    let Some(begin) = group.columns().iter().map(|column| column.byte_range().0).min() else { return Ok(()) };
    let end = group.columns().iter().map(|column| column.byte_range().0 + column.byte_range().1).max().unwrap_or(begin);
    let bytes = file.get_bytes(begin, usize::try_from(end - begin)?)?;
    let begin = i64::try_from(begin)?;
    let mut copied = target.next_row_group()?;
    for column in group.columns() {
        let metadata = column.clone().into_builder();
        let metadata = metadata
            .set_data_page_offset(column.data_page_offset() - begin)
            .set_dictionary_page_offset(column.dictionary_page_offset().map(|offset| offset - begin))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: metadata.compressed_size().unsigned_abs(),
            rows_written: group.num_rows().unsigned_abs(),
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        copied.append_column(&bytes, close)?;
    }
    copied.close()?;
    Ok(())
}
