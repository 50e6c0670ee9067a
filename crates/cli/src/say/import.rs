//! Events from a file: `event,timestamp`, as people and spreadsheets keep them.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, bail};
use csv::{ReaderBuilder, StringRecord};

use super::within;
use crate::human;
use crate::words::{self, Reference};

/// Names of the two columns, in a header.
const EVENT: [&str; 5] = ["event", "name", "label", "mark", "message"];
const TIMESTAMP: [&str; 6] = ["timestamp", "time", "at", "when", "date", "datetime"];

/// Rows of which we say what is wrong with them, one by one.
const TOLD: usize = 20;

/// An event of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) utc_nanos: i64,
    pub(super) attributes: Vec<(String, String)>,
}

/// What a file says of a recording.
#[derive(Debug, PartialEq)]
pub(super) struct Imported {
    pub(super) events: Vec<Event>,
    /// How many were before its beginning or after its end, and left out.
    pub(super) outside: usize,
}

/// Reads a file, or standard input. Every row that makes no sense is named, and then nothing is returned.
pub(super) fn read(file: &Path, reference: &Reference, skip_outside: bool) -> anyhow::Result<Imported> {
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = fs::read(file).with_context(|| file.display().to_string())?;
    }
    parse(&bytes, reference, skip_outside).with_context(|| format!("{}: nothing was added", file.display()))
}

/// Which column is what.
struct Columns {
    event: usize,
    timestamp: usize,
    /// Names of the others.
    header: Option<StringRecord>,
}

fn parse(bytes: &[u8], reference: &Reference, skip_outside: bool) -> anyhow::Result<Imported> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut columns = None;
    let (mut imported, mut wrong) = (Imported { events: Vec::new(), outside: 0 }, Vec::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                wrong.push((line, "this is no text in UTF-8".to_owned()));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let columns = match &columns {
            Some(columns) => columns,
            None => match header(&record) {
                Some(found) => {
                    columns = Some(found);
                    continue;
                }
                None => columns.insert(Columns { event: 0, timestamp: 1, header: None }),
            },
        };
        match event(&record, columns, reference) {
            Ok(event) => match within(event.utc_nanos, reference) {
                Ok(_) => imported.events.push(event),
                Err(_) if skip_outside => imported.outside += 1,
                Err(error) => wrong.push((line, format!("{error}; --skip-outside leaves such rows out"))),
            },
            Err(error) => wrong.push((line, format!("{error:#}").lines().next().unwrap_or_default().to_owned())),
        }
    }
    if !wrong.is_empty() {
        let mut text = human::plural(wrong.len() as u64, "row makes no sense", "rows make no sense");
        for (line, why) in wrong.iter().take(TOLD) {
            let _ = write!(text, "\n  line {line}: {why}");
        }
        if wrong.len() > TOLD {
            let _ = write!(text, "\n  and {} more", wrong.len() - TOLD);
        }
        bail!(text);
    }
    Ok(imported)
}

/// The columns that a header names, if this is one.
fn header(record: &StringRecord) -> Option<Columns> {
    let place = |names: &[&str]| record.iter().position(|field| names.contains(&field.trim().to_ascii_lowercase().as_str()));
    let (event, timestamp) = (place(&EVENT)?, place(&TIMESTAMP)?);
    Some(Columns { event, timestamp, header: Some(record.clone()) })
}

fn event(record: &StringRecord, columns: &Columns, reference: &Reference) -> anyhow::Result<Event> {
    let wanted = columns.header.as_ref().map_or(2, StringRecord::len);
    if record.len() != wanted {
        let hint = if columns.header.is_none() { "; an event with a comma stands in \"quotes\"" } else { "" };
        bail!("it has {}, not {wanted}{hint}", human::plural(record.len() as u64, "column", "columns"));
    }
    let said = record.get(columns.timestamp).unwrap_or_default().trim();
    let utc_nanos = time(said, reference)?;
    let name = record.get(columns.event).unwrap_or_default();
    if name.trim().is_empty() {
        bail!("the event has no name");
    }
    let others = columns.header.iter().flat_map(|header| header.iter().zip(record).enumerate());
    let attributes = others.filter(|(place, (_, value))| ![columns.event, columns.timestamp].contains(place) && !value.is_empty());
    let attributes = attributes.map(|(_, (name, value))| (name.trim().to_owned(), value.to_owned())).collect();
    Ok(Event { name: name.to_owned(), utc_nanos, attributes })
}

