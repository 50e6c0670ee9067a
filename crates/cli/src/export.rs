//! `barograph export`: a recording, or a table of it, as one file that other tools read.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use arrow_array::{StringArray, TimestampNanosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use barograph_formats::{Exporter, Format, Options, Output, RecordBatch, SchemaRef};
use barograph_model::{Described, Events};
use barograph_sources::{Job, Memory};
use barograph_store::{FieldInfo, MONOTONIC, Query, SpanQuery, SpanTable, TIME, Timeline};
use clap::Args;
use jiff::tz::TimeZone;

use crate::human;
use crate::open::{FileZone, open, tell_notices};
use crate::paint::{Ink, Paint, width};
use crate::table::{Align, Table};
use crate::words::{self, Window};

/// Rows that are read and written together.
const CHUNK_ROWS: u64 = 65_536;

/// How long it takes until we say how far we are, and how often.
const PATIENCE: Duration = Duration::from_millis(500);

/// Write a recording as one file: CSV, TSV, JSON lines, Parquet or Arrow.
///
/// Without --table, the file has one row for each tick: the job's sums and the machine's, named `table.column`, with disks and network interfaces
/// summed up. Counters stay counters, as the kernel gives them. An absent value is empty or null.
#[derive(Args, Debug)]
#[command(after_help = after_help())]
pub(crate) struct ExportArgs {
    /// The recording, which may still be going on; or a file with a column of times, to be written in another format.
    run: PathBuf,
    /// The file to write; its suffix tells the format. `-` is standard output.
    #[arg(short, long, value_name = "FILE", required_unless_present = "list")]
    output: Option<PathBuf>,
    /// The format, where the name does not tell it: csv, tsv, jsonl, parquet or arrow.
    #[arg(long, value_name = "NAME", value_parser = format_named)]
    format: Option<Format>,
    /// Write this table, one row for each of its rows; `spans` is made of `span_edges`, one row for each span with what it cost.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Only these columns, in this order; both times always come with them.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// Write what programs, people and rules marked, as `event,timestamp`: what `barograph mark --import` reads.
    #[arg(long, conflicts_with_all = ["table", "columns"])]
    marks: bool,
    /// List the tables that there are, and write nothing.
    #[arg(long, conflicts_with_all = ["output", "format", "table", "columns", "marks"])]
    list: bool,
    #[command(flatten)]
    window: Window,
    #[command(flatten)]
    file_zone: FileZone,
    /// Overwrite the file.
    #[arg(long)]
    force: bool,
}

fn after_help() -> String {
    format!(
        "Examples:
  barograph export run.baro -o run.csv
  barograph export run.baro --list
  barograph export run.baro --table process -o processes.parquet
  barograph export run.baro --columns {},{} -o memory.csv
  barograph export run.baro --table spans -o spans.csv
  barograph export run.baro --marks -o events.csv
  barograph export run.baro --table disk --from +10m --to +20m -o - --format jsonl | head

Text formats write times in RFC 3339, in UTC unless --tz says otherwise.

{}",
        Job::TABLE.metrics[Job::resident.index()].id(),
        Memory::TABLE.metrics[Memory::available.index()].id(),
        words::HELP
    )
}

fn format_named(name: &str) -> Result<Format, String> {
    let names = || Format::ALL.iter().map(|format| format.name).collect::<Vec<_>>().join(", ");
    Format::named(name).ok_or_else(|| format!("there is no such format; there are {}", names()))
}

