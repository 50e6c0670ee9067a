//! `barograph top`: this machine, a run in progress or a recording, in the terminal.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use barograph_top::Settings;
use clap::Args;

use crate::open::{FileZone, leave_signals, open};
use crate::options::parse_interval;
use crate::paint::Paint;
use crate::words::{Reference, Window, moment};

/// Watch this machine, a run in progress or a recording in the terminal, and step through its time.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph top                      this machine, now
  barograph top run.baro             a recording, or a run in progress: step, play, go to a time
  barograph top run.baro --at 10:20  from that time on
  barograph top numbers.csv          a file with times: CSV, JSON lines, Parquet …

Of this machine the last 3600 to 18000 readings are kept, which is one to five hours at one a second; they are gone when you quit.

Keys: ← → step, space plays, b goes to a time, [ ] to events, / looks for processes, v shows their tree, Enter the life of one, ? says all.")]
pub(crate) struct TopArgs {
    /// A recording, or a file with times. Without it, this machine as it is now.
    #[arg(value_name = "RUN")]
    recording: Option<PathBuf>,
    /// Time between two readings of this machine, such as 500ms or 2s.
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = parse_interval, conflicts_with = "recording")]
    interval: Duration,
    /// Begin at this time of the recording: 10:20, +90s, -1m …
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "recording")]
    at: Option<String>,
    /// Zone of the times: Local, UTC, a name such as Europe/Berlin, or Recorded for that of the machine.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    #[command(flatten)]
    file_zone: FileZone,
}

pub(crate) fn run(args: &TopArgs) -> anyhow::Result<ExitCode> {
    let window = Window { tz: args.tz.clone(), ..Window::default() };
    let opened = args.recording.as_ref().map(|path| open(path, &args.file_zone)).transpose()?;
    let recorded = opened.as_ref().and_then(|path| Some(barograph_store::Facts::read(path).ok()?.clock.zone)).unwrap_or_default();
    let zone = window.zone(&recorded)?;
    let of_words = zone.clone();
    let understand = move |words: &str, (start, end): (i64, i64)| {
        let now = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(end);
        let reference = Reference { zone: of_words.clone(), start, end, now };
        moment(words, &reference).map_err(|error| error.to_string())
    };
    leave_signals();
    let ended = barograph_top::run(Settings {
        recording: opened.as_ref().map(|opened| opened.folder().to_owned()),
        interval: args.interval,
        at: args.at.clone(),
        zone,
        colours: Paint::of_stdout().has_colours(),
        understand: Box::new(understand),
    })?;
    // What was made of a file goes before we do.
    drop(opened);
    if let Some(signal) = ended {
        barograph_top::end_by(signal);
    }
    Ok(ExitCode::SUCCESS)
}
