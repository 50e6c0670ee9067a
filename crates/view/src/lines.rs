//! Lines of a window: cells of rows, thinned to buckets, and what they come to.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use barograph_store::{Query, Shares, TableInfo};

use crate::clock::millis;
use crate::columns::{has_passing_subjects, is_said, shares_of, unit_of, words};
use crate::grid::Grid;
use crate::moment::Everybody;
use crate::rows::{Cell, Cells, Rows, Tick, check, seconds};
use crate::view::Known;
use crate::wide::Placed;
use crate::{Error, Key, Kind, Line, Lines, Points, Spec, Summary, Unit, View, Window};

/// Times are within ±2⁶², as in the files; so the distance of any two fits.
const LAST_NANOS: i64 = i64::MAX / 2;

/// No more points for a line than this, whatever is asked for.
const MOST_BUCKETS: usize = 100_000;

/// Values that are sorted for a percentile.
pub(crate) const MOST_SORTED: usize = 4096;

/// A peak must be so much higher than the one before, relatively: differences of sums that end in other bits are none.
pub(crate) const SAME: f64 = 1e-9;

/// A table of so many rows takes seconds to be read.
pub(crate) const LONG_TABLE: u64 = 2_000_000;

/// Threads that read at once: one or two decode beside each.
const MOST_WORKERS: usize = 2;

