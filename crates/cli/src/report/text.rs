//! The report for a terminal.

use std::io::{self, Write};

use super::{SEPARATOR, ending, figures, head, others, processes, program, title};
use crate::human;
use crate::paint::{Ink, Paint, columns, cut, wrapped};
use crate::story::Story;
use crate::table::Table;
use crate::words::zoned;
use barograph_view::curve::curve;

const INDENT: &str = "  ";

/// Room for the name of a curve, and for its highest value.
const LABEL: usize = 13;
const TOP: usize = 12;

pub(super) fn write(out: &mut dyn Write, story: &Story, paint: Paint, width: usize) -> io::Result<()> {
    write_head(out, story, paint, width)?;
    let mut groups: Vec<Table> = story.groups.iter().map(|group| figures(story, group.name, &group.lines)).collect();
    Table::align(&mut groups);
    for group in groups {
        writeln!(out)?;
        group.write(out, paint, INDENT, width)?;
    }
    if story.span.ticks >= 2 && !story.curves.is_empty() {
        writeln!(out)?;
        write_curves(out, story, paint, width)?;
    }
    if !story.top.lines.is_empty() {
        writeln!(out)?;
        let room = width - columns(INDENT);
        processes(story, &story.top, Some(room)).write(out, paint, INDENT, width)?;
        if let Some(others) = others(&story.top) {
            writeln!(out, "{INDENT}{}", paint.ink(Ink::Dim, &others))?;
        }
    }
    write_program(out, story, paint, width)?;
    write_notes(out, story, paint, width)
}

/// The spans alone.
pub(super) fn write_spans(out: &mut dyn Write, story: &Story, paint: Paint, width: usize) -> io::Result<()> {
    write_head(out, story, paint, width)?;
    if story.program.spans[0] == 0 {
        writeln!(out)?;
        return wrapped(program::NO_SPANS, " ", width - columns(INDENT)).iter().try_for_each(|line| writeln!(out, "{INDENT}{line}"));
    }
    write_tables_of_spans(out, story, paint, width)
}

fn write_tables_of_spans(out: &mut dyn Write, story: &Story, paint: Paint, width: usize) -> io::Result<()> {
    let (said, room) = (&story.program, width - columns(INDENT));
    let mut tables = Vec::new();
    if !said.each.is_empty() {
        tables.push(program::instances(story, "SPANS", &said.each, Some(room)));
    } else if !said.names.is_empty() {
        tables.push(program::names(said, Some(room)));
        tables.extend((!said.slowest.is_empty()).then(|| program::instances(story, "SLOWEST", &said.slowest, Some(room))));
        tables.extend((!said.troubled.is_empty()).then(|| program::troubled(story, &said.troubled, Some(room))));
    }
    let mut text = Vec::new();
    for table in tables {
        writeln!(text)?;
        table.write(&mut text, paint, INDENT, width)?;
    }
    out.write_all(&text)?;
    program::legend(&String::from_utf8_lossy(&text)).map_or(Ok(()), |legend| writeln!(out, "{INDENT}{}", paint.ink(Ink::Dim, &legend)))
}

/// What the program said of itself.
fn write_program(out: &mut dyn Write, story: &Story, paint: Paint, width: usize) -> io::Result<()> {
    write_tables_of_spans(out, story, paint, width)?;
    let gauges = (!story.program.gauges.is_empty()).then(|| program::gauges(&story.program));
    let marks = (!story.program.marks.is_empty()).then(|| program::marks(story));
    for table in gauges.into_iter().chain(marks) {
        writeln!(out)?;
        table.write(out, paint, INDENT, width)?;
    }
    for said in program::left_out(story) {
        writeln!(out, "{INDENT}{}", paint.ink(Ink::Dim, &cut(&said, width - columns(INDENT))))?;
    }
    Ok(())
}

