//! What the fuzz target `machine` calls: a machine whose every file is what somebody wrote, read by all sources at successive moments.
//!
//! An input is text in pieces. A line `@ proc/stat` begins a file, `@- proc/100/io` removes one, `@@` begins the next moment, and `@ watch` begins
//! words for what is watched: pids of roots, `adopts`, and the argument of `--processes`. Files stay from one moment to the next, and are
//! overwritten in place, as those that are kept open must see what they hold next.
#![allow(clippy::unwrap_used, reason = "a fuzz target says what is wrong by panicking")]

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use barograph_model::{Batch, Kind, Moment, Physical};

use crate::{
    Exit, HostFacts, LimitFacts, Machine, OwnSource, ProcessMemorySource, ProcessSource, Roots, SOURCES, Scope, Select, Source, Targets, Watch,
};

const ROOTS: [&str; 4] = ["proc", "sys", "etc", "mounts"];

/// Moments of an input that are read at most.
const MOMENTS: usize = 8;

/// A machine that these bytes describe gives rows whose cells are what their column may hold, and no counter of the job falls.
pub fn machine(input: &[u8]) {
    let place = tempfile::tempdir().unwrap();
    ROOTS.iter().for_each(|root| fs::create_dir(place.path().join(root)).unwrap());
    let mut watch = Watch { roots: Vec::new(), adopts: false, scope: Scope::Tree, select: Select::Everyone };
    let mut world: Option<World> = None;
    for (number, pieces) in moments(input).iter().take(MOMENTS).enumerate() {
        for piece in pieces {
            match piece {
                Piece::Watch(words) if world.is_none() => read_watch(words, &mut watch),
                Piece::Watch(_) => {}
                Piece::File(path, bytes) => write(place.path(), path, bytes),
                Piece::Gone(path) => drop(fs::remove_file(place.path().join(path))),
            }
        }
        let world = world.get_or_insert_with(|| World::open(place.path(), &watch));
        let nanos = i64::try_from(number).unwrap() * 10_000_000_000;
        world.read(Moment { utc_nanos: 1_800_000_000_000_000_000 + nanos, monotonic_nanos: 1_000_000_000_000 + nanos });
    }
}

enum Piece<'a> {
    Watch(&'a [u8]),
    File(&'a str, &'a [u8]),
    Gone(&'a str),
}

fn moments(input: &[u8]) -> Vec<Vec<Piece<'_>>> {
    let mut moments = vec![Vec::new()];
    let starts = input.split_inclusive(|&byte| byte == b'\n').scan(0, |at, line| Some((std::mem::replace(at, *at + line.len()), line)));
    let heads: Vec<(usize, &[u8])> = starts.filter(|(_, line)| line.starts_with(b"@")).collect();
    for (index, &(start, line)) in heads.iter().enumerate() {
        let end = heads.get(index + 1).map_or(input.len(), |(next, _)| *next);
        let body = &input[start + line.len()..end];
        let Some(words) = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()) else { continue };
        let pieces = moments.last_mut().unwrap();
        match words.split_once(' ') {
            None if words == "@@" => moments.push(Vec::new()),
            Some(("@", "watch")) => pieces.push(Piece::Watch(body)),
            Some(("@", path)) if is_path(path) => pieces.push(Piece::File(path, body)),
            Some(("@-", path)) if is_path(path) => pieces.push(Piece::Gone(path)),
            _ => {}
        }
    }
    moments
}

/// Below one of the roots, whatever it is called there.
fn is_path(path: &str) -> bool {
    let mut names = path.split('/');
    path.len() < 120 && !path.contains('\0') && names.next().is_some_and(|root| ROOTS.contains(&root)) && {
        let mut count = 0;
        names.all(|name| {
            count += 1;
            !matches!(name, "" | "." | "..")
        }) && (1..8).contains(&count)
    }
}

fn write(place: &Path, path: &str, bytes: &[u8]) {
    let path = place.join(path);
    // A file where a folder is asked for, or the reverse, stays what it is.
    let _ = fs::create_dir_all(path.parent().unwrap());
    let _ = fs::write(path, bytes);
}

fn read_watch(words: &[u8], watch: &mut Watch) {
    for word in String::from_utf8_lossy(words).split_whitespace() {
        if let Ok(pid) = word.parse() {
            watch.roots.push(pid);
        } else if word == "adopts" {
            watch.adopts = true;
        } else if let Ok(choice) = word.parse::<crate::Choice>() {
            assert_eq!(choice.to_string().parse::<crate::Choice>().unwrap().to_string(), choice.to_string());
            (watch.scope, watch.select) = (choice.scope.unwrap_or(Scope::Machine), choice.select);
            watch.left_out();
        }
    }
}

