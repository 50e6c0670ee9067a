//! How it is recorded is changed while it goes on, which is an event, and in the facts.

use std::time::Duration;

use barograph_model::{EventRow, Setup};

use super::Recorder;
use crate::clock::deadline_nanos;
use crate::condition::Conditions;
use crate::order::Change;
use crate::panel::check_sources;

impl Recorder {
    /// Records otherwise from now on. Says whether that is anything else; an error changes nothing.
    pub(super) fn change(&mut self, change: &Change, by: &'static str) -> Result<bool, String> {
        change.check()?;
        check_sources(change.without.as_deref().unwrap_or_default())?;
        if change.process_memory == Some(true) && !self.panel.processes().has_job() {
            return Err("there is no job whose PSS could be read: the machine is recorded".to_owned());
        }
        let conditions = change.mark_when.as_ref().map(|all| Conditions::new(all, self.panel.processes().has_job())).transpose()?;
        let now = Wanted::of(self);
        if let Some(choice) = &change.processes {
            self.panel.processes().choose(choice).map_err(|fault| fault.to_string())?;
        }
        if let Some(conditions) = conditions {
            self.conditions.replace(conditions);
        }
        if let Some(without) = &change.without {
            self.panel.leave_out(without);
        }
        if let Some(wanted) = change.process_memory {
            self.panel.read_process_memory(wanted);
        }
        self.options.write_interval = change.write_interval.unwrap_or(self.options.write_interval);
        self.options.interval = change.interval.unwrap_or(self.options.interval);
        let then = Wanted::of(self);
        if now == then {
            return Ok(false);
        }
        self.longest_interval = self.longest_interval.max(self.options.interval);
        self.slowest = self.slowest.max(self.options.interval);
        let (has_pss, has_others) = (self.panel.has_process_memory(), self.panel.processes().watches_others());
        if let Some(budget) = &mut self.budget {
            budget.begin_anew(self.options.write_interval, has_pss, has_others);
            self.panel.save(None);
        }
        self.schedule.change_interval(deadline_nanos(), self.options.interval);
        for (what, before, after) in now.differences(&then) {
            let (name, attributes) =
                (format!("{what} {before} → {after}"), serde_json::json!({ "set": what, "from": before, "to": after }).to_string());
            self.events.add(EventRow { at: crate::clock::now(), by, name: Some(&name), attributes: Some(&attributes), ..EventRow::default() });
        }
        // Who reads the next rows is to know at what pace they came.
        (self.is_changed, self.publish_now) = (true, true);
        Ok(true)
    }

    pub(super) fn setup(&mut self) -> Setup {
        Setup {
            interval_seconds: self.options.interval.as_secs_f64(),
            longest_interval_seconds: self.longest_interval.as_secs_f64(),
            write_interval_seconds: self.options.write_interval.as_secs_f64(),
            processes: self.panel.processes().choice().to_string(),
            left_out: self.panel.processes().without(),
            sources: self.panel.status().to_vec(),
            mark_when: self.conditions.texts(),
        }
    }
}

/// What can be changed of a recording, in words.
#[derive(PartialEq)]
struct Wanted([(&'static str, String); 6]);

impl Wanted {
    fn of(recorder: &mut Recorder) -> Wanted {
        let some = |texts: Vec<String>, between: &str| if texts.is_empty() { "nothing".to_owned() } else { texts.join(between) };
        Wanted([
            ("interval", words(recorder.options.interval)),
            ("write interval", words(recorder.options.write_interval)),
            ("processes", recorder.panel.processes().choice().to_string()),
            ("without", some(recorder.panel.left_out(), ", ")),
            ("mark when", some(recorder.conditions.texts(), "; ")),
            ("PSS", if recorder.panel.has_process_memory() { "on" } else { "off" }.to_owned()),
        ])
    }

    /// What is otherwise in the other: its name, what it is here, and what there.
    fn differences<'a>(&'a self, other: &'a Wanted) -> impl Iterator<Item = (&'static str, &'a str, &'a str)> {
        let pairs = self.0.iter().zip(&other.0).filter(|((_, before), (_, after))| before != after);
        pairs.map(|((what, before), (_, after))| (*what, before.as_str(), after.as_str()))
    }
}

/// A time for people: `100 ms`, `1.5 s`.
fn words(time: Duration) -> String {
    if time < Duration::from_secs(1) { format!("{} ms", time.as_nanos() as f64 / 1e6) } else { format!("{} s", time.as_secs_f64()) }
}
