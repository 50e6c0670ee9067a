//! Comma- and tab-separated values: a line of names, then a line for each row. Quoted as RFC 4180 says; lines end in a newline, as most tools expect.
//!
//! An absent cell is empty. Numbers are written so that reading gives the same 64 bits: integers in full, others with as few digits as do.

use std::fmt::Write as _;
use std::io;

use ::csv::{ErrorKind, Terminator, Writer, WriterBuilder};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::cell::{Cell, Times, columns};
use crate::{Error, Exporter, Options, Output};

pub(crate) fn open_csv(output: Output, schema: &SchemaRef, options: &Options) -> Result<Box<dyn Exporter>, Error> {
    open(b',', output, schema, options)
}

pub(crate) fn open_tsv(output: Output, schema: &SchemaRef, options: &Options) -> Result<Box<dyn Exporter>, Error> {
    open(b'\t', output, schema, options)
}

fn open(delimiter: u8, output: Output, schema: &SchemaRef, options: &Options) -> Result<Box<dyn Exporter>, Error> {
    let mut writer = WriterBuilder::new().delimiter(delimiter).terminator(Terminator::Any(b'\n')).from_writer(output);
    writer.write_record(schema.fields().iter().map(|field| field.name())).map_err(from_csv)?;
    Ok(Box::new(Separated { writer, times: Times::in_zone(&options.zone), cell: String::new() }))
}

struct Separated {
    writer: Writer<Output>,
    times: Times,
    cell: String,
}

impl Exporter for Separated {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        let columns = columns(rows)?;
        for row in 0..rows.num_rows() {
            for column in &columns {
                self.cell.clear();
                match column.get(row) {
                    None => {}
                    Some(Cell::Time(nanos)) => self.times.write(nanos, &mut self.cell),
                    Some(Cell::Int(value)) => drop(write!(self.cell, "{value}")),
                    // Unlike `{}`, this writes very large and small numbers with an exponent, and whole ones as `3.0`.
                    Some(Cell::Float(value)) => drop(write!(self.cell, "{value:?}")),
                    Some(Cell::Text(text)) => self.cell.push_str(text),
                }
                self.writer.write_field(&self.cell).map_err(from_csv)?;
            }
            self.writer.write_record(None::<&[u8]>).map_err(from_csv)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        Ok(self.writer.flush()?)
    }
}

fn from_csv(error: ::csv::Error) -> Error {
    Error::Write(match error.into_kind() {
        ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use crate::Options;
    use crate::format::tests::{rows, written};

    #[test]
    fn csv_is_quoted_where_it_must_be() {
        let expected = "time,pid,cpu_seconds,name\n\
            2026-11-20T09:20:00.123456789Z,9223372036854775807,0.1,\"a,\"\"b\"\"\n\u{1b}[31m\"\n\
            2026-11-20T09:20:01.000000000Z,,3.0,\n\
            1969-12-31T23:59:59.999999999Z,-7,,tab\there\n";
        assert_eq!(String::from_utf8(written("csv", &rows(), &Options::default())).unwrap(), expected);
    }

    #[test]
    fn tsv_quotes_tabs_and_times_are_in_the_zone_that_was_asked_for() {
        let expected = "time\tpid\tcpu_seconds\tname\n\
            2026-11-20T10:20:00.123456789+01:00\t9223372036854775807\t0.1\t\"a,\"\"b\"\"\n\u{1b}[31m\"\n\
            2026-11-20T10:20:01.000000000+01:00\t\t3.0\t\n\
            1970-01-01T00:59:59.999999999+01:00\t-7\t\t\"tab\there\"\n";
        let options = Options { zone: TimeZone::get("Europe/Berlin").unwrap() };
        assert_eq!(String::from_utf8(written("tsv", &rows(), &options)).unwrap(), expected);
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = written("csv", &rows(), &Options::default());
        let mut reader = ::csv::Reader::from_reader(text.as_slice());
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(&records[0][3], "a,\"b\"\n\u{1b}[31m");
        assert_eq!(records[0][1].parse::<i64>().unwrap(), i64::MAX);
    }
}
