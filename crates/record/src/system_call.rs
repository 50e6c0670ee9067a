//! System calls that no safe library offers: starting the job, its signals, collecting it, and memory. All unsafe code is here, but for bpf(2).
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use libc::{c_char, c_int, pid_t};

use crate::job::JobEnd;
use crate::last_stand;

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
    PIPE_WAS_IGNORED.store(is_ignored(libc::SIGPIPE), Ordering::Relaxed);
}

// SAFETY: the section holds pointers to functions that the loader calls before `main`; this one touches nothing that needs a runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_INHERITANCE: extern "C" fn() = note_inheritance;

/// Lets all threads share so many heaps; who says it first decides. Ours seldom allocate at the same time, and each heap of its own keeps what it needed at
/// its busiest, some 350 KB. Those that work at the same time while somebody waits are better off with two: who finds the one taken is put to sleep by glibc.
pub(crate) fn share_heaps(count: c_int) {
    static IS_DECIDED: AtomicBool = AtomicBool::new(false);
    if IS_DECIDED.swap(true, Ordering::Relaxed) {
        return;
    }
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number inside the allocator, before there is another thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, count);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = count;
}

/// Lets all threads share one heap.
pub fn share_heap() {
    share_heaps(1);
}

/// Gives back what is not in use at this moment: memory that was freed, and the pages of the program and its libraries, which the kernel keeps in its cache
/// and maps again, without reading them, where they are needed again.
pub(crate) fn release_memory() {
    extern "C" fn forget(object: *mut libc::dl_phdr_info, _: usize, _: *mut libc::c_void) -> c_int {
        // SAFETY: the loader hands over a description that is good for the time of this call, with so many headers.
        let (base, headers) = unsafe {
            let object = &*object;
            (object.dlpi_addr, std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()))
        };
        for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0) {
            let page = rustix::param::page_size() as u64;
            let begin = (base + header.p_vaddr) & !(page - 1);
            let end = base + header.p_vaddr + header.p_memsz;
            // SAFETY: these pages can't be written, so what is dropped comes back from the file as it was. That it fails does no harm.
            unsafe {
                libc::madvise(begin as *mut libc::c_void, (end - begin) as usize, libc::MADV_DONTNEED);
            }
        }
        // On to the next object.
        0
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

/// Asks for the exit status of children, or leaves it to the kernel to collect them, as one inherits it from a parent that wants to know nothing of his.
pub(crate) fn heed_children(heed: bool) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the struct is of the right type, and zeroes are a valid value of it: no flags, an empty mask.
    unsafe {
        action.assume_init_mut().sa_sigaction = if heed { libc::SIG_DFL } else { libc::SIG_IGN };
        libc::sigaction(libc::SIGCHLD, action.as_ptr(), ptr::null_mut());
    }
}

/// Whether this process ignores a signal, as below nohup(1) that of a terminal that goes.
pub fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: sigaction with a null new action only writes the old one, into a struct of the right type; zeroes are a valid value of it.
    unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0 && action.assume_init().sa_sigaction == libc::SIG_IGN }
}

/// Whether this thread blocks a signal.
pub(crate) fn is_blocked(signal: c_int) -> bool {
    let mut mask = signal_set(&[]);
    // SAFETY: with a null new mask the old one is only read, into a set of the right type.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut mask) == 0 && libc::sigismember(&mask, signal) == 1 }
}

/// Stops this process as a signal of the terminal would that [`block`] has blocked. Comes back when it is continued.
pub(crate) fn stop_by(signal: c_int) {
    let set = signal_set(&[signal]);
    // SAFETY: the set is initialized, and raise takes a number. It comes first: should the terminal's own signal wait as well, the two stop us once, as
    // whoever continues us makes the kernel forget what is left.
    unsafe {
        libc::raise(signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, ptr::null_mut());
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut());
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
        let before = Mask(before.assume_init());
        let descriptor = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if descriptor < 0 {
            let error = io::Error::last_os_error();
            restore(before);
            return Err(error);
        }
        Ok((OwnedFd::from_raw_fd(descriptor), before))
    }
}

