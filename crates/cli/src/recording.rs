//! Making a recording: what `run`, `attach` and `record` have in common.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use barograph_model::{Batch, Sink};
use barograph_record::{Beacon, JobEnd, Outcome, Panel, PanelOptions, Reason, Recorder, Until};
use barograph_sources::{Choice, Fault, FaultKind, HostFacts, LimitFacts, Machine, Scope, Select, Watch, user_name};
use barograph_store::{self as store, End, Facts, Notice, Recording, Totals};
use jiff::tz::TimeZone;

use crate::options::{FastOption, RecordingOptions, UntilOption};
use crate::summary::{self, Summary};

/// What is recorded.
pub(crate) enum Subject<'a> {
    /// A command that we start.
    Command(&'a [OsString]),
    /// Processes that run already.
    Processes(&'a [u32]),
    /// The machine; until these processes have ended, if there are any.
    Machine { until_exit: &'a [u32] },
}

impl Subject<'_> {
    fn watch(&self, choice: Option<&Choice>) -> Watch {
        let (roots, adopts, scope) = match self {
            Subject::Command(_) => (Vec::new(), true, Scope::Tree),
            Subject::Processes(pids) => (pids.to_vec(), false, Scope::Tree),
            Subject::Machine { .. } => (Vec::new(), false, Scope::Machine),
        };
        let select = choice.map_or(Select::Everyone, |choice| choice.select.clone());
        let scope = choice.and_then(|choice| choice.scope).unwrap_or(scope);
        Watch { roots, adopts, scope, select }
    }

    fn has_job(&self) -> bool {
        !matches!(self, Subject::Machine { .. })
    }

    /// What a recording of it is called where nobody said.
    fn stem(&self, machine: &Machine) -> String {
        let name = match self {
            Subject::Command(command) => command.first().and_then(|program| Path::new(program).file_name()).map(OsStr::to_os_string),
            Subject::Processes(pids) => pids.first().and_then(|pid| process_name(machine, *pid)).map(OsString::from),
            Subject::Machine { .. } => Some("machine".into()),
        };
        let plain = |letter: char| if letter.is_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
        let name: String = name.unwrap_or_default().to_string_lossy().chars().take(40).map(plain).collect();
        if name.trim_matches(['.', '_']).is_empty() { "job".to_owned() } else { name }
    }
}

fn process_name(machine: &Machine, pid: u32) -> Option<String> {
    machine.text(barograph_sources::Root::Proc, &format!("{pid}/comm"))
}

/// A recording that is about to be made.
pub(crate) struct Request<'a> {
    pub(crate) machine: Arc<Machine>,
    pub(crate) options: &'a RecordingOptions,
    pub(crate) subject: Subject<'a>,
    pub(crate) until: UntilOption,
    /// Asked at every tick: the reason to stop now, if there is one.
    pub(crate) stop: Box<dyn FnMut() -> Option<String>>,
}

/// Why nothing can be recorded on this machine, whatever is asked for.
#[derive(Debug, thiserror::Error)]
#[error("nothing was recorded: {0}")]
pub(crate) struct Unrecordable(String);

impl Unrecordable {
    pub(crate) fn at_processes(fault: &Fault) -> Unrecordable {
        let advice = if fault.kind == FaultKind::Gone { "; is /proc mounted?" } else { "" };
        Unrecordable(format!("can't look at processes: {fault}{advice}"))
    }
}

