//! The log of py-resource-monitor: two lines about the machine, and then readings of some processes together and of the machine.
//!
//! Its times count from the boot. Its `MB` are 2^20 bytes, cut off; what it calls `_global` is the machine's, and `vms_global_mb` is RAM in use.

use barograph_sources::{Disk, Job};

use super::ReadError;
use super::separated::Separated;
use super::shape::Convert;
use super::source::{Baseline, Column, Opening, Source};
use super::sysmon::metric;

const BEGIN: &[u8] = b"In current environment, the latency of resource logging";

const MIB: f64 = 1_048_576.0;

pub(crate) fn sniff(head: &[u8]) -> bool {
    head.starts_with(BEGIN)
}

pub(crate) fn open(opening: Opening) -> Result<Box<dyn Source>, ReadError> {
    let mut ends = opening.head.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place as u64 + 1);
    let Some(header) = ends.nth(1) else {
        return Err(ReadError::unreadable(&opening.path, "it is a log of py-resource-monitor without a reading; there is nothing to show"));
    };
    Ok(Box::new(Separated::open(opening, header)?.meaning(meaning, Baseline::First)))
}

fn meaning(column: &mut Column) {
    (column.id, column.convert) = match column.name.as_str() {
        "rss_mb" => (metric(Job::resident), Convert::Times(MIB)),
        "vms_mb" => (metric(Job::virtual_size), Convert::Times(MIB)),
        "read_count" => (metric(Job::read_calls), Convert::As),
        "write_count" => (metric(Job::write_calls), Convert::As),
        "read_mb" => (metric(Job::storage_read), Convert::Times(MIB)),
        "write_mb" => (metric(Job::storage_written), Convert::Times(MIB)),
        "read_mb_global" => (metric(Disk::read), Convert::Times(MIB)),
        "write_mb_global" => (metric(Disk::written), Convert::Times(MIB)),
        "read_count_global" => (metric(Disk::reads), Convert::As),
        "write_count_global" => (metric(Disk::writes), Convert::As),
        "vms_global_mb" => return "memory_used_mib".clone_into(&mut column.name),
        "cpu_percent" => return column.is_interval = true,
        // `gpu_0_mem_mb_global` is to be read as mebibytes all the same, and a share as one.
        name => {
            let (stem, global) = name.strip_suffix("_global").map_or((name, ""), |stem| (stem, "_global"));
            let (stem, unit) = match (stem.strip_suffix("_mb"), stem.strip_suffix("_percent")) {
                (Some(stem), _) => (stem, "_mib"),
                (_, Some(stem)) => (stem, "_percent"),
                _ => return,
            };
            column.is_interval = name == "cpu_percent_global";
            column.name = format!("{stem}{global}{unit}");
            return;
        }
    };
}
