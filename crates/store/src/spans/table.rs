//! Spans as columns: the declaration of what each means, and Arrow made of it.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampNanosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use barograph_model::{Bytes, Count, Gauge, Id, Moment, Number, Row, Rows, Seconds, Table, Text, table};

use super::Span;
use crate::schema::{arrow_schema, table_metadata};
use crate::{Frame, How};

/// Times of a row.
const TIMES: usize = 2;

table! {
    /// Spans, the named blocks of a program's code, with what they cost: made of the table `span_edges` and of samples when it is asked for, and stored
    /// nowhere. A row's time is when the span began.
    pub SpanTable = "spans" in "table `span_edges`, and the samples around them" {
        key {
            /// The span's id.
            span: Text = "the sender",
        }
        /// The span within which it began.
        parent: Text = "the sender",
        /// Its name.
        name: Text = "the sender",
        /// Who said it: `program`, `person`, or `rule` for a line of output that matched.
        by: Text = "the sender",
        /// How it ended: `ok`, `error`, or `open` if it had not when its process or the recording ended, or now.
        status: Text = "the sender",
        /// Why it ended in an error, in words.
        detail: Text = "the sender",
        /// How many spans it lies within.
        depth: Gauge<Count> = "its parents, counted",
        /// The process in which it began.
        pid: Id = "the sender",
        /// When that process began, in clock ticks since boot: with the pid it names one process for good.
        start_ticks: Id = "table `processes`",
        /// The thread in which it began.
        thread: Id = "the sender",
        /// The process in which it ended.
        end_pid: Id = "the sender",
        /// The thread in which it ended.
        end_thread: Id = "the sender",
        /// What else was said at its begin: a JSON object.
        attributes: Text = "the sender",
        /// How long it took; of an open one, until its process or the recording ended, or so far.
        wall: Gauge<Seconds> = "both edges",
        /// How much of that no direct child on the same thread was open.
        self_wall: Gauge<Seconds> = "its edges and its children's",
        /// CPU time of its thread. Always exact: it is absent unless both edges came from that thread.
        thread_cpu: Gauge<Seconds> = "both edges",
        /// The same less that of its direct children on the same thread; absent where those were open at the same time.
        self_cpu: Gauge<Seconds> = "its edges and its children's",
        /// CPU time of its process meanwhile, all threads. Of an open one, this and all that follows is what is known up to the last sample of its process.
        cpu: Gauge<Seconds> = "both edges, or table `process`",
        /// How that is known: `exact` if the sender read it at both edges, or `sampled`: worked out from the samples around them.
        cpu_how: Text = "",
        /// That CPU time by the wall time in which it was used.
        mean_cores: Gauge<Number> = "cpu and wall",
        /// Whose the next two are: `process` for its process and all its descendants, `job` for the whole watched tree, if its process is the root of
        /// that, or was never seen.
        tree: Text = "",
        /// CPU time of the tree meanwhile. Always from samples.
        tree_cpu: Gauge<Seconds> = "table `job`, or `process`",
        /// The most RAM that the processes of the tree had together at a sample; pages that they share count for each.
        tree_peak_resident: Gauge<Bytes> = "table `job`, or `process`",
        /// RAM of its process when it began.
        begin_resident: Gauge<Bytes> = "its begin, or table `process`",
        /// RAM of its process when it ended.
        end_resident: Gauge<Bytes> = "its end, or table `process`",
        /// How both are known: `exact`, or `sampled` if one of them is that of the nearest sample.
        resident_how: Text = "",
        /// The most RAM of its process that was seen meanwhile: at the edges, at samples, or by the kernel's own mark where that rose.
        peak_resident: Gauge<Bytes> = "its edges and table `process`",
        /// Bytes that its process read meanwhile by read(2) and its like, from anywhere.
        read: Gauge<Bytes> = "both edges, or table `process`",
        /// Bytes that its process wrote meanwhile by write(2) and its like, to anywhere.
        written: Gauge<Bytes> = "both edges, or table `process`",
        /// How both are known: `exact` or `sampled`.
        bytes_how: Text = "",
        /// Page faults of its process meanwhile that needed no device.
        minor_faults: Gauge<Count> = "both edges, or table `process`",
        /// Page faults of its process meanwhile that waited for a device.
        major_faults: Gauge<Count> = "both edges, or table `process`",
        /// How both are known: `exact` or `sampled`.
        faults_how: Text = "",
        /// Why something is absent, in words.
        note: Text = "",
    }
}