/// Records, says so, and returns what became of the job.
pub(crate) fn make(request: Request<'_>) -> anyhow::Result<Outcome> {
    let Request { machine, options, subject, until, stop } = request;
    let watch = subject.watch(options.processes.as_ref());
    let panel_options =
        PanelOptions { watch: watch.clone(), process_memory: subject.has_job() && !options.no_pss, fast: options.fast == FastOption::Auto };
    let panel = Panel::open(&machine, panel_options).map_err(|fault| match fault.kind {
        FaultKind::Other => anyhow::anyhow!(fault),
        _ => Unrecordable::at_processes(&fault).into(),
    })?;
    let record_options = barograph_record::Options {
        interval: options.interval,
        dense_start: !options.no_dense_start,
        write_interval: options.write_interval,
        until: match (&subject, until) {
            (Subject::Machine { until_exit: [], .. }, _) => Until::Stopped,
            (Subject::Machine { .. }, _) => Until::Root,
            (_, UntilOption::Job(until)) => until,
            (_, UntilOption::Time(_)) => Until::Stopped,
        },
        duration: match until {
            UntilOption::Time(time) => Some(options.duration.map_or(time, |duration| duration.min(time))),
            UntilOption::Job(_) => options.duration,
        },
        max_overhead: options.max_overhead,
    };
    let mut recorder = Recorder::new(panel, record_options).map_err(|error| Unrecordable(format!("can't hear signals: {error}")))?;
    let id = store::new_id();
    // Where none can be had the job says nothing, and the recording's facts tell why.
    let beacon = if options.no_beacon { Err("not asked for".to_owned()) } else { Beacon::open(&id).map_err(|error| error.to_string()) };
    let beacon_status = beacon.map(|beacon| recorder.listen(beacon)).err().unwrap_or_else(|| "ok".to_owned());
    let root = match subject {
        Subject::Command(command) => Some(recorder.spawn(command)?),
        Subject::Processes(pids) | Subject::Machine { until_exit: pids } => {
            recorder.attach(pids);
            pids.first().copied().filter(|_| subject.has_job())
        }
    };
    let mut facts = gather_facts(&machine, &mut recorder, &subject, options, root);
    facts.id = id;
    facts.beacon = recorder.beacon().map(|beacon| beacon.address().to_text());
    facts.sources.insert("beacon".to_owned(), beacon_status);
    facts.until = describe_until(record_options.until, record_options.duration);
    facts.processes = store::Processes {
        selection: options.processes.as_ref().map_or_else(|| if subject.has_job() { "tree" } else { "all" }.to_owned(), Choice::to_string),
        left_out: watch.left_out(),
        fast: None,
    };
    // From here on the job runs: whatever fails is ours to say and not the job's to suffer.
    let target = Target::create(&output_path(&machine, options, &subject), facts, options);
    let (outcome, mut target) = recorder.run(target, stop);
    if let Some(recording) = target.as_mut().and_then(Target::recording_mut) {
        recording.facts_mut().processes.fast = Some(recorder.panel().processes().fast_status());
    }
    // The recording is complete before we wait for a command that may go on for long.
    let kept = keep(&machine, options, &outcome, totals_of(&outcome, subject.has_job()), target);
    let outcome = Outcome { job_end: recorder.wait_for_command(), ..outcome };
    say(options, &outcome, subject.has_job(), &kept);
    Ok(outcome)
}

fn describe_until(until: Until, duration: Option<std::time::Duration>) -> String {
    let word = match until {
        Until::Root => "root",
        Until::Tree => "tree",
        Until::Stopped => "stopped",
    };
    duration.map_or_else(|| word.to_owned(), |duration| format!("{word} or {} s", duration.as_secs_f64()))
}

fn gather_facts(machine: &Arc<Machine>, recorder: &mut Recorder, subject: &Subject<'_>, options: &RecordingOptions, root: Option<u32>) -> Facts {
    let host = HostFacts::read(machine);
    let limits = LimitFacts::read(machine, &host);
    let start = recorder.first_read();
    let identity = |pid: u32| store::Process { pid: pid.into(), start_ticks: barograph_sources::start_ticks(machine, pid).unwrap_or(0) };
    Facts {
        command: match subject {
            Subject::Command(command) => Some(command.iter().map(|argument| argument.to_string_lossy().into_owned()).collect()),
            Subject::Processes(pids) => pids.first().and_then(|pid| process_name(machine, *pid)).map(|name| vec![name]),
            Subject::Machine { .. } => None,
        },
        directory: std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
        user: user_name(machine),
        limits: store::Limits { memory_bytes: limits.memory_bytes, cores: limits.cores, origin: limits.origin },
        host: store::Host {
            name: host.name,
            os: host.os,
            kernel: host.kernel,
            arch: host.arch.to_owned(),
            boot_id: host.boot_id,
            cores: host.cores,
            memory_bytes: host.memory_bytes,
            page_size: host.page_size,
            ticks_per_second: host.ticks_per_second,
        },
        recorder: identity(std::process::id()),
        root: root.map(identity),
        clock: store::Clock { utc_nanos: start.utc_nanos, monotonic_nanos: start.monotonic_nanos, zone: host.zone },
        interval_seconds: options.interval.as_secs_f64(),
        write_interval_seconds: options.write_interval.as_secs_f64(),
        dense_start: !options.no_dense_start,
        sources: recorder.panel().status().iter().cloned().collect(),
        ..Facts::default()
    }
}

