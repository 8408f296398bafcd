//! The producer dies around each write, sync, rename, send and unlink.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use super::{FEW, MANY, producer_points, producers_die};
use crate::harness::{Pipeline, Service, eventually, site};

/// So many backslashes in a URL, each of which takes two bytes in JSON, that a thousand checks fill a segment of the spool.
const LONG: usize = 2000;

#[test]
fn a_producer_that_dies_around_writes_sends_and_unlinks_loses_and_doubles_nothing() {
    dies_around_writes_sends_and_unlinks("die_in_spool", FEW);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_producer_that_dies_around_writes_sends_and_unlinks_many_times_loses_and_doubles_nothing() {
    dies_around_writes_sends_and_unlinks("die_in_spool_long", MANY);
}

fn dies_around_writes_sends_and_unlinks(name: &str, passes: &[u32]) {
    let site = site::well("hello");
    let pipeline = Pipeline::new(name).busy_with(&site);
    let _consumer = pipeline.consumer();
    for passes in passes {
        producers_die(&pipeline, &producer_points(&["spool", "publish"]), *passes);
        // Each start leaves one segment, so there are few to unlink.
        producers_die(&pipeline, &producer_points(&["unlink"]), passes % 2);
    }
    goes_on(&pipeline, &site);
}

#[test]
fn what_is_written_but_not_yet_synced_is_not_published() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("held_unsynced").busy_with(&site);
    let held = pipeline.armed_producer("spool.written=5*off->return(hold)");
    held.wait_for_log("held at spool.written");
    eventually("all that is durable is published", || held.metric("isitup_spool_events") == 0.0);
    let published = pipeline.topic().events().iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    let written: BTreeSet<u64> = pipeline.segments().iter().flat_map(|path| numbers_in(path)).collect();
    assert!(written.is_superset(&published) && written != published, "{published:?} of {written:?}");
    held.kill9();
    let _consumer = pipeline.consumer();
    goes_on(&pipeline, &site);
}

/// The numbers of all events in a file of the spool.
fn numbers_in(path: &Path) -> Vec<u64> {
    let (bytes, words) = (fs::read(path).unwrap(), b"\"seq\":");
    let found = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(words));
    let number = |at: usize| {
        let digits = bytes[at + words.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |number, digit| 10 * number + u64::from(digit - b'0'))
    };
    found.map(number).collect()
}

#[test]
fn a_producer_that_dies_while_it_begins_a_segment_loses_and_doubles_nothing() {
    let site = site::well("hello");
    let url = format!("{}?{}", site.url(), "\\".repeat(LONG));
    let pipeline = Pipeline::new("die_in_segment").every(Duration::from_millis(200));
    let pipeline = (0..100).fold(pipeline, |pipeline, number| pipeline.site(&format!("busy {number}"), &url));
    let _consumer = pipeline.consumer();
    let points = producer_points(&["segment"]);
    // The first one of each start.
    producers_die(&pipeline, &points, 0);
    // The second one, in mid-work.
    producers_die(&pipeline, &points, 1);
    goes_on(&pipeline, &site);
}

#[test]
fn a_producer_that_dies_while_it_reserves_numbers_never_issues_one_twice() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("die_in_identity").busy_with(&site);
    let _consumer = pipeline.consumer();
    let points = producer_points(&["identity"]);
    // The first start of all: no identity yet, then one without numbers.
    producers_die(&pipeline, &points, 0);
    for point in points {
        let producer = pipeline.producer();
        producer.wait_until_published(50);
        assert_eq!(producer.sigterm().code, Some(0));
        leave_few_numbers(&pipeline, 100);
        // A start writes the identity once, to note its segment; the next time is when the numbers run out.
        producers_die(&pipeline, &[point], 1);
    }
    goes_on(&pipeline, &site);
}

/// Writes the identity of a spool that has published everything as if so many numbers more were reserved: a producer
/// reserves 65,536 at a time, for which no test has the time.
fn leave_few_numbers(pipeline: &Pipeline<'_>, more: u64) {
    let last = pipeline.topic().events().iter().map(|event| event["seq"].as_u64().unwrap()).max().unwrap();
    let path = pipeline.spool().join("identity");
    let text = fs::read_to_string(&path).unwrap();
    let producer_id = text.split(' ').next().unwrap();
    let line = format!("{producer_id} {}", last + more);
    fs::write(&path, format!("{line} {:08x}\n", crc32fast::hash(line.as_bytes()))).unwrap();
}

#[test]
fn a_producer_that_dies_while_it_mends_its_spool_declares_what_was_damaged_and_no_more_is_lost() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("die_in_mend").busy_with(&site);
    for point in producer_points(&["mend", "rewrite"]) {
        let offline = offline(&pipeline);
        let events = offline.metric("isitup_spool_events");
        eventually("events wait in the spool", || offline.metric("isitup_spool_events") > events + 100.0);
        offline.kill9();
        damage_a_check(&pipeline);
        producers_die(&pipeline, &[point], 0);
    }
    let _consumer = pipeline.consumer();
    goes_on(&pipeline, &site);
    assert!(pipeline.count("gap WHERE reason = 'spool_corrupt'") >= 1);
}

/// A producer whose Kafka is as far away as can be.
fn offline(pipeline: &Pipeline<'_>) -> Service {
    pipeline.armed("the producer", "isitup-producer", "", &[("ISITUP__KAFKA__BROKERS", "127.0.0.1:1")])
}

/// Flips a bit in the message of a check that the spool holds: one in the midst of others, whose slot is settled.
fn damage_a_check(pipeline: &Pipeline<'_>) {
    for path in pipeline.segments().iter().rev() {
        let bytes = fs::read(path).unwrap();
        let words = b"\"type\":\"check\"";
        let checks: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(words)).collect();
        if checks.len() >= 50 {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            return file.write_all_at(b"!", checks[checks.len() / 2] as u64).unwrap();
        }
    }
    panic!("the spool holds too few checks");
}

/// A producer that nobody kills works and proves it.
fn goes_on(pipeline: &Pipeline<'_>, site: &site::Site) {
    let asked = site.asked();
    let producer = pipeline.producer();
    eventually("checks go on", || site.asked() > asked + 300);
    // What the dead left can be more than an end has time for.
    producer.wait_for_empty_spool();
    pipeline.prove(producer);
}
