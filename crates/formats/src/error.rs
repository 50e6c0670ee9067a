//! What can go wrong when a file is written.

use std::io;

use ::parquet::errors::ParquetError;
use arrow_schema::{ArrowError, DataType};

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk or pipe said no.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// A column holds something that Barograph never records.
    #[error("column {column:?} holds {kind}, which this format is not written for; leave it out with --columns")]
    Unsupported {
        /// The column.
        column: String,
        /// Arrow's name of what it holds.
        kind: DataType,
    },
    /// The writer of Parquet said no.
    #[error("parquet: {0}")]
    Parquet(#[source] ParquetError),
    /// The writer of Arrow's file format said no.
    #[error("arrow: {0}")]
    Arrow(#[source] ArrowError),
}

impl Error {
    /// Whether the reader of a pipe went away: for a program that writes to one, that is no failure.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

// Parquet and Arrow carry what the disk said inside errors of their own; unwrapped it is as clear as any other error of the disk.

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Error {
        match error {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(error) => Error::Write(*error),
                Err(inner) => Error::Parquet(ParquetError::External(inner)),
            },
            error => Error::Parquet(error),
        }
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Error {
        match error {
            ArrowError::IoError(_, error) => Error::Write(error),
            error => Error::Arrow(error),
        }
    }
}
