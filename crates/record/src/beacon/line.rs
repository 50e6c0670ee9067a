//! A line of the beacon, understood or refused: docs/beacon.md.

use std::borrow::Cow;

use barograph_beacon::{ATTRIBUTES_BYTES, NAME_BYTES, SPAN_BYTES, cut};
use barograph_model::{Batch, EventRow, Events, Gauges, Moment, Row, Rows, SpanEdges};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The most bytes of the key of an event.
const KEY_BYTES: usize = 64;

/// A line as it stands. Other keys are passed over.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    mark: Option<Cow<'a, str>>,
    begin: Option<Cow<'a, str>>,
    end: Option<Cow<'a, str>>,
    gauge: Option<Cow<'a, str>>,
    delete: Option<Cow<'a, str>>,
    dropped: Option<u64>,
    order: Option<&'a RawValue>,
    t: Whole,
    utc_nanos: Whole,
    monotonic_nanos: Whole,
    pid: Whole,
    tid: Whole,
    by: Option<Cow<'a, str>>,
    detail: Option<Cow<'a, str>>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    duration: Option<f64>,
    revises: Option<Cow<'a, str>>,
    span: Option<Cow<'a, str>>,
    parent: Option<Cow<'a, str>>,
    status: Option<Cow<'a, str>>,
    value: Option<f64>,
    cpu: Whole,
    process_cpu: Whole,
    rss: Whole,
    read: Whole,
    written: Whole,
    minor_faults: Whole,
    major_faults: Whole,
}

/// What a line says, which is one thing.
enum Says<'a> {
    Mark(&'a str),
    Begin(&'a str),
    End(&'a str),
    Gauge(&'a str),
    Delete(&'a str),
    Dropped(u64),
}

/// Who says it, and of whom.
#[derive(Clone, Copy)]
struct Who {
    by: &'static str,
    pid: Option<u64>,
    thread: Option<u64>,
}

impl Line<'_> {
    fn says(&self) -> Result<Says<'_>, Refused> {
        let mut said = [
            self.mark.as_deref().map(Says::Mark),
            self.begin.as_deref().map(Says::Begin),
            self.end.as_deref().map(Says::End),
            self.gauge.as_deref().map(Says::Gauge),
            self.delete.as_deref().map(Says::Delete),
            self.dropped.map(Says::Dropped),
        ]
        .into_iter()
        .flatten();
        match (said.next(), said.next()) {
            (Some(says), None) => Ok(says),
            _ => Err(Refused::Malformed),
        }
    }

    /// Who says it, if it came from this process.
    fn who(&self, sender: Option<u64>) -> Result<Who, Refused> {
        let by = match self.by.as_deref() {
            None | Some("program") => "program",
            Some("person") => "person",
            Some("rule") => "rule",
            Some(_) => return Err(Refused::Malformed),
        };
        // Who applies a rule is not whom it concerns.
        Ok(Who { by, pid: self.pid.count().or(sender.filter(|_| by != "rule")), thread: self.tid.count() })
    }

    /// When it happened.
    fn told(&self) -> Told {
        match (self.utc_nanos.0, self.monotonic_nanos.0) {
            (Some(utc_nanos), Some(monotonic_nanos)) => Told::Moment(Moment { utc_nanos, monotonic_nanos }),
            _ => self.t.0.map_or(Told::Nothing, Told::Clock),
        }
    }

    fn detail(&self) -> Option<Cow<'_, str>> {
        self.detail.as_deref().map(|text| cut(text, NAME_BYTES))
    }

    fn attributes(&self) -> Option<&str> {
        self.attributes.map(RawValue::get).filter(|text| text.starts_with('{') && text.len() <= ATTRIBUTES_BYTES)
    }

    /// The key of the event that it edits, if it does. Whoever edits says all that the event is to be from now on, its time above all.
    fn revises(&self) -> Result<Option<&str>, Refused> {
        let key = self.revises.as_deref().map(|key| within(key, KEY_BYTES)).transpose()?;
        if key.is_some() && !matches!(self.told(), Told::Moment(_)) {
            return Err(Refused::Malformed);
        }
        Ok(key)
    }

    /// How the span ended.
    fn status(&self) -> Result<&'static str, Refused> {
        match self.status.as_deref() {
            None | Some("ok") => Ok("ok"),
            Some("error") => Ok("error"),
            Some(_) => Err(Refused::Malformed),
        }
    }
}

/// A key or an id: it has something to it, and is no longer than may be.
fn within(id: &str, most_bytes: usize) -> Result<&str, Refused> {
    if (1..=most_bytes).contains(&id.len()) { Ok(id) } else { Err(Refused::Malformed) }
}

