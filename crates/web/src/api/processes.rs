//! The processes of a moment, and the life of one.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::Shared;
use crate::failure::{Answer, Failure};

#[derive(Deserialize)]
pub(super) struct Asked {
    at: Option<f64>,
    find: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Process {
    pid: i64,
    start: i64,
}

pub(super) async fn processes(State(_app): State<Shared>, Path(_id): Path<String>, Query(asked): Query<Asked>) -> Answer<Response> {
    let _ = (asked.at, asked.find);
    Err(Failure::not_here("this version shows no processes"))
}

pub(super) async fn life(State(_app): State<Shared>, Path(_id): Path<String>, Query(process): Query<Process>) -> Answer<Response> {
    let _ = (process.pid, process.start);
    Err(Failure::not_here("this version shows no processes"))
}
