//! The sources of Linux, in the order in which they are read, shown and documented.

mod cpu;
mod disk;
mod filesystem;
mod frequency;
mod host;
mod known;
mod memory;
mod network;
mod own;
mod pressure;
mod process;
mod process_memory;
mod protocols;
mod system;

use barograph_model::{Described, Events, Gauges, Lines, SpanEdges, Table};

use crate::Entry;

pub use cpu::{Cores, Cpu};
pub use disk::Disk;
pub use filesystem::Filesystem;
pub use host::{HostFacts, LimitFacts, oom_kills};
pub use memory::Memory;
pub use network::Network;
pub use own::{Cost, Own, OwnSource, OwnSources, SourceCost};
pub use pressure::Pressure;
pub use process::{Choice, Exit, Job, JobTotals, Process, ProcessSource, Processes, Scope, Select, Watch, start_ticks, user_name};
#[cfg(feature = "lines")]
pub use process::{LineSource, LineStatus};
pub use process_memory::{PROCESS_MEMORY_PERIOD, ProcessMemory, ProcessMemorySource, Targets};
pub use protocols::Protocols;
pub use system::{MeanCount, System};

/// Every source of the machine. Order is meaning: documentation, page and report follow it.
pub static SOURCES: &[Entry] = &[
    cpu::ENTRY,
    system::ENTRY,
    memory::ENTRY,
    pressure::ENTRY,
    disk::ENTRY,
    filesystem::ENTRY,
    filesystem::NETWORK_ENTRY,
    network::ENTRY,
    protocols::ENTRY,
];

/// Every table of a recording, in the same order: the job and its processes, the machine, events, and the recorder itself.
pub fn tables() -> Vec<&'static Table> {
    let mut tables = process::TABLES.to_vec();
    tables.extend(process_memory::TABLES);
    for entry in SOURCES {
        for table in entry.tables {
            if !tables.iter().any(|known| known.name == table.name) {
                tables.push(table);
            }
        }
    }
    tables.extend([Events::TABLE, Gauges::TABLE, SpanEdges::TABLE, Lines::TABLE]);
    tables.extend(own::TABLES);
    tables
}
