//! Saying something to a recording: to its recorder while it goes on, and by a part of its own when it has ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use barograph_beacon::{ATTRIBUTES_BYTES, Address, Beacon, Message, NAME_BYTES, Sent, Value, What, cut, monotonic_nanos};
use barograph_model::Moment;
use barograph_store::{self as store, State, Timeline};
use jiff::tz::TimeZone;

use crate::time::Reference;
use crate::{Event, moment};

/// How long we wait for a recorder that is too busy to listen.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why it was not said.
#[derive(Debug, thiserror::Error)]
pub enum SayError {
    /// The recording can't be read, or not be written.
    #[error(transparent)]
    Recording(#[from] store::Error),
    /// Its recorder hears nobody.
    #[error("{}: its recorder does not listen: {why}", path.display())]
    Deaf {
        /// The recording.
        path: PathBuf,
        /// Why it doesn't.
        why: String,
    },
    /// Its recorder can't be reached.
    #[error("{}: its recorder, process {pid}, can't be reached: {source}", path.display())]
    Unreachable {
        /// The recording.
        path: PathBuf,
        /// The recorder.
        pid: u64,
        /// What the system said.
        source: std::io::Error,
    },
    /// The recorder is overwhelmed.
    #[error("the recorder has too much to do, and did not hear it")]
    Busy,
    /// The recorder has gone.
    #[error("the recorder has just ended")]
    Ended,
}

/// Who is told.
pub enum Recipient {
    /// A recorder.
    Live(Live),
    /// A recording that nobody writes any more.
    Over(Box<Over>),
}

/// A recorder that listens.
pub struct Live {
    beacon: Beacon,
    /// Since when, as far as that is known.
    began: Option<Moment>,
}

/// A recording that nobody writes any more.
pub struct Over(Timeline);

/// Who is told for the recording at this path.
pub fn recipient(recording: &Path) -> Result<Recipient, SayError> {
    let timeline = Timeline::open(recording)?;
    if timeline.state() != State::Live {
        return Ok(Recipient::Over(Box::new(Over(timeline))));
    }
    let (facts, path) = (timeline.facts(), || recording.to_owned());
    let Some(address) = facts.beacon.as_deref().and_then(|text| Address::parse(text.as_ref())) else {
        let why = facts.sources.get("beacon").map_or("it was not asked to", String::as_str).to_owned();
        return Err(SayError::Deaf { path: path(), why });
    };
    let unreachable = |source| SayError::Unreachable { path: path(), pid: facts.recorder.pid, source };
    let beacon = Beacon::connect(&address).map_err(unreachable)?;
    let began = Moment { utc_nanos: facts.clock.utc_nanos, monotonic_nanos: facts.clock.monotonic_nanos };
    Ok(Recipient::Live(Live { beacon, began: Some(began) }))
}

impl Live {
    /// Connects to a recorder that began at this moment, as far as that is known.
    pub fn connect(address: &Address, began: Option<Moment>) -> std::io::Result<Live> {
        Beacon::connect(address).map(|beacon| Live { beacon, began })
    }

    /// Says it, and waits for a moment if the recorder is busy.
    pub fn say(&self, message: &Message<'_>) -> Result<(), SayError> {
        match self.beacon.send(message) {
            Sent::Sent => Ok(()),
            Sent::Kept if self.beacon.flush(PATIENCE) => Ok(()),
            Sent::Kept | Sent::Dropped => Err(SayError::Busy),
            Sent::NobodyThere => Err(SayError::Ended),
        }
    }

    /// Adds an event that concerns this process.
    pub fn add(&self, event: &Event, pid: Option<u32>, by: &str) -> Result<(), SayError> {
        let (at, attributes) = (Some(self.monotonic(event.utc_nanos)), attributes(&event.attributes));
        let (detail, duration) = (event.detail.as_deref(), event.duration_seconds);
        self.say(&Message { at, pid, by: Some(by), detail, duration, attributes: &attributes, ..Message::new(What::Mark(&event.name)) })
    }

    /// What time words mean in this recording; `None` if it is not known when it began.
    pub fn reference(&self, zone: &TimeZone) -> Option<Reference> {
        let now = barograph_record::now().utc_nanos;
        Some(Reference { zone: zone.clone(), start: self.began?.utc_nanos, end: now, now })
    }

    /// This time in nanoseconds of CLOCK_MONOTONIC, which does not count what the machine slept.
    pub fn monotonic(&self, utc_nanos: i64) -> i64 {
        let now = barograph_record::now();
        // Somebody may have set the clock meanwhile: the nearer of the two moments that we know on both is the better one.
        let known = self.began.filter(|began| utc_nanos - began.utc_nanos < now.utc_nanos - utc_nanos).unwrap_or(now);
        let asleep = now.monotonic_nanos - monotonic_nanos();
        known.monotonic_nanos + (utc_nanos - known.utc_nanos) - if asleep < 1_000_000 { 0 } else { asleep }
    }
}

impl Over {
    /// The recording.
    pub fn timeline(&self) -> &Timeline {
        &self.0
    }

    /// Adds events: all of them, or none.
    pub fn add(&self, events: &[Event], by: &str) -> Result<(), SayError> {
        let events: Vec<_> = events.iter().map(|event| event.at(moment(self.0.facts(), event.utc_nanos))).collect();
        Ok(store::add_events(self.0.folder(), by, &events)?)
    }
}

impl Event {
    /// The event as a recording has it, at this moment of its clocks.
    pub fn at(&self, at: Moment) -> store::Event {
        let said: serde_json::Map<_, _> =
            attributes(&self.attributes).into_iter().map(|(name, value)| (cut(name, NAME_BYTES).into_owned(), json(value))).collect();
        let said = serde_json::Value::Object(said).to_string();
        store::Event {
            at,
            name: cut(&self.name, NAME_BYTES).into_owned(),
            detail: self.detail.as_deref().map(|detail| cut(detail, NAME_BYTES).into_owned()),
            duration_seconds: self.duration_seconds,
            attributes: Some(said).filter(|text| !self.attributes.is_empty() && text.len() <= ATTRIBUTES_BYTES),
        }
    }
}

/// The value as what it looks like.
pub fn value(text: &str) -> Value<'_> {
    let int = || text.parse().ok().filter(|int: &i64| int.to_string() == text).map(Value::Int);
    // `nan` and `inf` are words, and 007 is a name.
    let is_number = text.starts_with(|first: char| first.is_ascii_digit() || first == '-') && !text.starts_with("00");
    let float = || text.parse().ok().filter(|float: &f64| is_number && float.is_finite()).map(Value::Float);
    let truth = || text.parse().ok().map(Value::Bool);
    int().or_else(float).or_else(truth).unwrap_or(Value::Str(text))
}

/// Attributes as they are sent.
pub fn attributes(typed: &[(String, String)]) -> Vec<(&str, Value<'_>)> {
    typed.iter().map(|(name, text)| (name.as_str(), value(text))).collect()
}

fn json(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Str(text) => cut(text, NAME_BYTES).into(),
        Value::Int(int) => int.into(),
        Value::Float(float) => float.into(),
        Value::Bool(truth) => truth.into(),
    }
}

#[cfg(test)]
mod tests {
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
    }
}
