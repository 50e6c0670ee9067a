//! Arrow's schema of a table, as it stands in each part: the message by which Arrow's own streams begin, in base64.
//!
//! Not by way of the arrow crates' `Schema`, which keeps each column's metadata in a map of its own and writes every text as often as it occurs. Nearly
//! half of a young recording is this message. What is said of several columns is written once here, and pointed at.

use std::collections::HashMap;

use arrow_ipc as ipc;
use barograph_model::{Physical, Table};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, UnionWIPOffset, Vector, WIPOffset};

use crate::schema::{MONOTONIC, MONOTONIC_METADATA, TIME, TIME_METADATA, metric_metadata};

/// What a message begins with in the form that Parquet keeps: a mark, and its length.
const MARK: [u8; 4] = [255; 4];

type Type = (ipc::Type, WIPOffset<UnionWIPOffset>);

/// The schema of a declared table, with all that is known of each column in the field's metadata, and of the table in the schema's.
pub(crate) fn arrow_schema(table: &Table, metadata: &[(String, String)]) -> String {
    let mut builder = Builder { buffer: FlatBufferBuilder::with_capacity(16 << 10), pairs: HashMap::new() };
    let buffer = &mut builder.buffer;
    let zone = buffer.create_string("UTC");
    let timestamp = ipc::Timestamp::create(buffer, &ipc::TimestampArgs { unit: ipc::TimeUnit::NANOSECOND, timezone: Some(zone) });
    let int = ipc::Int::create(buffer, &ipc::IntArgs { bitWidth: 64, is_signed: true });
    let float = ipc::FloatingPoint::create(buffer, &ipc::FloatingPointArgs { precision: ipc::Precision::DOUBLE });
    let text = ipc::Utf8::create(buffer, &ipc::Utf8Args {});
    let children = buffer.create_vector::<ForwardsUOffset<ipc::Field<'_>>>(&[]);
    let int = (ipc::Type::Int, int.as_union_value());

    let mut fields = vec![
        builder.field(TIME, false, (ipc::Type::Timestamp, timestamp.as_union_value()), children, TIME_METADATA),
        builder.field(MONOTONIC, false, int, children, MONOTONIC_METADATA),
    ];
    for metric in table.metrics {
        let kept = match metric.physical {
            Physical::Int => int,
            Physical::Float => (ipc::Type::FloatingPoint, float.as_union_value()),
            Physical::Text => (ipc::Type::Utf8, text.as_union_value()),
        };
        fields.push(builder.field(&metric.column(), true, kept, children, &metric_metadata(metric, &metric.id())));
    }
    let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (&**key, &**value)).collect();
    let metadata = builder.metadata(&metadata);

    let buffer = &mut builder.buffer;
    let fields = buffer.create_vector(&fields);
    let schema = ipc::SchemaArgs { fields: Some(fields), custom_metadata: Some(metadata), ..ipc::SchemaArgs::default() };
    let schema = ipc::Schema::create(buffer, &schema).as_union_value();
    let message = ipc::MessageArgs {
        version: ipc::MetadataVersion::V5,
        header_type: ipc::MessageHeader::Schema,
        header: Some(schema),
        ..ipc::MessageArgs::default()
    };
    let message = ipc::Message::create(buffer, &message);
    buffer.finish(message, None);
    let message = buffer.finished_data();
    BASE64_STANDARD.encode([&MARK, &(message.len() as u32).to_le_bytes()[..], message].concat())
}

struct Builder<'a> {
    buffer: FlatBufferBuilder<'a>,
    /// Pairs that are written already.
    pairs: HashMap<(String, String), WIPOffset<ipc::KeyValue<'a>>>,
}

type Fields<'a> = Vector<'a, ForwardsUOffset<ipc::Field<'a>>>;
type Pairs<'a> = Vector<'a, ForwardsUOffset<ipc::KeyValue<'a>>>;

impl<'a> Builder<'a> {
    fn field(
        &mut self,
        name: &str,
        nullable: bool,
        (type_type, type_): Type,
        children: WIPOffset<Fields<'a>>,
        metadata: &[(&str, &str)],
    ) -> WIPOffset<ipc::Field<'a>> {
        let metadata = self.metadata(metadata);
        let name = self.buffer.create_string(name);
        let field = ipc::FieldArgs {
            name: Some(name),
            nullable,
            type_type,
            type_: Some(type_),
            children: Some(children),
            custom_metadata: Some(metadata),
            ..ipc::FieldArgs::default()
        };
        ipc::Field::create(&mut self.buffer, &field)
    }

    fn metadata(&mut self, pairs: &[(&str, &str)]) -> WIPOffset<Pairs<'a>> {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| self.pair(key, value)).collect();
        self.buffer.create_vector(&pairs)
    }

    fn pair(&mut self, key: &str, value: &str) -> WIPOffset<ipc::KeyValue<'a>> {
        if let Some(known) = self.pairs.get(&(key.to_owned(), value.to_owned())) {
            return *known;
        }
        let texts = (self.buffer.create_shared_string(key), self.buffer.create_string(value));
        let pair = ipc::KeyValue::create(&mut self.buffer, &ipc::KeyValueArgs { key: Some(texts.0), value: Some(texts.1) });
        self.pairs.insert((key.to_owned(), value.to_owned()), pair);
        pair
    }
}
