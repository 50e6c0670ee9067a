//! Files that other tools read, one module for each format.
//!
//! A format takes Arrow record batches, all of one schema, and writes one file. [`Format::ALL`] is the list; to add a format is a module and a line
//! there. [`as_recording`] goes the other way: it opens a file, ours or anybody's, as the recording that it could have been.

mod arrow;
mod cell;
mod csv;
mod error;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod jsonl;
mod parquet;
mod read;

pub use arrow_array::RecordBatch;
pub use arrow_schema::SchemaRef;
pub use error::Error;
pub use format::{Exporter, Format, Options, Output};
pub use read::{AsRecording, ReadError, as_recording, leave_nothing};
