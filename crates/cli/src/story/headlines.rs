//! Which figures a report shows. Everything about them but their name and place follows from the declaration of their metrics.

use barograph_model::{Kind, Table, Unit};
use barograph_sources::{Cpu, Disk, Job, Memory, Network, Pressure};
use barograph_store::{Figure, Series, Stats, Totals};

use crate::human;
use crate::paint::Ink;

/// Names of the two groups.
pub(crate) const JOB: &str = "job";
pub(crate) const MACHINE: &str = "machine";

/// A figure of the report.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its name in JSON.
    pub(crate) key: &'static str,
    /// Its name for people.
    pub(crate) label: &'static str,
    pub(crate) figure: Figure,
    /// Seconds in a second are a share of the time, not cores.
    is_share: bool,
    /// A running maximum: its mean says nothing.
    pub(crate) only_peak: bool,
    /// Of no interest when it is zero all the time.
    hide_zero: bool,
}

/// A curve of the report.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) key: &'static str,
    pub(crate) label: &'static str,
    pub(crate) figure: Figure,
    pub(crate) ink: Ink,
    /// Lines of text that it is high.
    pub(crate) height: usize,
}

/// Keys that are asked for elsewhere.
pub(crate) const CPU: &str = "cpu";
pub(crate) const MEMORY: &str = "memory";
pub(crate) const PROCESSES: &str = "processes";
pub(crate) const LARGEST: &str = "largest_process_kernel";

fn line(key: &'static str, label: &'static str, figure: Figure) -> Line {
    Line { key, label, figure, is_share: false, only_peak: false, hide_zero: false }
}

impl Line {
    fn share(self) -> Line {
        Line { is_share: true, ..self }
    }

    fn only_peak(self) -> Line {
        Line { only_peak: true, ..self }
    }

    fn unless_zero(self) -> Line {
        Line { hide_zero: true, ..self }
    }

    /// What it comes to, if there is anything to tell.
    pub(crate) fn stats(&self, series: &Series) -> Option<Stats> {
        let mut stats = series.stats()?;
        if self.only_peak {
            (stats.total, stats.mean, stats.p95) = (None, None, None);
        }
        let is_zero = stats.total.unwrap_or(0.0) == 0.0 && stats.peak.is_none_or(|peak| peak.value == 0.0);
        (!self.hide_zero || !is_zero).then_some(stats)
    }

    /// A mean, percentile or peak.
    pub(crate) fn value(&self, value: f64) -> String {
        if self.is_share && self.figure.is_counter() { human::share(value) } else { value_of(&self.figure, value) }
    }

    /// A total.
    pub(crate) fn total(&self, value: f64) -> String {
        match self.figure.unit() {
            Unit::Bytes => human::byte_amount(value),
            Unit::Seconds => human::seconds(value),
            _ => human::count(value),
        }
    }

    /// The unit of a mean, percentile or peak, as JSON names it.
    pub(crate) fn unit(&self) -> &'static str {
        if self.is_share && self.figure.is_counter() { Unit::Ratio.name() } else { unit_of(&self.figure) }
    }
}

impl Curve {
    pub(crate) fn value(&self, value: f64) -> String {
        value_of(&self.figure, value)
    }

    pub(crate) fn unit(&self) -> &'static str {
        unit_of(&self.figure)
    }
}

fn unit_of(figure: &Figure) -> &'static str {
    match (figure.unit(), figure.is_counter()) {
        (Unit::Seconds, true) => "cores",
        (Unit::Bytes, true) => "bytes_per_second",
        (_, true) => "per_second",
        (unit, false) => unit.name(),
    }
}

fn value_of(figure: &Figure, value: f64) -> String {
    match (figure.unit(), figure.is_counter()) {
        (Unit::Bytes, true) => human::byte_rate(value),
        (Unit::Bytes, false) => human::byte_amount(value),
        (Unit::Seconds, true) => format!("{} cores", human::cores(value)),
        (Unit::Seconds, false) => human::seconds(value),
        (Unit::Ratio, _) => human::share(value),
        (_, true) => human::count_rate(value),
        (_, false) => human::count(value),
    }
}

