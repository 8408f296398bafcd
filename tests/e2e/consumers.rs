//! Several consumers, one of which ends or dies.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::harness::{Pipeline, eventually, site, within};

/// How many partitions each owner holds; those that nobody holds are under no name.
fn shares(pipeline: &Pipeline<'_>) -> BTreeMap<Option<String>, usize> {
    let mut shares = BTreeMap::new();
    for owner in pipeline.database().column::<Option<String>>("SELECT owner::text FROM partition_offset", &[]) {
        *shares.entry(owner).or_default() += 1;
    }
    shares
}

/// Waits until the six partitions are held in these shares, and by nobody else.
#[track_caller]
pub(crate) fn wait_for_shares(pipeline: &Pipeline<'_>, wanted: &[usize]) {
    eventually("the schema is made", || pipeline.count("partition_offset") == 6);
    eventually(&format!("the partitions are shared out as {wanted:?}"), || {
        let shares = shares(pipeline);
        !shares.contains_key(&None) && shares.into_values().collect::<Vec<_>>() == wanted
    });
}

#[test]
fn three_consumers_take_equal_shares_and_one_that_is_stopped_lets_go_at_once() {
    let site = site::well("hello");
    let lease = Duration::from_secs(120);
    let pipeline = Pipeline::new("three_share").busy_with(&site).lease(lease);
    let consumers = [pipeline.consumer(), pipeline.consumer(), pipeline.consumer()];
    let producer = pipeline.producer();
    wait_for_shares(&pipeline, &[2, 2, 2]);
    pipeline.wait_for_more_rows(300);

    let [stopped, ..] = consumers;
    let ended = stopped.sigterm();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    // Had they to wait for the lease to run out, this would take two minutes.
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
}

#[test]
fn what_a_killed_consumer_held_is_taken_over_within_the_lease_and_nothing_is_stored_twice() {
    let site = site::well("hello");
    let lease = Duration::from_secs(6);
    let pipeline = Pipeline::new("consumer_killed").busy_with(&site).lease(lease);
    let (killed, _survivor) = (pipeline.consumer(), pipeline.consumer());
    let producer = pipeline.producer();
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.wait_for_more_rows(600);

    killed.kill9();
    let slack = Duration::from_secs(30);
    within(lease + slack, "the survivor holds all partitions", || {
        let shares = shares(&pipeline);
        shares.len() == 1 && !shares.contains_key(&None)
    });
    pipeline.wait_for_more_rows(600);
    pipeline.prove(producer);
}

#[test]
fn a_lone_consumer_that_is_killed_in_mid_work_goes_on_where_its_offsets_stand() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("lone_killed").busy_with(&site).lease(Duration::from_secs(2));
    let producer = pipeline.producer();
    for _ in 0..3 {
        let consumer = pipeline.consumer();
        pipeline.wait_for_more_rows(300);
        consumer.kill9();
    }
    let _consumer = pipeline.consumer();
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
}

#[test]
fn a_consumer_that_joins_later_gets_its_share_of_a_busy_topic() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("joins_later").busy_with(&site);
    let (producer, _first) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    let _second = pipeline.consumer();
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
}

#[test]
fn a_consumer_frozen_beyond_its_lease_stores_nothing_when_it_wakes() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("zombie").busy_with(&site).lease(Duration::from_secs(3));
    let (zombie, _survivor) = (pipeline.consumer(), pipeline.consumer());
    let producer = pipeline.producer();
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.wait_for_more_rows(300);

    zombie.signal(rustix::process::Signal::STOP);
    eventually("the other one holds all partitions", || {
        let shares = shares(&pipeline);
        shares.len() == 1 && !shares.contains_key(&None)
    });
    pipeline.wait_for_more_rows(300);
    zombie.signal(rustix::process::Signal::CONT);
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
}
