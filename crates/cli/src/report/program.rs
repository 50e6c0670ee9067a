//! What the program said of itself, as tables and as rows below the curves.

use barograph_store::{How, Status};
use serde_json::{Map, Value};

use crate::human;
use crate::open::shown_path;
use crate::paint::{Ink, columns, cut};
use crate::story::Story;
use crate::story::program::{GaugeLine, Instance, Mark, NameLine, Program, Sum};
use crate::table::{Align, Table};

/// Heads of columns that go where there is no room, the first ones first.
const NAMES_GIVE_WAY: [&[&str]; 7] = [&["SELF CPU"], &["READ", "WRITTEN"], &["THREAD CPU"], &["TREE CPU"], &["PEAK MEM"], &["SELF"], &["P95"]];
const INSTANCES_GIVE_WAY: [&[&str]; 4] = [&["READ", "WRITTEN"], &["THREAD CPU"], &["CORES"], &["TREE CPU"]];

/// Room for a name that still says something.
const LEAST_NAME: usize = 12;

/// The same where attributes follow it.
const LEAST_INSTANCE: usize = 24;

/// What is said where no span was recorded.
pub(super) const NO_SPANS: &str = "There are no spans here. While it is recorded, a program says them by itself (docs/beacon.md), and a command is made one by `barograph span NAME -- COMMAND`.";

/// A number of a sum: `~` in front if it comes from samples, `≥` if something is missing from it.
fn amount(sum: Sum, format: fn(f64) -> String) -> String {
    let sign = match (sum.is_partial(), sum.is_sampled) {
        (true, _) => "≥ ",
        (false, true) => "~ ",
        (false, false) => "",
    };
    sum.value().map(|value| format!("{sign}{}", format(value))).unwrap_or_default()
}

fn known(value: Option<f64>, format: fn(f64) -> String) -> String {
    value.map(format).unwrap_or_default()
}

fn sampled(value: Option<f64>, how: Option<How>, format: fn(f64) -> String) -> String {
    let sign = if how == Some(How::Sampled) { "~ " } else { "" };
    value.map(|value| format!("{sign}{}", format(value))).unwrap_or_default()
}

/// The names of spans as a table, in at most so many columns of text if that is asked for.
pub(super) fn names(program: &Program, width: Option<usize>) -> Table {
    let heads = ["COUNT", "TOTAL", "MEAN", "P95", "SELF", "THREAD CPU", "SELF CPU", "CPU", "TREE CPU", "READ", "WRITTEN", "PEAK MEM"];
    let heads = [("SPANS", Align::Flexible)].into_iter().chain(heads.map(|head| (head, Align::Right)));
    let mut table = Table::new(heads.chain([("OF THEM", Align::Left)]));
    for line in &program.names {
        table.row(name(line));
    }
    if let Some(width) = width {
        table.fit(width, &NAMES_GIVE_WAY, LEAST_NAME);
    }
    table
}

fn name(line: &NameLine) -> [(String, Ink); 14] {
    let bytes = human::byte_amount;
    [
        (human::escape(&line.name), Ink::Plain),
        (human::count(line.count as f64), Ink::Plain),
        (known(line.total_seconds, human::seconds), Ink::Bold),
        (known(line.mean_seconds, human::seconds), Ink::Plain),
        (known(line.p95_seconds, human::seconds), Ink::Plain),
        (amount(line.self_seconds, human::seconds), Ink::Plain),
        (amount(line.thread_cpu_seconds, human::seconds), Ink::Plain),
        (amount(line.self_cpu_seconds, human::seconds), Ink::Plain),
        (amount(line.cpu_seconds, human::seconds), Ink::Plain),
        (amount(line.tree_cpu_seconds, human::seconds), Ink::Plain),
        (amount(line.read_bytes, bytes), Ink::Plain),
        (amount(line.written_bytes, bytes), Ink::Plain),
        (known(line.peak_resident_bytes, bytes), Ink::Plain),
        (line.trouble(), if line.errors > 0 { Ink::Red } else { Ink::Yellow }),
    ]
}

