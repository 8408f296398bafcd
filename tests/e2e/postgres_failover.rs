//! The primary dies, and a standby that lags takes its place. Rows and offsets went back together, so what was lost is
//! read from Kafka again.

use postgres::Config;

use crate::consumers::wait_for_shares;
use crate::harness::{OwnPostgres, OwnServers, Pipeline, Service, eventually, site};

/// A standby of the stack's database that lacks what was stored last, as the primary dies.
pub(crate) fn lagging_standby(servers: &OwnServers, lags: impl FnOnce()) -> OwnPostgres {
    let standby = OwnPostgres::standby_of(servers.postgres_url());
    standby.stop_following();
    lags();
    servers.kill("postgres").unwrap();
    standby
}

/// The standby is promoted at the address of the primary, which the consumers know.
pub(crate) fn take_over(servers: &OwnServers, standby: OwnPostgres) -> OwnPostgres {
    let primary: Config = servers.postgres_url().parse().unwrap();
    let standby = standby.moved_to(primary.get_ports()[0]);
    standby.promote();
    standby
}

fn wait_until_ready(consumer: &Service) {
    eventually("the consumer is ready again", || consumer.get("/health/ready").0 == 200);
}

#[test]
fn what_a_lagging_standby_lacks_when_it_takes_over_is_stored_again_and_once() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "failover").busy_with(&site);
    let (producer, consumers) = (pipeline.producer(), [pipeline.consumer(), pipeline.consumer()]);
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.wait_for_rows(600);
    let mut stored = 0;
    let standby = lagging_standby(&servers, || {
        pipeline.wait_for_more_rows(900);
        stored = pipeline.count("check_result");
    });
    let there: i64 = {
        let sql = format!("SELECT count(*) FROM {}.result", pipeline.name());
        standby.client().query_one(&sql, &[]).unwrap().get(0)
    };
    assert!(there + 600 < stored, "the standby has {there} of {stored} rows");
    let _standby = take_over(&servers, standby);
    consumers.iter().for_each(wait_until_ready);
    pipeline.wait_for_rows(stored + 600);
    pipeline.prove(producer);
}

#[test]
fn what_a_lagging_standby_lacks_is_stored_again_though_nothing_new_comes() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "failover_quiet").busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    let standby = lagging_standby(&servers, || {
        pipeline.wait_for_more_rows(600);
        assert_eq!(producer.sigterm().code, Some(0));
        pipeline.wait_until_read();
    });
    let _standby = take_over(&servers, standby);
    wait_until_ready(&consumer);
    pipeline.prove_stored();
}

#[test]
fn ids_that_were_given_on_the_dead_primary_are_not_used_on_the_new_one() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "failover_ids").busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    // All that comes while the standby lags is of sites that it has never heard of.
    assert_eq!(producer.sigterm().code, Some(0));
    pipeline.wait_until_read();
    let late = (0..40).rev().fold(pipeline, |pipeline, n| pipeline.site_later(&format!("late {n}"), site.url()));
    let mut producer = None;
    let standby = lagging_standby(&servers, || {
        producer = Some(late.producer());
        late.wait_for_each_site();
        late.wait_for_more_rows(300);
    });
    // The ids go to others there.
    let standby = take_over(&servers, standby);
    let others = format!(
        "INSERT INTO {0}.site (name, url) SELECT 'other ' || n, 'http://other/' FROM generate_series(1, 20) n;
         INSERT INTO {0}.site_version (site_id, url, config_hash) SELECT site_id, url, 'other' FROM {0}.site WHERE name LIKE 'other %'",
        late.name()
    );
    standby.client().batch_execute(&others).unwrap();
    wait_until_ready(&consumer);
    late.wait_for_each_site();
    late.prove(producer.unwrap());
}

#[test]
fn a_url_with_two_servers_follows_the_one_that_can_be_written() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let standby = OwnPostgres::standby_of(servers.postgres_url());
    let primary: Config = servers.postgres_url().parse().unwrap();
    let both = format!("127.0.0.1:{},127.0.0.1:{}", standby.port(), primary.get_ports()[0]);
    let url = |servers: &str| format!("postgres://isitup:isitup@{servers}/isitup");
    let proved_at = url(&both) + "?target_session_attrs=read-write";
    let pipeline =
        Pipeline::on(&servers, "two_hosts").busy_with(&site).postgres_url(standby.url()).proved_at(proved_at);
    let found = pipeline.check_config("isitup-consumer");
    assert!(found.output.contains("this server is a standby, which cannot be written: name the primary"), "{found:?}");
    let pipeline = pipeline.postgres_url(url(&both));
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);
    standby.stop_following();
    pipeline.wait_for_more_rows(300);
    servers.kill("postgres").unwrap();
    eventually("the consumer says that it cannot store", || consumer.get("/health/ready").0 == 503);
    standby.promote();
    wait_until_ready(&consumer);
    pipeline.wait_for_more_rows(600);
    pipeline.prove(producer);
}

#[test]
fn one_partition_that_went_back_is_read_again_though_nothing_new_comes_on_any() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("one_went_back").busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    let mut database = pipeline.database();
    database.run("CREATE TABLE before AS SELECT partition, next_offset, anchor FROM partition_offset");
    pipeline.wait_for_more_rows(600);
    assert_eq!(producer.sigterm().code, Some(0));
    pipeline.wait_until_read();
    // As where a commit is lost, which no trigger sees.
    database.run(
        "ALTER TABLE partition_offset DISABLE TRIGGER USER;
         UPDATE partition_offset o SET (next_offset, anchor) = (before.next_offset, before.anchor)
             FROM before WHERE before.partition = o.partition AND o.partition = 4;
         ALTER TABLE partition_offset ENABLE TRIGGER USER",
    );
    consumer.wait_for_log("the database lost what it had stored of partition 4: reading again from");
    pipeline.prove_stored();
}
