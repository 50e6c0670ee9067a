//! A figure in letters: stacks as blocks, lines in braille, spans and marks above, legends below. A gap is blank, and zero is the lowest line.

use std::fmt::Write;

use barograph_view::Style;
use barograph_view::curve::curve;
use barograph_view::human;
use barograph_view::text::{columns, cut};

use crate::colours::Rgb;
use crate::figure::{Draft, Look, Run};
use crate::panel::{Content, Drawn, at_times};
use crate::scale::{self, Axis};

/// Lines of text for the values of a panel.
const HEIGHT: usize = 8;

/// Columns for what is written at the ticks.
const LABELS: usize = 8;

/// Rows of spans.
const SPAN_ROWS: usize = 3;

const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The panels in so many columns of text, with colours or without.
pub fn terminal(runs: &[Run], look: &Look, width: usize, has_colours: bool) -> String {
    let draft = Draft::new(runs, look, 1.0);
    let paper = Paper { look, room: width.saturating_sub(LABELS + 1).max(16), width, has_colours };
    let mut out = String::new();
    paper.line(&mut out, &paper.bold(&cut(&look.title, width)));
    paper.line(&mut out, &cut(&look.subtitle, width));
    paper.write_spans(&mut out, &draft);
    paper.write_marks(&mut out, &draft);
    for content in draft.contents() {
        paper.line(&mut out, "");
        paper.write_panel(&mut out, &draft, &content);
    }
    paper.write_time(&mut out);
    out
}

struct Paper<'a> {
    look: &'a Look,
    /// Columns for values.
    room: usize,
    width: usize,
    has_colours: bool,
}

