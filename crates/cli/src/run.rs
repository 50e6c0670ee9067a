//! `barograph run`: starts a command and records it.

use std::ffi::OsString;
use std::process::ExitCode;

use barograph_record::{Outcome, SpawnError, become_command, care_for};
use barograph_session::Subject;
use clap::Args;

use crate::options::JobOptions;
use crate::recording::{self, Request, Unrecordable};

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
    #[command(flatten)]
    job: JobOptions,
}

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    match record(args) {
        Ok(outcome) => Ok(outcome.job_end.map_or(ExitCode::SUCCESS, |end| ExitCode::from(end.shell_code()))),
        Err(error) => {
            crate::complain(&error);
            match error.downcast_ref::<SpawnError>() {
                // We make room for it.
                Some(SpawnError::NoRoom(_)) => Ok(run_unrecorded(&args.command)),
                Some(spawn) => Ok(ExitCode::from(spawn.exit_code())),
                None if error.is::<Unrecordable>() => Ok(run_unrecorded(&args.command)),
                None => Ok(ExitCode::FAILURE),
            }
        }
    }
}

fn record(args: &RunArgs) -> anyhow::Result<Outcome> {
    care_for(&args.command);
    recording::make(Request {
        machine: args.job.machine.open()?,
        options: &args.job.recording,
        subject: Subject::Command(&args.command),
        until: args.job.until,
        stop: Box::new(|| None),
    })
}

/// Becomes the command: that we can't record is no reason for the job not to run.
fn run_unrecorded(command: &[OsString]) -> ExitCode {
    let failure = become_command(command);
    let code = failure.exit_code();
    crate::complain(&failure.into());
    ExitCode::from(code)
}
