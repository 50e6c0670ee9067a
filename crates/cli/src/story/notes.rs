//! What a reader of the numbers should know, in plain words: what is missing, what was refused, what the watching itself cost.

use std::collections::BTreeMap;

use barograph_model::{Described, Field};
use barograph_sources::{Job, Memory, Own, ProcessMemory};
use barograph_store::{Frame, Query, State, Timeline, gaps};

use super::{Group, Span, Ticks, frame, headlines};
use crate::human;

/// UTC is corrected by small steps all the time; what is larger, in nanoseconds, is worth telling.
const CLOCK_WAS_SET: i64 = 1_000_000_000;

/// Whom the kernel killed for lack of memory, as the end of a recording and a report call it.
const OOM_KILLS: &str = "oom_kills";

/// Something that a reader should know.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// What it is, for programs.
    pub(crate) name: String,
    /// The same for people, as a sentence.
    pub(crate) text: String,
    /// How many times.
    pub(crate) count: u64,
    /// Whether it makes the numbers less than they could be.
    pub(crate) is_warning: bool,
}

#[derive(Default)]
struct Notes(Vec<Note>);

impl Notes {
    fn warn(&mut self, name: &str, count: u64, text: String) {
        self.add(name, count, text, true);
    }

    fn add(&mut self, name: &str, count: u64, text: String, is_warning: bool) {
        if count > 0 && self.0.iter().all(|note| note.name != name) {
            self.0.push(Note { name: name.to_owned(), text, count, is_warning });
        }
    }
}

/// All there is to know.
pub(super) fn notes(timeline: &Timeline, span: &Span, ticks: &Ticks, groups: &[Group]) -> anyhow::Result<Vec<Note>> {
    let mut notes = Notes::default();
    of_state(&mut notes, timeline, span);
    if let Some(frame) = ticks.frame() {
        of_gaps(&mut notes, frame, timeline.facts());
        of_clock(&mut notes, frame, timeline.facts());
    }
    let all = Query::all().between(span.asked.0, span.asked.1);
    if let Some(own) = frame(timeline, Own::TABLE.name, &all)? {
        of_own(&mut notes, &Watching { own: &own, span });
    }
    of_job(&mut notes, timeline, span, groups);
    of_shared_memory(&mut notes, timeline, groups, &all)?;
    of_kills(&mut notes, timeline, span, &all)?;
    of_facts(&mut notes, timeline);
    for damage in timeline.damaged() {
        let text = format!("{} can't be read ({}); its rows are missing here. `barograph repair` puts it aside.", damage.path.display(), damage.why);
        notes.0.push(Note { name: "damaged".to_owned(), text, count: 1, is_warning: true });
    }
    if let Some(own) = frame(timeline, Own::TABLE.name, &all)? {
        of_cost(&mut notes, &Watching { own: &own, span }, timeline)?;
    }
    Ok(notes.0)
}

fn of_state(notes: &mut Notes, timeline: &Timeline, span: &Span) {
    let facts = timeline.facts();
    let lost = human::set(human::seconds(facts.write_interval_seconds));
    match timeline.state() {
        State::Ended => {}
        State::Live => notes.add("live", 1, format!("It is still being recorded; the last {lost} may not be on disk yet."), false),
        State::Interrupted => {
            let text = format!("The recorder was cut off: up to {lost} before its end are missing, and how the job ended is not known.");
            notes.warn("interrupted", 1, text);
        }
    }
    if span.ticks < 2 {
        let text = format!("There {}, so there are no rates and no curves.", ticks_in_words(span.ticks));
        notes.warn("few_ticks", 1, text);
    }
}

fn ticks_in_words(ticks: usize) -> &'static str {
    if ticks == 0 { "is not a single tick" } else { "is only one tick" }
}

fn of_gaps(notes: &mut Notes, ticks: &Frame, facts: &barograph_store::Facts) {
    let gaps = gaps(ticks, facts.stale_nanos());
    let Some(longest) = gaps.iter().max_by_key(|gap| gap.until_nanos - gap.monotonic_nanos) else { return };
    let seconds = (longest.until_nanos - longest.monotonic_nanos) as f64 / 1e9;
    let since = (longest.monotonic_nanos - facts.clock.monotonic_nanos) as f64 / 1e9;
    let (length, at) = (human::seconds(seconds), human::since_start(since));
    let text = match gaps.len() {
        1 => format!("Nothing was read for {length} from {at} on: totals include that time, rates and curves do not."),
        many => format!("There are {many} gaps without readings, the longest of {length} at {at}: totals include them, rates and curves do not."),
    };
    notes.warn("gaps", gaps.len() as u64, text);
}