/// Single spans as a table under this head.
pub(super) fn instances(story: &Story, head: &str, list: &[Instance], width: Option<usize>) -> Table {
    let heads = ["AT", "FOR", "THREAD CPU", "CPU", "CORES", "TREE CPU", "READ", "WRITTEN", "PEAK MEM"].map(|head| (head, Align::Right));
    let mut table = Table::new([(head, Align::Flexible)].into_iter().chain(heads).chain([("STATUS", Align::Left)]));
    for one in list {
        table.row(instance(story, one));
    }
    if let Some(width) = width {
        table.fit(width, &INSTANCES_GIVE_WAY, LEAST_INSTANCE);
    }
    table
}

fn instance(story: &Story, one: &Instance) -> [(String, Ink); 11] {
    let (cost, bytes) = (&one.cost, human::byte_amount);
    [
        (called(one), Ink::Plain),
        (human::since_start(story.since_start(one.begin)), Ink::Dim),
        (known(one.wall_seconds, human::seconds), Ink::Bold),
        (known(cost.thread_cpu_seconds, human::seconds), Ink::Plain),
        (sampled(cost.cpu_seconds, cost.cpu_how, human::seconds), Ink::Plain),
        (known(cost.mean_cores, human::cores), Ink::Plain),
        (sampled(cost.tree_cpu_seconds, Some(How::Sampled), human::seconds), Ink::Plain),
        (sampled(cost.read_bytes, cost.bytes_how, bytes), Ink::Plain),
        (sampled(cost.written_bytes, cost.bytes_how, bytes), Ink::Plain),
        (known(cost.peak_resident_bytes, bytes), Ink::Plain),
        (if one.status == Status::Ok { String::new() } else { one.status.name().to_owned() }, ink(one.status)),
    ]
}

/// Spans that failed, are open, or of which something can't be true, and why.
pub(super) fn troubled(story: &Story, list: &[Instance], width: Option<usize>) -> Table {
    let heads = [("FAILED OR OPEN", Align::Flexible), ("AT", Align::Right), ("FOR", Align::Right), ("STATUS", Align::Left)];
    let mut table = Table::new(heads);
    for one in list {
        let status = status(one);
        table.row([
            (called(one), Ink::Plain),
            (human::since_start(story.since_start(one.begin)), Ink::Dim),
            (known(one.wall_seconds, human::seconds), Ink::Bold),
            (width.map_or_else(|| status.clone(), |width| cut(&status, width / 2).into_owned()), ink(one.status)),
        ]);
    }
    table
}

/// Its name, and what else was said at its begin.
fn called(one: &Instance) -> String {
    let attributes = one.attributes.as_ref().map(|attributes| format!(" {}", plain_attributes(attributes))).unwrap_or_default();
    human::escape(&one.name) + &attributes
}

/// A JSON object as one would say it: `file=a.csv number=3`.
fn plain_attributes(json: &str) -> String {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match serde_json::from_str::<Map<String, Value>>(json) {
        Ok(object) => human::escape(&object.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect::<Vec<_>>().join(" ")),
        Err(_) => human::escape(json),
    }
}

fn ink(status: Status) -> Ink {
    if status == Status::Error { Ink::Red } else { Ink::Yellow }
}

fn status(one: &Instance) -> String {
    let why = one.detail.as_ref().filter(|detail| !detail.is_empty()).map(|detail| format!(": {}", human::escape(detail)));
    let status = if one.status == Status::Ok { String::new() } else { one.status.name().to_owned() + &why.unwrap_or_default() };
    match one.note {
        Some(note) if status.is_empty() => note.to_owned(),
        Some(note) => format!("{status}; {note}"),
        None => status,
    }
}

