//! What one block cost: exact where its sender read at both edges, otherwise from the samples around them.

use super::edges::{Block, Reading, SelfTime};
use super::nanos_between;
use super::processes::Readings;

const FELL: &str = "a counter of its sender fell meanwhile";

/// How a number is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// The sender read it at both edges.
    Exact,
    /// It was worked out from the samples around the edges.
    Sampled,
}

impl How {
    /// The word for it in the table and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            How::Exact => "exact",
            How::Sampled => "sampled",
        }
    }
}

/// What a span cost. What is not known is absent. Of an open span, it is what it cost up to the last reading of its process.
// GPU seconds belong here, and into `SpanTable`, once a source tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Wall time of it in which no direct child on the same thread was open.
    pub self_wall_seconds: Option<f64>,
    /// CPU time of its thread; always exact, and known only if both edges came from that thread.
    pub thread_cpu_seconds: Option<f64>,
    /// The same without that of its direct children on the same thread; absent if those were open at the same time.
    pub self_cpu_seconds: Option<f64>,
    /// CPU time of its process meanwhile, all threads.
    pub cpu_seconds: Option<f64>,
    /// How that is known.
    pub cpu_how: Option<How>,
    /// That CPU time by the wall time in which it was used.
    pub mean_cores: Option<f64>,
    /// Whose are the next two: `process` for that of its process and all its descendants, `job` for the whole watched tree, where that is the same or
    /// its process was never seen.
    pub tree: Option<&'static str>,
    /// CPU time of the tree meanwhile, from samples.
    pub tree_cpu_seconds: Option<f64>,
    /// The most RAM that the processes of the tree had together, at a sample.
    pub tree_peak_resident_bytes: Option<f64>,
    /// RAM of its process at its begin.
    pub begin_resident_bytes: Option<f64>,
    /// RAM of its process at its end.
    pub end_resident_bytes: Option<f64>,
    /// How both are known.
    pub resident_how: Option<How>,
    /// The most RAM of its process that was read meanwhile, at the edges, at samples, or by the kernel's own mark where that rose.
    pub peak_resident_bytes: Option<f64>,
    /// Bytes that its process read meanwhile by system calls.
    pub read_bytes: Option<f64>,
    /// Bytes that its process wrote meanwhile by system calls.
    pub written_bytes: Option<f64>,
    /// How both are known.
    pub bytes_how: Option<How>,
    /// Page faults of its process meanwhile that needed no device.
    pub minor_faults: Option<f64>,
    /// Page faults of its process meanwhile that waited for a device.
    pub major_faults: Option<f64>,
    /// How both are known.
    pub faults_how: Option<How>,
}

/// By how much counters grew, and how that is known.
struct Counted<const N: usize> {
    grew: [Option<f64>; N],
    how: Option<How>,
    /// The sender says that one of them fell.
    fell: bool,
}

/// What a counter of the sender says.
enum Said {
    Grew(f64),
    Fell,
    Nothing,
}

impl Block {
    /// By how much a reading of the sender grew. Only the process itself can say so.
    fn said(&self, reading: Reading) -> Said {
        match self.begin.reading(reading).zip(self.end_of_same_process().and_then(|end| end.reading(reading))) {
            Some((begin, end)) if end >= begin => Said::Grew(end - begin),
            Some(_) => Said::Fell,
            None => Said::Nothing,
        }
    }

    /// CPU time of its thread.
    pub(super) fn thread_cpu(&self) -> Option<f64> {
        match self.said(Reading::ThreadCpu) {
            Said::Grew(seconds) if self.is_of_one_thread() => Some(seconds),
            _ => None,
        }
    }
}

impl Readings {
    /// What a block cost, and why something of it is absent.
    pub(super) fn cost(&self, block: &Block, children: SelfTime) -> (Cost, Option<&'static str>) {
        let mut cost = Cost::default();
        let Some(until) = block.until else { return (cost, None) };
        let whole = nanos_between(block.begin.at.monotonic_nanos, until.monotonic_nanos);
        cost.self_wall_seconds = Some((whole - children.wall_nanos).max(0) as f64 / 1e9);
        cost.thread_cpu_seconds = block.thread_cpu();
        // The clocks of a parent and its children are not read at the same instant.
        cost.self_cpu_seconds = cost.thread_cpu_seconds.zip(children.cpu_seconds).map(|(all, theirs)| (all - theirs).max(0.0));
        let window = self.window(block, until.monotonic_nanos);
        let cpu = self.counted(block, [Reading::ProcessCpu], window);
        let bytes = self.counted(block, [Reading::Read, Reading::Written], window);
        let faults = self.counted(block, [Reading::MinorFaults, Reading::MajorFaults], window);
        (cost.cpu_seconds, cost.cpu_how) = (cpu.grew[0], cpu.how);
        ([cost.read_bytes, cost.written_bytes], cost.bytes_how) = (bytes.grew, bytes.how);
        ([cost.minor_faults, cost.major_faults], cost.faults_how) = (faults.grew, faults.how);
        let told = if cost.cpu_how == Some(How::Exact) { (block.begin.at.monotonic_nanos, until.monotonic_nanos) } else { window };
        let wall = nanos_between(told.0, told.1) as f64 / 1e9;
        cost.mean_cores = cost.cpu_seconds.filter(|_| wall > 0.0).map(|cpu| cpu / wall);
        self.resident(block, window, &mut cost);
        self.tree(block, window, &mut cost);
        let fell = cpu.fell || bytes.fell || faults.fell || matches!(block.said(Reading::ThreadCpu), Said::Fell);
        (cost, fell.then_some(FELL))
    }

    /// By how much counters that belong together grew: exactly, if the sender read one of them at least.
    fn counted<const N: usize>(&self, block: &Block, readings: [Reading; N], window: (i64, i64)) -> Counted<N> {
        let said = readings.map(|reading| block.said(reading));
        if said.iter().any(|said| matches!(said, Said::Fell)) {
            return Counted { grew: [None; N], how: None, fell: true };
        }
        let exact = said.map(|said| if let Said::Grew(grew) = said { Some(grew) } else { None });
        if exact.iter().any(Option::is_some) {
            return Counted { grew: exact, how: Some(How::Exact), fell: false };
        }
        let grew = readings.map(|reading| self.growth(block, reading, window));
        Counted { grew, how: grew.iter().any(Option::is_some).then_some(How::Sampled), fell: false }
    }

    fn resident(&self, block: &Block, window: (i64, i64), cost: &mut Cost) {
        let begin = block.begin.reading(Reading::Resident);
        let end = block.end_of_same_process().and_then(|end| end.reading(Reading::Resident));
        (cost.begin_resident_bytes, cost.end_resident_bytes, cost.resident_how) = match (begin, end) {
            (Some(_), Some(_)) => (begin, end, Some(How::Exact)),
            _ => {
                let [near_begin, near_end] = [window.0, window.1].map(|moment| self.resident_near(block, moment));
                let (begin, end) = (begin.or(near_begin), end.or(near_end));
                (begin, end, begin.or(end).map(|_| How::Sampled))
            }
        };
        let meanwhile = self.peaks(block, window);
        cost.peak_resident_bytes = [cost.begin_resident_bytes, cost.end_resident_bytes].into_iter().chain(meanwhile).flatten().reduce(f64::max);
    }
}
