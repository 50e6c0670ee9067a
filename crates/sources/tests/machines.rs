//! Fake machines: each folder of `fixtures/machines` is a machine at successive moments, with what must come out of every source.
//!
//! `NAME/0`, `NAME/1` … hold the roots `proc`, `sys`, `etc` and `mounts` at each moment; `NAME/README.md` says what the machine is and what to look for;
//! `NAME/expected.txt` lists every cell that is present. `BLESS=1 cargo test -p barograph-sources --test machines` writes the latter: read the difference.
//!
//! A machine with processes has `NAME/watch.txt`, whose lines are `roots PID …`, `adopts`, `processes CHOICE`, `at SECOND …` (when the moments are, if
//! not every 10 seconds) and `collect PID after MOMENT` (we are its parent, and collect it then). In its files, OWN stands for our own pid.
//! A process whose start ticks change from one moment to the next has another folder then, as the kernel has it.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use barograph_model::{Batch, Column, Metric, Moment, Physical};
use barograph_sources::{Choice, Entry, Exit, FaultKind, Faults, Machine, ProcessSource, Root, Roots, SOURCES, Scope, Select, Source, Watch};

const ROOTS: [&str; 4] = ["proc", "sys", "etc", "mounts"];

#[test]
fn every_machine_gives_what_it_must() {
    let mut wrong = Vec::new();
    for folder in folders(&fixtures()) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(folder.join("README.md").exists(), "{name} has no README.md that says what it is");
        let (mut told, golden) = (told_by(&folder, |_| {}), folder.join("expected.txt"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &told).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        // A reading that waits for its core for 10 ms where moments lie a microsecond apart is made anew, with a listing: then it is tried again.
        for _ in 0..4 {
            if told != expected {
                told = told_by(&folder, |_| {});
            }
        }
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

#[test]
fn a_megabyte_of_arguments_is_cut_and_nothing_else_changes() {
    let machine = fixtures().join("hostile-names");
    let with_long_arguments = told_by(&machine, |place| {
        let arguments = [b"tool\0".to_vec(), vec![b'x'; 1 << 20], b"\0last\0".to_vec()].concat();
        fs::write(place.join("proc/10/cmdline"), arguments).unwrap();
    });
    let (long, others): (Vec<&str>, Vec<&str>) = with_long_arguments.lines().partition(|line| line.starts_with("0 processes 10 100 command_line "));
    assert_eq!(long, [format!("0 processes 10 100 command_line tool {}", "x".repeat(16 * 1024 - 5)).replace("tool ", "tool\\u{20}")]);
    let told = told_by(&machine, |_| {});
    assert_eq!(others, told.lines().filter(|line| !line.starts_with("0 processes 10 100 command_line ")).collect::<Vec<_>>());
}

/// Opens every source on the machine's first moment, and reads all of them at each.
fn told_by(folder: &Path, change: impl Fn(&Path)) -> String {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let script = Script::read(&folder.join("watch.txt"));
    let mut told = String::new();
    let mut sources = Vec::new();
    let mut processes = None;
    for (number, step) in folders(folder).iter().enumerate() {
        become_step(place.path(), step);
        change(place.path());
        if number == 0 {
            let machine = open_machine(place.path());
            sources = open_all(&machine, &mut told);
            processes = script.watch.clone().map(|watch| (ProcessSource::open(&machine, watch).unwrap(), Faults::default()));
        }
        let at = script.moment(number);
        if let Some((source, faults_before)) = &mut processes {
            read(number, at, "process", source, faults_before, &mut told);
            for &(pid, _) in script.collect.iter().filter(|&&(_, after)| after == number) {
                source.before_collecting(pid);
                source.collected(at, pid, Exit { code: Some(0), ..Exit::default() });
            }
        }
        for (entry, source, faults_before) in &mut sources {
            read(number, at, entry.name, &mut **source, faults_before, &mut told);
        }
    }
    told
}

fn read(step: usize, at: Moment, name: &str, source: &mut dyn Source, faults_before: &mut Faults, told: &mut String) {
    if let Err(fault) = source.read(at) {
        writeln!(told, "{step} {name} failed: {:?}", fault.kind).unwrap();
    }
    source.each_batch(&mut |batch| tell(step, batch, told));
    let faults = source.faults();
    for kind in FaultKind::ALL.into_iter().filter(|&kind| faults.of(kind) > faults_before.of(kind)) {
        writeln!(told, "{step} {name} faults: {} {kind:?}", faults.of(kind) - faults_before.of(kind)).unwrap();
    }
    *faults_before = faults;
}

fn open_machine(place: &Path) -> Arc<Machine> {
    let root = |name| place.join(name);
    let mut machine = Machine::open(Roots { proc: root("proc"), sys: root("sys"), etc: root("etc"), mounts: root("mounts") }).unwrap();
    (machine.page_size, machine.ticks_per_second) = (4096, 100);
    Arc::new(machine)
}

/// Opens all but the processes, unless processes are all that this machine has.
fn open_all(machine: &Arc<Machine>, told: &mut String) -> Vec<(&'static Entry, Box<dyn Source>, Faults)> {
    let mut sources = Vec::new();
    for entry in SOURCES.iter().filter(|_| machine.exists(Root::Proc, "stat")) {
        match (entry.open)(machine) {
            Ok(Some(source)) => sources.push((entry, source, Faults::default())),
            Ok(None) => writeln!(told, "{} is not there", entry.name).unwrap(),
            Err(fault) => writeln!(told, "{} can't be opened: {:?}", entry.name, fault.kind).unwrap(),
        }
    }
    sources
}

/// What `watch.txt` says.
#[derive(Default)]
struct Script {
    watch: Option<Watch>,
    seconds: Vec<f64>,
    collect: Vec<(u32, usize)>,
}

impl Script {
    fn read(file: &Path) -> Script {
        let Ok(text) = fs::read_to_string(file) else { return Script::default() };
        let mut script = Script::default();
        let mut watch = Watch { roots: Vec::new(), adopts: false, scope: Scope::Tree, select: Select::Everyone };
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let rest: Vec<&str> = rest.split_whitespace().collect();
            match (word, rest.as_slice()) {
                ("roots", pids) => watch.roots = pids.iter().map(|pid| pid.parse().unwrap()).collect(),
                ("adopts", []) => watch.adopts = true,
                ("processes", [choice]) => {
                    let choice: Choice = choice.parse().unwrap();
                    (watch.scope, watch.select) = (choice.scope.unwrap_or(Scope::Machine), choice.select);
                }
                ("at", seconds) => script.seconds = seconds.iter().map(|second| second.parse().unwrap()).collect(),
                ("collect", [pid, "after", step]) => script.collect.push((pid.parse().unwrap(), step.parse().unwrap())),
                _ => panic!("{} has a line that can't be understood: {line}", file.display()),
            }
        }
        Script { watch: Some(watch), ..script }
    }

    fn moment(&self, step: usize) -> Moment {
        let seconds = self.seconds.get(step).copied().unwrap_or(step as f64 * 10.0);
        let nanos = (seconds * 1e9) as i64;
        Moment { utc_nanos: 1_800_000_000_000_000_000 + nanos, monotonic_nanos: 1_000_000_000_000 + nanos }
    }
}

/// Writes `STEP TABLE [KEY …] COLUMN VALUE` for each cell that is present, and empties the batch.
fn tell(step: usize, batch: &mut Batch, told: &mut String) {
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
        Physical::Int if metric.name == "parent_pid" && column.int(row) == Some(std::process::id().into()) => Some("OWN".to_owned()),
        Physical::Int => column.int(row).map(|value| value.to_string()),
        Physical::Float => column.float(row).map(|value| value.to_string()),
        Physical::Text => column.text(row).map(|text| text.escape_debug().to_string().replace(' ', "\\u{20}")),
    }
}

