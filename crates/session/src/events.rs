//! Events that a person adds, edits and deletes: of a recording that goes on by its beacon, and of one that has ended by a further part of its table.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use barograph_beacon::{ATTRIBUTES_BYTES, Address, DATAGRAM_BYTES, NAME_BYTES, cut};
use barograph_model::Moment;
use barograph_record::{Order, now};
use barograph_store::{self as store, Event, Facts, Query, Revision, State, Timeline};
use serde_json::{Map, Value, json};

use crate::order::{OrderError, address_of, order, send};

/// The moment of a recording that this UTC time is, on both clocks of its rows. Of the moments that are known on both, the nearest one tells: its beginning, and
/// its end or, while it goes on, now.
pub fn moment(facts: &Facts, utc_nanos: i64) -> Moment {
    let began = Moment { utc_nanos: facts.clock.utc_nanos, monotonic_nanos: facts.clock.monotonic_nanos };
    let last = facts.end.as_ref().map_or_else(now, |end| Moment { utc_nanos: end.utc_nanos, monotonic_nanos: end.monotonic_nanos });
    let known = if utc_nanos.abs_diff(began.utc_nanos) <= utc_nanos.abs_diff(last.utc_nanos) { began } else { last };
    Moment { utc_nanos, monotonic_nanos: known.monotonic_nanos.saturating_add(utc_nanos.saturating_sub(known.utc_nanos)) }
}

/// Adds events to a recording, whether it goes on or has ended. Of one that goes on they are published within a second.
pub fn add_events(recording: &Path, by: &str, events: &[Event]) -> Result<(), OrderError> {
    let timeline = Timeline::open(recording)?;
    if timeline.state() != State::Live {
        return Ok(store::add_events(recording, by, events)?);
    }
    let lines = events.iter().map(|event| line(by, event, None)).collect::<Vec<_>>();
    say(recording, timeline.facts(), &lines)
}

/// Edits and deletes events of a recording, whether it goes on or has ended. An event has the key that [`Timeline::events`] tells.
pub fn revise_events(recording: &Path, by: &str, revisions: &[Revision]) -> Result<(), OrderError> {
    let timeline = Timeline::open(recording)?;
    if timeline.state() != State::Live {
        return Ok(store::revise(recording, by, revisions)?);
    }
    check(recording, &timeline, revisions)?;
    let lines = revisions.iter().map(|revision| match &revision.event {
        Some(event) => line(by, event, Some(&revision.key)),
        None => json!({ "delete": revision.key, "by": by }),
    });
    say(recording, timeline.facts(), &lines.collect::<Vec<_>>())
}

/// Whether all of these events are there and may be revised. What was said a moment ago is published first.
fn check(recording: &Path, timeline: &Timeline, revisions: &[Revision]) -> Result<(), OrderError> {
    let all = |timeline: &Timeline| -> Result<(), store::Error> {
        let known = timeline.events(&Query::all())?;
        revisions.iter().try_for_each(|revision| store::revisable(&known, &revision.key).map(|_| ()))
    };
    match all(timeline) {
        Err(store::Error::NoEvent { .. }) => {
            order(recording, &Order::Read)?;
            Ok(all(timeline)?)
        }
        outcome => Ok(outcome?),
    }
}

/// The line that tells a recorder of it: docs/beacon.md.
fn line(by: &str, event: &Event, revises: Option<&str>) -> Value {
    let mut line = Map::new();
    let mut put = |key: &str, value: Value| line.insert(key.to_owned(), value);
    put("mark", cut(&event.name, NAME_BYTES).into());
    put("by", by.into());
    put("utc_nanos", event.at.utc_nanos.into());
    put("monotonic_nanos", event.at.monotonic_nanos.into());
    if let Some(key) = revises {
        put("revises", key.into());
    }
    if let Some(detail) = &event.detail {
        put("detail", cut(detail, NAME_BYTES).into());
    }
    if let Some(duration) = event.duration_seconds {
        put("duration", duration.into());
    }
    // What is no object, or too large, would be left out there.
    if let Some(attributes) =
        event.attributes.as_deref().filter(|text| text.len() <= ATTRIBUTES_BYTES).and_then(|text| serde_json::from_str(text).ok())
    {
        put("attributes", attributes);
    }
    Value::Object(line)
}

/// Says it to the recorder, in datagrams that are not too large, and has it published soon.
fn say(recording: &Path, facts: &Facts, lines: &[Value]) -> Result<(), OrderError> {
    let address: Address = address_of(recording, facts)?;
    let failed = |why| OrderError::Unreachable { place: recording.to_owned(), why };
    let socket = UnixDatagram::unbound().map_err(failed)?;
    let mut datagram = String::new();
    for line in lines {
        let line = line.to_string();
        if !datagram.is_empty() && datagram.len() + line.len() + 1 > DATAGRAM_BYTES {
            send(&socket, &address, datagram.as_bytes(), recording)?;
            datagram.clear();
        }
        datagram.push_str(&line);
        datagram.push('\n');
    }
    if !datagram.is_empty() {
        send(&socket, &address, datagram.as_bytes(), recording)?;
    }
    order(recording, &Order::Watched)
}
