//! Small steps that all parsers of /proc take, on bytes and without memory of their own.

/// The lines of a text, without their ends.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// The words of a line, between blanks.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty())
}

/// A whole number in decimal digits, and nothing else.
pub(crate) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |sum, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { sum.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
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
        assert_eq!(number(b"12a"), None);
        assert_eq!(number(b""), None);
        assert_eq!(signed(b"-20"), Some(-20));
        assert_eq!(decimal(b"0.25"), Some(0.25));
        assert_eq!(decimal(b"inf"), None);
    }

    #[test]
    fn keys_end_at_colon_or_blank() {
        assert_eq!(split_key(b"MemTotal:       16 kB"), Some((&b"MemTotal"[..], &b"16 kB"[..])));
        assert_eq!(split_key(b"pgfault 12"), Some((&b"pgfault"[..], &b"12"[..])));
        assert_eq!(split_key(b"lonely"), None);
    }
}
