//! Texts kept once each, and named by their number: what a column of texts is made of.

use std::borrow::Cow;
use std::collections::HashMap;

/// A list of different texts. Finding one that is there allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Words {
    list: Vec<Box<str>>,
    index: HashMap<Box<str>, u32>,
    bytes: usize,
    /// The number that was asked for last: in most columns the next row has the same text.
    last: u32,
}

impl Words {
    /// The number of this text, which is added if it is new. Bytes that are not UTF-8 become `\xNN`, so that nothing is lost.
    pub fn intern(&mut self, text: &[u8]) -> u32 {
        if self.get(self.last).is_some_and(|last| last.as_bytes() == text) {
            return self.last;
        }
        self.last = self.find_or_add(text);
        self.last
    }

    fn find_or_add(&mut self, text: &[u8]) -> u32 {
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
    use proptest::prelude::*;

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
    proptest! {
        #[test]
        fn every_text_is_kept_once_and_comes_back(texts in prop::collection::vec(prop::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..4), 0..200)) {
            let mut words = Words::default();
            let numbers: Vec<u32> = texts.iter().map(|text| words.intern(text)).collect();
            for (text, &number) in texts.iter().zip(&numbers) {
                let kept = words.get(number).unwrap();
                prop_assert_eq!(kept, std::str::from_utf8(text).map_or_else(|_| escape_invalid(text), str::to_owned));
                prop_assert_eq!(words.iter().filter(|word| *word == kept).count(), 1);
            }
            prop_assert_eq!(words.bytes(), words.iter().map(str::len).sum::<usize>());
            prop_assert_eq!(words.len(), words.iter().len());
            prop_assert!(words.get(u32::try_from(words.len()).unwrap()).is_none());
        }

        #[test]
        fn no_byte_is_lost_whatever_is_utf8(bytes in prop::collection::vec(any::<u8>().prop_filter("the escape itself", |&byte| byte != b'\\'), 0..40)) {
            let escaped = escape_invalid(&bytes);
            let mut back = Vec::new();
            let mut rest = escaped.as_bytes();
            while let Some((&first, after)) = rest.split_first() {
                if first == b'\\' {
                    back.push(u8::from_str_radix(std::str::from_utf8(&after[1..3]).unwrap(), 16).unwrap());
                    rest = &after[3..];
                } else {
                    back.push(first);
                    rest = after;
                }
            }
            prop_assert_eq!(back, bytes);
        }
    }
}
