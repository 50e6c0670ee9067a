//! The axis of time: round ticks since the start, or on the clocks of a zone.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use crate::font;

/// How times are written.
#[derive(Clone, Debug)]
pub enum Clock {
    /// Since the start.
    Elapsed,
    /// On the clocks of this zone; zero is this UTC time in milliseconds.
    Zone(TimeZone, f64),
}

/// Ticks and what they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticks {
    /// Milliseconds since the start, and what is written there.
    pub ticks: Vec<(f64, String)>,
    /// What the axis is called.
    pub title: String,
}

const SECOND: f64 = 1e3;
const MINUTE: f64 = 60.0 * SECOND;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// Round lengths of time.
fn steps() -> impl Iterator<Item = f64> {
    let below = (-3..3).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)));
    let seconds = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0].map(|many| many * SECOND);
    let minutes = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0].map(|many| many * MINUTE);
    let hours = [1.0, 2.0, 3.0, 6.0, 12.0].map(|many| many * HOUR);
    let days = (0..6).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * DAY * 10_f64.powi(power)));
    below.chain(seconds).chain(minutes).chain(hours).chain(days)
}

impl Clock {
    /// Ticks from one time to another, in milliseconds since the start, on so many units of width.
    pub fn ticks(&self, from: f64, to: f64, width: f64, size: f64) -> Ticks {
        let length = (to - from).max(1e-6);
        let mut last = None;
        for step in steps() {
            if length / step > 400.0 {
                continue;
            }
            let ticks = match self {
                Clock::Elapsed => elapsed(from, to, step),
                Clock::Zone(zone, start) => on_clocks(from, to, step, zone, *start),
            };
            let room = step / length * width;
            let widest = ticks.ticks.iter().map(|(_, text)| font::width(text, size, false)).fold(0.0, f64::max);
            if widest + 1.6 * size <= room && room >= 4.0 * size {
                return ticks;
            }
            last = Some(ticks);
        }
        last.unwrap_or(Ticks { ticks: Vec::new(), title: String::new() })
    }
}

fn elapsed(from: f64, to: f64, step: f64) -> Ticks {
    let first = (from / step - 1e-9).ceil() as i64;
    let places: Vec<f64> = (first..first + 500).map(|place| place as f64 * step).take_while(|at| *at <= to + step * 1e-9).collect();
    let largest = places.iter().fold(0.0_f64, |largest, at| largest.max(at.abs()));
    let (title, write): (_, Box<dyn Fn(f64) -> String>) = if step >= DAY {
        ("days since start", Box::new(|at| plain(at / DAY, 0)))
    } else if step >= HOUR {
        ("hours since start", Box::new(|at| plain(at / HOUR, 0)))
    } else if largest > 2.0 * HOUR {
        ("hours:minutes since start", Box::new(|at| if step < MINUTE { parts(at) } else { two(at / MINUTE) }))
    } else if step >= MINUTE {
        ("minutes since start", Box::new(|at| plain(at / MINUTE, 0)))
    } else if largest > 2.0 * MINUTE && step >= SECOND {
        ("minutes:seconds since start", Box::new(|at| two(at / SECOND)))
    } else if step >= 10.0 {
        let digits = [1.0, 0.1, 0.01].iter().position(|unit| step >= unit * SECOND * 0.999).unwrap_or(3);
        ("seconds since start", Box::new(move |at| plain(at / SECOND, digits)))
    } else {
        let digits = [1.0, 0.1, 0.01].iter().position(|unit| step >= unit * 0.999).unwrap_or(3);
        ("milliseconds since start", Box::new(move |at| plain(at, digits)))
    };
    let title = if title == "hours:minutes since start" && step < MINUTE { "hours:minutes:seconds since start" } else { title };
    Ticks { ticks: places.into_iter().map(|at| (at, write(at))).collect(), title: title.to_owned() }
}

fn plain(value: f64, digits: usize) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.digits$}").replace('-', "−") }
}

