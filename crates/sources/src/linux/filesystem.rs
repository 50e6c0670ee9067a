//! Room in the mounted file systems, from /proc/self/mountinfo and statvfs(3).
//!
//! Nothing here is read in a tick: asking a file system for its room can take long, and for ever where a network mount is dead. Those that live on
//! the network are a source of their own with a thread of its own, so that a dead one holds up nobody but its like.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use barograph_model::{Batch, Bytes, Count, Described, Gauge, Moment, Rows, Text, table};

use crate::scan::{complete, lines, words};
use crate::{Cadence, Entry, Fault, FaultKind, Faults, Machine, Root, Source};

table! {
    /// Room in each mounted file system that stores something. A file system that is mounted at several places has one row.
    pub Filesystem = "filesystem" in "/proc/self/mountinfo and statvfs(3)" {
        key {
            /// Where it is mounted.
            mount: Text = "mountinfo field 5",
        }
        /// The device or remote folder that it is on, such as `/dev/sda1`.
        device: Text = "mountinfo, second field after the dash",
        /// Its type, such as `ext4`.
        kind: Text = "mountinfo, first field after the dash",
        /// Whether it is mounted for reading only: 1 or 0.
        read_only: Gauge<Count> = "mountinfo, option ro",
        /// How many bytes it can hold.
        size: Gauge<Bytes> = "statvfs f_blocks",
        /// Bytes that hold nothing, those that are kept for root included.
        free: Gauge<Bytes> = "statvfs f_bfree",
        /// Bytes that an ordinary user may still write.
        available: Gauge<Bytes> = "statvfs f_bavail",
        /// How many files and folders it can hold. Absent where it has no such limit.
        inodes_total: Gauge<Count> = "statvfs f_files",
        /// How many more files and folders it can hold.
        inodes_free: Gauge<Count> = "statvfs f_ffree",
    }
}

const CADENCE: Cadence = Cadence::Slow(Duration::from_secs(10));

pub(super) const ENTRY: Entry =
    Entry { name: "filesystem", tables: &[Filesystem::TABLE], cadence: CADENCE, open: |machine| open(machine, Place::Local) };

pub(super) const NETWORK_ENTRY: Entry =
    Entry { name: "filesystem_network", tables: &[Filesystem::TABLE], cadence: CADENCE, open: |machine| open(machine, Place::Network) };

/// Types that store nothing: the kernel's windows on itself. `squashfs` and `erofs` are packages mounted as they are, always full.
const NOT_STORAGE: &[&str] = &[
    "autofs",
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cpuset",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fuse.lxcfs",
    "fuse.portal",
    "fuse.snapfuse",
    "fuse.squashfuse",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "resctrl",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// Types whose files are on other machines, or in a program that may not answer (all of `fuse`, but for `fuseblk`).
const NETWORK: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "beegfs_nodev",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fhgfs",
    "fuse",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "panfs",
    "prl_fs",
    "pvfs2",
    "smb3",
    "smbfs",
    "sshfs",
    "vboxsf",
    "virtiofs",
    "wekafs",
];

/// Where a file system's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Local,
    Network,
}

struct FilesystemSource {
    machine: Arc<Machine>,
    mountinfo: &'static str,
    place: Place,
    buffer: Vec<u8>,
    faults: Faults,
    rows: Rows<Filesystem>,
}

fn open(machine: &Arc<Machine>, place: Place) -> Result<Option<Box<dyn Source>>, Fault> {
    // Seen from a container whose host is mounted somewhere, "self" would be the container: the first process of the host sees the host's mounts.
    let host = machine.roots().mounts.as_os_str() != "/" && machine.exists(Root::Proc, "1/mountinfo");
    let mountinfo = if host { "1/mountinfo" } else { "self/mountinfo" };
    if !machine.exists(Root::Proc, mountinfo) {
        return Ok(None);
    }
    let (machine, buffer, faults, rows) = (machine.clone(), Vec::new(), Faults::default(), Rows::new());
    Ok(Some(Box::new(FilesystemSource { machine, mountinfo, place, buffer, faults, rows })))
}

