//! Block devices, from /proc/diskstats; /sys/block tells which of them are disks.

use std::sync::Arc;

use barograph_model::{Batch, Bytes, Count, Counter, Described, Field, Gauge, Moment, Row, Rows, Seconds, Text, table};

use super::known::Known;
use crate::scan::{complete, last_position, lines, number, number_or_fault, position, split_word, words};
use crate::{Cadence, Entry, Fault, FaultKind, Faults, KeptFile, Machine, Root, Source};

table! {
    /// Reads and writes of each block device: disks, their partitions, devices made of others. Loop and RAM devices have a row once used, and zeros before.
    pub Disk = "disk" in "/proc/diskstats and /sys/block" counted by counted {
        key {
            /// Name of the device, such as `sda`.
            device: Text = "diskstats field 3",
        }
        /// What it is: `whole` disk, `partition`, `loop`, `ram`, `stacked` on other devices (RAID, LVM, encryption), or a hidden `path` to a disk.
        /// Absent where /sys can't be read.
        kind: Text = "sys/block/NAME, and its slaves and hidden",
        /// 1 if the row counts towards the machine's sum, in which each byte stands once: that of a whole disk, not stacked on others. Otherwise 0.
        counted: Gauge<Count> = "worked out from `kind`",
        /// Reads completed since boot.
        reads: Counter<Count> = "diskstats field 4",
        /// Reads since boot that were merged with a neighbour before they went to the device.
        reads_merged: Counter<Count> = "diskstats field 5",
        /// Bytes read since boot.
        read: Counter<Bytes> = "diskstats field 6, in units of 512 bytes on every device",
        /// Time since boot that reads took, from queueing to completion, added up over all of them: may gain more than a second per second.
        read_time: Counter<Seconds> = "diskstats field 7",
        /// Writes completed since boot.
        writes: Counter<Count> = "diskstats field 8",
        /// Writes since boot that were merged with a neighbour before they went to the device.
        writes_merged: Counter<Count> = "diskstats field 9",
        /// Bytes written since boot.
        written: Counter<Bytes> = "diskstats field 10, in units of 512 bytes on every device",
        /// Time since boot that writes took, from queueing to completion, added up over all of them: may gain more than a second per second.
        write_time: Counter<Seconds> = "diskstats field 11",
        /// Requests given to the device and not yet completed at this moment.
        in_flight: Gauge<Count> = "diskstats field 12",
        /// Time since boot in which the device had at least one request. A device that serves many at once can do more even when it is always busy.
        busy: Counter<Seconds> = "diskstats field 13",
        /// Time since boot that requests spent waiting and being served, added up over all of them: its rate is the mean length of the queue.
        weighted: Counter<Seconds> = "diskstats field 14",
        /// Discards completed since boot: blocks that the device was told it may forget. Linux 4.18 and newer.
        discards: Counter<Count> = "diskstats field 15",
        /// Discards since boot that were merged with a neighbour before they went to the device.
        discards_merged: Counter<Count> = "diskstats field 16",
        /// Bytes discarded since boot.
        discarded: Counter<Bytes> = "diskstats field 17, in units of 512 bytes on every device",
        /// Time since boot that discards took, added up over all of them.
        discard_time: Counter<Seconds> = "diskstats field 18",
        /// Times since boot that the device was told to empty its cache to the medium. Linux 5.5 and newer; whole disks only.
        flushes: Counter<Count> = "diskstats field 19",
        /// Time since boot that such flushes took, added up over all of them.
        flush_time: Counter<Seconds> = "diskstats field 20",
    }
}

pub(super) const ENTRY: Entry = Entry { name: "disk", tables: &[Disk::TABLE], cadence: Cadence::MACHINE, open };

struct DiskSource {
    machine: Arc<Machine>,
    diskstats: KeptFile,
    kinds: Known<Option<DiskKind>>,
    buffer: Vec<u8>,
    faults: Faults,
    rows: Rows<Disk>,
}

fn open(machine: &Arc<Machine>) -> Result<Option<Box<dyn Source>>, Fault> {
    let diskstats = match machine.keep(Root::Proc, "diskstats") {
        Err(fault) if fault.kind == FaultKind::Gone => return Ok(None),
        kept => kept?,
    };
    Ok(Some(Box::new(DiskSource {
        machine: machine.clone(),
        diskstats,
        kinds: Known::new(),
        buffer: Vec::new(),
        faults: Faults::default(),
        rows: Rows::new(),
    })))
}

