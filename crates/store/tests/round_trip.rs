//! What is written is what is read: every type, every state of the file, any choice of rows.

mod common;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use barograph_model::{Described, Physical, Rows, Sink};
use barograph_store::{Durability, Error, Facts, Query, State, Timeline};
use common::{BEGIN, Machine, Processes, SECOND, at, check, check_processes, end, machine, processes, recording};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

#[test]
fn every_type_comes_back_with_its_nulls_and_its_metadata() {
    let (_folder, path, mut recording) = recording();
    (0..300).for_each(|tick| recording.take(&machine(tick)).unwrap());
    recording.finish(end(300), Durability::PowerCut).unwrap();
    let timeline = Timeline::open(&path).unwrap();
    check(&timeline, 300, 0);
    let frame = timeline.frame("machine", &Query::all()).unwrap();
    assert_eq!(frame.ints("mood")[60], Some(-10));
    assert_eq!(frame.ints("mood")[2], None);
    assert_eq!(frame.texts("doing")[..6], [None, Some("résumé, \"quoted\""), Some("résumé, \"quoted\""), Some("résumé, \"quoted\""), None, Some("")]);
    assert_eq!(frame.monotonic()[7], at(7).monotonic_nanos);
    let table = timeline.table("machine").unwrap();
    assert_eq!((table.help.as_str(), table.rows, table.range), ("One row a tick.", 300, Some((at(0).utc_nanos, at(299).utc_nanos))));
    for (field, metric) in table.fields.iter().zip(Machine::TABLE.metrics) {
        assert_eq!((field.id.as_str(), field.help.as_str(), field.origin.as_str()), (metric.id().as_str(), metric.help(), metric.origin));
        assert_eq!((field.kind.as_str(), field.unit.as_str(), field.ucum.as_str()), (metric.kind.name(), metric.unit.name(), metric.unit.ucum()));
        assert_eq!(field.physical, Some(metric.physical));
    }
    assert_eq!(table.fields[3].physical, Some(Physical::Text));
}

#[test]
fn after_every_publish_each_row_stands_once() {
    let (_folder, path, mut recording) = recording();
    let timeline = Timeline::open(&path).unwrap();
    for tick in 0..1200 {
        recording.take(&machine(tick)).unwrap();
        recording.take(&processes(tick, 250)).unwrap();
        if tick % 7 == 6 {
            recording.publish().unwrap();
            assert_eq!(timeline.table("machine").unwrap().rows, tick as u64 + 1);
            assert_eq!(timeline.table("process").unwrap().rows, (tick as u64 + 1) * 250);
        }
        if tick % 420 == 419 {
            check(&timeline, tick + 1, 250);
        }
    }
    assert_eq!(timeline.state(), State::Live);
    recording.finish(end(1200), Durability::PowerCut).unwrap();
    let timeline = Timeline::open(&path).unwrap();
    check(&timeline, 1200, 250);
    assert_eq!(timeline.state(), State::Ended);
    assert!(timeline.table("process").unwrap().parts > 1, "the test should see parts sealed");
    let hidden = fs::read_dir(path.join("process")).unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with('.')).count();
    assert_eq!(hidden, 0, "no leftovers");
}

#[test]
fn a_reader_beside_the_writer_sees_a_beginning_without_holes() {
    let (_folder, path, mut recording) = recording();
    let done = AtomicBool::new(false);
    recording.take(&machine(0)).unwrap();
    recording.publish().unwrap();
    let reads = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let timeline = Timeline::open(&path).unwrap();
            let (mut reads, mut before) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let frame = timeline.frame("machine", &Query::all().columns(["used_bytes"])).unwrap();
                assert!(frame.times().iter().enumerate().all(|(tick, &time)| time == at(tick as i64).utc_nanos), "no hole, no row twice");
                assert!(frame.len() >= before, "what was there stays there");
                (reads, before) = (reads + 1, frame.len());
            }
            assert_eq!(timeline.damaged(), []);
            reads
        });
        for tick in 1..2000 {
            recording.take(&machine(tick)).unwrap();
            recording.take(&processes(tick, 40)).unwrap();
            if tick % 5 == 0 {
                recording.publish().unwrap();
            }
        }
        recording.finish(end(2000), Durability::PowerCut).unwrap();
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(reads > 3, "{reads} reads");
    check(&Timeline::open(&path).unwrap(), 2000, 0);
}

