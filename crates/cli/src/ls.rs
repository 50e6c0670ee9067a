//! `barograph ls`: the recordings of a folder, newest first.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use barograph_model::Described;
use barograph_sources::Job;
use barograph_store::{End, FACTS_FILE, Facts, Figure, Query, State, Timeline};
use clap::Args;
use serde_json::{Value, json};

use crate::human;
use crate::paint::{Ink, Paint, width, write_json};
use crate::report::command_line;
use crate::table::{Align, Table};
use crate::words::{Window, zoned};

/// List recordings with their headline figures, newest first.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph ls
  barograph ls ~/runs /scratch/runs
  barograph ls --json | jq -r '.[] | select(.exit.code != 0) | .path'")]
pub(crate) struct LsArgs {
    /// Folders with recordings, or recordings. By default $BAROGRAPH_DIR, or else the folder that we are in.
    folders: Vec<PathBuf>,
    /// Zone of the times: Local, UTC, or a name such as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Columns of text to write in; that of the terminal, or 80.
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
    /// Print JSON: a list of objects.
    #[arg(long)]
    json: bool,
}

/// A recording, as far as it can be read.
struct Found {
    path: PathBuf,
    read: Result<Read, String>,
}

struct Read {
    facts: Facts,
    state: State,
    wall_seconds: Option<f64>,
    cpu_seconds: Option<f64>,
    peak_resident_bytes: Option<u64>,
}

pub(crate) fn run(args: &LsArgs) -> anyhow::Result<ExitCode> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    list(args, &mut out)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn list(args: &LsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let zone = Window { tz: args.tz.clone(), ..Window::default() }.zone("UTC")?;
    let given = if args.folders.is_empty() { vec![default_folder()] } else { args.folders.clone() };
    let mut found = Vec::new();
    for folder in &given {
        found.extend(recordings(folder)?.into_iter().map(|path| Found { read: read(&path), path }));
    }
    let began = |found: &Found| found.read.as_ref().map_or(i64::MIN, |read| read.facts.clock.utc_nanos);
    found.sort_by(|a, b| began(b).cmp(&began(a)).then_with(|| a.path.cmp(&b.path)));
    if args.json {
        let list: Vec<Value> = found.iter().map(as_json).collect();
        write_json(out, &list)?;
    } else if found.is_empty() {
        let places: Vec<String> = given.iter().map(|folder| folder.display().to_string()).collect();
        writeln!(out, "no recordings in {}; `barograph run -- COMMAND` makes one", places.join(", "))?;
    } else {
        as_table(&found, &zone).write(out, Paint::of_stdout(), "", width(args.width))?;
    }
    Ok(())
}

