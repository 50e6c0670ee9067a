//! The list of formats, and what each of them can do.

use std::io::Write;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use jiff::tz::TimeZone;

use crate::{Error, arrow, csv, jsonl, parquet};

/// Where a file's bytes go. Parquet's writer asks that it may travel between threads.
pub type Output = Box<dyn Write + Send>;

/// Writes one file in one format.
pub trait Exporter {
    /// Adds rows. They have the schema that the exporter was opened with.
    fn write(&mut self, rows: &RecordBatch) -> Result<(), Error>;

    /// Writes what is still to be written. Without it, the file may be no file.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// What a user may choose about a file.
#[derive(Clone, Debug)]
pub struct Options {
    /// The zone in which text formats write times. Binary formats keep UTC nanoseconds.
    pub zone: TimeZone,
}

impl Default for Options {
    fn default() -> Options {
        Options { zone: TimeZone::UTC }
    }
}

/// How a module begins its file.
type Open = fn(Output, &SchemaRef, &Options) -> Result<Box<dyn Exporter>, Error>;

/// A format that can be written.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Its name, as on the command line.
    pub name: &'static str,
    /// What names of files end in, without the dot.
    pub suffixes: &'static [&'static str],
    /// What it is, for people.
    pub help: &'static str,
    /// Whether it is text that a terminal can show.
    pub is_text: bool,
    open: Open,
}

impl Format {
    /// Every format, in the order in which they are offered.
    pub const ALL: &'static [Format] = &[
        Format { name: "csv", suffixes: &["csv"], help: "comma-separated values, RFC 4180", is_text: true, open: csv::open_csv },
        Format { name: "tsv", suffixes: &["tsv", "tab"], help: "tab-separated values", is_text: true, open: csv::open_tsv },
        Format { name: "jsonl", suffixes: &["jsonl", "ndjson"], help: "one JSON object a line", is_text: true, open: jsonl::open },
        Format { name: "parquet", suffixes: &["parquet", "pq"], help: "Apache Parquet, zstd", is_text: false, open: parquet::open },
        Format {
            name: "arrow",
            suffixes: &["arrow", "feather", "ipc"],
            help: "Arrow IPC file, which is Feather 2",
            is_text: false,
            open: arrow::open,
        },
    ];

    /// The format of this name or suffix.
    pub fn named(name: &str) -> Option<Format> {
        Format::ALL.iter().find(|format| format.name == name || format.suffixes.contains(&name)).copied()
    }

    /// The format that the name of a file asks for.
    pub fn of_path(path: &Path) -> Option<Format> {
        Format::named(&path.extension()?.to_str()?.to_ascii_lowercase())
    }

    /// Begins a file.
    pub fn open(&self, output: Output, schema: &SchemaRef, options: &Options) -> Result<Box<dyn Exporter>, Error> {
        (self.open)(output, schema, options)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampNanosecondArray};
    use arrow_schema::{DataType, Field, Schema, TimeUnit};

    use super::*;

    /// Bytes that can be looked at after the exporter took the writer.
    #[derive(Clone, Default)]
    pub(crate) struct Bytes(pub(crate) Arc<Mutex<Vec<u8>>>);

    impl Write for Bytes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Rows with everything that is hard: commas, quotes, lines, tabs, controls, absent cells, the largest integer, short and long fractions.
    pub(crate) fn rows() -> RecordBatch {
        let help = |text: &str| std::collections::HashMap::from([("help".to_owned(), text.to_owned())]);
        let fields = vec![
            Field::new("time", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
            Field::new("pid", DataType::Int64, true),
            Field::new("cpu_seconds", DataType::Float64, true).with_metadata(help("CPU time.")),
            Field::new("name", DataType::Utf8, true),
        ];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampNanosecondArray::from(vec![1_795_166_400_123_456_789, 1_795_166_401_000_000_000, -1]).with_timezone("UTC")),
            Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(-7)])),
            Arc::new(Float64Array::from(vec![Some(0.1), Some(3.0), None])),
            Arc::new(StringArray::from(vec![Some("a,\"b\"\n\u{1b}[31m"), None, Some("tab\there")])),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    /// The bytes that a format makes of these rows, given in two pieces.
    pub(crate) fn written(name: &str, rows: &RecordBatch, options: &Options) -> Vec<u8> {
        let bytes = Bytes::default();
        let mut exporter = Format::named(name).unwrap().open(Box::new(bytes.clone()), &rows.schema(), options).unwrap();
        exporter.write(&rows.slice(0, 1)).unwrap();
        exporter.write(&rows.slice(1, rows.num_rows() - 1)).unwrap();
        exporter.finish().unwrap();
        let bytes = bytes.0.lock().unwrap();
        bytes.clone()
    }

    #[test]
    fn names_and_suffixes_are_told_apart() {
        let mut words: Vec<&str> = Format::ALL.iter().flat_map(|format| format.suffixes).copied().collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count, "a suffix stands for one format");
        assert_eq!(Format::of_path(Path::new("a.b/x.FEATHER")).unwrap().name, "arrow");
        assert!(Format::of_path(Path::new("x.xlsx")).is_none() && Format::of_path(Path::new("csv")).is_none());
    }

    #[test]
    fn a_pipe_that_closed_is_known_as_such_in_every_format() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let rows = rows();
        // Once is met when the buffers are flushed at the end, often while rows are written.
        for (format, times) in Format::ALL.iter().flat_map(|format| [(format, 1), (format, 10_000)]) {
            let result = format.open(Box::new(Closed), &rows.schema(), &Options::default()).and_then(|mut exporter| {
                (0..times).try_for_each(|_| exporter.write(&rows))?;
                exporter.finish()
            });
            assert!(result.unwrap_err().is_broken_pipe(), "{} {times}", format.name);
        }
    }
}
