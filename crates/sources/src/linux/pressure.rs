//! Pressure: how long tasks had to wait because a resource was short, from /proc/pressure (Linux 4.20 and newer).

use std::sync::Arc;

use barograph_model::{Batch, Counter, Described, Field, Moment, Rows, Seconds, table};

use crate::scan::{complete, lines, number_or_fault, words};
use crate::{Cadence, Entry, Fault, FaultKind, Faults, KeptFile, Machine, Root, Source};

table! {
    /// How long tasks of the whole machine had to wait because a resource was short. A gain of one second per second says: all the time.
    pub Pressure = "pressure" in "/proc/pressure" {
        /// Time since boot in which at least one task was ready to run and had no core to run on.
        cpu_some: Counter<Seconds> = "cpu, line some",
        /// Means nothing for the whole machine, where some task runs whenever others wait for a core; newer kernels say 0.
        cpu_full: Counter<Seconds> = "cpu, line full",
        /// Time since boot in which at least one task waited for memory: for its pages to be reclaimed, or read back from swap or a file.
        memory_some: Counter<Seconds> = "memory, line some",
        /// Time since boot in which tasks waited for memory while no task did useful work.
        memory_full: Counter<Seconds> = "memory, line full",
        /// Time since boot in which at least one task waited for a device to read or write.
        io_some: Counter<Seconds> = "io, line some",
        /// Time since boot in which tasks waited for a device while no task did useful work.
        io_full: Counter<Seconds> = "io, line full",
        /// Time since boot in which interrupts kept the tasks of a core from running. Linux 6.1 and newer, where the kernel measures it.
        irq_full: Counter<Seconds> = "irq, line full",
    }
}

pub(super) const ENTRY: Entry = Entry { name: "pressure", tables: &[Pressure::TABLE], cadence: Cadence::MACHINE, open };

/// A resource: its file, the cell of its line `some` and that of its line `full`.
type Resource = (&'static str, Option<Field<Pressure, Counter<Seconds>>>, Field<Pressure, Counter<Seconds>>);

const RESOURCES: [Resource; 4] = [
    ("pressure/cpu", Some(Pressure::cpu_some), Pressure::cpu_full),
    ("pressure/memory", Some(Pressure::memory_some), Pressure::memory_full),
    ("pressure/io", Some(Pressure::io_some), Pressure::io_full),
    ("pressure/irq", None, Pressure::irq_full),
];

struct PressureSource {
    files: Vec<(KeptFile, Resource)>,
    buffer: Vec<u8>,
    faults: Faults,
    rows: Rows<Pressure>,
}

fn open(machine: &Arc<Machine>) -> Result<Option<Box<dyn Source>>, Fault> {
    let mut source = PressureSource { files: Vec::new(), buffer: Vec::new(), faults: Faults::default(), rows: Rows::new() };
    for resource in RESOURCES {
        // Some kernels have a file that can be opened and then fails whenever it is read (EOPNOTSUPP), so reading it once decides.
        match machine.keep(Root::Proc, resource.0).and_then(|file| file.read(&mut source.buffer).map(|()| file)) {
            Ok(file) => source.files.push((file, resource)),
            Err(fault) if fault.kind == FaultKind::Denied => source.faults.count(fault.kind),
            Err(_) => {}
        }
    }
    if source.files.is_empty() && source.faults == Faults::default() { Ok(None) } else { Ok(Some(Box::new(source))) }
}

impl Source for PressureSource {
    fn read(&mut self, at: Moment) -> Result<(), Fault> {
        let mut row = self.rows.row(at);
        for (file, (_, some, full)) in &self.files {
            if let Err(fault) = file.read(&mut self.buffer) {
                self.faults.count(fault.kind);
                continue;
            }
            parse(complete(&self.buffer), |line, total| {
                let field = if line == b"some" { *some } else { Some(*full) };
                if let Some(field) = field {
                    // The kernel's unit is the microsecond.
                    row.set(field, number_or_fault(total, &mut self.faults).map(|micros| micros as f64 / 1e6));
                }
            });
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

/// Lines of `some avg10=0.27 avg60=0.25 avg300=0.58 total=9431333`: gives the first word and the total.
fn parse<'a>(text: &'a [u8], mut found: impl FnMut(&'a [u8], &'a [u8])) {
    for line in lines(text) {
        let mut words = words(line);
        if let Some(name @ (b"some" | b"full")) = words.next()
            && let Some(total) = words.find_map(|word| word.strip_prefix(b"total="))
        {
            found(name, total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_totals_are_kept() {
        let text = b"some avg10=0.27 avg60=0.25 avg300=0.58 total=9431333\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\nnews total=1\nsome\n";
        let mut found = Vec::new();
        parse(text, |line, total| found.push((line, total)));
        assert_eq!(found, [(&b"some"[..], &b"9431333"[..]), (b"full", b"7")]);
    }
}
