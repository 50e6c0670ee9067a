//! A table in memory: for each subject a number for each tick, worked out once, and more of them as a recording grows.
//!
//! In 32 bits, so that a day of two hundred processes fits: for lines that are thinned. Where each row is a point, the rows are read.

use std::collections::HashMap;
use std::ops::Range;

use barograph_model::Rate;
use barograph_store::{Adding, Frame, Point, Rates, TableInfo};

use crate::asked::{Asked, Taken};
use crate::clock::Clock;
use crate::lines::{Gains, Thinner};
use crate::rows::{Cell, MOMENT_NANOS, Tick, seconds};
use crate::{Key, Points, Spec, Summary};

/// It is not there.
const ABSENT: f32 = f32::NEG_INFINITY;

/// Ticks whose values are added up together, so that the highest of a thousand processes are found quickly.
const BLOCK: usize = 64;

/// Of a sum, what is left by subtraction and smaller than this is nothing.
const NOTHING: f64 = 1e-6;

/// One subject from its first tick on.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    /// The values of the table's keys.
    pub(crate) key: Vec<Key>,
    begin: usize,
    /// A value, NaN where it is not known, or [`ABSENT`].
    cells: Vec<f32>,
    /// Value times seconds up to the end of each block that is complete.
    blocks: Vec<f64>,
    rates: Option<Rates>,
    whole: Adding,
    /// By how much its counter grew, where rates are shares of a whole and do not tell; else empty.
    gained: Vec<f32>,
    has_rows: bool,
    /// What a counter grew by over gaps, and at which tick: rates leave it out.
    leaps: Vec<(usize, f64)>,
}

/// All subjects together at a tick.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    value: f64,
    values: u32,
    unknown: u32,
}

impl Sum {
    fn add(&mut self, cell: f32, value: Option<f64>) {
        match value {
            Some(_) => {
                self.value += f64::from(cell);
                self.values += 1;
            }
            None => self.unknown += 1,
        }
    }
}

/// The columns of a spec, for all subjects that count.
#[derive(Debug)]
pub(crate) struct Fine {
    asked: Asked,
    /// The ticks: monotonic and shown times.
    ticks: Vec<(i64, i64)>,
    subjects: Vec<Track>,
    index: HashMap<Vec<Key>, usize>,
    /// For each tick the sum of all subjects; none for a table without keys, which has one.
    sums: Vec<Sum>,
}

impl Fine {
    /// One without rows.
    pub(crate) fn new(table: &TableInfo, spec: &Spec, clock: Clock, stale_nanos: i64) -> Fine {
        Fine { asked: Asked::new(table, spec, clock, stale_nanos), ticks: Vec::new(), subjects: Vec::new(), index: HashMap::new(), sums: Vec::new() }
    }

    /// What it reads.
    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The monotonic time up to which it has read.
    pub(crate) fn until(&self) -> i64 {
        self.ticks.last().map_or(i64::MIN, |tick| tick.0)
    }

