//! A day that never was, as fast as it goes: rows of the real tables, of processes that work, sleep, die and are born.

use barograph_model::{Described, Moment, Physical, Rows, Sink};
use barograph_sources::{Cores, Cpu, Disk, Job, Memory, Network, Own, Pressure, Process, Processes, Protocols, System};
use barograph_store::Recording;

/// A generator of numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

struct Worker {
    pid: u64,
    start_ticks: u64,
    works: bool,
    cpu_ticks: u64,
    pages: u64,
    calls: u64,
    bytes: u64,
}

/// Its processes, and what is counted of them.
pub(crate) struct Day {
    workers: Vec<Worker>,
    births: u64,
    born: u64,
    tick: i64,
    random: Random,
    process: Rows<Process>,
    processes: Rows<Processes>,
}

macro_rules! take_one_row {
    ($recording:ident, $at:ident, $random:expr, $($Table:ident)+) => {$(
        let mut rows = Rows::<$Table>::new();
        let seconds = $at.monotonic_nanos.unsigned_abs() / 1_000_000_000;
        let mut row = rows.row($at);
        for (index, metric) in $Table::TABLE.metrics.iter().enumerate() {
            if metric.physical == Physical::Int {
                row.set_int(index, 1_000_000 + seconds * 512 * (index as u64 % 7) + $random.below(64) * 4096);
            }
        }
        $recording.take(&rows).unwrap();
    )+};
}

impl Day {
    /// So many processes, of which a tenth works; at each tick so many of them die, and as many are born.
    pub(crate) fn new(count: u64, births: u64) -> Day {
        let (process, processes) = (Rows::new(), Rows::new());
        let mut day = Day { workers: Vec::new(), births, born: 0, tick: 0, random: Random(1), process, processes };
        (0..count).for_each(|_| day.bear());
        day
    }

    /// When the next tick is.
    pub(crate) fn at(&mut self) -> Moment {
        let late = self.random.below(900_000).cast_signed();
        let since = self.tick * 1_000_000_000 + late;
        Moment { utc_nanos: 1_795_166_400_000_000_000 + since, monotonic_nanos: 1_000_000_000_000 + since }
    }

    /// All processes that there ever were.
    pub(crate) fn born(&self) -> u64 {
        self.born
    }

    /// One tick of everything.
    pub(crate) fn tick(&mut self, recording: &mut Recording) {
        let at = self.at();
        self.process.clear();
        self.processes.clear();
        for _ in 0..if self.tick == 0 { 0 } else { self.births } {
            let place = self.random.below(self.workers.len() as u64) as usize;
            let gone = self.workers.swap_remove(place);
            self.identify(at, &gone, b"gone");
            self.bear();
            let new = self.workers.pop().unwrap();
            self.identify(at, &new, b"seen");
            self.workers.push(new);
        }
        for worker in &mut self.workers {
            worker.work(&mut self.random);
            worker.row(&mut self.process, at);
        }
        recording.take(&self.process).unwrap();
        recording.take(&self.processes).unwrap();
        let random = &mut self.random;
        take_one_row!(recording, at, random, Job Memory System Pressure Protocols Own);
        let seconds = self.tick as f64;
        let mut cpu = Rows::<Cpu>::new();
        cpu.row(at).set(Cpu::user, seconds * 0.7 + random.below(100) as f64 / 100.0).set(Cpu::system, seconds * 0.1).set(Cpu::idle, seconds * 1.2);
        let (mut cores, mut disk, mut network) = (Rows::<Cores>::new(), Rows::<Disk>::new(), Rows::<Network>::new());
        for core in 0..8 {
            cores.row(at).set(Cores::core, core).set(Cores::user, seconds * 0.1 * core as f64).set(Cores::idle, seconds);
        }
        for name in [b"nvme0n1".as_slice(), b"nvme0n1p1", b"sda"] {
            let written = self.tick.unsigned_abs() * 100_000 + random.below(1 << 20);
            disk.row(at).text(Disk::device, name).set(Disk::counted, 1).set(Disk::read, 7 << 20).set(Disk::written, written);
            network.row(at).text(Network::interface, name).set(Network::counted, 1).set(Network::received, written).set(Network::sent, written / 3);
        }
        for batch in [&*cpu, &cores, &disk, &network] {
            recording.take(batch).unwrap();
        }
        self.tick += 1;
    }

    fn bear(&mut self) {
        self.born += 1;
        let works = self.random.below(10) == 0;
        let start_ticks = 100_000 + self.tick.unsigned_abs() * 100 + self.born % 100;
        let pages = 1000 + self.random.below(5000);
        self.workers.push(Worker { pid: 1000 + self.born % 4_000_000, start_ticks, works, cpu_ticks: 0, pages, calls: 0, bytes: 0 });
    }

    fn identify(&mut self, at: Moment, worker: &Worker, change: &'static [u8]) {
        let command = format!("/usr/lib/compiler -O2 -c src/module_{}.c -o build/module_{}.o", worker.pid, worker.pid);
        self.processes
            .row(at)
            .set(Processes::pid, worker.pid)
            .set(Processes::start_ticks, worker.start_ticks)
            .text(Processes::change, change)
            .set(Processes::parent_pid, 1000)
            .text(Processes::name, b"compiler".as_slice())
            .text(Processes::command_line, command.as_bytes())
            .set(Processes::in_job, 1);
    }
}

impl Worker {
    fn work(&mut self, random: &mut Random) {
        if self.works {
            self.cpu_ticks += random.below(100);
            self.pages = (self.pages + random.below(40)).saturating_sub(random.below(39));
            self.calls += random.below(300);
            self.bytes += random.below(100_000);
        }
    }

    fn row(&self, rows: &mut Rows<Process>, at: Moment) {
        rows.row(at)
            .set(Process::pid, self.pid)
            .set(Process::start_ticks, self.start_ticks)
            .text(Process::state, if self.works { b"R".as_slice() } else { b"S" })
            .set(Process::threads, 1 + self.pid % 3)
            .set(Process::user, self.cpu_ticks as f64 / 100.0)
            .set(Process::system, (self.cpu_ticks / 7) as f64 / 100.0)
            .set(Process::resident, self.pages * 4096)
            .set(Process::virtual_size, self.pages * 40960)
            .set(Process::children_user, 0.0)
            .set(Process::children_system, 0.0)
            .set(Process::core, self.cpu_ticks % 8)
            .set(Process::nice, 0)
            .set(Process::minor_faults, self.pages)
            .set(Process::major_faults, 3)
            .set(Process::read, self.bytes * 3)
            .set(Process::written, self.bytes)
            .set(Process::read_calls, self.calls)
            .set(Process::write_calls, self.calls / 2)
            .set(Process::storage_read, self.bytes / 4096 * 4096)
            .set(Process::storage_written, self.bytes / 8192 * 4096)
            .set(Process::peak_resident, 8_000 * 4096)
            .set(Process::voluntary_switches, self.calls)
            .set(Process::open_files, 12);
    }
}
