//! Events: what is shown, added, changed and removed, and files of them.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use barograph_session::time::{self, Reference, within};
use barograph_session::{self as session, Imported, Order};
use barograph_store::{self as store, EVENT_KEY, Frame, Query as Rows, Revision, State as Progress, Timeline};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::spans::attributes;
use super::{App, CSV_BYTES, Said, Shared, body, json, run_now, wait};
use crate::failure::{Answer, Failure};
use crate::library::{Run, millis};
use crate::making::order;

/// Events of one answer: those of a window that has more are counted.
const MOST: usize = 20_000;

#[derive(Deserialize)]
pub(super) struct Asked {
    from: Option<f64>,
    to: Option<f64>,
}

#[derive(Serialize)]
pub(crate) struct Events {
    events: Vec<Event>,
    left_out: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Event {
    key: String,
    at: f64,
    duration: Option<f64>,
    name: String,
    detail: Option<String>,
    by: String,
    pid: Option<i64>,
    attributes: Option<Map<String, Value>>,
}

/// An event that somebody adds, or makes of another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEvent {
    at: f64,
    name: String,
    detail: Option<String>,
    duration: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct Zone {
    zone: Option<String>,
}

pub(super) async fn events(State(app): State<Shared>, Path(id): Path<String>, Said(asked): Said<Asked>) -> Answer<Json<Events>> {
    let query = Rows::all().between(super::time(asked.from, "from")?, super::time(asked.to, "to")?);
    wait(move || Ok(Json(of(&run_now(&app, &id)?.timeline()?, &query)?))).await
}

/// The events of that query, as many as an answer has.
pub(crate) fn of(timeline: &Timeline, query: &Rows) -> Answer<Events> {
    let mut events = read(timeline, query)?;
    let left_out = events.len().saturating_sub(MOST);
    events.truncate(MOST);
    Ok(Events { events, left_out })
}

fn read(timeline: &Timeline, query: &Rows) -> Answer<Vec<Event>> {
    Ok(of_frame(&timeline.events(query)?))
}

fn of_frame(frame: &Frame) -> Vec<Event> {
    let text = |column: &str| frame.texts(column).into_iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>();
    let (keys, names, by) = (text(EVENT_KEY), text("name"), text("by"));
    let (details, said) = (text("detail"), text("attributes"));
    let (pids, durations) = (frame.ints("pid"), frame.floats("duration_seconds"));
    let times = frame.times();
    let event = |row: usize| Event {
        key: keys[row].clone().unwrap_or_default(),
        at: millis(times[row]),
        duration: durations[row].map(|seconds| seconds * 1e3),
        name: names[row].clone().unwrap_or_default(),
        detail: details[row].clone(),
        by: by[row].clone().unwrap_or_default(),
        pid: pids[row],
        attributes: attributes(said[row].as_deref()),
    };
    (0..frame.len()).map(event).collect()
}

pub(super) async fn csv(State(app): State<Shared>, Path(id): Path<String>) -> Answer<Response> {
    let (name, text) = wait(move || {
        let run = run_now(&app, &id)?;
        let name = run.path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok((name, as_csv(&read(&run.timeline()?, &Rows::all())?)))
    })
    .await?;
    let plain: String = name.chars().filter(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(*letter)).collect();
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{plain}-events.csv\"")),
    ];
    Ok((headers, text).into_response())
}

