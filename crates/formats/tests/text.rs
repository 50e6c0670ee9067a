//! The text formats read back, strictly: whatever stands in the cells, another program gets the same ones.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use barograph_formats::{Format, Options};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One row: its time and a cell of each type.
#[derive(Clone, Debug)]
struct Cells {
    time: i64,
    int: Option<i64>,
    float: Option<f64>,
    text: Option<String>,
}

fn cells() -> impl Strategy<Value = Cells> {
    let int = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(0)];
    let float = prop_oneof![
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::NEG_INFINITY),
        Just(-0.0),
        Just(f64::MIN_POSITIVE),
        Just(5e-324),
        Just(f64::MAX),
        -9.0..9.0
    ];
    let text = prop_oneof![".{0,12}", "[\"',\t\r\n\\\\ =;\u{0}\u{feff}\u{2028}é\u{1F4A9}]{0,8}", Just("null".to_owned()), Just("NaN".to_owned())];
    (any::<i64>(), prop::option::of(int), prop::option::of(float), prop::option::of(text)).prop_map(|(time, int, float, text)| Cells {
        time,
        int,
        float,
        text,
    })
}

/// The bytes of a file of these rows, in two pieces, with columns of these names.
fn written(format: &str, names: &[String; 4], rows: &[Cells], zone: &TimeZone) -> Vec<u8> {
    let kinds = [DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), DataType::Int64, DataType::Float64, DataType::Utf8];
    let schema = Arc::new(Schema::new(names.iter().zip(kinds).map(|(name, kind)| Field::new(name, kind, true)).collect::<Vec<_>>()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.time)).with_timezone("UTC")),
        Arc::new(rows.iter().map(|row| row.int).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.float).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.text.clone()).collect::<StringArray>()),
    ];
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let bytes = Bytes::default();
    let mut exporter = Format::named(format).unwrap().open(Box::new(bytes.clone()), &schema, &Options { zone: zone.clone() }).unwrap();
    exporter.write(&batch.slice(0, rows.len() / 2)).unwrap();
    exporter.write(&batch.slice(rows.len() / 2, rows.len() - rows.len() / 2)).unwrap();
    exporter.finish().unwrap();
    drop(batch);
    Arc::try_unwrap(bytes.0).unwrap().into_inner().unwrap()
}

fn names() -> impl Strategy<Value = [String; 4]> {
    // JSON objects have each name once.
    "[a-z\"\\\\,. \n]{0,5}".prop_map(|odd| [0, 1, 2, 3].map(|place| format!("{odd}{place}")))
}

/// A number that is none is no cell; all others keep their bits.
fn bits(float: Option<f64>) -> Option<u64> {
    float.filter(|float| float.is_finite()).map(f64::to_bits)
}

fn nanos(time: &str) -> i64 {
    i64::try_from(time.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn separated_values_read_back(rows in prop::collection::vec(cells(), 0..12), names in names(), tabs in any::<bool>()) {
        let (format, delimiter) = if tabs { ("tsv", b'\t') } else { ("csv", b',') };
        let text = written(format, &names, &rows, &TimeZone::UTC);
        prop_assert!(text.ends_with(b"\n") && std::str::from_utf8(&text).is_ok());
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(false).from_reader(text.as_slice());
        prop_assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), names.iter().map(String::as_str).collect::<Vec<_>>());
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(records.len(), rows.len());
        for (record, row) in records.iter().zip(&rows) {
            let cell = |place: usize| Some(&record[place]).filter(|cell| !cell.is_empty());
            prop_assert_eq!(nanos(&record[0]), row.time);
            prop_assert_eq!(cell(1).map(|cell| cell.parse::<i64>().unwrap()), row.int);
            prop_assert_eq!(cell(2).map(|cell| cell.parse::<f64>().unwrap().to_bits()), bits(row.float));
            // An empty text and none are the same here.
            prop_assert_eq!(&record[3], row.text.as_deref().unwrap_or_default());
        }
    }

    #[test]
    fn lines_of_json_read_back(rows in prop::collection::vec(cells(), 0..12), names in names()) {
        let text = String::from_utf8(written("jsonl", &names, &rows, &TimeZone::UTC)).unwrap();
        prop_assert_eq!(text.matches('\n').count(), rows.len(), "a row is a line, whatever stands in it");
        for (line, row) in text.lines().zip(&rows) {
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
            prop_assert_eq!(object.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
            prop_assert_eq!(nanos(object[&names[0]].as_str().unwrap()), row.time);
            prop_assert_eq!(object[&names[1]].as_i64(), row.int);
            prop_assert_eq!(object[&names[2]].as_f64().map(f64::to_bits), bits(row.float));
            prop_assert_eq!(object[&names[3]].as_str(), row.text.as_deref());
            prop_assert_eq!(object.values().filter(|value| value.is_null()).count(),
                usize::from(row.int.is_none()) + usize::from(bits(row.float).is_none()) + usize::from(row.text.is_none()));
        }
    }

    /// Since 1973 all offsets are whole minutes; RFC 3339 has no others.
    #[test]
    fn times_are_exact_in_every_zone(seconds in 94_694_400_i64..8_000_000_000, nano in 0_i64..1_000_000_000, pick in any::<prop::sample::Index>()) {
        let names: Vec<_> = jiff::tz::db().available().collect();
        let zone = TimeZone::get(pick.get(&names).as_str()).unwrap();
        let row = Cells { time: seconds * 1_000_000_000 + nano, int: None, float: None, text: None };
        let text = written("csv", &["t", "i", "f", "s"].map(str::to_owned), std::slice::from_ref(&row), &zone);
        let text = String::from_utf8(text).unwrap();
        let time = text.lines().nth(1).unwrap().split(',').next().unwrap();
        prop_assert_eq!(nanos(time), row.time, "{} in {:?}", time, zone.iana_name());
    }
}
