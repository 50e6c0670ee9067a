//! How rows become a row group of Parquet, and a file's index tells of it: one column at a time, so that no second copy of the rows is made.
//!
//! Why not the parquet crate, which reads our files: it can't continue a file, it takes a schema, properties and a compressor for each column of each file,
//! and a recorder of a hundred tables' states a minute pays for that again and again. What it takes to write flat columns is here and in [`crate::pages`].
//!
//! Chosen by measurement (`examples/day.rs` repeats it):
//! - few rows: DELTA_BINARY_PACKED for whole numbers, not compressed;
//! - tables keyed by process, device …: rows of a subject side by side;
//! - many rows: the encoding that makes a column smallest, which is tried out now and then. What stands still is smallest PLAIN,
//!   what grows by DELTA_BINARY_PACKED, what sways by BYTE_STREAM_SPLIT, and most columns have subjects of all three kinds;
//! - texts and the times of keyed tables by dictionary: they repeat; other numbers never: a dictionary of them only grows;
//! - statistics for times and keys alone: what readers prune by. For the other columns they would be a third of a small file.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use barograph_model::{Physical, Table, Words};
use zstd::bulk::Compressor;

use crate::arrow::arrow_schema;
use crate::group::Group;
use crate::pages::{delta, plain, plain_text, runs, split, width_below};
use crate::schema::{MONOTONIC, TIME, table_metadata};
use crate::thrift::{BINARY, INT, STRUCT, Struct, bytes, zigzag};

/// Level 3 makes our row groups 3 % smaller, and takes 500 KB more memory while it works: a sixteenth of all that the recorder may have.
const ZSTD_LEVEL: i32 = 1;

/// Who made the file, in the form in which readers look for the faults of known writers.
const WRITER: &str = concat!("barograph version ", env!("CARGO_PKG_VERSION"));

/// What a Parquet file begins and ends with.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";

/// Before the mark at the end stands the length of the index.
pub(crate) const TAIL_BYTES: usize = 8;

/// Bytes that go to the file at once, about.
const WRITE_BYTES: usize = 64 << 10;

/// Rows in a page at most: what a reader decodes at once.
const PAGE_ROWS: usize = 1 << 14;

/// A group of fewer rows is not worth compressing: of a recording of a moment that would be most of the work.
const WORTH_COMPRESSING: usize = 128;

/// Row groups for which the encoding of a column stays as it was chosen.
const CHOICE_STANDS: u32 = 8;

/// Longer texts are no good as limits by which readers prune.
const LONGEST_LIMIT: usize = 64;

/// How hard to try for few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Not compressed: for few rows.
    Light,
    /// Compressed.
    Full,
}

/// Parquet's numbers for encodings, and for the compression of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Plain = 0,
    Runs = 3,
    Delta = 5,
    Dictionary = 8,
    Split = 9,
}
const UNCOMPRESSED: i32 = 0;
const ZSTD: i32 = 6;

/// Parquet's number for a type.
fn type_number(physical: Physical) -> i32 {
    match physical {
        Physical::Int => 2,
        Physical::Float => 5,
        Physical::Text => 6,
    }
}

/// A file that is being written from some place on.
pub(crate) struct Output<'a> {
    file: &'a File,
    written: u64,
    waiting: Vec<u8>,
}

impl Output<'_> {
    /// Goes on where the first so many bytes stand already.
    pub(crate) fn new(file: &File, begin: u64) -> Output<'_> {
        let waiting = if begin == 0 { MAGIC.to_vec() } else { Vec::new() };
        Output { file, written: begin, waiting }
    }

    /// Where the next byte goes.
    pub(crate) fn place(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.waiting, self.written)?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// What all parts of a table have in common, worked out once: the columns, and most of the index.
pub(crate) struct Shape {
    keyed: bool,
    columns: Vec<Column>,
    /// The index up to the row groups, and from behind them on.
    head: Box<[u8]>,
    tail: Box<[u8]>,
}

struct Column {
    name: String,
    physical: Physical,
    nullable: bool,
    /// Whether the index says the least and the greatest value.
    limited: bool,
    /// How its numbers are written for good, and for how many row groups more.
    chosen: Encoding,
    stands: u32,
}

/// What the index says of a row group, and where its rows are.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) rows: usize,
    told: Vec<u8>,
}

