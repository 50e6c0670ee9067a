//! Fuzz target: see `barograph_sources::fuzzing::machine`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| barograph_sources::fuzzing::machine(input));
