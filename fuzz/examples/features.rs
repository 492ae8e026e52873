//! Nothing. Where an example is built, cargo chooses the features of a build with all tests, so that no dependency is built a second time for the targets.
#![no_main]

libfuzzer_sys::fuzz_target!(|_bytes: &[u8]| {});
