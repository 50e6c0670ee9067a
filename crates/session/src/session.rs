//! A recording that a program makes of itself, or of others, on a thread.
//!
//! Nothing of the process is touched: neither its signals, nor its children, nor its allocator. All that is recorded is read and written by threads of the
//! session, which block every signal and use no lock that the program can see, so that a program may fork at any moment: the child has no recording under
//! way, can't disturb its parent's, and may begin one of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, mem};

use barograph_record::{Change, Condition, Handle, Options, Outcome, Panel, PanelOptions, Recorder, Until};
use barograph_sources::{Choice, Machine, Roots};
use barograph_store::{self as store, Recording, Totals};

use crate::{Subject, default_path, end_recording, facts, folder_name, line_notices, listen, open_beacon, totals, watch_lines};

/// What a session records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// This process and all its descendants.
    ThisProgram,
    /// These processes and all their descendants.
    Processes(Vec<u32>),
    /// The whole machine.
    Machine,
}

/// How it is recorded.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is recorded.
    pub watched: Watched,
    /// Where: the folder, to which `.baro` is added if it does not end so. Without it, a folder is named after the program and the time. A name that is
    /// taken gets a number.
    pub path: Option<PathBuf>,
    /// Replace a recording of that name, unless it is being written.
    pub force: bool,
    /// When to read and to write, and when to end.
    pub options: Options,
    /// Which processes get rows of their own; without it, those of the job, or for the machine all.
    pub processes: Option<Choice>,
    /// Sources of the machine that are not read, by name, such as `disk`.
    pub without: Vec<String>,
    /// Conditions whose begin and end are marked.
    pub mark_when: Vec<Condition>,
    /// Whether to listen to what programs say of themselves: marks, spans and gauges.
    pub beacon: bool,
    /// Whether memory with shared pages told apart (PSS) is read for the job, now and then.
    pub process_memory: bool,
    /// How often in a second the lines of Python programs are looked at, if at all; without the feature `lines` nobody looks.
    pub lines: Option<u32>,
}

impl Default for Settings {
    /// This program, each second, until it is stopped.
    fn default() -> Settings {
        let options = Options {
            interval: Duration::from_secs(1),
            dense_start: true,
            write_interval: Duration::from_secs(10),
            until: Until::Stopped,
            duration: None,
            max_overhead: None,
        };
        Settings {
            watched: Watched::ThisProgram,
            path: None,
            force: false,
            options,
            processes: None,
            without: Vec::new(),
            mark_when: Vec::new(),
            beacon: true,
            process_memory: true,
            lines: None,
        }
    }
}

/// Why there is no recording, or no more of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It could not begin.
    #[error("nothing is recorded: {0}")]
    NotStarted(String),
    /// Not all of it could be written.
    #[error("the recording {} is not complete: {why}", path.display())]
    Incomplete {
        /// The recording.
        path: PathBuf,
        /// What went wrong.
        why: String,
    },
    /// It can't be recorded so.
    #[error("{0}")]
    Refused(String),
    /// It has ended, and can read nothing more.
    #[error("the recording has ended")]
    Ended,
    /// This process was forked from the one that records.
    #[error("this process records nothing: it was forked from the one that does")]
    Forked,
}

/// What a recording came to.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Where it is.
    pub path: PathBuf,
    /// What the recorder says.
    pub outcome: Outcome,
    /// The sums.
    pub totals: Totals,
}

/// A recording under way. It ends when it is stopped or dropped; if the process ends before, it is one that was cut off.
pub struct Session {
    /// `None` only while it is dropped.
    inner: Option<Inner>,
}

struct Inner {
    handle: Handle,
    path: PathBuf,
    id: String,
    beacon: Option<String>,
    has_ended: Arc<AtomicBool>,
    end: Mutex<Ending>,
}

#[allow(clippy::large_enum_variant, reason = "there is one, and it is never moved about")]
enum Ending {
    Due(JoinHandle<Result<Ended, Error>>),
    Seen(Result<Ended, Error>),
}

/// What the thread says once it has read everything for the first time.
struct Begun {
    handle: Handle,
    path: PathBuf,
    id: String,
    beacon: Option<String>,
}

