//! Services and servers start in whatever order: each waits for what it needs, and nothing is lost meanwhile.

use crate::harness::{OwnServers, Pipeline, eventually, shared_servers, site};

/// Results of a time before something starts: enough to be sure that it was not needed.
const SOME: i64 = 20;

#[test]
fn a_consumer_that_starts_before_its_topic_and_schema_exist_stores_everything() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("consumer_first").site("a", site.url()).site("b", site.url());
    let consumer = pipeline.consumer();
    // Where the brokers make topics by themselves, the question for it makes it.
    let is_asked_for =
        || pipeline.count("partition_offset") > 0 || consumer.has_logged("waiting for Kafka: Kafka has no topic");
    eventually("the schema is made, and the topic asked for", is_asked_for);
    let producer = pipeline.producer();
    pipeline.wait_for_rows(SOME);
    pipeline.prove(producer);
}

#[test]
fn a_producer_that_starts_long_before_any_consumer_loses_nothing() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("producer_first").site("a", site.url()).site("b", site.url());
    let producer = pipeline.producer();
    producer.wait_until_published(20);
    let _consumer = pipeline.consumer();
    pipeline.wait_for_rows(SOME);
    pipeline.prove(producer);
}

#[test]
fn services_that_start_before_kafka_and_postgres_wait_for_both_and_lose_nothing() {
    let servers = OwnServers::start();
    for part in ["kafka", "postgres"] {
        servers.stop(part).unwrap();
    }
    let site = site::well("hello");
    let pipeline = Pipeline::on(&servers, "servers_last").site("a", site.url()).site("b", site.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    eventually("20 checks wait in the spool", || producer.metric("isitup_spool_events") >= 20.0);
    assert_eq!(producer.get("/health/ready").0, 200, "the producer does its work whatever Kafka does");
    assert_eq!(consumer.get("/health/ready").0, 503, "the consumer can do nothing yet");

    servers.start_part("kafka").unwrap();
    eventually("the spool is empty", || producer.metric("isitup_spool_events") < 3.0);
    assert_eq!(consumer.get("/health/ready").0, 503, "PostgreSQL is not there yet");
    servers.start_part("postgres").unwrap();
    pipeline.wait_for_rows(SOME);
    eventually("the consumer is ready", || consumer.get("/health/ready").0 == 200);
    pipeline.prove(producer);
}

#[test]
fn with_postgres_there_first_and_kafka_last_nothing_is_lost_either() {
    let servers = OwnServers::start();
    servers.stop("kafka").unwrap();
    let site = site::well("hello");
    let pipeline = Pipeline::on(&servers, "kafka_last").site("a", site.url()).site("b", site.url());
    let (consumer, producer) = (pipeline.consumer(), pipeline.producer());
    eventually("20 checks wait in the spool", || producer.metric("isitup_spool_events") >= 20.0);
    servers.start_part("kafka").unwrap();
    pipeline.wait_for_rows(SOME);
    eventually("the consumer is ready", || consumer.get("/health/ready").0 == 200);
    pipeline.prove(producer);
}

#[test]
fn pipelines_side_by_side_on_the_same_servers_do_not_meet() {
    let site = site::well("hello");
    let pipelines = ["left", "right"].map(|name| Pipeline::on(shared_servers(), name).site(name, site.url()));
    let services = pipelines.each_ref().map(|pipeline| (pipeline.producer(), pipeline.consumer()));
    for (pipeline, (producer, _consumer)) in pipelines.iter().zip(services) {
        pipeline.wait_for_rows(SOME / 4);
        pipeline.prove(producer);
        assert_eq!(pipeline.count("site"), 1);
    }
}
