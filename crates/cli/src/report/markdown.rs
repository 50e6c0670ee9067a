//! The report in Markdown, for an issue, a merge request or a wiki.

use std::io::{self, Write};

use super::{figures, head, others, processes, program, title};
use crate::human;
use crate::story::Story;
use crate::story::program::Instance;
use crate::table::markdown;
use crate::words::zoned;
use barograph_view::curve::curve;

/// Columns of the curves.
const WIDTH: usize = 60;

pub(super) fn write(out: &mut dyn Write, story: &Story, only_spans: bool) -> io::Result<()> {
    if only_spans {
        writeln!(out, "## {}", markdown(&title(story)))?;
        if story.program.spans[0] == 0 {
            writeln!(out, "\n{}", markdown(program::NO_SPANS))?;
        }
        return write_program(out, story);
    }
    writeln!(out, "## {}\n", markdown(&title(story)))?;
    for (name, says, _) in head(story) {
        writeln!(out, "- **{name}** {}", markdown(&says))?;
    }
    for group in &story.groups {
        writeln!(out)?;
        figures(story, group.name, &group.lines).write_markdown(out)?;
    }
    if story.span.ticks >= 2 && !story.curves.is_empty() {
        write_curves(out, story)?;
    }
    if !story.top.lines.is_empty() {
        writeln!(out)?;
        processes(story, &story.top, None).write_markdown(out)?;
        if let Some(others) = others(&story.top) {
            writeln!(out, "\n{}", markdown(&others))?;
        }
    }
    write_program(out, story)?;
    if !story.notes.is_empty() {
        writeln!(out)?;
    }
    for note in &story.notes {
        writeln!(out, "- {}{}", if note.is_warning { "⚠ " } else { "" }, markdown(&note.text))?;
    }
    Ok(())
}

/// What the program said of itself.
fn write_program(out: &mut dyn Write, story: &Story) -> io::Result<()> {
    let said = &story.program;
    let list = |head: &str, list: &[Instance]| (!list.is_empty()).then(|| program::instances(story, head, list, None));
    let is_of_one = !said.each.is_empty();
    let tables = [
        list("SPANS", &said.each),
        (!said.names.is_empty() && !is_of_one).then(|| program::names(said, None)),
        list("SLOWEST", &said.slowest).filter(|_| !is_of_one),
        (!said.troubled.is_empty() && !is_of_one).then(|| program::troubled(story, &said.troubled, None)),
        (!said.gauges.is_empty() && !is_of_one).then(|| program::gauges(said)),
        (!said.marks.is_empty() && !is_of_one).then(|| program::marks(story)),
    ];
    let mut text = Vec::new();
    for table in tables.into_iter().flatten() {
        writeln!(text)?;
        table.write_markdown(&mut text)?;
    }
    out.write_all(&text)?;
    for said in program::legend(&String::from_utf8_lossy(&text)).into_iter().chain(program::left_out(story)) {
        writeln!(out, "\n{}", markdown(&said))?;
    }
    Ok(())
}

fn write_curves(out: &mut dyn Write, story: &Story) -> io::Result<()> {
    writeln!(out, "\n```text")?;
    for (shown, series) in &story.curves {
        let values = series.columns(story.span.monotonic.0, story.span.monotonic.1, WIDTH);
        let top = values.iter().flatten().fold(0.0_f64, |top, value| top.max(*value));
        for line in curve(&values, top, 1) {
            writeln!(out, "{:<13}{line} {}", shown.label, shown.value(top))?;
        }
    }
    let at = |nanos: i64| zoned(nanos, &story.zone).strftime("%H:%M:%S").to_string();
    writeln!(out, "{:13}{:<30}{:>30} {}", "", at(story.span.utc.0), at(story.span.utc.1), human::seconds(story.span.seconds()))?;
    writeln!(out, "```")
}
