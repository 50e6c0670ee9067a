//! A thread that makes ready what the recorder is going to need, while that has other things to do.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::{last_stand, system_call};

/// Does this on a thread that hears no signal, whatever this one does with them later. Where no thread can be had, or no memory, it is not done, so
/// nobody may wait for it; nor may it take memory while it holds a lock.
pub fn assist(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    system_call::share_heaps(2);
    let placed = Arc::new(AtomicBool::new(false));
    let is_placed = Arc::clone(&placed);
    let mask = system_call::leave_signals_to_others();
    let thread = thread::Builder::new().name("assistant".to_owned()).spawn(move || {
        last_stand::is_assistant();
        work();
        // To say where a thread runs that has ended says it of who says it.
        while !is_placed.load(Ordering::Acquire) {
            thread::park();
        }
    });
    system_call::restore(mask);
    thread.inspect(|thread| {
        system_call::send_to_another_core(thread);
        placed.store(true, Ordering::Release);
        thread.thread().unpark();
    })
}
