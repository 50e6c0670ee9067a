//! What the fuzz targets `words` and `report` of `fuzz/` call: what people type, and recordings whose facts and rows are anything.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a fuzz target says what is wrong by panicking, and is called where this program is a library"
)]

use std::fs;
use std::path::Path;

use barograph_formats::{Format, Options};
use barograph_model::{Described, Field, Gauge, Level, Moment, Physical, Row, Rows, Seconds, Sink, Text};
use barograph_sources::{Choice, Cores, Cpu, Disk, Job, Memory, Network, Own, Pressure, Process, ProcessMemory, Processes};
use barograph_store::{FACTS_FILE, Facts, Recording, Timeline};
use clap::Parser;
use jiff::tz::TimeZone;

use crate::options::{UntilOption, parse_duration};
use crate::words::{Reference, Window, duration, moment, shown};
use crate::{export, ls, report};

/// Lines of text: the name of a zone, two moments that a recording may have begun and ended at, and what was typed: as a time, a length of time, an
/// end, a choice of processes, and as the arguments of the program.
pub fn words(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let window = Window { tz: Some(line().to_owned()), ..Window::default() };
    let zone = window.zone("Europe/Berlin").unwrap_or(TimeZone::UTC);
    // A recording lasts a year at the most here: the days of longer ones are looked through one by one.
    let start = line().parse::<i64>().unwrap_or(1_795_166_400_000_000_000).clamp(-(1 << 62), 1 << 62);
    let end = start + line().parse::<i64>().unwrap_or(60_000_000_000).clamp(0, 366 * 86_400_000_000_000);
    let context = Reference { zone: zone.clone(), start, end, now: end };
    let typed: Vec<&str> = lines.collect();
    for word in &typed {
        if let Ok(nanos) = moment(word, &context) {
            let again = shown(nanos, &zone);
            assert!(moment(&format!("@{}.{:09}", nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000)), &context).is_ok(), "{again}");
        }
        if let Some(nanos) = duration(word) {
            assert!(nanos >= 0, "{word:?} is {nanos} ns");
        }
        if let Ok(length) = parse_duration(word) {
            assert!(!length.is_zero());
        }
        let _ = word.parse::<UntilOption>();
        if let Ok(choice) = word.parse::<Choice>() {
            assert_eq!(choice.to_string().parse::<Choice>().unwrap().to_string(), choice.to_string());
        }
        Format::of_path(Path::new(word));
    }
    let _ = Window { from: typed.first().map(|&word| word.to_owned()), to: typed.last().map(|&word| word.to_owned()), tz: None }.ends(&context);
    let _ = crate::Arguments::try_parse_from(["barograph"].into_iter().chain(typed));
}

/// A `recording.json` up to a line `---`, and rows of every table behind it: told, listed and exported.
pub fn report(input: &[u8]) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run.baro");
    let (facts, rows) = input.windows(5).position(|window| window == b"\n---\n").map_or((input, &[][..]), |at| (&input[..at], &input[at + 5..]));
    record(&path, &mut Bytes(rows));
    let known = serde_json::from_slice::<Facts>(facts).is_ok();
    fs::write(path.join(FACTS_FILE), if known { facts } else { b"{}" }).unwrap();
    let said = [
        tell(&["ls", "--tz", "utc", place.path().to_str().unwrap()]),
        tell(&["ls", "--json", place.path().to_str().unwrap()]),
        tell(&["report", path.to_str().unwrap(), "--tz", "recorded", "--top", "3", "--width", "60"]),
        tell(&["report", path.to_str().unwrap(), "--json", "--from", "start", "--to", "end"]),
        tell(&["report", path.to_str().unwrap(), "--markdown", "--from", "+1s"]),
    ];
    let no_control = |text: &String| text.chars().all(|char| char == '\n' || !char.is_control());
    assert!(said.iter().flatten().all(no_control), "what a terminal would obey is shown: {said:?}");
    assert!(said[1].is_some() && said[3].iter().chain(&said[1]).all(|text| serde_json::from_str::<serde_json::Value>(text).is_ok()));
    let Ok(timeline) = Timeline::open(&path) else { return };
    for piece in timeline.wide(&[], None, None).unwrap() {
        let piece = piece.unwrap();
        for format in Format::ALL.iter().filter(|format| format.is_text) {
            let mut exporter = format.open(Box::new(std::io::sink()), &piece.schema(), &Options::default()).unwrap();
            exporter.write(&piece).unwrap();
            exporter.finish().unwrap();
        }
    }
    export::flat_file(&path, &place.path().join("run.csv"), false).unwrap();
}

