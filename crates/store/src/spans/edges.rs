//! From begins and ends to blocks: which end belongs to which begin, what lies within what, and what the sender read at both.

use std::collections::HashMap;

use barograph_model::{Described, Field, Moment, SpanEdges, Words};

use super::processes::{Process, Seen};
use super::{Shared, Status, nanos_between};
use crate::{Error, Frame, Query, Timeline};

/// Edges that are read together.
const CHUNK_ROWS: u64 = 65_536;

const ENDED_EARLY: &str = "its end is dated before its begin";
const BEGAN_TWICE: &str = "another one of this id began while it was open, and is left out";
const UNSEEN: &str = "when it ended is not known: its process was never seen";

/// One block of code: a begin, and its end if there is one.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) id: Shared,
    pub(super) parent: Option<Shared>,
    /// The block of that id that had begun.
    parent_row: Option<u32>,
    pub(super) name: u32,
    pub(super) by: u32,
    pub(super) depth: u32,
    pub(super) status: Status,
    pub(super) detail: Option<Box<str>>,
    pub(super) attributes: Option<Box<str>>,
    pub(super) begin: Edge,
    pub(super) end: Option<Box<Edge>>,
    /// When it was over, or was last known to be open.
    pub(super) until: Option<Moment>,
    /// The process in which it began, if that was seen.
    pub(super) process: Option<Process>,
    /// Whether it began and ended in one process, as far as that is said.
    is_of_one_process: bool,
    pub(super) note: Option<&'static str>,
}

/// A begin or an end.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) at: Moment,
    pub(super) pid: Option<i64>,
    pub(super) thread: Option<i64>,
    readings: [f64; READINGS.len()],
}

/// What a sender may have read at an edge.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    ThreadCpu,
    ProcessCpu,
    Resident,
    Read,
    Written,
    MinorFaults,
    MajorFaults,
}

/// Where each [`Reading`] stands in the table, in their order.
const READINGS: [usize; 7] = [
    SpanEdges::thread_cpu.index(),
    SpanEdges::process_cpu.index(),
    SpanEdges::resident.index(),
    SpanEdges::read.index(),
    SpanEdges::written.index(),
    SpanEdges::minor_faults.index(),
    SpanEdges::major_faults.index(),
];

impl Edge {
    /// What was read, if it can be true.
    pub(super) fn reading(&self, reading: Reading) -> Option<f64> {
        Some(self.readings[reading as usize]).filter(|value| *value >= 0.0 && value.is_finite())
    }
}

impl Block {
    /// Its end, if that came from the process in which it began.
    pub(super) fn end_of_same_process(&self) -> Option<&Edge> {
        self.end.as_deref().filter(|_| self.is_of_one_process)
    }

    /// Whether it ended in the thread in which it began.
    pub(super) fn is_of_one_thread(&self) -> bool {
        self.end_of_same_process().is_some_and(|end| end.thread.is_some() && end.thread == self.begin.thread)
    }

    /// Finds its process, and until when it was open.
    pub(super) fn settle(&mut self, seen: &Seen) {
        self.process = self.begin.pid.and_then(|pid| seen.process(pid, self.begin.at.monotonic_nanos));
        if let Some(end) = &self.end {
            // A pid may have come to name another process meanwhile.
            let ended_in = end.pid.and_then(|pid| seen.process(pid, end.at.monotonic_nanos));
            self.is_of_one_process = end.pid.is_some() && end.pid == self.begin.pid && (ended_in == self.process || ended_in.is_none());
            self.until = Some(end.at);
        } else if self.note != Some(ENDED_EARLY) {
            self.until = match self.process {
                Some(process) => Some(seen.end_of(process).unwrap_or_else(|| seen.last_moment())),
                // Nobody has looked since.
                None if seen.last_look() <= self.begin.at.monotonic_nanos => Some(seen.last_moment()),
                None => None,
            };
            // It was still there when that was said.
            self.until = self.until.map(|until| if until.monotonic_nanos < self.begin.at.monotonic_nanos { self.begin.at } else { until });
            if self.until.is_none() {
                self.note = self.note.or(Some(UNSEEN));
            }
        }
    }
}

