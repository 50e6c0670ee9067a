//! Events from a file, read and judged: what makes no sense is told by its lines.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, bail};
use barograph_session::{Event, Row, import};

use crate::human;
use crate::words::Reference;

/// Rows of which we say what is wrong with them, one by one.
const TOLD: usize = 20;

/// Reads a file, or standard input. Every row that makes no sense is named, and then nothing is returned. Beside the events it tells how many rows were
/// before the beginning or after the end of the recording, and left out.
pub(super) fn read(file: &Path, reference: &Reference, skip_outside: bool) -> anyhow::Result<(Vec<Event>, usize)> {
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = fs::read(file).with_context(|| file.display().to_string())?;
    }
    judge(&bytes, reference, skip_outside).with_context(|| format!("{}: nothing was added", file.display()))
}

fn judge(bytes: &[u8], reference: &Reference, skip_outside: bool) -> anyhow::Result<(Vec<Event>, usize)> {
    let imported = import(bytes, reference);
    let mut wrong = imported.wrong;
    let outside = if skip_outside {
        imported.outside.len()
    } else {
        let told = |row: Row| Row { why: format!("{}; --skip-outside leaves such rows out", row.why), ..row };
        wrong.extend(imported.outside.into_iter().map(told));
        0
    };
    if wrong.is_empty() {
        return Ok((imported.events, outside));
    }
    wrong.sort_by_key(|row| row.line);
    let mut text = human::plural(wrong.len() as u64, "row makes no sense", "rows make no sense");
    for Row { line, why } in wrong.iter().take(TOLD) {
        let _ = write!(text, "\n  line {line}: {why}");
    }
    if wrong.len() > TOLD {
        let _ = write!(text, "\n  and {} more", wrong.len() - TOLD);
    }
    bail!(text);
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn every_bad_row_is_told_in_the_order_of_lines() {
        let reference = Reference { zone: TimeZone::UTC, start: 0, end: 9_000_000_000, now: 90_000_000_000 };
        let file = b"late,@100\ngood,+1s\nbad,soon\n";
        let told = judge(file, &reference, false).unwrap_err().to_string();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], "2 rows make no sense");
        assert!(lines[1].starts_with("  line 1: ") && lines[1].ends_with("--skip-outside leaves such rows out"), "{told}");
        assert!(lines[2].starts_with("  line 3: \"soon\" is no time"), "{told}");
        let (events, outside) = judge(b"late,@100\ngood,+1s\n", &reference, true).unwrap();
        assert_eq!((events.len(), outside), (1, 1));
    }
}
