//! Wall time of short commands, started in turn so that a change of the machine's mood meets all of them alike.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::FromRawFd;
use std::time::Instant;

/// Each command is `NAME=WORDS`, words parted by blanks. Prints JSON: sorted milliseconds of each.
pub fn measure(rounds: usize, commands: &[&str]) -> io::Result<()> {
    let mut runs = Vec::new();
    for command in commands {
        let (name, line) = command.split_once('=').ok_or_else(|| io::Error::other(format!("{command}: no name")))?;
        let words: Vec<CString> = line.split_whitespace().map(CString::new).collect::<Result<_, _>>().map_err(io::Error::other)?;
        runs.push((name, words, Vec::new()));
    }
    let mut answer = silence()?;
    for round in 0..rounds + 3 {
        for (name, words, millis) in &mut runs {
            let begin = Instant::now();
            let status = spawn_and_wait(words)?;
            let spent = begin.elapsed().as_secs_f64() * 1e3;
            if status != 0 {
                return Err(io::Error::other(format!("{name}: status {status}")));
            }
            // The first rounds fill caches.
            if round >= 3 {
                millis.push(spent);
            }
        }
    }
    let lines: Vec<String> = runs
        .iter_mut()
        .map(|(name, _, millis)| {
            millis.sort_by(f64::total_cmp);
            let texts: Vec<String> = millis.iter().map(|millis| format!("{millis:.4}")).collect();
            format!(r#""{name}": [{}]"#, texts.join(", "))
        })
        .collect();
    writeln!(answer, "{{{}}}", lines.join(", "))
}

/// What the commands say goes nowhere from here on; gives what was our output.
fn silence() -> io::Result<File> {
    // SAFETY: a duplicate of our output that commands do not get, and numbers that are open.
    unsafe {
        let output = libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 3);
        let nowhere = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if output < 0 || nowhere < 0 || libc::dup2(nowhere, 1) < 0 || libc::dup2(nowhere, 2) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from_raw_fd(output))
    }
}

/// posix_spawn(3) and waitpid(2): the least that starting a command costs.
fn spawn_and_wait(words: &[CString]) -> io::Result<libc::c_int> {
    let mut pointers: Vec<*mut libc::c_char> = words.iter().map(|word| word.as_ptr().cast_mut()).collect();
    pointers.push(std::ptr::null_mut());
    let (mut pid, mut status) = (0, 0);
    // SAFETY: the words outlive the call, their list ends with null, and the environment is ours, which nobody changes.
    let failed = unsafe {
        unsafe extern "C" {
            static environ: *const *mut libc::c_char;
        }
        libc::posix_spawn(&mut pid, words[0].as_ptr(), std::ptr::null(), std::ptr::null(), pointers.as_ptr(), environ)
    };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(failed));
    }
    // SAFETY: the child is ours, and the status a number of ours.
    if unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(status)
}
