//! Orders: what a recorder that is running can be told to do, by the program that it is part of or, as a line of JSON, by another process.

use std::time::Duration;

use barograph_beacon::{NAME_BYTES, cut};
use barograph_sources::Choice;
use serde::{Deserialize, Serialize};

use crate::Condition;

/// The shortest time between two ticks, or two writes.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest: beyond, deadlines would leave the clock.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What a recorder can be told to do.
#[derive(Clone, Debug)]
pub enum Order {
    /// To end the recording, for this reason. The job goes on.
    Stop(String),
    /// To read everything now, and to publish it.
    Read,
    /// Somebody looks at the recording: for the next ten seconds it is published every second.
    Watched,
    /// To record otherwise from now on.
    Set(Change),
}

/// What is to be otherwise in a recording that goes on. What is `None` stays as it is; if something of it can't be, nothing is changed.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Time between ticks.
    pub interval: Option<Duration>,
    /// Time between two writes to disk.
    pub write_interval: Option<Duration>,
    /// Which processes get rows of their own.
    pub processes: Option<Choice>,
    /// The sources of the machine that are not read, by name. All others are.
    pub without: Option<Vec<String>>,
    /// Whether memory with shared pages told apart (PSS) is read for the job's processes.
    pub process_memory: Option<bool>,
    /// The conditions whose begin and end are marked, and no others.
    pub mark_when: Option<Vec<Condition>>,
}

impl Change {
    /// Says what of it makes no sense anywhere.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, time) in [("interval", self.interval), ("write interval", self.write_interval)] {
            if time.is_some_and(|time| !(SHORTEST..=LONGEST).contains(&time)) {
                return Err(format!("the {name} must be at least 1 ms, and less than a century"));
            }
        }
        Ok(())
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        let Change { interval, write_interval, processes, without, process_memory, mark_when } = self;
        let times = interval.is_none() && write_interval.is_none();
        times && processes.is_none() && without.is_none() && process_memory.is_none() && mark_when.is_none()
    }
}

/// An order as another process sends it: see docs/beacon.md.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    order: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write_interval_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    without: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pss: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark_when: Option<Vec<String>>,
}

/// An answer to an order.
#[derive(Serialize, Deserialize)]
struct Reply<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// An order of another process, understood.
pub(crate) struct Sent {
    pub(crate) order: Result<Order, String>,
    /// What the answer is to have.
    pub(crate) id: String,
    pub(crate) by: &'static str,
}

impl Order {
    /// The line that has a recorder of another process do this. The answer will have the id.
    pub fn to_line(&self, id: &str) -> Vec<u8> {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let named = |order: &str| Line { order: order.to_owned(), id: Some(id.to_owned()), by: Some("person".to_owned()), ..Line::default() };
        let line = match self {
            Order::Stop(reason) => Line { reason: Some(reason.clone()), ..named("stop") },
            Order::Read => named("read"),
            Order::Watched => named("watched"),
            Order::Set(change) => Line {
                interval_seconds: seconds(change.interval),
                write_interval_seconds: seconds(change.write_interval),
                processes: change.processes.as_ref().map(ToString::to_string),
                without: change.without.clone(),
                pss: change.process_memory,
                mark_when: change.mark_when.as_ref().map(|all| all.iter().map(ToString::to_string).collect()),
                ..named("set")
            },
        };
        let mut bytes = serde_json::to_vec(&line).unwrap_or_else(|error| unreachable!("texts and numbers are JSON: {error}"));
        bytes.push(b'\n');
        bytes
    }

    /// What a recorder has answered to the order of this id; `None` if this is no such answer.
    pub fn answer(line: &[u8], id: &str) -> Option<Result<(), String>> {
        let reply: serde_json::Value = serde_json::from_slice(line).ok()?;
        if reply.get("id")?.as_str()? != id {
            return None;
        }
        Some(reply.get("error").and_then(serde_json::Value::as_str).map_or(Ok(()), |error| Err(error.to_owned())))
    }
}

/// The answer to the order of this id.
pub(crate) fn reply(id: &str, outcome: Result<(), String>) -> Vec<u8> {
    let reply = Reply { id, error: outcome.err() };
    serde_json::to_vec(&reply).unwrap_or_else(|error| unreachable!("texts are JSON: {error}"))
}

/// Understands an order of another process.
pub(crate) fn understand(line: &[u8]) -> Sent {
    let line: Line = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => {
            // Who made a mistake is to hear of it: its id may be all that can be read.
            let id = serde_json::from_slice::<serde_json::Value>(line).ok();
            let id = id.and_then(|line| Some(line.get("id")?.as_str()?.to_owned())).unwrap_or_default();
            return Sent { order: Err(format!("this recorder does not understand the order: {error}")), id, by: "person" };
        }
    };
    let by = match line.by.as_deref() {
        Some("program") => "program",
        Some("rule") => "rule",
        _ => "person",
    };
    let id = line.id.clone().unwrap_or_default();
    Sent { order: order(line), id, by }
}

