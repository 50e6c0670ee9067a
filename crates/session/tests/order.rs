//! A recording that goes on is changed, looked at and ended from outside: by the handle, and by another process.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use barograph_session::{Change, Error, Order, OrderError, Session, Settings, Watched, order};
use barograph_store::{Figure, Frame, Query, State, Timeline, gaps};

const HOUR: Duration = Duration::from_secs(3600);

fn settings(path: &Path, interval: Duration) -> Settings {
    let mut settings = Settings { path: Some(path.to_owned()), process_memory: false, ..Settings::default() };
    settings.options.interval = interval;
    settings.options.write_interval = HOUR;
    settings.options.dense_start = false;
    settings
}

fn start(path: &Path, interval: Duration) -> Session {
    Session::start(settings(path, interval)).unwrap()
}

fn rows(path: &Path, table: &str) -> Frame {
    Timeline::open(path).unwrap().frame(table, &Query::all()).unwrap()
}

/// Asks until it is so.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn every(interval: Duration) -> Change {
    Change { interval: Some(interval), ..Change::default() }
}

/// Who said what.
fn said(path: &Path) -> Vec<(String, String)> {
    let events = rows(path, "events");
    let (by, names) = (events.texts("by"), events.texts("name"));
    by.into_iter().zip(names).map(|(by, name)| (by.unwrap().to_owned(), name.unwrap().to_owned())).collect()
}

#[test]
fn the_pace_changes_at_once_and_no_row_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), HOUR);
    std::thread::sleep(Duration::from_millis(2500));
    session.set(every(Duration::from_millis(20))).unwrap();
    // The change is on disk at once, and the ticks come.
    let facts = Timeline::open(session.path()).unwrap().facts().clone();
    eventually("ticks", || {
        session.snapshot_now().unwrap();
        (rows(session.path(), "own").len() > 20).then_some(())
    });
    session.set(every(HOUR)).unwrap();
    let ticks = rows(session.path(), "own").len();
    session.set(Change::default()).unwrap();
    let end = session.stop().unwrap();
    let timeline = Timeline::open(&end.path).unwrap();
    assert_eq!((facts.interval_seconds, timeline.facts().interval_seconds), (0.02, 3600.0));
    assert_eq!(timeline.facts().longest_interval_seconds, Some(3600.0));
    let own = rows(&end.path, "own");
    assert!(own.len() <= ticks + 2, "{} and {ticks}", own.len());
    // Whoever read at the fast pace saw no gap in the slow one before.
    assert_eq!(gaps(&own, facts.stale_nanos()), []);
    // The rate of the first row after the change is that of the time since the one before, which is no gap though it lies farther back than three new ticks.
    let series = Figure::of(barograph_sources::Own::cpu).series(&own, facts.stale_nanos());
    assert!(series.points.iter().skip(1).all(|point| matches!(point.value, barograph_model::Rate::Value(_))), "{:?}", series.points);
    let said = said(&end.path);
    assert!(!said.iter().any(|(_, name)| name == "gap"), "{said:?}");
    let changes: Vec<&str> = said.iter().filter(|(by, _)| by == "program").map(|(_, name)| name.as_str()).collect();
    assert_eq!(changes, ["interval 3600 s → 20 ms", "interval 20 ms → 3600 s"], "one for each change, and none for none");
}

#[test]
fn what_is_recorded_changes() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { watched: Watched::Machine, processes: Some("none".parse().unwrap()), ..settings(&folder.path().join("run"), HOUR) };
    let session = Session::start(Settings { without: vec!["disk".to_owned()], ..settings }).unwrap();
    let read = || {
        session.snapshot_now().unwrap();
        Timeline::open(session.path()).unwrap()
    };
    let count = |timeline: &Timeline, table: &str| if timeline.has_table(table) { timeline.table(table).unwrap().rows } else { 0 };
    let timeline = read();
    assert_eq!(timeline.facts().sources["disk"], "left out");
    let before = ["process", "disk", "memory"].map(|table| count(&timeline, table));
    assert_eq!(before, [0, 0, 2]);
    let wanted = |without: &[&str], processes: &str| Change {
        without: Some(without.iter().map(|name| (*name).to_owned()).collect()),
        processes: Some(processes.parse().unwrap()),
        ..Change::default()
    };
    session.set(wanted(&["memory", "network"], "all")).unwrap();
    let timeline = read();
    let own = i64::from(std::process::id());
    assert!(rows(session.path(), "process").ints("pid").contains(&Some(own)) && rows(session.path(), "process").ints("pid").contains(&Some(1)));
    assert_eq!(count(&timeline, "memory"), 2);
    assert_eq!((timeline.facts().sources["disk"].as_str(), timeline.facts().sources["memory"].as_str()), ("ok", "left out"));
    assert_eq!((timeline.facts().processes.selection.as_str(), timeline.facts().processes.left_out.as_deref()), ("all", None));
    session.set(wanted(&[], "top:2")).unwrap();
    let counts = |timeline: &Timeline| ["process", "memory"].map(|table| count(timeline, table));
    let [processes, memory] = counts(&read());
    session.set(wanted(&[], "none")).unwrap();
    assert_eq!(counts(&read()), [processes, memory + 1]);
    session.set(wanted(&[], "name:^session-no-such$")).unwrap();
    assert_eq!(count(&read(), "process"), processes);
    session.stop().unwrap();
    let last = rows(session.path(), "process");
    let of_last = last.times().iter().rev().take_while(|time| *time == last.times().last().unwrap()).count();
    assert_eq!(of_last, 2, "these are of top:2");
}

