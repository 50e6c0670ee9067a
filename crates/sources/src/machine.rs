//! The world as an argument: the only place that opens paths.
//!
//! Roots of /proc, /sys, /etc and the mounted file systems come in, so that a container can watch its host and a test can bring a machine as a folder.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, StatVfs};
use rustix::io::Errno;
use rustix::process::{Pid, getpid};

use crate::Fault;
use crate::shared::{SharedFile, Sharing};

/// Where the machine's file systems are found.
#[derive(Clone, Debug)]
pub struct Roots {
    /// Process information, proc(5).
    pub proc: PathBuf,
    /// Devices and control groups, sysfs(5).
    pub sys: PathBuf,
    /// Names of users, passwd(5).
    pub etc: PathBuf,
    /// What the mount points of the machine's mount table are relative to.
    pub mounts: PathBuf,
}

impl Default for Roots {
    fn default() -> Roots {
        Roots { proc: "/proc".into(), sys: "/sys".into(), etc: "/etc".into(), mounts: "/".into() }
    }
}

/// Which root a path is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// [`Roots::proc`]
    Proc,
    /// [`Roots::sys`]
    Sys,
    /// [`Roots::etc`]
    Etc,
    /// [`Roots::mounts`]
    Mounts,
}

/// The machine that is watched.
#[derive(Debug)]
pub struct Machine {
    roots: Roots,
    proc: OwnedFd,
    sys: Option<OwnedFd>,
    etc: Option<OwnedFd>,
    mounts: Option<OwnedFd>,
    /// Bytes in a page of memory.
    pub page_size: u64,
    /// Clock ticks in a second, for the times of /proc (USER_HZ).
    pub ticks_per_second: u64,
    shared: Sharing,
    is_ours: OnceLock<bool>,
}

impl Machine {
    /// The machine behind these roots. Only the root of /proc must be there.
    pub fn open(roots: Roots) -> Result<Machine, Fault> {
        let directory = |path: &Path| {
            rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| Fault::call(path.display().to_string(), errno))
        };
        Ok(Machine {
            proc: directory(&roots.proc)?,
            sys: directory(&roots.sys).ok(),
            etc: directory(&roots.etc).ok(),
            mounts: directory(&roots.mounts).ok(),
            page_size: rustix::param::page_size() as u64,
            ticks_per_second: rustix::param::clock_ticks_per_second(),
            shared: Sharing::default(),
            is_ours: OnceLock::new(),
            roots,
        })
    }

    /// The roots that it was opened with.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Whether its /proc shows the processes that we know, ourselves among them: not that of another machine, a container's host, or a folder.
    pub(crate) fn is_ours(&self) -> bool {
        *self.is_ours.get_or_init(|| self.link(Root::Proc, "self").and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw) == Some(getpid()))
    }

    /// Whether a file is of the same file system as its root, and not mounted over what was there.
    pub(crate) fn is_of_its_file_system(&self, root: Root, path: &str) -> bool {
        let device = |path: &str| rustix::fs::statat(self.directory(root).ok()?, path, AtFlags::empty()).ok().map(|stat| stat.st_dev);
        device(path).is_some_and(|of_file| device(".") == Some(of_file))
    }

    /// The path of a file, for messages.
    pub fn path(&self, root: Root, path: &str) -> String {
        let root = match root {
            Root::Proc => &self.roots.proc,
            Root::Sys => &self.roots.sys,
            Root::Etc => &self.roots.etc,
            Root::Mounts => &self.roots.mounts,
        };
        root.join(path).display().to_string()
    }

    /// Opens a file without naming it in the failure: for paths that are tried often and may be gone.
    pub(crate) fn open_at(&self, root: Root, path: impl rustix::path::Arg, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(self.directory(root)?, path, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty())
    }

    fn directory(&self, root: Root) -> Result<&OwnedFd, Errno> {
        let directory = match root {
            Root::Proc => Some(&self.proc),
            Root::Sys => self.sys.as_ref(),
            Root::Etc => self.etc.as_ref(),
            Root::Mounts => self.mounts.as_ref(),
        };
        directory.ok_or(Errno::NOENT)
    }

    /// Opens a file to read it again and again.
    pub fn keep(&self, root: Root, path: &str) -> Result<KeptFile, Fault> {
        let file = self.open_at(root, path, OFlags::empty()).map_err(|errno| Fault::call(self.path(root, path), errno))?;
        Ok(KeptFile { file, path: self.path(root, path).into() })
    }

    /// The same for a file that several sources read at each tick.
    pub(crate) fn share(&self, root: Root, path: &'static str) -> Result<SharedFile, Fault> {
        self.shared.open(self, root, path)
    }

    /// Reads a whole file into `buffer`, which is emptied before.
    pub fn read(&self, root: Root, path: &str, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        let file = self.open_at(root, path, OFlags::empty()).map_err(|errno| Fault::call(self.path(root, path), errno))?;
        read_all(&file, buffer).map_err(|errno| Fault::call(self.path(root, path), errno))
    }

    /// A small file as trimmed text; `None` if it can't be read or is not UTF-8.
    pub fn text(&self, root: Root, path: &str) -> Option<String> {
        let mut buffer = Vec::new();
        self.read(root, path, &mut buffer).ok()?;
        Some(String::from_utf8(buffer).ok()?.trim().to_owned())
    }

    /// A small file that holds a whole number.
    pub fn number(&self, root: Root, path: &str) -> Option<u64> {
        self.text(root, path)?.parse().ok()
    }

    /// Whether there is such a path.
    pub fn exists(&self, root: Root, path: &str) -> bool {
        self.open_at(root, path, OFlags::PATH).is_ok()
    }

    /// The names in a folder, unsorted; empty if it can't be read.
    pub fn names(&self, root: Root, path: &str) -> Vec<String> {
        let mut names = Vec::new();
        if let Ok(directory) = self.open_at(root, path, OFlags::DIRECTORY) {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut entries = RawDir::new(directory, &mut buffer);
            while let Some(Ok(entry)) = entries.next() {
                match entry.file_name().to_bytes() {
                    b"." | b".." => {}
                    name => names.push(String::from_utf8_lossy(name).into_owned()),
                }
            }
        }
        names
    }

    /// Where a symbolic link leads.
    pub fn link(&self, root: Root, path: &str) -> Option<String> {
        let link = self.open_at(root, path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        let target = rustix::fs::readlinkat(&link, "", Vec::new()).ok()?;
        target.into_string().ok()
    }

    /// The size and room of a mounted file system, statvfs(3). May block for ever on a dead network mount: never call it in a tick.
    pub fn statvfs(&self, mount_point: &[u8]) -> Result<StatVfs, Errno> {
        let relative = mount_point.strip_prefix(b"/").unwrap_or(mount_point);
        let relative = if relative.is_empty() { b".".as_slice() } else { relative };
        let file = self.open_at(Root::Mounts, relative, OFlags::PATH)?;
        rustix::fs::fstatvfs(&file)
    }

    /// The size that the kernel reports for a path; for /proc/PID/fd since Linux 6.2 the number of open descriptors.
    pub(crate) fn size(&self, root: Root, path: impl rustix::path::Arg) -> Result<u64, Errno> {
        let stat = rustix::fs::statat(self.directory(root)?, path, AtFlags::empty())?;
        Ok(if FileType::from_raw_mode(stat.st_mode) == FileType::Directory { stat.st_size.cast_unsigned() } else { 0 })
    }

    /// How many entries a folder has.
    pub(crate) fn count(&self, root: Root, path: impl rustix::path::Arg) -> Result<u64, Errno> {
        let directory = self.open_at(root, path, OFlags::DIRECTORY)?;
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(directory, &mut buffer);
        let mut count = 0;
        while let Some(entry) = entries.next() {
            count += u64::from(!matches!(entry?.file_name().to_bytes(), b"." | b".."));
        }
        Ok(count)
    }
}

