//! An opened recording of any state: what is known of it now, and a second look when it grows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use barograph_model::Described;
use barograph_sources::{Cpu, Job, Memory, Own, Processes};
use barograph_store::{Facts, Frame, Query, State, TableInfo, Timeline, stale_nanos};

use crate::clock::{Clock, millis};
use crate::columns::{column, is_said};
use crate::moment::Everybody;
use crate::wide::Small;
use crate::{Card, Gap, Panel, Window};
use crate::{Error, panels};

/// Rows whose times are looked at to learn how far ticks lie apart.
const ROWS_FOR_INTERVAL: u64 = 5000;

/// For what is held of tables, unless told otherwise: enough for CPU and memory of 200 processes over a day.
const MEMORY: usize = 225 << 20;

/// A recording that is looked at. It can be shared between threads; what it answers is what it knew when it was opened or last refreshed, rows of a live
/// recording included that came since.
#[derive(Debug)]
pub struct View {
    known: RwLock<Arc<Known>>,
    pub(crate) small: Small,
}

/// What is known of the recording at one time.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) state: State,
    pub(crate) tables: BTreeMap<String, TableInfo>,
    pub(crate) clock: Clock,
    /// For each table the time between two ticks, worked out when first asked for.
    intervals: Mutex<BTreeMap<String, i64>>,
    /// The times of all ticks.
    pub(crate) ticks: Arc<Ticks>,
    /// Who all processes are, when somebody has asked.
    pub(crate) everybody: OnceLock<Arc<Everybody>>,
    /// The same as it was known before, and up to which time of the monotonic clock: later words add to it.
    pub(crate) known_before: Option<(Arc<Everybody>, i64)>,
    /// Who goes first.
    pub(crate) turns: Arc<Turns>,
}

/// What is quick to answer is not held up by the reading of a table that takes seconds.
#[derive(Debug, Default)]
pub(crate) struct Turns(AtomicUsize);

impl Turns {
    /// Somebody reads of a short table for as long as this is held.
    pub(crate) fn short(&self) -> impl Drop + '_ {
        struct Short<'a>(&'a AtomicUsize);
        impl Drop for Short<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        Short(&self.0)
    }

    /// Waits as long as somebody reads of a short table, but no longer than this; says how much of it is left.
    pub(crate) fn give_way(&self, patience: Duration) -> Duration {
        let begun = Instant::now();
        while self.0.load(Ordering::Relaxed) > 0 && begun.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        patience.saturating_sub(begun.elapsed())
    }
}

/// The times of ticks, and how long the machine had slept by then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ticks {
    table: String,
    pub(crate) utc: Vec<i64>,
    pub(crate) monotonic: Vec<i64>,
    suspended: Vec<f64>,
}

impl View {
    /// Opens a recording of any state.
    pub fn open(path: &Path) -> Result<View, Error> {
        View::with_memory(path, MEMORY)
    }

    /// The same with so many bytes, about, for what is held of its tables, so that each question need not read them. With less, and of a longer recording, it
    /// is held in stretches of some seconds, and narrow windows are read.
    pub fn with_memory(path: &Path, bytes: usize) -> Result<View, Error> {
        Ok(View { known: RwLock::new(Arc::new(Known::read(Timeline::open(path)?, None)?)), small: Small::new(bytes) })
    }

    /// Looks again at a recording that may have grown. Says whether there is anything new: rows, facts, or another state.
    pub fn refresh(&self) -> Result<bool, Error> {
        let new = Known::read(self.timeline().reopened()?, Some(&self.known()))?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = new.state != known.state || new.tables != known.tables || new.timeline.facts() != known.timeline.facts();
        if new.clock != known.clock {
            self.small.clear();
        }
        *known = Arc::new(new);
        Ok(is_new)
    }

    /// The recording itself, for spans, events and whatever else is no line.
    pub fn timeline(&self) -> Arc<Timeline> {
        self.known().timeline.clone()
    }

    /// The facts.
    pub fn facts(&self) -> Facts {
        self.known().timeline.facts().clone()
    }

    /// Whether it is being written.
    pub fn state(&self) -> State {
        self.known().state
    }

    /// The tables and their columns.
    pub fn tables(&self) -> Vec<TableInfo> {
        self.known().tables.values().cloned().collect()
    }

