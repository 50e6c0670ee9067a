//! The CSV of desc.sysmon's reporter: readings of the whole machine, of which most are differences from the row before.
//!
//! Its `GB` are 2^30 bytes; its differences become counters again, and begin anew where a run was appended to the file of another, which a difference of no
//! CPU time at all tells. Its `mem_swapfree` is the RAM that is free, whatever the name says.

use barograph_model::{Described, Field, Table};
use barograph_sources::{Cpu, Disk, Memory, Network};

use super::ReadError;
use super::separated::Separated;
use super::shape::Convert;
use super::source::{Baseline, Column, Opening, Source};

const BEGIN: &[u8] = b"time,cpu_count,cpu_percent,";
const END: &[u8] = b"cpu_iowait,cpu_time,mem_total,mem_available,mem_swapfree,dio_readsize,dio_writesize,nio_readsize,nio_writesize";

const GIB: f64 = 1_073_741_824.0;

pub(crate) fn sniff(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    line.starts_with(BEGIN) && line.ends_with(END)
}

pub(crate) fn open(opening: Opening) -> Result<Box<dyn Source>, ReadError> {
    let separated = Separated::open(opening, 0)?;
    let cpu_time = separated.columns().iter().position(|column| column.name == "cpu_time");
    Ok(Box::new(separated.meaning(meaning, cpu_time.map_or(Baseline::First, Baseline::Without))))
}

/// A metric of ours, by its place.
pub(crate) fn metric<T: Described, K>(field: Field<T, K>) -> Option<String> {
    let table: &'static Table = T::TABLE;
    table.metrics.get(field.index()).map(barograph_model::Metric::id)
}

fn meaning(column: &mut Column) {
    (column.id, column.convert) = match column.name.as_str() {
        "cpu_count" => (metric(Cpu::cores_online), Convert::As),
        "cpu_user" => (metric(Cpu::user), Convert::Grow(1.0)),
        "cpu_system" => (metric(Cpu::system), Convert::Grow(1.0)),
        "cpu_idle" => (metric(Cpu::idle), Convert::Grow(1.0)),
        "cpu_iowait" => (metric(Cpu::iowait), Convert::Grow(1.0)),
        "mem_total" => (metric(Memory::total), Convert::Times(GIB)),
        "mem_available" => (metric(Memory::available), Convert::Times(GIB)),
        "mem_swapfree" => (metric(Memory::free), Convert::Times(GIB)),
        "dio_readsize" => (metric(Disk::read), Convert::Grow(GIB)),
        "dio_writesize" => (metric(Disk::written), Convert::Grow(GIB)),
        "nio_readsize" => (metric(Network::received), Convert::Grow(GIB)),
        "nio_writesize" => (metric(Network::sent), Convert::Grow(GIB)),
        "cpu_time" => {
            "cpu_time_seconds_total".clone_into(&mut column.name);
            (None, Convert::Grow(1.0))
        }
        "cpu_freq" => {
            "cpu_freq_mhz".clone_into(&mut column.name);
            (None, Convert::As)
        }
        "cpu_percent" => {
            column.is_interval = true;
            (None, Convert::As)
        }
        _ => return,
    };
}
