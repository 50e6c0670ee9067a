//! What the structs at the end of a Parquet file, and those at the heads of its pages, are made of: the types of their fields, in the order of their numbers,
//! from 1 on (`parquet.thrift` of the format, apache/parquet-format).

use crate::thrift::{BINARY, BYTE, DOUBLE, INT, LONG, SHORT};

/// What a field is made of.
pub(crate) enum Made {
    /// A truth, which stands in the type of the field.
    Truth,
    /// One of this type.
    One(u8),
    /// A list of this type.
    List(u8),
    Struct(Fields),
    Structs(Fields),
    /// Nobody knows.
    Unknown,
}

pub(crate) type Fields = &'static [Made];

use Made::{List, One, Struct, Structs, Truth, Unknown};

/// The index of a file, FileMetaData.
pub(crate) const FILE: Fields =
    &[One(INT), Structs(COLUMN), One(LONG), Structs(GROUP), Structs(PAIR), One(BINARY), Structs(ORDER), Struct(&[]), One(BINARY)];

/// A column of the schema, SchemaElement.
pub(crate) const COLUMN: Fields = &[One(INT), One(INT), One(INT), One(BINARY), One(INT), One(INT), One(INT), One(INT), One(INT), Struct(MEANING)];

/// LogicalType: text, map, list, one of some, decimal, date, time, moment, none, integer, unknown, JSON, BSON, UUID, half a float, variant, two of the earth, file.
const MEANING: Fields = &[
    Struct(&[]),
    Struct(&[]),
    Struct(&[]),
    Struct(&[]),
    Struct(&[One(INT), One(INT)]),
    Struct(&[]),
    Struct(TIME),
    Struct(TIME),
    Unknown,
    Struct(&[One(BYTE), Truth]),
    Struct(&[]),
    Struct(&[]),
    Struct(&[]),
    Struct(&[]),
    Struct(&[]),
    Struct(&[One(BYTE)]),
    Struct(&[One(BINARY)]),
    Struct(&[One(BINARY), One(INT)]),
    Struct(&[]),
];

const TIME: Fields = &[Truth, Struct(&[Struct(&[]), Struct(&[]), Struct(&[])])];

const PAIR: Fields = &[One(BINARY), One(BINARY)];

const ORDER: Fields = &[Struct(&[]), Struct(&[]), Struct(&[])];

/// RowGroup.
const GROUP: Fields = &[Structs(CHUNK), One(LONG), One(LONG), Structs(&[One(INT), Truth, Truth]), One(LONG), One(LONG), One(SHORT)];

/// ColumnChunk.
const CHUNK: Fields = &[One(BINARY), One(LONG), Struct(CHUNK_SAID), One(LONG), One(INT), One(LONG), One(INT), Struct(&[]), One(BINARY)];

/// ColumnMetaData.
const CHUNK_SAID: Fields = &[
    One(INT),
    List(INT),
    List(BINARY),
    One(INT),
    One(LONG),
    One(LONG),
    One(LONG),
    Structs(PAIR),
    One(LONG),
    One(LONG),
    One(LONG),
    Struct(STATISTICS),
    Structs(&[One(INT), One(INT), One(INT)]),
    One(LONG),
    One(INT),
    Struct(&[One(LONG), List(LONG), List(LONG)]),
    Struct(&[Struct(BOX), List(INT)]),
];

const BOX: Fields = &[One(DOUBLE), One(DOUBLE), One(DOUBLE), One(DOUBLE), One(DOUBLE), One(DOUBLE), One(DOUBLE), One(DOUBLE)];

const STATISTICS: Fields = &[One(BINARY), One(BINARY), One(LONG), One(LONG), One(BINARY), One(BINARY), Truth, Truth, One(LONG)];

/// The head of a page, PageHeader.
pub(crate) const HEAD: Fields = &[
    One(INT),
    One(INT),
    One(INT),
    One(INT),
    Struct(&[One(INT), One(INT), One(INT), One(INT), Struct(STATISTICS)]),
    Struct(&[]),
    Struct(&[One(INT), One(INT), Truth]),
    Struct(&[One(INT), One(INT), One(INT), One(INT), One(INT), One(INT), Truth, Struct(STATISTICS)]),
];

#[cfg(test)]
mod tests {
    use parquet::file::properties::DEFAULT_CREATED_BY;

    /// A field that another version of the crate reads, and that is unknown here, would be let pass whatever it is made of.
    #[test]
    fn this_is_what_the_crate_reads() {
        assert!(
            DEFAULT_CREATED_BY.starts_with("parquet-rs version 60.1."),
            "compare the structs of {DEFAULT_CREATED_BY} with these, then name it here"
        );
    }
}
