//! Recorders that do the least: absolute deadlines, raw records, one write(2) a second. They run until SIGTERM.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::raw::{self, Files, Record};

type Done = io::Result<()>;

/// Ticks at absolute times, and what they read, on their way to a file.
struct Recorder {
    file: File,
    pending: Vec<u8>,
    period: Duration,
    due: Instant,
    written: Instant,
}

impl Recorder {
    fn new(hz: f64, path: &str) -> io::Result<Recorder> {
        let now = Instant::now();
        Ok(Recorder { file: File::create(path)?, pending: Vec::new(), period: Duration::from_secs_f64(1.0 / hz), due: now, written: now })
    }

    fn keep(&mut self, record: &Record) {
        record.iter().for_each(|number| self.pending.extend_from_slice(&number.to_ne_bytes()));
    }

    fn wait(&mut self) -> Done {
        if self.written.elapsed() >= Duration::from_secs(1) {
            self.file.write_all(&self.pending)?;
            self.pending.clear();
            self.written = Instant::now();
        }
        self.due += self.period;
        std::thread::sleep(self.due.saturating_duration_since(Instant::now()));
        Ok(())
    }
}

pub fn all(kept: bool, hz: f64, path: &str) -> Done {
    raw::raise_descriptors();
    let mut recorder = Recorder::new(hz, path)?;
    let (proc, mut buffer, mut pids) = (raw::open("/proc")?, vec![0; 64 << 10], Vec::new());
    let mut known: HashMap<u32, Files> = HashMap::new();
    loop {
        raw::pids(&proc, &mut buffer, &mut pids);
        for &pid in &pids {
            let record = match known.get(&pid) {
                Some(files) => files.read(pid),
                None => raw::files(pid).and_then(|files| {
                    let record = files.read(pid);
                    if kept {
                        known.insert(pid, files);
                    }
                    record
                }),
            };
            match record {
                Ok(record) => recorder.keep(&record),
                Err(_) => drop(known.remove(&pid)),
            }
        }
        recorder.wait()?;
    }
}

pub fn one(pid: u32, hz: f64, path: &str) -> Done {
    let (mut recorder, files) = (Recorder::new(hz, path)?, raw::files(pid)?);
    while let Ok(record) = files.read(pid) {
        recorder.keep(&record);
        recorder.wait()?;
    }
    Ok(())
}
