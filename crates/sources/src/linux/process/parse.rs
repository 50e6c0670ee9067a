//! The files of /proc/PID as values: stat, io, status, schedstat, cgroup and cmdline, proc(5). Pure: bytes in, values out.

use rustix::process::Signal;

use super::cpu_time::CpuTime;
use crate::scan::{lines, number, signed, split_key, words};

/// The longest name that the kernel shows: 15 bytes for programs, 63 for its own workers.
const NAME_LENGTH: usize = 63;

/// What stands for a field that could not be understood.
const NOT_A_NUMBER: i64 = i64::MIN;

/// A process's name, kept without memory of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    bytes: [u8; NAME_LENGTH],
    length: u8,
}

impl Name {
    pub(super) fn new(name: &[u8]) -> Name {
        let length = name.len().min(NAME_LENGTH);
        let mut bytes = [0; NAME_LENGTH];
        bytes[..length].copy_from_slice(&name[..length]);
        Name { bytes, length: length as u8 }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// /proc/PID/stat. Memory is in pages, and times but for CPU time in clock ticks: who writes the row converts them.
#[derive(Clone, Copy)]
pub(super) struct Stat {
    pub(super) name: Name,
    pub(super) state: u8,
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) session: u32,
    pub(super) terminal: i64,
    pub(super) minor_faults: u64,
    pub(super) children_minor_faults: u64,
    pub(super) major_faults: u64,
    pub(super) children_major_faults: u64,
    /// Its own CPU time and that of the children that it has collected, in whole clock ticks.
    pub(super) cpu: CpuTime,
    pub(super) children_cpu: CpuTime,
    pub(super) nice: i64,
    pub(super) threads: u64,
    pub(super) start_ticks: u64,
    pub(super) virtual_bytes: u64,
    pub(super) resident_pages: u64,
    pub(super) core: Option<u64>,
    pub(super) io_delay: Option<u64>,
    /// It is a thread that is not its process's first: nobody gets a signal at its end.
    pub(super) is_further_thread: bool,
}

impl Stat {
    /// Whether it has ended and waits to be collected by its parent. While other threads run, only its main thread has ended.
    pub(super) fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && self.threads <= 1
    }

    /// Takes over what belongs to its identity and not to its use, and is only looked at with it.
    pub(super) fn take_belonging(&mut self, other: &Stat) {
        let Stat { group, session, terminal, .. } = *other;
        *self = Stat { group, session, terminal, ..*self };
    }
}

/// The name may hold anything, `)` and newlines too: it ends at the last `)` of the file.
pub(super) fn stat(text: &[u8], nanos_per_tick: u64) -> Option<Stat> {
    let open = text.iter().position(|&byte| byte == b'(')?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let name = Name::new(text.get(open + 1..close)?);
    let mut fields = [0i64; 40];
    let mut rest = words(&text[close + 1..]);
    let state = *rest.next()?.first()?;
    let mut count = 0;
    for (field, word) in fields.iter_mut().zip(rest) {
        // Limits of memory read 2^64-1, which fits no field that we keep.
        *field = signed(word).unwrap_or(NOT_A_NUMBER);
        count += 1;
    }
    // proc(5) numbers the fields from 1; the first number after the state is field 4.
    let signed_field = |n: usize| (n - 4 < count && fields[n - 4] != NOT_A_NUMBER).then(|| fields[n - 4]);
    let field = |n: usize| signed_field(n).and_then(|value| u64::try_from(value).ok());
    let id = |n: usize| field(n).and_then(|value| u32::try_from(value).ok());
    let cpu = |user: usize, system: usize| {
        let nanos = |n: usize| field(n).map(|ticks| ticks.saturating_mul(nanos_per_tick));
        Some(CpuTime { user: nanos(user)?, system: nanos(system)? })
    };
    // Fields up to 24 are there since Linux 2.6; a file without them was torn.
    Some(Stat {
        name,
        state,
        parent: id(4)?,
        group: id(5).unwrap_or(0),
        session: id(6).unwrap_or(0),
        terminal: signed_field(7)?,
        minor_faults: field(10)?,
        children_minor_faults: field(11)?,
        major_faults: field(12)?,
        children_major_faults: field(13)?,
        cpu: cpu(14, 15)?,
        children_cpu: cpu(16, 17)?,
        nice: signed_field(19)?,
        threads: field(20)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
        core: field(39),
        io_delay: field(42),
        is_further_thread: signed_field(38) == Some(-1),
    })
}

/// /proc/PID/io: what the process, its threads and its collected children read and wrote.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Io {
    pub(super) read: u64,
    pub(super) written: u64,
    pub(super) read_calls: u64,
    pub(super) write_calls: u64,
    pub(super) storage_read: u64,
    pub(super) storage_written: u64,
    pub(super) cancelled: u64,
}