impl Source for DiskSource {
    fn read(&mut self, at: Moment) -> Result<(), Fault> {
        self.diskstats.read(&mut self.buffer)?;
        let text = complete(&self.buffer);
        let mut listed = None;
        self.kinds.refresh(lines(text).filter_map(parse).map(|device| device.name), |name| {
            let listed = listed.get_or_insert_with(|| self.machine.names(Root::Sys, "block"));
            DiskKind::find(&self.machine, listed, name)
        });
        let mut kinds = self.kinds.values();
        for line in lines(text) {
            let Some(device) = parse(line) else {
                self.faults.count(FaultKind::Malformed);
                continue;
            };
            let kind = kinds.next().copied().flatten();
            if matches!(kind, Some(DiskKind::Loop | DiskKind::Ram)) && device.is_unused() {
                continue;
            }
            let mut row = self.rows.row(at);
            row.text(Disk::device, device.name);
            row.text(Disk::kind, kind.map(|kind| kind.name().as_bytes()));
            row.set(Disk::counted, kind.map(|kind| u64::from(kind.counts(&device, text))));
            device.fill(&mut row, &mut self.faults);
        }
        Ok(())
    }

    fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.rows);
    }

    fn faults(&self) -> Faults {
        self.faults
    }
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DiskKind {
    Whole,
    Partition,
    Loop,
    Ram,
    Stacked,
    Path,
}

impl DiskKind {
    fn name(self) -> &'static str {
        match self {
            DiskKind::Whole => "whole",
            DiskKind::Partition => "partition",
            DiskKind::Loop => "loop",
            DiskKind::Ram => "ram",
            DiskKind::Stacked => "stacked",
            DiskKind::Path => "path",
        }
    }

    /// Asks the name, and /sys/block, of which the names are `listed`. `None` if that folder can't be read.
    fn find(machine: &Machine, listed: &[String], name: &[u8]) -> Option<DiskKind> {
        let numbered = |prefix: &str| name.strip_prefix(prefix.as_bytes()).is_some_and(|rest| number(rest).is_some());
        if numbered("loop") {
            return Some(DiskKind::Loop);
        } else if numbered("ram") || numbered("zram") {
            return Some(DiskKind::Ram);
        } else if listed.is_empty() {
            return None;
        }
        // A `/` in a device's name, as in `cciss/c0d0`, is a `!` in that of its folder.
        let folder = String::from_utf8_lossy(name).replace('/', "!");
        let stacked = || !machine.names(Root::Sys, &format!("block/{folder}/slaves")).is_empty();
        Some(if !listed.contains(&folder) {
            DiskKind::Partition
        } else if machine.number(Root::Sys, &format!("block/{folder}/hidden")) == Some(1) {
            DiskKind::Path
        } else if stacked() || name.strip_prefix(b"zd").is_some_and(|rest| number(rest).is_some()) {
            // ZFS does not name the disks below its volumes (zd0, zd16 ...).
            DiskKind::Stacked
        } else {
            DiskKind::Whole
        })
    }

    /// Whether a device of this kind counts towards the machine's sum.
    fn counts(self, device: &Device<'_>, text: &[u8]) -> bool {
        match self {
            DiskKind::Whole => true,
            // Before Linux 6.4 only the paths of an NVMe disk count its bytes; since then the disk itself does too.
            DiskKind::Path => !lines(text).filter_map(parse).any(|head| is_head(head.name, device.name) && !head.is_unused()),
            DiskKind::Partition | DiskKind::Loop | DiskKind::Ram | DiskKind::Stacked => false,
        }
    }
}

/// Whether `nvme0n1` is the disk that the path `nvme0c1n1` leads to.
fn is_head(head: &[u8], path: &[u8]) -> bool {
    let (Some(controller), Some(space)) = (position(b'c', path), last_position(b'n', path)) else { return false };
    controller < space && head.strip_prefix(&path[..controller]) == Some(&path[space..])
}

/// Where a number of the line goes, and the unit in which the kernel gives it.
enum Place {
    Count(usize),
    Level(usize),
    Sectors(Field<Disk, Counter<Bytes>>),
    Millis(Field<Disk, Counter<Seconds>>),
}

