//! The states in which a crash may leave a file system.
//!
//! Safe is what was synced: the bytes of a file by fsync or fdatasync of the file, a name by fsync of the folder that it stands in, and neither by the
//! other. Of all that was not synced, any part may be there: bytes whole, in torn pages, or as zeros within the new length; names as far as the file
//! system's journal had come, or some and not others. A rename is there or it is not, and what it replaced lives until then.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::history::{Change, Event, History, Node, ROOT};

/// What a disk writes at once.
const PAGE: usize = 4096;

/// Which names a crash may leave of those that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// All up to some moment, as file systems with a journal do.
    Ordered,
    /// Any of them: all that POSIX promises.
    AnyOrder,
}

/// The life of a file system up to a moment, at which its power is cut.
pub struct PowerCut {
    history: History,
    next: usize,
    folders: HashMap<Node, Names>,
    /// Changes of names that no sync has made safe, oldest first.
    names: Vec<Arc<Event>>,
    files: HashMap<Node, File>,
}

type Names = BTreeMap<OsString, Node>;

#[derive(Default)]
struct File {
    safe: Vec<u8>,
    /// Writes since, and whether they were synced; one that was may follow one that never will be.
    later: Vec<(Arc<Event>, Sync)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    Done,
    Pending,
    Failed,
}

impl PowerCut {
    pub(crate) fn new(history: History) -> PowerCut {
        PowerCut { history, next: 0, folders: HashMap::from([(ROOT, Names::new())]), names: Vec::new(), files: HashMap::new() }
    }

    /// How many moments there are.
    pub fn moments(&self) -> usize {
        self.history.len()
    }

    /// When the first and the last change was made, in nanoseconds since boot.
    pub fn time(&self) -> (i64, i64) {
        let at = |event: Option<&Arc<Event>>| event.map_or(0, |event| event.boot_nanos);
        (at(self.history.first()), at(self.history.last()))
    }

    /// The last moment up to this time since boot, in nanoseconds.
    pub fn moment_at(&self, boot_nanos: i64) -> usize {
        self.history.partition_point(|event| event.boot_nanos <= boot_nanos)
    }

    /// Goes on to this moment. There is no way back.
    pub fn advance(&mut self, moment: usize) {
        while self.next < moment.min(self.history.len()) {
            let event = Arc::clone(&self.history[self.next]);
            self.next += 1;
            self.see(event);
        }
    }

    fn see(&mut self, event: Arc<Event>) {
        match event.change {
            Change::Make { node, is_folder, .. } => {
                if is_folder {
                    self.folders.insert(node, Names::new());
                } else {
                    self.files.insert(node, File::default());
                }
                self.names.push(event);
            }
            Change::Remove { .. } | Change::Move { .. } => self.names.push(event),
            Change::Write { node, .. } | Change::Resize { node, .. } => {
                self.files.entry(node).or_default().later.push((event, Sync::Pending));
            }
            Change::SyncFile { node } => self.files.entry(node).or_default().synced(Sync::Done),
            Change::FailToSync { node } => self.files.entry(node).or_default().synced(Sync::Failed),
            Change::SyncFolder { node } => {
                let (safe, rest) = std::mem::take(&mut self.names).into_iter().partition(|event| event.change.is_in(node));
                self.names = rest;
                let safe: Vec<Arc<Event>> = safe;
                safe.iter().for_each(|event| event.change.rename(&mut self.folders));
            }
        }
    }

    /// Writes into an empty folder what is left if the power is cut now. The same seed gives the same state.
    pub fn cut(&self, law: Law, seed: u64, into: &Path) -> io::Result<()> {
        let mut random = Random(seed);
        let mut folders = self.folders.clone();
        match law {
            Law::Ordered => {
                let survive = random.below(self.names.len() + 1);
                self.names[..survive].iter().for_each(|event| event.change.rename(&mut folders));
            }
            Law::AnyOrder => {
                self.names.iter().filter(|_| random.below(2) == 0).for_each(|event| event.change.rename(&mut folders));
            }
        }
        self.write(&folders, ROOT, into, &mut random)
    }

