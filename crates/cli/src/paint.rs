//! Text for a terminal: colours where they are wanted, and JSON that is harmless there.

use std::env;
use std::io::{self, IsTerminal, Write};

pub(crate) use barograph_view::text::{columns, cut, wrapped};
use serde::Serialize;

/// The width when nobody tells one.
const WIDTH: usize = 80;

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    colours: bool,
}

impl Paint {
    /// Colours if standard output is a terminal that has them, and nobody said NO_COLOR (<https://no-color.org>).
    pub(crate) fn of_stdout() -> Paint {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Paint { colours: io::stdout().is_terminal() && !refused }
    }

    /// Whether there are any.
    #[cfg(any(feature = "plot", feature = "top"))]
    pub(crate) fn has_colours(self) -> bool {
        self.colours
    }

    /// No colours.
    #[cfg(test)]
    pub(crate) fn none() -> Paint {
        Paint { colours: false }
    }

    /// The text in this ink.
    pub(crate) fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Bold => 1,
            Ink::Dim => 2,
            Ink::Red => 31,
            Ink::Green => 32,
            Ink::Yellow => 33,
            Ink::Blue => 34,
            Ink::Magenta => 35,
            Ink::Cyan => 36,
        };
        if self.colours && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The width to write for: as asked, or of the terminal, or 80.
pub(crate) fn width(asked: Option<usize>) -> usize {
    let terminal = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
    let told = || env::var("COLUMNS").ok()?.parse().ok();
    asked.or_else(terminal).or_else(told).unwrap_or(WIDTH).max(40)
}

/// JSON with indents. What a terminal would obey and JSON leaves as it is, DEL and the controls beyond ASCII, is written as an escape as well.
pub(crate) fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_string_pretty(value)?;
    // Such characters stand in texts only, where an escape means the same.
    for plain in json.split_inclusive(is_missed_by_json) {
        let control = plain.chars().next_back().filter(|char| is_missed_by_json(*char));
        out.write_all(&plain.as_bytes()[..plain.len() - control.map_or(0, char::len_utf8)])?;
        if let Some(control) = control {
            write!(out, "\\u{:04x}", u32::from(control))?;
        }
    }
    writeln!(out)
}

fn is_missed_by_json(char: char) -> bool {
    matches!(char, '\u{7f}'..='\u{9f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_for_a_terminal_has_no_controls_and_means_the_same() {
        let value = serde_json::json!({ "a\u{9b}31m": ["b\u{7f}", "\u{80}c\u{85}\u{a0}ü", "\x1b"], "d": null });
        let mut json = Vec::new();
        write_json(&mut json, &value).unwrap();
        let json = String::from_utf8(json).unwrap();
        assert!(json.chars().all(|char| char == '\n' || !char.is_control()) && json.contains("b\\u007f"), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }

    #[test]
    fn no_colours_no_codes() {
        assert_eq!(Paint::none().ink(Ink::Red, "x"), "x");
        assert_eq!(Paint { colours: true }.ink(Ink::Red, "x"), "\x1b[31mx\x1b[0m");
    }
}