impl Source for FilesystemSource {
    fn read(&mut self, at: Moment) -> Result<(), Fault> {
        self.machine.read(Root::Proc, self.mountinfo, &mut self.buffer)?;
        let mut faults = Faults::default();
        let mounts = choose(parse(complete(&self.buffer), &mut faults));
        if self.place == Place::Local {
            // Both sources read the same lines: one of them counts what is wrong there.
            self.faults.add(faults);
        }
        for mount in mounts.iter().filter(|mount| mount.place == self.place) {
            let room = self.machine.statvfs(&mount.point);
            // Without blocks it stores nothing, whatever its type.
            if room.as_ref().is_ok_and(|room| room.f_blocks == 0) {
                continue;
            }
            let mut row = self.rows.row(at);
            row.text(Filesystem::mount, &*mount.point)
                .text(Filesystem::device, &*mount.device)
                .text(Filesystem::kind, mount.kind)
                .set(Filesystem::read_only, u64::from(mount.read_only));
            match room {
                Ok(room) => {
                    let inodes = room.f_files > 0;
                    row.set(Filesystem::size, room.f_blocks.checked_mul(room.f_frsize))
                        .set(Filesystem::free, room.f_bfree.checked_mul(room.f_frsize))
                        .set(Filesystem::available, room.f_bavail.checked_mul(room.f_frsize))
                        .set(Filesystem::inodes_total, inodes.then_some(room.f_files))
                        .set(Filesystem::inodes_free, inodes.then_some(room.f_ffree));
                }
                Err(errno) => self.faults.count(errno.into()),
            }
        }
        Ok(())
    }

    fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.rows);
    }

    fn faults(&self) -> Faults {
        self.faults
    }
}

/// A line of mountinfo, names decoded.
#[derive(Clone, Debug, PartialEq)]
struct Mount<'a> {
    device_number: &'a [u8],
    /// Whether it shows the file system from its root on, not a folder of it.
    whole: bool,
    point: Vec<u8>,
    read_only: bool,
    kind: &'a [u8],
    device: Vec<u8>,
    place: Place,
}

/// The mounts of file systems that store something. Lines that are not whole are counted.
fn parse<'a>(text: &'a [u8], faults: &mut Faults) -> Vec<Mount<'a>> {
    let mut mounts = Vec::new();
    for line in lines(text) {
        match parse_line(line) {
            Some(mount) => mounts.push(mount),
            None => faults.count(FaultKind::Malformed),
        }
    }
    mounts
}

/// `36 35 98:0 /folder /mnt rw,noatime master:1 - ext3 /dev/root rw`: the optional fields end at the dash.
fn parse_line(line: &[u8]) -> Option<Mount<'_>> {
    let mut fields = words(line).skip(2);
    let (device_number, root, point, options) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if !point.starts_with(b"/") {
        return None;
    }
    let mut fields = fields.skip_while(|&field| field != b"-").skip(1);
    let kind = fields.next()?;
    let device = fields.next()?;
    let mut options = options.split(|&byte| byte == b',').chain(fields.next().unwrap_or_default().split(|&byte| byte == b','));
    Some(Mount {
        device_number,
        whole: root == b"/",
        point: decode(point),
        read_only: options.any(|option| option == b"ro"),
        kind,
        device: decode(device),
        place: if is_network(kind) { Place::Network } else { Place::Local },
    })
}

fn is_network(kind: &[u8]) -> bool {
    kind.starts_with(b"fuse.") || NETWORK.iter().any(|network| network.as_bytes() == kind)
}

/// Blanks, tabs, line ends and backslashes of names are written as a backslash and three octal digits.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] if first == b'\\' => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), after)
            }
            _ => (first, after),
        };
        decoded.push(byte);
        rest = after;
    }
    decoded
}

