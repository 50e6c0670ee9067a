//! What can go wrong when the machine is read, sorted by what the reader should make of it.

use std::borrow::Cow;
use std::fmt;

use rustix::io::Errno;

/// What sort of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// This user may not read it (EACCES, EPERM). Root meets it too.
    Denied,
    /// It is not there, or no longer: a process that ended, a device that was unplugged (ENOENT, ESRCH, ENODEV).
    Gone,
    /// It was read, but is not what it should be. Please report this.
    Malformed,
    /// A limit of ours was reached: descriptors, memory (EMFILE, ENFILE, ENOMEM).
    Limit,
    /// Anything else.
    Other,
}

impl FaultKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [FaultKind; 5] = [FaultKind::Denied, FaultKind::Gone, FaultKind::Malformed, FaultKind::Limit, FaultKind::Other];
}

impl From<Errno> for FaultKind {
    fn from(errno: Errno) -> FaultKind {
        match errno {
            Errno::ACCESS | Errno::PERM => FaultKind::Denied,
            Errno::NOENT | Errno::SRCH | Errno::NODEV | Errno::NXIO | Errno::NOTDIR => FaultKind::Gone,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => FaultKind::Limit,
            _ => FaultKind::Other,
        }
    }
}

/// A reading that failed: what was read, and why it could not be.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The sort of failure.
    pub kind: FaultKind,
    /// The file or call.
    pub what: Cow<'static, str>,
    /// What the kernel or the parser said.
    pub why: Cow<'static, str>,
}

impl Fault {
    /// A failed system call on this file.
    pub fn call(what: impl Into<Cow<'static, str>>, errno: Errno) -> Fault {
        Fault { kind: errno.into(), what: what.into(), why: errno.to_string().into() }
    }

    /// A file whose content is not what it should be.
    pub fn malformed(what: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Fault {
        Fault { kind: FaultKind::Malformed, what: what.into(), why: why.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for Fault {}

/// How many failures of each kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults([u64; FaultKind::ALL.len()]);

impl Faults {
    /// Counts one more.
    pub fn count(&mut self, kind: FaultKind) {
        self.0[kind as usize] += 1;
    }

    /// How many of this kind.
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.0[kind as usize]
    }

    /// Adds those of another.
    pub fn add(&mut self, other: Faults) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}
