//! Reports and lists of recordings, to the letter. `BLESS=1 cargo test -p barograph-cli` writes the golden files anew.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod sample;

use std::fs;
use std::path::Path;

use sample::{barograph, complained, said};

/// Compares with a golden file. How many bytes a recording takes is no matter of this test.
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let mut text = text.to_owned();
    if let Some(place) = text.find("the recording has ") {
        let rest = &text[place..];
        let end = rest.find("B.").unwrap();
        text.replace_range(place..place + end + 2, "the recording has SIZE.");
    }
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name}: look at the difference, and BLESS=1 if it is right");
}

#[test]
fn the_story_is_told_in_text() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    golden("report-80.txt", &said(folder.path(), &["report", "train.baro", "--width", "80", "--tz", "Europe/Berlin"]));
    golden("report-120.txt", &said(folder.path(), &["report", "train.baro", "--width", "120"]));
    golden(
        "report-part.txt",
        &said(folder.path(), &["report", "train.baro", "--width", "80", "--from", "10:21", "--to", "+90s", "--tz", "recorded", "--top", "1"]),
    );
}

#[test]
fn the_story_is_told_in_markdown_and_json() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    golden("report-markdown.txt", &said(folder.path(), &["report", "train.baro", "--markdown"]));
    golden("report-json.txt", &said(folder.path(), &["report", "train.baro", "--json"]));
}

#[test]
fn what_the_program_said_stands_beside_what_it_cost() {
    let folder = tempfile::tempdir().unwrap();
    sample::write_said(folder.path());
    golden("said-80.txt", &said(folder.path(), &["report", "said.baro", "--width", "80"]));
    golden("said-120.txt", &said(folder.path(), &["report", "said.baro", "--width", "120"]));
    golden("said-spans.txt", &said(folder.path(), &["report", "said.baro", "--width", "100", "--spans"]));
    golden("said-epochs.txt", &said(folder.path(), &["report", "said.baro", "--width", "100", "--spans=epoch"]));
    golden("said-part.txt", &said(folder.path(), &["report", "said.baro", "--width", "100", "--spans", "--from", "+60s", "--to", "+70s"]));
    golden("said-markdown.txt", &said(folder.path(), &["report", "said.baro", "--markdown", "--spans"]));
    let json: serde_json::Value = serde_json::from_str(&said(folder.path(), &["report", "said.baro", "--json"])).unwrap();
    let told = serde_json::json!({ "spans": json["spans"], "marks": json["marks"], "gauges": json["gauges"] });
    golden("said-json.txt", &(serde_json::to_string_pretty(&told).unwrap() + "\n"));
}

#[test]
fn without_spans_it_is_said_where_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    sample::write_said(folder.path());
    let told = said(folder.path(), &["report", "train.baro", "--spans"]);
    assert!(told.split_whitespace().collect::<Vec<_>>().join(" ").contains("barograph span NAME -- COMMAND"), "{told}");
    assert!(said(folder.path(), &["report", "train.baro", "--spans", "--markdown"]).contains("barograph span NAME"));
    assert!(complained(folder.path(), &["report", "train.baro", "--spans=load"]).contains("barograph span NAME"));
    assert!(complained(folder.path(), &["report", "said.baro", "--spans=lode"]).contains("there are epoch, evaluate, load"));
}

#[test]
fn no_line_is_wider_than_asked() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    sample::write_said(folder.path());
    for (width, arguments) in [60, 80, 100, 120, 200].into_iter().flat_map(|width| [(width, "train.baro"), (width, "said.baro")]) {
        for more in [&[] as &[&str], &["--spans"]] {
            let text = said(folder.path(), &[&["report", arguments, "--width", &width.to_string()], more].concat());
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(width < 80 || widest <= Some(width), "{width}: {widest:?}\n{text}");
        }
    }
}

#[test]
fn what_names_contain_does_not_reach_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    sample::write_said(folder.path());
    for recording in ["train.baro", "said.baro"] {
        for format in [&[] as &[&str], &["--markdown"], &["--json"], &["--spans"], &["--spans", "--markdown"]] {
            let text = said(folder.path(), &[&["report", recording], format].concat());
            assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text}");
            assert!(!text.contains('\u{202e}') || format == ["--json"], "{text}");
        }
    }
}

#[test]
fn little_is_told_of_little() {
    let folder = tempfile::tempdir().unwrap();
    for ticks in 0..3 {
        let name = format!("short-{ticks}.baro");
        sample::write_short(folder.path(), &name, ticks);
        let text = said(folder.path(), &["report", &name, "--width", "80"]);
        golden(&format!("report-short-{ticks}.txt"), &text);
        let json = said(folder.path(), &["report", &name, "--json"]);
        let all = format!("{text}{json}{}", said(folder.path(), &["report", &name, "--markdown"]));
        assert!(!all.contains("NaN") && !all.contains("inf"), "{all}");
    }
}

#[test]
fn recordings_are_listed_and_damaged_ones_too() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    sample::write_short(folder.path(), "short.baro", 3);
    fs::create_dir(folder.path().join("broken.baro")).unwrap();
    fs::write(folder.path().join("broken.baro/recording.json"), "{\"id\":").unwrap();
    fs::create_dir(folder.path().join("empty.baro")).unwrap();
    fs::create_dir(folder.path().join("other")).unwrap();
    golden("ls.txt", &said(folder.path(), &["ls", "--width", "120"]));
    golden("ls-json.txt", &said(folder.path(), &["ls", "--json"]));
    assert!(said(folder.path(), &["ls", "other"]).contains("barograph run"));
    assert!(complained(folder.path(), &["ls", "nowhere"]).contains("nowhere"));
}

#[test]
fn wrong_times_and_places_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    assert!(complained(folder.path(), &["report", "none.baro"]).contains("barograph ls"));
    assert!(complained(folder.path(), &["report", "train.baro", "--from", "soon"]).contains("yesterday 10:20"));
    let late = complained(folder.path(), &["report", "train.baro", "--from", "2027-01-01"]);
    assert!(late.contains("there is no tick") && late.contains("2026-11-20 09:20:00 +00:00"), "{late}");
    assert!(complained(folder.path(), &["report", "train.baro", "--tz", "Mars"]).contains("Europe/Berlin"));
}

#[test]
fn metrics_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let all = said(folder.path(), &["metrics"]);
    let made = <barograph_store::SpanTable as barograph_model::Described>::TABLE;
    let tables: Vec<_> = barograph_sources::tables().into_iter().chain([made]).collect();
    for metric in tables.iter().flat_map(|table| table.metrics) {
        assert!(all.contains(&metric.id()), "{}", metric.id());
    }
    let json: serde_json::Value = serde_json::from_str(&said(folder.path(), &["metrics", "--json"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), tables.iter().map(|table| table.metrics.len()).sum::<usize>());
    assert!(!barograph(folder.path(), &["metrics", "weather"]).status.success());
}
