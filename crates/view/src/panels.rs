//! Which panels and cards suit a recording: by hand what everybody wants to see, and by a loop over its schema everything else.

use std::collections::{BTreeMap, BTreeSet};

use barograph_model::{Described, Field, Gauges, Table};
use barograph_sources::{Cores, Cpu, Disk, Filesystem, Job, Memory, Network, Own, Pressure, Process, System};
use barograph_store::{FieldInfo, Query, TableInfo};

use crate::columns::{column, columns, is_offered, is_shown, unit_of, words};
use crate::view::Known;
use crate::{Card, Key, Limit, Panel, Spec, Style, Unit};

/// Lines of a panel with a line for each process or device; the rest is one more.
const TOP: usize = 8;

/// Panels for the gauges of a program.
const MOST_GAUGES: usize = 24;

/// Columns of a declared table.
fn of<T: Described, K, const N: usize>(label: &str, fields: [Field<T, K>; N]) -> Spec {
    Spec { label: (!label.is_empty()).then(|| label.to_owned()), table: T::TABLE.name.to_owned(), plus: columns(fields), ..Spec::default() }
}

impl Spec {
    fn less<T: Described, K, const N: usize>(self, fields: [Field<T, K>; N]) -> Spec {
        Spec { minus: columns(fields), ..self }
    }

    fn by(self) -> Spec {
        Spec { by: true, ..self }
    }

    fn top(self, top: usize) -> Spec {
        Spec { by: true, top: Some(top), ..self }
    }
}

fn panel(id: &str, title: &str, help: &str, unit: Unit, style: Style, specs: Vec<Spec>) -> Panel {
    Panel { id: id.to_owned(), title: title.to_owned(), help: help.to_owned(), unit, style, specs, limits: Vec::new(), shown: true }
}

impl Panel {
    fn limits(self, limits: Vec<Limit>) -> Panel {
        Panel { limits, ..self }
    }

    fn offered_only(self) -> Panel {
        Panel { shown: false, ..self }
    }
}

/// The panels, in the order in which they are shown.
pub(crate) fn panels(known: &Known) -> Vec<Panel> {
    let mut panels: Vec<Panel> = by_hand(known).into_iter().chain(gauges(known)).filter_map(|panel| kept(known, panel)).collect();
    let mut ids: BTreeSet<String> = panels.iter().map(|panel| panel.id.clone()).collect();
    panels.extend(known.tables.values().filter(|table| is_offered(&table.name)).flat_map(offered).filter(|panel| ids.insert(panel.id.clone())));
    panels
}

/// The panel with those of its lines that the recording has; none if it has none of them.
fn kept(known: &Known, mut panel: Panel) -> Option<Panel> {
    panel.specs = panel.specs.into_iter().filter_map(|spec| has(known, spec)).collect();
    (!panel.specs.is_empty()).then_some(panel)
}

/// The spec with those of its added columns that the recording has. Without one that is taken away, or a filter, it would be something else.
fn has(known: &Known, mut spec: Spec) -> Option<Spec> {
    let table = known.tables.get(&spec.table)?;
    let there = |column: &String| table.fields.iter().any(|field| field.name == *column);
    spec.plus.retain(there);
    (!spec.plus.is_empty() && spec.minus.iter().chain(spec.filter.keys()).all(there)).then_some(spec)
}

