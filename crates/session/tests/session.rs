//! A program records itself: what it sees, what it leaves alone, and what a fork makes of it.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]
#![allow(unsafe_code, reason = "no safe function forks")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use barograph_beacon::{Address, Beacon, Message, Sent, What};
use barograph_session::{Ended, Error, Session, Settings, Watched};
use barograph_store::{Frame, Query, State, Timeline};

const HOUR: Duration = Duration::from_secs(3600);

fn settings(path: &Path, interval: Duration) -> Settings {
    let mut settings = Settings { path: Some(path.to_owned()), process_memory: false, ..Settings::default() };
    settings.options.interval = interval;
    settings.options.dense_start = false;
    settings
}

fn start(path: &Path, interval: Duration) -> Session {
    Session::start(settings(path, interval)).unwrap()
}

fn rows(timeline: &Timeline, table: &str) -> Frame {
    timeline.frame(table, &Query::all()).unwrap()
}

fn ended(ended: &Ended) -> Timeline {
    let timeline = Timeline::open(&ended.path).unwrap();
    assert_eq!(timeline.state(), State::Ended);
    assert!(timeline.damaged().is_empty());
    timeline
}

fn last(frame: &Frame, column: &str) -> f64 {
    frame.floats(column).into_iter().flatten().next_back().unwrap()
}

/// Uses so much CPU time on this thread.
fn burn(seconds: f64) {
    let cpu = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let until = cpu() + seconds;
    while cpu() < until {}
}

/// What the kernel says of the signals of a thread.
fn signals(task: &Path) -> Vec<String> {
    let status = std::fs::read_to_string(task.join("status")).unwrap();
    status.lines().filter(|line| line.starts_with("Sig") && !line.starts_with("SigQ") && !line.starts_with("SigPnd")).map(str::to_owned).collect()
}

/// The threads of this process whose names are these.
fn threads(names: &[&str]) -> Vec<std::path::PathBuf> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    tasks.filter(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| names.contains(&name.trim_end()))).collect()
}

#[test]
fn a_program_records_itself_and_what_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), Duration::from_millis(20));
    assert!(session.is_running());
    let mut child = Command::new("sh").args(["-c", "sleep 0.3; exit 7"]).spawn().unwrap();
    burn(0.2);
    // Nobody else collects the children of this program.
    assert_eq!(child.wait().unwrap().code(), Some(7));
    let before = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let end = session.stop().unwrap();
    assert!(!session.is_running());
    let timeline = ended(&end);
    assert_eq!(timeline.folder(), folder.path().join("run.baro"));
    let facts = timeline.facts();
    let own = u64::from(std::process::id());
    assert_eq!((facts.root.unwrap().pid, facts.recorder.pid, facts.id.as_str()), (own, own, session.id()));
    assert!(facts.command.as_ref().unwrap()[0].contains("session"), "{:?}", facts.command);
    assert_eq!(facts.end.as_ref().unwrap().reason, "stopped");
    let processes = rows(&timeline, "process").ints("pid");
    assert!(processes.contains(&Some(own as i64)) && processes.contains(&Some(child.id().into())), "{processes:?}");
    let job = rows(&timeline, "job");
    assert!(last(&job, "user_seconds") + last(&job, "system_seconds") >= 0.19);
    // What was true when it was stopped was read, however long ago the last tick was.
    assert!(*job.monotonic().last().unwrap() >= before.tv_sec * 1_000_000_000 + before.tv_nsec);
    assert!(end.totals.wall_seconds.unwrap() >= 0.3);
}

#[test]
fn it_is_stopped_once_and_says_so_to_all() {
    let folder = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let session = start(&folder.path().join("run"), HOUR);
    let ends: Vec<Ended> = std::thread::scope(|scope| {
        let stops: Vec<_> = (0..4).map(|_| scope.spawn(|| session.stop().unwrap())).collect();
        stops.into_iter().map(|stop| stop.join().unwrap()).collect()
    });
    assert!(begin.elapsed() < HOUR / 60);
    assert!(ends.iter().all(|end| end.outcome.ticks == 2 && end.path == session.path()));
    assert!(matches!(session.snapshot_now(), Err(Error::Ended)));
    assert_eq!(rows(&ended(&session.stop().unwrap()), "own").len(), 2);
    // The name is taken now.
    let other = start(&folder.path().join("run"), HOUR);
    let path = other.path().to_owned();
    assert_eq!(path, folder.path().join("run-2.baro"));
    drop(other);
    assert_eq!(Timeline::open(&path).unwrap().state(), State::Ended);
}

#[test]
fn a_reading_that_was_asked_for_can_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), HOUR);
    for count in 2..20 {
        session.snapshot_now().unwrap();
        let timeline = Timeline::open(session.path()).unwrap();
        assert_eq!(timeline.state(), State::Live);
        assert_eq!(rows(&timeline, "job").len(), count);
        assert_eq!(rows(&timeline, "memory").len(), count, "sources that are read seldom are read as well");
    }
}

#[test]
fn it_may_end_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new("sleep").arg("0.2").spawn().unwrap();
    let mut of_child = settings(&folder.path().join("child"), Duration::from_millis(20));
    of_child.watched = Watched::Processes(vec![child.id()]);
    of_child.options.until = barograph_record::Until::Tree;
    let session = Session::start(of_child).unwrap();
    // Who has ended is there until he is collected, which is ours to do.
    std::thread::spawn(move || child.wait());
    let end = session.wait().unwrap();
    assert!(!session.is_running());
    assert_eq!(ended(&end).facts().end.as_ref().unwrap().reason, "exited");
    let mut of_machine = settings(&folder.path().join("machine"), Duration::from_millis(50));
    of_machine.watched = Watched::Machine;
    of_machine.options.duration = Some(Duration::from_millis(200));
    let end = Session::start(of_machine).unwrap().wait().unwrap();
    let timeline = ended(&end);
    assert_eq!(timeline.facts().end.as_ref().unwrap().reason, "duration");
    assert!(timeline.facts().root.is_none() && rows(&timeline, "process").ints("pid").contains(&Some(1)));
}

