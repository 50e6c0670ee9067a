//! Events as they are now: what was said, with what was edited and deleted since.
//!
//! A recording is only ever added to. So who edits or deletes an event adds a row that names the one that it revises by its key, and readers apply the
//! revision with the highest number. What the recorder itself said is never revised: it is the record.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{Field, Schema};
use arrow_select::take::take;
use barograph_model::{Described, EventRow, Events, Moment, Rows};
use parquet::errors::ParquetError;

use crate::append::{claim, put};
use crate::{Error, Frame, Query, Timeline, spans};

/// The column that [`Timeline::events`] adds.
pub const EVENT_KEY: &str = "key";

/// Whose words stand.
const RECORDER: &str = "recorder";

/// An event as somebody says it, or wants it to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// When it happened or began.
    pub at: Moment,
    /// What it is called.
    pub name: String,
    /// More about it.
    pub detail: Option<String>,
    /// How long it lasted.
    pub duration_seconds: Option<f64>,
    /// What else there is to say: a JSON object.
    pub attributes: Option<String>,
}

impl Event {
    fn row<'a>(&'a self, by: &'a str) -> EventRow<'a> {
        EventRow {
            at: self.at,
            by,
            name: Some(&self.name),
            detail: self.detail.as_deref(),
            duration_seconds: self.duration_seconds,
            attributes: self.attributes.as_deref(),
            ..EventRow::default()
        }
    }
}

/// What is to become of an event that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Its key, as [`Timeline::events`] tells it. It stays the same, however often the event is revised.
    pub key: String,
    /// What it is from now on; `None` if it is deleted.
    pub event: Option<Event>,
}

/// Columns by their names in the file.
fn column(index: usize) -> String {
    Events::TABLE.metrics[index].column()
}

impl Timeline {
    /// The events that are asked for, whoever said them: the recorder, a program, a person or a rule. Each as it was last edited, and without those that were
    /// deleted; a column `key` names it for [`revise`]. The rows as they were written are those of [`Timeline::frame`].
    pub fn events(&self, query: &Query) -> Result<Frame, Error> {
        let table = Events::TABLE.name;
        if !self.has_table(table) {
            return Ok(spans::empty_events(query.columns.as_deref()));
        }
        let is_revised = self.last_revision()? > 0;
        let is_key_asked = query.columns.as_ref().is_none_or(|columns| columns.iter().any(|name| name == EVENT_KEY));
        if !is_revised && !is_key_asked {
            return self.frame(table, query);
        }
        // An event that was moved may have come into the time that is asked for, or gone from it.
        let all = if is_revised { Query::all() } else { Query { columns: None, equal: Vec::new(), equal_text: Vec::new(), ..query.clone() } };
        let rows = self.frame(table, &all)?;
        let failed = |source| Error::part(&self.folder().join(table), ParquetError::from(source));
        apply(&rows, query, &mut Keys::default()).map_err(failed)
    }

    /// The same in pieces of about so many rows, where nothing was revised; else in one.
    pub fn event_chunks(&self, query: &Query, rows: u64) -> Result<Box<dyn Iterator<Item = Result<Frame, Error>> + '_>, Error> {
        let table = Events::TABLE.name;
        if !self.has_table(table) || self.last_revision()? > 0 {
            return Ok(Box::new(std::iter::once(self.events(query))));
        }
        let all = Query { columns: None, equal: Vec::new(), equal_text: Vec::new(), ..query.clone() };
        let (query, mut keys) = (query.clone(), Keys::default());
        let failed = move |source| Error::part(&self.folder().join(table), ParquetError::from(source));
        Ok(Box::new(self.chunks(table, &all, rows)?.map(move |chunk| apply(&chunk?, &query, &mut keys).map_err(failed))))
    }

    /// The highest number of a revision that there is, or 0.
    fn last_revision(&self) -> Result<i64, Error> {
        let number = column(Events::revision.index());
        let numbers = self.frame(Events::TABLE.name, &Query::all().columns([number.clone()]))?.ints(&number);
        Ok(numbers.into_iter().flatten().max().unwrap_or(0))
    }
}

