//! Rights on the topic that are missing.

use isitup_dev::{Operation, Resource, kafka_password};

use super::{at, pipeline, sasl, wait_until_told, way};
use crate::harness::{Pipeline, secured_kafka, site};

const RIGHTS: &str = "grant them by kafka-acls (the producer: Describe and Write, and Create where the topic is missing; \
                      the consumer: Describe and Read)";

/// A pipeline of the user `limited`, who may only do what a test grants.
fn limited(name: &str) -> (site::Site, Pipeline<'static>) {
    pipeline(name, way("sasl", &sasl("SCRAM-SHA-512", "limited", &kafka_password("limited"))))
}

fn grant(pipeline: &Pipeline<'_>, operations: &[Operation]) {
    secured_kafka().allow("limited", Resource::Topic(pipeline.name()), operations).unwrap();
}

#[test]
fn without_the_right_to_see_or_make_the_topic_that_is_told_and_granting_it_suffices() {
    let (site, pipeline) = limited("may_not_create");
    let (producer, name) = (pipeline.producer(), pipeline.name());
    wait_until_told(&producer, &format!("user \"limited\" has no rights on topic {name}: {RIGHTS}"));
    grant(&pipeline, &[Operation::Describe]);
    let made_by_hand = format!(
        "Kafka has no topic {name:?} yet; where the broker does not make topics by itself, run: kafka-topics \
         --bootstrap-server {} --command-config client.properties --create --topic {name} --partitions 6 --replication-factor 1 --config \
         message.timestamp.type=LogAppendTime (this client has no right to create it)",
        at("sasl")
    );
    wait_until_told(&producer, &made_by_hand);
    site.wait_for_checks(4);
    grant(&pipeline, &[Operation::Create, Operation::Write, Operation::Read]);
    let _consumer = pipeline.consumer();
    pipeline.wait_for_rows(6);
    pipeline.prove(producer);
}

#[test]
fn without_the_right_to_write_that_is_told_and_granting_it_suffices() {
    let (site, pipeline) = limited("may_not_write");
    grant(&pipeline, &[Operation::Describe, Operation::Create, Operation::Read]);
    let checked = pipeline.check_config("isitup-producer");
    let message = format!("user \"limited\" has no rights on the topic: {RIGHTS}");
    assert!(checked.output.contains(&format!("NOT WELL: {message}")) && checked.code == Some(3), "{checked:?}");
    let producer = pipeline.producer();
    wait_until_told(&producer, &message);
    site.wait_for_checks(4);
    assert!(producer.metric("isitup_spool_events") >= 4.0, "the checks wait");
    grant(&pipeline, &[Operation::Write]);
    let _consumer = pipeline.consumer();
    pipeline.wait_for_rows(6);
    assert_eq!(pipeline.check_config("isitup-producer").code, Some(0));
    pipeline.prove(producer);
}

#[test]
fn without_the_right_to_read_that_is_told_and_granting_it_suffices() {
    let (_site, pipeline) = limited("may_not_read");
    grant(&pipeline, &[Operation::Describe, Operation::Create, Operation::Write]);
    let producer = pipeline.producer();
    producer.wait_until_published(4);
    let consumer = pipeline.consumer();
    wait_until_told(&consumer, &format!("user \"limited\" has no rights on the topic: {RIGHTS}"));
    assert_eq!(consumer.get("/health/ready").0, 503);
    let checked = pipeline.check_config("isitup-consumer");
    let told = format!("NOT WELL: user \"limited\" has no rights on the topic: {RIGHTS}");
    assert!(checked.output.contains(&told) && checked.code == Some(3), "{checked:?}");
    grant(&pipeline, &[Operation::Read]);
    pipeline.wait_for_rows(4);
    consumer.wait_for_readiness(200);
    pipeline.prove(producer);
}
