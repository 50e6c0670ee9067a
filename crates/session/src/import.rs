//! Events from a file: `event,timestamp`, as people and spreadsheets keep them.

use csv::{ReaderBuilder, StringRecord};

use crate::time::{self, NoTime, Reference, within};

/// Names of the columns, in a header.
const EVENT: [&str; 5] = ["event", "name", "label", "mark", "message"];
const TIMESTAMP: [&str; 6] = ["timestamp", "time", "at", "when", "date", "datetime"];
const DURATION: [&str; 3] = ["duration", "duration_seconds", "seconds"];
const DETAIL: [&str; 1] = ["detail"];

/// An event that somebody adds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// What it is called.
    pub name: String,
    /// When it was or began, in nanoseconds since 1970.
    pub utc_nanos: i64,
    /// More about it, in words.
    pub detail: Option<String>,
    /// How long it lasted, if it did.
    pub duration_seconds: Option<f64>,
    /// What else there is to say: numbers, `true` and `false` are kept as such.
    pub attributes: Vec<(String, String)>,
}

/// What a file says of a recording.
#[derive(Debug, Default, PartialEq)]
pub struct Imported {
    /// The rows that make sense and lie within the recording.
    pub events: Vec<Event>,
    /// The rows before its beginning or after its end.
    pub outside: Vec<Row>,
    /// The rows that make no sense.
    pub wrong: Vec<Row>,
}

/// A row of a file, and why it is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its line.
    pub line: u64,
    /// Why, in words.
    pub why: String,
}

/// Which column is what.
struct Columns {
    event: usize,
    timestamp: usize,
    duration: Option<usize>,
    detail: Option<usize>,
    /// Names of all.
    header: Option<StringRecord>,
}

/// Reads the bytes of a file.
pub fn import(bytes: &[u8], reference: &Reference) -> Imported {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut columns = None;
    let mut imported = Imported::default();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                imported.wrong.push(Row { line, why: "this is no text in UTF-8".to_owned() });
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
                None => columns.insert(Columns { event: 0, timestamp: 1, duration: None, detail: None, header: None }),
            },
        };
        match event(&record, columns, reference) {
            Ok(event) => match within(event.utc_nanos, reference) {
                Ok(_) => imported.events.push(event),
                Err(why) => imported.outside.push(Row { line, why: why.to_string() }),
            },
            Err(why) => imported.wrong.push(Row { line, why: why.lines().next().unwrap_or_default().to_owned() }),
        }
    }
    imported
}

/// The columns that a header names, if this is one.
fn header(record: &StringRecord) -> Option<Columns> {
    let place = |names: &[&str]| record.iter().position(|field| names.contains(&field.trim().to_ascii_lowercase().as_str()));
    let (event, timestamp) = (place(&EVENT)?, place(&TIMESTAMP)?);
    Some(Columns { event, timestamp, duration: place(&DURATION), detail: place(&DETAIL), header: Some(record.clone()) })
}

fn event(record: &StringRecord, columns: &Columns, reference: &Reference) -> Result<Event, String> {
    let wanted = columns.header.as_ref().map_or(2, StringRecord::len);
    if record.len() != wanted {
        let hint = if columns.header.is_none() { "; an event with a comma stands in \"quotes\"" } else { "" };
        let word = if record.len() == 1 { "column" } else { "columns" };
        return Err(format!("it has {} {word}, not {wanted}{hint}", record.len()));
    }
    let said = |column: Option<usize>| column.and_then(|column| record.get(column)).map(str::trim).filter(|said| !said.is_empty());
    let utc_nanos = time(said(Some(columns.timestamp)).unwrap_or_default(), reference).map_err(|error| error.to_string())?;
    let name = record.get(columns.event).unwrap_or_default();
    if name.trim().is_empty() {
        return Err("the event has no name".to_owned());
    }
    let length = |said: &str| {
        let seconds = said.parse().ok().or_else(|| Some(time::duration(said)? as f64 / 1e9));
        seconds.filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0).ok_or_else(|| format!("{said:?} is no number of seconds"))
    };
    let duration_seconds = said(columns.duration).map(length).transpose()?;
    let known = [Some(columns.event), Some(columns.timestamp), columns.duration, columns.detail];
    let others = columns.header.iter().flat_map(|header| header.iter().zip(record).enumerate());
    let attributes = others.filter(|(place, (_, value))| !known.contains(&Some(*place)) && !value.is_empty());
    let attributes = attributes.map(|(_, (name, value))| (name.trim().to_owned(), value.to_owned())).collect();
    Ok(Event { name: name.to_owned(), utc_nanos, detail: said(columns.detail).map(str::to_owned), duration_seconds, attributes })
}

