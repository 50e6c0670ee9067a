//! Text in columns of a terminal, and strangers' words made harmless.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

/// Text of strangers (names, arguments, paths) on one line, with everything escaped that a terminal would obey or that would not be seen.
pub fn clean(text: &str) -> Cow<'_, str> {
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

/// How many columns of a terminal the text takes.
pub fn columns(text: &str) -> usize {
    text.chars().map(|char| char.width().unwrap_or(0)).sum()
}

/// The text in at most so many columns; what is too long ends in `…`.
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
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
pub fn wrapped(text: &str, separator: &str, width: usize) -> Vec<String> {
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

/// Controls, and characters that turn the direction of text or take no room.
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
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
    fn wide_letters_are_cut_between_not_within() {
        assert_eq!(columns("漢字ab"), 6);
        assert_eq!(cut("漢字ab", 4), "漢…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
    }

    #[test]
    fn lines_break_between_words_and_long_words_stay_whole() {
        assert_eq!(wrapped("a bc def ghij", " ", 6), ["a bc", "def", "ghij"]);
        assert_eq!(wrapped("/a/long/path x", " ", 4), ["/a/long/path", "x"]);
        assert_eq!(wrapped("a b · c d · e", " · ", 9), ["a b · c d", "e"]);
    }
}
