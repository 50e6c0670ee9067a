//! Where the labels of marks stand: above the panels, in as few rows as will do, none over another nor over the line of another.

use std::collections::BTreeMap;

use crate::font;

/// A label that found its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Label {
    /// Which mark.
    pub(crate) mark: usize,
    /// Its row, the uppermost first.
    pub(crate) row: usize,
    /// Where its text begins.
    pub(crate) x: f64,
    /// What it says.
    pub(crate) text: String,
}

/// Between a mark's line and its label.
pub(crate) const BESIDE: f64 = 3.0;

/// Between a label and what comes next to it.
const APART: f64 = 5.0;

struct Taken {
    row: usize,
    from: f64,
    to: f64,
    line: f64,
}

/// Labels for marks at these places, in the order of time, within `room` and in so many rows. Where there are too many, of those of a kind (`step 1`,
/// `step 2`) each second, third, fifth … has one; the others are lines without words.
pub(crate) fn place(marks: &[(f64, &str)], room: (f64, f64), rows: usize, size: f64) -> Vec<Label> {
    const FEW: usize = 3;
    if rows == 0 {
        return Vec::new();
    }
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut numbers = Vec::new();
    for (_, name) in marks {
        let kind: String = name.chars().filter(|char| !char.is_numeric()).collect();
        let many = kinds.entry(kind.clone()).or_default();
        numbers.push((kind, *many));
        *many += 1;
    }
    let mut labels = Vec::new();
    for each in [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000] {
        let is_asked = |mark: &usize| {
            let (kind, number) = &numbers[*mark];
            number % each == 0 || kinds.get(kind).is_some_and(|many| *many <= FEW)
        };
        let asked: Vec<usize> = (0..marks.len()).filter(is_asked).collect();
        labels = attempt(marks, &asked, room, rows, size);
        if labels.len() == asked.len() {
            break;
        }
    }
    labels
}

fn attempt(marks: &[(f64, &str)], asked: &[usize], room: (f64, f64), rows: usize, size: f64) -> Vec<Label> {
    let mut taken: Vec<Taken> = Vec::new();
    let mut labels = Vec::new();
    for &mark in asked {
        let (x, text) = (&marks[mark].0, marks[mark].1.to_owned());
        let width = font::width(&text, size, false);
        let sides = [(x + BESIDE, x + BESIDE + width), (x - BESIDE - width, x - BESIDE)];
        let free = |row: usize, (from, to): (f64, f64)| {
            let fits = from >= room.0 && to <= room.1;
            fits && taken.iter().all(|other| {
                let beside = to + APART <= other.from || other.to + APART <= from;
                // Its line goes down past all rows below it, and so do those of the others.
                let crosses_us = other.row <= row && from - BESIDE < other.line && other.line < to + BESIDE;
                let crosses_it = row <= other.row && other.from - BESIDE < *x && *x < other.to + BESIDE;
                (other.row != row || beside) && !crosses_us && !crosses_it
            })
        };
        let found = sides.iter().find_map(|side| (0..rows).find(|row| free(*row, *side)).map(|row| (row, *side)));
        if let Some((row, (from, to))) = found {
            taken.push(Taken { row, from, to, line: *x });
            labels.push(Label { mark, row, x: from, text });
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shape::Area;

    /// What a label covers, below this upper edge and with rows of this height.
    fn area(label: &Label, top: f64, height: f64, size: f64) -> Area {
        Area { x: label.x, y: top + label.row as f64 * height, width: font::width(&label.text, size, false), height }
    }

    #[test]
    fn neighbours_stand_in_rows_and_the_lonely_above() {
        let marks = [(10.0, "first"), (20.0, "second"), (30.0, "third"), (300.0, "alone")];
        let rows: Vec<usize> = place(&marks, (0.0, 600.0), 4, 10.0).iter().map(|label| label.row).collect();
        assert_eq!(rows, [0, 1, 2, 0]);
    }

    #[test]
    fn at_the_edge_a_label_stands_on_the_other_side() {
        let labels = place(&[(590.0, "at the end")], (0.0, 600.0), 1, 10.0);
        assert!(labels.len() == 1 && labels[0].x < 580.0);
    }

    #[test]
    fn of_many_of_a_kind_some_have_labels_and_the_rare_one_has_its_own() {
        let names: Vec<String> = (0..100).map(|number| if number == 51 { "out of memory".to_owned() } else { format!("step {number}") }).collect();
        let marks: Vec<(f64, &str)> = names.iter().enumerate().map(|(number, name)| (number as f64 * 8.0, name.as_str())).collect();
        let labels = place(&marks, (0.0, 900.0), 3, 10.0);
        assert!(labels.iter().any(|label| label.text == "out of memory") && labels.len() > 9, "{labels:?}");
        assert!(labels.iter().any(|label| label.text == "step 0") && labels.iter().all(|label| label.text != "step 1"), "{labels:?}");
    }

    proptest! {
        #[test]
        fn labels_are_clear_of_labels_and_of_lines(
            mut places in prop::collection::vec((0.0..800.0_f64, "[a-z ]{1,24}"), 0..60),
            rows in 1_usize..6,
        ) {
            places.sort_by(|a, b| a.0.total_cmp(&b.0));
            let marks: Vec<(f64, &str)> = places.iter().map(|(x, name)| (*x, name.as_str())).collect();
            let labels = place(&marks, (0.0, 800.0), rows, 10.0);
            for (number, label) in labels.iter().enumerate() {
                let mine = area(label, 0.0, 12.0, 10.0);
                prop_assert!(mine.x >= 0.0 && mine.right() <= 800.0 && label.row < rows);
                for other in &labels[..number] {
                    prop_assert!(!mine.overlaps(&area(other, 0.0, 12.0, 10.0)), "{:?} {:?}", label, other);
                }
                for other in &labels {
                    let line = marks[other.mark].0;
                    prop_assert!(other.row > label.row || other.mark == label.mark || line <= mine.x || line >= mine.right(), "{:?} {:?}", label, other);
                }
            }
            if marks.len() <= rows { prop_assert!(labels.len() <= marks.len()); }
        }
    }
}
