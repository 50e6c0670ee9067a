//! What the files say of their columns: from a table's declaration to Arrow's schema, and back from any file's schema to names, units and help.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use barograph_model::{Metric, Physical, Table};

/// The column of UTC times.
pub const TIME: &str = "time";
/// The column of monotonic times.
pub const MONOTONIC: &str = "monotonic_nanos";

/// What every part says of these two, in the metadata of their fields.
pub(crate) const TIME_METADATA: &[(&str, &str)] = &[("help", "The tick to which the row belongs, UTC.")];
pub(crate) const MONOTONIC_METADATA: &[(&str, &str)] = &[
    ("unit", "nanoseconds"),
    ("ucum", "ns"),
    ("help", "When the source was read, on a clock that never steps and goes on in suspend; rates are worked out on it."),
];

/// What is known of a column, from the metadata of its file. Texts are empty where a file says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its name in the table, such as `available_bytes`.
    pub name: String,
    /// Its address, such as `memory.available_bytes`.
    pub id: String,
    /// How it behaves: `counter`, `gauge`, `id`, `text`.
    pub kind: String,
    /// Its unit, such as `bytes`.
    pub unit: String,
    /// The unit's code in the Unified Code for Units of Measure.
    pub ucum: String,
    /// What it is, for people.
    pub help: String,
    /// Where the kernel says it.
    pub origin: String,
    /// How its values are kept; `None` for a type that Barograph does not write.
    pub physical: Option<Physical>,
}

impl FieldInfo {
    /// The columns of a schema, both times left out.
    pub(crate) fn of_schema(schema: &Schema) -> Vec<FieldInfo> {
        schema.fields().iter().filter(|field| !is_time(field.name())).map(|field| FieldInfo::of_field(field)).collect()
    }

    fn of_field(field: &Field) -> FieldInfo {
        let said = |key: &str| field.metadata().get(key).cloned().unwrap_or_default();
        FieldInfo {
            name: field.name().clone(),
            id: said("id"),
            kind: said("kind"),
            unit: said("unit"),
            ucum: said("ucum"),
            help: said("help"),
            origin: said("origin"),
            physical: match field.data_type() {
                DataType::Int64 => Some(Physical::Int),
                DataType::Float64 => Some(Physical::Float),
                DataType::Utf8 => Some(Physical::Text),
                _ => None,
            },
        }
    }
}

pub(crate) fn is_time(column: &str) -> bool {
    column == TIME || column == MONOTONIC
}

/// The two columns that every table begins with.
pub(crate) fn time_fields() -> [Field; 2] {
    let time = Field::new(TIME, DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false);
    let monotonic = Field::new(MONOTONIC, DataType::Int64, false);
    [time.with_metadata(owned(TIME_METADATA)), monotonic.with_metadata(owned(MONOTONIC_METADATA))]
}

/// The schema of a declared table, with all that is known of each column in the field's metadata, and of the table in the schema's.
pub(crate) fn arrow_schema(table: &Table, metadata: &[(String, String)]) -> Arc<Schema> {
    let fields = table.metrics.iter().map(|metric| {
        let kept = match metric.physical {
            Physical::Int => DataType::Int64,
            Physical::Float => DataType::Float64,
            Physical::Text => DataType::Utf8,
        };
        Field::new(metric.column(), kept, true).with_metadata(owned(&metric_metadata(metric, &metric.id())))
    });
    let fields: Vec<Field> = time_fields().into_iter().chain(fields).collect();
    Arc::new(Schema::new_with_metadata(fields, metadata.iter().cloned().collect::<HashMap<_, _>>()))
}

fn owned(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The same schema, in which any cell may be absent, times too.
pub(crate) fn arrow_schema_nullable(schema: &Schema) -> Arc<Schema> {
    Arc::new(Schema::new(schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>()))
}

/// What every part says of its table, as key and value pairs of the Parquet file.
pub(crate) fn table_metadata(table: &Table, recording: &str) -> Vec<(String, String)> {
    let keys: Vec<String> = table.key_metrics().iter().map(Metric::column).collect();
    let pairs = [
        ("format", crate::FORMAT.to_string()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("recording", recording.to_owned()),
        ("table", table.name.to_owned()),
        ("help", table.help().to_owned()),
        ("origin", table.origin.to_owned()),
        ("keys", keys.join(",")),
        ("counted", table.counted.unwrap_or_default().to_owned()),
    ];
    pairs.into_iter().map(|(key, value)| (format!("barograph.{key}"), value)).collect()
}

/// What every part says of a metric's column, in the metadata of its field.
pub(crate) fn metric_metadata<'a>(metric: &Metric, id: &'a str) -> [(&'static str, &'a str); 6] {
    [
        ("id", id),
        ("kind", metric.kind.name()),
        ("unit", metric.unit.name()),
        ("ucum", metric.unit.ucum()),
        ("help", metric.help()),
        ("origin", metric.origin),
    ]
}