fn by_hand(known: &Known) -> Vec<Panel> {
    let cores = core_limits(known);
    let memory = memory_limits(known);
    let swap = first(known, Memory::TABLE, column(Memory::swap_total)).unwrap_or(0.0);
    let swap_limit = vec![Limit { label: "swap".to_owned(), value: swap }];
    let has_job = known.tables.contains_key(Job::TABLE.name);
    let mut panels = vec![
        panel(
            "cpu-by-process",
            "CPU by process",
            "CPU time that each process used, in cores.",
            Unit::Cores,
            Style::Stack,
            vec![of("", [Process::user, Process::system]).top(TOP)],
        )
        .limits(cores.clone()),
        panel(
            "cpu",
            "CPU of the machine",
            "What all cores together spent their time on, in cores. Time of guests is part of user.",
            Unit::Cores,
            Style::Stack,
            vec![
                of("user", [Cpu::user]),
                of("system", [Cpu::system]),
                of("nice", [Cpu::nice]),
                of("interrupts", [Cpu::irq, Cpu::softirq]),
                of("stolen", [Cpu::steal]),
            ],
        )
        .limits(machine_cores(known)),
        panel(
            "cores",
            "Cores",
            "How busy each core was: 1 is all of the time.",
            Unit::Cores,
            Style::Heat,
            vec![of("", [Cores::user, Cores::nice, Cores::system, Cores::irq, Cores::softirq]).by()],
        ),
        panel(
            "memory-by-process",
            "Memory by process",
            "RAM that each process has in use. Pages that several share count for each of them.",
            Unit::Bytes,
            Style::Stack,
            vec![of("", [Process::resident]).top(TOP)],
        )
        .limits(memory.clone()),
        panel(
            "memory",
            "Memory of the machine",
            "RAM of the machine: used is what programs can't be given without taking it from others.",
            Unit::Bytes,
            Style::Lines,
            vec![of("used", [Memory::total]).less([Memory::available]), of("cached", [Memory::cached, Memory::buffers]), of("free", [Memory::free])],
        )
        .limits(memory.clone()),
        Panel {
            shown: swap > 0.0,
            ..panel("swap", "Swap", "Swap space in use.", Unit::Bytes, Style::Lines, vec![of("used", [Memory::swap_total]).less([Memory::swap_free])])
                .limits(if swap > 0.0 { swap_limit } else { Vec::new() })
        },
        panel(
            "pressure",
            "Pressure",
            "Share of the time in which some task waited for a core, for memory or for a disk.",
            Unit::Ratio,
            Style::Lines,
            vec![of("CPU", [Pressure::cpu_some]), of("memory", [Pressure::memory_some]), of("I/O", [Pressure::io_some])],
        ),
        panel(
            "disk",
            "Disk",
            "Bytes read from and written to each disk. A disk that is made of others does not count.",
            Unit::BytesPerSecond,
            Style::Lines,
            vec![of("read", [Disk::read]).top(TOP / 2), of("written", [Disk::written]).top(TOP / 2)],
        ),
        panel(
            "network",
            "Network",
            "Bytes received and sent by each network device. The loopback does not count.",
            Unit::BytesPerSecond,
            Style::Lines,
            vec![of("received", [Network::received]).top(TOP / 2), of("sent", [Network::sent]).top(TOP / 2)],
        ),
        panel(
            "processes",
            if has_job { "Processes and threads" } else { "Processes and threads of the machine" },
            "How many there are.",
            Unit::Count,
            Style::Lines,
            if has_job {
                vec![of("processes", [Job::processes]), of("threads", [Job::threads])]
            } else {
                vec![of("threads", [System::threads]), of("running", [System::running]), of("blocked", [System::blocked])]
            },
        ),
        panel(
            "files",
            "Open files",
            "Files, sockets and other descriptors that are open.",
            Unit::Count,
            Style::Lines,
            if has_job { vec![of("job", [Job::open_files])] } else { vec![of("machine", [System::open_files])] },
        ),
    ];
    panels.extend([
        panel(
            "job-cpu",
            "CPU of the job",
            "CPU time of all processes of the job, in cores.",
            Unit::Cores,
            Style::Stack,
            vec![of("user", [Job::user]), of("system", [Job::system])],
        )
        .limits(cores)
        .offered_only(),
        panel(
            "job-memory",
            "Memory of the job",
            "RAM of all processes of the job.",
            Unit::Bytes,
            Style::Lines,
            vec![of("all", [Job::resident]), of("largest process", [Job::largest_resident])],
        )
        .limits(memory)
        .offered_only(),
        panel(
            "job-io",
            "Reading and writing of the job",
            "Bytes that the job read and wrote, from caches too, and what of it went to storage.",
            Unit::BytesPerSecond,
            Style::Lines,
            vec![
                of("read", [Job::read]),
                of("written", [Job::written]),
                of("read from storage", [Job::storage_read]),
                of("written to storage", [Job::storage_written]),
            ],
        )
        .offered_only(),
        panel(
            "load",
            "Load",
            "Tasks that run or wait, as means of 1, 5 and 15 minutes.",
            Unit::Count,
            Style::Lines,
            vec![of("1 min", [System::load_1]), of("5 min", [System::load_5]), of("15 min", [System::load_15])],
        )
        .limits(machine_cores(known))
        .offered_only(),
        panel(
            "disk-busy",
            "Disks at work",
            "Share of the time in which each disk had something to do.",
            Unit::Ratio,
            Style::Lines,
            vec![of("", [Disk::busy]).top(TOP)],
        )
        .offered_only(),
        panel(
            "io-by-process",
            "Reading and writing by process",
            "Bytes that each process read and wrote, from caches too.",
            Unit::BytesPerSecond,
            Style::Stack,
            vec![of("", [Process::read, Process::written]).top(TOP)],
        )
        .offered_only(),
        panel(
            "threads-by-process",
            "Threads by process",
            "Threads of each process.",
            Unit::Count,
            Style::Stack,
            vec![of("", [Process::threads]).top(TOP)],
        )
        .offered_only(),
        panel(
            "room",
            "File systems",
            "Room that is left in each file system.",
            Unit::Bytes,
            Style::Lines,
            vec![of("", [Filesystem::available]).top(TOP)],
        )
        .offered_only(),
        panel("own", "Barograph itself", "CPU time that the recorder used, in cores.", Unit::Cores, Style::Lines, vec![of("CPU", [Own::cpu])])
            .offered_only(),
        panel(
            "own-memory",
            "Barograph's memory",
            "RAM that the recorder has in use.",
            Unit::Bytes,
            Style::Lines,
            vec![of("memory", [Own::resident])],
        )
        .offered_only(),
    ]);
    panels
}

