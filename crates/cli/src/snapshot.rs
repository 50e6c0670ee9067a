//! `barograph snapshot`: one reading of everything.

use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use barograph_model::{Batch, Described, Kind, Physical, Table, Unit};
use barograph_sources::{Choice, Processes};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::options::MachineOptions;
use crate::paint::{Ink, Paint, columns, cut};
use crate::table::Align;
use crate::{human, paint};

/// Print one reading of everything: every table, every value as the kernel gives it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph snapshot
  barograph snapshot --table memory --table pressure
  barograph snapshot --json | jq '.memory[0].available_bytes'
  barograph snapshot --processes name:python --table process --json")]
pub(crate) struct SnapshotArgs {
    /// Only these tables.
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// Which processes: all, top:N, name:REGEX, user:NAME or none.
    #[arg(long, value_name = "WHICH", default_value = "all")]
    processes: Choice,
    /// Print JSON: an object of tables, each a list of rows.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: MachineOptions,
}

pub(crate) fn run(args: &SnapshotArgs) -> anyhow::Result<ExitCode> {
    let known = barograph_sources::tables();
    if let Some(wrong) = args.table.iter().find(|name| !known.iter().any(|table| table.name == name.as_str())) {
        let names: Vec<&str> = known.iter().map(|table| table.name).collect();
        anyhow::bail!("there is no table {wrong}; there are {}", names.join(", "));
    }
    let batches = read_everything(args)?;
    let wanted = |table: &Table| args.table.is_empty() || args.table.iter().any(|name| name == table.name);
    let shown: Vec<&Batch> = batches.iter().filter(|batch| !batch.is_empty() && wanted(batch.table())).collect();
    let mut out = std::io::stdout().lock();
    if args.json {
        let tables: Map<String, Value> = shown.iter().map(|batch| (batch.table().name.to_owned(), json_rows(batch))).collect();
        paint::write_json(&mut out, &tables)?;
    } else {
        write_text(&mut out, &shown, &names(&batches), !args.table.is_empty())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read_everything(args: &SnapshotArgs) -> anyhow::Result<Vec<Batch>> {
    let machine = args.machine.open()?;
    barograph_session::snapshot(&machine, args.processes.select.clone()).context("can't look at the machine")
}

/// Rows as objects. What is absent is left out, as in a recording it would be null.
fn json_rows(batch: &Batch) -> Value {
    let row = |row: usize| {
        let mut object = Map::new();
        object.insert("time".to_owned(), json!(batch.utc_nanos()[row]));
        for (metric, column) in batch.table().metrics.iter().zip(batch.columns()) {
            let value = match metric.physical {
                Physical::Int => column.int(row).map(Value::from),
                Physical::Float => column.float(row).map(Value::from),
                Physical::Text => column.text(row).map(Value::from),
            };
            if let Some(value) = value {
                object.insert(metric.column(), value);
            }
        }
        Value::Object(object)
    };
    Value::Array((0..batch.len()).map(row).collect())
}

/// Writes tables for people: those of the machine first, then those of processes, in which names stand for start times.
fn write_text(out: &mut impl Write, shown: &[&Batch], names: &Names, asked: bool) -> std::io::Result<()> {
    let (paint, width) = (Paint::of_stdout(), paint::width(None));
    let by_process = |batch: &&&Batch| batch.table().keys == 2;
    let machine = shown.iter().filter(|batch| !by_process(batch));
    // Who the processes are stands beside what they use.
    let processes = shown.iter().filter(by_process).filter(|batch| asked || batch.table().name != Processes::TABLE.name);
    for batch in machine.chain(processes) {
        let table = batch.table();
        writeln!(
            out,
            "{}  {}",
            paint.ink(Ink::Bold, table.name),
            paint.ink(Ink::Dim, &cut(table.help(), width.saturating_sub(table.name.len() + 2)))
        )?;
        let written = if table.keys == 0 { write_list(out, batch, paint, width) } else { write_rows(out, batch, names, asked, paint, width) };
        written?;
        writeln!(out)?;
    }
    Ok(())
}

/// Names of processes by pid and start time.
type Names = HashMap<(i64, i64), String>;

fn names(batches: &[Batch]) -> Names {
    let Some(batch) = batches.iter().find(|batch| batch.table().name == Processes::TABLE.name) else { return Names::new() };
    let int = |index: usize, row: usize| batch.columns()[index].int(row);
    let name = |row: usize| batch.columns()[Processes::name.index()].text(row);
    (0..batch.len())
        .filter_map(|row| Some(((int(Processes::pid.index(), row)?, int(Processes::start_ticks.index(), row)?), human::escape(name(row)?))))
        .collect()
}

/// The one row of a table without keys: as many columns of `name value` as there is room for.
fn write_list(out: &mut impl Write, batch: &Batch, paint: Paint, width: usize) -> std::io::Result<()> {
    let cells: Vec<(&str, String)> =
        (0..batch.columns().len()).filter_map(|index| Some((batch.table().metrics[index].name, cell(batch, index, 0)?))).collect();
    let name_width = cells.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
    let value_width = cells.iter().map(|(_, value)| columns(value)).max().unwrap_or(0);
    let across = (width / (name_width + value_width + 6)).max(1);
    let down = cells.len().div_ceil(across);
    for line in 0..down {
        let mut text = String::new();
        for (name, value) in cells.iter().skip(line).step_by(down) {
            let blanks = " ".repeat(value_width - columns(value));
            let name = paint.ink(Ink::Dim, &format!("{name:name_width$}"));
            text += &format!("  {name}  {blanks}{value}  ");
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// A table with keys: at a glance the columns that fit beside each other, or if it was asked for all of them, some below the others.
fn write_rows(out: &mut impl Write, batch: &Batch, names: &Names, asked: bool, paint: Paint, width: usize) -> std::io::Result<()> {
    let table = batch.table();
    let keys: Vec<Vec<String>> = (0..batch.len()).map(|row| key_cells(batch, row, names)).collect();
    let key_width: usize = key_heads(table)
        .iter()
        .enumerate()
        .map(|(place, (head, _))| keys.iter().map(|row| columns(&row[place])).max().unwrap_or(0).max(head.len()).min(KEY_WIDTH) + SPACE)
        .sum();
    let mut blocks = blocks(batch, width.saturating_sub(key_width));
    let all: usize = blocks.iter().map(Vec::len).sum();
    blocks.truncate(if asked { usize::MAX } else { 1 });
    for (number, block) in blocks.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        let heads = key_heads(table).into_iter().chain(block.iter().map(|(index, _)| (table.metrics[*index].name, Align::Right)));
        let mut lines = crate::table::Table::new(heads);
        for (row, keys) in keys.iter().enumerate() {
            let values = block.iter().map(|(_, cells)| cells[row].clone());
            lines.row(keys.iter().cloned().chain(values).map(|text| (text, Ink::Plain)));
        }
        lines.write(out, paint, "  ", width)?;
    }
    let hidden = all - blocks.iter().map(Vec::len).sum::<usize>();
    if hidden > 0 {
        let more = human::plural(hidden as u64, "column", "columns");
        writeln!(out, "  {}", paint.ink(Ink::Dim, &format!("and {more} more: --table {}, or --json", table.name)))?;
    }
    Ok(())
}

/// Wider keys are cut where the columns beside them need the room.
const KEY_WIDTH: usize = 32;
/// Between two columns.
const SPACE: usize = 2;

/// The columns that hold anything, with their cells, in blocks that are no wider than this.
fn blocks(batch: &Batch, width: usize) -> Vec<Vec<(usize, Vec<String>)>> {
    let mut blocks: Vec<Vec<(usize, Vec<String>)>> = Vec::new();
    let mut used = 0;
    for index in batch.table().keys..batch.columns().len() {
        if !batch.columns()[index].present().contains(&true) {
            continue;
        }
        let cells: Vec<String> = (0..batch.len()).map(|row| cell(batch, index, row).unwrap_or_default()).collect();
        let name = batch.table().metrics[index].name;
        let needed = cells.iter().map(|text| columns(text)).max().unwrap_or(0).max(name.len()) + SPACE;
        if blocks.is_empty() || used + needed > width {
            blocks.push(Vec::new());
            used = 0;
        }
        used += needed;
        if let Some(block) = blocks.last_mut() {
            block.push((index, cells));
        }
    }
    blocks
}

fn key_heads(table: &Table) -> Vec<(&'static str, Align)> {
    match table.key_metrics() {
        [pid, _start_ticks] => vec![(pid.name, Align::Right), ("name", Align::Flexible)],
        keys => keys.iter().map(|key| (key.name, Align::Flexible)).collect(),
    }
}

fn key_cells(batch: &Batch, row: usize, names: &Names) -> Vec<String> {
    let key = |index: usize| cell(batch, index, row).unwrap_or_default();
    if batch.table().keys != 2 {
        return (0..batch.table().keys).map(key).collect();
    }
    let name = batch.columns()[0].int(row).zip(batch.columns()[1].int(row)).and_then(|key| names.get(&key));
    vec![key(0), name.cloned().unwrap_or_default()]
}

fn cell(batch: &Batch, index: usize, row: usize) -> Option<String> {
    let (metric, column) = (&batch.table().metrics[index], &batch.columns()[index]);
    let amount = match metric.physical {
        Physical::Text => return column.text(row).map(human::escape),
        Physical::Float => column.float(row)?,
        Physical::Int => column.int(row)? as f64,
    };
    Some(match (metric.kind, metric.unit) {
        (Kind::Id, _) => column.int(row)?.to_string(),
        (_, Unit::Bytes) => human::byte_amount(amount),
        (_, Unit::Seconds) => human::seconds(amount),
        (_, Unit::Count | Unit::Level) if metric.physical == Physical::Int => human::count(amount),
        _ => human::number(amount),
    })
}
