//! A connection to a recorder, as one process has it: sends without ever waiting, and keeps what the socket has no room for, up to a limit.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::mem;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use crate::limits::DATAGRAM_BYTES;
use crate::linux::{self, Usage};
use crate::{Address, Message, Readings, SpanId};

/// What is kept while the socket is full: what a few threads say at full speed while the recorder reads a busy machine.
const KEPT_BYTES: usize = 1024 * 1024;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the recorder's socket.
    Sent,
    /// It goes with the next one, as the socket is full.
    Kept,
    /// There was no room for it. The recorder will hear of how many there were.
    Dropped,
    /// Nobody listens any more.
    NobodyThere,
}

/// A connection to a recorder.
pub struct Beacon {
    socket: UnixDatagram,
    usage: Usage,
    pid: u32,
    next_span: AtomicU64,
    kept: Mutex<Kept>,
    /// Whether something is kept, so that the order stays without a lock for each message.
    keeps: AtomicBool,
    /// Whether a thread is sending what is kept.
    sending: AtomicBool,
    gone: AtomicBool,
    dropped: AtomicU64,
}

/// Lines that wait for room.
#[derive(Default)]
struct Kept {
    lines: Vec<u8>,
    /// How many of its bytes are sent.
    sent: usize,
    /// How many bytes a thread has taken out to send them.
    taken: usize,
    /// How many bytes ever waited.
    ever: u64,
}

impl Kept {
    /// Bytes that wait.
    fn waiting(&self) -> usize {
        self.lines.len() - self.sent + self.taken
    }

    /// Of the bytes that ever waited, how many do no longer.
    fn gone(&self) -> u64 {
        self.ever - self.waiting() as u64
    }
}