/// Blocks all signals for this thread, and those that it starts, but those of our own faults: others of the process get them. Returns the mask as it was.
pub(crate) fn leave_signals_to_others() -> Mask {
    let (mut set, mut before) = (MaybeUninit::uninit(), signal_set(&[]));
    // SAFETY: sigfillset initializes the set, sigdelset changes an initialized one; the mask is that of this thread alone.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for fault in [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS] {
            libc::sigdelset(set.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), &mut before);
    }
    Mask(before)
}

/// Restores a mask that [`block`] or [`leave_signals_to_others`] returned.
pub(crate) fn restore(mask: Mask) {
    // SAFETY: the mask was filled in by pthread_sigmask.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, &mask.0, ptr::null_mut());
    }
}

/// Has a thread that was just started run on other cores than this one, if it may. The kernel puts it beside who started it, where it would run when that
/// one sleeps; it is there in time only if it need not wait for that. It must not end meanwhile: its number is 0 then, which means who calls.
pub(crate) fn send_to_another_core<T>(thread: &JoinHandle<T>) {
    let thread = thread.as_pthread_t();
    // SAFETY: a set of cores may be all zeros, its size is given, and the core is within it; the thread was not joined, as its handle is there.
    unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        let Ok(here) = usize::try_from(libc::sched_getcpu()) else { return };
        if here >= libc::CPU_SETSIZE as usize || libc::pthread_getaffinity_np(thread, size_of::<libc::cpu_set_t>(), &mut cores) != 0 {
            return;
        }
        libc::CPU_CLR(here, &mut cores);
        if libc::CPU_COUNT(&cores) > 0 {
            libc::pthread_setaffinity_np(thread, size_of::<libc::cpu_set_t>(), &cores);
        }
    }
}

/// A signal that arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) signal: c_int,
    /// Made by the kernel, as for Ctrl-C on a terminal, where the whole group has got it already.
    pub(crate) from_kernel: bool,
    /// Who sent it; 0 if it was nobody, or nobody whom we could see.
    pub(crate) sender: u32,
}

/// The next signal of a descriptor of [`block`], if one has arrived.
pub(crate) fn next_signal(descriptor: BorrowedFd<'_>) -> Option<Arrived> {
    let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(descriptor, &mut info).ok()?;
    if read != info.len() {
        return None;
    }
    // SAFETY: the kernel has filled all bytes of the struct, which holds numbers only; read_unaligned needs no alignment.
    let info: libc::signalfd_siginfo = unsafe { ptr::read_unaligned(info.as_ptr().cast()) };
    Some(Arrived { signal: c_int::try_from(info.ssi_signo).ok()?, from_kernel: info.ssi_code == libc::SI_KERNEL, sender: info.ssi_pid })
}

/// The environment of this process.
fn environment() -> *const *mut c_char {
    unsafe extern "C" {
        static environ: *const *mut c_char;
    }
    // SAFETY: the C library defines it, and it is read only.
    unsafe { environ }
}

/// A program and its arguments, as execve(2) wants them.
pub(crate) struct Command {
    /// They point into `arguments`, and end with null.
    pointers: Vec<*const c_char>,
    arguments: Vec<CString>,
    /// Likewise into our environment and into `variables`, if it is to have another than ours; else empty.
    environment: Vec<*const c_char>,
    variables: Vec<CString>,
    /// What stands in the place of the standard output and error, where that is not ours.
    output: [Option<c_int>; 2],
}

// SAFETY: the pointers lead into strings that the struct owns and nobody changes.
unsafe impl Send for Command {}
// SAFETY: as above; nothing can be changed through a shared reference.
unsafe impl Sync for Command {}

impl Command {
    pub(crate) fn new(command: &[impl AsRef<OsStr>]) -> io::Result<Command> {
        let arguments = command.iter().map(|argument| CString::new(argument.as_ref().as_bytes()).map_err(io::Error::other));
        Command::of(arguments.collect::<Result<_, _>>()?)
    }

    fn of(arguments: Vec<CString>) -> io::Result<Command> {
        if arguments.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        let pointers = arguments.iter().map(|argument| argument.as_ptr()).chain([ptr::null()]).collect();
        Ok(Command { pointers, arguments, environment: Vec::new(), variables: Vec::new(), output: [None; 2] })
    }

