//! Lines of wide windows: from what is kept of each table in small, without its rows.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use barograph_store::{Frame, Piece, Query, State, TableInfo};

use crate::clock::millis;
use crate::columns::{is_counter, is_said, shares_of};
use crate::fine::Fine;
use crate::grid::Grid;
use crate::lines::{LONG_TABLE, Labels, MOST_SORTED, Thinner, is_away, or_nothing, quantile, time_of, within};
use crate::pyramid::{Part, Pyramid, Track};
use crate::rows::Tick;
use crate::view::Known;
use crate::{Error, Key, Kind, Line, Points, Spec, Summary, Unit, Window};

/// So long the reading of a long table waits for short ones, all in all.
const PATIENCE: Duration = Duration::from_secs(1);

/// Stretches of all subjects of a table together, about: more would take too much memory.
const MOST_STRETCHES: f64 = 2_000_000.0;

/// Which columns of which table, and which of its rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Columns {
    table: String,
    plus: Vec<String>,
    minus: Vec<String>,
    filter: BTreeMap<String, Key>,
}

impl Columns {
    fn of(spec: &Spec) -> Columns {
        Columns { table: spec.table.clone(), plus: spec.plus.clone(), minus: spec.minus.clone(), filter: spec.filter.clone() }
    }
}

/// A table in memory: each tick, or for one that is too large for that, stretches of ticks.
#[derive(Debug)]
enum Held {
    Fine(Box<Fine>),
    Coarse(Box<Pyramid>),
}

impl Held {
    fn until(&self) -> i64 {
        match self {
            Held::Fine(fine) => fine.until(),
            Held::Coarse(pyramid) => pyramid.until,
        }
    }

    fn columns(&self) -> Vec<String> {
        match self {
            Held::Fine(fine) => fine.asked().columns().cloned().collect(),
            Held::Coarse(pyramid) => pyramid.asked().columns().cloned().collect(),
        }
    }

    fn add(&mut self, frame: &Frame) -> bool {
        match self {
            Held::Fine(fine) => fine.add(frame),
            Held::Coarse(pyramid) => pyramid.add(frame),
        }
    }

    fn shrink(&mut self) {
        if let Held::Fine(fine) = self {
            fine.shrink();
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Held::Fine(fine) => fine.bytes(),
            Held::Coarse(pyramid) => pyramid.bytes(),
        }
    }
}

type Shared = Arc<Mutex<Held>>;

/// Tables in small, as far as somebody has asked for them.
#[derive(Debug)]
pub(crate) struct Small {
    /// Memory that all together may take, about. What was not asked for longest goes first.
    most_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// How often something was asked for.
    asked: u64,
    all: HashMap<Columns, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// When it was last asked for.
    asked: u64,
    /// How much memory was set aside for it.
    reserved: usize,
    held: Shared,
}

/// Lines of several specs, each with its spec's place.
pub(crate) type Placed = Vec<(usize, Vec<Line>)>;

