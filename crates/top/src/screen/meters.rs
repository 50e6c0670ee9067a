//! Spans, events and curves: everything that lies along the axis of time, with the numbers at the cursor to the left of it.

use std::ops::Range;

use jiff::tz::Offset;
use ratatui::style::Style;

use barograph_view::human;
use barograph_view::text::{columns, cut};

use super::curve::{Fill, column};
use super::layout::TITLE;
use super::{Pen, Screen};
use crate::app::Place;
use crate::scene::{Bar, Mark, Meter, amount};

/// Between two times on the axis.
const BETWEEN_LABELS: usize = 14;

/// What fits between two columns of text.
const CURSOR: &str = "│";

impl Screen<'_> {
    /// Draws them from this row on; returns the row below.
    pub(super) fn meters(&self, pen: &mut Pen<'_>, top: usize) -> usize {
        let mut row = top;
        for lane in 0..self.layout.lanes {
            self.lane(pen, row, lane);
            row += 1;
        }
        if self.layout.events {
            self.events(pen, row);
            row += 1;
        }
        for (place, height) in self.layout.meters.iter().enumerate() {
            if let Some(meter) = self.scene.meters.get(place) {
                self.meter(pen, row, *height, meter, place);
            }
            row += height;
        }
        if self.layout.axis {
            self.axis(pen, row);
            row += 1;
        }
        if self.layout.says {
            self.says(pen, row);
            row += 1;
        }
        row
    }

    /// The spans of one row.
    fn lane(&self, pen: &mut Pen<'_>, row: usize, lane: usize) {
        if lane == 0 {
            pen.write(0, row, "Spans", self.look.quiet());
        }
        let window = self.scene.window;
        let bars: Vec<&Bar> = self.scene.spans.iter().filter(|bar| bar.lane == lane).collect();
        for (number, bar) in bars.iter().enumerate() {
            let (first, last) = (window.nearest(bar.from), window.nearest(bar.to));
            // A blank before the next one tells them apart, where there is room for it.
            let next = bars.get(number + 1).map_or(usize::MAX, |next| window.nearest(next.from));
            let width = (last + 1).min(next.saturating_sub(1)).saturating_sub(first).max(1);
            let name = if width >= 3 { cut(&bar.name, width).into_owned() } else { String::new() };
            let style = if bar.has_failed { self.look.bad().patch(self.look.chosen()) } else { self.look.span(&bar.name) };
            pen.write(self.layout.legend + first, row, &format!("{name}{}", " ".repeat(width - columns(&name))), style);
        }
        self.cursor(pen, row);
    }

    /// Where something happened.
    fn events(&self, pen: &mut Pen<'_>, row: usize) {
        pen.write(0, row, "Events", self.look.quiet());
        let window = self.scene.window;
        self.cursor(pen, row);
        for mark in &self.scene.events {
            if let Some(column) = window.column(mark.at) {
                pen.write(self.layout.legend + column, row, "▾", self.look.notice());
            }
        }
    }

    fn meter(&self, pen: &mut Pen<'_>, row: usize, height: usize, meter: &Meter, place: usize) {
        let layout = self.layout;
        let narrow = layout.width < 60;
        let title = meter.title.replace("Waiting for", "Wait");
        pen.write(0, row, &cut(&title, TITLE - 1), self.look.quiet());
        let value = if narrow { meter.value.map_or_else(|| "–".to_owned(), |value| amount(meter.unit, value)) } else { meter.says() };
        let style = if meter.is_scarce() { self.look.bad() } else { self.look.strong() };
        pen.write(TITLE, row, &cut(&value, layout.legend - TITLE - 1), style);
        self.curve(pen, row, height, meter, place);
    }

    /// The curve of a meter, and what its height stands for.
    pub(super) fn curve(&self, pen: &mut Pen<'_>, row: usize, height: usize, meter: &Meter, place: usize) {
        let layout = self.layout;
        let top = meter.top();
        for (number, cell) in meter.curve.iter().enumerate().take(layout.columns) {
            for (line, fill) in column(*cell, top, height).into_iter().enumerate() {
                let (text, style) = match fill {
                    Fill::Blank => continue,
                    Fill::Mean(block) => (block.to_string(), self.look.area(place)),
                    Fill::Peak => ("░".to_owned(), self.look.area(place).patch(self.look.quiet())),
                };
                pen.write(layout.legend + number, row + line, &text, style);
            }
        }
        for line in 0..height {
            self.cursor(pen, row + line);
        }
        if layout.scale > 0 && top > 0.0 {
            let text = human::set(amount(meter.unit, top));
            pen.write(layout.legend + layout.columns + 1, row, &cut(&text, layout.scale - 1), self.look.quiet());
        }
    }

    /// The cursor's line: where there is nothing, a line; where there is something, that stands out.
    fn cursor(&self, pen: &mut Pen<'_>, row: usize) {
        let Some(column) = self.cursor_column() else { return };
        let left = self.layout.legend + column;
        if pen.is_blank(left, row) {
            pen.write(left, row, CURSOR, Style::new());
        } else {
            pen.style(left, row, 1, Style::reset().patch(self.look.strong()));
        }
    }

    /// Where the cursor is drawn. Whoever looks at the present sees it at the right edge anyway.
    fn cursor_column(&self) -> Option<usize> {
        if self.app.place == Place::Follow { None } else { self.scene.window.column(self.scene.cursor) }
    }

    /// Times below the curves.
    fn axis(&self, pen: &mut Pen<'_>, row: usize) {
        let layout = self.layout;
        let window = self.scene.window;
        if window.step > 0 {
            let step = format!("{} a column", human::set(human::seconds(window.step as f64 / 1e9)));
            pen.write(0, row, &cut(&step, layout.legend - 1), self.look.quiet());
        }
        let between = label_step(window.step.saturating_mul(i64::try_from(BETWEEN_LABELS).unwrap_or(1)));
        let format = match between {
            1..1_000_000_000 => "╵%H:%M:%S%.1f",
            1_000_000_000..60_000_000_000 => "╵%H:%M:%S",
            60_000_000_000..86_400_000_000_000 => "╵%H:%M",
            _ => "╵%d %b",
        };
        // The cursor's time comes first: those that it would touch are left out.
        let taken = self.cursor_label(pen, row);
        // Round times are those of the zone.
        let begin = jiff::Timestamp::from_nanosecond(i128::from(window.from)).unwrap_or_default();
        let offset: Offset = self.zone.to_offset(begin);
        let shift = i64::from(offset.seconds()) * 1_000_000_000;
        let mut at = (window.from.saturating_add(shift)).div_euclid(between).saturating_mul(between).saturating_sub(shift);
        while at < window.to() {
            let label = self.shown(at, format);
            let room = |column: &usize| {
                let ends = column + columns(&label);
                ends <= layout.columns && (taken.is_empty() || ends < taken.start || *column > taken.end)
            };
            if let Some(column) = window.column(at).filter(room) {
                pen.write(layout.legend + column, row, &label, self.look.quiet());
            }
            at = at.saturating_add(between);
        }
    }

    /// The time at the cursor, below it; returns the columns that it takes.
    fn cursor_label(&self, pen: &mut Pen<'_>, row: usize) -> Range<usize> {
        let Some(column) = self.cursor_column() else { return 0..0 };
        let time = self.shown(self.scene.cursor, if self.scene.is_fine { "%H:%M:%S%.1f" } else { "%H:%M:%S" });
        let length = columns(&time) + 1;
        let (left, text) = if column + length <= self.layout.columns {
            (column, format!("▴{time}"))
        } else {
            ((column + 1).saturating_sub(length), format!("{time}▴"))
        };
        pen.write(self.layout.legend + left, row, &text, self.look.strong());
        left..left + length
    }

    /// What is told of the moment at the cursor: the spans that are open, and the last event.
    fn says(&self, pen: &mut Pen<'_>, row: usize) {
        let cursor = self.scene.cursor;
        let mut open: Vec<&Bar> = self.scene.spans.iter().filter(|bar| bar.from <= cursor && cursor <= bar.to).collect();
        open.sort_by_key(|bar| bar.lane);
        let names: Vec<&str> = open.iter().map(|bar| bar.name.as_str()).collect();
        let mut left = 0;
        if let Some(inner) = open.last() {
            let whole = if inner.is_open { String::new() } else { format!(" of {}", human::seconds((inner.to - inner.from) as f64 / 1e9)) };
            let text = format!("in {}, {}{whole}", names.join(" › "), human::seconds((cursor - inner.from) as f64 / 1e9));
            left = pen.write(0, row, &cut(&text, self.layout.width), Style::new()) + 3;
        }
        let before = self.scene.events.partition_point(|mark| mark.at <= cursor);
        if let Some(mark) = before.checked_sub(1).and_then(|place| self.scene.events.get(place)) {
            let text = format!("▾ {}", told(mark, cursor));
            pen.write(left, row, &cut(&text, self.layout.width.saturating_sub(left)), self.look.notice());
        }
    }
}

/// An event, and how long ago it was.
fn told(mark: &Mark, cursor: i64) -> String {
    let ago = human::seconds((cursor - mark.at) as f64 / 1e9);
    let detail = mark.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{} {ago} ago{detail}", mark.name)
}

/// The shortest round time that is at least this.
fn label_step(nanos: i64) -> i64 {
    const S: i64 = 1_000_000_000;
    const STEPS: [i64; 24] = [
        S / 10,
        S / 5,
        S / 2,
        S,
        2 * S,
        5 * S,
        10 * S,
        15 * S,
        30 * S,
        60 * S,
        120 * S,
        300 * S,
        600 * S,
        900 * S,
        1800 * S,
        3600 * S,
        2 * 3600 * S,
        3 * 3600 * S,
        6 * 3600 * S,
        12 * 3600 * S,
        24 * 3600 * S,
        2 * 24 * 3600 * S,
        7 * 24 * 3600 * S,
        28 * 24 * 3600 * S,
    ];
    STEPS.into_iter().find(|step| *step >= nanos).unwrap_or_else(|| nanos.max(1))
}