impl Paper<'_> {
    fn line(&self, out: &mut String, text: &str) {
        out.push_str(text.trim_end());
        out.push('\n');
    }

    fn bold(&self, text: &str) -> String {
        if self.has_colours { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn dim(&self, text: &str) -> String {
        if self.has_colours && !text.is_empty() { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn ink(&self, colour: Rgb, text: &str) -> String {
        if self.has_colours { format!("\x1b[38;5;{}m{text}\x1b[0m", of_256(colour)) } else { text.to_owned() }
    }

    /// The column of a time.
    fn column(&self, at: f64) -> usize {
        let (from, to) = self.look.time;
        ((((at - from) / (to - from)).clamp(0.0, 1.0) * self.room as f64) as usize).min(self.room - 1)
    }

    fn write_spans(&self, out: &mut String, draft: &Draft<'_>) {
        for (run, slices, rows) in draft.span_rows() {
            let used = rows.iter().max().map_or(0, |row| row + 1).min(SPAN_ROWS);
            for row in 0..used {
                let mut cells = vec![' '; self.room];
                for (slice, _) in slices.iter().zip(&rows).filter(|(_, place)| **place == row) {
                    let (from, to) = (self.column(slice.from), self.column(slice.to).max(self.column(slice.from) + 1).min(self.room));
                    let room = to - from;
                    let name = if room > 3 { cut(&slice.name, room - 2).into_owned() } else { String::new() };
                    let mut letters = name.chars();
                    for (place, cell) in cells[from..to].iter_mut().enumerate() {
                        *cell = match place {
                            0 => '▐',
                            // Wide letters would push what is beside them away.
                            _ => letters.next().filter(|letter| columns(letter.encode_utf8(&mut [0; 4])) == 1).unwrap_or('─'),
                        };
                    }
                }
                let name = if draft.runs().len() > 1 && row == 0 { cut(&draft.runs()[run].name, LABELS).into_owned() } else { String::new() };
                let text: String = cells.into_iter().collect();
                self.line(out, &format!("{name:>LABELS$} {text}"));
            }
        }
    }

    fn write_marks(&self, out: &mut String, draft: &Draft<'_>) {
        const MOST: usize = 12;
        let marks = draft.all_marks();
        if marks.is_empty() {
            return;
        }
        let mut cells = vec![' '; self.room];
        for (mark, _) in &marks {
            cells[self.column(mark.at)] = '▾';
        }
        self.line(out, &format!("{:LABELS$} {}", "", cells.into_iter().collect::<String>()));
        let mut said: Vec<String> = marks.iter().take(MOST).map(|(mark, _)| format!("{} {}", human::since_start(mark.at / 1e3), mark.name)).collect();
        if marks.len() > MOST {
            said.push(format!("and {} more", marks.len() - MOST));
        }
        for line in barograph_view::text::wrapped(&said.join(" · "), " · ", self.room) {
            self.line(out, &format!("{:LABELS$} {}", "", self.dim(&cut(&line, self.room))));
        }
    }

    fn write_panel(&self, out: &mut String, draft: &Draft<'_>, content: &Content) {
        let axis = content.axis(3);
        let unit = if content.style == Style::Heat { "" } else { axis.unit };
        self.line(
            out,
            &format!(
                "{:LABELS$} {} {}",
                "",
                self.bold(&cut(&content.title, self.room)),
                self.dim(&cut(unit, self.room.saturating_sub(columns(&content.title) + 1)))
            ),
        );
        if content.is_empty() {
            self.line(out, &format!("{:LABELS$} {}", "", self.dim("no values in this time")));
            return;
        }
        let rows = match content.style {
            Style::Stack if self.has_colours => self.stack(content, &axis),
            Style::Stack => self.sum(content, &axis),
            Style::Lines => self.lines(content, &axis),
            Style::Heat => self.heat(draft, content),
        };
        let names: Vec<String> = match content.style {
            Style::Heat => content.lines.iter().map(|line| line.label.clone()).collect(),
            _ => self.tick_names(&axis),
        };
        for (row, cells) in rows.iter().enumerate() {
            let name = cut(names.get(row).map_or("", String::as_str), LABELS).into_owned();
            self.line(out, &format!("{}{} {cells}", " ".repeat(LABELS.saturating_sub(columns(&name))), self.dim(&name)));
        }
        self.write_legend(out, content);
    }

    /// What is written beside each row: the tick within it.
    fn tick_names(&self, axis: &Axis) -> Vec<String> {
        let mut names = vec![String::new(); HEIGHT];
        for (value, text) in &axis.ticks {
            let from_below = ((axis.place(*value) * HEIGHT as f64) as usize).min(HEIGHT - 1);
            names[HEIGHT - 1 - from_below].clone_from(text);
        }
        names
    }

    fn write_legend(&self, out: &mut String, content: &Content) {
        let is_told = |line: &&Drawn| line.summary.peak.is_some() || line.summary.mean.is_some();
        let name_room = content.lines.iter().map(|line| columns(&line.label)).max().unwrap_or(0).min(self.width.saturating_sub(40).max(12));
        for line in content.lines.iter().filter(is_told) {
            let [mean, peak] = Draft::figures(content, &line.summary);
            let name = cut(&line.label, name_room).into_owned();
            let space = " ".repeat(name_room.saturating_sub(columns(&name)));
            let sign = if content.style == Style::Stack { "■" } else { "─" };
            let tail = format!("{name}{space}  mean {mean:<10} peak {peak}");
            self.line(out, &format!("{:LABELS$} {} {}", "", self.ink(line.colour, sign), cut(&tail, self.room.saturating_sub(2))));
        }
        for limit in content.limits.iter().filter(|limit| limit.value > content.axis(3).top) {
            self.line(out, &format!("{:LABELS$} {}", "", self.dim(&cut(&format!("{}, above", scale::limit(content.unit, limit)), self.room))));
        }
    }

    fn write_time(&self, out: &mut String) {
        const LETTER: f64 = 1.0;
        let ticks = self.look.clock.ticks(self.look.time.0, self.look.time.1, self.room as f64 * LETTER, 1.7 * LETTER);
        let mut rule = vec!['─'; self.room];
        let mut names = vec![' '; self.room + LABELS];
        let mut free_from = 0;
        for (at, text) in ticks.ticks {
            let column = self.column(at);
            rule[column] = '┬';
            let length = text.chars().count();
            let from = (LABELS / 2 + column + 1).saturating_sub(length / 2);
            if from >= free_from && from + length <= names.len() {
                text.chars().zip(&mut names[from..]).for_each(|(letter, cell)| *cell = letter);
                free_from = from + length + 1;
            }
        }
        self.line(out, &format!("{:LABELS$} {}", "", self.dim(&rule.into_iter().collect::<String>())));
        let names: String = names.into_iter().collect();
        self.line(out, &format!("{:1$}{names}", "", LABELS - LABELS / 2));
        self.line(out, &format!("{:LABELS$} {}", "", self.dim(&cut(&ticks.title, self.room))));
    }

    /// Values at each column: means of what lies within it, or what lies between its neighbours.
    fn sampled(&self, x: &[f64], values: &[f64]) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0, 0_u32); self.room];
        let (from, to) = self.look.time;
        for (at, value) in x.iter().zip(values).filter(|(at, value)| value.is_finite() && **at >= from && **at <= to) {
            let cell = &mut sums[self.column(*at)];
            *cell = (cell.0 + value, cell.1 + 1);
        }
        let middles: Vec<f64> = (0..self.room).map(|column| from + (column as f64 + 0.5) / self.room as f64 * (to - from)).collect();
        let between = at_times(x, values, &middles);
        sums.into_iter()
            .zip(between)
            .map(|((sum, many), between)| if many > 0 { Some(sum / f64::from(many)) } else { Some(between).filter(|value| value.is_finite()) })
            .collect()
    }

    /// Without colours, a stack is its sum.
    fn sum(&self, content: &Content, axis: &Axis) -> Vec<String> {
        let (x, edges) = content.stacked();
        let values = edges.last().map(|top| self.sampled(&x, top)).unwrap_or_default();
        curve(&values, axis.top, HEIGHT)
    }

    /// With colours each cell shows two of the layers, the one at its foot and the one above.
    fn stack(&self, content: &Content, axis: &Axis) -> Vec<String> {
        let (x, edges) = content.stacked();
        let edges: Vec<Vec<Option<f64>>> = edges.iter().map(|edge| self.sampled(&x, edge)).collect();
        let steps = (HEIGHT * 8) as f64;
        let mut rows = Vec::new();
        for row in (0..HEIGHT).rev() {
            let mut line = String::new();
            for column in 0..self.room {
                let layer_at = |eighth: usize| {
                    let at = ((row * 8 + eighth) as f64 + 0.5) / steps * axis.top;
                    edges.iter().position(|edge| edge[column].is_some_and(|value| at <= value))
                };
                let layers: Vec<Option<usize>> = (0..8).map(layer_at).collect();
                let foot = layers[0];
                let eighths = layers.iter().take_while(|layer| **layer == foot).count();
                let above = layers.get(eighths).copied().flatten();
                let colour = |layer: usize| of_256(content.lines[layer].colour);
                match (foot, above) {
                    (None, _) => line.push(' '),
                    (Some(foot), None) => {
                        let _ = write!(line, "\x1b[38;5;{}m{}\x1b[0m", colour(foot), EIGHTHS[eighths]);
                    }
                    (Some(foot), Some(above)) => {
                        let _ = write!(line, "\x1b[38;5;{};48;5;{}m{}\x1b[0m", colour(foot), colour(above), EIGHTHS[eighths]);
                    }
                }
            }
            rows.push(line);
        }
        rows
    }

    /// Lines in braille: two by four dots in a letter. A letter has one colour, that of the line that came first.
    fn lines(&self, content: &Content, axis: &Axis) -> Vec<String> {
        const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        let mut cells = vec![vec![(0_u32, None::<usize>); self.room]; HEIGHT];
        let (wide, high) = (self.room * 2, HEIGHT * 4);
        let (from, to) = self.look.time;
        let middles: Vec<f64> = (0..wide).map(|dot| from + (dot as f64 + 0.5) / wide as f64 * (to - from)).collect();
        for (number, line) in content.lines.iter().enumerate() {
            let mut values = at_times(&line.x, &line.mean, &middles);
            // A value that stands alone has nothing to lie between.
            for (at, value) in line.x.iter().zip(&line.mean).filter(|(at, value)| value.is_finite() && **at >= from && **at <= to) {
                let dot = ((((at - from) / (to - from)) * wide as f64) as usize).min(wide - 1);
                if !values[dot].is_finite() {
                    values[dot] = *value;
                }
            }
            let mut before: Option<usize> = None;
            for (dot, value) in values.iter().enumerate() {
                if !value.is_finite() {
                    before = None;
                    continue;
                }
                let place = high - 1 - ((axis.place(*value) * high as f64) as usize).min(high - 1);
                let (first, last) = before
                    .map_or((place, place), |before| if before < place { (before + 1, place) } else { (place, before.saturating_sub(1).max(place)) });
                for y in first..=last {
                    let cell = &mut cells[y / 4][dot / 2];
                    cell.0 |= DOTS[dot % 2][y % 4];
                    cell.1 = cell.1.or(Some(number));
                }
                before = Some(place);
            }
        }
        let letter = |(dots, line): &(u32, Option<usize>)| match line {
            None => " ".to_owned(),
            Some(line) => self.ink(content.lines[*line].colour, &char::from_u32(0x2800 + dots).unwrap_or(' ').to_string()),
        };
        cells.iter().map(|row| row.iter().map(letter).collect()).collect()
    }

    /// A row for each line; without colours by the height of blocks.
    fn heat(&self, draft: &Draft<'_>, content: &Content) -> Vec<String> {
        let top = content.full();
        let row = |line: &Drawn| {
            let values = self.sampled(&line.x, &line.mean);
            if !self.has_colours {
                return curve(&values, top, 1).concat();
            }
            let cell = |value: &Option<f64>| value.map_or_else(|| " ".to_owned(), |value| self.ink(draft.ink().heat(value / top), "█"));
            values.iter().map(cell).collect()
        };
        content.lines.iter().map(row).collect()
    }
}

/// The nearest of the 256 colours that every terminal has.
fn of_256(colour: Rgb) -> u8 {
    let level = |part: u8| match part {
        0..=47 => 0,
        48..=114 => 1,
        part => (part - 35) / 40,
    };
    16 + 36 * level(colour.0) + 6 * level(colour.1) + level(colour.2)
}
