//! What is known of a recording when it begins.

use std::sync::Arc;
use std::time::Duration;

use barograph_record::{Beacon, Options, Recorder, Until};
use barograph_sources::{Choice, HostFacts, LimitFacts, Machine, user_name};
use barograph_store::{Clock, Facts, Host, Limits, Process, Processes, new_id};

use crate::Subject;

/// Opens a beacon, if there is to be one.
pub fn open_beacon(wanted: bool) -> Result<Beacon, String> {
    if wanted { Beacon::open(&new_id()).map_err(|error| error.to_string()) } else { Err("not asked for".to_owned()) }
}

/// Has the recorder listen to programs. Returns `ok`, or why it does not: then the job says nothing, and is recorded all the same.
pub fn listen(recorder: &mut Recorder, beacon: Result<Beacon, String>) -> String {
    beacon.map(|beacon| recorder.listen(beacon)).err().unwrap_or_else(|| "ok".to_owned())
}

/// The facts of a recording of this subject, whose first process is `root`.
pub fn facts(
    machine: &Arc<Machine>,
    recorder: &mut Recorder,
    subject: &Subject<'_>,
    choice: Option<&Choice>,
    options: &Options,
    root: Option<u32>,
) -> Facts {
    let host = HostFacts::read(machine);
    let limits = LimitFacts::read(machine, &host);
    let start = recorder.first_read();
    let identity = |pid: u32| Process { pid: pid.into(), start_ticks: barograph_sources::start_ticks(machine, pid).unwrap_or(0) };
    Facts {
        // Without a beacon nobody has been told an id, and the recording gives itself one.
        id: recorder.beacon().map(|beacon| beacon.recording().to_owned()).unwrap_or_default(),
        beacon: recorder.beacon().map(|beacon| beacon.address().to_text()),
        command: subject.command(machine),
        directory: std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
        user: user_name(machine),
        limits: Limits { memory_bytes: limits.memory_bytes, cores: limits.cores, origin: limits.origin, oom_kills: limits.oom_kills },
        host: Host {
            name: host.name,
            os: host.os,
            kernel: host.kernel,
            arch: host.arch.to_owned(),
            boot_id: host.boot_id,
            cores: host.cores,
            memory_bytes: host.memory_bytes,
            page_size: host.page_size,
            ticks_per_second: host.ticks_per_second,
        },
        recorder: identity(std::process::id()),
        root: root.map(identity),
        clock: Clock { utc_nanos: start.utc_nanos, monotonic_nanos: start.monotonic_nanos, zone: host.zone },
        interval_seconds: options.interval.as_secs_f64(),
        write_interval_seconds: options.write_interval.as_secs_f64(),
        dense_start: options.dense_start,
        until: describe_until(options.until, options.duration),
        processes: Processes {
            selection: choice.map_or_else(|| if subject.has_job() { "tree" } else { "all" }.to_owned(), Choice::to_string),
            left_out: subject.watch(choice).left_out(),
            fast: None,
        },
        mark_when: recorder.conditions(),
        sources: recorder.panel().status().iter().cloned().collect(),
        ..Facts::default()
    }
}

fn describe_until(until: Until, duration: Option<Duration>) -> String {
    let word = match until {
        Until::Root => "root",
        Until::Tree => "tree",
        Until::Stopped => "stopped",
    };
    duration.map_or_else(|| word.to_owned(), |duration| format!("{word} or {} s", duration.as_secs_f64()))
}
