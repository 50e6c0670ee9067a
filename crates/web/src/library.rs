//! The recordings that are shown: those that were given, those in the folders that were given, and those made here. Nothing else is ever opened.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use barograph_store::{FACTS_FILE, Facts, SpanQuery, Spans, State, Timeline};
use barograph_view::View;
use serde::Serialize;
use tokio::sync::watch;

use crate::failure::{Answer, Failure};

/// A table of every recording of a machine, small, with a row for each tick: asked for how far a recording has come.
const TICKING: [&str; 2] = ["cpu", "job"];

/// A live recording is not looked at more often than this, whoever asks.
const REST: Duration = Duration::from_millis(500);

/// Recordings that are held to be drawn: each takes up to some 250 MiB.
const MOST_OPENED: usize = 4;

/// One that nobody watches is held for so long after the last question.
const IDLE: Duration = Duration::from_secs(300);

/// Spans that are kept of a recording, some hundred bytes each.
const MOST_SPANS: usize = 100_000;

/// A path that is not shown, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The path.
    pub path: String,
    /// Why, in words.
    pub why: String,
}

/// All that can be shown.
#[derive(Debug)]
pub(crate) struct Library {
    /// What was given: recordings, and folders of such.
    given: Vec<PathBuf>,
    shelf: Mutex<Shelf>,
    /// Counts changes of the list.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Shelf {
    /// By path.
    runs: BTreeMap<PathBuf, Arc<Run>>,
    refused: Vec<Refused>,
    /// Recordings that were made here: shown wherever they are.
    made: Vec<PathBuf>,
}

/// A recording.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) path: PathBuf,
    /// The id that its facts have: another recording may take its place.
    of_facts: String,
    /// What those who watch it are told.
    pub(crate) tick: watch::Sender<Tick>,
    known: Mutex<Known>,
    /// Opened when something of it is drawn for the first time, and given up when nobody has asked for long.
    opened: Mutex<Option<Opened>>,
    /// All spans as they were at that stamp, of a recording that has ended: a cost is worked out when it is asked for.
    spans: Mutex<Option<(u64, Arc<Spans>)>>,
}

/// A recording that is drawn.
#[derive(Debug)]
struct Opened {
    view: Arc<View>,
    /// When something was asked of it.
    used: Instant,
    /// Whether what takes long to read has been read ahead.
    is_warm: bool,
}

#[derive(Debug)]
struct Known {
    facts: Arc<Facts>,
    state: State,
    to: i64,
    stamp: u64,
    /// Of the names of the tables that have rows.
    tables: u64,
    looked: Instant,
}

/// How far a recording has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tick {
    /// Its last row: UTC nanoseconds.
    pub(crate) to: i64,
    pub(crate) state: State,
    /// Another number whenever its facts are others, or it has other tables: what can be drawn of it is among what the page is told with them.
    pub(crate) facts: u64,
    /// Another number whenever anything of it changed.
    pub(crate) stamp: u64,
}

/// What the list says of a recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunHead {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) state: &'static str,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) host: Option<String>,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) writable: bool,
}

/// UTC milliseconds, as the page has all times.
pub(crate) fn millis(utc_nanos: i64) -> f64 {
    // Whole milliseconds apart, so that the fraction keeps all the digits it can.
    (utc_nanos.div_euclid(1_000_000)) as f64 + utc_nanos.rem_euclid(1_000_000) as f64 / 1e6
}

/// The same back, as far as 64 bits go.
pub(crate) fn nanos(millis: f64) -> i64 {
    let whole = millis.floor();
    (whole as i64).saturating_mul(1_000_000).saturating_add(((millis - whole) * 1e6).round() as i64)
}

/// A folder with facts, or with the name of a recording. The second kind may have lost its facts, and is named all the same.
pub(crate) fn is_recording(path: &Path) -> bool {
    path.join(FACTS_FILE).is_file() || (path.extension().is_some_and(|suffix| suffix == "baro") && path.is_dir())
}

impl Library {
    /// Paths that make no sense are told when the list is made.
    pub(crate) fn new(given: Vec<PathBuf>) -> Library {
        Library { given, shelf: Mutex::default(), changed: watch::channel(0).0 }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts changes of the list.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.changed.receiver_count() > 0
    }

