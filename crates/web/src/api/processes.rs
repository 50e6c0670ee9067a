//! The processes of a moment, and the life of one.

use axum::Json;
use axum::extract::{Path, State};
use barograph_view::{Life, ProcessRow};
use serde::{Deserialize, Serialize};

use super::{Said, Shared, run_now, time, wait};
use crate::failure::{Answer, Failure};
use crate::library::millis;

#[derive(Deserialize)]
pub(super) struct Asked {
    at: Option<f64>,
    find: Option<String>,
    pid: Option<i64>,
    start: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct Moment {
    at: f64,
    processes: Vec<ProcessRow>,
}

#[derive(Deserialize)]
pub(super) struct Process {
    pid: i64,
    start: i64,
}

pub(super) async fn processes(State(app): State<Shared>, Path(id): Path<String>, Said(asked): Said<Asked>) -> Answer<Json<Moment>> {
    let at = time(asked.at, "at")?;
    wait(move || {
        let view = run_now(&app, &id)?.view()?;
        let at = at.unwrap_or(view.range().1);
        let mut processes = match &asked.find {
            Some(text) => view.find_processes(text)?,
            None => view.processes_at(at)?,
        };
        processes.retain(|row| asked.pid.is_none_or(|pid| row.pid == pid) && asked.start.is_none_or(|start| row.start_ticks == start));
        Ok(Json(Moment { at: millis(at), processes }))
    })
    .await
}

pub(super) async fn life(State(app): State<Shared>, Path(id): Path<String>, Said(process): Said<Process>) -> Answer<Json<Life>> {
    wait(move || {
        let life = run_now(&app, &id)?.view()?.life(process.pid, process.start)?;
        let unknown = || Failure::not_found(format!("this recording knows no process {} that began at tick {}", process.pid, process.start));
        life.map(Json).ok_or_else(unknown)
    })
    .await
}
