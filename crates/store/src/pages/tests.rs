//! What the encodings write, read by the parquet crate, by decoders that follow the specification word for word, and beside its own examples.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, Type as Physical};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArrayType, DataType, Int64Type};
use parquet::errors::Result;
use parquet::schema::types::{ColumnDescriptor, ColumnPath, Type};
use proptest::prelude::*;

use super::*;

/// Pages of a column that has no file.
struct Pages(VecDeque<Page>);

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.0.pop_front().map(Ok)
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        Ok(self.0.pop_front())
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        unreachable!("nothing is skipped")
    }

    fn skip_next_page(&mut self) -> Result<()> {
        unreachable!("nothing is skipped")
    }
}

fn page(bytes: Vec<u8>, count: usize, encoding: Encoding) -> Page {
    Page::DataPage {
        buf: Bytes::from(bytes),
        num_values: count as u32,
        encoding,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    }
}

fn dictionary(count: usize) -> Page {
    let mut bytes = Vec::new();
    plain(&mut bytes, &(0..count as u64).collect::<Vec<_>>());
    Page::DictionaryPage { buf: Bytes::from(bytes), num_values: count as u32, encoding: Encoding::PLAIN, is_sorted: false }
}

/// So many values of a column that has no absent ones, as the parquet crate reads them.
fn read<T: DataType>(pages: impl Into<VecDeque<Page>>, count: usize) -> Vec<T::T> {
    let column = Type::primitive_type_builder("value", T::get_physical_type()).build().unwrap();
    let column = ColumnDescriptor::new(Arc::new(column), 0, 0, ColumnPath::from("value"));
    let mut reader = ColumnReaderImpl::<T>::new(Arc::new(column), Box::new(Pages(pages.into())));
    let mut values = Vec::new();
    while values.len() < count {
        let (records, ..) = reader.read_records(count - values.len(), None, None, &mut values).unwrap();
        assert!(records > 0, "{} of {count} values", values.len());
    }
    values
}

fn read_numbers(encode: impl Fn(&mut Vec<u8>, &[u64]), encoding: Encoding, values: &[u64]) -> Vec<u64> {
    assert_eq!(Int64Type::get_physical_type(), Physical::INT64);
    let mut bytes = Vec::new();
    encode(&mut bytes, values);
    read::<Int64Type>([page(bytes, values.len(), encoding)], values.len()).into_iter().map(i64::cast_unsigned).collect()
}

/// Bits of a page, the lowest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl Bits<'_> {
    fn take(&mut self, width: u32) -> u64 {
        (0..width).fold(0, |value, bit| {
            let is_set = self.bytes[self.place / 8] >> (self.place % 8) & 1;
            self.place += 1;
            value | u64::from(is_set) << bit
        })
    }

    fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.take(8);
            value |= (byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return value;
            }
        }
    }

    fn zigzag(&mut self) -> i64 {
        let value = self.varint();
        (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
    }

    fn are_read(&self) -> bool {
        self.place == 8 * self.bytes.len()
    }
}

/// All values of the hybrid of runs and packed bits, those too that fill up the last eight.
fn read_runs(bytes: &[u8], width: u32) -> Vec<u32> {
    let (mut bits, mut values) = (Bits { bytes, place: 0 }, Vec::new());
    while !bits.are_read() {
        let head = bits.varint();
        let count = (head >> 1) as usize;
        assert!(count > 0, "a run of nothing");
        if head & 1 == 1 {
            values.extend((0..8 * count).map(|_| bits.take(width) as u32));
        } else {
            let value = bits.take(width.next_multiple_of(8)) as u32;
            values.extend(std::iter::repeat_n(value, count));
        }
    }
    values
}

/// The values of `DELTA_BINARY_PACKED`, and the widths of all parts.
fn read_delta(bytes: &[u8]) -> (Vec<u64>, Vec<u32>) {
    let mut bits = Bits { bytes, place: 0 };
    let (block, parts, count) = (bits.varint(), bits.varint(), bits.varint() as usize);
    assert!(block % 128 == 0 && block % parts == 0 && (block / parts) % 32 == 0, "{block} values in {parts} parts");
    let mut last = bits.zigzag().cast_unsigned();
    let (mut values, mut widths) = (vec![last; count.min(1)], Vec::new());
    while values.len() < count {
        let least = bits.zigzag().cast_unsigned();
        let block_widths: Vec<u32> = (0..parts).map(|_| bits.take(8) as u32).collect();
        for &width in &block_widths {
            for _ in 0..if values.len() < count { block / parts } else { 0 } {
                last = last.wrapping_add(least).wrapping_add(bits.take(width));
                if values.len() < count {
                    values.push(last);
                }
            }
        }
        widths.extend(block_widths);
    }
    assert!(bits.are_read(), "what is behind the last part");
    (values, widths)
}

