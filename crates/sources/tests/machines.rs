//! Fake machines: each folder of `fixtures/machines` is a machine at successive moments, with what must come out of every source.
//!
//! `NAME/0`, `NAME/1` … hold the roots `proc`, `sys`, `etc` and `mounts` at each moment; `NAME/README.md` says what the machine is and what to look for;
//! `NAME/expected.txt` lists every cell that is present. `BLESS=1 cargo test -p barograph-sources --test machines` writes the latter: read the difference.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use barograph_model::{Batch, Column, Metric, Moment, Physical};
use barograph_sources::{Entry, FaultKind, Faults, Machine, Roots, SOURCES, Source};

const ROOTS: [&str; 4] = ["proc", "sys", "etc", "mounts"];

#[test]
fn every_machine_gives_what_it_must() {
    let mut wrong = Vec::new();
    for folder in folders(&fixtures()) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(folder.join("README.md").exists(), "{name} has no README.md that says what it is");
        let (told, golden) = (told_by(&folder, |_| {}), folder.join("expected.txt"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &told).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        wrong.extend(first_difference(&expected, &told).map(|difference| format!("{name}: {difference}")));
    }
    assert!(wrong.is_empty(), "what these machines tell has changed (BLESS=1 accepts it):\n{}", wrong.join("\n"));
}

#[test]
fn a_line_of_a_megabyte_changes_no_cell() {
    let laptop = fixtures().join("laptop");
    let with_long_lines = told_by(&laptop, |place| {
        for file in files(&place.join("proc")) {
            let line = [vec![b'x'; 1 << 20], b" 1 2 3\n".to_vec()].concat();
            OpenOptions::new().append(true).open(file).unwrap().write_all(&line).unwrap();
        }
    });
    let cells = |told: &str| told.lines().filter(|line| !line.contains(" faults: ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cells(&with_long_lines), cells(&told_by(&laptop, |_| {})));
}

/// Opens every source on the machine's first moment, and reads all of them at each.
fn told_by(folder: &Path, change: impl Fn(&Path)) -> String {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let steps = folders(folder);
    let mut told = String::new();
    let mut sources = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        become_step(place.path(), step);
        change(place.path());
        if number == 0 {
            sources = open_all(place.path(), &mut told);
        }
        let number = number as i64;
        let at =
            Moment { utc_nanos: 1_800_000_000_000_000_000 + number * 10_000_000_000, monotonic_nanos: 1_000_000_000_000 + number * 10_000_000_000 };
        for (entry, source, faults_before) in &mut sources {
            if let Err(fault) = source.read(at) {
                writeln!(told, "{number} {} failed: {:?}", entry.name, fault.kind).unwrap();
            }
            source.each_batch(&mut |batch| tell(number, batch, &mut told));
            let faults = source.faults();
            for kind in FaultKind::ALL.into_iter().filter(|&kind| faults.of(kind) > faults_before.of(kind)) {
                writeln!(told, "{number} {} faults: {} {kind:?}", entry.name, faults.of(kind) - faults_before.of(kind)).unwrap();
            }
            *faults_before = faults;
        }
    }
    told
}

fn open_all(place: &Path, told: &mut String) -> Vec<(&'static Entry, Box<dyn Source>, Faults)> {
    let root = |name| place.join(name);
    let mut machine = Machine::open(Roots { proc: root("proc"), sys: root("sys"), etc: root("etc"), mounts: root("mounts") }).unwrap();
    (machine.page_size, machine.ticks_per_second) = (4096, 100);
    let machine = Arc::new(machine);
    let mut sources = Vec::new();
    for entry in SOURCES {
        match (entry.open)(&machine) {
            Ok(Some(source)) => sources.push((entry, source, Faults::default())),
            Ok(None) => writeln!(told, "{} is not there", entry.name).unwrap(),
            Err(fault) => writeln!(told, "{} can't be opened: {:?}", entry.name, fault.kind).unwrap(),
        }
    }
    sources
}

/// Writes `STEP TABLE [KEY …] COLUMN VALUE` for each cell that is present, and empties the batch.
fn tell(step: i64, batch: &mut Batch, told: &mut String) {
    let table = batch.table();
    for row in 0..batch.len() {
        let cells: Vec<_> = table.metrics.iter().zip(batch.columns()).map(|(metric, column)| (metric, shown(metric, column, row))).collect();
        let keys: String = cells[..table.keys].iter().map(|(_, value)| format!(" {}", value.as_deref().unwrap_or("?"))).collect();
        for (metric, value) in &cells[table.keys..] {
            // Room in file systems is that of the real machine below the fake one.
            if let Some(value) = value.as_ref().filter(|_| !metric.origin.starts_with("statvfs")) {
                writeln!(told, "{step} {}{keys} {} {value}", table.name, metric.column()).unwrap();
            }
        }
    }
    batch.clear();
}

fn shown(metric: &Metric, column: &Column, row: usize) -> Option<String> {
    match metric.physical {
        Physical::Int => column.int(row).map(|value| value.to_string()),
        Physical::Float => column.float(row).map(|value| value.to_string()),
        Physical::Text => column.text(row).map(|text| text.escape_debug().to_string().replace(' ', "\\u{20}")),
    }
}

/// Makes the roots in `place` those of a step: files are overwritten in place, as descriptors that are kept open must see what they hold next.
fn become_step(place: &Path, step: &Path) {
    for root in ROOTS {
        fs::create_dir_all(place.join(root)).unwrap();
        for old in files(&place.join(root)) {
            if !step.join(old.strip_prefix(place).unwrap()).exists() {
                OpenOptions::new().write(true).truncate(true).open(&old).unwrap();
                fs::remove_file(&old).unwrap();
                // A folder goes with its last file.
                old.ancestors().skip(1).take_while(|folder| *folder != place.join(root)).all(|folder| fs::remove_dir(folder).is_ok());
            }
        }
        for new in files(&step.join(root)) {
            let target = place.join(new.strip_prefix(step).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, fs::read(new).unwrap()).unwrap();
        }
    }
}

fn first_difference(expected: &str, told: &str) -> Option<String> {
    let (mut expected, mut told, mut line) = (expected.lines(), told.lines(), 0);
    loop {
        line += 1;
        match (expected.next(), told.next()) {
            (None, None) => return None,
            (expected, told) if expected != told => {
                return Some(format!("line {line} must be {:?} and is {:?}", expected.unwrap_or("nothing"), told.unwrap_or("nothing")));
            }
            _ => {}
        }
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/machines").canonicalize().unwrap()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