/// A panel for each gauge that the program has said, by its name.
fn gauges(known: &Known) -> Vec<Panel> {
    let name = column(Gauges::name);
    let mut ids = BTreeMap::new();
    let mut panels = Vec::new();
    for gauge in known.gauges().into_iter().take(MOST_GAUGES) {
        let word: String = gauge.chars().map(|char| if char.is_alphanumeric() { char } else { '-' }).collect();
        let times: &mut u32 = ids.entry(word.clone()).or_default();
        *times += 1;
        let id = if *times == 1 { format!("gauge-{word}") } else { format!("gauge-{word}-{times}") };
        let mut spec = of(&gauge, [Gauges::value]);
        spec.filter.insert(name.clone(), Key::Text(gauge.clone()));
        panels.push(panel(&id, &gauge, "A number that the program says of itself.", Unit::Number, Style::Lines, vec![spec]));
    }
    panels
}

/// A panel for the columns of each unit of a table; of a table with keys, one for each column, with a line for each subject.
fn offered(table: &TableInfo) -> Vec<Panel> {
    let spec =
        |field: &FieldInfo, label: Option<String>| Spec { label, table: table.name.clone(), plus: vec![field.name.clone()], ..Spec::default() };
    let counts = |field: &&FieldInfo| is_shown(field) && table.counted.as_ref() != Some(&field.name);
    let name = table.name.replace('_', " ");
    if !table.keys.is_empty() {
        let of_column = |field: &FieldInfo| {
            let id = format!("{}-{}", table.name, field.name).replace('_', "-");
            let title = format!("{}: {}", name, words(field));
            let specs = vec![spec(field, None).top(TOP)];
            panel(&id, &title, &field.help, unit_of(&table.name, field), Style::Lines, specs).offered_only()
        };
        return table.fields.iter().filter(counts).map(of_column).collect();
    }
    let mut units: Vec<(Unit, Vec<&FieldInfo>)> = Vec::new();
    for field in table.fields.iter().filter(counts) {
        let unit = unit_of(&table.name, field);
        match units.iter_mut().find(|(known, _)| *known == unit) {
            Some((_, fields)) => fields.push(field),
            None => units.push((unit, vec![field])),
        }
    }
    let of_unit = |(unit, fields): (Unit, Vec<&FieldInfo>)| {
        let word = serde_json::to_value(unit).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
        let specs = fields.iter().map(|field| spec(field, Some(words(field)))).collect();
        let title = format!("{}: {}", name, unit_in_words(unit));
        let help = if fields.len() == 1 { fields[0].help.clone() } else { table.help.clone() };
        panel(&format!("{}-{}", table.name, word).replace('_', "-"), &title, &help, unit, Style::Lines, specs).offered_only()
    };
    units.into_iter().map(of_unit).collect()
}

