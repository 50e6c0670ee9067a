//! CPU time of the whole machine and of each core, from /proc/stat, and how fast the cores run.

use std::sync::Arc;

use barograph_model::{Batch, Count, Counter, Described, Field, Gauge, Hertz, Id, Moment, Row, Rows, Seconds, table};

use super::frequency::Frequencies;
use crate::scan::{complete, lines, number, number_or_fault, words};
use crate::shared::SharedFile;
use crate::{Cadence, Entry, Fault, FaultKind, Faults, Machine, Root, Source};

/// Declares a table that has, between its keys and its other fields, the ten times of a line `cpu` of /proc/stat in the kernel's order. Eight of them share out
/// all time; guests' is part of that of programs.
macro_rules! table_of_times {
    (
        $(#[doc = $doc:literal])+
        pub $Table:ident = $name:literal in $origin:literal $(worth $worth:ident)? { $($keys:tt)* } { $($more:tt)* }
    ) => {
        table! {
            $(#[doc = $doc])+
            pub $Table = $name in $origin whole of (user nice system idle iowait irq softirq steal) $(worth $worth)? {
                $($keys)*
                /// Time in programs of ordinary priority since boot. Includes `guest`.
                user: Counter<Seconds> = "stat cpu field 1",
                /// Time in programs of lowered priority since boot. Includes `guest_nice`.
                nice: Counter<Seconds> = "stat cpu field 2",
                /// Time in the kernel on behalf of programs since boot, interrupts not included.
                system: Counter<Seconds> = "stat cpu field 3",
                /// Time with nothing to do and no local disk to wait for since boot. The kernel may correct it downwards.
                idle: Counter<Seconds> = "stat cpu field 4",
                /// Idle time since boot while a task that last ran here waited for a disk. A hint only, and the kernel may correct it downwards.
                iowait: Counter<Seconds> = "stat cpu field 5",
                /// Time in interrupts of devices since boot. Too low on kernels that are built to sample it instead of measuring it.
                irq: Counter<Seconds> = "stat cpu field 6",
                /// Time in the deferred part of interrupts, such as network packets, since boot.
                softirq: Counter<Seconds> = "stat cpu field 7",
                /// Time since boot that this virtual machine wanted to run while its host ran something else.
                steal: Counter<Seconds> = "stat cpu field 8",
                /// Time since boot spent running virtual machines. Also part of `user`: do not add the two.
                guest: Counter<Seconds> = "stat cpu field 9",
                /// Time since boot spent running virtual machines of lowered priority. Also part of `nice`: do not add the two.
                guest_nice: Counter<Seconds> = "stat cpu field 10",
                $($more)*
            }
        }

        impl Times for $Table {
            const TIMES: [Field<$Table, Counter<Seconds>>; 10] = [
                $Table::user,
                $Table::nice,
                $Table::system,
                $Table::idle,
                $Table::iowait,
                $Table::irq,
                $Table::softirq,
                $Table::steal,
                $Table::guest,
                $Table::guest_nice,
            ];
        }
    };
}

table_of_times! {
    /// CPU time of the whole machine, in seconds of one core: all of its cores together gain as many seconds per second as there are cores.
    pub Cpu = "cpu" in "/proc/stat" worth cores_online {
    } {
        /// Cores that are online.
        cores_online: Gauge<Count> = "stat, lines cpuN",
    }
}

table_of_times! {
    /// CPU time and speed of each core that is online. With hyper-threading, what is a core here is a hardware thread.
    pub Cores = "cores" in "/proc/stat and cpufreq" {
        key {
            /// Number of the core, as the kernel gives it.
            core: Id = "stat, lines cpuN",
        }
    } {
        /// How fast the core ran lately or was told to run. Absent in rows for which it was not read: see where from.
        frequency: Gauge<Hertz> = "cpufreq/scaling_cur_freq; where that is missing, cpuinfo `cpu MHz` once a second",
    }
}

/// A table with the ten times.
trait Times: Described + Sized + 'static {
    const TIMES: [Field<Self, Counter<Seconds>>; 10];
}

pub(super) const ENTRY: Entry = Entry { name: "cpu", tables: &[Cpu::TABLE, Cores::TABLE], cadence: Cadence::EachTick, open };

struct CpuSource {
    stat: SharedFile,
    times: AllTimes,
}

/// What becomes of the lines.
struct AllTimes {
    ticks_per_second: f64,
    frequencies: Frequencies,
    faults: Faults,
    cpu: Rows<Cpu>,
    cores: Rows<Cores>,
}

fn open(machine: &Arc<Machine>) -> Result<Option<Box<dyn Source>>, Fault> {
    let times = AllTimes {
        ticks_per_second: machine.ticks_per_second as f64,
        frequencies: Frequencies::open(machine),
        faults: Faults::default(),
        cpu: Rows::new(),
        cores: Rows::new(),
    };
    Ok(Some(Box::new(CpuSource { stat: machine.share(Root::Proc, "stat")?, times })))
}

impl Source for CpuSource {
    fn read(&mut self, at: Moment) -> Result<(), Fault> {
        let is_of_cpus = self.stat.read(at, |text| self.times.add(at, text))?;
        if is_of_cpus { Ok(()) } else { Err(Fault::malformed(self.stat.path().to_owned(), "no line of it is about a CPU")) }
    }

    fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.times.cpu);
        visit(&mut self.times.cores);
    }

    fn faults(&self) -> Faults {
        self.times.faults
    }
}

