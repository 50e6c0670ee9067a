//! How a recorder records, which may be changed while it goes on.

/// What a recorder does from some moment on, for the facts of its recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setup {
    /// Seconds between two ticks.
    pub interval_seconds: f64,
    /// The longest that was ever so: what was read at that pace has no gaps by that alone.
    pub longest_interval_seconds: f64,
    /// Seconds between two writes to disk.
    pub write_interval_seconds: f64,
    /// Which processes have rows: `tree`, `all`, `top:10` …
    pub processes: String,
    /// What that leaves out, in words.
    pub left_out: Option<String>,
    /// Each source by name: `ok`, or why it gives nothing.
    pub sources: Vec<(String, String)>,
    /// The conditions whose begin and end are marked.
    pub mark_when: Vec<String>,
}
