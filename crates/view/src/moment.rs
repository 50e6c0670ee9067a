//! Processes: those of a moment, those with a name, and the life of one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use barograph_model::{Described, Rate};
use barograph_sources::{Process, Processes};
use barograph_store::{Frame, Query, Reading, Series, sum_of_columns};
use serde::Serialize;

use crate::clock::millis;
use crate::columns::{column, columns};
use crate::view::Known;
use crate::{Error, Panel, ProcessRow, View, panels};

/// A process: pid and start.
type Id = (i64, i64);

/// No more processes are found than this.
const MOST_FOUND: usize = 200;

/// Of those that have ended, what so many used at their end is read.
const MOST_READ: usize = 20;

/// One process's life.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Life {
    /// Its pid.
    pub pid: i64,
    /// When it began, in clock ticks since boot.
    pub start_ticks: i64,
    /// Its first row, UTC milliseconds.
    pub from: f64,
    /// Its last row, UTC milliseconds.
    pub to: f64,
    /// Its exit status, if the recorder collected it.
    pub exit_code: Option<i64>,
    /// The signal that killed it, if the recorder collected it.
    pub exit_signal: Option<i64>,
    /// Who it was, an entry for each change.
    pub identities: Vec<Identity>,
    /// What it used.
    pub panels: Vec<Panel>,
}

/// Who a process was from a moment on. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// When this was seen, UTC milliseconds.
    pub at: f64,
    /// Why it was looked at: `seen`, `changed`, `exited`, `gone`.
    pub change: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its command line.
    pub command: Option<String>,
    /// The file of its program.
    pub executable: Option<String>,
    /// Whose it is.
    pub user: Option<String>,
    /// The pid of its parent.
    pub parent_pid: Option<i64>,
    /// Its control group.
    pub cgroup: Option<String>,
    /// Its container.
    pub container: Option<String>,
}

impl View {
    /// The processes of a moment: those with a row in the two intervals, at least two seconds, that end there, less those that were known to have ended
    /// before its tick. In the order of pids.
    pub fn processes_at(&self, utc_nanos: i64) -> Result<Vec<ProcessRow>, Error> {
        let known = self.known();
        let reach = known.reach();
        let Some(samples) = known.samples(Query::all(), utc_nanos.saturating_sub(2 * reach), utc_nanos)? else { return Ok(Vec::new()) };
        let shown = known.clock.shown_times(&samples);
        let since = utc_nanos.saturating_sub(reach);
        let monotonic = samples.monotonic();
        let latest = monotonic.last().copied();
        // What all are now is known, unless this is an earlier moment, or one that came since the last look.
        let newest = |table: &str| known.tables.get(table).and_then(|table| table.monotonic_range).map(|(_, newest)| newest);
        let is_now = newest(Processes::TABLE.name) <= latest && latest <= newest(Process::TABLE.name);
        let identities = if is_now { known.who()? } else { Arc::new(known.identities(latest)?) };
        let has_ended = |id: &Id, last: usize| identities.get(id).is_some_and(|who| who.is_gone) && Some(monotonic[last]) < latest;
        let rows = rows_of(&samples).into_iter().filter(|(id, rows)| rows.last().is_some_and(|&last| shown[last] >= since && !has_ended(id, last)));
        let samples = Samples::of(&samples);
        Ok(rows.map(|(id, rows)| known.row(id, &samples, &rows, identities.get(&id))).collect())
    }

    /// Everybody who was there between two moments, for however short a time: who they are, with the age that each has at the end of it, or would have.
    pub fn processes_between(&self, from_nanos: i64, to_nanos: i64) -> Result<Vec<ProcessRow>, Error> {
        let known = self.known();
        let ticks = &known.ticks;
        let until = ticks.utc.iter().zip(&ticks.monotonic).rfind(|&(&utc, &monotonic)| known.clock.shown(utc, monotonic) <= to_nanos);
        let per_second = known.timeline.facts().host.ticks_per_second;
        let everybody = known.who()?;
        let was_there = |who: &Who| who.first_shown <= to_nanos && (!who.is_gone || who.shown >= from_nanos);
        let row = |(&id, who): (&Id, &Who)| {
            let started = who.started_seconds.or((per_second > 0).then(|| id.1 as f64 / per_second as f64));
            let age_seconds = until.zip(started).map(|((_, &at), started)| (at as f64 / 1e9 - started).max(0.0));
            (id, ProcessRow { pid: id.0, start_ticks: id.1, age_seconds, ..who.row.clone() })
        };
        let mut rows: BTreeMap<Id, ProcessRow> = everybody.iter().filter(|(_, who)| was_there(who)).map(row).collect();
        // Those of whom nothing but their numbers is known.
        for last in self.processes_at(to_nanos)? {
            rows.entry((last.pid, last.start_ticks)).or_insert(last);
        }
        Ok(rows.into_values().collect())
    }

