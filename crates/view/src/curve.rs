//! Small curves of block characters. Nothing known is a blank, and zero is the lowest block, so that the two can be told apart.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The curve in so many lines of text, the upper one first; `top` is the value that fills it.
pub fn curve(values: &[Option<f64>], top: f64, lines: usize) -> Vec<String> {
    let steps = lines * BLOCKS.len();
    let height = |value: f64| {
        let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
        // What is not zero is seen to be more than the lowest block, which stands for zero, when there is room for it.
        let least = if value > 0.0 && steps > 8 { 2 } else { 1 };
        ((share * steps as f64).round() as usize).clamp(least, steps)
    };
    let line = |number: usize| {
        let below = (lines - 1 - number) * BLOCKS.len();
        let block = |value: &Option<f64>| match value.map(height) {
            Some(height) if height > below => BLOCKS[(height - below).min(BLOCKS.len()) - 1],
            _ => ' ',
        };
        values.iter().map(block).collect::<String>()
    };
    (0..lines).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_blank_and_zero_is_not() {
        let values = [Some(0.0), Some(0.5), Some(1.0), None, Some(1.0)];
        assert_eq!(curve(&values, 1.0, 1), ["▁▄█ █"]);
        assert_eq!(curve(&values, 1.0, 2), ["  █ █", "▁██ █"]);
    }

    #[test]
    fn nothing_at_all_is_flat() {
        assert_eq!(curve(&[Some(0.0), Some(0.0)], 0.0, 1), ["▁▁"]);
        assert_eq!(curve(&[], 0.0, 1), [""]);
    }
}
