//! Exports in every format, read back.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod sample;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use arrow_array::RecordBatch;
use barograph_model::{Described, Metric};
use barograph_sources::{Disk, Job};
use barograph_store::SpanTable;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sample::{barograph, complained, said};

/// Ticks of the sample.
const TICKS: usize = 193 - 25;

fn read_parquet(path: &Path) -> RecordBatch {
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().with_batch_size(100_000).build().unwrap();
    reader.next().unwrap().unwrap()
}

fn metric(table: &'static barograph_model::Table, index: usize) -> &'static Metric {
    &table.metrics[index]
}

#[test]
fn every_format_has_every_tick() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    for suffix in ["csv", "tsv", "jsonl", "parquet", "arrow", "feather"] {
        let name = format!("flat.{suffix}");
        let output = barograph(folder.path(), &["export", "train.baro", "-o", &name]);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("168 rows"));
    }
    let at = |name: &str| folder.path().join(name);
    let parquet = read_parquet(&at("flat.parquet"));
    let mut arrow = arrow_ipc::reader::FileReader::try_new(File::open(at("flat.arrow")).unwrap(), None).unwrap();
    let arrow = arrow.next().unwrap().unwrap();
    for ((ours, theirs), field) in arrow.columns().iter().zip(parquet.columns()).zip(parquet.schema().fields()) {
        assert_eq!(ours, theirs, "{}", field.name());
    }
    assert_eq!(arrow.schema().fields(), parquet.schema().fields());
    assert_eq!(parquet.num_rows(), TICKS);
    let csv = fs::read_to_string(at("flat.csv")).unwrap();
    assert_eq!(csv.lines().count(), TICKS + 1);
    assert_eq!(csv.replace(',', "\t"), fs::read_to_string(at("flat.tsv")).unwrap());
    let names: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    assert_eq!(names, parquet.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>());
    for line in fs::read_to_string(at("flat.jsonl")).unwrap().lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row.as_object().unwrap().len(), names.len());
    }
}

#[test]
fn the_flat_form_sums_what_counts_and_keeps_what_is_known_of_columns() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    let written = metric(Disk::TABLE, Disk::written.index());
    let text =
        said(folder.path(), &["export", "train.baro", "-o", "-", "--format", "csv", "--columns", &written.id(), "--from", "+2s", "--to", "+3s"]);
    let expected = format!(
        "time,monotonic_nanos,{}\n2026-11-20T09:20:02.000000000Z,5002000000000,41943040\n2026-11-20T09:20:03.000000000Z,5003000000000,62914560\n",
        written.id()
    );
    assert_eq!(text, expected, "the disk and not its partition too");
    said(folder.path(), &["export", "train.baro", "-o", "flat.parquet"]);
    let schema = read_parquet(&folder.path().join("flat.parquet")).schema();
    assert_eq!(schema.field_with_name(&written.id()).unwrap().metadata()["help"], written.help());
    assert!(schema.fields().iter().all(|field| !field.data_type().is_string()));
}

#[test]
fn a_table_is_exported_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    let table = Disk::TABLE;
    let text = said(folder.path(), &["export", "train.baro", "--table", table.name, "-o", "-", "--format", "jsonl", "--tz", "Europe/Berlin"]);
    assert_eq!(text.lines().count(), TICKS * 3);
    assert!(text.starts_with("{\"time\":\"2026-11-20T10:20:00.000000000+01:00\",\"monotonic_nanos\":5000000000000,"), "{}", &text[..200]);
    let listed = said(folder.path(), &["export", "train.baro", "--list"]);
    assert!(listed.lines().any(|line| line.starts_with(Job::TABLE.name) && line.contains("168")), "{listed}");
}

