//! The limits of the wire format, which sender and receiver share. docs/beacon.md tells them.

use std::borrow::Cow;

/// The variable of the environment that tells where the recorder listens.
pub const BEACON_VARIABLE: &str = "BAROGRAPH_BEACON";

/// The variable of the environment that tells the id of the recording.
pub const RECORDING_VARIABLE: &str = "BAROGRAPH_RECORDING";

/// The variable of the environment that tells the id of the span within which a program runs.
pub const SPAN_VARIABLE: &str = "BAROGRAPH_SPAN";

/// The most bytes of a datagram.
pub const DATAGRAM_BYTES: usize = 65_536;

/// The most bytes of a name, or of a detail.
pub const NAME_BYTES: usize = 4096;

/// The most bytes of all attributes, as JSON.
pub const ATTRIBUTES_BYTES: usize = 16_384;

/// The most bytes of a span's id.
pub const SPAN_BYTES: usize = 64;

/// What of a text is at most so long: if it is longer, its beginning with `…` behind.
pub fn cut(text: &str, at_most: usize) -> Cow<'_, str> {
    const MORE: &str = "…";
    if text.len() <= at_most {
        return text.into();
    }
    let room = at_most.saturating_sub(MORE.len());
    let end = (0..=room).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0);
    format!("{}{MORE}", &text[..end]).into()
}