/// A whole number that is not negative, or none. Languages that know no integers of 64 bits write it with a point or an exponent.
#[derive(Clone, Copy, Default)]
struct Whole(Option<i64>);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Whole, D::Error> {
        let number = Option::<serde_json::Number>::deserialize(deserializer)?;
        let of_float =
            |number: &serde_json::Number| number.as_f64().filter(|float| float.fract() == 0.0 && *float < 9.0e18).map(|float| float as i64);
        // What is beyond 64 bits with a sign can't be right, and is absent.
        Ok(Whole(number.and_then(|number| number.as_i64().or_else(|| of_float(&number))).filter(|number| *number >= 0)))
    }
}

impl Whole {
    fn count(self) -> Option<u64> {
        self.0.map(i64::cast_unsigned)
    }

    fn seconds(self) -> Option<f64> {
        self.0.map(|nanos| nanos as f64 / 1e9)
    }
}

/// Why a line was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It makes no sense.
    Malformed,
    /// It ends before it makes sense.
    Cut,
}

/// When something happened, as a line tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It doesn't.
    Nothing,
    /// On CLOCK_MONOTONIC.
    Clock(i64),
    /// On both clocks of a row.
    Moment(Moment),
}

/// What a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A message, which is a row now.
    Message,
    /// The sender had to drop so many.
    Dropped(u64),
    /// An order, which is for others to understand.
    Order,
}

/// What was said since the rows were last taken over.
#[derive(Default)]
pub(crate) struct Said {
    events: Rows<Events>,
    gauges: Rows<Gauges>,
    edges: Rows<SpanEdges>,
    /// Revisions of events so far.
    revisions: u64,
}

impl Said {
    /// Shows every batch.
    pub(crate) fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.events);
        visit(&mut self.gauges);
        visit(&mut self.edges);
    }

    /// Takes a line that this process sent. `moment_of` places a time in the recording; without one it is now. Says what it was.
    pub(super) fn take(&mut self, line: &[u8], sender: Option<u64>, moment_of: impl Fn(Told) -> Moment) -> Result<Taken, Refused> {
        let line: Line<'_> = serde_json::from_slice(line).map_err(|error| if error.is_eof() { Refused::Cut } else { Refused::Malformed })?;
        if line.order.is_some() {
            return Ok(Taken::Order);
        }
        let who = line.who(sender)?;
        let at = || moment_of(line.told());
        match line.says()? {
            Says::Mark(name) => self.mark(at(), who, name, &line)?,
            Says::Delete(key) => {
                let (at, revises) = (moment_of(Told::Nothing), Some(within(key, KEY_BYTES)?));
                let revision = Some(self.next_revision());
                self.events.add(EventRow { at, by: who.by, pid: who.pid, revises, revision, ..EventRow::default() });
            }
            Says::Gauge(name) => {
                let mut row = self.gauges.row(at());
                row.text(Gauges::name, cut(name, NAME_BYTES).as_bytes()).set(Gauges::value, line.value);
                row.set(Gauges::pid, who.pid).set(Gauges::thread, who.thread);
            }
            Says::Begin(name) => {
                let span = within(line.span.as_deref().unwrap_or_default(), SPAN_BYTES)?;
                let parent = line.parent.as_deref().map(|parent| within(parent, SPAN_BYTES)).transpose()?;
                let mut row = self.edge("begin", at(), who, span, &line);
                row.text(SpanEdges::name, cut(name, NAME_BYTES).as_bytes()).text(SpanEdges::parent, parent.map(str::as_bytes));
            }
            Says::End(span) => {
                let (span, status) = (within(span, SPAN_BYTES)?, line.status()?);
                self.edge("end", at(), who, span, &line).text(SpanEdges::status, status.as_bytes());
            }
            Says::Dropped(dropped) => return Ok(Taken::Dropped(dropped)),
        }
        Ok(Taken::Message)
    }

    fn mark(&mut self, at: Moment, who: Who, name: &str, line: &Line<'_>) -> Result<(), Refused> {
        let revises = line.revises()?;
        let revision = revises.map(|_| self.next_revision());
        self.events.add(EventRow {
            at,
            by: who.by,
            name: Some(&cut(name, NAME_BYTES)),
            detail: line.detail().as_deref(),
            pid: who.pid,
            duration_seconds: line.duration.filter(|seconds| *seconds >= 0.0),
            thread: who.thread,
            attributes: line.attributes(),
            revises,
            revision,
        });
        Ok(())
    }

    fn next_revision(&mut self) -> u64 {
        self.revisions += 1;
        self.revisions
    }

    /// Begins the row of an edge of a span with what begins and ends alike have: who, what else was said, and what the process had used.
    fn edge(&mut self, edge: &str, at: Moment, who: Who, span: &str, line: &Line<'_>) -> Row<'_, SpanEdges> {
        let mut row = self.edges.row(at);
        row.text(SpanEdges::edge, edge.as_bytes())
            .text(SpanEdges::span, span.as_bytes())
            .text(SpanEdges::by, who.by.as_bytes())
            .set(SpanEdges::pid, who.pid)
            .set(SpanEdges::thread, who.thread)
            .text(SpanEdges::detail, line.detail().as_deref().map(str::as_bytes))
            .text(SpanEdges::attributes, line.attributes().map(str::as_bytes))
            .set(SpanEdges::thread_cpu, line.cpu.seconds())
            .set(SpanEdges::process_cpu, line.process_cpu.seconds())
            .set(SpanEdges::resident, line.rss.count())
            .set(SpanEdges::read, line.read.count())
            .set(SpanEdges::written, line.written.count())
            .set(SpanEdges::minor_faults, line.minor_faults.count())
            .set(SpanEdges::major_faults, line.major_faults.count());
        row
    }
}

