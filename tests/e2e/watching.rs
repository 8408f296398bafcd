//! While something is away the metrics, the health and the log tell it as it happens, and no restart is asked for.

use std::time::Duration;

use crate::harness::{OwnServers, Pipeline, Service, eventually, site};

/// Waits until a metric is at least so much, while the service lives.
#[track_caller]
fn wait_for_metric(service: &Service, name: &str, at_least: f64) {
    eventually(&format!("{name} is at least {at_least}"), || {
        assert_eq!(service.get("/health/live").0, 200, "no restart would help");
        service.metric(name) >= at_least
    });
}

/// Waits until it is not ready, for a reason with these words, while it lives.
#[track_caller]
fn wait_until_unready(service: &Service, words: &str) {
    eventually(&format!("it is not ready: {words}"), || {
        assert_eq!(service.get("/health/live").0, 200, "no restart would help");
        let (status, why) = service.get("/health/ready");
        status == 503 && why.contains(words)
    });
}

#[test]
fn while_kafka_is_away_both_services_live_and_tell_what_waits_and_why() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "watching_kafka").busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    assert!(producer.metric("isitup_publish_lag_seconds_count") > 0.0);
    assert_eq!(producer.metric("isitup_workers_limit"), 512.0);
    assert!(consumer.metric("isitup_store_batch_seconds_count") > 0.0);
    assert_eq!(consumer.metric("isitup_leases_taken_total"), 6.0);

    servers.stop("kafka").unwrap();
    wait_for_metric(&producer, "isitup_publish_errors_total", 1.0);
    producer.wait_for_log("events wait in the spool: ");
    wait_for_metric(&consumer, "isitup_fetch_errors_total", 1.0);
    consumer.wait_for_log("waiting for Kafka: ");
    wait_until_unready(&consumer, "Kafka");
    for (events, age) in [(600.0, 2.0), (1200.0, 4.0)] {
        wait_for_metric(&producer, "isitup_spool_events", events);
        wait_for_metric(&producer, "isitup_spool_oldest_event_age_seconds", age);
    }
    assert_eq!(producer.get("/health/ready").0, 200, "a producer without Kafka does its work");
    assert_eq!(producer.metric("isitup_spool_blocked"), 0.0);

    servers.start_part("kafka").unwrap();
    wait_for_metric(&producer, "isitup_kafka_reconnects_total", 1.0);
    wait_for_metric(&consumer, "isitup_kafka_reconnects_total", 1.0);
    producer.wait_for_log("Kafka takes events again");
    consumer.wait_for_log("Kafka answers after ");
    eventually("the consumer is ready again", || consumer.get("/health/ready").0 == 200);
    eventually("the spool is young again", || producer.metric("isitup_spool_oldest_event_age_seconds") < 1.0);
    pipeline.prove(producer);
    eventually("no lag is left", || consumer.metric("isitup_consumer_lag") == 0.0);
}

#[test]
fn while_postgres_is_away_the_lag_grows_in_the_metrics_and_the_consumer_lives() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "watching_postgres").busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);

    servers.kill("postgres").unwrap();
    wait_for_metric(&consumer, "isitup_store_errors_total", 1.0);
    consumer.wait_for_log("waiting for PostgreSQL: ");
    wait_until_unready(&consumer, "ostgre");
    for lag in [600.0, 1200.0, 2400.0] {
        wait_for_metric(&consumer, "isitup_consumer_lag", lag);
    }
    assert_eq!((producer.get("/health/ready").0, producer.get("/health/live").0), (200, 200));

    servers.start_part("postgres").unwrap();
    wait_for_metric(&consumer, "isitup_postgres_reconnects_total", 1.0);
    consumer.wait_for_log("PostgreSQL answers after ");
    eventually("the consumer is ready again", || consumer.get("/health/ready").0 == 200);
    pipeline.prove(producer);
    eventually("no lag is left", || consumer.metric("isitup_consumer_lag") == 0.0);
}

#[test]
fn missed_slots_and_the_gaps_that_declare_them_are_counted_by_both_services() {
    let site = site::slow(Duration::from_millis(1300));
    let pipeline = Pipeline::new("watching_overrun").site("slow", site.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    wait_for_metric(&producer, "isitup_slots_missed_total", 4.0);
    producer.wait_for_log("had slots that were not checked (overrun); they are declared");
    wait_for_metric(&producer, "isitup_gaps_declared_total", 1.0);
    wait_for_metric(&consumer, "isitup_gap_events_total", 1.0);
    pipeline.prove(producer);
    let text = consumer.get("/metrics").1;
    assert!(text.contains("isitup_gap_events_total{reason=\"overrun\"}"), "{text}");
}

#[test]
fn a_consumer_that_starts_before_its_servers_lives_and_says_what_it_waits_for() {
    let servers = OwnServers::start();
    let pipeline = Pipeline::on(&servers, "watching_start");
    servers.kill("postgres").unwrap();
    let consumer = pipeline.consumer();
    wait_until_unready(&consumer, "ostgre");
    wait_until_unready(&consumer, "Kafka has not answered yet");
    servers.start_part("postgres").unwrap();
    pipeline.topic().create();
    eventually("it is ready", || consumer.get("/health/ready").0 == 200);
}
