//! What the program said of itself: its spans by name and the slowest of them, its marks, its gauges.

use std::collections::BTreeMap;

use barograph_model::{Described, Events, Field, Gauges};
use barograph_store::{Cost, Frame, How, Query, Span as Block, SpanQuery, Status, Timeline};

use super::Span;

/// Rows that are looked at together.
const CHUNK_ROWS: u64 = 100_000;

/// How many parts of the time a bar or the row of marks knows.
const PARTS: usize = 960;

/// Bars below the curves.
const MOST_BARS: usize = 6;

/// A span has a bar of its own if it is at most so deep.
const DEEPEST_BAR: u32 = 1;

/// Who is not the program, nor a person or a rule that speaks for it.
const RECORDER: &str = "recorder";

/// What is asked of the spans.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// How many names, marks and gauges to tell.
    pub(crate) top: usize,
    /// How many of the slowest, and how many that are open or failed.
    pub(crate) instances: usize,
    /// Tell each span of this name, in the order in which they began.
    pub(crate) each: Option<String>,
}

/// What the program said.
#[derive(Default)]
pub(crate) struct Program {
    /// How many spans there are, how many of them failed, and how many are open.
    pub(crate) spans: [usize; 3],
    pub(crate) names: Vec<NameLine>,
    /// Names that are not among them.
    pub(crate) other_names: usize,
    pub(crate) slowest: Vec<Instance>,
    /// The latest that failed or are open.
    pub(crate) troubled: Vec<Instance>,
    /// All of the name that was asked for.
    pub(crate) each: Vec<Instance>,
    pub(crate) bars: Vec<Bar>,
    pub(crate) marks: Vec<Mark>,
    /// Marks that are not among them.
    pub(crate) other_marks: usize,
    /// How many marks each part of the time has; nothing if there is none at all.
    pub(crate) marked: Vec<u32>,
    pub(crate) gauges: Vec<GaugeLine>,
    /// Gauges that are not among them.
    pub(crate) other_gauges: usize,
}

/// The spans of one name that have ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameLine {
    pub(crate) name: String,
    pub(crate) count: usize,
    pub(crate) errors: usize,
    pub(crate) open: usize,
    pub(crate) total_seconds: Option<f64>,
    pub(crate) mean_seconds: Option<f64>,
    pub(crate) p95_seconds: Option<f64>,
    pub(crate) longest_seconds: Option<f64>,
    pub(crate) self_seconds: Sum,
    pub(crate) thread_cpu_seconds: Sum,
    pub(crate) self_cpu_seconds: Sum,
    pub(crate) cpu_seconds: Sum,
    pub(crate) tree_cpu_seconds: Sum,
    pub(crate) read_bytes: Sum,
    pub(crate) written_bytes: Sum,
    pub(crate) peak_resident_bytes: Option<f64>,
    pub(crate) tree_peak_resident_bytes: Option<f64>,
    first: i64,
    least_depth: u32,
    walls: Vec<f64>,
}

/// A sum of numbers that may be absent, and may come from samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sum {
    sum: f64,
    known: usize,
    missing: usize,
    pub(crate) is_sampled: bool,
}

impl Sum {
    fn add(&mut self, value: Option<f64>, is_sampled: bool) {
        match value {
            Some(value) => {
                self.sum += value;
                self.known += 1;
                self.is_sampled |= is_sampled;
            }
            None => self.missing += 1,
        }
    }

    /// The sum of what is known, if anything is.
    pub(crate) fn value(&self) -> Option<f64> {
        (self.known > 0).then_some(self.sum)
    }

    /// Whether something is missing from it.
    pub(crate) fn is_partial(&self) -> bool {
        self.missing > 0
    }
}

/// One span.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    pub(crate) attributes: Option<String>,
    pub(crate) status: Status,
    pub(crate) detail: Option<String>,
    pub(crate) pid: Option<i64>,
    pub(crate) thread: Option<i64>,
    pub(crate) begin: i64,
    pub(crate) begin_utc: i64,
    pub(crate) wall_seconds: Option<f64>,
    pub(crate) cost: Cost,
    pub(crate) note: Option<&'static str>,
}