    /// Processes of the whole recording whose pid is this, or whose name or command have this text in them, whatever its case: as they were last.
    pub fn find_processes(&self, text: &str) -> Result<Vec<ProcessRow>, Error> {
        let known = self.known();
        let wanted = text.trim().to_lowercase();
        let has = |said: &Option<String>| said.as_ref().is_some_and(|said| said.to_lowercase().contains(&wanted));
        let is_found = |id: &Id, who: &Who| wanted.parse() == Ok(id.0) || has(&who.row.name) || has(&who.row.command);
        let who = known.who()?;
        let mut found: Vec<(&Id, &Who)> = who.iter().filter(|(id, who)| !wanted.is_empty() && is_found(id, who)).collect();
        // Those that are there still, and then those that ended last.
        found.sort_by_key(|(id, who)| (who.is_gone, if who.is_gone { -who.shown } else { 0 }, **id));
        found.truncate(MOST_FOUND);
        let (_, end) = self.range();
        let reach = known.reach();
        let present = known.samples(Query::all(), end.saturating_sub(3 * reach), end)?;
        let of_present = present.as_ref().map(rows_of).unwrap_or_default();
        let present = present.as_ref().map(Samples::of);
        let mut rows = Vec::with_capacity(found.len());
        let mut gone_read = 0;
        for (&id, who) in found {
            if let Some((samples, own)) = present.as_ref().zip(of_present.get(&id)) {
                rows.push(known.row(id, samples, own, Some(who)));
                continue;
            }
            gone_read += 1;
            let one = Query::all().equal(column(Process::pid), id.0).equal(column(Process::start_ticks), id.1);
            let samples = if gone_read <= MOST_READ { known.samples(one, who.shown.saturating_sub(3 * reach), who.shown)? } else { None };
            rows.push(match &samples {
                Some(samples) => known.row(id, &Samples::of(samples), &(0..samples.len()).collect::<Vec<_>>(), Some(who)),
                None => ProcessRow { pid: id.0, start_ticks: id.1, ..who.row.clone() },
            });
        }
        Ok(rows)
    }

    /// One process's life; `None` for one that the recording does not know.
    pub fn life(&self, pid: i64, start_ticks: i64) -> Result<Option<Life>, Error> {
        let known = self.known();
        let of_one = Query::all().equal(column(Processes::pid), pid).equal(column(Processes::start_ticks), start_ticks);
        let identity = known.frame(Processes::TABLE.name, &of_one)?;
        let who = known.who()?;
        let (Some(identity), Some(who)) = (&identity, who.get(&(pid, start_ticks))) else { return known.unnamed_life(pid, start_ticks) };
        let shown = known.clock.shown_times(identity);
        let texts = |name: String| identity.texts(&name).into_iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>();
        let (change, name, command) = (texts(column(Processes::change)), texts(column(Processes::name)), texts(column(Processes::command_line)));
        let (executable, user) = (texts(column(Processes::executable)), texts(column(Processes::user)));
        let (cgroup, container) = (texts(column(Processes::cgroup)), texts(column(Processes::container)));
        let parents = identity.ints(&column(Processes::parent_pid));
        let of_row = |row: usize| Identity {
            at: millis(shown[row]),
            change: change[row].clone(),
            name: name[row].clone(),
            command: command[row].clone(),
            executable: executable[row].clone(),
            user: user[row].clone(),
            parent_pid: parents[row],
            cgroup: cgroup[row].clone(),
            container: container[row].clone(),
        };
        let identities: Vec<Identity> = (0..identity.len()).map(of_row).collect();
        let last = |name: String| identity.ints(&name).into_iter().flatten().next_back();
        let (exit_code, exit_signal) = (last(column(Processes::exit_code)), last(column(Processes::exit_signal)));
        let (from, to) = (who.first_shown, if who.is_gone { who.shown } else { self.range().1 });
        let panels = panels::of_process(&known, pid, start_ticks);
        Ok(Some(Life { pid, start_ticks, from: millis(from), to: millis(to), exit_code, exit_signal, identities, panels }))
    }
}

