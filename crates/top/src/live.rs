//! This machine as it is now: a recording like any other, that we make ourselves, where it costs no disk, and that is gone when we are.

use std::env;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use barograph_record::{Options, Until};
use barograph_session::{Rolling, Settings, Turn, Watched};
use tempfile::TempDir;

use crate::Error;

/// What the folders begin with that we record into.
const PREFIX: &str = "barograph-top-";

/// A file system with less room than this is none to record into.
const LEAST_ROOM: u64 = 256 << 20;

/// A recording of this machine under way. Dropped, it ends and is removed.
pub(crate) struct Live {
    /// Ends before the folder goes.
    recording: Rolling,
    _folder: TempDir,
}

impl Live {
    /// Begins to record all of the machine.
    pub(crate) fn start(interval: Duration) -> Result<Live, Error> {
        let place = place();
        Rolling::sweep(&place, PREFIX);
        let folder =
            tempfile::Builder::new().prefix(PREFIX).tempdir_in(&place).map_err(|error| Error::Live(format!("{}: {error}", place.display())))?;
        let settings = Settings {
            watched: Watched::Machine,
            // What is read is to be seen at once.
            options: Options { interval, write_interval: interval, dense_start: true, until: Until::Stopped, duration: None, max_overhead: None },
            beacon: false,
            process_memory: false,
            ..Settings::default()
        };
        let recording = Rolling::start(folder.path(), settings).map_err(|error| Error::Live(error.to_string()))?;
        Ok(Live { recording, _folder: folder })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.recording.path()
    }

    /// Does what is due, so that it takes no more room for ever. Says whether the recording is another one now.
    pub(crate) fn turn(&mut self, now: Instant) -> bool {
        matches!(self.recording.turn(now), Turn::Taken(_))
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

#[cfg(test)]
mod tests {
    use barograph_store::{State, Timeline};

    use super::*;

    #[test]
    fn it_records_while_it_lives_and_leaves_nothing() {
        let live = Live::start(Duration::from_millis(100)).unwrap();
        let path = live.path().to_owned();
        assert_eq!(Timeline::open(&path).unwrap().state(), State::Live);
        let folder = path.ancestors().nth(2).unwrap().to_owned();
        assert!(folder.file_name().unwrap().to_str().unwrap().starts_with(PREFIX));
        drop(live);
        assert!(!folder.exists());
    }
}
