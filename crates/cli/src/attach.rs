//! `barograph attach`: records processes that run already.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use barograph_session::Subject;
use barograph_sources::{Machine, Root};
use clap::Args;

use crate::options::JobOptions;
use crate::recording::{self, Request};

/// Record processes that are already running, with all their descendants.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph attach 4312
  barograph attach postgres --duration 10m -o database.baro")]
pub(crate) struct AttachArgs {
    /// Pids, or names of programs: every process of that name is watched.
    #[arg(required = true, value_name = "PID|NAME")]
    jobs: Vec<String>,
    #[command(flatten)]
    job: JobOptions,
}

pub(crate) fn run(args: &AttachArgs) -> anyhow::Result<ExitCode> {
    let machine = args.job.machine.open()?;
    let pids = find(&machine, &args.jobs)?;
    let request =
        Request { machine, options: &args.job.recording, subject: Subject::Processes(&pids), until: args.job.until, stop: Box::new(|| None) };
    recording::make(request)?;
    Ok(ExitCode::SUCCESS)
}

/// The pids that these words name. A word that names nobody is an error, so that no recording waits for a spelling mistake.
pub(crate) fn find(machine: &Machine, words: &[String]) -> anyhow::Result<Vec<u32>> {
    let own = std::process::id();
    let mut found = Vec::new();
    for word in words {
        let before = found.len();
        match word.parse::<u32>() {
            Ok(pid) if machine.exists(Root::Proc, &format!("{pid}/stat")) => found.push(pid),
            Ok(pid) => bail!("there is no process {pid}; `barograph tree 1` shows all there are"),
            Err(_) => {
                let pids = machine.names(Root::Proc, ".").into_iter().filter_map(|name| name.parse::<u32>().ok());
                found.extend(pids.filter(|&pid| pid != own && is_called(machine, pid, word)));
                if found.len() == before {
                    bail!("there is no process called {word}; give its pid, or the name of its program without its folder");
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Whether this is the name of the process, or that of the program in its command line, which is not cut off after 15 bytes.
fn is_called(machine: &Machine, pid: u32, name: &str) -> bool {
    if machine.text(Root::Proc, &format!("{pid}/comm")).is_some_and(|comm| comm == name) {
        return true;
    }
    let Some(line) = machine.text(Root::Proc, &format!("{pid}/cmdline")) else { return false };
    let program = line.split('\0').next().unwrap_or_default();
    Path::new(program).file_name().is_some_and(|file| file == name)
}
