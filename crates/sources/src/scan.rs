//! Small steps that all parsers of /proc take, on bytes and without memory of their own.

use memchr::arch::all::memchr::One;

use crate::{FaultKind, Faults};

/// Where this byte is first. Not by what this processor may do best: to ask it takes 60 µs in a guest, at every start, and texts are short.
pub(crate) fn position(byte: u8, text: &[u8]) -> Option<usize> {
    One::new(byte).find(text)
}

/// Where this byte is last.
pub(crate) fn last_position(byte: u8, text: &[u8]) -> Option<usize> {
    One::new(byte).rfind(text)
}

/// How often this byte is there.
pub(crate) fn count(byte: u8, text: &[u8]) -> usize {
    text.iter().filter(|&&there| there == byte).count()
}

/// The lines of a text, without their ends.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = position(b'\n', rest);
        let line = (!rest.is_empty()).then(|| &rest[..end.unwrap_or(rest.len())]);
        rest = end.map_or(&[], |end| &rest[end + 1..]);
        line
    })
    .filter(|line| !line.is_empty())
}

/// A text without what follows its last line end: the kernel ends every line, so the rest would be a piece of one, and a piece of a number is a wrong
/// number.
pub(crate) fn complete(text: &[u8]) -> &[u8] {
    &text[..last_position(b'\n', text).map_or(0, |end| end + 1)]
}

/// The words of a line, between blanks.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty())
}

/// The first word of a line, and what follows it.
pub(crate) fn split_word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii_start();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    (end > 0).then(|| line.split_at(end))
}

/// A whole number in decimal digits, and nothing else.
pub(crate) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    let mut digits = word.iter().map(|byte| byte.wrapping_sub(b'0'));
    if word.len() <= SAFE_DIGITS {
        let (sum, largest) = digits.fold((0, 0), |(sum, largest), digit| (sum * 10 + u64::from(digit), digit.max(largest)));
        return (largest <= 9).then_some(sum);
    }
    digits.try_fold(0u64, |sum, digit| if digit > 9 { None } else { sum.checked_mul(10)?.checked_add(u64::from(digit)) })
}

/// So many bytes, read as digits whatever they are, give no number beyond 64 bits.
const SAFE_DIGITS: usize = 17;

/// A whole number; a word that is none is counted as a fault and gives an absent cell.
pub(crate) fn number_or_fault(word: &[u8], faults: &mut Faults) -> Option<u64> {
    // A cell holds up to 2^63: a number beyond that is a negative one that the kernel printed wrongly.
    let value = number(word).filter(|&value| i64::try_from(value).is_ok());
    if value.is_none() {
        faults.count(FaultKind::Malformed);
    }
    value
}

/// A whole number with or without a minus sign.
pub(crate) fn signed(word: &[u8]) -> Option<i64> {
    match word.strip_prefix(b"-") {
        Some(digits) => i64::try_from(number(digits)?).ok().map(|value| -value),
        None => i64::try_from(number(word)?).ok(),
    }
}

/// A number in decimal digits with or without a fraction.
pub(crate) fn decimal(word: &[u8]) -> Option<f64> {
    std::str::from_utf8(word).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The bytes between a key and the end of its line, where lines read `key value` or `key: value`.
pub(crate) fn split_key(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|&byte| byte == b':' || byte.is_ascii_whitespace())?;
    let rest = line[end..].trim_ascii_start();
    Some((&line[..end], rest.strip_prefix(b":").unwrap_or(rest).trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_or_not_at_all() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"18446744073709551616"), None);
        assert_eq!(number(b"18446744073709551610000"), None);
        assert_eq!(number(b"99999999999999999"), Some(99_999_999_999_999_999), "the longest that can't be too large");
        for wrong in
            [&b"12a"[..], b"1/2", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"99999999999999999a", b" 1", b"+1"]
        {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
        assert_eq!(number(b""), None);
        assert_eq!(signed(b"-20"), Some(-20));
        assert_eq!(decimal(b"0.25"), Some(0.25));
        assert_eq!(decimal(b"inf"), None);
    }

    #[test]
    fn lines_have_no_ends_and_are_not_empty() {
        assert_eq!(lines(b"a\n\nb c\nd").collect::<Vec<_>>(), [&b"a"[..], b"b c", b"d"]);
        assert_eq!(lines(b"").count(), 0);
        assert_eq!(complete(b"a 1\nb 23"), b"a 1\n");
        assert_eq!(complete(b"b 23"), b"");
    }

    #[test]
    fn keys_end_at_colon_or_blank() {
        assert_eq!(split_key(b"MemTotal:       16 kB"), Some((&b"MemTotal"[..], &b"16 kB"[..])));
        assert_eq!(split_key(b"pgfault 12"), Some((&b"pgfault"[..], &b"12"[..])));
        assert_eq!(split_key(b"lonely"), None);
    }
}