/// A time as files have it: a number since 1970, or words.
fn time(text: &str, reference: &Reference) -> anyhow::Result<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit()) && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !is_number {
        return words::moment(text, reference);
    }
    if let Ok(whole) = text.parse::<i64>() {
        // Seconds of a year in reach have at most eleven digits, milliseconds fourteen, microseconds seventeen.
        let nanos = match whole.unsigned_abs() {
            0..100_000_000_000 => whole.checked_mul(1_000_000_000),
            100_000_000_000..100_000_000_000_000 => whole.checked_mul(1_000_000),
            100_000_000_000_000..100_000_000_000_000_000 => whole.checked_mul(1000),
            _ => Some(whole),
        };
        return nanos.with_context(|| format!("{text:?} is out of reach: times go from 1678 to 2261"));
    }
    // With a fraction: seconds, or milliseconds as JavaScript's clocks have them.
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_millis = whole.trim_start_matches('-').len() > 11;
    let shift = if is_millis { 3 } else { 0 };
    let moved: String = if is_millis {
        let (seconds, millis) = whole.split_at(whole.len() - shift);
        format!("{seconds}.{millis}{fraction}")
    } else {
        text.to_owned()
    };
    words::moment(&format!("@{moved}"), reference).with_context(|| format!("{text:?} is no time"))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const START: i64 = 1_795_166_400 * SECOND;

    fn reference() -> Reference {
        Reference { zone: TimeZone::get("Europe/Berlin").unwrap(), start: START, end: START + 3600 * SECOND, now: START + 7200 * SECOND }
    }

    fn parsed(text: &str) -> Result<Vec<(String, i64)>, String> {
        let imported = parse(text.as_bytes(), &reference(), false).map_err(|error| error.to_string())?;
        Ok(imported.events.into_iter().map(|event| (event.name, event.utc_nanos - START)).collect())
    }

    #[test]
    fn times_as_people_have_them() {
        for (said, expected) in [
            ("1795166401", SECOND),
            ("1795166401.5", SECOND * 3 / 2),
            ("1795166401500", SECOND * 3 / 2),
            ("1795166401500.25", SECOND * 3 / 2 + 250_000),
            ("1795166401500000", SECOND * 3 / 2),
            ("1795166401500000001", SECOND * 3 / 2 + 1),
            ("2026-11-20T09:20:01Z", SECOND),
            ("2026-11-20T10:20:01.5+01:00", SECOND * 3 / 2),
            ("2026-11-20 10:20:01", SECOND),
            ("2026-11-20T10:20:01", SECOND),
            ("10:20:01", SECOND),
            ("+1s", SECOND),
            ("@1795166401", SECOND),
        ] {
            assert_eq!(parsed(&format!("a,{said}\n")), Ok(vec![("a".to_owned(), expected)]), "{said}");
        }
    }

    #[test]
    fn a_header_is_recognised_and_tells_the_order() {
        let one = |text: &str| parse(text.as_bytes(), &reference(), false).unwrap().events;
        let plain = |name: &str| Event { name: name.to_owned(), utc_nanos: START, attributes: Vec::new() };
        assert_eq!(one("\u{feff}event,timestamp\r\n\"a, \"\"b\"\"\nc\",+0s\r\n"), [plain("a, \"b\"\nc")]);
        let said = one("Time,who,Label\n+0s,Ada,begun\n+0s,,begun\n");
        assert_eq!(said[0].attributes, [("who".to_owned(), "Ada".to_owned())]);
        assert_eq!(said[1], plain("begun"));
        assert!(one("").is_empty() && one("event,timestamp\n").is_empty());
    }

    #[test]
    fn every_bad_row_is_named_by_its_line() {
        let told = parsed("event,timestamp\ngood,+1s\n\"two\nlines\",soon\nc\n,+1s\nlate,2026-11-21 00:00\n").unwrap_err();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], "4 rows make no sense");
        assert!(lines[1].starts_with("  line 3: \"soon\" is no time"), "{told}");
        assert_eq!(lines[2], "  line 5: it has 1 column, not 2");
        assert_eq!(lines[3], "  line 6: the event has no name");
        assert!(lines[4].starts_with("  line 7: ") && lines[4].ends_with("--skip-outside leaves such rows out"), "{told}");
        assert!(parsed("a,b,+1s\n").unwrap_err().contains("\"quotes\""));
        let imported = parse(b"a,+1s\nlate,2026-11-21 00:00\n", &reference(), true).unwrap();
        assert_eq!((imported.events.len(), imported.outside), (1, 1));
        assert!(parse(b"a\xff,+1s\n", &reference(), false).is_err());
    }
}