#[test]
fn spans_are_exported_with_what_they_cost() {
    let folder = tempfile::tempdir().unwrap();
    sample::write_said(folder.path());
    sample::write(folder.path());
    for suffix in ["csv", "tsv", "jsonl", "parquet", "arrow"] {
        let name = format!("spans.{suffix}");
        let output = barograph(folder.path(), &["export", "said.baro", "--table", "spans", "-o", &name]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("10 rows"), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let parquet = read_parquet(&folder.path().join("spans.parquet"));
    let schema = parquet.schema();
    assert_eq!(
        schema.fields().iter().take(5).map(|field| field.name().as_str()).collect::<Vec<_>>(),
        ["time", "monotonic_nanos", "end_time", "end_monotonic_nanos", "span"]
    );
    let help = SpanTable::TABLE.metrics[SpanTable::cpu.index()].help();
    assert_eq!(schema.field_with_name("cpu_seconds").unwrap().metadata()["help"], help);
    let lines: Vec<serde_json::Value> =
        fs::read_to_string(folder.path().join("spans.jsonl")).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (lines[0]["name"].as_str(), lines[0]["wall_seconds"].as_f64(), lines[0]["thread_cpu_seconds"].as_f64()),
        (Some("load"), Some(4.5), Some(1.0))
    );
    assert_eq!((lines[0]["cpu_how"].as_str(), lines[0]["cpu_seconds"].as_f64()), (Some("exact"), Some(2.5)));
    assert_eq!((lines[9]["status"].as_str(), lines[9]["end_time"].as_str()), (Some("open"), Some("2026-11-20T09:23:12.250000000Z")));
    let some = said(
        folder.path(),
        &["export", "said.baro", "--table", "spans", "--columns", "name,spans.wall_seconds", "-o", "-", "--format", "csv", "--to", "+3s"],
    );
    assert_eq!(some.lines().collect::<Vec<_>>(), ["time,monotonic_nanos,name,wall_seconds", "2026-11-20T09:20:02.000000000Z,5002000000000,load,4.5"]);
    assert!(
        complained(folder.path(), &["export", "said.baro", "--table", "spans", "--columns", "wal_seconds", "-o", "a.csv"]).contains("wall_seconds")
    );
    let events = said(folder.path(), &["export", "said.baro", "--table", "events", "-o", "-", "--format", "csv"]);
    assert_eq!(events.matches("checkpoint").count(), 3);
    for table in ["spans", "events"] {
        assert_eq!(said(folder.path(), &["export", "train.baro", "--table", table, "-o", "-", "--format", "csv"]).lines().count(), 1, "{table}");
    }
    let listed = said(folder.path(), &["export", "said.baro", "--list"]);
    assert!(listed.lines().any(|line| line.starts_with("spans ") && line.contains("10")), "{listed}");
}

#[test]
fn an_empty_recording_gives_a_file_with_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    sample::write_short(folder.path(), "short.baro", 1);
    let text = said(folder.path(), &["export", "short.baro", "-o", "-", "--format", "csv", "--from", "+1h"]);
    assert_eq!(text.lines().count(), 1);
    assert_eq!(
        said(folder.path(), &["export", "short.baro", "--table", Job::TABLE.name, "-o", "-", "--format", "csv", "--from", "+1h"]).lines().count(),
        1
    );
}

#[test]
fn nothing_is_overwritten_and_mistakes_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    fs::write(folder.path().join("mine.csv"), "precious").unwrap();
    assert!(complained(folder.path(), &["export", "train.baro", "-o", "mine.csv"]).contains("--force"));
    assert_eq!(fs::read_to_string(folder.path().join("mine.csv")).unwrap(), "precious");
    said(folder.path(), &["export", "train.baro", "-o", "mine.csv", "--force"]);
    assert!(complained(folder.path(), &["export", "train.baro", "-o", "a.xlsx"]).contains("--format"));
    assert!(complained(folder.path(), &["export", "train.baro", "-o", "-"]).contains("--format"));
    assert!(complained(folder.path(), &["export", "train.baro", "--table", "weather", "-o", "a.csv"]).contains("there are"));
    assert!(complained(folder.path(), &["export", "train.baro", "--columns", "weather", "-o", "a.csv"]).contains("no column"));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn who_reads_from_a_pipe_may_stop() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    for arguments in [&["export", "train.baro", "-o", "-", "--format", "csv"] as &[&str], &["report", "train.baro", "--json"], &["metrics"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barograph"));
        let mut child = command.current_dir(folder.path()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
