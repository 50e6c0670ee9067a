//! What one reading costs in a loop, by the raw limit and by the libraries procfs and sysinfo.

use std::io;

use procfs::process::Process;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::raw;

/// A way of reading, which says how many processes it read.
struct Method {
    name: &'static str,
    read: Box<dyn FnMut() -> usize>,
}

/// Of all processes, or of the children of one. Prints JSON: microseconds of CPU for each process, and milliseconds for the reading.
pub fn measure(everyone: bool, parent: u32, rounds: usize) -> io::Result<()> {
    raw::raise_descriptors();
    let mut pids = Vec::new();
    raw::pids(&raw::open("/proc")?, &mut vec![0; 64 << 10], &mut pids);
    if !everyone {
        pids.retain(|&pid| Process::new(pid as i32).and_then(|process| process.stat()).is_ok_and(|stat| stat.ppid == parent as i32));
    }
    if pids.is_empty() {
        return Err(io::Error::other("nobody to read"));
    }
    let mut methods = methods(&pids, everyone)?;
    let mut results: Vec<Vec<(f64, usize)>> = vec![Vec::new(); methods.len()];
    // One method after the other: in turn, each would find the caches full of what the others read, and none of it were hot.
    for (method, results) in methods.iter_mut().zip(&mut results) {
        for round in 0..rounds + 2 {
            let begin = cpu_micros();
            let read = (method.read)();
            let spent = cpu_micros() - begin;
            // The first rounds warm up.
            if round >= 2 && read > 0 {
                results.push((spent, read));
            }
        }
    }
    let lines: Vec<String> = methods
        .iter()
        .zip(&mut results)
        .filter(|(_, results)| !results.is_empty())
        .map(|(method, results)| {
            results.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (spent, read) = results[results.len() / 2];
            format!(
                r#""{}": {{"us": {:.4}, "least_us": {:.4}, "ms": {:.4}, "processes": {read}}}"#,
                method.name,
                spent / read as f64,
                results[0].0 / read as f64,
                spent / 1e3
            )
        })
        .collect();
    println!("{{{}}}", lines.join(", "));
    Ok(())
}

fn methods(pids: &[u32], everyone: bool) -> io::Result<Vec<Method>> {
    let kept: Vec<(u32, raw::Files)> = pids.iter().filter_map(|&pid| Some((pid, raw::files(pid).ok()?))).collect();
    let processes: Vec<Process> = pids.iter().filter_map(|&pid| Process::new(pid as i32).ok()).collect();
    let listed = pids.to_vec();
    let (proc, mut buffer, mut found) = (raw::open("/proc")?, vec![0; 64 << 10], Vec::new());
    let mut system = System::new().map_err(|error| io::Error::other(format!("sysinfo: {error:?}")))?;
    let refresh = ProcessRefreshKind::nothing().with_cpu().with_memory().with_disk_usage().without_tasks();
    let some: Vec<Pid> = pids.iter().map(|&pid| Pid::from_u32(pid)).collect();
    Ok(vec![
        Method {
            name: "limit, kept",
            read: Box::new(move || {
                kept.iter().filter(|(pid, files)| files.read(*pid).is_ok_and(|record| std::hint::black_box(record)[0] > 0)).count()
            }),
        },
        Method {
            name: "limit, opened",
            read: Box::new(move || {
                if everyone {
                    raw::pids(&proc, &mut buffer, &mut found);
                } else {
                    found.clone_from(&listed);
                }
                found
                    .iter()
                    .filter(|&&pid| raw::files(pid).and_then(|files| files.read(pid)).is_ok_and(|record| std::hint::black_box(record)[0] > 0))
                    .count()
            }),
        },
        Method {
            name: "procfs crate",
            read: Box::new(move || processes.iter().filter(|process| std::hint::black_box((process.stat(), process.io())).0.is_ok()).count()),
        },
        Method {
            name: "sysinfo crate",
            read: Box::new(move || {
                let which = if everyone { ProcessesToUpdate::All } else { ProcessesToUpdate::Some(&some) };
                system.refresh_processes_specifics(which, true, refresh)
            }),
        },
    ])
}

fn cpu_micros() -> f64 {
    // SAFETY: all zeros is a valid timespec, which the call fills.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time);
        time
    };
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