    /// The same, with these variables in its environment, and ours as they stand.
    pub(crate) fn with_environment(mut self, variables: &[(&str, String)]) -> io::Result<Command> {
        let strings = variables.iter().map(|(name, value)| CString::new(format!("{name}={value}")).map_err(io::Error::other));
        self.variables = strings.collect::<Result<_, _>>()?;
        let is_told = |entry: &CStr| {
            let name = |entry: &CStr| entry.to_bytes().split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
            self.variables.iter().any(|variable| name(variable) == name(entry))
        };
        let mut next = environment();
        // SAFETY: the environment is a list of C strings that ends with null, and nobody changes it: Rust's own functions for that are unsafe and unused here.
        let ours = std::iter::from_fn(|| unsafe {
            let entry = (!next.is_null()).then(|| *next).filter(|entry| !entry.is_null())?;
            next = next.add(1);
            Some(entry.cast_const())
        });
        // SAFETY: as above.
        let ours: Vec<*const c_char> = ours.filter(|entry| !is_told(unsafe { CStr::from_ptr(*entry) })).collect();
        self.environment = ours.into_iter().chain(self.variables.iter().map(|variable| variable.as_ptr())).chain([ptr::null()]).collect();
        Ok(self)
    }

    /// The same, with these in the place of the standard output and error. They must stay open until it is started.
    pub(crate) fn with_output(mut self, output: [Option<BorrowedFd<'_>>; 2]) -> Command {
        self.output = output.map(|stream| stream.map(|stream| stream.as_raw_fd()));
        self
    }

    /// Descriptors that take the place of others.
    fn replaced(&self) -> impl Iterator<Item = (c_int, c_int)> {
        self.output.into_iter().zip([libc::STDOUT_FILENO, libc::STDERR_FILENO]).filter_map(|(with, place)| with.map(|with| (with, place)))
    }

    /// The environment that it is to have, as execve(2) wants it.
    fn environment(&self) -> *const *mut c_char {
        if self.environment.is_empty() { environment() } else { self.environment.as_ptr().cast() }
    }

    /// The same, to be run by the shell, as execvp(3) does with a script whose first line names no interpreter.
    fn of_shell(&self) -> io::Result<Command> {
        let shell = Command::of([c"/bin/sh".to_owned()].into_iter().chain(self.arguments.iter().cloned()).collect())?;
        // Its strings stay ours: whoever starts it does so before we go.
        Ok(Command { environment: self.environment.clone(), output: self.output, ..shell })
    }

    /// Becomes the program, with what Rust's runtime changed put back. Returns only if that fails. Takes no memory.
    pub(crate) fn execute(&self) -> io::Error {
        put_back_what_the_runtime_changed();
        // SAFETY: the pointers are to C strings that live through the call, and end with null.
        unsafe {
            for (with, place) in self.replaced() {
                libc::dup2(with, place);
            }
            libc::execvpe(self.pointers[0], self.pointers.as_ptr(), self.environment().cast());
        }
        io::Error::last_os_error()
    }

    /// Starts the program as a shell would: found in PATH, with our environment, descriptors and limits, and the signal mask that we were started with. A
    /// heedless one ignores its children. Returns its pid. The error is that of execve(2).
    pub(crate) fn spawn(&self, mask: Mask, heedless: bool) -> io::Result<u32> {
        if heedless {
            return self.fork_heedless(mask);
        }
        match self.posix_spawn(mask) {
            Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => self.of_shell()?.posix_spawn(mask),
            outcome => outcome,
        }
    }

    fn posix_spawn(&self, mask: Mask) -> io::Result<u32> {
        let reset: &[c_int] = if PIPE_WAS_IGNORED.load(Ordering::Relaxed) { &[] } else { &[libc::SIGPIPE] };
        let closed = CLOSED_STREAMS.load(Ordering::Relaxed);
        let (mut attributes, mut actions) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let mut pid: pid_t = 0;
        // SAFETY: the attributes and actions are initialized first and destroyed last; the pointers are to C strings that live through the call, and end
        // with null.
        let error = unsafe {
            libc::posix_spawnattr_init(attributes.as_mut_ptr());
            libc::posix_spawnattr_setflags(attributes.as_mut_ptr(), (libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF) as _);
            libc::posix_spawnattr_setsigmask(attributes.as_mut_ptr(), &mask.0);
            libc::posix_spawnattr_setsigdefault(attributes.as_mut_ptr(), &signal_set(reset));
            libc::posix_spawn_file_actions_init(actions.as_mut_ptr());
            for stream in (0..3).filter(|stream| closed & (1 << stream) != 0) {
                libc::posix_spawn_file_actions_addclose(actions.as_mut_ptr(), stream);
            }
            for (with, place) in self.replaced() {
                libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), with, place);
            }
            let arguments = self.pointers.as_ptr().cast();
            let error = libc::posix_spawnp(&mut pid, self.pointers[0], actions.as_ptr(), attributes.as_ptr(), arguments, self.environment());
            libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr());
            libc::posix_spawnattr_destroy(attributes.as_mut_ptr());
            error
        };
        if error == 0 { Ok(pid.cast_unsigned()) } else { Err(io::Error::from_raw_os_error(error)) }
    }

    /// Starts a program that ignores its children, as we were started. posix_spawn(3) knows no way to, and ignoring ours meanwhile might lose the end of a
    /// short one.
    fn fork_heedless(&self, mask: Mask) -> io::Result<u32> {
        let (failure, tell) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        // SAFETY: what other threads do is nothing to the child, which up to its execve(2) or end only makes system calls.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            heed_children(false);
            restore(mask);
            let error = self.execute().raw_os_error().unwrap_or(libc::EINVAL);
            let _ = rustix::io::write(&tell, &error.to_ne_bytes());
            exit(127);
        }
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        drop(tell);
        let mut error = [0; 4];
        if rustix::io::retry_on_intr(|| rustix::io::read(&failure, &mut error))? < error.len() {
            return Ok(pid.cast_unsigned());
        }
        // SAFETY: waits for a child that is about to end; nobody asks for its status.
        unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
        Err(io::Error::from_raw_os_error(c_int::from_ne_bytes(error)))
    }
}

