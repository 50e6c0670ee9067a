//! What was true: recordings on disk, written and read.
//!
//! A recording is a folder: [`Facts`] in `recording.json`, and a folder of Parquet parts for each table (FORMAT.md says all). [`Recording`] writes
//! it, [`Timeline`] reads it while it grows and after it ended, [`repair()`] mends what a crash left.

mod append;
mod arrow;
mod catalogue;
mod cells;
mod chunks;
mod counts;
mod decode;
mod disk;
mod encode;
mod error;
mod events;
mod facts;
mod figures;
mod frame;
mod grammar;
mod group;
mod guard;
mod index;
mod last_word;
mod lines;
mod name;
mod pages;
mod part;
mod parts;
mod pieces;
mod processes;
mod query;
mod repair;
mod schema;
mod shares;
mod spans;
mod state;
mod tally;
mod thin;
mod thrift;
mod timeline;
mod wide;
mod writer;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

pub use append::append;
pub use chunks::Chunks;
pub use decode::read_foreign;
pub use disk::Durability;
pub use error::Error;
pub use events::{EVENT_KEY, Event, Revision, add_events, revisable, revise};
pub use facts::{Clock, End, Exit, FACTS_FILE, FILE_FACT, FORMAT, Facts, Host, Limits, Notice, Process, Processes, Totals};
pub use figures::{Figure, Gap, Peak, Point, Rates, Reading, Series, Stats, gaps, stale_nanos, sum_of_columns};
pub use frame::Frame;
pub use guard::{Finite, FiniteReader, guarded};
pub use index::check_flat;
pub use last_word::LastWord;
pub use lines::{Growth, Line, LineCost, LineCosts};
pub use name::free_name;
pub use pieces::Piece;
pub use processes::{Life, ProcessesAt};
pub use query::Query;
pub use repair::{Report, repair};
pub use schema::{FieldInfo, MONOTONIC, TIME};
pub use shares::{Adding, SharedRows, Shares, WholeSoFar};
pub use spans::{Cost, How, Span, SpanQuery, SpanTable, Spans, Status};
pub use state::State;
pub use tally::{Extent, Subject, Tally};
pub use thin::{Bucket, thin};
pub use timeline::{Damage, TableInfo, Timeline};
pub use wide::Wide;
pub use writer::{Options, Preparation, Recording, new_id};
