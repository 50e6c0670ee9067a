//! `barograph report`: the story of a recording.

mod json;
mod lines;
mod markdown;
mod program;
mod text;

#[cfg(feature = "web")]
use std::fs;
use std::io::{self, Write};
#[cfg(feature = "web")]
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(feature = "web")]
use anyhow::Context as _;
use barograph_store::{End, Timeline};
#[cfg(feature = "web")]
use barograph_web::ReportOptions;
use clap::Args;

use crate::human;
use crate::open::{FileZone, open, shown_path};
use crate::paint::{Ink, Paint, width};
#[cfg(feature = "web")]
use crate::story::extent;
use crate::story::headlines::Line;
use crate::story::program::Asked;
use crate::story::{Story, Top};
use crate::table::{Align, Table};
use crate::words::{self, Window, zoned};
use barograph_store::Stats;

/// Tell the story of a recording: how it ended, what it used, when, and which processes did.
#[derive(Args, Debug)]
#[command(after_help = after_help())]
pub(crate) struct ReportArgs {
    /// The recording, which may still be going on; or a file with a column of times: CSV, TSV, JSON lines, Parquet or Arrow.
    run: PathBuf,
    #[command(flatten)]
    window: Window,
    #[command(flatten)]
    file_zone: FileZone,
    /// Tell what each line, and each function, of its Python programs cost, if it was recorded with --lines.
    #[arg(long)]
    lines: bool,
    /// How many processes, names of spans, marks and gauges, or lines and functions, to list.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Tell of spans alone: all names, and more of the slowest; or each span of this name.
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true)]
    #[allow(clippy::option_option, reason = "absent, alone, with a name")]
    spans: Option<Option<String>>,
    /// Columns of text to write in; that of the terminal, or 80.
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
    /// Print JSON: everything in base units, times in RFC 3339.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown, for an issue or a wiki.
    #[arg(long)]
    markdown: bool,
    /// Write the page of `barograph view` with all that it shows into one file, which any browser opens without a server or a network.
    #[cfg(feature = "web")]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "markdown", "lines", "spans"])]
    html: Option<PathBuf>,
    /// With --html: everything as it was recorded, and all charts, however large the file gets. Else it has fewer points, and stays below 3 MB.
    #[cfg(feature = "web")]
    #[arg(long, requires = "html")]
    full: bool,
}

fn after_help() -> String {
    format!(
        "Examples:
  barograph report run.baro
  barograph report run.baro --from 10:20 --to 10:30 --tz Europe/Berlin
  barograph report run.baro --from -5m --top 30
  barograph report run.baro --spans
  barograph report run.baro --spans=epoch
  barograph report run.baro --json | jq .job.memory.peak
  barograph report run.baro --markdown >> issue.md
  barograph report run.baro --html run.html         the page of `barograph view` in one file, to be mailed
  barograph report run.baro --lines                 what each line of a Python program cost
  barograph report readings.csv --zone Europe/Berlin

{}

What the numbers mean:
  total  by how much a counter grew; for CPU, seconds of one core
  mean   over time, however often it was read
  p95    95 % of the time it was not above this
  peak   the highest value, and when; a rate is that of the time between two readings
  self   of a span: what no span within it, on the same thread, took
  ~ ≥    of a span: worked out from samples; not known of all spans of that name
  memory is what processes have in RAM; \"by the kernel\" is the highest of a single
         process that the kernel itself kept track of, between readings too

With --lines: what a line, and the libraries that it calls, cost itself; \"in all\" with the
program's own functions that it calls. Memory is by how much the process grew, less by how
much it shrank, while it was at that line.",
        words::HELP
    )
}

pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    #[cfg(feature = "web")]
    if let Some(path) = &args.html {
        return write_html(args, path);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    tell(args, &mut out)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "web")]
