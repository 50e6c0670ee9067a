//! The barograph program: arguments in, one command each, and an exit status.

use barograph_view::human;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod attach;
mod control;
mod export;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod ls;
mod metrics;
mod open;
mod options;
mod paint;
#[cfg(feature = "plot")]
mod plot;
mod record;
mod recording;
mod repair;
mod report;
mod rules;
mod run;
mod say;
mod shell;
mod snapshot;
mod story;
mod summary;
mod table;
#[cfg(feature = "top")]
mod top;
mod tree;
#[cfg(feature = "web")]
mod view;
mod words;

/// A recorder that is out of memory still sees its job to the end.
#[global_allocator]
static ALLOCATOR: barograph_record::Allocator = barograph_record::Allocator;

/// Records what a job does to its machine, and shows it beside the code that did it.
#[derive(Parser, Debug)]
#[command(name = "barograph", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::RunArgs),
    Attach(attach::AttachArgs),
    Record(record::RecordArgs),
    Snapshot(snapshot::SnapshotArgs),
    Tree(tree::TreeArgs),
    Control(control::ControlArgs),
    #[cfg(feature = "web")]
    View(view::ViewArgs),
    #[cfg(feature = "top")]
    Top(top::TopArgs),
    Mark(say::MarkArgs),
    Gauge(say::GaugeArgs),
    Span(say::SpanArgs),
    Report(report::ReportArgs),
    #[cfg(feature = "plot")]
    Plot(plot::PlotArgs),
    Export(export::ExportArgs),
    Ls(ls::LsArgs),
    Metrics(metrics::MetricsArgs),
    Repair(repair::RepairArgs),
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(&arguments) {
        Ok(code) => code,
        // Whoever read our output has had enough of it.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Run(args) => run::run(args),
        Command::Attach(args) => attach::run(args),
        Command::Record(args) => record::run(args),
        Command::Snapshot(args) => snapshot::run(args),
        Command::Tree(args) => tree::run(args),
        Command::Control(args) => control::run(args),
        #[cfg(feature = "web")]
        Command::View(args) => view::run(args),
        #[cfg(feature = "top")]
        Command::Top(args) => top::run(args),
        Command::Mark(args) => say::mark(args),
        Command::Gauge(args) => say::gauge(args),
        Command::Span(args) => say::span(args),
        Command::Report(args) => report::run(args),
        #[cfg(feature = "plot")]
        Command::Plot(args) => plot::run(args),
        Command::Export(args) => export::run(args),
        Command::Ls(args) => ls::run(args),
        Command::Metrics(args) => metrics::run(args),
        Command::Repair(args) => repair::run(args),
        Command::Completions(args) => shell::completions(args, Arguments::command()),
        Command::Man(args) => shell::man(args, &Arguments::command()),
    }
}

/// Says what went wrong, and why.
fn complain(error: &anyhow::Error) {
    // Nobody to hear it is no reason to fail once more.
    let _ = writeln!(io::stderr(), "barograph: {error:#}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_declared_without_contradiction() {
        Arguments::command().debug_assert();
    }
}
