//! When to ask the sources, and whom to tell: ticks, the job, its signals, and the hand-over to a sink.
//!
//! The recorder is a plain loop on a plain thread. It waits for the next deadline or a signal, reads every source, and at each write interval hands
//! the rows to a thread that owns the sink. Slow sources have threads of their own; the tick waits for nobody. [`Recorder::new`] is for a process that
//! does nothing else, [`Recorder::within`] for a thread of another program.

mod assistant;
mod beacon;
mod budget;
mod clock;
mod companion;
mod condition;
mod control;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod job;
mod last_stand;
#[cfg(feature = "lines")]
mod lines;
mod listener;
mod order;
mod panel;
mod recorder;
mod schedule;
mod slow;
mod system_call;
mod writer;

pub use assistant::assist;
pub use beacon::{Beacon, Heard};
pub use clock::now;
pub use companion::{Used, accompany};
pub use condition::Condition;
pub use control::Handle;
pub use job::{JobEnd, SpawnError, become_command, care_for};
pub use last_stand::bequeath;
#[cfg(feature = "lines")]
pub use lines::{LINES_SHARE, LineOptions};
pub use listener::{Ear, Heard as HeardLine, ListenTo, Listener};
pub use order::{Change, Order};
pub use panel::{Panel, PanelOptions};
pub use recorder::{Options, Outcome, Reason, Recorder, Until};
pub use schedule::Schedule;
pub use system_call::{Allocator, is_ignored, share_heap, stand_by};
