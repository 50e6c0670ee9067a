//! Who gets which rows and columns of the terminal.

/// Below this there is no room for anything.
const LEAST: (u16, u16) = (24, 5);

/// Room for the name of a curve.
pub(crate) const TITLE: usize = 10;

/// The rows and columns of the parts of the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Rows of the header.
    pub(crate) header: usize,
    /// Rows of spans.
    pub(crate) lanes: usize,
    /// Whether there is a row of events, and one for what is true at the cursor.
    pub(crate) events: bool,
    pub(crate) says: bool,
    /// Rows of each curve.
    pub(crate) meters: Vec<usize>,
    /// Whether there is a row of times.
    pub(crate) axis: bool,
    /// Columns left of the curves, of the curves, and right of them.
    pub(crate) legend: usize,
    pub(crate) columns: usize,
    pub(crate) scale: usize,
    /// Lines of the table, its sums and heads not counted.
    pub(crate) table: usize,
}

/// What wants room.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) meters: usize,
    pub(crate) lanes: usize,
    pub(crate) events: bool,
}

impl Layout {
    /// The parts on a terminal of this size; nothing if it is too small.
    pub(crate) fn of(width: u16, height: u16, wanted: Wanted) -> Option<Layout> {
        if width < LEAST.0 || height < LEAST.1 {
            return None;
        }
        let (width, height) = (usize::from(width), usize::from(height));
        let header = if height >= 16 { 2 } else { 1 };
        let axis = height >= 14;
        // The last line, the sums and the heads of the table.
        let rest = height.saturating_sub(header + usize::from(axis) + 3);
        let most_lanes = match height {
            ..18 => 0,
            18..22 => 1,
            22..32 => 2,
            32..44 => 3,
            _ => 5,
        };
        let lanes = wanted.lanes.min(most_lanes);
        let events = wanted.events && height >= 18;
        let says = height >= 18 && (wanted.events || wanted.lanes > 0);
        let table = (rest * 2 / 5).max(2);
        let budget = rest.saturating_sub(table + lanes + usize::from(events) + usize::from(says));
        let meters = share_out(wanted.meters, budget);
        let used: usize = meters.iter().sum();
        let (legend, scale) = match width {
            ..60 => (TITLE + 11, 0),
            60..100 => (TITLE + 23, 10),
            _ => (TITLE + 25, 11),
        };
        Some(Layout {
            width,
            height,
            header,
            lanes,
            events,
            says,
            axis,
            legend,
            columns: width.saturating_sub(legend + scale).max(1),
            scale,
            table: rest.saturating_sub(used + lanes + usize::from(events) + usize::from(says)),
            meters,
        })
    }
}

/// Rows for so many curves: one each as far as they go, then more for the first ones, which matter most.
fn share_out(meters: usize, budget: usize) -> Vec<usize> {
    let mut rows = vec![1; meters.min(budget)];
    let mut spare = budget - rows.len();
    for (first, most) in [(2, 2), (2, 3), (usize::MAX, 2), (2, 4), (usize::MAX, 3), (2, 5), (2, 6)] {
        for row in rows.iter_mut().take(first).filter(|row| **row < most) {
            if spare == 0 {
                return rows;
            }
            *row += 1;
            spare -= 1;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_used_once() {
        for height in 5..90 {
            for width in [24, 40, 80, 120, 300] {
                let layout = Layout::of(width, height, Wanted { meters: 8, lanes: 3, events: true }).unwrap();
                let above = layout.header + layout.lanes + usize::from(layout.events) + layout.meters.iter().sum::<usize>();
                let below = usize::from(layout.axis) + usize::from(layout.says) + 2 + layout.table + 1;
                assert_eq!(above + below, usize::from(height), "{layout:?}");
                assert!(layout.legend + layout.columns + layout.scale <= usize::from(width).max(layout.legend + 1), "{layout:?}");
            }
        }
        assert_eq!(Layout::of(23, 24, Wanted::default()), None);
    }

    #[test]
    fn the_first_curves_are_the_highest() {
        assert_eq!(share_out(4, 3), [1, 1, 1]);
        assert_eq!(share_out(4, 7), [3, 2, 1, 1]);
        assert_eq!(share_out(4, 100), [6, 6, 3, 3]);
    }
}
