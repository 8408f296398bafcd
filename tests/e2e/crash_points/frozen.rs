//! A consumer that is frozen between two steps for longer than its lease, and then goes on as if nothing had been.

use std::time::Duration;

use crate::harness::{Pipeline, eventually, site};

/// Notes each offset that goes back.
const WATCH: &str = "
    CREATE TABLE gone_back (partition int, was bigint, became bigint);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO gone_back VALUES (old.partition, old.next_offset, new.next_offset); RETURN new;
    END $$;
    CREATE TRIGGER watch AFTER UPDATE ON partition_offset
        FOR EACH ROW WHEN (new.next_offset < old.next_offset) EXECUTE FUNCTION note();";

#[test]
fn a_consumer_frozen_between_fetch_and_store_moves_no_offset_when_it_wakes() {
    freezes_at("store.fetched");
}

#[test]
fn a_consumer_frozen_in_mid_transaction_keeps_its_partitions_from_nobody_and_moves_no_offset_when_it_wakes() {
    freezes_at("store.written");
}

fn freezes_at(point: &str) {
    let site = site::well("hello");
    let pipeline = Pipeline::new("frozen").busy_with(&site).lease(Duration::from_secs(2));
    assert_eq!(pipeline.ask(&["migrate"]).code, Some(0));
    pipeline.database().run(WATCH);
    let producer = pipeline.producer();
    let frozen = pipeline.armed_consumer(&format!("{point}=10*off->1*return(freeze)"));
    frozen.wait_for_log(&format!("freezes at {point}"));
    let held: Vec<String> =
        pipeline.database().column("SELECT DISTINCT owner::text FROM partition_offset WHERE owner IS NOT NULL", &[]);
    let [owner] = &held[..] else { panic!("one consumer holds the partitions: {held:?}") };

    let _survivor = pipeline.consumer();
    let others = format!("partition_offset WHERE owner <> '{owner}'");
    eventually("the other one holds all partitions", || pipeline.count(&others) == 6);
    pipeline.wait_for_more_rows(300);
    let stored = pipeline.count("check_result");
    frozen.signal(rustix::process::Signal::CONT);
    let gone_back = || pipeline.count("gone_back");
    // What notices first is the thread that stores, or the one that keeps the leases.
    let lets_go =
        || frozen.times_logged("lost the lease on partitions") + frozen.times_logged("partitions held: []") > 0;
    eventually("it lets go, or does harm", || lets_go() || gone_back() > 0);
    assert_eq!(gone_back(), 0, "an offset went back");
    eventually("it holds partitions again", || pipeline.count(&others) < 6);
    pipeline.wait_for_rows(stored + 300);
    pipeline.prove(producer);
    assert_eq!(gone_back(), 0, "an offset went back");
}