impl Shape {
    pub(crate) fn new(table: &'static Table, recording: &str) -> Shape {
        let times = [TIME, MONOTONIC].map(|name| Column {
            name: name.to_owned(),
            physical: Physical::Int,
            nullable: false,
            limited: true,
            chosen: Encoding::Delta,
            stands: 0,
        });
        let metrics = table.metrics.iter().enumerate().map(|(index, metric)| Column {
            name: metric.column(),
            physical: metric.physical,
            nullable: true,
            // Bits of broken numbers have another order than the numbers.
            limited: index < table.keys && metric.physical != Physical::Float,
            chosen: Encoding::Delta,
            stands: 0,
        });
        let columns: Vec<Column> = times.into_iter().chain(metrics).collect();
        let mut head = Vec::new();
        Struct::write_after(&mut head, 0, |file| {
            file.int(1, 1).list(2, STRUCT, columns.len() + 1, |out| {
                Struct::write(out, |root| {
                    root.bytes(4, b"row").int(5, columns.len() as i32);
                });
                columns.iter().for_each(|column| column.tell(out));
            });
        });
        let pairs = table_metadata(table, recording);
        let arrow = arrow_schema(table, &pairs);
        let mut tail = Vec::new();
        Struct::write_after(&mut tail, 4, |file| {
            // Twice, as pyarrow shows only what stands in Arrow's schema, and DuckDB only what stands beside it.
            file.list(5, STRUCT, pairs.len() + 1, |out| {
                for (key, value) in pairs.iter().map(|(key, value)| (&**key, &**value)).chain([("ARROW:schema", &*arrow)]) {
                    Struct::write(out, |pair| {
                        pair.bytes(1, key.as_bytes()).bytes(2, value.as_bytes());
                    });
                }
            });
            file.bytes(6, WRITER.as_bytes());
            // The order of all limits is that of the type.
            file.list(7, STRUCT, columns.len(), |out| {
                columns.iter().for_each(|_| {
                    Struct::write(out, |order| {
                        order.inner(1, |_| {});
                    });
                });
            });
        });
        tail.push(0);
        // They stay for as long as the recording goes on.
        Shape { keyed: table.keys > 0, columns, head: head.into_boxed_slice(), tail: tail.into_boxed_slice() }
    }

    /// Ends the file with its index. Returns its size, and its last bytes.
    pub(crate) fn finish(&self, mut output: Output<'_>, entries: &[&Entry]) -> io::Result<(u64, [u8; TAIL_BYTES])> {
        let begin = output.place();
        let out = &mut output.waiting;
        out.extend_from_slice(&self.head);
        Struct::write_after(out, 2, |file| {
            file.long(3, entries.iter().map(|entry| entry.rows as u64).sum());
            file.list(4, STRUCT, entries.len(), |out| entries.iter().for_each(|entry| out.extend_from_slice(&entry.told)));
        });
        out.extend_from_slice(&self.tail);
        let length = u32::try_from(output.place() - begin).map_err(io::Error::other)?;
        let mut tail = [0; TAIL_BYTES];
        tail[..4].copy_from_slice(&length.to_le_bytes());
        tail[4..].copy_from_slice(MAGIC);
        output.waiting.extend_from_slice(&tail);
        output.flush()?;
        Ok((output.written, tail))
    }
}

impl Column {
    /// The column's element of the schema.
    fn tell(&self, out: &mut Vec<u8>) {
        Struct::write(out, |element| {
            element.int(1, type_number(self.physical)).int(3, self.nullable.into()).bytes(4, self.name.as_bytes());
            if self.physical == Physical::Text {
                element.int(6, 0).inner(10, |logical| {
                    logical.inner(1, |_| {});
                });
            } else if self.name == TIME {
                element.inner(10, |logical| {
                    logical.inner(8, |timestamp| {
                        timestamp.truth(1, true).inner(2, |unit| {
                            unit.inner(3, |_| {});
                        });
                    });
                });
            }
        });
    }

    /// The encodings among which to choose for its values, if they have no dictionary.
    fn candidates(&self, effort: Effort) -> &'static [Encoding] {
        match (self.physical, effort) {
            // All of them are absent.
            (Physical::Text, _) => &[Encoding::Plain],
            (Physical::Int, Effort::Light) => &[Encoding::Delta],
            (Physical::Float, Effort::Light) => &[Encoding::Plain],
            (Physical::Int, Effort::Full) => &[Encoding::Delta, Encoding::Split, Encoding::Plain],
            (Physical::Float, Effort::Full) => &[Encoding::Split, Encoding::Plain],
        }
    }
}