/// Edits and deletes events of a recording that nobody writes any more. All of it happens, or nothing does.
pub fn revise(folder: &Path, by: &str, revisions: &[Revision]) -> Result<(), Error> {
    let claim = claim(folder)?;
    let timeline = Timeline::with_facts(folder, claim.facts().clone());
    let mut number = if timeline.has_table(Events::TABLE.name) { timeline.last_revision()? } else { 0 };
    let known = timeline.events(&Query::all())?;
    let mut rows = Rows::<Events>::new();
    for revision in revisions {
        let at = revisable(&known, &revision.key)?;
        number += 1;
        let row = revision.event.as_ref().map_or(EventRow { at, by, ..EventRow::default() }, |event| event.row(by));
        rows.add(EventRow { revises: Some(&revision.key), revision: u64::try_from(number).ok(), ..row });
    }
    put(&claim, &rows)
}

/// Adds events to a recording that nobody writes any more.
pub fn add_events(folder: &Path, by: &str, events: &[Event]) -> Result<(), Error> {
    let mut rows = Rows::<Events>::new();
    events.iter().for_each(|event| rows.add(event.row(by)));
    put(&claim(folder)?, &rows)
}

/// When the event of this key is, among those that there are now, if it may be revised.
pub fn revisable(events: &Frame, key: &str) -> Result<Moment, Error> {
    let keys = events.texts(EVENT_KEY);
    let Some(row) = keys.iter().position(|known| *known == Some(key)) else { return Err(Error::NoEvent { key: key.to_owned() }) };
    if events.texts(&column(Events::by.index()))[row] == Some(RECORDER) {
        return Err(Error::NotRevisable { key: key.to_owned() });
    }
    Ok(Moment { utc_nanos: events.times()[row], monotonic_nanos: events.monotonic()[row] })
}

/// The rows that are events of their own, as the last revision of each has them.
fn apply(rows: &Frame, query: &Query, keys: &mut Keys) -> Result<Frame, arrow_schema::ArrowError> {
    let texts = |index: usize| rows.texts(&column(index));
    let (by, names, revises) = (texts(Events::by.index()), texts(Events::name.index()), texts(Events::revises.index()));
    let numbers = rows.ints(&column(Events::revision.index()));
    // Of each event that was revised the latest revision, and its row.
    let mut latest: HashMap<&str, (Option<i64>, usize)> = HashMap::new();
    for (row, key) in revises.iter().enumerate() {
        let Some(key) = key else { continue };
        let last = latest.entry(key).or_insert((numbers[row], row));
        *last = (*last).max((numbers[row], row));
    }
    let keys = keys.of(rows);
    // Each event's own row, the one that says how it is now, and its key.
    let mut events: Vec<(usize, usize)> = Vec::new();
    for row in (0..rows.len()).filter(|row| revises[*row].is_none()) {
        match latest.get(keys[row].as_str()).filter(|_| by[row] != Some(RECORDER)) {
            None => events.push((row, row)),
            // Without a name it was deleted.
            Some((_, revision)) if names[*revision].is_some() => events.push((row, *revision)),
            Some(_) => {}
        }
    }
    let (times, monotonic) = (rows.times(), rows.monotonic());
    let is_in = |time: i64| query.from.is_none_or(|from| time >= from) && query.to.is_none_or(|to| time <= to);
    let is_in_monotonic = |time: i64| query.monotonic.is_none_or(|(from, to)| (from..=to).contains(&time));
    events.retain(|(_, said)| is_in(times[*said]) && is_in_monotonic(monotonic[*said]));
    for (name, value) in &query.equal {
        let cells = rows.ints(name);
        events.retain(|event| cells[source_of(name, *event)] == Some(*value));
    }
    for (name, value) in &query.equal_text {
        let cells = rows.texts(name);
        events.retain(|event| cells[source_of(name, *event)] == Some(value.as_str()));
    }
    events.sort_by_key(|(_, said)| monotonic[*said]);
    let schema = rows.batch().schema();
    let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
    for (field, array) in schema.fields().iter().zip(rows.batch().columns()) {
        if *field.name() == column(Events::revises.index()) {
            continue;
        }
        let places = UInt64Array::from_iter_values(events.iter().map(|event| source_of(field.name(), *event) as u64));
        fields.push(Arc::clone(field));
        arrays.push(take(array, &places, None)?);
    }
    let help = [("help", "Names the event, for whoever edits or deletes it.")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let known: StringArray = events.iter().map(|(row, _)| Some(keys[*row].as_str())).collect();
    fields.push(Arc::new(Field::new(EVENT_KEY, known.data_type().clone(), true).with_metadata(help.into_iter().collect::<HashMap<_, _>>())));
    arrays.push(Arc::new(known));
    let all = RecordBatch::try_new(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())), arrays)?;
    Ok(Frame::new(chosen(all, query.columns.as_deref())?))
}