    /// How much memory it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        let of_track = |track: &Track| (track.cells.capacity() + track.gained.capacity()) * 4 + track.blocks.capacity() * 8 + size_of::<Track>() + 64;
        self.subjects.iter().map(of_track).sum::<usize>() + self.ticks.capacity() * 16 + self.sums.capacity() * size_of::<Sum>()
    }

    /// Gives back memory that was got for more rows than came.
    pub(crate) fn shrink(&mut self) {
        self.ticks.shrink_to_fit();
        self.sums.shrink_to_fit();
        for track in &mut self.subjects {
            track.cells.shrink_to_fit();
            track.gained.shrink_to_fit();
        }
    }

    /// Takes the next rows: later than those before, and of each subject in the order of time. Gives false if they are not.
    pub(crate) fn add(&mut self, frame: &Frame) -> bool {
        if frame.is_empty() {
            return true;
        }
        let taken = self.asked.read(frame);
        if !taken.are_in_order(self.ticks.last().map(|tick| tick.0)) {
            return false;
        }
        let ticks = taken.ticks();
        let first = ticks.first().map_or(0, |tick| self.ticks.partition_point(|known| known.0 < tick.0));
        for (monotonic, utc) in ticks {
            if self.ticks.last().is_none_or(|last| last.0 < monotonic) {
                self.ticks.push((monotonic, self.asked.clock.shown(utc, monotonic)));
            }
        }
        if !self.asked.keys.is_empty() {
            self.sums.resize(self.ticks.len(), Sum::default());
        }
        for run in &taken.runs {
            let key = taken.key(run.start);
            let place = match self.index.get(&key) {
                Some(&place) => place,
                None => {
                    self.subjects.push(Track::new(key.clone(), self.asked.rates()));
                    self.index.insert(key, self.subjects.len() - 1);
                    self.subjects.len() - 1
                }
            };
            self.take_run(&taken, run.clone(), place, first);
        }
        true
    }

    fn take_run(&mut self, taken: &Taken<'_>, run: Range<usize>, place: usize, first: usize) {
        let (has_keys, is_shared) = (!self.asked.keys.is_empty(), self.asked.is_shared());
        let (ticks, sums, subject) = (&self.ticks, &mut self.sums, &mut self.subjects[place]);
        let mut rates = subject.rates.take();
        let mut tick = first;
        for row in run.filter(|&row| taken.counts(row)) {
            let reading = taken.reading(row, &mut subject.whole);
            while ticks[tick].0 < reading.monotonic_nanos {
                tick += 1;
            }
            let is_first = !std::mem::replace(&mut subject.has_rows, true);
            match &mut rates {
                None => subject.put(tick..tick + 1, reading.value.map_or(f32::NAN, |value| value as f32), reading.value, sums),
                Some(rates) => rates.push(reading, |point| {
                    let last = subject.take(&point, tick, is_first && has_keys, ticks, sums);
                    if is_shared && matches!(point.value, Rate::Value(_)) {
                        subject.gain(last, point.gain);
                    }
                }),
            }
        }
        subject.rates = rates;
        subject.add_up(ticks, self.asked.stale_nanos);
    }

    /// Whether its ticks are the same as those of another.
    pub(crate) fn has_ticks_of(&self, other: &Fine) -> bool {
        self.ticks == other.ticks && self.asked.stale_nanos == other.asked.stale_nanos
    }

    /// The ticks that are needed to show what lies between two shown times, and their places.
    pub(crate) fn ticks(&self, from: i64, to: i64) -> (Range<usize>, Vec<Tick>) {
        let reach = self.asked.stale_nanos;
        let first = self.ticks.partition_point(|tick| tick.1 < from.saturating_sub(reach));
        let last = self.ticks.partition_point(|tick| tick.1 <= to.saturating_add(reach));
        let tick = |place: usize| Tick {
            shown: self.ticks[place].1,
            monotonic: self.ticks[place].0,
            nanos: nanos_of(&self.ticks, place, self.asked.stale_nanos),
        };
        (first..last, (first..last).map(tick).collect())
    }

    /// How many ticks lie between two shown times.
    pub(crate) fn ticks_within(&self, from: i64, to: i64) -> usize {
        self.ticks.partition_point(|tick| tick.1 <= to) - self.ticks.partition_point(|tick| tick.1 < from)
    }

    /// Value times seconds of each subject between two ticks, highest first.
    pub(crate) fn ranked(&self, ticks: Range<usize>) -> Vec<(f64, &Track)> {
        let there = self.subjects.iter().filter(|track| track.begin < ticks.end && track.begin + track.cells.len() > ticks.start);
        let mut ranked: Vec<(f64, &Track)> = there.map(|track| (track.integral(ticks.clone(), &self.ticks, self.asked.stale_nanos), track)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.key.cmp(&b.1.key)));
        ranked
    }

    /// Points and sums of one subject; the thinner's ticks begin at this one.
    pub(crate) fn line(&self, track: &Track, thinner: &Thinner<'_>, begin: usize) -> (Points, Summary) {
        let cells = &track.cells[..];
        let place = |tick: usize| (tick + begin).wrapping_sub(track.begin);
        let cell = |tick: usize| cells.get(place(tick)).map_or(Cell::Absent, |&value| cell_of(value));
        let gained = |tick: usize| track.gained(begin + tick);
        (thinner.points_by(cell), thinner.summary_by(cell, self.gains(&gained, &leaps(&[track], begin))))
    }

    /// Those of the sum of all subjects but these.
    pub(crate) fn line_of_others(&self, but: &[&Track], thinner: &Thinner<'_>, ticks: Range<usize>) -> (Points, Summary) {
        let mut sums = self.sums[ticks.clone()].to_vec();
        for track in but {
            let from = ticks.start.max(track.begin).min(ticks.end);
            let own = track.cells.get(from - track.begin.min(from)..).unwrap_or_default();
            for (sum, &value) in sums[from - ticks.start..].iter_mut().zip(own) {
                match cell_of(value) {
                    Cell::Value(value) => {
                        sum.value -= value;
                        sum.values -= 1;
                    }
                    Cell::Unknown => sum.unknown -= 1,
                    Cell::Absent => {}
                }
            }
        }
        let cell = |tick: usize| match sums[tick] {
            Sum { values: 0, unknown: 0, .. } => Cell::Absent,
            Sum { values, unknown, .. } if unknown > 0 && !(self.asked.is_lenient && values > 0) => Cell::Unknown,
            Sum { value, .. } => Cell::Value(if value.abs() < self.sums[ticks.start + tick].value.abs() * NOTHING { 0.0 } else { value }),
        };
        let tracks: Vec<&Track> = self.subjects.iter().filter(|track| but.iter().all(|other| !std::ptr::eq(*other, *track))).collect();
        let gained = |tick: usize| tracks.iter().map(|track| track.gained(ticks.start + tick)).sum();
        (thinner.points_by(cell), thinner.summary_by(cell, self.gains(&gained, &leaps(&tracks, ticks.start))))
    }

    /// Those of the sum of all subjects.
    pub(crate) fn line_of_all(&self, thinner: &Thinner<'_>, ticks: Range<usize>) -> (Points, Summary) {
        match self.subjects.first().filter(|_| self.asked.keys.is_empty()) {
            Some(only) => self.line(only, thinner, ticks.start),
            None if self.asked.keys.is_empty() => (thinner.points_by(|_| Cell::Absent), Summary::default()),
            None => self.line_of_others(&[], thinner, ticks),
        }
    }

    fn gains<'g>(&self, gained: &'g dyn Fn(usize) -> f64, leaps: &'g [(usize, f64)]) -> Gains<'g> {
        match (self.asked.is_counter, self.asked.is_shared()) {
            (false, _) => Gains::None,
            (true, true) => Gains::Told(gained, leaps),
            (true, false) => Gains::Rates(leaps),
        }
    }
}

