//! A file system in memory, for tests: it can fail, and its power can be cut at any moment of its past, again and again.
//!
//! A [`TestDisk`] is mounted by FUSE, so what is tested makes its real system calls. It remembers every change and every sync. A [`PowerCut`] then
//! makes any state that a crash may legally leave: what was synced is there; of the rest, anything.

mod history;
mod power_cut;
mod server;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{BackgroundSession, Config, MountOption};
use tempfile::TempDir;

use history::History;
pub use power_cut::{Law, PowerCut};
use server::{Server, State};

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Making a file or folder.
    Create,
    /// Writing to a file.
    Write,
    /// Reading from a file.
    Read,
    /// Syncing a file.
    SyncFile,
    /// Syncing a folder.
    SyncFolder,
    /// Giving a file another name.
    Rename,
}

/// The file system, mounted for as long as this lives.
pub struct TestDisk {
    state: Arc<Mutex<State>>,
    // In this order: a folder can be removed only once nothing is mounted there.
    _session: BackgroundSession,
    folder: TempDir,
}

impl TestDisk {
    /// Mounts an empty one. Only root may, and only where there is /dev/fuse.
    pub fn mount() -> io::Result<TestDisk> {
        let folder = tempfile::tempdir()?;
        let state = Arc::new(Mutex::new(State::default()));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("test-disk".to_owned())];
        let session = fuser::spawn_mount(Server::new(Arc::clone(&state)), folder.path(), &config)?;
        Ok(TestDisk { state, _session: session, folder })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// From now on this operation fails so.
    pub fn fail(&self, operation: Operation, error: io::ErrorKind) {
        self.state().faults.push((operation, error));
    }

    /// From now on nothing fails any more.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// How many changes and syncs it has seen: a moment of its life.
    pub fn moment(&self) -> usize {
        self.state().history.len()
    }

    /// Everything that has happened to it, for its power to be cut in between.
    pub fn history(&self) -> PowerCut {
        PowerCut::new(History::clone(&self.state().history))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
