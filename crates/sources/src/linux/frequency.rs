//! How fast each core runs: from cpufreq, or else from /proc/cpuinfo.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use barograph_model::Moment;
use rustix::fs::OFlags;

use crate::scan::{complete, decimal, lines, number, position};
use crate::{Fault, FaultKind, Faults, KeptFile, Machine, Root};

/// The time that a tick may spend on frequencies. Linux 4.13 to 5.17 on x86 interrupts the core whose frequency is asked, and sleeps 10 ms if nobody
/// asked within the last second: 64 cores would take longer than most intervals. When the time is spent, the other cores wait for the next tick.
const BUDGET: Duration = Duration::from_millis(4);

/// How seldom /proc/cpuinfo is read: it has some 1.5 kB for each core, nearly all of it constant, and the same old kernels interrupt every core for
/// it.
const CPUINFO_INTERVAL_NANOS: i64 = 1_000_000_000;

/// The frequencies of the cores that are online.
pub(super) struct Frequencies {
    machine: Arc<Machine>,
    /// Whether the cores have files of their own.
    cpufreq: bool,
    /// Only where they have none.
    cpuinfo: Option<Cpuinfo>,
    cores: HashMap<u64, Core>,
    buffer: Vec<u8>,
    budget: Duration,
    tick: u64,
    /// Cores asked for in this tick.
    asked: usize,
    /// The first of them that is read in this tick: those before had their turn in the last one.
    first: usize,
    started: Instant,
    /// Where the next tick begins, if the time of this one is spent.
    spent_at: Option<usize>,
}

struct Core {
    /// `None` where it can't be opened; tried again when the core comes back.
    file: Option<KeptFile>,
    tick: u64,
}

impl Frequencies {
    pub(super) fn open(machine: &Arc<Machine>) -> Frequencies {
        let folders = machine.names(Root::Sys, "devices/system/cpu");
        let mut cores = folders.iter().filter(|name| name.strip_prefix("cpu").is_some_and(|core| core.bytes().all(|byte| byte.is_ascii_digit())));
        let cpufreq = cores.any(|core| machine.exists(Root::Sys, &format!("devices/system/cpu/{core}/cpufreq/scaling_cur_freq")));
        let cpuinfo = if cpufreq { None } else { machine.keep(Root::Proc, "cpuinfo").ok() };
        Frequencies {
            machine: machine.clone(),
            cpufreq,
            cpuinfo: cpuinfo.map(|file| Cpuinfo { file, read_at: None, fresh: false, hertz: HashMap::new() }),
            cores: HashMap::new(),
            buffer: Vec::new(),
            budget: if waits_for_cores(machine) { BUDGET } else { Duration::MAX },
            tick: 0,
            asked: 0,
            first: 0,
            started: Instant::now(),
            spent_at: None,
        }
    }

    /// Begins a tick.
    pub(super) fn begin(&mut self, at: Moment, faults: &mut Faults) {
        self.tick += 1;
        self.asked = 0;
        self.first = self.spent_at.take().unwrap_or(0);
        self.started = Instant::now();
        if let Some(cpuinfo) = &mut self.cpuinfo {
            match cpuinfo.refresh(at, &mut self.buffer) {
                // Its cores tell none: it is not asked again.
                Ok(()) if cpuinfo.fresh && cpuinfo.hertz.is_empty() => self.cpuinfo = None,
                Ok(()) => {}
                Err(fault) => faults.count(fault.kind),
            }
        }
    }

    /// The frequency of this core in Hertz, if it is known in this tick.
    pub(super) fn of(&mut self, core: u64, faults: &mut Faults) -> Option<f64> {
        if !self.cpufreq {
            return self.cpuinfo.as_ref()?.of(core);
        }
        let place = self.asked;
        self.asked += 1;
        let known = self.cores.entry(core).or_insert_with(|| Core { file: keep(&self.machine, core, faults), tick: 0 });
        known.tick = self.tick;
        if place < self.first || self.spent_at.is_some() {
            return None;
        }
        // A core that went and came back between two ticks left a dead file behind.
        if known.file.as_ref()?.read(&mut self.buffer).is_err() {
            known.file = keep(&self.machine, core, faults);
            known.file.as_ref()?.read(&mut self.buffer).map_err(|fault| faults.count(fault.kind)).ok()?;
        }
        if self.started.elapsed() > self.budget {
            self.spent_at = Some(place + 1);
        }
        // The kernel's unit is the kilohertz. `<unknown>` is its word for a core that sleeps.
        Some(number(self.buffer.trim_ascii())? as f64 * 1e3)
    }

    /// Ends a tick: forgets the cores that are gone.
    pub(super) fn end(&mut self) {
        self.cores.retain(|_, core| core.tick == self.tick);
        self.spent_at = self.spent_at.filter(|&next| next < self.asked);
    }
}

/// Whether a core may be asked for what its file says. A folder that plays /sys asks nobody, however long a reading of it waits to be run.
fn waits_for_cores(machine: &Machine) -> bool {
    let folder = machine.open_at(Root::Sys, ".", OFlags::DIRECTORY);
    folder.and_then(rustix::fs::fstatfs).is_ok_and(|of| of.f_type == libc::SYSFS_MAGIC)
}

