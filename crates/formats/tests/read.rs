//! Files opened as recordings: what was exported comes back cell by cell, and everything else comes in or is refused in one sentence.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use barograph_formats::{AsRecording, Format, Options, as_recording};
use barograph_model::{Batch, Described, Events, Moment, Physical, Sink, Table};
use barograph_sources::{Cpu, Disk, Job, Memory, Network, Process};
use barograph_store::{Facts, Frame, Query, Recording, Timeline};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use tempfile::TempDir;

/// A folder with files of these names and contents.
fn file(name: &str, bytes: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// The one table of a file of somebody else.
fn opened(name: &str, text: impl AsRef<[u8]>, zone: Option<&str>) -> (Timeline, Frame, AsRecording) {
    let (_folder, path) = file(name, text);
    let recording = as_recording(&path, zone).unwrap();
    let timeline = Timeline::open(&recording).unwrap();
    let tables = timeline.tables().unwrap();
    assert_eq!(tables.len(), 1, "{tables:?}");
    let frame = timeline.frame(&tables[0].name, &Query::all()).unwrap();
    (timeline, frame, recording)
}

fn refused(name: &str, bytes: impl AsRef<[u8]>) -> String {
    let (_folder, path) = file(name, bytes);
    let said = as_recording(&path, None).unwrap_err().to_string();
    assert!(said.starts_with(&format!("{}: ", path.display())), "{said}");
    assert!(said.lines().count() == 1 && !said.contains(char::is_control), "{said:?}");
    said.strip_prefix(&format!("{}: ", path.display())).unwrap().to_owned()
}

fn noted(recording: &AsRecording) -> Vec<(&str, u64)> {
    recording.notices().iter().map(|notice| (notice.name.as_str(), notice.count)).collect()
}

fn nanos(text: &str) -> i64 {
    i64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap()
}

#[test]
fn numbers_texts_and_units_are_told_by_the_cells_and_the_names() {
    let text = "Timestamp,rss_bytes,cpu_percent,requests_total,loss,phase,empty\n\
        2026-11-20T09:20:00Z,1024,12.5,7,0.25,\"load, \"\"all\"\"\nof it\",\n\
        2026-11-20T09:20:02Z,2048,,8,NaN,,\n\
        2026-11-20T09:20:04Z,4096,100,9,inf,done,\n";
    let (timeline, frame, recording) = opened("my run.csv", text, None);
    assert_eq!(timeline.tables().unwrap()[0].name, "my_run");
    assert_eq!(
        frame.columns(),
        ["rss_bytes", "cpu_ratio", "requests", "loss", "phase"].map(|name| if name == "requests" { "requests_total" } else { name })
    );
    assert_eq!(frame.times()[0], nanos("2026-11-20T09:20:00Z"));
    assert_eq!(frame.monotonic(), [0, 2_000_000_000, 4_000_000_000]);
    assert_eq!(frame.ints("rss_bytes"), [Some(1024), Some(2048), Some(4096)]);
    assert_eq!(frame.floats("cpu_ratio"), [Some(0.125), None, Some(1.0)]);
    assert_eq!(frame.floats("loss"), [Some(0.25), None, None]);
    assert_eq!(frame.texts("phase"), [Some("load, \"all\"\nof it"), None, Some("done")]);
    let fields = frame.fields();
    let said: Vec<_> = fields.iter().map(|field| (field.kind.as_str(), field.unit.as_str())).collect();
    assert_eq!(said, [("gauge", "bytes"), ("gauge", "ratio"), ("counter", "number"), ("gauge", "number"), ("text", "none")]);
    assert_eq!(fields[1].help, "Column \"cpu_percent\" of the file, times 0.01.");
    assert_eq!(noted(&recording), [("no_numbers", 2), ("columns_left_out", 1)]);
    let facts = timeline.facts();
    assert_eq!((facts.interval_seconds, facts.clock.utc_nanos), (2.0, frame.times()[0]));
    assert!(facts.file().unwrap().ends_with("my run.csv"));
    assert_eq!(facts.end.as_ref().unwrap().monotonic_nanos, 4_000_000_000);
}

#[test]
fn the_folder_is_for_its_owner_and_goes_away() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = file("a.csv", "time,x\n1795166400,1\n");
    let [first, second] = [(); 2].map(|()| as_recording(&path, None).unwrap());
    let above = first.folder().parent().unwrap().to_owned();
    assert_eq!(above.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let id = |recording: &AsRecording| Timeline::open(recording).unwrap().facts().id.clone();
    assert_eq!(id(&first), id(&second), "the same file is the same recording");
    drop(first);
    assert!(!above.exists() && second.folder().exists());
    assert_eq!(second.format(), Some("csv"));
}

#[test]
fn times_are_understood_however_they_are_written() {
    let expected = nanos("2026-11-20T09:20:00.5Z");
    for said in [
        "time,x\n1795166400.5,1\n",
        "time,x\n1795166400500,1\n",
        "ts;x\n1795166400500000;1\n",
        "TIME\tx\n1795166400500000000\t1\n",
        "epoch_ms,x\n1795166400500.0,1\n",
        "t_s,x\n1.7951664005e9,1\n",
        "datetime,x\n2026-11-20 09:20:00.5,1\n",
        "Date,Time,x\n2026-11-20,09:20:00.5,1\n",
        "date,x\n2026-11-20T10:20:00.5+01:00,1\n",
        "\u{feff}timestamp,x\r\n2026-11-20T09:20:00.500Z,1\r\n",
        ",x\n2026-11-20 09:20:00.500000+00:00,1\n",
        "{\"time\": 1795166400.5, \"x\": 1}\n",
        "{\"x\": 1, \"timestamp\": \"2026-11-20T09:20:00.5Z\"}",
    ] {
        let (_, frame, _) = opened("x.txt", said, None);
        assert_eq!((frame.times(), frame.ints("x")), (&[expected][..], vec![Some(1)]), "{said}");
    }
    // A row is never a moment of its number, and days are days.
    let (_, frame, _) = opened("x.csv", "date,x\n2026-11-20,1\n2026-11-21,2\n", None);
    assert_eq!(frame.times(), [nanos("2026-11-20T00:00:00Z"), nanos("2026-11-21T00:00:00Z")]);
    assert!(refused("x.csv", ",x\n0,1\n1,2\n").contains("has 0, which is no time"));
}

#[test]
fn a_file_without_a_zone_is_read_in_the_one_that_is_said() {
    // The hour that comes twice, and none of it back in time.
    let text = "time,x\n2026-10-25 01:30,1\n2026-10-25 02:30,2\n2026-10-25 02:00,3\n2026-10-25 02:30,4\n2026-10-25 03:00,5\n";
    let (timeline, frame, recording) = opened("x.csv", text, Some("Europe/Berlin"));
    let times: Vec<i64> = ["23:30", "00:30", "01:00", "01:30", "02:00"]
        .iter()
        .enumerate()
        .map(|(place, time)| nanos(&format!("2026-10-{}T{time}:00Z", if place == 0 { 24 } else { 25 })))
        .collect();
    assert_eq!(frame.times(), times);
    assert_eq!(frame.ints("x"), (1..=5).map(Some).collect::<Vec<_>>());
    assert_eq!(noted(&recording), [("no_zone", 1), ("ambiguous_times", 3)]);
    assert_eq!(timeline.facts().clock.zone, "Europe/Berlin");
    let (_, frame, recording) = opened("x.csv", text, None);
    assert_eq!(frame.times()[0], nanos("2026-10-25T01:30:00Z"));
    assert!(recording.notices()[0].detail.contains("read as UTC; say another one with --zone"));
    let (_folder, path) = file("x.csv", text);
    assert!(as_recording(&path, Some("Mars/Olympus")).unwrap_err().to_string().contains("Europe/Berlin"));
}

#[test]
fn mixed_zones_and_times_that_go_back_are_told_and_sorted() {
    let text = "time,x\n2026-11-20T10:20:00+01:00,1\n2026-11-20T09:20:02Z,3\n2026-11-20T04:20:01-05:00,2\n";
    let (_, frame, recording) = opened("x.csv", text, None);
    assert_eq!(frame.ints("x"), [Some(1), Some(2), Some(3)]);
    assert!(frame.times().is_sorted());
    assert_eq!(noted(&recording), [("mixed_zones", 1), ("times_go_back", 1)]);
    assert!(recording.notices()[0].detail.contains("-05:00, +00:00, +01:00"));
}

#[test]
fn a_torn_line_is_counted_and_left_out() {
    let rows = |text: &str| {
        let (_, frame, recording) = opened("x.csv", text, None);
        (frame.len(), noted(&recording).iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", "))
    };
    let whole = "time,x,y\n1795166400,1,2\n1795166401,3,4\n";
    assert_eq!(rows(whole), (2, String::new()));
    assert_eq!(rows(whole.trim_end()), (2, String::new()), "all cells are there");
    assert_eq!(rows(&format!("{whole}1795166402,5")), (2, "torn_line 1".to_owned()));
    assert_eq!(rows(&format!("{whole}1795166402,5,\"a\nb")), (2, "torn_line 1".to_owned()), "in a quoted cell");
    assert_eq!(rows(&format!("{whole}1795166402,5\n\n1795166403,6,7,8\n1795166404,9,9\n")), (3, "lines_left_out 2".to_owned()));
    let ours = "time,monotonic_nanos,x\n2026-11-20T09:20:00Z,1,2\n2026-11-20T09:20:01Z,1000000001,3";
    assert_eq!(rows(ours), (1, "torn_line 1".to_owned()), "we end every line, so that 3 may have been 33");
    let lines = "{\"time\":1795166400,\"x\":1}\n{\"time\":1795166401,\"x\":2}\n{\"time\":17951";
    assert_eq!(rows(lines), (2, "torn_line 1".to_owned()));
    assert_eq!(rows("time,x\n1795166400,1\n1795166401,1\nnever,2\n,3\n"), (2, "rows_without_time 2".to_owned()));
}

