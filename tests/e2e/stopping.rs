//! SIGTERM, SIGINT, and the second one.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Pipeline, eventually, site, within};

/// What a stopped producer is given: 5 s for the checks in flight, and some to flush.
const PRODUCER_LIMIT: Duration = Duration::from_secs(15);

/// The events on the topic, in the order of their numbers.
fn events(pipeline: &Pipeline<'_>) -> Vec<Value> {
    let mut events = pipeline.topic().events();
    events.sort_by_key(|event| event["seq"].as_u64());
    events
}

#[test]
fn a_stopped_producer_finishes_checks_in_flight_cuts_off_hanging_ones_and_says_so_last() {
    let (slow, stuck) = (site::slow(Duration::from_secs(3)), site::silent());
    let pipeline = Pipeline::new("stopping")
        .every(Duration::from_secs(1))
        .site_with("slow", slow.url(), "timeout: 30s")
        .site_with("stuck", stuck.url(), "timeout: 30s");
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    eventually("both are being checked", || slow.asked() > 0 && stuck.asked() > 0);
    // At its end it has some seconds to publish the rest, which it keeps for the next start where Kafka was not reached yet.
    producer.wait_until_published(1);
    let begin = Instant::now();
    let ended = producer.sigterm();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(begin.elapsed() < PRODUCER_LIMIT, "it took {:?}", begin.elapsed());
    pipeline.prove_stored();

    assert_eq!(
        pipeline.count("check_result WHERE site = 'slow' AND outcome = 'up'"),
        i64::try_from(slow.asked()).unwrap()
    );
    assert_eq!(pipeline.count("gap WHERE reason = 'shutdown' AND sites = '{stuck}'"), 1);
    assert_eq!(pipeline.count("check_result WHERE outcome = 'down'"), 0, "what is cut off is not down");
    let last = events(&pipeline).pop().unwrap();
    assert_eq!((&last["type"], &last["state"]), (&"producer".into(), &"stopping".into()), "{last}");
}

#[test]
fn an_idle_producer_stops_at_once_on_sigint() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("sigint").site("a", site.url());
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(2);
    let begin = Instant::now();
    producer.signal(Signal::INT);
    assert_eq!(producer.wait().code, Some(0));
    assert!(begin.elapsed() < PRODUCER_LIMIT, "it took {:?}", begin.elapsed());
    pipeline.prove_stored();
}

#[test]
fn a_second_signal_ends_the_producer_at_once_and_the_next_start_declares_what_it_cut_off() {
    let stuck = site::silent();
    let pipeline = Pipeline::new("second_signal").site_with("stuck", stuck.url(), "timeout: 30s");
    let (mut producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    eventually("a check is in flight", || stuck.asked() > 0);
    producer.signal(Signal::TERM);
    // What follows within half a second belongs to the first one, so somebody in a hurry presses again and again.
    within(Duration::from_secs(20), "a second signal ends it", || {
        producer.signal(Signal::TERM);
        producer.has_ended()
    });
    let ended = producer.wait();
    assert_eq!(ended.code, Some(130), "{}", ended.log);

    let producer = pipeline.producer();
    eventually("the time between is declared", || pipeline.count("gap WHERE reason = 'producer_down'") == 1);
    assert_eq!(producer.sigterm().code, Some(0));
    pipeline.wait_until_read();
    assert_eq!(pipeline.audit().0, Some(0));
}

#[test]
fn a_signal_that_reaches_the_producer_twice_at_once_counts_once() {
    let slow = site::slow(Duration::from_secs(1));
    let pipeline = Pipeline::new("signal_twice").every(Duration::from_secs(2)).site("slow", slow.url());
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    producer.wait_until_published(1);
    eventually("a check is in flight", || slow.asked() > 0);
    producer.signal(Signal::TERM);
    producer.signal(Signal::INT);
    let ended = producer.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    pipeline.prove_stored();
    assert_eq!(pipeline.count("check_result WHERE outcome = 'up'"), i64::try_from(slow.asked()).unwrap());
}

#[test]
fn what_was_missed_between_a_clean_stop_and_the_next_start_is_declared() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("restarted").site("a", site.url()).site("b", site.url());
    let _consumer = pipeline.consumer();
    for rows in [4, 10] {
        let producer = pipeline.producer();
        pipeline.wait_for_rows(rows);
        let ended = producer.sigterm();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
    }
    pipeline.prove_stored();
    let between = "producer_event stop JOIN producer_event start ON stop.state = 'stopping' AND start.state = 'started' AND start.seq > stop.seq
                   JOIN gap ON reason = 'producer_down' AND \"from\" <= stop.at AND \"to\" <= start.at AND \"to\" > stop.at";
    assert_eq!(pipeline.count(between), 1);
}

#[test]
fn a_stopped_consumer_exits_well_and_frees_its_partitions() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("consumer_stops").busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    let ended = consumer.sigterm();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(pipeline.count("partition_offset"), 6);
    assert_eq!(pipeline.count("partition_offset WHERE owner IS NOT NULL"), 0);

    let _consumer = pipeline.consumer();
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
}
