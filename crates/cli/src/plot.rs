//! `barograph plot`: a recording, or several, as a figure for paper, for a screen, or in the terminal.

use std::collections::HashMap;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use barograph_formats::AsRecording;
use barograph_model::{Described, Events};
use barograph_plot::{Clock, Figure, Look, Mark, Misfit, Run, Shown, Size, Slice, Theme};
use barograph_store::{Query, SpanQuery, Status};
use barograph_view::{Line, Panel, Spec, Style, View, Window as Part};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::export::distance;
use crate::human;
use crate::open::{FileZone, open, tell_notices};
use crate::paint::{Ink, Paint, width};
use crate::report::command_line;
use crate::story;
use crate::table::{Align, Table};
use crate::words::{self, Window};

/// Points of a line are about so many units of width apart.
const POINT: f64 = 0.75;

/// Draw a recording, or several of them, as a figure: SVG, PNG or PDF, or in the terminal.
///
/// Without --panel and --metric: CPU and memory by process, disks and network if they were used, and the program's gauges. Spans are drawn above the
/// panels, marks across them. Several recordings are aligned by their starts, each with a colour of its own. The same recording gives the same bytes.
#[derive(Args, Debug)]
#[command(after_help = after_help())]
pub(crate) struct PlotArgs {
    /// The recordings, which may still be going on; or files with times: CSV, JSON lines, Parquet …
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The file to write; its suffix tells the format. `-` is standard output.
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["list", "terminal"])]
    output: Option<PathBuf>,
    /// The format, where the name does not tell it.
    #[arg(long, value_name = "NAME")]
    format: Option<Format>,
    /// Panels to draw, in this order: `cpu-by-process,memory`. See --list.
    #[arg(long = "panel", value_name = "NAMES", value_delimiter = ',')]
    panels: Vec<String>,
    /// Metrics to draw, a panel each, by their names in `barograph metrics`.
    #[arg(long = "metric", value_name = "NAMES", value_delimiter = ',')]
    metrics: Vec<String>,
    /// List the panels that there are, and draw nothing.
    #[arg(long, conflicts_with_all = ["output", "terminal"])]
    list: bool,
    /// Draw in the terminal.
    #[arg(long, conflicts_with_all = ["output", "format"])]
    terminal: bool,
    /// Columns of text to draw in; those of the terminal, or 80.
    #[arg(long, value_name = "COLUMNS", requires = "terminal")]
    width: Option<usize>,
    #[command(flatten)]
    window: Window,
    #[command(flatten)]
    file_zone: FileZone,
    /// Write times of the clock instead of those since the start; --tz does so too.
    #[arg(long)]
    clock: bool,
    /// How large: 1200x800 pixels, 180mmx120mm for paper, or a width alone.
    #[arg(long, value_name = "SIZE", default_value = "1200")]
    size: Size,
    /// Colours for light or dark screens, or for paper.
    #[arg(long, value_name = "NAME", default_value = "light")]
    theme: ThemeOption,
    /// What stands above it; the command, unless said otherwise.
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Dots per inch of a PNG; 300 for paper, 96 for pixels.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=2400))]
    dpi: Option<u32>,
    /// How many processes or devices of a panel have a line of their own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    top: Option<u32>,
    /// Draw no spans.
    #[arg(long)]
    no_spans: bool,
    /// Draw no marks.
    #[arg(long)]
    no_marks: bool,
    /// Overwrite the file.
    #[arg(long)]
    force: bool,
}

