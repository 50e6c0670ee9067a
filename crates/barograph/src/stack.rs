//! The spans that each thread is within: what begins now lies within the innermost.

use std::cell::RefCell;

use barograph_beacon::SpanId;

thread_local! {
    static OPEN: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

struct Entry {
    span: SpanId,
    /// CPU time of the thread when it came to be within it, if somebody counts that.
    cpu_nanos: Option<u64>,
}

/// The innermost span that this thread is within.
pub(crate) fn innermost() -> Option<SpanId> {
    with(|open| open.last().map(|entry| entry.span)).flatten()
}

/// From here on it is the innermost.
pub(crate) fn enter(span: SpanId) {
    with(|open| open.push(Entry { span, cpu_nanos: None }));
}

/// The same, and from here on CPU time is counted, unless it is already.
pub(crate) fn enter_and_count(span: SpanId) {
    with(|open| {
        let is_counted = open.iter().any(|entry| entry.span == span);
        open.push(Entry { span, cpu_nanos: (!is_counted).then(thread_cpu_nanos) });
    });
}

/// This thread is not within it any more; spans that began within it may outlive it. Returns the CPU time that was counted.
pub(crate) fn leave(span: SpanId) -> u64 {
    let began = with(|open| {
        let place = open.iter().rposition(|entry| entry.span == span)?;
        open.remove(place).cpu_nanos
    });
    began.flatten().map_or(0, |began| thread_cpu_nanos().saturating_sub(began))
}

/// Nothing happens while the thread ends, when it has no such list any more.
fn with<T>(act: impl FnOnce(&mut Vec<Entry>) -> T) -> Option<T> {
    OPEN.try_with(|open| open.try_borrow_mut().ok().map(|mut open| act(&mut open))).ok().flatten()
}

/// CPU time that this thread has used.
fn thread_cpu_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