#[test]
fn children_of_a_program_that_records_itself_stay_what_they_are_when_others_are_watched_too() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), HOUR);
    let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
    session.snapshot_now().unwrap();
    let members = |path: &Path| rows(path, "job").ints("processes").last().copied().flatten().unwrap();
    let before = members(session.path());
    for choice in ["all", "tree", "all", "none", "tree"] {
        session.set(Change { processes: Some(choice.parse().unwrap()), ..Change::default() }).unwrap();
        session.snapshot_now().unwrap();
        let after = members(session.path());
        // Other tests start and end processes of this program meanwhile; process 1 and the like are never of it.
        assert!(after.abs_diff(before) < 20, "{choice}: {before} and {after}");
    }
    session.stop().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let frame = rows(session.path(), "process");
    let mine: Vec<usize> = (0..frame.len()).filter(|row| frame.ints("pid")[*row] == Some(child.id().into())).collect();
    // All readings but those with `none`: the first snapshot, all, tree, all, tree, and the end.
    assert_eq!(mine.len(), 6);
}

#[test]
fn what_can_not_be_is_told_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), HOUR);
    let refused = |change: Change| match session.set(change) {
        Err(Error::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    let fast = Some(Duration::from_millis(10));
    assert!(refused(Change { interval: Some(Duration::ZERO), ..Change::default() }).contains("at least 1 ms"));
    let why = refused(Change { interval: fast, without: Some(vec!["dsik".to_owned()]), ..Change::default() });
    assert!(why.contains("\"dsik\"") && why.contains("disk, "), "{why}");
    let why = refused(Change { interval: fast, processes: Some("user:nobody-of-this-name".parse().unwrap()), ..Change::default() });
    assert!(why.contains("no such user"), "{why}");
    assert!(refused(Change { without: Some(vec!["process".to_owned()]), ..Change::default() }).contains("none"));
    session.stop().unwrap();
    assert!(matches!(session.set(every(HOUR)), Err(Error::Ended)));
    let timeline = Timeline::open(session.path()).unwrap();
    assert_eq!((timeline.facts().interval_seconds, timeline.facts().longest_interval_seconds), (3600.0, None));
    assert_eq!(rows(session.path(), "own").len(), 2);
}

#[test]
fn another_process_gives_orders() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), HOUR);
    let path = session.path().to_owned();
    order(&path, &Order::Read).unwrap();
    assert_eq!(rows(&path, "own").len(), 2, "what was read can be seen");
    order(&path, &Order::Set(every(Duration::from_millis(50)))).unwrap();
    order(&path, &Order::Set(Change { without: Some(vec!["disk".to_owned()]), process_memory: Some(true), ..Change::default() })).unwrap();
    let why = order(&path, &Order::Set(Change { without: Some(vec!["dsik".to_owned()]), ..Change::default() })).unwrap_err();
    assert!(matches!(&why, OrderError::Refused(text) if text.contains("dsik")), "{why:?}");
    let timeline = Timeline::open(&path).unwrap();
    assert_eq!((timeline.state(), timeline.facts().interval_seconds, timeline.facts().sources["disk"].as_str()), (State::Live, 0.05, "left out"));
    order(&path, &Order::Stop("seen enough".to_owned())).unwrap();
    // When that returns, the end is there.
    let timeline = Timeline::open(&path).unwrap();
    assert_eq!(timeline.state(), State::Ended);
    assert_eq!(timeline.facts().end.as_ref().unwrap().reason, "seen enough");
    assert!(!session.is_running() || session.wait().is_ok());
    let said = said(&path);
    for name in ["interval 3600 s → 50 ms", "without nothing → disk", "PSS off → on"] {
        assert!(said.contains(&("person".to_owned(), name.to_owned())), "{said:?}");
    }
    let told = session.stop().unwrap().outcome.heard;
    assert_eq!((told.orders, told.refused), (5, 0), "an order that can't be followed was understood");
    assert!(matches!(order(&path, &Order::Read), Err(OrderError::Ended { .. })));
}