/// What it takes to encode, kept from one column to the next.
#[derive(Default)]
pub(crate) struct Encoder {
    compressor: Option<Compressor<'static>>,
    /// The cells of the column, in the order in which they came.
    cells: Vec<u64>,
    present: Vec<bool>,
    /// Which of them are present, in the order in which they are written, and the values of those that are.
    levels: Vec<bool>,
    values: Vec<u64>,
    indexes: Vec<u32>,
    /// The pages of the column one after the other, before and after compression.
    raw: Vec<u8>,
    compressed: Vec<u8>,
    pages: Vec<Page>,
}

struct Page {
    /// Values in it, absent ones too.
    count: usize,
    /// Where it ends, before and after compression.
    raw_end: usize,
    compressed_end: usize,
}

/// A dictionary of a column: what its cells are numbers of.
enum Dictionary<'a> {
    None,
    Numbers(Vec<u64>),
    Texts(Vec<&'a str>),
}

impl Dictionary<'_> {
    fn len(&self) -> usize {
        match self {
            Dictionary::None => 0,
            Dictionary::Numbers(numbers) => numbers.len(),
            Dictionary::Texts(texts) => texts.len(),
        }
    }
}

impl Encoder {
    /// Writes the rows from this one on as one row group.
    pub(crate) fn write_group(&mut self, output: &mut Output<'_>, shape: &mut Shape, group: &Group, from: usize) -> io::Result<Entry> {
        let effort = if group.len() - from >= WORTH_COMPRESSING { Effort::Full } else { Effort::Light };
        let begin = output.place();
        let order = group.order(from);
        let mut chunks = Vec::new();
        let mut raw_bytes = 0;
        for (place, column) in shape.columns.iter_mut().enumerate() {
            group.unpack(place, from, &mut self.cells, &mut self.present);
            let dictionary = match column.physical {
                Physical::Text => self.number_texts(&group.cells(place).words),
                _ if !column.nullable && shape.keyed => self.number_runs(),
                _ => Dictionary::None,
            };
            self.collect(&order);
            raw_bytes += self.write_column(output, &mut chunks, column, &dictionary, effort)?;
        }
        let (end, rows) = (output.place(), order.len());
        let mut told = Vec::with_capacity(chunks.len() + 32);
        Struct::write(&mut told, |entry| {
            entry.list(1, STRUCT, shape.columns.len(), |out| out.extend_from_slice(&chunks));
            entry.long(2, raw_bytes).long(3, rows as u64).long(6, end - begin);
        });
        Ok(Entry { begin, end, rows, told })
    }

    /// Writes a column, and tells of it. Returns how many bytes its pages would be without compression.
    fn write_column(
        &mut self,
        output: &mut Output<'_>,
        told: &mut Vec<u8>,
        column: &mut Column,
        dictionary: &Dictionary<'_>,
        effort: Effort,
    ) -> io::Result<u64> {
        let (encoding, codec) = self.encode(column, dictionary, effort)?;
        let begin = output.place();
        let data_begin = self.put_pages(output, encoding, codec == ZSTD)?;
        let end = output.place();
        let body = if codec == ZSTD { self.compressed.len() } else { self.raw.len() } as u64;
        let raw_bytes = end - begin - body + self.raw.len() as u64;
        Struct::write(told, |chunk| {
            // Where the chunk is told of once more: nowhere.
            chunk.long(2, 0).inner(3, |chunk| {
                let encodings: &[Encoding] =
                    if encoding == Encoding::Dictionary { &[Encoding::Plain, Encoding::Runs, encoding] } else { &[Encoding::Runs, encoding] };
                chunk.int(1, type_number(column.physical));
                chunk.list(2, INT, encodings.len(), |out| encodings.iter().for_each(|encoding| zigzag(out, *encoding as i64)));
                chunk.list(3, BINARY, 1, |out| bytes(out, column.name.as_bytes()));
                chunk.int(4, codec).long(5, self.levels.len() as u64).long(6, raw_bytes).long(7, end - begin).long(9, data_begin);
                if data_begin > begin {
                    chunk.long(11, begin);
                }
                if column.limited {
                    self.tell_limits(chunk, dictionary);
                }
            });
        });
        Ok(raw_bytes)
    }

