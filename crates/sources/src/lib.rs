//! What is true right now: one file for each source of numbers.
//!
//! Every source's file has its rooms in the same order: sentence, `table!`, open, read, parse, tests. Reading gives bytes, parsing is pure, and nothing
//! opens a path but [`Machine`]. To add a source: its file, and one line in [`SOURCES`].

mod fault;
#[cfg(all(any(test, feature = "fuzzing"), target_os = "linux"))]
#[doc(hidden)]
pub mod fuzzing;
mod machine;
mod scan;
mod shared;
mod source;

#[cfg(target_os = "linux")]
#[path = "linux/mod.rs"]
mod platform;

pub use fault::{Fault, FaultKind, Faults};
pub use machine::{KeptFile, Machine, Root, Roots};
pub use platform::*;
pub use source::{Cadence, Entry, Open, Source};
