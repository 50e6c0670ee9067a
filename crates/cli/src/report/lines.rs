//! What each line of a Python program cost: `report --lines`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use barograph_store::{Growth, Line, LineCost, LineCosts};
use serde_json::{Value, json};

use crate::human;
use crate::paint::{Ink, Paint, columns};
use crate::story::Story;
use crate::table::{Align, Table};

const INDENT: &str = "  ";

/// Columns that go where there is no room, the first ones first; those in which there is nothing go anyway.
const GIVE_WAY: [&[&str]; 4] = [&["SAMPLES"], &["READ", "WRITTEN"], &["WAITED"], &["IN ALL"]];

/// Room for a source text that still says something.
const LEAST_SOURCE: usize = 20;

/// A source file that is longer is not one that somebody wrote.
const MOST_SOURCE_BYTES: u64 = 8 << 20;

/// Less than this in the whole recording is nothing that a line need be named for.
const LEAST_SECONDS: f64 = 0.05;
const LEAST_BYTES: f64 = 4e6;

/// A line with less than so many thousandths of everything is not told of.
const LEAST_RANK: u64 = 3;

/// What is told, and of which recording.
pub(super) struct Told<'a> {
    pub(super) story: &'a Story,
    pub(super) costs: &'a LineCosts,
    /// How many lines, and how many functions.
    pub(super) top: usize,
}

/// What to say of a recording in which nobody looked at lines.
pub(super) fn none(story: &Story) -> String {
    let command = story.facts().command.as_deref().map_or_else(|| "python3 program.py".to_owned(), super::command_line);
    let missing = ["lines_denied", "lines_unreadable"];
    if let Some(notice) = story.facts().notices.iter().find(|notice| missing.contains(&notice.name.as_str())) {
        return format!("no line could be looked at: {}", human::escape(&notice.detail));
    }
    match story.facts().sources.get("lines").map(String::as_str) {
        None => format!("it was recorded without lines; `barograph run --lines -- {command}` records them"),
        Some("ok") => "no Python program ran in it for long enough to be looked at".to_owned(),
        Some(why) => format!("lines could not be recorded: {}", human::escape(why)),
    }
}

impl Told<'_> {
    pub(super) fn write_text(&self, out: &mut dyn Write, paint: Paint, width: usize) -> io::Result<()> {
        super::text::write_head(out, self.story, paint, width)?;
        writeln!(out, "{INDENT}{}{}", paint.ink(Ink::Dim, "lines   "), self.extent())?;
        let room = width.saturating_sub(columns(INDENT));
        let [lines, functions] = self.chosen();
        let mut sources = Sources::new(self.story);
        for (name, chosen) in [("LINE", lines), ("FUNCTION", functions)] {
            writeln!(out)?;
            let mut table = self.table(name, &chosen, &mut sources);
            table.fit(room, &GIVE_WAY, LEAST_SOURCE);
            table.write(out, paint, INDENT, width)?;
        }
        super::text::write_notes(out, self.story, paint, width)
    }

    pub(super) fn write_markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "## {}\n\n- **lines** {}\n", crate::table::markdown(&super::title(self.story)), self.extent())?;
        let [lines, functions] = self.chosen();
        let mut sources = Sources::new(self.story);
        self.table("LINE", &lines, &mut sources).write_markdown(out)?;
        writeln!(out)?;
        self.table("FUNCTION", &functions, &mut sources).write_markdown(out)
    }

    /// What was looked at.
    fn extent(&self) -> String {
        let costs = self.costs;
        let looks = costs.looks as f64 / costs.seconds.max(1e-9) / costs.processes.max(1) as f64;
        let rate = if costs.looks < 2 { String::new() } else { format!(", {} a second", human::number(looks.max(0.0))) };
        format!(
            "{}{rate} · {} · {} · CPU {}",
            human::plural(costs.looks, "look", "looks"),
            human::plural(costs.processes as u64, "process", "processes"),
            human::plural(costs.threads as u64, "thread", "threads"),
            human::seconds(costs.all.growth.cpu_seconds),
        )
    }

    /// The lines and the functions that took the largest part of anything, by CPU time.
    fn chosen(&self) -> [Vec<&Line>; 2] {
        [&self.costs.lines, &self.costs.functions].map(|entries| {
            let all = &self.costs.all;
            let part = |mine: f64, all: f64, least: f64| if all >= least { mine / all } else { 0.0 };
            let rank = |line: &Line| {
                let (mine, all) = (&line.own.growth, &all.growth);
                let parts = [
                    part(mine.cpu_seconds, all.cpu_seconds, LEAST_SECONDS),
                    part(mine.resident_grown_bytes, all.resident_grown_bytes, LEAST_BYTES),
                    part(mine.read_bytes + mine.written_bytes, all.read_bytes + all.written_bytes, LEAST_BYTES),
                    part(line.own.waiting_seconds, self.costs.all.waiting_seconds, LEAST_SECONDS) / 2.0,
                ];
                // To a thousandth, as numbers without an order can't be sorted by.
                (parts.into_iter().fold(0.0, f64::max) * 1e3) as u64
            };
            let mut chosen: Vec<&Line> = entries.iter().filter(|line| rank(line) >= LEAST_RANK).collect();
            let name = |line: &Line| (line.file.clone(), line.line, line.function.clone());
            chosen.sort_by_cached_key(|line| (Reverse(rank(line)), name(line)));
            chosen.truncate(self.top);
            let millis = |line: &Line| (line.own.growth.cpu_seconds.max(0.0) * 1e3) as u64;
            chosen.sort_by_cached_key(|line| (Reverse(millis(line)), Reverse(rank(line)), name(line)));
            chosen
        })
    }

    fn table(&self, name: &str, lines: &[&Line], sources: &mut Sources<'_>) -> Table {
        let numbers = ["CPU", "SHARE", "IN ALL", "MEMORY", "READ", "WRITTEN", "WAITED", "SAMPLES"].map(|head| (head, Align::Right));
        let is_line = name == "LINE";
        let mut table = Table::new(numbers.into_iter().chain([(name, Align::Left), (if is_line { "SOURCE" } else { "FILE" }, Align::Flexible)]));
        let all = self.costs.all.growth.cpu_seconds;
        let seconds = |value: f64| if value < 0.000_5 { String::new() } else { human::seconds(value) };
        let bytes = |value: f64| if value < 0.5 { String::new() } else { human::byte_amount(value) };
        for line in lines {
            let own = &line.own;
            let place = sources.shown(&line.file);
            let (named, beside) = match line.line {
                Some(number) => (format!("{place}:{number}"), sources.text(&line.file, number)),
                None if is_line => (place, String::new()),
                None => (human::escape(&line.function), place),
            };
            table.row([
                (seconds(own.growth.cpu_seconds), Ink::Bold),
                (if own.growth.cpu_seconds > 0.0 { human::share(own.growth.cpu_seconds / all.max(1e-9)) } else { String::new() }, Ink::Plain),
                (seconds(line.total.growth.cpu_seconds), Ink::Plain),
                (memory(own.growth), Ink::Plain),
                (bytes(own.growth.read_bytes), Ink::Plain),
                (bytes(own.growth.written_bytes), Ink::Plain),
                (seconds(own.waiting_seconds), Ink::Plain),
                (if own.samples > 0 { human::count(own.samples as f64) } else { String::new() }, Ink::Dim),
                (named, Ink::Plain),
                (beside, Ink::Dim),
            ]);
        }
        table
    }

    pub(super) fn json(&self) -> Value {
        let costs = self.costs;
        let [lines, functions] = self.chosen();
        let mut sources = Sources::new(self.story);
        let mut line = |line: &&Line| {
            json!({
                "file": line.file,
                "function": line.function,
                "line": line.line,
                "source": line.line.map(|number| sources.text(&line.file, number)).filter(|text| !text.is_empty()),
                "share": line.own.growth.cpu_seconds / costs.all.growth.cpu_seconds.max(1e-9),
                "own": cost(&line.own),
                "total": cost(&line.total),
            })
        };
        json!({
            "looks": costs.looks,
            "seconds": costs.seconds,
            "processes": costs.processes,
            "threads": costs.threads,
            "all": cost(&costs.all),
            "unseen_cpu_seconds": costs.unseen.cpu_seconds,
            "lines": lines.iter().map(&mut line).collect::<Vec<_>>(),
            "functions": functions.iter().map(&mut line).collect::<Vec<_>>(),
        })
    }
}