/// Of an event's own row and the one that says how it is now, the one that this column is of. Who said it, in which process, stays.
fn source_of(name: &str, (own, said): (usize, usize)) -> usize {
    let stay = [Events::by.index(), Events::pid.index(), Events::thread.index()];
    if stay.iter().any(|index| column(*index) == name) { own } else { said }
}

/// These columns, the times before them.
fn chosen(batch: RecordBatch, columns: Option<&[String]>) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let Some(columns) = columns else { return Ok(batch) };
    let schema = batch.schema();
    let place = |name: &String| schema.fields().iter().position(|field| field.name() == name);
    let mut places = vec![0, 1];
    places.extend(columns.iter().filter_map(place).filter(|place| *place > 1));
    batch.project(&places)
}

/// What names rows: the monotonic time of each and a hash of what it says. Of rows that say the same at the same time the second has `-2` behind.
#[derive(Default)]
struct Keys {
    /// The time of the last row, and how many there are of each key at that time.
    at: i64,
    same: HashMap<String, u32>,
}

impl Keys {
    /// Those of these rows, which follow those of before.
    fn of(&mut self, rows: &Frame) -> Vec<String> {
        let texts = |index: usize| rows.texts(&column(index));
        let said = [Events::by, Events::name, Events::detail, Events::attributes].map(|field| texts(field.index()));
        let pids = rows.ints(&column(Events::pid.index()));
        let revises = texts(Events::revises.index());
        let key = |row: usize| {
            let mut hash = Fnv::new();
            said.iter().for_each(|texts| hash.add(texts[row].unwrap_or_default().as_bytes()));
            hash.add(pids[row].map(|pid| pid.to_string()).unwrap_or_default().as_bytes());
            format!("{}-{:016x}", rows.monotonic()[row], hash.0)
        };
        let mut keys = Vec::with_capacity(rows.len());
        for (row, (revised, &time)) in revises.iter().zip(rows.monotonic()).enumerate() {
            // A revision has no key of its own.
            if revised.is_some() {
                keys.push(String::new());
                continue;
            }
            if std::mem::replace(&mut self.at, time) != time {
                self.same.clear();
            }
            let key = key(row);
            let count = self.same.entry(key.clone()).or_default();
            *count += 1;
            keys.push(if *count == 1 { key } else { format!("{key}-{count}") });
        }
        keys
    }
}

