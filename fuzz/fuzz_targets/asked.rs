//! Fuzz target: see `barograph_web::fuzzing::asked`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| barograph_web::fuzzing::asked(input));
