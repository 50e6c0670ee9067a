//! What can go wrong with a recording: each error says which path, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

/// Why a recording could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk said no.
    #[error("{}: {source}{}", path.display(), advice(source))]
    Disk {
        /// The file or folder concerned.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Nothing stands at this path.
    #[error("{}: there is no such recording; `barograph ls` lists those of a folder", path.display())]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Something else stands at this path.
    #[error("{}: this is not a recording: {why}", path.display())]
    NotARecording {
        /// The path that was asked for.
        path: PathBuf,
        /// What it is instead, and what to do.
        why: String,
    },
    /// The name is taken.
    #[error("{}: this name is taken, and a recording is never overwritten; choose another name, or overwrite it with --force", path.display())]
    Exists {
        /// The name that is taken.
        path: PathBuf,
    },
    /// The recording is still being written by a recorder that lives.
    #[error("{}: this is still being recorded by process {pid}; end that first", path.display())]
    Live {
        /// The recording.
        path: PathBuf,
        /// The recorder.
        pid: u64,
    },
    /// The recording was written by a later Barograph.
    #[error("{}: this has format {found}, and this Barograph reads formats up to {known}; use a newer one", path.display())]
    TooNew {
        /// The recording.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// The facts of the recording can't be read.
    #[error("{}: {source}; `barograph repair` rebuilds it from the tables", path.display())]
    Facts {
        /// Where `recording.json` is.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: serde_json::Error,
    },
    /// A Parquet file is not what it should be.
    #[error("{}: {source}; `barograph repair` puts files that can't be read aside", path.display())]
    Part {
        /// The file.
        path: PathBuf,
        /// What the reader or writer of Parquet said.
        #[source]
        source: ParquetError,
    },
    /// The recording has no such table.
    #[error("{}: there is no table {table:?}; there are {}", path.display(), known.join(", "))]
    NoTable {
        /// The recording.
        path: PathBuf,
        /// The table that was asked for.
        table: String,
        /// The tables that there are.
        known: Vec<String>,
    },
    /// The table has no such column.
    #[error("table {table:?} has no column {column:?}; it has {}", known.join(", "))]
    NoColumn {
        /// The table.
        table: String,
        /// The column that was asked for.
        column: String,
        /// The columns that there are.
        known: Vec<String>,
    },
    /// There is no such event.
    #[error("there is no event {key:?}; `barograph mark --list` tells those that there are, with their keys")]
    NoEvent {
        /// The key that was asked for.
        key: String,
    },
    /// The recorder itself said it.
    #[error("the event {key:?} is what the recorder said, which can't be changed")]
    NotRevisable {
        /// Its key.
        key: String,
    },
    /// The column holds no numbers, and numbers were asked for.
    #[error("column {column:?} of table {table:?} holds no numbers")]
    NotNumeric {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// The parts changed so fast that no consistent set of them could be opened.
    #[error("{}: the parts of this table changed faster than they could be read; try again", path.display())]
    Unsteady {
        /// The folder of the table.
        path: PathBuf,
    },
}

impl Error {
    /// Whether the disk, or a quota, has no room left.
    pub fn is_full(&self) -> bool {
        matches!(self, Error::Disk { source, .. } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    pub(crate) fn disk(path: &Path, source: io::Error) -> Error {
        Error::Disk { path: path.to_owned(), source }
    }

    /// Parquet wraps what the disk said; unwrapped it is as clear as any other error of the disk.
    pub(crate) fn part(path: &Path, source: ParquetError) -> Error {
        match source {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(disk) => Error::disk(path, *disk),
                Err(inner) => Error::Part { path: path.to_owned(), source: ParquetError::External(inner) },
            },
            source => Error::Part { path: path.to_owned(), source },
        }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => "; make room, or record to another disk with -o",
        io::ErrorKind::QuotaExceeded => "; the quota is used up: make room, or record elsewhere with -o",
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => "; record to a folder that you may write with -o",
        _ => "",
    }
}
