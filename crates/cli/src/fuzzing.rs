//! What the fuzz targets `words` and `report` of `fuzz/` call: what people type, and recordings whose facts and rows are anything.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a fuzz target says what is wrong by panicking, and is called where this program is a library"
)]

use std::fs;
use std::path::Path;

use barograph_formats::{Format, Options};
use barograph_model::{Described, Events, Field, Gauge, Gauges, Level, Moment, Physical, Row, Rows, Seconds, Sink, SpanEdges, Text};
use barograph_session::time::duration;
use barograph_session::{Condition, import};
use barograph_sources::{Choice, Cores, Cpu, Disk, Job, Memory, Network, Own, Pressure, Process, ProcessMemory, Processes};
use barograph_store::{FACTS_FILE, Facts, Recording, SpanQuery, Timeline};
use clap::Parser;
use jiff::tz::TimeZone;

use crate::options::{UntilOption, parse_duration};
use crate::words::{Reference, Window, moment, shown};
use crate::{export, ls, report};

/// Lines of text: the name of a zone, two moments that a recording may have begun and ended at, and what was typed: as a time, a length of time, an
/// end, a choice of processes, a condition, and as the arguments of the program; all of it as a file of events.
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
        if let Ok(condition) = word.parse::<Condition>() {
            assert_eq!(condition.to_string().parse(), Ok(condition));
        }
        Format::of_path(Path::new(word));
    }
    let file = typed.join("\n");
    // A line of CSV may end in a carriage return alone.
    let most_events = file.split(['\n', '\r']).count();
    let imported = import(file.as_bytes(), &context);
    assert!(imported.events.iter().all(|event| (start..=end).contains(&event.utc_nanos) && !event.name.trim().is_empty()), "{imported:?}");
    assert!(imported.events.iter().filter_map(|event| event.duration_seconds).all(|seconds| (0.0..=f64::MAX).contains(&seconds)), "{imported:?}");
    assert!(imported.events.len() + imported.outside.len() + imported.wrong.len() <= most_events, "{imported:?}");
    let _ = Window { from: typed.first().map(|&word| word.to_owned()), to: typed.last().map(|&word| word.to_owned()), tz: None }.ends(&context);
    let _ = crate::Arguments::try_parse_from(["barograph"].into_iter().chain(typed));
}

/// A `recording.json` up to a line `---`, and rows of every table behind it: told in one of the ways that there are, and exported. More than one for each input
/// would take the fuzzer longer than it brings.
pub fn report(input: &[u8]) {
    let dice = input.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    report_in(input, &WAYS[dice % WAYS.len()..][..1]);
}

/// How a recording is told: the arguments, of which `RUN` is the recording and `FOLDER` where it lies, and whether it is JSON.
const WAYS: &[(&str, bool)] = &[
    ("ls --tz utc FOLDER", false),
    ("ls --json FOLDER", true),
    ("report RUN --tz recorded --top 3 --width 60", false),
    ("report RUN --json --from start --to end", true),
    ("report RUN --markdown --from +1s", false),
    ("report RUN --spans --width 100", false),
    ("report RUN --spans=a --json", true),
];

fn report_in(input: &[u8], ways: &[(&str, bool)]) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run.baro");
    let (facts, rows) = input.windows(5).position(|window| window == b"\n---\n").map_or((input, &[][..]), |at| (&input[..at], &input[at + 5..]));
    record(&path, &mut Bytes(rows));
    let known = serde_json::from_slice::<Facts>(facts).is_ok();
    fs::write(path.join(FACTS_FILE), if known { facts } else { b"{}" }).unwrap();
    for (way, is_json) in ways {
        let arguments = way.split(' ').map(|argument| match argument {
            "RUN" => path.to_str().unwrap(),
            "FOLDER" => place.path().to_str().unwrap(),
            other => other,
        });
        let said = tell(&arguments.collect::<Vec<_>>());
        let no_control = |text: &String| text.chars().all(|char| char == '\n' || !char.is_control());
        assert!(said.as_ref().is_none_or(no_control), "what a terminal would obey is shown: {said:?}");
        assert!(said.is_some() || way.starts_with("report"), "{way}");
        assert!(!is_json || said.iter().all(|text| serde_json::from_str::<serde_json::Value>(text).is_ok()), "{said:?}");
    }
    let Ok(timeline) = Timeline::open(&path) else { return };
    if let Ok(spans) = timeline.spans(&SpanQuery::default()) {
        for span in spans.iter() {
            let cost = span.cost;
            let parts = [(cost.self_wall_seconds, span.wall_seconds()), (cost.self_cpu_seconds, cost.thread_cpu_seconds)];
            assert!(
                parts.iter().all(|(part, whole)| part.is_none() || whole.zip(*part).is_some_and(|(whole, part)| (0.0..=whole).contains(&part))),
                "{span:?}"
            );
            let amounts = [cost.cpu_seconds, cost.tree_cpu_seconds, cost.read_bytes, cost.written_bytes, cost.minor_faults, cost.peak_resident_bytes];
            assert!(amounts.iter().flatten().all(|amount| *amount >= 0.0), "{span:?}");
        }
        assert_eq!(spans.frame().len(), spans.len());
    }
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
                fill(&mut batch.row(at), bytes);
            }
            recording.take(&batch).unwrap();)+
        };
    }
    tables!(Job, Process, Processes, Cpu, Memory, Pressure, Disk, Network, Own, Cores, ProcessMemory, Events, Gauges);
    edges(&mut recording, bytes);
    recording.publish().unwrap();
}

/// Edges of spans: texts that mean something there come more often than they would by chance.
fn edges(recording: &mut Recording, bytes: &mut Bytes<'_>) {
    let mut batch = Rows::<SpanEdges>::new();
    let mut at = Moment { utc_nanos: 1_795_166_400_000_000_000, monotonic_nanos: 5_000_000_000_000 };
    for _ in 0..bytes.next().unwrap_or(0) % 32 {
        let step = bytes.number().unwrap_or(1).saturating_mul(50_000_000);
        at = Moment { utc_nanos: at.utc_nanos.saturating_add(step), monotonic_nanos: at.monotonic_nanos.saturating_add(step) };
        let mut row = batch.row(at);
        fill(&mut row, bytes);
        let [kind, id, parent] = [(); 3].map(|()| bytes.next().unwrap_or(0));
        if kind < 250 {
            row.text(SpanEdges::edge, if kind % 2 == 0 { b"begin" } else { b"end".as_slice() });
            row.text(SpanEdges::span, [b'0' + id % 8].as_slice());
            row.text(SpanEdges::parent, (parent % 3 > 0).then_some([b'0' + parent % 8].as_slice()));
            row.text(SpanEdges::status, (kind % 5 == 0).then_some(b"error".as_slice()));
        }
    }
    recording.take(&batch).unwrap();
}

fn fill<T: Described>(row: &mut Row<'_, T>, bytes: &mut Bytes<'_>) {
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
    fn every_input_of_the_fuzzer_is_told_in_every_way() {
        every_input("report", |input| report_in(input, WAYS));
    }
}
