//! Any bytes as a message of the topic: an event, or a reason why it is none.
#![no_main]

#[path = "../../producer/tests/findings/decode.rs"]
mod decode;

libfuzzer_sys::fuzz_target!(|input: &[u8]| decode::check(input));