fn after_help() -> String {
    format!(
        "Examples:
  barograph plot run.baro -o run.svg
  barograph plot run.baro --list
  barograph plot run.baro -o figure.pdf --size 180mmx120mm --theme print --panel cpu-by-process,memory-by-process
  barograph plot run.baro -o memory.png --metric {} --from +10m --to +20m
  barograph plot before.baro after.baro -o both.svg
  barograph plot run.baro --terminal

{}",
        barograph_sources::Memory::TABLE.metrics[barograph_sources::Memory::available.index()].id(),
        words::HELP
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Svg,
    Png,
    Pdf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ThemeOption {
    Light,
    Dark,
    Print,
}

impl From<ThemeOption> for Theme {
    fn from(option: ThemeOption) -> Theme {
        match option {
            ThemeOption::Light => Theme::Light,
            ThemeOption::Dark => Theme::Dark,
            ThemeOption::Print => Theme::Print,
        }
    }
}

pub(crate) fn run(args: &PlotArgs) -> anyhow::Result<ExitCode> {
    let mut opened = Vec::new();
    for path in &args.runs {
        opened.push(Opened::new(path, args)?);
    }
    if args.list {
        list(&opened)?;
        return Ok(ExitCode::SUCCESS);
    }
    let target = args.output.as_deref().map(|path| Target::new(path, args.format, args.force)).transpose()?;
    let chosen = chosen(&opened, args)?;
    let picture = Picture::read(&opened, &chosen, args)?;
    match target {
        None => picture.terminal(args)?,
        Some(target) => target.write(&picture.bytes(args, target.format)?)?,
    }
    for damage in opened.iter().flat_map(|opened| opened.view.timeline().damaged()) {
        let _ = writeln!(io::stderr(), "barograph: {} can't be read, its rows are missing: {}", damage.path.display(), damage.why);
    }
    Ok(ExitCode::SUCCESS)
}

/// A recording, and the part of it that is drawn.
struct Opened {
    view: View,
    /// What is read of a file lives as long.
    _folder: AsRecording,
    name: String,
    zone: TimeZone,
    /// UTC nanoseconds.
    start: i64,
    from: i64,
    to: i64,
}

impl Opened {
    fn new(path: &Path, args: &PlotArgs) -> anyhow::Result<Opened> {
        let (folder, window) = (open(path, &args.file_zone)?, &args.window);
        tell_notices(&folder);
        let view = View::open(&folder)?;
        let facts = view.facts();
        let zone = window.zone(&facts.clock.zone)?;
        let reference = words::Reference::of(&view.timeline(), &zone)?;
        let (from, to) = window.ends(&reference)?;
        let (first, last) = view.range();
        let start = facts.clock.utc_nanos;
        let end = if last > first { last } else { reference.end.max(last) };
        let (from, to) = (from.unwrap_or(start.min(first.max(start - 1_000_000_000))), to.unwrap_or(end));
        let file = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        let name = human::escape(file.strip_suffix(".baro").unwrap_or(&file));
        if from > end || to < start.min(first) {
            bail!("{}: there is nothing in this time; {}", path.display(), story::extent(&view.timeline(), &zone)?);
        }
        // A recording of one moment is drawn as a second around it.
        let (from, to) = if to - from < 1_000_000 { (from.saturating_sub(500_000_000), from.saturating_add(500_000_000)) } else { (from, to) };
        Ok(Opened { view, _folder: folder, name, zone, start, from, to })
    }

    fn millis(&self, utc_nanos: i64) -> f64 {
        utc_nanos.saturating_sub(self.start) as f64 / 1e6
    }

    fn title(&self) -> String {
        let facts = self.view.facts();
        match &facts.command {
            Some(command) if !command.is_empty() => command_line(command),
            _ if facts.file().is_some() => self.name.clone(),
            _ if facts.host.name.is_empty() => "the whole machine".to_owned(),
            _ => format!("{}, the whole machine", human::escape(&facts.host.name)),
        }
    }

    /// `host · 8 cores, 31.2 GiB · 2026-11-20 10:20:00 +01:00 · 3 min 12 s`.
    fn subtitle(&self) -> String {
        let facts = self.view.facts();
        let host = &facts.host;
        let machine: Vec<String> = [
            (host.cores > 0).then(|| human::plural(host.cores, "core", "cores")),
            (host.memory_bytes > 0).then(|| human::set(human::bytes(host.memory_bytes))),
        ]
        .into_iter()
        .flatten()
        .collect();
        let length = human::seconds((self.to - self.from) as f64 / 1e9);
        let parts = [human::escape(&host.name), machine.join(", "), words::shown(self.from.max(self.start), &self.zone), length];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
    }

    fn slices(&self) -> anyhow::Result<Vec<Slice>> {
        let spans = self.view.timeline().spans(&SpanQuery { from: Some(self.from), to: Some(self.to), name: None })?;
        let places: HashMap<String, usize> = spans.iter().enumerate().map(|(place, span)| (span.id.to_owned(), place)).collect();
        let slice = |span: barograph_store::Span<'_>| Slice {
            name: human::escape(span.name),
            from: self.millis(span.begin.utc_nanos),
            to: self.millis(span.end.map_or(self.to, |end| end.utc_nanos).max(span.begin.utc_nanos)),
            parent: span.parent.and_then(|parent| places.get(parent).copied()),
            failed: span.status == Status::Error,
        };
        Ok(spans.iter().map(slice).collect())
    }

    /// What programs, people and rules marked. The recorder's own words are in the report.
    fn marks(&self) -> anyhow::Result<Vec<Mark>> {
        let column = |index: usize| Events::TABLE.metrics[index].column();
        let (name, by) = (column(Events::name.index()), column(Events::by.index()));
        let query = Query::all().between(Some(self.from), Some(self.to)).columns([&name, &by]);
        let frame = self.view.timeline().events(&query)?;
        let (names, by) = (frame.texts(&name), frame.texts(&by));
        let mut marks = Vec::new();
        for (row, at) in frame.times().iter().enumerate() {
            if by[row] != Some("recorder") {
                marks.push(Mark { at: self.millis(*at), name: human::escape(names[row].unwrap_or_default()) });
            }
        }
        marks.sort_by(|a, b| a.at.total_cmp(&b.at));
        Ok(marks)
    }
}

/// The panels that are drawn, as the first recording that has one has it.
fn chosen(opened: &[Opened], args: &PlotArgs) -> anyhow::Result<Vec<Panel>> {
    let mut known: Vec<Panel> = Vec::new();
    for panel in opened.iter().flat_map(|opened| opened.view.panels()) {
        if known.iter().all(|other| other.id != panel.id) {
            known.push(panel);
        }
    }
    if known.is_empty() {
        bail!("{}: there is nothing in it to draw", args.runs[0].display());
    }
    if args.panels.is_empty() && args.metrics.is_empty() {
        return Ok(usual(&known));
    }
    let mut panels = Vec::new();
    for id in &args.panels {
        panels.push(known.iter().find(|panel| panel.id == *id).cloned().with_context(|| no_panel(id, &known, &args.runs[0]))?);
    }
    for id in &args.metrics {
        panels.push(of_metric(id, &known).with_context(|| no_metric(id, &known))?);
    }
    Ok(panels)
}

/// What is drawn when nobody says what: those of these that there are. Who has seen nothing of a job's processes has seen the machine.
fn usual(known: &[Panel]) -> Vec<Panel> {
    let named = |id: &str| known.iter().find(|panel| panel.id == id).cloned();
    let cpu = named("cpu-by-process").or_else(|| named("cpu"));
    let memory = named("memory-by-process").or_else(|| named("memory"));
    let gauges = known.iter().filter(|panel| panel.id.starts_with("gauge-")).take(4).cloned();
    let panels: Vec<Panel> = cpu.into_iter().chain(memory).chain(named("disk")).chain(named("network")).chain(gauges).collect();
    if panels.is_empty() { known.iter().filter(|panel| panel.shown).take(4).cloned().collect() } else { panels }
}

/// Panels that are left out where they were not asked for and there was next to nothing.
fn is_optional(panel: &Panel) -> bool {
    ["disk", "network"].contains(&panel.id.as_str())
}

/// Less than this in a second is no traffic.
const LEAST_TRAFFIC: f64 = 4096.0;

fn no_panel(id: &str, known: &[Panel], run: &Path) -> String {
    let steps = |panel: &Panel| if panel.id.contains(id) { 0 } else { distance(id, &panel.id) };
    let mut near: Vec<(usize, &str)> = known.iter().map(|panel| (steps(panel), panel.id.as_str())).filter(|(steps, _)| *steps <= 3).collect();
    near.sort_unstable();
    let mut names: Vec<&str> = near.into_iter().map(|(_, id)| id).take(4).collect();
    if names.is_empty() {
        names = known.iter().filter(|panel| panel.shown).map(|panel| panel.id.as_str()).collect();
    }
    format!("there is no panel {id:?}; there are {}, and more in `barograph plot {} --list`", names.join(", "), run.display())
}

/// A panel for a metric by its id, such as `memory.available_bytes`.
fn of_metric(id: &str, known: &[Panel]) -> Option<Panel> {
    let (table, column) = id.split_once('.')?;
    let is_it = |spec: &&Spec| spec.table == table && spec.plus == [column] && spec.minus.is_empty() && spec.filter.is_empty();
    let (panel, spec) = known.iter().find_map(|panel| Some((panel, panel.specs.iter().find(is_it)?)))?;
    let title = match (&spec.label, panel.specs.len()) {
        (Some(label), 2..) => format!("{}: {label}", table.replace('_', " ")),
        _ => panel.title.clone(),
    };
    Some(Panel { id: id.to_owned(), title, specs: vec![spec.clone()], style: Style::Lines, limits: Vec::new(), ..panel.clone() })
}

fn no_metric(id: &str, known: &[Panel]) -> String {
    let mut all: Vec<String> =
        known.iter().flat_map(|panel| &panel.specs).flat_map(|spec| spec.plus.iter().map(|column| format!("{}.{column}", spec.table))).collect();
    all.sort_unstable();
    all.dedup();
    let steps = |other: &str| if other.contains(id) || other.ends_with(&format!(".{id}")) { 0 } else { distance(id, other) };
    let mut near: Vec<(usize, &str)> = all.iter().map(|other| (steps(other), other.as_str())).filter(|(steps, _)| *steps <= 4).collect();
    near.sort_unstable();
    let near: Vec<&str> = near.into_iter().map(|(_, id)| id).take(4).collect();
    if near.is_empty() {
        format!("nothing was recorded of a metric {id:?}; `barograph metrics` tells what there may be")
    } else {
        format!("nothing was recorded of a metric {id:?}; do you mean {}?", near.join(" or "))
    }
}

/// The panels, and which of them are drawn unless asked for otherwise.
fn list(opened: &[Opened]) -> io::Result<()> {
    let mut table = Table::new([("PANEL", Align::Left), ("UNIT", Align::Left), ("SHOWS", Align::Flexible)]);
    let mut seen = Vec::new();
    for panel in opened.iter().flat_map(|opened| opened.view.panels()).collect::<Vec<_>>() {
        if !seen.contains(&panel.id) {
            let unit = serde_json::to_value(panel.unit).ok().and_then(|unit| Some(unit.as_str()?.replace('_', " "))).unwrap_or_default();
            let ink = if panel.shown { Ink::Bold } else { Ink::Plain };
            let shows = if panel.shown { format!("{}: {}", panel.title, panel.help) } else { panel.title.clone() };
            table.row([(panel.id.clone(), ink), (unit, Ink::Dim), (human::escape(&shows), Ink::Plain)]);
            seen.push(panel.id);
        }
    }
    let mut out = io::stdout().lock();
    table.write(&mut out, Paint::of_stdout(), "", width(None))
}

/// What is drawn, read.
struct Picture {
    runs: Vec<Run>,
    look: Look,
}

impl Picture {
    fn read(opened: &[Opened], chosen: &[Panel], args: &PlotArgs) -> anyhow::Result<Picture> {
        let top = args.top.map_or_else(|| barograph_plot::subjects(&args.size, chosen.len()), |top| top as usize);
        let time = opened
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), opened| (from.min(opened.millis(opened.from)), to.max(opened.millis(opened.to))));
        let is_free = args.panels.is_empty() && args.metrics.is_empty();
        let mut runs = Vec::new();
        for opened in opened {
            let mut panels = Vec::new();
            for panel in chosen {
                panels.extend(opened.shown(panel, top, args)?);
            }
            let mut name = opened.name.clone();
            let same = opened_before(&runs, &name);
            if same > 0 {
                name = format!("{name} ({})", same + 1);
            }
            runs.push(Run {
                name,
                start: opened.start as f64 / 1e6,
                panels,
                spans: if args.no_spans { Vec::new() } else { opened.slices()? },
                marks: if args.no_marks { Vec::new() } else { opened.marks()? },
            });
        }
        if is_free {
            let is_used = |id: &str| {
                let lines = runs.iter().flat_map(|run| &run.panels).filter(|shown| shown.panel.id == id).flat_map(|shown| &shown.lines.lines);
                lines.filter_map(|line| line.summary.peak).any(|peak| peak > LEAST_TRAFFIC)
            };
            let unused: Vec<String> = chosen.iter().filter(|panel| is_optional(panel) && !is_used(&panel.id)).map(|panel| panel.id.clone()).collect();
            runs.iter_mut().for_each(|run| run.panels.retain(|shown| !unused.contains(&shown.panel.id)));
        }
        let clock = match opened {
            [opened] if args.clock || args.window.tz.is_some() => Clock::Zone(opened.zone.clone(), opened.start as f64 / 1e6),
            [_] => Clock::Elapsed,
            _ if args.clock => bail!("several recordings are aligned by their starts; --clock is for one"),
            _ => Clock::Elapsed,
        };
        let (title, subtitle) = match opened {
            [opened] => (opened.title(), opened.subtitle()),
            several => {
                let mut titles: Vec<String> = several.iter().map(Opened::title).collect();
                titles.dedup();
                (titles.join(" · "), format!("{}, aligned by their starts", human::plural(several.len() as u64, "run", "runs")))
            }
        };
        let title = args.title.as_deref().map_or(title, human::escape);
        let look = Look { size: args.size.clone(), theme: args.theme.into(), title, subtitle, clock, time };
        Ok(Picture { runs, look })
    }

    /// The figure. Of panels that nobody asked for, the last ones give way where there is no room for all.
    fn figure(&self, args: &PlotArgs) -> Result<Figure, Misfit> {
        let is_free = args.panels.is_empty() && args.metrics.is_empty();
        match barograph_plot::figure(&self.runs, &self.look) {
            Err(Misfit::Panels { room, .. }) if is_free && room > 0 => {
                let mut runs = self.runs.clone();
                let mut ids: Vec<String> = Vec::new();
                for shown in runs.iter().flat_map(|run| &run.panels) {
                    if !ids.contains(&shown.panel.id) {
                        ids.push(shown.panel.id.clone());
                    }
                }
                ids.truncate(room);
                runs.iter_mut().for_each(|run| run.panels.retain(|shown| ids.contains(&shown.panel.id)));
                barograph_plot::figure(&runs, &self.look)
            }
            drawn => drawn,
        }
    }

    fn bytes(&self, args: &PlotArgs, format: Format) -> anyhow::Result<Vec<u8>> {
        let figure = self.figure(args)?;
        Ok(match format {
            Format::Svg => figure.svg().into_bytes(),
            Format::Png => figure.png(args.dpi.map_or(if args.size.is_paper() { 300.0 } else { 96.0 }, f64::from))?,
            Format::Pdf => figure.pdf()?,
        })
    }

    fn terminal(&self, args: &PlotArgs) -> anyhow::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let paint = Paint::of_stdout();
        let text = barograph_plot::terminal(&self.runs, &self.look, width(args.width), paint.has_colours());
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }
}

