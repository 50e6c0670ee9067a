//! The recorder's end of the beacon: a datagram socket at which programs say what they are doing.
//!
//! Nothing that they send can hold up a tick, make us grow, or take more than a fifth of a core: what we don't read stays in the socket, and when that is
//! full it is for the sender to keep, or to drop and tell.

mod line;
mod orders;
mod pieces;

use std::fs;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use barograph_beacon::{Address, BEACON_VARIABLE, DATAGRAM_BYTES, RECORDING_VARIABLE, places};
use barograph_model::Moment;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SocketAddrAny, UCred, recvmsg};

use crate::clock::{deadline_nanos, now, suspended, thread_cpu_nanos};
use crate::order::Ordered;
pub(crate) use line::Said;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use line::take_any;
use line::{Refused, Taken, Told};
use orders::Orders;
use pieces::Pieces;

/// What reading may take of a second, in nanoseconds.
const SHARE: i64 = 200_000_000;

/// After so long, ticks and signals have their turn.
const AT_ONCE: i64 = 5_000_000;

const SECOND: i64 = 1_000_000_000;

/// What came, and what of it was not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Messages that were taken.
    pub taken: u64,
    /// Datagrams that were larger than may be.
    pub oversized: u64,
    /// Lines that could not be understood.
    pub malformed: u64,
    /// Datagrams of other users.
    pub foreign: u64,
    /// Messages that senders say they had to drop.
    pub dropped: u64,
    /// Orders that were followed, as far as they could be.
    pub orders: u64,
    /// Orders that were not: they made no sense, came from another user, or were too many.
    pub refused: u64,
}

impl Heard {
    /// Messages that were not taken, as far as they can be counted.
    pub fn lost(&self) -> u64 {
        self.oversized + self.malformed + self.foreign + self.dropped + self.refused
    }
}

/// Who sent a datagram.
struct Sender {
    /// None for a process that is in none of our namespaces.
    pid: Option<u64>,
    may_order: bool,
    /// Where an answer reaches him.
    address: Option<SocketAddrAny>,
    /// How long the machine has been suspended by now, which his clock does not count.
    asleep: i64,
}

impl Sender {
    fn new(credentials: Option<UCred>, address: Option<SocketAddrAny>) -> Sender {
        Sender {
            // The kernel says 0 for one that it can't name to us.
            pid: credentials.map(|user| user.pid.as_raw_pid()).filter(|pid| *pid > 0).map(|pid| u64::from(pid.cast_unsigned())),
            may_order: credentials.is_some_and(|user| !is_foreign(user)),
            address,
            asleep: suspended().as_nanos() as i64,
        }
    }
}

/// A socket at which programs can be heard.
pub struct Beacon {
    socket: UnixDatagram,
    address: Address,
    recording: String,
    /// Nothing that is said to have happened before this is believed.
    began: Moment,
    buffer: Vec<u8>,
    heard: Heard,
    /// Since when we have been reading, on the clock of the deadlines, and how much CPU time it took.
    second: (i64, i64),
    orders: Orders,
    pieces: Pieces,
}

