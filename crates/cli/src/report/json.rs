//! The report for programs. Keys are only ever added; `version` changes if one goes or means something else. What is not known is `null`.
//!
//! - `version`: 1.
//! - `recording`: `path`, `id`, `format`, `barograph`, `state` (`live`, `ended`, `interrupted`), `command` (list), `directory`, `user`, `host`,
//!   `limits`, `interval_seconds`, `started`, `ended`, `wall_seconds`, `exit` (`code` or `signal`), `reason`, and what `recording.json` says of the
//!   rest.
//! - `window`: the part that is told: `from`, `to`, `seconds`, `ticks`, `whole`.
//! - `job`, `machine`: figures by name, each with `unit` and `mean`, `p95`, `peak` in it, `peak_time`, `peak_seconds` since the start, `total` and
//!   `total_unit` of counters, and `metrics`: the ids of what it is made of. `job` is `null` where no job was watched.
//! - `curves`: `columns`, and for each curve `unit` and `values`: means over equal parts of the window for rates, highest values for levels.
//! - `processes`: those with most CPU time; `other_processes`: `count` and `cpu_seconds` of the rest.
//! - `spans`: how many there are, `errors`, `open`; `names` by total time, `slowest`, `failed_or_open`, and `each` where a name was asked for.
//! - `marks`, `gauges`: those that are listed.
//! - `lines`, with `--lines` and in place of all from `job` on: what lines and functions of Python programs cost.
//! - `notices`: `name`, `text`, `count`, `warning`.

use std::io::{self, Write};

use barograph_model::Metric;
use barograph_store::{How, Stats};
use serde_json::{Map, Value, json};

use crate::human;
use crate::open::shown_path;
use crate::paint::write_json;
use crate::story::headlines::{self, Line};
use crate::story::program::{Instance, Mark, NameLine, Sum};
use crate::story::{Ended, Group, ProcessLine, Story};
use crate::words::zoned;

/// Values of a curve.
const COLUMNS: usize = 100;

pub(super) fn write(out: &mut dyn Write, story: &Story) -> io::Result<()> {
    let group = |name: &str| story.groups.iter().find(|group| group.name == name).map(|group| figures(story, group));
    let mut report = json!({
        "version": 1,
        "recording": recording(story),
        "window": window(story),
        "job": group(headlines::JOB),
        "machine": group(headlines::MACHINE),
        "curves": curves(story),
        "processes": story.top.lines.iter().map(|line| process(story, line)).collect::<Vec<_>>(),
        "other_processes": { "count": story.top.others, "cpu_seconds": story.top.others_cpu_seconds },
        "spans": spans(story),
        "marks": story.program.marks.iter().map(|mark| mark_told(story, mark)).collect::<Vec<_>>(),
        "other_marks": story.program.other_marks,
        "gauges": story.program.gauges.iter().map(|gauge| json!({
            "name": gauge.name,
            "count": gauge.count,
            "min": gauge.min,
            "mean": gauge.mean(),
            "max": gauge.max,
            "last": gauge.last,
        })).collect::<Vec<_>>(),
        "notices": story.notes.iter().map(|note| json!({
            "name": note.name,
            "text": note.text,
            "count": note.count,
            "warning": note.is_warning,
        })).collect::<Vec<_>>(),
    });
    // A file of somebody else has columns of its own.
    for group in story.groups.iter().filter(|group| ![headlines::JOB, headlines::MACHINE].contains(&group.name)) {
        report["columns"] = figures(story, group);
    }
    write_json(out, &report)
}

/// The lines of Python programs in place of figures; `null` if nobody looked at them.
pub(super) fn write_lines(out: &mut dyn Write, story: &Story, lines: Option<Value>) -> io::Result<()> {
    let report = json!({ "version": 1, "recording": recording(story), "window": window(story), "lines": lines });
    write_json(out, &report)
}

fn window(story: &Story) -> Value {
    json!({
        "from": time(story, story.span.utc.0),
        "to": time(story, story.span.utc.1),
        "seconds": story.span.seconds(),
        "ticks": story.span.ticks,
        "whole": story.span.is_whole(),
    })
}

/// RFC 3339 with nanoseconds, in the zone that was asked for.
fn time(story: &Story, utc_nanos: i64) -> String {
    zoned(utc_nanos, &story.zone).strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string()
}

fn recording(story: &Story) -> Value {
    let facts = story.facts();
    let end = facts.end.as_ref();
    json!({
        "path": shown_path(&story.timeline),
        "id": facts.id,
        "format": facts.format,
        "barograph": facts.barograph,
        "state": human::state(story.state),
        "command": facts.command,
        "directory": facts.directory,
        "user": facts.user,
        "host": facts.host,
        "limits": facts.limits,
        "root": facts.root,
        "processes": facts.processes,
        "interval_seconds": facts.interval_seconds,
        "zone": facts.clock.zone,
        "started": time(story, facts.clock.utc_nanos),
        "ended": end.map(|end| time(story, end.utc_nanos)),
        "wall_seconds": end.map(|end| (end.monotonic_nanos - facts.clock.monotonic_nanos) as f64 / 1e9),
        "exit": end.and_then(|end| end.exit),
        "reason": end.map(|end| end.reason.clone()),
        "totals": end.map(|end| end.totals),
    })
}

fn figures(story: &Story, group: &Group) -> Value {
    Value::Object(group.lines.iter().map(|(line, stats)| (line.key.to_owned(), figure(story, line, stats))).collect())
}

