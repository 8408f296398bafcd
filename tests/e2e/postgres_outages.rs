//! PostgreSQL dies, restarts or freezes under load: what Kafka holds is stored afterwards, once.

use crate::harness::{OwnServers, Pipeline, eventually, site};

#[test]
fn postgres_killed_in_mid_work_and_started_again_loses_and_doubles_nothing() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "postgres_killed").busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);
    for _ in 0..2 {
        servers.kill("postgres").unwrap();
        eventually("the consumer says that it cannot store", || consumer.get("/health/ready").0 == 503);
        servers.start_part("postgres").unwrap();
        pipeline.wait_for_more_rows(600);
    }
    eventually("the consumer is ready again", || consumer.get("/health/ready").0 == 200);
    pipeline.prove(producer);
}

#[test]
fn postgres_restarted_in_mid_work_under_two_consumers_loses_and_doubles_nothing() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "postgres_restarted").busy_with(&site);
    let (producer, _consumers) = (pipeline.producer(), [pipeline.consumer(), pipeline.consumer()]);
    pipeline.wait_for_rows(600);
    for _ in 0..3 {
        servers.restart("postgres").unwrap();
        pipeline.wait_for_more_rows(300);
    }
    pipeline.prove(producer);
}

#[test]
fn postgres_frozen_for_a_while_loses_and_doubles_nothing() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "postgres_frozen").busy_with(&site);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    servers.pause("postgres").unwrap();
    let asked = site.asked();
    eventually("900 checks are made meanwhile", || site.asked() >= asked + 900);
    servers.resume("postgres").unwrap();
    pipeline.wait_for_more_rows(600);
    pipeline.prove(producer);
}

#[test]
fn a_session_that_an_administrator_ends_is_only_a_pause() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "sessions_ended").busy_with(&site);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    let mut database = pipeline.database();
    for _ in 0..5 {
        let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        assert!(database.value::<i64>(others) > 0);
        pipeline.wait_for_more_rows(100);
    }
    pipeline.prove(producer);
}