/// Ends this process at once, with nothing of what is else done at an end.
pub(crate) fn exit(status: c_int) -> ! {
    // SAFETY: takes a number only, and does not return.
    unsafe { libc::_exit(status) }
}

/// Whether this standard stream was open when this process began.
pub(crate) fn was_open(stream: c_int) -> bool {
    CLOSED_STREAMS.load(Ordering::Relaxed) & (1 << stream) == 0
}

/// Does this work in a process beside us that is not our child, so that nobody takes it for one of the job, and that ends when it is done. No other
/// thread may run yet.
pub(crate) fn beside(work: impl FnOnce()) -> io::Result<()> {
    // SAFETY: no other thread runs, so the child may do all that we may. It never comes back from here.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        match unsafe { libc::fork() } {
            0 => {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                exit(done.is_err().into());
            }
            pid => exit((pid < 0).into()),
        }
    }
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut status: c_int = 0;
    // SAFETY: waits for a child that ends at once.
    while unsafe { libc::waitpid(child, &mut status, 0) } < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {}
    if status == 0 { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}

/// Closes all descriptors but these and the standard streams. Only for a process whose other descriptors are nobody's any more.
pub(crate) fn close_others(kept: &[RawFd]) {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2 && !kept.contains(descriptor))
        .collect();
    for descriptor in open {
        // SAFETY: who had them is gone or will not use them; the one that listed them is closed already.
        unsafe { libc::close(descriptor) };
    }
}