/// FNV-1a with 64 bits: short enough to be told in FORMAT.md.
struct Fnv(u64);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a text, and a zero behind it.
    fn add(&mut self, text: &[u8]) {
        for byte in text.iter().chain([&0]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use barograph_model::Sink;
    use proptest::prelude::*;

    use super::*;
    use crate::{Durability, End, Facts, Options, Recording, append};

    fn event(time: i64, name: &str) -> Event {
        Event { at: Moment { utc_nanos: time, monotonic_nanos: time }, name: name.to_owned(), ..Event::default() }
    }

    /// A recording that has ended, with an event of the recorder.
    fn ended(folder: &Path) -> PathBuf {
        let path = folder.join("run.baro");
        let mut recording = Recording::create(&path, Facts::default(), Options::default()).unwrap();
        let mut rows = Rows::<Events>::new();
        rows.add(EventRow { by: RECORDER, ..event(1, "started").row(RECORDER) });
        recording.take(&rows).unwrap();
        recording.finish(End::default(), Durability::Crash).unwrap();
        path
    }

    /// The events of a recording: key, time, name, and who said it.
    fn all(path: &Path, query: &Query) -> Vec<(String, i64, String, String)> {
        let timeline = Timeline::open(path).unwrap();
        let frame = timeline.events(query).unwrap();
        assert!(timeline.damaged().is_empty());
        let (keys, names, by) = (frame.texts("key"), frame.texts("name"), frame.texts("by"));
        let own = |text: Option<&str>| text.unwrap_or_default().to_owned();
        (0..frame.len()).map(|row| (own(keys[row]), frame.times()[row], own(names[row]), own(by[row]))).collect()
    }

    fn key_of(path: &Path, name: &str) -> String {
        all(path, &Query::all()).into_iter().find(|event| event.2 == name).unwrap().0
    }

    #[test]
    fn an_event_is_edited_deleted_and_keeps_its_key_and_its_speaker() {
        let folder = tempfile::tempdir().unwrap();
        let path = ended(folder.path());
        add_events(&path, "program", &[event(10, "a"), event(20, "b")]).unwrap();
        let (a, b) = (key_of(&path, "a"), key_of(&path, "b"));
        let edit = |key: &str, event: Event| revise(&path, "person", &[Revision { key: key.to_owned(), event: Some(event) }]);
        edit(&a, Event { detail: Some("why".to_owned()), ..event(30, "A") }).unwrap();
        let names = |query: &Query| all(&path, query).into_iter().map(|event| format!("{} {}", event.2, event.3)).collect::<Vec<_>>();
        assert_eq!(names(&Query::all()), ["started recorder", "b program", "A program"]);
        assert_eq!(key_of(&path, "A"), a);
        // It has gone from the time where it was, and come to where it is.
        assert_eq!(names(&Query::all().between(Some(5), Some(25))), ["b program"]);
        assert_eq!(names(&Query::all().between(Some(25), None)), ["A program"]);
        assert_eq!(names(&Query::all().equal_text("name", "a")), [] as [String; 0]);
        edit(&a, event(2, "again")).unwrap();
        let delete = |key: &str| revise(&path, "person", &[Revision { key: key.to_owned(), event: None }]);
        delete(&b).unwrap();
        assert_eq!(names(&Query::all()), ["started recorder", "again program"]);
        assert!(matches!(delete(&b), Err(Error::NoEvent { .. })), "it is not there any more");
        assert!(matches!(delete("7-0000000000000000"), Err(Error::NoEvent { .. })));
        assert!(matches!(delete(&key_of(&path, "started")), Err(Error::NotRevisable { .. })));
        // What happened is there all the same.
        let timeline = Timeline::open(&path).unwrap();
        let raw = timeline.frame("events", &Query::all()).unwrap();
        assert_eq!((raw.len(), raw.ints("revision").into_iter().flatten().max()), (6, Some(3)));
        let frame = timeline.events(&Query::all().columns(["detail", "key", "no such"])).unwrap();
        assert_eq!((frame.columns(), frame.texts("detail")), (vec!["detail".to_owned(), "key".to_owned()], vec![None, None]));
        assert!(crate::repair(&path).unwrap().is_clean());
    }

    #[test]
    fn nothing_is_revised_by_halves() {
        let folder = tempfile::tempdir().unwrap();
        let path = ended(folder.path());
        add_events(&path, "person", &[event(10, "a")]).unwrap();
        let known = Revision { key: key_of(&path, "a"), event: None };
        let unknown = Revision { key: "no".to_owned(), event: None };
        assert!(revise(&path, "person", &[known, unknown]).is_err());
        assert_eq!(all(&path, &Query::all()).len(), 2);
    }

    #[test]
    fn a_revision_of_what_the_recorder_said_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = ended(folder.path());
        let key = key_of(&path, "started");
        let mut rows = Rows::<Events>::new();
        rows.add(EventRow { by: "program", revises: Some(&key), revision: Some(1), ..EventRow::default() });
        append(&path, &rows).unwrap();
        assert_eq!(all(&path, &Query::all()).len(), 1);
    }

    #[test]
    fn keys_are_as_the_format_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = ended(folder.path());
        add_events(&path, "person", &[event(10, "é"), event(10, "é"), event(10, "f")]).unwrap();
        let keys: Vec<String> = all(&path, &Query::all()).into_iter().map(|event| event.0).collect();
        // FNV-1a of "person\0é\0\0\0\0".
        assert_eq!(keys[1], "10-f178cf562d0766b0");
        assert_eq!(keys[2], format!("{}-2", keys[1]));
        assert_ne!(keys[3], keys[1]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(i64, u8),
        Edit(usize, i64, u8),
        Delete(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (2_i64..20, 0_u8..3).prop_map(|(time, name)| Step::Add(time, name)),
            (any::<usize>(), 2_i64..20, 0_u8..3).prop_map(|(which, time, name)| Step::Edit(which, time, name)),
            any::<usize>().prop_map(Step::Delete),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Whatever is added, edited and deleted, one by one or together: what there is is what a plain list of events would have.
        #[test]
        fn revisions_come_to_what_a_plain_model_gives(steps in prop::collection::vec(step(), 1..24), from in 0_i64..20, to in 0_i64..20) {
            let folder = tempfile::tempdir().unwrap();
            let path = ended(folder.path());
            // What the model knows of each event: key, time, name.
            let mut model: Vec<(String, i64, String)> = all(&path, &Query::all()).into_iter().map(|event| (event.0, event.1, event.2)).collect();
            let started = model[0].0.clone();
            for step in steps {
                let theirs: Vec<usize> = (0..model.len()).filter(|place| model[*place].0 != started).collect();
                match step {
                    Step::Add(time, name) => {
                        let name = name.to_string();
                        add_events(&path, "person", &[event(time, &name)]).unwrap();
                        let known: Vec<&String> = model.iter().map(|event| &event.0).collect();
                        let new = all(&path, &Query::all()).into_iter().map(|event| event.0).find(|key| !known.contains(&key));
                        // One that says what a deleted one said takes its place behind it, and is another.
                        let key = new.unwrap();
                        model.push((key, time, name));
                    }
                    Step::Edit(which, time, name) if !theirs.is_empty() => {
                        let (place, name) = (theirs[which % theirs.len()], name.to_string());
                        let key = model[place].0.clone();
                        revise(&path, "person", &[Revision { key: key.clone(), event: Some(event(time, &name)) }]).unwrap();
                        model[place] = (key, time, name);
                    }
                    Step::Delete(which) if !theirs.is_empty() => {
                        let (key, ..) = model.remove(theirs[which % theirs.len()]);
                        revise(&path, "person", &[Revision { key, event: None }]).unwrap();
                    }
                    _ => {}
                }
            }
            let expected = |from: i64, to: i64| {
                let mut all: Vec<_> = model.iter().filter(|event| (from..=to).contains(&event.1)).cloned().collect();
                all.sort();
                all
            };
            let found = |query: &Query| {
                let mut found: Vec<_> = all(&path, query).into_iter().map(|event| (event.0, event.1, event.2)).collect();
                prop_assert!(found.iter().map(|event| event.1).is_sorted());
                found.sort();
                Ok(found)
            };
            prop_assert_eq!(found(&Query::all())?, expected(i64::MIN, i64::MAX));
            prop_assert_eq!(found(&Query::all().between(Some(from), Some(to)))?, expected(from, to));
        }
    }
}
