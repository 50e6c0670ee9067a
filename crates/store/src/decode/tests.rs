//! Random columns, written by the parquet crate in every way that it has, and read by it and by us: the same rows. And the same files, spoilt.

use std::fs;
use std::io::Read;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::ChunkReader;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use zstd::bulk::compress;

use super::{Bytes, Fetched, Heads, decompressed};
use crate::fuzzing::pages;

/// A whole number, a float, a text and a truth.
type Row = (Option<i64>, Option<f64>, Option<String>, Option<bool>);

/// How a file is written.
#[derive(Clone, Debug)]
struct Way {
    is_second: bool,
    is_packed: bool,
    has_dictionary: bool,
    rows_of_page: usize,
    rows_of_group: usize,
    bytes_of_dictionary: usize,
    /// How texts are packed where they are in no dictionary, if not as is usual.
    texts: Option<Encoding>,
}

fn way() -> impl Strategy<Value = Way> {
    let texts = prop::option::of(prop_oneof![Just(Encoding::DELTA_LENGTH_BYTE_ARRAY), Just(Encoding::DELTA_BYTE_ARRAY)]);
    (any::<bool>(), prop::bool::weighted(0.8), any::<bool>(), 1..300_usize, 1..800_usize, 1..2000_usize, texts).prop_map(
        |(is_second, is_packed, has_dictionary, rows_of_page, rows_of_group, bytes_of_dictionary, texts)| Way {
            is_second,
            is_packed,
            has_dictionary,
            rows_of_page,
            rows_of_group,
            bytes_of_dictionary,
            texts,
        },
    )
}

/// Rows of four columns, of which the third is written twice: few different values, many, none.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let whole = prop_oneof![Just(None), (0..4_i64).prop_map(Some), any::<i64>().prop_map(Some)];
    let text = prop_oneof![Just(None), "[a-c]{0,2}".prop_map(Some), "\\PC{0,20}".prop_map(Some)];
    prop::collection::vec((whole, any::<Option<f64>>(), text, any::<Option<bool>>()), 0..900)
}

fn file(rows: &[Row], way: &Way) -> Vec<u8> {
    let columns: [(&str, ArrayRef, bool); 5] = [
        ("whole", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()), true),
        ("float", Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>()), true),
        ("text", Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>()), true),
        ("always", Arc::new(rows.iter().map(|row| Some(row.2.as_deref().unwrap_or_default())).collect::<StringArray>()), false),
        ("truth", Arc::new(rows.iter().map(|row| row.3).collect::<BooleanArray>()), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let builder = WriterProperties::builder()
        .set_writer_version(if way.is_second { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 })
        .set_compression(if way.is_packed { Compression::ZSTD(ZstdLevel::default()) } else { Compression::UNCOMPRESSED })
        .set_dictionary_enabled(way.has_dictionary)
        .set_dictionary_page_size_limit(way.bytes_of_dictionary)
        .set_data_page_row_count_limit(way.rows_of_page)
        .set_write_batch_size(way.rows_of_page)
        .set_max_row_group_row_count(Some(way.rows_of_group));
    let texts = way.texts.into_iter().flat_map(|texts| ["text", "always"].map(|column| (column, texts)));
    let properties = texts.fold(builder, |builder, (column, texts)| builder.set_column_encoding(column.into(), texts)).build();
    let mut bytes = Vec::new();
    let schema: Arc<Schema> = batch.schema();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

proptest! {
    // The same cases each time: what else there is, the fuzzer finds.
    #![proptest_config(ProptestConfig { cases: 100, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn what_the_crate_reads_we_read(rows in rows(), way in way()) {
        prop_assert_eq!(pages(&file(&rows, &way)), (Some(rows.len()), Some(rows.len())));
    }

    #[test]
    fn what_is_spoilt_is_refused_or_the_same(rows in rows(), way in way(), spots in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = file(&rows, &way);
        // The index stays, or hardly any file would come as far as its pages.
        let tail = bytes.len() - 8;
        let index = u32::from_le_bytes(bytes[tail..tail + 4].try_into().unwrap()) as usize;
        let before = tail - index;
        for (spot, byte) in spots {
            bytes[spot.index(before)] = byte;
        }
        pages(&bytes);
    }
}

/// A page of ours is one frame that says how long it is. What others write need not be.
#[test]
fn a_page_of_several_frames_is_read() {
    let (one, two) = (compress(b"one", 1).unwrap(), compress(b"two and more", 1).unwrap());
    // A frame that may be passed over: four bytes of it.
    let skipped = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    let read = |parts: &[&[u8]], plain, most| decompressed(&Bytes::from(parts.concat()), plain, most);
    assert_eq!(read(&[&one], 0, 100).unwrap(), b"one"[..]);
    assert_eq!(read(&[&one, &two], 0, 100).unwrap(), b"onetwo and more"[..]);
    assert_eq!(read(&[&skipped, &two], 0, 100).unwrap(), b"two and more"[..]);
    assert_eq!(read(&[b"levels", &one], 6, 100).unwrap(), b"levelsone"[..]);
    assert_eq!(read(&[b"levels"], 6, 100).unwrap(), b"levels"[..]);
    assert!(read(&[&two], 0, 11).is_err(), "larger than its column");
    assert!(read(&[&one, &two], 0, 11).is_err());
    assert!(read(&[b"lev"], 6, 100).is_err());
    assert!(read(&[b"levelsand no frame"], 6, 100).is_err());
}

/// The fuzzer begins with these: `cargo test -p barograph-store write_seeds -- --ignored`.
#[test]
#[ignore = "writes the seeds of a fuzz target"]
fn write_seeds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/pages");
    let rows: Vec<_> =
        (0..40).map(|n| (Some(n % 3).filter(|_| n % 5 > 0), Some(n as f64 / 3.0), Some(format!("text {}", n % 4)), Some(n % 2 == 0))).collect();
    for place in 0..10_u8 {
        let (is_second, is_packed, has_dictionary) = (place & 1 > 0, place & 2 > 0, place & 4 > 0);
        let texts = [(8, Encoding::DELTA_LENGTH_BYTE_ARRAY), (9, Encoding::DELTA_BYTE_ARRAY)]
            .into_iter()
            .find(|(at, _)| *at == place)
            .map(|(_, texts)| texts);
        let way = Way { is_second, is_packed, has_dictionary, rows_of_page: 15, rows_of_group: 25, bytes_of_dictionary: 20, texts };
        fs::write(folder.join(format!("seed-{place}")), file(&rows, &way)).unwrap();
    }
}

/// Without the look at heads the crate counts to 2^31 for each of the lists.
#[test]
fn the_head_of_a_page_that_lists_truths_is_refused() {
    let head = |fields: &[u8]| [&[0x15, 0, 0x15, 0, 0x15, 0][..], fields, &[0]].concat();
    let lists = [&[0x69, 0x69, 0xfc][..], &[0x40], &[0xf1, 0x80, 0x80, 0x80, 0x80, 0x08].repeat(1000)].concat();
    let read = |head: Vec<u8>| Heads(Arc::new(Fetched { begin: 7, bytes: head.into() })).get_read(7).unwrap().read(&mut [0]);
    assert!(read(head(&[])).is_ok());
    assert!(read(head(&[&[0x68, 0x90, 0x4e][..], &[b'x'; 10_000]].concat())).is_ok(), "longer than the first looks");
    assert!(read(head(&lists)).is_err());
    assert!(read(vec![0x15]).is_err() && read(vec![]).is_err(), "torn");
}
