//! The rows of one table that no closed row group holds yet: what a crash could lose, and what the next write puts on disk.

use std::cmp::Ordering;
use std::collections::HashMap;

use barograph_model::{Batch, Physical, Table};

use crate::cells::{BLOCK, Cells};

/// Subjects that have a slot of their own; of more, some share one, and are packed less well.
const MOST_SLOTS: usize = 1024;

/// Rows in memory. They stay until a row group that holds them is safe on disk for good.
#[derive(Debug)]
pub(crate) struct Group {
    table: &'static Table,
    /// For each row the slot of its subject.
    slots: Vec<u16>,
    /// The slots by the first key: a number, or that of a text.
    known: HashMap<i64, u16>,
    /// The first key of each slot, as long as none is shared, and the slot of the last row: rows of a tick come in the order of those of the tick before.
    keys: Vec<i64>,
    newest: usize,
    pub(crate) utc_nanos: Cells,
    pub(crate) monotonic_nanos: Cells,
    pub(crate) columns: Vec<Cells>,
}

impl Group {
    pub(crate) fn new(table: &'static Table) -> Group {
        let columns = table.metrics.iter().map(|_| Cells::default()).collect();
        Group {
            table,
            slots: Vec::new(),
            known: HashMap::new(),
            keys: Vec::new(),
            newest: 0,
            utc_nanos: Cells::default(),
            monotonic_nanos: Cells::default(),
            columns,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How much memory the rows take, about.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.slots.as_slice()) + self.columns.iter().chain([&self.utc_nanos, &self.monotonic_nanos]).map(Cells::bytes).sum::<usize>()
    }

    pub(crate) fn push(&mut self, batch: &Batch) {
        let begin = self.len();
        self.give_slots(batch);
        let slots = &self.slots[begin..];
        // A tick is the last row's, whatever its subject.
        batch.utc_nanos().iter().for_each(|&nanos| self.utc_nanos.push(nanos, true, 0));
        batch.monotonic_nanos().iter().for_each(|&nanos| self.monotonic_nanos.push(nanos, true, 0));
        for ((cells, column), metric) in self.columns.iter_mut().zip(batch.columns()).zip(self.table.metrics) {
            cells.extend(column, metric.physical, slots);
        }
    }

    fn give_slots(&mut self, batch: &Batch) {
        for row in 0..batch.len() {
            let key = match self.table.key_metrics().first() {
                None => 0,
                Some(key) if key.physical == Physical::Text => batch.columns()[0].text(row).map_or(0, |text| self.columns[0].intern(text)),
                Some(_) => batch.columns()[0].bits()[row],
            };
            self.newest = match [self.newest + 1, 0].into_iter().find(|slot| self.keys.get(*slot) == Some(&key)) {
                Some(slot) => slot,
                None => self.find_or_give_slot(key),
            };
            self.slots.push(self.newest as u16);
        }
    }

    fn find_or_give_slot(&mut self, key: i64) -> usize {
        let count = self.known.len();
        let slot = *self.known.entry(key).or_insert((count % MOST_SLOTS) as u16);
        if count == self.keys.len() && self.known.len() > count && count < MOST_SLOTS {
            self.keys.push(key);
        }
        usize::from(slot)
    }

    pub(crate) fn clear(&mut self) {
        self.slots = Vec::new();
        self.known = HashMap::new();
        self.keys = Vec::new();
        self.all_columns().for_each(Cells::clear);
    }

    /// Forgets the first rows, which are on disk for good.
    pub(crate) fn forget(&mut self, rows: usize) {
        let slots = std::mem::take(&mut self.slots);
        let same = vec![0; slots.len()];
        self.columns.iter_mut().for_each(|cells| cells.forget(rows, &slots));
        [&mut self.utc_nanos, &mut self.monotonic_nanos].into_iter().for_each(|cells| cells.forget(rows, &same));
        self.slots = slots.into_iter().skip(rows).collect();
        // Texts have other numbers now.
        self.known.clear();
        self.keys.clear();
    }

    /// Drops the oldest quarter of the rows, for a disk that takes none. Returns how many.
    pub(crate) fn drop_oldest(&mut self) -> usize {
        let mut rows = self.len().div_ceil(4).next_multiple_of(BLOCK);
        if rows >= self.len() || self.columns.iter().any(|cells| !cells.words.is_empty()) {
            // Of a few long texts each may be the one that fills the memory.
            rows = self.len();
            self.clear();
        } else {
            self.forget(rows);
        }
        rows
    }

    /// The cells of a column from this row on, as [`Cells::unpack`] tells them: both columns of times come before the metrics.
    pub(crate) fn unpack(&self, column: usize, from: usize, cells: &mut Vec<u64>, present: &mut Vec<bool>) {
        let same;
        let slots = if column < 2 {
            same = vec![0; self.len()];
            &same
        } else {
            &self.slots
        };
        self.cells(column).unpack(from, slots, cells, present);
    }

    /// The column at this place, both times counted.
    pub(crate) fn cells(&self, column: usize) -> &Cells {
        match column {
            0 => &self.utc_nanos,
            1 => &self.monotonic_nanos,
            _ => &self.columns[column - 2],
        }
    }