/// The groups in the order in which they are shown.
pub(crate) fn groups() -> [(&'static str, Vec<Line>); 2] {
    [(JOB, job()), (MACHINE, machine())]
}

fn job() -> Vec<Line> {
    vec![
        line(CPU, "CPU", job_cpu()),
        line(MEMORY, "memory", Figure::of(Job::resident)),
        line("largest_process", "largest process", Figure::of(Job::largest_resident)),
        line(LARGEST, "  by the kernel", Figure::of(Job::largest_peak_resident)).only_peak(),
        line("read", "read", Figure::of(Job::read)),
        line("storage_read", "  from storage", Figure::of(Job::storage_read)).unless_zero(),
        line("written", "written", Figure::of(Job::written)),
        line("storage_written", "  to storage", Figure::of(Job::storage_written)).unless_zero(),
        line(PROCESSES, "processes", Figure::of(Job::processes)),
        line("threads", "threads", Figure::of(Job::threads)),
    ]
}

fn machine() -> Vec<Line> {
    vec![
        line(CPU, "CPU", machine_cpu()),
        line("steal", "CPU stolen", Figure::of(Cpu::steal)).unless_zero(),
        line(MEMORY, "memory used", memory_used()),
        line("swap", "swap used", Figure::of(Memory::swap_total).minus(Memory::swap_free)).unless_zero(),
        line("disk_read", "disk read", Figure::of(Disk::read)),
        line("disk_written", "disk written", Figure::of(Disk::written)),
        line("network_received", "net received", Figure::of(Network::received)),
        line("network_sent", "net sent", Figure::of(Network::sent)),
        line("cpu_pressure", "waited for CPU", Figure::of(Pressure::cpu_some)).share().unless_zero(),
        line("memory_pressure", "  for memory", Figure::of(Pressure::memory_some)).share().unless_zero(),
        line("io_pressure", "  for I/O", Figure::of(Pressure::io_some)).share().unless_zero(),
    ]
}

/// Every number of a file that somebody else wrote.
pub(crate) fn of_the_file(table: &'static Table) -> (&'static str, Vec<Line>) {
    (
        table.name,
        numbers(table).map(|metric| line(table.metrics[metric].name, table.metrics[metric].name, Figure::of_metric(table, metric))).collect(),
    )
}

/// Curves of its first numbers.
pub(crate) fn curves_of_the_file(table: &'static Table) -> Vec<Curve> {
    let inks = [Ink::Green, Ink::Cyan, Ink::Yellow, Ink::Magenta];
    let of = |(metric, ink): (usize, Ink)| {
        let name = table.metrics[metric].name;
        Curve { key: name, label: name, figure: Figure::of_metric(table, metric), ink, height: 1 }
    };
    numbers(table).zip(inks).map(of).collect()
}

fn numbers(table: &'static Table) -> impl Iterator<Item = usize> {
    (0..table.metrics.len()).filter(|metric| matches!(table.metrics[*metric].kind, Kind::Counter | Kind::Gauge))
}

/// What the recorder learned at the end makes the figures of the whole job complete: CPU time to the last microsecond, as wait4(2) has it. Levels
/// that no reading ever saw are taken out, for they are not zero but unknown.
pub(crate) fn complete(lines: &mut Vec<(Line, Stats)>, totals: Totals) {
    let used = totals.user_seconds.zip(totals.system_seconds).map(|(user, system)| user + system);
    let never_seen = lines.iter().any(|(line, stats)| line.key == PROCESSES && stats.peak.is_none_or(|peak| peak.value == 0.0));
    if never_seen {
        lines.retain(|(line, _)| line.figure.is_counter());
    }
    for (_, stats) in lines.iter_mut().filter(|(line, _)| line.key == CPU) {
        if let Some(used) = used.filter(|used| stats.total.is_none_or(|total| *used >= total)) {
            stats.total = Some(used);
            stats.mean = totals.wall_seconds.filter(|wall| *wall > 0.0).map(|wall| used / wall).or(stats.mean);
        }
        if never_seen {
            (stats.p95, stats.peak) = (None, None);
        }
    }
}

/// The curves: the job's own where there is a job, and the machine's.
pub(crate) fn curves(has_job: bool) -> Vec<Curve> {
    let curve = |key, label, figure, ink, height| Curve { key, label, figure, ink, height };
    let disk = curve("disk", "disk", Figure::of(Disk::read).plus(Disk::written), Ink::Yellow, 1);
    let network = curve("network", "network", Figure::of(Network::received).plus(Network::sent), Ink::Magenta, 1);
    if has_job {
        let cpu = curve("job_cpu", "job CPU", job_cpu(), Ink::Green, 2);
        let memory = curve("job_memory", "job memory", Figure::of(Job::resident), Ink::Cyan, 2);
        let machine = curve("machine_cpu", "machine CPU", machine_cpu(), Ink::Blue, 1);
        return vec![cpu, memory, machine, disk, network];
    }
    let cpu = curve("machine_cpu", "CPU", machine_cpu(), Ink::Green, 2);
    let memory = curve("machine_memory", "memory", memory_used(), Ink::Cyan, 2);
    vec![cpu, memory, disk, network]
}

fn job_cpu() -> Figure {
    Figure::of(Job::user).plus(Job::system)
}

/// Time at work. What was stolen was not worked, and guests' time is part of users'.
fn machine_cpu() -> Figure {
    Figure::of(Cpu::user).plus(Cpu::nice).plus(Cpu::system).plus(Cpu::irq).plus(Cpu::softirq)
}

fn memory_used() -> Figure {
    Figure::of(Memory::total).minus(Memory::available)
}
