//! What takes long to read is read ahead, as soon as a page shows a recording: the charts of all processes. Whatever is asked meanwhile comes first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use barograph_model::Described;
use barograph_sources::Process;
use barograph_view::{Spec, View, Window};

use crate::library::Run;

/// With fewer rows of processes than this there is nothing to gain.
const MANY_ROWS: u64 = 500_000;

/// Columns of a screen, about. What is read does not depend on it.
const BUCKETS: usize = 1000;

/// By how much nicer than an answer it is to be: little, as answers about processes wait for it, and jobs may have all the machine.
const NICE: i32 = 3;

/// Whether somebody reads ahead. Others need not be at it at the same time.
static AT_IT: AtomicBool = AtomicBool::new(false);

/// Reads ahead on a thread of its own, once for a recording that is drawn.
pub(crate) fn warm(run: &Run) -> Option<JoinHandle<()>> {
    if AT_IT.swap(true, Ordering::AcqRel) {
        return None;
    }
    let Some(view) = run.cold() else {
        AT_IT.store(false, Ordering::Release);
        return None;
    };
    let read = move || {
        // Threads have this each for itself. Without it, it is done all the same.
        let _ = rustix::process::nice(NICE);
        // What can't be read says so when it is asked for.
        let _ = read_ahead(&view, MANY_ROWS);
        AT_IT.store(false, Ordering::Release);
    };
    let started = thread::Builder::new().name("reading ahead".to_owned()).spawn(read);
    started.inspect_err(|_| AT_IT.store(false, Ordering::Release)).ok()
}

/// Everything that the page shows of all processes by itself, at once: so their rows are read once.
fn read_ahead(view: &View, many_rows: u64) -> Result<(), barograph_view::Error> {
    if view.tables().iter().all(|table| table.name != Process::TABLE.name || table.rows < many_rows) {
        return Ok(());
    }
    let shown = view.panels().into_iter().filter(|panel| panel.shown).flat_map(|panel| panel.specs);
    let specs: Vec<Spec> = shown.filter(|spec| spec.table == Process::TABLE.name && spec.by).collect();
    let (from, to) = view.range();
    view.lines(&specs, Window { from, to, buckets: BUCKETS })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use barograph_store::Timeline;

    use super::*;
    use crate::hour::{Hour, write};

    #[test]
    fn what_was_read_ahead_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.baro");
        write(&path, Hour { ticks: 2400, processes: 3, spans: 0 });
        let specs = |view: &View| -> Vec<Spec> {
            view.panels().into_iter().filter(|panel| panel.shown).flat_map(|panel| panel.specs).filter(|spec| spec.table == "process").collect()
        };
        let count = |view: &View| {
            let (from, to) = view.range();
            view.lines(&specs(view), Window { from, to, buckets: 700 }).map_or(0, |found| found.lines.len())
        };
        let (cold, warm) = (View::open(&path).unwrap(), View::open(&path).unwrap());
        let all = count(&View::open(&path).unwrap());
        assert!(all >= 6 && specs(&warm).len() >= 2, "{all}");
        read_ahead(&cold, 1_000_000).unwrap();
        read_ahead(&warm, 1000).unwrap();
        assert!(Timeline::open(&path).unwrap().table("process").unwrap().rows >= 7000);
        fs::remove_dir_all(path.join("process")).unwrap();
        assert_eq!((count(&cold), count(&warm)), (0, all));
    }
}
