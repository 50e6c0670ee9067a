//! `barograph mark --list`, `--edit` and `--delete`: events that are there already.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use barograph_beacon::{ATTRIBUTES_BYTES, NAME_BYTES, cut};
use barograph_model::{Described, Events, Field, Moment};
use barograph_session::{Order, moment, order, revise_events};
use barograph_store::{EVENT_KEY, Event, Frame, Query, Revision, State, Timeline};
use serde_json::{Value, json};

use super::moment_within;
use crate::human;
use crate::paint::{Ink, Paint, width};
use crate::table::{Align, Table};
use crate::words::{Reference, Window, shown};

fn column<T: Described, K>(field: Field<T, K>) -> String {
    T::TABLE.metrics[field.index()].column()
}

/// The recording that is meant, with all that was said so far.
fn open(run: Option<&PathBuf>) -> anyhow::Result<Timeline> {
    let run = run.context("which recording? Name its folder with --to RUN")?;
    let mut timeline = Timeline::open(run)?;
    // One that hears nobody has what it has published.
    if timeline.state() == State::Live && timeline.facts().beacon.is_some() {
        order(run, &Order::Read)?;
        timeline.refresh()?;
    }
    Ok(timeline)
}

/// The events of a recording, as texts.
struct Known {
    frame: Frame,
}

impl Known {
    fn read(timeline: &Timeline) -> anyhow::Result<Known> {
        Ok(Known { frame: timeline.events(&Query::all())? })
    }

    fn text(&self, column: &str, row: usize) -> Option<&str> {
        self.frame.texts(column)[row]
    }

    /// The event of this key.
    fn event(&self, key: &str) -> anyhow::Result<Event> {
        barograph_store::revisable(&self.frame, key)?;
        let row = self.frame.texts(EVENT_KEY).iter().position(|known| *known == Some(key)).context("there is no such event")?;
        let own = |column: &str| self.text(column, row).map(str::to_owned);
        Ok(Event {
            at: Moment { utc_nanos: self.frame.times()[row], monotonic_nanos: self.frame.monotonic()[row] },
            name: own(&column(Events::name)).unwrap_or_default(),
            detail: own(&column(Events::detail)),
            duration_seconds: self.frame.floats(&column(Events::duration))[row],
            attributes: own(&column(Events::attributes)),
        })
    }
}

/// Prints the events, each with its key.
pub(super) fn list(run: Option<&PathBuf>, window: &Window, as_json: bool) -> anyhow::Result<()> {
    let timeline = open(run)?;
    let known = Known::read(&timeline)?;
    let frame = &known.frame;
    let mut out = std::io::stdout().lock();
    let texts = |column: &str| frame.texts(column);
    let (keys, by, names) = (texts(EVENT_KEY), texts(&column(Events::by)), texts(&column(Events::name)));
    let (details, said) = (texts(&column(Events::detail)), texts(&column(Events::attributes)));
    let (durations, pids) = (frame.floats(&column(Events::duration)), frame.ints(&column(Events::pid)));
    if as_json {
        for row in 0..frame.len() {
            let attributes: Option<Value> = said[row].and_then(|text| serde_json::from_str(text).ok());
            let line = json!({
                "key": keys[row], "time": jiff::Timestamp::from_nanosecond(frame.times()[row].into())?.to_string(), "utc_nanos": frame.times()[row],
                "by": by[row], "name": names[row], "detail": details[row], "duration_seconds": durations[row], "pid": pids[row], "attributes": attributes,
            });
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    let zone = window.zone(&timeline.facts().clock.zone)?;
    let mut table = Table::new([("KEY", Align::Left), ("TIME", Align::Left), ("BY", Align::Left), ("EVENT", Align::Flexible)]);
    for row in 0..frame.len() {
        let more = [details[row], said[row]].into_iter().flatten().map(|text| format!("  {text}")).collect::<String>();
        table.row([
            (keys[row].unwrap_or_default().to_owned(), Ink::Plain),
            (shown(frame.times()[row], &zone), Ink::Plain),
            (by[row].unwrap_or_default().to_owned(), Ink::Dim),
            (human::escape(&format!("{}{more}", names[row].unwrap_or_default())), Ink::Plain),
        ]);
    }
    table.write(&mut out, Paint::of_stdout(), "", width(None))?;
    Ok(())
}

/// What is to be otherwise of an event.
pub(super) struct Changes<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) at: Option<&'a str>,
    pub(super) attributes: &'a [(String, String)],
}

/// Changes an event. What is not named stays as it is.
pub(super) fn edit(run: Option<&PathBuf>, key: &str, changes: &Changes<'_>, window: &Window, by: &str) -> anyhow::Result<()> {
    let Changes { name, at, attributes: typed } = *changes;
    if name.is_none() && at.is_none() && typed.is_empty() {
        bail!("what is to be otherwise? Give another name, --at TIME, or -k NAME=VALUE");
    }
    let timeline = open(run)?;
    let mut event = Known::read(&timeline)?.event(key)?;
    if let Some(name) = name {
        event.name = cut(name, NAME_BYTES).into_owned();
    }
    if let Some(when) = at {
        let reference = Reference::of(&timeline, &window.zone(&timeline.facts().clock.zone)?)?;
        let utc_nanos = moment_within(when, &reference).with_context(|| format!("--at {when:?}"))?;
        event.at = moment(timeline.facts(), utc_nanos);
    }
    if !typed.is_empty() {
        let parse =
            |text: Option<&str>| -> serde_json::Map<String, Value> { text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default() };
        let typed = barograph_session::Event { attributes: typed.to_vec(), ..Default::default() }.at(event.at);
        let mut all = parse(event.attributes.as_deref());
        all.extend(parse(typed.attributes.as_deref()));
        event.attributes = Some(Value::Object(all).to_string()).filter(|text| text.len() <= ATTRIBUTES_BYTES);
    }
    Ok(revise_events(timeline.folder(), by, &[Revision { key: key.to_owned(), event: Some(event) }])?)
}

/// Deletes events: all of them, or none.
pub(super) fn delete(run: Option<&PathBuf>, keys: &[String], by: &str) -> anyhow::Result<()> {
    let timeline = open(run)?;
    let revisions: Vec<Revision> = keys.iter().map(|key| Revision { key: key.clone(), event: None }).collect();
    let folder: &Path = timeline.folder();
    Ok(revise_events(folder, by, &revisions)?)
}