/// Reads all edges, and makes blocks of them in the order in which those began; and their names.
pub(super) fn read(timeline: &Timeline) -> Result<(Vec<Block>, Words), Error> {
    let mut reader = Reader::default();
    if timeline.has_table(SpanEdges::TABLE.name) {
        for chunk in timeline.chunks(SpanEdges::TABLE.name, &Query::all(), CHUNK_ROWS)? {
            reader.add(&chunk?);
        }
    }
    Ok(reader.finish())
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    words: Words,
    /// The last block of each id.
    rows: HashMap<Shared, u32>,
    /// Ends of which no begin has come yet.
    early: HashMap<Box<str>, (Status, Option<Box<str>>)>,
}

impl Reader {
    fn add(&mut self, frame: &Frame) {
        let edges = Columns::of(frame);
        for row in 0..frame.len() {
            match edges.edge[row] {
                Some("begin") => self.begin(&edges, row),
                Some("end") => self.end(&edges, row),
                _ => {}
            }
        }
    }

    fn begin(&mut self, edges: &Columns<'_>, row: usize) {
        let Some(id) = edges.span[row] else { return };
        if let Some(open) = self.rows.get(id).and_then(|&known| self.blocks.get_mut(known as usize)).filter(|block| block.end.is_none()) {
            open.note = Some(BEGAN_TWICE);
            return;
        }
        // Four thousand million are enough.
        let Ok(number) = u32::try_from(self.blocks.len()) else { return };
        let id = Shared::from(id);
        let parent = edges.parent[row].and_then(|parent| self.rows.get_key_value(parent)).map(|(parent, &row)| (parent.clone(), row));
        let (parent, parent_row) = match parent {
            Some((parent, row)) => (Some(parent), Some(row)),
            None => (edges.parent[row].map(Shared::from), None),
        };
        let depth = parent_row.map_or(0, |row| self.blocks[row as usize].depth.saturating_add(1));
        self.rows.insert(id.clone(), number);
        self.blocks.push(Block {
            id,
            parent,
            parent_row,
            name: self.words.intern(edges.name[row].unwrap_or_default().as_bytes()),
            by: self.words.intern(edges.by[row].unwrap_or_default().as_bytes()),
            depth,
            status: Status::Open,
            detail: None,
            attributes: edges.attributes[row].map(Box::from),
            begin: edges.edge(row),
            end: None,
            until: None,
            process: None,
            is_of_one_process: false,
            note: None,
        });
    }

    fn end(&mut self, edges: &Columns<'_>, row: usize) {
        let Some(id) = edges.span[row] else { return };
        let status = if edges.status[row] == Some("error") { Status::Error } else { Status::Ok };
        let detail = edges.detail[row].map(Box::from);
        match self.rows.get(id).and_then(|&known| self.blocks.get_mut(known as usize)) {
            // Who ends twice ended the first time.
            Some(block) if block.end.is_some() => {}
            Some(block) => {
                block.end = Some(Box::new(edges.edge(row)));
                (block.status, block.detail) = (status, detail);
                block.attributes = both(block.attributes.take(), edges.attributes[row]);
            }
            None => drop(self.early.entry(id.into()).or_insert((status, detail))),
        }
    }

    fn finish(mut self) -> (Vec<Block>, Words) {
        for (id, (status, detail)) in self.early {
            let Some(block) = self.rows.get(&*id).and_then(|&row| self.blocks.get_mut(row as usize)) else { continue };
            if block.end.is_none() {
                (block.status, block.detail, block.note) = (status, detail, Some(ENDED_EARLY));
            }
        }
        self.blocks.shrink_to_fit();
        (self.blocks, self.words)
    }
}

/// The attributes of the begin, and those that were known only at the end: two JSON objects as one. Of two with the same name, readers take the latter.
fn both(begin: Option<Box<str>>, end: Option<&str>) -> Option<Box<str>> {
    let inside = |object: &str| object.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).map(|inside| inside.trim().to_owned());
    match (begin.as_deref().and_then(inside), end.and_then(inside)) {
        (Some(first), Some(second)) if !first.is_empty() && !second.is_empty() => Some(format!("{{{first},{second}}}").into()),
        (_, Some(second)) if !second.is_empty() => end.map(Box::from),
        _ => begin,
    }
}

