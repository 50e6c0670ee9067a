//! The cells of one column in memory, packed: what a recorder holds for minutes must not cost eight bytes a number.
//!
//! Numbers come in blocks of 64. A full block keeps its smallest number and, for each cell, only the bytes by which it is larger: most columns need
//! none to three. Which cells are present is one bit each.

use barograph_model::{Column, Physical, Words};

/// Rows in a block: the bits of its mask.
pub(crate) const BLOCK: usize = 64;

/// What the bookkeeping of a block and of a word takes, about.
const BLOCK_BYTES: usize = size_of::<Block>() + 16;
const WORD_BYTES: usize = 96;

/// The cells of one column.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    blocks: Vec<Block>,
    /// The cells after the last full block.
    tail: Vec<i64>,
    tail_present: u64,
    pub(crate) words: Words,
    bytes: usize,
}

#[derive(Debug)]
struct Block {
    base: i64,
    present: u64,
    /// As many for each cell, lowest byte first. None at all if all cells are equal.
    above: Box<[u8]>,
}

impl Cells {
    /// The 64 bits of a cell; anything for an absent one.
    pub(crate) fn bits(&self, row: usize) -> i64 {
        match self.blocks.get(row / BLOCK) {
            Some(block) => block.bits(row % BLOCK),
            None => self.tail[row % BLOCK],
        }
    }

    /// The 64 bits of all cells; anything for absent ones.
    pub(crate) fn unpack(&self, into: &mut Vec<u64>) {
        into.clear();
        self.blocks.iter().for_each(|block| block.unpack(into));
        into.extend(self.tail.iter().map(|bits| bits.cast_unsigned()));
    }

    pub(crate) fn is_present(&self, row: usize) -> bool {
        let present = self.blocks.get(row / BLOCK).map_or(self.tail_present, |block| block.present);
        present >> (row % BLOCK) & 1 == 1
    }

    /// How much memory the cells take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + size_of_val(self.tail.as_slice())
    }

    pub(crate) fn extend(&mut self, from: &Column, physical: Physical) {
        for (row, (&bits, &present)) in from.bits().iter().zip(from.present()).enumerate() {
            let bits = match physical {
                Physical::Text => from.text(row).map_or(0, |text| self.intern(text)),
                Physical::Int | Physical::Float => bits,
            };
            self.push(bits, present);
        }
    }

    pub(crate) fn push(&mut self, bits: i64, present: bool) {
        self.tail_present |= u64::from(present) << self.tail.len();
        self.tail.push(bits);
        if self.tail.len() == BLOCK {
            let block = Block::pack(&self.tail, self.tail_present);
            self.bytes += BLOCK_BYTES + block.above.len();
            self.blocks.push(block);
            self.tail.clear();
            self.tail_present = 0;
        }
    }

    fn intern(&mut self, text: &str) -> i64 {
        let before = self.words.len();
        let number = self.words.intern(text.as_bytes());
        if self.words.len() > before {
            // It stands in a list and in an index.
            self.bytes += 2 * text.len() + WORD_BYTES;
        }
        i64::from(number)
    }

    /// Forgets the first full blocks.
    pub(crate) fn forget_blocks(&mut self, blocks: usize) {
        let forgotten = self.blocks.drain(..blocks.min(self.blocks.len()));
        self.bytes -= forgotten.map(|block| BLOCK_BYTES + block.above.len()).sum::<usize>();
    }

    /// Forgets the first cells, however many; the others are packed anew.
    pub(crate) fn forget(&mut self, rows: usize) {
        let before = std::mem::take(self);
        for row in rows..before.blocks.len() * BLOCK + before.tail.len() {
            let (bits, present) = (before.bits(row), before.is_present(row));
            let text = u32::try_from(bits).ok().and_then(|number| before.words.get(number)).filter(|_| present);
            let bits = text.map_or(bits, |text| self.intern(text));
            self.push(bits, present);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
        self.tail.clear();
        self.tail_present = 0;
        self.words = Words::default();
        self.bytes = 0;
    }
}

impl Block {
    fn pack(cells: &[i64], present: u64) -> Block {
        let known = || cells.iter().enumerate().filter(|(row, _)| present >> row & 1 == 1).map(|(_, &bits)| bits);
        let base = known().min().unwrap_or(0);
        let widest = known().max().unwrap_or(0).abs_diff(base);
        let width = (u64::BITS - widest.leading_zeros()).div_ceil(8) as usize;
        let mut above = Vec::with_capacity(width * BLOCK);
        for (row, bits) in cells.iter().enumerate() {
            let distance = if present >> row & 1 == 1 { bits.abs_diff(base) } else { 0 };
            above.extend_from_slice(&distance.to_le_bytes()[..width]);
        }
        Block { base, present, above: above.into_boxed_slice() }
    }

    fn unpack(&self, into: &mut Vec<u64>) {
        let base = self.base.cast_unsigned();
        match self.above.len() / BLOCK {
            0 => into.extend_from_slice(&[base; BLOCK]),
            width => into.extend(self.above.chunks_exact(width).map(|above| {
                let mut distance = [0; 8];
                distance[..width].copy_from_slice(above);
                base.wrapping_add(u64::from_le_bytes(distance))
            })),
        }
    }

    fn bits(&self, row: usize) -> i64 {
        let width = self.above.len() / BLOCK;
        let mut distance = [0; 8];
        distance[..width].copy_from_slice(&self.above[row * width..][..width]);
        self.base.wrapping_add_unsigned(u64::from_le_bytes(distance))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), 0_i64..300, Just(i64::MIN), Just(i64::MAX), any::<f64>().prop_map(|float| float.to_bits().cast_signed())]
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(cells in prop::collection::vec(prop::option::of(number()), 0..300), forget in 0_usize..6, more in 0_usize..200) {
            let mut packed = Cells::default();
            cells.iter().for_each(|cell| packed.push(cell.unwrap_or(0), cell.is_some()));
            packed.forget_blocks(forget);
            let left = &cells[(forget.min(cells.len() / BLOCK)) * BLOCK..];
            let left = &left[more.min(left.len())..];
            packed.forget(more);
            let back: Vec<_> = (0..left.len()).map(|row| packed.is_present(row).then(|| packed.bits(row))).collect();
            prop_assert_eq!(back, left);
        }
    }

    #[test]
    fn equal_cells_take_no_room() {
        let mut cells = Cells::default();
        (0..BLOCK * 4).for_each(|row| cells.push(1 << 40, row % 3 == 0));
        assert_eq!(cells.bytes(), 4 * BLOCK_BYTES);
        cells.forget_blocks(9);
        assert_eq!(cells.bytes(), 0);
    }
}
