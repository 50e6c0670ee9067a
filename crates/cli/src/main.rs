//! The barograph program: arguments in, one command each, and an exit status.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod attach;
mod human;
mod options;
mod record;
mod recording;
mod run;
mod snapshot;
mod summary;

/// Records what a job does to its machine, and shows it beside the code that did it.
#[derive(Parser, Debug)]
#[command(name = "barograph", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    machine: options::MachineOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::RunArgs),
    Attach(attach::AttachArgs),
    Record(record::RecordArgs),
    Snapshot(snapshot::SnapshotArgs),
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
    let machine = &arguments.machine;
    match &arguments.command {
        Command::Run(args) => run::run(args, machine),
        Command::Attach(args) => attach::run(args, machine),
        Command::Record(args) => record::run(args, machine),
        Command::Snapshot(args) => snapshot::run(args, machine),
    }
}

/// Says what went wrong, and why.
fn complain(error: &anyhow::Error) {
    // Nobody to hear it is no reason to fail once more.
    let _ = writeln!(io::stderr(), "barograph: {error:#}");
}