impl Small {
    pub(crate) fn new(most_bytes: usize) -> Small {
        Small { most_bytes, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything: the axis has changed.
    pub(crate) fn clear(&self) {
        self.kept().all.clear();
    }

    /// What is held of these columns; if that is nothing yet, what `make` makes of whether there is room for each tick.
    fn find(&self, columns: Columns, rows: u64, make: impl FnOnce(bool) -> Held) -> Shared {
        let mut kept = self.kept();
        kept.asked += 1;
        let now = kept.asked;
        if let Some(entry) = kept.all.get_mut(&columns) {
            entry.asked = now;
            return entry.held.clone();
        }
        let taken: usize = kept.all.values().map(|entry| entry.reserved).sum();
        let wanted = usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(size_of::<f32>());
        let has_room = taken.saturating_add(wanted) <= self.most_bytes / 3 * 2;
        let held = Arc::new(Mutex::new(make(has_room)));
        kept.all.insert(columns, Entry { asked: now, reserved: if has_room { wanted } else { 0 }, held: held.clone() });
        held
    }

    /// Lets go of what was not asked for longest, until the rest fits.
    fn trim(&self) {
        let mut kept = self.kept();
        // Who is at work is not disturbed.
        let size = |entry: &Entry| entry.held.try_lock().map_or(0, |held| held.bytes());
        let mut sizes: Vec<(u64, usize, Columns)> = kept.all.iter().map(|(columns, entry)| (entry.asked, size(entry), columns.clone())).collect();
        sizes.sort_by_key(|(asked, ..)| *asked);
        let mut bytes: usize = sizes.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, columns) in sizes {
            if bytes <= self.most_bytes {
                break;
            }
            kept.all.remove(&columns);
            bytes -= size;
        }
    }
}

/// How wide the stretches of a table are: two ticks at least. Seconds times a power of two, so that buckets are made of whole ones.
fn width_of(table: &TableInfo, interval_nanos: i64) -> i64 {
    let mut width = Grid::LEAST_NANOS;
    while width < interval_nanos * 2 || table.rows as f64 * interval_nanos as f64 / width as f64 > MOST_STRETCHES {
        width *= 2;
    }
    width
}

impl Known {
    /// Whether a table has more ticks in this window than there are buckets.
    pub(crate) fn is_wide(&self, table: &TableInfo, window: Window) -> Result<bool, Error> {
        let Some((first, last)) = self.clock.shown_range(table.range, table.monotonic_range).filter(|_| !is_said(&table.name)) else {
            return Ok(false);
        };
        let interval = self.interval_nanos(table)?;
        let inside = window.to.min(last).saturating_sub(window.from.max(first));
        Ok(inside / interval.max(1) > i64::try_from(window.buckets).unwrap_or(i64::MAX))
    }

    /// Lines of one table's specs, by their places; and the places of those for whose buckets the table is held too coarsely.
    pub(crate) fn wide(
        &self,
        small: &Small,
        table: &TableInfo,
        specs: &[(usize, &Spec)],
        window: Window,
    ) -> Result<Option<(Placed, Vec<usize>)>, Error> {
        let stale = self.stale_nanos(table)?;
        let width = width_of(table, self.interval_nanos(table)?);
        // Of one subject there is a row for each tick.
        let ticks = table.monotonic_range.map_or(0, |(first, last)| ((last - first) / self.interval_nanos(table).unwrap_or(1).max(1)).unsigned_abs());
        let rows_of = |spec: &Spec| {
            let rows = if spec.filter.is_empty() { table.rows } else { table.rows.min(ticks) };
            // What a counter grew by is held too where its rates do not tell.
            if shares_of(table, spec).is_some() { rows * 2 } else { rows }
        };
        let make = |spec: &Spec, has_room: bool| match has_room {
            true => Held::Fine(Box::new(Fine::new(table, spec, self.clock, stale))),
            false => Held::Coarse(Box::new(Pyramid::new(table, spec, self.clock, stale, width))),
        };
        let pyramids: Vec<Shared> =
            specs.iter().map(|(_, spec)| small.find(Columns::of(spec), rows_of(spec), |has_room| make(spec, has_room))).collect();
        let mut unique: Vec<&Shared> = Vec::new();
        for pyramid in &pyramids {
            if unique.iter().all(|known| !Arc::ptr_eq(known, pyramid)) {
                unique.push(pyramid);
            }
        }
        // In one order everywhere, so that nobody waits for one who waits for him.
        unique.sort_by_key(|pyramid| Arc::as_ptr(pyramid));
        let mut locked: Vec<MutexGuard<'_, Held>> = unique.iter().map(|pyramid| pyramid.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        let filter = specs.first().map(|(_, spec)| spec.filter.clone()).unwrap_or_default();
        if !self.extend(table, &filter, &mut locked)? {
            return Ok(None);
        }
        let mut bases: Vec<Basis<'_>> = Vec::new();
        for held in &locked {
            if let Held::Fine(fine) = &**held
                && bases.iter().all(|basis| !basis.of.has_ticks_of(fine))
            {
                bases.push(Basis::new(fine, window));
            }
        }
        let thinners: Vec<Thinner<'_>> = bases.iter().map(|basis| Thinner::new(&basis.ticks, window, stale)).collect();
        let (mut lines, mut left) = (Vec::new(), Vec::new());
        for ((place, spec), shared) in specs.iter().zip(&pyramids) {
            let Some(found) = unique.iter().position(|known| Arc::ptr_eq(known, shared)) else { continue };
            let labels = Labels::new(self, table, spec)?;
            match &*locked[found] {
                // Where each row is a point, it is read: these numbers have 32 bits.
                Held::Fine(fine) if fine.ticks_within(window.from, window.to) <= window.buckets => left.push(*place),
                Held::Fine(fine) => {
                    let alike = bases.iter().zip(&thinners).find(|(basis, _)| basis.of.has_ticks_of(fine));
                    lines.extend(alike.map(|(basis, thinner)| (*place, fine_lines(fine, basis, thinner, table, (*place, spec), &labels))));
                }
                Held::Coarse(pyramid) if Grid::of(window).width >= width => {
                    lines.push((*place, wide_lines(pyramid, table, spec, *place, window, &labels)));
                }
                Held::Coarse(_) => left.push(*place),
            }
        }
        drop(thinners);
        drop(bases);
        drop(locked);
        small.trim();
        Ok(Some((lines, left)))
    }