/// Both clocks go on in suspend, so that they differ by another amount only when UTC was set.
fn of_clock(notes: &mut Notes, ticks: &Frame, facts: &barograph_store::Facts) {
    let differences: Vec<(i64, i64)> = ticks.times().iter().zip(ticks.monotonic()).map(|(utc, monotonic)| (utc - monotonic, *monotonic)).collect();
    let steps = differences.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[1].1)).filter(|(step, _)| step.abs() >= CLOCK_WAS_SET);
    let steps: Vec<(i64, i64)> = steps.collect();
    let Some((step, at)) = steps.iter().max_by_key(|(step, _)| step.abs()) else { return };
    let (length, way) = (human::seconds(step.abs() as f64 / 1e9), if *step < 0 { "back" } else { "forward" });
    let at = human::since_start((at - facts.clock.monotonic_nanos) as f64 / 1e9);
    let times = if steps.len() == 1 { String::new() } else { format!(" {} times, most", steps.len()) };
    let text =
        format!("The clock was set{times} {way} by {length} at {at}: times of day before and after do not compare; lengths and rates are right.");
    notes.warn("clock_set", steps.len() as u64, text);
}

/// The recorder's own rows.
struct Watching<'a> {
    own: &'a Frame,
    span: &'a Span,
}

impl Watching<'_> {
    /// How much a counter of the recorder grew. It begins at zero with the recording, so that of a whole one its last value is the answer.
    fn grew<K>(&self, field: Field<Own, K>) -> f64 {
        let values = self.own.floats(&Own::TABLE.metrics[field.index()].column());
        let mut known = values.into_iter().flatten();
        let first = known.next();
        let last = known.last().or(first).unwrap_or(0.0);
        if self.span.is_whole() { last } else { last - first.unwrap_or(0.0) }
    }

    /// How much a counter grew that began before the recording.
    fn grew_within<K>(&self, field: Field<Own, K>) -> f64 {
        let values = self.own.floats(&Own::TABLE.metrics[field.index()].column());
        let mut known = values.into_iter().flatten();
        known.next().map_or(0.0, |first| known.last().unwrap_or(first) - first)
    }

    fn highest<K>(&self, field: Field<Own, K>) -> Option<f64> {
        self.own.floats(&Own::TABLE.metrics[field.index()].column()).into_iter().flatten().reduce(f64::max)
    }
}

fn of_own(notes: &mut Notes, watching: &Watching<'_>) {
    let count = |value: f64| value.max(0.0) as u64;
    let (missed, ticks) = (watching.grew(Own::missed_ticks), watching.grew(Own::ticks).max(watching.span.ticks as f64));
    let share = human::share(missed / (missed + ticks).max(1.0));
    let text = format!("{} left out ({share}): the machine or the recorder was busy, stopped or suspended.", were(count(missed), "tick", "ticks"));
    notes.warn("missed_ticks", count(missed), text);
    let lost = count(watching.grew(Own::rows_lost));
    notes.warn("rows_lost", lost, format!("{} lost because the recording could not be written.", were(lost, "row", "rows")));
    let suspended = watching.grew_within(Own::suspended);
    if suspended >= 0.5 {
        notes.warn("suspended", 1, format!("The machine was suspended for {} of this time.", human::seconds(suspended)));
    }
    for (name, field, one, many, why) in [
        (
            "denied",
            Own::denied,
            "reading was",
            "readings were",
            "refused: what belongs to others needs CAP_SYS_PTRACE, and some is refused to root too",
        ),
        ("malformed", Own::malformed, "file did", "files did", "not read as it should; please report this"),
        ("limited", Own::limited, "reading", "readings", "failed at a limit, such as that of open files (ulimit -n)"),
        ("failed", Own::failed, "reading", "readings", "failed for another reason"),
    ] {
        let times = count(watching.grew(field));
        notes.warn(name, times, format!("{} {why}.", human::plural(times, one, many)));
    }
    if let Some(most) = watching.highest(Own::processes_left_out).filter(|most| *most > 0.0) {
        let text = format!("Up to {} at once have no rows, as was asked for.", human::plural(most as u64, "process", "processes"));
        notes.add("processes_left_out", most as u64, text, false);
    }
}

fn were(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", human::plural(count, one, many), if count == 1 { "was" } else { "were" })
}

