//! What tests of a recorder have in common: a panel of the machine alone, and a sink that keeps everything.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barograph_model::{Batch, Described, Sink};
use barograph_sources::{Machine, Roots, Scope, Select, Watch};

use super::{Options, Until};
use crate::panel::{Panel, PanelOptions};

/// A panel of this machine, without any process.
pub(super) fn panel() -> Panel {
    let watch = Watch { roots: Vec::new(), adopts: false, scope: Scope::Machine, select: Select::Nobody };
    let machine = Arc::new(Machine::open(Roots::default()).unwrap());
    Panel::open(&machine, PanelOptions { watch, process_memory: false, fast: false, without: Vec::new() }).unwrap()
}

/// Ticks so far apart, and what they read published so seldom, until somebody says that it is enough.
pub(super) fn options(interval: Duration, write_interval: Duration) -> Options {
    Options { interval, dense_start: false, write_interval, until: Until::Stopped, duration: None, max_overhead: None }
}

/// Keeps all that it is given, and counts how often that was to be published.
#[derive(Clone, Default)]
pub(super) struct Kept(pub(super) Arc<Mutex<Vec<Batch>>>, pub(super) Arc<AtomicUsize>);

impl Sink for Kept {
    type Error = Infallible;

    fn take(&mut self, batch: &Batch) -> Result<(), Infallible> {
        self.0.lock().unwrap().push(batch.clone());
        Ok(())
    }

    fn publish(&mut self) -> Result<(), Infallible> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn bytes_written(&self) -> u64 {
        0
    }

    fn rows_lost(&self) -> u64 {
        0
    }
}

impl Kept {
    pub(super) fn of<T: Described>(&self) -> Batch {
        let mut all = Batch::new(T::TABLE);
        self.0.lock().unwrap().iter().filter(|batch| batch.table().is(T::TABLE)).for_each(|batch| all.append(batch));
        all
    }
}
