//! `barograph control`: a recording that goes on is read, changed or ended.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use barograph_beacon::{Address, BEACON_VARIABLE, listening};
use barograph_session::{Change, Condition, Order, OrderError, order, order_at};
use barograph_sources::Choice;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::options::parse_interval;

/// Read, change or end a recording that goes on.
///
/// When it returns, it is done: what was read can be seen by whoever opens the recording, what was changed is in its facts and stands among its events, and
/// one that was ended is complete. Only the user who records, and root, may do so.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph control snapshot
  barograph control set --interval 100ms --write-interval 1s
  barograph control night.baro set --processes top:20 --without disk,network
  barograph control night.baro set --with-all
  barograph control night.baro stop --reason 'seen enough'

The recording is RUN, or that of $BAROGRAPH_BEACON, or the only one of this user that goes on.
The exit status is 0 if it was done, 1 if it was not, which is then told, and 2 if the arguments make no sense.")]
pub(crate) struct ControlArgs {
    /// The recording, if it is not the only one that goes on.
    run: Option<PathBuf>,
    /// Print what was done as a line of JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// End the recording, and lose nothing. Its job goes on.
    Stop {
        /// Why, as the recording will tell.
        #[arg(long, value_name = "TEXT", default_value = "stopped")]
        reason: String,
    },
    /// Read everything now, and make it visible.
    Snapshot,
    /// Publish every second for the next ten: somebody looks.
    Watched,
    Set(SetArgs),
}

/// Record otherwise from now on. What is not named stays as it is.
///
/// Each change is an event of the recording, such as `interval 1 s → 100 ms`.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct SetArgs {
    /// Time between two readings, such as 100ms, 1s or 5m.
    #[arg(short, long, value_name = "TIME", value_parser = parse_interval)]
    interval: Option<Duration>,
    /// Time between two writes to disk: the most that a crash can lose.
    #[arg(short, long, value_name = "TIME", value_parser = parse_interval)]
    write_interval: Option<Duration>,
    /// Which processes get rows of their own: tree, all, top:N, name:REGEX, user:NAME or none.
    #[arg(long, value_name = "WHICH")]
    processes: Option<Choice>,
    /// Leave out these sources of the machine, and no others, such as disk,network.
    #[arg(long, value_name = "SOURCES", value_delimiter = ',', conflicts_with = "with_all")]
    without: Option<Vec<String>>,
    /// Leave out no source of the machine.
    #[arg(long)]
    with_all: bool,
    /// Mark the moments at which this begins and ends to hold, and none but those that are named here, such as 'memory > 2 GiB for 10s'.
    #[arg(long, value_name = "CONDITION", conflicts_with = "mark_nothing")]
    mark_when: Vec<Condition>,
    /// Mark no condition any more.
    #[arg(long)]
    mark_nothing: bool,
    /// Whether memory with shared pages told apart (PSS) is read for the job: on or off.
    #[arg(long, value_name = "WHETHER", value_parser = parse_switch, hide_possible_values = true)]
    pss: Option<bool>,
}

fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}

impl SetArgs {
    fn change(&self) -> Change {
        Change {
            interval: self.interval,
            write_interval: self.write_interval,
            processes: self.processes.clone(),
            without: if self.with_all { Some(Vec::new()) } else { self.without.clone() },
            process_memory: self.pss,
            mark_when: (self.mark_nothing || !self.mark_when.is_empty()).then(|| self.mark_when.clone()),
        }
    }
}

/// A recorder.
enum Recorder {
    Of(PathBuf),
    At(Address),
}

impl Recorder {
    /// The one that was named, or the only one.
    fn find(run: Option<&PathBuf>) -> anyhow::Result<Recorder> {
        if let Some(run) = run {
            return Ok(Recorder::Of(run.clone()));
        }
        let named = std::env::var_os(BEACON_VARIABLE).filter(|text| !text.is_empty());
        if let Some(address) = named.as_deref().and_then(Address::parse) {
            return Ok(Recorder::At(address));
        }
        let mut found = listening();
        match (found.pop(), found.len()) {
            (None, _) => {
                bail!("nothing is being recorded by this user, or its recorder does not listen; name a recording: barograph control RUN …")
            }
            (Some((_, address)), 0) => Ok(Recorder::At(address)),
            (_, others) => bail!("{} recordings go on; name the one that is meant: barograph control RUN …", others + 1),
        }
    }

    fn tell(&self, what: &Order) -> Result<(), OrderError> {
        match self {
            Recorder::Of(run) => order(run, what),
            Recorder::At(address) => order_at(address, what),
        }
    }

    fn name(&self) -> String {
        match self {
            Recorder::Of(run) => run.display().to_string(),
            Recorder::At(address) => address.to_text(),
        }
    }
}

pub(crate) fn run(args: &ControlArgs) -> anyhow::Result<ExitCode> {
    let recorder = Recorder::find(args.run.as_ref())?;
    let (done, order) = match &args.what {
        What::Stop { reason } => ("stopped", Order::Stop(reason.clone())),
        What::Snapshot => ("read", Order::Read),
        What::Watched => ("watched", Order::Watched),
        What::Set(set) => ("set", Order::Set(set.change())),
    };
    recorder.tell(&order)?;
    if args.json {
        writeln!(std::io::stdout(), "{}", json!({ "done": done, "recorder": recorder.name() }))?;
    }
    Ok(ExitCode::SUCCESS)
}
