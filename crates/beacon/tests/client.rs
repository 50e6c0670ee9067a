//! The client before a socket that is nobody's, which is read or left full as the test likes.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::collections::HashSet;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use barograph_beacon::{Address, BEACON_VARIABLE, Beacon, DATAGRAM_BYTES, Message, SPAN_VARIABLE, Sent, SpanId, Status, Value, What};

struct Place {
    socket: UnixDatagram,
    address: Address,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Place { socket, address: Address::Path(path), _folder: folder }
    }

    /// All lines that have come.
    fn lines(&self) -> Vec<String> {
        let (mut lines, mut buffer) = (Vec::new(), vec![0; DATAGRAM_BYTES + 1]);
        while let Ok(length) = self.socket.recv(&mut buffer) {
            assert!(length <= DATAGRAM_BYTES, "{length}");
            lines.extend(std::str::from_utf8(&buffer[..length]).unwrap().lines().map(str::to_owned));
        }
        lines
    }

    /// Reads until nothing more comes of what the client keeps.
    fn drain(&self, beacon: &Beacon) -> Vec<String> {
        let mut lines = Vec::new();
        while !beacon.flush(Duration::ZERO) {
            lines.extend(self.lines());
        }
        lines.extend(self.lines());
        lines
    }
}

fn mark(beacon: &Beacon, name: &str) -> Sent {
    beacon.send(&Message::new(What::Mark(name)))
}

#[test]
fn what_a_full_socket_has_no_room_for_comes_later_and_in_order() {
    let place = Place::new();
    let beacon = Beacon::connect(&place.address).unwrap();
    let outcomes: Vec<Sent> = (0..2000).map(|number| mark(&beacon, &number.to_string())).collect();
    let first_kept = outcomes.iter().position(|sent| *sent == Sent::Kept).expect("no socket holds so many");
    assert!(first_kept > 0 && outcomes[first_kept..].iter().all(|sent| *sent == Sent::Kept), "{first_kept}");
    assert!(!beacon.flush(Duration::from_millis(1)), "nobody reads");
    let lines = place.drain(&beacon);
    let expected: Vec<String> = (0..2000).map(|number| format!("{{\"mark\":\"{number}\"}}")).collect();
    assert_eq!(lines, expected);
    assert_eq!(mark(&beacon, "again"), Sent::Sent);
}

#[test]
fn what_was_kept_goes_before_what_is_said_next() {
    let place = Place::new();
    let beacon = Beacon::connect(&place.address).unwrap();
    while mark(&beacon, "early") == Sent::Sent {}
    place.lines();
    assert_eq!(mark(&beacon, "late"), Sent::Sent);
    assert_eq!(place.lines(), ["{\"mark\":\"early\"}", "{\"mark\":\"late\"}"]);
}

#[test]
fn what_is_dropped_is_counted_and_told() {
    let place = Place::new();
    let beacon = Beacon::connect(&place.address).unwrap();
    let long = "x".repeat(1000);
    let dropped = (0..5000).filter(|_| mark(&beacon, &long) == Sent::Dropped).count();
    assert!(dropped > 1000, "{dropped}");
    let lines = place.drain(&beacon);
    let (marks, told): (Vec<&String>, Vec<&String>) = lines.iter().partition(|line| line.starts_with("{\"mark\""));
    let told: usize = told.iter().map(|line| line.trim_start_matches("{\"dropped\":").trim_end_matches('}').parse::<usize>().unwrap()).sum();
    assert_eq!((marks.len() + dropped, told), (5000, dropped));
}

#[test]
fn a_recorder_that_goes_is_not_spoken_to_again() {
    let place = Place::new();
    let address = place.address.clone();
    let beacon = Beacon::connect(&address).unwrap();
    while mark(&beacon, "more") == Sent::Sent {}
    drop(place);
    // A child that another test starts has the socket too, up to its execve(2).
    while mark(&beacon, "anybody?") != Sent::NobodyThere {
        std::thread::yield_now();
    }
    assert!(beacon.is_gone());
    assert_eq!(mark(&beacon, "anybody?"), Sent::NobodyThere);
    assert!(!beacon.flush(Duration::from_secs(20)), "nothing is waited for");
    assert!(Beacon::connect(&address).is_err());
    assert!(Beacon::connect(&Address::Abstract(b"barograph/nobody-at-all".to_vec())).is_err());
}

#[test]
fn many_threads_lose_nothing_and_share_no_id() {
    let place = Place::new();
    let beacon = Beacon::connect(&place.address).unwrap();
    let (lines, ids) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let ids: Vec<SpanId> = (0..500).map(|_| beacon.new_span()).collect();
                    for span in &ids {
                        let begin = Message::new(What::Begin { name: "a", span: *span, parent: None });
                        while beacon.send(&begin) == Sent::Dropped {
                            std::thread::yield_now();
                        }
                    }
                    ids
                })
            })
            .collect();
        let mut lines = Vec::new();
        while !threads.iter().all(|thread| thread.is_finished()) {
            lines.extend(place.lines());
        }
        let ids: HashSet<SpanId> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        lines.extend(place.drain(&beacon));
        (lines, ids)
    });
    let sent: HashSet<SpanId> = lines.iter().filter_map(|line| line.split('"').nth(7)?.parse().ok()).collect();
    assert_eq!((ids.len(), sent), (4000, ids));
}

