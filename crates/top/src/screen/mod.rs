//! Draws a scene: header, spans, curves over one axis of time, the processes of a moment, and the keys.

mod curve;
mod layout;
mod meters;
mod processes;
mod words;

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use barograph_view::text::{columns, cut};

use crate::app::{App, Overlay, Place, Question};
use crate::keys::GROUPS;
use crate::look::Look;
use crate::scene::{Scene, Standing};

pub(crate) use layout::{Layout, Wanted};

/// What all that draws needs to know.
pub(crate) struct Screen<'a> {
    pub(crate) app: &'a App,
    pub(crate) scene: &'a Scene,
    pub(crate) layout: &'a Layout,
    pub(crate) look: Look,
    pub(crate) zone: &'a TimeZone,
}

impl Screen<'_> {
    /// Draws all of it.
    pub(crate) fn draw(&self, buffer: &mut Buffer) {
        let mut pen = Pen { buffer, width: self.layout.width, height: self.layout.height };
        self.header(&mut pen);
        let body = self.layout.header;
        if let Some(Overlay::Help(from)) = self.app.overlay {
            self.help(&mut pen, body, from);
        } else {
            let below = self.meters(&mut pen, body);
            match (&self.app.overlay, &self.scene.life) {
                (Some(Overlay::Details(_)), Some(life)) => self.life(&mut pen, below, life),
                _ => self.processes(&mut pen, below),
            }
        }
        self.footer(&mut pen);
    }

    fn header(&self, pen: &mut Pen<'_>) {
        let state = self.state();
        let mut right = self.layout.width;
        for (text, style) in state.iter().rev() {
            right = right.saturating_sub(columns(text));
            pen.write(right, 0, text, *style);
        }
        let one_line = self.layout.header == 1;
        if one_line {
            let time = self.clock(self.scene.cursor);
            right = right.saturating_sub(columns(&time) + 2);
            pen.write(right, 0, &time, Style::new());
        }
        pen.write(0, 0, &cut(&self.scene.title, right.saturating_sub(2)), self.look.strong());
        if one_line {
            return;
        }
        let when = self.when();
        let right = self.layout.width.saturating_sub(columns(&when));
        pen.write(right, 1, &when, Style::new());
        let mut left = 0;
        for (number, piece) in self.scene.about.iter().enumerate() {
            let piece = if number == 0 { piece.clone() } else { format!(" · {piece}") };
            if left + columns(&piece) + 2 > right {
                break;
            }
            pen.write(left, 1, &piece, self.look.quiet());
            left += columns(&piece);
        }
    }

    /// Whether it goes on, and whether we look at the present.
    fn state(&self) -> Vec<(String, Style)> {
        let (app, scene, look) = (self.app, self.scene, self.look);
        let mut words = Vec::new();
        if app.is_playing() {
            words.push((format!("▸ {}×", app.speed()), look.good().patch(look.strong())));
        } else if app.speed() > 1 {
            words.push((format!("{}×", app.speed()), look.quiet()));
        }
        match &scene.standing {
            Standing::Live if app.place == Place::Follow => words.push(("● live".to_owned(), look.good().patch(look.strong()))),
            Standing::Live => {
                let behind = (scene.end - scene.cursor) as f64 / 1e9;
                words.push((format!("{} behind live", barograph_view::human::seconds(behind)), look.notice().patch(look.strong())));
            }
            Standing::Ended { how, well: true } => words.push((how.clone(), look.good())),
            Standing::Ended { how, well: false } => words.push((how.clone(), look.bad())),
            Standing::Interrupted => words.push(("interrupted".to_owned(), look.bad())),
        }
        let count = words.len();
        words.into_iter().enumerate().map(|(number, (text, style))| (if number + 1 < count { text + "  " } else { text }, style)).collect()
    }

    /// The time at the cursor, and how far into the recording that is.
    fn when(&self) -> String {
        let since = |nanos: i64| (nanos - self.scene.start) as f64 / 1e9;
        let (now, all) = (since(self.scene.cursor), since(self.scene.end));
        let of = if self.scene.standing == Standing::Live { String::new() } else { format!(" of {}", barograph_view::human::seconds(all)) };
        format!("{}  {}{of}", self.clock(self.scene.cursor), barograph_view::human::since_start(now))
    }

    /// A moment on the clock, with its day where that is not the day of the begin… or there is room.
    fn clock(&self, nanos: i64) -> String {
        let format = match (self.layout.width >= 100, self.scene.is_fine) {
            (true, true) => "%Y-%m-%d %H:%M:%S%.1f",
            (true, false) => "%Y-%m-%d %H:%M:%S",
            (false, true) => "%H:%M:%S%.1f",
            (false, false) => "%H:%M:%S",
        };
        self.shown(nanos, format)
    }

    /// A moment in the zone that is shown.
    fn shown(&self, nanos: i64, format: &str) -> String {
        let time = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default();
        time.to_zoned(self.zone.clone()).strftime(format).to_string()
    }

    fn footer(&self, pen: &mut Pen<'_>) {
        let row = self.layout.height - 1;
        if let Some(message) = &self.app.message {
            let first = message.lines().next().unwrap_or_default();
            pen.write(0, row, &cut(first, self.layout.width), self.look.notice().patch(self.look.strong()));
            return;
        }
        if let Some(prompt) = &self.app.prompt {
            let (asks, hint) = match prompt.question {
                Question::Jump => ("go to ", "10:20:30, +90s from the start, -1m from the end"),
                Question::Filter => ("show ", "what pid, command or user has in it; Enter keeps it, Esc does not"),
            };
            let left = pen.write(0, row, asks, self.look.quiet());
            let left = pen.write(left, row, &barograph_view::text::clean(&prompt.text), self.look.strong());
            let left = pen.write(left, row, " ", self.look.chosen());
            pen.write(left + 2, row, &cut(hint, self.layout.width.saturating_sub(left + 2)), self.look.quiet());
            return;
        }
        let mut left = 0;
        for (key, does) in HINTS {
            let needed = columns(key) + 1 + columns(does);
            if left + needed > self.layout.width {
                continue;
            }
            left = pen.write(left, row, key, self.look.strong());
            left = pen.write(left + 1, row, does, self.look.quiet()) + 2;
        }
    }

    /// All keys, from this one on.
    fn help(&self, pen: &mut Pen<'_>, top: usize, from: usize) {
        let rows = self.layout.height.saturating_sub(top + 1);
        let bindings = GROUPS.iter().flat_map(|(group, bindings)| bindings.iter().enumerate().map(move |(number, binding)| (number, group, binding)));
        for (row, (number, group, binding)) in bindings.skip(from).take(rows).enumerate() {
            let wide = self.layout.width >= 60;
            if wide && (number == 0 || row == 0) {
                pen.write(0, top + row, group, self.look.quiet());
            }
            let left = if wide { 12 } else { 0 };
            pen.write(left, top + row, binding.keys, self.look.strong());
            pen.write(left + 15, top + row, &cut(binding.says, self.layout.width.saturating_sub(left + 15)), Style::new());
        }
    }
}

