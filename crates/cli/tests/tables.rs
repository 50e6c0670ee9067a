//! Every table that is recorded, with anything in its cells: what is read back is what was taken, row for row, and in the flat form as well.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use barograph_model::{Batch, Described, Events, Field, Gauge, Gauges, Level, Moment, Physical, Rows, Seconds, Sink, SpanEdges, Table, Text};
use barograph_sources::{
    Cores, Cpu, Disk, Filesystem, Job, Memory, Network, Own, OwnSources, Pressure, Process, ProcessMemory, Processes, Protocols, System,
};
use barograph_store::{Durability, End, Facts, Options, Query, Recording, Timeline};
use proptest::prelude::*;

/// A cell that may be of any type: which one its column takes decides.
#[derive(Clone, Debug)]
struct Anything {
    int: i64,
    float: f64,
    text: Vec<u8>,
}

/// Rows of a tick: its distance from the one before, and cells that are used in turn; `None` is an absent one.
type Tick = (i64, u8, Vec<Option<Anything>>);

fn anything() -> impl Strategy<Value = Anything> {
    let int = prop_oneof![any::<i64>(), 0_i64..300, Just(i64::MIN), Just(i64::MAX), Just(-1)];
    let float = prop_oneof![any::<f64>(), 0.0..9.0, Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(f64::MAX), Just(5e-324)];
    let text = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        "[a-c]{0,2}".prop_map(String::into_bytes),
        Just(b"\xC3(\0\n\"',".to_vec()),
        Just("\u{1F4A9}\u{202e}".as_bytes().to_vec()),
        Just(vec![b'x'; 3000]),
    ];
    (int, float, text).prop_map(|(int, float, text)| Anything { int, float, text })
}

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let cells = prop::collection::vec(prop::option::weighted(0.8, anything()), 1..40);
    // Now and then more rows than are packed together in memory.
    let rows = prop_oneof![12 => 1_u8..5, 1 => 60_u8..140];
    prop::collection::vec((prop_oneof![Just(0_i64), 1_i64..5_000_000_000], rows, cells), 1..12)
}

/// Takes the rows, publishing in between, and gives what each column must hold.
fn taken<T: Described>(recording: &mut Recording, ticks: &[Tick]) -> Rows<T> {
    let (mut all, mut at) = (Rows::<T>::new(), Moment { utc_nanos: 1_795_166_400_000_000_000, monotonic_nanos: 0 });
    for (number, (step, rows, cells)) in ticks.iter().enumerate() {
        at = Moment { utc_nanos: at.utc_nanos + step, monotonic_nanos: at.monotonic_nanos + step };
        let (mut batch, mut cells) = (Rows::<T>::new(), cells.iter().cycle());
        for _ in 0..*rows {
            let mut row = batch.row(at);
            for (index, metric) in T::TABLE.metrics.iter().enumerate() {
                let cell = cells.next().unwrap().as_ref();
                match metric.physical {
                    Physical::Int => drop(row.set(Field::<T, Gauge<Level>>::new(index), cell.map(|cell| cell.int))),
                    Physical::Float => drop(row.set(Field::<T, Gauge<Seconds>>::new(index), cell.map(|cell| cell.float))),
                    Physical::Text => drop(row.text(Field::<T, Text>::new(index), cell.map(|cell| cell.text.as_slice()))),
                }
            }
        }
        recording.take(&batch).unwrap();
        all.append(&batch);
        if number % 3 == 1 {
            recording.publish().unwrap();
        }
    }
    all
}

/// A row as text, so that rows of one tick can be compared in any order.
fn row_of(batch: &Batch, row: usize) -> String {
    let cell = |(index, column): (usize, &barograph_model::Column)| match batch.table().metrics[index].physical {
        Physical::Int => format!("{:?}", column.int(row)),
        Physical::Float => format!("{:?}", column.float(row).map(f64::to_bits)),
        Physical::Text => format!("{:?}", column.text(row)),
    };
    let cells: Vec<String> = batch.columns().iter().enumerate().map(cell).collect();
    format!("{} {} {}", batch.utc_nanos()[row], batch.monotonic_nanos()[row], cells.join(" "))
}

fn rows_read(path: &Path, table: &'static Table) -> Vec<String> {
    let timeline = Timeline::open(path).unwrap();
    let frame = timeline.frame(table.name, &Query::all()).unwrap();
    assert_eq!(timeline.damaged(), []);
    assert_eq!(frame.columns(), table.metrics.iter().map(|metric| metric.column()).collect::<Vec<_>>());
    let cells: Vec<Vec<String>> = table
        .metrics
        .iter()
        .map(|metric| match metric.physical {
            Physical::Int => frame.ints(&metric.column()).iter().map(|cell| format!("{cell:?}")).collect(),
            Physical::Float => frame.floats(&metric.column()).iter().map(|cell| format!("{:?}", cell.map(f64::to_bits))).collect(),
            Physical::Text => frame.texts(&metric.column()).iter().map(|cell| format!("{cell:?}")).collect(),
        })
        .collect();
    let row = |row: usize| cells.iter().map(|column| column[row].as_str()).collect::<Vec<_>>().join(" ");
    (0..frame.len()).map(|number| format!("{} {} {}", frame.times()[number], frame.monotonic()[number], row(number))).collect()
}