/// Where to record, and whether that was asked for by name.
fn output_path(machine: &Machine, options: &RecordingOptions, subject: &Subject<'_>) -> PathBuf {
    if let Some(path) = &options.output {
        return path.clone();
    }
    let folder = std::env::var_os("BAROGRAPH_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from).unwrap_or_default();
    let time = jiff::Timestamp::now().to_zoned(local_zone(machine)).strftime("%Y%m%d-%H%M%S").to_string();
    folder.join(format!("{}-{time}.baro", subject.stem(machine)))
}

/// The zone of the people here. Its file alone tells how to show a time; finding its name among all zones would hold up the job's end by milliseconds.
fn local_zone(machine: &Machine) -> TimeZone {
    let mut data = Vec::new();
    let told = std::env::var_os("TZ").is_some() || machine.read(barograph_sources::Root::Etc, "localtime", &mut data).is_err();
    if told { TimeZone::system() } else { TimeZone::tzif("Local", &data).unwrap_or(TimeZone::UTC) }
}

/// Where the rows go.
enum Target {
    Folder(Recording),
    /// A recording beside the flat file that is made of it at the end, so that a crash loses no more than it would otherwise.
    Flat {
        recording: Recording,
        file: PathBuf,
    },
    /// Nowhere, because that failed. The job runs all the same.
    Nowhere(String),
}

impl Target {
    fn create(path: &Path, facts: Facts, options: &RecordingOptions) -> Target {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            // Should this fail, the next step says why.
            let _ = std::fs::create_dir_all(parent);
        }
        let flat = barograph_formats::Format::of_path(path).is_some();
        let store_options = store::Options { force: options.force, suffix: !options.force || flat };
        let created = if flat {
            let file = if options.force { path.to_owned() } else { store::free_name(path) };
            let name = format!(".{}.baro", file.file_name().unwrap_or_default().to_string_lossy());
            Recording::create(file.with_file_name(name), facts, store_options).map(|recording| Target::Flat { recording, file })
        } else {
            let folder = if path.extension().is_some_and(|ending| ending == "baro") {
                path.to_owned()
            } else {
                let mut name = path.as_os_str().to_owned();
                name.push(".baro");
                name.into()
            };
            Recording::create(folder, facts, store_options).map(Target::Folder)
        };
        created.unwrap_or_else(|error| Target::Nowhere(error.to_string()))
    }

    fn recording(&self) -> Option<&Recording> {
        match self {
            Target::Folder(recording) | Target::Flat { recording, .. } => Some(recording),
            Target::Nowhere(_) => None,
        }
    }

    fn recording_mut(&mut self) -> Option<&mut Recording> {
        match self {
            Target::Folder(recording) | Target::Flat { recording, .. } => Some(recording),
            Target::Nowhere(_) => None,
        }
    }
}

impl Sink for Target {
    type Error = store::Error;

    fn take(&mut self, batch: &Batch) -> Result<(), store::Error> {
        self.recording_mut().map_or(Ok(()), |recording| recording.take(batch))
    }

    fn publish(&mut self) -> Result<(), store::Error> {
        self.recording_mut().map_or(Ok(()), Recording::publish)
    }

    fn bytes_written(&self) -> u64 {
        self.recording().map_or(0, Recording::bytes_written)
    }

    fn rows_lost(&self) -> u64 {
        self.recording().map_or(0, Recording::rows_lost)
    }
}

/// What became of the recording.
struct Kept {
    path: Option<PathBuf>,
    complaints: Vec<String>,
}

/// Writes the end of the recording, and of it the flat file if that was asked for.
fn keep(machine: &Machine, options: &RecordingOptions, outcome: &Outcome, totals: Totals, target: Option<Target>) -> Kept {
    match target {
        None => Kept { path: None, complaints: vec!["the recording's thread failed; what was published before is in the folder".to_owned()] },
        Some(Target::Nowhere(why)) => Kept { path: None, complaints: vec![format!("nothing was recorded: {why}")] },
        Some(Target::Folder(mut recording)) => {
            let complaints = end_recording(&mut recording, outcome, totals, machine).into_iter().collect();
            Kept { path: Some(recording.folder().to_owned()), complaints }
        }
        Some(Target::Flat { mut recording, file }) => {
            let mut complaints: Vec<String> = end_recording(&mut recording, outcome, totals, machine).into_iter().collect();
            let folder = recording.folder().to_owned();
            drop(recording);
            if let Err(error) = crate::export::flat_file(&folder, &file, options.force) {
                complaints.push(format!("{}: {error:#}; the recording is kept as {}", file.display(), folder.display()));
                return Kept { path: Some(folder), complaints };
            }
            // What it was made of is needed no more; if it can't be removed, nothing is lost.
            let _ = std::fs::remove_dir_all(&folder);
            Kept { path: Some(file), complaints }
        }
    }
}

