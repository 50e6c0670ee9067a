//! A program's own words in the recording of what it does to its machine.
//!
//! While `barograph run -- ./program` records, or a [`Recorder`](record::Recorder) within the program does, it can say what it is doing: moments
//! ([`mark!`]), blocks of code ([`span!`], [`macro@profile`], [`task!`]), and numbers of its own ([`gauge!`]). They stand beside what the machine was
//! doing, and every span comes back with what it cost. Where nobody records, each is one comparison.
//!
//! ```
//! #[barograph::profile]
//! fn load(path: &str) -> std::io::Result<String> {
//!     std::fs::read_to_string(path)
//! }
//!
//! let span = barograph::span!("start", attempt = 1);
//! if let Err(error) = load("settings.toml") {
//!     barograph::mark!("no settings", error = %error);
//! }
//! drop(span);
//! barograph::gauge!("queue length", 7);
//! ```
//!
//! ```sh
//! barograph run -o job.baro -- ./program
//! barograph report job.baro
//! ```
//!
//! # Features
//!
//! | feature | what for | what it brings |
//! |---|---|---|
//! | (none) | marks, spans, gauges | `rustix` |
//! | `macros` (default) | [`macro@profile`] | `syn`, while compiling |
//! | `tracing` | [`tracing::layer`] | `tracing-core`, `tracing-subscriber` without its features |
//! | `record` | [`record`]: a recorder within the program, and recordings opened | `arrow`, `parquet` |
//!
//! # What it does not do
//!
//! It never waits, prints or panics, and starts no thread (but for a [`Recorder`](record::Recorder), which is asked to). If more is said than the
//! recorder takes, the rest is dropped, counted, and told in the report. Ids are the process's own: threads, tasks, recursion and forked children are
//! never confused.
#![cfg_attr(
    not(all(feature = "macros", feature = "record", feature = "tracing")),
    allow(rustdoc::broken_intra_doc_links, reason = "this page speaks of all features, and is made with all of them")
)]

mod macros;
#[cfg(feature = "record")]
pub mod record;
mod span;
mod stack;
#[cfg(feature = "tracing")]
pub mod tracing;

#[doc(hidden)]
pub use macros::support as macro_support;

pub use barograph_beacon::{SpanId, Value, flush, is_on};
pub use macros::Attribute;
pub use span::{Span, Task, current};

/// Makes a span of every call of a function.
///
/// The span is called as the function is, or `#[profile("so")]`. Attributes follow as in [`span!`], and may speak of the arguments:
/// `#[profile("load", file = path)]`, `#[profile(rows = table.len())]`.
///
/// If the return type is written as some `Result` (`Result<T, E>`, `io::Result<T>` …), what the function returns is looked at, and an `Err` ends the span
/// in an error, told by its `Display`, or else by its `Debug` (of a type parameter, by what its bounds promise). A panic ends it in an error too. Anything
/// else is `ok`.
///
/// Of an asynchronous function the span is one for each call, from its first turn to its last; its CPU time is that of its turns. A call that is dropped
/// before it has finished ends in an error.
///
/// ```
/// # struct Table;
/// # impl Table { fn rows(&self) -> usize { 3 } }
/// #[barograph::profile("sum", rows = table.rows())]
/// fn sum(table: &Table) -> usize {
///     table.rows()
/// }
///
/// #[barograph::profile(url)]
/// async fn fetch(url: &str) -> Result<Vec<u8>, std::io::Error> {
///     Err(std::io::ErrorKind::NotFound.into())
/// }
/// # assert_eq!(sum(&Table), 3);
/// # let _ = fetch("a");
/// ```
#[cfg(feature = "macros")]
pub use barograph_macros::profile;