/// `1:05`: of a number of small units, 60 of which are a large one.
fn two(small: f64) -> String {
    let whole = small.round() as i64;
    let sign = if whole < 0 { "−" } else { "" };
    format!("{sign}{}:{:02}", whole.abs() / 60, whole.abs() % 60)
}

/// `1:02:03`.
fn parts(at: f64) -> String {
    let whole = (at / SECOND).round() as i64;
    let sign = if whole < 0 { "−" } else { "" };
    let whole = whole.abs();
    format!("{sign}{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}

fn zoned(utc_millis: f64, zone: &TimeZone) -> Zoned {
    Timestamp::from_nanosecond((utc_millis * 1e6) as i128).unwrap_or_default().to_zoned(zone.clone())
}

fn millis(time: &Zoned) -> f64 {
    time.timestamp().as_nanosecond() as f64 / 1e6
}

fn on_clocks(from: f64, to: f64, step: f64, zone: &TimeZone, start: f64) -> Ticks {
    let (first, last) = (zoned(start + from, zone), zoned(start + to, zone));
    let mut ticks: Vec<(f64, String)> = Vec::new();
    let mut push = |at: f64, text: String| {
        // Where clocks are put forward, two local times may be one.
        if at >= start + from - step * 1e-9 && at <= start + to + step * 1e-9 && ticks.last().is_none_or(|(before, _)| at - start > *before) {
            ticks.push((at - start, text));
        }
    };
    if step >= DAY {
        let days = (step / DAY) as i64;
        // Counted from one day for all, so that the same days have ticks wherever the figure begins.
        let number = first.date().since(jiff::civil::date(1970, 1, 1)).map_or(0, |span| i64::from(span.get_days()));
        let mut day = first.date().checked_sub(number.rem_euclid(days).days()).unwrap_or(first.date());
        while day <= last.date() {
            if let Ok(midnight) = day.to_zoned(zone.clone()) {
                push(millis(&midnight), midnight.strftime("%-d %b").to_string());
            }
            let Ok(next) = day.checked_add(days.days()) else { break };
            day = next;
        }
    } else if step >= HOUR {
        let hours = (step / HOUR) as i8;
        let mut time = first.datetime().date().at(first.hour() - first.hour() % hours, 0, 0, 0);
        while time <= last.datetime() {
            if let Ok(moment) = zone.to_ambiguous_timestamp(time).compatible() {
                let moment = moment.to_zoned(zone.clone());
                let text = if moment.hour() == 0 { moment.strftime("%-d %b") } else { moment.strftime("%H:%M") }.to_string();
                push(millis(&moment), text);
            }
            let Ok(next) = time.checked_add(i64::from(hours).hours()) else { break };
            time = next;
        }
    } else {
        // Offsets are whole multiples of every such step but those of half an hour and of minutes in a few zones, hence counted locally.
        let offset = f64::from(first.offset().seconds()) * SECOND;
        let mut place = ((start + from + offset) / step - 1e-9).ceil();
        while place * step - offset <= start + to + step * 1e-9 {
            let at = place * step - offset;
            let time = zoned(at.round(), zone);
            let is_midnight = step >= MINUTE && time.hour() == 0 && time.minute() == 0;
            let format = if is_midnight {
                "%-d %b"
            } else if step >= MINUTE {
                "%H:%M"
            } else if step >= SECOND {
                "%H:%M:%S"
            } else {
                "%H:%M:%S%.3f"
            };
            push(at, time.strftime(format).to_string());
            place += 1.0;
        }
    }
    Ticks { ticks, title: zone_title(&first, &last, zone) }
}

/// `2026-11-20, Europe/Berlin (+01:00)`.
fn zone_title(first: &Zoned, last: &Zoned, zone: &TimeZone) -> String {
    let day = |time: &Zoned| time.strftime("%Y-%m-%d").to_string();
    let days = if first.date() == last.date() { day(first) } else { format!("{} to {}", day(first), day(last)) };
    let name = zone.iana_name().unwrap_or("local time");
    if ["UTC", "Etc/UTC"].contains(&name) {
        return format!("{days}, UTC");
    }
    let (before, after) = (first.strftime("%:z").to_string(), last.strftime("%:z").to_string());
    if before == after { format!("{days}, {name} ({before})") } else { format!("{days}, {name} ({before}, later {after})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(clock: &Clock, from: f64, to: f64) -> String {
        let Ticks { ticks, title } = clock.ticks(from * SECOND, to * SECOND, 600.0, 11.0);
        let texts: Vec<String> = ticks.iter().map(|(_, text)| text.clone()).collect();
        format!("{} | {title}", texts.join(" "))
    }

    #[test]
    fn ticks_since_the_start_are_round() {
        assert_eq!(said(&Clock::Elapsed, 0.0, 14.0), "0 2 4 6 8 10 12 14 | seconds since start");
        assert_eq!(said(&Clock::Elapsed, 0.0, 90.0), "0 10 20 30 40 50 60 70 80 90 | seconds since start");
        assert_eq!(said(&Clock::Elapsed, 0.0, 300.0), "0:00 0:30 1:00 1:30 2:00 2:30 3:00 3:30 4:00 4:30 5:00 | minutes:seconds since start");
        assert_eq!(said(&Clock::Elapsed, 0.0, 3600.0), "0 5 10 15 20 25 30 35 40 45 50 55 60 | minutes since start");
        assert_eq!(said(&Clock::Elapsed, 0.0, 4.0 * 3600.0), "0:00 0:30 1:00 1:30 2:00 2:30 3:00 3:30 4:00 | hours:minutes since start");
        assert_eq!(said(&Clock::Elapsed, 0.0, 86_400.0), "0 2 4 6 8 10 12 14 16 18 20 22 24 | hours since start");
        assert_eq!(said(&Clock::Elapsed, 0.0, 0.004), "0 0.5 1.0 1.5 2.0 2.5 3.0 3.5 4.0 | milliseconds since start");
        assert_eq!(said(&Clock::Elapsed, 7.0 * 3600.0, 7.0 * 3600.0 + 60.0).rsplit(" | ").next(), Some("hours:minutes:seconds since start"));
        assert!(!said(&Clock::Elapsed, 1e9, 1e9 + 0.1).is_empty());
    }

    fn berlin(start: &str) -> Clock {
        let start: Timestamp = start.parse().unwrap();
        Clock::Zone(TimeZone::get("Europe/Berlin").unwrap(), start.as_nanosecond() as f64 / 1e6)
    }

    #[test]
    fn clocks_that_are_changed_are_told() {
        assert_eq!(
            said(&berlin("2026-11-20T10:00:00+01:00"), 0.0, 120.0),
            "10:00:00 10:00:15 10:00:30 10:00:45 10:01:00 10:01:15 10:01:30 10:01:45 10:02:00 | 2026-11-20, Europe/Berlin (+01:00)"
        );
        let spring = said(&berlin("2026-03-29T00:00:00+01:00"), 0.0, 6.0 * 3600.0);
        assert_eq!(spring, "29 Mar 01:00 03:00 04:00 05:00 06:00 07:00 | 2026-03-29, Europe/Berlin (+01:00, later +02:00)");
        let autumn = said(&berlin("2026-10-24T22:00:00+02:00"), 0.0, 8.0 * 3600.0);
        assert!(autumn.contains("25 Oct 01:00 02:00 03:00"), "{autumn}");
        assert_eq!(
            said(&berlin("2026-11-20T10:00:00+01:00"), 0.0, 4.0 * 86_400.0),
            "12:00 21 Nov 12:00 22 Nov 12:00 23 Nov 12:00 24 Nov | 2026-11-20 to 2026-11-24, Europe/Berlin (+01:00)"
        );
    }
}
