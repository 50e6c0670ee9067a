//! The connection that a whole program shares: looked for once, made anew after fork(2), given up when nobody listens.

use std::cell::Cell;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use std::time::Duration;

use crate::{Address, BEACON_VARIABLE, Beacon, Message, Readings, SPAN_VARIABLE, Sent, SpanId, Status, Value, What, linux};

/// Whether anybody listens: nobody has looked yet.
const UNKNOWN: u8 = 0;
const OFF: u8 = 1;
const ON: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// The longest that the end of a program is held up so that what it said last is heard: a recorder that has heard enough, or is not let run, listens again
/// within a second.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What was connected last. Without a lock, as a fork(2) may come at any moment, and the child must not wait for a thread that it has not.
static SHARED: AtomicPtr<Connection> = AtomicPtr::new(ptr::null_mut());

/// It is never freed: another thread may be sending, and a child of fork(2) must not close descriptors whose numbers may be others' by now.
struct Connection {
    address: Address,
    /// `None` if nobody listens there.
    beacon: Option<Beacon>,
}

thread_local! {
    /// The process and thread that this is: asked for once, and again after fork(2).
    static THREAD: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

/// Whether somebody listens, as far as is known. All other functions look by themselves; this is for who would have work with what to say.
pub fn is_on() -> bool {
    match STATE.load(Ordering::Acquire) {
        OFF => false,
        ON => true,
        _ => look(),
    }
}

/// Looks, once, whom the environment names.
#[cold]
fn look() -> bool {
    match std::env::var_os(BEACON_VARIABLE).and_then(|text| Address::parse(&text)) {
        Some(address) => connect(ptr::null_mut(), address).is_some(),
        None => {
            STATE.store(OFF, Ordering::Release);
            false
        }
    }
}

/// From now on this recorder is told. Returns whether it listens.
pub fn connect_to(address: Address) -> bool {
    connect(SHARED.load(Ordering::Acquire), address).is_some()
}

/// Connects in place of this connection. Where another thread was faster, it is that one's which counts.
fn connect(former: *mut Connection, address: Address) -> Option<&'static Beacon> {
    let beacon = Beacon::connect(&address).ok();
    let mine = Box::into_raw(Box::new(Connection { address, beacon }));
    if SHARED.compare_exchange(former, mine, Ordering::AcqRel, Ordering::Acquire).is_err() {
        // SAFETY: nobody else has seen it.
        #[allow(unsafe_code)]
        drop(unsafe { Box::from_raw(mine) });
    }
    let beacon = shared().and_then(|connection| connection.beacon.as_ref());
    STATE.store(if beacon.is_some() { ON } else { OFF }, Ordering::Release);
    beacon
}

/// From now on nobody is told. What the environment names is not looked at again.
pub fn disconnect() {
    STATE.store(OFF, Ordering::Release);
    SHARED.store(ptr::null_mut(), Ordering::Release);
}

fn shared() -> Option<&'static Connection> {
    // SAFETY: it is null, or was made of a box and is never freed.
    #[allow(unsafe_code)]
    unsafe {
        SHARED.load(Ordering::Acquire).as_ref()
    }
}

/// The connection of this process.
fn beacon() -> Option<&'static Beacon> {
    let connection = shared()?;
    let beacon = connection.beacon.as_ref()?;
    if beacon.pid() == linux::pid() {
        return Some(beacon);
    }
    // We are a child of who connected.
    connect(ptr::from_ref(connection).cast_mut(), connection.address.clone())
}

fn thread(pid: u32) -> u32 {
    THREAD.with(|known| {
        let (of, thread) = known.get();
        if of == pid {
            return thread;
        }
        let thread = linux::thread();
        known.set((pid, thread));
        thread
    })
}

fn send(beacon: &Beacon, what: What<'_>, attributes: &[(&str, Value<'_>)]) {
    let (readings, at) = match what {
        What::Begin { .. } => beacon.at_begin(),
        What::End { .. } => beacon.at_end(),
        What::Mark(_) | What::Gauge { .. } => (Readings::default(), linux::monotonic_nanos()),
    };
    deliver(beacon, Message { at: Some(at), attributes, readings, ..Message::new(what) });
}

/// Sends it in the name of this thread, if it names none.
fn deliver(beacon: &Beacon, message: Message<'_>) {
    let message = Message { thread: message.thread.or_else(|| Some(thread(beacon.pid()))), ..message };
    if beacon.send(&message) == Sent::NobodyThere {
        STATE.store(OFF, Ordering::Release);
    }
}

/// Says what this makes of the connection: for who has readings of its own, or more to say of a mark than a name.
pub fn say<'a>(make: impl FnOnce(&Beacon) -> Message<'a>) {
    if is_on()
        && let Some(beacon) = beacon()
    {
        let message = make(beacon);
        deliver(beacon, Message { at: message.at.or_else(|| Some(linux::monotonic_nanos())), ..message });
    }
}

/// This moment has this name.
pub fn mark(name: &str, attributes: &[(&str, Value<'_>)]) {
    if is_on()
        && let Some(beacon) = beacon()
    {
        send(beacon, What::Mark(name), attributes);
    }
}

/// The program's own number of this name is now so.
pub fn gauge(name: &str, value: f64) {
    if is_on()
        && let Some(beacon) = beacon()
    {
        send(beacon, What::Gauge { name, value }, &[]);
    }
}

/// The span within which this program runs, as whoever started it says in the environment.
pub fn surrounding() -> Option<SpanId> {
    static SURROUNDING: OnceLock<Option<SpanId>> = OnceLock::new();
    *SURROUNDING.get_or_init(|| std::env::var(SPAN_VARIABLE).ok()?.trim().parse().ok())
}

/// A span begins, with what this thread and process have used so far. `None` if nobody listens: there is nothing to end then.
pub fn begin(name: &str, parent: Option<SpanId>, attributes: &[(&str, Value<'_>)]) -> Option<SpanId> {
    if !is_on() {
        return None;
    }
    let beacon = beacon()?;
    let span = beacon.new_span();
    send(beacon, What::Begin { name, span, parent: parent.or_else(surrounding) }, attributes);
    Some(span)
}

/// A span ends.
pub fn end(span: SpanId, status: Status<'_>) {
    if is_on()
        && let Some(beacon) = beacon()
    {
        send(beacon, What::End { span, status }, &[]);
    }
}

/// Waits until all is sent that could not be at once, for no longer than this. Returns whether it is. At the end of a program it comes by itself. What a
/// parent had kept when it forked is not for the child to send again.
pub fn flush(at_most: Duration) -> bool {
    let is_sent = |beacon: &Beacon| beacon.pid() != linux::pid() || beacon.flush(at_most);
    STATE.load(Ordering::Acquire) != ON || shared().and_then(|connection| connection.beacon.as_ref()).is_none_or(is_sent)
}

extern "C" fn say_last_words() {
    flush(LAST_WORDS);
}

// SAFETY: the section holds pointers to functions that are called when the program exits; this one keeps to what is there for all its life.
#[allow(unsafe_code)]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".fini_array"))]
#[used]
static LAST_WORDS_AT_EXIT: extern "C" fn() = say_last_words;
