//! Time words: how people say when, as in `--from`, `--to` and files of events.
//!
//! A word means a moment of the recording: `10:20` is that time on the recording's day, `+90s` is from its start, `-10m` before its end. Where
//! clocks are put forward or back, a time may not exist or come twice. We don't guess then, but say what to write instead.

use barograph_store::Timeline;
use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};

/// What the help says of them.
pub const HELP: &str = "\
Times may be written as:
  10:20, 10:20:30        that time of the recording's day
  yesterday 10:20, 2026-11-20, 2026-11-20 10:20
  2026-11-20T10:20:30Z   RFC 3339, with any offset
  @1795166400            seconds since 1970
  +90s, +1h30m           from the recording's start
  -10m                   before its end
  3m ago, now, start, end";

const NANOS: f64 = 1e9;

/// The zone of this name: `local`, `UTC`, `recorded` for that of a recording, or an IANA name; `None` for one that is not known here.
pub fn zone(asked: &str, recorded: &str) -> Option<TimeZone> {
    let named = |name: &str| TimeZone::get(name).ok();
    match asked.to_ascii_lowercase().as_str() {
        "local" => Some(TimeZone::system()),
        "utc" | "z" => Some(TimeZone::UTC),
        // A zone that is not known here is no reason to show nothing.
        "recorded" => Some(named(recorded).unwrap_or(TimeZone::UTC)),
        _ => named(asked),
    }
}

/// Why words are no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoTime(String);

impl NoTime {
    pub(crate) fn new(why: String) -> NoTime {
        NoTime(why)
    }
}

type Result<T> = std::result::Result<T, NoTime>;

fn no<T>(why: impl Into<String>) -> Result<T> {
    Err(NoTime(why.into()))
}

impl From<jiff::Error> for NoTime {
    fn from(error: jiff::Error) -> NoTime {
        NoTime(error.to_string())
    }
}

trait OrElse<T> {
    fn or_say(self, why: impl FnOnce() -> String) -> Result<T>;
}

impl<T> OrElse<T> for Option<T> {
    fn or_say(self, why: impl FnOnce() -> String) -> Result<T> {
        self.ok_or_else(|| NoTime(why()))
    }
}

/// The times that words are relative to.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The zone of times without one.
    pub zone: TimeZone,
    /// When the recording began, UTC nanoseconds.
    pub start: i64,
    /// When it ended, or its last row.
    pub end: i64,
    /// The present.
    pub now: i64,
}

impl Reference {
    /// What time words are relative to in this recording.
    pub fn of(timeline: &Timeline, zone: &TimeZone) -> std::result::Result<Reference, barograph_store::Error> {
        let facts = timeline.facts();
        let last = || -> std::result::Result<i64, barograph_store::Error> {
            let ends = timeline.tables()?.into_iter().filter_map(|table| table.range).map(|(_, last)| last);
            Ok(ends.max().unwrap_or(facts.clock.utc_nanos))
        };
        let end = facts.end.as_ref().map_or_else(last, |end| Ok(end.utc_nanos))?;
        Ok(Reference { zone: zone.clone(), start: facts.clock.utc_nanos, end, now: barograph_record::now().utc_nanos })
    }
}

/// This time, if it is one of the recording.
pub fn within(utc_nanos: i64, reference: &Reference) -> Result<i64> {
    let said = |nanos| shown(nanos, &reference.zone);
    if utc_nanos < reference.start {
        return no(format!("{} is before the beginning of the recording, {}", said(utc_nanos), said(reference.start)));
    }
    if utc_nanos > reference.end {
        let what = if reference.end == reference.now { "has not come yet; it is" } else { "is after the end of the recording," };
        return no(format!("{} {what} {}", said(utc_nanos), said(reference.end)));
    }
    Ok(utc_nanos)
}

