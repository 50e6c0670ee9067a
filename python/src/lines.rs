//! What lines cost, as columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, Field, Schema};
use barograph_store::{Line, LineCost};

/// A column of numbers: its name, unit and help, and what it is of a cost.
type Amount = (&'static str, &'static str, &'static str, fn(&LineCost) -> f64);

/// What its columns begin with, what their help ends with, and what it is of a line.
type Part = (&'static str, &'static str, fn(&Line) -> &LineCost);

/// Each of them stands there twice, the second time with all that the line called.
const AMOUNTS: [Amount; 9] = [
    ("seconds", "seconds", "Time for which threads were there, running or waiting.", |cost| cost.seconds),
    ("waiting_seconds", "seconds", "The part of it for which they waited.", |cost| cost.waiting_seconds),
    ("cpu_seconds", "seconds", "CPU time.", |cost| cost.growth.cpu_seconds),
    ("resident_bytes", "bytes", "By how much RAM grew, less by how much it shrank.", |cost| cost.growth.resident_bytes),
    ("resident_grown_bytes", "bytes", "The growth of RAM alone.", |cost| cost.growth.resident_grown_bytes),
    ("read_bytes", "bytes", "Bytes read, from anywhere.", |cost| cost.growth.read_bytes),
    ("written_bytes", "bytes", "Bytes written, to anywhere.", |cost| cost.growth.written_bytes),
    ("minor_faults", "count", "Page faults without reading from a disk.", |cost| cost.growth.minor_faults),
    ("major_faults", "count", "Page faults that read from a disk.", |cost| cost.growth.major_faults),
];

/// A row for each of these lines or functions; what took most CPU time first.
pub(crate) fn rows(mut lines: Vec<Line>) -> Result<RecordBatch, ArrowError> {
    let place = |line: &Line| (line.file.clone(), line.line, line.function.clone());
    lines.sort_by(|a, b| b.own.growth.cpu_seconds.total_cmp(&a.own.growth.cpu_seconds).then_with(|| place(a).cmp(&place(b))));
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    let mut add = |name: String, kind: &str, unit: &str, help: String, column: ArrayRef| {
        let said = [("kind", kind.to_owned()), ("unit", unit.to_owned()), ("help", help)];
        let said: HashMap<String, String> = said.into_iter().filter(|(_, said)| !said.is_empty()).map(|(key, said)| (key.to_owned(), said)).collect();
        fields.push(Field::new(name, column.data_type().clone(), true).with_metadata(said));
        columns.push(column);
    };
    let texts = |of: fn(&Line) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(lines.iter().map(of))) };
    let integers = |of: fn(&Line) -> Option<u64>| -> ArrayRef {
        Arc::new(lines.iter().map(|line| of(line).and_then(|number| i64::try_from(number).ok())).collect::<Int64Array>())
    };
    add("file".to_owned(), "text", "", "The file, as the program knows it.".to_owned(), texts(|line| &line.file));
    add("line".to_owned(), "id", "", "The line; absent for a function.".to_owned(), integers(|line| line.line));
    add("function".to_owned(), "text", "", "The function; of a line, one of those that stand in it.".to_owned(), texts(|line| &line.function));
    let wholes: [Part; 2] = [("", "", |line| &line.own), ("total_", " With all that it called.", |line| &line.total)];
    for (prefix, more, of) in wholes {
        let samples = Int64Array::from_iter_values(lines.iter().map(|line| of(line).samples.cast_signed()));
        add(format!("{prefix}samples"), "counter", "count", format!("Samples in which it ran.{more}"), Arc::new(samples));
        for (name, unit, help, amount) in AMOUNTS {
            let amounts = Float64Array::from_iter_values(lines.iter().map(|line| amount(of(line))));
            add(format!("{prefix}{name}"), "gauge", unit, format!("{help}{more}"), Arc::new(amounts));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
