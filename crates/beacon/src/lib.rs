//! How a program says what it is doing to whoever records it: marks, spans and gauges, as lines of JSON over a Unix datagram socket.
//!
//! The wire format is told in docs/beacon.md. Nothing here ever waits, prints or panics; where nobody listens, a call is one comparison. The functions of
//! this page go to the recorder that the environment names ([`BEACON_VARIABLE`]), or that [`connect_to`] named; a [`Beacon`] goes where one likes.

#[cfg(unix)]
mod address;
#[cfg(unix)]
mod beacon;
mod limits;
#[cfg(target_os = "linux")]
mod linux;
mod message;
#[cfg(unix)]
mod places;
mod program;

pub use address::Address;
pub use beacon::{Beacon, Sent};
pub use limits::{ATTRIBUTES_BYTES, BEACON_VARIABLE, DATAGRAM_BYTES, NAME_BYTES, RECORDING_VARIABLE, SPAN_BYTES, SPAN_VARIABLE, cut};
pub use message::{Message, Readings, SpanId, Status, Value, What};
pub use places::{listening, places};
pub use program::{begin, connect_to, disconnect, end, flush, gauge, is_on, mark, say, surrounding};

/// Now, on the clock of the wire format: CLOCK_MONOTONIC of clock_gettime(2), in nanoseconds.
pub fn monotonic_nanos() -> i64 {
    linux::monotonic_nanos()
}