impl Instance {
    fn of(span: &Block<'_>) -> Instance {
        Instance {
            id: span.id.to_owned(),
            parent: span.parent.map(str::to_owned),
            name: span.name.to_owned(),
            attributes: span.attributes.map(str::to_owned),
            status: span.status,
            detail: span.detail.map(str::to_owned),
            pid: span.pid,
            thread: span.thread,
            begin: span.begin.monotonic_nanos,
            begin_utc: span.begin.utc_nanos,
            wall_seconds: span.wall_seconds(),
            cost: span.cost,
            note: span.note,
        }
    }
}

/// When spans of a name were open.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    /// Of each part of the time, whether one was.
    pub(crate) parts: Vec<bool>,
}

/// Something that was named.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) monotonic_nanos: i64,
    pub(crate) utc_nanos: i64,
    pub(crate) by: String,
    pub(crate) name: String,
    pub(crate) detail: Option<String>,
    pub(crate) attributes: Option<String>,
}

/// A number of the program's own.
#[derive(Clone, Debug)]
pub(crate) struct GaugeLine {
    pub(crate) name: String,
    pub(crate) count: usize,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) last: f64,
    sum: f64,
}

impl GaugeLine {
    /// Of its values, however long each of them held.
    pub(crate) fn mean(&self) -> f64 {
        (self.sum / self.count as f64).clamp(self.min, self.max)
    }
}

/// Reads all that it said in this time.
pub(crate) fn program(timeline: &Timeline, span: &Span, asked: &Asked) -> anyhow::Result<Program> {
    let mut program = Program::default();
    read_spans(&mut program, timeline, span, asked)?;
    read_marks(&mut program, timeline, span, asked)?;
    read_gauges(&mut program, timeline, span, asked)?;
    Ok(program)
}

fn read_spans(program: &mut Program, timeline: &Timeline, span: &Span, asked: &Asked) -> anyhow::Result<()> {
    let spans = timeline.spans(&SpanQuery { from: span.asked.0, to: span.asked.1, name: None })?;
    let mut names: BTreeMap<&str, NameLine> = BTreeMap::new();
    // The places of the slowest, the slowest first.
    let mut slowest: Vec<(f64, usize)> = Vec::new();
    let mut troubled = Vec::new();
    for (place, block) in (0..spans.len()).map(|place| (place, spans.get(place))) {
        program.spans[0] += 1;
        program.spans[1] += usize::from(block.status == Status::Error);
        program.spans[2] += usize::from(block.status == Status::Open);
        names.entry(block.name).or_insert_with(|| NameLine::new(&block)).add(&block);
        if let Some(wall) = block.wall_seconds().filter(|wall| slowest.len() < asked.instances || slowest.last().is_some_and(|last| *wall > last.0)) {
            slowest.insert(slowest.partition_point(|slower| slower.0 >= wall), (wall, place));
            slowest.truncate(asked.instances);
        }
        if block.status != Status::Ok || block.note.is_some() {
            troubled.push(place);
        }
        if asked.each.as_deref() == Some(block.name) {
            program.each.push(Instance::of(&block));
        }
    }
    program.slowest = slowest.iter().map(|(_, place)| Instance::of(&spans.get(*place))).collect();
    program.troubled = troubled.iter().rev().take(asked.instances).rev().map(|place| Instance::of(&spans.get(*place))).collect();
    let mut lines: Vec<NameLine> = names.into_values().map(NameLine::finish).collect();
    lines.sort_by(|a, b| b.total_seconds.unwrap_or(0.0).total_cmp(&a.total_seconds.unwrap_or(0.0)).then_with(|| a.first.cmp(&b.first)));
    program.bars = bars(&lines, span, spans.iter());
    program.other_names = lines.len().saturating_sub(asked.top);
    lines.truncate(asked.top);
    program.names = lines;
    Ok(())
}

