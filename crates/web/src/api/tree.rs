//! A process of this machine and its descendants, now.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use barograph_session::Node;
use barograph_sources::Machine;
use barograph_view::ProcessRow;
use serde::{Deserialize, Serialize};

use super::{Said, Shared, wait};
use crate::failure::{Answer, Failure};
use crate::library::millis;

/// How long CPU use is watched: short enough to wait for, long enough to count some of the kernel's ticks.
const SAMPLE: Duration = Duration::from_millis(300);

#[derive(Deserialize)]
pub(super) struct Asked {
    pid: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tree {
    pid: u32,
    at: f64,
    threads: i64,
    processes: Vec<ProcessRow>,
    by_command: Vec<Sum>,
}

/// The processes of one name together.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sum {
    command: String,
    processes: usize,
    threads: i64,
    resident_bytes: i64,
    cores: f64,
}

pub(super) async fn tree(State(app): State<Shared>, Said(Asked { pid }): Said<Asked>) -> Answer<Json<Tree>> {
    wait(move || {
        let kernel = app.kernel.as_ref().map_err(Failure::failed)?;
        let gone = || Failure::not_found(format!("this machine has no process {pid}"));
        // Nobody has the pid 0, or one that no pid_t has.
        if pid == 0 || i32::try_from(pid).is_err() || barograph_sources::start_ticks(kernel, pid).is_none() {
            return Err(gone());
        }
        let nodes = barograph_session::tree(kernel, vec![pid], SAMPLE).map_err(Failure::failed)?;
        if nodes.is_empty() {
            return Err(gone());
        }
        let now = jiff::Timestamp::now().as_nanosecond();
        Ok(Json(Tree {
            pid,
            at: millis(i64::try_from(now).unwrap_or_default()),
            threads: nodes.iter().map(|node| node.threads).sum(),
            by_command: by_command(&nodes),
            processes: nodes.into_iter().map(|node| row(kernel, node)).collect(),
        }))
    })
    .await
}

fn row(kernel: &Machine, node: Node) -> ProcessRow {
    ProcessRow {
        pid: node.pid,
        // Of one that has just ended it is known no more.
        start_ticks: u32::try_from(node.pid).ok().and_then(|pid| barograph_sources::start_ticks(kernel, pid)).map_or(0, |ticks| ticks as i64),
        parent_pid: Some(node.parent),
        name: Some(node.name),
        command: Some(node.command),
        state: Some(node.state),
        in_job: true,
        cores: Some(node.cores),
        resident_bytes: Some(node.resident_bytes as f64),
        threads: Some(node.threads as f64),
        ..ProcessRow::default()
    }
}

/// Sums by name, the largest memory first.
fn by_command(nodes: &[Node]) -> Vec<Sum> {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for node in nodes {
        let sum = sums.entry(&node.name).or_default();
        sum.processes += 1;
        sum.threads += node.threads;
        sum.resident_bytes += node.resident_bytes;
        sum.cores += node.cores;
    }
    let mut sums: Vec<Sum> = sums.into_iter().map(|(name, sum)| Sum { command: name.to_owned(), ..sum }).collect();
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.resident_bytes));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_by_name() {
        let node = |name: &str, resident_bytes| Node { name: name.to_owned(), threads: 2, resident_bytes, cores: 0.5, ..Node::default() };
        let sums = by_command(&[node("a", 1), node("b", 5), node("a", 2)]);
        assert_eq!(sums[0], Sum { command: "b".to_owned(), processes: 1, threads: 2, resident_bytes: 5, cores: 0.5 });
        assert_eq!(sums[1], Sum { command: "a".to_owned(), processes: 2, threads: 4, resident_bytes: 3, cores: 1.0 });
    }
}