/// A moment in RFC 3339, to the second, in this zone.
pub fn shown(utc_nanos: i64, zone: &TimeZone) -> String {
    zoned(utc_nanos, zone).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// A moment on the clocks of this zone. Every i64 of nanoseconds is a year that jiff knows.
pub fn zoned(utc_nanos: i64, zone: &TimeZone) -> Zoned {
    Timestamp::from_nanosecond(i128::from(utc_nanos)).unwrap_or_default().to_zoned(zone.clone())
}

/// The UTC nanoseconds that these words mean.
pub fn moment(words: &str, context: &Reference) -> Result<i64> {
    let words = words.trim();
    let lower = words.to_ascii_lowercase();
    let span = |text: &str| duration(text).or_say(|| format!("{text:?} is no length of time; write 90s, 10m, 1h30m or 2d"));
    match lower.as_str() {
        "now" => return Ok(context.now),
        "start" => return Ok(context.start),
        "end" => return Ok(context.end),
        _ => {}
    }
    if let Some(seconds) = lower.strip_prefix('@') {
        return unix(seconds);
    }
    if let Some(text) = lower.strip_suffix("ago") {
        return Ok(context.now.saturating_sub(span(text.trim())?));
    }
    if let Some(text) = lower.strip_prefix('+') {
        return Ok(context.start.saturating_add(span(text)?));
    }
    if let Some(text) = lower.strip_prefix('-') {
        return Ok(context.end.saturating_sub(span(text)?));
    }
    if let Ok(time) = words.parse::<Timestamp>() {
        return nanos(time);
    }
    civil(words, context)
}

/// A length of time in nanoseconds: `90s`, `1h30m`, `1 h 02 min`, `1.5d`.
pub fn duration(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut sum = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_ends = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let number: f64 = rest[..number_ends].parse().ok()?;
        rest = rest[number_ends..].trim_start();
        let unit_ends = rest.find(|char: char| !char.is_alphabetic()).unwrap_or(rest.len());
        sum += number * unit_seconds(&rest[..unit_ends])?;
        rest = rest[unit_ends..].trim_start();
    }
    let nanos = sum * NANOS;
    (nanos < i64::MAX as f64).then_some(nanos.round() as i64)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

/// Seconds since 1970, exact to the nanosecond.
fn unix(text: &str) -> Result<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let parsed = whole.parse::<i64>().ok().zip(digits.parse::<i64>().ok());
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    let nanos = parsed.and_then(|(whole, digits)| whole.checked_mul(1_000_000_000)?.checked_add(sign * digits));
    nanos.or_say(|| format!("@{text} is no number of seconds since 1970"))
}

fn nanos(time: Timestamp) -> Result<i64> {
    i64::try_from(time.as_nanosecond()).ok().or_say(|| "this year is out of reach: times go from 1678 to 2261".to_owned())
}

/// A time of the clock on the wall, with or without a day.
fn civil(words: &str, context: &Reference) -> Result<i64> {
    let with_t = || words.split_once(['T', 't']).filter(|(day, _)| day.parse::<Date>().is_ok());
    let (day, time) = match words.rsplit_once(' ').or_else(with_t) {
        Some((day, time)) => (Some(day.trim()), Some(time)),
        None if words.contains(':') => (None, Some(words)),
        None => (Some(words), None),
    };
    let time = time.map(clock).transpose()?;
    let today = zoned(context.now, &context.zone).date();
    let Some(day) = day else { return of_the_recording(time.unwrap_or_default(), context) };
    let day = match day.to_ascii_lowercase().as_str() {
        "today" => today,
        "yesterday" => today.checked_sub(1.day())?,
        _ => day.parse::<Date>().ok().or_say(|| format!("{words:?} is no time that I know\n\n{HELP}"))?,
    };
    on(day, time.unwrap_or_default(), &context.zone)
}

fn clock(text: &str) -> Result<Time> {
    let time = if text.contains(':') { text.parse::<Time>().ok() } else { None };
    time.or_say(|| format!("{text:?} is no time of day; write 10:20 or 10:20:30"))
}

/// The first such time within the recording, which may go past midnight; or else that of the day on which it began.
fn of_the_recording(time: Time, context: &Reference) -> Result<i64> {
    let first = zoned(context.start, &context.zone).date();
    let last = zoned(context.end, &context.zone).date();
    let mut day = first;
    while day <= last {
        if let Ok(nanos) = on(day, time, &context.zone)
            && (context.start..=context.end).contains(&nanos)
        {
            return Ok(nanos);
        }
        day = day.tomorrow()?;
    }
    on(first, time, &context.zone)
}

fn on(day: Date, time: Time, zone: &TimeZone) -> Result<i64> {
    let local = day.to_datetime(time);
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let with = |offset: Offset| format!("{}{}", local.strftime("%Y-%m-%dT%H:%M:%S"), offset_text(offset));
    let name = zone.iana_name().unwrap_or("this zone");
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => nanos(offset.to_timestamp(local)?),
        AmbiguousOffset::Gap { before, after } => {
            no(format!("clocks were put forward: there was no {local} in {name}; write {} or {}", with(before), with(after)))
        }
        AmbiguousOffset::Fold { before, after } => {
            no(format!("clocks were put back: {local} came twice in {name}; write {} for the first or {} for the second", with(before), with(after)))
        }
    }
}

