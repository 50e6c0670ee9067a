//! The few lines at the end of a recording: what the job used, how it ended, and where the recording is.

use std::io::{self, Write};
use std::path::Path;

use barograph_record::{JobEnd, Outcome};
use barograph_store::Totals;
use serde_json::json;

use crate::human;
use crate::options::RecordingOptions;

/// What there is to say.
pub(crate) struct Summary<'a> {
    pub(crate) totals: Totals,
    pub(crate) outcome: &'a Outcome,
    pub(crate) path: Option<&'a Path>,
    pub(crate) has_job: bool,
}

impl Summary<'_> {
    fn cpu_seconds(&self) -> Option<f64> {
        Some(self.totals.user_seconds? + self.totals.system_seconds?)
    }

    fn mean_cores(&self) -> Option<f64> {
        let wall = self.totals.wall_seconds.filter(|&wall| wall > 0.0)?;
        Some(self.cpu_seconds()? / wall)
    }

    fn path(&self) -> Option<String> {
        self.path.map(|path| path.display().to_string())
    }

    fn exit(&self) -> String {
        match self.outcome.job_end {
            Some(JobEnd::Code(code)) => code.to_string(),
            Some(JobEnd::Signal(signal)) => human::signal(signal),
            None if self.has_job => "still running".to_owned(),
            None => String::new(),
        }
    }

    /// The words of `--summary`: each with its text for people, and those of numbers with their ending and the plain number.
    fn words(&self) -> Vec<(&'static str, &'static str, String, Option<f64>)> {
        let totals = &self.totals;
        let seconds = |value: Option<f64>| value.map(human::seconds).unwrap_or_default();
        let bytes = |value: Option<u64>| value.map(human::bytes).unwrap_or_default();
        let number = |value: Option<u64>| value.map(|value| value as f64);
        vec![
            ("wall", "_seconds", seconds(totals.wall_seconds), totals.wall_seconds),
            ("cpu", "_seconds", seconds(self.cpu_seconds()), self.cpu_seconds()),
            ("user", "_seconds", seconds(totals.user_seconds), totals.user_seconds),
            ("system", "_seconds", seconds(totals.system_seconds), totals.system_seconds),
            ("cores", "_count", self.mean_cores().map(human::cores).unwrap_or_default(), self.mean_cores()),
            ("peak", "_bytes", bytes(totals.peak_resident_bytes), number(totals.peak_resident_bytes)),
            ("read", "_bytes", bytes(totals.read_bytes), number(totals.read_bytes)),
            ("written", "_bytes", bytes(totals.written_bytes), number(totals.written_bytes)),
            ("processes", "_count", totals.processes_peak.map(|count| count.to_string()).unwrap_or_default(), number(totals.processes_peak)),
            ("exit", "", self.exit(), None),
            ("path", "", self.path().unwrap_or_default(), None),
        ]
    }
}

pub(crate) fn write(out: &mut impl Write, summary: &Summary<'_>, options: &RecordingOptions) -> io::Result<()> {
    if let Some(format) = &options.summary {
        return writeln!(out, "{}", fill(format, summary));
    }
    if options.json {
        return write_json(out, summary);
    }
    write_text(out, summary)
}

/// Puts values in the place of `{words}`. Words that mean nothing stay, so that the mistake is seen.
fn fill(format: &str, summary: &Summary<'_>) -> String {
    let mut text = format.replace("\\n", "\n").replace("\\t", "\t");
    for (word, ending, human, number) in summary.words() {
        text = text.replace(&format!("{{{word}}}"), &human);
        if !ending.is_empty() {
            text = text.replace(&format!("{{{word}{ending}}}"), &number.map(|value| value.to_string()).unwrap_or_default());
        }
    }
    text
}

fn write_json(out: &mut impl Write, summary: &Summary<'_>) -> io::Result<()> {
    let exit = match summary.outcome.job_end {
        Some(JobEnd::Code(code)) => json!({ "code": code }),
        Some(JobEnd::Signal(signal)) => json!({ "signal": signal }),
        None => serde_json::Value::Null,
    };
    let mut line = json!({
        "path": summary.path(),
        "exit": exit,
        "cpu_seconds": summary.cpu_seconds(),
        "mean_cores": summary.mean_cores(),
        "ticks": summary.outcome.ticks,
        "missed_ticks": summary.outcome.missed_ticks,
    });
    if let (Some(line), Ok(serde_json::Value::Object(totals))) = (line.as_object_mut(), serde_json::to_value(summary.totals)) {
        line.extend(totals);
    }
    writeln!(out, "{line}")
}

fn write_text(out: &mut impl Write, summary: &Summary<'_>) -> io::Result<()> {
    let totals = &summary.totals;
    let mut parts = Vec::new();
    parts.extend(totals.wall_seconds.map(|wall| format!("{} wall", human::seconds(wall))));
    if let (Some(cpu), Some(cores)) = (summary.cpu_seconds(), summary.mean_cores()) {
        parts.push(format!("{} CPU ({} cores)", human::seconds(cpu), human::cores(cores)));
    }
    parts.extend(totals.peak_resident_bytes.map(|peak| format!("{} peak", human::bytes(peak))));
    if let (Some(read), Some(written)) = (totals.read_bytes, totals.written_bytes) {
        parts.push(format!("read {}, wrote {}", human::bytes(read), human::bytes(written)));
    }
    parts.extend(totals.processes_peak.filter(|&count| count > 1).map(|count| format!("{count} processes at once")));
    match summary.outcome.job_end {
        Some(JobEnd::Code(code)) => parts.push(format!("exit {code}")),
        Some(JobEnd::Signal(signal)) => parts.push(format!("killed by {}", human::signal(signal))),
        None if summary.has_job => parts.push("still running".to_owned()),
        None => {}
    }
    writeln!(out, "barograph: {}", parts.join(" · "))?;
    if let Some(path) = summary.path() {
        let next = if path.ends_with(".baro") { format!("  (barograph report {path})") } else { String::new() };
        writeln!(out, "barograph: recorded in {path}{next}")?;
    }
    Ok(())
}
