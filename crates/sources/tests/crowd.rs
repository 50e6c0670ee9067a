//! Two thousand processes: everybody has a row, and what reading them takes does not grow with those who are of no concern.
//!
//! Work is counted in read(2) and pread(2) calls, which do not depend on how fast or busy the machine is.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]
#![allow(unsafe_code, reason = "fork(2) and prctl(2) are unsafe by nature")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use barograph_model::Moment;
use barograph_sources::{FaultKind, Machine, ProcessSource, Roots, Scope, Select, Source, Watch};

const COUNT: usize = 2_000;

/// Of so many processes at most, two files each stay open.
const MOST_KEPT: usize = 512;

/// Not a test, but a program for the next one: a process with many children that sleep.
#[test]
fn has_two_thousand_children() {
    if std::env::var_os("BAROGRAPH_CROWD").is_none() {
        return;
    }
    for _ in 0..COUNT {
        // SAFETY: the child, in which no other thread lives on, does nothing but sleep; it ends with the thread that made it.
        unsafe {
            match libc::fork() {
                0 => {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    loop {
                        libc::pause();
                    }
                }
                pid => assert!(pid > 0, "{}", std::io::Error::last_os_error()),
            }
        }
    }
    let mut out = std::io::stdout();
    writeln!(out, "\nready").unwrap();
    out.flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

struct Crowd {
    process: Child,
    /// Should the test take long, the harness in there says so, and gives up where nobody could hear it.
    _says: Lines<BufReader<ChildStdout>>,
}

impl Crowd {
    fn start() -> Crowd {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "has_two_thousand_children", "--nocapture"]).env("BAROGRAPH_CROWD", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready"), "the crowd did not come together");
        Crowd { process: child, _says: lines }
    }

    /// Pids of its children and of itself.
    fn pids(&self) -> BTreeSet<i64> {
        let children = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap();
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let text: String = tasks.map(|task| children(task.unwrap())).collect();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).chain([self.process.id().into()]).collect()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn open(roots: Vec<u32>, scope: Scope, select: Select) -> ProcessSource {
    let machine = Arc::new(Machine::open(Roots::default()).unwrap());
    ProcessSource::open(&machine, Watch { roots, adopts: false, scope, select }).unwrap()
}

/// Reads once, at this second of a clock of our own. Gives the pids of the rows, how many of them have values of the dear files, and the number of
/// read(2) calls that it took.
fn read(source: &mut ProcessSource, second: f64) -> (Vec<i64>, usize, usize) {
    let nanos = 1_000_000_000_000 + (second * 1e9) as i64;
    let before = read_calls();
    source.read(Moment { utc_nanos: nanos, monotonic_nanos: nanos }).unwrap();
    let calls = read_calls() - before;
    let (mut pids, mut detailed) = (Vec::new(), 0);
    source.each_batch(&mut |batch| {
        if batch.table().name == "process" {
            let column = |name: &str| &batch.columns()[batch.table().metrics.iter().position(|metric| metric.name == name).unwrap()];
            pids.extend((0..batch.len()).filter_map(|row| column("pid").int(row)));
            detailed += (0..batch.len()).filter(|&row| column("voluntary_switches").int(row).is_some()).count();
        }
        batch.clear();
    });
    (pids, detailed, calls)
}

fn read_calls() -> usize {
    let text = fs::read_to_string("/proc/thread-self/io").unwrap();
    text.lines().find_map(|line| line.strip_prefix("syscr: ")).unwrap().parse().unwrap()
}

#[test]
fn of_two_thousand_processes_everybody_has_a_row_and_the_work_is_bounded() {
    let crowd = Crowd::start();
    let everybody = crowd.pids();
    assert_eq!(everybody.len(), COUNT + 1);
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let descriptors_before = descriptors();

    // As a job: all are members, and the files of some stay open.
    let mut job = open(vec![crowd.process.id()], Scope::Tree, Select::Everyone);
    for second in [0.0, 1.0, 2.0] {
        let (pids, _, _) = read(&mut job, second);
        assert_eq!(pids.len(), COUNT + 1, "at second {second}");
        assert_eq!(pids.into_iter().collect::<BTreeSet<_>>(), everybody, "at second {second}");
    }
    assert_eq!(job.members().count(), COUNT + 1);
    assert!(descriptors() <= descriptors_before + 2 * MOST_KEPT + 8, "{} descriptors are open", descriptors());
    // The dear files go round in ten seconds, so a tick a second has some of everybody's, and nobody is left out.
    let mut detailed = Vec::new();
    for second in 3..16 {
        let (pids, some, calls) = read(&mut job, f64::from(second));
        assert!(calls <= 2 * pids.len() + 4 * some + 200, "{calls} calls for {} processes, {some} of them with dear files", pids.len());
        detailed.push(some);
    }
    assert!(detailed.iter().all(|&some| some <= COUNT / 4), "dear files at each tick: {detailed:?}");
    assert!(detailed.iter().sum::<usize>() >= COUNT, "dear files at each tick: {detailed:?}");
    drop(job);
    assert!(descriptors() <= descriptors_before, "descriptors are given back");

    // By the busiest: so many rows, and the rest is told.
    let mut busiest = open(Vec::new(), Scope::Machine, Select::Busiest(20));
    for second in [0.0, 1.0] {
        let (pids, _, _) = read(&mut busiest, second);
        assert_eq!(pids.len(), 20);
        assert!(busiest.left_out() >= COUNT as u64 - 20, "{}", busiest.left_out());
    }
    drop(busiest);

    // As sleepers outside the job: their dear files can only say the same again, so they are read once, and again in the end.
    let mut others = open(Vec::new(), Scope::Machine, Select::Everyone);
    let detailed = [0.0, 299.0, 600.0].map(|second| read(&mut others, second).1);
    assert!(detailed[1] < COUNT / 2 && [detailed[0], detailed[2]].iter().all(|&some| some >= COUNT), "dear files of sleepers: {detailed:?}");
    drop(others);

    // As strangers: each is looked at once. Others may come while we look, but hardly a tenth of the crowd.
    let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
    let mut small = open(vec![other.id()], Scope::Tree, Select::Everyone);
    let (_, _, first) = read(&mut small, 0.0);
    let (pids, _, again) = read(&mut small, 10.0);
    assert_eq!(pids, [i64::from(other.id())]);
    assert!(first >= COUNT, "each is looked at once: {first}");
    assert!(again <= COUNT / 10, "{again} calls for a job of one process beside {COUNT} others");
    assert_eq!(small.faults().of(FaultKind::Malformed), 0);
    other.kill().unwrap();
    other.wait().unwrap();
}