/// Leaves what people and shells send to a whole group to the others of it.
pub(crate) fn ignore(signals: &[c_int]) {
    for &signal in signals {
        // SAFETY: sets a disposition that runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Copies from one descriptor to another to the end of either. Takes no memory.
pub(crate) fn copy(from: RawFd, to: RawFd, buffer: &mut [u8]) {
    // SAFETY: the caller's thread has both, and ends here.
    let (from, to) = unsafe { (BorrowedFd::borrow_raw(from), BorrowedFd::borrow_raw(to)) };
    loop {
        let mut rest = match rustix::io::read(from, &mut *buffer) {
            Ok(0) => return,
            Ok(length) => &buffer[..length],
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
            Err(_) => return,
        };
        while !rest.is_empty() {
            match rustix::io::write(to, rest) {
                Ok(written) => rest = &rest[written..],
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(_) => return,
            }
        }
    }
}

/// Says something on stderr, in one piece, without a lock that another thread may hold.
pub(crate) fn say(words: &[&str; 5]) {
    let pieces = words.map(|word| libc::iovec { iov_base: word.as_ptr().cast_mut().cast(), iov_len: word.len() });
    // SAFETY: the pieces live through the call, which reads them only; where there is no such stream it fails.
    unsafe { libc::writev(libc::STDERR_FILENO, pieces.as_ptr(), pieces.len() as c_int) };
}

/// The memory of the system; when there is none, the job is not given up: nothing more is recorded, and it is seen to its end. As long as it is not known what
/// the job is, a reserve is used up.
#[derive(Debug)]
pub struct Allocator;

// Not made part of whoever calls: that would be 0.8 MB of program.
// SAFETY: hands on what the system's allocator returns, and to it what it is given; what is of the reserve stays there.
unsafe impl GlobalAlloc for Allocator {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        or_last_stand(unsafe { System.alloc(layout) }, layout)
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same. What the reserve gives is new, and so all zeros.
        or_last_stand(unsafe { System.alloc_zeroed(layout) }, layout)
    }

    #[inline(never)]
    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let is_reserve = RESERVE.holds(old);
        // SAFETY: the caller's promises are the same.
        let new = if is_reserve { ptr::null_mut() } else { unsafe { System.realloc(old, layout, size) } };
        if !new.is_null() {
            return new;
        }
        // SAFETY: the caller promises that the alignment is one, and that the size rounded up to it is no overflow; the old memory has the old size, the
        // new one at least the lesser of both, and they are apart.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(old, new, layout.size().min(size));
                self.dealloc(old, layout);
            }
            new
        }
    }

    #[inline]
    unsafe fn dealloc(&self, old: *mut u8, _: Layout) {
        // SAFETY: the caller's promises are the same.
        unsafe { give_back(old) }
    }
}

/// Frees memory without being told how much it is: to say so at each of some 40,000 places would be half a megabyte of program.
#[inline(never)]
unsafe fn give_back(memory: *mut u8) {
    if !RESERVE.holds(memory) {
        // SAFETY: the caller says that it is of the system's allocator, which is malloc(3) on Unix, and that nobody uses it any more.
        unsafe { libc::free(memory.cast()) }
    }
}

fn or_last_stand(memory: *mut u8, layout: Layout) -> *mut u8 {
    if !memory.is_null() {
        return memory;
    }
    last_stand::out_of_memory();
    RESERVE.take(layout)
}

/// Three times what it takes to understand a command line of usual length, when all that is freed meanwhile is lost. Pages of it that nobody uses are none.
const RESERVE_BYTES: usize = 256 << 10;

struct Reserve {
    bytes: UnsafeCell<[u8; RESERVE_BYTES]>,
    taken: AtomicUsize,
}

static RESERVE: Reserve = Reserve { bytes: UnsafeCell::new([0; RESERVE_BYTES]), taken: AtomicUsize::new(0) };

// SAFETY: each byte is given to one caller only, once.
unsafe impl Sync for Reserve {}

impl Reserve {
    fn take(&self, layout: Layout) -> *mut u8 {
        let base = self.bytes.get().cast::<u8>();
        let begin = |taken: usize| taken + base.wrapping_add(taken).align_offset(layout.align());
        let grow = |taken: usize| begin(taken).checked_add(layout.size()).filter(|end| *end <= RESERVE_BYTES);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow);
        taken.map_or(ptr::null_mut(), |taken| base.wrapping_add(begin(taken)))
    }

    fn holds(&self, memory: *mut u8) -> bool {
        (memory as usize).wrapping_sub(self.bytes.get() as usize) < RESERVE_BYTES
    }
}

/// What faults of ours are dealt with on when it is the stack that can't grow, as large as the registers of any processor.
const FAULT_STACK_BYTES: usize = 64 << 10;

struct FaultStack(UnsafeCell<[u8; FAULT_STACK_BYTES]>);

static FAULT_STACK: FaultStack = FaultStack(UnsafeCell::new([0; FAULT_STACK_BYTES]));

// SAFETY: only the kernel uses it, for one thread.
unsafe impl Sync for FaultStack {}

/// The arguments and the environment of this process, where they were when it began.
static WORDS: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());
static ENVIRONMENT: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