/// The columns that an import understands.
fn as_csv(events: &[Event]) -> String {
    let quote = |text: &str| {
        if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
    };
    let mut text = "event,timestamp,duration,detail\n".to_owned();
    for event in events {
        let at = jiff::Timestamp::from_nanosecond(crate::library::nanos(event.at).into()).unwrap_or_default();
        let duration = event.duration.map(|millis| (millis / 1e3).to_string()).unwrap_or_default();
        let fields = [quote(&event.name), at.to_string(), duration, quote(event.detail.as_deref().unwrap_or_default())];
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

pub(super) async fn add(State(app): State<Shared>, Path(id): Path<String>, headers: HeaderMap, said: Body) -> Answer<Response> {
    app.may_change()?;
    let said: NewEvent = json(&headers, said).await?;
    let event = said.check()?;
    let event = wait(move || {
        let run = may_change(&app, &id)?;
        let event = event_of(&run, &event)?;
        let before: HashSet<String> = read(&run.timeline()?, &Rows::all())?.into_iter().map(|event| event.key).collect();
        barograph_session::add_events(&run.path, PERSON, std::slice::from_ref(&event))?;
        publish(&run)?;
        // Others may say something at the same time.
        let mut new = read(&run.timeline()?, &Rows::all())?.into_iter().filter(|known| !before.contains(&known.key));
        new.find(|known| known.name == event.name && known.by == PERSON).ok_or_else(unseen)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(event)).into_response())
}

/// A run whose events can be other ones. Those of a file would be lost with what was made of it.
fn may_change(app: &App, id: &str) -> Answer<Arc<Run>> {
    let run = run_now(app, id)?;
    if run.facts().file().is_some() {
        return Err(Failure::conflict("this is a file of another program, which stays as it is: its events can't be changed here"));
    }
    Ok(run)
}

/// Who comes by the page is a person.
const PERSON: &str = "person";

fn unseen() -> Failure {
    Failure::failed("it was said, and is not yet to be seen in the recording")
}

/// What time words are relative to: one that goes on has come as far as now.
fn reference(run: &Run, zone: &TimeZone) -> Answer<Reference> {
    let timeline = run.timeline()?;
    let mut reference = Reference::of(&timeline, zone)?;
    if timeline.state() == Progress::Live {
        reference.end = reference.now;
    }
    Ok(reference)
}

/// The event as the recording is to have it, if it is of its time.
fn event_of(run: &Run, event: &session::Event) -> Answer<store::Event> {
    let facts = run.facts();
    let zone = time::zone("recorded", &facts.clock.zone).unwrap_or(TimeZone::UTC);
    within(event.utc_nanos, &reference(run, &zone)?).map_err(|error| Failure::bad(error.to_string()))?;
    Ok(event.at(session::moment(&facts, event.utc_nanos)))
}

/// What a recorder was told is to be seen at once, and not at its next write.
fn publish(run: &Run) -> Answer<()> {
    if run.state() == Progress::Live {
        order(&run.path, &Order::Read)?;
    }
    run.look()
}

pub(super) async fn change(
    State(app): State<Shared>,
    Path((id, key)): Path<(String, String)>,
    headers: HeaderMap,
    said: Body,
) -> Answer<Json<Event>> {
    app.may_change()?;
    let said: NewEvent = json(&headers, said).await?;
    let event = said.check()?;
    wait(move || {
        let run = may_change(&app, &id)?;
        let mut event = event_of(&run, &event)?;
        // What the page can't say of it stays.
        let known = read(&run.timeline()?, &Rows::all())?.into_iter().find(|known| known.key == key);
        event.attributes = known.and_then(|known| known.attributes).map(|attributes| Value::Object(attributes).to_string());
        barograph_session::revise_events(&run.path, PERSON, &[Revision { key: key.clone(), event: Some(event) }])?;
        publish(&run)?;
        read(&run.timeline()?, &Rows::all())?.into_iter().find(|known| known.key == key).map(Json).ok_or_else(unseen)
    })
    .await
}

pub(super) async fn remove(State(app): State<Shared>, Path((id, key)): Path<(String, String)>) -> Answer<StatusCode> {
    app.may_change()?;
    wait(move || {
        let run = may_change(&app, &id)?;
        barograph_session::revise_events(&run.path, PERSON, &[Revision { key, event: None }])?;
        publish(&run)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// What became of a file.
#[derive(Serialize)]
pub(super) struct Added {
    added: usize,
    refused: Vec<RefusedRow>,
}

#[derive(Serialize)]
struct RefusedRow {
    line: u64,
    why: String,
}

/// If a row makes no sense, none is added: who mends it imports the file again. Rows of another time are left out.
pub(super) async fn import(State(app): State<Shared>, Path(id): Path<String>, Said(asked): Said<Zone>, said: Body) -> Answer<Json<Added>> {
    app.may_change()?;
    let bytes = body(said, CSV_BYTES).await?;
    wait(move || {
        let run = may_change(&app, &id)?;
        let asked = asked.zone.as_deref().unwrap_or("recorded");
        let zone = time::zone(asked, &run.facts().clock.zone);
        let zone = zone.ok_or_else(|| Failure::bad(format!("there is no time zone {asked:?}; name one such as Europe/Berlin, or UTC")))?;
        let Imported { events, outside, wrong } = barograph_session::import(&bytes, &reference(&run, &zone)?);
        let added = if wrong.is_empty() { events.len() } else { 0 };
        if added > 0 {
            let facts = run.facts();
            let events: Vec<_> = events.iter().map(|event| event.at(session::moment(&facts, event.utc_nanos))).collect();
            barograph_session::add_events(&run.path, PERSON, &events)?;
            publish(&run)?;
        }
        let mut rows: Vec<_> = wrong.into_iter().chain(outside).map(|row| RefusedRow { line: row.line, why: row.why }).collect();
        rows.sort_by_key(|row| row.line);
        Ok(Json(Added { added, refused: rows }))
    })
    .await
}

impl NewEvent {
    fn check(self) -> Answer<session::Event> {
        let utc_nanos = super::time(Some(self.at), "at")?.unwrap_or_default();
        if self.name.trim().is_empty() {
            return Err(Failure::bad("an event needs a name"));
        }
        if self.duration.is_some_and(|duration| !duration.is_finite() || duration < 0.0) {
            return Err(Failure::bad("how long it lasted is a number of milliseconds, not less than 0"));
        }
        let detail = self.detail.filter(|detail| !detail.is_empty());
        let duration_seconds = self.duration.map(|millis| millis / 1e3);
        Ok(session::Event { name: self.name, utc_nanos, detail, duration_seconds, attributes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_imported() {
        let event = |name: &str, detail: Option<&str>, duration| Event {
            key: String::new(),
            at: 1_795_166_400_500.0,
            duration,
            name: name.to_owned(),
            detail: detail.map(str::to_owned),
            by: PERSON.to_owned(),
            pid: None,
            attributes: None,
        };
        let text = as_csv(&[event("a, \"b\"\nc", None, Some(1500.0)), event("=1+1", Some("why,\r\nso"), None)]);
        let nanos = 1_795_166_400_500_000_000;
        let reference = Reference { zone: TimeZone::UTC, start: 0, end: nanos, now: nanos };
        let imported = barograph_session::import(text.as_bytes(), &reference);
        assert!(imported.wrong.is_empty() && imported.outside.is_empty(), "{imported:?}");
        let first = session::Event { name: "a, \"b\"\nc".to_owned(), utc_nanos: nanos, duration_seconds: Some(1.5), ..session::Event::default() };
        let second = session::Event { name: "=1+1".to_owned(), utc_nanos: nanos, detail: Some("why,\r\nso".to_owned()), ..session::Event::default() };
        assert_eq!(imported.events, [first, second]);
    }

    #[test]
    fn events_without_sense_are_refused() {
        let said = |text: &str| serde_json::from_str::<NewEvent>(text).unwrap().check();
        assert!(said(r#"{"at":1,"name":"a"}"#).is_ok());
        for wrong in [r#"{"at":1,"name":" "}"#, r#"{"at":1,"name":"a","duration":-1}"#] {
            assert!(said(wrong).is_err(), "{wrong}");
        }
    }
}
