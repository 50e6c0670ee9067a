//! What is true right now: one reading of everything, and the tree of a process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use barograph_model::{Batch, Described, Field, Table, Text};
use barograph_record::{Panel, PanelOptions, now};
use barograph_sources::{Fault, Machine, Process, ProcessSource, Processes, Scope, Select, Source, Watch};

/// Reads every source once, the slow ones too: a batch for each table.
pub fn snapshot(machine: &Arc<Machine>, processes: Select) -> Result<Vec<Batch>, Fault> {
    let watch = Watch { roots: Vec::new(), adopts: false, scope: Scope::Machine, select: processes };
    let mut panel = Panel::open(machine, PanelOptions { watch, process_memory: false, fast: false, without: Vec::new() })?;
    let at = now();
    panel.read(at);
    panel.read_slow(at);
    let mut batches = Vec::new();
    panel.each_batch(&mut |batch| batches.push(batch.clone()));
    Ok(batches)
}

/// A process of a tree, and what it has and uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Its pid.
    pub pid: i64,
    /// That of its parent.
    pub parent: i64,
    /// Its name.
    pub name: String,
    /// Its command line, or its name if it has none.
    pub command: String,
    /// What it does, as in the column `process.state`.
    pub state: String,
    /// How many threads it has.
    pub threads: i64,
    /// RAM that it has, pages shared with others included.
    pub resident_bytes: i64,
    /// CPU time that it has used since it began.
    pub cpu_seconds: f64,
    /// CPU seconds per second while we watched.
    pub cores: f64,
}

/// These processes and all their descendants, in the order of pids, watched for so long. Empty if they have ended meanwhile.
pub fn tree(machine: &Arc<Machine>, roots: Vec<u32>, sample: Duration) -> Result<Vec<Node>, Fault> {
    let watch = Watch { roots, adopts: false, scope: Scope::Tree, select: Select::Everyone };
    let mut source = ProcessSource::open(machine, watch)?;
    let before = read(&mut source)?;
    thread::sleep(sample);
    let after = read(&mut source)?;
    Ok(nodes(&before, &after, sample))
}

/// The rows of one reading: the table `process`, and all of `processes` so far.
fn read(source: &mut ProcessSource) -> Result<(Batch, Batch), Fault> {
    source.read(now())?;
    let mut taken = Vec::new();
    source.each_batch(&mut |batch| {
        taken.push(batch.clone());
        batch.clear();
    });
    let of = |table: &'static Table| taken.iter().find(|batch| batch.table().is(table)).cloned().unwrap_or_else(|| Batch::new(table));
    Ok((of(Process::TABLE), of(Processes::TABLE)))
}

fn nodes(before: &(Batch, Batch), after: &(Batch, Batch), sample: Duration) -> Vec<Node> {
    let cpu = |batch: &Batch, row: usize| {
        let seconds = |index: usize| batch.columns()[index].float(row).unwrap_or(0.0);
        seconds(Process::user.index()) + seconds(Process::system.index())
    };
    let int = |batch: &Batch, index: usize, row: usize| batch.columns()[index].int(row).unwrap_or(0);
    let key = |batch: &Batch, row: usize| (int(batch, Process::pid.index(), row), int(batch, Process::start_ticks.index(), row));
    let earlier: BTreeMap<_, _> = (0..before.0.len()).map(|row| (key(&before.0, row), cpu(&before.0, row))).collect();
    let text = |batch: &Batch, field: Field<Processes, Text>, row: usize| batch.columns()[field.index()].text(row).unwrap_or_default().to_owned();
    let mut nodes: BTreeMap<(i64, i64), Node> = BTreeMap::new();
    for row in 0..after.0.len() {
        let batch = &after.0;
        let cpu_seconds = cpu(batch, row);
        let known = earlier.get(&key(batch, row)).copied().unwrap_or(0.0);
        let node = Node {
            pid: key(batch, row).0,
            state: batch.columns()[Process::state.index()].text(row).unwrap_or_default().to_owned(),
            threads: int(batch, Process::threads.index(), row),
            resident_bytes: int(batch, Process::resident.index(), row),
            cpu_seconds,
            cores: (cpu_seconds - known).max(0.0) / sample.as_secs_f64(),
            ..Node::default()
        };
        nodes.insert(key(batch, row), node);
    }
    for batch in [&before.1, &after.1] {
        for row in 0..batch.len() {
            let Some(node) = nodes.get_mut(&(int(batch, Processes::pid.index(), row), int(batch, Processes::start_ticks.index(), row))) else {
                continue;
            };
            node.parent = int(batch, Processes::parent_pid.index(), row);
            node.name = text(batch, Processes::name, row);
            node.command = Some(text(batch, Processes::command_line, row)).filter(|line| !line.is_empty()).unwrap_or_else(|| node.name.clone());
        }
    }
    nodes.into_values().collect()
}