pub(crate) fn run(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let opened = open(&args.run, &args.file_zone)?;
    tell_notices(&opened);
    let timeline = Timeline::open(&opened)?;
    let Some(output) = args.output.as_ref().filter(|_| !args.list) else {
        list(&timeline)?;
        return Ok(ExitCode::SUCCESS);
    };
    let zone = args.window.zone(&timeline.facts().clock.zone)?;
    let (from, to) = args.window.ends(&words::Reference::of(&timeline, &zone)?)?;
    let options = Options { zone: if args.window.tz.is_some() { zone } else { TimeZone::UTC } };
    let what = What { timeline: &timeline, table: args.table.as_deref(), columns: &args.columns, marks: args.marks, from, to };
    if output.as_os_str() == "-" {
        to_stdout(&what, args.format, &options)?;
    } else {
        let rows = to_file(&what, output, args.format, &options, args.force)?;
        let size = fs::metadata(output).map(|file| human::bytes(file.len())).unwrap_or_default();
        // What can't be said does not undo what was done.
        let _ = writeln!(io::stderr(), "barograph: {} with {}, {size}", output.display(), human::plural(rows, "row", "rows"));
    }
    for damage in timeline.damaged() {
        let _ = writeln!(io::stderr(), "barograph: {} can't be read, its rows are missing: {}", damage.path.display(), damage.why);
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the flat form of a whole recording to a file whose name tells the format: what `-o x.csv` of the recording commands does at the end.
pub(crate) fn flat_file(recording: &Path, file: &Path, force: bool) -> anyhow::Result<()> {
    let timeline = Timeline::open(recording)?;
    let what = What { timeline: &timeline, table: None, columns: &[], marks: false, from: None, to: None };
    to_file(&what, file, None, &Options::default(), force)?;
    Ok(())
}

/// What is exported.
struct What<'a> {
    timeline: &'a Timeline,
    table: Option<&'a str>,
    columns: &'a [String],
    marks: bool,
    from: Option<i64>,
    to: Option<i64>,
}

fn to_stdout(what: &What<'_>, format: Option<Format>, options: &Options) -> anyhow::Result<()> {
    let format = format.context("say with --format what to write: csv, tsv, jsonl, parquet or arrow")?;
    if !format.is_text && io::stdout().is_terminal() {
        bail!("{} is not for a terminal; write it to a file with -o", format.name);
    }
    what.write(format, Box::new(io::stdout()), options, false)?;
    Ok(())
}

/// The file appears under its name when it is whole.
fn to_file(what: &What<'_>, path: &Path, format: Option<Format>, options: &Options, force: bool) -> anyhow::Result<u64> {
    let suffixes = || Format::ALL.iter().map(|format| format!(".{}", format.suffixes[0])).collect::<Vec<_>>().join(", ");
    let format = format
        .or_else(|| Format::of_path(path))
        .with_context(|| format!("{}: this name tells no format; end it in one of {}, or say --format", path.display(), suffixes()))?;
    if !force && path.symlink_metadata().is_ok() {
        bail!("{}: there is such a file; overwrite it with --force", path.display());
    }
    if !path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(path.file_name().with_context(|| format!("{}: this is no name of a file", path.display()))?);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let hidden = path.with_file_name(hidden);
        let said = || path.display().to_string();
        let file = File::create_new(&hidden).with_context(said)?;
        let written = what.write(format, Box::new(file), options, true).and_then(|rows| {
            fs::rename(&hidden, path).with_context(said)?;
            Ok(rows)
        });
        if written.is_err() {
            let _ = fs::remove_file(&hidden);
        }
        return written;
    }
    // A pipe or a device can't be replaced by a file. It is opened only once --force allowed it.
    let device = File::options().write(true).open(path).with_context(|| path.display().to_string())?;
    what.write(format, Box::new(device), options, true)
}

