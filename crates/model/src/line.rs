//! Which line of a program was running: the table of sampled stacks, and how a stack is written as text and read back.

use crate::{Bytes, Count, Counter, Gauge, Id, Level, Moment, Rows, Seconds, Text, table};

table! {
    /// What each thread of a Python program was doing, many times a second. A thread that runs has a row at each sample; one that waits has a row at the
    /// end of its wait, and at least once a second.
    pub Lines = "lines" in "py-spy" {
        key {
            /// Number of the process.
            pid: Id = "the pid",
            /// When it began, in clock ticks since boot: with the pid it names one process for good.
            start_ticks: Id = "stat starttime",
            /// The thread, by the kernel's number.
            thread: Id = "PyThreadState native_thread_id",
        }
        /// What the program calls the thread.
        thread_name: Text = "threading._active",
        /// `running` if it ran or was ready to, else `waiting`: for a lock, a device, the network, or time to pass.
        state: Text = "stat state",
        /// 1 if it held the interpreter's lock, else 0.
        holds_lock: Gauge<Level> = "_PyRuntime gil",
        /// How long the row stands for: the time since the thread was looked at before, or since it began to wait.
        duration: Gauge<Seconds> = "the recorder",
        /// The innermost function that is the program's own: not of the standard library, nor of an installed package, if there is such a one.
        function: Text = "PyCodeObject co_qualname",
        /// Its file, as the program knows it.
        file: Text = "PyCodeObject co_filename",
        /// The line of that file.
        line: Id = "PyCodeObject co_linetable",
        /// All that called it and all that it calls, outermost first: `function (file:line)`, with semicolons between.
        stack: Text = "PyThreadState frame",
        /// CPU time of the thread; absent while it waits.
        thread_cpu: Counter<Seconds> = "task/TID/schedstat",
        /// Page faults of the thread without reading from a disk: new memory that it touched. Absent while it waits, or is alone.
        thread_minor_faults: Counter<Count> = "task/TID/stat minflt",
        /// CPU time of the process, all threads.
        cpu: Counter<Seconds> = "stat utime and stime",
        /// RAM of the process.
        resident: Gauge<Bytes> = "stat rss",
        /// Bytes that the process had read by read(2) and its like, from anywhere.
        read: Counter<Bytes> = "io rchar",
        /// Bytes that the process had written by write(2) and its like, to anywhere.
        written: Counter<Bytes> = "io wchar",
        /// Page faults of the process without reading from a disk.
        minor_faults: Counter<Count> = "stat minflt",
        /// Page faults of the process that read from a disk.
        major_faults: Counter<Count> = "stat majflt",
    }
}

/// The word for a thread that ran or was ready to.
pub const RUNNING: &str = "running";
/// The word for a thread that waited.
pub const WAITING: &str = "waiting";

/// So many frames of a stack are written: the outermost, and the innermost.
const MOST_FRAMES: (usize, usize) = (32, 96);
/// What stands for the frames between them.
const LEFT_OUT: &str = "…";

/// A function that is being executed, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackFrame<'a> {
    /// Its name, such as `Reader.read`.
    pub function: &'a str,
    /// Its file.
    pub file: &'a str,
    /// The line; 0 if it is not known.
    pub line: u64,
}

impl StackFrame<'_> {
    /// Whether it belongs to the language or to an installed package, and not to the program itself.
    pub fn is_of_library(&self) -> bool {
        let file = self.file;
        file.starts_with("<frozen ")
            || ["/site-packages/", "/dist-packages/"].iter().any(|folder| file.contains(folder))
            || file.split_once("/lib/python").is_some_and(|(_, rest)| rest.starts_with(|digit: char| digit.is_ascii_digit()))
    }
}