    /// Tells those who watch the list.
    pub(crate) fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Shows a recording that was made here.
    pub(crate) fn add(&self, path: &Path) {
        let mut shelf = self.shelf();
        if !shelf.made.iter().any(|made| made == path) {
            shelf.made.push(path.to_owned());
        }
        drop(shelf);
        self.look();
    }

    /// Shows one no more that was made here.
    pub(crate) fn forget(&self, path: &Path) {
        self.shelf().made.retain(|made| made != path);
        self.look();
    }

    /// Looks for recordings that have come or gone, and tells those who watch the list.
    pub(crate) fn look(&self) {
        let (mut paths, mut refused) = (Vec::new(), Vec::new());
        for given in &self.given {
            found(given, &mut paths, &mut refused);
        }
        let mut shelf = self.shelf();
        paths.extend(shelf.made.iter().cloned());
        let mut seen = HashSet::new();
        let mut runs = BTreeMap::new();
        for path in paths.into_iter().filter(|path| seen.insert(path.clone())) {
            let known = shelf.runs.get(&path).filter(|run| run.is_still_there()).cloned();
            match known.map_or_else(|| Run::open(&path, |id| runs.values().any(|run: &Arc<Run>| run.id == id)).map(Arc::new), Ok) {
                Ok(run) => {
                    runs.insert(path, run);
                }
                Err(error) => refused.push(Refused { why: without_path(&error.to_string(), &path), path: path.display().to_string() }),
            }
        }
        let ids = |runs: &BTreeMap<PathBuf, Arc<Run>>| runs.values().map(|run| run.id.clone()).collect::<Vec<_>>();
        let is_other = ids(&runs) != ids(&shelf.runs) || refused != shelf.refused;
        shelf.runs = runs;
        shelf.refused = refused;
        drop(shelf);
        if is_other {
            self.tell();
        }
    }

    /// Gives up those that are drawn, and have not been asked for long, and all but so many.
    pub(crate) fn let_go(&self, now: Instant) {
        // One that is being opened or asked now is no candidate.
        let used = |run: &Arc<Run>| Some((run.opened.try_lock().ok()?.as_ref()?.used, Arc::clone(run)));
        let mut opened: Vec<_> = self.shelf().runs.values().filter_map(used).collect();
        opened.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
        for (place, (used, run)) in opened.into_iter().enumerate() {
            let is_idle = run.tick.receiver_count() == 0 && now.saturating_duration_since(used) >= IDLE;
            if place >= MOST_OPENED || is_idle {
                run.close();
            }
        }
    }

    /// All recordings, newest first.
    pub(crate) fn runs(&self) -> Vec<Arc<Run>> {
        let mut runs: Vec<_> = self.shelf().runs.values().cloned().collect();
        runs.sort_by_key(|run| (std::cmp::Reverse(run.facts().clock.utc_nanos), run.path.clone()));
        runs
    }

    /// What could not be opened.
    pub(crate) fn refused(&self) -> Vec<Refused> {
        self.shelf().refused.clone()
    }

    /// The recording of this id.
    pub(crate) fn run(&self, id: &str) -> Answer<Arc<Run>> {
        let find = || self.shelf().runs.values().find(|run| run.id == id).cloned();
        // It may have come since the list was made.
        let run = find().or_else(|| {
            self.look();
            find()
        });
        run.ok_or_else(|| Failure::not_found("there is no such recording here: it was removed, or this server was not given it"))
    }

    /// The recording at this path.
    pub(crate) fn at(&self, path: &Path) -> Option<Arc<Run>> {
        self.shelf().runs.get(path).cloned()
    }
}

/// The recordings at a path that was given: itself, or those in it.
fn found(given: &Path, paths: &mut Vec<PathBuf>, refused: &mut Vec<Refused>) {
    let mut refuse = |path: &Path, why: String| refused.push(Refused { path: path.display().to_string(), why });
    if is_recording(given) || !given.is_dir() {
        paths.push(given.to_owned());
        return;
    }
    let entries = match fs::read_dir(given) {
        Ok(entries) => entries,
        Err(error) => return refuse(given, error.to_string()),
    };
    let root = given.canonicalize().unwrap_or_else(|_| given.to_owned());
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_recording(path)) {
        // A link may lead anywhere, and only these folders were given.
        if path.canonicalize().is_ok_and(|real| real.starts_with(&root)) {
            paths.push(path);
        } else {
            refuse(&path, "it is a link out of the folder that was given; give the recording itself".to_owned());
        }
    }
}

