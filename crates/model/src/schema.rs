//! The list of all metrics, written down: for the program's help, for the documentation, and as a text in which a change is seen.

use std::fmt::Write;

use crate::{Kind, Table, Unit};

/// One line for each metric: id, kind, unit, physical type. A changed line is a changed format of recordings.
pub fn schema_text(tables: &[&Table]) -> String {
    let mut text = String::new();
    for table in tables {
        let keys: Vec<String> = table.key_metrics().iter().map(|key| key.column()).collect();
        let by = if keys.is_empty() { String::new() } else { format!(" by {}", keys.join(", ")) };
        let _ = writeln!(text, "{}{by}", table.name);
        for metric in table.metrics {
            let _ = writeln!(text, "  {} {} {} {:?}", metric.id(), metric.kind.name(), metric.unit.name(), metric.physical);
        }
    }
    text
}

/// The reference page of all metrics, in Markdown.
pub fn markdown(tables: &[&Table]) -> String {
    let mut page = String::from(
        "# Metrics\n\nEvery table of a recording and every column in it, written by `cargo xtask bless` from the declarations in the source.\n\n\
         Every row also has `time` (its tick: UTC, nanoseconds) and `monotonic_nanos` (when it was read, on a clock that never steps and goes on in suspend). Counters are kept as the\n\
         kernel gives them; rates are worked out by whoever looks. A cell that could not be read is null.\n",
    );
    for table in tables {
        let _ = write!(page, "\n## {}\n\n{}\n\nRead from {}.", table.name, table.help(), origin(table.origin));
        if table.keys > 0 {
            let keys: Vec<String> = table.key_metrics().iter().map(|key| format!("`{}`", key.column())).collect();
            let _ = write!(page, " One row for each {}.", keys.join(", "));
        }
        page.push_str("\n\n| column | kind | unit | what it is | where from |\n|---|---|---|---|---|\n");
        for metric in table.metrics {
            let unit = if metric.unit == Unit::None { "" } else { metric.unit.name() };
            let kind = if metric.kind == Kind::Id { "id" } else { metric.kind.name() };
            let help = metric.help().replace('|', "\\|");
            let _ = writeln!(page, "| `{}` | {kind} | {unit} | {help} | {} |", metric.column(), origin(metric.origin));
        }
    }
    page
}

fn origin(text: &str) -> String {
    if text.starts_with('/') && !text.contains(' ') { format!("`{text}`") } else { text.replace('|', "\\|") }
}
