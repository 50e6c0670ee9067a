//! Making a recording: what `run`, `attach` and `record` have in common.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use barograph_model::{Batch, Described, Gauges, Lines, Setup, Sink, SpanEdges, Table};
use barograph_record::{Beacon, Listener, Outcome, Panel, PanelOptions, Recorder, SpawnError, Until, assist, bequeath};
use barograph_session::{
    LINES_FAILED, Subject, default_path, end_recording, facts, folder_name, line_notices, listen, open_beacon, totals, watch_lines,
};
use barograph_sources::{Fault, FaultKind, Filesystem, Machine, Process, ProcessMemory};
use barograph_store::{self as store, Facts, LastWord, Preparation, Recording, Totals};

use crate::options::{FastOption, RecordingOptions, UntilOption};
use crate::rules::Rules;
use crate::summary::{self, Summary};

/// A recording that is about to be made.
pub(crate) struct Request<'a> {
    pub(crate) machine: Arc<Machine>,
    pub(crate) options: &'a RecordingOptions,
    pub(crate) subject: Subject<'a>,
    pub(crate) until: UntilOption,
    /// How often in a second the lines of Python programs are looked at, if at all.
    pub(crate) lines: Option<u32>,
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
    let Request { machine, options, subject, until, lines, stop } = request;
    let rules = options.rules.understand(matches!(subject, Subject::Command(_)))?;
    let beacon = open_beacon(!options.no_beacon);
    let listener = rules.and_then(|rules| listen_to_lines(rules, beacon.as_ref()));
    let id = beacon.as_ref().map_or_else(|_| store::new_id(), |beacon| beacon.recording().to_owned());
    let preparation = Preparation::new(&id);
    let assistant = if let Subject::Command(_) = subject { prepare(&preparation) } else { None };
    let watch = subject.watch(options.processes.as_ref());
    let panel_options = PanelOptions {
        watch,
        process_memory: subject.has_job() && !options.no_pss,
        fast: options.fast == FastOption::Auto,
        without: options.without.clone(),
    };
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
    recorder.mark_when(&options.mark_when).map_err(|why| anyhow::anyhow!("--mark-when: {why}"))?;
    if let Some(listener) = listener {
        recorder.listen_to_lines(listener);
    }
    let beacon = listen(&mut recorder, beacon);
    let root = match subject {
        Subject::Command(command) => Some(spawn(&mut recorder, command, assistant)?),
        _ => subject.attach(&mut recorder),
    };
    watch_lines(&mut recorder, &machine, lines);
    let mut facts = facts(&machine, &mut recorder, &subject, options.processes.as_ref(), &record_options, root);
    facts.sources.insert("beacon".to_owned(), beacon);
    facts.id = id;
    // From here on the job runs: whatever fails is ours to say and not the job's to suffer.
    let path = options.output.clone().unwrap_or_else(|| default_path(&machine, &subject));
    let target = Target::create(&path, facts, options).prepared(preparation);
    let (outcome, mut target) = recorder.run(target, stop);
    let of_lines = line_notices(recorder.panel());
    if let Some(recording) = target.as_mut().and_then(Target::recording_mut) {
        recording.facts_mut().processes.fast = Some(recorder.panel().processes().fast_status());
        recording.facts_mut().notices.extend(of_lines.iter().cloned());
    }
    // The recording is complete before we wait for a command that may go on for long.
    let mut kept = keep(&machine, options, &outcome, totals(&outcome, subject.has_job()), target);
    // Who asked for lines and has none should not have to look for the reason.
    let missing = of_lines.iter().filter(|notice| notice.name != LINES_FAILED);
    kept.complaints.extend(missing.map(|notice| format!("{}: {}", notice.name.replace('_', " "), notice.detail)));
    recorder.hang_up();
    let outcome = Outcome { job_end: recorder.wait_for_command(), ..outcome };
    say(options, &outcome, subject.has_job(), &kept);
    Ok(outcome)
}

/// Starts listening to lines. That it can't be done is told, and no reason not to run the job.
fn listen_to_lines(rules: Rules, beacon: Result<&Beacon, &String>) -> Option<Listener> {
    let listener = beacon.map_err(String::clone).and_then(|beacon| {
        let listen_to = rules.listen_to.clone();
        Listener::start(&listen_to, rules.into_ears(beacon.address())).map_err(|error| error.to_string())
    });
    listener.inspect_err(|why| crate::complain(&anyhow::anyhow!("no line is looked at: {why}"))).ok()
}

/// Has a thread work out what the files of a recording say, while this one opens and reads the sources: whoever runs a short command waits for all of it.
fn prepare(preparation: &Preparation) -> Option<JoinHandle<()>> {
    let preparation = preparation.clone();
    // Without a thread it is done when it is needed.
    assist(move || preparation.work_out(first_tables())).ok()
}

/// Starts the command. Where processes may not be many, the assistant leaves it its room first.
fn spawn(recorder: &mut Recorder, command: &[OsString], assistant: Option<JoinHandle<()>>) -> Result<u32, SpawnError> {
    /// Milliseconds, enough for a machine that is very busy. One that found no memory never ends, and the kernel gives the room back a little after a thread
    /// has ended.
    const PATIENCE: u32 = 2_000;
    let mut started = recorder.spawn(command);
    if let Some(assistant) = assistant {
        for _ in 0..PATIENCE {
            if !matches!(started, Err(SpawnError::NoRoom(_))) {
                break;
            }
            thread::sleep(Duration::from_millis(1));
            if assistant.is_finished() {
                started = recorder.spawn(command);
            }
        }
    }
    started
}

/// The tables that the shortest recording has. Others have rows from the first tick on, or where programs say something.
fn first_tables() -> impl Iterator<Item = &'static Table> {
    let later = [Process::TABLE, ProcessMemory::TABLE, Filesystem::TABLE, Gauges::TABLE, SpanEdges::TABLE, Lines::TABLE];
    barograph_sources::tables().into_iter().filter(move |table| !later.iter().any(|later| later.is(table)))
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
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir()) {
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
            Recording::create(folder_name(path), facts, store_options).map(Target::Folder)
        };
        let target = created.unwrap_or_else(|error| Target::Nowhere(error.to_string()));
        if let Some(last) = target.recording().and_then(|recording| LastWord::new(recording.folder())) {
            bequeath(move |why| last.say(why));
        }
        target
    }

    fn prepared(self, preparation: Preparation) -> Target {
        match self {
            Target::Folder(recording) => Target::Folder(recording.prepared(preparation)),
            Target::Flat { recording, file } => Target::Flat { recording: recording.prepared(preparation), file },
            Target::Nowhere(why) => Target::Nowhere(why),
        }
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

    fn set_up(&mut self, setup: &Setup) {
        if let Some(recording) = self.recording_mut() {
            recording.set_up(setup);
        }
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
            let complaints = complaint(end_recording(&mut recording, outcome, totals, machine));
            Kept { path: Some(recording.folder().to_owned()), complaints }
        }
        Some(Target::Flat { mut recording, file }) => {
            let mut complaints = complaint(end_recording(&mut recording, outcome, totals, machine));
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
    let summary = Summary { totals: totals(outcome, has_job), outcome, path: kept.path.as_deref(), has_job };
    let mut out = std::io::stderr().lock();
    // Nobody to read it is no failure.
    for complaint in &kept.complaints {
        let _ = writeln!(out, "barograph: {complaint}");
    }
    if !options.quiet {
        let _ = summary::write(&mut out, &summary, options);
    }
}

fn complaint(ended: Result<(), store::Error>) -> Vec<String> {
    ended.err().map(|error| error.to_string()).into_iter().collect()
}