/// How many runs have this name already.
fn opened_before(runs: &[Run], name: &str) -> usize {
    runs.iter().filter(|run| run.name == name || run.name.starts_with(&format!("{name} ("))).count()
}

impl Opened {
    /// What this recording has of a panel.
    fn shown(&self, panel: &Panel, top: usize, args: &PlotArgs) -> anyhow::Result<Option<Shown>> {
        let own = self.view.panels().into_iter().find(|own| own.id == panel.id);
        let mut panel = match own {
            Some(own) => own,
            // A panel of one metric is made of what is there.
            None if panel.id.contains('.') => match of_metric(&panel.id, &self.view.panels()) {
                Some(panel) => panel,
                None => return Ok(None),
            },
            None => return Ok(None),
        };
        for spec in panel.specs.iter_mut().filter(|spec| spec.by && spec.top.is_some()) {
            spec.top = Some(top);
        }
        let buckets = (args.size.width() * POINT) as usize;
        let window = Part { from: self.from, to: self.to, buckets };
        let lines = self.view.lines(&panel.specs, window)?;
        let sum = match whole(&panel) {
            Some(spec) => self.view.lines(&[spec], window)?.lines.into_iter().next(),
            None => None,
        };
        Ok(Some(Shown { total: sum.as_ref().map(|line: &Line| line.summary), panel, lines, sum }))
    }
}

