//! Axes of values: round ticks, the unit once, numbers with no more digits than they need.

use barograph_view::{Limit, Unit, human};

/// An axis from its lower to its upper end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    /// The value at its lower end.
    pub(crate) bottom: f64,
    /// The value at its upper end.
    pub(crate) top: f64,
    /// Ticks, the lowest first: the value, and what is written there.
    pub(crate) ticks: Vec<(f64, String)>,
    /// The unit of what is written.
    pub(crate) unit: &'static str,
}

impl Axis {
    /// An axis for values from `low` to `high`, with about so many ticks. It begins at zero, but for numbers of which nobody knows what zero means.
    pub(crate) fn new(unit: Unit, low: f64, high: f64, ticks: usize) -> Axis {
        let (low, high) = (if low.is_finite() { low } else { 0.0 }, if high.is_finite() { high } else { 0.0 });
        let (low, high) = (low.min(high), high.max(low));
        let is_far_from_zero = unit == Unit::Number && (high - low) < 0.3 * low.abs().max(high.abs()) && high > low;
        let (low, high) = if is_far_from_zero { (low, high) } else { (low.min(0.0), high.max(0.0)) };
        let high = if high > low { high } else { low + least(unit) };
        let room = 0.06 * (high - low);
        let bottom = if is_far_from_zero || low < 0.0 { low - room } else { low };
        let top = high + room;
        let (size, name) = written(unit, top.abs().max(bottom.abs()));
        let step = step(unit, (top - bottom) / size / ticks.max(1) as f64) * size;
        let first = (bottom / step).ceil() as i64;
        let places = (first..first + 64).map(|place| place as f64 * step).take_while(|value| *value <= top + step * 1e-9);
        let digits = digits(step / size);
        let ticks = places.map(|value| (value, format_tick(value / size, digits))).collect();
        Axis { bottom, top, ticks, unit: name }
    }

    /// Where a value lies on it: 0 at the lower end, 1 at the upper one, and never beyond.
    pub(crate) fn place(&self, value: f64) -> f64 {
        ((value - self.bottom) / (self.top - self.bottom)).clamp(0.0, 1.0)
    }
}

/// What an axis shows when there is nothing but zero.
fn least(unit: Unit) -> f64 {
    match unit {
        Unit::Ratio => 0.01,
        Unit::Bytes | Unit::BytesPerSecond => 1024.0,
        _ => 1.0,
    }
}

/// In which unit values of this size are written: how large it is, and its name.
fn written(unit: Unit, size: f64) -> (f64, &'static str) {
    let largest =
        |units: &[(f64, &'static str)]| units.iter().rev().find(|(scale, _)| size >= *scale).or(units.first()).copied().unwrap_or((1.0, ""));
    const KI: f64 = 1024.0;
    match unit {
        Unit::Cores => (1.0, "cores"),
        Unit::Bytes => {
            largest(&[(1.0, "B"), (KI, "KiB"), (KI * KI, "MiB"), (KI * KI * KI, "GiB"), (KI * KI * KI * KI, "TiB"), (KI * KI * KI * KI * KI, "PiB")])
        }
        Unit::BytesPerSecond => largest(&[(1.0, "B/s"), (KI, "KiB/s"), (KI * KI, "MiB/s"), (KI * KI * KI, "GiB/s"), (KI * KI * KI * KI, "TiB/s")]),
        Unit::Ratio => (0.01, "%"),
        Unit::Seconds => largest(&[(1e-6, "µs"), (1e-3, "ms"), (1.0, "s")]),
        Unit::Hertz => largest(&[(1.0, "Hz"), (1e3, "kHz"), (1e6, "MHz"), (1e9, "GHz")]),
        Unit::Count | Unit::PerSecond => {
            let is_rate = unit == Unit::PerSecond;
            match size {
                size if size >= 2e6 => (1e6, if is_rate { "million per second" } else { "million" }),
                size if size >= 2e4 => (1e3, if is_rate { "thousand per second" } else { "thousand" }),
                _ => (1.0, if is_rate { "per second" } else { "" }),
            }
        }
        Unit::Number => (1.0, ""),
    }
}

/// The smallest round number that is no less than this.
fn step(unit: Unit, least: f64) -> f64 {
    let least = least.max(1e-300);
    if matches!(unit, Unit::Bytes | Unit::BytesPerSecond) && least > 1.0 {
        return 2_f64.powi(least.log2().ceil() as i32);
    }
    let magnitude = 10_f64.powi(least.log10().floor() as i32);
    let found = [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * magnitude).find(|step| *step >= least * (1.0 - 1e-9));
    let step = found.unwrap_or(least);
    if matches!(unit, Unit::Count) { step.max(1.0) } else { step }
}

/// How many digits after the point it takes to tell multiples of this step apart.
fn digits(step: f64) -> usize {
    (0..12)
        .find(|digits| ((step * 10_f64.powi(*digits)).round() - step * 10_f64.powi(*digits)).abs() < 1e-6 * step * 10_f64.powi(*digits))
        .unwrap_or(12) as usize
}

fn format_tick(value: f64, digits: usize) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value.abs() >= 1e7 || digits > 6 {
        format!("{value:.2e}")
    } else if digits == 0 {
        minus(human::count(value.round()))
    } else {
        minus(format!("{value:.digits$}"))
    }
}

/// A hyphen is no minus.
fn minus(text: String) -> String {
    text.strip_prefix('-').map(|rest| format!("−{rest}")).unwrap_or(text)
}

/// A value with its unit, in three digits.
pub(crate) fn value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Cores => human::cores(value),
        Unit::Bytes => human::byte_amount(value),
        Unit::BytesPerSecond => human::byte_rate(value),
        Unit::Ratio => human::share(value),
        Unit::Seconds => human::seconds(value),
        Unit::Hertz => match value.abs() {
            size if size >= 1e9 => format!("{} GHz", human::number(value / 1e9)),
            size if size >= 1e6 => format!("{} MHz", human::number(value / 1e6)),
            size if size >= 1e3 => format!("{} kHz", human::number(value / 1e3)),
            _ => format!("{} Hz", human::number(value)),
        },
        Unit::Count | Unit::PerSecond if value.abs() >= 1e7 => {
            let (size, word) = if value.abs() >= 1e10 { (1e9, "billion") } else { (1e6, "million") };
            format!("{} {word}{}", human::number(value / size), if unit == Unit::PerSecond { "/s" } else { "" })
        }
        Unit::Count => human::count(if value.abs() >= 100.0 { value.round() } else { value }),
        Unit::PerSecond => human::count_rate(value),
        Unit::Number => human::any_number(value),
    }
}

