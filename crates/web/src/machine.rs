//! The recording of this machine that is made for the page while the server lives: the last hours, in a temporary folder that is removed at the end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use barograph_session::{Rolling, Settings, Turn, Watched};

/// What the folders are called; behind it stands a random word.
const PREFIX: &str = "barograph-view-";

/// How often it is read and written.
const INTERVAL: Duration = Duration::from_secs(1);

/// This machine, as it is being recorded. Dropped, it ends and is removed.
#[derive(Debug)]
pub(crate) struct Machine {
    recording: Rolling,
    /// Dropped after the recording.
    folder: tempfile::TempDir,
}

impl Machine {
    /// Begins. When this returns, everything has been read once.
    pub(crate) fn start() -> Result<Machine, String> {
        let temporary = std::env::temp_dir();
        Rolling::sweep(&temporary, PREFIX);
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(&temporary);
        let folder = folder.map_err(|error| format!("{}: {error}", temporary.display()))?;
        // Scripts would find two recorders by a beacon, and not know whom to tell.
        let mut settings = Settings { watched: Watched::Machine, beacon: false, ..Settings::default() };
        settings.options.interval = INTERVAL;
        settings.options.write_interval = INTERVAL;
        let recording = Rolling::start(folder.path(), settings).map_err(|error| error.to_string())?;
        Ok(Machine { recording, folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.recording.path()
    }

    /// Does what is due, so that it takes no more room for ever.
    pub(crate) fn turn(&mut self, now: Instant) -> Turn {
        self.recording.turn(now)
    }

    /// Ends the recording and removes it.
    pub(crate) fn end(self) {
        self.recording.end();
        // What can't be removed is swept by the next of us.
        let _ = self.folder.close();
    }
}
