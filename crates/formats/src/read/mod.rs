//! Files opened as recordings: any table with times, whoever wrote it.
//!
//! A file is read twice, in pieces: once to learn what its columns are, and once into a recording in a temporary folder, by the store's writer. So every
//! face has one reader. Columns that are metrics of ours become those; all others become one table that is called after the file. What had to be
//! assumed, or left out, stands among the notices of the recording.
//!
//! [`FORMATS`] is the ordered list of what can be read; to add a format is a module and a line there.

mod columnar;
mod error;
mod lines;
mod resource_monitor;
mod scratch;
mod separated;
mod shape;
mod source;
mod sysmon;
mod time;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use barograph_model::{Batch, Moment, Physical, Sink, Table};
use barograph_store::{Clock, Durability, End, FILE_FACT, Facts, MONOTONIC, Notice, Recording};
use jiff::tz::TimeZone;
use serde_json::Value as Json;

pub use error::ReadError;
use scratch::Scratch;
pub use scratch::leave_nothing;
use shape::{Cells, Convert, Number, Profile, Target, number};
use source::{Baseline, LeftOut, Opening, Row, Source, Value};
use time::Found;

/// A format that can be read.
struct Readable {
    name: &'static str,
    /// Whether the first bytes of a file look like it.
    sniff: fn(&[u8]) -> bool,
    open: fn(Opening) -> Result<Box<dyn Source>, ReadError>,
}

/// What can be read; the first that knows a file's first bytes reads it. Those of one program come before those of all.
const FORMATS: &[Readable] = &[
    Readable { name: "sysmon", sniff: sysmon::sniff, open: sysmon::open },
    Readable { name: "resource_monitor", sniff: resource_monitor::sniff, open: resource_monitor::open },
    Readable { name: "parquet", sniff: columnar::sniff_parquet, open: columnar::open_parquet },
    Readable { name: "arrow", sniff: columnar::sniff_arrow, open: columnar::open_arrow },
    Readable { name: "jsonl", sniff: lines::sniff, open: lines::open },
    Readable { name: "csv", sniff: separated::sniff, open: separated::open },
];

/// Beginnings of files that are often mistaken for tables, and what to do with them.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "it is compressed with gzip; unpack it with `gunzip` first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd; unpack it with `unzstd` first"),
    (b"\xfd7zXZ", "it is compressed with xz; unpack it with `unxz` first"),
    (b"BZh", "it is compressed with bzip2; unpack it with `bunzip2` first"),
    (b"PK\x03\x04", "it is a zip archive or a spreadsheet; save the sheet as CSV first"),
    (b"SQLite format 3", "it is a database; write the table that you want as CSV first, as `sqlite3 -csv -header FILE 'select …'` does"),
    (b"\xff\xfe", "it is text in UTF-16; save it in UTF-8"),
    (b"\xfe\xff", "it is text in UTF-16; save it in UTF-8"),
    (b"\xff\xff\xff\xff", "it is a stream of Arrow; write it as an Arrow file, which begins with ARROW1"),
];

/// Bytes by which a format is told.
const HEAD: u64 = 1 << 16;

/// Rows that travel together.
const BATCH_ROWS: usize = 4096;

/// Differences of times by which the interval is told.
const STEPS: usize = 4096;

/// A recording that can be opened: a folder that was one already, or what was made of a file. That lives as long as this.
#[derive(Debug)]
pub struct AsRecording {
    folder: PathBuf,
    format: Option<&'static str>,
    notices: Vec<Notice>,
    tables: Vec<&'static Table>,
    _temporary: Option<Scratch>,
}

impl AsRecording {
    /// The folder of the recording.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The format of the file that it was made of, such as `csv`; none for a recording.
    pub fn format(&self) -> Option<&'static str> {
        self.format
    }

    /// The tables that only this file knows: columns that are no metrics of ours.
    pub fn tables(&self) -> &[&'static Table] {
        &self.tables
    }

    /// What had to be assumed about the file, and what was left out; the recording's facts say it too.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }
}

impl Deref for AsRecording {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.folder
    }
}

impl AsRef<Path> for AsRecording {
    fn as_ref(&self) -> &Path {
        &self.folder
    }
}