/// Stretches of one value, of whatever length, between values that are all different.
fn stretches() -> impl Strategy<Value = Vec<u32>> {
    let stretch = (any::<u32>(), prop_oneof![4 => Just(1_usize), 2 => 1_usize..10, 1 => 7_usize..200]);
    prop::collection::vec(stretch, 0..60).prop_map(|all| all.into_iter().flat_map(|(value, count)| std::iter::repeat_n(value, count)).collect())
}

fn numbers() -> impl Strategy<Value = Vec<u64>> {
    let len = prop_oneof![0_usize..4, 30_usize..36, 126_usize..132, 250_usize..600];
    let number = |kind: u8, start: u64, row: usize, random: u64| match kind {
        0 => start,
        1 => start.wrapping_add(random.wrapping_mul(row as u64)),
        2 => random % 1000,
        3 => [i64::MIN, i64::MAX, 0, -1, 1][random as usize % 5].cast_unsigned(),
        _ => random,
    };
    let randoms = len.prop_flat_map(|len| prop::collection::vec(any::<u64>(), len));
    (0_u8..5, any::<u64>(), randoms).prop_map(move |(kind, start, randoms)| {
        // What grows steadily has one step.
        let step = randoms.first().copied().unwrap_or(0);
        randoms.iter().enumerate().map(|(row, random)| number(kind, start, row, if kind == 1 { step } else { *random })).collect()
    })
}

proptest! {
    #[test]
    fn runs_are_what_the_specification_says(values in stretches(), width in 0_u32..=32) {
        let values: Vec<u32> = values.into_iter().map(|value| value.checked_shr(32 - width).unwrap_or(0)).collect();
        let mut bytes = Vec::new();
        runs(&mut bytes, &values, width);
        let read = read_runs(&bytes, width);
        prop_assert_eq!(&read[..values.len()], &values);
        prop_assert!(read.len() < values.len() + PACK && read[values.len()..].iter().all(|filled| *filled == 0));
        // No longer than were all packed, but for the heads.
        prop_assert!(bytes.len() <= values.len().div_ceil(PACK) * (width as usize + 6) + 10);
    }

    #[test]
    fn the_parquet_crate_reads_runs_of_any_width(values in stretches(), width in 0_u32..=32) {
        let below = 1 << width.min(12);
        let values: Vec<u32> = values.into_iter().map(|value| value % below).collect();
        let mut bytes = vec![width as u8];
        runs(&mut bytes, &values, width);
        let pages = [dictionary(below as usize), page(bytes, values.len(), Encoding::RLE_DICTIONARY)];
        let read = read::<Int64Type>(pages, values.len());
        prop_assert_eq!(read, values.into_iter().map(i64::from).collect::<Vec<_>>());
    }

    #[test]
    fn numbers_come_back_by_each_encoding(values in numbers()) {
        let mut bytes = Vec::new();
        delta(&mut bytes, &values);
        let (read, widths) = read_delta(&bytes);
        prop_assert_eq!(&read, &values);
        prop_assert_eq!(widths.len(), values.len().saturating_sub(1).div_ceil(DELTA_BLOCK) * DELTA_BLOCK / DELTA_PART);
        prop_assert_eq!(&read_numbers(delta, Encoding::DELTA_BINARY_PACKED, &values), &values);
        prop_assert_eq!(&read_numbers(split, Encoding::BYTE_STREAM_SPLIT, &values), &values);
        prop_assert_eq!(&read_numbers(plain, Encoding::PLAIN, &values), &values);
    }

    #[test]
    fn texts_come_back(texts in prop::collection::vec(any::<String>(), 0..20), long in 0_usize..300_000) {
        let texts: Vec<String> = texts.into_iter().chain([String::new(), "\0".repeat(long), "ß\0漢".into()]).collect();
        let mut bytes = Vec::new();
        texts.iter().for_each(|text| plain_text(&mut bytes, text));
        let read = read::<ByteArrayType>([page(bytes, texts.len(), Encoding::PLAIN)], texts.len());
        prop_assert!(read.iter().map(|text| text.data()).eq(texts.iter().map(|text| text.as_bytes())));
    }
}

