//! The report that is one file: what is in it, and what is not.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

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
        let html = report(&path, ReportOptions { full, ..ReportOptions::default() }).unwrap();
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

#[test]
fn what_is_no_recording_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    fs::write(&file, "milk").unwrap();
    let error = report(&file, ReportOptions::default()).unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
    assert!(report(&folder.path().join("none.baro"), ReportOptions::default()).is_err());
}