/// A level and what it is: `limit of the job 2.5 cores`. What somebody has set has no needless zeros.
pub(crate) fn limit(unit: Unit, limit: &Limit) -> String {
    let said = match unit {
        Unit::Cores => format!("{} cores", human::cores(limit.value)),
        _ => value(unit, limit.value),
    };
    let said = human::set(said);
    if limit.label == "cores" { said } else { format!("{} {said}", limit.label) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(unit: Unit, low: f64, high: f64) -> String {
        let axis = Axis::new(unit, low, high, 4);
        format!("{} {}", axis.ticks.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" "), axis.unit)
    }

    #[test]
    fn ticks_are_round_in_their_unit() {
        const GI: f64 = 1024.0 * 1024.0 * 1024.0;
        assert_eq!(said(Unit::Cores, 0.0, 3.9), "0 2 4 cores");
        assert_eq!(said(Unit::Cores, 0.0, 0.42), "0 0.2 0.4 cores");
        assert_eq!(said(Unit::Bytes, 0.0, 1.3 * GI), "0 0.5 1.0 GiB");
        assert_eq!(said(Unit::Bytes, 0.0, 700.0 * 1024.0 * 1024.0), "0 256 512 MiB");
        assert_eq!(said(Unit::BytesPerSecond, 0.0, 9.0), "0 4 8 B/s");
        assert_eq!(said(Unit::Ratio, 0.0, 0.93), "0 50 %");
        assert_eq!(said(Unit::Seconds, 0.0, 0.003), "0 1 2 3 ms");
        assert_eq!(said(Unit::Hertz, 0.0, 2.4e9), "0 1 2 GHz");
        assert_eq!(said(Unit::Count, 0.0, 2.0), "0 1 2 ");
        assert_eq!(said(Unit::Number, 0.91, 0.93), "0.91 0.92 0.93 ");
        assert_eq!(said(Unit::Number, -2.0, 3.0), "−2 0 2 ");
        let axis = Axis::new(Unit::Cores, 0.0, 4.0, 4);
        assert_eq!([-1.0, 0.0, 2.12, 4.24, 99.0].map(|value| axis.place(value)), [0.0, 0.0, 0.5, 1.0, 1.0], "nothing lies beyond its ends");
    }

    #[test]
    fn values_have_three_digits_and_a_unit() {
        let said =
            [(Unit::Cores, 1.234), (Unit::Hertz, 2.4e9), (Unit::Count, 1234.4), (Unit::Count, 12.5e6), (Unit::PerSecond, 3.2e10), (Unit::Ratio, 0.5)];
        assert_eq!(said.map(|(unit, number)| value(unit, number)), ["1.23", "2.40 GHz", "1234", "12.5 million", "32.0 billion/s", "50.0 %"]);
    }

    #[test]
    fn levels_are_said_as_they_were_set() {
        let said = |unit, label: &str, value| limit(unit, &Limit { label: label.to_owned(), value });
        assert_eq!(said(Unit::Cores, "cores", 8.0), "8 cores");
        assert_eq!(said(Unit::Cores, "limit of the job", 2.5), "limit of the job 2.5 cores");
        assert_eq!(said(Unit::Bytes, "memory of the machine", 32.0 * 1024.0 * 1024.0 * 1024.0), "memory of the machine 32 GiB");
    }

    #[test]
    fn nothing_but_zero_has_an_axis() {
        assert_eq!(said(Unit::Cores, 0.0, 0.0), "0 0.5 1.0 cores");
        assert_eq!(said(Unit::Bytes, f64::INFINITY, f64::NEG_INFINITY), "0 0.5 1.0 KiB");
    }
}
