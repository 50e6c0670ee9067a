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
use std::time::Duration;

use anyhow::{Context, bail};
use barograph_beacon::{Address, BEACON_VARIABLE, Beacon, Message, Sent, SpanId, Value, monotonic_nanos};
use barograph_model::Moment;
use barograph_store::{State, Timeline};
use clap::{Args, ValueEnum};
use rustix::process::{getpgrp, getpid, getppid};
use rustix::termios::tcgetpgrp;

use crate::story;
use crate::words::{self, Reference, Window, shown};

/// How long we wait for a recorder that is too busy to listen.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// A recording that nobody writes any more.
struct Over(Timeline);

/// A recorder that listens.
struct Live {
    beacon: Beacon,
    /// Since when, as far as that is known.
    began: Option<Moment>,
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
            let live = Beacon::connect(&address).map(|beacon| Live { beacon, began: began(&address) });
            return Ok(live.map_or(Found::Nobody, Found::Live));
        }
        let listening = barograph_beacon::listening();
        match &listening[..] {
            [] if is_typed() => {
                bail!("nothing is being recorded; start with `barograph run -- COMMAND` or `barograph record`, or name a recording with --to RUN")
            }
            [] => Ok(Found::Nobody),
            [(_, address)] => {
                let beacon = Beacon::connect(address).context("the recorder has just ended")?;
                Ok(Found::Live(Live { beacon, began: began(address) }))
            }
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
    let timeline = Timeline::open(run)?;
    if timeline.state() != State::Live {
        return Ok(Found::Over(Box::new(Over(timeline))));
    }
    let facts = timeline.facts();
    let Some(address) = facts.beacon.as_deref().and_then(|text| Address::parse(text.as_ref())) else {
        bail!("{}: its recorder does not listen: {}", run.display(), facts.sources.get("beacon").map_or("it was not asked to", String::as_str));
    };
    let beacon =
        Beacon::connect(&address).with_context(|| format!("{}: its recorder, process {}, can't be reached", run.display(), facts.recorder.pid))?;
    let began = Moment { utc_nanos: facts.clock.utc_nanos, monotonic_nanos: facts.clock.monotonic_nanos };
    Ok(Found::Live(Live { beacon, began: Some(began) }))
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

impl Live {
    /// Says it, and waits for a moment if the recorder is busy.
    fn say(&self, message: &Message<'_>) -> anyhow::Result<()> {
        match self.beacon.send(message) {
            Sent::Sent => Ok(()),
            Sent::Kept if self.beacon.flush(PATIENCE) => Ok(()),
            Sent::Kept | Sent::Dropped => bail!("the recorder has too much to do, and did not hear it"),
            Sent::NobodyThere => bail!("the recorder has just ended"),
        }
    }

    /// What time words mean in this recording.
    fn reference(&self, window: &Window) -> anyhow::Result<Reference> {
        let Some(began) = self.began else { bail!("when this recording began can't be told by its socket; name its folder with --to RUN") };
        let now = barograph_record::now().utc_nanos;
        Ok(Reference { zone: window.zone("UTC")?, start: began.utc_nanos, end: now, now })
    }

    /// What these words mean, as the beacon wants it.
    fn at(&self, when: &str, window: &Window) -> anyhow::Result<i64> {
        let reference = self.reference(window)?;
        Ok(self.monotonic(within(words::moment(when, &reference)?, &reference)?))
    }

    /// This time in nanoseconds of CLOCK_MONOTONIC, which does not count what the machine slept.
    fn monotonic(&self, utc_nanos: i64) -> i64 {
        let now = barograph_record::now();
        // Somebody may have set the clock meanwhile: the nearer of the two moments that we know on both is the better one.
        let known = self.began.filter(|began| utc_nanos - began.utc_nanos < now.utc_nanos - utc_nanos).unwrap_or(now);
        let asleep = now.monotonic_nanos - monotonic_nanos();
        known.monotonic_nanos + (utc_nanos - known.utc_nanos) - if asleep < 1_000_000 { 0 } else { asleep }
    }
}

impl Over {
    fn reference(&self, window: &Window) -> anyhow::Result<Reference> {
        story::reference(&self.0, &window.zone(&self.0.facts().clock.zone)?)
    }

    /// A time on both clocks of its rows.
    fn moment(&self, utc_nanos: i64) -> Moment {
        let clock = &self.0.facts().clock;
        Moment { utc_nanos, monotonic_nanos: clock.monotonic_nanos + (utc_nanos - clock.utc_nanos) }
    }
}

/// This time, if it is one of the recording.
fn within(utc_nanos: i64, reference: &Reference) -> anyhow::Result<i64> {
    let said = |nanos| shown(nanos, &reference.zone);
    if utc_nanos < reference.start {
        bail!("{} is before the beginning of the recording, {}", said(utc_nanos), said(reference.start));
    }
    if utc_nanos > reference.end {
        let what = if reference.end == reference.now { "has not come yet; it is" } else { "is after the end of the recording," };
        bail!("{} {what} {}", said(utc_nanos), said(reference.end));
    }
    Ok(utc_nanos)
}

/// `K=V`, where `V` is a number or `true` or `false` if it looks like one.
fn parse_attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() { Err("expected NAME=VALUE".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

/// The value as what it looks like.
pub(crate) fn value(text: &str) -> Value<'_> {
    let int = || text.parse().ok().filter(|int: &i64| int.to_string() == text).map(Value::Int);
    // `nan` and `inf` are words, and 007 is a name.
    let is_number = text.starts_with(|first: char| first.is_ascii_digit() || first == '-') && !text.starts_with("00");
    let float = || text.parse().ok().filter(|float: &f64| is_number && float.is_finite()).map(Value::Float);
    let truth = || text.parse().ok().map(Value::Bool);
    int().or_else(float).or_else(truth).unwrap_or(Value::Str(text))
}

/// Attributes as they are sent.
fn attributes(typed: &[(String, String)]) -> Vec<(&str, Value<'_>)> {
    typed.iter().map(|(name, text)| (name.as_str(), value(text))).collect()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn values_are_what_they_look_like() {
        for (text, expected) in [
            ("3", Value::Int(3)),
            ("-3", Value::Int(-3)),
            ("0.5", Value::Float(0.5)),
            ("-1e3", Value::Float(-1000.0)),
            ("true", Value::Bool(true)),
            ("007", Value::Str("007")),
            ("nan", Value::Str("nan")),
            ("inf", Value::Str("inf")),
            ("", Value::Str("")),
            ("3 apples", Value::Str("3 apples")),
            ("+3", Value::Str("+3")),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        assert_eq!(parse_attribute("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(parse_attribute("a").is_err() && parse_attribute("=a").is_err());
    }

    #[test]
    fn times_outside_of_the_recording_are_refused() {
        let reference = Reference { zone: TimeZone::UTC, start: 1_000_000_000, end: 9_000_000_000, now: 90_000_000_000 };
        assert_eq!(within(1_000_000_000, &reference).unwrap(), 1_000_000_000);
        let before = within(0, &reference).unwrap_err().to_string();
        assert_eq!(before, "1970-01-01 00:00:00 +00:00 is before the beginning of the recording, 1970-01-01 00:00:01 +00:00");
        assert!(within(10_000_000_000, &reference).unwrap_err().to_string().contains("after the end"));
        let live = Reference { end: reference.now, ..reference };
        assert!(within(91_000_000_000, &live).unwrap_err().to_string().contains("has not come yet"));
    }
}
