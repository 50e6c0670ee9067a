//! JSON lines: one strict JSON object for each row, in UTF-8, with the columns in their order. An absent cell is `null`; whole numbers are exact.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::cell::{Cell, Times, columns};
use crate::{Error, Exporter, Options, Output};

pub(crate) fn open(output: Output, schema: &SchemaRef, options: &Options) -> Result<Box<dyn Exporter>, Error> {
    let keys = schema.fields().iter().enumerate().map(|(index, field)| {
        let mut key = String::from(if index == 0 { "{" } else { "," });
        push_text(&mut key, field.name());
        key.push(':');
        key
    });
    Ok(Box::new(Lines {
        output: BufWriter::with_capacity(1 << 16, output),
        keys: keys.collect(),
        times: Times::in_zone(&options.zone),
        line: String::new(),
    }))
}

struct Lines {
    output: BufWriter<Output>,
    /// What stands before each value: `{"time":`, `,"pid":` …
    keys: Vec<String>,
    times: Times,
    line: String,
}

impl Exporter for Lines {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        let columns = columns(rows)?;
        for row in 0..rows.num_rows() {
            self.line.clear();
            for (key, column) in self.keys.iter().zip(&columns) {
                self.line.push_str(key);
                match column.get(row) {
                    None => self.line.push_str("null"),
                    Some(Cell::Time(nanos)) => {
                        self.line.push('"');
                        self.times.write(nanos, &mut self.line);
                        self.line.push('"');
                    }
                    Some(Cell::Int(value)) => drop(write!(self.line, "{value}")),
                    Some(Cell::Float(value)) => drop(write!(self.line, "{value:?}")),
                    Some(Cell::Text(text)) => push_text(&mut self.line, text),
                }
            }
            self.line.push_str(if columns.is_empty() { "{}\n" } else { "}\n" });
            self.output.write_all(self.line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        Ok(self.output.flush()?)
    }
}

/// Text with the quotes and escapes of JSON. A Value's Display can't fail.
fn push_text(line: &mut String, text: &str) {
    let _ = write!(line, "{}", serde_json::Value::from(text));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::Options;
    use crate::format::tests::{rows, written};

    #[test]
    fn a_line_is_a_strict_object() {
        let expected = r#"{"time":"2026-11-20T09:20:00.123456789Z","pid":9223372036854775807,"cpu_seconds":0.1,"name":"a,\"b\"\n\u001b[31m"}
{"time":"2026-11-20T09:20:01.000000000Z","pid":null,"cpu_seconds":3.0,"name":null}
{"time":"1969-12-31T23:59:59.999999999Z","pid":-7,"cpu_seconds":null,"name":"tab\there"}
"#;
        let text = String::from_utf8(written("jsonl", &rows(), &Options::default())).unwrap();
        assert_eq!(text, expected);
        for line in text.lines() {
            assert!(serde_json::from_str::<Value>(line).unwrap().is_object());
        }
    }
}
