//! A thread that makes ready what the recorder is going to need, while that has other things to do.

use std::io;
use std::thread::{self, JoinHandle};

use crate::{last_stand, system_call};

/// Does this on a thread that hears no signal, whatever this one does with them later. Where no thread can be had, or no memory, it is not done, so
/// nobody may wait for it; nor may it take memory while it holds a lock.
pub fn assist(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    system_call::share_heaps(2);
    let mask = system_call::leave_signals_to_others();
    let thread = thread::Builder::new().name("assistant".to_owned()).spawn(move || {
        last_stand::is_assistant();
        work();
    });
    system_call::restore(mask);
    thread.inspect(system_call::send_to_another_core)
}
