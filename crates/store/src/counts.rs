//! A look at pages before the parquet crate takes as much memory as they say that they need: where there is none, the program ends, and that can't be
//! caught.
//!
//! A dictionary says how many values it has. Texts in DELTA_LENGTH_BYTE_ARRAY begin with a list of lengths, and those in DELTA_BYTE_ARRAY with two, each of
//! which says how many there are (Parquet, "Encodings"). No dictionary may speak of more values than it has bytes, and no list of more than its page has
//! values.

use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};

use crate::thrift::read_varint;

/// Values in a page at most: no writer packs as many by their lengths.
const MOST_VALUES: usize = 1 << 25;

/// Refuses a page of a flat column, whose values may be absent or not, that speaks of more than it has.
pub(crate) fn check_counts(page: &Page, is_optional: bool) -> Result<()> {
    if is_possible(page, is_optional) { Ok(()) } else { Err(ParquetError::General("a page speaks of more values than it has".to_owned())) }
}

fn is_possible(page: &Page, is_optional: bool) -> bool {
    let count = usize::try_from(page.num_values()).unwrap_or(usize::MAX);
    let lists = match (page, page.encoding()) {
        (Page::DictionaryPage { buf, .. }, _) => return count <= buf.len(),
        (_, Encoding::DELTA_LENGTH_BYTE_ARRAY) => 1,
        (_, Encoding::DELTA_BYTE_ARRAY) => 2,
        _ => return true,
    };
    let Some(mut rest) = values(page, is_optional) else { return false };
    (0..lists).all(|_| pass_over_list(&mut rest, count.min(MOST_VALUES)).is_some())
}

/// What follows the levels, which say where a value is absent. Those of a flat column are of one kind alone.
fn values(page: &Page, is_optional: bool) -> Option<&[u8]> {
    match page {
        Page::DataPage { buf, .. } if !is_optional => Some(buf),
        Page::DataPage { buf, def_level_encoding: Encoding::RLE, .. } => {
            let (length, rest) = buf.split_first_chunk()?;
            rest.get(u32::from_le_bytes(*length) as usize..)
        }
        Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
            buf.get((*def_levels_byte_len as usize).checked_add(*rep_levels_byte_len as usize)?..)
        }
        _ => None,
    }
}

/// Passes over a list in DELTA_BINARY_PACKED, as the crate does: the part of a block in which no value is left has no bytes, whatever its width.
fn pass_over_list(bytes: &mut &[u8], most: usize) -> Option<()> {
    let (block, parts, count) = (number(bytes)?, number(bytes)?, number(bytes)?);
    let _first = number(bytes)?;
    if count > most || parts == 0 {
        return None;
    }
    let in_part = block / parts;
    // The first value stands in the head.
    let mut left = count.saturating_sub(1);
    while left > 0 {
        let _least = number(bytes)?;
        let widths = take(bytes, parts)?;
        if in_part == 0 {
            return None;
        }
        for &width in widths {
            if left == 0 {
                break;
            }
            take(bytes, in_part.checked_mul(width.into())? / 8)?;
            left = left.saturating_sub(in_part);
        }
    }
    Some(())
}

fn number(bytes: &mut &[u8]) -> Option<usize> {
    read_varint(bytes).and_then(|number| usize::try_from(number).ok())
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}
