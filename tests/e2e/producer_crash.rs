//! A producer that dies without a word, and one whose spool was copied.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::harness::{Pipeline, Service, eventually, message, site};

#[test]
fn a_producer_killed_in_mid_work_goes_on_under_its_name_and_declares_the_time_between() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("producer_killed").busy_with(&site);
    let _consumer = pipeline.consumer();
    for _ in 0..2 {
        let producer = pipeline.producer();
        producer.wait_until_published(400);
        pipeline.wait_for_more_rows(400);
        producer.kill9();
    }
    let asked = site.asked();
    let producer = pipeline.producer();
    eventually("checks go on", || site.asked() > asked + 400);
    pipeline.prove(producer);

    let mut database = pipeline.database();
    assert_eq!(database.count("producer"), 1, "the spool keeps the producer's name");
    assert_eq!(database.count("gap WHERE reason = 'producer_down' AND sites IS NULL"), 2);
    let uncovered = "producer_event s JOIN gap g ON g.reason = 'producer_down' AND g.producer_id = s.producer_id
                     WHERE s.state = 'started' AND s.seq > 1 AND g.seq = s.seq - 1 AND g.\"to\" <= s.at";
    assert_eq!(database.count(uncovered), 2, "each later start begins by declaring the time before it");
}

#[test]
fn a_producer_killed_while_kafka_is_away_publishes_what_it_had_spooled() {
    let site = site::well("hello");
    // Nobody has this topic or broker: it is as far away as can be.
    let pipeline = Pipeline::new("killed_offline").site("a", site.url()).site("b", site.url());
    let mut offline = pipeline.command("isitup-producer", &[]);
    offline.env("ISITUP__KAFKA__BROKERS", "127.0.0.1:1");
    let producer = Service::start("the producer", offline);
    eventually("20 events wait in the spool", || producer.metric("isitup_spool_events") >= 20.0);
    producer.kill9();

    let producer = pipeline.producer();
    let _consumer = pipeline.consumer();
    pipeline.wait_for_rows(20);
    pipeline.prove(producer);
    let (_, audit) = pipeline.audit();
    assert_eq!(audit["producers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_second_producer_on_the_same_spool_is_refused() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("one_spool").site("a", site.url());
    let producer = pipeline.producer();
    eventually("the first one works", || producer.get("/health/ready").0 == 200);
    let second = pipeline.producer().wait();
    assert_eq!(second.code, Some(1));
    assert!(second.log.contains("is in use by another producer"), "{}", second.log);
}

#[test]
fn numbers_that_a_copied_spool_issues_again_are_named_as_doubled() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("copied_spool").site("a", site.url()).site("b", site.url());
    let _consumer = pipeline.consumer();
    let run_for_some_events = || {
        let producer = pipeline.producer();
        producer.wait_until_published(15);
        assert_eq!(producer.sigterm().code, Some(0));
    };
    run_for_some_events();
    let copy = pipeline.folder().join("copy");
    copy_folder(&pipeline.spool(), &copy);
    run_for_some_events();
    pipeline.prove_stored();

    fs::remove_dir_all(pipeline.spool()).unwrap();
    fs::rename(copy, pipeline.spool()).unwrap();
    run_for_some_events();
    pipeline.wait_until_read();
    let mut seen = BTreeSet::new();
    let mut events: Vec<(u64, String)> =
        pipeline.topic().events().iter().map(|event| (event["seq"].as_u64().unwrap(), event.to_string())).collect();
    // Kafka may hold an event twice; that is no other event.
    events.sort();
    events.dedup();
    let doubled: BTreeSet<u64> = events.iter().map(|(seq, _)| *seq).filter(|seq| !seen.insert(*seq)).collect();
    assert!(doubled.len() > 10, "{doubled:?}");

    let (code, audit) = pipeline.audit();
    assert_eq!((code, named_as_doubled(&audit)), (Some(1), doubled));
}

#[test]
fn of_two_copies_of_a_spool_that_run_at_once_each_event_is_stored_once_or_set_aside_and_all_doubled_numbers_are_named()
{
    let site = site::well("hello");
    let pipeline = Pipeline::new("two_copies").site("a", site.url()).site("b", site.url());
    let _consumer = pipeline.consumer();
    let producer = pipeline.producer();
    producer.wait_until_published(15);
    assert_eq!(producer.sigterm().code, Some(0));
    let copy = pipeline.folder().join("copy");
    copy_folder(&pipeline.spool(), &copy);
    let mut other = pipeline.command("isitup-producer", &[]);
    other.env("ISITUP__PRODUCER__SPOOL__PATH", &copy);
    let both = [pipeline.producer(), Service::start("the copy", other)];
    both.iter().for_each(|producer| producer.wait_until_published(40));
    for producer in both {
        assert_eq!(producer.sigterm().code, Some(0));
    }
    pipeline.wait_until_read();

    let events: BTreeSet<Vec<u8>> = pipeline.topic().messages().into_iter().collect();
    let mut database = pipeline.database();
    let set_aside: BTreeSet<Vec<u8>> = database.column("SELECT DISTINCT raw FROM rejected", &[]).into_iter().collect();
    let tables = ["check_result", "producer_event", "gap WHERE seq IS NOT NULL"];
    let stored: i64 = tables.iter().map(|table| database.count(table)).sum();
    assert!(set_aside.is_subset(&events) && !set_aside.is_empty());
    assert_eq!(usize::try_from(stored).unwrap() + set_aside.len(), events.len(), "stored once or set aside");
    // What is stored is stored as it was told, and not as the other copy's.
    let told: BTreeSet<(i64, String)> =
        events.difference(&set_aside).filter_map(|event| number_and_begin(event)).collect();
    let rows = "SELECT seq || ' ' || to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM check_result";
    let rows: BTreeSet<String> = database.column(rows, &[]).into_iter().collect();
    assert_eq!(rows, told.into_iter().map(|(seq, begin)| format!("{seq} {begin}")).collect());

    let (mut seen, mut doubled) = (BTreeSet::new(), BTreeSet::new());
    for event in &events {
        let seq = message::as_json(event).unwrap()["seq"].as_u64().unwrap();
        if !seen.insert(seq) {
            doubled.insert(seq);
        }
    }
    let (code, audit) = pipeline.audit();
    assert_eq!((code, named_as_doubled(&audit)), (Some(1), doubled));
}

/// A check's number and when it began.
fn number_and_begin(event: &[u8]) -> Option<(i64, String)> {
    let event = message::as_json(event).unwrap();
    Some((event["seq"].as_i64()?, event["started_at"].as_str()?.to_owned()))
}

fn named_as_doubled(audit: &serde_json::Value) -> BTreeSet<u64> {
    let ranges = audit["producers"][0]["doubled_ranges"].as_array().unwrap().iter();
    ranges.flat_map(|range| range[0].as_u64().unwrap()..=range[1].as_u64().unwrap()).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