/// The mounts that get a row: those that can be reached, store something, and show what no other row shows.
fn choose(mounts: Vec<Mount<'_>>) -> Vec<Mount<'_>> {
    // What is mounted later at the same place hides what was there.
    let visible: HashMap<Vec<u8>, usize> = mounts.iter().enumerate().map(|(index, mount)| (mount.point.clone(), index)).collect();
    let reachable = mounts.into_iter().enumerate().filter(|(index, mount)| visible[&mount.point] == *index);
    let mut chosen: Vec<Mount<'_>> = Vec::new();
    let mut rows: HashMap<&[u8], usize> = HashMap::new();
    for (_, mount) in reachable.filter(|(_, mount)| is_storage(mount)) {
        match rows.get(mount.device_number) {
            None => {
                rows.insert(mount.device_number, chosen.len());
                chosen.push(mount);
            }
            // Of several mounts of one file system, the one that shows all of it, then the one with the shortest name, is the one that people mean.
            Some(&row) => {
                let rank = |mount: &Mount<'_>| (!mount.whole, mount.point.len());
                if rank(&mount) < rank(&chosen[row]) {
                    chosen[row] = mount;
                }
            }
        }
    }
    below_network(&mut chosen);
    chosen
}

/// Packages, the kernel's windows on itself, and what containers put over them (masks in /proc and /sys, a small /dev) store nothing.
fn is_storage(mount: &Mount<'_>) -> bool {
    let within = |folder: &str| mount.point.strip_prefix(folder.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
    // Any overlay but the machine's own root shows files that lie on another file system, which has its row.
    let overlaid = mount.kind == b"overlay" && mount.point != b"/";
    let window = within("/proc") || within("/sys") || within("/dev") && !within("/dev/shm");
    !overlaid && !window && !NOT_STORAGE.iter().any(|kind| kind.as_bytes() == mount.kind)
}

/// The way to a local file system that is mounted within a network mount leads through the latter, and ends there when that is dead.
fn below_network(mounts: &mut [Mount<'_>]) {
    let networks: Vec<Vec<u8>> = mounts.iter().filter(|mount| mount.place == Place::Network).map(|mount| mount.point.clone()).collect();
    for mount in mounts {
        let below = |network: &Vec<u8>| mount.point.strip_prefix(&**network).is_some_and(|rest| rest.starts_with(b"/"));
        if networks.iter().any(below) {
            mount.place = Place::Network;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Vec<(String, Place)> {
        let mut faults = Faults::default();
        let mounts = choose(parse(text.as_bytes(), &mut faults));
        assert_eq!(faults, Faults::default());
        mounts.into_iter().map(|mount| (String::from_utf8(mount.point).unwrap(), mount.place)).collect()
    }

    #[test]
    fn a_line_is_a_mount() {
        let mount = parse_line(br"36 35 98:0 /folder /my\040disk ro,noatime master:1 shared:2 - ext3 /dev/ro\134ot rw,errors=continue").unwrap();
        let expected = Mount {
            device_number: b"98:0",
            whole: false,
            point: b"/my disk".into(),
            read_only: true,
            kind: b"ext3",
            device: br"/dev/ro\ot".into(),
            place: Place::Local,
        };
        assert_eq!(mount, expected);
        assert!(parse_line(b"36 35 98:0 /folder /mnt rw").is_none());
    }

    #[test]
    fn names_are_decoded_and_what_is_no_code_stays() {
        assert_eq!(decode(br"a\040b\011\012\134\x\04"), b"a b\t\n\\\\x\\04");
        assert_eq!(decode(br"\303\251\777"), b"\xC3\xA9\\777");
    }

    #[test]
    fn each_storage_has_one_row() {
        let text = "\
            1 0 8:2 / / rw - ext4 /dev/sda2 rw\n\
            2 1 0:5 / /proc rw - proc proc rw\n\
            3 1 8:3 /sub /h rw - xfs /dev/sda3 rw\n\
            4 1 8:3 / /home rw - xfs /dev/sda3 rw\n\
            5 1 0:7 / /dev/shm rw - tmpfs old rw\n\
            6 1 0:8 / /dev/shm rw - tmpfs new rw\n\
            7 1 0:9 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n\
            8 1 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro\n\
            9 1 0:10 / /proc/acpi ro - tmpfs tmpfs ro\n";
        let expected = [("/", Place::Local), ("/home", Place::Local), ("/dev/shm", Place::Local)];
        assert_eq!(chosen(text), expected.map(|(point, place)| (point.to_owned(), place)));
    }

    #[test]
    fn what_may_hang_is_apart() {
        let text = "\
            1 0 0:20 / / rw - overlay overlay rw\n\
            2 1 0:21 / /data rw - nfs4 server:/data rw\n\
            3 2 8:3 / /data/scratch rw - ext4 /dev/sda3 rw\n\
            4 1 8:4 / /database rw - ext4 /dev/sda4 rw\n\
            5 1 0:23 / /mnt/ssh rw - fuse.sshfs me@there: rw\n\
            6 1 8:5 / /mnt/windows rw - fuseblk /dev/sda5 rw\n";
        let expected = [
            ("/", Place::Local),
            ("/data", Place::Network),
            ("/data/scratch", Place::Network),
            ("/database", Place::Local),
            ("/mnt/ssh", Place::Network),
            ("/mnt/windows", Place::Local),
        ];
        assert_eq!(chosen(text), expected.map(|(point, place)| (point.to_owned(), place)));
    }
}
