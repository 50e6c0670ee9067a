//! `barograph mark`: this moment has a name.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use barograph_beacon::{ATTRIBUTES_BYTES, Message, NAME_BYTES, Value, What, cut};
use barograph_model::{EventRow, Events, Rows};
use barograph_store as store;
use clap::Args;

use super::import::{self, Event, Imported};
use super::revise::{self, Changes};
use super::{Found, Over, Whom, attributes, parse_attribute, speaker, within};
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
            let at = args.at.as_deref().map(|when| live.at(when, &window).with_context(|| format!("--at {when:?}"))).transpose()?;
            let attributes = attributes(&args.attributes);
            live.say(&Message { at, pid: speaker(), by: Some(args.whom.by()), attributes: &attributes, ..Message::new(What::Mark(label)) })?;
        }
        Found::Over(over) => {
            let Some(when) = &args.at else { bail!("this recording has ended; say when it was with --at TIME") };
            let reference = over.reference(&window)?;
            let utc_nanos = words::moment(when, &reference).and_then(|at| within(at, &reference)).with_context(|| format!("--at {when:?}"))?;
            add(&over, &[Event { name: label.to_owned(), utc_nanos, attributes: args.attributes.clone() }], args.whom.by())?;
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
        Found::Live(live) => live.reference(&window(args))?,
        Found::Over(over) => over.reference(&window(args))?,
    };
    // All of it is understood before any of it is added.
    let Imported { events, outside } = import::read(file, &reference, args.skip_outside)?;
    match &found {
        Found::Nobody => {}
        Found::Live(live) => {
            for event in &events {
                let (at, attributes) = (Some(live.monotonic(event.utc_nanos)), attributes(&event.attributes));
                live.say(&Message { at, pid: speaker(), by: Some(by), attributes: &attributes, ..Message::new(What::Mark(&event.name)) })?;
            }
        }
        Found::Over(over) => add(over, &events, by)?,
    }
    let left_out = if outside > 0 { format!("; {outside} outside of the recording left out") } else { String::new() };
    let _ = writeln!(std::io::stderr(), "barograph: {} added{left_out}", human::plural(events.len() as u64, "event", "events"));
    Ok(ExitCode::SUCCESS)
}

/// Adds events to a recording that nobody writes any more.
fn add(over: &Over, events: &[Event], by: &str) -> anyhow::Result<()> {
    let mut rows = Rows::<Events>::new();
    for event in events {
        let said: serde_json::Map<_, _> =
            attributes(&event.attributes).into_iter().map(|(name, value)| (cut(name, NAME_BYTES).into_owned(), json_of(value))).collect();
        let said = serde_json::Value::Object(said).to_string();
        let attributes = Some(said.as_str()).filter(|text| !event.attributes.is_empty() && text.len() <= ATTRIBUTES_BYTES);
        rows.add(EventRow { at: over.moment(event.utc_nanos), by, name: Some(&cut(&event.name, NAME_BYTES)), attributes, ..EventRow::default() });
    }
    Ok(store::append(over.0.folder(), &rows)?)
}

pub(super) fn json_of(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Str(text) => cut(text, NAME_BYTES).into(),
        Value::Int(int) => int.into(),
        Value::Float(float) => float.into(),
        Value::Bool(truth) => truth.into(),
    }
}
