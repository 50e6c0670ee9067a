//! The whole of a table in small: of each subject a few numbers for each stretch of some seconds, made in one pass, and made longer as a recording grows.
//!
//! Any wide window is answered from these. A stretch knows how long its subject had a value, the sum over that time, the lowest and the highest; a bucket
//! of a window is a whole number of stretches, so that its mean, lowest and highest follow as if from the rows.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use barograph_model::Rate;
use barograph_store::{Adding, Frame, Point, Rates, Reading, TableInfo};

use crate::asked::{Asked, Taken};
use crate::clock::Clock;
use crate::grid::Grid;
use crate::rows::{MOMENT_NANOS, seconds};
use crate::{Key, Spec};

/// What one subject did in each stretch from its first one on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    /// The values of the table's keys.
    pub(crate) key: Vec<Key>,
    /// The first stretch in which it has anything.
    pub(crate) begin: usize,
    /// Value times seconds.
    sum: Vec<f32>,
    /// Seconds for which there is a value. Times have 64 bits: they are compared, and what is taken back must leave nothing.
    known: Vec<f64>,
    /// Seconds in which it was there without one; empty as long as there are none.
    unknown: Vec<f64>,
    min: Vec<f32>,
    max: Vec<f32>,
    /// The stretch that was added to last, and its sum in 64 bits: it is rounded once, however many ticks it has.
    open: Option<(usize, f64)>,
    /// By how much a counter grew, where its rates are shares of a whole and do not tell; else empty.
    gained: Vec<f64>,
    /// The last value, and its shown time.
    pub(crate) last: Option<(f64, i64)>,
    /// The highest value, and when it was reached.
    pub(crate) peak: Option<(f64, i64)>,
    /// What a counter grew by over gaps, and when: rates leave it out.
    pub(crate) leaps: Vec<(i64, f64)>,
}

/// What stretches come to together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) sum: f64,
    pub(crate) known: f64,
    pub(crate) unknown: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Part {
    pub(crate) const NONE: Part = Part { sum: 0.0, known: 0.0, unknown: 0.0, min: f64::NAN, max: f64::NAN };

    pub(crate) fn has_value(self) -> bool {
        !self.max.is_nan()
    }
}

impl Track {
    /// What some stretches come to.
    pub(crate) fn part(&self, stretches: Range<usize>) -> Part {
        let to = stretches.end.saturating_sub(self.begin).min(self.sum.len());
        let from = stretches.start.saturating_sub(self.begin).min(to);
        let sum = self.sum[from..to].iter().map(|&sum| f64::from(sum)).sum();
        let mut part = Part { sum, known: self.known[from..to].iter().sum(), ..Part::NONE };
        if let Some(unknown) = self.unknown.get(from..to.min(self.unknown.len())) {
            part.unknown = unknown.iter().sum();
        }
        let fold = |values: &[f32], pick: fn(f32, f32) -> f32| f64::from(values.iter().copied().fold(f32::NAN, pick));
        (part.min, part.max) = (fold(&self.min[from..to], f32::min), fold(&self.max[from..to], f32::max));
        part
    }

    /// The mean of a stretch over the time for which there is a value, and that time.
    pub(crate) fn stretches(&self, stretches: Range<usize>) -> impl Iterator<Item = (usize, f64, f64)> {
        let to = stretches.end.saturating_sub(self.begin).min(self.sum.len());
        let from = stretches.start.saturating_sub(self.begin).min(to);
        (from..to).map(|place| (place + self.begin, f64::from(self.sum[place]), self.known[place]))
    }

    /// When it was highest among these stretches: the middle of the one.
    pub(crate) fn highest(&self, stretches: Range<usize>) -> Option<usize> {
        let to = stretches.end.saturating_sub(self.begin).min(self.sum.len());
        let from = stretches.start.saturating_sub(self.begin).min(to);
        let known = (from..to).filter(|&place| !self.max[place].is_nan());
        let highest = known.reduce(|best, next| if self.max[next] > self.max[best] { next } else { best })?;
        Some(highest + self.begin)
    }