/// Opens whatever it is given as a recording. A folder is one, or is told apart when it is opened. Times of a file that names no zone are read in this
/// one: an IANA name, `Local` or `UTC`; without it in UTC.
pub fn as_recording(path: &Path, zone: Option<&str>) -> Result<AsRecording, ReadError> {
    let zone = zone.map(named_zone).transpose()?;
    let metadata = match fs::metadata(path) {
        // Who opens it says best that it is not there.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(as_it_is(path)),
        metadata => metadata.map_err(|error| ReadError::disk(path, error))?,
    };
    if metadata.is_dir() {
        return Ok(as_it_is(path));
    }
    if !metadata.is_file() {
        return Err(ReadError::unreadable(path, "it is a pipe or a device, and is read more than once; write it to a file first"));
    }
    let (mut source, format) = open(path)?;
    make(path, source.as_mut(), format, zone.as_ref())
}

fn as_it_is(path: &Path) -> AsRecording {
    AsRecording { folder: path.to_owned(), format: None, notices: Vec::new(), tables: Vec::new(), _temporary: None }
}

fn named_zone(name: &str) -> Result<TimeZone, ReadError> {
    match name.to_ascii_lowercase().as_str() {
        "local" => Ok(TimeZone::system()),
        "utc" | "z" => Ok(TimeZone::UTC),
        _ => TimeZone::get(name).map_err(|_| ReadError::NoZone(name.to_owned())),
    }
}

fn open(path: &Path) -> Result<(Box<dyn Source>, &'static str), ReadError> {
    let disk = |error| ReadError::disk(path, error);
    let mut file = File::open(path).map_err(disk)?;
    let bytes = file.metadata().map_err(disk)?.len();
    let head = columnar::head(&mut file, HEAD).map_err(disk)?;
    if head.trim_ascii().is_empty() && bytes <= HEAD {
        return Err(ReadError::unreadable(path, "it is empty; there is nothing to show"));
    }
    if let Some((_, what)) = OTHERS.iter().find(|(begin, _)| head.starts_with(begin)) {
        return Err(ReadError::unreadable(path, *what));
    }
    let opening = Opening { path: path.to_owned(), file, bytes, head };
    let Some(format) = FORMATS.iter().find(|format| (format.sniff)(&opening.head)) else {
        return Err(ReadError::unreadable(path, "it is nothing that can be shown"));
    };
    Ok(((format.open)(opening)?, format.name))
}

/// What the first reading found.
struct Looked {
    place: Found,
    profiles: Vec<Profile>,
    left_out: LeftOut,
    rows: u64,
}

/// The first reading: what each column is, and where the times are.
fn look(path: &Path, source: &mut dyn Source) -> Result<Looked, ReadError> {
    let names = || source_names(source);
    let mut places: Vec<Found> = time::places(source.columns()).into_iter().map(Found::new).collect();
    if places.is_empty() {
        return Err(ReadError::NoTime { path: path.to_owned(), columns: names() });
    }
    let mut profiles = vec![Profile::default(); source.columns().len()];
    let mut rows = 0_u64;
    let left_out = source.each(&mut |row| {
        rows += 1;
        places.iter_mut().for_each(|place| place.add(row));
        for (column, profile) in profiles.iter_mut().enumerate() {
            if let Some(value) = row.get(column) {
                profile.add(value);
            }
        }
        Ok(())
    })?;
    if rows == 0 {
        return Err(ReadError::unreadable(path, "it has names of columns and no row that can be read; there is nothing to show"));
    }
    let wrong = places.iter().find_map(|place| place.first_wrong.as_deref().map(error::shown));
    match places.into_iter().find(Found::is_good) {
        Some(place) => Ok(Looked { place, profiles, left_out, rows }),
        None => match wrong {
            Some(wrong) => Err(ReadError::unreadable(
                path,
                format!("its column of times has {wrong}, which is no time; write times as 2026-11-20T09:20:00Z or as seconds since 1970"),
            )),
            None => Err(ReadError::NoTime { path: path.to_owned(), columns: source_names(source) }),
        },
    }
}

fn source_names(source: &dyn Source) -> Vec<String> {
    source.columns().iter().map(|column| column.name.clone()).collect()
}

/// What the times come to, before the rows are written.
#[derive(Default)]
struct Times {
    /// The earliest and the latest row: UTC, and the clock that never steps.
    first: Option<(i64, i64)>,
    last: Option<(i64, i64)>,
    steps: Vec<i64>,
    back: u64,
    /// Rows at the time of the one above them.
    same: u64,
    without: u64,
}

