//! Aligned tables for a terminal, and the same in Markdown.

use std::io::{self, Write};

use crate::paint::{Ink, Paint, columns, cut};

/// Between two columns.
const SPACE: &str = "  ";

/// Narrower than this a column that gives way says nothing.
const LEAST: usize = 8;

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
    /// Left, and the one that is cut when the table is too wide.
    Flexible,
}

/// A table of texts.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<(String, Align)>,
    rows: Vec<Vec<(String, Ink)>>,
    /// Columns are at least this wide.
    least: Vec<usize>,
}

impl Table {
    /// A table with these heads.
    pub(crate) fn new<'a>(heads: impl IntoIterator<Item = (&'a str, Align)>) -> Table {
        Table { heads: heads.into_iter().map(|(head, align)| (head.to_owned(), align)).collect(), rows: Vec::new(), least: Vec::new() }
    }

    /// Makes the columns of several tables equally wide, so that they stand below each other.
    pub(crate) fn align(tables: &mut [Table]) {
        let mut least: Vec<usize> = Vec::new();
        for table in &*tables {
            let widths = table.widths(usize::MAX);
            least.resize(least.len().max(widths.len()), 0);
            least.iter_mut().zip(widths).for_each(|(least, width)| *least = (*least).max(width));
        }
        tables.iter_mut().for_each(|table| table.least.clone_from(&least));
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = (String, Ink)>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Leaves columns out, in this order, until the flexible one has at least so many columns of text, and those in which there is nothing anyway.
    pub(crate) fn fit(&mut self, limit: usize, give_way: &[&[&str]], least: usize) {
        for head in give_way.concat().into_iter().filter(|head| self.is_blank(head)).collect::<Vec<_>>() {
            self.leave_out(head);
        }
        for heads in give_way {
            let widths = self.widths(usize::MAX);
            let Some(place) = self.heads.iter().position(|(_, align)| *align == Align::Flexible) else { return };
            let others = widths.iter().sum::<usize>() - widths[place] + SPACE.len() * (widths.len() - 1);
            if others + least.min(widths[place]) <= limit {
                return;
            }
            heads.iter().for_each(|head| self.leave_out(head));
        }
    }

    fn leave_out(&mut self, head: &str) {
        if let Some(place) = self.heads.iter().position(|(name, _)| name == head) {
            self.heads.remove(place);
            for row in &mut self.rows {
                row.remove(place);
            }
        }
    }

    fn is_blank(&self, head: &str) -> bool {
        let place = self.heads.iter().position(|(name, _)| name == head);
        place.is_none_or(|place| self.rows.iter().all(|row| row[place].0.is_empty()))
    }

    /// Writes it in at most so many columns of the terminal, each line behind this indent.
    pub(crate) fn write(&self, out: &mut dyn Write, paint: Paint, indent: &str, width: usize) -> io::Result<()> {
        let widths = self.widths(width.saturating_sub(columns(indent)));
        let heads: Vec<(String, Ink)> = self.heads.iter().map(|(head, _)| (head.clone(), Ink::Dim)).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::from(indent);
            for (index, ((text, ink), (_, align))) in row.iter().zip(&self.heads).enumerate() {
                let text = cut(text, widths[index]);
                let space = " ".repeat(widths[index] - columns(&text));
                let painted = paint.ink(*ink, &text);
                let between = if index == 0 { "" } else { SPACE };
                let last = index + 1 == row.len();
                match align {
                    Align::Right => line.extend([between, &space, &painted]),
                    _ if last => line.extend([between, &painted]),
                    _ => line.extend([between, &painted, &space]),
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Writes it as Markdown.
    pub(crate) fn write_markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        let line = |out: &mut dyn Write, cells: &mut dyn Iterator<Item = &str>| -> io::Result<()> {
            write!(out, "|")?;
            for cell in cells {
                write!(out, " {} |", markdown(cell))?;
            }
            writeln!(out)
        };
        line(out, &mut self.heads.iter().map(|(head, _)| head.as_str()))?;
        line(out, &mut self.heads.iter().map(|(_, align)| if *align == Align::Right { "--:" } else { ":--" }))?;
        self.rows.iter().try_for_each(|row| line(out, &mut row.iter().map(|(cell, _)| cell.as_str())))
    }

    fn widths(&self, limit: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heads.iter().map(|(head, _)| columns(head)).collect();
        widths.iter_mut().zip(&self.least).for_each(|(width, least)| *width = (*width).max(*least));
        for row in &self.rows {
            for (width, (cell, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(columns(cell));
            }
        }
        let all = widths.iter().sum::<usize>() + SPACE.len() * widths.len().saturating_sub(1);
        if let Some(place) = self.heads.iter().position(|(_, align)| *align == Align::Flexible) {
            widths[place] = widths[place].saturating_sub(all.saturating_sub(limit)).max(LEAST.min(widths[place]));
        }
        widths
    }
}

/// Text that Markdown takes for nothing but text.
pub(crate) fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, '\\' | '|' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '#' | '~') {
            safe.push('\\');
        }
        safe.push(char);
    }
    // The second row of a table is made of these, and they are no text.
    if matches!(text, "--:" | ":--") { text.to_owned() } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new([("PID", Align::Right), ("COMMAND", Align::Flexible), ("CPU", Align::Right)]);
        table.row([("1".to_owned(), Ink::Plain), ("sh -c 'a | b' and so on".to_owned(), Ink::Plain), ("12.3 s".to_owned(), Ink::Plain)]);
        table.row([("12345".to_owned(), Ink::Plain), ("漢字".to_owned(), Ink::Plain), ("0 s".to_owned(), Ink::Plain)]);
        table
    }

    fn text(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn columns_are_aligned_and_the_flexible_one_gives_way() {
        let lines = ["    PID  COMMAND            CPU", "      1  sh -c 'a | b'…  12.3 s", "  12345  漢字               0 s", ""];
        assert_eq!(text(|out| sample().write(out, Paint::none(), "  ", 31)), lines.join("\n"));
    }

    #[test]
    fn markdown_escapes_its_signs() {
        let expected = "| PID | COMMAND | CPU |\n| --: | :-- | --: |\n| 1 | sh -c 'a \\| b' and so on | 12.3 s |\n| 12345 | 漢字 | 0 s |\n";
        assert_eq!(text(|out| sample().write_markdown(out)), expected);
    }
}
