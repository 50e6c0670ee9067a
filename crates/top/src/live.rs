//! This machine as it is now: a recording like any other, that we make ourselves, where it costs no disk, and that is gone when we are.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use barograph_record::{Options, Until};
use barograph_session::{Session, Settings, Watched};
use barograph_store::{State, Timeline};
use tempfile::TempDir;

use crate::Error;

/// What the folders begin with that we record into.
const PREFIX: &str = "barograph-top-";

/// The recording in such a folder.
const NAME: &str = "machine.baro";

/// A file system with less room than this is none to record into.
const LEAST_ROOM: u64 = 256 << 20;

/// A recording of this machine under way. Dropped, it ends and is removed.
pub(crate) struct Live {
    /// Ends before the folder goes.
    session: Option<Session>,
    folder: TempDir,
}

impl Live {
    /// Begins to record all of the machine.
    pub(crate) fn start(interval: Duration) -> Result<Live, Error> {
        let place = place();
        clear(&place);
        let folder =
            tempfile::Builder::new().prefix(PREFIX).tempdir_in(&place).map_err(|error| Error::Live(format!("{}: {error}", place.display())))?;
        let settings = Settings {
            watched: Watched::Machine,
            path: Some(folder.path().join(NAME)),
            // What is read is to be seen at once.
            options: Options { interval, write_interval: interval, dense_start: true, until: Until::Stopped, duration: None, max_overhead: None },
            beacon: false,
            process_memory: false,
            ..Settings::default()
        };
        let session = Session::start(settings).map_err(|error| Error::Live(error.to_string()))?;
        Ok(Live { session: Some(session), folder })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It goes anyway, whatever became of it.
        drop(self.session.take());
    }
}

/// A file system in memory that is private to us or at least has room, or else where temporary files go.
fn place() -> PathBuf {
    let of_user = env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let candidates = of_user.into_iter().chain([PathBuf::from("/dev/shm")]);
    candidates.into_iter().find(|folder| has_room(folder)).unwrap_or_else(env::temp_dir)
}

fn has_room(folder: &Path) -> bool {
    let room = rustix::fs::statvfs(folder).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    room.is_ok_and(|bytes| bytes >= LEAST_ROOM) && rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Removes what is left of those of us that were killed: our own folders with a recording that nobody writes any more.
fn clear(place: &Path) {
    let own = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let is_own = || fs::symlink_metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == own);
        let is_dead = || Timeline::open(entry.path().join(NAME)).is_ok_and(|timeline| timeline.state() == State::Interrupted);
        if is_ours && is_own() && is_dead() {
            // Another one of us may be faster.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_records_while_it_lives_and_leaves_nothing() {
        let live = Live::start(Duration::from_millis(100)).unwrap();
        let path = live.path();
        assert_eq!(Timeline::open(&path).unwrap().state(), State::Live);
        let folder = path.parent().unwrap().to_owned();
        drop(live);
        assert!(!folder.exists());
    }
}