/// Takes any line: it becomes one row, of which no cell is longer than may be, or none.
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::panic, reason = "a fuzz target says what is wrong by panicking")]
pub(crate) fn take_any(line: &[u8]) {
    let mut said = Said::default();
    let taken = said.take(line, Some(42), |told| match told {
        Told::Nothing => Moment::default(),
        Told::Clock(nanos) => Moment { utc_nanos: nanos, monotonic_nanos: nanos },
        Told::Moment(at) => at,
    });
    let mut rows = 0;
    said.each_batch(&mut |batch| {
        rows += batch.len();
        assert!(batch.utc_nanos().iter().chain(batch.monotonic_nanos()).all(|time| *time >= 0));
        for row in 0..batch.len() {
            let texts = batch.columns().iter().filter_map(|column| column.text(row));
            assert!(texts.clone().all(|text| text.len() <= ATTRIBUTES_BYTES.max(NAME_BYTES)), "{:?}", texts.collect::<Vec<_>>());
        }
    });
    assert_eq!(rows, usize::from(taken == Ok(Taken::Message)));
}

#[cfg(test)]
mod tests {
    use barograph_beacon::{Message, Readings, SpanId, Status, Value, What};

    use super::*;

    fn take(line: &str) -> Result<(Said, Taken), Refused> {
        let mut said = Said::default();
        let taken = said.take(line.as_bytes(), Some(42), |told| match told {
            Told::Nothing => Moment { utc_nanos: -1, monotonic_nanos: 0 },
            Told::Clock(t) => Moment { utc_nanos: t, monotonic_nanos: 0 },
            Told::Moment(at) => at,
        })?;
        Ok((said, taken))
    }

    #[test]
    fn what_our_client_sends_is_understood() {
        let mut line = Vec::new();
        let message = Message {
            at: Some(5),
            pid: Some(9),
            thread: Some(10),
            by: Some("person"),
            attributes: &[("file \"1\"", Value::Str("ä\0")), ("share", Value::Float(f64::INFINITY))],
            readings: Readings {
                thread_cpu_nanos: Some(1_500_000_000),
                resident_bytes: Some(4096),
                read_bytes: Some(u64::MAX),
                ..Readings::default()
            },
            ..Message::new(What::Begin { name: "load\n", span: SpanId(1), parent: Some(SpanId(2)) })
        };
        message.write(&mut line);
        let (said, _) = take(std::str::from_utf8(&line).unwrap()).unwrap();
        let cell = |name: &str| said.edges.column(name).unwrap();
        assert_eq!((said.edges.len(), said.edges.utc_nanos()), (1, [5].as_slice()));
        let texts = ["edge", "span", "parent", "name", "by", "status", "attributes"].map(|name| cell(name).text(0));
        assert_eq!(
            texts,
            [
                Some("begin"),
                Some("0000000000000001"),
                Some("0000000000000002"),
                Some("load\n"),
                Some("person"),
                None,
                Some("{\"file \\\"1\\\"\":\"ä\\u0000\",\"share\":null}")
            ]
        );
        assert_eq!((cell("pid").int(0), cell("thread").int(0)), (Some(9), Some(10)));
        assert_eq!((cell("thread_cpu_seconds").float(0), cell("resident_bytes").int(0), cell("read_bytes").int(0)), (Some(1.5), Some(4096), None));

        line.clear();
        Message::new(What::End { span: SpanId(1), status: Status::Error("gone") }).write(&mut line);
        let (said, _) = take(std::str::from_utf8(&line).unwrap()).unwrap();
        let cell = |name: &str| said.edges.column(name).unwrap().text(0).map(str::to_owned);
        let texts = ["edge", "span", "status", "detail"].map(cell);
        assert_eq!(texts.map(Option::unwrap), ["end", "0000000000000001", "error", "gone"]);
        assert_eq!(said.edges.utc_nanos(), [-1]);
        assert_eq!(said.edges.column("pid").unwrap().int(0), Some(42));
    }

