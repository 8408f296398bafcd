//! `PgBouncer` in transaction mode, with its default settings, stands between consumers and database.

use std::time::Duration;

use crate::consumers::wait_for_shares;
use crate::harness::{OwnServers, PgBouncer, Pipeline, eventually, shared_servers, site};
use crate::postgres_failover::{lagging_standby, take_over};

#[test]
fn through_pgbouncer_two_consumers_share_the_work_and_a_killed_one_is_replaced() {
    // Each transaction meets another session of the server.
    let pooler = PgBouncer::with("server_round_robin = 1", shared_servers().postgres_url());
    let site = site::well("hello");
    let pipeline = Pipeline::new("pgbouncer").busy_with(&site).postgres_url(pooler.url()).lease(Duration::from_secs(4));
    let (killed, survivor) = (pipeline.consumer(), pipeline.consumer());
    let producer = pipeline.producer();
    wait_for_shares(&pipeline, &[3, 3]);
    survivor.wait_for_log("a pooler stands before PostgreSQL");
    pipeline.wait_for_more_rows(600);
    killed.kill9();
    wait_for_shares(&pipeline, &[6]);
    let _third = pipeline.consumer();
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.wait_for_more_rows(300);
    eventually("the survivor is well", || survivor.get("/health/ready").0 == 200);
    // What one transaction has prepared the next one does not miss.
    assert!(!survivor.has_logged("prepared statement"), "{:?}", survivor.said());
    // Those who ask go through it, too.
    for question in [&["peek"][..], &["report"]] {
        let answer = pipeline.ask(question);
        assert!(answer.code == Some(0) && answer.output.contains("busy "), "{answer:?}");
    }
    pipeline.prove(producer);
}

#[test]
fn pgbouncer_killed_and_started_again_in_mid_work_loses_and_doubles_nothing() {
    // A pooler that drops a session's settings instead of refusing them.
    let mut pooler = PgBouncer::with("ignore_startup_parameters = options", shared_servers().postgres_url());
    let site = site::well("hello");
    let pipeline = Pipeline::new("pgbouncer_killed").busy_with(&site).postgres_url(pooler.url());
    let (producer, _consumers) = (pipeline.producer(), [pipeline.consumer(), pipeline.consumer()]);
    pipeline.wait_for_rows(300);
    for _ in 0..3 {
        pooler.restart();
        pipeline.wait_for_more_rows(300);
    }
    pipeline.prove(producer);
}

#[test]
fn postgres_killed_behind_pgbouncer_loses_and_doubles_nothing() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pooler = PgBouncer::before(servers.postgres_url());
    let pipeline = Pipeline::on(&servers, "killed_behind").busy_with(&site).postgres_url(pooler.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);
    servers.kill("postgres").unwrap();
    servers.start_part("postgres").unwrap();
    pipeline.wait_for_more_rows(600);
    eventually("the consumer is ready again", || consumer.get("/health/ready").0 == 200);
    pipeline.prove(producer);
}

#[test]
fn what_was_learnt_of_a_server_is_forgotten_when_another_takes_over_behind_pgbouncer() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pooler = PgBouncer::before(servers.postgres_url());
    let pipeline = Pipeline::on(&servers, "switched_behind").site("early", site.url()).postgres_url(pooler.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_each_site();
    assert_eq!(producer.sigterm().code, Some(0));
    pipeline.wait_until_read();
    // The ids of these are learnt, and then nothing comes: the connection to the pooler lies idle, and lasts.
    let late = (0..40).fold(pipeline, |pipeline, n| pipeline.site_later(&format!("late {n}"), site.url()));
    let standby = lagging_standby(&servers, || {
        let producer = late.producer();
        late.wait_for_each_site();
        assert_eq!(producer.sigterm().code, Some(0));
        late.wait_until_read();
    });
    let _standby = take_over(&servers, standby);
    consumer.wait_for_log("reading again from");
    late.wait_for_each_site();
    late.prove_stored();
}