/// The numbers after the name, in the kernel's order: 11 of them, 15 since Linux 4.18, 17 since 5.5.
const PLACES: [Place; 17] = [
    Place::Count(Disk::reads.index()),
    Place::Count(Disk::reads_merged.index()),
    Place::Sectors(Disk::read),
    Place::Millis(Disk::read_time),
    Place::Count(Disk::writes.index()),
    Place::Count(Disk::writes_merged.index()),
    Place::Sectors(Disk::written),
    Place::Millis(Disk::write_time),
    Place::Level(Disk::in_flight.index()),
    Place::Millis(Disk::busy),
    Place::Millis(Disk::weighted),
    Place::Count(Disk::discards.index()),
    Place::Count(Disk::discards_merged.index()),
    Place::Sectors(Disk::discarded),
    Place::Millis(Disk::discard_time),
    Place::Count(Disk::flushes.index()),
    Place::Millis(Disk::flush_time),
];

/// The unit of all amounts in /proc/diskstats, whatever the sectors of the hardware.
const SECTOR_BYTES: u64 = 512;

/// A line of /proc/diskstats.
struct Device<'a> {
    name: &'a [u8],
    numbers: &'a [u8],
}

impl Device<'_> {
    fn is_unused(&self) -> bool {
        self.numbers.iter().all(|&byte| byte == b'0' || byte == b' ')
    }

    /// Counters stay as the kernel gives them: some wrap at 2^32.
    fn fill(&self, row: &mut Row<'_, Disk>, faults: &mut Faults) {
        for (place, word) in PLACES.iter().zip(words(self.numbers)) {
            let Some(value) = number_or_fault(word, faults) else { continue };
            match *place {
                Place::Count(column) => row.set_int(column, value),
                // Some kernels count below zero, and print that as a number near 2^32.
                Place::Level(_) if value > i32::MAX as u64 => {
                    faults.count(FaultKind::Malformed);
                    continue;
                }
                Place::Level(column) => row.set_int(column, value),
                Place::Sectors(field) => row.set(field, value.checked_mul(SECTOR_BYTES)),
                Place::Millis(field) => row.set(field, value as f64 / 1e3),
            };
        }
    }
}

/// `MAJOR MINOR NAME` and at least 11 numbers.
fn parse(line: &[u8]) -> Option<Device<'_>> {
    let (major, rest) = split_word(line)?;
    let (minor, rest) = split_word(rest)?;
    let (name, numbers) = split_word(rest)?;
    (number(major).is_some() && number(minor).is_some() && words(numbers).nth(10).is_some()).then_some(Device { name, numbers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &str) -> (Rows<Disk>, u64) {
        let (mut rows, mut faults) = (Rows::<Disk>::new(), Faults::default());
        parse(line.as_bytes()).unwrap().fill(&mut rows.row(Moment::default()), &mut faults);
        (rows, faults.of(FaultKind::Malformed))
    }

    #[test]
    fn a_sector_is_512_bytes_and_times_are_milliseconds() {
        let (rows, faults) = filled(" 254       0 vda 13895 5720 3618426 22233 2166 15225 1654800 8111 1 3952 30890 3966 41 80088 537 102 7");
        let int = |column: &str| rows.column(column).unwrap().int(0);
        let float = |column: &str| rows.column(column).unwrap().float(0);
        assert_eq!((int("reads"), int("read_bytes"), float("read_time_seconds")), (Some(13895), Some(3_618_426 * 512), Some(22.233)));
        assert_eq!((int("in_flight"), float("busy_seconds"), float("weighted_seconds")), (Some(1), Some(3.952), Some(30.89)));
        assert_eq!((int("discarded_bytes"), int("flushes"), float("flush_time_seconds")), (Some(80088 * 512), Some(102), Some(0.007)));
        assert_eq!(faults, 0);
    }

    #[test]
    fn old_kernels_have_fewer_numbers_and_wrong_ones_are_absent() {
        let (rows, faults) = filled("8 0 sda 1 2 3 4 5 -6 7 8 9 10 4294967295");
        assert_eq!(rows.column("weighted_seconds").unwrap().float(0), Some(4_294_967.295));
        assert_eq!(rows.column("discards").unwrap().int(0), None);
        assert_eq!(rows.column("writes_merged").unwrap().int(0), None);
        assert_eq!(faults, 1);
        assert!(parse(b"8 1 sda1 1 2 3 4").is_none(), "the short lines of Linux 2.6 tell no times");
        assert!(parse(b"8 x sda1 1 2 3 4 5 6 7 8 9 10 11").is_none());
    }

    #[test]
    fn a_path_belongs_to_the_disk_of_its_space() {
        assert!(is_head(b"nvme0n1", b"nvme0c1n1"));
        assert!(!is_head(b"nvme0n2", b"nvme0c1n1"));
        assert!(!is_head(b"nvme1n1", b"nvme0c1n1"));
        assert!(!is_head(b"sda", b"sdc"));
    }
}