/// The marks as a table.
pub(super) fn marks(story: &Story) -> Table {
    let mut table = Table::new([("MARKS", Align::Flexible), ("AT", Align::Right), ("SAID BY", Align::Left)]);
    for mark in &story.program.marks {
        let at = human::since_start(story.since_start(mark.monotonic_nanos));
        let by = if mark.by == "program" { String::new() } else { human::escape(&mark.by) };
        table.row([(mark_text(mark), Ink::Plain), (at, Ink::Dim), (by, Ink::Dim)]);
    }
    table.fit(usize::MAX, &[&["SAID BY"]], LEAST_NAME);
    table
}

fn mark_text(mark: &Mark) -> String {
    let more = mark.detail.iter().map(|detail| human::escape(detail)).chain(mark.attributes.iter().map(|attributes| plain_attributes(attributes)));
    more.filter(|more| !more.is_empty()).fold(human::escape(&mark.name), |text, more| format!("{text} · {more}"))
}

/// The gauges as a table.
pub(super) fn gauges(program: &Program) -> Table {
    let heads = ["COUNT", "MIN", "MEAN", "MAX", "LAST"].map(|head| (head, Align::Right));
    let mut table = Table::new([("GAUGES", Align::Flexible)].into_iter().chain(heads));
    for line in &program.gauges {
        let GaugeLine { name, count, min, max, last, .. } = line;
        let [min, mean, max, last] = [*min, line.mean(), *max, *last].map(human::any_number);
        table.row([
            (human::escape(name), Ink::Plain),
            (human::count(*count as f64), Ink::Plain),
            (min, Ink::Plain),
            (mean, Ink::Plain),
            (max, Ink::Plain),
            (last, Ink::Bold),
        ]);
    }
    table
}

/// What is not shown, and how to see it.
pub(super) fn left_out(story: &Story) -> Vec<String> {
    let program = &story.program;
    let path = shown_path(&story.timeline);
    let mut said = Vec::new();
    if program.other_names > 0 {
        said.push(format!("and {}; --spans shows all", human::plural(program.other_names as u64, "more name", "more names")));
    }
    if program.other_marks > 0 {
        let marks = human::plural(program.other_marks as u64, "more mark", "more marks");
        said.push(format!("and {marks}; `barograph export {path} --table events` has all"));
    }
    if program.other_gauges > 0 {
        said.push(format!("and {}; --top shows more", human::plural(program.other_gauges as u64, "more gauge", "more gauges")));
    }
    said
}

/// What the signs before numbers mean, if there are any in these tables.
pub(super) fn legend(tables: &str) -> Option<String> {
    let signs = [("~ ", "~ worked out from samples"), ("≥ ", "≥ not known of all of them")];
    let said: Vec<&str> = signs.into_iter().filter(|(sign, _)| tables.contains(sign)).map(|(_, says)| says).collect();
    (!said.is_empty()).then(|| said.join(" · "))
}

/// Rows below the curves: when spans were open, and when something was marked. Each has a name and so many letters.
pub(super) fn rows(program: &Program, room: usize, label: usize) -> Vec<(String, String, Ink)> {
    let places = |parts: usize, column: usize| column * parts / room..((column + 1) * parts).div_ceil(room).min(parts);
    let mut rows = Vec::new();
    for bar in &program.bars {
        let letters = (0..room).map(|column| if bar.parts[places(bar.parts.len(), column)].contains(&true) { '━' } else { ' ' });
        let name = human::escape(&bar.name);
        let name = if columns(&name) < label { name } else { cut(&name, label - 1).into_owned() };
        rows.push((name, letters.collect::<String>().trim_end().to_owned(), Ink::Blue));
    }
    if !program.marked.is_empty() {
        let letters =
            (0..room).map(|column| if program.marked[places(program.marked.len(), column)].iter().any(|count| *count > 0) { '▴' } else { ' ' });
        rows.push(("marks".to_owned(), letters.collect::<String>().trim_end().to_owned(), Ink::Yellow));
    }
    rows
}