/// Makes the recording: a second look at the times alone, and then the rows.
fn make(path: &Path, source: &mut dyn Source, format: &'static str, zone: Option<&TimeZone>) -> Result<AsRecording, ReadError> {
    let found = look(path, source)?;
    let utc = TimeZone::UTC;
    let in_zone = zone.unwrap_or(&utc);
    let monotonic = source.columns().iter().position(|column| column.name == MONOTONIC);
    // Rows with and without such a time can't be put in one order.
    let monotonic = monotonic.filter(|column| found.profiles[*column].is_whole_in(found.rows));
    let mut clock = found.place.clock(in_zone);
    let mut times = Times::default();
    let mut before: Option<i64> = None;
    source.each(&mut |row| {
        let Some(utc) = clock.read(row) else {
            times.without += 1;
            return Ok(());
        };
        let (own, at) = (monotonic.is_some(), monotonic_of(row, monotonic, utc, 0));
        if times.first.is_none_or(|(_, first)| at < first) {
            times.first = Some((utc, at));
        }
        if times.last.is_none_or(|(_, last)| at >= last) {
            times.last = Some((utc, at));
        }
        if let Some(before) = before.replace(at) {
            let step = at - before;
            times.back += u64::from(step < 0 && !own);
            times.same += u64::from(step == 0);
            if step > 0 && times.steps.len() < STEPS {
                times.steps.push(step);
            }
        }
        Ok(())
    })?;
    let twice = clock.twice;
    let (Some(first), Some(last)) = (times.first, times.last) else {
        return Err(ReadError::unreadable(path, "none of its rows has a time that a recording may have, between the years 1823 and 2116"));
    };
    // The clock that never steps begins with the first row, if the file has none of its own.
    let begin = if monotonic.is_some() { 0 } else { first.1 };
    if last.1 - begin > MOST_NANOS {
        return Err(ReadError::unreadable(
            path,
            "its first and last time lie more than 146 years apart; correct the times that are wrong, or leave out their rows",
        ));
    }

    let ours = shape::ours(source.columns(), &found.place.columns());
    let mut targets = ours.targets;
    let is_long = times.same > found.rows / 2;
    let (own, without_rate) = shape::of_the_file(path, source.columns(), &ours.known, &found.profiles, is_long)?;
    let tables = own.iter().map(|target| target.table).collect();
    targets.extend(own);
    if targets.is_empty() {
        return Err(ReadError::unreadable(path, "it has times and nothing else; there is nothing to show"));
    }
    let mut notices = notices(&found, &times, zone, twice);
    if clock.counts_from_a_start(last.0) {
        let detail = "its times are no times of day: they count from a start that the file does not tell, and are shown from 1970 on";
        notices.push(notice("times_from_a_start", detail, 1));
    }
    if !without_rate.is_empty() {
        let names = without_rate.iter().map(|name| error::shown(name)).collect::<Vec<_>>().join(", ");
        let detail = format!(
            "rows have the time of the row above them, so they tell of several things, and nothing says which row goes on with which: there are no rates of \
             {names}; write a file for each, or a column for each"
        );
        notices.push(notice("rows_of_several", detail, times.same));
    }
    let dropped = dropped(source, &found.profiles);
    if dropped > 0 {
        notices.push(notice("columns_left_out", "columns without a cell that can be shown", dropped));
    }

    let place = std::env::temp_dir();
    let temporary = Scratch::make(&place).map_err(|error| ReadError::disk(&place, error))?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().replace('/', "_");
    let folder = temporary.path().join(format!("{}.baro", if stem.is_empty() { "file" } else { &stem }));
    let facts = facts(path, first, begin, &times.steps, zone, &notices)?;
    let mut recording = Recording::create(&folder, facts, barograph_store::Options::default())?.unsynced();
    if write(source, &mut recording, &found, in_zone, monotonic, begin, &targets)? == 0 {
        return Err(ReadError::unreadable(path, "none of its rows has both a time and something else; there is nothing to show"));
    }
    let end = End { utc_nanos: last.0, monotonic_nanos: last.1 - begin, reason: "the file ends".to_owned(), ..End::default() };
    recording.finish(end, Durability::Crash)?;
    Ok(AsRecording { folder, format: Some(format), notices, tables, _temporary: Some(temporary) })
}

