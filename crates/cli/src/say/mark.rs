//! `barograph mark`: this moment has a name.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use barograph_beacon::{Message, What};
use barograph_session::{Event, Live, attributes};
use clap::Args;

use super::import;
use super::revise::{self, Changes};
use super::{Found, Whom, moment_within, parse_attribute, reference_of_live, reference_of_over, speaker};
use crate::human;
use crate::words::{self, Window};

/// Name a moment of a recording that goes on, or of one that has ended.
#[derive(Args, Debug)]
#[command(after_help = after_help())]
pub(crate) struct MarkArgs {
    /// The name.
    #[arg(required_unless_present_any = ["import", "list", "edit", "delete"], conflicts_with_all = ["import", "list", "delete"])]
    label: Option<String>,
    /// When it was, if it is not now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "import")]
    at: Option<String>,
    /// What else there is to say. May be given more than once.
    #[arg(short = 'k', long = "attribute", value_name = "NAME=VALUE", value_parser = parse_attribute, conflicts_with = "import")]
    attributes: Vec<(String, String)>,
    /// Add all events of this file: CSV with the columns event and timestamp, with or without a header. `-` is standard input.
    ///
    /// Times are those of --at, or numbers since 1970: seconds, or milli-, micro- or nanoseconds, as their size tells. Further columns of a file with a
    /// header become attributes. If a row makes no sense, none is added.
    #[arg(long, value_name = "FILE")]
    import: Option<PathBuf>,
    /// With --import: leave out events before the beginning and after the end of the recording.
    #[arg(long, requires = "import")]
    skip_outside: bool,
    /// Change the event of this key: what it is called, when it was with --at, and what else there is to say with -k. What is not named stays.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["import", "list", "delete"])]
    edit: Option<String>,
    /// Delete the events of these keys; commas between them. What the recorder itself said can be neither changed nor deleted.
    #[arg(long, value_name = "KEYS", value_delimiter = ',', conflicts_with_all = ["import", "list", "at", "attributes"])]
    delete: Vec<String>,
    /// List the events of a recording, each with its key.
    #[arg(long, conflicts_with_all = ["import", "at", "attributes"])]
    list: bool,
    /// With --list: a line of JSON for each.
    #[arg(long, requires = "list")]
    json: bool,
    /// Zone of times without one: Local, UTC, a name such as Europe/Berlin, or Recorded for that of the machine.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    #[command(flatten)]
    whom: Whom,
}

fn after_help() -> String {
    format!(
        "Examples:
  barograph mark 'epoch 3'
  barograph mark 'second attempt' --at 10:20 -k learning_rate=0.1
  barograph mark 'the fan stopped' --at '3m ago' --to night.baro
  barograph mark --to night.baro --import events.csv --tz UTC
  barograph mark --to night.baro --list
  barograph mark --to night.baro --edit 36633168324017-8a0b42c7d1e5f396 'third attempt' --at 10:21

{}

{}",
        super::WHOM,
        words::HELP
    )
}

pub(crate) fn run(args: &MarkArgs) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.import {
        return import_file(args, file);
    }
    let to = args.whom.to.as_ref();
    if args.list {
        revise::list(to, &window(args), args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(key) = &args.edit {
        let changes = Changes { name: args.label.as_deref(), at: args.at.as_deref(), attributes: &args.attributes };
        revise::edit(to, key, &changes, &window(args), args.whom.by())?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.delete.is_empty() {
        revise::delete(to, &args.delete, args.whom.by())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (label, window) = (args.label.as_deref().unwrap_or_default(), window(args));
    match args.whom.find()? {
        Found::Nobody => {}
        Found::Live(live) => {
            let at = args.at.as_deref().map(|when| at(&live, when, &window).with_context(|| format!("--at {when:?}"))).transpose()?;
            let attributes = attributes(&args.attributes);
            live.say(&Message { at, pid: speaker(), by: Some(args.whom.by()), attributes: &attributes, ..Message::new(What::Mark(label)) })?;
        }
        Found::Over(over) => {
            let Some(when) = &args.at else { bail!("this recording has ended; say when it was with --at TIME") };
            let reference = reference_of_over(&over, &window)?;
            let utc_nanos = moment_within(when, &reference).with_context(|| format!("--at {when:?}"))?;
            over.add(&[Event { name: label.to_owned(), utc_nanos, attributes: args.attributes.clone(), ..Event::default() }], args.whom.by())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn window(args: &MarkArgs) -> Window {
    Window { tz: args.tz.clone(), ..Window::default() }
}

fn import_file(args: &MarkArgs, file: &Path) -> anyhow::Result<ExitCode> {
    let by = args.whom.by();
    let found = args.whom.find()?;
    let reference = match &found {
        Found::Nobody => bail!("nothing is being recorded; name a recording with --to RUN"),
        Found::Live(live) => reference_of_live(live, &window(args))?,
        Found::Over(over) => reference_of_over(over, &window(args))?,
    };
    // All of it is understood before any of it is added.
    let (events, outside) = import::read(file, &reference, args.skip_outside)?;
    match &found {
        Found::Nobody => {}
        Found::Live(live) => {
            for event in &events {
                live.add(event, speaker(), by)?;
            }
        }
        Found::Over(over) => over.add(&events, by)?,
    }
    let left_out = if outside > 0 { format!("; {outside} outside of the recording left out") } else { String::new() };
    let _ = writeln!(std::io::stderr(), "barograph: {} added{left_out}", human::plural(events.len() as u64, "event", "events"));
    Ok(ExitCode::SUCCESS)
}

/// What these words mean, as the beacon wants it.
fn at(live: &Live, when: &str, window: &Window) -> anyhow::Result<i64> {
    Ok(live.monotonic(moment_within(when, &reference_of_live(live, window)?)?))
}