/// How near the job came to what it was allowed, and what its readings could not see.
fn of_job(notes: &mut Notes, timeline: &Timeline, span: &Span, groups: &[Group]) {
    let facts = timeline.facts();
    let Some(job) = groups.iter().find(|group| group.name == headlines::JOB) else { return };
    let of = |key: &str| job.lines.iter().find(|(line, _)| line.key == key).map(|(_, stats)| stats);
    // A file of another program may tell of a job and not of its processes.
    if of(headlines::PROCESSES).is_none() && span.ticks > 0 && facts.file().is_none() {
        let text = "The job was over before a reading met it: what it held at a time is not known, and its rates are rough.".to_owned();
        notes.warn("never_seen", 1, text);
    }
    let kernel = facts.end.as_ref().and_then(|end| end.totals.peak_process_resident_bytes).filter(|_| span.is_whole());
    let seen = of(headlines::LARGEST).and_then(|stats| stats.peak).map_or(0.0, |peak| peak.value);
    if let Some(kernel) = kernel.filter(|kernel| *kernel as f64 > seen) {
        let text = format!("When it was over, the kernel said that a single process had held {}: more than any reading saw.", human::bytes(kernel));
        notes.add("kernel_peak", 1, text, false);
    }
    if let (Some(limit), Some(peak)) = (facts.limits.memory_bytes, of(headlines::MEMORY).and_then(|stats| stats.peak)) {
        let share = human::share(peak.value / limit.max(1) as f64);
        notes.add("memory_limit", 1, format!("The job's memory came to {share} of its limit of {}.", human::set(human::bytes(limit))), false);
    }
    if let (Some(limit), Some(mean)) = (facts.limits.cores, of(headlines::CPU).and_then(|stats| stats.mean)) {
        let share = human::share(mean / limit.max(f64::MIN_POSITIVE));
        notes.add(
            "cpu_limit",
            1,
            format!("The job used {share} of the {} that it was allowed.", human::set(format!("{} cores", human::cores(limit)))),
            false,
        );
    }
}

/// That the job's memory is a sum in which shared pages count for each process; and what it would be if they counted once, where that is known.
fn of_shared_memory(notes: &mut Notes, timeline: &Timeline, groups: &[Group], all: &Query) -> anyhow::Result<()> {
    let processes = groups.iter().flat_map(|group| &group.lines).find(|(line, _)| line.key == headlines::PROCESSES);
    if !processes.and_then(|(_, stats)| stats.peak).is_some_and(|peak| peak.value > 1.0) {
        return Ok(());
    }
    let mut text = "Memory of the job is the sum of what its processes have in RAM; pages that they share count for each of them.".to_owned();
    if let Some((once, each)) = counted_once(timeline, all)? {
        text += &format!(" With each page counted once (PSS) it was {} when that sum was {}.", human::byte_amount(once), human::byte_amount(each));
    }
    notes.add("shared_memory", 1, text, false);
    Ok(())
}

/// The highest sum of proportional sets, and of the resident ones at the same tick. Only a pass that came to all living processes has such a sum.
fn counted_once(timeline: &Timeline, all: &Query) -> anyhow::Result<Option<(f64, f64)>> {
    let proportional = ProcessMemory::TABLE.metrics[ProcessMemory::proportional.index()].column();
    let [processes, resident] = [Job::processes.index(), Job::resident.index()].map(|index| Job::TABLE.metrics[index].column());
    let Some(parts) = frame(timeline, ProcessMemory::TABLE.name, &all.clone().columns([proportional.clone()]))? else { return Ok(None) };
    let Some(job) = frame(timeline, Job::TABLE.name, &all.clone().columns([processes.clone(), resident.clone()]))? else { return Ok(None) };
    let mut passes: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (time, bytes) in parts.times().iter().zip(parts.floats(&proportional)) {
        let (count, sum) = passes.entry(*time).or_default();
        *count += 1.0;
        *sum += bytes.unwrap_or(f64::NAN);
    }
    let (alive, resident) = (job.floats(&processes), job.floats(&resident));
    let at_tick = |(row, time): (usize, &i64)| {
        let (count, once) = passes.get(time)?;
        (alive[row] == Some(*count) && once.is_finite()).then_some((*once, resident[row]?))
    };
    Ok(job.times().iter().enumerate().filter_map(at_tick).max_by(|a, b| a.0.total_cmp(&b.0)))
}

