//! Tables and metrics as declared facts, and the macro that declares them.

use crate::{Kind, Physical, Unit};

/// A declared fact: one column of a table.
#[derive(Debug)]
pub struct Metric {
    /// Name of the table that it belongs to.
    pub table: &'static str,
    /// Name of the field, without its unit.
    pub name: &'static str,
    /// How it behaves over time.
    pub kind: Kind,
    /// Its base unit.
    pub unit: Unit,
    /// How its values are kept.
    pub physical: Physical,
    /// What it is, in a sentence or more, as written in the declaration.
    pub doc: &'static str,
    /// Where the kernel says it, within the table's origin.
    pub origin: &'static str,
}

impl Metric {
    /// The name of its column: the field's name and its unit, such as `available_bytes`.
    pub fn column(&self) -> String {
        format!("{}{}", self.name, self.unit.suffix())
    }

    /// Its address: table and column, such as `memory.available_bytes`.
    pub fn id(&self) -> String {
        format!("{}.{}{}", self.table, self.name, self.unit.suffix())
    }

    /// What it is, for people.
    pub fn help(&self) -> &'static str {
        self.doc.trim_ascii()
    }
}

/// The metrics of one source, and what its rows are keyed by.
#[derive(Debug)]
pub struct Table {
    /// Its name: that of its folder in a recording.
    pub name: &'static str,
    /// What it tells, as written in the declaration.
    pub doc: &'static str,
    /// The file or call that it is read from.
    pub origin: &'static str,
    /// How many of the first metrics name the row's subject (device, process …); 0 for a table with one row a tick.
    pub keys: usize,
    /// The column, if any, that says by 1 or 0 whether a row counts towards the machine's sum.
    pub counted: Option<&'static str>,
    /// The counters, if any, between which a whole is shared out.
    pub whole: Option<Whole>,
    /// Its columns in order, keys first. Times come before them in every table.
    pub metrics: &'static [Metric],
}

impl Table {
    /// Whether both are the same table. Its address does not tell: a declaration has one in each crate that uses it.
    pub fn is(&self, other: &Table) -> bool {
        self.name == other.name
    }

    /// What it tells, for people.
    pub fn help(&self) -> &'static str {
        self.doc.trim_ascii()
    }

    /// The metrics that name a row's subject.
    pub fn key_metrics(&self) -> &'static [Metric] {
        &self.metrics[..self.keys]
    }
}

/// Counters of one row that share out a whole between them: they grow by all of it together, such as the time of a core by what the core did. The kernel
/// counts some in ticks, so that over a short time they grow by more or less than a clock says; shares of what they grew by are never more than the whole.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    /// The places of these metrics. Other counters of the table in the same unit are parts of them.
    pub parts: &'static [usize],
    /// The place of the metric that says what the whole is worth; without one it is 1.
    pub worth: Option<usize>,
}

/// A type that stands for a declared table.
pub trait Described {
    /// The declaration.
    const TABLE: &'static Table;
}

/// Declares a table: doc comments are the help, types say kind and unit, the text after `=` says where the kernel tells it.
///
/// ```
/// use barograph_model::{Bytes, Described, Gauge, Rows, Moment, Text, table};
///
/// table! {
///     /// Room in each file system.
///     pub Room = "room" in "statvfs(3)" {
///         key {
///             /// Where it is mounted.
///             mount: Text = "/proc/self/mountinfo",
///         }
///         /// Bytes that an ordinary user may still write.
///         available: Gauge<Bytes> = "f_bavail",
///     }
/// }
///
/// let mut rows = Rows::<Room>::new();
/// rows.row(Moment::default()).text(Room::mount, b"/home".as_slice()).set(Room::available, 42);
/// assert_eq!(Room::TABLE.metrics[1].id(), "room.available_bytes");
/// assert_eq!(rows.len(), 1);
/// ```
#[macro_export]
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $vis:vis $Table:ident = $name:literal in $origin:literal $(counted by $counted:ident)? $(whole of ($($part:ident)+) $(worth $worth:ident)?)? {
            $(key { $( $(#[doc = $key_doc:literal])+ $key:ident: $Key:ty = $key_origin:literal, )+ })?
            $( $(#[doc = $field_doc:literal])+ $field:ident: $Kind:ty = $field_origin:literal, )*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        $vis enum $Table {}

        #[allow(non_upper_case_globals, missing_docs, dead_code)]
        const _: () = {
            use $crate::macro_support::{Declared, Described, Field, Metric, Table};

            #[allow(non_camel_case_types)]
            enum Place { $($($key,)+)? $($field,)* }

            impl $Table {
                $($(
                    $(#[doc = $key_doc])+
                    $vis const $key: Field<$Table, $Key> = Field::new(Place::$key as usize);
                )+)?
                $(
                    $(#[doc = $field_doc])+
                    $vis const $field: Field<$Table, $Kind> = Field::new(Place::$field as usize);
                )*
            }

            impl Described for $Table {
                const TABLE: &'static Table = &Table {
                    name: $name,
                    doc: concat!($($doc),+),
                    origin: $origin,
                    keys: $crate::table!(@count $($($key)+)?),
                    counted: $crate::table!(@counted $($counted)?),
                    whole: $crate::table!(@whole $(($(Place::$part as usize),+) $(Place::$worth as usize)?)?),
                    metrics: &[
                        $($($crate::table!(@metric $name, $key, $Key, $key_origin, $($key_doc)+),)+)?
                        $($crate::table!(@metric $name, $field, $Kind, $field_origin, $($field_doc)+),)*
                    ],
                };
            }
        };
    };
    (@metric $table:literal, $field:ident, $Kind:ty, $origin:literal, $($doc:literal)+) => {
        Metric {
            table: $table,
            name: stringify!($field),
            kind: <$Kind as Declared>::KIND,
            unit: <$Kind as Declared>::UNIT,
            physical: <$Kind as Declared>::PHYSICAL,
            doc: concat!($($doc),+),
            origin: $origin,
        }
    };
    (@count) => { 0 };
    (@count $first:ident $($rest:ident)*) => { 1 + $crate::table!(@count $($rest)*) };
    (@whole) => { None };
    (@whole ($($part:expr),+)) => { Some($crate::macro_support::Whole { parts: &[$($part),+], worth: None }) };
    (@whole ($($part:expr),+) $worth:expr) => { Some($crate::macro_support::Whole { parts: &[$($part),+], worth: Some($worth) }) };
    (@counted) => { None };
    (@counted $counted:ident) => { Some(stringify!($counted)) };
}
