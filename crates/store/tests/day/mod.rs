//! A day that never was, as fast as it goes: rows of the real tables, for whoever measures or tries the writer.
//!
//! A tenth of the processes works, in bursts of minutes; some stir now and then; the rest sleeps, as on most machines, and some of them end while others
//! begin. There are eight cores, a disk with a partition, a network card, what a machine says of itself at each tick, and what a program says now and then.

use barograph_model::{Counter, Described, EventRow, Events, Field, Gauges, Moment, Row, Rows, Seconds, Sink};
use barograph_sources::{Cores, Cpu, Disk, Job, Memory, Network, Own, Pressure, Process, Processes, System};
use barograph_store::{Clock, Facts, Host, Recording};

const BEGIN: Moment = Moment { utc_nanos: 1_790_000_000_000_000_000, monotonic_nanos: 5_000_000_000_000 };
const CORES: u64 = 8;
const PAGE: u64 = 4096;

/// The processes at the first places are those of the job.
const OF_JOB: usize = 60;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

/// A process, and what it has used so far: times in microseconds, memory in pages.
#[derive(Clone, Default)]
struct Work {
    pid: u64,
    start_ticks: u64,
    place: usize,
    is_new: bool,
    /// Shares of a core in percent, for as many ticks.
    burst: (u64, u64),
    user: u64,
    system: u64,
    waited: u64,
    resident: u64,
    peak: u64,
    read: u64,
    written: u64,
    calls: u64,
    faults: u64,
    switches: u64,
}

impl Work {
    fn born(place: usize, pid: u64, tick: u64, random: &mut Random) -> Work {
        let resident = 500 + random.below(if place.is_multiple_of(10) { 400_000 } else { 9000 });
        Work { pid, start_ticks: 400_000 + tick * 100, place, is_new: true, resident, peak: resident, ..Work::default() }
    }

