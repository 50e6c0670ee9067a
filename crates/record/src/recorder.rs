//! The loop of a recording: wait for a deadline or a signal, read, hand over, until the job or the person says it is over.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use barograph_model::{EventRow, Events, Moment, Rows, Sink};
use barograph_sources::{Cost, Exit, Faults, JobTotals};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::clock::{deadline_nanos, now, suspended};
use crate::job::{Attached, JobEnd, Signals, SpawnError};
use crate::panel::Panel;
use crate::schedule::Schedule;
use crate::system_call::{self, Arrived, Children};
use crate::writer::Writer;

/// poll(2) refuses times that its kernel can't count; after an hour we look around and go on.
const LONGEST_WAIT: i64 = 3_600_000_000_000;

/// When a recording ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When the command, or all attached processes, have ended.
    Root,
    /// When none of their descendants lives any more.
    Tree,
    /// When somebody says so.
    Stopped,
}

/// How it is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Time between ticks.
    pub interval: Duration,
    /// Whether the first ticks come faster.
    pub dense_start: bool,
    /// Time between publishing what was read: the most that a crash can lose.
    pub write_interval: Duration,
    /// What ends it.
    pub until: Until,
    /// Ends it after this time, whatever else.
    pub duration: Option<Duration>,
}

/// Why a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The job has ended.
    JobEnded,
    /// The time that was asked for is over.
    Duration,
    /// This signal asked us to stop.
    Signal(i32),
    /// What is asked at every tick said so.
    Asked(String),
}

/// What a recording came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// When the job, or without one the recording, began.
    pub began: Moment,
    /// When the last rows were read.
    pub ended: Moment,
    /// Why it ended.
    pub reason: Reason,
    /// How the command ended; `None` while it still runs, or where there was none.
    pub job_end: Option<JobEnd>,
    /// The command's and its collected descendants' CPU time and peak, as wait4(2) tells them.
    pub exit: Option<Exit>,
    /// Sums over the job.
    pub totals: JobTotals,
    /// Ticks read.
    pub ticks: u64,
    /// Ticks that were left out.
    pub missed_ticks: u64,
    /// Rows that could not be written.
    pub rows_lost: u64,
    /// Readings that failed, by kind.
    pub faults: Faults,
    /// The last thing that went wrong with writing.
    pub write_error: Option<String>,
}

enum Job {
    None,
    Started { pid: u32 },
    Attached(Vec<Attached>),
}

/// A recording under way.
pub struct Recorder {
    panel: Panel,
    options: Options,
    signals: Signals,
    job: Job,
    first_read: Moment,
    began: Moment,
    schedule: Schedule,
    peak_floor: u64,
    job_end: Option<JobEnd>,
    exit: Option<Exit>,
    no_children: bool,
    stop: Option<Reason>,
    publish_now: bool,
    last_tick: Moment,
    cost: Cost,
    events: Rows<Events>,
}

impl Recorder {
    /// Takes over the signals of this process and reads everything once. No other thread may run yet.
    pub fn new(mut panel: Panel, options: Options) -> io::Result<Recorder> {
        let signals = Signals::watch()?;
        let began = now();
        panel.read(began);
        let mut recorder = Recorder {
            panel,
            options,
            signals,
            job: Job::None,
            first_read: began,
            began,
            schedule: Schedule::new(deadline_nanos(), options.interval, options.dense_start),
            peak_floor: 0,
            job_end: None,
            exit: None,
            no_children: false,
            stop: None,
            publish_now: false,
            last_tick: began,
            cost: Cost { ticks: 1, ..Cost::default() },
            events: Rows::new(),
        };
        recorder.panel.read_own(began, recorder.cost);
        Ok(recorder)
    }

    /// Starts the job. Its orphans become our children, so that none of them is lost.
    pub fn spawn(&mut self, command: &[impl AsRef<OsStr>]) -> Result<u32, SpawnError> {
        // Where that is refused (an old kernel), orphans are still followed while they were seen before.
        let _ = rustix::process::set_child_subreaper(rustix::process::getpid().into());
        self.began = now();
        let pid = self.signals.spawn(command)?;
        // Up to the moment of its execve(2), which is past now, the command shared our memory and its peak.
        self.peak_floor = system_call::own_peak_resident_bytes();
        self.job = Job::Started { pid };
        self.event(self.began, "started", None, Some(pid), None);
        self.schedule = Schedule::new(deadline_nanos(), self.options.interval, self.options.dense_start);
        Ok(pid)
    }

