//! Loads: processes and threads that sleep, work a little, or come and go.

use std::io::{self, Write};
use std::time::{Duration, Instant};

type Done = io::Result<()>;

/// What a process does each time that it wakes: some microseconds of work, and a little I/O that the kernel accounts to it.
const WAKE_LOOPS: u32 = 2_000;

fn pause_for_ever() -> ! {
    loop {
        // SAFETY: pause(2) takes nothing and touches no memory.
        unsafe { libc::pause() };
    }
}

fn wake_for_ever(hz: f64, phase: f64) -> ! {
    let period = Duration::from_secs_f64(1.0 / hz);
    let mut due = Instant::now() + period.mul_f64(phase);
    loop {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due += period;
        let mut sum = 0_u64;
        for step in 0..WAKE_LOOPS {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(u64::from(step)));
        }
    }
}

fn ready() -> Done {
    println!("ready");
    io::stdout().flush()
}

/// Forks without exec, so that ten thousand take little memory. They end with us.
pub fn crowd(count: usize, active_percent: usize, hz: f64) -> Done {
    // SAFETY: getpid(2) can't fail.
    let parent = unsafe { libc::getpid() };
    for index in 0..count {
        // SAFETY: we have one thread, and the child calls nothing but what is below.
        match unsafe { libc::fork() } {
            -1 => return Err(io::Error::last_os_error()),
            0 => {
                // SAFETY: prctl(2) with a number; the parent may have ended before it, so we look.
                unsafe {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    if libc::getppid() != parent {
                        libc::_exit(0);
                    }
                }
                if index * active_percent % 100 < active_percent {
                    wake_for_ever(hz, index as f64 / count as f64);
                }
                pause_for_ever();
            }
            _ => {}
        }
    }
    ready()?;
    pause_for_ever()
}

/// One process with so many threads beside its first.
pub fn threads(count: usize) -> Done {
    for _ in 0..count {
        std::thread::Builder::new().stack_size(16 << 10).spawn(|| pause_for_ever())?;
    }
    ready()?;
    pause_for_ever()
}

/// One process that works a little at a rate.
pub fn work(hz: f64) -> Done {
    ready()?;
    wake_for_ever(hz, 0.0)
}

/// Takes each core away from everybody for up to so many milliseconds, and then leaves it alone for up to so many, again and again, each core in its own time:
/// as the host of a guest does that has too many. Needs the right to be SCHED_FIFO.
pub fn steal(busy_millis: usize, idle_millis: usize) -> Done {
    // SAFETY: sysconf(3) takes a number.
    let cores = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }.max(1) as usize;
    let thieves: Vec<_> = (0..cores).map(|core| std::thread::spawn(move || steal_core(core, busy_millis, idle_millis))).collect();
    thieves.into_iter().try_for_each(|thief| thief.join().unwrap())
}

fn steal_core(core: usize, busy_millis: usize, idle_millis: usize) -> Done {
    // SAFETY: all zeros is a valid cpu_set_t, and the two calls read what is passed to them.
    let done = unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut cores);
        let parameters = libc::sched_param { sched_priority: 50 };
        libc::sched_setaffinity(0, size_of_val(&cores), &cores) == 0 && libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameters) == 0
    };
    if !done {
        return Err(io::Error::last_os_error());
    }
    let mut state = core as u64 + 1;
    let mut up_to = |most: usize| {
        // A linear congruential generator, Knuth's MMIX: the same times on every machine.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis((state >> 33) % (most as u64 + 1))
    };
    loop {
        let (begin, length) = (Instant::now(), up_to(busy_millis));
        while begin.elapsed() < length {
            std::hint::spin_loop();
        }
        std::thread::sleep(up_to(idle_millis).max(Duration::from_millis(1)));
    }
}

extern "C" fn end_at_once(_: *mut libc::c_void) -> libc::c_int {
    // SAFETY: ends the child and nothing else.
    unsafe { libc::_exit(0) }
}

/// Starts processes that end at once, and collects each: at a rate for some seconds, or so many as fast as can be. Prints JSON.
///
/// They share our memory until they end (as vfork(2) does), which is what makes thousands a second possible on one core.
pub fn storm(rate: Option<f64>, seconds: f64, most: u64) -> Done {
    let mut stack = vec![0_u8; 64 << 10];
    // SAFETY: one past the end of the stack, which grows down; aligned by the mask.
    let top = unsafe { stack.as_mut_ptr().add(stack.len()) }.map_addr(|address| address & !63);
    let begin = Instant::now();
    let (mut born, mut failed) = (0_u64, 0_u64);
    while born + failed < most && begin.elapsed().as_secs_f64() < seconds {
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64((born + failed) as f64 / rate);
            let ahead = due.saturating_sub(begin.elapsed());
            // One sleep for a batch: waking up for each would be most of the work.
            if ahead > Duration::from_millis(2) {
                std::thread::sleep(ahead);
            }
        }
        // SAFETY: the child runs on a stack of its own while we are suspended (CLONE_VFORK), and only ends itself.
        let pid = unsafe { libc::clone(end_at_once, top.cast(), libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, std::ptr::null_mut()) };
        if pid < 0 {
            failed += 1;
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        born += 1;
        // SAFETY: no status is asked for.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    }
    let elapsed = begin.elapsed().as_secs_f64();
    let (own, children) = (cpu(libc::RUSAGE_SELF), cpu(libc::RUSAGE_CHILDREN));
    println!(r#"{{"born": {born}, "failed": {failed}, "seconds": {elapsed:.3}, "own_cpu": {own:.6}, "children_cpu": {children:.6}}}"#);
    Ok(())
}

fn cpu(who: libc::c_int) -> f64 {
    // SAFETY: all zeros is a valid rusage, which the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
