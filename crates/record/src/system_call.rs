//! System calls that no safe library offers: starting the job, its signals, and collecting it. All unsafe code of the project is here.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use libc::{c_char, c_int, pid_t};

/// Whether SIGPIPE was ignored when this process began. Rust's runtime ignores it before `main`, and a job must not inherit that.
static PIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Which of the standard streams (bits 0 to 2) were closed when this process began. Rust's runtime opens /dev/null in their place, and the job must find
/// them closed.
static CLOSED_STREAMS: AtomicU8 = AtomicU8::new(0);

extern "C" fn note_inheritance() {
    for stream in 0..3 {
        // SAFETY: F_GETFD only looks whether there is such a descriptor.
        if unsafe { libc::fcntl(stream, libc::F_GETFD) } < 0 {
            CLOSED_STREAMS.fetch_or(1 << stream, Ordering::Relaxed);
        }
    }
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: sigaction with a null new action only writes the old one, into a struct of the right type; zeroes are a valid value of it.
    let ignored =
        unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), action.as_mut_ptr()) == 0 && action.assume_init().sa_sigaction == libc::SIG_IGN };
    PIPE_WAS_IGNORED.store(ignored, Ordering::Relaxed);
}

// SAFETY: the section holds pointers to functions that the loader calls before `main`; this one touches nothing that needs a runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_INHERITANCE: extern "C" fn() = note_inheritance;

/// Lets all threads share one heap. Ours seldom allocate at the same time, and each heap of its own would keep what it needed at its busiest.
pub(crate) fn share_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number inside the allocator, before there is another thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives back what is not in use at this moment: memory that was freed, and the pages of the program itself, which the kernel keeps in its cache and
/// maps again, without reading them, where they are needed again.
pub(crate) fn release_memory() {
    extern "C" fn forget(object: *mut libc::dl_phdr_info, _: usize, _: *mut libc::c_void) -> c_int {
        // SAFETY: the loader hands over a description that is good for the time of this call, with so many headers.
        let (base, headers) = unsafe {
            let object = &*object;
            (object.dlpi_addr, std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()))
        };
        for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags == libc::PF_R | libc::PF_X) {
            let page = rustix::param::page_size() as u64;
            let begin = (base + header.p_vaddr) & !(page - 1);
            let end = base + header.p_vaddr + header.p_memsz;
            // SAFETY: these pages can't be written, so what is dropped comes back from the file as it was. That it fails does no harm.
            unsafe {
                libc::madvise(begin as *mut libc::c_void, (end - begin) as usize, libc::MADV_DONTNEED);
            }
        }
        // Not 0: only the first object, which is the program.
        1
    }
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator locks itself.
    unsafe {
        libc::malloc_trim(0);
    }
    // SAFETY: the function keeps to what dl_iterate_phdr(3) asks of it.
    unsafe {
        libc::dl_iterate_phdr(Some(forget), ptr::null_mut());
    }
}

/// Asks for the exit status of children again if whoever started us wanted to know nothing of his, and we inherited that: the kernel would collect them.
pub(crate) fn want_children() {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the structs are of the right type, and zeroes are a valid value: no flags, an empty mask, the default action.
    unsafe {
        if libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr()) == 0 {
            let ours = action.assume_init_mut();
            ours.sa_sigaction = libc::SIG_DFL;
            ours.sa_flags &= !libc::SA_NOCLDWAIT;
            libc::sigaction(libc::SIGCHLD, ours, ptr::null_mut());
        }
    }
}

/// A set of blocked signals, to be given back to the job.
#[derive(Clone, Copy)]
pub(crate) struct Mask(libc::sigset_t);

fn signal_set(signals: &[c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initializes the set, sigaddset changes an initialized one; unknown signals only make it fail.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Blocks these signals for this thread and those that it starts, and opens a descriptor that tells of them, signalfd(2).
/// Returns the mask as it was.
pub(crate) fn block(signals: &[c_int]) -> io::Result<(OwnedFd, Mask)> {
    let set = signal_set(signals);
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are of the right type and live through the calls; a descriptor that signalfd returns is new and ours.
    unsafe {
        let error = libc::pthread_sigmask(libc::SIG_BLOCK, &set, before.as_mut_ptr());
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        let descriptor = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(descriptor), Mask(before.assume_init())))
    }
}

/// Restores a mask that [`block`] returned.
pub(crate) fn restore(mask: Mask) {
    // SAFETY: the mask was filled in by pthread_sigmask.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, &mask.0, ptr::null_mut());
    }
}

/// A signal that arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) signal: c_int,
    /// Made by the kernel, as for Ctrl-C on a terminal, where the whole group has got it already.
    pub(crate) from_kernel: bool,
}

/// The next signal of a descriptor of [`block`], if one has arrived.
pub(crate) fn next_signal(descriptor: &OwnedFd) -> Option<Arrived> {
    let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(descriptor, &mut info).ok()?;
    if read != info.len() {
        return None;
    }
    // SAFETY: the kernel has filled all bytes of the struct, which holds numbers only; read_unaligned needs no alignment.
    let info: libc::signalfd_siginfo = unsafe { ptr::read_unaligned(info.as_ptr().cast()) };
    Some(Arrived { signal: c_int::try_from(info.ssi_signo).ok()?, from_kernel: info.ssi_code == libc::SI_KERNEL })
}

