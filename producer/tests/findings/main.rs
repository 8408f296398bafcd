//! What fuzzing found, and seeds for it: each file of a folder here goes through the same check as in fuzz/.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work fails the test that called it")]

mod config;
mod decode;
mod dns;
mod response;

use std::fs;
use std::path::Path;

fn each_of(folder: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/findings").join(folder);
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Shown by the test only when it fails: the last one named is the one that did.
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn whatever_a_server_answers_the_check_ends_as_a_proper_event() {
    each_of("response", response::check);
}

#[test]
fn whatever_a_name_server_answers_the_check_ends_as_a_proper_event() {
    each_of("dns", dns::check);
}

#[test]
fn whatever_a_message_holds_it_is_an_event_or_has_a_reason() {
    each_of("decode", decode::check);
}

#[test]
fn whatever_a_configuration_holds_it_is_read_or_refused_with_places() {
    each_of("config", config::check);
}