    /// The sum of several, between these stretches. How it went within a stretch is not known: its lowest and highest are means of stretches.
    pub(crate) fn sum_of<'a>(tracks: impl Iterator<Item = &'a Track>, stretches: Range<usize>, recorded: &[f64]) -> Track {
        let count = stretches.len();
        let mut sums = vec![0.0_f64; count];
        let mut sum =
            Track { begin: stretches.start, known: vec![0.0; count], min: vec![f32::NAN; count], max: vec![f32::NAN; count], ..Track::default() };
        let mut has_value = vec![false; count];
        for track in tracks {
            let from = stretches.start.max(track.begin);
            let to = stretches.end.min(track.begin + track.sum.len());
            for stretch in from..to.max(from) {
                let (own, place) = (stretch - track.begin, stretch - stretches.start);
                sums[place] += f64::from(track.sum[own]);
                has_value[place] |= !track.max[own].is_nan();
                if let Some(&gain) = track.gained.get(own) {
                    sum.gained.resize(count, 0.0);
                    sum.gained[place] += gain;
                }
            }
            sum.leaps.extend(&track.leaps);
        }
        for place in (0..count).filter(|&place| has_value[place]) {
            let seconds = recorded[stretches.start + place];
            sum.known[place] = seconds;
            let mean = (sums[place] / seconds.max(f64::MIN_POSITIVE)) as f32;
            (sum.min[place], sum.max[place]) = (mean, mean);
        }
        sum.sum = sums.into_iter().map(|sum| sum as f32).collect();
        sum
    }

    /// By how much a counter grew in these stretches, gaps left out, if that is not told by its rates.
    pub(crate) fn gained(&self, stretches: Range<usize>) -> Option<f64> {
        let to = stretches.end.saturating_sub(self.begin).min(self.gained.len());
        let from = stretches.start.saturating_sub(self.begin).min(to);
        (!self.gained.is_empty()).then(|| self.gained[from..to].iter().sum())
    }

    fn gain(&mut self, stretch: usize, gain: f64) {
        let place = self.place(stretch);
        if self.gained.len() <= place {
            self.gained.resize(place + 1, 0.0);
        }
        self.gained[place] += gain;
    }

    fn bytes(&self) -> usize {
        (self.sum.capacity() + self.min.capacity() + self.max.capacity()) * 4
            + (self.known.capacity() + self.unknown.capacity() + self.gained.capacity()) * 8
    }

    /// Makes room for this stretch, and says where it lies.
    fn place(&mut self, stretch: usize) -> usize {
        if self.sum.is_empty() {
            self.begin = stretch;
        }
        let place = stretch.saturating_sub(self.begin);
        if self.sum.len() <= place {
            self.sum.resize(place + 1, 0.0);
            self.known.resize(place + 1, 0.0);
            self.min.resize(place + 1, f32::NAN);
            self.max.resize(place + 1, f32::NAN);
        }
        place
    }

    fn add(&mut self, stretch: usize, value: f64, seconds: f64) {
        let place = self.place(stretch);
        let so_far = self.open.filter(|(open, _)| *open == stretch).map_or(f64::from(self.sum[place]), |(_, sum)| sum);
        let sum = so_far + value * seconds;
        self.open = Some((stretch, sum));
        self.sum[place] = sum as f32;
        self.known[place] += seconds;
        self.min[place] = self.min[place].min(value as f32);
        self.max[place] = self.max[place].max(value as f32);
    }

    fn add_unknown(&mut self, stretch: usize, seconds: f64) {
        let place = self.place(stretch);
        if self.unknown.len() <= place {
            self.unknown.resize(place + 1, 0.0);
        }
        self.unknown[place] += seconds;
    }
}

/// A subject while its rows come.
#[derive(Clone, Debug)]
struct Growing {
    track: Track,
    rates: Option<Rates>,
    whole: Adding,
    has_rows: bool,
    /// Ticks without a value for which a later rate may still hold: monotonic begin and end, and the shown end.
    open: Vec<(i64, i64, i64)>,
}