    /// The order in which the rows from this one on are written, counted from it: those of one subject side by side, in the order of time.
    ///
    /// Text keys are ordered by when they were first seen: what compresses is that equals are neighbours, not which come first.
    pub(crate) fn order(&self, from: usize) -> Vec<u32> {
        let mut keys = vec![(Vec::new(), Vec::new()); self.table.keys];
        for (key, (cells, present)) in keys.iter_mut().enumerate() {
            self.unpack(key + 2, from, cells, present);
        }
        let compare = |a: &u32, b: &u32| -> Ordering {
            let (a, b) = (*a as usize, *b as usize);
            keys.iter().map(|(cells, _)| cells[a].cmp(&cells[b])).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        let mut order: Vec<u32> = (0..(self.len() - from) as u32).collect();
        order.sort_by(compare);
        order
    }

    fn all_columns(&mut self) -> impl Iterator<Item = &mut Cells> {
        self.columns.iter_mut().chain([&mut self.utc_nanos, &mut self.monotonic_nanos])
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::{Bytes, Described, Gauge, Id, Moment, Rows, Text, table};

    use super::*;

    table! {
        /// A table for these tests.
        Sample = "sample" in "nowhere" {
            key {
                /// Who.
                pid: Id = "pid",
            }
            /// How much.
            size: Gauge<Bytes> = "size",
            /// What.
            name: Text = "name",
        }
    }

    fn batch(rows: &[(u64, Option<u64>, Option<&str>)]) -> Rows<Sample> {
        let mut batch = Rows::new();
        for (at, (pid, size, name)) in rows.iter().enumerate() {
            let at = Moment { utc_nanos: at as i64, monotonic_nanos: 0 };
            batch.row(at).set(Sample::pid, *pid).set(Sample::size, *size).text(Sample::name, name.map(str::as_bytes));
        }
        batch
    }

    fn unpacked(group: &Group, column: usize) -> Vec<Option<u64>> {
        let (mut cells, mut present) = (Vec::new(), Vec::new());
        group.unpack(column, 0, &mut cells, &mut present);
        cells.into_iter().zip(present).map(|(bits, present)| present.then_some(bits)).collect()
    }

    #[test]
    fn absence_is_kept() {
        let mut group = Group::new(Sample::TABLE);
        group.push(&batch(&[(1, Some(5), None)]));
        group.push(&batch(&[(1, None, Some("a")), (2, Some(6), None)]));
        let present = |column| unpacked(&group, column).iter().map(Option::is_some).collect::<Vec<_>>();
        assert_eq!((present(3), present(4)), (vec![true, false, true], vec![false, true, false]));
    }

    #[test]
    fn who_comes_again_has_the_slot_that_it_had() {
        let mut group = Group::new(Sample::TABLE);
        for pids in [[5, 3, 9], [5, 3, 9], [9, 5, 4], [3, 9, 4]] {
            group.push(&batch(&pids.map(|pid| (pid, None, None))));
        }
        assert_eq!(group.slots, [0, 1, 2, 0, 1, 2, 2, 0, 3, 1, 2, 3]);
        // What is left begins anew, and more subjects than there are slots share some.
        group.forget(9);
        let many: Vec<_> = (0..MOST_SLOTS as u64 + 3).map(|pid| (pid, Some(pid), None)).collect();
        group.push(&batch(&many));
        group.push(&batch(&many));
        let slots = &group.slots[3..];
        assert_eq!((slots[0], slots[MOST_SLOTS - 1], slots[MOST_SLOTS + 2]), (0, MOST_SLOTS as u16 - 1, 2));
        assert_eq!(slots[..many.len()], slots[many.len()..]);
        assert_eq!(
            unpacked(&group, 3)[3 + MOST_SLOTS..][..4],
            [Some(MOST_SLOTS as u64), Some(MOST_SLOTS as u64 + 1), Some(MOST_SLOTS as u64 + 2), Some(0)]
        );
    }

    #[test]
    fn rows_of_a_subject_become_neighbours_and_stay_in_time() {
        let mut group = Group::new(Sample::TABLE);
        group.push(&batch(&[(7, None, None), (3, None, None), (7, None, None), (3, None, None)]));
        assert_eq!(group.order(0), [1, 3, 0, 2]);
        assert_eq!(group.order(1), [0, 2, 1], "later rows alone");
    }

    #[test]
    fn what_is_forgotten_takes_its_texts_along() {
        let mut group = Group::new(Sample::TABLE);
        for row in 0..100 {
            let name = format!("name {row}");
            group.push(&batch(&[(row, Some(row), (row % 3 > 0).then_some(name.as_str()))]));
        }
        group.forget(70);
        let (names, words) = (unpacked(&group, 4), &group.columns[2].words);
        let name = |row: usize| names[row].map(|number| words.get(u32::try_from(number).unwrap()).unwrap());
        assert_eq!((group.len(), unpacked(&group, 3)[0], words.len()), (30, Some(70), 20));
        assert_eq!([name(0), name(1), name(2), name(29)], [Some("name 70"), Some("name 71"), None, None]);
    }

    #[test]
    fn the_oldest_rows_go_first() {
        let mut group = Group::new(Sample::TABLE);
        (0..1000).for_each(|row| group.push(&batch(&[(row, Some(row), None)])));
        let dropped = group.drop_oldest();
        assert_eq!((dropped, group.len()), (256, 744));
        assert_eq!(unpacked(&group, 3)[0], Some(256));
        group.push(&batch(&[(1, None, Some("a"))]));
        assert_eq!((group.drop_oldest(), group.bytes()), (745, 0));
        assert!(group.is_empty());
    }
}