pub(super) fn write_head(out: &mut dyn Write, story: &Story, paint: Paint, width: usize) -> io::Result<()> {
    let (how, ink) = ending(story);
    let title = title(story);
    let room = width.saturating_sub(columns(&how) + 2);
    let title = cut(&title, room.max(20));
    let space = " ".repeat(width.saturating_sub(columns(&title) + columns(&how)).max(2));
    writeln!(out, "{}{space}{}", paint.ink(Ink::Bold, &title), paint.ink(ink, &how))?;
    writeln!(out, "{}", paint.ink(Ink::Dim, &"─".repeat(width)))?;
    for (name, says, ink) in head(story).into_iter().filter(|(name, ..)| *name != "ended") {
        for (number, line) in wrapped(&says, SEPARATOR, width.saturating_sub(10)).iter().enumerate() {
            let name = if number == 0 { name } else { "" };
            writeln!(out, "{INDENT}{}{}", paint.ink(Ink::Dim, &format!("{name:<8}")), paint.ink(ink, line))?;
        }
    }
    Ok(())
}

fn write_curves(out: &mut dyn Write, story: &Story, paint: Paint, width: usize) -> io::Result<()> {
    let room = width.saturating_sub(INDENT.len() + LABEL + 1 + TOP).max(10);
    let (from, to) = story.span.monotonic;
    let scale = format!("{} a column", human::seconds(story.span.seconds() / room as f64));
    writeln!(out, "{INDENT}{}", paint.ink(Ink::Dim, &format!("{:<LABEL$}{}", "OVER TIME", scale)))?;
    for (shown, series) in &story.curves {
        let values = series.columns(from, to, room);
        let top = values.iter().flatten().fold(0.0_f64, |top, value| top.max(*value));
        let lines = curve(&values, top, shown.height);
        for (number, line) in lines.iter().enumerate() {
            let label = if number == 0 { shown.label } else { "" };
            let end = if number == 0 { shown.value(top) } else { String::new() };
            writeln!(out, "{}", format!("{INDENT}{label:<LABEL$}{} {}", paint.ink(shown.ink, line), paint.ink(Ink::Dim, &end)).trim_end())?;
        }
    }
    writeln!(out, "{INDENT}{:LABEL$}{}", "", paint.ink(Ink::Dim, &axis(story, room)))?;
    for (name, letters, ink) in program::rows(&story.program, room, LABEL) {
        let space = " ".repeat(LABEL.saturating_sub(columns(&name)));
        writeln!(out, "{INDENT}{name}{space}{}", paint.ink(ink, &letters))?;
    }
    Ok(())
}

/// `10:20:00 ──────── 3 min 12 s ──────── 10:23:12`
fn axis(story: &Story, width: usize) -> String {
    let same_day = zoned(story.span.utc.0, &story.zone).date() == zoned(story.span.utc.1, &story.zone).date();
    let clock = match story.span.seconds() < 10.0 {
        true => "%H:%M:%S%.3f",
        false if same_day => "%H:%M:%S",
        false => "%Y-%m-%d %H:%M",
    };
    let at = |nanos: i64| zoned(nanos, &story.zone).strftime(clock).to_string();
    let (begin, end) = (at(story.span.utc.0), at(story.span.utc.1));
    let length = format!(" {} ", human::seconds(story.span.seconds()));
    let rest = width.saturating_sub(columns(&begin) + columns(&end) + columns(&length) + 2);
    let (before, after) = (rest / 2, rest - rest / 2);
    format!("{begin} {}{length}{} {end}", "─".repeat(before), "─".repeat(after))
}

pub(super) fn write_notes(out: &mut dyn Write, story: &Story, paint: Paint, width: usize) -> io::Result<()> {
    if story.notes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{INDENT}{}", paint.ink(Ink::Dim, "TO KNOW"))?;
    let (warnings, others): (Vec<_>, Vec<_>) = story.notes.iter().partition(|note| note.is_warning);
    for note in warnings.into_iter().chain(others) {
        let (sign, ink) = if note.is_warning { ("!", Ink::Yellow) } else { ("·", Ink::Dim) };
        for (number, line) in wrapped(&note.text, " ", width.saturating_sub(4)).iter().enumerate() {
            let sign = if number == 0 { paint.ink(ink, sign) } else { " ".to_owned() };
            writeln!(out, "{INDENT}{sign} {line}")?;
        }
    }
    Ok(())
}
