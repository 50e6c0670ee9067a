//! The program that the kernel runs for each of its tasks, made instruction by instruction from where this kernel keeps what we ask for; and the records
//! that it writes, as values. Pure: types in, instructions out; bytes in, values out.
//!
//! For each thread it writes a record of what that thread used. The record of a process's first thread holds also what threads that have ended used, which
//! the kernel keeps for all of them together, and all that is told once for a process. The kernel moves the use of a thread that ends from the one to the other
//! under a lock that counts its changes. That count is in each record: where it is the same in all records of a process, nothing was moved meanwhile, and the
//! sum is as exact as that of /proc, which is made under the same lock.

use super::btf::Btf;

/// The function whose programs the kernel calls for each task.
const TARGET: &str = "bpf_iter_task";
/// The helper bpf_seq_write.
const SEQ_WRITE: i32 = 127;

/// Changes whenever the records do.
const VERSION: u64 = 0xba60_0001;
/// Counters that are added up over a process's threads.
pub(super) const COUNTERS: usize = 12;

// A record is an array of 64-bit numbers. Those of every thread:
const TAG: usize = 0;
const PROCESS: usize = 1;
const CHANGES: usize = 2;
const FIRST_COUNTER: usize = 3;
const THREAD_LENGTH: usize = FIRST_COUNTER + COUNTERS;
// And of a process's first thread:
const CHANGES_AFTER: usize = THREAD_LENGTH;
const STATE: usize = 16;
const EXIT_STATE: usize = 17;
const FLAGS: usize = 18;
const PARENT: usize = 19;
const PRIORITY: usize = 20;
const CORE: usize = 21;
const THREADS: usize = 22;
const STARTED: usize = 23;
const VIRTUAL: usize = 24;
const RESIDENT: usize = 25;
const NAME: usize = 28;
const CHILDREN: usize = 30;
const SHOWN: usize = 34;
const PROCESS_LENGTH: usize = 36;

const fn tag(length: usize) -> u64 {
    VERSION << 32 | length as u64
}

/// The fields of task_struct and of signal_struct that hold a counter of a living thread, and of all that have ended.
const COUNTED: [(&str, &str); COUNTERS] = [
    ("utime", "utime"),
    ("stime", "stime"),
    ("se.sum_exec_runtime", "sum_sched_runtime"),
    ("min_flt", "min_flt"),
    ("maj_flt", "maj_flt"),
    ("ioac.rchar", "ioac.rchar"),
    ("ioac.wchar", "ioac.wchar"),
    ("ioac.syscr", "ioac.syscr"),
    ("ioac.syscw", "ioac.syscw"),
    ("ioac.read_bytes", "ioac.read_bytes"),
    ("ioac.write_bytes", "ioac.write_bytes"),
    ("ioac.cancelled_write_bytes", "ioac.cancelled_write_bytes"),
];

/// What one record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) process: u32,
    /// How often the books of the process's ended threads had been opened and closed before and after this was read; odd while they are open.
    pub(super) changes: (u64, u64),
    /// utime, stime and run time in nanoseconds, minor and major faults, then the seven of /proc/PID/io.
    pub(super) counters: [u64; COUNTERS],
    /// For a process's first thread.
    pub(super) first: Option<First>,
}

/// What is told once for a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First {
    pub(super) state: u64,
    pub(super) exit_state: u64,
    pub(super) flags: u64,
    pub(super) parent: u32,
    pub(super) priority: i64,
    pub(super) core: u64,
    pub(super) threads: u64,
    pub(super) started_nanos: u64,
    pub(super) virtual_pages: u64,
    /// Of files, of no file, and shared. An approximate counter may be below 0.
    pub(super) resident_pages: [i64; 3],
    pub(super) name: [u8; 16],
    /// utime and stime in nanoseconds, minor and major faults of collected children.
    pub(super) children: [u64; 4],
    /// The last utime and stime in nanoseconds that anybody was shown.
    pub(super) shown: [u64; 2],
}

/// The records in what the kernel gave, or `None` if that is not what our program writes.
pub(super) fn records(bytes: &[u8]) -> Option<impl Iterator<Item = Record> + '_> {
    // Two rounds, so that nobody works with the first half of what then turns out to be rubbish.
    let mut rest = bytes;
    while !rest.is_empty() {
        rest = split_record(rest)?.1;
    }
    let mut rest = bytes;
    Some(std::iter::from_fn(move || {
        let (record, behind) = split_record(rest)?;
        rest = behind;
        Some(record)
    }))
}

