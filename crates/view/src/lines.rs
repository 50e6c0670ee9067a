//! Lines of a window: cells of rows, thinned to buckets, and what they come to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use barograph_store::{Query, TableInfo};

use crate::clock::millis;
use crate::columns::{has_passing_subjects, is_said, unit_of, words};
use crate::grid::Grid;
use crate::rows::{Cell, Cells, Rows, Tick, check};
use crate::view::Known;
use crate::{Error, Gap, Key, Kind, Line, Lines, Points, Spec, Summary, Unit, View, Window, moment};

/// Times are within ±2⁶², as in the files; so the distance of any two fits.
const LAST_NANOS: i64 = i64::MAX / 2;

/// No more points for a line than this, whatever is asked for.
const MOST_BUCKETS: usize = 100_000;

/// A peak must be so much higher than the one before, relatively: differences of sums that end in other bits are none.
pub(crate) const SAME: f64 = 1e-9;

impl View {
    /// The lines of these specs in this window. A table or column that the recording does not have (yet) gives no line; [`View::check`] tells such from
    /// mistakes. Where rows are few enough for the buckets, each is a point; the nearest row on each side of the window comes with them, so that a line
    /// reaches the edges.
    pub fn lines(&self, specs: &[Spec], window: Window) -> Result<Lines, Error> {
        if window.to < window.from {
            return Err(Error::Window);
        }
        let known = self.known();
        let within = |nanos: i64| nanos.clamp(-LAST_NANOS, LAST_NANOS);
        let window = Window { from: within(window.from), to: within(window.to), buckets: window.buckets.clamp(2, MOST_BUCKETS) };
        let mut read: HashMap<(&str, &BTreeMap<String, Key>), Vec<usize>> = HashMap::new();
        for (place, spec) in specs.iter().enumerate() {
            read.entry((&spec.table, &spec.filter)).or_default().push(place);
        }
        let mut lines: Vec<Vec<Line>> = vec![Vec::new(); specs.len()];
        for ((table, filter), places) in read {
            let Some(table) = known.tables.get(table) else { continue };
            let places: Vec<usize> = places.into_iter().filter(|&place| check(&specs[place], table).is_ok()).collect();
            if known.is_wide(table, window)? {
                let wanted: Vec<(usize, &Spec)> = places.iter().map(|&place| (place, &specs[place])).collect();
                if let Some(found) = known.wide(&self.small, table, &wanted, window)? {
                    found.into_iter().for_each(|(place, line)| lines[place] = line);
                    continue;
                }
            }
            let Some(rows) = known.rows(table, filter, places.iter().map(|&place| &specs[place]), window)? else { continue };
            let thinner = Thinner::new(&rows.ticks, window, rows.stale_nanos);
            for place in places {
                lines[place] = known.lines_of(table, &rows, &thinner, place, &specs[place])?;
            }
        }
        Ok(Lines { lines: lines.into_iter().flatten().collect(), gaps: known.gaps(window)? })
    }

    /// Whether the recording has what this spec names.
    pub fn check(&self, spec: &Spec) -> Result<(), Error> {
        let known = self.known();
        let missing = || Error::NoTable { table: spec.table.clone(), known: known.tables.keys().cloned().collect() };
        check(spec, known.tables.get(&spec.table).ok_or_else(missing)?)
    }
}

impl Known {
    /// The rows of a window, and those around it that tell its first and last values.
    fn rows<'t, 's>(
        &self,
        table: &'t TableInfo,
        filter: &BTreeMap<String, Key>,
        specs: impl Iterator<Item = &'s Spec>,
        window: Window,
    ) -> Result<Option<Rows<'t>>, Error> {
        let stale = self.stale_nanos(table)?;
        let mut columns: Vec<String> = table.keys.iter().chain(&table.counted).cloned().collect();
        for column in specs.flat_map(|spec| spec.plus.iter().chain(&spec.minus)) {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        // Whole buckets; beyond them the nearest tick on each side, and the row that it is compared with.
        let (grid, beyond) = (Grid::of(window), stale.saturating_mul(2));
        let mut query = self.clock.between(Query::all().columns(columns), grid.from.saturating_sub(beyond), grid.to().saturating_add(beyond));
        for (column, key) in filter {
            query = match key {
                Key::Number(number) => query.equal(column, *number),
                Key::Text(text) => query.equal_text(column, text),
            };
        }
        Ok(self.frame(&table.name, &query)?.map(|frame| Rows::new(table, frame, self.clock, stale)))
    }

