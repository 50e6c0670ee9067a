//! The rows of one table that no closed row group holds yet: what a crash could lose, and what the next write puts on disk.

use std::cmp::Ordering;

use barograph_model::{Batch, Table};

use crate::cells::{BLOCK, Cells};

/// Rows in memory. They stay until a row group that holds them is safe on disk for good.
#[derive(Debug)]
pub(crate) struct Group {
    table: &'static Table,
    len: usize,
    pub(crate) utc_nanos: Cells,
    pub(crate) monotonic_nanos: Cells,
    pub(crate) columns: Vec<Cells>,
}

impl Group {
    pub(crate) fn new(table: &'static Table) -> Group {
        let columns = table.metrics.iter().map(|_| Cells::default()).collect();
        Group { table, len: 0, utc_nanos: Cells::default(), monotonic_nanos: Cells::default(), columns }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How much memory the rows take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.columns.iter().chain([&self.utc_nanos, &self.monotonic_nanos]).map(Cells::bytes).sum()
    }

    pub(crate) fn push(&mut self, batch: &Batch) {
        self.len += batch.len();
        batch.utc_nanos().iter().for_each(|&nanos| self.utc_nanos.push(nanos, true));
        batch.monotonic_nanos().iter().for_each(|&nanos| self.monotonic_nanos.push(nanos, true));
        for ((cells, column), metric) in self.columns.iter_mut().zip(batch.columns()).zip(self.table.metrics) {
            cells.extend(column, metric.physical);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.all_columns().for_each(Cells::clear);
    }

    /// Forgets the first rows, which are on disk for good.
    pub(crate) fn forget(&mut self, rows: usize) {
        self.len = self.len.saturating_sub(rows);
        self.all_columns().for_each(|cells| cells.forget(rows));
    }

    /// Drops the oldest quarter of the rows, for a disk that takes none. Returns how many.
    pub(crate) fn drop_oldest(&mut self) -> usize {
        let blocks = (self.len / BLOCK).div_ceil(4);
        if blocks == 0 || self.columns.iter().any(|cells| !cells.words.is_empty()) {
            // Of a few long texts each may be the one that fills the memory.
            return self.drop_all();
        }
        self.all_columns().for_each(|cells| cells.forget_blocks(blocks));
        self.len -= blocks * BLOCK;
        blocks * BLOCK
    }

    /// The order in which rows are written: those of one subject side by side, in the order of time. `None` for the order that they have.
    ///
    /// Text keys are ordered by when they were first seen: what compresses is that equals are neighbours, not which come first.
    pub(crate) fn order(&self) -> Option<Vec<u32>> {
        let keys = &self.columns[..self.table.keys];
        let mut order: Vec<u32> = (0..u32::try_from(self.len).ok()?).collect();
        let compare = |a: &u32, b: &u32| -> Ordering {
            let (a, b) = (*a as usize, *b as usize);
            keys.iter().map(|key| key.bits(a).cmp(&key.bits(b))).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        if keys.is_empty() || order.is_sorted_by(|a, b| compare(a, b).is_le()) {
            return None;
        }
        order.sort_by(compare);
        Some(order)
    }

    fn drop_all(&mut self) -> usize {
        let rows = self.len;
        self.clear();
        rows
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

    #[test]
    fn absence_is_kept() {
        let mut group = Group::new(Sample::TABLE);
        group.push(&batch(&[(1, Some(5), None)]));
        group.push(&batch(&[(1, None, Some("a")), (2, Some(6), None)]));
        let size: Vec<_> = (0..3).map(|row| group.columns[1].is_present(row)).collect();
        let name: Vec<_> = (0..3).map(|row| group.columns[2].is_present(row)).collect();
        assert_eq!((size, name), (vec![true, false, true], vec![false, true, false]));
    }

    #[test]
    fn rows_of_a_subject_become_neighbours_and_stay_in_time() {
        let mut group = Group::new(Sample::TABLE);
        group.push(&batch(&[(7, None, None), (3, None, None), (7, None, None), (3, None, None)]));
        assert_eq!(group.order(), Some(vec![1, 3, 0, 2]));
        group.clear();
        group.push(&batch(&[(3, None, None), (7, None, None)]));
        assert_eq!(group.order(), None, "nothing to do");
    }

    #[test]
    fn what_is_forgotten_takes_its_texts_along() {
        let mut group = Group::new(Sample::TABLE);
        for row in 0..100 {
            let name = format!("name {row}");
            group.push(&batch(&[(row, Some(row), (row % 3 > 0).then_some(name.as_str()))]));
        }
        group.forget(70);
        let names = &group.columns[2];
        let name = |row: usize| names.is_present(row).then(|| names.words.get(u32::try_from(names.bits(row)).unwrap()).unwrap());
        assert_eq!((group.len(), group.columns[1].bits(0), names.words.len()), (30, 70, 20));
        assert_eq!([name(0), name(1), name(2), name(29)], [Some("name 70"), Some("name 71"), None, None]);
    }

    #[test]
    fn the_oldest_rows_go_first() {
        let mut group = Group::new(Sample::TABLE);
        (0..1000).for_each(|row| group.push(&batch(&[(row, Some(row), None)])));
        let dropped = group.drop_oldest();
        assert_eq!((dropped, group.len()), (256, 744));
        assert_eq!(group.columns[1].bits(0), 256);
        group.push(&batch(&[(1, None, Some("a"))]));
        assert_eq!((group.drop_oldest(), group.bytes()), (745, 0));
    }
}
