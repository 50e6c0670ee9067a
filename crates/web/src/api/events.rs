//! Events: what is shown, added, changed and removed, and files of them.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use barograph_store::{Frame, Query as Rows, Timeline};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::spans::attributes;
use super::{CSV_BYTES, Shared, body, json, run_now, time, wait};
use crate::failure::{Answer, Failure};
use crate::library::millis;

/// Events of one answer: those of a window that has more are counted.
const MOST: usize = 20_000;

#[derive(Deserialize)]
pub(super) struct Asked {
    from: Option<f64>,
    to: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Events {
    events: Vec<Event>,
    left_out: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Event {
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
struct Said {
    at: f64,
    name: String,
    detail: Option<String>,
    duration: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct Zone {
    zone: Option<String>,
}

pub(super) async fn events(State(app): State<Shared>, Path(id): Path<String>, Query(asked): Query<Asked>) -> Answer<Json<Events>> {
    let query = Rows::all().between(time(asked.from, "from")?, time(asked.to, "to")?);
    wait(move || {
        let mut events = read(&run_now(&app, &id)?.timeline()?, &query)?;
        let left_out = events.len().saturating_sub(MOST);
        events.truncate(MOST);
        Ok(Json(Events { events, left_out }))
    })
    .await
}

fn read(timeline: &Timeline, query: &Rows) -> Answer<Vec<Event>> {
    Ok(of_frame(&timeline.events(query)?))
}

fn of_frame(frame: &Frame) -> Vec<Event> {
    let text = |column: &str| frame.texts(column).into_iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>();
    let (names, by, details, said) = (text("name"), text("by"), text("detail"), text("attributes"));
    let (pids, durations) = (frame.ints("pid"), frame.floats("duration_seconds"));
    let times = frame.times();
    let event = |row: usize| Event {
        key: row.to_string(),
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

/// The columns that an import understands, and those that tell more.
fn as_csv(events: &[Event]) -> String {
    let quote = |text: &str| {
        if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
    };
    let mut text = "event,timestamp,duration,detail,by\n".to_owned();
    for event in events {
        let time = jiff::Timestamp::from_nanosecond(crate::library::nanos(event.at).into()).unwrap_or_default();
        let duration = event.duration.map(|millis| (millis / 1e3).to_string()).unwrap_or_default();
        let fields = [quote(&event.name), time.to_string(), duration, quote(event.detail.as_deref().unwrap_or_default()), quote(&event.by)];
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

pub(super) async fn add(State(app): State<Shared>, Path(id): Path<String>, headers: HeaderMap, said: Body) -> Answer<Response> {
    app.may_change()?;
    let said: Said = json(&headers, said).await?;
    said.check()?;
    let event = wait(move || {
        let _run = run_now(&app, &id)?;
        Err::<Event, _>(Failure::not_here("this version adds no events"))
    })
    .await?;
    Ok((StatusCode::CREATED, Json(event)).into_response())
}

pub(super) async fn change(
    State(app): State<Shared>,
    Path((_id, _key)): Path<(String, String)>,
    headers: HeaderMap,
    said: Body,
) -> Answer<Json<Event>> {
    app.may_change()?;
    let said: Said = json(&headers, said).await?;
    said.check()?;
    Err(Failure::not_here("this version can't change events"))
}

pub(super) async fn remove(State(app): State<Shared>, Path((_id, _key)): Path<(String, String)>) -> Answer<StatusCode> {
    app.may_change()?;
    Err(Failure::not_here("this version can't remove events"))
}

pub(super) async fn import(State(app): State<Shared>, Path(_id): Path<String>, Query(zone): Query<Zone>, said: Body) -> Answer<Json<Value>> {
    app.may_change()?;
    let _bytes = body(said, CSV_BYTES).await?;
    let _ = zone.zone;
    Err(Failure::not_here("this version imports no events"))
}

impl Said {
    fn check(&self) -> Answer<i64> {
        let at = time(Some(self.at), "at")?.unwrap_or_default();
        if self.name.trim().is_empty() {
            return Err(Failure::bad("an event needs a name"));
        }
        if self.duration.is_some_and(|duration| !duration.is_finite() || duration < 0.0) {
            return Err(Failure::bad("how long it lasted is a number of milliseconds, not less than 0"));
        }
        let _ = &self.detail;
        Ok(at)
    }
}
