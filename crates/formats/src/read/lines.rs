//! JSON lines: an object for each row. Its keys are the columns; numbers are numbers and texts are texts.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use serde_json::{Map, Value as Json};

use super::ReadError;
use super::source::{Column, Each, LONGEST_LINE, LeftOut, MOST_COLUMNS, Opening, Row, Source, Value};

pub(crate) fn sniff(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    matches!(head.trim_ascii_start().first(), Some(b'{' | b'['))
}

pub(crate) fn open(opening: Opening) -> Result<Box<dyn Source>, ReadError> {
    let mut lines = Lines { opening, columns: Vec::new() };
    let mut places: HashMap<String, usize> = HashMap::new();
    let (mut objects, mut first_wrong) = (0_u64, None);
    let (mut number, mut wrong) = (0_u64, 0_u64);
    let path = lines.opening.path.clone();
    lines.each_line(&mut |line, _| {
        number += 1;
        match object(line) {
            Ok(object) => {
                objects += 1;
                for key in object.keys() {
                    if !places.contains_key(key) {
                        places.insert(key.clone(), places.len());
                    }
                }
            }
            Err(error) => {
                wrong += 1;
                first_wrong.get_or_insert((number, error));
            }
        }
        // A file of something else is told at once.
        let what = match &first_wrong {
            Some((line, why)) if objects == 0 || wrong > objects.max(8) => {
                format!("line {line} is no JSON object ({why}); give a file with one object a line, as `jq -c '.[]'` writes it from a list")
            }
            _ if places.len() > MOST_COLUMNS => format!("its lines have more than {MOST_COLUMNS} different keys; leave some out"),
            _ => return Ok(()),
        };
        Err(ReadError::unreadable(&path, what))
    })?;
    let mut columns = vec![Column::default(); places.len()];
    for (name, place) in places {
        columns[place] = Column::named(name);
    }
    lines.columns = columns;
    Ok(Box::new(lines))
}

/// What follows the object on its line, or why there is none.
fn object(line: &[u8]) -> Result<Map<String, Json>, String> {
    serde_json::from_slice(line).map_err(|error| {
        // The place is that in the line, and there is but one.
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or_default().to_owned()
    })
}

/// Takes a line, and whether it is the last one and has no end.
type EachLine<'a> = &'a mut dyn FnMut(&[u8], bool) -> Result<(), ReadError>;

struct Lines {
    opening: Opening,
    columns: Vec<Column>,
}

impl Lines {
    /// Each line that is not empty.
    fn each_line(&self, take: EachLine<'_>) -> Result<(), ReadError> {
        let disk = |error| ReadError::disk(&self.opening.path, error);
        let mut file = self.opening.file.try_clone().map_err(disk)?;
        file.seek(SeekFrom::Start(0)).map_err(disk)?;
        let mut reader = BufReader::with_capacity(1 << 16, file.take(self.opening.bytes));
        let mut line = Vec::new();
        let mut is_first = true;
        loop {
            line.clear();
            let count = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(disk)?;
            if count == 0 {
                return Ok(());
            }
            let ends = line.last() == Some(&b'\n');
            if !ends && count as u64 == LONGEST_LINE {
                let what = format!("it has a line of more than {} MB; give a file with one JSON object a line", LONGEST_LINE >> 20);
                return Err(ReadError::unreadable(&self.opening.path, what));
            }
            let mut text = line.as_slice();
            if std::mem::take(&mut is_first) {
                text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
            }
            if !text.trim_ascii().is_empty() {
                take(text, !ends)?;
            }
        }
    }
}

impl Source for Lines {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn each(&mut self, row: Each<'_>) -> Result<LeftOut, ReadError> {
        let mut left_out = LeftOut::default();
        let names: HashMap<&str, usize> = self.columns.iter().enumerate().map(|(place, column)| (column.name.as_str(), place)).collect();
        let mut cells: Vec<Option<Owned>> = Vec::new();
        self.each_line(&mut |line, is_last| {
            let Ok(object) = object(line) else {
                if is_last {
                    left_out.torn = true;
                } else {
                    left_out.lines += 1;
                }
                return Ok(());
            };
            cells.clear();
            cells.resize(names.len(), None);
            for (key, value) in object {
                if let Some(place) = names.get(key.as_str()) {
                    cells[*place] = Owned::of(value);
                }
            }
            row(&Cells(&cells))
        })?;
        Ok(left_out)
    }
}

#[derive(Clone)]
enum Owned {
    Int(i64),
    Float(f64),
    Text(String),
}

impl Owned {
    fn of(value: Json) -> Option<Owned> {
        Some(match value {
            Json::Null => return None,
            Json::Bool(value) => Owned::Int(value.into()),
            Json::Number(number) => match number.as_i64() {
                Some(value) => Owned::Int(value),
                None => Owned::Float(number.as_f64()?),
            },
            Json::String(text) => Owned::Text(text),
            // What is within is told as it stands there.
            nested => Owned::Text(nested.to_string()),
        })
    }
}

struct Cells<'a>(&'a [Option<Owned>]);

impl Row for Cells<'_> {
    fn get(&self, column: usize) -> Option<Value<'_>> {
        self.0.get(column)?.as_ref().map(|cell| match cell {
            Owned::Int(value) => Value::Int(*value),
            Owned::Float(value) => Value::Float(*value),
            Owned::Text(text) => Value::Text(text.as_bytes()),
        })
    }
}
