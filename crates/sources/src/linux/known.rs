//! What was found out about devices by their names, and is found out again when one comes or goes.

/// Facts about devices, in the order in which their file lists them.
#[derive(Debug)]
pub(super) struct Known<T>(Vec<(Vec<u8>, T)>);

impl<T> Known<T> {
    pub(super) fn new() -> Known<T> {
        Known(Vec::new())
    }

    /// Makes sure that exactly these names are known, in this order. If not, all are asked again: what came may have changed what was there.
    pub(super) fn refresh<'a>(&mut self, names: impl Iterator<Item = &'a [u8]> + Clone, mut ask: impl FnMut(&'a [u8]) -> T) {
        if !names.clone().eq(self.0.iter().map(|(name, _)| name.as_slice())) {
            self.0 = names.map(|name| (name.to_vec(), ask(name))).collect();
        }
    }

    /// What is known of each, in that order.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
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
        let asked: Vec<usize> = [&["sda", "sdb"][..], &["sda", "sdb"], &["sdb", "sda"], &["sdb"], &["sdc"], &["sdc"]]
            .iter()
            .map(|names| asked_for(&mut known, names))
            .collect();
        assert_eq!(asked, [2, 0, 2, 1, 1, 0]);
        assert_eq!(known.values().count(), 1);
    }
}
