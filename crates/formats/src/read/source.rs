//! What every reader of a format gives: rows of cells, in the order of the file, as often as they are asked for.

use std::fs::File;
use std::path::PathBuf;

use super::ReadError;
use super::shape::Convert;

/// A cell that is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Int(i64),
    Float(f64),
    /// Bytes of a format that knows nothing but text: it may be a number.
    Raw(&'a [u8]),
    /// What is text for sure.
    Text(&'a [u8]),
    /// UTC nanoseconds.
    Utc(i64),
    /// Nanoseconds of the clock on the wall since 1970, in a zone that is not said.
    Local(i64),
}

/// A row that lies in the reader's memory.
pub(crate) trait Row {
    fn get(&self, column: usize) -> Option<Value<'_>>;
}

/// A column as the file has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// `table.column`, where the file says so.
    pub(crate) id: Option<String>,
    /// Whether the format itself says that it holds moments.
    pub(crate) is_moments: bool,
    /// What its numbers become, where the format knows more than the name says.
    pub(crate) convert: Convert,
    /// Whether a cell tells of the time since the row before: at the beginning of a run it tells nothing.
    pub(crate) is_interval: bool,
}

/// Which rows are the beginning of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Baseline {
    /// Nobody knows.
    #[default]
    Unknown,
    /// The first one.
    First,
    /// The first one, and each with nothing in this column.
    Without(usize),
}

impl Column {
    pub(crate) fn named(name: impl Into<String>) -> Column {
        Column { name: name.into(), ..Column::default() }
    }
}

/// What of a file could not be rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Lines that are no rows of the table.
    pub(crate) lines: u64,
    /// Whether the last line was cut off.
    pub(crate) torn: bool,
}

/// Takes the rows.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&dyn Row) -> Result<(), ReadError>;

/// A file that was opened. It gives the same rows each time, also while somebody writes to its end.
pub(crate) trait Source {
    fn columns(&self) -> &[Column];

    fn baseline(&self) -> Baseline {
        Baseline::Unknown
    }

    fn each(&mut self, row: Each<'_>) -> Result<LeftOut, ReadError>;
}

/// A file, and how much of it was there when it was opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) bytes: u64,
    /// Its first bytes.
    pub(crate) head: Vec<u8>,
}

/// Columns that a file may have.
pub(crate) const MOST_COLUMNS: usize = 16_384;

/// Bytes that one line may have.
pub(crate) const LONGEST_LINE: u64 = 4 << 20;

/// Gives each column a name of its own, and says how many had that of another.
pub(crate) fn unique_names(names: impl IntoIterator<Item = String>) -> (Vec<String>, u64) {
    let mut known = std::collections::HashSet::new();
    let (mut unique, mut twice) = (Vec::new(), 0);
    for (place, name) in names.into_iter().enumerate() {
        // A terminal obeys some characters; nobody needs them in a name.
        let plain = |char: char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char };
        let name: String = name.trim().chars().map(plain).take(LONGEST_NAME).collect();
        let plain = if name.is_empty() && place > 0 { format!("column_{}", place + 1) } else { name };
        let mut free = plain.clone();
        let mut number = 2;
        while !known.insert(free.clone()) {
            free = format!("{plain}_{number}");
            number += 1;
        }
        twice += u64::from(number > 2);
        unique.push(free);
    }
    (unique, twice)
}

const LONGEST_NAME: usize = 200;