    fn lines_of(&self, table: &TableInfo, rows: &Rows<'_>, thinner: &Thinner<'_>, place: usize, spec: &Spec) -> Result<Vec<Line>, Error> {
        let subjects = rows.subjects(spec);
        let labels = Labels::new(self, table, spec)?;
        let unit = labels.unit;
        let line = |cells: &Cells, kind: Kind, label: String| {
            let (points, summary) = if is_said(&table.name) {
                let (ticks, cells) = rows.own_times(cells);
                let thinner = Thinner::new(&ticks, thinner.window, rows.stale_nanos);
                (thinner.points(&cells), thinner.summary(&cells))
            } else {
                (thinner.points(cells), thinner.summary(cells))
            };
            Line { spec: place, label, kind, key: cells.key.clone(), unit, points, summary }
        };
        if !spec.by || table.keys.is_empty() {
            let whole = rows.sum(&subjects);
            return Ok(vec![line(&whole, Kind::Whole, labels.name.clone())]);
        }
        let mut ranked: Vec<(Summary, &Cells)> = subjects.iter().map(|cells| (thinner.summary(cells), cells)).collect();
        // Who has nothing in this window has no line in it.
        ranked.retain(|(summary, _)| summary.last.is_some());
        let height = |value: Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
        ranked.sort_by(|(a, _), (b, _)| height(b.mean).total_cmp(&height(a.mean)).then(height(b.peak).total_cmp(&height(a.peak))));
        let rest = ranked.split_off(spec.top.unwrap_or(usize::MAX).min(ranked.len()));
        let mut lines: Vec<Line> = ranked.iter().map(|(_, cells)| line(cells, Kind::Subject, labels.of(&cells.key))).collect();
        if !rest.is_empty() {
            let others = rows.sum(rest.into_iter().map(|(_, cells)| cells));
            lines.push(line(&others, Kind::Others, labels.others()));
        }
        Ok(lines)
    }

    /// Where ticks are missing.
    fn gaps(&self, window: Window) -> Result<Vec<Gap>, Error> {
        let stale = self.timeline.facts().stale_nanos();
        let Some(ticks) = self.ticks(&Query::all())? else { return Ok(Vec::new()) };
        let shown = self.clock.shown_times(&ticks);
        let suspended = ticks.floats(&crate::columns::column(barograph_sources::Own::suspended));
        let place = |nanos: i64| ticks.monotonic().partition_point(|&monotonic| monotonic <= nanos) - 1;
        let gap = |gap: barograph_store::Gap| {
            let (before, after) = (place(gap.monotonic_nanos), place(gap.until_nanos));
            let slept = suspended[before].zip(suspended[after]).map_or(0.0, |(before, after)| after - before);
            let is_suspended = slept * 2e9 > (gap.until_nanos - gap.monotonic_nanos) as f64;
            let touches = shown[after] >= window.from && shown[before] <= window.to;
            let why = if is_suspended { "suspended" } else { "no readings" };
            touches.then(|| Gap { from: millis(shown[before]), to: millis(shown[after]), why: why.to_owned() })
        };
        Ok(barograph_store::gaps(&ticks, stale).into_iter().filter_map(gap).collect())
    }
}

/// What the lines of a spec are called, and the unit of their values.
pub(crate) struct Labels {
    /// The line of all together.
    pub(crate) name: String,
    pub(crate) unit: Unit,
    label: Option<String>,
    names: HashMap<(i64, i64), String>,
    are_processes: bool,
}

impl Labels {
    pub(crate) fn new(known: &Known, table: &TableInfo, spec: &Spec) -> Result<Labels, Error> {
        let field = table.fields.iter().find(|field| spec.plus.first() == Some(&field.name));
        let are_processes = has_passing_subjects(table);
        let names = if spec.by && are_processes { moment::names(known)? } else { HashMap::new() };
        Ok(Labels {
            name: spec.label.clone().or_else(|| field.map(words)).unwrap_or_default(),
            unit: field.map_or(Unit::Number, |field| unit_of(&table.name, field)),
            label: spec.label.clone(),
            names,
            are_processes,
        })
    }