/// What [`a_program_finds_its_recorder`] runs, as a program of its own: the connection that a whole program shares.
#[test]
fn speak() {
    if std::env::var_os("BAROGRAPH_TEST_SPEAKS").is_none() {
        return;
    }
    assert!(barograph_beacon::is_on());
    let span = barograph_beacon::begin("outer", None, &[("n", Value::Int(1))]).unwrap();
    // The child sends from its own connection: what it says of itself must be its own.
    // SAFETY: the child makes a few calls that take no lock that another thread may hold, and ends.
    #[allow(unsafe_code)]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let inner = barograph_beacon::begin("inner", Some(span), &[]);
        inner.into_iter().for_each(|inner| barograph_beacon::end(inner, Status::Ok));
        barograph_beacon::flush(Duration::from_secs(5));
        // SAFETY: ends the process.
        #[allow(unsafe_code)]
        unsafe {
            libc::_exit(0)
        }
    }
    let mut status = 0;
    // SAFETY: waits for the child that was just made.
    #[allow(unsafe_code)]
    unsafe {
        libc::waitpid(child, &mut status, 0)
    };
    let sibling = barograph_beacon::begin("sibling", Some(span), &[]).unwrap();
    barograph_beacon::end(sibling, Status::Error("why \"not\""));
    barograph_beacon::end(span, Status::Ok);
    barograph_beacon::gauge("child", f64::from(child));
}

#[test]
fn a_program_finds_its_recorder_and_so_does_its_child_after_fork() {
    let place = Place::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["speak", "--exact"])
        .env("BAROGRAPH_TEST_SPEAKS", "1")
        .env(BEACON_VARIABLE, place.address.to_text())
        .env(SPAN_VARIABLE, "00000000000000ab");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = place.lines();
    let field = |line: &str, name: &str| {
        let rest = line.split_once(&format!("\"{name}\":"))?.1;
        Some(rest.trim_start_matches('"').split(['"', ',', '}']).next()?.to_owned())
    };
    let id = |line: usize| field(&lines[line], "span").or_else(|| field(&lines[line], "end")).unwrap();
    assert_eq!(lines.len(), 7, "{lines:#?}");
    assert_eq!((id(0), id(1), id(3)), (id(6 - 1), id(2), id(4)));
    assert_eq!(HashSet::from([id(0), id(1), id(3)]).len(), 3, "no id twice, {lines:#?}");
    assert_eq!(field(&lines[0], "parent").as_deref(), Some("00000000000000ab"), "whoever started it said so");
    assert_eq!((field(&lines[1], "parent"), field(&lines[3], "parent")), (Some(id(0)), Some(id(0))));
    let threads: Vec<_> = lines.iter().map(|line| field(line, "tid").unwrap()).collect();
    assert_eq!(
        (Some(&threads[1]), &threads[1]),
        (field(&lines[6], "value").map(|child| child.trim_end_matches(".0").to_owned()).as_ref(), &threads[2])
    );
    assert!(threads[0] != threads[1] && threads[0] == threads[3]);
    // A child begins with no CPU time of its own, and has its own memory and files.
    let number = |line: usize, name: &str| field(&lines[line], name).unwrap().parse::<u64>().unwrap();
    assert!(number(1, "process_cpu") < number(0, "process_cpu"), "{lines:#?}");
    assert!(number(1, "cpu") <= number(2, "cpu") && number(1, "t") <= number(2, "t"));
    assert!(lines[4].contains("\"status\":\"error\",\"detail\":\"why \\\"not\\\"\""), "{}", lines[4]);
}

#[test]
fn what_was_dropped_is_told_before_all_that_waits_is_sent() {
    let place = Place::new();
    let beacon = Beacon::connect(&place.address).unwrap();
    let mut dropped = 0;
    while dropped < 1000 {
        dropped += u64::from(mark(&beacon, "m") == Sent::Dropped);
    }
    place.lines();
    // There is room for some of what waits, and not for all of it.
    assert!(!beacon.flush(Duration::ZERO));
    let told: Vec<String> = place.lines().into_iter().filter(|line| line.contains("dropped")).collect();
    assert_eq!(told, [format!("{{\"dropped\":{dropped}}}")]);
}

#[test]
fn who_waits_is_not_held_up_by_what_others_say_meanwhile() {
    let place = Place::new();
    let beacon = Beacon::connect(&place.address).unwrap();
    // Until nothing more is kept nobody listens, so that there is a lot to send.
    while mark(&beacon, "full") != Sent::Dropped {}
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                mark(&beacon, "again");
            }
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // Slower than who speaks, as a rule.
                let _ = place.socket.recv(&mut [0; 64]);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let is_sent = beacon.flush(Duration::from_secs(60));
        over.store(true, Ordering::Relaxed);
        assert!(is_sent);
    });
}