fn default_folder() -> PathBuf {
    env::var_os("BAROGRAPH_DIR").filter(|folder| !folder.is_empty()).map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// The recordings in a folder, or the folder itself if it is one.
fn recordings(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if is_recording(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = entries.flatten().map(|entry| if folder == Path::new(".") { PathBuf::from(entry.file_name()) } else { entry.path() });
    Ok(paths.filter(|path| is_recording(path)).collect())
}

/// A folder with facts, or with the name of a recording. The second kind may have lost its facts, and is shown all the same.
fn is_recording(path: &Path) -> bool {
    path.join(FACTS_FILE).is_file() || (path.extension().is_some_and(|suffix| suffix == "baro") && path.is_dir())
}

fn read(path: &Path) -> Result<Read, String> {
    let timeline = Timeline::open(path).map_err(|error| {
        let text = error.to_string();
        text.strip_prefix(&format!("{}: ", path.display())).map_or(text.clone(), str::to_owned)
    })?;
    let facts = timeline.facts().clone();
    let state = timeline.state();
    if let Some(End { totals, monotonic_nanos, .. }) = &facts.end {
        let wall = (monotonic_nanos - facts.clock.monotonic_nanos) as f64 / 1e9;
        let cpu_seconds = totals.user_seconds.zip(totals.system_seconds).map(|(user, system)| user + system);
        let (wall_seconds, peak_resident_bytes) = (totals.wall_seconds.or(Some(wall)), totals.peak_resident_bytes);
        return Ok(Read { state, wall_seconds, cpu_seconds, peak_resident_bytes, facts });
    }
    let (wall_seconds, cpu_seconds, peak_resident_bytes) = so_far(&timeline).unwrap_or_default();
    Ok(Read { state, wall_seconds, cpu_seconds, peak_resident_bytes, facts })
}

/// The figures of a recording that has no end yet, from its rows: time, CPU seconds and peak memory.
fn so_far(timeline: &Timeline) -> anyhow::Result<(Option<f64>, Option<f64>, Option<u64>)> {
    let facts = timeline.facts();
    let mut last = None;
    for table in timeline.tables()? {
        let range = table.monotonic_range.map(|(_, last)| last);
        last = last.max(range);
    }
    let wall = last.map(|last| (last - facts.clock.monotonic_nanos) as f64 / 1e9);
    if !timeline.has_table(Job::TABLE.name) {
        return Ok((wall, None, None));
    }
    let (cpu, memory) = (Figure::of(Job::user).plus(Job::system), Figure::of(Job::resident));
    let query: Query = Figure::query([&cpu, &memory], None, None);
    let frame = timeline.frame(Job::TABLE.name, &query)?;
    let stale = facts.stale_nanos();
    let cpu = cpu.series(&frame, stale).stats().and_then(|stats| stats.total);
    let peak = memory.series(&frame, stale).stats().and_then(|stats| stats.peak).map(|peak| peak.value as u64);
    Ok((wall, cpu, peak))
}

fn as_table(found: &[Found], zone: &jiff::tz::TimeZone) -> Table {
    let mut table = Table::new([
        ("STARTED", Align::Left),
        ("NAME", Align::Left),
        ("WALL", Align::Right),
        ("CPU", Align::Right),
        ("PEAK MEM", Align::Right),
        ("ENDED", Align::Left),
        ("COMMAND", Align::Flexible),
    ]);
    for Found { path, read } in found {
        let name = human::escape(&path.display().to_string());
        let Ok(read) = read.as_ref().inspect_err(|why| {
            let blank = || (String::new(), Ink::Plain);
            let why = (human::escape(why), Ink::Red);
            table.row([blank(), (name.clone(), Ink::Bold), blank(), blank(), blank(), ("damaged".to_owned(), Ink::Red), why]);
        }) else {
            continue;
        };
        let started = zoned(read.facts.clock.utc_nanos, zone).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let command = read.facts.command.as_deref().map_or_else(|| "the whole machine".to_owned(), command_line);
        let (ended, ink) = ending(read);
        table.row([
            (started, Ink::Dim),
            (name, Ink::Bold),
            (read.wall_seconds.map(human::seconds).unwrap_or_default(), Ink::Plain),
            (read.cpu_seconds.map(human::seconds).unwrap_or_default(), Ink::Plain),
            (read.peak_resident_bytes.map(human::bytes).unwrap_or_default(), Ink::Plain),
            (ended, ink),
            (command, Ink::Plain),
        ]);
    }
    table
}

fn ending(read: &Read) -> (String, Ink) {
    match (&read.facts.end, read.state) {
        (Some(End { exit: Some(exit), .. }), _) => {
            (human::exit(*exit).replace("killed by ", ""), if exit.code == Some(0) { Ink::Green } else { Ink::Red })
        }
        (Some(end), _) if !end.reason.is_empty() => (human::escape(&end.reason), Ink::Plain),
        (_, State::Live) => (human::state(read.state).to_owned(), Ink::Cyan),
        (_, state) => (human::state(state).to_owned(), Ink::Yellow),
    }
}

fn as_json(found: &Found) -> Value {
    let path = found.path.display().to_string();
    match &found.read {
        Err(why) => json!({ "path": path, "state": "damaged", "error": why }),
        Ok(read) => {
            let end = read.facts.end.as_ref();
            json!({
                "path": path,
                "state": human::state(read.state),
                "id": read.facts.id,
                "started": zoned(read.facts.clock.utc_nanos, &jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string(),
                "host": read.facts.host.name,
                "command": read.facts.command,
                "exit": end.and_then(|end| end.exit),
                "reason": end.map(|end| end.reason.clone()),
                "wall_seconds": read.wall_seconds,
                "cpu_seconds": read.cpu_seconds,
                "peak_resident_bytes": read.peak_resident_bytes,
            })
        }
    }
}
