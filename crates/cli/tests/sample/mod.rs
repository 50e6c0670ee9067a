//! A recording of a job that never was: all of it is known, so that what is said of it can be checked to the letter.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use barograph_model::{Batch, EventRow, Events, Gauges, Moment, Rows, Sink, SpanEdges};
use barograph_sources::{Cpu, Disk, Job, Memory, Network, Own, Pressure, Process, Processes};
use barograph_store::{Clock, Durability, End, Exit, Facts, Host, Limits, Notice, Options, Recording, Totals};

/// 2026-11-20 10:20:00 in Berlin.
pub(crate) const START: i64 = 1_795_166_400_000_000_000;

/// The clock since boot at that time.
const BOOT: i64 = 5_000_000_000_000;

const MIB: u64 = 1 << 20;

/// Ticks that were left out: the machine slept.
const ASLEEP: std::ops::Range<u64> = 100..125;

/// How long the job lasts, in ticks of a second.
const TICKS: u64 = 192;

fn at(millis: u64) -> Moment {
    let nanos = i64::try_from(millis).unwrap() * 1_000_000;
    Moment { utc_nanos: START + nanos, monotonic_nanos: BOOT + nanos }
}

pub(crate) fn facts() -> Facts {
    Facts {
        id: "00000000000000000000000000000001".to_owned(),
        command: Some(["python3", "train.py", "--name", "it's big"].map(str::to_owned).to_vec()),
        directory: "/home/ada".to_owned(),
        user: "ada".to_owned(),
        host: Host {
            name: "build-7".to_owned(),
            os: "Debian GNU/Linux 13 (trixie)".to_owned(),
            kernel: "6.12.48".to_owned(),
            arch: "x86_64".to_owned(),
            boot_id: "elsewhere".to_owned(),
            cores: 8,
            memory_bytes: 32 << 30,
            page_size: 4096,
            ticks_per_second: 100,
        },
        limits: Limits { memory_bytes: Some(4 << 30), cores: Some(2.5), origin: "/user.slice/job-1.scope".to_owned(), ..Limits::default() },
        clock: Clock { utc_nanos: START, monotonic_nanos: BOOT, zone: "Europe/Berlin".to_owned() },
        sources: [("memory", "ok"), ("pressure", "/proc/pressure: not in this kernel")].map(|(name, said)| (name.to_owned(), said.to_owned())).into(),
        notices: vec![Notice { name: "write_error".to_owned(), detail: "disk full for a while".to_owned(), count: 2 }],
        ..Facts::default()
    }
}

fn job(rows: &mut Rows<Job>, second: u64, moment: Moment) {
    let busy = second.min(60) as f64 + second.saturating_sub(60) as f64 * 1.9;
    let memory = if second < 90 { 256 + second * 16 } else { 1800 };
    rows.row(moment)
        .set(Job::processes, if (60..180).contains(&second) { 3 } else { 1 })
        .set(Job::threads, 4)
        .set(Job::user, busy * 0.9)
        .set(Job::system, busy * 0.1)
        .set(Job::resident, if second == 0 { 0 } else { memory * MIB })
        .set(Job::largest_resident, if second == 0 { 0 } else { (memory - 100) * MIB })
        .set(Job::largest_peak_resident, if second == 0 { 0 } else { (memory - 90) * MIB })
        .set(Job::read, second * 3 * MIB)
        .set(Job::written, if second > 150 { (second - 150) * 40 * MIB } else { 0 })
        .set(Job::storage_read, 0)
        .set(Job::storage_written, if second > 150 { (second - 150) * 38 * MIB } else { 0 })
        .set(Job::unreadable, 0);
}

