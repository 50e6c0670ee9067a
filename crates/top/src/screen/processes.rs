//! The processes of a moment, and the life of one of them.

use ratatui::style::{Modifier, Style};

use barograph_view::text::{columns, cut, wrapped};
use barograph_view::{ProcessRow, human};

use super::layout::TITLE;
use super::{Pen, Screen, words};
use crate::scene::{Life, Meter};
use crate::table::{self, Column, Line};

/// Columns in the order in which they get room, with the columns of text that must be left for the command.
const WANTED: [(Column, usize); 10] = [
    (Column::Cpu, 8),
    (Column::Memory, 10),
    (Column::Pid, 14),
    (Column::Io, 20),
    (Column::Threads, 22),
    (Column::Age, 24),
    (Column::Waiting, 30),
    (Column::User, 40),
    (Column::State, 40),
    (Column::Files, 50),
];

/// Those that are there, from left to right.
const PLACES: [Column; 11] = [
    Column::Pid,
    Column::User,
    Column::State,
    Column::Cpu,
    Column::Memory,
    Column::Io,
    Column::Read,
    Column::Written,
    Column::Waiting,
    Column::Threads,
    Column::Files,
];

/// Between two columns.
const SPACE: usize = 2;

/// The columns that fit, from left to right, and the room for the command, which is the last. What is not always recorded is there if it is known of any process.
fn fitting(width: usize, processes: &[ProcessRow]) -> (Vec<Column>, usize) {
    let is_known = |column: Column| match column {
        Column::Waiting => processes.iter().any(|process| process.waiting.is_some()),
        Column::User => processes.iter().any(|process| process.user.is_some()),
        Column::Files => processes.iter().any(|process| process.open_files.is_some()),
        _ => true,
    };
    let mut chosen = Vec::new();
    let mut left = width;
    for (column, least) in WANTED.into_iter().filter(|(column, _)| is_known(*column)) {
        if left >= column.width() + SPACE + least {
            left -= column.width() + SPACE;
            chosen.push(column);
        }
    }
    // Where there is much room, it is told apart what is read and what is written.
    if chosen.contains(&Column::Io) && left >= Column::Read.width() + SPACE + 50 {
        chosen.retain(|column| *column != Column::Io);
        chosen.extend([Column::Read, Column::Written]);
        left -= Column::Read.width() + SPACE;
    }
    let places = PLACES.into_iter().chain([Column::Age]).filter(|column| chosen.contains(column)).collect();
    (places, left)
}

