//! What this server is and may do.

use std::time::UNIX_EPOCH;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::{App, Shared, wait};
use crate::failure::Answer;
use crate::library::{Refused, RunHead};
use crate::making::Settings;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    version: &'static str,
    host: String,
    zone: String,
    read_only: bool,
    cannot_record: Option<String>,
    runs: Vec<RunHead>,
    machine: Option<String>,
    recording: Option<Recording>,
    first: Option<String>,
    refused: Vec<Refused>,
}

/// A recording that this server makes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recording {
    #[serde(flatten)]
    settings: Settings,
    run: String,
    began: f64,
    rows: u64,
}

pub(super) async fn session(State(app): State<Shared>) -> Answer<Json<Session>> {
    wait(move || Ok(Json(of(&app)))).await
}

pub(super) fn of(app: &App) -> Session {
    app.library.look();
    let runs = app.library.runs();
    for run in &runs {
        // What can't be read now stands as it was.
        let _ = run.refresh();
    }
    let machine = app.machine_run().map(|run| run.id.clone());
    let recording = recording(app);
    let newest = runs.iter().map(|run| &run.id).find(|id| Some(*id) != machine.as_ref());
    Session {
        version: env!("CARGO_PKG_VERSION"),
        host: app.host().to_owned(),
        zone: app.host.zone.clone(),
        read_only: app.is_read_only,
        cannot_record: app.cannot_record.clone(),
        first: recording.as_ref().map(|recording| recording.run.clone()).or(newest.cloned()).or(machine.clone()),
        runs: runs.iter().map(|run| run.head(app.is_read_only)).collect(),
        machine,
        recording,
        refused: app.library.refused(),
    }
}

fn recording(app: &App) -> Option<Recording> {
    let making = app.making();
    let making = making.as_ref()?;
    let run = app.library.at(making.path())?;
    let tables = run.timeline().ok()?.tables().unwrap_or_default();
    Some(Recording {
        settings: Settings { path: Some(making.path().display().to_string()), ..making.settings.clone() },
        run: run.id.clone(),
        began: making.began.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3),
        rows: tables.iter().map(|table| table.rows).sum(),
    })
}