fn process(rows: &mut Rows<Process>, pid: u64, began: u64, second: u64, moment: Moment, cores: f64) {
    let lived = (second - began) as f64;
    rows.row(moment)
        .set(Process::pid, pid)
        .set(Process::start_ticks, 500_000 + began * 100)
        .set(Process::user, lived * cores)
        .set(Process::system, 0.0)
        .set(Process::resident, (200 + pid % 10 * 50) * MIB)
        .set(Process::peak_resident, (220 + pid % 10 * 50) * MIB)
        .set(Process::read, second * MIB)
        .set(Process::written, 0);
}

struct Tables {
    job: Rows<Job>,
    process: Rows<Process>,
    cpu: Rows<Cpu>,
    memory: Rows<Memory>,
    pressure: Rows<Pressure>,
    disk: Rows<Disk>,
    network: Rows<Network>,
    own: Rows<Own>,
}

impl Tables {
    fn tick(&mut self, second: u64) {
        let moment = at(second * 1000);
        job(&mut self.job, second, moment);
        process(&mut self.process, 4001, 0, second, moment, 0.5);
        if (60..180).contains(&second) {
            process(&mut self.process, 4002, 60, second, moment, 0.9);
            process(&mut self.process, 4003, 60, second, moment, 0.01);
        }
        let time = second as f64;
        self.cpu.row(moment).set(Cpu::user, 1000.0 + time * 2.2).set(Cpu::system, 50.0 + time * 0.1).set(Cpu::steal, 0.0);
        self.memory.row(moment).set(Memory::total, 32 << 30).set(Memory::available, (30 << 30) - second * 8 * MIB).set(Memory::oom_kills, 3);
        self.pressure.row(moment).set(Pressure::cpu_some, time * 0.12).set(Pressure::memory_some, 0.0);
        for (device, counted, written) in [(b"nvme0n1".as_slice(), 1, second * 20 * MIB), (b"nvme0n1p1", 0, second * 20 * MIB), (b"sda", 1, 0)] {
            self.disk.row(moment).text(Disk::device, device).set(Disk::counted, counted).set(Disk::read, 7 * MIB).set(Disk::written, written);
        }
        let burst = if second < 30 { second * 5 * MIB } else { 150 * MIB };
        self.network
            .row(moment)
            .text(Network::interface, b"eth0".as_slice())
            .set(Network::counted, 1)
            .set(Network::received, burst)
            .set(Network::sent, 0);
        self.own
            .row(moment)
            .set(Own::ticks, second + 1)
            .set(Own::missed_ticks, if second >= ASLEEP.end { 24 } else { 0 })
            .set(Own::suspended, if second >= ASLEEP.end { 90.5 + 24.0 } else { 90.5 })
            .set(Own::cpu, time * 0.004)
            .set(Own::resident, 9 * MIB)
            .set(Own::denied, 1);
    }
}

fn identities() -> Rows<Processes> {
    let mut rows = Rows::<Processes>::new();
    let mut row = |millis: u64, pid: u64, start: u64, change: &[u8], name: &[u8], command: &[u8], exit: (Option<u64>, Option<u64>)| {
        rows.row(at(millis))
            .set(Processes::pid, pid)
            .set(Processes::start_ticks, start)
            .text(Processes::change, change)
            .set(Processes::parent_pid, if pid == 4001 { 1 } else { 4001 })
            .text(Processes::name, name)
            .text(Processes::command_line, command)
            .text(Processes::user, b"ada".as_slice())
            .set(Processes::exit_code, exit.0)
            .set(Processes::exit_signal, exit.1);
    };
    row(0, 4001, 500_000, b"seen", b"python3", b"/usr/bin/python3 train.py --name 'it'\\''s big'", (None, None));
    row(60_000, 4002, 506_000, b"seen", b"worker", b"/opt/worker --shard 1 --input /data/a/very/long/path/to/the/input/file.parquet", (None, None));
    row(60_000, 4003, 506_000, b"seen", b"ev\x1b[31mil\n", b"", (None, None));
    row(180_000, 4003, 506_000, b"exited", b"ev\x1b[31mil\n", b"", (None, Some(9)));
    row(180_000, 4002, 506_000, b"gone", b"worker", b"/opt/worker --shard 1 --input /data/a/very/long/path/to/the/input/file.parquet", (None, None));
    rows
}

