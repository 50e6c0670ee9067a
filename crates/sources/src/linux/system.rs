//! What the kernel counts about the machine as a whole: load, switches, interrupts, forks, tasks, open files, uptime.

use std::sync::Arc;

use barograph_model::{Batch, Count, Counter, Described, Gauge, Measure, Moment, Row, Rows, Seconds, Unit, table};

use crate::scan::{complete, decimal, lines, number, number_or_fault, position, words};
use crate::shared::SharedFile;
use crate::{Cadence, Entry, Fault, FaultKind, Faults, Machine, Root, Source};

/// How many on average over some time, with a fraction ([`Unit::Count`]).
#[derive(Debug)]
pub enum MeanCount {}

impl Measure for MeanCount {
    const UNIT: Unit = Unit::Count;
    type Value = f64;
}

table! {
    /// The machine as a whole: load, switches, interrupts, tasks, open files.
    pub System = "system" in "/proc/stat, /proc/loadavg, /proc/sys/fs/file-nr and /proc/uptime" {
        /// Tasks that ran, were ready to run or waited uninterruptibly (mostly for disks), as a damped average over the last minute.
        load_1: Gauge<MeanCount> = "loadavg field 1",
        /// The same average over the last 5 minutes.
        load_5: Gauge<MeanCount> = "loadavg field 2",
        /// The same average over the last 15 minutes.
        load_15: Gauge<MeanCount> = "loadavg field 3",
        /// Tasks (processes and threads) that run or are ready to run at this moment.
        running: Gauge<Count> = "stat procs_running",
        /// Tasks that wait for a disk at this moment.
        blocked: Gauge<Count> = "stat procs_blocked",
        /// Tasks that exist at this moment: every thread of every process, those of the kernel included.
        threads: Gauge<Count> = "loadavg field 4, after the slash",
        /// Times since boot that a core went from one task to another.
        context_switches: Counter<Count> = "stat ctxt",
        /// Interrupts handled since boot, by all cores.
        interrupts: Counter<Count> = "stat intr, first number",
        /// Deferred parts of interrupts handled since boot, by all cores.
        soft_interrupts: Counter<Count> = "stat softirq, first number",
        /// Processes and threads created since boot.
        forks: Counter<Count> = "stat processes",
        /// Open files of all processes: files that several descriptors share count once.
        open_files: Gauge<Count> = "sys/fs/file-nr field 1",
        /// The most files that may be open at once. Absent where the kernel sets no limit.
        open_files_limit: Gauge<Count> = "sys/fs/file-nr field 3",
        /// Time since boot, suspend included.
        uptime: Gauge<Seconds> = "uptime field 1",
    }
}

pub(super) const ENTRY: Entry = Entry { name: "system", tables: &[System::TABLE], cadence: Cadence::MACHINE, open };

