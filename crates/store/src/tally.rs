//! What each subject of a long table came to, from one pass over its rows: the processes of a day, without holding their rows.

use std::collections::HashMap;

use barograph_model::{Described, Field, Kind, Metric, Moment, Table};

use crate::Frame;

/// What a column came to for one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extent {
    /// Its first value.
    pub first: Option<f64>,
    /// Its last value.
    pub last: Option<f64>,
    /// Its highest value.
    pub highest: Option<f64>,
}

/// One subject: a process, a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The values of its key columns, in their order.
    pub key: Vec<i64>,
    /// Its first row.
    pub first: Moment,
    /// Its last row.
    pub last: Moment,
    /// How many rows it has.
    pub rows: u64,
    /// The columns in the order in which they were asked for.
    pub extents: Vec<Extent>,
}

/// Collects the subjects of a table whose keys are numbers, piece by piece.
#[derive(Debug)]
pub struct Tally {
    table: &'static Table,
    columns: Vec<String>,
    index: HashMap<Vec<i64>, usize>,
    subjects: Vec<Subject>,
}

impl Tally {
    /// Of the table `T`.
    pub fn of<T: Described>() -> Tally {
        debug_assert!(T::TABLE.key_metrics().iter().all(|key| key.kind == Kind::Id));
        Tally { table: T::TABLE, columns: Vec::new(), index: HashMap::new(), subjects: Vec::new() }
    }

    /// Watches this column; gives its place in [`Subject::extents`].
    pub fn watch<T: Described, K>(&mut self, field: Field<T, K>) -> usize {
        debug_assert_eq!(T::TABLE.name, self.table.name);
        self.columns.push(T::TABLE.metrics[field.index()].column());
        self.columns.len() - 1
    }

    /// The columns that must be read.
    pub fn columns(&self) -> Vec<String> {
        self.table.key_metrics().iter().map(Metric::column).chain(self.columns.iter().cloned()).collect()
    }

    /// Takes rows, which come in the order of time. Rows without a key belong to nobody.
    pub fn add(&mut self, frame: &Frame) {
        let keys: Vec<Vec<Option<i64>>> = self.table.key_metrics().iter().map(|key| frame.ints(&key.column())).collect();
        let values: Vec<Vec<Option<f64>>> = self.columns.iter().map(|column| frame.floats(column)).collect();
        let mut key = Vec::with_capacity(keys.len());
        for row in 0..frame.len() {
            key.clear();
            key.extend(keys.iter().filter_map(|column| column[row]));
            if key.len() < keys.len() {
                continue;
            }
            let at = Moment { utc_nanos: frame.times()[row], monotonic_nanos: frame.monotonic()[row] };
            let subject = self.subject(&key, at);
            subject.last = at;
            subject.rows += 1;
            for (extent, column) in subject.extents.iter_mut().zip(&values) {
                if let Some(value) = column[row] {
                    extent.first = extent.first.or(Some(value));
                    extent.last = Some(value);
                    extent.highest = Some(extent.highest.map_or(value, |highest| highest.max(value)));
                }
            }
        }
    }

    /// The subjects, in the order in which they were first seen.
    pub fn finish(self) -> Vec<Subject> {
        self.subjects
    }

    fn subject(&mut self, key: &[i64], at: Moment) -> &mut Subject {
        let place = match self.index.get(key) {
            Some(&place) => place,
            None => {
                let extents = vec![Extent::default(); self.columns.len()];
                self.subjects.push(Subject { key: key.to_vec(), first: at, last: at, rows: 0, extents });
                self.index.insert(key.to_vec(), self.subjects.len() - 1);
                self.subjects.len() - 1
            }
        };
        &mut self.subjects[place]
    }
}
