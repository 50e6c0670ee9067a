//! The sources of Linux, in the order in which they are read, shown and documented.

mod memory;

use crate::Entry;

pub use memory::Memory;

/// Every source of the machine. Order is meaning: documentation, page and report follow it.
pub static SOURCES: &[Entry] = &[memory::ENTRY];
