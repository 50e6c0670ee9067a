//! The loop of a recording: wait for a deadline, a signal or an order, read, hand over, until the job or the person says it is over.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use barograph_model::{EventRow, Events, Moment, Rows, Setup, Sink};
use barograph_sources::{Cost, Exit, Faults, JobTotals};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::beacon::{Beacon, Heard, Said};
use crate::budget::{Budget, Saving};
use crate::clock::{deadline_nanos, nanos, now, own_cpu_nanos, suspended, thread_cpu_nanos};
use crate::condition::{Condition, Conditions};
use crate::control::{Control, Handle, Process};
use crate::job::{Attached, JobEnd, Signals, SpawnError, has_reached_the_group, pause_with};
use crate::last_stand;
use crate::listener::Listener;
use crate::order::{Answer, Change, Order, Ordered};
use crate::panel::{Panel, check_sources};
use crate::schedule::Schedule;
use crate::system_call::{self, Arrived, Children};
use crate::writer::Writer;

/// poll(2) refuses times that its kernel can't count; after an hour we look around and go on.
const LONGEST_WAIT: i64 = 3_600_000_000_000;

/// Rows that come in between ticks are gathered so often.
const LONGEST_GATHERING: i64 = 1_000_000_000;

/// Once somebody has asked for the end, what is read is published so often: whoever asks may not wait for long before he kills.
const LAST_WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// Where somebody waits for the sink, which was busy, it is asked again so soon.
const SINK_ASKED_AGAIN: i64 = 10_000_000;

/// While somebody looks, it is published so often; and that is believed for so long after he last said so.
const WATCHED_WRITE_INTERVAL: Duration = Duration::from_secs(1);
const WATCHED_FOR: i64 = 10_000_000_000;

/// What each source has cost is told so often, and at the end: a table more to publish costs as much as reading most sources ten times.
const COSTS_TOLD: i64 = 60_000_000_000;

