//! A look at the index of a Parquet file before anybody builds something of it: whether its columns are flat, as those of every table are, and narrow. And at
//! the heads of its pages, whether they can be read at all.
//!
//! Columns within columns cost the parquet crate more than an error. Nested deep enough they need more stack than there is, which ends the program; and
//! lists whose levels are spoilt let it look for the next row for ever. Values of one length, absent or not, have as much memory as the index says.
//! Nothing of that can be caught, and nobody needs it.
//!
//! The parquet crate reads a field that it knows as what it should be, whatever type the file says that it has; and it passes over a list of truths as if its
//! items took no bytes, though each takes one. So what it reads may be all else than what was looked at here, and a few bytes may say that a list of truths
//! has thousands of millions of items, again and again, so that it hardly ends. So what is known must have its type ([`crate::grammar`]), and a
//! list of truths, of which Parquet has none here, is not let pass. Then both find the same.
//!
//! An index is a struct of Thrift's compact protocol. Its second field is the list of columns in the order of a walk down the tree, each with the number
//! of its children. What can't be walked is refused, as whoever comes next might understand it differently.

use std::fs::File;
use std::os::unix::fs::FileExt;

use parquet::errors::{ParquetError, Result};

use crate::grammar::{COLUMN, FILE, Fields, HEAD, Made};
use crate::thrift::{BINARY, BYTE, DOUBLE, FALSE, INT, LIST, MAP, SET, STRUCT, TRUE, UUID, read_varint};

/// Structs within structs of the index itself.
const DEEPEST: usize = 32;

/// An index of ours is hundreds of times shorter.
const LONGEST: u64 = 16 << 20;

/// What a Parquet file ends with: the length of the index, and a mark.
const TAIL: u64 = 8;

/// The index of a file so many bytes long. Refuses one whose columns are not flat, or too wide.
pub(crate) fn flat_index(file: &File, size: u64) -> Result<Vec<u8>> {
    let refuse = |why: &str| Err(ParquetError::General(why.to_owned()));
    let Some(end) = size.checked_sub(TAIL) else { return refuse("it is too short for a Parquet file") };
    let mut tail = [0; TAIL as usize];
    file.read_exact_at(&mut tail, end)?;
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if tail[4..] != *b"PAR1" || length > end.min(LONGEST) {
        return refuse("it does not end as a Parquet file does");
    }
    let mut index = vec![0; length as usize];
    file.read_exact_at(&mut index, end - length)?;
    match Walk(&index).file() {
        Some(()) => Ok(index),
        None => refuse("its index is torn, or has columns within columns, or values too wide"),
    }
}

/// Refuses a file whose columns are not flat, or too wide.
pub fn check_flat(file: &File) -> Result<()> {
    flat_index(file, file.metadata()?.len()).map(drop)
}

/// Whether the head of a page stands at the front of these bytes.
pub(crate) fn begins_with_head(bytes: &[u8]) -> bool {
    Walk(bytes).struct_of(HEAD).is_some()
}

/// How the index says that a column is a list: 2, with the sign in the lowest bit.
const REPEATED: u64 = 4;

/// Bytes of a value, where all of a column have the same: those of a UUID or of the largest decimal number are 16 and 32.
const WIDEST: u64 = 4096;

/// The largest number of a field, with its sign in the lowest bit.
const LARGEST_NUMBER: u64 = (i16::MAX as u64) << 1;

/// What is still to be walked.
struct Walk<'a>(&'a [u8]);

