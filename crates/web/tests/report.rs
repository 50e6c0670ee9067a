//! The report that is one file: what is in it, and what is not.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod hour;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use barograph_session::{Session, Settings, Watched};
use barograph_store::Timeline;
use barograph_web::{ReportOptions, report};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::Value;

use hour::{BEGIN, Hour, write};

/// A recording of this program, with rows and an event.
fn record(path: &Path) {
    let mut settings = Settings { watched: Watched::ThisProgram, path: Some(path.to_owned()), beacon: false, ..Settings::default() };
    settings.options.interval = Duration::from_millis(20);
    let session = Session::start(settings).unwrap();
    for _ in 0..5 {
        session.snapshot_now().unwrap();
    }
    session.stop().unwrap();
}

/// A part of the file, as the page unpacks it.
fn part(html: &str, id: &str) -> Vec<u8> {
    let begin = format!("id=\"{id}\">");
    let packed = html.split_once(&begin).unwrap().1.split_once('<').unwrap().0;
    let mut bytes = Vec::new();
    GzDecoder::new(&STANDARD.decode(packed).unwrap()[..]).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_report_carries_what_its_page_asks_for_and_nothing_of_where_it_lay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mailed.baro");
    record(&path);
    for full in [false, true] {
        let html = report(&path, ReportOptions { full, ..ReportOptions::default() }).unwrap().html;
        assert!(html.starts_with("<!doctype html>"));
        assert!(full || html.len() <= ReportOptions::default().bytes, "{} bytes", html.len());
        // Nothing is fetched, and the policy says so.
        assert!(html.contains("default-src 'none'") && !html.contains(" src=") && !html.contains("<link"));
        let text: Value = serde_json::from_slice(&part(&html, "text")).unwrap();
        assert!(!text.to_string().contains(folder.path().to_str().unwrap()));
        let facts = Timeline::open(&path).unwrap().facts().clone();
        assert_eq!(text["run"]["id"], facts.id.as_str());
        assert_eq!(text["session"]["first"], text["run"]["id"]);
        assert_eq!(text["session"]["readOnly"], true);
        let panels = text["run"]["panels"].as_array().unwrap();
        assert!(!panels.is_empty());
        assert_eq!(panels.iter().all(|panel| panel["shown"] == true), !full);
        // Each line of each panel that is offered is there to be drawn.
        let specs = text["specs"].as_array().unwrap();
        for spec in panels.iter().flat_map(|panel| panel["specs"].as_array().unwrap()) {
            let is_it = |known: &&Value| ["table", "plus", "minus", "where", "by"].iter().all(|key| known[key] == spec[key]);
            assert!(specs.iter().any(|known| is_it(&known)), "{spec} is not carried");
        }
        let who = text["identities"].as_array().unwrap();
        assert!(who.iter().any(|row| row["pid"] == std::process::id()), "{who:?}");
        for frame in ["frame", "processes"] {
            let bytes = part(&html, frame);
            assert!(bytes.starts_with(b"BFR1"));
            let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
            let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
            assert!(!header["lines"].as_array().unwrap().is_empty(), "{frame}");
        }
    }
}

/// The header of a frame.
fn header(html: &str, frame: &str) -> Value {
    let bytes = part(html, frame);
    let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    serde_json::from_slice(&bytes[8..8 + length]).unwrap()
}

#[test]
fn an_hour_of_thirty_processes_can_be_mailed_and_so_can_a_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hour.baro");
    write(&path, Hour { ticks: 3600, processes: 30, spans: 6000 });
    let whole = report(&path, ReportOptions::default()).unwrap();
    assert!(whole.html.len() < 3_000_000, "{} bytes", whole.html.len());
    assert_eq!(whole.spans_left_out, 1000);
    let text: Value = serde_json::from_slice(&part(&whole.html, "text")).unwrap();
    assert_eq!((text["spans"]["spans"].as_array().unwrap().len(), text["events"]["events"].as_array().unwrap().len()), (5000, 40));
    assert_eq!(text["identities"].as_array().unwrap().len(), 30);
    // What does not fit in even so is made all the same, with as few points as there can be, and that is told.
    let small = report(&path, ReportOptions { bytes: 1000, ..ReportOptions::default() }).unwrap();
    assert!(small.html.len() < whole.html.len() && small.html.len() > 1000);
    assert_eq!(small.thinned, Some((200, 100)));
    // Of ten minutes nothing else is in it.
    let minutes = |minutes: i64| BEGIN + minutes * 60_000_000_000;
    let part_of = report(&path, ReportOptions { from: Some(minutes(10)), to: Some(minutes(20)), ..ReportOptions::default() }).unwrap();
    let millis = |at: i64| (at / 1_000_000) as f64;
    let (from, to) = (millis(minutes(10)), millis(minutes(20)));
    let text: Value = serde_json::from_slice(&part(&part_of.html, "text")).unwrap();
    assert_eq!((&text["run"]["from"], &text["run"]["to"], part_of.thinned, part_of.spans_left_out), (&from.into(), &to.into(), None, 0));
    let marks: Vec<f64> = text["events"]["events"].as_array().unwrap().iter().map(|event| event["at"].as_f64().unwrap()).collect();
    assert!((6..=7).contains(&marks.len()) && marks.iter().all(|at| (from..=to).contains(at)), "{marks:?}");
    let spans = text["spans"]["spans"].as_array().unwrap();
    assert!((900..=1100).contains(&spans.len()), "{}", spans.len());
    assert!(spans.iter().all(|span| span["to"].as_f64().unwrap() >= from && span["from"].as_f64().unwrap() <= to));
    for frame in ["frame", "processes"] {
        let header = header(&part_of.html, frame);
        assert_eq!((&header["from"], &header["to"]), (&from.into(), &to.into()));
    }
    assert!(part_of.html.len() < whole.html.len());
}

#[test]
fn what_is_no_recording_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    fs::write(&file, "milk").unwrap();
    let error = report(&file, ReportOptions::default()).unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
    assert!(report(&folder.path().join("none.baro"), ReportOptions::default()).is_err());
}
