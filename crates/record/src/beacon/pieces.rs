//! Lines of which a datagram has the beginning alone. Whoever writes into a pipe to a program that sends has no say in where that cuts.

use std::collections::VecDeque;

use barograph_beacon::DATAGRAM_BYTES;

/// Senders whose beginnings are kept; beyond that, the oldest is let go.
const SENDERS: usize = 8;

/// What senders have begun to say.
#[derive(Default)]
pub(super) struct Pieces(VecDeque<(u64, Vec<u8>)>);

impl Pieces {
    /// What this process had begun when it was last heard: with `more` it may be a line.
    pub(super) fn join(&mut self, sender: Option<u64>, more: &[u8]) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        let place = self.0.iter().position(|(known, _)| Some(*known) == sender)?;
        let (_, mut line) = self.0.remove(place)?;
        line.extend_from_slice(more);
        (line.len() <= DATAGRAM_BYTES).then_some(line)
    }

    /// Keeps a beginning until the process is heard again.
    pub(super) fn keep(&mut self, sender: Option<u64>, beginning: &[u8]) {
        let Some(sender) = sender else { return };
        if self.0.len() == SENDERS {
            self.0.pop_front();
        }
        self.0.push_back((sender, beginning.to_owned()));
    }
}