    #[test]
    fn what_others_send_is_understood() {
        let (said, _) = take(r#" {"gauge": "loss", "value": 0.25, "t": 1.5e3, "unknown": [1]} "#).unwrap();
        assert_eq!((said.gauges.utc_nanos(), said.gauges.column("value").unwrap().float(0)), ([1500].as_slice(), Some(0.25)));
        let (said, _) = take(r#"{"gauge": "loss", "value": null}"#).unwrap();
        assert_eq!((said.gauges.len(), said.gauges.column("value").unwrap().float(0)), (1, None));
        let (said, _) = take(r#"{"mark": "a", "duration": 1.5}"#).unwrap();
        assert_eq!(said.events.column("duration_seconds").unwrap().float(0), Some(1.5));
        let (said, _) = take(r#"{"mark": "a", "duration": -1}"#).unwrap();
        assert_eq!(said.events.column("duration_seconds").unwrap().float(0), None);
        let (said, _) = take(r#"{"mark": "", "pid": -3, "t": 1e30, "attributes": [1]}"#).unwrap();
        let event = |name: &str| said.events.column(name).unwrap();
        assert_eq!((event("name").text(0), event("pid").int(0), event("attributes").text(0)), (Some(""), Some(42), None));
        assert_eq!(take(r#"{"dropped": 12}"#).unwrap().1, Taken::Dropped(12));
        assert_eq!(take(r#"{"order": "stop", "mark": "x"}"#).unwrap().1, Taken::Order);
    }

    #[test]
    fn events_are_revised_in_the_order_of_what_was_said() {
        let mut said = Said::default();
        for line in [
            r#"{"mark": "new", "revises": "5-a", "utc_nanos": 7, "monotonic_nanos": 3, "duration": 1.5, "by": "person"}"#,
            r#"{"mark": "plain", "duration": -1}"#,
            r#"{"delete": "5-a"}"#,
        ] {
            let moment = |told| if let Told::Moment(at) = told { at } else { Moment { utc_nanos: 1, monotonic_nanos: 1 } };
            said.take(line.as_bytes(), Some(42), moment).unwrap();
        }
        let cell = |name: &str| said.events.column(name).unwrap();
        assert_eq!([0, 1, 2].map(|row| cell("revision").int(row)), [Some(1), None, Some(2)]);
        assert_eq!([0, 1, 2].map(|row| cell("revises").text(row)), [Some("5-a"), None, Some("5-a")]);
        assert_eq!([0, 1, 2].map(|row| cell("name").text(row)), [Some("new"), Some("plain"), None]);
        assert_eq!([0, 1].map(|row| cell("duration_seconds").float(row)), [Some(1.5), None]);
        assert_eq!((said.events.utc_nanos(), said.events.monotonic_nanos()), ([7, 1, 1].as_slice(), [3, 1, 1].as_slice()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let long = format!(r#"{{"begin": "a", "span": "{}"}}"#, "x".repeat(SPAN_BYTES + 1));
        for wrong in [
            "",
            "{}",
            "[]",
            "hello",
            r#"{"mark": 1}"#,
            r#"{"mark": "a", "gauge": "b"}"#,
            r#"{"mark": "a", "mark": "b"}"#,
            r#"{"begin": "a"}"#,
            r#"{"begin": "a", "span": ""}"#,
            r#"{"end": "a", "status": "fine"}"#,
            r#"{"mark": "a", "by": "recorder"}"#,
            r#"{"mark": "\ud800"}"#,
            r#"{"mark": "a", "revises": "5-a"}"#,
            r#"{"mark": "a", "revises": "", "utc_nanos": 7, "monotonic_nanos": 3}"#,
            r#"{"delete": ""}"#,
            r#"{"delete": "5-a", "mark": "a"}"#,
            r#"{"delete": "5-a", "gauge": "a"}"#,
            r#"{"delete": "5-a", "dropped": 1}"#,
            "{\"mark\": \"a\"} {\"mark\": \"b\"}",
            &long,
        ] {
            assert!(take(wrong).is_err(), "{wrong}");
        }
        assert!(Said::default().take(b"{\"mark\": \"\xff\"}", None, |_| Moment::default()).is_err());
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let (said, _) = take(&format!(r#"{{"mark": "{}", "attributes": {{"a": "{}"}}}}"#, "é".repeat(9000), "b".repeat(ATTRIBUTES_BYTES))).unwrap();
        let name = said.events.column("name").unwrap().text(0).unwrap();
        assert!(name.len() <= NAME_BYTES && name.ends_with("é…"), "{}", name.len());
        assert_eq!(said.events.column("attributes").unwrap().text(0), None);
    }
}