/// Readings that other processes ask for lie at least so far apart. Who asks sooner gets the next one.
const LEAST_BETWEEN_READINGS: i64 = 100_000_000;

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
    /// What the recorder may cost, in cores: 0.01 is a hundredth of one. Above, it does without what is dear.
    pub max_overhead: Option<f64>,
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
    /// What programs said at the beacon.
    pub heard: Heard,
    /// The most that the recorder had to do without to cost no more than it may.
    pub done_without: Option<&'static str>,
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
            let rows_due = if self.panel.has_lines() { deadline_nanos().saturating_add(LONGEST_GATHERING) } else { i64::MAX };
            let look_due = if self.is_watched() && writer.has_rows() { self.publish_due() } else { i64::MAX };
            let reading_due = if self.waiting.is_empty() { i64::MAX } else { self.next_reading };
            self.wait(end.map_or(tick_due, |end| end.min(tick_due)).min(retry).min(rows_due).min(look_due).min(reading_due));
            self.hear_signals();
            self.hear_programs();
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
            self.gather(&mut writer);
            if moment >= self.publish_due() || last_in_time || self.publish_now {
                self.publish(&mut writer);
                self.published = moment;
            }
        }
        self.end(writer)
    }

    fn write_interval(&self) -> i64 {
        let interval = self.options.write_interval;
        let interval = if self.asked.is_some() { interval.min(LAST_WRITE_INTERVAL) } else { interval };
        nanos(if self.is_watched() { interval.min(WATCHED_WRITE_INTERVAL) } else { interval })
    }

    fn publish_due(&self) -> i64 {
        self.published.saturating_add(self.write_interval())
    }

    /// Whether somebody looks at what is published.
    fn is_watched(&self) -> bool {
        deadline_nanos() < self.watched_until
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

    /// Waits for a command that outlives its recording, and goes on passing signals to it.
    pub fn wait_for_command(&mut self) -> Option<JobEnd> {
        while matches!(self.job, Job::Started { .. }) && self.job_end.is_none() {
            self.wait(i64::MAX);
            self.hear_signals();
        }
        self.hear_listener_out();
        self.job_end
    }

    /// Waits until all that was written so far has gone where it belongs and was listened to, or somebody wants us to end now.
    fn hear_listener_out(&mut self) {
        let Some(mut listener) = self.listener.take() else { return };
        listener.ask();
        let mut is_urgent = false;
        while !is_urgent && !listener.is_done() {
            self.hear_programs();
            self.wait_for(i64::MAX, Some(listener.descriptor()));
            is_urgent = self.hear_signals();
        }
        self.listener = Some(listener);
    }

    /// Sleeps until this deadline, or until a signal, a word of a program, or the end of an attached process.
    fn wait(&self, deadline: i64) {
        self.wait_for(deadline, None);
    }

    /// The same, or until there is something to be read here.
    fn wait_for(&self, deadline: i64, other: Option<BorrowedFd<'_>>) {
        let at = deadline_nanos();
        let (beacon, deadline) = match self.beacon.as_ref().map(|beacon| beacon.ready(at)) {
            None => (None, deadline),
            Some(Ok(socket)) => (Some(socket), deadline),
            Some(Err(later)) => (None, deadline.min(later)),
        };
        let left = deadline.saturating_sub(at).clamp(0, LONGEST_WAIT);
        let timeout = Timespec { tv_sec: left / 1_000_000_000, tv_nsec: left % 1_000_000_000 };
        // An array, so that waiting takes no memory; who finds no place in it is seen at the next tick.
        let mut watched: [PollFd<'_>; 16] = std::array::from_fn(|_| PollFd::from_borrowed_fd(self.control.descriptor(), PollFlags::IN));
        if let Some(socket) = beacon {
            watched[1] = PollFd::from_borrowed_fd(socket, PollFlags::IN);
        }
        if let Some(other) = other {
            watched[2] = PollFd::from_borrowed_fd(other, PollFlags::IN);
        }
        if let Job::Attached(processes) = &self.job {
            let pidfds = processes.iter().filter_map(|process| process.pidfd.as_ref());
            for (place, pidfd) in watched[3..].iter_mut().zip(pidfds) {
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
        if since_last > nanos(self.slowest).saturating_mul(3).max(2_000_000_000) {
            self.event(self.last_tick, "gap", Some("no ticks: stopped, suspended or starved"), None, Some(since_last as f64 / 1e9));
        }
        self.slowest = self.options.interval;
        self.cost.ticks += 1;
        self.cost.suspended = suspended();
        self.panel.read(at);
        if self.stop.is_none() {
            self.panel.send_slow(at);
        }
        self.cost.threads_cpu = self.threads_cpu();
        self.panel.read_own(at, self.cost);
        if !self.conditions.is_empty() {
            self.panel.each_batch(&mut |batch| self.conditions.look(batch, &mut self.events));
        }
        self.last_tick = at;
        self.cost.tick_duration = Some(Duration::from_nanos((deadline_nanos() - begin).cast_unsigned()));
    }

    /// Measures ourselves, and does without something if we cost too much.
    fn keep_to_budget(&mut self) {
        let cpu = self.threads_cpu().map_or_else(own_cpu_nanos, nanos);
        let Some(change) = self.budget.as_mut().and_then(|budget| budget.judge(deadline_nanos(), cpu)) else { return };
        self.panel.save(change.saving);
        let apart = if change.saving == Some(Saving::RareTicks) { 2 } else { 1 };
        self.schedule.set_interval(self.options.interval.saturating_mul(apart));
        let what = change.saving.map_or("everything is read again", Saving::describe);
        let detail = format!("recording cost {:.2} % of a core: {what}", change.share * 100.0);
        self.event(self.last_tick, "overhead", Some(&detail), None, None);
    }

    fn gather<S: Sink + Send + 'static>(&mut self, writer: &mut Writer<S>) {
        self.panel.each_batch(&mut |batch| writer.gather(batch));
        writer.gather(&mut self.events);
        self.said.each_batch(&mut |batch| writer.gather(batch));
        writer.relieve();
        let progress = writer.progress();
        self.cost.written_bytes = progress.written_bytes;
        self.cost.rows_lost = progress.rows_lost;
        self.sink_cpu = progress.thread_cpu_nanos;
    }

    /// What the threads of a guest have cost: this one, those of slow sources, and that of the sink.
    fn threads_cpu(&self) -> Option<Duration> {
        let nanos = || thread_cpu_nanos() + self.panel.threads_cpu_nanos() + self.sink_cpu;
        (self.control.process() == Process::Theirs).then(|| Duration::from_nanos(nanos().cast_unsigned()))
    }

    fn publish<S: Sink + Send + 'static>(&mut self, writer: &mut Writer<S>) {
        self.publish_now = false;
        self.read_for.drain(..).for_each(|who| writer.tell(who));
        if std::mem::take(&mut self.is_changed) {
            writer.set_up(self.setup());
        }
        if deadline_nanos() >= self.costs_due {
            self.costs_due = deadline_nanos().saturating_add(COSTS_TOLD);
            self.panel.read_own_sources(self.last_tick);
        }
        self.panel.each_batch(&mut |batch| writer.gather(batch));
        writer.publish();
    }

    fn hear_programs(&mut self) {
        if let Some(beacon) = &mut self.beacon {
            beacon.hear(&mut self.said);
        }
    }

    /// Returns whether somebody asks for the end.
    fn hear_signals(&mut self) -> bool {
        let mut is_asked = false;
        while let Some(arrived) = self.control.signals().and_then(Signals::next) {
            match arrived.signal {
                libc::SIGCHLD => {
                    self.pause_with_command();
                    self.collect_children();
                }
                libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => self.asked_to_pause(arrived),
                libc::SIGCONT => self.go_on(),
                libc::SIGUSR1 | libc::SIGUSR2 | libc::SIGWINCH => self.forward(arrived),
                // A file of the recording met the limit of sizes; writing it has failed, and that is told.
                libc::SIGXFSZ => {}
                signal if signal >= libc::SIGRTMIN() => self.forward(arrived),
                _ => {
                    is_asked |= !self.is_ignored(arrived);
                    self.asked_to_stop(arrived);
                }
            }
        }
        is_asked
    }

    fn hear_orders(&mut self) {
        while self.stop.is_none()
            && let Some(ordered) = self.control.next_order()
        {
            if matches!(ordered.order, Order::Read) {
                // Who is part of this program knows what he does.
                self.next_reading = i64::MIN;
            }
            self.follow(ordered);
        }
        while self.stop.is_none()
            && let Some(ordered) = self.beacon.as_mut().and_then(Beacon::next_order)
        {
            self.follow(ordered);
        }
        if !self.waiting.is_empty() && deadline_nanos() >= self.next_reading {
            self.next_reading = deadline_nanos().saturating_add(LEAST_BETWEEN_READINGS);
            self.publish_now = true;
            self.read_for.append(&mut self.waiting);
            // What was said before somebody asked is to be seen by him.
            if let Some(beacon) = &mut self.beacon {
                beacon.hear_rest(&mut self.said);
            }
            self.panel.all_due();
            self.tick_with_new_listing();
        }
    }

    fn follow(&mut self, ordered: Ordered) {
        let Ordered { order, by, answer } = ordered;
        match order {
            Order::Stop(why) => {
                self.stop.get_or_insert(Reason::Asked(why));
                answer.give(Ok(()));
            }
            Order::Read => self.waiting.push(answer),
            Order::Watched => {
                self.watched_until = deadline_nanos().saturating_add(WATCHED_FOR);
                answer.give(Ok(()));
            }
            Order::Set(change) => match self.change(&change, by) {
                // When it is answered, the facts have it. That nothing can be written just now is no reason to say that it doesn't hold.
                Ok(true) => self.read_for.push(Answer::to(move |outcome| {
                    if outcome.is_some() {
                        answer.give(Ok(()));
                    }
                })),
                Ok(false) => answer.give(Ok(())),
                Err(why) => answer.give(Err(why)),
            },
        }
    }

    /// Records otherwise from now on. Says whether that is anything else; an error changes nothing.
    fn change(&mut self, change: &Change, by: &'static str) -> Result<bool, String> {
        change.check()?;
        check_sources(change.without.as_deref().unwrap_or_default())?;
        if change.process_memory == Some(true) && !self.panel.processes().has_job() {
            return Err("there is no job whose PSS could be read: the machine is recorded".to_owned());
        }
        let conditions = change.mark_when.as_ref().map(|all| Conditions::new(all, self.panel.processes().has_job())).transpose()?;
        let now = Wanted::of(self);
        if let Some(choice) = &change.processes {
            self.panel.processes().choose(choice).map_err(|fault| fault.to_string())?;
        }
        if let Some(conditions) = conditions {
            self.conditions.replace(conditions);
        }
        if let Some(without) = &change.without {
            self.panel.leave_out(without);
        }
        if let Some(wanted) = change.process_memory {
            self.panel.read_process_memory(wanted);
        }
        self.options.write_interval = change.write_interval.unwrap_or(self.options.write_interval);
        self.options.interval = change.interval.unwrap_or(self.options.interval);
        let then = Wanted::of(self);
        if now == then {
            return Ok(false);
        }
        self.longest_interval = self.longest_interval.max(self.options.interval);
        self.slowest = self.slowest.max(self.options.interval);
        let (has_pss, has_others) = (self.panel.has_process_memory(), self.panel.processes().watches_others());
        if let Some(budget) = &mut self.budget {
            budget.begin_anew(self.options.write_interval, has_pss, has_others);
            self.panel.save(None);
        }
        self.schedule.change_interval(deadline_nanos(), self.options.interval);
        for (what, before, after) in now.differences(&then) {
            let (name, attributes) =
                (format!("{what} {before} → {after}"), serde_json::json!({ "set": what, "from": before, "to": after }).to_string());
            self.events.add(EventRow { at: crate::clock::now(), by, name: Some(&name), attributes: Some(&attributes), ..EventRow::default() });
        }
        // Who reads the next rows is to know at what pace they came.
        (self.is_changed, self.publish_now) = (true, true);
        Ok(true)
    }

    fn setup(&mut self) -> Setup {
        Setup {
            interval_seconds: self.options.interval.as_secs_f64(),
            longest_interval_seconds: self.longest_interval.as_secs_f64(),
            write_interval_seconds: self.options.write_interval.as_secs_f64(),
            processes: self.panel.processes().choice().to_string(),
            left_out: self.panel.processes().without(),
            sources: self.panel.status().to_vec(),
            mark_when: self.conditions.texts(),
        }
    }

    /// The command, while it runs.
    fn command(&self) -> Option<u32> {
        match self.job {
            Job::Started { pid } if self.job_end.is_none() => Some(pid),
            _ => None,
        }
    }

    /// Passes a signal on to the command, unless it has got it already.
    fn forward(&mut self, arrived: Arrived) {
        if let Some(pid) = self.command()
            && !self.has_reached_the_job(arrived)
        {
            system_call::send(pid, arrived.signal);
        }
    }

    /// Whether a signal was not for us alone.
    fn has_reached_the_job(&mut self, arrived: Arrived) -> bool {
        // Who of the job signals its whole group (`kill 0`) has thought of itself. The command is of the job before anybody was listed.
        let sender = arrived.sender;
        has_reached_the_group(arrived) || sender != 0 && (self.command() == Some(sender) || self.panel.processes().members().any(|pid| pid == sender))
    }

    /// Stops with the command: nobody records what does not run.
    fn pause_with_command(&mut self) {
        if let Some(pid) = self.command() {
            pause_with(pid, &mut self.continued);
        }
    }

    /// The command decides whether to stop, and we stop with it. Without one it is for us.
    fn asked_to_pause(&mut self, arrived: Arrived) {
        match self.command() {
            Some(_) => self.forward(arrived),
            None => system_call::stop_by(arrived.signal),
        }
    }

    /// Continues the command, unless whoever continued us has continued it as well.
    fn go_on(&mut self) {
        self.pause_with_command();
        if let Some(pid) = self.command().filter(|_| !self.continued) {
            system_call::send(pid, libc::SIGCONT);
        }
        self.continued = false;
    }

    fn is_ignored(&self, arrived: Arrived) -> bool {
        self.control.signals().is_some_and(|signals| signals.is_ignored(arrived))
    }

    fn asked_to_stop(&mut self, arrived: Arrived) {
        if let Job::Started { .. } = self.job {
            // Should we be killed next, how it is now is kept as well.
            self.tick_with_new_listing();
        }
        if self.command().is_some() {
            self.forward(arrived);
            if !self.is_ignored(arrived) {
                // The job decides; we go on until it has.
                self.publish_now = true;
                self.asked = self.asked.or((!arrived.from_kernel).then_some(arrived.signal));
            }
            return;
        }
        if self.is_ignored(arrived) {
            return;
        }
        let first = self.asked.is_none();
        if let Job::Started { .. } = self.job
            && !arrived.from_kernel
        {
            self.asked = Some(arrived.signal);
            self.pass_to_the_rest(arrived.signal);
            if first && self.asked_the_rest {
                // They may take their time, as the command might have. Who does not want to wait for them asks again.
                self.publish_now = true;
                return;
            }
        }
        self.stop.get_or_insert(Reason::Signal(arrived.signal));
    }

    /// Sends a signal to what the command has left behind, as of the last tick.
    fn pass_to_the_rest(&mut self, signal: i32) {
        for pid in self.panel.processes().members() {
            system_call::send(pid, signal);
            self.asked_the_rest = true;
        }
    }

    /// Reads everything now, so that nobody who was born a moment ago is missed.
    fn tick_with_new_listing(&mut self) {
        self.panel.processes().list_anew();
        self.tick();
    }

    /// Collects every child that has ended: the command, and orphans that became ours.
    fn collect_children(&mut self) {
        let mut root_ended = false;
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
                let end = collected.end();
                last_stand::ended(end);
                root_ended = true;
                self.job_end = Some(end);
                self.exit = Some(exit);
                let how = match end {
                    JobEnd::Code(code) => format!("exit {code}"),
                    JobEnd::Signal(signal) => format!("signal {signal}"),
                };
                self.event(at, "exited", Some(&how), Some(pid), None);
            }
        }
        if !matches!(self.job, Job::Started { .. }) || self.job_end.is_none() {
            return;
        }
        if let Some(signal) = self.asked.filter(|_| root_ended && self.options.until != Until::Root) {
            self.tick_with_new_listing();
            self.pass_to_the_rest(signal);
        }
        if self.options.until == Until::Root || self.no_children && self.ends_with_tree() {
            self.stop.get_or_insert(self.end_of_tree());
        } else if self.ends_with_tree() && self.panel.processes().has_foreign_children() {
            // Children that we had before the job stay when it has gone.
            self.tick_with_new_listing();
            self.see_end_of_tree();
        }
    }

    /// Whether the recording ends when none of the tree is left.
    fn ends_with_tree(&self) -> bool {
        self.options.until == Until::Tree || self.asked.is_some()
    }

    /// Why a recording ended whose tree has.
    fn end_of_tree(&self) -> Reason {
        self.asked.filter(|_| self.asked_the_rest).map_or(Reason::JobEnded, Reason::Signal)
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
            Job::Started { .. } => self.job_end.is_some() && self.ends_with_tree() && self.panel.processes().has_foreign_children(),
            Job::Attached(processes) => processes.is_empty() && self.options.until == Until::Tree,
        };
        if over && self.panel.processes().members().next().is_none() {
            self.stop.get_or_insert(self.end_of_tree());
        }
    }

    fn event(&mut self, at: Moment, name: &str, detail: Option<&str>, pid: Option<u32>, duration_seconds: Option<f64>) {
        self.events.add(EventRow { at, by: "recorder", name: Some(name), detail, pid: pid.map(u64::from), duration_seconds, ..EventRow::default() });
    }
}

