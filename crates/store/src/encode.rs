//! How rows become a row group of Parquet, and a file's index tells of it: one column at a time, so that no second copy of the rows is made.
//!
//! Why not the parquet crate, which reads our files: it can't continue a file, it takes a schema, properties and a compressor for each column of each file,
//! and a recorder of a hundred tables' states a minute pays for that again and again. What it takes to write flat columns is here and in [`crate::pages`].
//!
//! Chosen by measurement (`examples/publish.rs` and the example `day` of the program repeat it):
//! - rows that are written again at the next publish, and few rows: DELTA_BINARY_PACKED for whole numbers, not compressed;
//! - tables with one row a tick: DELTA_BINARY_PACKED for whole numbers, BYTE_STREAM_SPLIT for others;
//! - tables keyed by process, device …: rows of a subject side by side, and BYTE_STREAM_SPLIT for all numbers;
//! - texts and the times of keyed tables by dictionary: they repeat; other numbers never: a dictionary of them only grows;
//! - statistics for times and keys alone: what readers prune by. For the other columns they would be a third of a small file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use barograph_model::{Physical, Table, Words};
use zstd::bulk::Compressor;

use crate::cells::Cells;
use crate::group::Group;
use crate::pages::{delta, plain, plain_text, runs, split, width_below};
use crate::arrow::arrow_schema;
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

/// Longer texts are no good as limits by which readers prune.
const LONGEST_LIMIT: usize = 64;

/// How hard to try for few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Not compressed: for rows that are written again at the next publish, and for few rows.
    Light,
    /// Compressed: for rows that are written for good.
    Full,
}

impl Effort {
    pub(crate) fn of(group: &Group, close: bool) -> Effort {
        if close && group.len() >= WORTH_COMPRESSING { Effort::Full } else { Effort::Light }
    }
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
    head: Vec<u8>,
    tail: Vec<u8>,
}

struct Column {
    name: String,
    physical: Physical,
    nullable: bool,
    /// Whether the index says the least and the greatest value.
    limited: bool,
}

/// What the index says of a row group, and where its rows are.
pub(crate) struct Entry {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    rows: u64,
    told: Vec<u8>,
}