/// Every source of a machine, and what the job's counters were.
struct World {
    machine: Arc<Machine>,
    sources: Vec<Box<dyn Source>>,
    processes: Option<ProcessSource>,
    memory: ProcessMemorySource,
    targets: Targets,
    own: OwnSource,
    job: HashMap<String, f64>,
}

impl World {
    fn open(place: &Path, watch: &Watch) -> World {
        let root = |name| place.join(name);
        let mut machine = Machine::open(Roots { proc: root("proc"), sys: root("sys"), etc: root("etc"), mounts: root("mounts") }).unwrap();
        (machine.page_size, machine.ticks_per_second) = (4096, 100);
        let machine = Arc::new(machine);
        let host = HostFacts::read(&machine);
        let limits = LimitFacts::read(&machine, &host);
        assert!(limits.cores.is_none_or(|cores| cores.is_finite() && cores > 0.0));
        crate::user_name(&machine);
        let targets = Targets::default();
        World {
            sources: SOURCES.iter().filter_map(|entry| (entry.open)(&machine).ok()?).collect(),
            processes: ProcessSource::open(&machine, watch.clone()).ok(),
            memory: ProcessMemorySource::new(&machine, targets.clone()),
            targets,
            own: OwnSource::open(&machine),
            machine,
            job: HashMap::new(),
        }
    }

    fn read(&mut self, at: Moment) {
        for source in &mut self.sources {
            let _ = source.read(at);
            source.each_batch(&mut |batch| check(at, batch));
        }
        if let Some(processes) = &mut self.processes {
            let _ = processes.read(at);
            let members: Vec<u32> = processes.members().collect();
            if let Some(&first) = members.first() {
                processes.before_collecting(first);
                processes.collected(at, first, Exit { code: Some(0), ..Exit::default() });
            }
            let start = |&pid: &u32| Some((pid, crate::start_ticks(&self.machine, pid)?));
            self.targets.set(at, members.iter().filter_map(start));
            let job = &mut self.job;
            processes.each_batch(&mut |batch| {
                if batch.table().name == "job" {
                    only_grow(batch, job);
                }
                check(at, batch);
            });
            let totals = processes.totals();
            assert!(totals.user_seconds >= 0.0 && totals.system_seconds >= 0.0, "{totals:?}");
        }
        self.memory.read(at).unwrap();
        self.memory.each_batch(&mut |batch| check(at, batch));
        self.own.read(at, &crate::Cost::default());
        self.own.each_batch(&mut |batch| check(at, batch));
    }
}

/// Every row has the moment, every number is one that its column may hold; then forgets the rows.
fn check(at: Moment, batch: &mut Batch) {
    assert!(batch.utc_nanos().iter().all(|&nanos| nanos == at.utc_nanos));
    for (metric, column) in batch.table().metrics.iter().zip(batch.columns()) {
        assert_eq!(column.present().len(), batch.len());
        for row in 0..batch.len() {
            match metric.physical {
                Physical::Int => assert!(column.int(row).is_none_or(|value| value >= 0 || metric.unit.name() == "level"), "{}", metric.id()),
                Physical::Float => assert!(column.float(row).is_none_or(|value| value.is_finite()), "{}", metric.id()),
                Physical::Text => assert_eq!(column.text(row).is_some(), column.present()[row], "{}", metric.id()),
            }
        }
    }
    batch.clear();
}

fn only_grow(batch: &Batch, before: &mut HashMap<String, f64>) {
    for (metric, column) in batch.table().metrics.iter().zip(batch.columns()).filter(|(metric, _)| metric.kind == Kind::Counter) {
        for row in 0..batch.len() {
            let value = match metric.physical {
                Physical::Int => column.int(row).map(|value| value as f64),
                _ => column.float(row),
            };
            if let Some(value) = value {
                let known = before.entry(metric.id()).or_insert(value);
                assert!(value >= *known, "{} fell from {known} to {value}", metric.id());
                *known = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_of_the_fuzzer_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/machine");
        let inputs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty());
        for input in inputs {
            assert!(std::panic::catch_unwind(|| machine(&fs::read(&input).unwrap())).is_ok(), "{}", input.display());
        }
    }
}