    /// Reads what has come since. Gives false for rows that are not in the order of our recordings.
    fn extend(&self, table: &TableInfo, filter: &BTreeMap<String, Key>, pyramids: &mut [MutexGuard<'_, Held>]) -> Result<bool, Error> {
        let Some((_, last)) = table.monotonic_range else { return Ok(true) };
        // Those that have come as far as each other are read for together.
        let mut starts: Vec<i64> = pyramids.iter().map(|pyramid| pyramid.until()).filter(|until| *until < last).collect();
        starts.sort_unstable();
        starts.dedup();
        for start in starts {
            let mut these: Vec<&mut MutexGuard<'_, Held>> = pyramids.iter_mut().filter(|pyramid| pyramid.until() == start).collect();
            let mut columns: Vec<String> = Vec::new();
            for column in these.iter().flat_map(|pyramid| pyramid.columns()) {
                if !columns.contains(&column) {
                    columns.push(column);
                }
            }
            let mut query = Query::all().columns(columns);
            if start != i64::MIN {
                query = query.monotonic(start.saturating_add(1), i64::MAX);
            }
            for (column, key) in filter {
                query = match key {
                    Key::Number(number) => query.equal(column, *number),
                    Key::Text(text) => query.equal_text(column, text),
                };
            }
            if !self.each_frame(&table.name, &query, |frame| these.iter_mut().all(|pyramid| pyramid.add(frame)))? {
                return Ok(false);
            }
            // One that goes on growing soon needs it again.
            if self.state != State::Live {
                these.iter_mut().for_each(|held| held.shrink());
            }
        }
        Ok(true)
    }

    /// All rows that are asked for, group by group; they are decoded on another thread. Gives false when the taker does.
    fn each_frame(&self, table: &str, query: &Query, mut take: impl FnMut(&Frame) -> bool) -> Result<bool, Error> {
        let pieces = self.timeline.pieces(table, query)?;
        if pieces.len() < 2 {
            // What can't be read is passed over, as everywhere.
            return Ok(pieces.iter().filter_map(|piece| piece.frames(query).ok()).flatten().all(|frame| take(&frame)));
        }
        let (sender, receiver) = sync_channel::<Vec<Frame>>(2);
        let mut patience = if pieces.iter().map(Piece::rows).sum::<u64>() < LONG_TABLE { Duration::ZERO } else { PATIENCE };
        Ok(thread::scope(|scope| {
            scope.spawn(move || {
                for piece in pieces {
                    patience = self.turns.give_way(patience);
                    if sender.send(piece.frames(query).unwrap_or_default()).is_err() {
                        return;
                    }
                }
            });
            let all = receiver.iter().flatten().all(|frame| take(&frame));
            drop(receiver);
            all
        }))
    }
}

/// What lines of the same ticks have in common.
struct Basis<'a> {
    of: &'a Fine,
    range: Range<usize>,
    ticks: Vec<Tick>,
}

impl<'a> Basis<'a> {
    fn new(fine: &'a Fine, window: Window) -> Basis<'a> {
        let grid = Grid::of(window);
        let (range, ticks) = fine.ticks(grid.from, grid.to());
        Basis { of: fine, range, ticks }
    }
}

fn fine_lines(fine: &Fine, basis: &Basis<'_>, thinner: &Thinner<'_>, table: &TableInfo, (place, spec): (usize, &Spec), labels: &Labels) -> Vec<Line> {
    let line = |(points, summary): (Points, Summary), kind: Kind, key: &[Key], label: String| Line {
        spec: place,
        label,
        kind,
        key: key.to_vec(),
        unit: labels.unit,
        points,
        summary,
    };
    let range = basis.range.clone();
    if !spec.by || table.keys.is_empty() {
        return vec![line(fine.line_of_all(thinner, range), Kind::Whole, &[], labels.name.clone())];
    }
    let edge = |nanos: i64| range.start + basis.ticks.partition_point(|tick| tick.shown <= nanos);
    let inside = edge(thinner.window().from)..edge(thinner.window().to);
    let (mut lines, mut drawn) = (Vec::new(), Vec::new());
    let mut ranked = fine.ranked(inside).into_iter();
    for (_, track) in ranked.by_ref() {
        if spec.top.is_some_and(|top| drawn.len() >= top) {
            break;
        }
        let one = line(fine.line(track, thinner, range.start), Kind::Subject, &track.key, labels.of(&track.key));
        // Who has nothing in this window has no line in it.
        if one.summary.last.is_some() {
            lines.push(one);
            drawn.push(track);
        }
    }
    if spec.top.is_some() {
        let others = line(fine.line_of_others(&drawn, thinner, range), Kind::Others, &[], labels.others());
        lines.extend(Some(others).filter(|others| others.summary.last.is_some()));
    }
    lines
}

fn wide_lines(pyramid: &Pyramid, table: &TableInfo, spec: &Spec, place: usize, window: Window, labels: &Labels) -> Vec<Line> {
    let wide = Wide::new(pyramid, window);
    let unit = labels.unit;
    if !spec.by || table.keys.is_empty() {
        let whole = pyramid.whole_until_now();
        return vec![wide.line(&whole, place, Kind::Whole, labels.name.clone(), unit, is_summed(table, spec))];
    }
    let is_rate = is_summed(table, spec);
    let mut ranked: Vec<(f64, f64, &Track)> = Vec::new();
    for track in pyramid.tracks() {
        let part = track.part(wide.inside.clone());
        if part.has_value() {
            ranked.push((wide.mean(part, wide.recorded).unwrap_or(0.0), part.max, track));
        }
    }
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then_with(|| a.2.key.cmp(&b.2.key)));
    let rest = ranked.split_off(spec.top.unwrap_or(usize::MAX).min(ranked.len()));
    let mut lines: Vec<Line> =
        ranked.iter().map(|(.., track)| wide.line(track, place, Kind::Subject, labels.of(&track.key), unit, is_rate)).collect();
    if !rest.is_empty() {
        let others = Track::sum_of(rest.iter().map(|(.., track)| *track), wide.covered.clone(), &pyramid.recorded);
        lines.push(wide.line(&others, place, Kind::Others, labels.others(), unit, is_rate));
    }
    lines
}

fn is_summed(table: &TableInfo, spec: &Spec) -> bool {
    table.fields.iter().any(|field| spec.plus.first() == Some(&field.name) && is_counter(field))
}

/// The lowest and the highest value of a part of what was recorded.
fn extremes(part: Part, recorded: f64) -> (f64, f64) {
    or_nothing((part.min, part.max), is_away(recorded, part.unknown + part.known))
}

/// A window on a table in small.
struct Wide<'a> {
    pyramid: &'a Pyramid,
    grid: Grid,
    /// The stretches of its buckets.
    covered: Range<usize>,
    /// Those that touch the window itself.
    inside: Range<usize>,
    /// Seconds recorded in these.
    recorded: f64,
    window: Window,
    x: Arc<Vec<f64>>,
}