/// What can be changed of a recording, in words.
#[derive(PartialEq)]
struct Wanted([(&'static str, String); 6]);

impl Wanted {
    fn of(recorder: &mut Recorder) -> Wanted {
        let some = |texts: Vec<String>, between: &str| if texts.is_empty() { "nothing".to_owned() } else { texts.join(between) };
        Wanted([
            ("interval", words(recorder.options.interval)),
            ("write interval", words(recorder.options.write_interval)),
            ("processes", recorder.panel.processes().choice().to_string()),
            ("without", some(recorder.panel.left_out(), ", ")),
            ("mark when", some(recorder.conditions.texts(), "; ")),
            ("PSS", if recorder.panel.has_process_memory() { "on" } else { "off" }.to_owned()),
        ])
    }

    /// What is otherwise in the other: its name, what it is here, and what there.
    fn differences<'a>(&'a self, other: &'a Wanted) -> impl Iterator<Item = (&'static str, &'a str, &'a str)> {
        let pairs = self.0.iter().zip(&other.0).filter(|((_, before), (_, after))| before != after);
        pairs.map(|((what, before), (_, after))| (*what, before.as_str(), after.as_str()))
    }
}

/// A time for people: `100 ms`, `1.5 s`.
fn words(time: Duration) -> String {
    if time < Duration::from_secs(1) { format!("{} ms", time.as_nanos() as f64 / 1e6) } else { format!("{} s", time.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use barograph_model::{Batch, Described};
    use barograph_sources::{Machine, Own, OwnSources, Roots, Scope, Select, Watch};

    use super::*;
    use crate::clock::test as clocks;
    use crate::panel::PanelOptions;

    const HOUR: i64 = 3_600_000_000_000;

    /// Keeps all that it is given, and counts how often that was to be published.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Batch>>>, Arc<AtomicUsize>);

    impl Sink for Kept {
        type Error = Infallible;

        fn take(&mut self, batch: &Batch) -> Result<(), Infallible> {
            self.0.lock().unwrap().push(batch.clone());
            Ok(())
        }

        fn publish(&mut self) -> Result<(), Infallible> {
            self.1.fetch_add(1, Ordering::Relaxed);
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
        let panel = Panel::open(
            &Arc::new(Machine::open(Roots::default()).unwrap()),
            PanelOptions { watch, process_memory: false, fast: false, without: Vec::new() },
        )
        .unwrap();
        let interval = Duration::from_millis(20);
        let options =
            Options { interval, dense_start: false, write_interval: interval * 5 / 2, until: Until::Stopped, duration: None, max_overhead: None };
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

    #[test]
    fn once_nobody_looks_any_more_it_is_published_as_before() {
        let watch = Watch { roots: Vec::new(), adopts: false, scope: Scope::Machine, select: Select::Nobody };
        let without = vec![];
        let panel =
            Panel::open(&Arc::new(Machine::open(Roots::default()).unwrap()), PanelOptions { watch, process_memory: false, fast: false, without });
        let hour = Duration::from_secs(3600);
        let options = Options {
            interval: Duration::from_millis(50),
            dense_start: false,
            write_interval: hour,
            until: Until::Stopped,
            duration: Some(Duration::from_millis(2_600)),
            max_overhead: None,
        };
        let (mut recorder, _handle) = Recorder::within(panel.unwrap(), options).unwrap();
        recorder.watched_until = deadline_nanos() + 1_300_000_000;
        let kept = Kept::default();
        recorder.run(kept.clone(), || None);
        let publishes = kept.1.load(Ordering::Relaxed);
        assert!(publishes <= 1, "{publishes}");
    }

    #[test]
    fn what_sources_cost_is_told_at_the_first_publish_and_then_seldom() {
        let watch = Watch { roots: Vec::new(), adopts: false, scope: Scope::Machine, select: Select::Nobody };
        let panel = Panel::open(
            &Arc::new(Machine::open(Roots::default()).unwrap()),
            PanelOptions { watch, process_memory: false, fast: false, without: Vec::new() },
        );
        let second = Duration::from_secs(1);
        let options =
            Options { interval: second, dense_start: false, write_interval: second, until: Until::Stopped, duration: None, max_overhead: None };
        let (mut recorder, _handle) = Recorder::within(panel.unwrap(), options).unwrap();
        let kept = Kept::default();
        let mut writer = Writer::new(kept.clone(), Process::Theirs);
        for publish in 0..4 {
            // A minute passes before the last.
            recorder.costs_due -= if publish == 3 { COSTS_TOLD } else { 0 };
            recorder.last_tick.monotonic_nanos = publish;
            recorder.publish(&mut writer);
        }
        writer.finish();
        let mut told = kept.of::<OwnSources>().monotonic_nanos().to_vec();
        told.dedup();
        assert_eq!(told, [0, 3]);
    }

    fn steps(times: &[i64]) -> Vec<i64> {
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn a_clock_that_is_set_and_a_machine_that_sleeps_hold_up_no_tick_and_make_no_burst() {
        let watch = Watch { roots: Vec::new(), adopts: false, scope: Scope::Machine, select: Select::Nobody };
        let panel = Panel::open(
            &Arc::new(Machine::open(Roots::default()).unwrap()),
            PanelOptions { watch, process_memory: false, fast: false, without: Vec::new() },
        )
        .unwrap();
        let interval = Duration::from_millis(10);
        let options =
            Options { interval, dense_start: false, write_interval: interval * 5, until: Until::Stopped, duration: None, max_overhead: None };
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
        let last_before = own.monotonic_nanos()[14]..own.monotonic_nanos()[15];
        assert!(last_before.contains(&events.monotonic_nanos()[gap]), "it begins with the last tick before");
    }
}
