//! Numbers for people: three significant digits and a unit. Bytes are in binary units everywhere: 1 KiB is 1024 bytes, for memory and for disks.

use barograph_store::{Exit, State};

use crate::text::clean;

/// Between the thousands of a long number. It is narrow, and lines are not broken at it.
const GROUP: char = '\u{202f}';

/// Bytes: `1.25 GiB`.
pub fn bytes(value: u64) -> String {
    byte_amount(value as f64)
}

/// Bytes that were worked out, such as a mean: `1.25 GiB`.
pub fn byte_amount(value: f64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut scaled, mut unit) = (value, 0);
    // 1023.7 would be shown as 1024, which the next unit says better.
    while scaled.abs().round() >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let number = if unit == 0 { format!("{scaled:.0}") } else { number(scaled) };
    format!("{number} {}", UNITS[unit])
}

/// The same without zeros behind the point: for what somebody has set, such as an interval or a limit.
pub fn set(text: String) -> String {
    let Some((number, unit)) = text.split_once(' ').filter(|(number, _)| number.contains('.')) else { return text };
    format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
}

/// Bytes in a second: `12.3 MiB/s`.
pub fn byte_rate(value: f64) -> String {
    format!("{}/s", byte_amount(value))
}

/// A length of time: `850 ms`, `12.3 s`, `3 min 12 s`, `1 h 02 min`, `2 d 03 h`.
pub fn seconds(value: f64) -> String {
    let size = value.abs();
    let sign = if value < 0.0 { "-" } else { "" };
    if size == 0.0 {
        "0 s".to_owned()
    } else if size < 0.000_999_5 {
        format!("{sign}{} µs", number(size * 1e6))
    } else if size < 0.999_5 {
        format!("{sign}{} ms", number(size * 1e3))
    } else if size < 59.95 {
        format!("{sign}{} s", number(size))
    } else if size < 3599.5 {
        let whole = size.round();
        format!("{sign}{:.0} min {:02.0} s", (whole / 60.0).floor(), whole % 60.0)
    } else if size < 86_370.0 {
        let minutes = (size / 60.0).round();
        format!("{sign}{:.0} h {:02.0} min", (minutes / 60.0).floor(), minutes % 60.0)
    } else {
        let hours = (size / 3600.0).round();
        format!("{sign}{} d {:02.0} h", count((hours / 24.0).floor()), hours % 24.0)
    }
}

/// A time since the start: `+12.3 s`. What `--from` and `--to` take again.
pub fn since_start(value: f64) -> String {
    if value < 0.0 { seconds(value) } else { format!("+{}", seconds(value)) }
}

/// A number of cores, which may be broken: `1.98`.
pub fn cores(value: f64) -> String {
    number(value)
}

/// A share of one: `12.3 %`.
pub fn share(value: f64) -> String {
    format!("{} %", number(value * 100.0))
}

/// How many: `12 345`.
pub fn count(value: f64) -> String {
    if value.fract() != 0.0 && value.abs() < 1000.0 {
        return number(value);
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && digits.len() > 4 {
            text.push(GROUP);
        }
        text.push(digit);
    }
    text
}

/// How many in a second: `1234/s`.
pub fn count_rate(value: f64) -> String {
    format!("{}/s", if value.abs() < 1000.0 { number(value) } else { count(value) })
}

/// A word for so many things: `1 core`, `3 cores`.
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number as f64), if number == 1 { one } else { many })
}

/// Three significant digits, at most three after the point. What is too small for them is said to be so, and not to be nothing.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if size < 0.000_5 {
        "< 0.001".to_owned()
    } else if size < 0.099_95 {
        format!("{value:.3}")
    } else if size < 9.995 {
        format!("{value:.2}")
    } else if size < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// A number of a program's own, however large or small: `0.312`, `1.50e-7`.
pub fn any_number(value: f64) -> String {
    if value == 0.0 || (0.001..1e6).contains(&value.abs()) {
        if value.abs() >= 1000.0 { count(value) } else { number(value) }
    } else {
        format!("{value:.2e}")
    }
}

/// How a process ended: `exit 3`, `killed by SIGKILL (9)`.
pub fn exit(exit: Exit) -> String {
    match exit {
        Exit { signal: Some(number), .. } => format!("killed by {}", signal(number)),
        Exit { code: Some(code), .. } => format!("exit {code}"),
        _ => "ended".to_owned(),
    }
}

/// Whether a recording goes on, in a word.
pub fn state(state: State) -> &'static str {
    match state {
        State::Live => "live",
        State::Ended => "ended",
        State::Interrupted => "interrupted",
    }
}

/// A signal by name and number: `SIGKILL (9)`. Names are those of Linux on the architectures that matter here.
pub fn signal(number: i32) -> String {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let name = usize::try_from(number).ok().and_then(|number| NAMES.get(number.checked_sub(1)?));
    name.map_or_else(|| format!("signal {number}"), |name| format!("{name} ({number})"))
}

/// Text of strangers, with everything escaped that a terminal would obey.
pub fn escape(text: &str) -> String {
    clean(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits_and_never_1024_of_a_unit() {
        let said: Vec<String> =
            [0.0, 1.0, 1023.0, 1023.7, 1024.0, 1_342_177_280.0, 12.34 * 1048576.0, 1023.6 * 1024.0, 9.0e18].map(byte_amount).into();
        assert_eq!(said, ["0 B", "1 B", "1023 B", "1.00 KiB", "1.00 KiB", "1.25 GiB", "12.3 MiB", "1.00 MiB", "7.81 EiB"]);
    }

    #[test]
    fn times_carry_to_the_next_unit() {
        let said: Vec<String> = [0.0, 4.2e-5, 0.85, 0.9999, 12.34, 59.97, 60.0, 192.0, 3599.6, 3720.0, 86_399.0, 183_600.0, -2.5].map(seconds).into();
        let expected = [
            "0 s",
            "42.0 µs",
            "850 ms",
            "1.00 s",
            "12.3 s",
            "1 min 00 s",
            "1 min 00 s",
            "3 min 12 s",
            "1 h 00 min",
            "1 h 02 min",
            "1 d 00 h",
            "2 d 03 h",
            "-2.50 s",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn what_was_set_has_no_needless_zeros() {
        assert_eq!([1.0, 0.5, 12.5, 100.0, 3720.0].map(|value| set(seconds(value))), ["1 s", "500 ms", "12.5 s", "1 min 40 s", "1 h 02 min"]);
        assert_eq!(set(bytes(4 << 30)), "4 GiB");
    }

    #[test]
    fn counts_are_grouped_and_small_numbers_are_not_nothing() {
        assert_eq!(
            [0.0, 12.0, 1234.0, 12_345.0, 1_234_567.0, 2.5].map(count),
            ["0", "12", "1234", "12\u{202f}345", "1\u{202f}234\u{202f}567", "2.50"]
        );
        assert_eq!([0.0, 0.0001, 0.0123, 0.5, 1.0, 64.0].map(cores), ["0", "< 0.001", "0.012", "0.50", "1.00", "64.0"]);
        assert_eq!(share(0.123_4), "12.3 %");
        assert_eq!([0.5, 12_345.0].map(count_rate), ["0.50/s", "12\u{202f}345/s"]);
    }

    #[test]
    fn exits_are_told_in_words() {
        assert_eq!(exit(Exit { code: Some(3), signal: None }), "exit 3");
        assert_eq!(exit(Exit { code: None, signal: Some(9) }), "killed by SIGKILL (9)");
        assert_eq!(exit(Exit { code: None, signal: Some(40) }), "killed by signal 40");
    }
}
