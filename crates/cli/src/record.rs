//! `barograph record`: records the whole machine.

use std::path::PathBuf;
use std::process::ExitCode;

use barograph_record::Until;
use barograph_session::Subject;
use clap::Args;

use crate::attach;
use crate::options::{MachineOptions, RecordingOptions, UntilOption};
use crate::recording::{self, Request};

/// Record the whole machine, until Ctrl-C, for a time, or until something has happened.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph record                                 until Ctrl-C
  barograph record --duration 1h -i 5s --processes top:20
  barograph record --until-exit 4312               as long as that process lives
  barograph record --until-file /tmp/done          until somebody makes that file")]
pub(crate) struct RecordArgs {
    /// Stop when these processes (pids, or names of programs) have ended.
    #[arg(long, value_name = "PID|NAME")]
    until_exit: Vec<String>,
    /// Stop when there is such a file.
    #[arg(long, value_name = "PATH")]
    until_file: Option<PathBuf>,
    #[command(flatten)]
    recording: RecordingOptions,
    #[command(flatten)]
    machine: MachineOptions,
}

pub(crate) fn run(args: &RecordArgs) -> anyhow::Result<ExitCode> {
    let machine = args.machine.open()?;
    let pids = attach::find(&machine, &args.until_exit)?;
    let file = args.until_file.clone();
    let request = Request {
        machine,
        options: &args.recording,
        subject: Subject::Machine { until_exit: &pids },
        until: UntilOption::Job(Until::Root),
        stop: Box::new(move || file.as_ref().filter(|path| path.exists()).map(|path| format!("{} is there", path.display()))),
    };
    recording::make(request)?;
    Ok(ExitCode::SUCCESS)
}
