//! The file system itself: a tree in memory that answers the kernel, and writes down what it was asked to change.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::Operation;
use crate::history::{Change, History, Node, ROOT, event};

/// Nothing is cached: what another process changed is seen at once.
const NOT_CACHED: Duration = Duration::ZERO;

const BLOCK: u32 = 4096;

enum Content {
    File(Vec<u8>),
    Folder(BTreeMap<OsString, Node>),
}

struct Entry {
    content: Content,
    changed: SystemTime,
}

/// The tree, what has happened to it, and what fails.
pub(crate) struct State {
    entries: HashMap<Node, Entry>,
    next: Node,
    pub(crate) history: History,
    pub(crate) faults: Vec<(Operation, io::ErrorKind)>,
}

impl Default for State {
    fn default() -> State {
        let root = Entry { content: Content::Folder(BTreeMap::new()), changed: SystemTime::now() };
        State { entries: HashMap::from([(ROOT, root)]), next: ROOT + 1, history: History::new(), faults: Vec::new() }
    }
}

type Answer<T> = Result<T, Errno>;

impl State {
    fn check(&self, operation: Operation) -> Answer<()> {
        match self.faults.iter().find(|(failing, _)| *failing == operation) {
            None => Ok(()),
            Some((_, io::ErrorKind::StorageFull)) => Err(Errno::ENOSPC),
            Some((_, io::ErrorKind::ReadOnlyFilesystem)) => Err(Errno::EROFS),
            Some(_) => Err(Errno::EIO),
        }
    }

    fn note(&mut self, change: Change) {
        self.history.push(event(change));
    }

    fn entry(&mut self, node: Node) -> Answer<&mut Entry> {
        self.entries.get_mut(&node).ok_or(Errno::ENOENT)
    }

    fn file(&mut self, node: Node) -> Answer<&mut Vec<u8>> {
        match self.entry(node)? {
            Entry { content: Content::File(bytes), .. } => Ok(bytes),
            _ => Err(Errno::EISDIR),
        }
    }