impl Session {
    /// Begins to record. When this returns, everything has been read once, and the recording's folder is there.
    pub fn start(settings: Settings) -> Result<Session, Error> {
        let (ready, begun) = channel();
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&has_ended);
        let work = move || {
            let end = record(settings, &ready);
            ended.store(true, Ordering::Release);
            end
        };
        let refused = |error: io::Error| Error::NotStarted(format!("there is no thread to be had: {error}"));
        let thread = thread::Builder::new().name("barograph".to_owned()).spawn(work).map_err(refused)?;
        let Ok(Begun { handle, path, id, beacon }) = begun.recv() else { return Err(see_end(thread).err().unwrap_or(Error::Ended)) };
        Ok(Session { inner: Some(Inner { handle, path, id, beacon, has_ended, end: Mutex::new(Ending::Due(thread)) }) })
    }

    /// Whether it is still recording. Not so in a process that was forked from the one that is.
    pub fn is_running(&self) -> bool {
        self.inner().is_ok_and(|inner| !inner.has_ended.load(Ordering::Acquire))
    }

    /// Whether this process was forked from the one that records. Nothing that may be shared with that is touched then.
    pub fn is_forked(&self) -> bool {
        self.inner().is_err()
    }

    /// Where it records: under the name that the recording got.
    pub fn path(&self) -> &Path {
        self.inner.as_ref().map_or(Path::new(""), |inner| &inner.path)
    }

    /// The id of the recording.
    pub fn id(&self) -> &str {
        self.inner.as_ref().map_or("", |inner| &inner.id)
    }

    /// Where programs can say what they are doing, as `BAROGRAPH_BEACON` has it.
    pub fn beacon(&self) -> Option<&str> {
        self.inner.as_ref()?.beacon.as_deref()
    }

    /// Reads everything now. When this returns, whoever opens the recording sees it.
    pub fn snapshot_now(&self) -> Result<(), Error> {
        let inner = self.inner()?;
        match inner.handle.read_now() {
            None => Err(Error::Ended),
            Some(Ok(())) => Ok(()),
            Some(Err(why)) => Err(Error::Incomplete { path: inner.path.clone(), why }),
        }
    }

    /// Records otherwise from now on: faster, slower, more or less. The recording says so.
    pub fn set(&self, change: Change) -> Result<(), Error> {
        self.inner()?.handle.set(change).ok_or(Error::Ended)?.map_err(Error::Refused)
    }

    /// Somebody looks at the recording: for the next ten seconds it is published every second.
    pub fn watched(&self) -> Result<(), Error> {
        self.inner()?.handle.watched();
        Ok(())
    }

    /// Reads everything once more, writes the end and waits until all is on disk. Asked again, it says the same again.
    pub fn stop(&self) -> Result<Ended, Error> {
        self.stop_because("stopped")
    }

    /// The same, for a reason that the recording then gives.
    pub fn stop_because(&self, why: &str) -> Result<Ended, Error> {
        self.inner()?.handle.stop(why);
        self.wait()
    }

    /// Waits until the recording ends, as one with a duration or of other processes may by itself.
    pub fn wait(&self) -> Result<Ended, Error> {
        let mut end = self.inner()?.end.lock().unwrap_or_else(PoisonError::into_inner);
        *end = match mem::replace(&mut *end, Ending::Seen(Err(Error::Ended))) {
            Ending::Due(thread) => Ending::Seen(see_end(thread)),
            seen @ Ending::Seen(_) => seen,
        };
        match &*end {
            Ending::Seen(end) => end.clone(),
            Ending::Due(_) => Err(Error::Ended),
        }
    }

    /// What may be touched in the process that records, and in no other: a lock may have been held, and a thread lived, that are not in a forked child.
    fn inner(&self) -> Result<&Inner, Error> {
        self.inner.as_ref().filter(|inner| inner.handle.is_in_its_process()).ok_or(Error::Forked)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.inner().is_ok() {
            // Who wants to know how it ended stops it himself.
            let _ = self.stop();
        } else {
            mem::forget(self.inner.take());
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("path", &self.path()).field("is_running", &self.is_running()).finish_non_exhaustive()
    }
}

fn see_end(thread: JoinHandle<Result<Ended, Error>>) -> Result<Ended, Error> {
    thread.join().unwrap_or_else(|_| Err(Error::NotStarted("the recorder has failed; please report this".to_owned())))
}

/// The work of the session's thread, from the first reading to the end of the recording.
fn record(settings: Settings, ready: &Sender<Begun>) -> Result<Ended, Error> {
    let Settings { watched, path, force, options, processes, without, mark_when, beacon, process_memory, lines } = settings;
    let failed = |error: &dyn std::error::Error| Error::NotStarted(error.to_string());
    let machine = Arc::new(Machine::open(Roots::default()).map_err(|fault| failed(&fault))?);
    let subject = match &watched {
        Watched::ThisProgram => Subject::ThisProgram,
        Watched::Processes(pids) => Subject::Processes(pids),
        Watched::Machine => Subject::Machine { until_exit: &[] },
    };
    let watch = subject.watch(processes.as_ref());
    let panel_options = PanelOptions { watch, process_memory: process_memory && subject.has_job(), fast: false, without };
    let panel = Panel::open(&machine, panel_options).map_err(|fault| failed(&fault))?;
    let (mut recorder, handle) = Recorder::within(panel, options).map_err(|error| failed(&error))?;
    recorder.mark_when(&mark_when).map_err(Error::NotStarted)?;
    let heard = listen(&mut recorder, open_beacon(beacon));
    let root = subject.attach(&mut recorder);
    watch_lines(&mut recorder, &machine, lines);
    let mut facts = facts(&machine, &mut recorder, &subject, processes.as_ref(), &options, root);
    facts.sources.insert("beacon".to_owned(), heard);
    let path = path.map_or_else(|| default_path(&machine, &subject), |path| folder_name(&path));
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        // Should this fail, the next step says why.
        let _ = std::fs::create_dir_all(parent);
    }
    let store_options = store::Options { force, suffix: !force };
    let recording = Recording::create(path, facts, store_options).map_err(|error| failed(&error))?;
    let (path, facts) = (recording.folder().to_owned(), recording.facts());
    let begun = Begun { handle, path: path.clone(), id: facts.id.clone(), beacon: facts.beacon.clone() };
    if ready.send(begun).is_err() {
        return Err(Error::Ended);
    }
    let (outcome, recording) = recorder.run(recording, || None);
    let of_lines = line_notices(recorder.panel());
    let totals = totals(&outcome, subject.has_job());
    let incomplete = |why: String| Error::Incomplete { path: path.clone(), why };
    let mut recording = recording.ok_or_else(|| incomplete("the thread that writes it failed; please report this".to_owned()))?;
    recording.facts_mut().processes.fast = Some(recorder.panel().processes().fast_status());
    recording.facts_mut().notices.extend(of_lines);
    end_recording(&mut recording, &outcome, totals, &machine).map_err(|error| incomplete(error.to_string()))?;
    Ok(Ended { path, outcome, totals })
}
