//! Programs that use the crate `tracing`: their spans are spans of the recording, and their events are marks.
//!
//! ```no_run
//! // A program that has no subscriber yet:
//! barograph::tracing::init();
//! ```
//!
//! ```
//! use tracing_subscriber::prelude::*;
//!
//! // One that has: a layer beside the others.
//! tracing_subscriber::registry().with(barograph::tracing::layer()).init();
//! ```
//!
//! A span lasts from its making to its closing; it lies within the span that `tracing` says, or within the innermost [`span!`](crate::span!) of its
//! thread. Its CPU time is that of the times in which it was entered, on whatever thread. Fields are attributes, those that are recorded later too. It
//! ends in an error if an event of the level ERROR was in it, as `#[instrument(err)]` makes one, or if it is closed by a panic.
//!
//! An event is a mark called by its message, with its fields, its `level` and its `target`.

use std::fmt::Debug;

use barograph_beacon::{self as beacon, SpanId, Value};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

use crate::span::{begin_in_turns, end_of_turns, this_thread};
use crate::stack;

/// Tells the recorder of spans and events. Which it is asked about is for a filter to say: `layer().with_filter(LevelFilter::INFO)`.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    events: Option<Level>,
}

/// A layer that makes marks of events of the level INFO and above.
pub fn layer() -> Layer {
    Layer { events: Some(Level::INFO) }
}

/// Makes the layer the program's subscriber, for spans and events of the level INFO and above. If there is one already, nothing is changed, and false is
/// returned.
pub fn init() -> bool {
    tracing_subscriber::registry().with(layer().with_filter(LevelFilter::INFO)).try_init().is_ok()
}

impl Layer {
    /// Makes marks of events of this level and above; of none for `None`.
    pub fn events(self, level: impl Into<Option<Level>>) -> Layer {
        Layer { events: level.into() }
    }
}

/// What is known of a span that has begun.
struct Known {
    id: SpanId,
    /// A child that was forked meanwhile must not end it.
    pid: u32,
    thread: u32,
    cpu_nanos: u64,
    /// What was recorded since it began.
    late: Fields,
    failure: Option<String>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Layer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !beacon::is_on() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let known = |id: &Id| context.span(id).and_then(|span| span.extensions().get::<Known>().map(|known| known.id));
        // The spans that are entered on this thread are on its stack, beside those of our own.
        let parent = if attributes.is_contextual() { stack::innermost() } else { attributes.parent().and_then(known) };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut begun = None;
        let values = fields.values();
        beacon::say(|beacon| {
            let span = beacon.new_span();
            begun = Some(span);
            begin_in_turns(beacon, attributes.metadata().name(), span, parent, &values)
        });
        if let Some(id) = begun {
            let (pid, thread) = (std::process::id(), this_thread());
            span.extensions_mut().insert(Known { id, pid, thread, cpu_nanos: 0, late: Fields::default(), failure: None });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(known) = span.extensions_mut().get_mut::<Known>()
        {
            values.record(&mut known.late);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(known) = span.extensions().get::<Known>()
        {
            stack::enter_and_count(known.id);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(known) = span.extensions_mut().get_mut::<Known>()
        {
            known.cpu_nanos += stack::leave(known.id);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let (metadata, mut fields) = (event.metadata(), Fields::default());
        let is_error = *metadata.level() == Level::ERROR;
        let is_marked = self.events.is_some_and(|most| *metadata.level() <= most);
        if !beacon::is_on() || !is_error && !is_marked {
            return;
        }
        event.record(&mut fields);
        let message = fields.take("message").map(Said::into_text);
        if is_error
            && let Some(span) = context.event_span(event)
            && let Some(known) = span.extensions_mut().get_mut::<Known>()
        {
            let why = message.clone().or_else(|| fields.get("error").map(Said::into_text)).unwrap_or_else(|| metadata.name().to_owned());
            known.failure.get_or_insert(why);
        }
        if is_marked {
            let mut values = fields.values();
            values.extend([("level", Value::Str(metadata.level().as_str())), ("target", Value::Str(metadata.target()))]);
            beacon::mark(message.as_deref().unwrap_or(metadata.name()), &values);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(known) = span.extensions_mut().remove::<Known>() else { return };
        if known.pid == std::process::id() {
            let failure = known.failure.as_deref().or_else(|| std::thread::panicking().then_some("panicked"));
            end_of_turns(known.id, known.thread, known.cpu_nanos, failure, &known.late.values());
        }
    }
}

/// What a field says.
#[derive(Clone, Debug)]
enum Said {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl Said {
    fn value(&self) -> Value<'_> {
        match self {
            Said::Text(text) => Value::Str(text),
            Said::Int(number) => Value::Int(*number),
            Said::Float(number) => Value::Float(*number),
            Said::Bool(yes) => Value::Bool(*yes),
        }
    }

    fn into_text(self) -> String {
        match self {
            Said::Text(text) => text,
            Said::Int(number) => number.to_string(),
            Said::Float(number) => number.to_string(),
            Said::Bool(yes) => yes.to_string(),
        }
    }
}

/// The fields of a span or an event.
#[derive(Default)]
struct Fields(Vec<(&'static str, Said)>);

impl Fields {
    fn values(&self) -> Vec<(&str, Value<'_>)> {
        self.0.iter().map(|(name, said)| (*name, said.value())).collect()
    }

    fn get(&self, name: &str) -> Option<Said> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, said)| said.clone())
    }

    fn take(&mut self, name: &str) -> Option<Said> {
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(place).1)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.name(), Said::Text(format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), Said::Text(value.to_owned())));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), Said::Int(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), i64::try_from(value).map_or(Said::Float(value as f64), Said::Int)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), Said::Float(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), Said::Bool(value)));
    }
}