/// Says on stderr how it went.
fn say(options: &RecordingOptions, outcome: &Outcome, has_job: bool, kept: &Kept) {
    let summary = Summary { totals: totals_of(outcome, has_job), outcome, path: kept.path.as_deref(), has_job };
    let mut out = std::io::stderr().lock();
    // Nobody to read it is no failure.
    for complaint in &kept.complaints {
        let _ = writeln!(out, "barograph: {complaint}");
    }
    if !options.quiet {
        let _ = summary::write(&mut out, &summary, options);
    }
}

fn end_recording(recording: &mut Recording, outcome: &Outcome, totals: Totals, machine: &Machine) -> Option<String> {
    let reason = match &outcome.reason {
        Reason::JobEnded => "exited".to_owned(),
        Reason::Duration => "duration".to_owned(),
        Reason::Signal(signal) => format!("signal {signal}"),
        Reason::Asked(why) => why.clone(),
    };
    let exit = outcome.job_end.map(|end| match end {
        JobEnd::Code(code) => store::Exit { code: Some(code), signal: None },
        JobEnd::Signal(signal) => store::Exit { code: None, signal: Some(signal) },
    });
    let notices = notices(outcome, machine);
    recording.facts_mut().notices.extend(notices);
    let end = End { utc_nanos: outcome.ended.utc_nanos, monotonic_nanos: outcome.ended.monotonic_nanos, reason, exit, totals };
    let durability = recording.durability_of(&end);
    recording.finish(end, durability).err().map(|error| error.to_string())
}

fn totals_of(outcome: &Outcome, has_job: bool) -> Totals {
    let nanos = outcome.ended.monotonic_nanos - outcome.began.monotonic_nanos;
    let wall = Totals { wall_seconds: Some(nanos as f64 / 1e9), ..Totals::default() };
    if !has_job {
        return wall;
    }
    // Both are lower bounds: the sums count whole clock ticks, and wait4(2) knows of no process that was not collected.
    let exit = outcome.exit.unwrap_or_default();
    let job = outcome.totals;
    let largest = job.largest_peak_resident_bytes.max(exit.peak_resident_bytes);
    Totals {
        user_seconds: Some(job.user_seconds.max(exit.user_seconds)),
        system_seconds: Some(job.system_seconds.max(exit.system_seconds)),
        peak_resident_bytes: job.peak_resident_bytes.max(largest),
        peak_process_resident_bytes: largest,
        read_bytes: job.read_bytes,
        written_bytes: job.written_bytes,
        processes_peak: Some(job.processes_peak),
        processes_seen: Some(job.processes_seen),
        ..wall
    }
}

fn notices(outcome: &Outcome, machine: &Machine) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut add = |name: &str, count: u64, detail: String| {
        if count > 0 {
            notices.push(Notice { name: name.to_owned(), detail, count });
        }
    };
    add("missed_ticks", outcome.missed_ticks, "ticks left out because the machine or the recorder was busy, stopped or suspended".to_owned());
    add("unreadable_processes", outcome.totals.unreadable_peak, "processes of the job whose input and output this user may not read".to_owned());
    let uncounted = "processes of the job ignore SIGCHLD, so what their children used after they were last seen is in no sum";
    add("uncounted_children", outcome.totals.ignoring_children_peak, uncounted.to_owned());
    let denied = outcome.faults.of(FaultKind::Denied);
    add("denied", denied, format!("readings of {} refused to this user", machine.roots().proc.display()));
    add("malformed", outcome.faults.of(FaultKind::Malformed), "files that did not read as they should; please report this".to_owned());
    let heard = outcome.heard;
    add("beacon_dropped", heard.dropped, "marks, spans and gauges that programs could not send because they came too fast".to_owned());
    add("beacon_malformed", heard.malformed, "lines at the beacon that could not be understood".to_owned());
    add("beacon_oversized", heard.oversized, "datagrams at the beacon that were too large".to_owned());
    add("beacon_foreign", heard.foreign, "datagrams at the beacon from other users".to_owned());
    if let Some(error) = &outcome.write_error {
        add("write_error", 1, error.clone());
    }
    if let Some(what) = outcome.done_without {
        add("max_overhead", 1, format!("for a time {what}, so as to cost no more than was asked"));
    }
    notices
}