fn unit_in_words(unit: Unit) -> &'static str {
    match unit {
        Unit::Cores => "CPU time",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "bytes per second",
        Unit::Ratio => "shares of the time",
        Unit::Seconds => "seconds",
        Unit::Hertz => "hertz",
        Unit::Count => "counts",
        Unit::PerSecond => "per second",
        Unit::Number => "levels",
    }
}

/// What one process used.
pub(crate) fn of_process(known: &Known, pid: i64, start_ticks: i64) -> Vec<Panel> {
    let panels = [
        panel(
            "process-cpu",
            "CPU",
            "CPU time, in cores.",
            Unit::Cores,
            Style::Stack,
            vec![of("user", [Process::user]), of("system", [Process::system])],
        )
        .limits(core_limits(known)),
        panel(
            "process-memory",
            "Memory",
            "RAM in use, pages shared with others included.",
            Unit::Bytes,
            Style::Lines,
            vec![
                of("in RAM", [Process::resident]),
                of("of its own", [Process::anonymous]),
                of("of files", [Process::file]),
                of("in swap", [Process::swap]),
            ],
        )
        .limits(job_memory_limit(known)),
        panel(
            "process-io",
            "Reading and writing",
            "Bytes read and written, from caches too.",
            Unit::BytesPerSecond,
            Style::Lines,
            vec![
                of("read", [Process::read]),
                of("written", [Process::written]),
                of("read from storage", [Process::storage_read]),
                of("written to storage", [Process::storage_written]),
            ],
        ),
        panel(
            "process-waiting",
            "Waiting",
            "Share of the time in which a thread was ready and had no core, or waited for a disk; threads add up.",
            Unit::Ratio,
            Style::Lines,
            vec![of("for a core", [Process::run_delay]), of("for a disk", [Process::io_delay])],
        ),
        panel(
            "process-threads",
            "Threads and open files",
            "How many it has.",
            Unit::Count,
            Style::Lines,
            vec![of("threads", [Process::threads]), of("open files", [Process::open_files])],
        ),
        panel(
            "process-faults",
            "Page faults",
            "Page faults, with and without reading from a disk.",
            Unit::PerSecond,
            Style::Lines,
            vec![of("minor", [Process::minor_faults]), of("major", [Process::major_faults])],
        ),
    ];
    let key = [(column(Process::pid), Key::Number(pid)), (column(Process::start_ticks), Key::Number(start_ticks))];
    let of_one = |mut panel: Panel| {
        panel.specs.iter_mut().for_each(|spec| spec.filter.extend(key.clone()));
        panel
    };
    panels.into_iter().map(of_one).filter_map(|panel| kept(known, panel)).collect()
}