/// So long back who processes are is read again: nothing that is written comes later than this.
const HEARD_AGAIN: i64 = 30_000_000_000;

/// The latest that is known of who a process is.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    first_shown: i64,
    row: ProcessRow,
    is_gone: bool,
    started_seconds: Option<f64>,
    shown: i64,
}

/// Who all processes are.
pub(crate) type Everybody = HashMap<Id, Who>;

impl Who {
    pub(crate) fn name(&self) -> Option<&str> {
        self.row.name.as_deref()
    }
}

impl Known {
    /// The life of a process of which only its rows are known.
    fn unnamed_life(&self, pid: i64, start_ticks: i64) -> Result<Option<Life>, Error> {
        let of_one = Query::all().columns([column(Process::pid)]).equal(column(Process::pid), pid).equal(column(Process::start_ticks), start_ticks);
        let Some(samples) = self.frame(Process::TABLE.name, &of_one)? else { return Ok(None) };
        let shown = self.clock.shown_times(&samples);
        let (Some(&from), Some(&to)) = (shown.first(), shown.last()) else { return Ok(None) };
        let panels = panels::of_process(self, pid, start_ticks);
        let (from, to) = (millis(from), millis(to));
        Ok(Some(Life { pid, start_ticks, from, to, exit_code: None, exit_signal: None, identities: Vec::new(), panels }))
    }

    /// How long a process's last row counts as the present.
    fn reach(&self) -> i64 {
        ((2.0 * self.timeline.facts().interval_seconds).max(2.0) * 1e9) as i64
    }

    /// Who all processes are, by the last that is known of each.
    pub(crate) fn who(&self) -> Result<Arc<Everybody>, Error> {
        if let Some(known) = self.everybody.get() {
            return Ok(known.clone());
        }
        let all = match &self.known_before {
            // Words of one time may come in several writes; what is heard again changes nothing.
            Some((before, until)) => {
                let mut all = Everybody::clone(before);
                self.learn_identities(&mut all, until.saturating_sub(HEARD_AGAIN), i64::MAX)?;
                all
            }
            None => self.identities(None)?,
        };
        Ok(self.everybody.get_or_init(|| Arc::new(all)).clone())
    }

    /// Rows of processes between two shown times.
    fn samples(&self, query: Query, from: i64, to: i64) -> Result<Option<Frame>, Error> {
        let mut wanted = columns([Process::pid, Process::start_ticks]);
        wanted.push(column(Process::state));
        wanted.extend(columns([Process::user, Process::system, Process::run_delay]));
        wanted.extend(columns([Process::read, Process::written]));
        wanted.push(column(Process::resident));
        wanted.extend(columns([Process::threads, Process::open_files]));
        self.frame(Process::TABLE.name, &self.clock.between(query.columns(wanted), from, to))
    }

    /// Who the processes are, by what was known at a time of the monotonic clock, or at the end. Later words add to earlier ones.
    pub(crate) fn identities(&self, until: Option<i64>) -> Result<Everybody, Error> {
        let mut all = Everybody::new();
        self.learn_identities(&mut all, i64::MIN, until.unwrap_or(i64::MAX))?;
        Ok(all)
    }

    /// Adds what was said between two times of the monotonic clock.
    fn learn_identities(&self, all: &mut Everybody, from: i64, to: i64) -> Result<(), Error> {
        let mut wanted = columns([Processes::pid, Processes::start_ticks, Processes::parent_pid]);
        wanted.extend(columns([Processes::change, Processes::name, Processes::command_line, Processes::user]));
        wanted.push(column(Processes::in_job));
        wanted.push(column(Processes::started));
        let Some(frame) = self.frame(Processes::TABLE.name, &Query::all().columns(wanted).monotonic(from, to))? else { return Ok(()) };
        let shown = self.clock.shown_times(&frame);
        let ints = |name: String| frame.ints(&name);
        let (pids, starts) = (ints(column(Processes::pid)), ints(column(Processes::start_ticks)));
        let (parents, members) = (ints(column(Processes::parent_pid)), ints(column(Processes::in_job)));
        let started = frame.floats(&column(Processes::started));
        let names = [Processes::name, Processes::command_line, Processes::user, Processes::change].map(column);
        let [name, command, user, change] = names.each_ref().map(|name| frame.texts(name));
        for row in 0..frame.len() {
            let Some(id) = pids[row].zip(starts[row]) else { continue };
            let nobody = || Who { row: ProcessRow::default(), is_gone: false, started_seconds: None, first_shown: shown[row], shown: 0 };
            let who = all.entry(id).or_insert_with(nobody);
            let learn = |known: &mut Option<String>, said: Option<&str>| {
                if let Some(said) = said.filter(|said| !said.is_empty() && known.as_deref() != Some(said)) {
                    *known = Some(said.to_owned());
                }
            };
            learn(&mut who.row.name, name[row]);
            learn(&mut who.row.command, command[row]);
            learn(&mut who.row.user, user[row]);
            who.row.parent_pid = parents[row].or(who.row.parent_pid);
            who.row.in_job = members[row].map_or(who.row.in_job, |member| member == 1);
            who.started_seconds = started[row].or(who.started_seconds);
            who.is_gone = matches!(change[row], Some("gone" | "exited"));
            who.shown = shown[row];
        }
        Ok(())
    }

