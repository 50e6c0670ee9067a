//! Fuzz target: see `barograph_formats::fuzzing::file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| barograph_formats::fuzzing::file(input));