    /// Takes the running processes that the panel watches as the job.
    pub fn attach(&mut self, pids: &[u32]) {
        for &pid in pids {
            self.event(self.began, "attached", None, Some(pid), None);
        }
        self.job = Job::Attached(pids.iter().copied().map(Attached::open).collect());
    }

    /// The sources, for what they say of themselves.
    pub fn panel(&mut self) -> &mut Panel {
        &mut self.panel
    }

    /// When everything was read for the first time: just before the job began.
    pub fn first_read(&self) -> Moment {
        self.first_read
    }

    /// Records until it is over; `stop` is asked at each tick whether, and why, to stop now. Gives the sink back, unless it panicked.
    pub fn run<S: Sink + Send + 'static>(&mut self, sink: S, mut stop: impl FnMut() -> Option<String>) -> (Outcome, Option<S>) {
        let mut writer = Writer::new(sink);
        let end = self.options.duration.map(|duration| deadline_nanos().saturating_add(nanos(duration)));
        let mut publish_due = deadline_nanos().saturating_add(nanos(self.options.write_interval));
        while self.stop.is_none() {
            let tick_due = self.schedule.deadline();
            self.wait(end.map_or(tick_due, |end| end.min(tick_due)));
            self.hear_signals();
            self.see_attached();
            let moment = deadline_nanos();
            if end.is_some_and(|end| moment >= end) {
                self.stop.get_or_insert(Reason::Duration);
            }
            let mut last_in_time = false;
            if moment >= tick_due && self.stop.is_none() {
                self.cost.lateness = Duration::from_nanos((moment - tick_due).cast_unsigned());
                self.tick();
                self.see_end_of_tree();
                if let Some(why) = stop() {
                    self.stop.get_or_insert(Reason::Asked(why));
                }
                self.cost.missed_ticks += self.schedule.advance(deadline_nanos());
                // The next tick would publish too late, and a crash until then lose more than a write interval.
                last_in_time = self.schedule.deadline() > publish_due;
            }
            self.gather(&mut writer);
            if moment >= publish_due || last_in_time || self.publish_now {
                self.publish(&mut writer);
                publish_due = moment.saturating_add(nanos(self.options.write_interval));
            }
        }
        self.end(writer)
    }

    fn end<S: Sink + Send + 'static>(&mut self, mut writer: Writer<S>) -> (Outcome, Option<S>) {
        self.cost.lateness = Duration::ZERO;
        self.tick();
        self.panel.read_own_sources(self.last_tick);
        let reason = self.stop.take().unwrap_or(Reason::JobEnded);
        let detail = match reason {
            Reason::JobEnded => None,
            Reason::Duration => Some("the time asked for is over".to_owned()),
            Reason::Signal(signal) => Some(format!("signal {signal}")),
            Reason::Asked(ref why) => Some(why.clone()),
        };
        self.event(self.last_tick, "ended", detail.as_deref(), None, None);
        self.gather(&mut writer);
        let (sink, progress) = writer.finish();
        let outcome = Outcome {
            began: self.began,
            ended: self.last_tick,
            reason,
            job_end: self.job_end,
            exit: self.exit,
            totals: self.panel.processes().totals(),
            ticks: self.cost.ticks,
            missed_ticks: self.cost.missed_ticks,
            rows_lost: progress.rows_lost,
            faults: self.panel.faults(),
            write_error: progress.error,
        };
        (outcome, sink)
    }

    /// Waits for a command that outlives its recording, and goes on passing signals to it.
    pub fn wait_for_command(&mut self) -> Option<JobEnd> {
        while matches!(self.job, Job::Started { .. }) && self.job_end.is_none() {
            self.wait(i64::MAX);
            self.hear_signals();
        }
        self.job_end
    }

    /// Sleeps until this deadline, or until a signal or the end of an attached process.
    fn wait(&self, deadline: i64) {
        let left = deadline.saturating_sub(deadline_nanos()).clamp(0, LONGEST_WAIT);
        let timeout = Timespec { tv_sec: left / 1_000_000_000, tv_nsec: left % 1_000_000_000 };
        // An array, so that waiting takes no memory; who finds no place in it is seen at the next tick.
        let mut watched: [PollFd<'_>; 16] = std::array::from_fn(|_| PollFd::from_borrowed_fd(self.signals.descriptor(), PollFlags::IN));
        if let Job::Attached(processes) = &self.job {
            let pidfds = processes.iter().filter_map(|process| process.pidfd.as_ref());
            for (place, pidfd) in watched[1..].iter_mut().zip(pidfds) {
                *place = PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN);
            }
        }
        // However it ends, we look at everything.
        let _ = poll(&mut watched, Some(&timeout));
    }

    fn tick(&mut self) {
        let at = now();
        let begin = deadline_nanos();
        let since_last = at.monotonic_nanos - self.last_tick.monotonic_nanos;
        if since_last > nanos(self.options.interval).saturating_mul(3).max(2_000_000_000) {
            self.event(self.last_tick, "gap", Some("no ticks: stopped, suspended or starved"), None, Some(since_last as f64 / 1e9));
        }
        self.cost.ticks += 1;
        self.cost.suspended = suspended();
        self.panel.read(at);
        if self.stop.is_none() {
            self.panel.send_slow(at);
        }
        self.panel.read_own(at, self.cost);
        self.last_tick = at;
        self.cost.tick_duration = Some(Duration::from_nanos((deadline_nanos() - begin).cast_unsigned()));
    }

    fn gather<S: Sink + Send + 'static>(&mut self, writer: &mut Writer<S>) {
        self.panel.each_batch(&mut |batch| writer.gather(batch));
        writer.gather(&mut self.events);
        let progress = writer.progress();
        self.cost.written_bytes = progress.written_bytes;
        self.cost.rows_lost = progress.rows_lost;
    }

    fn publish<S: Sink + Send + 'static>(&mut self, writer: &mut Writer<S>) {
        self.publish_now = false;
        self.panel.read_own_sources(self.last_tick);
        self.panel.each_batch(&mut |batch| writer.gather(batch));
        writer.publish();
    }

    fn hear_signals(&mut self) {
        while let Some(arrived) = self.signals.next() {
            match arrived.signal {
                libc::SIGCHLD => self.collect_children(),
                libc::SIGUSR1 | libc::SIGUSR2 | libc::SIGWINCH => self.forward(arrived),
                _ => self.asked_to_stop(arrived),
            }
        }
    }

    /// Passes a signal on to the command. What the kernel made, as for Ctrl-C, has reached it already.
    fn forward(&mut self, arrived: Arrived) {
        if let Job::Started { pid } = self.job
            && self.job_end.is_none()
            && !arrived.from_kernel
        {
            system_call::send(pid, arrived.signal);
        }
    }

    fn asked_to_stop(&mut self, arrived: Arrived) {
        if matches!(self.job, Job::Started { .. }) && self.job_end.is_none() {
            // The job decides; we go on until it has. Should we be killed next, what was read so far is kept.
            self.forward(arrived);
            self.publish_now = true;
            return;
        }
        if let Job::Started { .. } = self.job
            && !arrived.from_kernel
        {
            // Nobody who was born a moment ago is to be left behind.
            self.panel.processes().list_anew();
            self.tick();
            self.panel.processes().members().for_each(|pid| system_call::send(pid, arrived.signal));
        }
        self.stop.get_or_insert(Reason::Signal(arrived.signal));
    }

    /// Collects every child that has ended: the command, and orphans that became ours.
    fn collect_children(&mut self) {
        loop {
            let pid = match system_call::ended_child() {
                Children::Ended(pid) => pid,
                Children::Running => break,
                Children::None => {
                    self.no_children = true;
                    break;
                }
            };
            self.panel.processes().before_collecting(pid);
            let Some(collected) = system_call::collect(pid) else { continue };
            let exit = Exit {
                code: collected.code,
                signal: collected.signal,
                user_seconds: collected.user_seconds,
                system_seconds: collected.system_seconds,
                // Across execve(2) a process inherits the peak of who started it, so up to ours the number says nothing.
                peak_resident_bytes: Some(collected.peak_resident_bytes).filter(|&bytes| bytes > self.peak_floor),
            };
            let at = now();
            self.panel.processes().collected(at, pid, exit);
            if matches!(self.job, Job::Started { pid: root } if root == pid) {
                let end = collected.signal.map_or(JobEnd::Code(collected.code.unwrap_or(0)), JobEnd::Signal);
                self.job_end = Some(end);
                self.exit = Some(exit);
                let how = match end {
                    JobEnd::Code(code) => format!("exit {code}"),
                    JobEnd::Signal(signal) => format!("signal {signal}"),
                };
                self.event(at, "exited", Some(&how), Some(pid), None);
            }
        }
        let ended = match self.options.until {
            Until::Root => self.job_end.is_some(),
            Until::Tree => self.job_end.is_some() && self.no_children,
            Until::Stopped => false,
        };
        if ended && matches!(self.job, Job::Started { .. }) {
            self.stop.get_or_insert(Reason::JobEnded);
        }
    }

    /// Forgets attached processes that have ended.
    fn see_attached(&mut self) {
        let Job::Attached(processes) = &mut self.job else { return };
        let mut ended = Vec::new();
        processes.retain(|process| {
            let gone = process.has_ended();
            ended.extend(gone.then_some(process.pid));
            !gone
        });
        let (any, all) = (!ended.is_empty(), processes.is_empty());
        for pid in ended {
            self.event(now(), "exited", None, Some(pid), None);
        }
        if any && all {
            match self.options.until {
                Until::Root => {
                    self.stop.get_or_insert(Reason::JobEnded);
                }
                // Not to wait for a tick that may be far: see now whether descendants are left.
                Until::Tree => {
                    self.tick();
                    self.see_end_of_tree();
                }
                Until::Stopped => {}
            }
        }
    }

    /// Ends a recording when none of its tree is left, where no child of ours tells.
    fn see_end_of_tree(&mut self) {
        let over = match &self.job {
            Job::None => false,
            // Children that we had before the job stay when it has gone.
            Job::Started { .. } => self.job_end.is_some() && self.options.until == Until::Tree && self.panel.processes().has_foreign_children(),
            Job::Attached(processes) => processes.is_empty() && self.options.until == Until::Tree,
        };
        if over && self.panel.processes().members().next().is_none() {
            self.stop.get_or_insert(Reason::JobEnded);
        }
    }

    fn event(&mut self, at: Moment, name: &str, detail: Option<&str>, pid: Option<u32>, duration_seconds: Option<f64>) {
        self.events.add(EventRow { at, by: "recorder", name, detail, pid: pid.map(u64::from), duration_seconds });
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use barograph_model::{Batch, Described};
    use barograph_sources::{Machine, Own, Roots, Scope, Select, Watch};

    use super::*;
    use crate::clock::test as clocks;
    use crate::panel::PanelOptions;

    const HOUR: i64 = 3_600_000_000_000;

    /// Keeps all that it is given.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Batch>>>);

    impl Sink for Kept {
        type Error = Infallible;

        fn take(&mut self, batch: &Batch) -> Result<(), Infallible> {
            self.0.lock().unwrap().push(batch.clone());
            Ok(())
        }

        fn publish(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        fn bytes_written(&self) -> u64 {
            0
        }

        fn rows_lost(&self) -> u64 {
            0
        }
    }

    impl Kept {
        fn of<T: Described>(&self) -> Batch {
            let mut all = Batch::new(T::TABLE);
            self.0.lock().unwrap().iter().filter(|batch| batch.table().is(T::TABLE)).for_each(|batch| all.append(batch));
            all
        }
    }

    #[test]
    fn a_publish_comes_at_the_last_tick_within_the_write_interval() {
        let watch = Watch { roots: Vec::new(), adopts: false, scope: Scope::Machine, select: Select::Nobody };
        let panel = Panel::open(&Arc::new(Machine::open(Roots::default()).unwrap()), PanelOptions { watch, process_memory: false }).unwrap();
        let interval = Duration::from_millis(20);
        let options = Options { interval, dense_start: false, write_interval: interval * 5 / 2, until: Until::Stopped, duration: None };
        let mut recorder = Recorder::new(panel, options).unwrap();
        let (kept, mut asked) = (Kept::default(), 0);
        recorder.run(kept.clone(), || {
            asked += 1;
            (asked == 30).then(|| "enough".to_owned())
        });
        let batches = kept.0.lock().unwrap();
        let mut ticks: Vec<usize> = batches.iter().filter(|batch| batch.table().is(Own::TABLE)).map(Batch::len).collect();
        ticks.sort_unstable();
        // The median, as a busy machine may hold up the thread of the sink; a third tick would be more than the interval.
        assert!(ticks[ticks.len() / 2] <= 2, "{ticks:?}");
    }

    fn steps(times: &[i64]) -> Vec<i64> {
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn a_clock_that_is_set_and_a_machine_that_sleeps_hold_up_no_tick_and_make_no_burst() {
        let watch = Watch { roots: Vec::new(), adopts: false, scope: Scope::Machine, select: Select::Nobody };
        let panel = Panel::open(&Arc::new(Machine::open(Roots::default()).unwrap()), PanelOptions { watch, process_memory: false }).unwrap();
        let interval = Duration::from_millis(10);
        let options = Options { interval, dense_start: false, write_interval: interval * 5, until: Until::Stopped, duration: None };
        let mut recorder = Recorder::new(panel, options).unwrap();
        let (kept, mut asked) = (Kept::default(), 0);
        let (outcome, _) = recorder.run(kept.clone(), || {
            asked += 1;
            match asked {
                5 => clocks::set_utc(-HOUR),
                10 => clocks::set_utc(2 * HOUR),
                15 => clocks::sleep(HOUR),
                _ => {}
            }
            (asked == 20).then(|| "enough".to_owned())
        });
        let own = kept.of::<Own>();
        // The first reading, twenty ticks, and the end.
        assert_eq!((outcome.ticks, own.len()), (22, 22));
        // A burst to catch up with an hour would be 360,000; what a busy machine holds up is less.
        assert!(outcome.missed_ticks < 10_000, "{}", outcome.missed_ticks);
        let (monotonic, utc) = (steps(own.monotonic_nanos()), steps(own.utc_nanos()));
        assert!(monotonic.iter().all(|step| *step > 0), "{monotonic:?}");
        for (tick, (monotonic, utc)) in monotonic.iter().zip(&utc).enumerate() {
            let (slept, set) =
                (if tick == 15 { HOUR } else { 0 }, [(5, -HOUR), (10, 2 * HOUR)].iter().find(|(at, _)| *at == tick).map_or(0, |set| set.1));
            let tenth = HOUR / 10;
            assert!(*monotonic > slept && *monotonic < slept + tenth, "tick {tick}: {monotonic}");
            assert!((utc - monotonic - set).abs() < tenth, "tick {tick}: {utc} and {monotonic}");
        }
        let suspended = own.column("suspended_seconds").unwrap();
        let slept = suspended.float(21).unwrap() - suspended.float(14).unwrap();
        assert!((3599.9..3960.0).contains(&slept), "{slept}");
        let events = kept.of::<Events>();
        let named = |name: &str| (0..events.len()).filter(|row| events.column("name").unwrap().text(*row) == Some(name)).collect::<Vec<_>>();
        let gaps: Vec<f64> = named("gap").iter().map(|row| events.column("duration_seconds").unwrap().float(*row).unwrap()).collect();
        let long = gaps.iter().filter(|seconds| **seconds > 1800.0).count();
        assert_eq!(long, 1, "{gaps:?}");
        let gap = named("gap").into_iter().find(|row| events.column("duration_seconds").unwrap().float(*row) > Some(1800.0)).unwrap();
        assert_eq!(events.monotonic_nanos()[gap], own.monotonic_nanos()[15], "it begins with the last tick before");
    }
}
