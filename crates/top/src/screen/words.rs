//! What is said where there is nothing to show.

/// At a moment without processes.
pub(super) const NO_PROCESSES: &str = "no process is recorded at this moment";
