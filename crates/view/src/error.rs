//! What can go wrong when something is looked at: each error says what to do.

/// Why something can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The recording can't be read.
    #[error(transparent)]
    Store(#[from] barograph_store::Error),
    /// The window has no time in it.
    #[error("the time that is asked for ends before it begins")]
    Window,
    /// The recording has no such table.
    #[error("there is no table `{table}`; this recording has {}", listed(known))]
    NoTable {
        /// What was asked for.
        table: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The table has no such column of numbers.
    #[error("table `{table}` has no column of numbers `{column}`; it has {}", listed(known))]
    NoColumn {
        /// The table.
        table: String,
        /// What was asked for.
        column: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Nothing to show was named.
    #[error("no column of table `{table}` was named")]
    NoColumns {
        /// The table.
        table: String,
    },
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { "none yet".to_owned() } else { known.join(", ") }
}