/// The columns of some edges.
struct Columns<'a> {
    frame: &'a Frame,
    edge: Vec<Option<&'a str>>,
    span: Vec<Option<&'a str>>,
    parent: Vec<Option<&'a str>>,
    name: Vec<Option<&'a str>>,
    by: Vec<Option<&'a str>>,
    status: Vec<Option<&'a str>>,
    detail: Vec<Option<&'a str>>,
    attributes: Vec<Option<&'a str>>,
    pid: Vec<Option<i64>>,
    thread: Vec<Option<i64>>,
    readings: [Vec<Option<f64>>; READINGS.len()],
}

impl<'a> Columns<'a> {
    fn of(frame: &'a Frame) -> Columns<'a> {
        fn column<K>(field: Field<SpanEdges, K>) -> String {
            SpanEdges::TABLE.metrics[field.index()].column()
        }
        let texts = |column: String| frame.texts(&column);
        Columns {
            frame,
            edge: texts(column(SpanEdges::edge)),
            span: texts(column(SpanEdges::span)),
            parent: texts(column(SpanEdges::parent)),
            name: texts(column(SpanEdges::name)),
            by: texts(column(SpanEdges::by)),
            status: texts(column(SpanEdges::status)),
            detail: texts(column(SpanEdges::detail)),
            attributes: texts(column(SpanEdges::attributes)),
            pid: frame.ints(&column(SpanEdges::pid)),
            thread: frame.ints(&column(SpanEdges::thread)),
            readings: READINGS.map(|index| frame.floats(&SpanEdges::TABLE.metrics[index].column())),
        }
    }

    fn edge(&self, row: usize) -> Edge {
        Edge {
            at: Moment { utc_nanos: self.frame.times()[row], monotonic_nanos: self.frame.monotonic()[row] },
            pid: self.pid[row],
            thread: self.thread[row],
            readings: std::array::from_fn(|reading| self.readings[reading][row].unwrap_or(f64::NAN)),
        }
    }
}

/// What the direct children of a block took of its own thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SelfTime {
    /// How long one of them at least was open.
    pub(super) wall_nanos: i64,
    /// CPU time of the thread in them; absent if that of one is not known, or two were open at the same time.
    pub(super) cpu_seconds: Option<f64>,
    covered_until: i64,
}

/// What its children on the same thread took of each block. A block comes after the one that it lies in, and all in the order of their begins.
pub(super) fn self_times(blocks: &[Block]) -> Vec<SelfTime> {
    let mut times = vec![SelfTime { cpu_seconds: Some(0.0), covered_until: i64::MIN, ..SelfTime::default() }; blocks.len()];
    for child in blocks {
        let Some(row) = child.parent_row.map(|row| row as usize) else { continue };
        let (parent, time) = (&blocks[row], &mut times[row]);
        if (parent.begin.pid, parent.begin.thread) != (child.begin.pid, child.begin.thread) {
            continue;
        }
        let (begin, Some(end)) = (child.begin.at.monotonic_nanos, child.until.map(|until| until.monotonic_nanos)) else {
            time.cpu_seconds = None;
            continue;
        };
        let last = parent.until.map_or(end, |until| until.monotonic_nanos.min(end));
        let alone = begin >= time.covered_until && last == end;
        let own_cpu = child.thread_cpu().filter(|_| alone);
        time.cpu_seconds = time.cpu_seconds.zip(own_cpu).map(|(sum, own)| sum + own);
        time.wall_nanos = time.wall_nanos.saturating_add(nanos_between(begin.max(time.covered_until), last).max(0));
        time.covered_until = time.covered_until.max(last);
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_both_edges_are_those_of_the_span() {
        let joined = |begin: Option<&str>, end: Option<&str>| both(begin.map(Box::from), end).map(String::from);
        let (first, second) = (Some(r#"{"a":1}"#), Some(r#" {"b":"}"} "#));
        assert_eq!(joined(first, second).as_deref(), Some(r#"{"a":1,"b":"}"}"#));
        assert_eq!(joined(first, None).as_deref(), first);
        assert_eq!(joined(first, Some("{}")).as_deref(), first);
        assert_eq!(joined(None, second).as_deref(), second);
        assert_eq!(joined(Some("{ }"), second).as_deref(), second);
        assert_eq!(joined(None, None), None);
        assert_eq!(joined(first, Some("nonsense")).as_deref(), first);
    }
}
