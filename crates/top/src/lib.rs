//! Recordings and the live machine in a terminal: `barograph top`.
//!
//! There is one way to look: at a recording. This machine as it is now is a recording that has not ended, which we make ourselves for as long as we live.

mod app;
mod keys;
mod live;
mod look;
mod reader;
mod scene;
mod screen;
mod table;
mod terminal;
mod timetable;
mod watch;
mod window;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

pub use terminal::end_by;

/// The moment that words such as `10:20` or `+90s` mean, in UTC nanoseconds, or why they mean none. The bounds are the first and last moment of the recording.
pub type Understand = dyn Fn(&str, (i64, i64)) -> Result<i64, String>;

/// What is looked at, and how.
pub struct Settings {
    /// A recording of any state; without one, this machine as it is now.
    pub recording: Option<PathBuf>,
    /// Time between two readings of this machine.
    pub interval: Duration,
    /// Where to begin in a recording, in the words that [`Settings::understand`] knows.
    pub at: Option<String>,
    /// The zone in which times are shown.
    pub zone: TimeZone,
    /// Whether there may be colours.
    pub colours: bool,
    /// How people say when.
    pub understand: Box<Understand>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("recording", &self.recording).field("interval", &self.interval).finish_non_exhaustive()
    }
}

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody is there to look.
    #[error(
        "this needs a terminal to draw on and keys to read; without one, `barograph report` tells of a recording and `barograph snapshot` of this machine"
    )]
    NoTerminal,
    /// The terminal does not do as it is told.
    #[error("the terminal: {0}")]
    Terminal(io::Error),
    /// The recording can't be read.
    #[error(transparent)]
    View(#[from] barograph_view::Error),
    /// This machine can't be recorded.
    #[error("this machine can't be looked at: {0}")]
    Live(String),
    /// The time to begin at is none.
    #[error("{0}")]
    Moment(String),
    /// A thread of ours has failed, and has said why.
    #[error("a part of the program has failed; please report this")]
    Failed,
}

/// Shows it until somebody quits. Returns the signal that asked us to end, if one did; everything is put back by then.
pub fn run(settings: Settings) -> Result<Option<i32>, Error> {
    Ok(match watch::watch(settings)? {
        watch::Ended::Signal(signal) => Some(signal),
        watch::Ended::Quit => None,
    })
}