fn offset_text(offset: Offset) -> String {
    let (sign, seconds) = (if offset.is_negative() { '-' } else { '+' }, offset.seconds().abs());
    // Until some time in the last century many zones were off by seconds too.
    let rest = if seconds % 60 == 0 { String::new() } else { format!(":{:02}", seconds % 60) };
    format!("{sign}{:02}:{:02}{rest}", seconds / 3600, seconds / 60 % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A recording of 23:50 to 00:30 in Berlin, read the day after at noon.
    fn context() -> Reference {
        let at = |text: &str| nanos(text.parse().unwrap()).unwrap();
        Reference {
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            start: at("2026-11-20T23:50:00+01:00"),
            end: at("2026-11-21T00:30:00+01:00"),
            now: at("2026-11-21T12:00:00+01:00"),
        }
    }

    fn said(words: &str) -> String {
        match moment(words, &context()) {
            Ok(nanos) => zoned(nanos, &context().zone).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn every_word_of_the_help_means_something() {
        for (words, expected) in [
            ("23:55", "2026-11-20T23:55:00+01:00"),
            ("23:55:07.5", "2026-11-20T23:55:07.5+01:00"),
            ("00:20", "2026-11-21T00:20:00+01:00"),
            ("10:20", "2026-11-20T10:20:00+01:00"),
            ("yesterday 10:20", "2026-11-20T10:20:00+01:00"),
            ("today 10:20", "2026-11-21T10:20:00+01:00"),
            ("Yesterday", "2026-11-20T00:00:00+01:00"),
            ("2026-11-20", "2026-11-20T00:00:00+01:00"),
            ("2026-11-20 10:20", "2026-11-20T10:20:00+01:00"),
            ("2026-07-01T10:20", "2026-07-01T10:20:00+02:00"),
            ("2026-11-20T10:20:30Z", "2026-11-20T11:20:30+01:00"),
            ("2026-11-20 10:20:30-05:00", "2026-11-20T16:20:30+01:00"),
            ("@1795166400", "2026-11-20T10:20:00+01:00"),
            ("@1795166400.000000001", "2026-11-20T10:20:00.000000001+01:00"),
            ("+90s", "2026-11-20T23:51:30+01:00"),
            ("+1 min 30 s", "2026-11-20T23:51:30+01:00"),
            ("+0.5h", "2026-11-21T00:20:00+01:00"),
            ("-10m", "2026-11-21T00:20:00+01:00"),
            ("3m ago", "2026-11-21T11:57:00+01:00"),
            ("1d2h ago", "2026-11-20T10:00:00+01:00"),
            (" now ", "2026-11-21T12:00:00+01:00"),
            ("start", "2026-11-20T23:50:00+01:00"),
            ("END", "2026-11-21T00:30:00+01:00"),
        ] {
            assert_eq!(said(words), expected, "{words}");
        }
    }

    #[test]
    fn nonsense_is_told_what_to_be() {
        assert!(said("soon").contains("yesterday 10:20"), "{}", said("soon"));
        assert!(said("+soon").contains("write 90s"));
        assert!(said("25:00").contains("write 10:20"));
        assert!(said("@x").contains("no number of seconds"));
        assert!(said("2026-02-30").contains("no time that I know"));
        assert!(said("").contains("no time that I know"));
        assert!(said("+5").contains("write 90s"), "a number without its unit means nothing");
        assert!(said("9999-01-01").contains("1678 to 2261"));
    }

    #[test]
    fn an_hour_that_is_left_out_or_comes_twice_is_not_guessed() {
        let spring = said("2026-03-29 02:30");
        assert!(spring.contains("put forward") && spring.contains("2026-03-29T02:30:00+01:00"), "{spring}");
        let autumn = said("2026-10-25 02:30");
        assert!(autumn.contains("came twice") && autumn.contains("2026-10-25T02:30:00+02:00 for the first"), "{autumn}");
        assert_eq!(said("2026-10-25T02:30:00+02:00"), "2026-10-25T02:30:00+02:00");
        assert_eq!(said("2026-10-25T02:30:00+01:00"), "2026-10-25T02:30:00+01:00");
    }

    /// Every zone that has a name.
    fn any_zone() -> impl Strategy<Value = TimeZone> {
        let names: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
        assert!(names.len() > 400, "{} zones", names.len());
        prop::sample::select(names).prop_map(|name| TimeZone::get(&name).unwrap())
    }

    /// Moments of which half lie within two hours of where clocks are put forward or back, if that zone does so: chance would miss those.
    fn any_moment(zone: &TimeZone, (nanos, near, off): (i64, bool, i64)) -> i64 {
        let time = Timestamp::from_nanosecond(nanos.into()).unwrap();
        let change = zone.following(time).next().map(|change| change.timestamp()).filter(|_| near);
        change.and_then(|change| i64::try_from(change.as_nanosecond()).ok()?.checked_add(off)).unwrap_or(nanos)
    }

    proptest! {
        /// What is shown can be typed again, with its offset in every case, and without one unless that time came twice.
        #[test]
        fn a_time_that_is_shown_means_itself(
            zone in any_zone(),
            how in (prop_oneof![0_i64..4_000_000_000, -4_000_000_000_i64..8_000_000_000].prop_map(|seconds| seconds * 1_000_000_000), any::<bool>(), -7200_i64..7200),
        ) {
            let nanos = any_moment(&zone, (how.0, how.1, how.2 * 1_000_000_000));
            let context = Reference { zone: zone.clone(), start: nanos, end: nanos, now: nanos };
            let local = zoned(nanos, &zone);
            let with_offset = local.strftime("%Y-%m-%dT%H:%M:%S").to_string() + &offset_text(local.offset());
            prop_assert_eq!(moment(&with_offset, &context).unwrap(), nanos, "{}", with_offset);
            for typed in [local.strftime("%Y-%m-%d %H:%M:%S").to_string(), local.strftime("%Y-%m-%dT%H:%M:%S").to_string()] {
                match (moment(&typed, &context), zone.to_ambiguous_timestamp(local.datetime()).offset()) {
                    (Ok(meant), AmbiguousOffset::Unambiguous { .. }) => prop_assert_eq!(meant, nanos),
                    (Err(error), AmbiguousOffset::Fold { .. }) => {
                        let meant: Vec<i64> = offered(&error.to_string()).iter().map(|typed| moment(typed, &context).unwrap()).collect();
                        prop_assert!(meant.len() == 2 && meant[0] < meant[1] && meant.contains(&nanos), "{}", error);
                        prop_assert!(meant.iter().all(|&meant| zoned(meant, &zone).datetime() == local.datetime()), "{}", error);
                    }
                    (said, offset) => prop_assert!(false, "{:?} is {:?} and was taken for {:?}", typed, offset, said.ok()),
                }
            }
        }

        /// A time that was left out is never taken for another.
        #[test]
        fn a_time_that_never_was_is_not_guessed(zone in any_zone(), after in 0_i64..4_000_000_000, share in 0.0..1.0_f64) {
            let before = Timestamp::from_second(after).unwrap();
            let Some(change) = zone.following(before).take(4).find(|change| {
                let moment_before = change.timestamp() - 1.second();
                zone.to_offset(moment_before) < change.offset()
            }) else { return Ok(()) };
            let old = zone.to_offset(change.timestamp() - 1.second());
            let missing = change.offset().seconds() - old.seconds();
            let local = old.to_datetime(change.timestamp()) + ((f64::from(missing - 1) * share) as i64).seconds();
            let context = Reference { zone: zone.clone(), start: 0, end: 0, now: 0 };
            let error = moment(&local.strftime("%Y-%m-%d %H:%M:%S").to_string(), &context).unwrap_err().to_string();
            prop_assert!(error.contains("put forward"), "{}", error);
            let meant: Vec<i64> = offered(&error).iter().map(|typed| moment(typed, &context).unwrap()).collect();
            prop_assert_eq!(meant.len(), 2);
            prop_assert_eq!((meant[0] - meant[1]) / 1_000_000_000, i64::from(missing), "before and after the change");
        }

        #[test]
        fn a_length_of_time_is_the_sum_of_its_pieces(days in 0_u32..1000, hours in 0_u32..100, minutes in 0_u32..100, seconds in 0_u32..100) {
            let sum = ((i64::from(days) * 24 + i64::from(hours)) * 60 + i64::from(minutes)) * 60 + i64::from(seconds);
            for text in [format!("{days}d{hours}h{minutes}m{seconds}s"), format!("{days} d {hours} h {minutes:02} min {seconds:02} s")] {
                prop_assert_eq!(duration(&text), Some(sum * 1_000_000_000));
            }
        }
    }

    /// The times that an error says to write instead.
    fn offered(error: &str) -> Vec<String> {
        let words = error.split("; write ").nth(1).unwrap_or_default().split(' ');
        words.filter(|word| word.contains('T') && word.contains(':')).map(str::to_owned).collect()
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