/// What the program says, if it is no error.
fn tell(arguments: &[&str]) -> Option<String> {
    let arguments = crate::Arguments::try_parse_from(["barograph"].iter().chain(arguments)).unwrap();
    let mut out = Vec::new();
    let told = match &arguments.command {
        crate::Command::Ls(args) => ls::list(args, &mut out),
        crate::Command::Report(args) => report::tell(args, &mut out),
        other => panic!("{other:?}"),
    };
    told.is_ok().then(|| String::from_utf8(out).unwrap())
}

/// Values that the fuzzer chooses.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// Mostly small numbers, at times anything.
    fn number(&mut self) -> Option<i64> {
        Some(match self.next()? {
            250 => i64::MAX,
            251 => i64::MIN,
            252 => (0..8).fold(0, |sum, _| sum << 8 | i64::from(self.next().unwrap_or(0))),
            253 => 1 << (self.next()? % 63),
            254 | 255 => return None,
            small => small.into(),
        })
    }
}

/// Writes the rows, some of each table.
fn record(path: &Path, bytes: &mut Bytes<'_>) {
    let mut recording = Recording::create(path, Facts::default(), barograph_store::Options::default()).unwrap();
    macro_rules! tables {
        ($($Table:ty),+) => {
            $(let mut batch = Rows::<$Table>::new();
            let mut at = Moment { utc_nanos: 1_795_166_400_000_000_000, monotonic_nanos: 5_000_000_000_000 };
            for _ in 0..bytes.next().unwrap_or(0) % 8 {
                let step = match bytes.number() {
                    // As far as a clock can go, and further.
                    Some(step) if !(0..=1000).contains(&step) => step,
                    Some(step) => step * 100_000_000,
                    None => 1,
                };
                at = Moment { utc_nanos: at.utc_nanos.saturating_add(step), monotonic_nanos: at.monotonic_nanos.saturating_add(step) };
                fill(batch.row(at), bytes);
            }
            recording.take(&batch).unwrap();)+
        };
    }
    tables!(Job, Process, Processes, Cpu, Memory, Pressure, Disk, Network, Own, Cores, ProcessMemory);
    recording.publish().unwrap();
}

fn fill<T: Described>(mut row: Row<'_, T>, bytes: &mut Bytes<'_>) {
    for (index, metric) in T::TABLE.metrics.iter().enumerate() {
        match metric.physical {
            Physical::Int => drop(row.set(Field::<T, Gauge<Level>>::new(index), bytes.number())),
            Physical::Float => drop(row.set(Field::<T, Gauge<Seconds>>::new(index), bytes.number().map(|value| value as f64 / 8.0))),
            Physical::Text => {
                let length = bytes.next().unwrap_or(0) % 8;
                let text: Vec<u8> = (0..length).filter_map(|_| bytes.next()).collect();
                row.text(Field::<T, Text>::new(index), (length > 0).then_some(text.as_slice()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_input(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let inputs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty());
        for input in inputs {
            assert!(std::panic::catch_unwind(|| run(&fs::read(&input).unwrap())).is_ok(), "{}", input.display());
        }
    }

    #[test]
    fn every_input_of_the_fuzzer_is_words_or_an_error() {
        every_input("words", words);
    }

    #[test]
    fn every_input_of_the_fuzzer_is_told() {
        every_input("report", report);
    }
}
