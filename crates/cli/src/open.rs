//! Opening whatever the user names: a recording, or a file that can be read as one.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use barograph_formats::{AsRecording, as_recording, leave_nothing};
use barograph_session::is_ignored;
use barograph_store::Timeline;
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;

use crate::human;

/// In which zone the times of a file are that does not say so.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FileZone {
    /// Zone of the times in a file (CSV, JSON lines …) that names none: UTC, Local, or a name such as Europe/Berlin. Without it, UTC.
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
}

/// Opens it. What is returned must live as long as its folder is read. From the first file on, a signal that ends us leaves nothing of what was made of it.
pub(crate) fn open(path: &Path, zone: &FileZone) -> anyhow::Result<AsRecording> {
    if path.is_file() {
        tidy_at_signals()?;
    }
    Ok(as_recording(path, zone.zone.as_deref())?)
}

/// Who hears signals for us, once a file has been opened.
static HEARING: Mutex<Option<Handle>> = Mutex::new(None);

/// Hears the signals that end a program, unless whoever started us wants them to be ignored.
fn tidy_at_signals() -> io::Result<()> {
    let mut hearing = HEARING.lock().unwrap_or_else(PoisonError::into_inner);
    if hearing.is_some() {
        return Ok(());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal)))?;
    *hearing = Some(signals.handle());
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in &mut signals {
            leave_nothing();
            // Should that not be possible, an ordinary end has to do.
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// From now on somebody else hears them, who lets go of what was opened before the program ends.
#[cfg(any(feature = "top", feature = "web"))]
pub(crate) fn leave_signals() {
    if let Some(hearing) = HEARING.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        hearing.close();
    }
}

/// Says on stderr what had to be assumed about a file, for a command that does not show the notices of what it opens.
pub(crate) fn tell_notices(opened: &AsRecording) {
    for notice in opened.notices() {
        let times = if notice.count > 1 { format!(" ({} times)", human::count(notice.count as f64)) } else { String::new() };
        // Nobody to hear it is no failure.
        let _ = writeln!(io::stderr(), "barograph: {}{times}", human::escape(&notice.detail));
    }
}

/// What was opened, as the user named it.
pub(crate) fn shown_path(timeline: &Timeline) -> String {
    timeline.facts().file().map_or_else(|| timeline.folder().display().to_string(), human::escape)
}