#[test]
fn queries_choose_time_columns_and_subjects() {
    let (_folder, path, mut recording) = recording();
    for tick in 0..500 {
        recording.take(&machine(tick)).unwrap();
        recording.take(&processes(tick, 50)).unwrap();
    }
    recording.finish(end(500), Durability::Crash).unwrap();
    let timeline = Timeline::open(&path).unwrap();
    let some =
        Query::all().between(Some(BEGIN + 100 * SECOND), Some(BEGIN + 199 * SECOND)).columns(["threads", "no such column", "pid"]).equal("pid", 8);
    let frame = timeline.frame("process", &some).unwrap();
    assert_eq!(frame.columns(), ["threads", "pid"]);
    assert_eq!((frame.len(), frame.times()[0], frame.ints("threads")[0]), (100, BEGIN + 100 * SECOND, Some(8)));
    assert_eq!(frame.ints("no such column")[0], None);
    assert_eq!(timeline.frame("process", &Query::all().equal("pid", 4711)).unwrap().len(), 0);
    assert_eq!(timeline.frame("process", &Query::all().equal("galaxy", 1)).unwrap().len(), 0);
    assert_eq!(
        timeline.frame("machine", &Query::all().equal_text("doing", "")).unwrap().len(),
        (0..500).filter(|tick| tick % 4 != 0 && tick % 8 > 3).count()
    );
    let life = timeline.process_life(8, 80).unwrap();
    assert_eq!((life.samples.len(), life.identity.len()), (500, 0));
    assert_eq!(timeline.process_life(8, 81).unwrap().samples.len(), 0, "another process with that pid");
}

#[test]
fn buckets_hold_what_the_rows_say() {
    let (_folder, path, mut recording) = recording();
    (0..1000).for_each(|tick| recording.take(&machine(tick)).unwrap());
    recording.publish().unwrap();
    let timeline = Timeline::open(&path).unwrap();
    let buckets = timeline.thin("machine", "mood", &Query::all(), 10).unwrap();
    assert_eq!(buckets.len(), 10);
    assert_eq!((buckets[0].max, buckets[9].min), (50.0, 50.0 - 999.0));
    assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), (0..1000).filter(|tick| tick % 3 != 2).count() as u64);
    assert!(matches!(timeline.thin("machine", "mud", &Query::all(), 10), Err(Error::NoColumn { .. })));
    assert!(matches!(timeline.thin("machine", "doing", &Query::all(), 10), Err(Error::NotNumeric { .. })));
    assert!(matches!(timeline.thin("mashine", "mood", &Query::all(), 10), Err(Error::NoTable { .. })));
}