/// What the lines of a stack come to together, where that is a line too.
fn whole(panel: &Panel) -> Option<Spec> {
    let first = panel.specs.first().filter(|_| panel.style == Style::Stack)?;
    if panel.specs.iter().any(|spec| spec.table != first.table || spec.filter != first.filter || spec.by != first.by) {
        return None;
    }
    let all = |columns: fn(&Spec) -> &Vec<String>| panel.specs.iter().flat_map(|spec| columns(spec).iter().cloned()).collect();
    Some(Spec { label: None, plus: all(|spec| &spec.plus), minus: all(|spec| &spec.minus), by: false, top: None, ..first.clone() })
}

/// Where the figure goes.
struct Target<'a> {
    path: &'a Path,
    format: Format,
}

impl<'a> Target<'a> {
    fn new(path: &'a Path, format: Option<Format>, force: bool) -> anyhow::Result<Target<'a>> {
        let is_stdout = path.as_os_str() == "-";
        let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_ascii_lowercase());
        let of_name = suffix.and_then(|suffix| Format::from_str(&suffix, true).ok());
        let Some(format) = format.or(of_name) else {
            if is_stdout {
                bail!("say with --format what to write: svg, png or pdf");
            }
            bail!("{}: this name tells no format; end it in .svg, .png or .pdf, or say --format", path.display());
        };
        if is_stdout {
            if format != Format::Svg && io::stdout().is_terminal() {
                bail!("a figure is not for a terminal; write it to a file with -o, or draw it there with --terminal");
            }
        } else if !force && path.symlink_metadata().is_ok() {
            bail!("{}: there is such a file; overwrite it with --force", path.display());
        }
        Ok(Target { path, format })
    }

    /// The file appears under its name when it is whole.
    fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        if self.path.as_os_str() == "-" {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            return Ok(out.flush()?);
        }
        let said = || self.path.display().to_string();
        if self.path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
            return fs::write(self.path, bytes).with_context(said);
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(self.path.file_name().with_context(|| format!("{}: this is no name of a file", self.path.display()))?);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let hidden = self.path.with_file_name(hidden);
        let written = fs::write(&hidden, bytes).and_then(|()| fs::rename(&hidden, self.path)).with_context(said);
        if written.is_err() {
            let _ = fs::remove_file(&hidden);
        }
        written?;
        let _ = writeln!(io::stderr(), "barograph: {} with {}", self.path.display(), human::bytes(bytes.len() as u64));
        Ok(())
    }
}
