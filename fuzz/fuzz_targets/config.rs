//! Any bytes as a configuration: it is read, or refused with messages that name the place.
#![no_main]

#[path = "../../producer/tests/findings/config.rs"]
mod config;

libfuzzer_sys::fuzz_target!(|input: &[u8]| config::check(input));
