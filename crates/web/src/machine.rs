//! The recording of this machine that is made for the page while the server lives: in a temporary folder, removed at the end.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use barograph_session::{Session, Settings, Watched};
use barograph_store::{State, Timeline};
use rustix::process::geteuid;

/// What the folders are called; behind it stands a random word.
const PREFIX: &str = "barograph-view-";

/// How often it is read and written.
const INTERVAL: Duration = Duration::from_secs(1);

/// This machine, as it is being recorded. Dropped, it ends and is removed.
#[derive(Debug)]
pub(crate) struct Machine {
    session: Session,
    /// Dropped after the session.
    folder: tempfile::TempDir,
}

impl Machine {
    /// Begins. When this returns, everything has been read once.
    pub(crate) fn start() -> Result<Machine, String> {
        let temporary = std::env::temp_dir();
        sweep(&temporary);
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(&temporary);
        let folder = folder.map_err(|error| format!("{}: {error}", temporary.display()))?;
        let mut settings = Settings {
            watched: Watched::Machine,
            path: Some(folder.path().join("machine.baro")),
            // Scripts would find two recorders, and not know whom to tell.
            beacon: false,
            ..Settings::default()
        };
        settings.options.interval = INTERVAL;
        settings.options.write_interval = INTERVAL;
        let session = Session::start(settings).map_err(|error| error.to_string())?;
        Ok(Machine { session, folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.session.path()
    }

    /// Ends the recording and removes it.
    pub(crate) fn end(self) {
        // What it came to interests nobody: it goes with its folder.
        let _ = self.session.stop();
        let _ = self.folder.close();
    }
}

/// Removes what servers of this user left behind that were killed.
fn sweep(temporary: &Path) {
    let is_ours = |path: &PathBuf| {
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        named && fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw())
    };
    for path in fs::read_dir(temporary).into_iter().flatten().flatten().map(|entry| entry.path()).filter(is_ours) {
        // One that has no recording yet is just beginning.
        if Timeline::open(path.join("machine.baro")).is_ok_and(|timeline| timeline.state() != State::Live) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_writes_is_swept() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let folder = place.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let (beginning, foreign, live) = (make("barograph-view-a"), make("other"), make("barograph-view-b"));
        let record = |folder: &Path| {
            let settings = Settings { watched: Watched::Machine, path: Some(folder.join("machine.baro")), beacon: false, ..Settings::default() };
            Session::start(settings).unwrap()
        };
        let session = record(&live);
        sweep(place.path());
        assert!(beginning.exists() && foreign.exists() && live.exists());
        session.stop().unwrap();
        sweep(place.path());
        assert!(beginning.exists() && foreign.exists() && !live.exists());
    }
}