fn keep(machine: &Machine, core: u64, faults: &mut Faults) -> Option<KeptFile> {
    let path = format!("devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq");
    match machine.keep(Root::Sys, &path) {
        Ok(file) => Some(file),
        // Not every core needs to have one.
        Err(fault) if fault.kind == FaultKind::Gone => None,
        Err(fault) => {
            faults.count(fault.kind);
            None
        }
    }
}

struct Cpuinfo {
    file: KeptFile,
    read_at: Option<Moment>,
    /// Whether it was read in this tick: an old value is not told again as if it were new.
    fresh: bool,
    hertz: HashMap<u64, f64>,
}

impl Cpuinfo {
    fn refresh(&mut self, at: Moment, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        self.fresh = self.read_at.is_none_or(|before| at.monotonic_nanos - before.monotonic_nanos >= CPUINFO_INTERVAL_NANOS);
        if self.fresh {
            self.read_at = Some(at);
            self.hertz.clear();
            // Each core is a record, which its flags make long.
            self.file.read_to_the_end(buffer)?;
            parse(buffer, |core, hertz| {
                self.hertz.insert(core, hertz);
            });
        }
        Ok(())
    }

    fn of(&self, core: u64) -> Option<f64> {
        if self.fresh { self.hertz.get(&core).copied() } else { None }
    }
}

/// Lines of `key : value`, where `processor` begins a core. Only x86 tells megahertz; elsewhere nothing is found.
fn parse(text: &[u8], mut found: impl FnMut(u64, f64)) {
    let mut core = None;
    for line in lines(complete(text)) {
        let Some(colon) = position(b':', line) else { continue };
        let value = line[colon + 1..].trim_ascii();
        match line[..colon].trim_ascii() {
            b"processor" => core = number(value),
            b"cpu MHz" => {
                if let (Some(core), Some(megahertz)) = (core, decimal(value)) {
                    found(core, megahertz * 1e6);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::Roots;

    /// A folder that plays a /sys with so many cores.
    fn cores(count: u64) -> TempDir {
        let place = tempfile::tempdir().unwrap();
        for core in 0..count {
            let folder = place.path().join(format!("devices/system/cpu/cpu{core}/cpufreq"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("scaling_cur_freq"), "1000\n").unwrap();
        }
        place
    }

    fn of_machine(place: &TempDir) -> Frequencies {
        let root = || place.path().to_owned();
        Frequencies::open(&Arc::new(Machine::open(Roots { proc: root(), sys: root(), etc: root(), mounts: root() }).unwrap()))
    }

    #[test]
    fn slow_cores_are_read_in_turn() {
        let place = cores(3);
        let mut frequencies = of_machine(&place);
        frequencies.budget = Duration::ZERO;
        let mut faults = Faults::default();
        let mut tick = || {
            frequencies.begin(Moment::default(), &mut faults);
            let read = [0, 1, 2].map(|core| frequencies.of(core, &mut faults).is_some());
            frequencies.end();
            read
        };
        assert_eq!([tick(), tick()], [[true, false, false], [false, true, false]]);
        assert_eq!([tick(), tick()], [[false, false, true], [true, false, false]]);
    }

    #[test]
    fn a_folder_that_plays_sys_is_read_however_long_it_takes() {
        let place = cores(2);
        let (mut frequencies, mut faults) = (of_machine(&place), Faults::default());
        frequencies.begin(Moment::default(), &mut faults);
        std::thread::sleep(2 * BUDGET);
        assert_eq!([0, 1].map(|core| frequencies.of(core, &mut faults)), [Some(1e6); 2]);
        assert!(waits_for_cores(&Machine::open(Roots::default()).unwrap()), "the kernel's own");
    }

    #[test]
    fn cpuinfo_without_megahertz_is_read_once() {
        let place = tempfile::tempdir().unwrap();
        // As a core of arm64 and one of x86 have it.
        for (text, is_kept) in
            [("processor\t: 0\nBogoMIPS\t: 2000.00\nCPU part\t: 0x051\n\n", false), ("processor\t: 0\ncpu MHz\t\t: 800.000\n", true)]
        {
            std::fs::write(place.path().join("cpuinfo"), text).unwrap();
            let (mut frequencies, mut faults) = (of_machine(&place), Faults::default());
            frequencies.begin(Moment::default(), &mut faults);
            assert_eq!((frequencies.of(0, &mut faults).is_some(), frequencies.cpuinfo.is_some()), (is_kept, is_kept), "{text}");
        }
    }

    #[test]
    fn cpuinfo_tells_megahertz_of_each_core() {
        let text =
            b"processor\t: 0\nmodel name\t: X : Y\ncpu MHz\t\t: 2599.998\n\nprocessor\t: 3\ncpu MHz\t\t: ?\n\nprocessor\t: 4\ncpu MHz\t\t: 800.000\n";
        let mut found = Vec::new();
        parse(text, |core, hertz| found.push((core, hertz)));
        assert_eq!(found, [(0, 2_599_998_000.0), (4, 800_000_000.0)]);
    }
}
