//! `barograph run`: starts a command and records it.

use std::ffi::OsString;
use std::process::ExitCode;

use barograph_record::{JobEnd, SpawnError};
use clap::Args;

use crate::options::{MachineOptions, RecordingOptions, UntilOption};
use crate::recording::{self, Request, Subject};

/// Run a command and record what it does to the machine.
///
/// The command has the terminal, the streams, the environment and the limits that it would have without us, and its exit status becomes ours:
/// 128 and the signal's number if one ended it, 127 if there is no such command, 126 if it can't be executed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph run -- python train.py --epochs 3
  barograph run -i 100ms -o night.baro -- make -j8
  barograph run -o usage.csv -- ./simulate        one flat file of sums, a row for each tick
  barograph run --until root -- ./start-daemons   end with the command, not with what it left behind
  barograph run --summary '{wall_seconds} {peak_bytes}' -- ./job")]
pub(crate) struct RunArgs {
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// What ends the recording: root (the command has ended), tree (and all its descendants), or a time.
    #[arg(long, value_name = "WHEN", default_value = "tree")]
    until: UntilOption,
    #[command(flatten)]
    recording: RecordingOptions,
    #[command(flatten)]
    machine: MachineOptions,
}

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let request = Request {
        machine: args.machine.open()?,
        options: &args.recording,
        subject: Subject::Command(&args.command),
        until: args.until,
        stop: Box::new(|| None),
    };
    match recording::make(request) {
        Ok(outcome) => Ok(outcome.job_end.map_or(ExitCode::SUCCESS, |end: JobEnd| ExitCode::from(end.shell_code()))),
        Err(error) => match error.downcast_ref::<SpawnError>() {
            Some(spawn) => {
                crate::complain(&error);
                Ok(ExitCode::from(spawn.exit_code()))
            }
            None => Err(error),
        },
    }
}
