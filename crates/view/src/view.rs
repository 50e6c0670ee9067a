//! An opened recording of any state: what is known of it now, and a second look when it grows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use barograph_model::Described;
use barograph_sources::{Cpu, Job, Memory, Own};
use barograph_store::{Facts, Frame, Query, State, TableInfo, Timeline, stale_nanos};

use crate::clock::Clock;
use crate::columns::{column, is_said};
use crate::wide::Small;
use crate::{Card, Panel};
use crate::{Error, panels};

/// Rows whose times are looked at to learn how far ticks lie apart.
const ROWS_FOR_INTERVAL: u64 = 50_000;

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
}

impl View {
    /// Opens a recording of any state.
    pub fn open(path: &Path) -> Result<View, Error> {
        View::with_memory(path, MEMORY)
    }

    /// The same with so many bytes, about, for what is held of its tables, so that each question need not read them. With less, and of a longer recording, it
    /// is held in stretches of some seconds, and narrow windows are read.
    pub fn with_memory(path: &Path, bytes: usize) -> Result<View, Error> {
        Ok(View { known: RwLock::new(Arc::new(Known::read(Timeline::open(path)?)?)), small: Small::new(bytes) })
    }

    /// Looks again at a recording that may have grown. Says whether there is anything new: rows, facts, or another state.
    pub fn refresh(&self) -> Result<bool, Error> {
        let new = Known::read(self.timeline().reopened()?)?;
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

    /// Waits until all that is worked out in the background is.
    pub fn settle(&self) {}

    pub(crate) fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Known {
    fn read(timeline: Timeline) -> Result<Known, Error> {
        let tables = timeline.tables()?.into_iter().map(|table| (table.name.clone(), table)).collect();
        let mut known = Known { state: timeline.state(), timeline: Arc::new(timeline), tables, clock: Clock::default(), intervals: Mutex::default() };
        if let Some(ticks) = known.ticks(&Query::all())? {
            known.clock = Clock::of(ticks.times(), ticks.monotonic());
        }
        Ok(known)
    }

    /// A row for each tick, with what is known of suspended time.
    pub(crate) fn ticks(&self, query: &Query) -> Result<Option<Frame>, Error> {
        let sampled = [Own::TABLE, Job::TABLE, Memory::TABLE, Cpu::TABLE];
        let Some(table) = sampled.iter().find(|table| self.tables.get(table.name).is_some_and(|info| info.rows > 0)) else { return Ok(None) };
        self.frame(table.name, &query.clone().columns([column(Own::suspended)]))
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
        Ok(stale_nanos(self.interval_nanos(table)? as f64 / 1e9))
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