/// What counters leapt by over gaps, ticks counted from this one.
fn leaps(tracks: &[&Track], begin: usize) -> Vec<(usize, f64)> {
    tracks.iter().flat_map(|track| &track.leaps).filter_map(|(tick, gain)| Some((tick.checked_sub(begin)?, *gain))).collect()
}

fn cell_of(value: f32) -> Cell {
    if value.is_nan() {
        Cell::Unknown
    } else if value == ABSENT {
        Cell::Absent
    } else {
        Cell::Value(f64::from(value))
    }
}

/// For how long a tick's values hold.
fn nanos_of(ticks: &[(i64, i64)], place: usize, stale_nanos: i64) -> i64 {
    let before = place.checked_sub(1).map(|before| ticks[place].0 - ticks[before].0);
    before.filter(|nanos| *nanos <= stale_nanos).unwrap_or(MOMENT_NANOS)
}

impl Track {
    fn new(key: Vec<Key>, rates: Option<Rates>) -> Track {
        let (cells, blocks, gained, leaps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Track { key, begin: 0, cells, blocks, rates, whole: Adding::default(), gained, has_rows: false, leaps }
    }

    fn gained(&self, tick: usize) -> f64 {
        tick.checked_sub(self.begin).and_then(|place| self.gained.get(place)).copied().map_or(0.0, f64::from)
    }

    fn gain(&mut self, tick: usize, gain: f64) {
        let Some(place) = tick.checked_sub(self.begin) else { return };
        if self.gained.len() <= place {
            self.gained.resize(place + 1, 0.0);
        }
        self.gained[place] += gain as f32;
    }

    fn cell(&self, tick: usize) -> Cell {
        tick.checked_sub(self.begin).and_then(|place| self.cells.get(place)).map_or(Cell::Absent, |&value| cell_of(value))
    }

    /// Takes a point, and says to which tick it belongs.
    fn take(&mut self, point: &Point, at: usize, is_first: bool, ticks: &[(i64, i64)], sums: &mut [Sum]) -> usize {
        // A reading that was held back belongs to an earlier tick.
        let last = if ticks[at].0 == point.monotonic_nanos { at } else { ticks[..at].partition_point(|tick| tick.0 < point.monotonic_nanos) };
        match point.value {
            Rate::Value(value) => {
                let before = last.checked_sub(1).map(|before| ticks[before].0);
                // Nearly always since the tick before.
                let is_plain = before.is_none_or(|before| before <= point.since_nanos);
                let first = if is_plain { last } else { ticks[..last].partition_point(|tick| tick.0 <= point.since_nanos) };
                self.put(first..last + 1, value as f32, Some(value), sums);
            }
            // Who was not there before its first row. Its time begins here all the same: a later rate may reach back.
            Rate::First if is_first => {
                self.begin = last;
                self.cells.push(ABSENT);
            }
            Rate::First | Rate::NoData | Rate::Stale => {
                self.put(last..last + 1, f32::NAN, None, sums);
                if point.gain > 0.0 {
                    self.leaps.push((last, point.gain));
                }
            }
        }
        last
    }

    /// Sets the cells of some ticks, and what they add to the sums.
    fn put(&mut self, ticks: Range<usize>, cell: f32, value: Option<f64>, sums: &mut [Sum]) {
        if self.cells.is_empty() {
            self.begin = ticks.start;
        }
        // Nearly always the next one.
        if ticks.len() == 1 && ticks.start - self.begin == self.cells.len() && self.cells.len() < self.cells.capacity() {
            self.cells.push(cell);
            if let Some(sum) = sums.get_mut(ticks.start) {
                sum.add(cell, value);
            }
            return;
        }
        for tick in ticks.start.max(self.begin)..ticks.end {
            let place = tick - self.begin;
            if place >= self.cells.len() {
                // By an eighth, and not twofold: most of the memory is here.
                if place >= self.cells.capacity() {
                    self.cells.reserve_exact(place + 1 - self.cells.len() + (place / 8).max(64));
                }
                self.cells.resize(place + 1, ABSENT);
            }
            let before = std::mem::replace(&mut self.cells[place], cell);
            // Nothing is summed up for a table without keys.
            let Some(sum) = sums.get_mut(tick) else { continue };
            if before.is_nan() {
                sum.unknown -= 1;
            } else if before != ABSENT {
                sum.value -= f64::from(before);
                sum.values -= 1;
            }
            sum.add(cell, value);
        }
    }

    /// Adds up the blocks that no row will change any more.
    fn add_up(&mut self, ticks: &[(i64, i64)], stale_nanos: i64) {
        while (self.blocks.len() + 2) * BLOCK <= self.cells.len() {
            let from = self.begin + self.blocks.len() * BLOCK;
            let so_far = self.blocks.last().copied().unwrap_or(0.0);
            self.blocks.push(so_far + self.plain(from..from + BLOCK, ticks, stale_nanos));
        }
    }

    /// Value times seconds between two ticks, one by one.
    fn plain(&self, range: Range<usize>, ticks: &[(i64, i64)], stale_nanos: i64) -> f64 {
        let value = |tick: usize| self.cell(tick).value().map_or(0.0, |value| value * seconds(nanos_of(ticks, tick, stale_nanos)));
        range.map(value).sum()
    }

    /// The same by blocks.
    fn integral(&self, range: Range<usize>, ticks: &[(i64, i64)], stale_nanos: i64) -> f64 {
        let (from, to) = (range.start.max(self.begin), range.end.min(self.begin + self.cells.len()));
        let (first, last) = ((from - self.begin).div_ceil(BLOCK), ((to.max(from) - self.begin) / BLOCK).min(self.blocks.len()));
        if first >= last {
            return self.plain(from..to.max(from), ticks, stale_nanos);
        }
        let before = first.checked_sub(1).map_or(0.0, |block| self.blocks[block]);
        let edge = |block: usize| self.begin + block * BLOCK;
        self.blocks[last - 1] - before + self.plain(from..edge(first), ticks, stale_nanos) + self.plain(edge(last)..to, ticks, stale_nanos)
    }
}