    /// That of one subject.
    pub(crate) fn of(&self, key: &[Key]) -> String {
        let subject = match key {
            [Key::Number(pid), Key::Number(start)] if self.are_processes => match self.names.get(&(*pid, *start)) {
                Some(name) => format!("{name} ({pid})"),
                None => format!("({pid})"),
            },
            key => key.iter().map(shown).collect::<Vec<_>>().join(" "),
        };
        self.label.as_ref().map_or(subject.clone(), |label| format!("{subject} {label}"))
    }

    /// That of all others.
    pub(crate) fn others(&self) -> String {
        self.label.as_ref().map_or("others".to_owned(), |label| format!("others {label}"))
    }
}

fn shown(key: &Key) -> String {
    match key {
        Key::Number(number) => number.to_string(),
        Key::Text(text) => text.clone(),
    }
}

/// Turns cells into points and sums.
struct Thinner<'a> {
    ticks: &'a [Tick],
    window: Window,
    /// Buckets, and how many seconds of each were recorded; none where each tick is a point.
    grid: Option<(Grid, Vec<f64>)>,
    /// Ticks within the window, and the nearest on each side.
    near: std::ops::Range<usize>,
    /// The places of the points.
    x: Arc<Vec<f64>>,
    /// Ticks before whose points a break must stand: a line across it would hide a gap.
    breaks: Vec<usize>,
}

