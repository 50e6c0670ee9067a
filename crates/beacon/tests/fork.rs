//! A program that forks while it has words that could not be sent yet.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]
#![allow(unsafe_code, reason = "no safe function forks")]

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use barograph_beacon::{Address, connect_to, flush, mark};

const COUNT: usize = 500;

#[test]
fn what_a_parent_has_kept_is_not_sent_by_its_child_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    assert!(connect_to(Address::Path(path)));
    (0..COUNT).for_each(|count| mark(&format!("mark {count}"), &[]));
    assert!(!flush(Duration::ZERO), "the socket has room for all, so that nothing is tested");
    // SAFETY: the child takes no lock that another thread may have.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let has_nothing = flush(Duration::from_millis(50));
        // SAFETY: takes a number.
        unsafe { libc::_exit(i32::from(!has_nothing)) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child, and writes into a number.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(status, 0, "the child sends what is its parent's");
    let reader = std::thread::spawn(move || {
        let (mut text, mut buffer) = (String::new(), vec![0; 65_536]);
        while text.lines().count() < COUNT {
            let length = socket.recv(&mut buffer).unwrap();
            text += std::str::from_utf8(&buffer[..length]).unwrap();
        }
        text
    });
    assert!(flush(Duration::from_secs(120)));
    assert_eq!(reader.join().unwrap().lines().count(), COUNT);
}
