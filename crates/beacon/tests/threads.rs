//! Many threads speak at once to a recorder that does not listen yet.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::Duration;

use barograph_beacon::{Address, Beacon, Message, Sent, What};

const THREADS: usize = 4;
const EACH: usize = 1000;

#[test]
fn what_many_threads_say_is_kept_while_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    let beacon = Beacon::connect(&Address::Path(path)).unwrap();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let beacon = &beacon;
            scope.spawn(move || {
                for count in 0..EACH {
                    let name = format!("{number} {count:04}");
                    assert!(matches!(beacon.send(&Message::new(What::Mark(&name))), Sent::Sent | Sent::Kept), "{name}");
                }
            });
        }
    });
    let reader = thread::spawn(move || {
        let (mut text, mut buffer) = (String::new(), vec![0; 65_536]);
        while text.lines().count() < THREADS * EACH {
            let length = socket.recv(&mut buffer).unwrap();
            text += std::str::from_utf8(&buffer[..length]).unwrap();
        }
        text
    });
    assert!(beacon.flush(Duration::from_secs(120)));
    let text = reader.join().unwrap();
    for number in 0..THREADS {
        let said: Vec<&str> = text.lines().filter(|line| line.starts_with(&format!("{{\"mark\":\"{number} "))).collect();
        assert!(said.len() == EACH && said.is_sorted(), "{number}: {}", said.len());
    }
}