#[test]
fn columns_of_one_name_and_no_name_are_told_apart() {
    let (_, frame, _) = opened("x.csv", "time,a,a,,monotonic_nanos\n1795166400,1,2,3,\n1795166401,4,5,6,x\n", None);
    assert_eq!(frame.columns(), ["a", "a_2", "column_4"]);
    assert_eq!(frame.ints("a_2"), [Some(2), Some(5)]);
}

/// pandas, DuckDB and Spark write Snappy where nobody says otherwise.
#[test]
fn parquet_is_read_however_it_is_compressed() {
    let rows = 3000;
    let times = TimestampNanosecondArray::from_iter_values((0..rows).map(|row| row * 1_000_000_000));
    let columns: [(&str, ArrayRef); 3] = [
        ("time", Arc::new(times.with_timezone("UTC"))),
        ("x", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("name", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("name {}", row % 7))))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let ways = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for way in ways {
        let mut bytes = Vec::new();
        let properties = WriterProperties::builder().set_compression(way).build();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let (_, frame, _) = opened("x.parquet", bytes, None);
        assert_eq!(frame.ints("x"), (0..rows).map(Some).collect::<Vec<_>>(), "{way:?}");
        assert_eq!(frame.texts("name")[8], Some("name 1"), "{way:?}");
    }
}