/// What the last line says of the keys, the most needed first.
const HINTS: [(&str, &str); 11] = [
    ("q", "quit"),
    ("?", "keys"),
    ("← →", "sample"),
    ("space", "play"),
    ("b", "time"),
    ("[ ]", "events"),
    ("Enter", "life"),
    ("v", "tree"),
    ("/", "filter"),
    ("o", "order"),
    ("w s", "zoom"),
];

/// Writes into a buffer, never beyond its edges.
struct Pen<'b> {
    buffer: &'b mut Buffer,
    width: usize,
    height: usize,
}

impl Pen<'_> {
    /// Writes a text, cut at the edge; returns the column behind it.
    fn write(&mut self, left: usize, row: usize, text: &str, style: Style) -> usize {
        if left >= self.width || row >= self.height {
            return left.saturating_add(columns(text));
        }
        let room = self.width - left;
        self.buffer.set_stringn(small(left), small(row), text, room, style);
        left + columns(text)
    }

    /// Writes a text so that it ends before this column.
    fn write_before(&mut self, right: usize, row: usize, text: &str, style: Style) {
        self.write(right.saturating_sub(columns(text)), row, text, style);
    }

    /// Changes how a part of a row looks.
    fn style(&mut self, left: usize, row: usize, width: usize, style: Style) {
        if left < self.width && row < self.height {
            self.buffer.set_style(Rect::new(small(left), small(row), small(width.min(self.width - left)), 1), style);
        }
    }

    /// Whether nothing has been written at this place.
    fn is_blank(&self, left: usize, row: usize) -> bool {
        left < self.width && row < self.height && self.buffer[(small(left), small(row))].symbol() == " "
    }
}

/// A column or row of a terminal.
fn small(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