impl What<'_> {
    fn write(&self, format: Format, output: Output, options: &Options, talks: bool) -> anyhow::Result<u64> {
        let mut target = Target { format, output: Some(output), options, exporter: None, rows: 0 };
        let mut progress = Progress::new(talks);
        match self.table {
            _ if self.marks => self.write_marks(&mut target)?,
            Some(table) if table == SpanTable::TABLE.name => self.write_spans(&mut target, &mut progress)?,
            Some(table) if table == Events::TABLE.name => self.write_events(&mut target)?,
            Some(table) => self.write_table(table, &mut target, &mut progress)?,
            None => self.write_wide(&mut target, &mut progress)?,
        }
        progress.end();
        target.finish()
    }

    fn write_table(&self, table: &str, target: &mut Target<'_>, progress: &mut Progress) -> anyhow::Result<()> {
        let info = self.timeline.table(table)?;
        let known: Vec<&str> = info.fields.iter().map(|field| field.name.as_str()).collect();
        let columns: Vec<String> = self.columns.iter().map(|column| plain(column, table)).filter(|column| !is_time(column)).collect();
        check_columns(&columns, &known, table)?;
        let mut query = Query::all().between(self.from, self.to);
        if !self.columns.is_empty() {
            query = query.columns(columns);
        }
        let mut chunks = self.timeline.chunks(table, &query, CHUNK_ROWS)?;
        while let Some(frame) = chunks.next() {
            target.write(frame?.batch())?;
            progress.at(chunks.progress());
        }
        if target.exporter.is_none() {
            target.write(self.timeline.frame(table, &query)?.batch())?;
        }
        Ok(())
    }

    /// Those of this time, as they were last edited.
    fn write_events(&self, target: &mut Target<'_>) -> anyhow::Result<()> {
        let table = Events::TABLE.name;
        let columns: Vec<String> = self.columns.iter().map(|column| plain(column, table)).filter(|column| !is_time(column)).collect();
        let none = self.timeline.events(&Query::all().between(Some(i64::MAX), None))?;
        let known = none.columns();
        check_columns(&columns, &known.iter().map(String::as_str).collect::<Vec<_>>(), table)?;
        let mut query = Query::all().between(self.from, self.to);
        if !self.columns.is_empty() {
            query = query.columns(columns);
        }
        for frame in self.timeline.event_chunks(&query, CHUNK_ROWS)? {
            target.write(frame?.batch())?;
        }
        if target.exporter.is_none() {
            target.write(self.timeline.events(&query)?.batch())?;
        }
        Ok(())
    }

    /// Those that were open in this time.
    fn write_spans(&self, target: &mut Target<'_>, progress: &mut Progress) -> anyhow::Result<()> {
        let table = SpanTable::TABLE.name;
        let spans = self.timeline.spans(&SpanQuery { from: self.from, to: self.to, name: None })?;
        let mut done = 0;
        for frame in spans.frames(CHUNK_ROWS as usize) {
            let fields = frame.batch().schema();
            let known: Vec<&str> = fields.fields().iter().map(|field| field.name().as_str()).collect();
            let columns: Vec<String> = self.columns.iter().map(|column| plain(column, table)).filter(|column| !is_time(column)).collect();
            check_columns(&columns, &known, table)?;
            let asked = columns.iter().filter_map(|column| known.iter().position(|name| name == column));
            let chosen: Vec<usize> = if self.columns.is_empty() { (0..known.len()).collect() } else { [0, 1].into_iter().chain(asked).collect() };
            target.write(&frame.batch().project(&chosen)?)?;
            done += frame.len();
            progress.at(done as f64 / spans.len().max(1) as f64);
        }
        Ok(())
    }

    /// The marks that are not our own, in two columns.
    fn write_marks(&self, target: &mut Target<'_>) -> anyhow::Result<()> {
        let column = |index: usize| Events::TABLE.metrics[index].column();
        let (name, by) = (column(Events::name.index()), column(Events::by.index()));
        let timestamp = Field::new("timestamp", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false);
        let schema = SchemaRef::new(Schema::new(vec![Field::new("event", DataType::Utf8, true), timestamp]));
        target.open(&schema)?;
        let frame = self.timeline.events(&Query::all().between(self.from, self.to).columns([&name, &by]))?;
        let (names, by) = (frame.texts(&name), frame.texts(&by));
        let said = |row: &usize| by[*row] != Some("recorder");
        let rows: Vec<usize> = (0..frame.times().len()).filter(said).collect();
        let events: StringArray = rows.iter().map(|row| names[*row]).collect();
        let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| frame.times()[*row])).with_timezone("UTC");
        target.write(&RecordBatch::try_new(schema, vec![Arc::new(events), Arc::new(times)])?)
    }

    fn write_wide(&self, target: &mut Target<'_>, progress: &mut Progress) -> anyhow::Result<()> {
        let order: Vec<&str> = barograph_sources::tables().iter().map(|table| table.name).collect();
        let mut wide = self.timeline.wide(&order, self.from, self.to)?;
        let schema = wide.schema().clone();
        let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let columns: Vec<String> = self.columns.iter().filter(|column| !is_time(column)).cloned().collect();
        check_columns(&columns, &known, "the flat form")?;
        let chosen: Vec<usize> = if self.columns.is_empty() {
            (0..known.len()).collect()
        } else {
            let asked = columns.iter().filter_map(|column| known.iter().position(|name| name == column));
            [0, 1].into_iter().chain(asked).collect()
        };
        target.open(&Arc::new(schema.project(&chosen)?))?;
        while let Some(batch) = wide.next() {
            target.write(&batch?.project(&chosen)?)?;
            progress.at(wide.progress());
        }
        Ok(())
    }
}

/// `disk.read_bytes` is as good as `read_bytes`.
fn plain(column: &str, table: &str) -> String {
    column.strip_prefix(&format!("{table}.")).unwrap_or(column).to_owned()
}

fn is_time(column: &str) -> bool {
    column == TIME || column == MONOTONIC
}

fn check_columns(asked: &[String], known: &[&str], place: &str) -> anyhow::Result<()> {
    let Some(wrong) = asked.iter().find(|column| !known.contains(&column.as_str())) else { return Ok(()) };
    let mut near: Vec<(usize, &str)> = known.iter().map(|name| (distance(wrong, name), *name)).filter(|(steps, _)| *steps <= 3).collect();
    near.extend(known.iter().filter(|name| name.ends_with(&format!(".{wrong}"))).map(|name| (0, *name)));
    near.sort_unstable();
    let names: Vec<&str> = near.into_iter().map(|(_, name)| name).take(3).collect();
    if names.is_empty() {
        bail!("{place} has no column {wrong:?}; `barograph metrics` tells what there may be, and an export without --columns has what there is");
    }
    bail!("{place} has no column {wrong:?}; do you mean {}?", names.join(" or "))
}

