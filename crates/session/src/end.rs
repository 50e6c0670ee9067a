//! What a recording came to, written when it ends.

use barograph_record::{JobEnd, Outcome, Reason};
use barograph_sources::{FaultKind, Machine, oom_kills};
use barograph_store::{End, Error, Exit, Limits, Notice, Recording, Totals};

/// Writes the end of a recording: what the readings came to, what a reader of them should know, and all rows that no file has yet.
pub fn end_recording(recording: &mut Recording, outcome: &Outcome, totals: Totals, machine: &Machine) -> Result<(), Error> {
    let reason = match &outcome.reason {
        Reason::JobEnded => "exited".to_owned(),
        Reason::Duration => "duration".to_owned(),
        Reason::Signal(signal) => format!("signal {signal}"),
        Reason::Asked(why) => why.clone(),
    };
    let exit = outcome.job_end.map(|end| match end {
        JobEnd::Code(code) => Exit { code: Some(code), signal: None },
        JobEnd::Signal(signal) => Exit { code: None, signal: Some(signal) },
    });
    let notices = notices(outcome, machine, &recording.facts().limits);
    recording.facts_mut().notices.extend(notices);
    let end = End { utc_nanos: outcome.ended.utc_nanos, monotonic_nanos: outcome.ended.monotonic_nanos, reason, exit, totals };
    let durability = recording.durability_of(&end);
    recording.finish(end, durability)
}

/// The sums of a recording, as far as they are known.
pub fn totals(outcome: &Outcome, has_job: bool) -> Totals {
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

fn notices(outcome: &Outcome, machine: &Machine, limits: &Limits) -> Vec<Notice> {
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
    // Nobody asks where memory is not limited: the machine's own count is in every row.
    let killed = limits.oom_kills.and_then(|before| oom_kills(machine)?.checked_sub(before));
    let limit = limits.memory_bytes.unwrap_or(0);
    add("oom_kills", killed.unwrap_or(0), format!("processes killed because memory ran out, in a control group that may use {limit} bytes"));
    let denied = outcome.faults.of(FaultKind::Denied);
    add("denied", denied, format!("readings of {} refused to this user", machine.roots().proc.display()));
    add("malformed", outcome.faults.of(FaultKind::Malformed), "files that did not read as they should; please report this".to_owned());
    let heard = outcome.heard;
    add("beacon_dropped", heard.dropped, "marks, spans and gauges that programs could not send because they came too fast".to_owned());
    add("beacon_malformed", heard.malformed, "lines at the beacon that could not be understood".to_owned());
    add("beacon_oversized", heard.oversized, "datagrams at the beacon that were too large".to_owned());
    add("beacon_foreign", heard.foreign, "datagrams at the beacon from other users".to_owned());
    add("orders_refused", heard.refused, "orders that were not followed: not understood, from another user, or too many".to_owned());
    if let Some(error) = &outcome.write_error {
        add("write_error", 1, error.clone());
    }
    if let Some(what) = outcome.done_without {
        add("max_overhead", 1, format!("for a time {what}, so as to cost no more than was asked"));
    }
    notices
}