impl Screen<'_> {
    /// The sums, the heads and the lines of the table.
    pub(super) fn processes(&self, pen: &mut Pen<'_>, top: usize) {
        let width = self.layout.width;
        let right = self.sorted();
        let left = pen.write(0, top, &cut(&self.sums(), width), Style::new());
        if left + 2 + columns(&right) <= width {
            pen.write_before(width, top, &right, self.look.quiet());
        }
        let (places, room) = fitting(width, &self.scene.processes);
        self.heads(pen, top + 1, &places, room);
        for row in 0..self.layout.table {
            let Some(line) = self.scene.lines.get(self.app.scroll + row) else { break };
            self.line(pen, top + 2 + row, line, &places, room);
        }
        if self.scene.lines.is_empty() && self.layout.table > 0 {
            let why = if self.app.order.filter.is_empty() { words::NO_PROCESSES } else { "no process has that; Esc shows all" };
            pen.write(0, top + 2, &cut(why, width), self.look.quiet());
        }
    }

    /// What the processes of the table come to.
    fn sums(&self) -> String {
        let sums = self.scene.totals;
        let mut pieces = vec![human::plural(sums.processes as u64, "process", "processes"), human::plural(sums.threads as u64, "thread", "threads")];
        pieces.extend(sums.cores.map(|cores| format!("{} cores", table::cores(cores))));
        pieces.push(human::byte_amount(sums.resident_bytes));
        pieces.join(" · ")
    }

    /// What is shown, and in which order.
    fn sorted(&self) -> String {
        let order = &self.app.order;
        let reversed = if order.reversed { ", the other way round" } else { "" };
        let tree = if order.tree { "tree " } else { "" };
        let filter = if order.filter.is_empty() { String::new() } else { format!("“{}” ", barograph_view::text::clean(&order.filter)) };
        format!("{filter}{tree}by {}{reversed}", order.by.name())
    }

    fn heads(&self, pen: &mut Pen<'_>, row: usize, places: &[Column], room: usize) {
        let style = |column: Column| if column == self.app.order.by { self.look.strong() } else { self.look.quiet() };
        let mut left = 0;
        for column in places {
            if column.is_text() {
                pen.write(left, row, column.head(), style(*column));
            } else {
                pen.write_before(left + column.width(), row, column.head(), style(*column));
            }
            left += column.width() + SPACE;
        }
        pen.write(left, row, &cut(Column::Process.head(), room), style(Column::Process));
        pen.style(0, row, self.layout.width, Style::new().add_modifier(Modifier::UNDERLINED));
    }

    fn line(&self, pen: &mut Pen<'_>, row: usize, line: &Line, places: &[Column], room: usize) {
        let Some(process) = self.scene.processes.get(line.place) else { return };
        let plain = if line.leads { self.look.quiet() } else { Style::new() };
        let mut left = 0;
        for column in places {
            let text = column.cell(process);
            let text = cut(&text, column.width());
            let style = if *column == self.app.order.by && !line.leads { plain.patch(self.look.strong()) } else { plain };
            if column.is_text() {
                pen.write(left, row, &text, style);
            } else {
                pen.write_before(left + column.width(), row, &text, style);
            }
            left += column.width() + SPACE;
        }
        let branch = cut(&line.branch, room / 2);
        let left = pen.write(left, row, &branch, self.look.quiet());
        pen.write(left, row, &cut(&Column::Process.cell(process), room.saturating_sub(columns(&branch))), plain);
        if self.app.selected == Some((process.pid, process.start_ticks)) {
            pen.style(0, row, self.layout.width, self.look.chosen());
        }
    }

    /// The life of one process, along the same axis of time.
    pub(super) fn life(&self, pen: &mut Pen<'_>, top: usize, life: &Life) {
        let width = self.layout.width;
        let bottom = self.layout.height - 1;
        pen.write(0, top, &cut(&life.title, width), self.look.strong());
        pen.write_before(width, top, "Esc back · ↑ ↓ others", self.look.quiet());
        pen.style(0, top, width, Style::new().add_modifier(Modifier::UNDERLINED));
        // Who it is needs so much; the curves have the rest.
        let room = width.saturating_sub(TITLE);
        let facts: Vec<(&str, Vec<String>)> = life.facts.iter().map(|(name, text)| (*name, lines_of(text, room))).collect();
        let mut row = top + 1;
        let space = bottom.saturating_sub(row);
        let meters = life.meters.len().min((space / 2).max(1));
        for (place, meter) in life.meters.iter().take(meters).enumerate() {
            self.life_meter(pen, row, meter, place);
            row += 1;
        }
        for (name, lines) in facts {
            for (number, line) in lines.iter().enumerate() {
                if row >= bottom {
                    return;
                }
                if number == 0 {
                    pen.write(0, row, name, self.look.quiet());
                }
                pen.write(TITLE, row, line, Style::new());
                row += 1;
            }
        }
    }

    fn life_meter(&self, pen: &mut Pen<'_>, row: usize, meter: &Meter, place: usize) {
        pen.write(0, row, &cut(&meter.title, TITLE - 1), self.look.quiet());
        pen.write(TITLE, row, &cut(&meter.says(), self.layout.legend - TITLE - 1), self.look.strong());
        self.curve(pen, row, 1, meter, place);
    }
}

/// A text in lines of this width: broken between words, and words that are too long within.
fn lines_of(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    for line in wrapped(text, " ", width) {
        let mut rest = line.as_str();
        while columns(rest) > width {
            let mut used = 0;
            let end = rest.char_indices().find(|(_, char)| {
                used += columns(char.encode_utf8(&mut [0; 4]));
                used > width
            });
            let (head, tail) = rest.split_at(end.map_or(rest.len(), |(place, _)| place.max(1)));
            lines.push(head.to_owned());
            rest = tail;
        }
        lines.push(rest.to_owned());
    }
    lines
}
