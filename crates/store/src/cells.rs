//! The cells of one column in memory, packed: what a recorder holds for minutes must not cost eight bytes a number.
//!
//! Most of what is read of a machine is what was read of the same subject a tick ago. So of each cell only the change is kept since the last cell of
//! its slot: a subject has one, given by [`crate::group::Group`]. Changes come in blocks of 64; a block in which nothing changed takes one byte, and four for where it is.
//!
//! ```text
//! width of a change in bytes, and whether all are present | which are present | which changed | the changes
//! ```

use barograph_model::{Column, Physical, Words};

/// Cells in a block: the bits of its masks.
pub(crate) const BLOCK: usize = 64;

/// In the first byte of a block: all its cells are present, and no mask tells which.
const ALL_PRESENT: u8 = 0x10;

/// What the bookkeeping of a word takes, about.
const WORD_BYTES: usize = 96;

/// The cells of one column.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    blocks: Vec<u8>,
    /// Where each of them begins.
    begins: Vec<u32>,
    /// The changes after the last full block.
    tail: Vec<i64>,
    tail_present: u64,
    /// The last cell of each slot.
    last: Vec<i64>,
    pub(crate) words: Words,
    word_bytes: usize,
}

impl Cells {
    /// The 64 bits of the cells from this row on, anything for absent ones, and which are present. The slots are those with which they were pushed.
    ///
    /// From the end backwards, so that it takes no longer than there are cells.
    pub(crate) fn unpack(&self, from: usize, slots: &[u16], cells: &mut Vec<u64>, present: &mut Vec<bool>) {
        let count = slots.len().saturating_sub(from);
        cells.clear();
        cells.resize(count, 0);
        present.clear();
        present.resize(count, true);
        let mut last = self.last.clone();
        let mut put = |begin: usize, changes: &[i64], mask: u64| {
            for (place, change) in changes.iter().enumerate().rev().take((begin + changes.len()).saturating_sub(from)) {
                let row = begin + place;
                let last = &mut last[usize::from(slots[row])];
                cells[row - from] = last.cast_unsigned();
                present[row - from] = mask >> place & 1 == 1;
                *last = last.wrapping_sub(*change);
            }
        };
        put(self.begins.len() * BLOCK, &self.tail, self.tail_present);
        for (number, begin) in self.begins.iter().enumerate().skip(from / BLOCK).rev() {
            let (changes, present) = unpacked(&self.blocks[*begin as usize..]);
            put(number * BLOCK, &changes, present);
        }
    }

    /// How much memory the cells take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.blocks.len()
            + size_of_val(self.begins.as_slice())
            + size_of_val(self.tail.as_slice())
            + size_of_val(self.last.as_slice())
            + self.word_bytes
    }

    pub(crate) fn extend(&mut self, from: &Column, physical: Physical, slots: &[u16]) {
        self.make_slot(slots.iter().max().copied());
        let (all_bits, all_present) = (from.bits(), from.present());
        let mut begin = 0;
        while begin < slots.len() {
            let end = slots.len().min(begin + BLOCK - self.tail.len());
            for row in begin..end {
                let bits = match physical {
                    Physical::Text => from.text(row).map_or(0, |text| self.intern(text)),
                    Physical::Int | Physical::Float => all_bits[row],
                };
                self.put(bits, all_present[row], slots[row]);
            }
            begin = end;
            if self.tail.len() == BLOCK {
                self.pack();
            }
        }
    }

    /// An absent cell is one that did not change: the next that is present is told from the last that was.
    pub(crate) fn push(&mut self, bits: i64, present: bool, slot: u16) {
        self.make_slot(Some(slot));
        self.put(bits, present, slot);
        if self.tail.len() == BLOCK {
            self.pack();
        }
    }

    fn make_slot(&mut self, slot: Option<u16>) {
        let slots = slot.map_or(0, |slot| usize::from(slot) + 1);
        if slots > self.last.len() {
            self.last.resize(slots, 0);
        }
    }

    /// Puts a cell behind the others where there is a slot and room in the last block.
    fn put(&mut self, bits: i64, present: bool, slot: u16) {
        let last = &mut self.last[usize::from(slot)];
        let change = if present { bits.wrapping_sub(std::mem::replace(last, bits)) } else { 0 };
        self.tail_present |= u64::from(present) << self.tail.len();
        self.tail.push(change);
    }

    fn pack(&mut self) {
        let (present, mut changed, mut widest) = (std::mem::take(&mut self.tail_present), 0, 0);
        for (place, change) in self.tail.iter_mut().enumerate() {
            *change = *change << 1 ^ *change >> 63;
            changed |= u64::from(*change != 0) << place;
            widest |= change.cast_unsigned();
        }
        let width = (u64::BITS - widest.leading_zeros()).div_ceil(8) as usize;
        self.begins.push(self.blocks.len() as u32);
        self.blocks.push(width as u8 | if present == u64::MAX { ALL_PRESENT } else { 0 });
        if present < u64::MAX {
            self.blocks.extend_from_slice(&present.to_le_bytes());
        }
        if width > 0 {
            self.blocks.extend_from_slice(&changed.to_le_bytes());
        }
        while changed != 0 {
            let change = self.tail[changed.trailing_zeros() as usize];
            self.blocks.extend_from_slice(&change.to_le_bytes()[..width]);
            changed &= changed - 1;
        }
        self.tail.clear();
    }

    /// The number by which this text is kept.
    pub(crate) fn intern(&mut self, text: &str) -> i64 {
        let before = self.words.len();
        let number = self.words.intern(text.as_bytes());
        if self.words.len() > before {
            // It stands in a list and in an index.
            self.word_bytes += 2 * text.len() + WORD_BYTES;
        }
        i64::from(number)
    }

    /// Forgets the first cells, however many; the others are packed anew.
    pub(crate) fn forget(&mut self, rows: usize, slots: &[u16]) {
        let (mut cells, mut present) = (Vec::new(), Vec::new());
        self.unpack(rows.min(slots.len()), slots, &mut cells, &mut present);
        let before = std::mem::take(self);
        for ((bits, present), &slot) in cells.into_iter().zip(present).zip(slots.iter().skip(rows)) {
            let text = u32::try_from(bits).ok().and_then(|number| before.words.get(number)).filter(|_| present);
            let bits = text.map_or(bits.cast_signed(), |text| self.intern(text));
            self.push(bits, present, slot);
        }
    }

    /// Forgets all cells, and gives their memory back: the next may be few.
    pub(crate) fn clear(&mut self) {
        *self = Cells::default();
    }
}