/// What a process had used when its stacks were taken. What is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LineCounters {
    /// CPU time of the process, in seconds.
    pub cpu_seconds: Option<f64>,
    /// RAM.
    pub resident_bytes: Option<u64>,
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Bytes written.
    pub written_bytes: Option<u64>,
    /// Page faults without reading from a disk.
    pub minor_faults: Option<u64>,
    /// Page faults that read from a disk.
    pub major_faults: Option<u64>,
}

/// One thread at one moment, before it is a row. Whoever can look at the stacks of a program may add such rows: `report --lines` asks no more.
#[derive(Clone, Copy, Debug)]
pub struct LineRow<'a> {
    /// When the stack was taken.
    pub at: Moment,
    /// The process.
    pub pid: u32,
    /// When it began, in clock ticks since boot.
    pub start_ticks: u64,
    /// The thread, by the kernel's number.
    pub thread: Option<u64>,
    /// What the program calls it.
    pub thread_name: Option<&'a str>,
    /// Whether it ran or was ready to.
    pub is_running: bool,
    /// Whether it held the interpreter's lock.
    pub holds_lock: bool,
    /// How long the row stands for, in seconds.
    pub duration_seconds: f64,
    /// CPU time of the thread, in seconds.
    pub thread_cpu_seconds: Option<f64>,
    /// Page faults of the thread without reading from a disk.
    pub thread_minor_faults: Option<u64>,
    /// What the process had used.
    pub counters: LineCounters,
    /// The stack, innermost first.
    pub frames: &'a [StackFrame<'a>],
}

impl Rows<Lines> {
    /// Adds a row. A thread without frames executes nothing of the program's, and has none.
    pub fn add(&mut self, row: &LineRow<'_>) {
        let own = row.frames.iter().find(|frame| !frame.is_of_library());
        let Some(frame) = own.or(row.frames.first()) else { return };
        let stack = stack_text(row.frames);
        let counters = row.counters;
        self.row(row.at)
            .set(Lines::pid, u64::from(row.pid))
            .set(Lines::start_ticks, row.start_ticks)
            .set(Lines::thread, row.thread)
            .text(Lines::thread_name, row.thread_name.map(str::as_bytes))
            .text(Lines::state, if row.is_running { RUNNING } else { WAITING }.as_bytes())
            .set(Lines::holds_lock, i64::from(row.holds_lock))
            .set(Lines::duration, row.duration_seconds)
            .text(Lines::function, frame.function.as_bytes())
            .text(Lines::file, frame.file.as_bytes())
            .set(Lines::line, (frame.line > 0).then_some(frame.line))
            .text(Lines::stack, stack.as_bytes())
            .set(Lines::thread_cpu, row.thread_cpu_seconds)
            .set(Lines::thread_minor_faults, row.thread_minor_faults)
            .set(Lines::cpu, counters.cpu_seconds)
            .set(Lines::resident, counters.resident_bytes)
            .set(Lines::read, counters.read_bytes)
            .set(Lines::written, counters.written_bytes)
            .set(Lines::minor_faults, counters.minor_faults)
            .set(Lines::major_faults, counters.major_faults);
    }
}