/// The spans as rows of the table.
pub(super) fn frame<'a>(spans: impl Iterator<Item = Span<'a>>) -> Frame {
    let (mut rows, mut ends) = (Rows::<SpanTable>::new(), Vec::new());
    for span in spans {
        fill(rows.row(span.begin), &span);
        ends.push(span.end);
    }
    let [end_time, end_monotonic] = end_fields();
    let begins = Frame::of_batch(&rows);
    let mut fields: Vec<Arc<Field>> = begins.batch().schema_ref().fields().iter().cloned().collect();
    fields.splice(TIMES..TIMES, [Arc::new(end_time), Arc::new(end_monotonic)]);
    let time = |of: fn(&Moment) -> i64| ends.iter().map(move |end| end.as_ref().map(of));
    let mut arrays = begins.batch().columns().to_vec();
    let end_times: ArrayRef = Arc::new(time(|end| end.utc_nanos).collect::<TimestampNanosecondArray>().with_timezone("UTC"));
    let end_monotonics: ArrayRef = Arc::new(time(|end| end.monotonic_nanos).collect::<Int64Array>());
    arrays.splice(TIMES..TIMES, [end_times, end_monotonics]);
    let schema = Arc::new(Schema::new_with_metadata(fields, begins.batch().schema_ref().metadata().clone()));
    let batch = RecordBatch::try_new(schema, arrays);
    Frame::new(batch.unwrap_or_else(|error| unreachable!("columns follow from the declaration: {error}")))
}

/// The times of a table and the columns that it declares, or those of these names, and no row.
pub(super) fn empty(table: &'static Table, columns: Option<&[String]>) -> Frame {
    let schema = arrow_schema(table, &table_metadata(table, ""));
    let asked = |name: &str| columns.is_none_or(|columns| columns.iter().any(|column| column == name));
    let fields: Vec<_> =
        schema.fields().iter().enumerate().filter(|(place, field)| *place < TIMES || asked(field.name())).map(|(_, field)| field.clone()).collect();
    Frame::new(RecordBatch::new_empty(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))))
}

fn end_fields() -> [Field; TIMES] {
    let said = |field: Field, pairs: &[(&str, &str)]| {
        field.with_metadata(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<std::collections::HashMap<_, _>>())
    };
    let time = Field::new("end_time", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), true);
    let monotonic = Field::new("end_monotonic_nanos", DataType::Int64, true);
    [
        said(time, &[("help", "When it ended, UTC; of an open one, when its process or the recording did, or the latest moment that is known.")]),
        said(monotonic, &[("unit", "nanoseconds"), ("ucum", "ns"), ("help", "The same on the clock that never steps.")]),
    ]
}

fn fill(mut row: Row<'_, SpanTable>, span: &Span<'_>) {
    let id = |id: Option<i64>| id.and_then(|id| u64::try_from(id).ok());
    let whole = |value: Option<f64>| value.map(|value| value.round() as u64);
    let how = |how: Option<How>| how.map(|how| how.name().as_bytes());
    let text = |text: Option<&'static str>| text.map(str::as_bytes);
    let cost = &span.cost;
    row.text(SpanTable::span, span.id.as_bytes())
        .text(SpanTable::parent, span.parent.map(str::as_bytes))
        .text(SpanTable::name, span.name.as_bytes())
        .text(SpanTable::by, span.by.as_bytes())
        .text(SpanTable::status, span.status.name().as_bytes())
        .text(SpanTable::detail, span.detail.map(str::as_bytes))
        .set(SpanTable::depth, u64::from(span.depth))
        .set(SpanTable::pid, id(span.pid))
        .set(SpanTable::start_ticks, id(span.start_ticks))
        .set(SpanTable::thread, id(span.thread))
        .set(SpanTable::end_pid, id(span.end_pid))
        .set(SpanTable::end_thread, id(span.end_thread))
        .text(SpanTable::attributes, span.attributes.map(str::as_bytes))
        .set(SpanTable::wall, span.wall_seconds())
        .set(SpanTable::self_wall, cost.self_wall_seconds)
        .set(SpanTable::thread_cpu, cost.thread_cpu_seconds)
        .set(SpanTable::self_cpu, cost.self_cpu_seconds)
        .set(SpanTable::cpu, cost.cpu_seconds)
        .text(SpanTable::cpu_how, how(cost.cpu_how))
        .set(SpanTable::mean_cores, cost.mean_cores)
        .text(SpanTable::tree, text(cost.tree))
        .set(SpanTable::tree_cpu, cost.tree_cpu_seconds)
        .set(SpanTable::tree_peak_resident, whole(cost.tree_peak_resident_bytes))
        .set(SpanTable::begin_resident, whole(cost.begin_resident_bytes))
        .set(SpanTable::end_resident, whole(cost.end_resident_bytes))
        .text(SpanTable::resident_how, how(cost.resident_how))
        .set(SpanTable::peak_resident, whole(cost.peak_resident_bytes))
        .set(SpanTable::read, whole(cost.read_bytes))
        .set(SpanTable::written, whole(cost.written_bytes))
        .text(SpanTable::bytes_how, how(cost.bytes_how))
        .set(SpanTable::minor_faults, whole(cost.minor_faults))
        .set(SpanTable::major_faults, whole(cost.major_faults))
        .text(SpanTable::faults_how, how(cost.faults_how))
        .text(SpanTable::note, text(span.note));
}
