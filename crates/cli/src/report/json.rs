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
//! - `lines`, with `--lines` and in place of all from `job` on: what lines and functions of Python programs cost.
//! - `notices`: `name`, `text`, `count`, `warning`.

use std::io::{self, Write};

use barograph_model::Metric;
use barograph_store::Stats;
use serde_json::{Map, Value, json};

use crate::human;
use crate::story::headlines::{self, Line};
use crate::story::{Ended, Group, ProcessLine, Story};
use crate::words::zoned;

/// Values of a curve.
const COLUMNS: usize = 100;

pub(super) fn write(out: &mut dyn Write, story: &Story) -> io::Result<()> {
    let group = |name: &str| story.groups.iter().find(|group| group.name == name).map(|group| figures(story, group));
    let report = json!({
        "version": 1,
        "recording": recording(story),
        "window": window(story),
        "job": group(headlines::JOB),
        "machine": group(headlines::MACHINE),
        "curves": curves(story),
        "processes": story.top.lines.iter().map(|line| process(story, line)).collect::<Vec<_>>(),
        "other_processes": { "count": story.top.others, "cpu_seconds": story.top.others_cpu_seconds },
        "notices": story.notes.iter().map(|note| json!({
            "name": note.name,
            "text": note.text,
            "count": note.count,
            "warning": note.is_warning,
        })).collect::<Vec<_>>(),
    });
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

/// The lines of Python programs in place of figures; `null` if nobody looked at them.
pub(super) fn write_lines(out: &mut dyn Write, story: &Story, lines: Option<Value>) -> io::Result<()> {
    let report = json!({ "version": 1, "recording": recording(story), "window": window(story), "lines": lines });
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
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
        "path": story.timeline.folder().display().to_string(),
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
