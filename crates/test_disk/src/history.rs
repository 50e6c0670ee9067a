//! What has happened to a file system, in order: enough to say what each sync made safe.

use std::ffi::OsString;
use std::sync::Arc;

/// The number of a file or folder. That of the uppermost folder is 1.
pub(crate) type Node = u64;

/// The uppermost folder.
pub(crate) const ROOT: Node = 1;

/// A change, or a sync.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Make {
        folder: Node,
        name: OsString,
        node: Node,
        is_folder: bool,
    },
    Remove {
        folder: Node,
        name: OsString,
        node: Node,
    },
    Move {
        from: (Node, OsString),
        to: (Node, OsString),
        node: Node,
    },
    Write {
        node: Node,
        offset: usize,
        bytes: Vec<u8>,
    },
    Resize {
        node: Node,
        bytes: usize,
    },
    SyncFile {
        node: Node,
    },
    /// What was not synced before may be on disk or not, and no later sync makes good for it: so do Linux's own file systems.
    FailToSync {
        node: Node,
    },
    SyncFolder {
        node: Node,
    },
}

/// A change and when it was made, in nanoseconds since boot.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) boot_nanos: i64,
    pub(crate) change: Change,
}

/// All of them, oldest first. A copy shares them.
pub(crate) type History = Vec<Arc<Event>>;

pub(crate) fn event(change: Change) -> Arc<Event> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Arc::new(Event { boot_nanos: now.tv_sec * 1_000_000_000 + now.tv_nsec, change })
}