    fn folder(&mut self, node: Node) -> Answer<&mut BTreeMap<OsString, Node>> {
        match self.entry(node)? {
            Entry { content: Content::Folder(names), .. } => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn find(&mut self, folder: Node, name: &OsStr) -> Answer<Node> {
        self.folder(folder)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn attributes(&mut self, node: Node) -> Answer<FileAttr> {
        let entry = self.entry(node)?;
        let (kind, perm, size) = match &entry.content {
            Content::File(bytes) => (FileType::RegularFile, 0o644, bytes.len() as u64),
            Content::Folder(_) => (FileType::Directory, 0o755, 0),
        };
        let at = entry.changed;
        Ok(FileAttr {
            ino: INodeNo(node),
            size,
            blocks: size.div_ceil(512),
            atime: at,
            mtime: at,
            ctime: at,
            crtime: at,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        })
    }

    fn make(&mut self, folder: Node, name: &OsStr, is_folder: bool) -> Answer<FileAttr> {
        self.check(Operation::Create)?;
        if self.folder(folder)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let node = self.next;
        self.next += 1;
        let content = if is_folder { Content::Folder(BTreeMap::new()) } else { Content::File(Vec::new()) };
        self.entries.insert(node, Entry { content, changed: SystemTime::now() });
        self.folder(folder)?.insert(name.to_owned(), node);
        self.note(Change::Make { folder, name: name.to_owned(), node, is_folder });
        self.attributes(node)
    }

    fn change(&mut self, node: Node, change: Change) -> Answer<()> {
        change.write(self.file(node)?);
        self.entry(node)?.changed = SystemTime::now();
        self.note(change);
        Ok(())
    }

    /// What has no name any more stays readable for who has it open; a test's disk need not be tidy.
    fn remove(&mut self, folder: Node, name: &OsStr, wants_folder: bool) -> Answer<()> {
        let node = self.find(folder, name)?;
        match &self.entry(node)?.content {
            Content::Folder(_) if !wants_folder => return Err(Errno::EISDIR),
            Content::Folder(names) if !names.is_empty() => return Err(Errno::ENOTEMPTY),
            Content::File(_) if wants_folder => return Err(Errno::ENOTDIR),
            _ => {}
        }
        self.folder(folder)?.remove(name);
        self.note(Change::Remove { folder, name: name.to_owned(), node });
        Ok(())
    }

    fn rename(&mut self, from: (Node, OsString), to: (Node, OsString)) -> Answer<()> {
        self.check(Operation::Rename)?;
        let node = self.find(from.0, &from.1)?;
        self.folder(from.0)?.remove(&from.1);
        self.folder(to.0)?.insert(to.1.clone(), node);
        self.note(Change::Move { from, to, node });
        Ok(())
    }

    fn sync_file(&mut self, node: Node) -> Answer<()> {
        let checked = self.check(Operation::SyncFile);
        self.note(if checked.is_ok() { Change::SyncFile { node } } else { Change::FailToSync { node } });
        checked
    }

    fn sync_folder(&mut self, node: Node) -> Answer<()> {
        self.check(Operation::SyncFolder)?;
        self.note(Change::SyncFolder { node });
        Ok(())
    }
}

pub(crate) struct Server(Arc<Mutex<State>>);

impl Server {
    pub(crate) fn new(state: Arc<Mutex<State>>) -> Server {
        Server(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn done(answer: Answer<()>, reply: ReplyEmpty) {
    match answer {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn entry(answer: Answer<FileAttr>, reply: ReplyEntry) {
    match answer {
        Ok(attributes) => reply.entry(&NOT_CACHED, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Server {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut state = self.state();
        entry(state.find(parent.0, name).and_then(|node| state.attributes(node)), reply);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.state().attributes(ino.0) {
            Ok(attributes) => reply.attr(&NOT_CACHED, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut state = self.state();
        let resized = size.map_or(Ok(()), |size| state.change(ino.0, Change::Resize { node: ino.0, bytes: size as usize }));
        match resized.and_then(|()| state.attributes(ino.0)) {
            Ok(attributes) => reply.attr(&NOT_CACHED, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, _mode: u32, _umask: u32, reply: ReplyEntry) {
        entry(self.state().make(parent.0, name, true), reply);
    }

    fn create(&self, _req: &Request, parent: INodeNo, name: &OsStr, _mode: u32, _umask: u32, _flags: i32, reply: ReplyCreate) {
        match self.state().make(parent.0, name, false) {
            Ok(attributes) => reply.created(&NOT_CACHED, &attributes, Generation(0), FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.state().remove(parent.0, name, false), reply);
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.state().remove(parent.0, name, true), reply);
    }

    fn rename(&self, _req: &Request, parent: INodeNo, name: &OsStr, newparent: INodeNo, newname: &OsStr, _flags: RenameFlags, reply: ReplyEmpty) {
        done(self.state().rename((parent.0, name.to_owned()), (newparent.0, newname.to_owned())), reply);
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut state = self.state();
        match state.check(Operation::Read).and_then(|()| state.file(ino.0)) {
            Ok(bytes) => {
                let begin = bytes.len().min(offset as usize);
                reply.data(&bytes[begin..bytes.len().min(begin + size as usize)]);
            }
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.state();
        let change = Change::Write { node: ino.0, offset: offset as usize, bytes: data.to_vec() };
        match state.check(Operation::Write).and_then(|()| state.change(ino.0, change)) {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(error),
        }
    }

    fn fsync(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        done(self.state().sync_file(ino.0), reply);
    }

    fn fsyncdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        done(self.state().sync_folder(ino.0), reply);
    }

    fn readdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut state = self.state();
        let names: Vec<(OsString, Node)> = match state.folder(ino.0) {
            Ok(names) => names.iter().map(|(name, node)| (name.clone(), *node)).collect(),
            Err(error) => return reply.error(error),
        };
        for (place, (name, node)) in names.into_iter().enumerate().skip(offset as usize) {
            let is_folder = state.folder(node).is_ok();
            let kind = if is_folder { FileType::Directory } else { FileType::RegularFile };
            if reply.add(INodeNo(node), place as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        reply.statfs(1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, BLOCK, 255, BLOCK);
    }
}
