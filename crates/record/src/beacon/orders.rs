//! Orders that came to the beacon: whose are followed, how many, and how they are answered.

use std::collections::VecDeque;
use std::os::unix::net::UnixDatagram;

use rustix::net::{SendFlags, SocketAddrAny, sendto};

use super::{Heard, SECOND};
use crate::order::{self, Answer, Order, Ordered};

/// Orders that are followed in a second. What comes beyond is refused: each may cost a reading of everything, and a write.
const A_SECOND: u32 = 50;

/// Orders that wait to be followed.
#[derive(Default)]
pub(super) struct Orders {
    waiting: VecDeque<Ordered>,
    /// Since when, on the clock of the deadlines, so many came.
    second: (i64, u32),
}

impl Orders {
    /// Takes an order that a user who may give some has sent from this address. What became of it is told there, if it is one.
    pub(super) fn take(&mut self, line: &[u8], from: Option<SocketAddrAny>, socket: &UnixDatagram, at: i64, heard: &mut Heard) {
        let sent = order::understand(line);
        let answer = answer(sent.id, from, socket);
        if at >= self.second.0 + SECOND {
            self.second = (at, 0);
        }
        self.second.1 += 1;
        match sent.order {
            // Whoever wants the end gets it.
            Ok(order) if self.second.1 > A_SECOND && !matches!(order, Order::Stop(_)) => {
                heard.refused += 1;
                answer.give(Err("too many orders came at once; try again".to_owned()));
            }
            Ok(order) => {
                heard.orders += 1;
                self.waiting.push_back(Ordered { order, by: sent.by, answer });
            }
            Err(why) => {
                heard.refused += 1;
                answer.give(Err(why));
            }
        }
    }

    /// The one that came first.
    pub(super) fn next(&mut self) -> Option<Ordered> {
        self.waiting.pop_front()
    }
}

/// Sends the answer to whoever gave the order, without waiting. Who has no address hears nothing.
fn answer(id: String, to: Option<SocketAddrAny>, socket: &UnixDatagram) -> Answer {
    let (Some(to), Ok(socket)) = (to, socket.try_clone()) else { return Answer::nobody() };
    Answer::to(move |outcome| {
        let outcome = outcome.unwrap_or_else(|| Err("the recording has ended".to_owned()));
        // Who does not wait any more needs no answer.
        let _ = sendto(&socket, &order::reply(&id, outcome), SendFlags::DONTWAIT | SendFlags::NOSIGNAL, &to);
    })
}
