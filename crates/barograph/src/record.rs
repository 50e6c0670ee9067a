//! A recorder within the program, and recordings opened.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("run");
//! use std::time::Duration;
//!
//! let recorder = barograph::record::Recorder::builder().interval(Duration::from_millis(50)).path(path).start()?;
//! {
//!     let _span = barograph::span!("work");
//!     std::thread::sleep(Duration::from_millis(120));
//! }
//! let ended = recorder.stop()?;
//! println!("{:?} of CPU time, in {}", ended.totals.user_seconds, ended.path.display());
//!
//! let recording = barograph::record::open(&ended.path)?;
//! let job = recording.frame("job", &barograph::record::Query::all())?;
//! assert!(job.len() >= 2);
//! # Ok(())
//! # }
//! ```
//!
//! It records this process and all its descendants, and the machine, as `barograph run` does, on threads of its own. Signals, children and allocator of
//! the program are left as they are. In a forked child it does not run, and one may be started there.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use barograph_beacon::{self as beacon, Address, BEACON_VARIABLE, RECORDING_VARIABLE};
use barograph_model::Batch;
use barograph_record::Until;
use barograph_session::{Session, Settings, Watched};
use barograph_sources::{Machine, Roots, Select};

pub use barograph_session::{Ended, Error, Node};
pub use barograph_sources::{Choice, Fault};
pub use barograph_store::{Facts, Frame, Query, State, Timeline, Totals};

/// How long the end waits for what the program said last to be heard.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// Whom the macros speak to, if it is a recorder of this process.
static LISTENER: Mutex<Option<String>> = Mutex::new(None);

/// A recorder of this program, within it. It stops when it is dropped; a program that ends without that leaves a recording that was cut off.
#[derive(Debug)]
pub struct Recorder {
    session: Session,
}

/// How a [`Recorder`] is to record.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is recorded before `start`"]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// Time between two readings; a second if nothing is said.
    pub fn interval(mut self, interval: Duration) -> Builder {
        self.settings.options.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Time between two writes to disk, the most that a crash can lose; ten seconds if nothing is said.
    pub fn write_interval(mut self, interval: Duration) -> Builder {
        self.settings.options.write_interval = interval;
        self
    }

    /// Where to record: the name of a folder, to which `.baro` is added if it does not end so. Without it, the folder is called after the program and the
    /// time, in `$BAROGRAPH_DIR` or here. A name that is taken gets a number.
    pub fn path(mut self, path: impl Into<PathBuf>) -> Builder {
        self.settings.path = Some(path.into());
        self
    }

    /// Replace a recording of that name.
    pub fn force(mut self, force: bool) -> Builder {
        self.settings.force = force;
        self
    }

    /// End by itself after this time.
    pub fn duration(mut self, duration: Duration) -> Builder {
        self.settings.options.duration = Some(duration);
        self
    }

    /// Which processes get rows of their own, as `--processes` of the program has it; those of this program if nothing is said.
    pub fn processes(mut self, choice: Choice) -> Builder {
        self.settings.processes = Some(choice);
        self
    }

    /// What recording may cost, in cores: 0.01 is a hundredth of one. Above, it does without what is dear.
    pub fn max_overhead(mut self, cores: f64) -> Builder {
        self.settings.options.max_overhead = Some(cores);
        self
    }

    /// Record these processes and their descendants, and not this program, until they have all ended.
    pub fn attach(mut self, pids: impl IntoIterator<Item = u32>) -> Builder {
        self.settings.watched = Watched::Processes(pids.into_iter().collect());
        self.settings.options.until = Until::Tree;
        self
    }

    /// Record the whole machine, and not this program alone.
    pub fn machine(mut self) -> Builder {
        self.settings.watched = Watched::Machine;
        self
    }

    /// Begins. When this returns, everything was read once, and what the program says from now on is heard.
    pub fn start(self) -> Result<Recorder, Error> {
        let session = Session::start(self.settings)?;
        if let Some(address) = session.beacon() {
            let mut listener = LISTENER.lock().unwrap_or_else(PoisonError::into_inner);
            if Address::parse(address.as_ref()).is_some_and(beacon::connect_to) {
                *listener = Some(address.to_owned());
            }
        }
        Ok(Recorder { session })
    }
}

impl Recorder {
    /// A recorder of this program, each second, to be made otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it records: under the name that the recording got.
    pub fn path(&self) -> &Path {
        self.session.path()
    }

    /// The id of the recording.
    pub fn id(&self) -> &str {
        self.session.id()
    }

    /// Whether it is still recording. Not so in a child that was forked from this process.
    pub fn is_running(&self) -> bool {
        self.session.is_running()
    }

    /// Reads everything now. When this returns, whoever opens the recording sees it, and all that this program has said before.
    pub fn snapshot(&self) -> Result<(), Error> {
        beacon::flush(LAST_WORDS);
        self.session.snapshot_now()
    }

    /// Variables for the environment of a child, by which it finds this recorder: `Command::new("…").envs(recorder.environment())`.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let address = self.session.beacon().map(|address| (BEACON_VARIABLE, address.to_owned()));
        address.into_iter().chain([(RECORDING_VARIABLE, self.id().to_owned())]).collect()
    }

    /// Reads everything once more, writes the end, and waits until all is on disk.
    pub fn stop(&self) -> Result<Ended, Error> {
        self.hush();
        self.session.stop()
    }

    /// Waits until it ends by itself.
    pub fn wait(&self) -> Result<Ended, Error> {
        let ended = self.session.wait();
        self.hush();
        ended
    }

    /// What is said from now on is for whoever listened before, if anybody did.
    fn hush(&self) {
        // A forked child speaks to its parent's recorder, and must not wait for a lock that a thread of the parent had.
        if self.session.is_forked() {
            return;
        }
        let mut listener = LISTENER.lock().unwrap_or_else(PoisonError::into_inner);
        if listener.as_deref() == self.session.beacon() && listener.take().is_some() {
            beacon::flush(LAST_WORDS);
            match env::var_os(BEACON_VARIABLE).and_then(|address| Address::parse(&address)) {
                Some(address) => _ = beacon::connect_to(address),
                None => beacon::disconnect(),
            }
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.hush();
    }
}

/// Opens a recording, whether it has ended, is being made, or was cut off.
pub fn open(path: impl AsRef<Path>) -> Result<Timeline, barograph_store::Error> {
    Timeline::open(path)
}

/// Reads everything once: a batch for each table, all processes of the machine among them.
pub fn snapshot() -> Result<Vec<Batch>, Fault> {
    barograph_session::snapshot(&machine()?, Select::Everyone)
}

/// A process and all its descendants, watched for so long. Empty if it has ended meanwhile.
pub fn tree(pid: u32, sample: Duration) -> Result<Vec<Node>, Fault> {
    barograph_session::tree(&machine()?, vec![pid], sample)
}

fn machine() -> Result<Arc<Machine>, Fault> {
    Machine::open(Roots::default()).map(Arc::new)
}