fn split_record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let length = match number(bytes, TAG)? {
        told if told == tag(THREAD_LENGTH) => THREAD_LENGTH,
        told if told == tag(PROCESS_LENGTH) => PROCESS_LENGTH,
        _ => return None,
    };
    let (record, behind) = bytes.split_at_checked(length * 8)?;
    let value = |index: usize| number(record, index);
    let id = |index: usize| u32::try_from(value(index)?).ok();
    let changes = value(CHANGES)?;
    let mut counters = [0; COUNTERS];
    for (index, counter) in counters.iter_mut().enumerate() {
        *counter = value(FIRST_COUNTER + index)?;
    }
    let first = if length == PROCESS_LENGTH {
        Some(First {
            state: value(STATE)?,
            exit_state: value(EXIT_STATE)?,
            flags: value(FLAGS)?,
            parent: id(PARENT)?,
            priority: i64::from(id(PRIORITY)?),
            core: value(CORE)?,
            threads: value(THREADS)?,
            started_nanos: value(STARTED)?,
            virtual_pages: value(VIRTUAL)?,
            resident_pages: [value(RESIDENT)?.cast_signed(), value(RESIDENT + 1)?.cast_signed(), value(RESIDENT + 2)?.cast_signed()],
            name: record.get(NAME * 8..NAME * 8 + 16)?.try_into().ok()?,
            children: [value(CHILDREN)?, value(CHILDREN + 1)?, value(CHILDREN + 2)?, value(CHILDREN + 3)?],
            shown: [value(SHOWN)?, value(SHOWN + 1)?],
        })
    } else {
        None
    };
    let changes_after = if first.is_some() { value(CHANGES_AFTER)? } else { changes };
    Some((Record { process: id(PROCESS)?, changes: (changes, changes_after), counters, first }, behind))
}

fn number(bytes: &[u8], index: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(index * 8..index * 8 + 8)?.try_into().ok()?))
}

/// A program that is ready to be loaded.
pub(super) struct Program {
    /// In the kernel's encoding, uapi/linux/bpf.h.
    pub(super) instructions: Vec<u64>,
    /// The number of the type of the function that it is for.
    pub(super) target: u32,
}