impl NameLine {
    fn new(span: &Block<'_>) -> NameLine {
        NameLine { name: span.name.to_owned(), first: span.begin.monotonic_nanos, least_depth: span.depth, ..NameLine::default() }
    }

    fn add(&mut self, span: &Block<'_>) {
        let cost = &span.cost;
        self.count += 1;
        self.least_depth = self.least_depth.min(span.depth);
        self.errors += usize::from(span.status == Status::Error);
        let highest = |known: Option<f64>, new: Option<f64>| known.into_iter().chain(new).reduce(f64::max);
        self.peak_resident_bytes = highest(self.peak_resident_bytes, cost.peak_resident_bytes);
        self.tree_peak_resident_bytes = highest(self.tree_peak_resident_bytes, cost.tree_peak_resident_bytes);
        if span.status == Status::Open {
            self.open += 1;
            return;
        }
        self.walls.extend(span.wall_seconds());
        let sampled = |how: Option<How>| how == Some(How::Sampled);
        self.self_seconds.add(cost.self_wall_seconds, false);
        self.thread_cpu_seconds.add(cost.thread_cpu_seconds, false);
        self.self_cpu_seconds.add(cost.self_cpu_seconds, false);
        self.cpu_seconds.add(cost.cpu_seconds, sampled(cost.cpu_how));
        self.tree_cpu_seconds.add(cost.tree_cpu_seconds, true);
        self.read_bytes.add(cost.read_bytes, sampled(cost.bytes_how));
        self.written_bytes.add(cost.written_bytes, sampled(cost.bytes_how));
    }

    fn finish(mut self) -> NameLine {
        let mut walls = std::mem::take(&mut self.walls);
        walls.sort_unstable_by(f64::total_cmp);
        if !walls.is_empty() {
            let total: f64 = walls.iter().sum();
            (self.total_seconds, self.mean_seconds) = (Some(total), Some(total / walls.len() as f64));
            self.p95_seconds = walls.get((walls.len() * 95).div_ceil(100).saturating_sub(1)).copied();
            self.longest_seconds = walls.last().copied();
        }
        self
    }

    /// How many of them failed or are open, in words.
    pub(crate) fn trouble(&self) -> String {
        let errors = (self.errors > 0).then(|| crate::human::plural(self.errors as u64, "error", "errors"));
        let open = (self.open > 0).then(|| format!("{} open", crate::human::count(self.open as f64)));
        errors.into_iter().chain(open).collect::<Vec<_>>().join(", ")
    }
}

/// The part of the time in which a moment lies.
fn part(span: &Span, monotonic_nanos: i64) -> usize {
    let (from, to) = span.monotonic;
    let share = monotonic_nanos.saturating_sub(from) as f64 / to.saturating_sub(from).max(1) as f64;
    ((share * PARTS as f64) as usize).min(PARTS - 1)
}

/// Bars of those outer spans that took longest, in the order in which they first began.
fn bars<'a>(lines: &[NameLine], span: &Span, spans: impl Iterator<Item = Block<'a>>) -> Vec<Bar> {
    let mut chosen: Vec<&NameLine> = lines.iter().filter(|line| line.least_depth <= DEEPEST_BAR).take(MOST_BARS).collect();
    chosen.sort_by_key(|line| line.first);
    let mut bars: Vec<Bar> = chosen.iter().map(|line| Bar { name: line.name.clone(), parts: vec![false; PARTS] }).collect();
    if bars.is_empty() || span.seconds() <= 0.0 {
        return Vec::new();
    }
    for block in spans {
        let Some(bar) = bars.iter_mut().find(|bar| bar.name == block.name) else { continue };
        let until = block.end.map_or(block.begin.monotonic_nanos, |end| end.monotonic_nanos);
        bar.parts[part(span, block.begin.monotonic_nanos)..=part(span, until)].fill(true);
    }
    bars
}

fn column<T: Described, K>(field: Field<T, K>) -> String {
    T::TABLE.metrics[field.index()].column()
}

