//! A recording as one file of HTML that needs no server: the page, and what it would ask for, thinned to a size that can be mailed.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use barograph_model::Described;
use barograph_sources::Process;
use barograph_store::{Query, SpanQuery};
use barograph_view::{Line, Lines, Points, Spec, Style, View, Window};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::api::{events, frame, run, spans};
use crate::failure::Failure;
use crate::library::{Library, millis};

const SCRIPT: &str = include_str!(concat!(env!("OUT_DIR"), "/page/report.js"));
const STYLE: &str = include_str!(concat!(env!("OUT_DIR"), "/page/report.css"));

/// Points for a line, from fine to coarse: the first that keeps the file small enough is taken.
const POINTS: [usize; 6] = [4000, 2400, 1400, 800, 400, 200];

/// Points for a line when size does not matter: each reading of more than a day at 1 s.
const FULL_POINTS: usize = 100_000;

/// Lines of a panel with a line for each process or device: a stretch may have others on top than the whole.
const TOP: usize = 40;

/// Bits of a number's mantissa that are kept unless all is wanted: five digits, of which three are shown.
const KEPT_BITS: u32 = 17;

/// How a report is made.
#[derive(Clone, Copy, Debug)]
pub struct ReportOptions {
    /// It should not be larger than this.
    pub bytes: usize,
    /// Everything as it was recorded, however large.
    pub full: bool,
    /// Only what lies at or after this time: UTC nanoseconds.
    pub from: Option<i64>,
    /// Only what lies at or before this time.
    pub to: Option<i64>,
}

/// A report, and what it had to leave out.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file.
    pub html: String,
    /// Points for a line, and for one of a process, if it would have been too large with more.
    pub thinned: Option<(usize, usize)>,
    /// How many spans are left out, the shortest.
    pub spans_left_out: usize,
}

impl Default for ReportOptions {
    fn default() -> ReportOptions {
        ReportOptions { bytes: 3_000_000, full: false, from: None, to: None }
    }
}

/// Why no report could be made.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReportError(String);

impl From<Failure> for ReportError {
    fn from(failure: Failure) -> ReportError {
        ReportError(failure.error)
    }
}

impl From<barograph_view::Error> for ReportError {
    fn from(error: barograph_view::Error) -> ReportError {
        ReportError(error.to_string())
    }
}

/// The report of the recording in that folder.
pub fn report(path: &Path, options: ReportOptions) -> Result<Report, ReportError> {
    let library = Library::new(vec![path.to_owned()]);
    library.look();
    let Some(run) = library.runs().into_iter().next() else {
        let why = library.refused().into_iter().next().map_or_else(|| "it is no recording".to_owned(), |refused| refused.why);
        return Err(ReportError(format!("{}: {why}", path.display())));
    };
    let view = run.view()?;
    let timeline = run.timeline()?;
    let (first, last) = view.range();
    let (from, to) = (options.from.map_or(first, |from| from.clamp(first, last)), options.to.map_or(last, |to| to.clamp(first, last)));
    let mut head = run.head(true);
    // Where it lay is nobody's business who gets it by mail.
    head.path.clone_from(&head.name);
    if options.from.is_some() {
        head.from = millis(from);
    }
    if options.to.is_some() {
        head.to = millis(to);
    }
    let title = view.facts().command.as_ref().map_or_else(|| head.name.clone(), |command| command.join(" "));
    let id = head.id.clone();
    let session = json!({
        "version": env!("CARGO_PKG_VERSION"), "host": head.host, "zone": view.facts().clock.zone, "readOnly": true,
        "cannotRecord": "this is a report", "runs": [head.clone()], "machine": null, "recording": null, "first": id, "refused": [],
    });
    let specs = specs(&view, options.full);
    let process_specs = process_specs();
    let mut facts = json!(run::Run::of(head, &view));
    if let (false, Some(panels)) = (options.full, facts["panels"].as_array_mut()) {
        // Others have no lines here.
        panels.retain(|panel| panel["shown"] == true);
    }
    let query = SpanQuery { from: options.from, to: options.to, name: None };
    let spans = spans::of(&timeline.spans(&query).map_err(Failure::from)?, &query, usize::MAX);
    let text = json!({
        "session": session,
        "run": facts,
        "spans": spans,
        "events": events::of(&timeline, &Query::all().between(options.from, options.to))?,
        "specs": specs,
        "processSpecs": process_specs,
        "identities": view.processes_between(from, to)?,
    });
    let points: &[usize] = if options.full { &[FULL_POINTS] } else { &POINTS };
    let frames = Frames { view: &view, range: (from, to), specs: &specs, process_specs: &process_specs, full: options.full };
    let mut report = Report { html: String::new(), thinned: None, spans_left_out: spans.left_out };
    for &buckets in points {
        report.html = page(&title, &text, &frames, buckets)?;
        report.thinned = (buckets < points[0]).then(|| (buckets, frames.of_processes(buckets)));
        if report.html.len() <= options.bytes {
            break;
        }
    }
    Ok(report)
}