#[test]
fn what_makes_no_sense_is_counted_and_an_order_needs_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), HOUR);
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(session.beacon().unwrap()).unwrap();
    for line in [r#"{"order":"dance"}"#, r#"{"order":"set","speed":1}"#, r#"{"order":"read"}"#] {
        socket.send(line.as_bytes()).unwrap();
    }
    eventually("a reading", || (Timeline::open(session.path()).ok()?.has_table("own") && rows(session.path(), "own").len() == 2).then_some(()));
    let end = session.stop().unwrap();
    assert_eq!((end.outcome.heard.orders, end.outcome.heard.refused), (1, 2));
    let notices = Timeline::open(&end.path).unwrap().facts().notices.clone();
    assert!(notices.iter().any(|notice| notice.name == "orders_refused" && notice.count == 2), "{notices:?}");
}

#[test]
fn a_flood_of_orders_is_refused_and_readings_keep_their_distance() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), HOUR);
    let (path, begin) = (session.path().to_owned(), Instant::now());
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(session.beacon().unwrap()).unwrap();
    let lines = "{\"order\":\"read\"}\n".repeat(500);
    for _ in 0..4 {
        socket.send(lines.as_bytes()).unwrap();
    }
    order(&path, &Order::Stop("enough".to_owned())).unwrap();
    let (end, seconds) = (session.stop().unwrap(), begin.elapsed().as_secs());
    let heard = end.outcome.heard;
    assert_eq!(heard.orders + heard.refused, 2001);
    assert!(heard.orders <= 52 + 50 * (seconds + 1), "{heard:?}");
    assert!(end.outcome.ticks <= 3 + 10 * (seconds + 1), "{} in {seconds} s", end.outcome.ticks);
}

#[test]
fn who_looks_sees_rows_soon() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), Duration::from_millis(50));
    let path = session.path().to_owned();
    assert!(!Timeline::open(&path).unwrap().has_table("own"), "nothing is published for an hour");
    order(&path, &Order::Watched).unwrap();
    let seen = eventually("rows are published", || Timeline::open(&path).ok()?.has_table("own").then(|| rows(&path, "own").len()));
    session.watched().unwrap();
    eventually("and more of them", || Some(rows(&path, "own").len()).filter(|rows| *rows > seen));
    session.stop().unwrap();
}

#[test]
fn who_can_be_told_nothing_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deaf");
    let session = Session::start(Settings { beacon: false, ..settings(&path, HOUR) }).unwrap();
    let said = |path: &Path| order(path, &Order::Read).unwrap_err().to_string();
    let told = said(session.path());
    assert!(told.contains("does not listen: not asked for") && told.contains("SIGINT"), "{told}");
    session.stop().unwrap();
    assert!(said(session.path()).contains("has ended"));
    assert!(said(&folder.path().join("none")).contains("no such recording"));
    // A recorder that was killed has left a recording without an end, and nobody has its lock.
    let killed = folder.path().join("killed.baro");
    std::fs::create_dir(&killed).unwrap();
    std::fs::write(killed.join("recording.json"), r#"{"format":1,"locked":true,"beacon":"/nowhere"}"#).unwrap();
    assert!(said(&killed).contains("barograph repair"));
}

#[test]
fn an_order_of_another_user_is_refused_wherever_the_socket_lies() {
    if !rustix::process::geteuid().is_root() {
        // Only root can be somebody else.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), HOUR);
    let socket = UnixDatagram::unbound().unwrap();
    // Who has it open may send, though the folder lets nobody in.
    socket.connect(session.beacon().unwrap()).unwrap();
    let say = |user: u32, line: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "printf '%s' \"$0\" >&0", line]).stdin(std::os::fd::OwnedFd::from(socket.try_clone().unwrap()));
        std::os::unix::process::CommandExt::uid(&mut shell, user);
        assert!(shell.status().unwrap().success());
    };
    say(65534, r#"{"order":"stop"}"#);
    say(65534, r#"{"mark":"of a job that became nobody"}"#);
    say(0, r#"{"order":"read"}"#);
    eventually("a reading", || (Timeline::open(session.path()).ok()?.has_table("own") && rows(session.path(), "own").len() == 2).then_some(()));
    assert!(session.is_running());
    let end = session.stop().unwrap();
    assert_eq!((end.outcome.heard.taken, end.outcome.heard.orders, end.outcome.heard.refused), (1, 1, 1));
}
