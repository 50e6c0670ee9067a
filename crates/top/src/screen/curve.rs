//! A curve in block characters: solid up to the mean of a column, light from there to its highest value. Nothing known is blank, and zero is the lowest block, so
//! that the two can be told apart.

use crate::scene::Cell;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What is in a cell of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Nothing.
    Blank,
    /// What was there on the whole.
    Mean(char),
    /// What was there for a moment.
    Peak,
}

/// The cells of one column in so many rows, the upper one first; `top` is the value that fills them.
pub(crate) fn column(cell: Cell, top: f64, rows: usize) -> Vec<Fill> {
    if cell.mean.is_nan() {
        return vec![Fill::Blank; rows];
    }
    let steps = rows * BLOCKS.len();
    let height = |value: f64| {
        let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
        // What is not zero is seen to be more than the lowest block, which stands for zero, when there is room for it.
        let least = if value > 0.0 && rows > 1 { 2 } else { 1 };
        ((share * steps as f64).round() as usize).clamp(least, steps)
    };
    let (mean, max) = (height(cell.mean), height(cell.max));
    let fill = |row: usize| {
        let below = (rows - 1 - row) * BLOCKS.len();
        match mean.checked_sub(below) {
            Some(inside) if inside > 0 => Fill::Mean(BLOCKS[inside.min(BLOCKS.len()) - 1]),
            // A cell counts as reached when half of it is.
            _ if max >= below + BLOCKS.len() / 2 => Fill::Peak,
            _ => Fill::Blank,
        }
    };
    (0..rows).map(fill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(mean: f64, max: f64, rows: usize) -> String {
        let char = |fill| match fill {
            Fill::Blank => ' ',
            Fill::Mean(block) => block,
            Fill::Peak => '░',
        };
        column(Cell { mean, max }, 1.0, rows).into_iter().map(char).collect()
    }

    #[test]
    fn a_gap_is_blank_and_zero_is_not() {
        assert_eq!([drawn(f64::NAN, f64::NAN, 1), drawn(0.0, 0.0, 1), drawn(0.5, 0.5, 1), drawn(1.0, 1.0, 1)], [" ", "▁", "▄", "█"]);
        assert_eq!([drawn(0.0, 0.0, 2), drawn(0.001, 0.001, 2), drawn(0.75, 0.75, 2)], [" ▁", " ▂", "▄█"]);
    }

    #[test]
    fn the_highest_value_stands_above_the_mean() {
        assert_eq!(drawn(0.25, 1.0, 4), "░░░█");
        assert_eq!(drawn(0.3, 0.3, 4), "  ▂█");
    }
}
