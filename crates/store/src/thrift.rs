//! The writing of Thrift's compact protocol, as far as Parquet's index and the heads of its pages need it.

// Types, in the heads of fields and of lists.
pub(crate) const TRUE: u8 = 1;
pub(crate) const FALSE: u8 = 2;
pub(crate) const BYTE: u8 = 3;
pub(crate) const SHORT: u8 = 4;
pub(crate) const INT: u8 = 5;
pub(crate) const LONG: u8 = 6;
pub(crate) const DOUBLE: u8 = 7;
pub(crate) const BINARY: u8 = 8;
pub(crate) const LIST: u8 = 9;
pub(crate) const SET: u8 = 10;
pub(crate) const MAP: u8 = 11;
pub(crate) const STRUCT: u8 = 12;
pub(crate) const UUID: u8 = 13;

/// A struct that is being written: fields in ascending order, which the caller sees to.
pub(crate) struct Struct<'a> {
    out: &'a mut Vec<u8>,
    last: u8,
}

impl Struct<'_> {
    /// Writes a struct with these fields.
    pub(crate) fn write(out: &mut Vec<u8>, fields: impl FnOnce(&mut Struct<'_>)) {
        Struct::write_after(out, 0, fields);
        out.push(0);
    }

    /// Writes fields of a struct of which those up to this one are written already. Does not end it.
    pub(crate) fn write_after(out: &mut Vec<u8>, last: u8, fields: impl FnOnce(&mut Struct<'_>)) {
        fields(&mut Struct { out, last });
    }

    fn head(&mut self, field: u8, kind: u8) {
        debug_assert!(field > self.last && field - self.last < 16);
        self.out.push((field - self.last) << 4 | kind);
        self.last = field;
    }

    pub(crate) fn truth(&mut self, field: u8, value: bool) -> &mut Self {
        self.head(field, if value { TRUE } else { FALSE });
        self
    }

    pub(crate) fn int(&mut self, field: u8, value: i32) -> &mut Self {
        self.head(field, INT);
        zigzag(self.out, value.into());
        self
    }

    pub(crate) fn long(&mut self, field: u8, value: u64) -> &mut Self {
        self.head(field, LONG);
        zigzag(self.out, value.cast_signed());
        self
    }

    pub(crate) fn bytes(&mut self, field: u8, value: &[u8]) -> &mut Self {
        self.head(field, BINARY);
        bytes(self.out, value);
        self
    }

    pub(crate) fn inner(&mut self, field: u8, fields: impl FnOnce(&mut Struct<'_>)) -> &mut Self {
        self.head(field, STRUCT);
        Struct::write(self.out, fields);
        self
    }

    /// A list of so many items of this type, which are written into what the closure gets.
    pub(crate) fn list(&mut self, field: u8, kind: u8, len: usize, items: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        self.head(field, LIST);
        match u8::try_from(len) {
            Ok(short @ 0..15) => self.out.push(short << 4 | kind),
            _ => {
                self.out.push(15 << 4 | kind);
                varint(self.out, len as u64);
            }
        }
        items(self.out);
        self
    }
}

/// Bytes with their length before them: a text, or an item of a list of texts.
pub(crate) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Seven bits to a byte, the lowest first; the eighth says that more come.
pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The same with the sign in the lowest bit, so that small negative numbers are short too.
pub(crate) fn zigzag(out: &mut Vec<u8>, value: i64) {
    varint(out, (value << 1 ^ value >> 63).cast_unsigned());
}

/// Takes a number of [`varint`] from the front.
pub(crate) fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(number);
        }
    }
    None
}
