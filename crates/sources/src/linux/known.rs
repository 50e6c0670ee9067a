//! What was found out about devices by their names, and is found out again when one comes or goes.

use std::collections::HashMap;

/// Facts about devices, by name. Asking for what is known allocates nothing.
#[derive(Debug)]
pub(super) struct Known<T>(HashMap<Vec<u8>, T>);

impl<T> Known<T> {
    pub(super) fn new() -> Known<T> {
        Known(HashMap::new())
    }

    /// Makes sure that exactly these names are known. If one is new or gone, all are asked again: what came may have changed what was there.
    pub(super) fn refresh<'a>(&mut self, names: impl Iterator<Item = &'a [u8]> + Clone, mut ask: impl FnMut(&'a [u8]) -> T) {
        if names.clone().count() == self.0.len() && names.clone().all(|name| self.0.contains_key(name)) {
            return;
        }
        self.0.clear();
        self.0.extend(names.map(|name| (name.to_vec(), ask(name))));
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&T> {
        self.0.get(name)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_asked_again_when_one_comes_or_goes_and_only_then() {
        let mut known = Known::new();
        let asked_for = |known: &mut Known<()>, names: &[&'static str]| {
            let mut asked = Vec::new();
            known.refresh(names.iter().map(|name| name.as_bytes()), |name| asked.push(name));
            asked.len()
        };
        assert_eq!(asked_for(&mut known, &["sda", "sdb"]), 2);
        assert_eq!(asked_for(&mut known, &["sdb", "sda"]), 0);
        assert_eq!(asked_for(&mut known, &["sda"]), 1);
        assert_eq!(asked_for(&mut known, &["sdc"]), 1);
        assert!(known.get(b"sda").is_none());
    }
}