impl Shape {
    pub(crate) fn new(table: &'static Table, recording: &str) -> Shape {
        let times = [TIME, MONOTONIC].map(|name| Column { name: name.to_owned(), physical: Physical::Int, nullable: false, limited: true });
        let metrics = table.metrics.iter().enumerate().map(|(index, metric)| Column {
            name: metric.column(),
            physical: metric.physical,
            nullable: true,
            limited: index < table.keys,
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
        Shape { keyed: table.keys > 0, columns, head, tail }
    }

    /// Ends the file with its index. Returns its size, and its last bytes.
    pub(crate) fn finish(&self, mut output: Output<'_>, entries: &[&Entry]) -> io::Result<(u64, [u8; TAIL_BYTES])> {
        let begin = output.place();
        let out = &mut output.waiting;
        out.extend_from_slice(&self.head);
        Struct::write_after(out, 2, |file| {
            file.long(3, entries.iter().map(|entry| entry.rows).sum());
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

    /// How its values are written, if not by a dictionary.
    fn encoding(&self, effort: Effort, keyed: bool) -> Encoding {
        let is_time = !self.nullable;
        match self.physical {
            // All of them are absent.
            Physical::Text => Encoding::Plain,
            Physical::Float => Encoding::Split,
            Physical::Int if keyed && !is_time && effort == Effort::Full => Encoding::Split,
            Physical::Int => Encoding::Delta,
        }
    }
}

/// What it takes to encode, kept from one column to the next.
#[derive(Default)]
pub(crate) struct Encoder {
    compressor: Option<Compressor<'static>>,
    /// The cells of the column, in the order in which they came.
    cells: Vec<u64>,
    /// Which of them are present, in the order in which they are written, and the values of those that are.
    levels: Vec<u32>,
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
    Texts(&'a Words),
}

impl Dictionary<'_> {
    fn len(&self) -> usize {
        match self {
            Dictionary::None => 0,
            Dictionary::Numbers(numbers) => numbers.len(),
            Dictionary::Texts(words) => words.len(),
        }
    }
}

impl Encoder {
    /// Writes the rows as one row group.
    pub(crate) fn write_group(&mut self, output: &mut Output<'_>, shape: &Shape, group: &Group, effort: Effort) -> io::Result<Entry> {
        let begin = output.place();
        let order = group.order();
        let mut chunks = Vec::new();
        let mut raw_bytes = 0;
        let cells = [&group.utc_nanos, &group.monotonic_nanos].into_iter().chain(&group.columns);
        for (column, cells) in shape.columns.iter().zip(cells) {
            let rows = Rows { order: order.as_deref(), len: group.len(), keyed: shape.keyed };
            raw_bytes += self.write_column(output, &mut chunks, column, cells, &rows, effort)?;
        }
        let (end, rows) = (output.place(), group.len() as u64);
        let mut told = Vec::with_capacity(chunks.len() + 32);
        Struct::write(&mut told, |entry| {
            entry.list(1, STRUCT, shape.columns.len(), |out| out.extend_from_slice(&chunks));
            entry.long(2, raw_bytes).long(3, rows).long(6, end - begin);
        });
        Ok(Entry { begin, end, rows, told })
    }

    /// Writes a column, and tells of it. Returns how many bytes its pages would be without compression.
    fn write_column(
        &mut self,
        output: &mut Output<'_>,
        told: &mut Vec<u8>,
        column: &Column,
        cells: &Cells,
        rows: &Rows<'_>,
        effort: Effort,
    ) -> io::Result<u64> {
        cells.unpack(&mut self.cells);
        let dictionary = match column.physical {
            Physical::Text => Dictionary::Texts(&cells.words),
            _ if !column.nullable && rows.keyed => self.number_runs(),
            _ => Dictionary::None,
        };
        let encoding = if dictionary.len() > 0 { Encoding::Dictionary } else { column.encoding(effort, rows.keyed) };
        self.encode_dictionary(&dictionary);
        let (mut nulls, mut limits) = (0, None);
        for begin in (0..rows.len).step_by(PAGE_ROWS) {
            self.collect(cells, rows, begin..rows.len.min(begin + PAGE_ROWS));
            nulls += self.levels.len() - self.values.len();
            if column.limited {
                limits = self.values.iter().fold(limits, |limits, value| wider(limits, value.cast_signed()));
            }
            self.encode_page(column.nullable, encoding, dictionary.len());
        }
        let codec = self.compress(effort)?;
        let begin = output.place();
        let data_begin = self.put_pages(output, encoding, codec == ZSTD)?;
        let (end, heads) = (output.place(), output.place() - begin);
        let heads = heads - if codec == ZSTD { self.compressed.len() } else { self.raw.len() } as u64;
        let raw_bytes = heads + self.raw.len() as u64;
        Struct::write(told, |chunk| {
            // Where the chunk is told of once more: nowhere.
            chunk.long(2, 0).inner(3, |chunk| {
                let encodings: &[Encoding] =
                    if encoding == Encoding::Dictionary { &[Encoding::Plain, Encoding::Runs, encoding] } else { &[Encoding::Runs, encoding] };
                chunk.int(1, type_number(column.physical));
                chunk.list(2, INT, encodings.len(), |out| encodings.iter().for_each(|encoding| zigzag(out, *encoding as i64)));
                chunk.list(3, BINARY, 1, |out| bytes(out, column.name.as_bytes()));
                chunk.int(4, codec).long(5, rows.len as u64).long(6, raw_bytes).long(7, end - begin).long(9, data_begin);
                if data_begin > begin {
                    chunk.long(11, begin);
                }
                if column.limited {
                    tell_limits(chunk, &dictionary, limits, nulls as u64);
                }
            });
        });
        Ok(raw_bytes)
    }

    /// Numbers the cells of a column of times, whose rows of a tick came one after the other, by tick.
    fn number_runs(&mut self) -> Dictionary<'static> {
        let mut times = Vec::new();
        for &cell in &self.cells {
            if times.last() != Some(&cell) {
                times.push(cell);
            }
        }
        if times.len() > self.cells.len() / 2 {
            return Dictionary::None;
        }
        let mut number = 0;
        for cell in &mut self.cells {
            if *cell != times[number] {
                number += 1;
            }
            *cell = number as u64;
        }
        Dictionary::Numbers(times)
    }

    fn encode_dictionary(&mut self, dictionary: &Dictionary<'_>) {
        self.raw.clear();
        self.pages.clear();
        match dictionary {
            Dictionary::None => {}
            Dictionary::Numbers(numbers) => plain(&mut self.raw, numbers),
            Dictionary::Texts(words) => words.iter().for_each(|text| plain_text(&mut self.raw, text)),
        }
        self.end_page(dictionary.len());
    }

    fn end_page(&mut self, count: usize) {
        if count > 0 {
            self.pages.push(Page { count, raw_end: self.raw.len(), compressed_end: 0 });
        }
    }

    /// The rows of a page: which cells are present, and their values.
    fn collect(&mut self, cells: &Cells, rows: &Rows<'_>, page: std::ops::Range<usize>) {
        self.levels.clear();
        self.values.clear();
        for row in page.map(|place| rows.at(place)) {
            let present = cells.is_present(row);
            self.levels.push(present.into());
            if present {
                self.values.push(self.cells[row]);
            }
        }
    }

    fn encode_page(&mut self, nullable: bool, encoding: Encoding, words: usize) {
        let (raw, values) = (&mut self.raw, &self.values);
        if nullable {
            // Their length goes before them.
            let begin = raw.len();
            raw.extend_from_slice(&[0; 4]);
            runs(raw, &self.levels, 1);
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
        self.end_page(self.levels.len());
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
}

fn wider(limits: Option<(i64, i64)>, value: i64) -> Option<(i64, i64)> {
    Some(limits.map_or((value, value), |(least, greatest)| (least.min(value), greatest.max(value))))
}

/// The statistics of a column: how many of its values are absent, and the least and greatest of the others.
fn tell_limits(chunk: &mut Struct<'_>, dictionary: &Dictionary<'_>, limits: Option<(i64, i64)>, absent: u64) {
    let numbers = |(least, greatest): (i64, i64)| (least.to_le_bytes().to_vec(), greatest.to_le_bytes().to_vec());
    let limits = match dictionary {
        Dictionary::None => limits.map(numbers),
        Dictionary::Numbers(ticks) => ticks.iter().fold(None, |limits, tick| wider(limits, tick.cast_signed())).map(numbers),
        Dictionary::Texts(words) => words.iter().min().zip(words.iter().max()).map(|(least, greatest)| (least.into(), greatest.into())),
    };
    chunk.inner(12, |statistics| {
        statistics.long(3, absent);
        if let Some((least, greatest)) = limits.filter(|(least, greatest)| least.len().max(greatest.len()) <= LONGEST_LIMIT) {
            statistics.bytes(5, &greatest).bytes(6, &least);
        }
    });
}

/// The rows in the order in which they are written.
struct Rows<'a> {
    order: Option<&'a [u32]>,
    len: usize,
    /// Whether a tick may have more than one of them.
    keyed: bool,
}

impl Rows<'_> {
    fn at(&self, place: usize) -> usize {
        self.order.map_or(place, |order| order[place] as usize)
    }
}
