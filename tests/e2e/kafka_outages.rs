//! Kafka dies, ends or freezes under load: checks go on, and all of them arrive.

use crate::harness::{OwnServers, Pipeline, eventually, site};

#[test]
fn kafka_killed_in_mid_work_and_started_again_loses_and_doubles_nothing() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "kafka_killed").busy_with(&site);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);
    for _ in 0..2 {
        servers.kill("kafka").unwrap();
        site.wait_for_checks(300);
        servers.start_part("kafka").unwrap();
        pipeline.wait_for_more_rows(900);
    }
    producer.wait_for_empty_spool();
    pipeline.prove(producer);
}

#[test]
fn while_kafka_is_away_checks_go_on_and_wait_in_the_spool() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "kafka_away").busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);

    servers.stop("kafka").unwrap();
    eventually("the events pile up", || producer.metric("isitup_spool_events") >= 1500.0);
    assert_eq!(producer.get("/health/ready").0, 200, "a producer without Kafka does its work");
    eventually("the consumer says that it cannot read", || consumer.get("/health/ready").0 == 503);
    assert!(producer.metric("isitup_spool_oldest_event_age_seconds") > 1.0);

    servers.start_part("kafka").unwrap();
    producer.wait_for_empty_spool();
    eventually("the consumer is ready again", || consumer.get("/health/ready").0 == 200);
    pipeline.prove(producer);
    let overruns = pipeline.count("gap WHERE reason NOT IN ('overrun')");
    assert_eq!(overruns, 0, "nothing was dropped: the spool had room");
}

#[test]
fn a_producer_that_is_stopped_while_kafka_is_away_publishes_the_rest_when_it_runs_again() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "stopped_offline").busy_with(&site);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    servers.kill("kafka").unwrap();
    site.wait_for_checks(300);
    let ended = producer.sigterm();
    assert_eq!(ended.code, Some(0), "{}", ended.log);

    servers.start_part("kafka").unwrap();
    let producer = pipeline.producer();
    site.wait_for_checks(300);
    producer.wait_for_empty_spool();
    pipeline.prove(producer);
}

#[test]
fn kafka_frozen_for_a_while_loses_and_doubles_nothing() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "kafka_frozen").busy_with(&site);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    servers.pause("kafka").unwrap();
    eventually("the events pile up", || producer.metric("isitup_spool_events") >= 900.0);
    servers.resume("kafka").unwrap();
    producer.wait_for_empty_spool();
    pipeline.prove(producer);
}
