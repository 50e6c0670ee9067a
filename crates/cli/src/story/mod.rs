//! What a recording tells, worked out once for every way of showing it: figures, curves, processes, and what one should know of them.

pub(crate) mod headlines;
mod notes;
mod processes;
pub(crate) mod program;

use barograph_model::{Described, Table};
use barograph_sources::{Job, Memory, Own};
use barograph_store::{Facts, Figure, Frame, Query, Series, State, Stats, Timeline};
use jiff::tz::TimeZone;

use crate::words::{Reference, Window};
use headlines::{Curve, Line};

pub(crate) use notes::Note;
pub(crate) use processes::{Ended, ProcessLine, Top};
use program::{Asked, Program};

/// A recording and the part of it that is told.
pub(crate) struct Story {
    pub(crate) timeline: Timeline,
    pub(crate) state: State,
    pub(crate) zone: TimeZone,
    pub(crate) span: Span,
    /// Figures of the job, if one was watched, and of the machine.
    pub(crate) groups: Vec<Group>,
    pub(crate) curves: Vec<(Curve, Series)>,
    pub(crate) top: Top,
    /// What the program said of itself.
    pub(crate) program: Program,
    pub(crate) notes: Vec<Note>,
}

/// A stretch of time on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// UTC nanoseconds of its ends.
    pub(crate) utc: (i64, i64),
    /// Monotonic nanoseconds of its ends.
    pub(crate) monotonic: (i64, i64),
    /// What was asked for, for queries.
    pub(crate) asked: (Option<i64>, Option<i64>),
    /// How many ticks it has.
    pub(crate) ticks: usize,
}

impl Span {
    pub(crate) fn seconds(&self) -> f64 {
        (self.monotonic.1 - self.monotonic.0) as f64 / 1e9
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.asked == (None, None)
    }
}

/// Figures that belong together.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) lines: Vec<(Line, Stats)>,
}