impl Beacon {
    /// Listens for the recording of this id.
    pub fn open(recording: &str) -> io::Result<Beacon> {
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        for address in places(recording) {
            match bind(&address) {
                Ok(socket) => {
                    let (recording, began) = (recording.to_owned(), now());
                    return Ok(Beacon::at(socket, address, recording, began));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn at(socket: UnixDatagram, address: Address, recording: String, began: Moment) -> Beacon {
        let (buffer, heard, orders, pieces) = (Vec::new(), Heard::default(), Orders::default(), Pieces::default());
        Beacon { socket, address, recording, began, buffer, heard, second: (0, 0), orders, pieces }
    }

    /// Where.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The id of the recording.
    pub fn recording(&self) -> &str {
        &self.recording
    }

    /// How a job is told of it.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [(BEACON_VARIABLE, self.address.to_text()), (RECORDING_VARIABLE, self.recording.clone())]
    }

    /// What came so far.
    pub fn heard(&self) -> Heard {
        self.heard
    }

    /// What tells that there is something to hear; `None` while we have heard enough, until the time that is returned with it.
    pub(crate) fn ready(&self, at: i64) -> Result<BorrowedFd<'_>, i64> {
        let (began, spent) = self.second;
        if spent >= SHARE && at < began + SECOND { Err(began + SECOND) } else { Ok(self.socket.as_fd()) }
    }

    /// Takes what has come, as much as may be taken now.
    pub(crate) fn hear(&mut self, said: &mut Said) {
        let begin = deadline_nanos();
        if self.ready(begin).is_err() {
            return;
        }
        if begin >= self.second.0 + SECOND {
            self.second = (begin, 0);
        }
        // Its own time: where others keep us from the cores, nobody is heard any less.
        let spent = thread_cpu_nanos();
        while deadline_nanos() - begin < AT_ONCE && self.hear_one(said) {}
        self.second.1 += thread_cpu_nanos() - spent;
    }

    /// The next order that came.
    pub(crate) fn next_order(&mut self) -> Option<Ordered> {
        self.orders.next()
    }

    /// Takes what has come up to the end, whatever was heard before. Its own time alone may end it: what still waits then is lost.
    pub(crate) fn hear_rest(&mut self, said: &mut Said) {
        let begin = thread_cpu_nanos();
        while thread_cpu_nanos() - begin < SECOND && self.hear_one(said) {}
    }

    /// Takes one datagram; whether there was one.
    fn hear_one(&mut self, said: &mut Said) -> bool {
        // One more than there may be, so that what is too large is seen to be.
        self.buffer.resize(DATAGRAM_BYTES + 1, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut self.buffer)], &mut control, RecvFlags::DONTWAIT) {
            Ok(received) => received,
            Err(Errno::INTR) => return true,
            Err(_) => return false,
        };
        let sender = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(sender) => Some(sender),
            _ => None,
        });
        if received.flags.contains(ReturnFlags::TRUNC) || received.bytes > DATAGRAM_BYTES {
            self.heard.oversized += 1;
        } else if matches!(self.address, Address::Abstract(_)) && sender.is_none_or(is_foreign) {
            self.heard.foreign += 1;
        } else {
            let from = Sender::new(sender, received.address);
            let buffer = std::mem::take(&mut self.buffer);
            self.hear_lines(&buffer[..received.bytes], &from, said);
            self.buffer = buffer;
        }
        true
    }

    /// Takes the lines of a datagram, the first of which may go on with what its sender had begun, and the last be the beginning of more.
    fn hear_lines(&mut self, datagram: &[u8], from: &Sender, said: &mut Said) {
        let is_open = !datagram.ends_with(b"\n");
        let mut lines = datagram.split(|byte| *byte == b'\n').peekable();
        let mut joined = lines.peek().and_then(|first| self.pieces.join(from.pid, first));
        while let Some(line) = lines.next() {
            let may_go_on = is_open && lines.peek().is_none();
            self.hear_line(line, joined.take(), may_go_on, from, said);
        }
    }

    /// Takes a line: with what its sender had begun, if that makes sense, or else by itself. What makes no sense yet is kept if it may go on.
    fn hear_line(&mut self, line: &[u8], joined: Option<Vec<u8>>, may_go_on: bool, from: &Sender, said: &mut Said) {
        let of_joined = joined.as_deref().map(|joined| self.take(joined, from, said));
        if of_joined == Some(Ok(())) {
            // It was counted when its beginning alone was there.
            self.heard.malformed -= 1;
            return;
        }
        let Err(refused) = self.take(line, from, said) else { return };
        match joined {
            Some(joined) if may_go_on && of_joined == Some(Err(Refused::Cut)) => self.pieces.keep(from.pid, &joined),
            _ if line.trim_ascii().is_empty() => {}
            _ => {
                self.heard.malformed += 1;
                if may_go_on && refused == Refused::Cut {
                    self.pieces.keep(from.pid, line);
                }
            }
        }
    }

    fn take(&mut self, line: &[u8], from: &Sender, said: &mut Said) -> Result<(), Refused> {
        match said.take(line, from.pid, |told| moment(told, from.asleep, self.began))? {
            Taken::Message => self.heard.taken += 1,
            Taken::Dropped(dropped) => self.heard.dropped = self.heard.dropped.saturating_add(dropped),
            Taken::Order if from.may_order => self.orders.take(line, from.address.clone(), &self.socket, deadline_nanos(), &mut self.heard),
            Taken::Order => self.heard.refused += 1,
        }
        Ok(())
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        // A forked child may have it open as well. Whoever sends is to know all the same that nobody listens.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        if let Address::Path(path) = &self.address {
            // It may be gone already.
            let _ = fs::remove_file(path);
        }
    }
}

