//! The loop of a recording: wait for a deadline, a signal or an order, read, hand over, until the job or the person says it is over. Each of these has a
//! file here; what is asked of a recording, and what it came to, are its [`terms`].

mod change;
mod orders;
mod publish;
mod signals;
mod terms;
#[cfg(test)]
mod test;
mod tick;
mod tree;
mod wait;

use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use barograph_model::{EventRow, Events, Moment, Rows, Sink};
use barograph_sources::{Cost, Exit};

pub use self::terms::{Options, Outcome, Reason, Until};
use crate::beacon::{Beacon, Said};
use crate::budget::{Budget, Saving};
use crate::clock::{deadline_nanos, nanos, now};
use crate::condition::{Condition, Conditions};
use crate::control::{Control, Handle};
use crate::job::{Attached, JobEnd, Signals, SpawnError};
use crate::last_stand;
use crate::listener::Listener;
use crate::order::Answer;
use crate::panel::Panel;
use crate::schedule::Schedule;
use crate::system_call;
use crate::writer::Writer;

/// Where somebody waits for the sink, which was busy, it is asked again so soon.
const SINK_ASKED_AGAIN: i64 = 10_000_000;

enum Job {
    None,
    Started { pid: u32 },
    Attached(Vec<Attached>),
}

/// A recording under way.
pub struct Recorder {
    panel: Panel,
    options: Options,
    control: Control,
    job: Job,
    first_read: Moment,
    began: Moment,
    schedule: Schedule,
    peak_floor: u64,
    job_end: Option<JobEnd>,
    exit: Option<Exit>,
    no_children: bool,
    stop: Option<Reason>,
    /// The signal by which somebody asked for the end, if the job was to decide.
    asked: Option<i32>,
    /// Whether what the command left behind has got that signal too.
    asked_the_rest: bool,
    /// Whether somebody has continued the command, perhaps with us.
    continued: bool,
    publish_now: bool,
    /// When it was last published, and until when somebody looks at it, on the clock of the deadlines.
    published: i64,
    /// When rows were gathered, on the same clock.
    gathered: i64,
    /// When to tell next what each source has cost, on the same clock.
    costs_due: i64,
    watched_until: i64,
    /// Who waits for a reading, and who for one to be published.
    waiting: Vec<Answer>,
    read_for: Vec<Answer>,
    /// When other processes can have one again.
    next_reading: i64,
    /// The longest interval that there was, and the one that the next tick may be late by.
    longest_interval: Duration,
    slowest: Duration,
    /// How it is recorded was changed, and that is to be published.
    is_changed: bool,
    last_tick: Moment,
    cost: Cost,
    /// CPU time of the sink's thread, in nanoseconds.
    sink_cpu: i64,
    events: Rows<Events>,
    beacon: Option<Beacon>,
    listener: Option<Listener>,
    said: Said,
    conditions: Conditions,
    budget: Option<Budget>,
}

impl Recorder {
    /// Takes over the signals of this process and reads everything once. No other thread may run yet but those of [`crate::assist`].
    pub fn new(panel: Panel, options: Options) -> io::Result<Recorder> {
        system_call::share_heap();
        Ok(Recorder::begin(panel, options, Control::Signals(Signals::watch()?)))
    }

    /// A recorder for a thread of another program, which it is to run on from here on: it gets its orders by the handle, and leaves the signals, the
    /// memory and the children of the process as they are. What it counts as its own cost is the CPU time of this thread, and of those that it starts.
    ///
    /// Call it first on a thread of its own, as it blocks all signals for that thread: a handler of the program's must not run on our small stacks.
    pub fn within(panel: Panel, options: Options) -> io::Result<(Recorder, Handle)> {
        system_call::leave_signals_to_others();
        let (control, handle) = Control::by_handle()?;
        Ok((Recorder::begin(panel, options, control), handle))
    }

