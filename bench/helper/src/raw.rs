//! Reading stat and io as cheaply as /proc allows: the limit that recorders are compared with.

use std::ffi::CString;
use std::io;

/// What is kept of a process: 8 numbers, as a recorder in C might write them.
pub type Record = [u64; 8];

/// A descriptor that is closed with us.
pub struct Descriptor(libc::c_int);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: ours, and closed once.
        unsafe { libc::close(self.0) };
    }
}

/// Allows us as many descriptors as we may have.
pub fn raise_descriptors() {
    // SAFETY: all zeros is a valid rlimit, which the first call fills.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

/// The two files of a process.
pub struct Files(Descriptor, Descriptor);

pub fn open(path: &str) -> io::Result<Descriptor> {
    let path = CString::new(path).map_err(io::Error::other)?;
    // SAFETY: a path with its end, and flags.
    match unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        descriptor => Ok(Descriptor(descriptor)),
    }
}

pub fn files(pid: u32) -> io::Result<Files> {
    Ok(Files(open(&format!("/proc/{pid}/stat"))?, open(&format!("/proc/{pid}/io"))?))
}

fn pread<'a>(file: &Descriptor, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    // SAFETY: the buffer is as long as we say.
    match unsafe { libc::pread(file.0, buffer.as_mut_ptr().cast(), buffer.len(), 0) } {
        -1 => Err(io::Error::last_os_error()),
        length => Ok(&buffer[..length.cast_unsigned()]),
    }
}

impl Files {
    pub fn read(&self, pid: u32) -> io::Result<Record> {
        let mut buffer = [0; 1024];
        let mut record = [0; 8];
        record[0] = u64::from(pid);
        stat(pread(&self.0, &mut buffer)?, &mut record);
        input_output(pread(&self.1, &mut buffer)?, &mut record);
        Ok(record)
    }
}

/// CPU in two kinds, threads, resident pages: fields 14, 15, 20 and 24, counted behind the name.
fn stat(text: &[u8], record: &mut Record) {
    let behind = text.iter().rposition(|&byte| byte == b')').map_or(0, |at| at + 2);
    for (index, word) in text[behind..].split(|&byte| byte == b' ').take(22).enumerate() {
        match index {
            11 => record[1] = digits(word),
            12 => record[2] = digits(word),
            17 => record[3] = digits(word),
            21 => record[4] = digits(word),
            _ => {}
        }
    }
}

/// rchar, wchar, read_bytes.
fn input_output(text: &[u8], record: &mut Record) {
    for (index, line) in text.split(|&byte| byte == b'\n').take(5).enumerate() {
        let value = line.iter().position(|&byte| byte == b' ').map_or(0, |at| digits(&line[at + 1..]));
        match index {
            0 => record[5] = value,
            1 => record[6] = value,
            4 => record[7] = value,
            _ => {}
        }
    }
}

fn digits(word: &[u8]) -> u64 {
    word.iter().fold(0, |number, byte| number.wrapping_mul(10).wrapping_add(u64::from(byte.wrapping_sub(b'0'))))
}

/// Numbers of all processes, by getdents64(2).
pub fn pids(proc: &Descriptor, buffer: &mut [u8], pids: &mut Vec<u32>) {
    pids.clear();
    // SAFETY: back to the start of our own folder; then entries into a buffer as long as we say.
    unsafe { libc::lseek(proc.0, 0, libc::SEEK_SET) };
    loop {
        // SAFETY: as above.
        let length = unsafe { libc::syscall(libc::SYS_getdents64, proc.0, buffer.as_mut_ptr(), buffer.len()) };
        let Ok(length @ 1..) = usize::try_from(length) else { return };
        let mut at = 0;
        while at < length {
            let size = usize::from(u16::from_ne_bytes([buffer[at + 16], buffer[at + 17]]));
            let name = &buffer[at + 19..at + size];
            let name = &name[..name.iter().position(|&byte| byte == 0).unwrap_or(name.len())];
            if name.iter().all(u8::is_ascii_digit) {
                pids.push(digits(name) as u32);
            }
            at += size;
        }
    }
}
