//! Texts kept once each, and named by their number: what a column of texts is made of.

use std::borrow::Cow;
use std::collections::HashMap;

/// A list of different texts. Finding one that is there allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Words {
    list: Vec<Box<str>>,
    index: HashMap<Box<str>, u32>,
    bytes: usize,
}

impl Words {
    /// The number of this text, which is added if it is new. Bytes that are not UTF-8 become `\xNN`, so that nothing is lost.
    pub fn intern(&mut self, text: &[u8]) -> u32 {
        let text = match std::str::from_utf8(text) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(escape_invalid(text)),
        };
        if let Some(&known) = self.index.get(&*text) {
            return known;
        }
        let number = u32::try_from(self.list.len()).expect("fewer than 2^32 different texts");
        let text: Box<str> = text.into();
        self.bytes += text.len();
        self.list.push(text.clone());
        self.index.insert(text, number);
        number
    }

    /// The text of this number.
    pub fn get(&self, number: u32) -> Option<&str> {
        self.list.get(number as usize).map(|text| &**text)
    }

    /// The texts in the order of their numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.list.iter().map(|text| &**text)
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// How many bytes they have together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets all texts.
    pub fn clear(&mut self) {
        self.list.clear();
        self.index.clear();
        self.bytes = 0;
    }
}

fn escape_invalid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_the_same_number() {
        let mut words = Words::default();
        assert_eq!(words.intern(b"sda"), 0);
        assert_eq!(words.intern(b"sdb"), 1);
        assert_eq!(words.intern(b"sda"), 0);
        assert_eq!(words.get(1), Some("sdb"));
        assert_eq!(words.get(2), None);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept_readable() {
        let mut words = Words::default();
        let number = words.intern(b"caf\xC3 \xF0\x9F\x92\xA9");
        assert_eq!(words.get(number), Some("caf\\xC3 \u{1F4A9}"));
    }
}