/// What a program said: `load` twice, four `epoch`s with an `evaluate` in each, of which the third fails and the last is never over, and spans of a
/// shell script that knows no counters.
#[derive(Default)]
struct Said {
    edges: Rows<SpanEdges>,
    events: Rows<Events>,
    gauges: Rows<Gauges>,
}

impl Said {
    fn begin(&mut self, millis: u64, span: &str, parent: Option<&str>, name: &[u8], attributes: Option<&str>, counters: Option<(f64, f64, u64)>) {
        let mut row = self.edges.row(at(millis));
        row.text(SpanEdges::edge, b"begin".as_slice())
            .text(SpanEdges::span, span.as_bytes())
            .text(SpanEdges::parent, parent.map(str::as_bytes))
            .text(SpanEdges::name, name)
            .text(SpanEdges::by, b"program".as_slice())
            .text(SpanEdges::attributes, attributes.map(str::as_bytes))
            .set(SpanEdges::pid, 4001)
            .set(SpanEdges::thread, 4001);
        Said::counters(&mut row, counters);
    }

    fn end(&mut self, millis: u64, span: &str, error: Option<&str>, counters: Option<(f64, f64, u64)>) {
        let mut row = self.edges.row(at(millis));
        row.text(SpanEdges::edge, b"end".as_slice())
            .text(SpanEdges::span, span.as_bytes())
            .text(SpanEdges::status, if error.is_some() { b"error" } else { b"ok".as_slice() })
            .text(SpanEdges::detail, error.map(str::as_bytes))
            .set(SpanEdges::pid, 4001)
            .set(SpanEdges::thread, 4001);
        Said::counters(&mut row, counters);
    }

    /// CPU time of the thread and of the process, and RAM.
    fn counters(row: &mut barograph_model::Row<'_, SpanEdges>, counters: Option<(f64, f64, u64)>) {
        if let Some((thread, process, resident)) = counters {
            row.set(SpanEdges::thread_cpu, thread).set(SpanEdges::process_cpu, process).set(SpanEdges::resident, resident * MIB);
        }
    }

    fn of_training() -> Said {
        let mut said = Said::default();
        for (number, begin) in [(0, 2_000), (1, 9_000)] {
            let id = format!("load{number}");
            said.begin(begin, &id, None, b"load", Some(&format!("{{\"file\": \"part-{number}.csv\"}}")), Some((0.5, 1.0, 256)));
            said.end(begin + 4_500, &id, None, Some((1.5, 3.5, 320)));
        }
        for epoch in 0..4 {
            let (begin, id) = (20_000 + epoch * 45_000, format!("epoch{epoch}"));
            let evaluate = format!("evaluate{epoch}");
            let cpu = epoch as f64 * 20.0;
            said.begin(begin, &id, None, b"epoch", Some(&format!("{{\"number\": {epoch}}}")), Some((cpu, cpu * 2.0, 400)));
            if epoch == 3 {
                continue;
            }
            said.begin(begin + 30_000, &evaluate, Some(&id), b"evaluate", None, Some((cpu + 10.0, cpu * 2.0 + 18.0, 500)));
            said.end(
                begin + 38_000 + epoch * 500,
                &evaluate,
                (epoch == 2).then_some("loss is not a number"),
                Some((cpu + 15.0, cpu * 2.0 + 28.0, 480)),
            );
            said.end(begin + 40_000, &id, (epoch == 2).then_some("loss is not a number"), Some((cpu + 16.0, cpu * 2.0 + 30.0, 450)));
            let loss = if epoch == 2 { 0.000_012 } else { 0.9 / (epoch + 1) as f64 };
            said.gauges.row(at(begin + 40_000)).text(Gauges::name, b"loss".as_slice()).set(Gauges::value, loss).set(Gauges::pid, 4001);
            said.gauges
                .row(at(begin + 40_000))
                .text(Gauges::name, b"ev\x1b[31mil rate\n".as_slice())
                .set(Gauges::value, 1.5e9)
                .set(Gauges::pid, 4001);
            said.events.add(EventRow { at: at(begin + 40_000), by: "program", name: Some("checkpoint"), pid: Some(4001), ..EventRow::default() });
        }
        said.begin(150_500, "script", None, b"ev\x1b[31mil\nblock \xe2\x80\xae| *", Some("{\"a\": \"\x1b[2J\"}"), None);
        said.end(155_700, "script", None, None);
        said.events.add(EventRow { at: at(0), by: "recorder", name: Some("started"), pid: Some(4001), ..EventRow::default() });
        let said_by_rule = EventRow { at: at(70_000), by: "rule", name: Some("ev\x1b[31mil mark\n"), detail: Some("line 12"), ..EventRow::default() };
        said.events.add(said_by_rule);
        said
    }
}