/// A file of the machine that stays open and is read from its start each time.
#[derive(Debug)]
pub struct KeptFile {
    file: OwnedFd,
    path: Box<str>,
}

impl KeptFile {
    /// Its path, for messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Reads all of it into `buffer`, which is emptied before. Allocates only while the buffer must grow.
    ///
    /// What is short is not asked for its end: a file of /proc gives less than there is only where the next of its records, mostly a line, does not fit into a page
    /// any more. For files whose records may be that long there is [`KeptFile::read_to_the_end`].
    pub fn read(&self, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        read_until(&self.file, buffer, SHORT).map_err(|errno| Fault::call(self.path.to_string(), errno))
    }

    /// The same, until there is no more.
    pub fn read_to_the_end(&self, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        read_all(&self.file, buffer).map_err(|errno| Fault::call(self.path.to_string(), errno))
    }
}

/// A file that gives fewer bytes has no more.
const SHORT: usize = 2048;

/// Reads a file from its start to its end.
pub(crate) fn read_all(file: impl AsFd, buffer: &mut Vec<u8>) -> Result<(), Errno> {
    read_until(file, buffer, 0)
}

/// The same, or until it has given fewer than so many bytes; there is always room for more.
fn read_until(file: impl AsFd, buffer: &mut Vec<u8>, short: usize) -> Result<(), Errno> {
    buffer.clear();
    loop {
        if buffer.capacity() - buffer.len() < 2 * SHORT {
            buffer.reserve(buffer.capacity().max(8192));
        }
        let offset = buffer.len() as u64;
        let read = rustix::io::pread(&file, rustix::buffer::spare_capacity(buffer), offset)?;
        if read == 0 || read < short {
            return Ok(());
        }
    }
}

/// Reads a small file of /proc by one system call; what does not fit the buffer's capacity is left out.
pub(crate) fn read_once(file: impl AsFd, buffer: &mut Vec<u8>) -> Result<(), Errno> {
    buffer.clear();
    match rustix::io::pread(file, rustix::buffer::spare_capacity(buffer), 0)? {
        0 => Err(Errno::SRCH),
        _ => Ok(()),
    }
}
