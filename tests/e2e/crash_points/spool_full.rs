//! The producer dies while its spool is too large: between the word that events are gone and the deed.

use std::time::Duration;

use super::{order, producer_points};
use crate::harness::{Pipeline, Service, eventually, site};

/// Events that may be handed to Kafka before any is acknowledged: they stay, whatever the size.
const HANDED: f64 = 16_384.0;
/// So many backslashes in a URL, each of which takes two bytes in JSON, that a thousand checks fill a segment of the spool.
const LONG: usize = 2000;

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_producer_that_dies_while_it_thins_out_its_spool_declares_each_event_that_is_gone() {
    let many = |url: &str| {
        let pipeline = Pipeline::new("die_in_thin").every(Duration::from_millis(100));
        (0..100).fold(pipeline, |pipeline, number| pipeline.site(&format!("busy {number}"), url))
    };
    let mut pipeline = many(site::CLOSED);
    let producer = offline(&pipeline, "isitup-producer", "");
    eventually("the spool holds more than may be handed out", || {
        producer.metric("isitup_spool_events") > HANDED + 500.0
    });
    // In order, so that no write is torn: what recovery finds amiss later, thinning has done.
    assert_eq!(producer.sigterm().code, Some(0));
    // From now on a segment is full after some hundred checks.
    let long = format!("{}?{}", site::CLOSED, "\\".repeat(LONG));
    for number in 0..100 {
        pipeline = pipeline.changed(&format!("busy {number}"), &long, "group: tests");
    }
    for point in producer_points(&["thin", "rewrite"]) {
        offline(&pipeline, "isitup-producer-failpoints", &order(point, 0)).dies_at(point);
    }

    let _consumer = pipeline.consumer();
    let producer = pipeline.producer();
    eventually("the spool is empty again", || producer.metric("isitup_spool_events") < 1000.0);
    assert_eq!(producer.sigterm().code, Some(0));
    pipeline.prove_stored();
    assert!(pipeline.count("gap WHERE reason = 'spool_full' AND first_seq IS NOT NULL") > 0);
    assert_eq!(pipeline.count("gap WHERE reason = 'spool_corrupt'"), 0, "the word comes before the deed");
}

/// A producer whose Kafka is as far away as can be, with as little room as can be.
fn offline(pipeline: &Pipeline<'_>, program: &str, orders: &str) -> Service {
    let settings = [("ISITUP__KAFKA__BROKERS", "127.0.0.1:1"), ("ISITUP__PRODUCER__SPOOL__MAX_SIZE", "16MiB")];
    pipeline.armed("the producer", program, orders, &settings)
}