/// A tick whose sum is not known yet.
#[derive(Clone, Copy, Debug)]
struct Tick {
    monotonic: i64,
    shown: i64,
    nanos: i64,
    sum: f64,
    has_value: bool,
    unknown: u32,
}

/// The columns of a spec, for all subjects that count, and for their sum.
#[derive(Debug)]
pub(crate) struct Pyramid {
    asked: Asked,
    /// How wide a stretch is.
    pub(crate) width: i64,
    /// The shown time at which stretch 0 begins: a multiple of the width.
    pub(crate) from: Option<i64>,
    /// Of each stretch how many seconds were recorded.
    pub(crate) recorded: Vec<f64>,
    subjects: Vec<Growing>,
    index: HashMap<Vec<Key>, usize>,
    whole: Track,
    /// The last ticks, oldest first: their sums may still change.
    ticks: VecDeque<Tick>,
    /// The monotonic time up to which it has read.
    pub(crate) until: i64,
}

impl Pyramid {
    /// One without rows.
    pub(crate) fn new(table: &TableInfo, spec: &Spec, clock: Clock, stale_nanos: i64, width: i64) -> Pyramid {
        Pyramid {
            asked: Asked::new(table, spec, clock, stale_nanos),
            width,
            from: None,
            recorded: Vec::new(),
            subjects: Vec::new(),
            index: HashMap::new(),
            whole: Track::default(),
            ticks: VecDeque::new(),
            until: i64::MIN,
        }
    }