/// A time as files have it: a number since 1970, or words.
fn time(text: &str, reference: &Reference) -> Result<i64, NoTime> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit()) && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !is_number {
        return time::moment(text, reference);
    }
    if let Ok(whole) = text.parse::<i64>() {
        // Seconds of a year in reach have at most eleven digits, milliseconds fourteen, microseconds seventeen.
        let nanos = match whole.unsigned_abs() {
            0..100_000_000_000 => whole.checked_mul(1_000_000_000),
            100_000_000_000..100_000_000_000_000 => whole.checked_mul(1_000_000),
            100_000_000_000_000..100_000_000_000_000_000 => whole.checked_mul(1000),
            _ => Some(whole),
        };
        return nanos.ok_or_else(|| NoTime::new(format!("{text:?} is out of reach: times go from 1678 to 2261")));
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
    time::moment(&format!("@{moved}"), reference).map_err(|error| NoTime::new(format!("{text:?} is no time: {error}")))
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
        let imported = import(text.as_bytes(), &reference());
        if let Some(row) = imported.wrong.first() {
            return Err(row.why.clone());
        }
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
        let one = |text: &str| import(text.as_bytes(), &reference()).events;
        let plain = |name: &str| Event { name: name.to_owned(), utc_nanos: START, ..Event::default() };
        assert_eq!(one("\u{feff}event,timestamp\r\n\"a, \"\"b\"\"\nc\",+0s\r\n"), [plain("a, \"b\"\nc")]);
        let said = one("Time,who,Label\n+0s,Ada,begun\n+0s,,begun\n");
        assert_eq!(said[0].attributes, [("who".to_owned(), "Ada".to_owned())]);
        assert_eq!(said[1], plain("begun"));
        assert!(one("").is_empty() && one("event,timestamp\n").is_empty());
    }

    #[test]
    fn columns_of_ours_come_back_as_they_were() {
        let said = import(b"event,timestamp,duration,detail,rate\na,+1s,1.5,\"why, so\",3\nb,+2s,2m,,\n", &reference());
        let second = Event { name: "b".to_owned(), utc_nanos: START + 2 * SECOND, duration_seconds: Some(120.0), ..Event::default() };
        let first = Event {
            name: "a".to_owned(),
            utc_nanos: START + SECOND,
            detail: Some("why, so".to_owned()),
            duration_seconds: Some(1.5),
            attributes: vec![("rate".to_owned(), "3".to_owned())],
        };
        assert_eq!(said.events, [first, second]);
        let said = import(b"event,timestamp,duration\na,+1s,-1\na,+1s,long\na,+1s,nan\n", &reference());
        assert_eq!(said.wrong.len(), 3, "{said:?}");
    }

    #[test]
    fn every_bad_row_is_named_by_its_line() {
        let told = import(b"event,timestamp\ngood,+1s\n\"two\nlines\",soon\nc\n,+1s\nlate,2026-11-21 00:00\n", &reference());
        let wrong: Vec<String> = told.wrong.iter().map(|row| format!("{}: {}", row.line, row.why)).collect();
        assert!(wrong[0].starts_with("3: \"soon\" is no time"), "{wrong:?}");
        assert_eq!(wrong[1..], ["5: it has 1 column, not 2", "6: the event has no name"]);
        assert_eq!((told.events.len(), told.outside.len(), told.outside[0].line), (1, 1, 7));
        assert!(import(b"a,b,+1s\n", &reference()).wrong[0].why.contains("\"quotes\""));
        assert_eq!(import(b"a\xff,+1s\n", &reference()).wrong.len(), 1);
    }
}
