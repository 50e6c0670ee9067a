//! The terms of a recording: how it is made, when it ends, and what it came to.

use std::time::Duration;

use barograph_model::Moment;
use barograph_sources::{Exit, Faults, JobTotals};

use crate::beacon::Heard;
use crate::job::JobEnd;

/// How it is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Time between ticks.
    pub interval: Duration,
    /// Whether the first ticks come faster.
    pub dense_start: bool,
    /// Time between publishing what was read: the most that a crash can lose.
    pub write_interval: Duration,
    /// What ends it.
    pub until: Until,
    /// Ends it after this time, whatever else.
    pub duration: Option<Duration>,
    /// What the recorder may cost, in cores: 0.01 is a hundredth of one. Above, it does without what is dear.
    pub max_overhead: Option<f64>,
}

/// When a recording ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When the command, or all attached processes, have ended.
    Root,
    /// When none of their descendants lives any more.
    Tree,
    /// When somebody says so.
    Stopped,
}

/// Why a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The job has ended.
    JobEnded,
    /// The time that was asked for is over.
    Duration,
    /// This signal asked us to stop.
    Signal(i32),
    /// What is asked at every tick said so.
    Asked(String),
}

/// What a recording came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// When the job, or without one the recording, began.
    pub began: Moment,
    /// When the last rows were read.
    pub ended: Moment,
    /// Why it ended.
    pub reason: Reason,
    /// How the command ended; `None` while it still runs, or where there was none.
    pub job_end: Option<JobEnd>,
    /// The command's and its collected descendants' CPU time and peak, as wait4(2) tells them.
    pub exit: Option<Exit>,
    /// Sums over the job.
    pub totals: JobTotals,
    /// Ticks read.
    pub ticks: u64,
    /// Ticks that were left out.
    pub missed_ticks: u64,
    /// Rows that could not be written.
    pub rows_lost: u64,
    /// Readings that failed, by kind.
    pub faults: Faults,
    /// The last thing that went wrong with writing.
    pub write_error: Option<String>,
    /// What programs said at the beacon.
    pub heard: Heard,
    /// The most that the recorder had to do without to cost no more than it may.
    pub done_without: Option<&'static str>,
}