impl Story {
    /// Reads it. A recording that was made of a file has tables that only that file knows.
    pub(crate) fn read(
        timeline: Timeline,
        of_the_file: &[&'static Table],
        window: &Window,
        top: usize,
        asked_of_program: &Asked,
    ) -> anyhow::Result<Story> {
        let zone = window.zone(&timeline.facts().clock.zone)?;
        let asked = window.ends(&Reference::of(&timeline, &zone)?)?;
        let ticks = ticks(&timeline, of_the_file, asked)?;
        let span = span(timeline.facts(), asked, &ticks);
        anyhow::ensure!(span.is_whole() || !ticks.is_empty(), "there is no tick in this time; {}", extent(&timeline, &zone)?);
        let reader = Reader { timeline: &timeline, asked, stale_nanos: timeline.facts().stale_nanos() };
        let groups = headlines::groups().into_iter().chain(of_the_file.iter().map(|table| headlines::of_the_file(table)));
        let mut told = Vec::new();
        for (name, lines) in groups {
            let series = reader.series(lines.iter().map(|line| &line.figure))?;
            let lines: Vec<_> = lines.into_iter().zip(series).filter_map(|(line, series)| line.stats(&series).map(|stats| (line, stats))).collect();
            if !lines.is_empty() {
                told.push(Group { name, lines });
            }
        }
        let totals = timeline.facts().end.as_ref().map(|end| end.totals).filter(|_| span.is_whole());
        told.iter_mut().filter(|group| group.name == headlines::JOB).for_each(|job| headlines::complete(&mut job.lines, totals.unwrap_or_default()));
        let is_seen = |group: &Group| group.name == headlines::JOB && group.lines.iter().any(|(line, _)| line.key == headlines::PROCESSES);
        let mut curves = headlines::curves(told.iter().any(is_seen));
        curves.extend(of_the_file.iter().flat_map(|table| headlines::curves_of_the_file(table)));
        let series = reader.series(curves.iter().map(|curve| &curve.figure))?;
        let curves = curves.into_iter().zip(series).filter(|(_, series)| series.stats().is_some()).collect();
        let top = processes::top(&timeline, &span, top)?;
        let program = program::program(&timeline, &span, asked_of_program)?;
        let notes = notes::notes(&timeline, &span, &ticks, &told)?;
        Ok(Story { state: timeline.state(), timeline, zone, span, groups: told, curves, top, program, notes })
    }

    pub(crate) fn facts(&self) -> &Facts {
        self.timeline.facts()
    }

    /// Seconds from the start of the recording. The row of zeros before a command starts is a little earlier, and counts as the start.
    pub(crate) fn since_start(&self, monotonic_nanos: i64) -> f64 {
        (monotonic_nanos - self.facts().clock.monotonic_nanos).max(0) as f64 / 1e9
    }
}

/// From when to when a recording goes, in words.
pub(crate) fn extent(timeline: &Timeline, zone: &TimeZone) -> anyhow::Result<String> {
    let reference = Reference::of(timeline, zone)?;
    Ok(format!("the recording goes from {} to {}", crate::words::shown(reference.start, zone), crate::words::shown(reference.end, zone)))
}

/// The rows of a table, if it has any; no frame for a table that was not recorded.
fn frame(timeline: &Timeline, table: &str, query: &Query) -> anyhow::Result<Option<Frame>> {
    if !timeline.has_table(table) {
        return Ok(None);
    }
    Ok(Some(timeline.frame(table, query)?))
}

/// The ticks: the rows of the first of these tables that was recorded. Each has one at every tick.
fn ticks(timeline: &Timeline, of_the_file: &[&'static Table], asked: (Option<i64>, Option<i64>)) -> anyhow::Result<Ticks> {
    let query = Query::all().columns(Vec::<String>::new()).between(asked.0, asked.1);
    for table in [Own::TABLE, Job::TABLE, Memory::TABLE].iter().chain(of_the_file) {
        if let Some(frame) = frame(timeline, table.name, &query)? {
            return Ok(Ticks(Some(frame)));
        }
    }
    Ok(Ticks(None))
}

/// The times of all ticks.
struct Ticks(Option<Frame>);

impl Ticks {
    fn frame(&self) -> Option<&Frame> {
        self.0.as_ref()
    }

    fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(Frame::is_empty)
    }

    fn ends(&self) -> Option<((i64, i64), (i64, i64))> {
        let frame = self.0.as_ref()?;
        let at = |row: usize| (frame.times()[row], frame.monotonic()[row]);
        Some((at(0), at(frame.len().checked_sub(1)?))).filter(|_| !frame.is_empty())
    }
}

/// From the start of the recording to its end, or to the last tick of one that was cut off or goes on; of a part, from its first to its last tick.
fn span(facts: &Facts, asked: (Option<i64>, Option<i64>), ticks: &Ticks) -> Span {
    let start = (facts.clock.utc_nanos, facts.clock.monotonic_nanos);
    let (first, last) = if ticks.is_empty() { (start, start) } else { ticks.ends().unwrap_or((start, start)) };
    let end = facts.end.as_ref().map_or(last, |end| (end.utc_nanos, end.monotonic_nanos));
    let begin = if asked.0.is_none() && start.1 <= first.1 { start } else { first };
    let end = if asked.1.is_none() { end } else { last };
    let end = if end.1 < begin.1 { begin } else { end };
    Span { utc: (begin.0, end.0), monotonic: (begin.1, end.1), asked, ticks: ticks.frame().map_or(0, Frame::len) }
}

/// Reads each table once for all figures that are made of it.
struct Reader<'a> {
    timeline: &'a Timeline,
    asked: (Option<i64>, Option<i64>),
    stale_nanos: i64,
}

impl Reader<'_> {
    fn series<'f>(&self, figures: impl Iterator<Item = &'f Figure>) -> anyhow::Result<Vec<Series>> {
        let figures: Vec<&Figure> = figures.collect();
        let mut series = vec![Series::default(); figures.len()];
        let mut tables: Vec<&str> = figures.iter().map(|figure| figure.table().name).collect();
        tables.dedup();
        for table in tables {
            let of_table = || figures.iter().enumerate().filter(|(_, figure)| figure.table().name == table);
            let query = Figure::query(of_table().map(|(_, figure)| *figure), self.asked.0, self.asked.1);
            let Some(frame) = frame(self.timeline, table, &query)? else { continue };
            for (place, figure) in of_table() {
                series[place] = figure.series(&frame, self.stale_nanos);
            }
        }
        Ok(series)
    }
}