    fn act(&mut self, random: &mut Random) {
        if self.burst.1 > 0 {
            self.burst.1 -= 1;
        } else {
            self.burst = match self.place % 10 {
                0 => (random.below(100), 20 + random.below(300)),
                1..=3 if random.below(30) == 0 => (1 + random.below(10), 1 + random.below(3)),
                _ => (0, 1 + random.below(20)),
            };
        }
        let percent = self.burst.0;
        if percent == 0 {
            return;
        }
        let used = percent * 10_000 - random.below(percent * 1000 + 1);
        self.user += used * 4 / 5;
        self.system += used / 5;
        self.waited += random.below(used / 10 + 1);
        self.resident = (self.resident + random.below(60 + percent)).saturating_sub(random.below(50 + percent)).clamp(300, 900_000);
        self.peak = self.peak.max(self.resident);
        self.read += random.below(percent * 40_000);
        self.written += random.below(percent * 15_000);
        self.calls += random.below(percent * 10) + 1;
        self.faults += random.below(percent * 20);
        self.switches += 1 + random.below(percent * 5);
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn row(rows: &mut Rows<Process>, at: Moment, tick: u64, work: &Work) {
    let (is_busy, has_detail) = (work.burst.0 > 0, (tick + work.pid).is_multiple_of(15) || work.is_new);
    let mut row = rows.row(at);
    row.set(Process::pid, work.pid)
        .set(Process::start_ticks, work.start_ticks)
        .text(Process::state, if is_busy { &b"R"[..] } else { b"S" })
        .set(Process::threads, 1 + (work.place % 7) as u64)
        .set(Process::user, seconds(work.user))
        .set(Process::system, seconds(work.system))
        .set(Process::resident, work.resident * PAGE)
        .set(Process::virtual_size, work.resident * PAGE * 4 + (200 << 20))
        .set(Process::children_user, 0.0)
        .set(Process::children_system, 0.0)
        .set(Process::core, work.switches % CORES)
        .set(Process::nice, 0)
        .set(Process::minor_faults, work.faults)
        .set(Process::major_faults, work.faults / 5000)
        .set(Process::io_delay, 0.0)
        .set(Process::read, work.read)
        .set(Process::written, work.written)
        .set(Process::read_calls, work.calls)
        .set(Process::write_calls, work.calls / 2)
        .set(Process::storage_read, work.read / PAGE / 8 * PAGE)
        .set(Process::storage_written, work.written / PAGE / 2 * PAGE)
        .set(Process::storage_cancelled, 0);
    if has_detail {
        row.set(Process::peak_resident, work.peak * PAGE)
            .set(Process::anonymous, work.resident * PAGE / 10 * 7)
            .set(Process::file, work.resident * PAGE / 10 * 3)
            .set(Process::shared, 0)
            .set(Process::swap, 0)
            .set(Process::voluntary_switches, work.switches)
            .set(Process::involuntary_switches, work.switches / 9)
            .set(Process::run_delay, seconds(work.waited))
            .set(Process::open_files, 8 + (work.place % 40) as u64);
    }
}

fn identity(rows: &mut Rows<Processes>, at: Moment, work: &Work, change: &str) {
    const NAMES: [&str; 8] = ["python3", "cc1plus", "postgres", "node", "rsync", "java", "sshd", "kworker/3:1"];
    let name = NAMES[work.place % NAMES.len()];
    let command = format!("/usr/bin/{name} --worker={} --config=/etc/{name}/main.conf", work.pid % 97);
    rows.row(at)
        .set(Processes::pid, work.pid)
        .set(Processes::start_ticks, work.start_ticks)
        .text(Processes::change, change.as_bytes())
        .set(Processes::parent_pid, if work.place == 0 { 1 } else { 1000 })
        .set(Processes::started, work.start_ticks as f64 / 100.0)
        .text(Processes::name, name.as_bytes())
        .text(Processes::command_line, command.as_bytes())
        .text(Processes::executable, format!("/usr/bin/{name}").as_bytes())
        .set(Processes::user_id, 1000)
        .text(Processes::user, b"user".as_slice())
        .text(Processes::cgroup, b"/user.slice".as_slice())
        .set(Processes::in_job, u64::from(work.place < OF_JOB));
}

/// The processes together.
#[derive(Default)]
struct Sum {
    user: u64,
    system: u64,
    waited: u64,
    resident: u64,
    read: u64,
    written: u64,
    switches: u64,
}

fn sum<'a>(works: impl Iterator<Item = &'a Work>, gone: &Sum) -> Sum {
    let begin = Sum { resident: 0, ..*gone };
    works.fold(begin, |sum, work| Sum {
        user: sum.user + work.user,
        system: sum.system + work.system,
        waited: sum.waited + work.waited,
        resident: sum.resident + work.resident,
        read: sum.read + work.read,
        written: sum.written + work.written,
        switches: sum.switches + work.switches,
    })
}

fn times<T: Described>(row: &mut Row<'_, T>, fields: [Field<T, Counter<Seconds>>; 10], used: (u64, u64), all: u64) {
    // The kernel counts in ticks of 10 ms.
    let ticks = |micros: u64| (micros / 10_000) as f64 / 100.0;
    let [user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice] = fields;
    row.set(user, ticks(used.0)).set(system, ticks(used.1)).set(idle, ticks(all.saturating_sub(used.0 + used.1 + all / 200)));
    row.set(iowait, ticks(all / 250)).set(softirq, ticks(all / 1000));
    for never in [nice, irq, steal, guest, guest_nice] {
        row.set(never, 0.0);
    }
}

macro_rules! times_of {
    ($Table:ident) => {
        [
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
        ]
    };
}

/// Everything but processes, at a tick.
fn machine(recording: &mut Recording, at: Moment, tick: u64, all: &Sum, job: &Sum, counts: (u64, u64), random: &mut Random) {
    let mut cpu = Rows::<Cpu>::new();
    let elapsed = tick * 1_000_000;
    let mut row = cpu.row(at);
    row.set(Cpu::cores_online, CORES);
    times(&mut row, times_of!(Cpu), (all.user, all.system), elapsed * CORES);
    recording.take(&cpu).unwrap();
    let mut cores = Rows::<Cores>::new();
    for core in 0..CORES {
        let mut row = cores.row(at);
        row.set(Cores::core, core).set(Cores::frequency, 2.4e9 + random.below(900) as f64 * 1e6);
        times(&mut row, times_of!(Cores), (all.user / CORES, all.system / CORES), elapsed);
    }
    recording.take(&cores).unwrap();
    let mut memory = Rows::<Memory>::new();
    let (total, used) = (32_u64 << 30, all.resident * PAGE);
    let cached = (4_u64 << 30) + tick * 10_000 + random.below(500) * PAGE;
    let free = total.saturating_sub(used + cached);
    memory
        .row(at)
        .set(Memory::total, total)
        .set(Memory::available, free + cached / 10 * 9)
        .set(Memory::free, free)
        .set(Memory::buffers, 200 << 20)
        .set(Memory::cached, cached)
        .set(Memory::active, used / 2)
        .set(Memory::inactive, cached / 2)
        .set(Memory::dirty, random.below(5000) * PAGE)
        .set(Memory::anonymous, used)
        .set(Memory::swap_total, 4 << 30)
        .set(Memory::swap_free, (4 << 30) - tick / 60 * PAGE)
        .set(Memory::paged_in, all.read)
        .set(Memory::paged_out, all.written)
        .set(Memory::faults, all.switches * 7)
        .set(Memory::major_faults, all.switches / 100);
    recording.take(&memory).unwrap();
    let mut pressure = Rows::<Pressure>::new();
    pressure
        .row(at)
        .set(Pressure::cpu_some, seconds(all.waited / 4))
        .set(Pressure::cpu_full, 0.0)
        .set(Pressure::memory_some, 0.0)
        .set(Pressure::memory_full, 0.0)
        .set(Pressure::io_some, seconds(all.waited / 9))
        .set(Pressure::io_full, seconds(all.waited / 12));
    recording.take(&pressure).unwrap();
    let mut disk = Rows::<Disk>::new();
    for (device, kind, counted) in [("nvme0n1", "disk", 1), ("nvme0n1p1", "partition", 0)] {
        disk.row(at)
            .text(Disk::device, device.as_bytes())
            .text(Disk::kind, kind.as_bytes())
            .set(Disk::counted, counted)
            .set(Disk::reads, all.read / 65_536)
            .set(Disk::read, all.read / 512 * 512)
            .set(Disk::writes, all.written / 65_536)
            .set(Disk::written, all.written / 512 * 512)
            .set(Disk::busy, seconds(all.waited / 11 / 1000 * 1000));
    }
    recording.take(&disk).unwrap();
    let mut network = Rows::<Network>::new();
    for (interface, counted) in [("eth0", 1), ("lo", 0)] {
        network
            .row(at)
            .text(Network::interface, interface.as_bytes())
            .set(Network::counted, counted)
            .set(Network::received, all.read / 9 * counted)
            .set(Network::received_packets, all.read / 9000)
            .set(Network::sent, all.written / 7 * counted)
            .set(Network::sent_packets, all.written / 7000);
    }
    recording.take(&network).unwrap();
    let mut system = Rows::<System>::new();
    system
        .row(at)
        .set(System::load_1, 3.0 + random.below(300) as f64 / 100.0)
        .set(System::load_5, 4.1)
        .set(System::load_15, 4.2)
        .set(System::running, random.below(9))
        .set(System::blocked, random.below(2))
        .set(System::threads, counts.0 * 4)
        .set(System::context_switches, all.switches * 3)
        .set(System::forks, tick / 60)
        .set(System::open_files, 9000 + random.below(100))
        .set(System::uptime, at.monotonic_nanos as f64 / 1e9);
    recording.take(&system).unwrap();
    let mut own = Rows::<Own>::new();
    own.row(at)
        .set(Own::ticks, tick)
        .set(Own::missed_ticks, 0)
        .set(Own::tick_duration, 0.003 + random.below(100) as f64 / 1e6)
        .set(Own::suspended, 0.0)
        .set(Own::cpu, tick as f64 * 0.004)
        .set(Own::resident, 9 << 20);
    recording.take(&own).unwrap();
    let mut of_job = Rows::<Job>::new();
    of_job
        .row(at)
        .set(Job::processes, counts.1)
        .set(Job::threads, counts.1 * 4)
        .set(Job::user, seconds(job.user))
        .set(Job::system, seconds(job.system))
        .set(Job::resident, job.resident * PAGE)
        .set(Job::read, job.read)
        .set(Job::written, job.written)
        .set(Job::open_files, counts.1 * 20);
    recording.take(&of_job).unwrap();
}

/// The day so far.
pub(crate) struct Day {
    works: Vec<Work>,
    births_a_minute: u64,
    born: u64,
    tick: u64,
    at: Moment,
    random: Random,
    gone: Sum,
    gone_of_job: Sum,
    rows: Rows<Process>,
    identities: Rows<Processes>,
}

impl Day {
    /// So many processes, of which so many end each minute, and as many begin.
    pub(crate) fn new(count: u64, births_a_minute: u64) -> Day {
        let mut random = Random(1);
        Day {
            works: (0..count as usize).map(|place| Work::born(place, 1000 + place as u64 * 3, 0, &mut random)).collect(),
            births_a_minute,
            born: count,
            tick: 0,
            at: BEGIN,
            random,
            gone: Sum::default(),
            gone_of_job: Sum::default(),
            rows: Rows::new(),
            identities: Rows::new(),
        }
    }

