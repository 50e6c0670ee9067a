//! Opening whatever the user names: a recording, or a file that can be read as one.

use std::io::{self, Write};
use std::path::Path;

use barograph_formats::{AsRecording, as_recording};
use barograph_store::Timeline;
use clap::Args;

use crate::human;

/// In which zone the times of a file are that does not say so.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FileZone {
    /// Zone of the times in a file (CSV, JSON lines …) that names none: UTC, Local, or a name such as Europe/Berlin. Without it, UTC.
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
}

/// Opens it. What is returned must live as long as its folder is read.
pub(crate) fn open(path: &Path, zone: &FileZone) -> anyhow::Result<AsRecording> {
    Ok(as_recording(path, zone.zone.as_deref())?)
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
