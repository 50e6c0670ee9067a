//! Spans in rows: each below the one within which it began, side by side where they ran at the same time, and no wider than what can be seen.

/// A span, as it is drawn. Times are milliseconds since the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Its name.
    pub name: String,
    /// When it began.
    pub from: f64,
    /// When it ended, or the last moment that is known of it.
    pub to: f64,
    /// The place among the slices of the span within which it began.
    pub parent: Option<usize>,
    /// Whether it ended by an error.
    pub failed: bool,
}

/// The row of each slice, the uppermost first; slices stand in the order in which they began.
pub(crate) fn rows(slices: &[Slice]) -> Vec<usize> {
    let mut rows = vec![0_usize; slices.len()];
    let mut ends: Vec<f64> = Vec::new();
    let mut order: Vec<usize> = (0..slices.len()).collect();
    // Of two that begin at once, the longer one is above; a parent is never after its child.
    let depth = depths(slices);
    order.sort_by(|&a, &b| {
        let (one, other) = (&slices[a], &slices[b]);
        one.from.total_cmp(&other.from).then(depth[a].cmp(&depth[b])).then(other.to.total_cmp(&one.to)).then(a.cmp(&b))
    });
    for place in order {
        let slice = &slices[place];
        let least = slice.parent.and_then(|parent| rows.get(parent)).map_or(0, |row| row + 1);
        let row = (least..ends.len()).find(|row| ends[*row] <= slice.from).unwrap_or(ends.len().max(least));
        if ends.len() <= row {
            ends.resize(row + 1, f64::NEG_INFINITY);
        }
        ends[row] = slice.to.max(slice.from);
        rows[place] = row;
    }
    rows
}

fn depths(slices: &[Slice]) -> Vec<usize> {
    let depth = |slice: &Slice| {
        let mut depth = 0;
        let mut parent = slice.parent;
        // A file may say anything, even that two spans are each other's parents.
        while let Some(found) = parent.and_then(|place| slices.get(place)).filter(|_| depth < 64) {
            depth += 1;
            parent = found.parent;
        }
        depth
    };
    slices.iter().map(depth).collect()
}

/// What is drawn of a row: a rectangle for each slice, or for several of one name that are too narrow to be told apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) row: usize,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) name: String,
    pub(crate) failed: bool,
    /// How many slices it stands for.
    pub(crate) many: usize,
}

/// Blocks for slices on so many units of width, whose places are given by `at`.
pub(crate) fn blocks(slices: &[Slice], rows: &[usize], most_rows: usize, at: impl Fn(f64) -> f64) -> Vec<Block> {
    const NARROW: f64 = 1.0;
    let mut order: Vec<usize> = (0..slices.len()).filter(|place| rows[*place] < most_rows).collect();
    order.sort_by(|&a, &b| rows[a].cmp(&rows[b]).then(slices[a].from.total_cmp(&slices[b].from)).then(a.cmp(&b)));
    let mut blocks: Vec<Block> = Vec::new();
    for place in order {
        let slice = &slices[place];
        let (from, to) = (at(slice.from), at(slice.to));
        if let Some(last) = blocks.last_mut()
            && last.row == rows[place]
            && last.name == slice.name
            && last.failed == slice.failed
            && from - last.to < NARROW / 2.0
            && (to - from < NARROW || (last.many > 1 && last.to - last.from < NARROW))
        {
            last.to = last.to.max(to);
            last.many += 1;
        } else {
            blocks.push(Block { row: rows[place], from, to: to.max(from), name: slice.name.clone(), failed: slice.failed, many: 1 });
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(name: &str, from: f64, to: f64, parent: Option<usize>) -> Slice {
        Slice { name: name.to_owned(), from, to, parent, failed: false }
    }

    #[test]
    fn children_stand_below_and_workers_beside() {
        let slices = [
            slice("all", 0.0, 10.0, None),
            slice("load", 0.0, 4.0, Some(0)),
            slice("worker", 1.0, 9.0, None),
            slice("read", 5.0, 6.0, Some(2)),
            slice("train", 6.5, 10.0, Some(0)),
            slice("next", 10.0, 12.0, None),
        ];
        let rows = rows(&slices);
        assert_eq!(rows, [0, 1, 2, 3, 1, 0]);
    }

    #[test]
    fn parents_that_are_each_others_end() {
        assert_eq!(rows(&[slice("a", 0.0, 1.0, Some(1)), slice("b", 0.0, 1.0, Some(0))]).len(), 2);
    }

    #[test]
    fn a_thousand_that_are_too_narrow_are_one() {
        let slices: Vec<Slice> = (0..1000).map(|number| slice("step", f64::from(number), f64::from(number) + 0.9, None)).collect();
        let rows = rows(&slices);
        let blocks = blocks(&slices, &rows, 4, |time| time / 10.0);
        assert!(blocks.len() == 1 && blocks[0].many == 1000 && blocks[0].to > 99.0, "{blocks:?}");
    }
}
