//! bpf(2), and memory that goes back at once: the only unsafe code of this crate.

#![allow(unsafe_code, reason = "there is no safe face of bpf(2)")]

use std::ffi::{CStr, c_long, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::{ptr, slice};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::program::Program;

// Commands and numbers of uapi/linux/bpf.h.
const PROG_LOAD: c_long = 5;
const LINK_CREATE: c_long = 28;
const ITER_CREATE: c_long = 33;
const PROG_TYPE_TRACING: u32 = 26;
const TRACE_ITER: u32 = 28;

/// The helper that writes records is only for programs that may be had under the GPL; ours may be had under MIT, and so under both.
const LICENSE: &CStr = c"Dual MIT/GPL";
/// As much as we want to hear of why a program was refused.
const LOG_LENGTH: usize = 64 * 1024;

#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
}

#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct IterCreate {
    link_fd: u32,
    flags: u32,
}

/// Runs a command that makes a descriptor.
///
/// # Safety
/// The attributes must be laid out as the kernel has them for this command, and their addresses be of memory that lives and is as long as they say.
unsafe fn bpf<A>(command: c_long, attributes: &A) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise; the size is that of what is passed.
    let outcome = unsafe { libc::syscall(libc::SYS_bpf, command, ptr::from_ref(attributes), size_of::<A>()) };
    match i32::try_from(outcome) {
        // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
        Ok(descriptor @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the kernel check the program and make it its own. If it refuses, the error is its own word.
pub(super) fn load(program: &Program) -> io::Result<OwnedFd> {
    match load_with(program, &mut []) {
        // What the kernel says costs time, so it is asked to say it only then.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EINVAL)) => {
            let mut log = vec![0; LOG_LENGTH];
            load_with(program, &mut log).map_err(|error| io::Error::new(error.kind(), format!("{error}: {}", last_words(&log))))
        }
        other => other,
    }
}

fn load_with(program: &Program, log: &mut [u8]) -> io::Result<OwnedFd> {
    let address = |pointer: *const u8| pointer.expose_provenance() as u64;
    let length = |length: usize| u32::try_from(length).map_err(io::Error::other);
    let attributes = ProgLoad {
        prog_type: PROG_TYPE_TRACING,
        expected_attach_type: TRACE_ITER,
        attach_btf_id: program.target,
        insn_cnt: length(program.instructions.len())?,
        insns: address(program.instructions.as_ptr().cast()),
        license: address(LICENSE.as_ptr().cast()),
        log_level: u32::from(!log.is_empty()),
        log_size: length(log.len())?,
        log_buf: if log.is_empty() { 0 } else { address(log.as_mut_ptr()) },
        prog_name: *b"barograph\0\0\0\0\0\0\0",
        ..ProgLoad::default()
    };
    // SAFETY: the layout is tested below. Instructions, licence and log outlive the call, the log may be written, and each is as long as is said.
    unsafe { bpf(PROG_LOAD, &attributes) }
}

/// The last line of a log, less the count of what was looked at.
fn last_words(log: &[u8]) -> String {
    let text = log.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"processed "));
    String::from_utf8_lossy(lines.next_back().unwrap_or_default()).into_owned()
}

/// Ties the program to the kernel's list of tasks.
pub(super) fn attach(program: &OwnedFd) -> io::Result<OwnedFd> {
    let attributes = LinkCreate { prog_fd: program.as_raw_fd().cast_unsigned(), attach_type: TRACE_ITER, ..LinkCreate::default() };
    // SAFETY: the layout is tested below, and there are no addresses.
    unsafe { bpf(LINK_CREATE, &attributes) }
}

/// A file that runs the program once for each task as it is read.
pub(super) fn open(link: &OwnedFd) -> io::Result<OwnedFd> {
    let attributes = IterCreate { link_fd: link.as_raw_fd().cast_unsigned(), ..IterCreate::default() };
    // SAFETY: as above.
    unsafe { bpf(ITER_CREATE, &attributes) }
}

/// A large file, read into pages of its own. Had the allocator to provide for it, it would keep as much for large blocks to come.
pub(super) struct Pages {
    start: *mut c_void,
    room: usize,
    length: usize,
}

impl Pages {
    /// Reads this file, which is no larger than `room`.
    pub(super) fn read(file: &OwnedFd, room: usize) -> io::Result<Pages> {
        // SAFETY: a null address leaves the place to the kernel, so nothing that is there is replaced.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), room, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)? };
        let mut pages = Pages { start, room, length: 0 };
        while pages.length < room {
            // SAFETY: the kernel gave `room` bytes, all zero, and nobody else has them.
            let left = unsafe { slice::from_raw_parts_mut(start.cast::<u8>().add(pages.length), room - pages.length) };
            match rustix::io::read(file, left)? {
                0 => break,
                count => pages.length += count,
            }
        }
        Ok(pages)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: so many were read into them, and they stay for as long as we do.
        unsafe { slice::from_raw_parts(self.start.cast(), self.length) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: this is what was mapped, and no slice of it outlives us. It can't fail with these arguments.
        let _ = unsafe { munmap(self.start, self.room) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_laid_out_as_the_kernel_has_them() {
        assert_eq!(std::mem::offset_of!(ProgLoad, prog_name), 48);
        assert_eq!(std::mem::offset_of!(ProgLoad, expected_attach_type), 68);
        assert_eq!((std::mem::offset_of!(ProgLoad, attach_btf_id), size_of::<ProgLoad>()), (108, 112));
        assert_eq!((size_of::<LinkCreate>(), size_of::<IterCreate>()), (16, 8));
    }
}
