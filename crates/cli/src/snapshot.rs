//! `barograph snapshot`: one reading of everything.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use barograph_model::{Batch, Kind, Metric, Physical, Table, Unit};
use barograph_record::{Panel, PanelOptions};
use barograph_sources::{Choice, Scope, Select, Watch};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::human;
use crate::options::MachineOptions;

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
}

pub(crate) fn run(args: &SnapshotArgs, machine: &MachineOptions) -> anyhow::Result<ExitCode> {
    let known = barograph_sources::tables();
    if let Some(wrong) = args.table.iter().find(|name| !known.iter().any(|table| table.name == name.as_str())) {
        let names: Vec<&str> = known.iter().map(|table| table.name).collect();
        anyhow::bail!("there is no table {wrong}; there are {}", names.join(", "));
    }
    let batches = read_everything(args, machine)?;
    let wanted = |table: &Table| args.table.is_empty() || args.table.iter().any(|name| name == table.name);
    let shown: Vec<&Batch> = batches.iter().filter(|batch| !batch.is_empty() && wanted(batch.table())).collect();
    let mut out = std::io::stdout().lock();
    if args.json {
        let tables: Map<String, Value> = shown.iter().map(|batch| (batch.table().name.to_owned(), json_rows(batch))).collect();
        serde_json::to_writer_pretty(&mut out, &tables)?;
        writeln!(out)?;
    } else {
        for batch in shown {
            write_table(&mut out, batch)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read_everything(args: &SnapshotArgs, machine: &MachineOptions) -> anyhow::Result<Vec<Batch>> {
    let machine = machine.open()?;
    let select = args.processes.select.clone();
    let scope = if matches!(select, Select::Nobody) { Scope::Tree } else { Scope::Machine };
    let watch = Watch { roots: Vec::new(), adopts: false, scope, select };
    let mut panel = Panel::open(&machine, PanelOptions { watch, process_memory: false }).context("can't look at the machine")?;
    let at = barograph_record::now();
    panel.read(at);
    panel.read_slow(at);
    let mut batches = Vec::new();
    panel.each_batch(&mut |batch| batches.push(batch.clone()));
    Ok(batches)
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

/// A table with one row as a list; one with keys as a block of values for each row.
fn write_table(out: &mut impl Write, batch: &Batch) -> std::io::Result<()> {
    let table = batch.table();
    writeln!(out, "{} — {}", table.name, table.help())?;
    for row in 0..batch.len() {
        let cells: Vec<(&Metric, String)> =
            table.metrics.iter().enumerate().filter_map(|(index, metric)| Some((metric, cell(batch, index, row)?))).collect();
        if table.keys == 0 {
            let width = cells.iter().map(|(metric, _)| metric.column().len()).max().unwrap_or(0);
            for (metric, text) in cells {
                writeln!(out, "  {:width$}  {text}", metric.column())?;
            }
        } else {
            let keys: Vec<&str> = cells.iter().take(table.keys).map(|(_, text)| text.as_str()).collect();
            let values: Vec<String> = cells.iter().skip(table.keys).map(|(metric, text)| format!("{} {text}", metric.name)).collect();
            writeln!(out, "  {}: {}", keys.join(" "), values.join(", "))?;
        }
    }
    writeln!(out)
}

fn cell(batch: &Batch, index: usize, row: usize) -> Option<String> {
    let (metric, column) = (&batch.table().metrics[index], &batch.columns()[index]);
    match metric.physical {
        Physical::Text => column.text(row).map(human::escape),
        Physical::Float => column.float(row).map(|value| if metric.unit == Unit::Seconds { human::seconds(value) } else { human::number(value) }),
        Physical::Int => {
            let value = column.int(row)?;
            let is_size = metric.unit == Unit::Bytes && metric.kind != Kind::Id;
            Some(if is_size { human::bytes(value.unsigned_abs()) } else { value.to_string() })
        }
    }
}