    /// What it reads.
    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The subjects, in the order in which they were first seen.
    pub(crate) fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.subjects.iter().map(|subject| &subject.track)
    }

    /// The sum of all subjects. Of a table with one subject it is that one.
    pub(crate) fn whole(&self) -> &Track {
        if self.asked.keys.is_empty() { self.subjects.first().map_or(&self.whole, |only| &only.track) } else { &self.whole }
    }

    /// How much memory it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.subjects.iter().map(|subject| subject.track.bytes() + size_of::<Growing>()).sum::<usize>()
            + self.whole.bytes()
            + self.recorded.capacity() * 8
    }

    /// The stretches between two shown times, both of which lie on edges of stretches or are rounded outwards.
    pub(crate) fn stretches(&self, from: i64, to: i64) -> Range<usize> {
        let Some(begin) = self.from else { return 0..0 };
        let place = |nanos: i64| usize::try_from(nanos).unwrap_or(0).min(self.recorded.len());
        place((from - begin).div_euclid(self.width))..place((to - begin + self.width - 1).div_euclid(self.width))
    }

    /// Takes the next rows: later than those before, and of each subject in the order of time. Gives false if they are not.
    pub(crate) fn add(&mut self, frame: &Frame) -> bool {
        if frame.is_empty() {
            return true;
        }
        let taken = self.asked.read(frame);
        if !taken.are_in_order(self.ticks.back().map(|last| last.monotonic)) {
            return false;
        }
        let first_tick = self.take_ticks(&taken);
        for run in &taken.runs {
            self.take_run(&taken, run.clone(), first_tick);
        }
        self.until = self.ticks.back().map_or(self.until, |last| last.monotonic);
        self.settle();
        true
    }

    /// Adds the ticks of these rows; gives the place of the first one that they may have.
    fn take_ticks(&mut self, taken: &Taken<'_>) -> usize {
        let ticks = taken.ticks();
        let begin = ticks.first().map_or(0, |tick| self.ticks.partition_point(|known| known.monotonic < tick.0));
        for (monotonic, utc) in ticks {
            let before = self.ticks.back().map(|tick| tick.monotonic);
            if before.is_some_and(|before| before >= monotonic) {
                continue;
            }
            let nanos = before.map(|before| monotonic - before).filter(|nanos| *nanos <= self.asked.stale_nanos).unwrap_or(MOMENT_NANOS);
            let shown = self.asked.clock.shown(utc, monotonic);
            self.from.get_or_insert((shown - nanos - 1).div_euclid(self.width) * self.width);
            let (recorded, from, width) = (&mut self.recorded, self.from.unwrap_or(0), self.width);
            spread(from, width, shown - nanos, shown, |stretch, seconds| {
                if recorded.len() <= stretch {
                    recorded.resize(stretch + 1, 0.0);
                }
                recorded[stretch] += seconds;
            });
            self.ticks.push_back(Tick { monotonic, shown, nanos, sum: 0.0, has_value: false, unknown: 0 });
        }
        begin
    }

    fn take_run(&mut self, taken: &Taken<'_>, run: Range<usize>, first_tick: usize) {
        let key = taken.key(run.start);
        let place = match self.index.get(&key) {
            Some(&place) => place,
            None => {
                let track = Track { key: key.clone(), ..Track::default() };
                self.subjects.push(Growing { track, rates: self.asked.rates(), whole: Adding::default(), has_rows: false, open: Vec::new() });
                self.index.insert(key, self.subjects.len() - 1);
                self.subjects.len() - 1
            }
        };
        let from = self.from.unwrap_or(0);
        let is_alone = self.asked.keys.is_empty();
        let mut sums = Sums {
            ticks: &mut self.ticks,
            from,
            width: self.width,
            stale_nanos: self.asked.stale_nanos,
            is_shared: self.asked.is_shared(),
            is_alone,
            has_keys: !is_alone,
        };
        let subject = &mut self.subjects[place];
        let mut tick = first_tick;
        for row in run.filter(|&row| taken.counts(row)) {
            let reading = taken.reading(row, &mut subject.whole);
            while sums.ticks[tick].monotonic < reading.monotonic_nanos {
                tick += 1;
            }
            let is_first = !std::mem::replace(&mut subject.has_rows, true);
            match subject.rates.take() {
                None => {
                    let at = sums.ticks[tick];
                    let value = reading.value.map_or(Rate::NoData, Rate::Value);
                    let Reading { utc_nanos, monotonic_nanos, .. } = reading;
                    let point = Point { utc_nanos, monotonic_nanos, since_nanos: at.monotonic - at.nanos, value, gain: 0.0 };
                    sums.take(subject, point, tick, is_first);
                }
                Some(mut rates) => {
                    rates.push(reading, |point| {
                        // A reading that was held back belongs to an earlier tick.
                        let mut of_point = tick;
                        while sums.ticks[of_point].monotonic > point.monotonic_nanos && of_point > 0 {
                            of_point -= 1;
                        }
                        sums.take(subject, point, of_point, is_first);
                    });
                    subject.rates = Some(rates);
                }
            }
        }
    }

    /// Adds up the sums of ticks that no row will change any more.
    fn settle(&mut self) {
        let Some(last) = self.ticks.back().copied() else { return };
        let from = self.from.unwrap_or(0);
        let is_alone = self.asked.keys.is_empty();
        // One tick more than a rate can reach back stays, as what the next is compared with.
        while let Some(&tick) = self.ticks.front()
            && self.ticks.len() > 1
            && last.monotonic - tick.monotonic > self.asked.stale_nanos.saturating_mul(2)
        {
            self.ticks.pop_front();
            if !is_alone {
                settle_tick(&mut self.whole, tick, from, self.width, self.asked.is_lenient);
            }
        }
    }

    /// The sum with the last ticks as they are now.
    pub(crate) fn whole_until_now(&self) -> Track {
        let mut whole = self.whole().clone();
        if !self.asked.keys.is_empty() {
            self.ticks.iter().for_each(|&tick| settle_tick(&mut whole, tick, self.from.unwrap_or(0), self.width, self.asked.is_lenient));
            for track in self.tracks() {
                whole.leaps.extend(&track.leaps);
                for (place, &gain) in track.gained.iter().enumerate() {
                    whole.gain(track.begin + place, gain);
                }
            }
        }
        whole
    }
}