/// A stack as text. Frames that follow an equal one, as in a recursion, are left out; so is the middle of a very deep stack.
fn stack_text(innermost_first: &[StackFrame<'_>]) -> String {
    let mut frames: Vec<&StackFrame<'_>> = innermost_first.iter().rev().collect();
    frames.dedup();
    let (outer, inner) = MOST_FRAMES;
    let cut = if frames.len() > outer + inner { outer..frames.len() - inner } else { 0..0 };
    let mut text = String::new();
    for (place, frame) in frames.iter().enumerate() {
        if cut.contains(&place) && place != cut.start {
            continue;
        }
        if !text.is_empty() {
            text.push(';');
        }
        if cut.contains(&place) {
            text.push_str(LEFT_OUT);
            continue;
        }
        // Signs with a meaning here are none that names have; who calls a file so reads it a little changed.
        text.extend(frame.function.chars().map(|sign| if sign == ';' || sign == '(' { ',' } else { sign }));
        text.push_str(" (");
        text.extend(frame.file.chars().map(|sign| if sign == ';' { ',' } else { sign }));
        text.push_str(&format!(":{})", frame.line));
    }
    text
}

/// The frames of a stack's text, outermost first. What is none is passed over.
pub fn stack_frames(text: &str) -> impl Iterator<Item = StackFrame<'_>> {
    text.split(';').filter_map(|frame| {
        let (function, place) = frame.strip_suffix(')')?.split_once(" (")?;
        let (file, line) = place.rsplit_once(':')?;
        Some(StackFrame { function, file, line: line.parse().ok()? })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame<'a>(function: &'a str, file: &'a str, line: u64) -> StackFrame<'a> {
        StackFrame { function, file, line }
    }

    #[test]
    fn a_row_is_of_the_programs_own_line() {
        let frames = [
            frame("loads", "/usr/lib/python3.11/json/__init__.py", 346),
            frame("Reader.read", "job/read.py", 12),
            frame("<module>", "/home/lib/python/main.py", 3),
        ];
        let mut rows = Rows::<Lines>::new();
        let row = LineRow {
            at: Moment::default(),
            pid: 7,
            start_ticks: 8,
            thread: Some(7),
            thread_name: None,
            is_running: true,
            holds_lock: true,
            duration_seconds: 0.01,
            thread_cpu_seconds: None,
            thread_minor_faults: None,
            counters: LineCounters::default(),
            frames: &frames,
        };
        rows.add(&row);
        rows.add(&LineRow { frames: &frames[..1], ..row });
        rows.add(&LineRow { frames: &[], ..row });
        assert_eq!(rows.len(), 2);
        let text = |column: &str, row| rows.column(column).and_then(|column| column.text(row));
        assert_eq!((text("function", 0), text("file", 0), text("state", 0)), (Some("Reader.read"), Some("job/read.py"), Some("running")));
        assert_eq!(
            text("stack", 0),
            Some("<module> (/home/lib/python/main.py:3);Reader.read (job/read.py:12);loads (/usr/lib/python3.11/json/__init__.py:346)")
        );
        assert_eq!(text("function", 1), Some("loads"), "where there is nothing else");
        assert!(!frames[2].is_of_library() && frame("f", "/x/venv/lib/python3.13/site-packages/a.py", 1).is_of_library());
    }

    #[test]
    fn recursion_is_folded_and_a_deep_stack_is_cut_in_the_middle() {
        let deep = [[frame("leaf", "a.py", 2)].as_slice(), &[frame("again", "a.py", 1); 4000], &[frame("main", "a.py", 9)]].concat();
        assert_eq!(stack_text(&deep), "main (a.py:9);again (a.py:1);leaf (a.py:2)");
        let deep: Vec<_> = (0..1000).map(|line| frame("f", "a.py", line)).collect();
        let text = stack_text(&deep);
        assert_eq!(text.matches(LEFT_OUT).count(), 1);
        let read: Vec<_> = stack_frames(&text).map(|frame| frame.line).collect();
        assert_eq!(read, (968..1000).rev().chain((0..96).rev()).collect::<Vec<_>>());
    }

    proptest! {
        /// However files and functions are called: what is written is read back, but for the two signs that part frames.
        #[test]
        fn a_stack_is_read_back(frames in prop::collection::vec((any::<String>(), any::<String>(), any::<u64>()), 0..20)) {
            let frames: Vec<_> = frames.iter().map(|(function, file, line)| frame(function, file, *line)).collect();
            let text = stack_text(&frames);
            let mut expected: Vec<_> = frames.iter().rev()
                .map(|frame| (frame.function.replace([';', '('], ","), frame.file.replace(';', ","), frame.line)).collect();
            expected.dedup();
            let read: Vec<_> = stack_frames(&text).map(|frame| (frame.function.to_owned(), frame.file.to_owned(), frame.line)).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