    fn begin(mut panel: Panel, options: Options, control: Control) -> Recorder {
        let began = now();
        let has_others = panel.processes().watches_others();
        let budget = options.max_overhead.map(|limit| Budget::new(limit, options.write_interval, panel.has_process_memory(), has_others));
        panel.read(began);
        let mut recorder = Recorder {
            panel,
            options,
            control,
            job: Job::None,
            first_read: began,
            began,
            schedule: Schedule::new(deadline_nanos(), options.interval, options.dense_start),
            peak_floor: 0,
            job_end: None,
            exit: None,
            no_children: false,
            stop: None,
            asked: None,
            asked_the_rest: false,
            continued: false,
            publish_now: false,
            published: deadline_nanos(),
            gathered: i64::MIN,
            costs_due: i64::MIN,
            watched_until: i64::MIN,
            waiting: Vec::new(),
            read_for: Vec::new(),
            next_reading: i64::MIN,
            longest_interval: options.interval,
            slowest: options.interval,
            is_changed: false,
            last_tick: began,
            cost: Cost { ticks: 1, ..Cost::default() },
            sink_cpu: 0,
            events: Rows::new(),
            beacon: None,
            listener: None,
            said: Said::default(),
            conditions: Conditions::default(),
            budget,
        };
        recorder.cost.threads_cpu = recorder.threads_cpu();
        recorder.panel.read_own(began, recorder.cost);
        recorder
    }

    /// Marks the moments at which these begin to hold, and at which they do so no more. An error changes nothing.
    pub fn mark_when(&mut self, conditions: &[Condition]) -> Result<(), String> {
        let new = Conditions::new(conditions, self.panel.processes().has_job())?;
        self.conditions.replace(new);
        Ok(())
    }

    /// The conditions that are marked, as they were typed.
    pub fn conditions(&self) -> Vec<String> {
        self.conditions.texts()
    }

    /// Programs can be heard here from now on; a job that is started later is told where.
    pub fn listen(&mut self, beacon: Beacon) {
        self.beacon = Some(beacon);
    }