#[test]
fn a_place_where_nothing_can_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Session::start(settings(&file.join("run"), HOUR)).unwrap_err().to_string();
    assert!(error.contains("nothing is recorded") && error.contains("file/run.baro"), "{error}");
}

#[test]
fn signals_are_left_to_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let of_process = || signals(Path::new("/proc/thread-self"));
    let before = of_process();
    let mut settings = settings(&folder.path().join("run"), Duration::from_millis(10));
    // Slow sources have threads of their own.
    settings.process_memory = true;
    let session = Session::start(settings).unwrap();
    session.snapshot_now().unwrap();
    assert_eq!(of_process(), before);
    assert_eq!(rustix::process::child_subreaper().unwrap(), None);
    let ours = threads(&["barograph", "writer", "filesystem"]);
    assert!(ours.len() >= 3, "{ours:?}");
    for task in ours {
        // Another test's thread may have ended.
        let Ok(status) = std::fs::read_to_string(task.join("status")) else { continue };
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim().to_owned();
        let blocked = u64::from_str_radix(&blocked, 16).unwrap();
        for signal in [1, 2, 10, 13, 14, 15, 17, 25, 27, 28, 34, 64_u32] {
            // The C library keeps 32 and 33 for itself.
            assert!(blocked & (1 << (signal - 1)) != 0, "{signal} is not blocked: {blocked:x}");
        }
    }
    session.stop().unwrap();
    assert_eq!(of_process(), before);
}

#[test]
fn its_cost_is_that_of_its_threads() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), Duration::from_millis(5));
    burn(0.5);
    let timeline = ended(&session.stop().unwrap());
    let own = rows(&timeline, "own");
    let (cost, ticks) = (own.floats("cpu_seconds"), own.len());
    assert!(own.ints("resident_bytes").iter().all(Option::is_none), "what of the memory is ours nobody can say");
    let cost: Vec<f64> = cost.into_iter().map(Option::unwrap).collect();
    assert!(cost.is_sorted() && cost[0] > 0.0 && cost[ticks - 1] > cost[0], "{cost:?}");
    let job = rows(&timeline, "job");
    let used = last(&job, "user_seconds") + last(&job, "system_seconds");
    assert!(used >= 0.49 && cost[ticks - 1] < used - 0.4, "{used} s used, {} s by the recorder", cost[ticks - 1]);
}

/// What a forked child found, as its exit status.
fn child(session: Session, path: &Path) -> i32 {
    if session.is_running() {
        return 1;
    }
    if !matches!(session.stop(), Err(Error::Forked)) || !matches!(session.snapshot_now(), Err(Error::Forked)) {
        return 2;
    }
    let Ok(own) = Session::start(settings(path, Duration::from_millis(10))) else { return 3 };
    burn(0.1);
    // The parent may be kept from its ticks for a while.
    std::thread::sleep(Duration::from_millis(300));
    if own.stop().is_err() || session.is_running() {
        return 4;
    }
    drop(session);
    0
}

#[test]
fn a_forked_child_may_record_itself_and_never_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let session = start(&folder.path().join(format!("parent-{round}")), Duration::from_millis(1));
        let path = folder.path().join(format!("child-{round}"));
        // SAFETY: what the child does after this takes no lock of another thread but the allocator's, which the C library sees to.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let status = child(session, &path);
            // SAFETY: takes a number.
            unsafe { libc::_exit(status) };
        }
        let mut status = 0;
        // SAFETY: waits for our own child, and writes into a number.
        unsafe { libc::waitpid(pid, &mut status, 0) };
        assert_eq!(status, 0, "the child found otherwise");
        assert!(session.is_running());
        let parents = ended(&session.stop().unwrap());
        let id = session.id();
        let pids = rows(&parents, "process").ints("pid");
        assert!(pids.contains(&Some(pid.into())), "a child is of its parent's tree");
        assert!(rows(&parents, "events").texts("name").iter().filter(|name| **name == Some("ended")).count() == 1);
        let childs = Timeline::open(path.with_extension("baro")).unwrap();
        assert_eq!(childs.state(), State::Ended);
        assert_eq!(childs.facts().root.unwrap().pid, u64::from(pid.cast_unsigned()));
        assert_ne!(childs.facts().id, id);
        let pids = rows(&childs, "process").ints("pid");
        assert!(pids.iter().all(|found| *found == Some(pid.into())), "{pids:?}");
    }
}

#[test]
fn nobody_listens_after_the_end_though_a_forked_child_has_the_socket_open() {
    let folder = tempfile::tempdir().unwrap();
    let session = start(&folder.path().join("run"), HOUR);
    let beacon = Beacon::connect(&Address::parse(session.beacon().unwrap().as_ref()).unwrap()).unwrap();
    // SAFETY: the child does nothing but wait to be killed.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        loop {
            // SAFETY: waits.
            unsafe { libc::pause() };
        }
    }
    let mark = Message::new(What::Mark("half way"));
    assert_eq!(beacon.send(&mark), Sent::Sent);
    let end = session.stop().unwrap();
    let after = beacon.send(&mark);
    // SAFETY: ends our own child, and collects it.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
    assert_eq!(after, Sent::NobodyThere);
    assert!(rows(&ended(&end), "events").texts("name").contains(&Some("half way")));
}
