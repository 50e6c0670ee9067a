//! The barograph program: arguments in, one command each, and an exit status. It is a library so that fuzz targets can call it.

use barograph_view::human;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

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

/// Does what the arguments of this process say, and returns its exit status.
pub fn main() -> ExitCode {
    let words = std::env::args_os().skip(1);
    let done = run_alone(words).map_or_else(|| dispatch(&Arguments::parse()), |args| run::run(&args));
    match done {
        Ok(code) => code,
        // Whoever read our output has had enough of it.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// The arguments of `run`, if it is that and they are in order. To make ready for what other commands take, and forget it again, would be a tenth of what
/// a short job takes longer with us.
fn run_alone(words: impl Iterator<Item = OsString>) -> Option<run::RunArgs> {
    let mut words = words.peekable();
    words.next_if(|word| word == "run")?;
    let known = run::RunArgs::augment_args(clap::Command::new("run").no_binary_name(true).version(env!("CARGO_PKG_VERSION")));
    known.try_get_matches_from(words).and_then(|found| run::RunArgs::from_arg_matches(&found)).ok()
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

    #[test]
    fn run_is_understood_alone_as_it_is_among_all_commands() {
        let lines = [
            "run -- true",
            "run true -V --help",
            "run -q -o x --until root -i 100ms --force -- make -j8",
            "run --mark-when cpu>1 --without disk,network -- a",
            "run -V",
            "run --version true",
            "run",
            "run -h",
            "run --help true",
            "run --nonsense true",
            "run -i never true",
            "run --quiet --json true",
            "record -q",
            "-V",
            "",
        ];
        for line in lines {
            let words = || line.split_whitespace().map(OsString::from);
            let among_all = Arguments::try_parse_from([OsString::from("barograph")].into_iter().chain(words())).ok();
            let among_all = among_all.and_then(|arguments| if let Command::Run(args) = arguments.command { Some(args) } else { None });
            assert_eq!(format!("{:?}", run_alone(words())), format!("{among_all:?}"), "{line}");
        }
    }
}