    /// The facts of its recording.
    pub(crate) fn facts() -> Facts {
        let host = Host { name: "day".to_owned(), cores: CORES, memory_bytes: 32 << 30, page_size: PAGE, ticks_per_second: 100, ..Host::default() };
        let clock = Clock { utc_nanos: BEGIN.utc_nanos, monotonic_nanos: BEGIN.monotonic_nanos, zone: "UTC".to_owned() };
        Facts { host, clock, command: Some(vec!["python3".to_owned(), "day.py".to_owned()]), ..Facts::default() }
    }

    /// All processes that there ever were.
    pub(crate) fn born(&self) -> u64 {
        self.born
    }

    /// One tick of everything; says when that was.
    pub(crate) fn tick(&mut self, recording: &mut Recording) -> Moment {
        let nanos = (self.tick * 1_000_000_000 + self.random.below(400_000)).cast_signed();
        self.at = Moment { utc_nanos: BEGIN.utc_nanos + nanos, monotonic_nanos: BEGIN.monotonic_nanos + nanos };
        self.rows.clear();
        self.identities.clear();
        for _ in self.tick * self.births_a_minute / 60..(self.tick + 1) * self.births_a_minute / 60 {
            self.end_one_and_begin_another();
        }
        for work in &mut self.works {
            work.act(&mut self.random);
            if work.is_new {
                identity(&mut self.identities, self.at, work, "seen");
            }
            row(&mut self.rows, self.at, self.tick, work);
            work.is_new = false;
        }
        recording.take(&self.rows).unwrap();
        recording.take(&self.identities).unwrap();
        let all = sum(self.works.iter(), &self.gone);
        let job = sum(self.works.iter().take(OF_JOB), &self.gone_of_job);
        let counts = (self.works.len() as u64, self.works.len().min(OF_JOB) as u64);
        machine(recording, self.at, self.tick, &all, &job, counts, &mut self.random);
        self.say(recording);
        self.tick += 1;
        self.at
    }