fn write_html(args: &ReportArgs, path: &Path) -> anyhow::Result<ExitCode> {
    let opened = open(&args.run, &args.file_zone)?;
    let timeline = Timeline::open(&opened)?;
    let zone = args.window.zone(&timeline.facts().clock.zone)?;
    let reference = words::Reference::of(&timeline, &zone)?;
    let (from, to) = args.window.ends(&reference)?;
    if from.is_some_and(|from| from > reference.end) || to.is_some_and(|to| to < reference.start) {
        anyhow::bail!("there is nothing in this time; {}", extent(&timeline, &zone)?);
    }
    let options = ReportOptions { full: args.full, from, to, ..ReportOptions::default() };
    let report = barograph_web::report(&opened, options)?;
    fs::write(path, &report.html).with_context(|| format!("{}: could not be written", path.display()))?;
    let mut said = format!("{} in {}", human::bytes(report.html.len() as u64), path.display());
    if report.spans_left_out > 0 {
        said += &format!("; {} short spans are left out", human::count(report.spans_left_out as f64));
    }
    if let Some((lines, processes)) = report.thinned {
        let fits = report.html.len() <= options.bytes;
        let limit = options.bytes / 1_000_000;
        let why = if fits { format!("to stay below {limit} MB") } else { format!("it is above {limit} MB, though") };
        said += &format!(
            "; {why} lines have {lines} points at most, those of processes {processes}: --from and --to make a report of a part, --full of all"
        );
    }
    // Nobody to hear it is no failure.
    let _ = writeln!(io::stderr(), "barograph: {said}");
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn tell(args: &ReportArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let opened = open(&args.run, &args.file_zone)?;
    let story = Story::read(Timeline::open(&opened)?, opened.tables(), &args.window, args.top, &args.asked())?;
    if args.lines {
        return tell_lines(args, &story, out);
    }
    if let Some(Some(name)) = args.spans.as_ref().filter(|_| story.program.each.is_empty()) {
        anyhow::bail!("{}", no_such_span(&story, name));
    }
    if args.json {
        json::write(out, &story)?;
    } else if args.markdown {
        markdown::write(out, &story, args.spans.is_some())?;
    } else if args.spans.is_some() {
        text::write_spans(out, &story, Paint::of_stdout(), width(args.width))?;
    } else {
        text::write(out, &story, Paint::of_stdout(), width(args.width))?;
    }
    Ok(())
}

/// Spans that are told one by one: those that took longest, and those that failed or are open.
const INSTANCES: usize = 5;
const MORE_INSTANCES: usize = 30;

impl ReportArgs {
    fn asked(&self) -> Asked {
        match &self.spans {
            None => Asked { top: self.top, instances: INSTANCES, each: None },
            Some(each) => Asked { top: usize::MAX, instances: MORE_INSTANCES, each: each.clone() },
        }
    }
}

fn no_such_span(story: &Story, name: &str) -> String {
    let known: Vec<String> = story.program.names.iter().take(10).map(|line| human::escape(&line.name)).collect();
    if known.is_empty() {
        program::NO_SPANS.to_owned()
    } else {
        format!("no span is called {:?}; there are {}", human::escape(name), known.join(", "))
    }
}

fn tell_lines(args: &ReportArgs, story: &Story, out: &mut dyn Write) -> anyhow::Result<()> {
    let costs = story.timeline.line_costs(story.span.asked.0, story.span.asked.1)?;
    let told = costs.as_ref().filter(|costs| costs.looks > 0).map(|costs| lines::Told { story, costs, top: args.top });
    match told {
        told if args.json => json::write_lines(out, story, told.map(|told| told.json()))?,
        None => anyhow::bail!("{}: {}", args.run.display(), lines::none(story)),
        Some(told) if args.markdown => told.write_markdown(out)?,
        Some(told) => told.write_text(out, Paint::of_stdout(), width(args.width))?,
    }
    Ok(())
}

/// What was recorded, as a title.
fn title(story: &Story) -> String {
    match &story.facts().command {
        Some(command) if !command.is_empty() => command_line(command),
        _ if story.facts().file().is_some() => shown_path(&story.timeline),
        _ if story.facts().host.name.is_empty() => "the whole machine".to_owned(),
        _ => format!("{}, the whole machine", human::escape(&story.facts().host.name)),
    }
}

/// Arguments as one would type them.
pub(crate) fn command_line(command: &[String]) -> String {
    let plain = |char: char| char.is_alphanumeric() || "-_./:=,+@%^".contains(char);
    let quoted = command.iter().map(|argument| match argument {
        argument if !argument.is_empty() && argument.chars().all(plain) => argument.clone(),
        argument => format!("'{}'", argument.replace('\'', "'\\''")),
    });
    human::escape(&quoted.collect::<Vec<_>>().join(" "))
}

/// The facts of the head: a name and what it says, and in which ink.
fn head(story: &Story) -> Vec<(&'static str, String, Ink)> {
    let facts = story.facts();
    let mut head = Vec::new();
    let host = &facts.host;
    let machine = [
        human::escape(&host.name),
        human::escape(&host.os),
        [human::escape(&host.kernel), human::escape(&host.arch)].join(" ").trim().to_owned(),
        if host.cores > 0 { human::plural(host.cores, "core", "cores") } else { String::new() },
        if host.memory_bytes > 0 { human::set(human::bytes(host.memory_bytes)) } else { String::new() },
    ];
    if machine.iter().any(|fact| !fact.is_empty()) {
        head.push(("host", joined(&machine), Ink::Plain));
    }
    let limits = [
        facts.limits.cores.map(|cores| human::set(format!("{} cores", human::cores(cores)))).unwrap_or_default(),
        facts.limits.memory_bytes.map(|bytes| human::set(human::bytes(bytes))).unwrap_or_default(),
    ];
    if limits.iter().any(|limit| !limit.is_empty()) {
        let origin = if facts.limits.origin.is_empty() { String::new() } else { format!(" ({})", human::escape(&facts.limits.origin)) };
        head.push(("limits", joined(&limits) + &origin, Ink::Plain));
    }
    head.push(("time", times(story), Ink::Plain));
    if !story.span.is_whole() {
        let at = |nanos: i64| human::since_start(story.since_start(nanos));
        let (from, to) = story.span.monotonic;
        head.push(("part", format!("{} to {} of the recording", at(from), at(to)), Ink::Yellow));
    }
    let (how, ink) = ending(story);
    let interval = human::set(human::seconds(facts.interval_seconds));
    let every = if facts.dense_start { format!("every {interval}, denser at the start") } else { format!("every {interval}") };
    head.push(("ended", how, ink));
    head.push(("sampled", joined(&[every, human::plural(story.span.ticks as u64, "tick", "ticks"), shown_path(&story.timeline)]), Ink::Plain));
    head
}

/// Between the parts of a line of the head.
const SEPARATOR: &str = " · ";

fn joined(parts: &[String]) -> String {
    parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(SEPARATOR)
}

/// `2026-11-20 10:20:00 – 10:23:12 +01:00 · 3 min 12 s`: the day again only where it is another.
fn times(story: &Story) -> String {
    let (begin, end) = (zoned(story.span.utc.0, &story.zone), zoned(story.span.utc.1, &story.zone));
    let (day, same) = ("%Y-%m-%d %H:%M:%S", "%H:%M:%S");
    let is_utc = ["UTC", "Etc/UTC"].contains(&story.zone.iana_name().unwrap_or_default());
    let offset = |time: &jiff::Zoned| if is_utc { " UTC".to_owned() } else { time.strftime(" %:z").to_string() };
    let first = begin.strftime(day).to_string() + &if begin.offset() == end.offset() { String::new() } else { offset(&begin) };
    let last = end.strftime(if begin.date() == end.date() { same } else { day }).to_string() + &offset(&end);
    let zone = story.zone.iana_name().filter(|_| !is_utc).map(|name| format!(" {name}")).unwrap_or_default();
    format!("{first} – {last}{zone} · {}", human::seconds(story.span.seconds()))
}

/// How it ended, and in which ink that is said.
fn ending(story: &Story) -> (String, Ink) {
    let state = human::state(story.state).to_owned();
    match &story.facts().end {
        Some(End { exit: Some(exit), .. }) => (human::exit(*exit), if exit.code == Some(0) { Ink::Green } else { Ink::Red }),
        Some(end) if end.reason.is_empty() => (state, Ink::Plain),
        Some(end) => (format!("ended: {}", human::escape(&end.reason)), Ink::Plain),
        None => (state, Ink::Yellow),
    }
}

/// The figures of a group as a table.
fn figures(story: &Story, name: &str, lines: &[(Line, Stats)]) -> Table {
    let head = name.to_uppercase();
    let heads = [
        (head.as_str(), Align::Left),
        ("TOTAL", Align::Right),
        ("MEAN", Align::Right),
        ("P95", Align::Right),
        ("PEAK", Align::Right),
        ("AT", Align::Right),
    ];
    let mut table = Table::new(heads);
    for (line, stats) in lines {
        let value = |value: Option<f64>| value.map(|value| line.value(value)).unwrap_or_default();
        table.row([
            (line.label.to_owned(), Ink::Plain),
            (stats.total.map(|total| line.total(total)).unwrap_or_default(), Ink::Plain),
            (value(stats.mean), Ink::Plain),
            (value(stats.p95), Ink::Plain),
            (value(stats.peak.map(|peak| peak.value)), Ink::Bold),
            (stats.peak.map(|peak| human::since_start(story.since_start(peak.monotonic_nanos))).unwrap_or_default(), Ink::Dim),
        ]);
    }
    table
}

/// Heads of columns that go where there is no room, the first ones first.
const GIVE_WAY: [&[&str]; 3] = [&["FROM"], &["CORES"], &["READ", "WRITTEN"]];

/// Room for a command that still says something.
const LEAST_COMMAND: usize = 16;

/// The processes as a table, in at most so many columns of text if that is asked for.
fn processes(story: &Story, top: &Top, width: Option<usize>) -> Table {
    let heads = ["PID", "CPU", "CORES", "PEAK MEM", "READ", "WRITTEN", "FROM", "FOR"].map(|head| (head, Align::Right));
    let mut table = Table::new(heads.into_iter().chain([("ENDED", Align::Left), ("COMMAND", Align::Flexible)]));
    let bytes = |value: Option<f64>| value.map(human::byte_amount).unwrap_or_default();
    for line in &top.lines {
        let ended = line.ended_in_words();
        let ink = if ["", "exit 0", "ended"].contains(&ended.as_str()) { Ink::Plain } else { Ink::Red };
        table.row([
            (line.pid.to_string(), Ink::Dim),
            (human::seconds(line.cpu_seconds), Ink::Bold),
            (line.mean_cores.map(human::cores).unwrap_or_default(), Ink::Plain),
            (bytes(line.peak_resident_bytes), Ink::Plain),
            (bytes(line.read_bytes), Ink::Plain),
            (bytes(line.written_bytes), Ink::Plain),
            (human::since_start(story.since_start(line.first_seen)), Ink::Dim),
            (human::seconds((line.last_seen - line.first_seen) as f64 / 1e9), Ink::Plain),
            (ended, ink),
            (if width.is_some() { line.short_command() } else { line.command() }, Ink::Plain),
        ]);
    }
    if let Some(width) = width {
        table.fit(width, &GIVE_WAY, LEAST_COMMAND);
    }
    table
}

/// What is said of the processes that are not in the table.
fn others(top: &Top) -> Option<String> {
    let processes = human::plural(top.others as u64, "more process", "more processes");
    (top.others > 0).then(|| {
        format!("and {processes} with {} of CPU time; --top {} shows all", human::seconds(top.others_cpu_seconds), top.others + top.lines.len())
    })
}