    /// The times of the first and last row of any table, UTC nanoseconds; twice the begin where there is no row yet.
    pub fn range(&self) -> (i64, i64) {
        let known = self.known();
        let ranges = known.tables.values().filter_map(|table| known.clock.shown_range(table.range, table.monotonic_range));
        let begin = known.timeline.facts().clock.utc_nanos;
        ranges.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1))).unwrap_or((begin, begin))
    }

    /// The panels that suit it, in the order in which they are shown: those that are shown unless asked for otherwise, and one for everything else that
    /// the recording has.
    pub fn panels(&self) -> Vec<Panel> {
        panels::panels(&self.known())
    }

    /// The numbers for the top.
    pub fn cards(&self) -> Vec<Card> {
        panels::cards(&self.known())
    }

    pub(crate) fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Known {
    /// What is there now; of what was known before, only what is new is read.
    fn read(timeline: Timeline, before: Option<&Known>) -> Result<Known, Error> {
        let tables: BTreeMap<String, TableInfo> = timeline.tables()?.into_iter().map(|table| (table.name.clone(), table)).collect();
        let mut known = Known {
            state: timeline.state(),
            timeline: Arc::new(timeline),
            tables,
            clock: Clock::default(),
            intervals: Mutex::default(),
            ticks: Arc::default(),
            everybody: OnceLock::new(),
            known_before: None,
            turns: before.map(|before| before.turns.clone()).unwrap_or_default(),
        };
        if let Some(before) = before {
            let of_processes = |known: &Known| known.tables.get(Processes::TABLE.name).cloned();
            let newest = |known: &Known| of_processes(known)?.monotonic_range.map(|(_, last)| last);
            if of_processes(before) == of_processes(&known) {
                known.everybody = before.everybody.clone();
            }
            known.known_before = before.everybody.get().cloned().zip(newest(before)).or_else(|| before.known_before.clone());
            // An interval may be told to be another one while it goes on.
            if known.timeline.facts().interval_seconds == before.timeline.facts().interval_seconds {
                let settled = |table: &str| before.tables.get(table).is_some_and(|info| info.rows > ROWS_FOR_INTERVAL);
                let intervals = before.intervals.lock().unwrap_or_else(PoisonError::into_inner);
                known.intervals =
                    Mutex::new(intervals.iter().filter(|(table, _)| settled(table)).map(|(table, nanos)| (table.clone(), *nanos)).collect());
            }
        }
        known.ticks = known.read_ticks(before.map(|before| &before.ticks))?;
        known.clock = Clock::of(&known.ticks.utc, &known.ticks.monotonic);
        Ok(known)
    }

    /// A row for each tick.
    fn read_ticks(&self, before: Option<&Arc<Ticks>>) -> Result<Arc<Ticks>, Error> {
        let sampled = [Own::TABLE, Job::TABLE, Memory::TABLE, Cpu::TABLE];
        let Some(table) = sampled.iter().find(|table| self.tables.get(table.name).is_some_and(|info| info.rows > 0)) else {
            return Ok(Arc::default());
        };
        let before = before.filter(|before| before.table == table.name);
        let last = before.and_then(|before| before.monotonic.last().copied());
        let newest = self.tables.get(table.name).and_then(|info| info.monotonic_range).map(|(_, newest)| newest);
        if let Some(before) = before.filter(|_| newest <= last) {
            return Ok(before.clone());
        }
        let query = Query::all().columns([column(Own::suspended)]).monotonic(last.map_or(i64::MIN, |last| last + 1), i64::MAX);
        let Some(new) = self.frame(table.name, &query)? else { return Ok(Arc::default()) };
        let mut ticks = before.map(|before| (**before).clone()).unwrap_or_default();
        ticks.table = table.name.to_owned();
        ticks.utc.extend(new.times());
        ticks.monotonic.extend(new.monotonic());
        ticks.suspended.extend(new.numbers(&column(Own::suspended)));
        Ok(Arc::new(ticks))
    }

    /// Where ticks are missing.
    pub(crate) fn gaps(&self, window: Window) -> Vec<Gap> {
        let stale = self.timeline.facts().stale_nanos();
        let Ticks { utc, monotonic, suspended, .. } = &*self.ticks;
        let shown = |place: usize| self.clock.shown(utc[place], monotonic[place]);
        let gap = |after: usize| {
            let (nanos, before) = (monotonic[after] - monotonic[after - 1], after - 1);
            if nanos <= stale || shown(after) < window.from || shown(before) > window.to {
                return None;
            }
            let slept = suspended[after] - suspended[before];
            let why = if slept * 2e9 > nanos as f64 { "suspended" } else { "no readings" };
            Some(Gap { from: millis(shown(before)), to: millis(shown(after)), why: why.to_owned() })
        };
        (1..monotonic.len()).filter_map(gap).collect()
    }

    /// Rows of a table; none where there is no such table.
    pub(crate) fn frame(&self, table: &str, query: &Query) -> Result<Option<Frame>, Error> {
        match self.timeline.frame(table, query) {
            Err(barograph_store::Error::NoTable { .. }) => Ok(None),
            frame => Ok(Some(frame?)),
        }
    }

    /// The age at which the row before is too old for a rate, or for a line from it. Some sources are read more seldom than at each tick.
    pub(crate) fn stale_nanos(&self, table: &TableInfo) -> Result<i64, Error> {
        if is_said(&table.name) {
            return Ok(i64::MAX / 4);
        }
        Ok(stale_nanos(self.interval_nanos(table)? as f64 / 1e9).max(self.timeline.facts().stale_nanos()))
    }

    /// The time between two ticks of a table: the recording's interval, or more.
    pub(crate) fn interval_nanos(&self, table: &TableInfo) -> Result<i64, Error> {
        let cached = || self.intervals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&nanos) = cached().get(&table.name) {
            return Ok(nanos);
        }
        let nanos = (self.timeline.facts().interval_seconds.max(self.median_interval(table)?) * 1e9) as i64;
        cached().insert(table.name.clone(), nanos);
        Ok(nanos)
    }

    /// The time between two ticks of a table, from its first rows.
    fn median_interval(&self, table: &TableInfo) -> Result<f64, Error> {
        let mut query = Query::all().columns(Vec::<String>::new());
        if let Some((first, last)) = table.monotonic_range.filter(|_| table.rows > ROWS_FOR_INTERVAL) {
            let share = ROWS_FOR_INTERVAL as f64 / table.rows as f64;
            query = query.monotonic(first, first + ((last - first) as f64 * share) as i64);
        }
        let Some(frame) = self.frame(&table.name, &query)? else { return Ok(0.0) };
        let mut between: Vec<i64> = frame.monotonic().windows(2).map(|pair| pair[1] - pair[0]).filter(|&nanos| nanos > 0).collect();
        between.sort_unstable();
        Ok(between.get(between.len() / 2).map_or(0.0, |&nanos| nanos as f64 / 1e9))
    }
}