fn settle_tick(whole: &mut Track, tick: Tick, from: i64, width: i64, is_lenient: bool) {
    let is_unknown = tick.unknown > 0 && !(is_lenient && tick.has_value);
    spread(from, width, tick.shown - tick.nanos, tick.shown, |stretch, seconds| {
        if is_unknown {
            whole.add_unknown(stretch, seconds);
        } else if tick.has_value {
            whole.add(stretch, tick.sum, seconds);
        }
    });
    if tick.has_value && !is_unknown {
        note(whole, tick.sum, tick.shown);
    }
}

/// Remembers the last value and the highest.
fn note(track: &mut Track, value: f64, shown: i64) {
    track.last = Some((value, shown));
    track.peak = Some(match track.peak {
        Some((highest, at)) if value <= highest + highest.abs() * crate::lines::SAME => (highest.max(value), at),
        _ => (value, shown),
    });
}

/// Where the points of a subject go: into its track, and into the sums of ticks.
struct Sums<'a> {
    ticks: &'a mut VecDeque<Tick>,
    from: i64,
    width: i64,
    stale_nanos: i64,
    is_shared: bool,
    is_alone: bool,
    has_keys: bool,
}

impl Sums<'_> {
    fn take(&mut self, subject: &mut Growing, point: Point, tick: usize, is_first: bool) {
        let at = self.ticks[tick];
        let (from, width) = (self.from, self.width);
        match point.value {
            Rate::Value(value) => {
                // The rate holds for those too that could not be read meanwhile.
                for (begin, end, shown) in std::mem::take(&mut subject.open).into_iter().filter(|(_, end, _)| *end > point.since_nanos) {
                    self.each_tick(begin, end, |tick| tick.unknown = tick.unknown.saturating_sub(1));
                    spread(from, width, shown - (end - begin), shown, |stretch, seconds| subject.track.add_unknown(stretch, -seconds));
                }
                let nanos = at.monotonic - point.since_nanos;
                let is_shared = self.is_shared;
                spread(from, width, at.shown - nanos, at.shown, |stretch, part| {
                    subject.track.add(stretch, value, part);
                    if is_shared {
                        subject.track.gain(stretch, point.gain * part / seconds(nanos));
                    }
                });
                note(&mut subject.track, value, at.shown);
                if !self.is_alone {
                    let add = |tick: &mut Tick| {
                        tick.sum += value;
                        tick.has_value = true;
                    };
                    if nanos == at.nanos {
                        add(&mut self.ticks[tick]);
                    } else {
                        self.each_tick(point.since_nanos.min(at.monotonic - 1), at.monotonic, add);
                    }
                }
            }
            // Who was not there before its first row. Its time begins here all the same: a later rate may reach back.
            Rate::First if self.has_keys && is_first => {
                spread(from, width, at.shown, at.shown, |stretch, _| {
                    subject.track.place(stretch);
                });
            }
            Rate::First | Rate::NoData | Rate::Stale => {
                subject.open.retain(|(_, end, _)| at.monotonic - end <= self.stale_nanos);
                subject.open.push((at.monotonic - at.nanos, at.monotonic, at.shown));
                spread(from, width, at.shown - at.nanos, at.shown, |stretch, seconds| subject.track.add_unknown(stretch, seconds));
                self.ticks[tick].unknown += 1;
                if point.gain > 0.0 {
                    subject.track.leaps.push((at.shown, point.gain));
                }
            }
        }
    }

    /// The ticks after one time of the monotonic clock, up to another.
    fn each_tick(&mut self, since: i64, until: i64, mut change: impl FnMut(&mut Tick)) {
        let first = self.ticks.partition_point(|tick| tick.monotonic <= since);
        self.ticks.iter_mut().skip(first).take_while(|tick| tick.monotonic <= until).for_each(&mut change);
    }
}

/// Says to which stretches a time belongs, and for how many seconds to each.
fn spread(from: i64, width: i64, begin: i64, end: i64, take: impl FnMut(usize, f64)) {
    Grid { from, width, count: usize::MAX }.spread(begin, end, take);
}