fn bind(address: &Address) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::bind_addr(&address.to_socket()?)?;
    if let Address::Path(path) = address {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    rustix::net::sockopt::set_socket_passcred(&socket, true)?;
    Ok(socket)
}

/// A name in the abstract namespace has no permissions.
fn is_foreign(sender: UCred) -> bool {
    !sender.uid.is_root() && sender.uid != rustix::process::geteuid()
}

/// A time in the recording. One that is before its beginning, or has not come yet, is of another clock: then it is now.
fn moment(told: Told, asleep: i64, began: Moment) -> Moment {
    let now = now();
    let is_ours = |monotonic: &i64| (began.monotonic_nanos..=now.monotonic_nanos).contains(monotonic);
    match told {
        Told::Nothing => now,
        Told::Clock(t) => {
            let told = t.checked_add(asleep).filter(is_ours);
            told.map_or(now, |told| Moment { utc_nanos: now.utc_nanos - (now.monotonic_nanos - told), monotonic_nanos: told })
        }
        // The first rows of a recording may be older than its beacon.
        Told::Moment(at) if (began.monotonic_nanos.saturating_sub(SECOND)..=now.monotonic_nanos).contains(&at.monotonic_nanos) => at,
        Told::Moment(_) => now,
    }
}

#[cfg(test)]
mod tests {
    use barograph_beacon::{Message, Sent, What};

    use super::*;

    const HOUR: i64 = 3600 * SECOND;

    #[test]
    fn a_time_of_another_clock_is_none() {
        let now = now();
        let began = Moment { utc_nanos: now.utc_nanos - SECOND, monotonic_nanos: now.monotonic_nanos - SECOND };
        let told = now.monotonic_nanos - SECOND / 2;
        let placed = moment(Told::Clock(told), 0, began);
        assert_eq!(placed.monotonic_nanos, told);
        assert!((placed.utc_nanos - (now.utc_nanos - SECOND / 2)).abs() < SECOND / 4);
        let row = Moment { utc_nanos: 5, monotonic_nanos: told };
        assert_eq!(moment(Told::Moment(row), 7, began), row, "a row's own moment stays as it is");
        let later = Moment { utc_nanos: 5, monotonic_nanos: now.monotonic_nanos + HOUR };
        for wrong in [Told::Nothing, Told::Clock(5), Told::Clock(now.monotonic_nanos + SECOND), Told::Clock(i64::MAX), Told::Moment(later)] {
            assert!(moment(wrong, 7, began).monotonic_nanos >= now.monotonic_nanos, "{wrong:?}");
        }
    }

    /// A beacon of a name without a folder, and our client at its other end.
    fn heard_at(name: &str, say: impl FnOnce(&barograph_beacon::Beacon)) -> (Beacon, Said) {
        let address = Address::Abstract(format!("barograph-test/{name}/{}", std::process::id()).into_bytes());
        let socket = bind(&address).unwrap();
        let client = barograph_beacon::Beacon::connect(&address).unwrap();
        let began = now();
        let mut beacon = Beacon::at(socket, address, String::new(), began);
        let mut said = Said::default();
        say(&client);
        beacon.hear(&mut said);
        while !client.flush(std::time::Duration::ZERO) {
            beacon.hear_rest(&mut said);
        }
        beacon.hear_rest(&mut said);
        (beacon, said)
    }

