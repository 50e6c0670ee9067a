//! Lines of Python programs: having them looked at, and what a reader of the recording should know of that.

use std::sync::Arc;

use barograph_record::{Panel, Recorder};
use barograph_sources::Machine;
use barograph_store::Notice;

/// Of some readings of stacks that failed, as some always do.
pub const LINES_FAILED: &str = "lines_failed";

/// Has the recorder look at lines so many times a second, if at all. Without the feature `lines` nobody looks.
pub fn watch_lines(recorder: &mut Recorder, machine: &Arc<Machine>, hertz: Option<u32>) {
    #[cfg(feature = "lines")]
    if let Some(hertz) = hertz {
        recorder.watch_lines(machine, hertz);
    }
    #[cfg(not(feature = "lines"))]
    let _ = (recorder, machine, hertz);
}

/// What one should know of the lines that were looked at.
#[cfg(feature = "lines")]
pub fn line_notices(panel: &Panel) -> Vec<Notice> {
    let Some(status) = panel.line_status() else { return Vec::new() };
    let why = status.why.map(|why| format!("; the last: {why}")).unwrap_or_default();
    let all = [
        ("lines_denied", status.denied, format!("this user may not read the stacks of Python processes{why}")),
        ("lines_unreadable", status.unreadable, format!("Python processes whose stacks could not be read{why}")),
        (LINES_FAILED, status.failed, format!("of {} readings of stacks, which the program changed meanwhile", status.samples)),
    ];
    all.into_iter().filter(|(_, count, _)| *count > 0).map(|(name, count, detail)| Notice { name: name.to_owned(), detail, count }).collect()
}

/// What one should know of the lines that were looked at: nothing, as nobody looks.
#[cfg(not(feature = "lines"))]
pub fn line_notices(_: &Panel) -> Vec<Notice> {
    Vec::new()
}
