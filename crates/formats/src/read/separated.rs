//! Comma-, tab- and semicolon-separated values with a line of names, quoted as RFC 4180 says or not at all.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use ::csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::ReadError;
use super::source::{Baseline, Column, Each, LONGEST_LINE, LeftOut, MOST_COLUMNS, Opening, Row, Source, Value, unique_names};

/// What may stand between cells.
const DELIMITERS: [u8; 3] = [b',', b'\t', b';'];

/// Any text may be such a file.
pub(crate) fn sniff(_head: &[u8]) -> bool {
    true
}

pub(crate) fn open(opening: Opening) -> Result<Box<dyn Source>, ReadError> {
    Ok(Box::new(Separated::open(opening, 0)?))
}

pub(crate) struct Separated {
    opening: Opening,
    delimiter: u8,
    /// Where the line of names begins.
    begin: u64,
    columns: Vec<Column>,
    baseline: Baseline,
}

impl Separated {
    /// The line of names begins at this byte.
    pub(crate) fn open(opening: Opening, begin: u64) -> Result<Separated, ReadError> {
        let from = usize::try_from(begin).unwrap_or(usize::MAX).min(opening.head.len());
        let line = opening.head[from..].split(|byte| *byte == b'\n').next().unwrap_or_default();
        if line.iter().any(|byte| *byte < b' ' && !b"\t\r".contains(byte)) {
            return Err(ReadError::unreadable(&opening.path, NO_TABLE));
        }
        let delimiter = DELIMITERS.into_iter().max_by_key(|delimiter| (outside_quotes(line, *delimiter), *delimiter == b',')).unwrap_or(b',');
        let mut separated = Separated { opening, delimiter, begin, columns: Vec::new(), baseline: Baseline::Unknown };
        let mut header = None;
        // One record is enough.
        separated.records(&mut |record| {
            if header.is_none() {
                header = Some(record.clone());
            }
            Ok(false)
        })?;
        let header = header.ok_or_else(|| ReadError::unreadable(&separated.opening.path, "it has no line in it; there is nothing to show"))?;
        if header.len() > MOST_COLUMNS {
            let what = format!("it has {} columns, and no more than {MOST_COLUMNS} can be shown; leave some out", header.len());
            return Err(ReadError::unreadable(&separated.opening.path, what));
        }
        let Ok(names) = header.iter().map(|name| std::str::from_utf8(name).map(str::to_owned)).collect::<Result<Vec<String>, _>>() else {
            return Err(ReadError::unreadable(&separated.opening.path, NO_TABLE));
        };
        let names = names.into_iter().enumerate().map(|(place, name)| if place == 0 { name.trim_start_matches('\u{feff}').to_owned() } else { name });
        separated.columns = unique_names(names).0.into_iter().map(Column::named).collect();
        Ok(separated)
    }

    /// The same as a program wrote it of which more is known than the names of its columns.
    pub(crate) fn meaning(mut self, meaning: impl Fn(&mut Column), baseline: Baseline) -> Separated {
        self.columns.iter_mut().for_each(meaning);
        self.baseline = baseline;
        self
    }