pub(super) fn io(text: &[u8]) -> Option<Io> {
    let mut io = Io::default();
    let mut found = 0;
    for line in lines(text) {
        let (key, value) = split_key(line)?;
        let value = number(value)?;
        let place = match key {
            b"rchar" => &mut io.read,
            b"wchar" => &mut io.written,
            b"syscr" => &mut io.read_calls,
            b"syscw" => &mut io.write_calls,
            b"read_bytes" => &mut io.storage_read,
            b"write_bytes" => &mut io.storage_written,
            b"cancelled_write_bytes" => &mut io.cancelled,
            _ => continue,
        };
        *place = value;
        found += 1;
    }
    (found >= 7).then_some(io)
}

/// What we take from /proc/PID/status. Kernel threads and zombies have no memory, so those are absent.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Status {
    pub(super) user_id: Option<u32>,
    pub(super) peak_resident: Option<u64>,
    pub(super) anonymous: Option<u64>,
    pub(super) file: Option<u64>,
    pub(super) shared: Option<u64>,
    pub(super) swap: Option<u64>,
    pub(super) voluntary_switches: Option<u64>,
    pub(super) involuntary_switches: Option<u64>,
    /// It ignores SIGCHLD: the kernel collects its children, and adds what they used to nobody's.
    pub(super) ignores_children: bool,
}

pub(super) fn status(text: &[u8]) -> Status {
    let mut status = Status::default();
    for line in lines(text) {
        let Some((key, rest)) = split_key(line) else { continue };
        if key == b"SigIgn" {
            status.ignores_children = words(rest).next().is_some_and(|mask| is_in_mask(mask, Signal::CHILD));
            continue;
        }
        let Some(value) = words(rest).next().and_then(number) else { continue };
        // The file says kB and means KiB.
        let bytes = value.checked_mul(1024);
        match key {
            b"Uid" => status.user_id = u32::try_from(value).ok(),
            b"VmHWM" => status.peak_resident = bytes,
            b"RssAnon" => status.anonymous = bytes,
            b"RssFile" => status.file = bytes,
            b"RssShmem" => status.shared = bytes,
            b"VmSwap" => status.swap = bytes,
            b"voluntary_ctxt_switches" => status.voluntary_switches = Some(value),
            b"nonvoluntary_ctxt_switches" => status.involuntary_switches = Some(value),
            _ => {}
        }
    }
    status
}