impl Walk<'_> {
    fn file(&mut self) -> Option<()> {
        self.fields(|walk, field, kind| match (field, kind) {
            (2, LIST) => walk.columns(),
            _ => walk.one_of(FILE, field, kind),
        })
    }

    fn struct_of(&mut self, fields: Fields) -> Option<()> {
        self.fields(|walk, field, kind| walk.one_of(fields, field, kind))
    }

    /// A field of this number and type, which has the right one if it is known.
    fn one_of(&mut self, fields: Fields, field: u64, kind: u8) -> Option<()> {
        let made = field.checked_sub(1).and_then(|index| fields.get(usize::try_from(index).ok()?));
        match *made.unwrap_or(&Made::Unknown) {
            Made::Truth => matches!(kind, TRUE | FALSE).then_some(()),
            Made::One(one) if kind == one => self.skip(kind, DEEPEST),
            Made::Struct(fields) if kind == STRUCT => self.struct_of(fields),
            Made::List(one) if kind == LIST => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| if kind == one { self.skip(kind, DEEPEST) } else { None })
            }
            Made::Structs(fields) if kind == LIST => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| if kind == STRUCT { self.struct_of(fields) } else { None })
            }
            Made::Unknown => self.skip(kind, DEEPEST),
            _ => None,
        }
    }

    /// The list of columns: the first is the root, and no other has children, or more than one value in a row. None is too wide.
    fn columns(&mut self) -> Option<()> {
        let (count, kind) = self.list()?;
        for place in 0..count {
            if kind != STRUCT {
                return None;
            }
            let mut is_flat = true;
            let mut is_wide = false;
            self.fields(|walk, field, kind| match (field, kind) {
                (2, INT) => walk.number().map(|bytes| is_wide |= bytes >> 1 > WIDEST),
                (3, INT) => walk.number().map(|repetition| is_flat &= repetition != REPEATED),
                (5, INT) => walk.number().map(|children| is_flat &= children == 0),
                _ => walk.one_of(COLUMN, field, kind),
            })?;
            if is_wide || place > 0 && !is_flat {
                return None;
            }
        }
        Some(())
    }

    /// Each field of a struct up to its end.
    fn fields(&mut self, mut field: impl FnMut(&mut Self, u64, u8) -> Option<()>) -> Option<()> {
        let mut number = 0_u64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            number = match head >> 4 {
                // A number in full, with its sign in the lowest bit.
                0 => Some(self.number()?).filter(|number| number & 1 == 0 && *number <= LARGEST_NUMBER)? >> 1,
                step => number.checked_add(step.into())?,
            };
            field(self, number, head & 15)?;
        }
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            TRUE | FALSE => Some(()),
            BYTE => self.bytes(1),
            4..DOUBLE => self.number().map(drop),
            DOUBLE => self.bytes(8),
            BINARY => self.number().and_then(|length| self.bytes(length)),
            LIST | SET => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.item(kind, depth))
            }
            MAP => {
                let count = self.number()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| self.item(kinds >> 4, depth).and_then(|()| self.item(kinds & 15, depth)))
            }
            STRUCT => self.fields(|walk, _, kind| walk.skip(kind, depth)),
            UUID => self.bytes(16),
            _ => None,
        }
    }

    /// An item of a list or a map.
    fn item(&mut self, kind: u8, depth: usize) -> Option<()> {
        if matches!(kind, TRUE | FALSE) { None } else { self.skip(kind, depth) }
    }

    /// How many items a list has, and of which type.
    fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.number()? } else { (head >> 4).into() };
        Some((count, head & 15))
    }

    fn number(&mut self) -> Option<u64> {
        read_varint(&mut self.0)
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn bytes(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The index of a file with one column below so many groups.
    fn nested(groups: usize) -> Vec<u8> {
        let group: &[u8] = &[0x35, 0, 0x18, 1, b'g', 0x15, 2, 0];
        let leaf: &[u8] = &[0x15, 4, 0x25, 0, 0x18, 1, b'x', 0];
        let count = groups + 1;
        // The count in three pieces of seven bits.
        let mut index = vec![0x15, 2, 0x19, 0xfc, count as u8 | 128, (count >> 7) as u8 | 128, (count >> 14) as u8];
        (0..groups).for_each(|_| index.extend_from_slice(group));
        index.extend_from_slice(leaf);
        index.extend_from_slice(&[0x16, 0, 0x19, 0x0c, 0]);
        index
    }

    /// A root and two columns below it, with this in place of the first one's repetition and children.
    fn flat(repetition: u8, children: u8) -> Vec<u8> {
        let mut index = vec![0x15, 2, 0x19, 0x3c, 0x48, 1, b'r', 0x15, 4, 0];
        index.extend_from_slice(&[0x15, 4, 0x25, repetition, 0x18, 1, b'x', 0x15, children, 0]);
        index.extend_from_slice(&[0x15, 4, 0x25, 0, 0x18, 1, b'y', 0]);
        index.extend_from_slice(&[0x16, 0, 0x19, 0x0c, 0]);
        index
    }

    #[test]
    fn only_flat_columns_pass() {
        assert!(Walk(&flat(0, 0)).file().is_some());
        assert!(Walk(&flat(2, 0)).file().is_some(), "optional");
        assert!(Walk(&flat(4, 0)).file().is_none(), "a list");
        assert!(Walk(&flat(0, 2)).file().is_none(), "a group");
        assert!(Walk(&nested(2)).file().is_none());
        // A second list of columns after one that is harmless.
        let mut twice = flat(0, 0);
        twice.truncate(twice.len() - 5);
        twice.extend_from_slice(&[0x09, 4]);
        twice.extend_from_slice(&flat(0, 2)[3..]);
        assert!(Walk(&twice).file().is_none());
    }

    #[test]
    fn values_of_one_length_are_not_wide() {
        // Optional, and 16 or 4,097 bytes long.
        let column =
            |bytes: &[u8]| [&[0x15, 2, 0x19, 0x2c, 0x48, 1, b'r', 0x15, 2, 0, 0x15, 14, 0x15], bytes, &[0x15, 2, 0x18, 1, b'x', 0, 0]].concat();
        assert!(Walk(&column(&[32])).file().is_some());
        assert!(Walk(&column(&[0x82, 64])).file().is_none());
    }

    /// Without the look at the index, this ends the whole program.
    #[test]
    fn a_part_of_twenty_thousand_levels_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(crate::FACTS_FILE), "{}").unwrap();
        std::fs::create_dir(folder.path().join("birds")).unwrap();
        let index = nested(20_000);
        let length = u32::try_from(index.len()).unwrap().to_le_bytes();
        std::fs::write(folder.path().join("birds/000000.parquet"), [b"PAR1", index.as_slice(), &length, b"PAR1"].concat()).unwrap();
        let timeline = crate::Timeline::open(folder.path()).unwrap();
        assert_eq!(timeline.table("birds").unwrap().parts, 0);
        assert!(timeline.damaged()[0].why.contains("columns within columns"), "{:?}", timeline.damaged());
    }

    #[test]
    fn torn_indexes_are_refused() {
        let whole = flat(0, 0);
        assert!((0..whole.len()).all(|end| Walk(&whole[..end]).file().is_none()));
    }

    #[test]
    fn a_list_of_truths_is_let_pass_nowhere() {
        // A head of three numbers, and an unknown field of it.
        let with = |field: &[u8]| [&[0x15, 2, 0x15, 0, 0x15, 0][..], field, &[0]].concat();
        for (field, passes) in [
            // Two truths as fields, and a list, a set and a map that have none.
            (&[0x61, 0x12][..], true),
            (&[0x69, 0x01, 0x1a, 0x02, 0x1b, 0], true),
            // Lists of two bytes and of three texts.
            (&[0x69, 0x23, 1, 1, 0x19, 0x38, 0, 0, 0], true),
            (&[0x69, 0x21, 1, 1], false),
            (&[0x6a, 0x12, 1], false),
            (&[0x6b, 1, 0x83, 1, 7, 9], true),
            (&[0x6b, 1, 0x82, 0, 1], false),
            // A list of lists, the first of 2^31 truths.
            (&[0x69, 0x29, 0xf1, 0x80, 0x80, 0x80, 0x80, 0x08, 0x03], false),
            (&[0x6c, 0x19, 0x11, 1, 0], false),
        ] {
            assert_eq!(begins_with_head(&with(field)), passes, "{field:x?}");
        }
    }

    #[test]
    fn what_is_known_has_its_type() {
        assert!(begins_with_head(&[0x15, 2, 0x15, 0, 0x15, 0, 0x2c, 0x15, 2, 0x15, 0, 0, 0]), "with the head of a data page");
        assert!(!begins_with_head(&[0x15, 2, 0x15, 0, 0x15, 0, 0x29, 0x15, 2, 0]), "a list in its place");
        assert!(!begins_with_head(&[0x15, 2, 0x16, 0, 0]), "a longer number");
        assert!(!begins_with_head(&[0x15, 2, 0x05, 3, 0, 0]), "a field with a number below zero");
        let mut index = flat(0, 0);
        assert_eq!((index[0], index[2]), (0x15, 0x19));
        index[2] = 0x1a;
        assert!(Walk(&index).file().is_none(), "a set of columns");
    }
}