type Parse = fn(&[u8], &mut Row<'_, System>, &mut Faults);

/// The files, and what is found in each.
const FILES: [(&str, Parse); 4] = [("stat", parse_stat), ("loadavg", parse_loadavg), ("sys/fs/file-nr", parse_file_nr), ("uptime", parse_uptime)];

struct SystemSource {
    files: Vec<(SharedFile, Parse)>,
    faults: Faults,
    rows: Rows<System>,
}

fn open(machine: &Arc<Machine>) -> Result<Option<Box<dyn Source>>, Fault> {
    let mut faults = Faults::default();
    let mut files = Vec::new();
    for (path, parse) in FILES {
        match machine.share(Root::Proc, path) {
            Ok(file) => files.push((file, parse)),
            Err(fault) => faults.count(fault.kind),
        }
    }
    Ok(Some(Box::new(SystemSource { files, faults, rows: Rows::new() })))
}

impl Source for SystemSource {
    fn read(&mut self, at: Moment) -> Result<(), Fault> {
        let SystemSource { files, faults, rows } = self;
        let mut row = rows.row(at);
        for (file, parse) in files {
            if let Err(fault) = file.read(at, |text| parse(complete(text), &mut row, faults)) {
                faults.count(fault.kind);
            }
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

/// Lines of `key number …`; those of the cores are another source's.
fn parse_stat(text: &[u8], row: &mut Row<'_, System>, faults: &mut Faults) {
    for line in lines(text) {
        let mut words = words(line);
        let column = match words.next() {
            Some(b"procs_running") => System::running.index(),
            Some(b"procs_blocked") => System::blocked.index(),
            Some(b"ctxt") => System::context_switches.index(),
            Some(b"intr") => System::interrupts.index(),
            Some(b"softirq") => System::soft_interrupts.index(),
            Some(b"processes") => System::forks.index(),
            _ => continue,
        };
        if let Some(value) = number_or_fault(words.next().unwrap_or_default(), faults) {
            row.set_int(column, value);
        }
    }
}

/// `0.15 0.38 0.28 3/91 8542`: three averages, ready and existing tasks, the last pid.
fn parse_loadavg(text: &[u8], row: &mut Row<'_, System>, faults: &mut Faults) {
    let mut words = words(text);
    for field in [System::load_1, System::load_5, System::load_15] {
        let load = words.next().and_then(decimal);
        row.set(field, load.or_else(|| missing(faults)));
    }
    let tasks = words.next().and_then(|tasks| number(&tasks[position(b'/', tasks)? + 1..]));
    row.set(System::threads, tasks.or_else(|| missing(faults)));
}

/// `467 0 2466170`: files in use, an old field that is always 0, the limit.
fn parse_file_nr(text: &[u8], row: &mut Row<'_, System>, faults: &mut Faults) {
    // What systemd sets to say "no limit": the greatest number that fits.
    const NO_LIMIT: u64 = i64::MAX as u64;
    let mut words = words(text);
    row.set(System::open_files, number_or_fault(words.next().unwrap_or_default(), faults));
    row.set(System::open_files_limit, number_or_fault(words.nth(1).unwrap_or_default(), faults).filter(|&limit| limit < NO_LIMIT));
}

/// `944.27 1479.70`: seconds since boot, and idle seconds of all cores.
fn parse_uptime(text: &[u8], row: &mut Row<'_, System>, faults: &mut Faults) {
    row.set(System::uptime, words(text).next().and_then(decimal).or_else(|| missing(faults)));
}

fn missing<T>(faults: &mut Faults) -> Option<T> {
    faults.count(FaultKind::Malformed);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(parse: Parse, text: &str) -> (Vec<(String, f64)>, u64) {
        let (mut rows, mut faults) = (Rows::<System>::new(), Faults::default());
        parse(text.as_bytes(), &mut rows.row(Moment::default()), &mut faults);
        let value = |(metric, column): (&barograph_model::Metric, &barograph_model::Column)| {
            let value = if metric.physical == barograph_model::Physical::Int { column.int(0)? as f64 } else { column.float(0)? };
            Some((metric.column(), value))
        };
        (System::TABLE.metrics.iter().zip(rows.columns()).filter_map(value).collect(), faults.of(FaultKind::Malformed))
    }

    #[test]
    fn stat_gives_the_first_number_of_its_lines() {
        let text = "cpu 1 2 3\nintr 246224 0 9\nctxt 267771\nbtime 5\nprocesses 8547\nprocs_running 4\nprocs_blocked x\nsoftirq 102941 0\n";
        let expected = [
            ("running".into(), 4.0),
            ("context_switches".into(), 267_771.0),
            ("interrupts".into(), 246_224.0),
            ("soft_interrupts".into(), 102_941.0),
            ("forks".into(), 8547.0),
        ];
        assert_eq!(parsed(parse_stat, text), (expected.into(), 1));
    }

    #[test]
    fn loadavg_gives_averages_and_the_number_of_tasks() {
        let expected = [("load_1".into(), 0.15), ("load_5".into(), 0.38), ("load_15".into(), 0.28), ("threads".into(), 91.0)];
        assert_eq!(parsed(parse_loadavg, "0.15 0.38 0.28 3/91 8542\n"), (expected.into(), 0));
        assert_eq!(parsed(parse_loadavg, "0.15 nan\n"), (vec![("load_1".into(), 0.15)], 3));
    }

    #[test]
    fn the_greatest_number_is_no_limit() {
        let expected = [("open_files".into(), 467.0), ("open_files_limit".into(), 2_466_170.0)];
        assert_eq!(parsed(parse_file_nr, "467\t0\t2466170\n"), (expected.into(), 0));
        assert_eq!(parsed(parse_file_nr, "467\t0\t9223372036854775807\n"), (vec![("open_files".into(), 467.0)], 0));
    }

    #[test]
    fn uptime_is_the_first_number() {
        assert_eq!(parsed(parse_uptime, "944.27 1479.70\n"), (vec![("uptime_seconds".into(), 944.27)], 0));
        assert_eq!(parsed(parse_uptime, ""), (vec![], 1));
    }
}