/// Encodings.md: "the numbers 1 through 7 using bit width 3", with 0 before them.
#[test]
fn bits_are_packed_as_in_the_specification() {
    let mut bytes = Vec::new();
    runs(&mut bytes, &[0_u32, 1, 2, 3, 4, 5, 6, 7], 3);
    assert_eq!(bytes, [1 << 1 | 1, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
}

#[test]
fn a_run_takes_its_length_and_its_value() {
    let written = |values: &[u32], width| {
        let mut bytes = Vec::new();
        runs(&mut bytes, values, width);
        bytes
    };
    assert_eq!(written(&[5; 100], 3), [100 << 1 & 127 | 128, 1, 5]);
    assert_eq!(written(&[0x0102; 8], 9), [8 << 1, 2, 1], "two bytes hold nine bits, the lowest first");
    assert_eq!(written(&[u32::MAX; 8], 32), [8 << 1, 255, 255, 255, 255]);
    assert_eq!(written(&[0; 9], 0), [9 << 1], "a value of no bits takes none");
    assert!(written(&[], 1).is_empty());
    // Eight ones are no run when seven of them fill the eight that a zero began: one that is left would take two heads.
    let ones: Vec<u32> = std::iter::once(0).chain([1; 8]).collect();
    assert_eq!(written(&ones, 1), [2 << 1 | 1, 0b1111_1110, 0b0000_0001]);
    // What is then long enough is one.
    let ones: Vec<u32> = std::iter::once(0).chain([1; 7 + 8]).collect();
    assert_eq!(written(&ones, 1), [1 << 1 | 1, 0b1111_1110, 8 << 1, 1]);
}

/// Encodings.md: 7, 5, 3, 1, 2, 3, 4, 5 differ by -2 and 1, which are 0 and 3 above the least; in our blocks, which are larger than the example's.
#[test]
fn differences_are_packed_as_in_the_specification() {
    let mut bytes = Vec::new();
    delta(&mut bytes, &[7, 5, 3, 1, 2, 3, 4, 5]);
    let head = [0x80, 0x01, 4, 8, 7 << 1];
    let packed = [0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0];
    assert_eq!(bytes, [&head[..], &[3], &[2, 0, 0, 0], &packed].concat());
    bytes.clear();
    delta(&mut bytes, &[1, 2, 3, 4, 5]);
    assert_eq!(bytes, [0x80, 0x01, 4, 5, 1 << 1, 1 << 1, 0, 0, 0, 0], "equal differences take no bits");
}

#[test]
fn differences_wrap_around() {
    let values = [i64::MAX, i64::MIN, i64::MAX, 0, i64::MIN, -1].map(i64::cast_unsigned);
    let mut bytes = Vec::new();
    delta(&mut bytes, &values);
    let (read, widths) = read_delta(&bytes);
    assert_eq!(read, values);
    assert_eq!(widths[0], 64, "from the least difference to the greatest");
    assert_eq!(read_numbers(delta, Encoding::DELTA_BINARY_PACKED, &values), values);
}

/// Encodings.md has three numbers of four bytes; ours have eight.
#[test]
fn bytes_are_split_as_in_the_specification() {
    let mut bytes = Vec::new();
    split(&mut bytes, &[0x7766_5544_ddcc_bbaa, 0xffee_ddcc_3322_1100, 0x0f1e_2d3c_d6c5_b4a3]);
    let streams = [[0xaa, 0x00, 0xa3], [0xbb, 0x11, 0xb4], [0xcc, 0x22, 0xc5], [0xdd, 0x33, 0xd6]];
    let behind = [[0x44, 0xcc, 0x3c], [0x55, 0xdd, 0x2d], [0x66, 0xee, 0x1e], [0x77, 0xff, 0x0f]];
    assert_eq!(bytes, [streams, behind].concat().concat());
}

#[test]
fn a_number_below_a_limit_has_so_many_bits() {
    let limits = [0, 1, 2, 3, 4, 5, 8, 9, 256, 257, 65536, 65537, 1 << 32];
    assert_eq!(limits.map(width_below), [0, 0, 1, 2, 2, 3, 3, 4, 8, 9, 16, 17, 32]);
}
