//! What a number is: its kind (counter, gauge …) and its unit, as types, so that a wrong pairing does not compile.

use std::marker::PhantomData;

/// How a metric behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only grows while its subject lives; what matters is its rate.
    Counter,
    /// A level that goes up and down.
    Gauge,
    /// A number that names something: a pid, a core.
    Id,
    /// Text that names or describes something: a device, a state.
    Text,
}

impl Kind {
    /// The word for it in schemas, column metadata and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Id => "id",
            Kind::Text => "text",
        }
    }
}

/// The base unit of a metric. Values are converted to it once, where they are parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds; for CPU time, seconds of one core.
    Seconds,
    /// Cycles per second.
    Hertz,
    /// A share, 0 to 1.
    Ratio,
    /// How many.
    Count,
    /// A position on a scale that may be negative, such as niceness.
    Level,
    /// A number of a program's own, whose unit only the program knows.
    Number,
    /// No unit: names and identities.
    None,
}

impl Unit {
    /// What a column's name ends in, after the field's name.
    pub const fn suffix(self) -> &'static str {
        match self {
            Unit::Bytes => "_bytes",
            Unit::Seconds => "_seconds",
            Unit::Hertz => "_hertz",
            Unit::Ratio => "_ratio",
            Unit::Count | Unit::Level | Unit::Number | Unit::None => "",
        }
    }

    /// The word for it in schemas, column metadata and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Bytes => "bytes",
            Unit::Seconds => "seconds",
            Unit::Hertz => "hertz",
            Unit::Ratio => "ratio",
            Unit::Count => "count",
            Unit::Level => "level",
            Unit::Number => "number",
            Unit::None => "none",
        }
    }

    /// The code of the Unified Code for Units of Measure (<https://ucum.org>), as OpenTelemetry writes it.
    pub const fn ucum(self) -> &'static str {
        match self {
            Unit::Bytes => "By",
            Unit::Seconds => "s",
            Unit::Hertz => "Hz",
            Unit::Ratio | Unit::Count | Unit::Level | Unit::Number | Unit::None => "1",
        }
    }
}

/// How a value is kept in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Physical {
    /// A signed 64-bit integer, so that differences of two values can be negative in any reader.
    Int,
    /// A 64-bit IEEE 754 number.
    Float,
    /// UTF-8 text.
    Text,
}

/// A value that fits a cell of a column.
pub trait Cell: Copy {
    /// The column that takes it.
    const PHYSICAL: Physical;
    /// The 64 bits that are kept; `None` for a value that can't be right, which is then absent.
    fn to_bits(self) -> Option<i64>;
}

impl Cell for u64 {
    const PHYSICAL: Physical = Physical::Int;
    fn to_bits(self) -> Option<i64> {
        i64::try_from(self).ok()
    }
}

impl Cell for i64 {
    const PHYSICAL: Physical = Physical::Int;
    fn to_bits(self) -> Option<i64> {
        Some(self)
    }
}

impl Cell for f64 {
    const PHYSICAL: Physical = Physical::Float;
    fn to_bits(self) -> Option<i64> {
        self.is_finite().then(|| self.to_bits().cast_signed())
    }
}

/// A unit as a type, with the Rust type of its values.
pub trait Measure {
    /// The unit.
    const UNIT: Unit;
    /// The type of a value.
    type Value: Cell;
}

macro_rules! measures {
    ($($(#[doc = $help:literal])+ $Name:ident: $Value:ty,)+) => {$(
        $(#[doc = $help])+
        #[derive(Debug)]
        pub enum $Name {}
        impl Measure for $Name {
            const UNIT: Unit = Unit::$Name;
            type Value = $Value;
        }
    )+};
}

measures! {
    /// Bytes ([`Unit::Bytes`]).
    Bytes: u64,
    /// Seconds ([`Unit::Seconds`]).
    Seconds: f64,
    /// Hertz ([`Unit::Hertz`]).
    Hertz: f64,
    /// A share of one ([`Unit::Ratio`]).
    Ratio: f64,
    /// How many ([`Unit::Count`]).
    Count: u64,
    /// A signed level ([`Unit::Level`]).
    Level: i64,
    /// A number of a program's own ([`Unit::Number`]).
    Number: f64,
}

/// The type of a declared field: its kind, unit and values.
pub trait Declared {
    /// The kind.
    const KIND: Kind;
    /// The unit.
    const UNIT: Unit;
    /// How a value is kept.
    const PHYSICAL: Physical;
    /// The type of a value.
    type Value: Cell;
}

/// A count or amount that only grows ([`Kind::Counter`]).
pub struct Counter<M>(PhantomData<M>);
/// A level ([`Kind::Gauge`]).
pub struct Gauge<M>(PhantomData<M>);
/// A number that names something ([`Kind::Id`]).
pub enum Id {}
/// Text ([`Kind::Text`]).
pub enum Text {}

impl<M: Measure> Declared for Counter<M> {
    const KIND: Kind = Kind::Counter;
    const UNIT: Unit = M::UNIT;
    const PHYSICAL: Physical = <M::Value as Cell>::PHYSICAL;
    type Value = M::Value;
}

impl<M: Measure> Declared for Gauge<M> {
    const KIND: Kind = Kind::Gauge;
    const UNIT: Unit = M::UNIT;
    const PHYSICAL: Physical = <M::Value as Cell>::PHYSICAL;
    type Value = M::Value;
}

impl Declared for Id {
    const KIND: Kind = Kind::Id;
    const UNIT: Unit = Unit::None;
    const PHYSICAL: Physical = Physical::Int;
    type Value = u64;
}

impl Declared for Text {
    const KIND: Kind = Kind::Text;
    const UNIT: Unit = Unit::None;
    const PHYSICAL: Physical = Physical::Text;
    type Value = i64;
}

/// The place of a field in table `T`: a value of another type, or a row of another table, does not fit it.
pub struct Field<T, K> {
    pub(crate) index: usize,
    of: PhantomData<(T, K)>,
}

impl<T, K> Clone for Field<T, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, K> Copy for Field<T, K> {}

impl<T, K> Field<T, K> {
    /// The field at this position; written by [`table!`](crate::table!).
    #[doc(hidden)]
    pub const fn new(index: usize) -> Self {
        Field { index, of: PhantomData }
    }

    /// The position among the table's columns, times not counted.
    pub const fn index(self) -> usize {
        self.index
    }
}
