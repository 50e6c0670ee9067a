//! Fuzz target: see `barograph_cli::fuzzing::report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| barograph_cli::fuzzing::report(input));