fn figure(story: &Story, line: &Line, stats: &Stats) -> Value {
    let peak = stats.peak;
    json!({
        "unit": line.unit(),
        "mean": stats.mean,
        "p95": stats.p95,
        "peak": peak.map(|peak| peak.value),
        "peak_time": peak.map(|peak| time(story, peak.utc_nanos)),
        "peak_seconds": peak.map(|peak| story.since_start(peak.monotonic_nanos)),
        "total": stats.total,
        "total_unit": stats.total.map(|_| line.figure.unit().name()),
        "metrics": line.figure.metrics().map(Metric::id).collect::<Vec<_>>(),
    })
}

fn curves(story: &Story) -> Value {
    let (from, to) = story.span.monotonic;
    let mut curves = Map::new();
    curves.insert("columns".to_owned(), json!(COLUMNS));
    for (shown, series) in &story.curves {
        let values = series.columns(from, to, COLUMNS);
        curves.insert(shown.key.to_owned(), json!({ "unit": shown.unit(), "values": values }));
    }
    Value::Object(curves)
}

fn process(story: &Story, line: &ProcessLine) -> Value {
    let exit = match line.ended {
        Ended::How(exit) => json!(exit),
        Ended::No | Ended::Gone => Value::Null,
    };
    json!({
        "pid": line.pid,
        "start_ticks": line.start_ticks,
        "parent_pid": line.parent_pid,
        "name": line.name,
        "command_line": line.command_line,
        "user": line.user,
        "cpu_seconds": line.cpu_seconds,
        "mean_cores": line.mean_cores,
        "peak_resident_bytes": line.peak_resident_bytes,
        "read_bytes": line.read_bytes,
        "written_bytes": line.written_bytes,
        "first_seconds": story.since_start(line.first_seen),
        "last_seconds": story.since_start(line.last_seen),
        "alive_at_end": line.ended == Ended::No,
        "exit": exit,
    })
}

fn spans(story: &Story) -> Value {
    let program = &story.program;
    let all = |list: &[Instance]| list.iter().map(|one| instance(story, one)).collect::<Vec<_>>();
    json!({
        "count": program.spans[0],
        "errors": program.spans[1],
        "open": program.spans[2],
        "names": program.names.iter().map(name).collect::<Vec<_>>(),
        "other_names": program.other_names,
        "slowest": all(&program.slowest),
        "failed_or_open": all(&program.troubled),
        "each": all(&program.each),
    })
}

/// The sum of what is known, and whether that is exact, from samples, or of some spans only.
fn sum(sum: Sum) -> Value {
    let how = if sum.is_sampled { "sampled" } else { "exact" };
    json!({ "value": sum.value(), "how": sum.value().map(|_| how), "partial": sum.is_partial() })
}

fn name(line: &NameLine) -> Value {
    json!({
        "name": line.name,
        "count": line.count,
        "errors": line.errors,
        "open": line.open,
        "total_seconds": line.total_seconds,
        "mean_seconds": line.mean_seconds,
        "p95_seconds": line.p95_seconds,
        "longest_seconds": line.longest_seconds,
        "self_seconds": sum(line.self_seconds),
        "thread_cpu_seconds": sum(line.thread_cpu_seconds),
        "self_cpu_seconds": sum(line.self_cpu_seconds),
        "cpu_seconds": sum(line.cpu_seconds),
        "tree_cpu_seconds": sum(line.tree_cpu_seconds),
        "read_bytes": sum(line.read_bytes),
        "written_bytes": sum(line.written_bytes),
        "peak_resident_bytes": line.peak_resident_bytes,
        "tree_peak_resident_bytes": line.tree_peak_resident_bytes,
    })
}

fn instance(story: &Story, one: &Instance) -> Value {
    let cost = &one.cost;
    json!({
        "span": one.id,
        "parent": one.parent,
        "name": one.name,
        "attributes": attributes(one.attributes.as_ref()),
        "status": one.status.name(),
        "detail": one.detail,
        "pid": one.pid,
        "thread": one.thread,
        "time": time(story, one.begin_utc),
        "begin_seconds": story.since_start(one.begin),
        "wall_seconds": one.wall_seconds,
        "self_wall_seconds": cost.self_wall_seconds,
        "thread_cpu_seconds": cost.thread_cpu_seconds,
        "self_cpu_seconds": cost.self_cpu_seconds,
        "cpu_seconds": cost.cpu_seconds,
        "cpu_how": cost.cpu_how.map(How::name),
        "mean_cores": cost.mean_cores,
        "tree": cost.tree,
        "tree_cpu_seconds": cost.tree_cpu_seconds,
        "tree_peak_resident_bytes": cost.tree_peak_resident_bytes,
        "begin_resident_bytes": cost.begin_resident_bytes,
        "end_resident_bytes": cost.end_resident_bytes,
        "resident_how": cost.resident_how.map(How::name),
        "peak_resident_bytes": cost.peak_resident_bytes,
        "read_bytes": cost.read_bytes,
        "written_bytes": cost.written_bytes,
        "bytes_how": cost.bytes_how.map(How::name),
        "minor_faults": cost.minor_faults,
        "major_faults": cost.major_faults,
        "faults_how": cost.faults_how.map(How::name),
        "note": one.note,
    })
}

fn mark_told(story: &Story, mark: &Mark) -> Value {
    json!({
        "name": mark.name,
        "by": mark.by,
        "detail": mark.detail,
        "attributes": attributes(mark.attributes.as_ref()),
        "time": time(story, mark.utc_nanos),
        "seconds": story.since_start(mark.monotonic_nanos),
    })
}

/// The object that it is, or the text that it is if a file says something else.
fn attributes(text: Option<&String>) -> Value {
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| json!(text)))
}
