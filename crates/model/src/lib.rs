//! The nouns of Barograph: metrics and tables that are declared once, the batches that carry their values, and events.
//!
//! A source of numbers declares a [`table!`]. From that one declaration follow, by rule, the ids and columns of its metrics, the metadata of files, the
//! help of the program and of the documentation. Nothing in this crate knows of the outside: it depends on the standard library alone.

mod batch;
mod event;
mod kind;
mod line;
mod moment;
mod rate;
mod schema;
mod setup;
mod sink;
mod table;
mod words;

pub use batch::{Batch, Column, Row, Rows};
pub use event::{EventRow, Events, Gauges, SpanEdges};
pub use kind::{Bytes, Cell, Count, Counter, Declared, Field, Gauge, Hertz, Id, Kind, Level, Measure, Number, Physical, Ratio, Seconds, Text, Unit};
pub use line::{LineCounters, LineRow, Lines, RUNNING, StackFrame, WAITING, stack_frames};
pub use moment::Moment;
pub use rate::{Rate, Sample, rate};
pub use schema::{markdown, schema_text};
pub use setup::Setup;
pub use sink::Sink;
pub use table::{Described, Metric, Table, Whole};
pub use words::Words;

/// What the [`table!`] macro needs from here, and nobody else.
#[doc(hidden)]
pub mod macro_support {
    pub use crate::kind::{Declared, Field};
    pub use crate::table::{Described, Metric, Table, Whole};
}