/// Makes the roots in `place` those of a step: files are overwritten in place, as descriptors that are kept open must see what they hold next.
fn become_step(place: &Path, step: &Path) {
    bury_processes(place, step);
    for root in ROOTS {
        fs::create_dir_all(place.join(root)).unwrap();
        for old in files(&place.join(root)) {
            // A link that leads nowhere is there too; were its folder made anew, it would be another process's.
            if step.join(old.strip_prefix(place).unwrap()).symlink_metadata().is_err() {
                empty(&old);
                fs::remove_file(&old).unwrap();
                // A folder goes with its last file.
                old.ancestors().skip(1).take_while(|folder| *folder != place.join(root)).all(|folder| fs::remove_dir(folder).is_ok());
            }
        }
        for new in files(&step.join(root)) {
            let target = place.join(new.strip_prefix(step).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            let leads_to = fs::read_link(&new);
            if leads_to.is_ok() || target.is_symlink() {
                let _ = fs::remove_file(&target);
            }
            match leads_to {
                Ok(leads_to) => std::os::unix::fs::symlink(leads_to, target).unwrap(),
                Err(_) => fs::write(target, with_own_pid(fs::read(new).unwrap())).unwrap(),
            }
        }
    }
}

/// Puts the folders of processes that have ended out of the way, and their files empty: an inode that is still in use is not given to another folder.
fn bury_processes(place: &Path, step: &Path) {
    for folder in folders(&place.join("proc")) {
        let pid = folder.file_name().unwrap().to_str().unwrap();
        let start_ticks = |folder: &Path| {
            let stat = fs::read(folder.join("stat")).ok()?;
            let after_name = stat.rsplit(|&byte| byte == b')').next()?;
            String::from_utf8_lossy(after_name).split_whitespace().nth(19).map(str::to_owned)
        };
        let (old, new) = (start_ticks(&folder), step.join("proc").join(pid));
        let replaced = old.is_some() && start_ticks(&new).is_some_and(|new| Some(new) != old);
        if pid.parse::<u32>().is_ok() && (replaced || !new.exists()) {
            files(&folder).iter().for_each(|file| empty(file));
            let graves = place.join("graves");
            fs::create_dir_all(&graves).unwrap();
            fs::rename(&folder, graves.join(folders(&graves).len().to_string())).unwrap();
        }
    }
}

fn empty(file: &Path) {
    if !file.is_symlink() {
        OpenOptions::new().write(true).truncate(true).open(file).unwrap();
    }
}

fn with_own_pid(text: Vec<u8>) -> Vec<u8> {
    match text.windows(3).position(|word| word == b"OWN") {
        Some(start) => [&text[..start], std::process::id().to_string().as_bytes(), &text[start + 3..]].concat(),
        None => text,
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
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut folders: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).flat_map(|path| if path.is_dir() && !path.is_symlink() { files(&path) } else { vec![path] }).collect()
}