/// Makes the program for the kernel with these types. An error names the field that this kernel does not have.
pub(super) fn make(btf: &Btf<'_>) -> Result<Program, String> {
    let missing = |what: &str| format!("this kernel has no {what}");
    let (target, parameters) = btf.function(TARGET).ok_or_else(|| missing(TARGET))?;
    let [meta, task] = parameters[..] else { return Err(format!("{TARGET} takes other arguments here")) };
    let structure = |pointer: u32, name: &str| btf.target(pointer).ok_or_else(|| missing(name));
    let (meta, task) = (structure(meta, "bpf_iter_meta")?, structure(task, "task_struct")?);
    // The first path of a list that this kernel has.
    let place = |structure: u32, paths: &str| paths.split('|').find_map(|path| btf.place(structure, path)).ok_or_else(|| missing(paths));
    let pointer = |from: u32, name: &str| structure(place(from, name)?.kind, name);
    let (signal, memory) = (pointer(task, "signal")?, pointer(task, "mm")?);
    let field = |structure: u32, paths: &str| {
        let place = place(structure, paths)?;
        let offset = i16::try_from(place.offset).map_err(|_| format!("{paths} lies too far"))?;
        let width = btf.width(place.kind).and_then(Width::of).ok_or_else(|| format!("{paths} is of another kind here"))?;
        Ok::<Field, String>(Field { offset, width })
    };

    let mut code = Assembler::default();
    code.copy(CONTEXT, R1);
    code.load(TASK, CONTEXT, Field { offset: 8, width: Width::Eight });
    // At the end it is called once more, without a task.
    let no_task = code.jump_if_zero(TASK);
    code.load(SIGNAL, TASK, field(task, "signal")?);
    let no_signal = code.jump_if_zero(SIGNAL);
    let changes = field(signal, "stats_lock.seqcount.seqcount.sequence|stats_lock.seqcount.sequence")?;
    code.keep(SIGNAL, changes, CHANGES);
    for (index, (of_task, _)) in COUNTED.iter().enumerate() {
        code.keep(TASK, field(task, of_task)?, FIRST_COUNTER + index);
    }
    code.load(R1, TASK, field(task, "pid")?);
    code.load(R2, TASK, field(task, "tgid")?);
    code.store(R2, PROCESS);
    let is_first = code.jump_if_equal(R1, R2);
    code.constant(R1, tag(THREAD_LENGTH));
    code.store(R1, TAG);
    code.write(field(meta, "seq")?, THREAD_LENGTH);
    code.end();

    code.land(is_first);
    for (index, (_, of_ended)) in COUNTED.iter().enumerate() {
        code.load(R1, SIGNAL, field(signal, of_ended)?);
        code.add_to(R1, FIRST_COUNTER + index);
    }
    for (paths, slot) in [
        ("__state|state", STATE),
        ("exit_state", EXIT_STATE),
        ("flags", FLAGS),
        ("static_prio", PRIORITY),
        ("thread_info.cpu|cpu", CORE),
        ("start_boottime", STARTED),
    ] {
        code.keep(TASK, field(task, paths)?, slot);
    }
    let name = place(task, "comm.15")?.offset.checked_sub(15).and_then(|offset| i16::try_from(offset).ok()).ok_or_else(|| missing("comm"))?;
    for half in 0..2 {
        code.keep(TASK, Field { offset: name + 8 * half, width: Width::Eight }, NAME + usize::from(half.cast_unsigned()));
    }
    for (path, slot) in [
        ("nr_threads", THREADS),
        ("cutime", CHILDREN),
        ("cstime", CHILDREN + 1),
        ("cmin_flt", CHILDREN + 2),
        ("cmaj_flt", CHILDREN + 3),
        ("prev_cputime.utime", SHOWN),
        ("prev_cputime.stime", SHOWN + 1),
    ] {
        code.keep(SIGNAL, field(signal, path)?, slot);
    }
    code.keep(SIGNAL, changes, CHANGES_AFTER);
    // Who has no parent has none to tell, and who has no memory has none of any kind.
    code.constant(R1, 0);
    [PARENT, VIRTUAL, RESIDENT, RESIDENT + 1, RESIDENT + 2].into_iter().for_each(|slot| code.store(R1, slot));
    code.load(OTHER, TASK, field(task, "real_parent")?);
    let no_parent = code.jump_if_zero(OTHER);
    code.keep(OTHER, field(pointer(task, "real_parent")?, "tgid")?, PARENT);
    code.land(no_parent);
    code.load(OTHER, TASK, field(task, "mm")?);
    let no_memory = code.jump_if_zero(OTHER);
    code.keep(OTHER, field(memory, "total_vm")?, VIRTUAL);
    // Pages of files, of no file, and shared: numbers 0, 1 and 3 of the kernel's list. Number 2 is swap.
    for (index, slot) in [(0, RESIDENT), (1, RESIDENT + 1), (3, RESIDENT + 2)] {
        let paths = format!("rss_stat.{index}.count|rss_stat.count.{index}.counter");
        code.keep(OTHER, field(memory, &paths)?, slot);
    }
    code.land(no_memory);
    code.constant(R1, tag(PROCESS_LENGTH));
    code.store(R1, TAG);
    code.write(field(meta, "seq")?, PROCESS_LENGTH);
    code.land(no_task);
    code.land(no_signal);
    code.end();
    Ok(Program { instructions: code.0, target })
}

/// A register of the kernel's virtual machine.
#[derive(Clone, Copy)]
struct Register(u8);

const R0: Register = Register(0);
const R1: Register = Register(1);
const R2: Register = Register(2);
const R3: Register = Register(3);
/// From here on registers survive the call of a helper.
const TASK: Register = Register(6);
const SIGNAL: Register = Register(7);
const OTHER: Register = Register(8);
const CONTEXT: Register = Register(9);
const FRAME: Register = Register(10);

#[derive(Clone, Copy)]
enum Width {
    Four,
    Eight,
}

impl Width {
    fn of(bytes: u32) -> Option<Width> {
        match bytes {
            4 => Some(Width::Four),
            8 => Some(Width::Eight),
            _ => None,
        }
    }
}

/// Where a number lies in a struct.
#[derive(Clone, Copy)]
struct Field {
    offset: i16,
    width: Width,
}

/// A jump forward whose end is yet to come.
struct Jump(usize);

/// Instructions, one after another. The record is made at the top of the stack.
#[derive(Default)]
struct Assembler(Vec<u64>);

impl Assembler {
    fn emit(&mut self, code: u8, to: Register, from: Register, offset: i16, immediate: i32) {
        let [low, high] = offset.to_le_bytes();
        let [a, b, c, d] = immediate.to_le_bytes();
        self.0.push(u64::from_le_bytes([code, to.0 | from.0 << 4, low, high, a, b, c, d]));
    }

    /// A number from memory; one of 4 bytes is filled up with zeros.
    fn load(&mut self, to: Register, from: Register, field: Field) {
        let code = match field.width {
            Width::Four => 0x61,
            Width::Eight => 0x79,
        };
        self.emit(code, to, from, field.offset, 0);
    }

    fn store(&mut self, from: Register, slot: usize) {
        self.emit(0x7b, FRAME, from, on_stack(slot), 0);
    }

    /// Loads a number and stores it in the record.
    fn keep(&mut self, from: Register, field: Field, slot: usize) {
        self.load(R1, from, field);
        self.store(R1, slot);
    }