/// Writes the recording of a program that said what it does as `said.baro` into this folder.
pub(crate) fn write_said(folder: &Path) -> PathBuf {
    let said = Said::of_training();
    write_as(folder, "said.baro", &[&said.edges, &said.events, &said.gauges])
}

/// Writes the recording as `train.baro` into this folder.
pub(crate) fn write(folder: &Path) -> PathBuf {
    write_as(folder, "train.baro", &[])
}

fn write_as(folder: &Path, name: &str, said: &[&Batch]) -> PathBuf {
    let path = folder.join(name);
    let mut recording = Recording::create(&path, facts(), Options::default()).unwrap();
    let mut tables = Tables {
        job: Rows::new(),
        process: Rows::new(),
        cpu: Rows::new(),
        memory: Rows::new(),
        pressure: Rows::new(),
        disk: Rows::new(),
        network: Rows::new(),
        own: Rows::new(),
    };
    (0..=TICKS).filter(|second| !ASLEEP.contains(second)).for_each(|second| tables.tick(second));
    let identities = identities();
    let Tables { job, process, cpu, memory, pressure, disk, network, own } = &tables;
    for batch in [&**job, process, &identities, cpu, memory, pressure, disk, network, own].into_iter().chain(said.iter().copied()) {
        recording.take(batch).unwrap();
    }
    recording.publish().unwrap();
    let end = End {
        utc_nanos: at(TICKS * 1000 + 250).utc_nanos,
        monotonic_nanos: at(TICKS * 1000 + 250).monotonic_nanos,
        reason: "exited".to_owned(),
        exit: Some(Exit { code: None, signal: Some(9) }),
        totals: Totals {
            wall_seconds: Some(192.25),
            user_seconds: Some(279.72),
            system_seconds: Some(31.08),
            peak_resident_bytes: Some(1800 * MIB),
            ..Totals::default()
        },
    };
    recording.finish(end, Durability::Crash).unwrap();
    path
}

/// A recording without an end, with so many ticks.
pub(crate) fn write_short(folder: &Path, name: &str, ticks: u64) -> PathBuf {
    let path = folder.join(name);
    let mut recording = Recording::create(&path, facts(), Options::default()).unwrap();
    let mut rows = Rows::<Job>::new();
    (0..ticks).for_each(|second| job(&mut rows, second, at(second * 1000)));
    recording.take(&rows).unwrap();
    recording.publish().unwrap();
    path
}

/// Runs the program in this folder, without colours and in UTC.
pub(crate) fn barograph(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barograph"));
    command.current_dir(folder).args(arguments).env("TZ", "UTC").env_remove("BAROGRAPH_DIR").env_remove("COLUMNS");
    command.output().unwrap()
}

/// What it said, if it succeeded.
pub(crate) fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = barograph(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What it complained of, if it failed.
pub(crate) fn complained(folder: &Path, arguments: &[&str]) -> String {
    let output = barograph(folder, arguments);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    String::from_utf8(output.stderr).unwrap()
}