impl<'a> Thinner<'a> {
    fn new(ticks: &'a [Tick], window: Window, stale_nanos: i64) -> Thinner<'a> {
        let inside = ticks.partition_point(|tick| tick.shown < window.from)..ticks.partition_point(|tick| tick.shown <= window.to);
        // One that is farther off lies beyond a gap, and no line leads to it.
        let is_near = |tick: &Tick| window.from - tick.shown <= stale_nanos && tick.shown - window.to <= stale_nanos;
        let before = inside.start.checked_sub(1).filter(|&tick| is_near(&ticks[tick])).unwrap_or(inside.start);
        let after = ticks.get(inside.end).filter(|tick| is_near(tick)).map_or(inside.end, |_| inside.end + 1);
        let near = before..after;
        if inside.len() <= window.buckets {
            let breaks: Vec<usize> = near.clone().skip(1).filter(|&tick| ticks[tick].nanos == 0).collect();
            let mut x = Vec::with_capacity(near.len() + breaks.len());
            for tick in near.clone() {
                if breaks.binary_search(&tick).is_ok() {
                    x.push(millis(ticks[tick - 1].shown / 2 + ticks[tick].shown / 2));
                }
                x.push(millis(ticks[tick].shown));
            }
            return Thinner { ticks, window, grid: None, near, x: Arc::new(x), breaks };
        }
        let grid = Grid::of(window);
        let mut recorded = vec![0.0; grid.count];
        for tick in ticks {
            grid.spread(tick.shown - tick.nanos, tick.shown, |bucket, seconds| recorded[bucket] += seconds);
        }
        let x = (0..grid.count).map(|bucket| millis(grid.middle(bucket))).collect();
        Thinner { ticks, window, grid: Some((grid, recorded)), near, x: Arc::new(x), breaks: Vec::new() }
    }

    fn points(&self, cells: &Cells) -> Points {
        let Some((grid, recorded)) = &self.grid else { return self.raw(cells) };
        let count = grid.count;
        let (mut sum, mut unknown, mut known) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
        let (mut plain, mut readings) = (vec![0.0; count], vec![0_u32; count]);
        let (mut min, mut max) = (vec![f64::NAN; count], vec![f64::NAN; count]);
        for (tick, cell) in self.ticks.iter().zip(&cells.cells) {
            grid.spread(tick.shown - tick.nanos, tick.shown, |bucket, seconds| match *cell {
                Cell::Absent => {}
                Cell::Unknown => unknown[bucket] += seconds,
                Cell::Value(value) => {
                    sum[bucket] += value * seconds;
                    known[bucket] += seconds;
                    plain[bucket] += value;
                    readings[bucket] += 1;
                    min[bucket] = value.min(min[bucket]);
                    max[bucket] = value.max(max[bucket]);
                }
            });
        }
        let mean = |bucket: usize| {
            let seconds = (recorded[bucket] - unknown[bucket]).max(known[bucket]);
            match readings[bucket] {
                0 => f64::NAN,
                readings if seconds <= 0.0 => plain[bucket] / f64::from(readings),
                _ => sum[bucket] / seconds,
            }
        };
        let mean: Vec<f64> = (0..count).map(mean).collect();
        for bucket in 0..count {
            // For the rest of the time it was not there, and had nothing.
            if recorded[bucket] - unknown[bucket] - known[bucket] > recorded[bucket] * SAME {
                min[bucket] = min[bucket].min(0.0).min(max[bucket]);
            }
        }
        let min = min.iter().zip(&max).map(|(min, max)| if max.is_nan() { f64::NAN } else { *min }).collect();
        Points { x: self.x.clone(), mean, min, max }
    }

    fn raw(&self, cells: &Cells) -> Points {
        let mut mean = Vec::with_capacity(self.x.len());
        for tick in self.near.clone() {
            if self.breaks.binary_search(&tick).is_ok() {
                mean.push(f64::NAN);
            }
            mean.push(cells.cells[tick].value().unwrap_or(f64::NAN));
        }
        Points { x: self.x.clone(), mean, min: Vec::new(), max: Vec::new() }
    }

    /// What it comes to within the window. A subject that is not there for some of the time has nothing then, so that means add up.
    fn summary(&self, cells: &Cells) -> Summary {
        let Window { from, to, .. } = self.window;
        // A tick at the very begin tells of the time before, unless it tells of no time at all.
        let inside = |tick: &Tick| tick.shown <= to && (tick.shown > from || tick.shown == from && tick.nanos == 0);
        let (mut recorded, mut unknown, mut plain) = (0.0, 0.0, 0.0);
        let mut known: Vec<(f64, f64)> = Vec::new();
        let mut summary = Summary::default();
        let mut total = None;
        let mut peak: Option<(f64, i64)> = None;
        for (place, (tick, cell)) in self.ticks.iter().zip(&cells.cells).enumerate() {
            if !inside(tick) {
                continue;
            }
            let seconds = tick.nanos as f64 / 1e9;
            recorded += seconds;
            match *cell {
                Cell::Absent => {}
                Cell::Unknown => unknown += seconds,
                Cell::Value(value) => {
                    known.push((value, seconds));
                    plain += value;
                    summary.last = Some(value);
                    peak = Some(match peak {
                        Some((highest, at)) if value <= highest + highest.abs() * SAME => (highest.max(value), at),
                        _ => (value, tick.shown),
                    });
                }
            }
            if !cells.gains.is_empty() && *cell != Cell::Absent {
                total = Some(total.unwrap_or(0.0) + cells.gains[place]);
            }
        }
        let seconds: f64 = known.iter().map(|(_, seconds)| seconds).sum();
        let all = (recorded - unknown).max(seconds);
        let sum: f64 = known.iter().map(|(value, seconds)| value * seconds).sum();
        summary.mean = match known.len() {
            0 => None,
            readings if all <= 0.0 => Some(plain / readings as f64),
            _ => Some(sum / all),
        };
        summary.peak = peak.map(|(value, _)| value);
        summary.peak_at = peak.map(|(_, at)| millis(at));
        summary.total = total;
        if !known.is_empty() && all - seconds > all * SAME {
            known.push((0.0, all - seconds));
        }
        summary.p95 = quantile(known, 0.95);
        summary
    }
}

/// The smallest value that this share of the time does not exceed.
pub(crate) fn quantile(mut values: Vec<(f64, f64)>, share: f64) -> Option<f64> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: f64 = values.iter().map(|(_, seconds)| seconds).sum();
    let mut below = 0.0;
    let reaches = |&&(_, seconds): &&(f64, f64)| {
        below += seconds;
        all > 0.0 && below >= share * all
    };
    values.iter().find(reaches).or(values.last()).map(|(value, _)| *value)
}