/// The monotonic time of a row: what the file says, or its UTC from the first row on. So rows are sorted by time, whatever their order in the file.
fn monotonic_of(row: &dyn Row, column: Option<usize>, utc: i64, begin: i64) -> i64 {
    match column.and_then(|column| row.get(column)).map(number) {
        Some(Number::Whole(nanos)) => nanos.clamp(-MOST_NANOS, MOST_NANOS),
        _ => utc - begin,
    }
}

/// What a clock of a recording may show.
const MOST_NANOS: i64 = i64::MAX / 2;

fn notice(name: &str, detail: impl Into<String>, count: u64) -> Notice {
    Notice { name: name.to_owned(), detail: detail.into(), count }
}

fn notices(found: &Looked, times: &Times, zone: Option<&TimeZone>, twice: u64) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut add = |count: u64, name: &str, detail: String| {
        if count > 0 {
            notices.push(notice(name, detail, count));
        }
    };
    if found.place.locals() > 0 {
        let name = zone.map_or("UTC", |zone| zone.iana_name().unwrap_or("the zone of this machine"));
        let hint = if zone.is_some() { "" } else { "; say another one with --zone" };
        add(1, "no_zone", format!("its times have no zone and were read as {name}{hint}"));
        let put = format!("times that clocks in {name} showed twice or never, when they were put back or forward: told by the rows before them");
        add(twice, "ambiguous_times", put);
    }
    let offsets = found.place.offsets();
    let of = |offset: &i32| {
        let minutes = offset.abs() / 60;
        format!("{}{:02}:{:02}", if *offset < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
    };
    if offsets.len() > 1 {
        let said: Vec<String> = offsets.iter().take(6).map(of).collect();
        add(1, "mixed_zones", format!("its times have different offsets from UTC ({}); each was read by its own", said.join(", ")));
    }
    add(times.back, "times_go_back", "rows that lie before the row above them; rows are sorted by time".to_owned());
    add(times.without.max(found.place.wrong), "rows_without_time", "rows without a time that can be read, left out".to_owned());
    add(
        found.left_out.lines,
        "lines_left_out",
        "lines that are no rows of the table, by their number of cells or because they can't be read".to_owned(),
    );
    add(found.left_out.torn.into(), "torn_line", "the last line was cut off and is left out".to_owned());
    let no_numbers = found.profiles.iter().filter(|profile| profile.is_number()).map(|profile| profile.no_numbers).sum();
    add(no_numbers, "no_numbers", "cells of numbers that are none, such as NaN or infinity: absent".to_owned());
    notices
}

/// Columns of which no cell can be shown.
fn dropped(source: &dyn Source, profiles: &[Profile]) -> u64 {
    source.columns().iter().zip(profiles).filter(|(_, profile)| profile.is_empty()).count() as u64
}

fn facts(path: &Path, first: (i64, i64), begin: i64, steps: &[i64], zone: Option<&TimeZone>, notices: &[Notice]) -> Result<Facts, ReadError> {
    let mut facts = Facts { notices: notices.to_vec(), ..Facts::default() };
    // The same file is the same recording when it is opened again: what a page remembers of it is found.
    facts.id = id_of(path)?;
    facts.clock =
        Clock { utc_nanos: first.0, monotonic_nanos: first.1 - begin, zone: zone.and_then(TimeZone::iana_name).unwrap_or_default().to_owned() };
    let mut steps = steps.to_vec();
    steps.sort_unstable();
    if let Some(step) = steps.get(steps.len() / 2) {
        facts.interval_seconds = *step as f64 / 1e9;
    }
    facts.other.insert(FILE_FACT.to_owned(), Json::String(path.display().to_string()));
    Ok(facts)
}

/// 128 bits of the first bytes of a file (FNV-1a).
fn id_of(path: &Path) -> Result<String, ReadError> {
    let disk = |error| ReadError::disk(path, error);
    let head = columnar::head(&mut File::open(path).map_err(disk)?, HEAD).map_err(disk)?;
    let hash = head.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    Ok(format!("{hash:032x}"))
}

