//! Events that a person adds, edits and deletes, while it goes on and after the end.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::path::Path;
use std::time::{Duration, Instant};

use barograph_session::{Order, OrderError, Session, Settings, add_events, moment, order, revise_events};
use barograph_store::{Error, Event, Query, Revision, Timeline};

fn start(path: &Path) -> Session {
    let mut settings = Settings { path: Some(path.to_owned()), process_memory: false, ..Settings::default() };
    (settings.options.interval, settings.options.write_interval) = (Duration::from_secs(3600), Duration::from_secs(3600));
    Session::start(settings).unwrap()
}

/// The events that are not the recorder's: key, name, detail, UTC time, duration, attributes, who said it.
type Known = (String, String, Option<String>, i64, Option<f64>, Option<String>, String);

fn events(path: &Path) -> Vec<Known> {
    let frame = Timeline::open(path).unwrap().events(&Query::all()).unwrap();
    let texts = |column: &str| frame.texts(column).into_iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>();
    let (keys, names, details, attributes, by) = (texts("key"), texts("name"), texts("detail"), texts("attributes"), texts("by"));
    let durations = frame.floats("duration_seconds");
    let of = |row: usize| {
        let own = |texts: &[Option<String>]| texts[row].clone();
        (own(&keys).unwrap(), own(&names).unwrap(), own(&details), frame.times()[row], durations[row], own(&attributes), own(&by).unwrap())
    };
    (0..frame.len()).map(of).filter(|event| event.6 != "recorder").collect()
}

fn key_of(path: &Path, name: &str) -> String {
    events(path).into_iter().find(|event| event.1 == name).unwrap_or_else(|| panic!("{name}: {:?}", events(path))).0
}

fn eventually(what: &str, so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Adds, edits and deletes, whatever the state of the recording is; `see` makes what was said visible.
fn work_on(path: &Path, see: impl Fn()) {
    let facts = Timeline::open(path).unwrap().facts().clone();
    let at = moment(&facts, facts.clock.utc_nanos + 1_000_000);
    assert_eq!(at.monotonic_nanos, facts.clock.monotonic_nanos + 1_000_000);
    let plain = |name: &str| Event { at, name: name.to_owned(), ..Event::default() };
    let full = Event {
        detail: Some("why \"so\"".to_owned()),
        duration_seconds: Some(2.5),
        attributes: Some(r#"{"a":[1,"é"]}"#.to_owned()),
        ..plain("full")
    };
    add_events(path, "person", &[plain("wrong"), full, plain("kept")]).unwrap();
    see();
    assert_eq!(events(path).len(), 3);
    let full = events(path).into_iter().find(|event| event.1 == "full").unwrap();
    assert_eq!((full.2.as_deref(), full.3, full.4, full.5.as_deref()), (Some("why \"so\""), at.utc_nanos, Some(2.5), Some(r#"{"a":[1,"é"]}"#)));
    let (wrong, full) = (key_of(path, "wrong"), full.0);
    let later = Event { at: moment(&facts, facts.clock.utc_nanos + 2_000_000), name: "right".to_owned(), ..Event::default() };
    revise_events(path, "person", &[Revision { key: wrong.clone(), event: Some(later.clone()) }, Revision { key: full, event: None }]).unwrap();
    see();
    let left = events(path);
    let said: Vec<_> = left.iter().map(|event| (event.1.as_str(), event.3 - facts.clock.utc_nanos)).collect();
    assert_eq!(said, [("kept", 1_000_000), ("right", 2_000_000)]);
    assert_eq!(left[1].0, wrong, "an event keeps its key");
    let unknown = revise_events(path, "person", &[Revision { key: "5-0".to_owned(), event: None }]);
    assert!(matches!(unknown, Err(OrderError::Recording(Error::NoEvent { .. }))), "{unknown:?}");
    // The last word counts, whatever comes between.
    for name in ["once", "twice"] {
        revise_events(path, "person", &[Revision { key: wrong.clone(), event: Some(Event { name: name.to_owned(), ..later.clone() }) }]).unwrap();
    }
    see();
    assert_eq!(events(path).iter().map(|event| event.1.as_str()).collect::<Vec<_>>(), ["kept", "twice"]);
}

#[test]
fn events_of_a_recording_that_goes_on_are_revised() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"));
    // Nothing is said to have happened before it did.
    std::thread::sleep(Duration::from_millis(5));
    let path = session.path().to_owned();
    work_on(&path, || order(&path, &Order::Read).unwrap());
    let frame = Timeline::open(&path).unwrap().events(&Query::all()).unwrap();
    let (names, keys) = (frame.texts("name"), frame.texts("key"));
    let started = names.iter().position(|name| *name == Some("attached")).unwrap();
    let refused = revise_events(&path, "person", &[Revision { key: keys[started].unwrap().to_owned(), event: None }]);
    assert!(matches!(refused, Err(OrderError::Recording(Error::NotRevisable { .. }))), "{refused:?}");
    // What is added is seen without another word.
    let at = barograph_record::now();
    add_events(&path, "person", &[Event { at, name: "soon".to_owned(), ..Event::default() }]).unwrap();
    eventually("it is published", || events(&path).iter().any(|event| event.1 == "soon"));
    let end = session.stop().unwrap();
    assert_eq!(end.outcome.heard.lost(), 0);
    // After the end it goes on where it was.
    revise_events(&path, "person", &[Revision { key: key_of(&path, "twice"), event: None }]).unwrap();
    assert_eq!(events(&path).iter().map(|event| event.1.as_str()).collect::<Vec<_>>(), ["kept", "soon"]);
}

#[test]
fn events_of_a_recording_that_has_ended_are_revised() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"));
    session.stop().unwrap();
    work_on(session.path(), || {});
}