    /// Lines of output are listened to as well; a job that is started later writes to this listener.
    pub fn listen_to_lines(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    /// Where programs can be heard.
    pub fn beacon(&self) -> Option<&Beacon> {
        self.beacon.as_ref()
    }

    /// Programs are heard no more: the recording is complete. Who gave an order that nobody could follow any more is told.
    pub fn hang_up(&mut self) {
        self.waiting.clear();
        self.read_for.clear();
        self.beacon = None;
    }

    /// Starts the job. Its orphans become our children, so that none of them is lost.
    pub fn spawn(&mut self, command: &[impl AsRef<OsStr>]) -> Result<u32, SpawnError> {
        // Where that is refused (an old kernel), orphans are still followed while they were seen before.
        let _ = rustix::process::set_child_subreaper(rustix::process::getpid().into());
        self.began = now();
        let told = self.beacon.as_ref().map(Beacon::variables);
        let output = self.listener.as_ref().map_or([None; 2], Listener::output);
        let signals = self.control.signals().ok_or(SpawnError::Guest)?;
        let pid = signals.spawn(command, told.as_ref().map_or(&[][..], |told| told), output)?;
        // Before anything else takes memory: who finds none and knows of no job would start it once more.
        last_stand::begin(pid, signals, self.options.until == Until::Tree);
        if let Some(listener) = &mut self.listener {
            listener.began_with(Some(pid));
        }
        self.panel.processes().began_with(pid);
        // Up to the moment of its execve(2), which is past now, the command shared our memory and its peak.
        self.peak_floor = system_call::own_peak_resident_bytes();
        self.job = Job::Started { pid };
        // Where thousands of others live, a short job would be over before the next listing is due.
        self.panel.processes().list_anew();
        self.event(self.began, "started", None, Some(pid), None);
        self.schedule = Schedule::new(deadline_nanos(), self.options.interval, self.options.dense_start);
        Ok(pid)
    }

    /// Takes the running processes that the panel watches as the job.
    pub fn attach(&mut self, pids: &[u32]) {
        for &pid in pids {
            self.event(self.began, "attached", None, Some(pid), None);
        }
        if let Some(listener) = &mut self.listener {
            listener.began_with(pids.first().copied());
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

    /// From [`Recorder::run`] on, also looks at the lines of the job's Python programs. If that can't be, [`Panel::status`] says why.
    #[cfg(feature = "lines")]
    pub fn watch_lines(&mut self, machine: &std::sync::Arc<barograph_sources::Machine>, hertz: u32) {
        let share = self.options.max_overhead.map_or(crate::LINES_SHARE, |limit| crate::LINES_SHARE.min(limit / 2.0));
        self.panel.watch_lines(machine, crate::LineOptions { hertz, share });
    }

    /// Records until it is over; `stop` is asked at each tick whether, and why, to stop now. Gives the sink back, unless it panicked.
    pub fn run<S: Sink + Send + 'static>(&mut self, sink: S, mut stop: impl FnMut() -> Option<String>) -> (Outcome, Option<S>) {
        let mut writer = Writer::new(sink, self.control.process());
        let end = self.options.duration.map(|duration| deadline_nanos().saturating_add(nanos(duration)));
        // The first rows let the sink make its preparations while the job runs, and not at the end, when someone waits for us.
        self.gather(&mut writer);
        writer.hand_over();
        self.published = deadline_nanos();
        while self.stop.is_none() {
            let tick_due = self.schedule.deadline();
            let retry = if writer.is_awaited() { deadline_nanos() + SINK_ASKED_AGAIN } else { i64::MAX };
            let rows_due = if self.panel.has_lines() { deadline_nanos().saturating_add(publish::LONGEST_GATHERING) } else { i64::MAX };
            let look_due = if self.is_watched() && (writer.has_rows() || self.panel.has_rows()) { self.publish_due() } else { i64::MAX };
            let reading_due = if self.waiting.is_empty() { i64::MAX } else { self.next_reading };
            if self.wait(end.map_or(tick_due, |end| end.min(tick_due)).min(retry).min(rows_due).min(look_due).min(reading_due)) {
                self.hear_signals();
                self.hear_programs();
            }
            self.hear_orders();
            self.see_attached();
            let moment = deadline_nanos();
            if end.is_some_and(|end| moment >= end) {
                self.stop.get_or_insert(Reason::Duration);
            }
            let mut last_in_time = false;
            // An order may have moved it.
            let tick_due = self.schedule.deadline();
            if moment >= tick_due && self.stop.is_none() {
                self.cost.lateness = Duration::from_nanos((moment - tick_due).cast_unsigned());
                self.tick();
                self.keep_to_budget();
                self.see_end_of_tree();
                if let Some(why) = stop() {
                    self.stop.get_or_insert(Reason::Asked(why));
                }
                self.cost.missed_ticks += self.schedule.advance(deadline_nanos());
                // The next tick would publish too late, and a crash until then lose more than a write interval.
                last_in_time = self.schedule.deadline() > self.publish_due();
            }
            self.gather_now_and_then(&mut writer, moment);
            if moment >= self.publish_due() || last_in_time || self.publish_now {
                self.publish(&mut writer);
                self.published = moment;
            }
        }
        self.end(writer)
    }

    fn end<S: Sink + Send + 'static>(&mut self, mut writer: Writer<S>) -> (Outcome, Option<S>) {
        self.cost.lateness = Duration::ZERO;
        self.panel.end_lines();
        self.panel.all_due();
        if self.no_children {
            self.panel.processes().all_ended();
        }
        // What was sent before the end is in the socket by now, and what was written then is read and told.
        self.hear_listener_out();
        if let Some(beacon) = &mut self.beacon {
            beacon.hear_rest(&mut self.said);
        }
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
            heard: self.beacon.as_ref().map(Beacon::heard).unwrap_or_default(),
            done_without: self.budget.as_ref().and_then(Budget::deepest).map(Saving::describe),
        };
        (outcome, sink)
    }

    fn hear_programs(&mut self) {
        if let Some(beacon) = &mut self.beacon {
            beacon.hear(&mut self.said);
        }
    }

    fn event(&mut self, at: Moment, name: &str, detail: Option<&str>, pid: Option<u32>, duration_seconds: Option<f64>) {
        self.events.add(EventRow { at, by: "recorder", name: Some(name), detail, pid: pid.map(u64::from), duration_seconds, ..EventRow::default() });
    }
}
