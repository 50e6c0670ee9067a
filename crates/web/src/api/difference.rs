//! Several recordings beside each other, in a handful of figures.

use axum::Json;
use axum::extract::{RawQuery, State};
use barograph_sources::Job;
use barograph_store::{Figure, Timeline, Totals};
use barograph_view::Unit;
use serde::Serialize;

use super::{Shared, run_now, wait};
use crate::failure::{Answer, Failure};

/// Recordings that are put beside each other at most.
const MOST: usize = 64;

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    name: &'static str,
    unit: Unit,
    values: Vec<Option<f64>>,
}

pub(super) async fn difference(State(app): State<Shared>, RawQuery(query): RawQuery) -> Answer<Json<Vec<Difference>>> {
    // Their names say nothing: a, b, c …
    let ids: Vec<String> = query.unwrap_or_default().split('&').filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())).collect();
    if ids.is_empty() || ids.len() > MOST {
        return Err(Failure::bad(format!("name between one and {MOST} recordings, as in ?a=ID&b=ID")));
    }
    wait(move || {
        let totals: Answer<Vec<Totals>> = ids.iter().map(|id| totals(&run_now(&app, id)?.timeline()?)).collect();
        Ok(Json(figures(&totals?)))
    })
    .await
}

fn figures(totals: &[Totals]) -> Vec<Difference> {
    let of = |name, unit, value: &dyn Fn(&Totals) -> Option<f64>| Difference { name, unit, values: totals.iter().map(value).collect() };
    let whole = |number: Option<u64>| number.map(|number| number as f64);
    vec![
        of("wall time", Unit::Seconds, &|totals| totals.wall_seconds),
        of("CPU time", Unit::Seconds, &|totals| Some(totals.user_seconds? + totals.system_seconds?)),
        of("CPU time in the kernel", Unit::Seconds, &|totals| totals.system_seconds),
        of("mean CPU", Unit::Cores, &|totals| {
            Some((totals.user_seconds? + totals.system_seconds?) / totals.wall_seconds.filter(|wall| *wall > 0.0)?)
        }),
        of("peak memory", Unit::Bytes, &|totals| whole(totals.peak_resident_bytes)),
        of("peak memory of one process", Unit::Bytes, &|totals| whole(totals.peak_process_resident_bytes)),
        of("read", Unit::Bytes, &|totals| whole(totals.read_bytes)),
        of("written", Unit::Bytes, &|totals| whole(totals.written_bytes)),
        of("processes at once", Unit::Count, &|totals| whole(totals.processes_peak)),
        of("processes", Unit::Count, &|totals| whole(totals.processes_seen)),
    ]
}

/// The sums of a recording: those that stand in it, or, while it has no end, what its rows tell so far.
fn totals(timeline: &Timeline) -> Answer<Totals> {
    let facts = timeline.facts();
    if let Some(end) = &facts.end {
        let wall = (end.monotonic_nanos.saturating_sub(facts.clock.monotonic_nanos)) as f64 / 1e9;
        return Ok(Totals { wall_seconds: end.totals.wall_seconds.or(Some(wall)), ..end.totals });
    }
    let last = timeline.tables()?.iter().filter_map(|table| table.monotonic_range).map(|(_, last)| last).max();
    let wall_seconds = last.map(|last| last.saturating_sub(facts.clock.monotonic_nanos) as f64 / 1e9);
    if !timeline.has_table("job") {
        return Ok(Totals { wall_seconds, ..Totals::default() });
    }
    let all = [Job::user, Job::system].map(Figure::of);
    let (resident, read, written) = (Figure::of(Job::resident), Figure::of(Job::read), Figure::of(Job::written));
    let query = Figure::query([&all[0], &all[1], &resident, &read, &written], None, None);
    let frame = timeline.frame("job", &query)?;
    let stale = facts.stale_nanos();
    let stats = |figure: &Figure| figure.series(&frame, stale).stats();
    let total = |figure: &Figure| stats(figure).and_then(|stats| stats.total);
    let bytes = |figure: &Figure| total(figure).map(|bytes| bytes as u64);
    Ok(Totals {
        wall_seconds,
        user_seconds: total(&all[0]),
        system_seconds: total(&all[1]),
        peak_resident_bytes: stats(&resident).and_then(|stats| stats.peak).map(|peak| peak.value as u64),
        read_bytes: bytes(&read),
        written_bytes: bytes(&written),
        ..Totals::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_absent() {
        let known = Totals { wall_seconds: Some(2.0), user_seconds: Some(3.0), system_seconds: Some(1.0), ..Totals::default() };
        let figures = figures(&[known, Totals::default()]);
        let of = |name: &str| figures.iter().find(|figure| figure.name == name).unwrap().values.clone();
        assert_eq!(of("wall time"), [Some(2.0), None]);
        assert_eq!(of("CPU time"), [Some(4.0), None]);
        assert_eq!(of("mean CPU"), [Some(2.0), None]);
        assert_eq!(of("read"), [None, None]);
    }
}