/// Specs, by their places, that are read together: of one table and one filter.
type Group<'a> = (&'a TableInfo, &'a BTreeMap<String, Key>, Vec<usize>);

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
        let mut groups: Vec<Group<'_>> =
            read.into_iter().filter_map(|((table, filter), places)| Some((known.tables.get(table)?, filter, places))).collect();
        // The longest table last: what is quick need not wait for it.
        groups.sort_by_key(|(table, ..)| table.rows);
        let lines = Mutex::new(vec![Vec::new(); specs.len()]);
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), Error> {
            while let Some((table, filter, places)) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                for (place, found) in self.group(&known, table, filter, places, specs, window)? {
                    lines.lock().unwrap_or_else(PoisonError::into_inner)[place] = found;
                }
            }
            Ok(())
        };
        let workers = groups.len().min(MOST_WORKERS);
        thread::scope(|scope| {
            let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
            let own = work();
            others.into_iter().map(|other| other.join().unwrap_or(Ok(()))).fold(own, Result::and)
        })?;
        let lines: Vec<Vec<Line>> = lines.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Lines { lines: lines.into_iter().flatten().collect(), gaps: known.gaps(window) })
    }

    /// The lines of specs of one table and filter.
    fn group(
        &self,
        known: &Known,
        table: &TableInfo,
        filter: &BTreeMap<String, Key>,
        places: &[usize],
        specs: &[Spec],
        window: Window,
    ) -> Result<Placed, Error> {
        let _turn = (table.rows < LONG_TABLE).then(|| known.turns.short());
        let mut lines = Placed::new();
        let mut places: Vec<usize> = places.iter().copied().filter(|&place| check(&specs[place], table).is_ok()).collect();
        if !places.is_empty() && known.is_wide(table, window)? {
            let wanted: Vec<(usize, &Spec)> = places.iter().map(|&place| (place, &specs[place])).collect();
            if let Some((found, left)) = known.wide(&self.small, table, &wanted, window)? {
                lines = found;
                places = left;
            }
        }
        if places.is_empty() {
            return Ok(lines);
        }
        let Some(rows) = known.rows(table, filter, places.iter().map(|&place| &specs[place]), window)? else { return Ok(lines) };
        let thinner = Thinner::new(&rows.ticks, window, rows.stale_nanos);
        for place in places {
            lines.push((place, known.lines_of(table, &rows, &thinner, place, &specs[place])?));
        }
        Ok(lines)
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
        for spec in specs {
            let shares = shares_of(table, spec);
            for column in spec.plus.iter().chain(&spec.minus).chain(shares.iter().flat_map(Shares::columns)) {
                if !columns.contains(column) {
                    columns.push(column.clone());
                }
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
}

/// What the lines of a spec are called, and the unit of their values.
pub(crate) struct Labels {
    /// The line of all together.
    pub(crate) name: String,
    pub(crate) unit: Unit,
    label: Option<String>,
    who: Option<Arc<Everybody>>,
    are_processes: bool,
}

impl Labels {
    pub(crate) fn new(known: &Known, table: &TableInfo, spec: &Spec) -> Result<Labels, Error> {
        let field = table.fields.iter().find(|field| spec.plus.first() == Some(&field.name));
        let are_processes = has_passing_subjects(table);
        let who = if spec.by && are_processes { Some(known.who()?) } else { None };
        Ok(Labels {
            name: spec.label.clone().or_else(|| field.map(words)).unwrap_or_default(),
            unit: field.map_or(Unit::Number, |field| unit_of(&table.name, field)),
            label: spec.label.clone(),
            who,
            are_processes,
        })
    }

    /// That of one subject.
    pub(crate) fn of(&self, key: &[Key]) -> String {
        let subject = match key {
            [Key::Number(pid), Key::Number(start)] if self.are_processes => {
                match self.who.as_ref().and_then(|who| who.get(&(*pid, *start))?.name()) {
                    Some(name) => format!("{name} ({pid})"),
                    None => format!("({pid})"),
                }
            }
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
pub(crate) struct Thinner<'a> {
    ticks: &'a [Tick],
    window: Window,
    /// Buckets; none where each tick is a point.
    grid: Option<Buckets>,
    /// Ticks within the window, and the nearest on each side.
    near: Range<usize>,
    /// The places of the points.
    x: Arc<Vec<f64>>,
    /// Ticks before whose points a break must stand: a line across it would hide a gap.
    breaks: Vec<usize>,
    /// The ticks that lie within the window, how many seconds each is long, and all together.
    inside: Vec<(usize, f64)>,
    recorded: f64,
    /// Known values and their seconds: room that each line needs for a while.
    known: RefCell<Vec<(f64, f64)>>,
}

/// Which tick lies in which bucket.
struct Buckets {
    grid: Grid,
    /// How many seconds of each were recorded.
    recorded: Vec<f64>,
    /// Ticks, and for how many seconds they lie in a bucket; bucket by bucket.
    parts: Vec<(usize, f64)>,
    /// Where the parts of each bucket end.
    ends: Vec<usize>,
}

impl Buckets {
    fn new(grid: Grid, ticks: &[Tick]) -> Buckets {
        let (mut recorded, mut placed) = (vec![0.0; grid.count], Vec::with_capacity(ticks.len() + grid.count));
        for (place, tick) in ticks.iter().enumerate() {
            grid.spread(tick.shown - tick.nanos, tick.shown, |bucket, seconds| {
                recorded[bucket] += seconds;
                placed.push((bucket, place, seconds));
            });
        }
        // Where UTC was slowed down, ticks overlap on the axis.
        if !placed.is_sorted_by_key(|(bucket, ..)| *bucket) {
            placed.sort_by_key(|(bucket, ..)| *bucket);
        }
        let mut ends = vec![0; grid.count];
        placed.iter().for_each(|(bucket, ..)| ends[*bucket] += 1);
        let mut end = 0;
        for count in &mut ends {
            end += *count;
            *count = end;
        }
        Buckets { grid, recorded, parts: placed.into_iter().map(|(_, place, seconds)| (place, seconds)).collect(), ends }
    }
}

/// By how much a counter grew.
#[derive(Clone, Copy)]
pub(crate) enum Gains<'g> {
    /// It is no counter.
    None,
    /// So much at each tick, and what it leapt by over gaps: at which ticks.
    Told(&'g dyn Fn(usize) -> f64, &'g [(usize, f64)]),
    /// As its rates say, and such leaps.
    Rates(&'g [(usize, f64)]),
}

impl<'a> Thinner<'a> {
    pub(crate) fn new(ticks: &'a [Tick], window: Window, stale_nanos: i64) -> Thinner<'a> {
        let inside = ticks.partition_point(|tick| tick.shown < window.from)..ticks.partition_point(|tick| tick.shown <= window.to);
        // One that is farther off lies beyond a gap, and no line leads to it.
        let is_near = |tick: &Tick| window.from - tick.shown <= stale_nanos && tick.shown - window.to <= stale_nanos;
        let before = inside.start.checked_sub(1).filter(|&tick| is_near(&ticks[tick])).unwrap_or(inside.start);
        let after = ticks.get(inside.end).filter(|tick| is_near(tick)).map_or(inside.end, |_| inside.end + 1);
        let near = before..after;
        // A tick at the very begin tells of the time before, unless there is none.
        let is_inside = |tick: &Tick| tick.shown <= window.to && (tick.shown > window.from || tick.shown == window.from && tick.is_after_gap());
        let weighed: Vec<(usize, f64)> =
            ticks.iter().enumerate().filter(|(_, tick)| is_inside(tick)).map(|(place, tick)| (place, seconds(tick.nanos))).collect();
        let recorded = weighed.iter().map(|(_, seconds)| seconds).sum();
        let thinner = Thinner {
            ticks,
            window,
            grid: None,
            near: near.clone(),
            x: Arc::default(),
            breaks: Vec::new(),
            inside: weighed,
            recorded,
            known: RefCell::default(),
        };
        if inside.len() <= window.buckets {
            let breaks: Vec<usize> = near.clone().skip(1).filter(|&tick| ticks[tick].is_after_gap()).collect();
            let mut x = Vec::with_capacity(near.len() + breaks.len());
            for tick in near.clone() {
                if breaks.binary_search(&tick).is_ok() {
                    x.push(millis(ticks[tick - 1].shown / 2 + ticks[tick].shown / 2));
                }
                x.push(millis(ticks[tick].shown));
            }
            return Thinner { x: Arc::new(x), breaks, ..thinner };
        }
        let grid = Grid::of(window);
        let x = (0..grid.count).map(|bucket| millis(grid.middle(bucket))).collect();
        Thinner { grid: Some(Buckets::new(grid, ticks)), x: Arc::new(x), breaks: Vec::new(), ..thinner }
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }

    pub(crate) fn points(&self, cells: &Cells) -> Points {
        self.points_by(|tick| cells.cells[tick])
    }

    /// The points of what has this cell at a tick.
    pub(crate) fn points_by(&self, cell: impl Fn(usize) -> Cell) -> Points {
        let Some(Buckets { grid, recorded, parts, ends }) = &self.grid else { return self.raw(cell) };
        let mut points =
            Points { x: self.x.clone(), mean: vec![f64::NAN; grid.count], min: vec![f64::NAN; grid.count], max: vec![f64::NAN; grid.count] };
        let mut begin = 0;
        for (bucket, &end) in ends.iter().enumerate() {
            let (mut sum, mut unknown, mut known) = (0.0, 0.0, 0.0);
            let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
            for &(tick, seconds) in &parts[std::mem::replace(&mut begin, end)..end] {
                match cell(tick) {
                    Cell::Absent => {}
                    Cell::Unknown => unknown += seconds,
                    Cell::Value(value) => {
                        sum += value * seconds;
                        known += seconds;
                        min = if value < min { value } else { min };
                        max = if value > max { value } else { max };
                    }
                }
            }
            if min > max {
                continue;
            }
            let (there, seconds) = (unknown + known, time_of(recorded[bucket], unknown, known));
            let (min, max) = or_nothing((min, max), is_away(recorded[bucket], there));
            (points.min[bucket], points.max[bucket]) = (min, max);
            points.mean[bucket] = within(sum / seconds, (min, max));
        }
        points
    }

    fn raw(&self, cell: impl Fn(usize) -> Cell) -> Points {
        let mut mean = Vec::with_capacity(self.x.len());
        for tick in self.near.clone() {
            if self.breaks.binary_search(&tick).is_ok() {
                mean.push(f64::NAN);
            }
            mean.push(cell(tick).value().unwrap_or(f64::NAN));
        }
        Points { x: self.x.clone(), mean, min: Vec::new(), max: Vec::new() }
    }

    pub(crate) fn summary(&self, cells: &Cells) -> Summary {
        let gained = |tick: usize| cells.gains[tick];
        self.summary_by(|tick| cells.cells[tick], if cells.gains.is_empty() { Gains::None } else { Gains::Told(&gained, &[]) })
    }

    /// What it comes to within the window. A subject that is not there for some of the time has nothing then, so that means add up.
    pub(crate) fn summary_by(&self, cell: impl Fn(usize) -> Cell, gains: Gains<'_>) -> Summary {
        let mut unknown = 0.0;
        let mut known = self.known.borrow_mut();
        known.clear();
        let (mut summary, mut is_there) = (Summary::default(), false);
        let (mut sum, mut time, mut gained) = (0.0, 0.0, 0.0);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        // What is not higher than this by more than the last bits is no new peak.
        let (mut bar, mut peak_at) = (f64::NEG_INFINITY, None);
        for &(place, seconds) in &self.inside {
            match cell(place) {
                Cell::Absent => continue,
                Cell::Unknown => unknown += seconds,
                Cell::Value(value) => {
                    known.push((value, seconds));
                    sum += value * seconds;
                    time += seconds;
                    min = if value < min { value } else { min };
                    if value > bar || peak_at.is_none() {
                        peak_at = Some(place);
                        bar = value + value.abs() * SAME;
                    }
                    max = if value > max { value } else { max };
                    summary.last = Some(value);
                }
            }
            is_there = true;
            if let Gains::Told(gain, _) = gains {
                gained += gain(place);
            }
        }
        if let Gains::Rates(_) = gains {
            gained = sum;
        }
        if let Gains::Told(_, leaps) | Gains::Rates(leaps) = gains {
            let is_inside = |place: usize| self.inside.binary_search_by_key(&place, |(known, _)| *known).is_ok();
            let leaps = leaps.iter().filter(|(place, _)| is_inside(*place) && cell(*place) != Cell::Absent);
            gained += leaps.map(|(_, gain)| gain).sum::<f64>();
        }
        summary.total = (is_there && !matches!(gains, Gains::None)).then_some(gained);
        let all = time_of(self.recorded, unknown, time);
        let is_away = is_away(all, time);
        summary.mean = (!known.is_empty()).then(|| within(sum / all, or_nothing((min, max), is_away)));
        summary.peak = peak_at.map(|_| max);
        summary.peak_at = peak_at.map(|place| millis(self.ticks[place].shown));
        let away = (!known.is_empty() && is_away).then_some((0.0, all - time));
        summary.p95 = quantile(grouped(&known, away), 0.95);
        summary
    }
}

/// Of a time, what is left by subtraction and smaller than this share of it is nothing.
const NO_TIME: f64 = 1e-9;

/// The time over which a mean is taken: all that was recorded but what is not known.
pub(crate) fn time_of(recorded: f64, unknown: f64, known: f64) -> f64 {
    let rest = recorded - unknown;
    if rest <= recorded * NO_TIME { known } else { rest.max(known) }
}

/// Whether a subject was not there for some of the time that was recorded.
pub(crate) fn is_away(recorded: f64, there: f64) -> bool {
    recorded - there > recorded * NO_TIME
}

/// The lowest and the highest value of a subject that was not there for some of the time: it had nothing then.
pub(crate) fn or_nothing((min, max): (f64, f64), is_away: bool) -> (f64, f64) {
    if is_away { (min.min(0.0), max.max(0.0)) } else { (min, max) }
}

/// A mean lies between the lowest and the highest value, in whatever order they were added up and to how many bits.
pub(crate) fn within(mean: f64, (min, max): (f64, f64)) -> f64 {
    mean.max(min).min(max)
}

/// Values and their seconds, and the time of a subject that was not there. Of very many values, means of some that follow each other: sorting all would
/// take longer than looking.
fn grouped(values: &[(f64, f64)], away: Option<(f64, f64)>) -> Vec<(f64, f64)> {
    let together = (values.len() + away.iter().len()).div_ceil(MOST_SORTED);
    if together < 2 {
        return values.iter().copied().chain(away).collect();
    }
    let mean = |group: &[(f64, f64)]| {
        let (seconds, sum) = group.iter().fold((0.0, 0.0), |(all, sum), (value, seconds)| (all + seconds, sum + value * seconds));
        (if seconds > 0.0 { sum / seconds } else { group[0].0 }, seconds)
    };
    values.chunks(together).map(mean).chain(away).collect()
}

/// The smallest value that this share of the time does not exceed.
pub(crate) fn quantile(mut values: Vec<(f64, f64)>, share: f64) -> Option<f64> {
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let all: f64 = values.iter().map(|(_, seconds)| seconds).sum();
    let mut below = 0.0;
    let reaches = |&&(_, seconds): &&(f64, f64)| {
        below += seconds;
        all > 0.0 && below >= share * all
    };
    values.iter().find(reaches).or(values.last()).map(|(value, _)| *value)
}
