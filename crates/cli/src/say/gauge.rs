//! `barograph gauge`: a number of one's own.

use std::process::ExitCode;

use anyhow::bail;
use barograph_beacon::{Message, What};
use clap::Args;

use super::{Found, Whom, speaker};

/// Record a number of your own, such as a loss or the length of a queue.
#[derive(Args, Debug)]
#[command(after_help = after_help())]
pub(crate) struct GaugeArgs {
    /// What it is called.
    name: String,
    /// How it is now.
    #[arg(allow_hyphen_values = true, value_parser = parse_number)]
    value: f64,
    #[command(flatten)]
    whom: Whom,
}

fn after_help() -> String {
    format!(
        "Examples:
  barograph gauge loss 0.31
  while sleep 1; do barograph gauge queue \"$(ls queue | wc -l)\"; done

{}",
        super::WHOM
    )
}

fn parse_number(text: &str) -> Result<f64, String> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| "expected a number such as 0.31".to_owned())
}

pub(crate) fn run(args: &GaugeArgs) -> anyhow::Result<ExitCode> {
    match args.whom.find()? {
        Found::Nobody => {}
        Found::Live(live) => {
            let what = What::Gauge { name: &args.name, value: args.value };
            live.say(&Message { pid: speaker(), by: Some(args.whom.by()), ..Message::new(what) })?;
        }
        Found::Over(_) => bail!("this recording has ended; how a number was then can't be told any more"),
    }
    Ok(ExitCode::SUCCESS)
}