    /// Makes the pages of a column, in the encoding that makes the smallest.
    fn encode(&mut self, column: &mut Column, dictionary: &Dictionary<'_>, effort: Effort) -> io::Result<(Encoding, i32)> {
        let stands = [column.chosen];
        let candidates = match dictionary.len() {
            0 if effort == Effort::Full && column.stands > 0 => &stands,
            0 => column.candidates(effort),
            _ => &[Encoding::Dictionary],
        };
        let mut best: Option<(usize, Encoding, i32)> = None;
        for &encoding in candidates {
            self.encode_pages(column.nullable, encoding, dictionary);
            let codec = self.compress(effort)?;
            let size = if codec == ZSTD { self.compressed.len() } else { self.raw.len() };
            if best.is_none_or(|(least, ..)| size < least) {
                best = Some((size, encoding, codec));
            }
        }
        let Some((_, encoding, codec)) = best else { unreachable!("there is always a candidate") };
        if candidates.last() != Some(&encoding) {
            self.encode_pages(column.nullable, encoding, dictionary);
            self.compress(effort)?;
        }
        if candidates.len() > 1 {
            (column.chosen, column.stands) = (encoding, CHOICE_STANDS);
        }
        if effort == Effort::Full {
            column.stands = column.stands.saturating_sub(1);
        }
        Ok((encoding, codec))
    }

