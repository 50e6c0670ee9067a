//! Lines of wide windows: from what is kept of each table in small, without its rows.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use barograph_store::{Frame, Query, TableInfo};

use crate::clock::millis;
use crate::columns::{is_counter, is_said};
use crate::grid::Grid;
use crate::lines::{Labels, SAME, quantile};
use crate::pyramid::{Part, Pyramid, Track};
use crate::view::Known;
use crate::{Error, Key, Kind, Line, Points, Spec, Summary, Unit, Window};

/// Stretches of all subjects of a table together, about: more would take too much memory.
const MOST_STRETCHES: f64 = 2_500_000.0;

/// Memory that all tables in small may take. What was not asked for longest goes first.
const MOST_BYTES: usize = 160 << 20;

/// Stretches that are sorted for a percentile; of more, some are taken together.
const MOST_SORTED: usize = 4096;

/// Seconds are kept in 32 bits: parts of this relative size are none.
const ROUGHLY: f64 = 1e-5;

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

type Shared = Arc<Mutex<Pyramid>>;

/// Tables in small, as far as somebody has asked for them.
#[derive(Debug, Default)]
pub(crate) struct Small {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// How often something was asked for.
    asked: u64,
    /// Each with when it was last asked for.
    all: HashMap<Columns, (u64, Shared)>,
}

/// Lines of several specs, each with its spec's place.
pub(crate) type Placed = Vec<(usize, Vec<Line>)>;

impl Small {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything: the axis has changed.
    pub(crate) fn clear(&self) {
        self.kept().all.clear();
    }

    fn find(&self, columns: Columns, make: impl FnOnce() -> Pyramid) -> Shared {
        let mut kept = self.kept();
        kept.asked += 1;
        let now = kept.asked;
        let entry = kept.all.entry(columns).or_insert_with(|| (now, Arc::new(Mutex::new(make()))));
        entry.0 = now;
        entry.1.clone()
    }

    /// Lets go of what was not asked for longest, until the rest fits.
    fn trim(&self) {
        let mut kept = self.kept();
        let mut sizes: Vec<(u64, usize, Columns)> =
            kept.all.iter().map(|(columns, (at, one))| (*at, one.try_lock().map_or(0, |one| one.bytes()), columns.clone())).collect();
        sizes.sort_by_key(|(at, ..)| *at);
        let mut bytes: usize = sizes.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, columns) in sizes {
            if bytes <= MOST_BYTES {
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
    /// Whether a table is shown in small in this window: buckets hold whole stretches, and there are more ticks than buckets.
    pub(crate) fn is_wide(&self, table: &TableInfo, window: Window) -> Result<bool, Error> {
        let Some((first, last)) = self.clock.shown_range(table.range, table.monotonic_range).filter(|_| !is_said(&table.name)) else {
            return Ok(false);
        };
        let interval = self.interval_nanos(table)?;
        let inside = window.to.min(last).saturating_sub(window.from.max(first));
        let has_many = inside / interval.max(1) > i64::try_from(window.buckets).unwrap_or(i64::MAX);
        Ok(has_many && Grid::of(window).width >= width_of(table, interval))
    }

    /// Lines of one table's specs, by their places.
    pub(crate) fn wide(&self, small: &Small, table: &TableInfo, specs: &[(usize, &Spec)], window: Window) -> Result<Option<Placed>, Error> {
        let stale = self.stale_nanos(table)?;
        let width = width_of(table, self.interval_nanos(table)?);
        let pyramids: Vec<Shared> =
            specs.iter().map(|(_, spec)| small.find(Columns::of(spec), || Pyramid::new(table, spec, self.clock, stale, width))).collect();
        let mut unique: Vec<&Shared> = Vec::new();
        for pyramid in &pyramids {
            if unique.iter().all(|known| !Arc::ptr_eq(known, pyramid)) {
                unique.push(pyramid);
            }
        }
        // In one order everywhere, so that nobody waits for one who waits for him.
        unique.sort_by_key(|pyramid| Arc::as_ptr(pyramid));
        let mut locked: Vec<MutexGuard<'_, Pyramid>> = unique.iter().map(|pyramid| pyramid.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        let filter = specs.first().map(|(_, spec)| spec.filter.clone()).unwrap_or_default();
        if !self.extend(table, &filter, &mut locked)? {
            return Ok(None);
        }
        let mut lines = Vec::new();
        for ((place, spec), shared) in specs.iter().zip(&pyramids) {
            let Some(found) = unique.iter().position(|known| Arc::ptr_eq(known, shared)) else { continue };
            let labels = Labels::new(self, table, spec)?;
            lines.push((*place, wide_lines(&locked[found], table, spec, *place, window, &labels)));
        }
        drop(locked);
        small.trim();
        Ok(Some(lines))
    }

    /// Reads what has come since. Gives false for rows that are not in the order of our recordings.
    fn extend(&self, table: &TableInfo, filter: &BTreeMap<String, Key>, pyramids: &mut [MutexGuard<'_, Pyramid>]) -> Result<bool, Error> {
        let Some((_, last)) = table.monotonic_range else { return Ok(true) };
        // Those that have come as far as each other are read for together.
        let mut starts: Vec<i64> = pyramids.iter().map(|pyramid| pyramid.until).filter(|until| *until < last).collect();
        starts.sort_unstable();
        starts.dedup();
        for start in starts {
            let mut these: Vec<&mut MutexGuard<'_, Pyramid>> = pyramids.iter_mut().filter(|pyramid| pyramid.until == start).collect();
            let mut columns: Vec<String> = Vec::new();
            for column in these.iter().flat_map(|pyramid| pyramid.columns()) {
                if !columns.contains(column) {
                    columns.push(column.clone());
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
        Ok(thread::scope(|scope| {
            scope.spawn(move || {
                for piece in pieces {
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
        let recorded = pyramid.recorded[inside.clone()].iter().map(|&seconds| f64::from(seconds)).sum();
        let x = Arc::new((0..grid.count).map(|bucket| millis(grid.middle(bucket))).collect());
        Wide { pyramid, grid, covered: pyramid.stretches(grid.from, grid.to()), inside, recorded, window, x }
    }

    fn mean(&self, part: Part, recorded: f64) -> Option<f64> {
        if !part.has_value() {
            return None;
        }
        let seconds = (recorded - part.unknown).max(part.known);
        // Of a reading that holds for no time all that is known is its value.
        Some(if seconds > 0.0 { part.sum / seconds } else { part.max })
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
            let recorded: f64 = self.pyramid.recorded[stretches].iter().map(|&seconds| f64::from(seconds)).sum();
            mean[bucket] = self.mean(part, recorded).unwrap_or(f64::NAN);
            let is_away = recorded - part.unknown - part.known > recorded * ROUGHLY;
            min[bucket] = if is_away { part.min.min(0.0) } else { part.min };
            max[bucket] = part.max;
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
            total: (is_rate && (part.has_value() || leaps > 0.0)).then_some(part.sum + leaps),
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
        let away = self.recorded - part.unknown - part.known;
        if away > self.recorded * ROUGHLY.max(SAME) {
            values.push((0.0, away));
        }
        quantile(values, 0.95).or(Some(part.max))
    }
}
