//! Files in place of recordings: what was exported tells the same story, and a file of somebody else tells its own.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod sample;

use std::fs;

use sample::{barograph, complained, said};

#[test]
fn the_flat_form_of_a_recording_tells_what_the_recording_tells() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    let figures = |run: &str| {
        let report: serde_json::Value = serde_json::from_str(&said(folder.path(), &["report", run, "--json"])).unwrap();
        (report["machine"].clone(), report["job"]["memory"].clone(), report["window"]["ticks"].clone())
    };
    let expected = figures("train.baro");
    assert!(expected.0["disk_read"]["total"].is_number());
    for suffix in ["csv", "tsv", "jsonl", "parquet", "arrow"] {
        let name = format!("flat.{suffix}");
        assert!(barograph(folder.path(), &["export", "train.baro", "-o", &name]).status.success());
        assert_eq!(figures(&name), expected, "{suffix}");
        // From one format into another, and the same rows.
        assert!(barograph(folder.path(), &["export", &name, "-o", &format!("again.{suffix}.csv")]).status.success());
    }
    let again = |suffix: &str| fs::read_to_string(folder.path().join(format!("again.{suffix}.csv"))).unwrap();
    assert_eq!(again("parquet"), fs::read_to_string(folder.path().join("flat.csv")).unwrap());
    assert!(["tsv", "jsonl", "arrow", "csv"].iter().all(|suffix| again(suffix) == again("parquet")));
}

#[test]
fn a_file_of_somebody_else_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..60).map(|second| format!("2026-11-20 09:20:{second:02},{},{}\n", second * 1_000_000, 100 - second)).collect();
    fs::write(folder.path().join("weather.csv"), format!("time,rain_bytes,sun_percent\n{rows}")).unwrap();
    let text = said(folder.path(), &["report", "weather.csv", "--tz", "utc", "--zone", "Europe/Berlin"]);
    assert!(text.contains("weather.csv") && !text.contains("barograph-") && !text.contains("whole machine"), "{text}");
    assert!(text.contains("2026-11-20 08:20:00") && text.contains("every 1 s") && text.contains("60 ticks"), "{text}");
    assert!(text.contains("WEATHER") && text.contains("rain") && text.contains("56.3 MiB"), "{text}");
    assert!(text.contains("read as Europe/Berlin"), "{text}");
    let report: serde_json::Value = serde_json::from_str(&said(folder.path(), &["report", "weather.csv", "--json"])).unwrap();
    assert_eq!(report["columns"]["sun"]["peak"], 1.0);
    assert_eq!(report["columns"]["rain"]["unit"], "bytes");
    assert_eq!(report["recording"]["path"], "weather.csv");
    let lines = said(folder.path(), &["export", "weather.csv", "--format", "jsonl", "-o", "-", "--table", "weather", "--to", "+1s"]);
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.starts_with("{\"time\":\"2026-11-20T09:20:00.000000000Z\",\"monotonic_nanos\":0,\"rain_bytes\":0,\"sun_ratio\":1.0}"), "{lines}");
}

#[test]
fn a_file_is_drawn_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    assert!(barograph(folder.path(), &["export", "train.baro", "-o", "flat.csv"]).status.success());
    let drawn = |run: &str, more: &[&str]| {
        let plot = barograph(folder.path(), &[&["plot", run, "-o", "drawn.svg", "--force"], more].concat());
        assert!(plot.status.success(), "{}", String::from_utf8_lossy(&plot.stderr));
        (fs::read_to_string(folder.path().join("drawn.svg")).unwrap(), String::from_utf8_lossy(&plot.stderr).into_owned())
    };
    let title = |svg: &str| svg.contains("flat.csv") && !svg.contains("barograph-") && !svg.contains("whole machine");
    let (svg, _) = drawn("flat.csv", &["--panel", "memory"]);
    assert!(title(&svg), "{svg}");
    // Several, and what was assumed of one.
    fs::write(folder.path().join("weather.csv"), "time,rain_bytes\n2026-11-20 09:20:00,1\n2026-11-20 09:20:01,2\n").unwrap();
    let (svg, said) = drawn("weather.csv", &["--metric", "weather.rain_bytes"]);
    assert!(svg.contains("weather.csv") && said.contains("read as UTC") && said.lines().count() == 2, "{said}");
}

#[cfg(feature = "web")]
#[test]
fn a_file_is_mailed_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("weather.csv"), "time,rain_bytes\n2026-11-20 09:20:00,1\n2026-11-20 09:20:01,2\n").unwrap();
    let report = barograph(folder.path(), &["report", "weather.csv", "--html", "weather.html"]);
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
    let html = fs::read_to_string(folder.path().join("weather.html")).unwrap();
    assert!(html.contains("<title>weather.csv"), "{}", &html[..500]);
}

#[test]
fn what_is_no_recording_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), "a,b\n1,2\n").unwrap();
    fs::write(folder.path().join("b.parquet"), "PAR1PAR1").unwrap();
    fs::create_dir(folder.path().join("c")).unwrap();
    for (name, why) in [("a.csv", "no column has times"), ("b.parquet", "can't be read"), ("c", "no recording.json"), ("d.csv", "no such recording")]
    {
        for command in [&["report", name][..], &["export", name, "-o", "x.csv"], &["plot", name, "-o", "x.svg"]] {
            let text = complained(folder.path(), command);
            assert!(text.contains(why) && text.trim_end().lines().count() == 1, "{text}");
        }
    }
}