fn of_kills(notes: &mut Notes, timeline: &Timeline, span: &Span, all: &Query) -> anyhow::Result<()> {
    let last = |rows: &Frame, column: &str| rows.floats(column).into_iter().flatten().reduce(f64::max);
    let facts = timeline.facts();
    // How many of the control group, of which no row tells when.
    let of_group = facts.notices.iter().find(|notice| notice.name == OOM_KILLS && span.is_whole()).map_or(0, |notice| notice.count);
    let limit = human::set(human::bytes(facts.limits.memory_bytes.unwrap_or(0)));
    let kills = Memory::TABLE.metrics[Memory::oom_kills.index()].column();
    if let Some(rows) = frame(timeline, Memory::TABLE.name, &all.clone().columns([kills.clone()]))? {
        let first = rows.floats(&kills).into_iter().flatten().next().unwrap_or(0.0);
        let killed = ((last(&rows, &kills).unwrap_or(0.0) - first) as u64).max(of_group);
        let processes = human::plural(killed, "process", "processes");
        let text = match of_group {
            0 => format!("The kernel killed {processes} because memory ran out."),
            _ if of_group == killed => {
                format!("The kernel killed {processes} of this run's control group because memory ran out: the group may use {limit}.")
            }
            _ => format!(
                "The kernel killed {processes} because memory ran out, {of_group} of them of this run's control group, which may use {limit}."
            ),
        };
        notes.warn(OOM_KILLS, killed, text);
    }
    let unreadable = Job::TABLE.metrics[Job::unreadable.index()].column();
    if let Some(rows) = frame(timeline, Job::TABLE.name, &all.clone().columns([unreadable.clone()]))? {
        let most = last(&rows, &unreadable).unwrap_or(0.0) as u64;
        let text = format!(
            "Input and output of up to {} of the job may not be read by this user, and are missing from the sums.",
            human::plural(most, "process", "processes")
        );
        notes.warn("unreadable_processes", most, text);
    }
    Ok(())
}

/// What the recorder wrote down itself.
fn of_facts(notes: &mut Notes, timeline: &Timeline) {
    let facts = timeline.facts();
    let (selection, left_out) = (human::escape(&facts.processes.selection), facts.processes.left_out.as_deref());
    if let Some(left_out) = left_out.filter(|_| selection != "tree") {
        notes.add("selection", 1, format!("Without rows, by the choice `{selection}`: {}.", human::escape(left_out)), false);
    }
    for (source, status) in facts.sources.iter().filter(|(_, status)| *status != "ok") {
        let text = format!("Source {} gave nothing: {}.", human::escape(source), human::escape(status));
        notes.0.push(Note { name: "source".to_owned(), text, count: 1, is_warning: true });
    }
    for notice in &facts.notices {
        let times = if notice.count > 1 { format!(" ({} times)", human::count(notice.count as f64)) } else { String::new() };
        let noted = || format!("Noted as {}: {}{times}.", human::escape(&notice.name).replace('_', " "), human::escape(&notice.detail));
        notes.warn(&notice.name, notice.count, of_beacon(&notice.name, notice.count).unwrap_or_else(noted));
    }
}

/// What programs said at the beacon and nobody kept.
fn of_beacon(name: &str, count: u64) -> Option<String> {
    let (one, many, why) = match name {
        "beacon_dropped" => ("word", "words", "came faster than the recorder takes them"),
        "beacon_malformed" => ("line", "lines", "made no sense"),
        "beacon_oversized" => ("datagram", "datagrams", "had more than 64 KiB"),
        "beacon_foreign" => ("datagram", "datagrams", "came from another user"),
        _ => return None,
    };
    let (are, words) = (if count == 1 { "is" } else { "are" }, human::plural(count, one, many));
    Some(format!("{words} of programs (marks, spans, gauges) {why}, and {are} missing."))
}

fn of_cost(notes: &mut Notes, watching: &Watching<'_>, timeline: &Timeline) -> anyhow::Result<()> {
    let seconds = watching.span.seconds();
    let cpu = watching.grew_within(Own::cpu);
    if seconds <= 0.0 || watching.span.ticks < 2 {
        return Ok(());
    }
    let memory = watching.highest(Own::resident).map(|bytes| format!(" and {} of memory", human::byte_amount(bytes))).unwrap_or_default();
    let fast = watching
        .highest(Own::processes_fast)
        .filter(|most| *most > 0.0)
        .map(|most| format!("; a BPF iterator told of up to {}", human::plural(most as u64, "process", "processes")));
    let fast = fast.unwrap_or_default();
    let disk: u64 = timeline.tables()?.iter().map(|table| table.bytes).sum();
    let text = format!("Watching took {} of a core{memory}{fast}; the recording has {}.", human::share(cpu / seconds), human::bytes(disk));
    notes.add("own_cost", 1, text, false);
    Ok(())
}
