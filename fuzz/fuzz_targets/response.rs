//! Any bytes as a server's answer: whatever comes, the check ends as a proper event.
#![no_main]

#[path = "../../producer/tests/findings/response.rs"]
mod response;

libfuzzer_sys::fuzz_target!(|input: &[u8]| response::check(input));
