//! Why a file can't be shown: one sentence each, which says what to do next.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file could not be read as a recording.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk said no.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is nothing that can be shown, or only a part of it.
    #[error("{}: {what}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// A table without times.
    #[error("{}: no column has times; name one of its columns `time` ({})", path.display(), listed(columns))]
    NoTime {
        /// The file.
        path: PathBuf,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// The zone that was asked for.
    #[error("there is no time zone {0:?}; write UTC, Local, or a name such as Europe/Berlin")]
    NoZone(String),
    /// The recording that is made of the file could not be written or opened.
    #[error(transparent)]
    Store(#[from] barograph_store::Error),
}

impl ReadError {
    pub(crate) fn disk(path: &Path, source: io::Error) -> ReadError {
        ReadError::Disk { path: path.to_owned(), source }
    }

    pub(crate) fn unreadable(path: &Path, what: impl Into<String>) -> ReadError {
        ReadError::Unreadable { path: path.to_owned(), what: what.into() }
    }
}

/// Columns of which an error tells, and letters of each.
const TOLD: usize = 12;
const LETTERS: usize = 40;

/// What a terminal would obey is escaped: the names come from a file that is perhaps none.
fn listed(columns: &[String]) -> String {
    let mut names: Vec<String> = columns.iter().take(TOLD).map(|name| shown(name)).collect();
    if columns.len() > TOLD {
        names.push(format!("and {} more", columns.len() - TOLD));
    }
    if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) }
}

/// A piece of the file in a sentence.
pub(crate) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(LETTERS).flat_map(char::escape_debug).collect();
    if text.chars().count() > LETTERS {
        cut.push('…');
    }
    cut
}