/// The rows, table by table. Says how many there are.
fn write(
    source: &mut dyn Source,
    recording: &mut Recording,
    found: &Looked,
    zone: &TimeZone,
    monotonic: Option<usize>,
    begin: i64,
    targets: &[Target],
) -> Result<u64, ReadError> {
    let mut rows = 0;
    let mut clock = found.place.clock(zone);
    let mut batches: Vec<Batch> = targets.iter().map(|target| Batch::new(target.table)).collect();
    let mut run = Run { baseline: source.baseline(), is_begin: true, sums: vec![0.0; source.columns().len()] };
    source.each(&mut |row| {
        let Some(utc_nanos) = clock.read(row) else { return Ok(()) };
        let at = Moment { utc_nanos, monotonic_nanos: monotonic_of(row, monotonic, utc_nanos, begin) };
        run.next(row);
        for (target, batch) in targets.iter().zip(&mut batches) {
            // A table that is read less often than others is absent from the rows between.
            if target.cells.iter().any(|cell| row.get(cell.column).is_some()) {
                add(batch, at, target, row, &mut run);
                rows += 1;
            }
            if batch.len() >= BATCH_ROWS {
                recording.take(batch)?;
                batch.clear();
            }
        }
        run.is_begin = false;
        Ok(())
    })?;
    for batch in &batches {
        recording.take(batch)?;
    }
    Ok(rows)
}

/// What a row of differences follows on.
struct Run {
    baseline: Baseline,
    /// Whether this row is the first of a run.
    is_begin: bool,
    /// Of each column, what its differences came to so far.
    sums: Vec<f64>,
}

impl Run {
    fn next(&mut self, row: &dyn Row) {
        if let Baseline::Without(column) = self.baseline {
            let value = row.get(column).map(number);
            self.is_begin |= matches!(value, Some(Number::Whole(0))) || matches!(value, Some(Number::Fraction(value)) if value == 0.0);
        }
        self.is_begin &= self.baseline != Baseline::Unknown;
        // Counters of another run begin anew.
        if self.is_begin {
            self.sums.fill(0.0);
        }
    }

    /// The number of this cell in the unit of its metric, if it is anything but a whole number that stays one.
    fn converted(&mut self, cell: &Cells, value: f64) -> f64 {
        match cell.convert {
            Convert::As => value,
            Convert::Times(factor) => value * factor,
            Convert::Grow(factor) => {
                self.sums[cell.column] += value * factor;
                self.sums[cell.column]
            }
        }
    }
}

fn add(batch: &mut Batch, at: Moment, target: &Target, row: &dyn Row, run: &mut Run) {
    batch.begin_row(at);
    for (metric, text) in &target.texts {
        batch.set_text(*metric, text.as_bytes());
    }
    for metric in &target.ones {
        batch.set_number(*metric, 1_i64);
    }
    for cell in &target.cells {
        let Some(value) = row.get(cell.column).filter(|_| !(cell.is_interval && run.is_begin)) else { continue };
        match target.table.metrics[cell.metric].physical {
            Physical::Text => set_text(batch, cell.metric, value),
            Physical::Int => match (number(value), cell.convert) {
                (Number::Whole(value), Convert::As) => batch.set_number(cell.metric, value),
                (Number::Fraction(value), Convert::As) if value.fract() != 0.0 => {}
                (Number::Whole(value), _) => set_whole(batch, cell.metric, run.converted(cell, value as f64)),
                (Number::Fraction(value), _) => set_whole(batch, cell.metric, run.converted(cell, value)),
                _ => {}
            },
            Physical::Float => match number(value) {
                Number::Whole(value) => batch.set_number(cell.metric, run.converted(cell, value as f64)),
                Number::Fraction(value) => batch.set_number(cell.metric, run.converted(cell, value)),
                _ => {}
            },
        }
    }
}

/// A number that was worked out; one that no cell can hold is none.
fn set_whole(batch: &mut Batch, metric: usize, value: f64) {
    if value.abs() < 9.2e18 {
        batch.set_number(metric, value.round() as i64);
    }
}

/// Whatever it is, as text.
fn set_text(batch: &mut Batch, metric: usize, value: Value<'_>) {
    match value {
        Value::Raw(text) | Value::Text(text) => batch.set_text(metric, text),
        Value::Int(value) => batch.set_text(metric, value.to_string().as_bytes()),
        Value::Float(value) => batch.set_text(metric, value.to_string().as_bytes()),
        Value::Utc(nanos) | Value::Local(nanos) => {
            let time = jiff::Timestamp::from_nanosecond(nanos.into()).unwrap_or_default();
            let text = time.to_string();
            let is_utc = matches!(value, Value::Utc(_));
            batch.set_text(metric, if is_utc { text.as_bytes() } else { text.trim_end_matches('Z').as_bytes() });
        }
    }
}
