//! What the fuzz target of `fuzz/` calls: any bytes as a file that somebody opens.
#![allow(clippy::unwrap_used, reason = "a fuzz target says what is wrong by panicking")]

use std::fs;

use barograph_store::{Query, Timeline};

use crate::{Format, Options, as_recording};

/// These bytes as a file: a recording of which every cell can be read and exported, or one sentence that a terminal may be shown.
pub fn file(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    // The first byte may choose a zone with every trap that there is.
    let zone = bytes.first().filter(|byte| *byte % 4 == 1).map(|_| "Europe/Berlin");
    let recording = match as_recording(&path, zone) {
        Ok(recording) => recording,
        Err(error) => {
            let said = error.to_string();
            assert!(!said.contains(char::is_control) && said.len() < 4000, "{said:?}");
            return;
        }
    };
    let timeline = Timeline::open(&recording).unwrap();
    let tables = timeline.tables().unwrap();
    assert!(!tables.is_empty() && tables.iter().any(|table| table.rows > 0), "a recording of nothing");
    for table in &tables {
        let frame = timeline.frame(&table.name, &Query::all()).unwrap();
        assert_eq!(frame.len() as u64, table.rows);
        assert!(frame.monotonic().is_sorted());
    }
    assert_eq!(timeline.damaged(), []);
    let end = timeline.facts().end.as_ref().unwrap();
    assert!(end.monotonic_nanos >= timeline.facts().clock.monotonic_nanos);
    for piece in timeline.wide(&[], None, None).unwrap().take(4) {
        let piece = piece.unwrap();
        for format in Format::ALL {
            let mut exporter = format.open(Box::new(std::io::sink()), &piece.schema(), &Options::default()).unwrap();
            exporter.write(&piece).unwrap();
            exporter.finish().unwrap();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_input_of_the_fuzzer_is_a_recording_or_a_sentence() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/file");
        let inputs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty());
        for input in inputs {
            assert!(std::panic::catch_unwind(|| file(&fs::read(&input).unwrap())).is_ok(), "{}", input.display());
        }
    }
}
