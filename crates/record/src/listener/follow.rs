//! A file that grows, read as it does: through truncation, through rotation to another file of the same name, and from the time on when there is one.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, inotify, seek};
use rustix::pipe::{PipeFlags, pipe_with};

use super::SharedEar;
use super::output::again;

/// How often we look where the kernel tells of no change, as on file systems of a network, and whether the name means another file now.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// After we have read, whoever writes line by line gets no attention for so long.
const REST: Duration = Duration::from_millis(2);

const CHUNK: usize = 64 * 1024;

pub(super) struct Follower {
    /// Under which name it is looked for when it is replaced; `None` for a file that has been opened for us.
    path: Option<PathBuf>,
    file: Option<File>,
    place: u64,
}

/// A follower whose thread runs.
pub(super) struct Running {
    /// What it is asked to finish by: it answers when all is read.
    ask: SyncSender<SyncSender<()>>,
    /// What wakes it.
    wake: Option<OwnedFd>,
    thread: thread::JoinHandle<()>,
}

impl Follower {
    /// The file of this name, from its end on if there is one, or from its beginning when it comes.
    pub(super) fn of_path(path: PathBuf) -> io::Result<Follower> {
        let with_path = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = match open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened.map_err(with_path)?),
        };
        let place = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|found| found.len()))?;
        Ok(Follower { path: Some(path), file, place })
    }

    /// The file that this stream writes to, from where its next write goes on. One that we may not read is not followed.
    pub(super) fn of_stream(stream: impl AsFd) -> io::Result<Option<Follower>> {
        let Ok(file) = again(&stream) else { return Ok(None) };
        let appends = fcntl_getfl(&stream)?.contains(OFlags::APPEND);
        let place = if appends { file.metadata()?.len() } else { seek(&stream, rustix::fs::SeekFrom::Current(0))? };
        Ok(Some(Follower { path: None, file: Some(file), place }))
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.file.iter().map(AsRawFd::as_raw_fd)
    }

    pub(super) fn start(self, ear: Arc<SharedEar>) -> Running {
        let (ask, asked) = sync_channel(1);
        // Without a pipe to wake it by, it looks by itself in time.
        let (woken, wake) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_or((None, None), |(woken, wake)| (Some(woken), Some(wake)));
        let thread = thread::spawn(move || self.run(&ear, &asked, woken));
        Running { ask, wake, thread }
    }

    fn run(mut self, ear: &SharedEar, asked: &Receiver<SyncSender<()>>, woken: Option<OwnedFd>) {
        let notices = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok();
        let mut buffer = vec![0; CHUNK];
        let mut watched_file = None;
        if let (Some(notices), Some(path)) = (&notices, &self.path) {
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let _ = inotify::add_watch(notices, folder, inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO);
        }
        loop {
            let now = self.file.as_ref().and_then(|file| identity(&file.metadata().ok()?));
            if let (Some(notices), Some(file)) = (&notices, &self.file)
                && now != watched_file
            {
                let _ = inotify::add_watch(notices, format!("/proc/self/fd/{}", file.as_raw_fd()), inotify::WatchFlags::MODIFY);
                watched_file = now;
            }
            self.read_on(&mut buffer, ear);
            match asked.try_recv() {
                Ok(answer) => {
                    self.read_on(&mut buffer, ear);
                    ear.finish();
                    let _ = answer.send(());
                }
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                Err(std::sync::mpsc::TryRecvError::Empty) => {}
            }
            let mut waited = Vec::with_capacity(2);
            waited.extend(notices.as_ref().map(|notices| PollFd::new(notices, PollFlags::IN)));
            waited.extend(woken.as_ref().map(|woken| PollFd::new(woken, PollFlags::IN)));
            let _ = poll(&mut waited, Some(&PATIENCE));
            let was_woken = woken.as_ref().is_some_and(|woken| rustix::io::read(woken, &mut buffer[..64]).is_ok());
            if !was_woken {
                thread::sleep(REST);
            }
            if let Some(notices) = &notices {
                while rustix::io::read(notices, &mut buffer[..4096]).is_ok_and(|length| length > 0) {}
            }
        }
    }

    /// Reads what has been added, to this file and to the one that has taken its name.
    fn read_on(&mut self, buffer: &mut [u8], ear: &SharedEar) {
        loop {
            if self.file.as_ref().is_some_and(|file| file.metadata().is_ok_and(|found| found.len() < self.place)) {
                self.place = 0;
            }
            self.read_to_end(buffer, ear);
            let Some(path) = &self.path else { return };
            let Ok(next) = open(path) else { return };
            let of = |file: &File| file.metadata().ok().as_ref().and_then(identity);
            if self.file.as_ref().and_then(of) == of(&next) {
                return;
            }
            // What was written to the old one after we had read it was written before this one was looked at.
            self.read_to_end(buffer, ear);
            (self.file, self.place) = (Some(next), 0);
        }
    }

    fn read_to_end(&mut self, buffer: &mut [u8], ear: &SharedEar) {
        let Some(file) = &self.file else { return };
        while let Ok(length @ 1..) = file.read_at(buffer, self.place) {
            ear.hear(&buffer[..length], barograph_beacon::monotonic_nanos());
            self.place += length as u64;
        }
    }
}

/// Opens a plain file; anything else might keep us waiting, and does not grow.
fn open(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no file that could grow")) }
}

fn identity(found: &Metadata) -> Option<(u64, u64)> {
    Some((found.dev(), found.ino()))
}

impl Running {
    /// Waits until all is read and heard that has been written.
    pub(super) fn finish(&self) {
        let (answer, answered) = sync_channel(1);
        if self.ask.send(answer).is_ok() {
            self.wake();
            let _ = answered.recv();
        }
    }

    /// Ends it.
    pub(super) fn end(self) {
        let Running { ask, wake, thread } = self;
        drop(ask);
        if let Some(wake) = &wake {
            let _ = rustix::io::write(wake, b"e");
        }
        let _ = thread.join();
    }

    fn wake(&self) {
        if let Some(wake) = &self.wake {
            let _ = rustix::io::write(wake, b"w");
        }
    }
}