/// Becomes what follows `--` in the arguments of `run`, having said so. Comes back where there is no such thing, or it can't be executed. Takes no memory.
pub(crate) fn become_what_follows(say: impl FnOnce()) {
    let words = WORDS.load(Ordering::Relaxed);
    if words.is_null() {
        return;
    }
    // SAFETY: the words were handed over by the loader, at least three, and end with null; C strings all of them, which nobody changes.
    unsafe {
        let is = |place: usize, word: &CStr| CStr::from_ptr(*words.add(place)) == word;
        if !is(1, c"run") {
            return;
        }
        let mut place = 2;
        while !(*words.add(place)).is_null() && !is(place, c"--") {
            place += 1;
        }
        let command = words.add(place + 1);
        if !(*words.add(place)).is_null() && !(*command).is_null() {
            say();
            put_back_what_the_runtime_changed();
            libc::execvpe(*command, command, ENVIRONMENT.load(Ordering::Relaxed));
            exit(if io::Error::last_os_error().kind() == io::ErrorKind::NotFound { 127 } else { 126 });
        }
    }
}

/// Leaves SIGPIPE and the standard streams to a program as they were left to us.
fn put_back_what_the_runtime_changed() {
    let closed = CLOSED_STREAMS.load(Ordering::Relaxed);
    // SAFETY: takes numbers only. Streams that were closed at our start are nobody's.
    unsafe {
        if !PIPE_WAS_IGNORED.load(Ordering::Relaxed) {
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        }
        for stream in (0..3).filter(|stream| closed & (1 << stream) != 0) {
            libc::close(stream);
        }
    }
}

/// Whether this is the thread that began as `main`.
pub(crate) fn is_first_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

/// Sees the job to its end even where we touch what is not there, or give up: mostly where the first stack, or the C library, finds no memory. It is for a
/// program that only records, and to be called before Rust's runtime, which has handlers of its own for two of these signals if nobody else has; and they
/// take memory at each start of a thread, and end us where there is none.
pub extern "C" fn stand_by(count: c_int, words: *const *const c_char, environment: *const *const c_char) {
    extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the kernel hands over a description that is good for the time of this call, with a sender if there is one.
        let is_ours = unsafe { (*info).si_code > 0 || (*info).si_pid() == libc::getpid() };
        if is_ours {
            last_stand::fault();
        }
        // It does what it always does.
        // SAFETY: takes numbers only.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
    note_inheritance();
    // What a loader hands over that is not glibc's nobody knows.
    if cfg!(target_env = "gnu") && count > 2 {
        WORDS.store(words.cast_mut(), Ordering::Relaxed);
        ENVIRONMENT.store(environment.cast_mut(), Ordering::Relaxed);
    }
    let stack = libc::stack_t { ss_sp: FAULT_STACK.0.get().cast(), ss_flags: 0, ss_size: FAULT_STACK_BYTES };
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the stack is nobody else's, and stays; the struct is of the right type, and zeroes are a valid value of it: an empty mask. The handler keeps to what
    // may be done at any moment.
    unsafe {
        if libc::sigaltstack(&stack, ptr::null_mut()) != 0 {
            return;
        }
        let action = action.assume_init_mut();
        action.sa_sigaction = on_fault as *const () as libc::sighandler_t;
        // Several threads may give up, one after the other.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGILL] {
            if !is_ignored(signal) {
                libc::sigaction(signal, action, ptr::null_mut());
            }
        }
    }
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

/// That a child was stopped or continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// By this signal.
    Stopped(c_int),
    Continued,
}

/// Whether a child has been stopped or continued since we last asked.
pub(crate) fn paused_or_continued(pid: u32) -> Option<Pause> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: waitid fills in a struct of the right type, in which pid and status are valid for a child; with nothing to tell it leaves the zeroes.
    unsafe {
        let outcome = libc::waitid(libc::P_PID, pid, info.as_mut_ptr(), libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG);
        let info = info.assume_init();
        let pause = || if info.si_code == libc::CLD_CONTINUED { Pause::Continued } else { Pause::Stopped(info.si_status()) };
        (outcome == 0 && info.si_pid() != 0).then(pause)
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
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
}

impl Collected {
    pub(crate) fn end(&self) -> JobEnd {
        self.signal.map_or(JobEnd::Code(self.code.unwrap_or(0)), JobEnd::Signal)
    }
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
        minor_faults: u64::try_from(usage.ru_minflt).unwrap_or(0),
        major_faults: u64::try_from(usage.ru_majflt).unwrap_or(0),
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