    fn write(&self, folders: &HashMap<Node, Names>, folder: Node, into: &Path, random: &mut Random) -> io::Result<()> {
        for (name, node) in folders.get(&folder).into_iter().flatten() {
            let path = into.join(name);
            if folders.contains_key(node) {
                fs::create_dir(&path)?;
                self.write(folders, *node, &path, random)?;
            } else {
                fs::write(&path, self.files.get(node).map(|file| file.left(random)).unwrap_or_default())?;
            }
        }
        Ok(())
    }
}

impl Change {
    fn is_in(&self, folder: Node) -> bool {
        match self {
            Change::Make { folder: own, .. } | Change::Remove { folder: own, .. } => *own == folder,
            Change::Move { from, to, .. } => from.0 == folder || to.0 == folder,
            _ => false,
        }
    }

    fn rename(&self, folders: &mut HashMap<Node, Names>) {
        let mut forget = |folder: &Node, name: &OsString, node: &Node| {
            if let Some(names) = folders.get_mut(folder).filter(|names| names.get(name) == Some(node)) {
                names.remove(name);
            }
        };
        match self {
            Change::Make { folder, name, node, .. } => {
                folders.entry(*folder).or_default().insert(name.clone(), *node);
            }
            Change::Remove { folder, name, node } => forget(folder, name, node),
            Change::Move { from, to, node } => {
                forget(&from.0, &from.1, node);
                folders.entry(to.0).or_default().insert(to.1.clone(), *node);
            }
            _ => {}
        }
    }
}

impl File {
    fn synced(&mut self, how: Sync) {
        self.later.iter_mut().filter(|(_, sync)| *sync == Sync::Pending).for_each(|(_, sync)| *sync = how);
        let done = self.later.iter().take_while(|(_, sync)| *sync == Sync::Done).count();
        for (event, _) in self.later.drain(..done) {
            event.change.write(&mut self.safe);
        }
    }

    /// What a crash may leave of it.
    fn left(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        let how = random.below(5);
        let survive = random.below(self.later.len() + 1);
        for (place, (event, sync)) in self.later.iter().enumerate() {
            match how {
                _ if *sync == Sync::Done => event.change.write(&mut bytes),
                0 => {}
                1 => event.change.write(&mut bytes),
                2 => event.change.lengthen(&mut bytes),
                3 if place < survive => event.change.write(&mut bytes),
                3 => {}
                _ => event.change.write_torn(&mut bytes, random),
            }
        }
        bytes
    }
}

impl Change {
    pub(crate) fn write(&self, content: &mut Vec<u8>) {
        self.lengthen(content);
        match self {
            Change::Write { offset, bytes, .. } => content[*offset..offset + bytes.len()].copy_from_slice(bytes),
            Change::Resize { bytes, .. } => content.truncate(*bytes),
            _ => {}
        }
    }

    /// The length alone, with zeros for what is not there.
    fn lengthen(&self, content: &mut Vec<u8>) {
        let least = match self {
            Change::Write { offset, bytes, .. } => offset + bytes.len(),
            Change::Resize { bytes, .. } => *bytes,
            _ => 0,
        };
        if content.len() < least {
            content.resize(least, 0);
        }
    }

    fn write_torn(&self, content: &mut Vec<u8>, random: &mut Random) {
        let Change::Write { offset, bytes, .. } = self else { return self.write(content) };
        if random.below(2) == 0 {
            self.lengthen(content);
        }
        let mut begin = 0;
        while begin < bytes.len() {
            let end = bytes.len().min((offset + begin) / PAGE * PAGE + PAGE - offset);
            if random.below(2) == 0 {
                let page = bytes[begin..end].to_vec();
                Change::Write { node: 0, offset: offset + begin, bytes: page }.write(content);
            }
            begin = end;
        }
    }
}

/// A generator of numbers that look random; SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }
}
