//! Text for a terminal: colours where they are wanted, and strangers' words made harmless.

use std::borrow::Cow;
use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use unicode_width::UnicodeWidthChar;

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

/// Text of strangers (names, arguments, paths) on one line, with everything escaped that a terminal would obey or that would not be seen.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        match char {
            '\n' => safe.push_str("\\n"),
            '\t' => safe.push_str("\\t"),
            '\r' => safe.push_str("\\r"),
            char if is_unsafe(char) && u32::from(char) < 0x100 => drop(write!(safe, "\\x{:02x}", u32::from(char))),
            char if is_unsafe(char) => drop(write!(safe, "\\u{{{:x}}}", u32::from(char))),
            char => safe.push(char),
        }
    }
    Cow::Owned(safe)
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

/// Controls, and characters that turn the direction of text or take no room.
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// How many columns of a terminal the text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|char| char.width().unwrap_or(0)).sum()
}

/// The text in at most so many columns; what is too long ends in `…`.
pub(crate) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if columns(text) <= width {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    let mut used = 1;
    for char in text.chars() {
        used += char.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(char);
    }
    if width > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

/// The text in lines of at most so many columns, broken at separators only. What is longer stays whole, so that a path can be copied.
pub(crate) fn wrapped(text: &str, separator: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(separator) {
        if let Some(line) = lines.last_mut() {
            if line.is_empty() {
                line.push_str(word);
            } else if columns(line) + columns(separator) + columns(word) <= width {
                line.push_str(separator);
                line.push_str(word);
            } else {
                lines.push(word.to_owned());
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        assert_eq!(clean("plain – ü 漢"), "plain – ü 漢");
        assert_eq!(clean("a\nb\x1b[31mc\u{9b}d\u{202e}e\0"), "a\\nb\\x1b[31mc\\x9bd\\u{202e}e\\x00");
    }

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
    fn wide_letters_are_cut_between_not_within() {
        assert_eq!(columns("漢字ab"), 6);
        assert_eq!(cut("漢字ab", 4), "漢…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
    }

    #[test]
    fn no_colours_no_codes() {
        assert_eq!(Paint::none().ink(Ink::Red, "x"), "x");
        assert_eq!(Paint { colours: true }.ink(Ink::Red, "x"), "\x1b[31mx\x1b[0m");
    }

    #[test]
    fn lines_break_between_words_and_long_words_stay_whole() {
        assert_eq!(wrapped("a bc def ghij", " ", 6), ["a bc", "def", "ghij"]);
        assert_eq!(wrapped("/a/long/path x", " ", 4), ["/a/long/path", "x"]);
        assert_eq!(wrapped("a b · c d · e", " · ", 9), ["a b · c d", "e"]);
    }
}