struct Frames<'a> {
    view: &'a View,
    /// UTC nanoseconds.
    range: (i64, i64),
    specs: &'a [Spec],
    process_specs: &'a [Spec],
    full: bool,
}

impl Frames<'_> {
    fn of(&self, specs: &[Spec], buckets: usize) -> Result<Vec<u8>, ReportError> {
        let (from, to) = self.range;
        let window = Window { from, to, buckets };
        let lines = self.view.lines(specs, window)?;
        Ok(frame::encode(window, &if self.full { lines } else { rounded(lines) }))
    }

    /// Points for a line of a process: a quarter, as each has a line for every column.
    fn of_processes(&self, buckets: usize) -> usize {
        if self.full { buckets } else { (buckets / 4).max(100) }
    }
}

/// The file with so many points for a line.
fn page(title: &str, text: &Value, frames: &Frames<'_>, buckets: usize) -> Result<String, ReportError> {
    let part = |id: &str, bytes: &[u8]| -> Result<String, ReportError> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        let packed = packer.write_all(bytes).and_then(|()| packer.finish()).map_err(|error| ReportError(error.to_string()))?;
        Ok(format!("<script type=\"application/octet-stream\" id=\"{id}\">{}</script>\n", STANDARD.encode(packed)))
    };
    let parts = [
        part("text", text.to_string().as_bytes())?,
        part("frame", &frames.of(frames.specs, buckets)?)?,
        part("processes", &frames.of(frames.process_specs, frames.of_processes(buckets))?)?,
    ];
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:\">\n\
         <title>{} – Barograph</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<div id=\"page\"></div>\n\
         <noscript>This report draws with JavaScript. Without it, <code>barograph report</code> tells the same in words.</noscript>\n\
         {}<script>{SCRIPT}</script>\n</body>\n</html>\n",
        escaped(title),
        parts.concat(),
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// All that the page asks for, of the panels that it shows by itself; with `full`, of all.
fn specs(view: &View, full: bool) -> Vec<Spec> {
    let mut specs: Vec<Spec> = Vec::new();
    for panel in view.panels().into_iter().filter(|panel| panel.shown || full) {
        // A stack's total, as the page asks for it.
        if let (Style::Stack, Some(first)) = (panel.style, panel.specs.first()) {
            let plus = panel.specs.iter().flat_map(|spec| spec.plus.clone()).collect();
            specs.push(Spec { table: first.table.clone(), plus, filter: first.filter.clone(), ..Spec::default() });
        }
        specs.extend(panel.specs.into_iter().map(|spec| Spec { top: spec.top.map(|top| top.max(TOP)), ..spec }));
    }
    specs.extend(view.cards().into_iter().map(|card| card.spec));
    specs
}

/// What the process table shows, of all processes.
fn process_specs() -> Vec<Spec> {
    let columns: [&[&str]; 7] = [
        &["user_seconds", "system_seconds"],
        &["resident_bytes"],
        &["read_bytes"],
        &["written_bytes"],
        &["threads"],
        &["open_files"],
        &["run_delay_seconds"],
    ];
    let spec = |columns: &&[&str]| Spec {
        table: Process::TABLE.name.to_owned(),
        plus: columns.iter().map(|&column| column.to_owned()).collect(),
        by: true,
        ..Spec::default()
    };
    columns.iter().map(spec).collect()
}

/// The lines with fewer digits, which take much less room once packed. Times are whole milliseconds.
fn rounded(lines: Lines) -> Lines {
    let mask = !((1_u64 << (52 - KEPT_BITS)) - 1);
    let round = |values: Vec<f64>| values.into_iter().map(|value| f64::from_bits(value.to_bits() & mask)).collect();
    // Lines of one table share their times, and go on to do so.
    let mut times: Vec<[Arc<Vec<f64>>; 2]> = Vec::new();
    let mut whole = |x: &Arc<Vec<f64>>| {
        if let Some([_, known]) = times.iter().find(|[from, _]| Arc::ptr_eq(from, x)) {
            return known.clone();
        }
        let made: Arc<Vec<f64>> = Arc::new(x.iter().map(|time| time.round()).collect());
        times.push([x.clone(), made.clone()]);
        made
    };
    let line = |line: Line| {
        let Points { x, mean, min, max } = line.points;
        Line { points: Points { x: whole(&x), mean: round(mean), min: round(min), max: round(max) }, ..line }
    };
    Lines { lines: lines.lines.into_iter().map(line).collect(), gaps: lines.gaps }
}