    /// Numbers the cells of a column of times, whose rows of a tick came one after the other, by tick.
    fn number_runs(&mut self) -> Dictionary<'static> {
        let cells = &mut self.cells;
        let mut times = Vec::new();
        for &cell in &*cells {
            if times.last() != Some(&cell) {
                times.push(cell);
            }
        }
        if times.len() > cells.len() / 2 {
            return Dictionary::None;
        }
        let mut number = 0;
        for cell in cells {
            if *cell != times[number] {
                number += 1;
            }
            *cell = number as u64;
        }
        Dictionary::Numbers(times)
    }

    /// Numbers the texts anew, as of those in memory these rows may have few.
    fn number_texts<'a>(&mut self, words: &'a Words) -> Dictionary<'a> {
        let mut numbers = vec![None; words.len()];
        let mut texts = Vec::new();
        for (cell, _) in self.cells.iter_mut().zip(&self.present).filter(|(_, present)| **present) {
            let word = *cell as u32;
            if let (Some(number), Some(text)) = (numbers.get_mut(word as usize), words.get(word)) {
                *cell = *number.get_or_insert_with(|| {
                    texts.push(text);
                    texts.len() as u64 - 1
                });
            }
        }
        Dictionary::Texts(texts)
    }

    /// Puts the cells of these rows in their order.
    fn collect(&mut self, order: &[u32]) {
        self.levels.clear();
        self.values.clear();
        for &row in order {
            let present = self.present[row as usize];
            self.levels.push(present);
            if present {
                self.values.push(self.cells[row as usize]);
            }
        }
    }

    fn encode_pages(&mut self, nullable: bool, encoding: Encoding, dictionary: &Dictionary<'_>) {
        self.raw.clear();
        self.pages.clear();
        match dictionary {
            Dictionary::None => {}
            Dictionary::Numbers(numbers) => plain(&mut self.raw, numbers),
            Dictionary::Texts(texts) => texts.iter().for_each(|text| plain_text(&mut self.raw, text)),
        }
        self.end_page(dictionary.len());
        let mut done = 0;
        for begin in (0..self.levels.len()).step_by(PAGE_ROWS) {
            let levels = begin..self.levels.len().min(begin + PAGE_ROWS);
            let count = self.levels[levels.clone()].iter().filter(|present| **present).count();
            self.encode_page(levels, done..done + count, nullable, encoding, dictionary.len());
            done += count;
        }
    }

    fn end_page(&mut self, count: usize) {
        if count > 0 {
            self.pages.push(Page { count, raw_end: self.raw.len(), compressed_end: 0 });
        }
    }

    fn encode_page(&mut self, levels: Range<usize>, values: Range<usize>, nullable: bool, encoding: Encoding, words: usize) {
        let (raw, levels, values) = (&mut self.raw, &self.levels[levels], &self.values[values]);
        if nullable {
            // Their length goes before them.
            let begin = raw.len();
            raw.extend_from_slice(&[0; 4]);
            runs(raw, levels, 1);
            let length = (raw.len() - begin - 4) as u32;
            raw[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
        }
        match encoding {
            Encoding::Plain | Encoding::Runs => plain(raw, values),
            Encoding::Delta => delta(raw, values),
            Encoding::Split => split(raw, values),
            Encoding::Dictionary => {
                let width = width_below(words);
                raw.push(width as u8);
                self.indexes.clear();
                self.indexes.extend(values.iter().map(|value| *value as u32));
                runs(raw, &self.indexes, width);
            }
        }
        let count = levels.len();
        self.end_page(count);
    }

    /// Compresses the pages if that is wanted. Says whether it was worth it.
    fn compress(&mut self, effort: Effort) -> io::Result<i32> {
        self.compressed.clear();
        if effort == Effort::Light {
            return Ok(UNCOMPRESSED);
        }
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(Compressor::new(ZSTD_LEVEL)?),
        };
        let mut begin = 0;
        for page in &mut self.pages {
            let raw = &self.raw[begin..page.raw_end];
            let place = self.compressed.len();
            self.compressed.resize(place + zstd::zstd_safe::compress_bound(raw.len()), 0);
            let length = compressor.compress_to_buffer(raw, &mut self.compressed[place..])?;
            self.compressed.truncate(place + length);
            page.compressed_end = self.compressed.len();
            begin = page.raw_end;
        }
        Ok(if self.compressed.len() < self.raw.len() { ZSTD } else { UNCOMPRESSED })
    }

    /// Puts the pages with their heads into the file. Returns where those of data begin.
    fn put_pages(&self, output: &mut Output<'_>, encoding: Encoding, compressed: bool) -> io::Result<u64> {
        let mut data_begin = output.place();
        let (mut raw_begin, mut begin) = (0, 0);
        for (number, page) in self.pages.iter().enumerate() {
            let (from, end) = if compressed { (&self.compressed, page.compressed_end) } else { (&self.raw, page.raw_end) };
            let is_dictionary = encoding == Encoding::Dictionary && number == 0;
            Struct::write(&mut output.waiting, |head| {
                head.int(1, if is_dictionary { 2 } else { 0 }).int(2, (page.raw_end - raw_begin) as i32).int(3, (end - begin) as i32);
                if is_dictionary {
                    head.inner(7, |dictionary| {
                        dictionary.int(1, page.count as i32).int(2, Encoding::Plain as i32);
                    });
                } else {
                    head.inner(5, |data| {
                        data.int(1, page.count as i32).int(2, encoding as i32).int(3, Encoding::Runs as i32).int(4, Encoding::Runs as i32);
                    });
                }
            });
            output.waiting.extend_from_slice(&from[begin..end]);
            (raw_begin, begin) = (page.raw_end, end);
            if is_dictionary {
                data_begin = output.place();
            }
        }
        if output.waiting.len() >= WRITE_BYTES {
            output.flush()?;
        }
        Ok(data_begin)
    }

    /// The statistics of the column: how many of its cells are absent, and the least and greatest of the others.
    fn tell_limits(&self, chunk: &mut Struct<'_>, dictionary: &Dictionary<'_>) {
        let of = |numbers: &[u64]| {
            let numbers = || numbers.iter().map(|number| number.cast_signed());
            numbers().min().zip(numbers().max()).map(|limits| <[i64; 2]>::from(limits).map(|limit| limit.to_le_bytes().to_vec()))
        };
        let limits = match dictionary {
            Dictionary::None => of(&self.values),
            Dictionary::Numbers(numbers) => of(numbers),
            Dictionary::Texts(texts) => {
                texts.iter().min().zip(texts.iter().max()).map(|limits| <[&&str; 2]>::from(limits).map(|limit| (*limit).into()))
            }
        };
        chunk.inner(12, |statistics| {
            statistics.long(3, (self.levels.len() - self.values.len()) as u64);
            if let Some([least, greatest]) = limits.filter(|limits| limits.iter().all(|limit| limit.len() <= LONGEST_LIMIT)) {
                statistics.bytes(5, &greatest).bytes(6, &least);
            }
        });
    }
}

#[cfg(test)]
mod tests;