/// Whether a signal is in a mask, in hexadecimal with the lowest signal as its last bit.
fn is_in_mask(mask: &[u8], signal: Signal) -> bool {
    let mask = std::str::from_utf8(mask).ok().and_then(|mask| u64::from_str_radix(mask, 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

/// Nanoseconds that the main thread was ready to run and had no core: the second number of /proc/PID/schedstat.
pub(super) fn run_delay_nanos(text: &[u8]) -> Option<u64> {
    words(text).nth(1).and_then(number)
}

/// The control group: the path of cgroup v2 where it is in use, else that of a v1 hierarchy that jobs are put in.
pub(super) fn cgroup(text: &[u8]) -> Option<&[u8]> {
    let path_of = |wanted: fn(&[u8]) -> bool| {
        lines(text).find_map(|line| {
            let mut parts = line.splitn(3, |&byte| byte == b':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            (wanted(controllers) && path != b"/").then_some(path)
        })
    };
    path_of(<[u8]>::is_empty)
        .or_else(|| path_of(|controllers| controllers.split(|&byte| byte == b',').any(|name| name == b"memory")))
        .or_else(|| path_of(|controllers| !controllers.is_empty()))
        .or_else(|| lines(text).next().map(|_| b"/".as_slice()))
}

/// The container that a control group's path names: Docker, containerd, CRI-O and Podman all use 64 hexadecimal digits.
pub(super) fn container(cgroup: &[u8]) -> Option<&[u8]> {
    cgroup.split(|byte| !byte.is_ascii_hexdigit()).rfind(|word| word.len() == 64)
}

/// The command line as one could type it: arguments with blanks or quotes in them stand in single quotes.
pub(super) fn command_line(text: &[u8], into: &mut Vec<u8>) {
    into.clear();
    let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    // Programs that write a title over their arguments fill the rest with zeros: one or two arguments at the end may be empty, more are filling.
    let text = if text.len() - end > 3 { &text[..end] } else { text.strip_suffix(b"\0").unwrap_or(text) };
    if text.is_empty() {
        return;
    }
    for argument in text.split(|&byte| byte == 0) {
        if !into.is_empty() {
            into.push(b' ');
        }
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || b"_-+=:,./@%^".contains(byte);
        if !argument.is_empty() && argument.iter().all(plain) {
            into.extend_from_slice(argument);
        } else {
            into.push(b'\'');
            for &byte in argument {
                match byte {
                    b'\'' => into.extend_from_slice(b"'\\''"),
                    _ => into.push(byte),
                }
            }
            into.push(b'\'');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4312 (python) S 4310 4310 4200 34816 4310 4194304 31204 120 7 1 1432 210 33 9 20 -5 12 0 987654 2831155200 151234 \
        18446744073709551615 1 1 0 0 0 0 0 16781312 17642 0 0 0 17 3 0 0 25 0 0 0 0 0 0 0 0 0 0";

    #[test]
    fn a_line_of_stat() {
        let stat = stat(STAT.as_bytes(), 10).unwrap();
        assert_eq!((stat.name.as_bytes(), stat.state, stat.parent, stat.session), (&b"python"[..], b'S', 4310, 4200));
        assert_eq!((stat.minor_faults, stat.children_minor_faults, stat.major_faults), (31204, 120, 7));
        let times = [stat.cpu, stat.children_cpu].map(|time| (time.user, time.system));
        assert_eq!(times, [(14320, 2100), (330, 90)]);
        assert_eq!((stat.nice, stat.threads, stat.start_ticks), (-5, 12, 987_654));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (2_831_155_200, 151_234));
        assert_eq!((stat.core, stat.io_delay, stat.is_further_thread), (Some(3), Some(25), false));
        let thread = STAT.replace(" 17 3 ", " -1 3 ");
        assert!(super::stat(thread.as_bytes(), 10).unwrap().is_further_thread);
    }

    #[test]
    fn names_hold_anything() {
        for name in ["a) S 1", "two\nlines", "(((", "", "\u{1F4A9}"] {
            let text = STAT.replace("python", name);
            let stat = stat(text.as_bytes(), 10).unwrap();
            assert_eq!(stat.name.as_bytes(), name.as_bytes());
            assert_eq!(stat.parent, 4310);
        }
    }

    #[test]
    fn torn_files_are_refused() {
        for end in 0..STAT.find(" 151234").unwrap() {
            assert!(stat(&STAT.as_bytes()[..end], 10).is_none(), "{end}");
        }
        assert!(io(b"rchar: 12\nwchar: 1").is_none());
    }

    #[test]
    fn io_counts_bytes_and_calls() {
        let text = b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\ncancelled_write_bytes: 7\n";
        let expected = Io { read: 1, written: 2, read_calls: 3, write_calls: 4, storage_read: 5, storage_written: 6, cancelled: 7 };
        assert_eq!(io(text), Some(expected));
    }

    #[test]
    fn status_is_in_kibibytes() {
        let text =
            b"Name:\ta b\nUid:\t1000\t1000\t1000\t1000\nVmHWM:\t    2048 kB\nRssAnon:\t 1024 kB\nVmSwap:\t 0 kB\nSigIgn:\t0000000000010a00\nvoluntary_ctxt_switches:\t9\n";
        assert!(!status(b"SigIgn:\t0000000000021000\n").ignores_children);
        let status = status(text);
        assert!(status.ignores_children);
        assert_eq!(status.user_id, Some(1000));
        assert_eq!((status.peak_resident, status.anonymous, status.swap), (Some(2 << 20), Some(1 << 20), Some(0)));
        assert_eq!((status.voluntary_switches, status.involuntary_switches, status.file), (Some(9), None, None));
    }

    #[test]
    fn control_groups_of_both_versions() {
        assert_eq!(cgroup(b"0::/user.slice/a.scope\n"), Some(&b"/user.slice/a.scope"[..]));
        assert_eq!(cgroup(b"12:cpu,cpuacct:/x\n5:memory:/job:1\n0::/\n"), Some(&b"/job:1"[..]));
        assert_eq!(cgroup(b"0::/\n"), Some(&b"/"[..]));
        assert_eq!(cgroup(b""), None);
    }

    #[test]
    fn containers_are_found_in_control_groups() {
        let id = "0123456789abcdef".repeat(4);
        for path in [format!("/docker/{id}"), format!("/system.slice/docker-{id}.scope"), format!("/kubepods/pod1/cri-containerd-{id}.scope")] {
            assert_eq!(container(path.as_bytes()), Some(id.as_bytes()));
        }
        assert_eq!(container(b"/user.slice/session-1.scope"), None);
    }

    #[test]
    fn command_lines_can_be_typed_again() {
        let mut line = Vec::new();
        command_line(b"sh\0-c\0echo 'a b'\0\0", &mut line);
        assert_eq!(line, b"sh -c 'echo '\\''a b'\\''' ''");
        for empty in [&b""[..], b"\0", b"\0\0\0\0\0"] {
            command_line(empty, &mut line);
            assert!(line.is_empty());
        }
        command_line(b"nginx: master process\0\0\0\0\0\0", &mut line);
        assert_eq!(line, b"'nginx: master process'");
    }
}
