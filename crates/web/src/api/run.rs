//! One recording: its facts, and what can be drawn of it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use barograph_store::TableInfo;
use barograph_view::{Card, Panel, View};
use serde::Serialize;

use super::{Shared, run_now, wait};
use crate::failure::Answer;
use crate::library::RunHead;
use crate::warm::warm;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    #[serde(flatten)]
    head: RunHead,
    directory: Option<String>,
    user: Option<String>,
    kernel: Option<String>,
    os: Option<String>,
    cores: Option<u64>,
    memory_bytes: Option<u64>,
    limits: Limits,
    zone: Option<String>,
    interval_seconds: f64,
    write_interval_seconds: f64,
    mark_when: Vec<String>,
    end: Option<End>,
    totals: Totals,
    notices: Vec<Notice>,
    sources: BTreeMap<String, String>,
    panels: Vec<Panel>,
    cards: Vec<Card>,
    tables: Vec<Table>,
    has_processes: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    cores: Option<f64>,
    memory_bytes: Option<u64>,
    origin: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct End {
    reason: String,
    exit_code: Option<i32>,
    signal: Option<i32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    wall_seconds: Option<f64>,
    user_seconds: Option<f64>,
    system_seconds: Option<f64>,
    peak_bytes: Option<u64>,
    read_bytes: Option<u64>,
    written_bytes: Option<u64>,
    processes: Option<u64>,
}

#[derive(Serialize)]
struct Notice {
    name: String,
    detail: String,
    count: Option<u64>,
}

#[derive(Serialize)]
struct Table {
    name: String,
    help: String,
    keys: Vec<String>,
    rows: u64,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    name: String,
    id: String,
    kind: String,
    unit: String,
    help: String,
}

pub(super) async fn run(State(app): State<Shared>, Path(id): Path<String>) -> Answer<Json<Run>> {
    wait(move || {
        let run = run_now(&app, &id)?;
        let view = run.view()?;
        let said = Run::of(run.head(app.is_read_only), &view);
        warm(&run);
        Ok(Json(said))
    })
    .await
}

/// Files say nothing by an empty text or a nought.
fn said(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

impl Run {
    pub(crate) fn of(head: RunHead, view: &View) -> Run {
        let (timeline, tables) = (view.timeline(), view.tables());
        let facts = timeline.facts();
        let totals = facts.end.as_ref().map(|end| end.totals).unwrap_or_default();
        let notice =
            |notice: &barograph_store::Notice| Notice { name: notice.name.clone(), detail: notice.detail.clone(), count: Some(notice.count) };
        let damage = timeline.damaged();
        let damaged = damage.iter().map(|damage| Notice {
            name: "damaged".to_owned(),
            detail: format!("{}: {}; `barograph repair` puts such files aside", damage.path.display(), damage.why),
            count: None,
        });
        Run {
            head,
            directory: said(&facts.directory),
            user: said(&facts.user),
            kernel: said(&facts.host.kernel),
            os: said(&facts.host.os),
            cores: Some(facts.host.cores).filter(|cores| *cores > 0),
            memory_bytes: Some(facts.host.memory_bytes).filter(|bytes| *bytes > 0),
            limits: Limits { cores: facts.limits.cores, memory_bytes: facts.limits.memory_bytes, origin: said(&facts.limits.origin) },
            zone: said(&facts.clock.zone),
            interval_seconds: facts.interval_seconds,
            write_interval_seconds: facts.write_interval_seconds,
            mark_when: facts.mark_when.clone(),
            end: facts.end.as_ref().map(|end| End {
                reason: end.reason.clone(),
                exit_code: end.exit.and_then(|exit| exit.code),
                signal: end.exit.and_then(|exit| exit.signal),
            }),
            totals: Totals {
                wall_seconds: totals.wall_seconds,
                user_seconds: totals.user_seconds,
                system_seconds: totals.system_seconds,
                peak_bytes: totals.peak_resident_bytes,
                read_bytes: totals.read_bytes,
                written_bytes: totals.written_bytes,
                processes: totals.processes_seen,
            },
            notices: facts.notices.iter().map(notice).chain(damaged).collect(),
            sources: facts.sources.clone(),
            panels: view.panels(),
            cards: view.cards(),
            has_processes: tables.iter().any(|table| table.name == "process" && table.rows > 0),
            tables: tables.into_iter().map(Table::of).collect(),
        }
    }
}

impl Table {
    fn of(info: TableInfo) -> Table {
        let fields =
            info.fields.into_iter().map(|field| Field { name: field.name, id: field.id, kind: field.kind, unit: field.unit, help: field.help });
        Table { name: info.name, help: info.help, keys: info.keys, rows: info.rows, fields: fields.collect() }
    }
}
