//! How Parquet writes values into pages: its encodings, each as one function that appends to bytes.

use crate::thrift::{varint, zigzag};

/// Values in a block of [`delta`], and in each of its parts, which have a width of their own. What everybody uses, and the least that is allowed.
const DELTA_BLOCK: usize = 128;
const DELTA_PART: usize = 32;

/// Values that are packed together in [`runs`].
const PACK: usize = 8;

/// RLE: runs of one value, and between them values packed by their bits, eight at a time.
pub(crate) fn runs<T: Copy + PartialEq + Into<u32>>(out: &mut Vec<u8>, values: &[T], width: u32) {
    // From where on values wait to be packed.
    let mut waiting = 0;
    let mut at = 0;
    while at < values.len() {
        let run = values[at..].iter().take_while(|value| **value == values[at]).count();
        // Those that wait are filled up to a multiple of eight first.
        let filling = (at - waiting).next_multiple_of(PACK) - (at - waiting);
        if run >= filling + PACK {
            packed(out, &values[waiting..at + filling], width);
            varint(out, ((run - filling) as u64) << 1);
            out.extend_from_slice(&values[at].into().to_le_bytes()[..width.div_ceil(8) as usize]);
            waiting = at + run;
        }
        at += run;
    }
    packed(out, &values[waiting..], width);
}

fn packed<T: Copy + Into<u32>>(out: &mut Vec<u8>, values: &[T], width: u32) {
    if !values.is_empty() {
        varint(out, (values.len().div_ceil(PACK) as u64) << 1 | 1);
        pack(out, values.iter().map(|value| u64::from((*value).into())), values.len().next_multiple_of(PACK), width);
    }
}

/// So many values by their lowest bits, the first lowest. Those that there are not are zero.
fn pack(out: &mut Vec<u8>, values: impl Iterator<Item = u64>, count: usize, width: u32) {
    let end = out.len() + count * width as usize / 8;
    let (mut bits, mut held) = (0_u128, 0);
    for value in values {
        bits |= u128::from(value) << held;
        held += width;
        while held >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        out.push(bits as u8);
    }
    out.resize(end, 0);
}

/// How many bits the numbers below this one need.
pub(crate) fn width_below(limit: usize) -> u32 {
    usize::BITS - limit.saturating_sub(1).leading_zeros()
}

/// `DELTA_BINARY_PACKED`: differences of neighbours, by which they are larger than the smallest of their block.
pub(crate) fn delta(out: &mut Vec<u8>, values: &[u64]) {
    varint(out, DELTA_BLOCK as u64);
    varint(out, (DELTA_BLOCK / DELTA_PART) as u64);
    varint(out, values.len() as u64);
    zigzag(out, values.first().copied().unwrap_or(0).cast_signed());
    let mut deltas = [0_u64; DELTA_BLOCK];
    for begin in (1..values.len()).step_by(DELTA_BLOCK) {
        let end = values.len().min(begin + DELTA_BLOCK);
        let deltas = &mut deltas[..end - begin];
        let mut least = i64::MAX;
        for (delta, pair) in deltas.iter_mut().zip(values[begin - 1..end].windows(2)) {
            *delta = pair[1].wrapping_sub(pair[0]);
            least = least.min(delta.cast_signed());
        }
        zigzag(out, least);
        let widths = out.len();
        out.resize(widths + DELTA_BLOCK / DELTA_PART, 0);
        for (part, deltas) in deltas.chunks_mut(DELTA_PART).enumerate() {
            deltas.iter_mut().for_each(|delta| *delta = delta.wrapping_sub(least.cast_unsigned()));
            let width = u64::BITS - deltas.iter().fold(0, |all, delta| all | delta).leading_zeros();
            out[widths + part] = width as u8;
            pack(out, deltas.iter().copied(), DELTA_PART, width);
        }
    }
}

/// `BYTE_STREAM_SPLIT`: all lowest bytes, then all second ones …
pub(crate) fn split(out: &mut Vec<u8>, values: &[u64]) {
    out.reserve(size_of_val(values));
    for place in 0..size_of::<u64>() {
        out.extend(values.iter().map(|value| (value >> (8 * place)) as u8));
    }
}

/// `PLAIN`, numbers.
pub(crate) fn plain(out: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

/// `PLAIN`, a text.
pub(crate) fn plain_text(out: &mut Vec<u8>, text: &str) {
    // Texts of a row group fit in the memory of a recorder.
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
