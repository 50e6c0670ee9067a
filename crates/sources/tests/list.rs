//! The list of sources as a whole: what is true of every table and metric, and that nobody says a metric's name but its source.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use barograph_model::{Kind, Metric, Unit};
use barograph_sources::{SOURCES, tables};

fn metrics() -> impl Iterator<Item = &'static Metric> {
    tables().into_iter().flat_map(|table| table.metrics)
}

#[test]
fn every_table_of_every_source_is_listed_once() {
    let tables = tables();
    let names: HashSet<&str> = tables.iter().map(|table| table.name).collect();
    assert_eq!(names.len(), tables.len(), "two tables have one name");
    for table in SOURCES.iter().flat_map(|entry| entry.tables) {
        assert!(names.contains(table.name), "{} is not among the tables", table.name);
    }
    let sources: HashSet<&str> = SOURCES.iter().map(|entry| entry.name).collect();
    assert_eq!(sources.len(), SOURCES.len(), "two sources have one name");
}

#[test]
fn every_metric_has_an_id_of_its_own() {
    let mut ids = HashSet::new();
    for metric in metrics() {
        assert!(ids.insert(metric.id()), "{} is there twice", metric.id());
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        assert!(plain(&metric.column()) && plain(metric.table), "{} is not written as ids are", metric.id());
        assert!(!["time", "monotonic_nanos"].contains(&metric.column().as_str()), "{} is a column of every table", metric.id());
    }
}

#[test]
fn every_help_is_a_sentence() {
    let helps = tables().into_iter().map(|table| (table.name.to_owned(), table.help())).chain(metrics().map(|metric| (metric.id(), metric.help())));
    for (id, help) in helps {
        let begins = help.starts_with(|first: char| first.is_uppercase() || first.is_ascii_digit() || first == '`');
        assert!(begins && help.ends_with('.') && help.contains(' '), "the help of {id} is not a sentence: {help}");
        assert!(!help.contains("  ") && !help.contains('\n'), "the help of {id} has stray blanks: {help}");
    }
}

#[test]
fn every_metric_says_where_it_comes_from() {
    for table in tables() {
        assert!(!table.origin.is_empty(), "{} comes from nowhere", table.name);
    }
    for metric in metrics() {
        assert!(!metric.origin.is_empty(), "{} comes from nowhere", metric.id());
    }
}

#[test]
fn units_are_said_by_the_end_of_a_column() {
    let ends = [(Unit::Bytes, "_bytes"), (Unit::Seconds, "_seconds"), (Unit::Hertz, "_hertz"), (Unit::Ratio, "_ratio")];
    for metric in metrics() {
        for (unit, end) in ends {
            assert_eq!(metric.column().ends_with(end), metric.unit == unit, "{} is in {}", metric.id(), metric.unit.name());
            assert!(!metric.name.ends_with(end), "the field of {} says its unit, which its type says already", metric.id());
        }
        assert_eq!(metric.unit == Unit::None, matches!(metric.kind, Kind::Id | Kind::Text), "{} has no unit or too many", metric.id());
    }
}

#[test]
fn what_says_that_a_row_counts_is_a_column() {
    for table in tables() {
        if let Some(counted) = table.counted {
            let column = table.metrics.iter().find(|metric| metric.column() == counted);
            assert!(column.is_some_and(|metric| metric.kind == Kind::Gauge && metric.unit == Unit::Count), "{} has no {counted}", table.name);
            assert!(table.keys > 0, "{} has nothing to count", table.name);
        }
    }
}

/// A name that stands twice drifts: everything else finds metrics by walking the declaration, or by its constants.
#[test]
fn nobody_says_a_metrics_name_but_its_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let mut said = Vec::new();
    for file in source_files(&root.join("crates")) {
        let text = fs::read_to_string(&file).unwrap();
        // Tests stand at the end of a file, and may say what they expect.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate().filter(|(_, line)| !is_comment(line)) {
            let literals = literals(line, &file);
            let says = |metric: &Metric| {
                let (id, column) = (metric.id(), metric.column());
                let pair = metric.table != column && literals.windows(2).any(|two| two == [metric.table, column.as_str()]);
                literals.iter().any(|literal| literal.split(|c: char| !c.is_alphanumeric() && !"._".contains(c)).any(|word| word == id)) || pair
            };
            said.extend(metrics().filter(|metric| says(metric)).map(|metric| format!("{}:{}: {}", file.display(), number + 1, metric.id())));
        }
    }
    assert!(said.is_empty(), "metrics are named outside of their declaration; write a loop instead:\n{}", said.join("\n"));
}

/// The texts between quotes: every second piece.
fn literals<'a>(line: &'a str, file: &Path) -> Vec<&'a str> {
    let quotes: &[char] = if file.extension().is_some_and(|end| end == "rs") { &['"'] } else { &['"', '\'', '`'] };
    line.split(quotes).skip(1).step_by(2).collect()
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with('#') && !line.starts_with("#[") || line.starts_with('*')
}

/// What people wrote in Rust, TypeScript and Python in the `src` folders below this one.
fn source_files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let within = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.extension().and_then(|end| end.to_str()) {
            _ if path.is_dir() && !["test", "tests", "benches", "fixtures", "node_modules", "target"].contains(&&*name) => source_files(&path),
            Some("rs" | "ts" | "tsx" | "py") if path.is_file() => vec![path],
            _ => Vec::new(),
        }
    };
    paths.flat_map(within).collect()
}
