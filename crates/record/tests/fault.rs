//! A fault of the recorder's own, which panics while a job runs: the job goes on, and its exit status is ours.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on should say where, and one panic is what is tested")]

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use barograph_model::{Batch, Sink};
use barograph_record::{Options, Panel, PanelOptions, Recorder, Until};
use barograph_sources::{Machine, Roots, Scope, Select, Watch};

/// Says to a process of this test that it is to be the recorder.
const RECORDER: &str = "BAROGRAPH_TEST_RECORDER";

struct Nowhere;

impl Sink for Nowhere {
    type Error = std::io::Error;

    fn take(&mut self, _: &Batch) -> Result<(), Self::Error> {
        Ok(())
    }

    fn publish(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn bytes_written(&self) -> u64 {
        0
    }

    fn rows_lost(&self) -> u64 {
        0
    }
}

fn record(job: &str) {
    let machine = Arc::new(Machine::open(Roots::default()).unwrap());
    let watch = Watch { roots: Vec::new(), adopts: true, scope: Scope::Tree, select: Select::Everyone };
    let panel = Panel::open(&machine, PanelOptions { watch, process_memory: false, fast: false, without: Vec::new() }).unwrap();
    let (interval, write_interval) = (Duration::from_millis(10), Duration::from_secs(1));
    let options = Options { interval, dense_start: false, write_interval, until: Until::Tree, duration: None, max_overhead: None };
    let mut recorder = Recorder::new(panel, options).unwrap();
    recorder.spawn(&["sh", "-c", job]).unwrap();
    recorder.run(Nowhere, || panic!("a fault"));
}

#[test]
fn the_job_goes_on_and_its_status_is_ours() {
    if let Ok(job) = std::env::var(RECORDER) {
        record(&job);
        unreachable!("the fault was passed over");
    }
    let folder = tempfile::tempdir().unwrap();
    // What it leaves behind is waited for as well.
    let job = "sleep 0.3; (sleep 0.3; echo late > late) & exit 3";
    let mut recorder = Command::new(std::env::current_exe().unwrap());
    recorder.args(["--exact", "the_job_goes_on_and_its_status_is_ours", "--nocapture"]);
    let output = recorder.env(RECORDER, job).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("a fault") && said.contains("nothing is recorded from here on"), "{said}");
    assert!(folder.path().join("late").exists());
}
