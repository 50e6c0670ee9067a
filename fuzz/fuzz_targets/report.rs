//! Fuzz target: see `barograph_program::fuzzing::report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| barograph_program::fuzzing::report(input));