impl AllTimes {
    /// Adds the rows of a tick, if any line is about a CPU.
    fn add(&mut self, at: Moment, text: &[u8]) -> bool {
        let AllTimes { ticks_per_second, frequencies, faults, cpu, cores } = self;
        let mut cpu_lines = lines(complete(text)).filter(|line| line.starts_with(b"cpu")).peekable();
        if cpu_lines.peek().is_none() {
            return false;
        }
        frequencies.begin(at, faults);
        let mut online = 0;
        let mut total = cpu.row(at);
        for line in cpu_lines {
            match parse(line) {
                Some((Subject::Machine, times)) => set_times(&mut total, times, *ticks_per_second, faults),
                Some((Subject::Core(core), times)) => {
                    online += 1;
                    let mut row = cores.row(at);
                    row.set(Cores::core, core).set(Cores::frequency, frequencies.of(core, faults));
                    set_times(&mut row, times, *ticks_per_second, faults);
                }
                None => faults.count(FaultKind::Malformed),
            }
        }
        total.set(Cpu::cores_online, (online > 0).then_some(online));
        frequencies.end();
        true
    }
}

/// Ticks become seconds of one core. Old kernels give fewer than ten times.
fn set_times<'a, T: Times>(row: &mut Row<'_, T>, times: impl Iterator<Item = &'a [u8]>, ticks_per_second: f64, faults: &mut Faults) {
    for (field, word) in T::TIMES.into_iter().zip(times) {
        row.set(field, number_or_fault(word, faults).map(|ticks| ticks as f64 / ticks_per_second));
    }
}

#[derive(Debug, PartialEq)]
enum Subject {
    Machine,
    Core(u64),
}

/// A line `cpu` or `cpuN`, and the words after it.
fn parse(line: &[u8]) -> Option<(Subject, impl Iterator<Item = &[u8]>)> {
    let mut words = words(line);
    let subject = match words.next()?.strip_prefix(b"cpu")? {
        b"" => Subject::Machine,
        core => Subject::Core(number(core)?),
    };
    Some((subject, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<(Subject, usize)> {
        parse(line.as_bytes()).map(|(subject, times)| (subject, times.count()))
    }

    #[test]
    fn lines_are_of_the_machine_or_of_a_core() {
        assert_eq!(parsed("cpu  36992 0 3075 147970 292 0 30 26 0 0"), Some((Subject::Machine, 10)));
        assert_eq!(parsed("cpu255 1 2 3 4"), Some((Subject::Core(255), 4)));
        assert_eq!(parsed("cpux 1 2 3 4"), None);
        assert_eq!(parsed("intr 1 2 3 4"), None);
    }

    #[test]
    fn ticks_become_seconds_and_missing_times_stay_absent() {
        let (mut rows, mut faults) = (Rows::<Cpu>::new(), Faults::default());
        set_times(&mut rows.row(Moment::default()), words(b"36992 -1 7"), 100.0, &mut faults);
        let value = |column: &str| rows.column(column).unwrap().float(0);
        assert_eq!(value("user_seconds"), Some(369.92));
        assert_eq!(value("nice_seconds"), None, "a negative time is no time");
        assert_eq!(value("system_seconds"), Some(0.07));
        assert_eq!(value("idle_seconds"), None);
        assert_eq!(faults.of(FaultKind::Malformed), 1);
    }
}