fn round_trip<T: Described>(ticks: &[Tick]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.baro");
    let mut recording = Recording::create(&path, Facts::default(), Options::default()).unwrap();
    let expected = taken::<T>(&mut recording, ticks);
    recording.finish(End::default(), Durability::Crash).unwrap();
    let mut expected: Vec<String> = (0..expected.len()).map(|row| row_of(&expected, row)).collect();
    let mut read = rows_read(&path, T::TABLE);
    expected.sort_unstable();
    read.sort_unstable();
    assert_eq!(read, expected, "{}", T::TABLE.name);
}

macro_rules! every_table {
    ($($Table:ident),+) => {
        #[test]
        fn what_is_taken_is_what_is_read() {
            let named = [$($Table::TABLE.name),+];
            let all: Vec<&str> = barograph_sources::tables().iter().map(|table| table.name).collect();
            assert!(all.iter().all(|name| named.contains(name)), "a table is not tried: {all:?}");
            // Many tables: few cases of each are many together.
            let config = ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() };
            proptest!(config, |(ticks in ticks())| { $(round_trip::<$Table>(&ticks);)+ });
        }
    };
}

every_table!(
    Job,
    Process,
    Processes,
    ProcessMemory,
    Cpu,
    Cores,
    System,
    Memory,
    Pressure,
    Disk,
    Filesystem,
    Network,
    Protocols,
    Events,
    Gauges,
    SpanEdges,
    Own,
    OwnSources
);

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every value of a table with one row a tick stands in the flat form, in the row of its tick and nowhere else; of a table whose rows are summed,
    /// the sum of those that count.
    #[test]
    fn the_flat_form_has_every_value_once(ticks in ticks(), counted in prop::collection::vec((any::<bool>(), prop::option::of(0_u64..1 << 40)), 1..20)) {
        let ticks: Vec<Tick> = ticks.into_iter().map(|(step, _, cells)| (step.max(1), 1, cells)).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.baro");
        let mut recording = Recording::create(&path, Facts::default(), Options::default()).unwrap();
        let memory = taken::<Memory>(&mut recording, &ticks);
        let job = taken::<Job>(&mut recording, &ticks);
        let (mut disks, mut sums) = (Rows::<Disk>::new(), vec![None; memory.len()]);
        for (row, sum) in sums.iter_mut().enumerate() {
            let at = Moment { utc_nanos: memory.utc_nanos()[row], monotonic_nanos: memory.monotonic_nanos()[row] };
            for (disk, &(counts, read)) in counted.iter().enumerate() {
                disks.row(at).text(Disk::device, format!("sd{disk}").as_bytes()).set(Disk::counted, u64::from(counts)).set(Disk::read, read);
                *sum = if counts { read.map(|read| sum.unwrap_or(0) + read as i64).or(*sum) } else { *sum };
            }
        }
        recording.take(&disks).unwrap();
        // Two readings between the last two ticks belong to the last one, and the later of them stands.
        let mut pressure = Rows::<Pressure>::new();
        let between = memory.monotonic_nanos().last_chunk().filter(|[before, last]| memory.len() > 2 && last - before > 2).map(|[_, last]| *last);
        for (nanos, seconds) in between.into_iter().flat_map(|last| [(last - 2, 1.0), (last - 1, 2.0)]) {
            // Whatever the clock on the wall said.
            pressure.row(Moment { utc_nanos: memory.utc_nanos()[0], monotonic_nanos: nanos }).set(Pressure::cpu_some, seconds);
        }
        recording.take(&pressure).unwrap();
        recording.finish(End::default(), Durability::Crash).unwrap();
        let timeline = Timeline::open(&path).unwrap();
        let pieces: Vec<_> = timeline.wide(&[Memory::TABLE.name], None, None).unwrap().map(Result::unwrap).collect();
        let times: Vec<i64> = pieces.iter().flat_map(|piece| piece.column(0).as_primitive::<TimestampNanosecondType>().values().to_vec()).collect();
        prop_assert_eq!(&times, memory.utc_nanos());
        for batch in [&*memory, &job] {
            for (metric, column) in batch.table().metrics.iter().zip(batch.columns()) {
                for (row, cell) in cells(&pieces, &metric.id(), metric.physical).into_iter().enumerate() {
                    prop_assert_eq!(cell, column.int(row), "{} at {}", metric.id(), row);
                }
            }
        }
        let read = &Disk::TABLE.metrics[Disk::read.index()];
        prop_assert_eq!(cells(&pieces, &read.id(), read.physical), sums);
        if between.is_some() {
            let waited = cells(&pieces, &Pressure::TABLE.metrics[Pressure::cpu_some.index()].id(), Physical::Float);
            let known: Vec<_> = waited.iter().enumerate().filter_map(|(row, cell)| Some((row, f64::from_bits((*cell)?.cast_unsigned())))).collect();
            prop_assert_eq!(known, [(memory.len() - 1, 2.0)]);
        }
    }
}

/// The cells of a column of the flat form, by their 64 bits.
fn cells(pieces: &[arrow_array::RecordBatch], id: &str, physical: Physical) -> Vec<Option<i64>> {
    let of_piece = |piece: &arrow_array::RecordBatch| -> Vec<Option<i64>> {
        let column = piece.column_by_name(id).unwrap();
        match physical {
            Physical::Float => column.as_primitive::<Float64Type>().iter().map(|cell| cell.map(|cell| cell.to_bits().cast_signed())).collect(),
            _ => column.as_primitive::<Int64Type>().iter().collect(),
        }
    };
    pieces.iter().flat_map(of_piece).collect()
}
