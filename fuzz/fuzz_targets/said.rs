//! Fuzz target: see `barograph_record::fuzzing::said`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| barograph_record::fuzzing::said(input));
