//! Time words as options: which part of a recording, and in which zone. What the words mean says [`barograph_session::time`].

use anyhow::{Context, bail};
use barograph_session::time;
pub(crate) use barograph_session::time::{HELP, Reference, moment, shown, zoned};
use clap::Args;
use jiff::tz::TimeZone;

/// Which part of a recording, and in which zone to show times.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Window {
    /// Only from this time on: 10:20, "3m ago", +90s …
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// Only up to this time: 10:30, -10m, end …
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    /// Zone of the times: Local, UTC, a name such as Europe/Berlin, or Recorded for that of the machine.
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
}

impl Window {
    /// The zone that was asked for; `recorded` is that of the recording.
    pub(crate) fn zone(&self, recorded: &str) -> anyhow::Result<TimeZone> {
        let asked = self.tz.as_deref().unwrap_or("local");
        time::zone(asked, recorded)
            .with_context(|| format!("there is no time zone {asked:?}; write Local, UTC, Recorded, or a name such as Europe/Berlin"))
    }

    /// The two ends in UTC nanoseconds, where they were given.
    pub(crate) fn ends(&self, context: &Reference) -> anyhow::Result<(Option<i64>, Option<i64>)> {
        let end = |option: &str, words: &Option<String>| {
            words.as_ref().map(|words| moment(words, context).with_context(|| format!("{option} {words:?}"))).transpose()
        };
        let (from, to) = (end("--from", &self.from)?, end("--to", &self.to)?);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            bail!("--from lies after --to: {} is later than {}", shown(from, &context.zone), shown(to, &context.zone));
        }
        Ok((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_name() {
        let zone = |tz: &str| Window { tz: Some(tz.to_owned()), ..Window::default() }.zone("Asia/Tokyo");
        assert_eq!(zone("utc").unwrap(), TimeZone::UTC);
        assert_eq!(zone("Recorded").unwrap().iana_name(), Some("Asia/Tokyo"));
        assert!(zone("Mars/Phobos").unwrap_err().to_string().contains("Europe/Berlin"));
    }

    #[test]
    fn ends_in_the_wrong_order_are_told() {
        let context = Reference { zone: TimeZone::UTC, start: 0, end: 9_000_000_000, now: 9_000_000_000 };
        let window = Window { from: Some("end".into()), to: Some("start".into()), tz: None };
        assert!(window.ends(&context).unwrap_err().to_string().contains("--from lies after --to"));
        let window = Window { from: Some("soon".into()), ..window };
        assert!(format!("{:#}", window.ends(&context).unwrap_err()).starts_with("--from \"soon\""));
    }
}
