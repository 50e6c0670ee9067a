//! Fuzz target: see `barograph_store::fuzzing::pages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    barograph_store::fuzzing::pages(input);
});