    #[test]
    fn what_the_socket_has_no_room_for_comes_later_and_in_order() {
        // Far more than any socket's queue holds, far less than the client keeps.
        let names: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
        let (beacon, mut said) = heard_at("order", |client| {
            for name in &names {
                client.send(&Message::new(What::Mark(name)));
            }
        });
        assert_eq!(beacon.heard(), Heard { taken: 2000, ..Heard::default() });
        let mut came = Vec::new();
        said.each_batch(&mut |batch| came.extend((0..batch.len()).filter_map(|row| batch.column("name")?.text(row).map(str::to_owned))));
        assert_eq!(came, names);
    }

    #[test]
    fn what_nobody_had_room_for_is_counted() {
        let (beacon, _) = heard_at("drop", |client| {
            let sent = (0..100_000).map(|_| client.send(&Message::new(What::Mark("m"))));
            let dropped = sent.filter(|sent| *sent == Sent::Dropped).count();
            assert!((1..100_000).contains(&dropped), "{dropped}");
        });
        let heard = beacon.heard();
        assert!(heard.dropped > 0);
        assert_eq!((heard.taken + heard.dropped, heard.lost()), (100_000, heard.dropped));
    }

    /// A beacon that heard these datagrams from this process, and the names of the marks that it took.
    fn heard_of(name: &str, datagrams: &[&[u8]]) -> (Heard, Vec<String>) {
        let address = Address::Abstract(format!("barograph-test/{name}/{}", std::process::id()).into_bytes());
        let socket = bind(&address).unwrap();
        let mut beacon = Beacon::at(socket, address.clone(), String::new(), now());
        let (mut said, sender) = (Said::default(), UnixDatagram::unbound().unwrap());
        for datagram in datagrams {
            sender.send_to_addr(datagram, &address.to_socket().unwrap()).unwrap();
            beacon.hear_rest(&mut said);
        }
        let mut names = Vec::new();
        said.each_batch(&mut |batch| names.extend((0..batch.len()).filter_map(|row| batch.column("name")?.text(row).map(str::to_owned))));
        (beacon.heard(), names)
    }

    #[test]
    fn lines_are_whole_wherever_datagrams_end() {
        let names: Vec<String> = (0..60).map(|number| format!("{number} \u{1f3bb}")).collect();
        let lines: Vec<u8> = names.iter().flat_map(|name| format!("{{\"mark\": \"{name}\"}}\n").into_bytes()).collect();
        for size in [1, 7, 20, 21, 64, 1000] {
            let (heard, came) = heard_of(&format!("pieces/{size}"), &lines.chunks(size).collect::<Vec<_>>());
            assert_eq!((heard, came), (Heard { taken: 60, ..Heard::default() }, names.clone()), "{size}");
        }
    }

    #[test]
    fn a_line_that_never_goes_on_spoils_no_other() {
        let large = [&b"{\"mark\": \""[..], &[b'x'; 40_000]].concat();
        for (number, datagrams, malformed, expected) in [
            (0, &[&b"{\"mark\": \"a"[..], b"{\"mark\": \"b\"}"][..], 1, &["b"][..]),
            (1, &[b"{\"mark\": \"a", b"{\"mark\": \"b", b"\"}", b"{\"mark\": \"c\"}"], 1, &["b", "c"]),
            // A newline ends a line.
            (2, &[b"{\"mark\": \"a\n", b"\"}", b"{\"mark\": \"c\"}"], 2, &["c"]),
            // Longer than a datagram can be.
            (3, &[&large, &large[12..], b"\"}\n{\"mark\": \"c\"}"], 3, &["c"]),
            // What it made no sense without is no sense with it.
            (4, &[b"{\"mark\": 1", b"}\n{\"mark\": \"c\"}"], 2, &["c"]),
        ] {
            let (heard, came) = heard_of(&format!("spoilt/{number}"), datagrams);
            assert_eq!(
                (heard.malformed, heard.taken, came),
                (malformed, expected.len() as u64, expected.iter().map(|name| (*name).to_owned()).collect()),
                "{number}"
            );
        }
    }

    #[test]
    fn who_talks_too_much_is_heard_later() {
        let (mut beacon, _) = heard_at("share", |_| {});
        let at = deadline_nanos();
        beacon.second = (at, SHARE);
        assert_eq!(beacon.ready(at).err(), Some(at + SECOND));
        assert!(beacon.ready(at + SECOND).is_ok());
    }
}