    /// A process by its last row of these.
    fn row(&self, id: Id, samples: &Samples<'_>, rows: &[usize], who: Option<&Who>) -> ProcessRow {
        let known = who.map(|who| who.row.clone()).unwrap_or_default();
        let Some(&last) = rows.last() else { return ProcessRow { pid: id.0, start_ticks: id.1, ..known } };
        let stale = self.timeline.facts().stale_nanos();
        let (utc, monotonic) = (samples.frame.times(), samples.frame.monotonic());
        let rate = |unit: barograph_model::Unit, values: &[Option<f64>]| {
            let reading = |&row: &usize| Reading { utc_nanos: utc[row], monotonic_nanos: monotonic[row], value: values[row], whole: None };
            let points = Series::of_counter(rows.iter().map(reading), unit, stale).points;
            points.last().filter(|point| matches!(point.value, Rate::Value(_))).and_then(|point| point.value.value())
        };
        let level = |values: &[Option<f64>]| rows.iter().rev().find_map(|&row| values[row]);
        let seconds = barograph_model::Unit::Seconds;
        let bytes = barograph_model::Unit::Bytes;
        let at = monotonic[last] as f64 / 1e9;
        let ticks = self.timeline.facts().host.ticks_per_second;
        let started = who.and_then(|who| who.started_seconds).or((ticks > 0).then(|| id.1 as f64 / ticks as f64));
        ProcessRow {
            pid: id.0,
            start_ticks: id.1,
            state: samples.state[last].map(str::to_owned),
            cores: rate(seconds, &samples.cpu),
            resident_bytes: level(&samples.resident),
            read: rate(bytes, &samples.read),
            written: rate(bytes, &samples.written),
            threads: level(&samples.threads),
            open_files: level(&samples.open_files),
            waiting: rate(seconds, &samples.waiting),
            age_seconds: started.map(|started| (at - started).max(0.0)),
            ..known
        }
    }
}

/// Rows of processes, and their columns, which are taken out once for all processes.
struct Samples<'a> {
    frame: &'a Frame,
    state: Vec<Option<&'a str>>,
    cpu: Vec<Option<f64>>,
    resident: Vec<Option<f64>>,
    read: Vec<Option<f64>>,
    written: Vec<Option<f64>>,
    threads: Vec<Option<f64>>,
    open_files: Vec<Option<f64>>,
    waiting: Vec<Option<f64>>,
}

impl<'a> Samples<'a> {
    fn of(frame: &'a Frame) -> Samples<'a> {
        Samples {
            frame,
            state: frame.texts(&column(Process::state)),
            cpu: sum_of_columns(frame, &columns([Process::user, Process::system]), &[]),
            resident: frame.floats(&column(Process::resident)),
            read: frame.floats(&column(Process::read)),
            written: frame.floats(&column(Process::written)),
            threads: frame.floats(&column(Process::threads)),
            open_files: frame.floats(&column(Process::open_files)),
            waiting: frame.floats(&column(Process::run_delay)),
        }
    }
}

/// The rows of each process, in the order of time.
fn rows_of(samples: &Frame) -> BTreeMap<Id, Vec<usize>> {
    let mut rows: BTreeMap<Id, Vec<usize>> = BTreeMap::new();
    let keys = samples.ints(&column(Process::pid)).into_iter().zip(samples.ints(&column(Process::start_ticks)));
    for (row, key) in keys.enumerate() {
        if let (Some(pid), Some(start)) = key {
            rows.entry((pid, start)).or_default().push(row);
        }
    }
    rows
}
