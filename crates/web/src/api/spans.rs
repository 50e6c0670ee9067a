//! Spans of a window, the longest first where there are too many.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use barograph_model::Moment;
use barograph_store::{Cost, How, Span as Block, SpanQuery, Spans as Blocks};
use barograph_view::Unit;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Said, Shared, run_now, time, wait};
use crate::failure::Answer;
use crate::library::millis;

/// Spans of one answer, unless fewer are asked for.
const MOST: usize = 5000;

#[derive(Deserialize)]
pub(super) struct Asked {
    from: Option<f64>,
    to: Option<f64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct Spans {
    spans: Vec<Span>,
    pub(crate) left_out: usize,
}

#[derive(Debug, Serialize)]
struct Span {
    id: String,
    parent: Option<String>,
    name: String,
    status: &'static str,
    detail: Option<String>,
    attributes: Option<Map<String, Value>>,
    depth: u32,
    pid: Option<i64>,
    thread: Option<i64>,
    from: f64,
    to: Option<f64>,
    cost: BTreeMap<&'static str, Amount>,
}

/// A figure of a span, and how it is known.
#[derive(Debug, PartialEq, Serialize)]
struct Amount {
    value: f64,
    how: &'static str,
    unit: Unit,
}

pub(super) async fn spans(State(app): State<Shared>, Path(id): Path<String>, Said(asked): Said<Asked>) -> Answer<Json<Spans>> {
    let query = SpanQuery { from: time(asked.from, "from")?, to: time(asked.to, "to")?, name: None };
    let limit = asked.limit.unwrap_or(MOST);
    wait(move || Ok(Json(of(&*run_now(&app, &id)?.spans(&query)?, &query, limit)))).await
}

/// The spans of that query among these; the longest, if there are more than the limit or than an answer has.
pub(crate) fn of(blocks: &Blocks, query: &SpanQuery, limit: usize) -> Spans {
    let limit = limit.min(MOST);
    let (places, left_out) = chosen(blocks, query, limit);
    Spans { spans: places.into_iter().map(|place| Span::of(&blocks.get(place))).collect(), left_out }
}

/// The places of the longest, in the order of time, and how many are left out.
fn chosen(blocks: &Blocks, query: &SpanQuery, limit: usize) -> (Vec<usize>, usize) {
    let is_asked = |place: &usize| {
        let (begin, end) = blocks.extent(*place);
        query.from.is_none_or(|from| end.unwrap_or(begin).utc_nanos >= from) && query.to.is_none_or(|to| begin.utc_nanos <= to)
    };
    let mut places: Vec<usize> = (0..blocks.len()).filter(is_asked).collect();
    let left_out = places.len().saturating_sub(limit);
    if left_out > 0 {
        let mut long: Vec<(Reverse<i64>, usize)> = places.iter().map(|&place| (Reverse(nanos(blocks.extent(place))), place)).collect();
        long.sort_unstable();
        places = long.into_iter().take(limit).map(|(_, place)| place).collect();
        places.sort_unstable();
    }
    (places, left_out)
}

fn nanos((begin, end): (Moment, Option<Moment>)) -> i64 {
    end.map_or(i64::MAX, |end| end.monotonic_nanos.saturating_sub(begin.monotonic_nanos))
}

impl Span {
    fn of(block: &Block<'_>) -> Span {
        Span {
            id: block.id.to_owned(),
            parent: block.parent.map(str::to_owned),
            name: block.name.to_owned(),
            status: block.status.name(),
            detail: block.detail.map(str::to_owned),
            attributes: attributes(block.attributes),
            depth: block.depth,
            pid: block.pid,
            thread: block.thread,
            from: millis(block.begin.utc_nanos),
            to: block.end.map(|end| millis(end.utc_nanos)),
            cost: amounts(&block.cost, block.wall_seconds()),
        }
    }
}

/// What else was said; absent if it is no JSON object, as it should be.
pub(super) fn attributes(text: Option<&str>) -> Option<Map<String, Value>> {
    serde_json::from_str(text?).ok()
}

/// What is known of the cost, under the names of the columns that `export --table spans` gives.
fn amounts(cost: &Cost, wall: Option<f64>) -> BTreeMap<&'static str, Amount> {
    let exact = Some(How::Exact);
    let of_tree = cost.tree.map(|_| How::Sampled);
    let all = [
        ("wall", wall, exact, Unit::Seconds),
        ("self_wall", cost.self_wall_seconds, exact, Unit::Seconds),
        ("thread_cpu", cost.thread_cpu_seconds, exact, Unit::Seconds),
        ("self_cpu", cost.self_cpu_seconds, exact, Unit::Seconds),
        ("cpu", cost.cpu_seconds, cost.cpu_how, Unit::Seconds),
        ("mean_cores", cost.mean_cores, cost.cpu_how, Unit::Cores),
        ("tree_cpu", cost.tree_cpu_seconds, of_tree, Unit::Seconds),
        ("tree_peak_resident", cost.tree_peak_resident_bytes, of_tree, Unit::Bytes),
        ("begin_resident", cost.begin_resident_bytes, cost.resident_how, Unit::Bytes),
        ("end_resident", cost.end_resident_bytes, cost.resident_how, Unit::Bytes),
        ("peak_resident", cost.peak_resident_bytes, Some(How::Sampled), Unit::Bytes),
        ("read", cost.read_bytes, cost.bytes_how, Unit::Bytes),
        ("written", cost.written_bytes, cost.bytes_how, Unit::Bytes),
        ("minor_faults", cost.minor_faults, cost.faults_how, Unit::Count),
        ("major_faults", cost.major_faults, cost.faults_how, Unit::Count),
    ];
    let known = |(name, value, how, unit): (_, Option<f64>, Option<How>, _)| Some((name, Amount { value: value?, how: how?.name(), unit }));
    all.into_iter().filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_has_a_cost() {
        let cost = Cost { cpu_seconds: Some(2.0), cpu_how: Some(How::Sampled), read_bytes: Some(5.0), ..Cost::default() };
        let amounts = amounts(&cost, Some(3.0));
        assert_eq!(amounts["cpu"], Amount { value: 2.0, how: "sampled", unit: Unit::Seconds });
        assert_eq!(amounts["wall"].how, "exact");
        assert_eq!(amounts.len(), 2, "{amounts:?}");
    }

    #[test]
    fn attributes_that_are_no_object_are_absent() {
        assert_eq!(attributes(Some("[1]")), None);
        assert_eq!(attributes(Some("{")), None);
        assert_eq!(attributes(Some(r#"{"a":1}"#)).unwrap()["a"], 1);
    }
}