/// As pandas writes categories.
#[test]
fn texts_of_a_dictionary_are_texts() {
    let texts = [Some("load"), None, Some("train"), Some("load")];
    let times = TimestampNanosecondArray::from_iter_values((0..4).map(|row| row * 1_000_000_000)).with_timezone("UTC");
    let columns: [(&str, ArrayRef); 2] = [("time", Arc::new(times)), ("phase", Arc::new(DictionaryArray::<Int8Type>::from_iter(texts)))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let (mut arrow, mut parquet) = (Vec::new(), Vec::new());
    let mut writer = FileWriter::try_new(&mut arrow, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let mut writer = ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for (name, bytes) in [("x.arrow", arrow), ("x.parquet", parquet)] {
        let (_, frame, _) = opened(name, bytes, None);
        let kept: Vec<_> = texts.into_iter().flatten().map(Some).collect();
        assert_eq!(frame.texts("phase"), kept, "{name}");
    }
}

#[test]
fn what_is_no_table_of_times_is_refused_in_one_sentence() {
    assert!(refused("x.csv", "").contains("it is empty"));
    assert!(refused("x.csv", " \n\n").contains("it is empty"));
    assert!(refused("x.csv", "time,x\n").contains("no row"));
    assert!(refused("x.csv", "a,b\n1,2\n").contains("name one of its columns `time` (it has a, b)"));
    assert!(refused("x.csv", "time,x\nsoon,1\nlater,2\n").contains("has soon, which is no time"));
    assert!(refused("x.csv", "time\n1795166400\n").contains("times and nothing else"));
    assert!(refused("x.csv", "time,x\n99999999999999999999999,1\n").contains("1823"));
    assert!(refused("x.csv", "time,x\n1862-10-25,1\n2026-10-25,2\n").contains("146 years apart"));
    assert!(refused("x.jsonl", "[1, 2]\n").contains("one object a line"));
    assert!(refused("x.jsonl", "{\"time\": \n").contains("line 1 is no JSON object"));
    assert!(refused("x.jsonl", "{\"a\": 1}\n").contains("it has a"));
    assert!(refused("x.gz", b"\x1f\x8b\x08\0").contains("gunzip"));
    assert!(refused("x.xlsx", b"PK\x03\x04").contains("CSV"));
    assert!(refused("x.db", b"SQLite format 3\0").contains("sqlite3 -csv"));
    assert!(refused("x.csv", "t\0i\0m\0e\0").contains("no recording, and no table"));
    assert!(refused("x.csv", b"\xff\xfet\0").contains("UTF-16"));
    assert!(refused("x.csv", b"\x80\x81,\xfe\n1,2\n").contains("no table"));
    assert!(refused("x.parquet", "PAR1 and what there was").contains("was cut off"));
    assert!(refused("x.parquet", "PAR1 and much more PAR1").contains("can't be read"));
    assert!(refused("x.arrow", "ARROW1\0\0").contains("was cut off"));
    assert!(refused("x.arrow", "ARROW1\0\0 and much more ARROW1").contains("can't be read"));
}

#[test]
fn a_pipe_is_refused_and_a_folder_is_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(as_recording(folder.path(), None).unwrap().folder(), folder.path());
    let said = as_recording(Path::new("/dev/null"), None).unwrap_err().to_string();
    assert!(said.contains("write it to a file first"), "{said}");
    let none = folder.path().join("none.csv");
    assert!(Timeline::open(as_recording(&none, None).unwrap()).unwrap_err().to_string().contains("no such"));
}

/// Memory stays bounded: a line that never ends is an error long before it is read.
#[test]
fn endless_lines_are_refused() {
    for (name, begin) in [("x.csv", "time,x\n1795166400,"), ("x.jsonl", "{\"time\":1795166400,\"x\":\"")] {
        let (_folder, path) = file(name, begin);
        let file = File::options().append(true).open(&path).unwrap();
        // A hole: a gigabyte of zeros that takes no disk.
        file.set_len(1 << 30).unwrap();
        let said = as_recording(&path, None).unwrap_err().to_string();
        assert!(said.contains("a line of more than 4 MB"), "{said}");
    }
    let (_folder, path) = file("x.bin", "");
    File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    assert!(as_recording(&path, None).unwrap_err().to_string().contains("no table"));
}

#[test]
fn a_file_that_was_cut_off_anywhere_is_rows_or_a_sentence() {
    let table = Memory::TABLE;
    let cells: Vec<Row> =
        (0..20).map(|tick| Row { step: 1_000_000_000, cells: vec![Some(tick); table.metrics.len()], text: "a".to_owned() }).collect();
    for format in Format::ALL {
        let folder = tempfile::tempdir().unwrap();
        let timeline = recorded(folder.path(), table, &cells);
        let path = folder.path().join(format!("{}.{}", table.name, format.suffixes[0]));
        exported(&timeline.frame(table.name, &Query::all()).unwrap(), &path, *format);
        let whole = fs::read(&path).unwrap();
        let step = (whole.len() / 60).max(1);
        for length in (0..whole.len()).step_by(step) {
            fs::write(&path, &whole[..length]).unwrap();
            match as_recording(&path, None) {
                Ok(recording) => {
                    let read = Timeline::open(&recording).unwrap().frame(table.name, &Query::all()).unwrap();
                    assert!(format.is_text && read.len() < 20, "{} {length}", format.name);
                    let column = table.metrics[Memory::available.index()].column();
                    assert!(read.ints(&column).iter().zip(0..).all(|(cell, tick)| *cell == Some(tick)), "no half number: {} {length}", format.name);
                }
                Err(error) => assert_eq!(error.to_string().lines().count(), 1),
            }
        }
    }
}

/// A row of a table of ours.
#[derive(Clone, Debug)]
struct Row {
    step: i64,
    cells: Vec<Option<i64>>,
    text: String,
}

fn rows(table: &'static Table) -> impl Strategy<Value = Vec<Row>> {
    let cell = prop::option::weighted(0.8, prop_oneof![0..1000_i64, any::<i64>(), Just(i64::MAX), Just(i64::MIN)]);
    let text = prop_oneof![
        "[a-z]{1,8}",
        "[\"',\t\r\n\\\\ =;\u{0}\u{feff}\u{2028}é\u{1F4A9}]{1,8}",
        Just("null".to_owned()),
        Just("NaN".to_owned()),
        Just("12".to_owned())
    ];
    let row =
        (1..3_000_000_000_i64, prop::collection::vec(cell, table.metrics.len()), text).prop_map(|(step, cells, text)| Row { step, cells, text });
    prop::collection::vec(row, 1..20)
}

/// A recording of these rows. Each has its keys, and one of its cells at least.
fn recorded(folder: &Path, table: &'static Table, rows: &[Row]) -> Timeline {
    let path = folder.join(format!("{}.baro", table.name));
    let mut recording = Recording::create(&path, Facts::default(), barograph_store::Options::default()).unwrap();
    let mut batch = Batch::new(table);
    let mut at = Moment { utc_nanos: 1_795_166_400_000_000_000, monotonic_nanos: 5_000_000_000 };
    for row in rows {
        // The clock is set back now and then.
        let utc = if row.step % 7 == 0 { -row.step } else { row.step };
        at = Moment { utc_nanos: at.utc_nanos + utc, monotonic_nanos: at.monotonic_nanos + row.step };
        batch.begin_row(at);
        for (index, (metric, cell)) in table.metrics.iter().zip(&row.cells).enumerate() {
            let cell = if index <= table.keys { Some(cell.unwrap_or(1)) } else { *cell };
            let Some(cell) = cell else { continue };
            match metric.physical {
                Physical::Int => batch.set_number(index, cell),
                Physical::Float => batch.set_number(index, f64::from_bits(cell.cast_unsigned())),
                Physical::Text => batch.set_text(index, row.text.as_bytes()),
            }
        }
    }
    recording.take(&batch).unwrap();
    recording.publish().unwrap();
    Timeline::open(&path).unwrap()
}

fn exported(frame: &Frame, path: &Path, format: Format) {
    let mut exporter = format.open(Box::new(File::create(path).unwrap()), &frame.batch().schema(), &Options::default()).unwrap();
    exporter.write(frame.batch()).unwrap();
    exporter.finish().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    /// Every format, tables with and without keys: the same cells, names, units and help.
    #[test]
    fn a_table_that_was_exported_reads_back(process in rows(Process::TABLE), memory in rows(Memory::TABLE), events in rows(Events::TABLE), disk in rows(Disk::TABLE)) {
        for (table, rows) in [(Process::TABLE, &process), (Memory::TABLE, &memory), (Events::TABLE, &events), (Disk::TABLE, &disk)] {
            let folder = tempfile::tempdir().unwrap();
            let timeline = recorded(folder.path(), table, rows);
            let frame = timeline.frame(table.name, &Query::all()).unwrap();
            for format in Format::ALL {
                let path = folder.path().join(format!("x.{}", format.suffixes[0]));
                exported(&frame, &path, *format);
                let recording = as_recording(&path, None).unwrap();
                let again = Timeline::open(&recording).unwrap();
                prop_assert_eq!(again.tables().unwrap().iter().map(|table| table.name.clone()).collect::<Vec<_>>(), [table.name], "{}", format.name);
                let read = again.frame(table.name, &Query::all()).unwrap();
                prop_assert_eq!(read.times(), frame.times(), "{}", format.name);
                prop_assert_eq!(read.monotonic(), frame.monotonic());
                prop_assert_eq!(read.fields(), frame.fields());
                for field in frame.fields() {
                    prop_assert_eq!(read.ints(&field.name), frame.ints(&field.name), "{} {}", format.name, field.id);
                    let bits = |frame: &Frame| frame.floats(&field.name).into_iter().map(|cell| cell.map(f64::to_bits)).collect::<Vec<_>>();
                    prop_assert_eq!(bits(&read), bits(&frame), "{} {}", format.name, field.id);
                    prop_assert_eq!(read.texts(&field.name), frame.texts(&field.name), "{} {}", format.name, field.id);
                }
            }
        }
    }

    /// The flat form, as `-o x.csv` makes it: what it says is what it says again, sums of disks and of networks included.
    #[test]
    fn the_flat_form_reads_back(memory in rows(Memory::TABLE), disk in rows(Disk::TABLE), network in rows(Network::TABLE)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.baro");
        let mut recording = Recording::create(&path, Facts::default(), barograph_store::Options::default()).unwrap();
        for (table, rows) in [(Memory::TABLE, &memory), (Disk::TABLE, &disk), (Network::TABLE, &network)] {
            let mut batch = Batch::new(table);
            for (tick, row) in rows.iter().enumerate().take(memory.len()) {
                let nanos = tick as i64 * 1_000_000_000;
                batch.begin_row(Moment { utc_nanos: 1_795_166_400_000_000_000 + nanos, monotonic_nanos: nanos });
                for (index, (metric, cell)) in table.metrics.iter().zip(&row.cells).enumerate() {
                    let small = cell.unwrap_or(1).rem_euclid(1000);
                    match metric.physical {
                        Physical::Int => batch.set_number(index, if table.counted == Some(metric.name) { 1 } else { small }),
                        Physical::Float => batch.set_number(index, small as f64 / 8.0),
                        Physical::Text => batch.set_text(index, row.text.as_bytes()),
                    }
                }
            }
            recording.take(&batch).unwrap();
        }
        recording.publish().unwrap();
        let wide = |timeline: &Timeline| {
            let mut wide = timeline.wide(&[], None, None).unwrap();
            let pieces: Vec<_> = wide.by_ref().map(Result::unwrap).collect();
            assert_eq!(pieces.len(), 1);
            pieces.into_iter().next().unwrap()
        };
        let batch = wide(&Timeline::open(&path).unwrap());
        for format in Format::ALL {
            let path = folder.path().join(format!("run.{}", format.suffixes[0]));
            let mut exporter = format.open(Box::new(File::create(&path).unwrap()), &batch.schema(), &Options::default()).unwrap();
            exporter.write(&batch).unwrap();
            exporter.finish().unwrap();
            let recording = as_recording(&path, None).unwrap();
            prop_assert!(recording.notices().is_empty(), "{:?}", recording.notices());
            prop_assert_eq!(&wide(&Timeline::open(&recording).unwrap()), &batch, "{}", format.name);
        }
    }
}

#[test]
fn marks_that_were_exported_are_events_again() {
    let (timeline, frame, _recording) = opened("events.csv", "event,timestamp\nbegin of it,2026-11-20T09:20:00Z\nend,2026-11-20T09:20:09Z\n", None);
    assert_eq!(timeline.tables().unwrap()[0].name, Events::TABLE.name);
    let column = |index: usize| Events::TABLE.metrics[index].column();
    assert_eq!(frame.texts(&column(Events::name.index())), [Some("begin of it"), Some("end")]);
}

#[test]
fn arrow_files_may_be_compressed() {
    // As pyarrow and pandas write Feather unless told otherwise.
    for kind in [arrow_ipc::CompressionType::LZ4_FRAME, arrow_ipc::CompressionType::ZSTD] {
        let (folder, path) = file("packed.feather", "");
        let time = TimestampMillisecondArray::from_iter_values((0..5000).map(|row| 1_795_166_400_000 + row * 1000)).with_timezone("UTC");
        let rain = Float64Array::from_iter_values((0..5000).map(|row| f64::from(row % 7)));
        let batch = RecordBatch::try_from_iter([("time", Arc::new(time) as ArrayRef), ("rain", Arc::new(rain))]).unwrap();
        let options = IpcWriteOptions::default().try_with_compression(Some(kind)).unwrap();
        let mut writer = FileWriter::try_new_with_options(File::create(&path).unwrap(), &batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        let recording = as_recording(&path, None).unwrap();
        let timeline = Timeline::open(&recording).unwrap();
        let rows = timeline.frame("packed", &Query::all()).unwrap();
        assert_eq!((rows.len(), rows.numbers("rain")[4999]), (5000, 1.0), "{kind:?}");
        // The column of times says that it is longer than any memory: nobody asks for that.
        let mut bytes = fs::read(&path).unwrap();
        let length = (5000_i64 * 8).to_le_bytes();
        let packed: Vec<usize> = (0..bytes.len() - 8).filter(|&at| bytes[at..at + 8] == length).collect();
        assert!(packed.len() >= 2, "{kind:?}");
        for at in packed {
            bytes[at..at + 8].copy_from_slice(&(1_i64 << 46).to_le_bytes());
        }
        drop(folder);
        assert!(refused("packed.feather", bytes).contains("than fits into memory"), "{kind:?}");
    }
}

#[test]
fn rows_of_several_things_at_a_time_have_no_rates() {
    let text = |hosts: &[&str]| {
        let mut text = "time,host,requests_total,load\n".to_owned();
        for second in 0..30 {
            for (place, host) in hosts.iter().enumerate() {
                text += &format!("2026-11-20T09:20:{second:02}Z,{host},{},0.5\n", 1000 * place + second);
            }
        }
        text
    };
    for (hosts, kind, noticed) in [(&["a"][..], "counter", vec![]), (&["a", "b", "c"], "gauge", vec![("rows_of_several", 60)])] {
        let (timeline, frame, recording) = opened("hosts.csv", text(hosts), None);
        let field = frame.fields().into_iter().find(|field| field.name == "requests_total").unwrap();
        assert_eq!((field.kind.as_str(), noted(&recording)), (kind, noticed), "{hosts:?}");
        assert_eq!(timeline.facts().notices.iter().any(|notice| notice.detail.contains("no rates of requests_total")), hosts.len() > 1);
    }
}

#[test]
fn a_file_may_grow_while_it_is_open() {
    let (_folder, path) = file("x.csv", "time,x\n1795166400,1\n");
    let before = as_recording(&path, None).unwrap();
    writeln!(File::options().append(true).open(&path).unwrap(), "1795166401,2").unwrap();
    let after = as_recording(&path, None).unwrap();
    let rows = |recording: &AsRecording| Timeline::open(recording).unwrap().frame("x", &Query::all()).unwrap().len();
    assert_eq!([rows(&before), rows(&after)], [1, 2]);
}

/// The cells of a metric of ours.
fn cells<T: Described, K>(recording: &AsRecording, field: barograph_model::Field<T, K>) -> Vec<Option<f64>> {
    let frame = Timeline::open(recording).unwrap().frame(T::TABLE.name, &Query::all()).unwrap();
    frame.floats(&T::TABLE.metrics[field.index()].column())
}

const SYSMON: &str = "time,cpu_count,cpu_percent,cpu_freq,cpu_user,cpu_system,cpu_idle,cpu_iowait,cpu_time,mem_total,mem_available,mem_swapfree,\
    dio_readsize,dio_writesize,nio_readsize,nio_writesize\n";

#[test]
fn differences_of_sysmon_become_counters_and_gigabytes_bytes() {
    // Two runs in one file.
    let rows = "1795166400.250,2.000,0.000,2600.000,0.000,0.000,0.000,0.000,0.000,8.000,6.500,4.000,0.000,0.000,0.000,0.000\n\
        1795166401.250,2.000,25.000,2600.000,0.250,0.250,1.500,0.000,2.000,8.000,6.000,3.500,0.500,0.000,0.000,0.125\n\
        1795166402.250,2.000,50.000,2600.000,0.500,0.500,1.000,0.000,2.000,8.000,5.500,3.000,0.250,1.000,0.000,0.125\n\
        1795166500.500,2.000,0.000,2600.000,0.000,0.000,0.000,0.000,0.000,8.000,6.500,4.000,0.000,0.000,0.000,0.000\n\
        1795166501.500,2.000,5.000,2600.000,0.125,0.000,1.875,0.000,2.000,8.000,6.500,4.000,0.000,0.000,0.000,0.000\n";
    for (header, rows) in [(SYSMON.to_owned(), rows.to_owned()), {
        // As it was before it told the frequency, and wrote an empty line after the header.
        (SYSMON.replace("cpu_freq,", "") + "\n", rows.replace("2600.000,", ""))
    }] {
        let (_folder, path) = file("monitored.csv", header + &rows);
        let recording = as_recording(&path, None).unwrap();
        assert_eq!(recording.format(), Some("sysmon"));
        assert_eq!(recording.notices(), []);
        let gib = |shares: [f64; 5]| shares.map(|share| Some(share * 1_073_741_824.0)).to_vec();
        assert_eq!(cells(&recording, Memory::available), gib([6.5, 6.0, 5.5, 6.5, 6.5]));
        assert_eq!(cells(&recording, Memory::free), gib([4.0, 3.5, 3.0, 4.0, 4.0]), "whatever its name says");
        assert_eq!(cells(&recording, Disk::read), gib([0.0, 0.5, 0.75, 0.0, 0.0]), "a run that was appended begins anew");
        assert_eq!(cells(&recording, Network::sent), gib([0.0, 0.125, 0.25, 0.0, 0.0]));
        assert_eq!(cells(&recording, Cpu::user), [0.0, 0.25, 0.75, 0.0, 0.125].map(Some));
        assert_eq!(cells(&recording, Cpu::cores_online), [Some(2.0); 5]);
        let timeline = Timeline::open(&recording).unwrap();
        let frame = timeline.frame("monitored", &Query::all()).unwrap();
        assert_eq!(frame.times()[0], nanos("2026-11-20T09:20:00.25Z"));
        assert_eq!(frame.floats("cpu_ratio"), [None, Some(0.25), Some(0.5), None, Some(0.05)], "the first of a run tells nothing");
        assert_eq!(frame.floats("cpu_time_seconds"), [0.0, 2.0, 4.0, 0.0, 2.0].map(Some));
        assert!(!frame.is_numeric("cpu_freq_hertz") || frame.floats("cpu_freq_hertz")[0] == Some(2.6e9));
    }
}

#[test]
fn a_log_of_the_resource_monitor_is_the_job_and_the_machine() {
    let header = "time,cpu_percent,cpu_percent_global,rss_mb,vms_mb,vms_global_mb,swap_used_mb,read_count,read_count_global,read_mb,read_mb_global,\
        write_count,write_count_global,write_mb,write_mb_global,gpu_0_mem_mb,gpu_0_mem_mb_global,gpu_0_utilization_percent_global";
    let text = format!(
        "In current environment, the latency of resource logging is estimated to be 5.0000e-04 s, your interval is advised to be 2x greater than it.\n\
        logger_process_pid:7,cpu_count:2,vm_total_mb:8192,vm_available_mb:6000,swap_total_mb:0,swap_free_mb:0,gpu_0_total_mb:100,gpu_0_free_mb:90\n\
        {header}\n\
        1148.5,0.0,0.0,17,20,430,0,188,1000,0,4008,5,22781,1,6015,10,20,30\n\
        1149.5,112.5,50.0,18,20,431,0,190,1001,2,4008,5,22781,1,6016,10,20,40\n\
        1150.5,100.0,5"
    );
    let (_folder, path) = file("res.log", text);
    let recording = as_recording(&path, None).unwrap();
    assert_eq!(recording.format(), Some("resource_monitor"));
    assert_eq!(noted(&recording), [("torn_line", 1), ("times_from_a_start", 1)]);
    let mib = |values: [f64; 2]| values.map(|value| Some(value * 1_048_576.0)).to_vec();
    assert_eq!(cells(&recording, Job::resident), mib([17.0, 18.0]));
    assert_eq!(cells(&recording, Job::storage_read), mib([0.0, 2.0]));
    assert_eq!(cells(&recording, Job::read_calls), [Some(188.0), Some(190.0)]);
    assert_eq!(cells(&recording, Disk::written), mib([6015.0, 6016.0]));
    assert_eq!(cells(&recording, Disk::reads), [Some(1000.0), Some(1001.0)]);
    let frame = Timeline::open(&recording).unwrap().frame("res", &Query::all()).unwrap();
    assert_eq!(frame.floats("cpu_ratio"), [None, Some(1.125)]);
    assert_eq!(frame.floats("memory_used_bytes"), mib([430.0, 431.0]));
    assert_eq!(frame.floats("gpu_0_mem_global_bytes"), mib([20.0, 20.0]));
    assert_eq!(frame.floats("gpu_0_utilization_global_ratio"), [Some(0.3), Some(0.4)]);
    assert_eq!(frame.floats("cpu_global_ratio"), [None, Some(0.5)]);
}