impl<'a> Wide<'a> {
    fn new(pyramid: &'a Pyramid, window: Window) -> Wide<'a> {
        let grid = Grid::of(window);
        let inside = pyramid.stretches(window.from, window.to);
        let recorded = pyramid.recorded[inside.clone()].iter().sum();
        let x = Arc::new((0..grid.count).map(|bucket| millis(grid.middle(bucket))).collect());
        Wide { pyramid, grid, covered: pyramid.stretches(grid.from, grid.to()), inside, recorded, window, x }
    }

    fn mean(&self, part: Part, recorded: f64) -> Option<f64> {
        if !part.has_value() {
            return None;
        }
        Some(within(part.sum / time_of(recorded, part.unknown, part.known), extremes(part, recorded)))
    }

    fn line(&self, track: &Track, spec: usize, kind: Kind, label: String, unit: Unit, is_rate: bool) -> Line {
        let count = self.grid.count;
        let (mut mean, mut min, mut max) = (vec![f64::NAN; count], vec![f64::NAN; count], vec![f64::NAN; count]);
        for bucket in 0..count {
            let from = self.grid.from + bucket as i64 * self.grid.width;
            let stretches = self.pyramid.stretches(from, from + self.grid.width);
            let part = track.part(stretches.clone());
            if !part.has_value() {
                continue;
            }
            let recorded: f64 = self.pyramid.recorded[stretches].iter().sum();
            mean[bucket] = self.mean(part, recorded).unwrap_or(f64::NAN);
            (min[bucket], max[bucket]) = extremes(part, recorded);
        }
        let points = Points { x: self.x.clone(), mean, min, max };
        Line { spec, label, kind, key: track.key.clone(), unit, points, summary: self.summary(track, is_rate) }
    }

    fn summary(&self, track: &Track, is_rate: bool) -> Summary {
        let part = track.part(self.inside.clone());
        let middle = |stretch: usize| {
            let begin = self.pyramid.from.unwrap_or(0);
            millis(begin + stretch as i64 * self.pyramid.width + self.pyramid.width / 2)
        };
        let is_inside = |shown: i64| shown >= self.window.from && shown <= self.window.to;
        let peak = match track.peak.filter(|(_, at)| is_inside(*at)) {
            Some((value, at)) => Some((value, millis(at))),
            None => track.highest(self.inside.clone()).map(|stretch| (part.max, middle(stretch))),
        };
        let last = match track.last.filter(|(_, at)| is_inside(*at)) {
            Some((value, _)) => Some(value),
            None => track.stretches(self.inside.clone()).filter(|(.., known)| *known > 0.0).last().map(|(_, sum, known)| sum / known),
        };
        let leaps: f64 = track.leaps.iter().filter(|(at, _)| is_inside(*at)).map(|(_, gain)| gain).sum();
        Summary {
            mean: self.mean(part, self.recorded),
            p95: self.p95(track, part),
            peak: peak.map(|(value, _)| value),
            peak_at: peak.map(|(_, at)| at),
            total: (is_rate && (part.has_value() || leaps > 0.0)).then(|| track.gained(self.inside.clone()).unwrap_or(part.sum) + leaps),
            last,
        }
    }

    /// Of the means of stretches: what is shorter than one is not told apart.
    fn p95(&self, track: &Track, part: Part) -> Option<f64> {
        if !part.has_value() {
            return None;
        }
        let together = self.inside.len().div_ceil(MOST_SORTED).max(1);
        let mut values: Vec<(f64, f64)> = Vec::with_capacity(self.inside.len() / together + 2);
        let mut current: Option<(usize, f64, f64)> = None;
        for (stretch, sum, known) in track.stretches(self.inside.clone()) {
            current = match current {
                Some((group, all, seconds)) if group == stretch / together => Some((group, all + sum, seconds + known)),
                done => {
                    values.extend(done.filter(|(.., seconds)| *seconds > 0.0).map(|(_, all, seconds)| (all / seconds, seconds)));
                    Some((stretch / together, sum, known))
                }
            };
        }
        values.extend(current.filter(|(.., seconds)| *seconds > 0.0).map(|(_, all, seconds)| (all / seconds, seconds)));
        if is_away(self.recorded, part.unknown + part.known) {
            values.push((0.0, self.recorded - part.unknown - part.known));
        }
        quantile(values, 0.95).or(Some(part.max))
    }
}