#[test]
fn the_processes_of_a_moment_have_the_names_that_they_had() {
    let (_folder, path, mut recording) = recording();
    let named = |tick: i64, pid: u64, name: &str| {
        let mut rows = Rows::<Processes>::new();
        rows.row(at(tick)).set(Processes::pid, pid).set(Processes::start_ticks, pid * 10).text(Processes::name, name.as_bytes());
        rows
    };
    recording.take(&named(0, 1, "sh")).unwrap();
    recording.take(&named(0, 2, "python")).unwrap();
    recording.take(&named(50, 1, "make")).unwrap();
    for tick in 0..100 {
        recording.take(&processes(tick, if tick < 30 { 3 } else { 1 })).unwrap();
    }
    recording.publish().unwrap();
    let timeline = Timeline::open(&path).unwrap();
    let names = |tick: i64| {
        let found = timeline.processes_at(at(tick).utc_nanos).unwrap();
        assert_eq!(found.samples.len(), found.identities.len());
        assert!(found.samples.times().iter().all(|&time| time == at(tick.min(29)).utc_nanos || time == at(tick).utc_nanos));
        let names = found.identities.texts("name").into_iter().map(|name| name.unwrap_or("?").to_owned());
        found.samples.ints("pid").into_iter().flatten().zip(names).collect::<Vec<_>>()
    };
    let pairs = |pairs: &[(i64, &str)]| pairs.iter().map(|(pid, name)| (*pid, (*name).to_owned())).collect::<Vec<_>>();
    assert_eq!(names(20), pairs(&[(1, "sh"), (2, "python"), (3, "?")]));
    assert_eq!(names(31), pairs(&[(1, "sh"), (2, "python"), (3, "?")]), "within two seconds");
    assert_eq!(names(40), pairs(&[(1, "sh")]));
    assert_eq!(names(60), pairs(&[(1, "make")]));
    assert_eq!(timeline.process_life(1, 10).unwrap().identity.texts("name"), [Some("sh"), Some("make")]);
}

#[test]
fn parts_of_other_versions_are_read_together() {
    let (_folder, path, mut recording) = recording();
    recording.take(&machine(0)).unwrap();
    recording.finish(end(1), Durability::Crash).unwrap();
    let (_other_folder, other, mut younger) = common::recording();
    younger.take(&processes(1, 1)).unwrap();
    younger.finish(end(2), Durability::Crash).unwrap();
    // A part with other columns under the next number of the same table.
    fs::copy(other.join("process/000000.parquet"), path.join("machine/000001.parquet")).unwrap();
    let timeline = Timeline::open(&path).unwrap();
    let frame = timeline.frame("machine", &Query::all()).unwrap();
    assert_eq!(frame.ints("pid"), [None, Some(1)]);
    assert_eq!(frame.ints("mood"), [Some(50), None]);
}

#[test]
fn facts_come_back() {
    let (_folder, path, mut recording) = recording();
    recording.facts_mut().sources.insert("gpu".into(), "no such device".into());
    recording.publish().unwrap();
    recording.finish(end(3), Durability::Crash).unwrap();
    let facts: Facts = Facts::read(&path).unwrap();
    assert_eq!(&facts, recording.facts());
    assert_eq!(facts.end.unwrap().reason, "exited");
}

/// polars and DuckDB open a file more than once: the index that they have read must fit the rows that they read later.
#[test]
fn a_state_of_a_part_holds_the_one_before() {
    let (_folder, path, mut recording) = recording();
    let part = path.join("process/000000.parquet");
    let (mut kept, mut compacted) = (0, 0);
    let mut before: Option<(Vec<u8>, ParquetMetaData)> = None;
    for tick in 0..400 {
        recording.take(&processes(tick, 40)).unwrap();
        recording.publish().unwrap();
        let bytes = fs::read(&part).unwrap();
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&fs::File::open(&part).unwrap()).unwrap();
        if let Some((old, old_metadata)) = before {
            let index = old.len() - 8 - u32::from_le_bytes(old[old.len() - 8..old.len() - 4].try_into().unwrap()) as usize;
            let columns = old_metadata.row_groups().iter().flat_map(|group| group.columns()).map(|column| column.byte_range());
            let mut places = columns.map(|(begin, length)| begin as usize..(begin + length) as usize).chain(std::iter::once(index..old.len()));
            let same = places.all(|place| bytes.get(place.clone()) == Some(&old[place]));
            *(if same { &mut kept } else { &mut compacted }) += 1;
        }
        before = Some((bytes, metadata));
    }
    assert!(kept > 10 * compacted && compacted > 0, "{kept} states kept the one before, {compacted} closed a row group");
    check_processes(&Timeline::open(&path).unwrap(), 400, 40);
}
