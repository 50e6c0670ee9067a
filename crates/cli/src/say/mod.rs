//! What a person or a script says to a recording: marks, gauges and spans, and whom they are said to.

mod gauge;
mod import;
mod mark;
mod revise;
mod span;

pub(crate) use gauge::{GaugeArgs, run as gauge};
pub(crate) use mark::{MarkArgs, run as mark};
pub(crate) use span::{SpanArgs, run as span};

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use barograph_beacon::{Address, BEACON_VARIABLE, SpanId, monotonic_nanos};
use barograph_model::Moment;
use barograph_session::time::within;
use barograph_session::{Live, Over, Recipient, recipient};
use clap::{Args, ValueEnum};
use rustix::process::{getpgrp, getpid, getppid};
use rustix::termios::tcgetpgrp;

use crate::words::{self, Reference, Window};

/// What the help of each of these commands says of how they find their recording.
const WHOM: &str = "\
The recording is the one that runs the script ($BAROGRAPH_BEACON), that of --to, or the only one that goes on.
Where there is none, a script is not held up: it says nothing and exits 0. Typed at a terminal, or with --to, that is an error.";

/// Whom it is said to.
#[derive(Args, Clone, Debug)]
pub(crate) struct Whom {
    /// The recording, if it is not the one that runs this script or the only one that goes on.
    #[arg(long, value_name = "RUN")]
    to: Option<PathBuf>,
    /// Who says it: program, person or rule. Typed at a terminal a person does, in a script a program.
    #[arg(long, value_name = "WHO", hide_possible_values = true)]
    by: Option<By>,
}

/// Who says something, as the table `events` knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    Program,
    Person,
    Rule,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            By::Program => "program",
            By::Person => "person",
            By::Rule => "rule",
        }
    }
}

/// Whoever is listening.
enum Found {
    /// A recorder.
    Live(Live),
    /// A recording that nobody writes any more.
    Over(Box<Over>),
    /// Nobody, and nobody minds.
    Nobody,
}

impl Whom {
    /// Looks for the recording. That there is none is an error only to whom it matters.
    fn find(&self) -> anyhow::Result<Found> {
        if let Some(run) = &self.to {
            return of_recording(run);
        }
        let named = std::env::var_os(BEACON_VARIABLE).filter(|text| !text.is_empty());
        if let Some(address) = named.as_deref().and_then(Address::parse) {
            // A recorder that has ended while its job goes on is no reason for the job to fail.
            let live = Live::connect(&address, began(&address));
            return Ok(live.map_or(Found::Nobody, Found::Live));
        }
        let listening = barograph_beacon::listening();
        match &listening[..] {
            [] if is_typed() => {
                bail!("nothing is being recorded; start with `barograph run -- COMMAND` or `barograph record`, or name a recording with --to RUN")
            }
            [] => Ok(Found::Nobody),
            [(_, address)] => Ok(Found::Live(Live::connect(address, began(address)).context("the recorder has just ended")?)),
            several => {
                let ids: Vec<String> =
                    several.iter().map(|(id, address)| format!("\n  {BEACON_VARIABLE}={}  (recording {id})", address.to_text())).collect();
                let why = format!(
                    "{} recordings go on; say which one with --to RUN, its folder, or by one of these in the environment:{}",
                    several.len(),
                    ids.concat()
                );
                if is_typed() {
                    bail!(why);
                }
                crate::complain(&anyhow::anyhow!("nothing was said: {why}"));
                Ok(Found::Nobody)
            }
        }
    }

    fn by(&self) -> &'static str {
        self.by.unwrap_or(if is_typed() { By::Person } else { By::Program }).as_str()
    }
}

/// The recording of this name: its recorder, or its folder if that has ended.
fn of_recording(run: &Path) -> anyhow::Result<Found> {
    Ok(match recipient(run)? {
        Recipient::Live(live) => Found::Live(live),
        Recipient::Over(over) => Found::Over(over),
    })
}

/// When the recorder at this address began to listen: when it made its socket.
fn began(address: &Address) -> Option<Moment> {
    let Address::Path(path) = address else { return None };
    let made = path.metadata().ok()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let (now, utc_nanos) = (barograph_record::now(), i64::try_from(made.as_nanos()).ok()?);
    Some(Moment { utc_nanos, monotonic_nanos: now.monotonic_nanos - (now.utc_nanos - utc_nanos) })
}

/// Whether a person has typed this command: a shell with job control makes it the leader of a group, and gives it the terminal. A script does neither.
fn is_typed() -> bool {
    let own = getpgrp();
    own == getpid() && tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground == own)
}

/// The process for whom we speak: the shell or script that started us, which has more to show than this one.
fn speaker() -> Option<u32> {
    getppid().map(|pid| pid.as_raw_pid().cast_unsigned())
}

/// An id that no other span has, whether anybody listens or not.
fn new_span() -> SpanId {
    SpanId(RandomState::new().hash_one((getpid().as_raw_pid(), monotonic_nanos())))
}

/// What time words mean in a recording that goes on.
fn reference_of_live(live: &Live, window: &Window) -> anyhow::Result<Reference> {
    live.reference(&window.zone("UTC")?).context("when this recording began can't be told by its socket; name its folder with --to RUN")
}

/// What time words mean in one that has ended.
fn reference_of_over(over: &Over, window: &Window) -> anyhow::Result<Reference> {
    Ok(Reference::of(over.timeline(), &window.zone(&over.timeline().facts().clock.zone)?)?)
}

/// What these words mean, if that is a time of the recording.
fn moment_within(when: &str, reference: &Reference) -> anyhow::Result<i64> {
    Ok(within(words::moment(when, reference)?, reference)?)
}

/// `K=V`, where `V` is a number or `true` or `false` if it looks like one.
fn parse_attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() { Err("expected NAME=VALUE".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_names_and_values() {
        assert_eq!(parse_attribute("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(parse_attribute("a").is_err() && parse_attribute("=a").is_err());
    }
}