/// Errors carry their path, and here it stands beside.
fn without_path(error: &str, path: &Path) -> String {
    error.strip_prefix(&format!("{}: ", path.display())).unwrap_or(error).to_owned()
}

impl Run {
    fn open(path: &Path, is_taken: impl Fn(&str) -> bool) -> Result<Run, barograph_store::Error> {
        let timeline = Timeline::open(path)?;
        let (facts, stamp, tables) = (Arc::new(timeline.facts().clone()), stamp(path), tables(path));
        let is_word = (8..=64).contains(&facts.id.len()) && facts.id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // A copy has the id of its original.
        let id = Some(facts.id.clone()).filter(|id| is_word && !is_taken(id)).unwrap_or_else(|| format!("p{:016x}", hash(path)));
        let known = Known { state: timeline.state(), to: last_row(&timeline), facts, stamp, tables, looked: Instant::now() };
        let of_facts = known.facts.id.clone();
        Ok(Run {
            id,
            path: path.to_owned(),
            of_facts,
            tick: watch::channel(known.tick()).0,
            known: Mutex::new(known),
            opened: Mutex::new(None),
            spans: Mutex::new(None),
        })
    }

    /// Whether this path still has this recording.
    fn is_still_there(&self) -> bool {
        let known = self.known();
        let is_same = known.stamp == stamp(&self.path);
        drop(known);
        is_same || Facts::read(&self.path).is_ok_and(|facts| facts.id == self.of_facts)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The facts as they were at the last look.
    pub(crate) fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.known().facts)
    }

    pub(crate) fn state(&self) -> State {
        self.known().state
    }

    /// What is drawn of it.
    pub(crate) fn view(&self) -> Answer<Arc<View>> {
        let mut opened = self.opened();
        let opened = match &mut *opened {
            Some(opened) => opened,
            none => none.insert(Opened { view: Arc::new(View::open(&self.path)?), used: Instant::now(), is_warm: false }),
        };
        opened.used = Instant::now();
        Ok(Arc::clone(&opened.view))
    }

    fn opened(&self) -> MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, for one who reads ahead what takes long; nothing if somebody has done so.
    pub(crate) fn cold(&self) -> Option<Arc<View>> {
        let mut opened = self.opened();
        let opened = opened.as_mut().filter(|opened| !opened.is_warm)?;
        opened.is_warm = true;
        Some(Arc::clone(&opened.view))
    }

    /// Lets go of what is held to draw it. Those who are at it finish.
    fn close(&self) {
        self.opened().take();
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// All spans, if it has ended and they are not too many to be kept; else those of this query.
    pub(crate) fn spans(&self, query: &SpanQuery) -> Answer<Arc<Spans>> {
        let known = self.known();
        let (stamp, state) = (known.stamp, known.state);
        drop(known);
        // Of one that goes on there are others in a second.
        if state == State::Live {
            return Ok(Arc::new(self.timeline()?.spans(query)?));
        }
        let mut kept = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, spans)) = kept.as_ref().filter(|(of, _)| *of == stamp) {
            return Ok(Arc::clone(spans));
        }
        let spans = Arc::new(self.timeline()?.spans(&SpanQuery::default())?);
        *kept = (spans.len() <= MOST_SPANS).then(|| (stamp, Arc::clone(&spans)));
        Ok(spans)
    }

    /// It as it is now. What is known of its parts for drawing it is known here too.
    pub(crate) fn timeline(&self) -> Answer<Timeline> {
        let drawn = self.opened().as_ref().map(|opened| opened.view.timeline());
        Ok(drawn.map_or_else(|| Timeline::open(&self.path), |drawn| drawn.reopened())?)
    }

    /// Looks whether there is more of it, unless somebody has just done so.
    pub(crate) fn refresh(&self) -> Answer<()> {
        let known = self.known();
        let is_fresh = known.looked.elapsed() < REST;
        drop(known);
        if is_fresh { Ok(()) } else { self.look() }
    }

    /// Looks whether there is more of it, and tells those who watch it.
    pub(crate) fn look(&self) -> Answer<()> {
        let (stamp, old) = (stamp(&self.path), self.known());
        let (old_stamp, old_state, old_to) = (old.stamp, old.state, old.to);
        drop(old);
        if stamp == old_stamp && old_state != State::Live {
            self.known().looked = Instant::now();
            return Ok(());
        }
        let view = self.opened().as_ref().map(|opened| Arc::clone(&opened.view));
        if let Some(view) = &view {
            view.refresh()?;
        }
        let timeline = Timeline::open(&self.path)?;
        let last = || view.as_ref().map_or_else(|| last_row(&timeline), |view| view.range().1);
        let to = if stamp == old_stamp { old_to } else { last().max(old_to) };
        let known = Known {
            facts: Arc::new(timeline.facts().clone()),
            state: timeline.state(),
            to,
            stamp,
            tables: tables(&self.path),
            looked: Instant::now(),
        };
        let tick = known.tick();
        *self.known() = known;
        self.tick.send_if_modified(|told| std::mem::replace(told, tick) != tick);
        Ok(())
    }

    pub(crate) fn head(&self, is_read_only: bool) -> RunHead {
        let known = self.known();
        let facts = &known.facts;
        let shown = facts.file().map_or(self.path.as_path(), Path::new);
        RunHead {
            id: self.id.clone(),
            name: shown.file_name().map_or_else(|| shown.display().to_string(), |name| name.to_string_lossy().into_owned()),
            path: shown.display().to_string(),
            state: state_name(known.state),
            command: facts.command.clone(),
            host: Some(facts.host.name.clone()).filter(|name| !name.is_empty()),
            from: millis(facts.clock.utc_nanos),
            to: millis(known.to),
            writable: !is_read_only && is_writable(&self.path, facts, known.state),
        }
    }
}

