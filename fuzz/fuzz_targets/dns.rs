//! Any bytes as a name server's answer: whatever comes, the check ends as a proper event.
#![no_main]

#[path = "../../producer/tests/findings/dns.rs"]
mod dns;

libfuzzer_sys::fuzz_target!(|input: &[u8]| dns::check(input));
