//! What a recorder is told to do while it goes on.

use super::{Reason, Recorder};
use crate::beacon::Beacon;
use crate::clock::deadline_nanos;
use crate::order::{Answer, Order, Ordered};

/// Once somebody has said that he looks, that is believed for so long.
const WATCHED_FOR: i64 = 10_000_000_000;

/// Readings that other processes ask for lie at least so far apart. Who asks sooner gets the next one.
const LEAST_BETWEEN_READINGS: i64 = 100_000_000;

impl Recorder {
    pub(super) fn hear_orders(&mut self) {
        while self.stop.is_none()
            && let Some(ordered) = self.control.next_order()
        {
            if matches!(ordered.order, Order::Read) {
                // Who is part of this program knows what he does.
                self.next_reading = i64::MIN;
            }
            self.follow(ordered);
        }
        while self.stop.is_none()
            && let Some(ordered) = self.beacon.as_mut().and_then(Beacon::next_order)
        {
            self.follow(ordered);
        }
        if !self.waiting.is_empty() && deadline_nanos() >= self.next_reading {
            self.next_reading = deadline_nanos().saturating_add(LEAST_BETWEEN_READINGS);
            self.publish_now = true;
            self.read_for.append(&mut self.waiting);
            // What was said before somebody asked is to be seen by him.
            if let Some(beacon) = &mut self.beacon {
                beacon.hear_rest(&mut self.said);
            }
            self.panel.all_due();
            self.tick_with_new_listing();
        }
    }

    fn follow(&mut self, ordered: Ordered) {
        let Ordered { order, by, answer } = ordered;
        match order {
            Order::Stop(why) => {
                self.stop.get_or_insert(Reason::Asked(why));
                answer.give(Ok(()));
            }
            Order::Read => self.waiting.push(answer),
            Order::Watched => {
                self.watched_until = deadline_nanos().saturating_add(WATCHED_FOR);
                answer.give(Ok(()));
            }
            Order::Set(change) => match self.change(&change, by) {
                // When it is answered, the facts have it. That nothing can be written just now is no reason to say that it doesn't hold.
                Ok(true) => self.read_for.push(Answer::to(move |outcome| {
                    if outcome.is_some() {
                        answer.give(Ok(()));
                    }
                })),
                Ok(false) => answer.give(Ok(())),
                Err(why) => answer.give(Err(why)),
            },
        }
    }
}