fn cost(cost: &LineCost) -> Value {
    let growth = &cost.growth;
    json!({
        "samples": cost.samples,
        "seconds": cost.seconds,
        "waiting_seconds": cost.waiting_seconds,
        "cpu_seconds": growth.cpu_seconds,
        "resident_bytes": growth.resident_bytes,
        "resident_grown_bytes": growth.resident_grown_bytes,
        "read_bytes": growth.read_bytes,
        "written_bytes": growth.written_bytes,
        "minor_faults": growth.minor_faults,
        "major_faults": growth.major_faults,
    })
}

/// By how much memory grew or shrank, with its sign; nothing for what is less than a line need be named for.
fn memory(growth: Growth) -> String {
    let bytes = growth.resident_bytes;
    match bytes.abs() {
        size if size < 4096.0 => String::new(),
        size => format!("{}{}", if bytes < 0.0 { '−' } else { '+' }, human::byte_amount(size)),
    }
}

/// The files of the program, as far as they are still as they were.
struct Sources<'a> {
    directory: &'a Path,
    /// A file that was changed later may say something else in that line.
    until: SystemTime,
    files: HashMap<String, Option<Vec<String>>>,
}

impl<'a> Sources<'a> {
    fn new(story: &'a Story) -> Sources<'a> {
        let end = u64::try_from(story.span.utc.1).unwrap_or(0);
        Sources {
            directory: Path::new(story.facts().directory.as_str()),
            until: SystemTime::UNIX_EPOCH + Duration::from_nanos(end),
            files: HashMap::new(),
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// The file as it is shown: from where the job began, or its last two parts.
    fn shown(&self, file: &str) -> String {
        let path = self.path(file);
        let inside = path.strip_prefix(self.directory).ok().filter(|_| !self.directory.as_os_str().is_empty());
        let short = inside.map(|inside| inside.display().to_string()).unwrap_or_else(|| {
            let parts: Vec<&str> = file.split('/').collect();
            parts[parts.len().saturating_sub(2)..].join("/")
        });
        human::escape(&short)
    }

    /// The text of a line, without its indent; nothing if the file is gone, or changed since.
    fn text(&mut self, file: &str, number: u64) -> String {
        let (path, until) = (self.path(file), self.until);
        let lines = self.files.entry(file.to_owned()).or_insert_with(|| {
            let known = fs::metadata(&path).ok().filter(|known| known.is_file() && known.len() <= MOST_SOURCE_BYTES)?;
            known.modified().ok().filter(|changed| *changed <= until)?;
            let text = fs::read(&path).ok()?;
            Some(String::from_utf8_lossy(&text).lines().map(|line| line.trim().to_owned()).collect())
        });
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        lines.as_ref().zip(place).and_then(|(lines, place)| lines.get(place)).map(|text| human::escape(text)).unwrap_or_default()
    }
}
