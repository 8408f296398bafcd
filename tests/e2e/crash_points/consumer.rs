//! The consumer dies around each step of storing a batch, keeping its leases and making its schema.

use std::time::Duration;

use super::{FEW, MANY, consumer_points, consumers_die, order};
use crate::harness::{Pipeline, eventually, site};

/// As short as can be: what a dead consumer held is free after two thirds of it.
const LEASE: Duration = Duration::from_secs(2);

#[test]
fn a_consumer_that_dies_around_each_step_of_storing_loses_and_doubles_nothing() {
    dies_around_storing("die_in_store", FEW);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_consumer_that_dies_around_each_step_of_storing_many_times_loses_and_doubles_nothing() {
    dies_around_storing("die_in_store_long", MANY);
}

fn dies_around_storing(name: &str, passes: &[u32]) {
    let site = site::well("hello");
    let pipeline = Pipeline::new(name).busy_with(&site).lease(LEASE);
    let producer = pipeline.producer();
    for passes in passes {
        consumers_die(&pipeline, &consumer_points(&["store"]), *passes);
        // The mirror is written once a second.
        consumers_die(&pipeline, &consumer_points(&["mirror"]), passes % 3);
    }
    let _consumer = pipeline.consumer();
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
}

#[test]
fn of_several_consumers_that_die_at_different_steps_the_last_one_has_it_all() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("die_together").busy_with(&site).lease(LEASE);
    let producer = pipeline.producer();
    let _survivor = pipeline.consumer();
    pipeline.wait_for_rows(100);
    let points = consumer_points(&["store"]);
    let armed: Vec<_> = points.iter().map(|point| pipeline.armed_consumer(&order(point, 5))).collect();
    armed.into_iter().zip(&points).for_each(|(consumer, point)| consumer.dies_at(point));
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
}

#[test]
fn a_consumer_that_dies_while_it_makes_the_schema_finds_topics_or_keeps_leases_harms_nothing() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("die_in_lease").busy_with(&site).lease(LEASE * 2);
    let producer = pipeline.producer();
    // In the order in which a first consumer comes by.
    consumers_die(&pipeline, &consumer_points(&["migrate", "partitions"]), 0);
    for point in consumer_points(&["lease"]) {
        let armed = pipeline.armed_consumer(&order(point, 0));
        match point {
            // Another one joins, and gets its share, as soon as there is something to share: not before the leases of
            // those that died before have run out.
            "lease.released" => {
                eventually("it holds all partitions", || armed.metric("isitup_partitions_owned") == 6.0);
                let other = pipeline.consumer();
                armed.dies_at(point);
                other.kill9();
            }
            "lease.leaving" => {
                pipeline.wait_for_more_rows(100);
                armed.signal(rustix::process::Signal::TERM);
                armed.dies_at(point);
            }
            _ => armed.dies_at(point),
        }
    }
    let _consumer = pipeline.consumer();
    eventually("all partitions are held", || pipeline.count("partition_offset WHERE owner IS NOT NULL") == 6);
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
}