    fn end_one_and_begin_another(&mut self) {
        let place = self.random.below(self.works.len() as u64) as usize;
        let ended = self.works[place].clone();
        identity(&mut self.identities, self.at, &ended, "gone");
        self.gone = sum([&ended].into_iter(), &self.gone);
        if place < OF_JOB {
            self.gone_of_job = sum([&ended].into_iter(), &self.gone_of_job);
        }
        self.born += 1;
        let pid = 10_000 + 3 * (self.born - self.works.len() as u64);
        self.works[place] = Work::born(place, pid, self.tick, &mut self.random);
    }

    /// What the program says of itself.
    fn say(&mut self, recording: &mut Recording) {
        if self.tick % 600 == 300 {
            let (mut events, name) = (Rows::<Events>::new(), format!("checkpoint {}", self.tick / 600));
            events.add(EventRow { at: self.at, by: "program", name: Some(&name), ..EventRow::default() });
            recording.take(&events).unwrap();
        }
        if self.tick.is_multiple_of(5) {
            let (mut gauges, loss) = (Rows::<Gauges>::new(), 1.0 / (1.0 + self.tick as f64 / 600.0) + self.random.below(100) as f64 / 1e4);
            gauges.row(self.at).text(Gauges::name, b"loss".as_slice()).set(Gauges::value, loss);
            recording.take(&gauges).unwrap();
        }
    }
}
