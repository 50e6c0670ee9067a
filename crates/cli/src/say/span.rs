//! `barograph span`: a command, or what stands between two commands, as a block with a name.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};
use barograph_beacon::{Message, Readings, SPAN_VARIABLE, SpanId, Status, What, monotonic_nanos, surrounding};
use barograph_record::{JobEnd, SpawnError, accompany, become_command, care_for};
use barograph_session::{SayError, attributes};
use clap::{Args, Subcommand};

use super::{Found, Live, Whom, new_span, parse_attribute, speaker};

/// Run a command as a block with a name, or begin and end one.
///
/// Such a block, a span, has a cost in the recording: for a command what the kernel counted of it and its children, exactly. The command has the terminal,
/// the streams and the signals that it would have without us, its exit status becomes ours, and one that is not 0 makes the span one that failed.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = after_help())]
pub(crate) struct SpanArgs {
    #[command(subcommand)]
    edge: Option<Edge>,
    /// What it is called.
    #[arg(required = true)]
    name: Option<String>,
    /// The command and its arguments.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    #[command(flatten)]
    more: More,
    #[command(flatten)]
    whom: Whom,
}

#[derive(Subcommand, Debug)]
enum Edge {
    Begin(BeginArgs),
    End(EndArgs),
}

/// What else there is to say at its begin.
#[derive(Args, Debug)]
struct More {
    /// What else there is to say. May be given more than once.
    #[arg(short = 'k', long = "attribute", value_name = "NAME=VALUE", value_parser = parse_attribute)]
    attributes: Vec<(String, String)>,
    /// The span within which it begins; else that of $BAROGRAPH_SPAN.
    #[arg(long, value_name = "ID", value_parser = parse_span)]
    parent: Option<SpanId>,
}

/// Begin a span, and print its id.
///
/// In $BAROGRAPH_SPAN the id makes it the parent of all spans that begin there, and the one that `span end` ends.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  id=$(barograph span begin load -k file=a.csv)
  barograph span end $id
  export BAROGRAPH_SPAN=$(barograph span begin training)")]
struct BeginArgs {
    /// What it is called.
    name: String,
    #[command(flatten)]
    more: More,
    #[command(flatten)]
    whom: Whom,
}

/// End a span.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph span end $id
  make || barograph span end $id --error 'it did not compile'")]
struct EndArgs {
    /// Its id, as `span begin` printed it; else that of $BAROGRAPH_SPAN.
    #[arg(value_name = "ID", value_parser = parse_span)]
    id: Option<SpanId>,
    /// That it failed, and why.
    #[arg(long, value_name = "WHY")]
    error: Option<String>,
    #[command(flatten)]
    whom: Whom,
}

fn after_help() -> String {
    format!(
        "Examples:
  barograph span compile -- make -j8
  barograph span fetch -k year=2026 -- curl -O https://example.org/2026.csv
  id=$(barograph span begin load); ./load; barograph span end $id

A command's own spans are within it: it finds its span's id in $BAROGRAPH_SPAN.

{}",
        super::WHOM
    )
}

fn parse_span(text: &str) -> Result<SpanId, String> {
    let id = text.trim();
    id.parse().ok().filter(|_| id.len() <= 16 && !id.starts_with('+')).ok_or_else(|| "expected an id as `barograph span begin` prints it".to_owned())
}

pub(crate) fn run(args: &SpanArgs) -> anyhow::Result<ExitCode> {
    match &args.edge {
        Some(Edge::Begin(begin)) => run_begin(begin),
        Some(Edge::End(end)) => run_end(end),
        None => run_command(args),
    }
}

impl More {
    fn parent(&self) -> Option<SpanId> {
        self.parent.or_else(surrounding)
    }
}

fn run_begin(args: &BeginArgs) -> anyhow::Result<ExitCode> {
    let span = new_span();
    match args.whom.find()? {
        // A script goes on with an id that means nothing to anybody.
        Found::Nobody => {}
        Found::Live(live) => live.say(&Message {
            pid: speaker(),
            by: Some(args.whom.by()),
            attributes: &attributes(&args.more.attributes),
            ..Message::new(What::Begin { name: &args.name, span, parent: args.more.parent() })
        })?,
        Found::Over(_) => bail!("this recording has ended; nothing begins in it any more"),
    }
    writeln!(std::io::stdout(), "{span}")?;
    Ok(ExitCode::SUCCESS)
}