/// The numbers for the top.
pub(crate) fn cards(known: &Known) -> Vec<Card> {
    let card = |title: &str, unit: Unit, spec: Spec, panel: &str| Card { title: title.to_owned(), unit, spec, panel: panel.to_owned() };
    let has_job = known.tables.get(Job::TABLE.name).is_some_and(|job| job.rows > 0);
    let panel_of = |of_processes: &str, other: &str| {
        let has_processes = known.tables.contains_key(Process::TABLE.name);
        if has_processes { of_processes.to_owned() } else { other.to_owned() }
    };
    let (cpu, memory, processes) = if has_job {
        (of("", [Job::user, Job::system]), of("", [Job::resident]), card("Processes", Unit::Count, of("", [Job::processes]), "processes"))
    } else {
        let cpu = of("", [Cpu::user, Cpu::nice, Cpu::system, Cpu::irq, Cpu::softirq]);
        let memory = of("", [Memory::total]).less([Memory::available]);
        (cpu, memory, card("Threads", Unit::Count, of("", [System::threads]), "processes"))
    };
    let (of_job, of_machine) = (("job-cpu", "job-memory"), ("cpu", "memory"));
    let plain = if has_job { of_job } else { of_machine };
    let cards = [
        card("CPU", Unit::Cores, cpu, &panel_of("cpu-by-process", plain.0)),
        card("Memory", Unit::Bytes, memory, &panel_of("memory-by-process", plain.1)),
        card("Disk", Unit::BytesPerSecond, of("", [Disk::read, Disk::written]), "disk"),
        card("Network", Unit::BytesPerSecond, of("", [Network::received, Network::sent]), "network"),
        card("Waiting for CPU", Unit::Ratio, of("", [Pressure::cpu_some]), "pressure"),
        card("Waiting for I/O", Unit::Ratio, of("", [Pressure::io_some]), "pressure"),
        processes,
    ];
    cards.into_iter().filter_map(|card| Some(Card { spec: has(known, card.spec)?, ..card })).collect()
}

fn core_limits(known: &Known) -> Vec<Limit> {
    let limit = known.timeline.facts().limits.cores.map(|value| Limit { label: "limit of the job".to_owned(), value });
    limit.map_or_else(|| machine_cores(known), |limit| vec![limit])
}

fn machine_cores(known: &Known) -> Vec<Limit> {
    let cores = known.timeline.facts().host.cores;
    if cores > 0 { vec![Limit { label: "cores".to_owned(), value: cores as f64 }] } else { Vec::new() }
}

fn job_memory_limit(known: &Known) -> Vec<Limit> {
    let limit = known.timeline.facts().limits.memory_bytes;
    limit.map(|bytes| Limit { label: "limit of the job".to_owned(), value: bytes as f64 }).into_iter().collect()
}

fn memory_limits(known: &Known) -> Vec<Limit> {
    let bytes = known.timeline.facts().host.memory_bytes;
    let machine = (bytes > 0).then(|| Limit { label: "memory of the machine".to_owned(), value: bytes as f64 });
    machine.into_iter().chain(job_memory_limit(known)).collect()
}

/// The first value of a column of a table without keys.
fn first(known: &Known, table: &Table, column: String) -> Option<f64> {
    let (first, _) = known.tables.get(table.name)?.monotonic_range?;
    let query = Query::all().columns([column.clone()]).monotonic(first, first);
    known.frame(table.name, &query).ok()??.floats(&column).into_iter().flatten().next()
}

impl Known {
    /// The names of all gauges, in the order of the alphabet.
    fn gauges(&self) -> BTreeSet<String> {
        let name = column(Gauges::name);
        let frame = self.frame(Gauges::TABLE.name, &Query::all().columns([name.clone()]));
        let Ok(Some(frame)) = frame else { return BTreeSet::new() };
        frame.texts(&name).into_iter().flatten().map(str::to_owned).collect()
    }
}