impl Known {
    fn tick(&self) -> Tick {
        let mut hasher = DefaultHasher::new();
        serde_json::to_vec(&*self.facts).unwrap_or_default().hash(&mut hasher);
        self.tables.hash(&mut hasher);
        Tick { to: self.to, state: self.state, facts: hasher.finish(), stamp: self.stamp }
    }
}

/// Whether events can be written to it: its recorder listens, or nobody writes it and we may.
fn is_writable(path: &Path, facts: &Facts, state: State) -> bool {
    match state {
        // What is shown was made of it for us, and goes when we do.
        _ if facts.file().is_some() => false,
        State::Live => facts.beacon.is_some(),
        State::Ended | State::Interrupted => rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok(),
    }
}

/// How far a recording has come, as the page calls it.
pub(crate) fn state_name(state: State) -> &'static str {
    match state {
        State::Live => "live",
        State::Ended => "ended",
        State::Interrupted => "cut off",
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A number that is another one when any file of the recording has been replaced: all are renamed into their places, which changes their folders.
fn stamp(folder: &Path) -> u64 {
    let changed = |path: &Path| {
        let metadata = path.metadata().ok()?;
        let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some((path.to_owned(), since.as_nanos(), metadata.len()))
    };
    let tables = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut all: Vec<_> = tables.filter_map(|path| changed(&path)).collect();
    all.sort();
    hash(all)
}

/// A number that is another one when a table got its first rows.
fn tables(folder: &Path) -> u64 {
    let has_rows =
        |table: &Path| fs::read_dir(table).into_iter().flatten().flatten().any(|part| part.path().extension().is_some_and(|name| name == "parquet"));
    let mut names: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| has_rows(&entry.path())).map(|entry| entry.file_name()).collect();
    names.sort();
    hash(names)
}

/// The time of the last row, or of the end.
fn last_row(timeline: &Timeline) -> i64 {
    let facts = timeline.facts();
    if let Some(end) = &facts.end {
        return end.utc_nanos.max(facts.clock.utc_nanos);
    }
    let of = |table: &str| timeline.table(table).ok()?.range.map(|(_, last)| last);
    let known = TICKING.iter().find_map(|table| of(table));
    let last = known.or_else(|| timeline.tables().ok()?.into_iter().filter_map(|table| table.range).map(|(_, last)| last).max());
    last.unwrap_or(facts.clock.utc_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_page_keep_their_digits() {
        for nanos in [0, 1, -1, 1_795_166_400_123_456_789, -1_795_166_400_123_456_789, 1_000_000, i64::MAX / 2] {
            let back = super::nanos(millis(nanos));
            assert!((back - nanos).abs() < 300, "{nanos} {back}");
        }
        assert_eq!(nanos(f64::INFINITY), i64::MAX);
        assert_eq!(nanos(f64::NEG_INFINITY), i64::MIN);
        assert_eq!(nanos(1.5), 1_500_000);
    }
}