fn run_end(args: &EndArgs) -> anyhow::Result<ExitCode> {
    let span = args.id.or_else(surrounding).context("which span? Give the id that `barograph span begin` printed, or set BAROGRAPH_SPAN to it")?;
    match args.whom.find()? {
        Found::Nobody => {}
        Found::Live(live) => {
            let status = args.error.as_deref().map_or(Status::Ok, Status::Error);
            live.say(&Message { pid: speaker(), by: Some(args.whom.by()), ..Message::new(What::End { span, status }) })?;
        }
        Found::Over(_) => bail!("this recording has ended, and its spans with it"),
    }
    Ok(ExitCode::SUCCESS)
}

fn run_command(args: &SpanArgs) -> anyhow::Result<ExitCode> {
    care_for(&args.command);
    let live = match args.whom.find() {
        Ok(Found::Live(live)) => live,
        Ok(Found::Nobody) => return Ok(become_it(args)),
        Ok(Found::Over(_)) => {
            crate::complain(&anyhow::anyhow!("this recording has ended; the command runs all the same"));
            return Ok(become_it(args));
        }
        Err(error) => {
            crate::complain(&error);
            return Ok(become_it(args));
        }
    };
    match accompany_it(args, &live) {
        Ok(end) => Ok(ExitCode::from(end.shell_code())),
        // We make room for it.
        Err(error @ SpawnError::NoRoom(_)) => {
            crate::complain(&error.into());
            Ok(become_it(args))
        }
        Err(error) => {
            let code = error.exit_code();
            crate::complain(&error.into());
            Ok(ExitCode::from(code))
        }
    }
}

/// Becomes the command: nobody wants to know what it costs.
fn become_it(args: &SpanArgs) -> ExitCode {
    let failure = become_command(&args.command);
    let code = failure.exit_code();
    crate::complain(&failure.into());
    ExitCode::from(code)
}

fn accompany_it(args: &SpanArgs, live: &Live) -> Result<JobEnd, SpawnError> {
    let (span, name) = (new_span(), args.name.as_deref().unwrap_or_default());
    let by = Some(args.whom.by());
    // A process of its own has used nothing at its begin.
    let nothing = Readings {
        process_cpu_nanos: Some(0),
        read_bytes: Some(0),
        written_bytes: Some(0),
        minor_faults: Some(0),
        major_faults: Some(0),
        ..Readings::default()
    };
    let (at, mut child) = (monotonic_nanos(), None);
    let said = |outcome: Result<(), SayError>| outcome.unwrap_or_else(|error| crate::complain(&error.into()));
    let used = accompany(&args.command, &[(SPAN_VARIABLE, span.to_string())], |pid| {
        child = Some(pid);
        said(live.say(&Message {
            at: Some(at),
            pid: child,
            thread: child,
            by,
            attributes: &attributes(&args.more.attributes),
            readings: nothing,
            ..Message::new(What::Begin { name, span, parent: args.more.parent() })
        }));
    })?;
    let why = match used.end {
        JobEnd::Code(0) => None,
        JobEnd::Code(code) => Some(format!("exit {code}")),
        JobEnd::Signal(signal) => Some(format!("signal {signal}")),
    };
    let readings = Readings {
        process_cpu_nanos: u64::try_from(used.cpu.as_nanos()).ok(),
        read_bytes: used.bytes.map(|(read, _)| read),
        written_bytes: used.bytes.map(|(_, written)| written),
        minor_faults: Some(used.minor_faults),
        major_faults: Some(used.major_faults),
        ..Readings::default()
    };
    let status = why.as_deref().map_or(Status::Ok, Status::Error);
    said(live.say(&Message { at: Some(monotonic_nanos()), pid: child, thread: child, by, readings, ..Message::new(What::End { span, status }) }));
    Ok(used.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_was_printed() {
        assert_eq!(parse_span(" 00000000000000ff\n"), Ok(SpanId(255)));
        for wrong in ["", "no", "+1", "12345678901234567"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }
}
