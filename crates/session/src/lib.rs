//! Making a recording: what is watched, the facts that stand at its begin, and the totals and notices at its end.
//!
//! The program and the libraries record alike because they do it by this crate. [`Session`] is a recording that a program makes of itself, on a thread.

mod end;
mod events;
mod facts;
mod import;
mod lines;
mod look;
mod order;
mod place;
mod rolling;
mod say;
mod session;
mod subject;
pub mod time;

pub use barograph_record::{Change, Condition, Order, is_ignored, share_heap};
pub use end::{end_recording, totals};
pub use events::{add_events, moment, revise_events};
pub use facts::{facts, listen, open_beacon};
pub use import::{Event, Imported, Row, import};
pub use lines::{LINES_FAILED, line_notices, watch_lines};
pub use look::{Node, snapshot, tree};
pub use order::{OrderError, order, order_at};
pub use place::{default_path, folder_name};
pub use rolling::{Rolling, Turn};
pub use say::{Live, Over, Recipient, SayError, attributes, recipient, value};
pub use session::{Ended, Error, Session, Settings, Watched};
pub use subject::Subject;