/// Starts a program as a shell would: found in PATH, with our environment, descriptors and limits, and the signal mask that we were started with.
/// Returns its pid. The error is that of execve(2).
pub(crate) fn spawn(command: &[impl AsRef<OsStr>], mask: Mask) -> io::Result<u32> {
    let arguments: Vec<CString> =
        command.iter().map(|argument| CString::new(argument.as_ref().as_bytes())).collect::<Result<_, _>>().map_err(io::Error::other)?;
    match spawn_arguments(&arguments, mask) {
        // A script without a first line that names its interpreter is the shell's, as execvp(3) has it.
        Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => {
            let mut of_shell = vec![c"/bin/sh".to_owned()];
            of_shell.extend(arguments);
            spawn_arguments(&of_shell, mask)
        }
        outcome => outcome,
    }
}

fn spawn_arguments(arguments: &[CString], mask: Mask) -> io::Result<u32> {
    unsafe extern "C" {
        static environ: *const *mut c_char;
    }
    let Some(program) = arguments.first() else { return Err(io::Error::from_raw_os_error(libc::ENOENT)) };
    let mut pointers: Vec<*mut c_char> = arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    pointers.push(ptr::null_mut());
    let reset: &[c_int] = if PIPE_WAS_IGNORED.load(Ordering::Relaxed) { &[] } else { &[libc::SIGPIPE] };
    let closed = CLOSED_STREAMS.load(Ordering::Relaxed);
    let (mut attributes, mut actions) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    let mut pid: pid_t = 0;
    // SAFETY: the attributes and actions are initialized first and destroyed last; the pointers are to C strings that live through the call, and end with null;
    // nobody changes the environment meanwhile, as Rust's own functions for that are unsafe and unused here.
    let error = unsafe {
        libc::posix_spawnattr_init(attributes.as_mut_ptr());
        libc::posix_spawnattr_setflags(attributes.as_mut_ptr(), (libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF) as _);
        libc::posix_spawnattr_setsigmask(attributes.as_mut_ptr(), &mask.0);
        libc::posix_spawnattr_setsigdefault(attributes.as_mut_ptr(), &signal_set(reset));
        libc::posix_spawn_file_actions_init(actions.as_mut_ptr());
        for stream in (0..3).filter(|stream| closed & (1 << stream) != 0) {
            libc::posix_spawn_file_actions_addclose(actions.as_mut_ptr(), stream);
        }
        let error = libc::posix_spawnp(&mut pid, program.as_ptr(), actions.as_ptr(), attributes.as_ptr(), pointers.as_ptr(), environ);
        libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr());
        libc::posix_spawnattr_destroy(attributes.as_mut_ptr());
        error
    };
    if error == 0 { Ok(pid.cast_unsigned()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// What is left to collect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Children {
    /// This one has ended and waits to be collected.
    Ended(u32),
    /// There are some, and none has ended.
    Running,
    /// There is none.
    None,
}

/// Whether a child has ended, waitid(2) with WNOWAIT: it stays to be looked at until [`collect`].
pub(crate) fn ended_child() -> Children {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: waitid fills in a struct of the right type; with WNOHANG and nobody there it leaves the zeroes, whose pid is 0.
    let (outcome, pid) = unsafe {
        let outcome = libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), libc::WEXITED | libc::WNOHANG | libc::WNOWAIT);
        (outcome, info.assume_init().si_pid())
    };
    match (outcome, pid) {
        (0, 0) => Children::Running,
        (0, pid) => Children::Ended(pid.cast_unsigned()),
        _ => Children::None,
    }
}

/// A child's end, as wait4(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Collected {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) user_seconds: f64,
    pub(crate) system_seconds: f64,
    pub(crate) peak_resident_bytes: u64,
}

/// Collects a child that has ended.
pub(crate) fn collect(pid: u32) -> Option<Collected> {
    let mut status: c_int = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: wait4 fills in structs of the right types; zeroes are a valid rusage.
    let (outcome, usage) = unsafe {
        let outcome = libc::wait4(pid.cast_signed(), &mut status, libc::WNOHANG, usage.as_mut_ptr());
        (outcome, usage.assume_init())
    };
    if outcome <= 0 {
        return None;
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Some(Collected {
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        user_seconds: seconds(usage.ru_utime),
        system_seconds: seconds(usage.ru_stime),
        peak_resident_bytes: kibibytes(usage.ru_maxrss),
    })
}

/// The most RAM that this process has had.
pub(crate) fn own_peak_resident_bytes() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage fills in a struct of the right type; zeroes are a valid value of it.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    kibibytes(usage.ru_maxrss)
}

/// getrusage(2) counts memory in KiB on Linux.
fn kibibytes(count: libc::c_long) -> u64 {
    u64::try_from(count).unwrap_or(0) * 1024
}

/// Sends a signal to a process. One that is gone is none to worry about.
pub(crate) fn send(pid: u32, signal: c_int) {
    // SAFETY: kill takes numbers only.
    unsafe {
        libc::kill(pid.cast_signed(), signal);
    }
}
