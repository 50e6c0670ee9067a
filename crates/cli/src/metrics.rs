//! `barograph metrics`: every metric that can be recorded, from the declarations in the source.

use std::io::{self, Write};
use std::process::ExitCode;

use barograph_model::{Described, Metric, Table as Declared};
use barograph_store::SpanTable;
use clap::Args;
use serde_json::{Value, json};

use crate::human;
use crate::paint::{Ink, Paint, columns, width, wrapped};

/// List every metric: its id, kind and unit, what it is, and where the kernel says it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph metrics
  barograph metrics disk
  barograph metrics resident swap
  barograph metrics --json | jq -r '.[] | select(.kind == \"counter\") | .id'")]
pub(crate) struct MetricsArgs {
    /// Only metrics in whose id or help one of these words occurs; the name of a table gives all of it.
    words: Vec<String>,
    /// Columns of text to write in; that of the terminal, or 80.
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
    /// Print JSON: a list of objects.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &MetricsArgs) -> anyhow::Result<ExitCode> {
    let words: Vec<String> = args.words.iter().map(|word| word.to_lowercase()).collect();
    let tables = tables();
    let shown: Vec<(&Declared, Vec<&Metric>)> = tables
        .iter()
        .map(|table| (*table, table.metrics.iter().filter(|metric| is_asked(table, metric, &words)).collect::<Vec<_>>()))
        .filter(|(_, metrics)| !metrics.is_empty())
        .collect();
    anyhow::ensure!(!shown.is_empty(), "no metric is about {}; `barograph metrics` lists them all", args.words.join(" or "));
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        let list: Vec<Value> = shown.iter().flat_map(|(table, metrics)| metrics.iter().map(|metric| as_json(table, metric))).collect();
        serde_json::to_writer_pretty(&mut out, &list).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write_text(&mut out, &shown, Paint::of_stdout(), width(args.width))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn is_asked(table: &Declared, metric: &Metric, words: &[String]) -> bool {
    if words.iter().any(|word| tables_name(word)) {
        return words.iter().any(|word| word == table.name || (!tables_name(word) && is_about(metric, word)));
    }
    words.is_empty() || words.iter().any(|word| is_about(metric, word))
}

/// Those that are recorded, and the one that is made of them.
fn tables() -> Vec<&'static Declared> {
    barograph_sources::tables().into_iter().chain([SpanTable::TABLE]).collect()
}

fn tables_name(word: &str) -> bool {
    tables().iter().any(|table| table.name == word)
}

fn is_about(metric: &Metric, word: &str) -> bool {
    metric.id().contains(word) || metric.help().to_lowercase().contains(word)
}

fn as_json(table: &Declared, metric: &Metric) -> Value {
    json!({
        "id": metric.id(),
        "table": metric.table,
        "column": metric.column(),
        "is_key": table.key_metrics().iter().any(|key| key.name == metric.name),
        "kind": metric.kind.name(),
        "unit": metric.unit.name(),
        "ucum": metric.unit.ucum(),
        "help": metric.help(),
        "origin": metric.origin,
        "table_origin": table.origin,
    })
}

fn write_text(out: &mut dyn Write, shown: &[(&Declared, Vec<&Metric>)], paint: Paint, width: usize) -> io::Result<()> {
    for (number, (table, metrics)) in shown.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        let keys: Vec<String> = table.key_metrics().iter().map(Metric::column).collect();
        let each = if keys.is_empty() { String::new() } else { format!(" One row for each {}.", keys.join(", ")) };
        writeln!(out, "{}", paint.ink(Ink::Bold, table.name))?;
        for line in wrapped(&format!("{}{each}", table.help()), " ", width.saturating_sub(2)) {
            writeln!(out, "  {line}")?;
        }
        writeln!(out, "  {}", paint.ink(Ink::Dim, &format!("from {}", table.origin)))?;
        for metric in metrics {
            let unit = if metric.unit.name() == "none" { String::new() } else { format!(" · {}", metric.unit.name()) };
            let facts = format!("{}{unit}", metric.kind.name());
            let space = " ".repeat(width.saturating_sub(2 + columns(&metric.id()) + columns(&facts)).max(1));
            writeln!(out, "\n  {}{space}{}", paint.ink(Ink::Cyan, &metric.id()), paint.ink(Ink::Dim, &facts))?;
            for line in wrapped(metric.help(), " ", width.saturating_sub(4)) {
                writeln!(out, "    {line}")?;
            }
            writeln!(out, "    {}", paint.ink(Ink::Dim, metric.origin))?;
        }
    }
    let count: usize = shown.iter().map(|(_, metrics)| metrics.len()).sum();
    writeln!(out, "\n{}", paint.ink(Ink::Dim, &human::plural(count as u64, "metric", "metrics")))
}