fn read_marks(program: &mut Program, timeline: &Timeline, span: &Span, asked: &Asked) -> anyhow::Result<()> {
    let texts = |rows: &Frame, name: String| -> Vec<Option<String>> { rows.texts(&name).into_iter().map(|text| text.map(str::to_owned)).collect() };
    for chunk in timeline.event_chunks(&Query::all().between(span.asked.0, span.asked.1), CHUNK_ROWS)? {
        let rows = chunk?;
        let (by, names) = (texts(&rows, column(Events::by)), texts(&rows, column(Events::name)));
        let (details, attributes) = (texts(&rows, column(Events::detail)), texts(&rows, column(Events::attributes)));
        for row in (0..rows.len()).filter(|row| by[*row].as_deref() != Some(RECORDER)) {
            if program.marked.is_empty() {
                program.marked = vec![0; PARTS];
            }
            program.marked[part(span, rows.monotonic()[row])] += 1;
            if program.marks.len() >= asked.top {
                program.other_marks += 1;
                continue;
            }
            program.marks.push(Mark {
                monotonic_nanos: rows.monotonic()[row],
                utc_nanos: rows.times()[row],
                by: by[row].clone().unwrap_or_default(),
                name: names[row].clone().unwrap_or_default(),
                detail: details[row].clone(),
                attributes: attributes[row].clone(),
            });
        }
    }
    Ok(())
}

fn read_gauges(program: &mut Program, timeline: &Timeline, span: &Span, asked: &Asked) -> anyhow::Result<()> {
    if !timeline.has_table(Gauges::TABLE.name) {
        return Ok(());
    }
    let mut gauges: BTreeMap<String, GaugeLine> = BTreeMap::new();
    let (name, value) = (column(Gauges::name), column(Gauges::value));
    let query = Query::all().columns([name.clone(), value.clone()]).between(span.asked.0, span.asked.1);
    for chunk in timeline.chunks(Gauges::TABLE.name, &query, CHUNK_ROWS)? {
        let rows = chunk?;
        for (name, value) in rows.texts(&name).into_iter().zip(rows.floats(&value)) {
            let Some((name, value)) = name.zip(value.filter(|value| value.is_finite())) else { continue };
            if !gauges.contains_key(name) {
                let new = GaugeLine { name: name.to_owned(), count: 0, min: value, max: value, last: value, sum: 0.0 };
                gauges.insert(name.to_owned(), new);
            }
            if let Some(line) = gauges.get_mut(name) {
                line.count += 1;
                (line.min, line.max, line.last) = (line.min.min(value), line.max.max(value), value);
                line.sum += value;
            }
        }
    }
    program.other_gauges = gauges.len().saturating_sub(asked.top);
    program.gauges = gauges.into_values().take(asked.top).collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_says_what_is_missing_from_it() {
        let mut sum = Sum::default();
        assert_eq!(sum.value(), None);
        sum.add(Some(1.5), false);
        assert_eq!((sum.value(), sum.is_partial(), sum.is_sampled), (Some(1.5), false, false));
        sum.add(None, false);
        sum.add(Some(2.0), true);
        assert_eq!((sum.value(), sum.is_partial(), sum.is_sampled), (Some(3.5), true, true));
    }

    #[test]
    fn a_moment_lies_in_a_part_of_the_time_whatever_it_is() {
        let span = Span { utc: (0, 0), monotonic: (1000, 2000), asked: (None, None), ticks: 2 };
        assert_eq!([i64::MIN, 0, 1000, 1500, 2000, i64::MAX].map(|moment| part(&span, moment)), [0, 0, 0, PARTS / 2, PARTS - 1, PARTS - 1]);
    }

    #[test]
    fn the_95th_of_a_hundred_is_not_exceeded_by_95() {
        let line = NameLine { walls: (1..=100).rev().map(f64::from).collect(), ..NameLine::default() }.finish();
        assert_eq!((line.p95_seconds, line.mean_seconds, line.longest_seconds), (Some(95.0), Some(50.5), Some(100.0)));
        assert_eq!(NameLine { walls: vec![3.0], ..NameLine::default() }.finish().p95_seconds, Some(3.0));
    }
}