impl Beacon {
    /// Connects. Whether somebody listens there is known at once: if not, that is an error.
    pub fn connect(address: &Address) -> io::Result<Beacon> {
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address.to_socket()?)?;
        socket.set_nonblocking(true)?;
        let pid = linux::pid();
        // No two processes may count from the same number, not even after fork(2), where they share the random numbers that are to come.
        let first = RandomState::new().hash_one((pid, linux::monotonic_nanos()));
        Ok(Beacon {
            socket,
            usage: Usage::open(),
            pid,
            next_span: AtomicU64::new(first),
            kept: Mutex::default(),
            keeps: AtomicBool::new(false),
            sending: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        })
    }

    /// The process that connected. After fork(2) the child must connect anew: its ids would be those of its parent, and so would its readings.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it was found that nobody listens any more.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// An id for a new span.
    pub fn new_span(&self) -> SpanId {
        SpanId(self.next_span.fetch_add(1, Ordering::Relaxed))
    }

    /// What this thread and process have used when a span begins, and that moment: what it takes to know comes before it.
    pub fn at_begin(&self) -> (Readings, i64) {
        let usage = self.usage.read();
        let (thread, process) = linux::clocks();
        (Readings { thread_cpu_nanos: Some(thread), process_cpu_nanos: Some(process), ..usage }, linux::monotonic_nanos())
    }

    /// The same when a span ends: what it takes to know comes after it.
    pub fn at_end(&self) -> (Readings, i64) {
        let at = linux::monotonic_nanos();
        let (thread, process) = linux::clocks();
        (Readings { thread_cpu_nanos: Some(thread), process_cpu_nanos: Some(process), ..self.usage.read() }, at)
    }

    /// Sends a message, or keeps or drops it; never waits.
    pub fn send(&self, message: &Message<'_>) -> Sent {
        if self.is_gone() {
            return Sent::NobodyThere;
        }
        let mut line = Vec::with_capacity(256);
        message.write(&mut line);
        if !self.keeps.load(Ordering::Acquire) {
            match self.try_send(&line, &[]) {
                Sent::Kept => {}
                sent => return sent,
            }
        }
        self.keep(&line)
    }

    fn keep(&self, line: &[u8]) -> Sent {
        let mut kept = self.kept();
        if kept.waiting() + line.len() > KEPT_BYTES {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            drop(kept);
            self.send_kept();
            return Sent::Dropped;
        }
        kept.lines.extend_from_slice(line);
        kept.ever += line.len() as u64;
        self.keeps.store(true, Ordering::Release);
        drop(kept);
        self.send_kept()
    }

    /// What is kept. Nobody holds it for longer than it takes to copy some lines, so that to wait for it is no waiting. A child that was forked meanwhile
    /// has a connection of its own.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends as much of what is kept as there is room for, unless another thread is at it.
    fn send_kept(&self) -> Sent {
        if self.sending.swap(true, Ordering::Acquire) {
            return Sent::Kept;
        }
        let outcome = self.send_all();
        self.sending.store(false, Ordering::Release);
        outcome
    }

    fn send_all(&self) -> Sent {
        loop {
            let (mut lines, mut sent) = {
                let mut kept = self.kept();
                if kept.lines.is_empty() {
                    // Only the last one: who comes later keeps something anew.
                    self.keeps.store(false, Ordering::Release);
                    break;
                }
                kept.taken = kept.lines.len() - kept.sent;
                (mem::take(&mut kept.lines), mem::take(&mut kept.sent))
            };
            let outcome = self.send_pieces(&lines, &mut sent);
            let mut kept = self.kept();
            kept.taken = 0;
            if outcome != Sent::Sent {
                // Not at each line that is sent: what moves then would be all that waits.
                if sent > KEPT_BYTES / 2 {
                    lines.drain(..sent);
                    sent = 0;
                }
                lines.extend_from_slice(&kept.lines);
                (kept.lines, kept.sent) = (lines, sent);
                return outcome;
            }
        }
        self.send_with_dropped(&[]);
        Sent::Sent
    }

    /// Sends lines, and with them how many were dropped: who is killed amid a flood, or never lets it ebb, has told most of it.
    fn send_with_dropped(&self, lines: &[u8]) -> Sent {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped == 0 {
            return if lines.is_empty() { Sent::Sent } else { self.try_send(lines, &[]) };
        }
        let outcome = self.try_send(lines, format!("{{\"dropped\":{dropped}}}\n").as_bytes());
        if outcome != Sent::Sent {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        outcome
    }

    /// Sends lines, as many at once as a datagram should have, from a place on that moves with them.
    fn send_pieces(&self, lines: &[u8], sent: &mut usize) -> Sent {
        while *sent < lines.len() {
            let waiting = &lines[*sent..];
            let most = &waiting[..waiting.len().min(DATAGRAM_BYTES / 2)];
            let last = most.iter().rposition(|byte| *byte == b'\n').or_else(|| waiting.iter().position(|byte| *byte == b'\n'));
            let end = last.map_or(waiting.len(), |newline| newline + 1);
            match self.send_with_dropped(&waiting[..end]) {
                Sent::Sent => *sent += end,
                full => return full,
            }
        }
        Sent::Sent
    }

    /// One datagram of two parts.
    fn try_send(&self, lines: &[u8], more: &[u8]) -> Sent {
        loop {
            match sendmsg(&self.socket, &[IoSlice::new(lines), IoSlice::new(more)], &mut SendAncillaryBuffer::default(), SendFlags::empty()) {
                Ok(_) => return Sent::Sent,
                Err(Errno::INTR) => {}
                // A full table of buffers passes; all else does not.
                Err(Errno::AGAIN | Errno::NOBUFS) => return Sent::Kept,
                Err(_) => {
                    self.gone.store(true, Ordering::Relaxed);
                    return Sent::NobodyThere;
                }
            }
        }
    }

    /// Waits until all that is kept now is sent, for no longer than this; what other threads say meanwhile is not waited for. Returns whether it is.
    pub fn flush(&self, at_most: Duration) -> bool {
        let end = Instant::now() + at_most;
        let (until, waits) = {
            let kept = self.kept();
            (kept.ever, kept.waiting() > 0)
        };
        // Drops are told with whatever is sent.
        while self.kept().gone() < until || !waits && self.dropped.load(Ordering::Relaxed) > 0 {
            if self.send_kept() == Sent::NobodyThere || Instant::now() >= end {
                return false;
            }
            if self.keeps.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        true
    }
}
