//! Cells of the columns that Barograph records, for formats that write text.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_schema::{DataType, TimeUnit};
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;

use crate::Error;

/// A column, with its type known.
pub(crate) enum Cells<'a> {
    Time(&'a TimestampNanosecondArray),
    Int(&'a Int64Array),
    Float(&'a Float64Array),
    Text(&'a StringArray),
}

/// A cell that is there.
pub(crate) enum Cell<'a> {
    Time(i64),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

/// The columns of a batch.
pub(crate) fn columns(rows: &RecordBatch) -> Result<Vec<Cells<'_>>, Error> {
    let schema = rows.schema_ref();
    let typed = rows.columns().iter().zip(schema.fields()).map(|(array, field)| {
        Ok(match array.data_type() {
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Cells::Time(array.as_primitive::<TimestampNanosecondType>()),
            DataType::Int64 => Cells::Int(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Cells::Float(array.as_primitive::<Float64Type>()),
            DataType::Utf8 => Cells::Text(array.as_string::<i32>()),
            other => return Err(Error::Unsupported { column: field.name().clone(), kind: other.clone() }),
        })
    });
    typed.collect()
}

impl<'a> Cells<'a> {
    /// The cell in this row. A number that is none (NaN, infinity) is no cell: readers of text disagree on how to spell it.
    pub(crate) fn get(&self, row: usize) -> Option<Cell<'a>> {
        match self {
            Cells::Time(array) => array.is_valid(row).then(|| Cell::Time(array.value(row))),
            Cells::Int(array) => array.is_valid(row).then(|| Cell::Int(array.value(row))),
            Cells::Float(array) => (array.is_valid(row) && array.value(row).is_finite()).then(|| Cell::Float(array.value(row))),
            Cells::Text(array) => array.is_valid(row).then(|| Cell::Text(array.value(row))),
        }
    }
}

/// Writes times as RFC 3339 with nine digits of the second, in one zone: `Z` for UTC, else with its offset at that time.
pub(crate) struct Times {
    zone: TimeZone,
    printer: DateTimePrinter,
}

impl Times {
    pub(crate) fn in_zone(zone: &TimeZone) -> Times {
        Times { zone: zone.clone(), printer: DateTimePrinter::new().precision(Some(9)) }
    }

    pub(crate) fn write(&self, utc_nanos: i64, text: &mut String) {
        // Every i64 of nanoseconds is within the years that jiff knows, and a String takes all that is written to it.
        let Ok(time) = Timestamp::from_nanosecond(i128::from(utc_nanos)) else { return };
        let _ = if self.zone == TimeZone::UTC {
            self.printer.print_timestamp(&time, &mut *text)
        } else {
            self.printer.print_timestamp_with_offset(&time, self.zone.to_offset(time), &mut *text)
        };
    }
}