fn order(line: Line) -> Result<Order, String> {
    let Line { order, id: _, by: _, reason, interval_seconds, write_interval_seconds, processes, without, pss, mark_when } = line;
    let is_set = order == "set";
    let times = interval_seconds.is_some() || write_interval_seconds.is_some();
    let sets = times || processes.is_some() || without.is_some() || pss.is_some() || mark_when.is_some();
    if !is_set && sets || order != "stop" && reason.is_some() {
        return Err(format!("{order:?} does not go with what else was said"));
    }
    match order.as_str() {
        "stop" => Ok(Order::Stop(reason.map_or_else(|| "stopped".to_owned(), |reason| cut(&reason, NAME_BYTES).into_owned()))),
        "read" => Ok(Order::Read),
        "watched" => Ok(Order::Watched),
        "set" => {
            let time = |seconds: Option<f64>| {
                seconds.map(|seconds| Duration::try_from_secs_f64(seconds).map_err(|_| format!("{seconds} seconds is no time"))).transpose()
            };
            let processes = processes.map(|text| text.parse::<Choice>().map_err(|why| format!("processes: {why}"))).transpose()?;
            let (interval, write_interval) = (time(interval_seconds)?, time(write_interval_seconds)?);
            let mark_when = mark_when.map(|all| all.iter().map(|text| text.parse::<Condition>()).collect()).transpose()?;
            Ok(Order::Set(Change { interval, write_interval, processes, without, process_memory: pss, mark_when }))
        }
        _ => Err(format!("there is no order {order:?}; there are stop, read, watched and set")),
    }
}

/// Who is told what became of an order: once, and if he never is otherwise, that the recording has ended.
pub(crate) struct Answer(Option<Tell>);

/// Hears what became of an order; `None` if nobody is there any more to follow it.
type Tell = Box<dyn FnOnce(Option<Result<(), String>>) + Send>;

impl Answer {
    pub(crate) fn to(tell: impl FnOnce(Option<Result<(), String>>) + Send + 'static) -> Answer {
        Answer(Some(Box::new(tell)))
    }

    /// Nobody waits for it.
    pub(crate) fn nobody() -> Answer {
        Answer(None)
    }

    pub(crate) fn give(mut self, outcome: Result<(), String>) {
        if let Some(tell) = self.0.take() {
            tell(Some(outcome));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell(None);
        }
    }
}

/// An order on its way to the recorder.
pub(crate) struct Ordered {
    pub(crate) order: Order,
    /// Who gave it, as the table `events` knows it.
    pub(crate) by: &'static str,
    pub(crate) answer: Answer,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(line: &str) -> Result<Order, String> {
        understand(line.as_bytes()).order
    }

    #[test]
    fn an_order_is_understood_as_it_was_sent() {
        let change = Change {
            interval: Some(Duration::from_millis(100)),
            write_interval: Some(Duration::from_secs(3)),
            processes: Some("top:20".parse().unwrap()),
            without: Some(vec!["disk".to_owned()]),
            process_memory: Some(false),
            mark_when: Some(vec!["memory > 2 GiB for 10s".parse().unwrap()]),
        };
        let orders = [Order::Stop("enough \"now\"".to_owned()), Order::Read, Order::Watched, Order::Set(change), Order::Set(Change::default())];
        for order in orders {
            let line = order.to_line("7f");
            let sent = understand(&line);
            assert_eq!((sent.id.as_str(), sent.by, line.last()), ("7f", "person", Some(&b'\n')));
            assert_eq!(format!("{:?}", sent.order.unwrap()), format!("{order:?}"));
        }
        assert!(matches!(understood(r#"{"order":"stop"}"#), Ok(Order::Stop(reason)) if reason == "stopped"));
        assert_eq!(understand(br#"{"order":"read","by":"program"}"#).by, "program");
    }

    #[test]
    fn what_makes_no_sense_is_told_to_who_sent_it() {
        for (line, why) in [
            (r#"{"order":"dance"}"#, "there are stop, read, watched and set"),
            (r#"{"order":"set","interval_seconds":-1}"#, "is no time"),
            (r#"{"order":"set","interval_seconds":1e300}"#, "is no time"),
            (r#"{"order":"set","processes":"few"}"#, "expected tree, all"),
            (r#"{"order":"set","speed":3,"id":"a"}"#, "unknown field `speed`"),
            (r#"{"order":"set","reason":"why"}"#, "does not go with"),
            (r#"{"order":"read","pss":true}"#, "does not go with"),
            (r#"{"order":"set","mark_when":["memory is large"]}"#, "expected a metric"),
            (r#"{"order":3}"#, "does not understand"),
        ] {
            let told = understood(line).unwrap_err();
            assert!(told.contains(why), "{line}: {told}");
        }
        assert_eq!(understand(br#"{"order":"set","speed":3,"id":"a"}"#).id, "a");
        let long = Order::Stop("x".repeat(100_000)).to_line("");
        assert!(matches!(understand(&long).order, Ok(Order::Stop(reason)) if reason.len() <= NAME_BYTES));
    }

    #[test]
    fn times_have_limits() {
        let with = |interval| Change { interval: Some(interval), ..Change::default() }.check();
        assert!(with(Duration::from_micros(999)).unwrap_err().contains("1 ms"));
        assert!(with(Duration::MAX).is_err() && with(Duration::ZERO).is_err());
        assert!(with(SHORTEST).is_ok() && Change::default().check().is_ok() && Change::default().is_empty());
    }

    #[test]
    fn an_answer_is_given_once_and_never_forgotten() {
        let (told, heard) = std::sync::mpsc::channel();
        let answer = |told: &std::sync::mpsc::Sender<_>| {
            let told = told.clone();
            Answer::to(move |outcome| told.send(outcome).unwrap())
        };
        answer(&told).give(Err("no".to_owned()));
        drop(answer(&told));
        drop(told);
        assert_eq!(heard.iter().collect::<Vec<_>>(), [Some(Err("no".to_owned())), None]);
        assert_eq!(Order::answer(&reply("a", Ok(())), "a"), Some(Ok(())));
        assert_eq!(Order::answer(&reply("a", Err("no".to_owned())), "a"), Some(Err("no".to_owned())));
        assert_eq!(Order::answer(&reply("b", Ok(())), "a"), None);
    }
}