    /// Adds to what the record has.
    fn add_to(&mut self, from: Register, slot: usize) {
        self.load(R2, FRAME, Field { offset: on_stack(slot), width: Width::Eight });
        self.emit(0x0f, R2, from, 0, 0);
        self.store(R2, slot);
    }

    fn copy(&mut self, to: Register, from: Register) {
        self.emit(0xbf, to, from, 0, 0);
    }

    fn constant(&mut self, to: Register, value: u64) {
        let half = |value: u64| ((value & 0xffff_ffff) as u32).cast_signed();
        // This one instruction takes the place of two.
        self.emit(0x18, to, Register(0), 0, half(value));
        self.emit(0, Register(0), Register(0), 0, half(value >> 32));
    }

    fn jump_if_zero(&mut self, register: Register) -> Jump {
        self.emit(0x15, register, Register(0), 0, 0);
        Jump(self.0.len() - 1)
    }

    fn jump_if_equal(&mut self, one: Register, other: Register) -> Jump {
        self.emit(0x1d, one, other, 0, 0);
        Jump(self.0.len() - 1)
    }

    /// Here the jump leads.
    fn land(&mut self, jump: Jump) {
        let distance = (self.0.len() - jump.0 - 1) as u64 & 0x7fff;
        self.0[jump.0] |= distance << 16;
    }

    /// Hands the record to the reader: bpf_seq_write(meta->seq, record, length).
    fn write(&mut self, seq: Field, slots: usize) {
        self.load(R1, CONTEXT, Field { offset: 0, width: Width::Eight });
        self.load(R1, R1, seq);
        self.copy(R2, FRAME);
        self.emit(0x07, R2, Register(0), 0, i32::from(on_stack(0)));
        self.constant(R3, 8 * slots as u64);
        self.emit(0x85, Register(0), Register(0), 0, SEQ_WRITE);
    }

    fn end(&mut self) {
        self.constant(R0, 0);
        self.emit(0x95, Register(0), Register(0), 0, 0);
    }
}

/// Where a number of the record lies, from the stack's upper end.
const fn on_stack(slot: usize) -> i16 {
    8 * (slot as i16 - PROCESS_LENGTH as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(numbers: &[u64]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
    }

    fn thread_record() -> Vec<u64> {
        let mut record: Vec<u64> = (0..THREAD_LENGTH as u64).collect();
        record[TAG] = tag(THREAD_LENGTH);
        record
    }

    fn process_record() -> Vec<u64> {
        let mut record: Vec<u64> = (0..PROCESS_LENGTH as u64).collect();
        record[TAG] = tag(PROCESS_LENGTH);
        record[RESIDENT] = u64::MAX;
        record
    }

    #[test]
    fn records_are_read_as_they_are_written() {
        let both = bytes(&[process_record(), thread_record()].concat());
        let found: Vec<Record> = records(&both).unwrap().collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].process, found[0].changes, found[1].changes), (1, (2, 15), (2, 2)));
        assert_eq!((found[0].counters[0], found[0].counters[COUNTERS - 1], found[1].first), (3, 14, None));
        let first = found[0].first.unwrap();
        assert_eq!((first.state, first.parent, first.priority, first.started_nanos), (16, 19, 20, 23));
        assert_eq!((first.resident_pages, first.children, first.shown), ([-1, 26, 27], [30, 31, 32, 33], [34, 35]));
        assert_eq!(first.name, *bytes(&[28, 29]).as_slice());
        assert_eq!(records(b"").unwrap().count(), 0);
    }

    #[test]
    fn what_our_program_does_not_write_is_refused_whole() {
        let good = bytes(&[thread_record(), process_record()].concat());
        for end in 1..good.len() {
            assert_eq!(records(&good[..end]).is_some(), end == THREAD_LENGTH * 8, "{end}");
        }
        // Another version, another length, a pid beyond 32 bits.
        for (slot, value) in [(TAG, tag(THREAD_LENGTH) + (1 << 32)), (TAG, tag(THREAD_LENGTH + 1)), (PROCESS, 1 << 32)] {
            let mut record = thread_record();
            record[slot] = value;
            assert!(records(&bytes(&[thread_record(), record].concat())).is_none());
        }
    }

    #[test]
    fn jumps_lead_where_they_land() {
        let mut code = Assembler::default();
        let jump = code.jump_if_zero(R1);
        code.copy(R1, R2);
        code.land(jump);
        code.end();
        assert_eq!(code.0[0], 0x15 | 1 << 8 | 1 << 16, "over one instruction");
        assert_eq!(code.0[1], 0xbf | 0x21 << 8);
    }
}