/// The changes in the block that begins these bytes, and which cells are present.
fn unpacked(mut bytes: &[u8]) -> ([i64; BLOCK], u64) {
    let mut number = |width: usize| {
        let mut number = [0; size_of::<u64>()];
        let (taken, rest) = bytes.split_at(width);
        number[..width].copy_from_slice(taken);
        bytes = rest;
        u64::from_le_bytes(number)
    };
    let head = number(1) as u8;
    let width = usize::from(head & !ALL_PRESENT);
    let present = if head & ALL_PRESENT == 0 { number(size_of::<u64>()) } else { u64::MAX };
    let changed = if width > 0 { number(size_of::<u64>()) } else { 0 };
    let mut changes = [0; BLOCK];
    for place in (0..BLOCK).filter(|place| changed >> place & 1 == 1) {
        let zigzag = number(width);
        changes[place] = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
    }
    (changes, present)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), 0_i64..300, Just(i64::MIN), Just(i64::MAX), any::<f64>().prop_map(|float| float.to_bits().cast_signed())]
    }

    fn from(row: usize, cells: &Cells, slots: &[u16]) -> Vec<Option<i64>> {
        let (mut bits, mut present) = (Vec::new(), Vec::new());
        cells.unpack(row, slots, &mut bits, &mut present);
        bits.iter().zip(present).map(|(bits, present)| present.then_some(bits.cast_signed())).collect()
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(cells in prop::collection::vec((prop::option::of(number()), 0_u16..9), 0..300), forget in 0_usize..200) {
            let (cells, slots): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
            let mut packed = Cells::default();
            cells.iter().zip(&slots).for_each(|(cell, slot)| packed.push(cell.unwrap_or(7), cell.is_some(), *slot));
            prop_assert_eq!(&from(0, &packed, &slots), &cells);
            let forgotten = forget.min(cells.len());
            prop_assert_eq!(&from(forgotten, &packed, &slots), &cells[forgotten..]);
            packed.forget(forget, &slots);
            prop_assert_eq!(from(0, &packed, &slots[forgotten..]), &cells[forgotten..]);
        }
    }

    #[test]
    fn what_does_not_change_takes_next_to_nothing() {
        let mut cells = Cells::default();
        (0..BLOCK * 5).for_each(|row| cells.push([1 << 40, -7][row % 2], true, (row % 2) as u16));
        assert_eq!(cells.bytes(), (1 + 8 + 2 * 6) + 4 + 5 * size_of::<u32>() + 2 * size_of::<i64>());
        (0..BLOCK).for_each(|_| cells.push(0, false, 0));
        assert_eq!(cells.bytes(), (1 + 8 + 2 * 6) + 4 + (1 + 8) + 6 * size_of::<u32>() + 2 * size_of::<i64>());
    }
}