    /// Every record, the line of names included, until one is answered with false.
    fn records(&mut self, take: &mut dyn FnMut(&ByteRecord) -> Result<bool, ReadError>) -> Result<(), ReadError> {
        let path = &self.opening.path;
        let disk = |error| ReadError::disk(path, error);
        let mut file = self.opening.file.try_clone().map_err(disk)?;
        file.seek(SeekFrom::Start(self.begin)).map_err(disk)?;
        let until = Rc::new(Cell::new(LONGEST_LINE));
        let input = Bounded { input: file.take(self.opening.bytes - self.begin.min(self.opening.bytes)), read: 0, until: until.clone() };
        let mut reader =
            ReaderBuilder::new().delimiter(self.delimiter).has_headers(false).flexible(true).buffer_capacity(BUFFER as usize).from_reader(input);
        let mut record = ByteRecord::new();
        loop {
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err(self.refused(error)),
            }
            until.set(reader.position().byte() + LONGEST_LINE);
            if !take(&record)? {
                return Ok(());
            }
        }
    }

    fn refused(&self, error: ::csv::Error) -> ReadError {
        match error.into_kind() {
            ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => ReadError::unreadable(&self.opening.path, error.to_string()),
            ErrorKind::Io(error) => ReadError::disk(&self.opening.path, error),
            other => ReadError::unreadable(&self.opening.path, format!("{other:?}")),
        }
    }

    /// Whether the last line, which begins here, was cut off. What has no end of line but all its cells is taken for whole, unless the program that wrote
    /// it ends every line.
    fn is_torn(&self, record: &ByteRecord) -> Result<bool, ReadError> {
        let begin = self.begin + record.position().map_or(0, ::csv::Position::byte);
        let length = self.opening.bytes.saturating_sub(begin).min(LONGEST_LINE + BUFFER);
        let mut line = vec![0; usize::try_from(length).unwrap_or_default()];
        self.opening.file.read_exact_at(&mut line, begin).map_err(|error| ReadError::disk(&self.opening.path, error))?;
        let ends = line.ends_with(b"\n");
        // An open quote swallows all that comes, ends of lines included.
        let is_open = line.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if is_open && (!ends || text.contains(&b'\n')) {
            return Ok(true);
        }
        Ok(!ends && (record.len() != self.columns.len() || self.is_ours()))
    }

    fn is_ours(&self) -> bool {
        self.columns.iter().any(|column| column.name == barograph_store::MONOTONIC)
    }
}

const NO_TABLE: &str = "it is no recording, and no table that can be read; give a folder NAME.baro, or a CSV, TSV, JSON lines, Parquet or Arrow file";

/// How often it stands there and is no part of a quoted cell.
fn outside_quotes(line: &[u8], delimiter: u8) -> usize {
    let mut quoted = false;
    line.iter()
        .filter(|byte| {
            quoted ^= **byte == b'"';
            !quoted && **byte == delimiter
        })
        .count()
}

impl Source for Separated {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn baseline(&self) -> Baseline {
        self.baseline
    }

    fn each(&mut self, row: Each<'_>) -> Result<LeftOut, ReadError> {
        let width = self.columns.len();
        let mut left_out = LeftOut::default();
        // The last one is looked at before it is believed.
        let mut last: Option<ByteRecord> = None;
        let mut is_header = true;
        self.records(&mut |record| {
            if std::mem::take(&mut is_header) {
                return Ok(true);
            }
            match &mut last {
                None => last = Some(record.clone()),
                Some(last) => {
                    if last.len() == width {
                        row(&Record(last))?;
                    } else {
                        left_out.lines += 1;
                    }
                    last.clone_from(record);
                }
            }
            Ok(true)
        })?;
        if let Some(last) = last {
            if self.is_torn(&last)? {
                left_out.torn = true;
            } else if last.len() == width {
                row(&Record(&last))?;
            } else {
                left_out.lines += 1;
            }
        }
        Ok(left_out)
    }
}

struct Record<'a>(&'a ByteRecord);

impl Row for Record<'_> {
    /// An empty cell is none.
    fn get(&self, column: usize) -> Option<Value<'_>> {
        self.0.get(column).filter(|cell| !cell.is_empty()).map(Value::Raw)
    }
}

/// Bytes that are read at once.
const BUFFER: u64 = 1 << 16;

/// Input that fails when a line gets too long for the memory that it would take.
struct Bounded<R> {
    input: R,
    read: u64,
    until: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read > self.until.get() + BUFFER {
            let what =
                format!("it has a line of more than {} MB, so it is no table of readings; give a CSV file with a line for each", LONGEST_LINE >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let count = self.input.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}
