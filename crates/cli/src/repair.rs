//! `barograph repair`: mends what a crash left of a recording.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use barograph_store as store;
use clap::Args;
use serde_json::json;

/// Mend recordings that a crash, a power cut or a full disk cut off.
///
/// Every part is read from end to end. What can't be read is moved aside and named, leftovers are removed, and an end is written where the recorder
/// could not. Nothing that can be read is changed; doing it twice does no harm. A recording that is still being made is left alone.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph repair night.baro
  barograph repair *.baro --json")]
pub(crate) struct RepairArgs {
    /// The recordings.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Print a line of JSON for each.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &RepairArgs) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let mut code = ExitCode::SUCCESS;
    for run in &args.runs {
        match store::repair(run) {
            Ok(report) if args.json => {
                let damaged: Vec<_> = report.damaged.iter().map(|damage| json!({ "path": damage.path, "why": damage.why })).collect();
                let line = json!({
                    "path": run, "parts": report.parts, "rows": report.rows, "damaged": damaged, "leftovers": report.leftovers,
                    "facts_rebuilt": report.facts_rebuilt, "end_written": report.end_written,
                });
                writeln!(out, "{line}")?;
            }
            Ok(report) => writeln!(out, "{}: {}", run.display(), report.to_string().replace('\n', "\n  "))?,
            Err(error) => {
                crate::complain(&error.into());
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