/// How many letters must be put in, left out or changed to make one word of the other.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The file as it is written. It is opened with the first rows, which tell its columns.
struct Target<'a> {
    format: Format,
    output: Option<Output>,
    options: &'a Options,
    exporter: Option<Box<dyn Exporter>>,
    rows: u64,
}

impl Target<'_> {
    fn open(&mut self, schema: &SchemaRef) -> anyhow::Result<()> {
        if let Some(output) = self.output.take() {
            self.exporter = Some(self.format.open(output, schema, self.options).map_err(plain_error)?);
        }
        Ok(())
    }

    fn write(&mut self, rows: &RecordBatch) -> anyhow::Result<()> {
        self.open(&rows.schema())?;
        if let Some(exporter) = &mut self.exporter {
            exporter.write(rows).map_err(plain_error)?;
        }
        self.rows += rows.num_rows() as u64;
        Ok(())
    }

    fn finish(self) -> anyhow::Result<u64> {
        if let Some(exporter) = self.exporter {
            exporter.finish().map_err(plain_error)?;
        }
        Ok(self.rows)
    }
}

/// A closed pipe stays an error of I/O, which ends the program in peace.
fn plain_error(error: barograph_formats::Error) -> anyhow::Error {
    match error {
        barograph_formats::Error::Write(error) => error.into(),
        error => error.into(),
    }
}

/// How far we are, for long work, on a terminal.
struct Progress {
    said: Option<Instant>,
    talks: bool,
    shown: bool,
}

impl Progress {
    fn new(talks: bool) -> Progress {
        Progress { said: Some(Instant::now()), talks: talks && io::stderr().is_terminal(), shown: false }
    }

    fn at(&mut self, share: f64) {
        if self.talks && self.said.is_some_and(|said| said.elapsed() > PATIENCE) {
            self.said = Some(Instant::now());
            self.shown = true;
            let _ = write!(io::stderr(), "\r{:3.0} %", share.clamp(0.0, 1.0) * 100.0);
        }
    }

    fn end(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r     \r");
        }
    }
}

fn list(timeline: &Timeline) -> anyhow::Result<()> {
    let order: Vec<&str> = barograph_sources::tables().iter().map(|table| table.name).collect();
    let mut tables = timeline.tables()?;
    tables.sort_by_key(|table| order.iter().position(|name| *name == table.name).unwrap_or(usize::MAX));
    let mut shown = Table::new([
        ("TABLE", Align::Left),
        ("ROWS", Align::Right),
        ("SIZE", Align::Right),
        ("COLUMNS", Align::Right),
        ("ROWS FOR EACH", Align::Left),
        ("WHAT IT TELLS", Align::Flexible),
    ]);
    for table in tables {
        let keys = if table.keys.is_empty() { String::new() } else { table.keys.join(", ") };
        shown.row([
            (table.name, Ink::Bold),
            (human::count(table.rows as f64), Ink::Plain),
            (human::bytes(table.bytes), Ink::Plain),
            (table.fields.len().to_string(), Ink::Plain),
            (human::escape(&keys), Ink::Plain),
            (human::escape(&table.help), Ink::Dim),
        ]);
    }
    let spans = timeline.spans(&SpanQuery::default())?;
    if !spans.is_empty() {
        let columns: Vec<FieldInfo> = spans.frames(1).next().map(|frame| frame.fields()).unwrap_or_default();
        shown.row([
            (SpanTable::TABLE.name.to_owned(), Ink::Bold),
            (human::count(spans.len() as f64), Ink::Plain),
            (String::new(), Ink::Plain),
            (columns.len().to_string(), Ink::Plain),
            (SpanTable::TABLE.key_metrics()[0].column(), Ink::Plain),
            (SpanTable::TABLE.help().to_owned(), Ink::Dim),
        ]);
    }
    shown.write(&mut io::stdout().lock(), Paint::of_stdout(), "", width(None))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        assert_eq!([distance("abc", "abc"), distance("availble", "available"), distance("", "ab"), distance("ab", "ba")], [0, 1, 2, 2]);
        let said = |wrong: &str| check_columns(&[wrong.to_owned()], &["weather.sunny_bytes", "moon.full_seconds"], "it").unwrap_err().to_string();
        assert!(said("weather.suny_byte").ends_with("do you mean weather.sunny_bytes?"));
        assert!(said("full_seconds").ends_with("do you mean moon.full_seconds?"));
        assert!(said("what").contains("barograph metrics"));
        assert!(check_columns(&[], &[], "it").is_ok());
    }
}
