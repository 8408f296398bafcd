//! More work than there is room for: it is bounded, told, and over when the load is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{Pipeline, Service, eventually, site, within};

/// More than any service takes here, and far less than what piles up would take in memory.
const MOST_MEMORY_KIB: u64 = 100 << 10;

/// The memory of a service right now, which must be bounded whatever piles up.
#[track_caller]
fn check_memory(of: &Service) {
    let taken = of.resident_kib().unwrap();
    assert!(taken < MOST_MEMORY_KIB, "{taken} KiB");
}

/// Sites that keep their visitors waiting as long as the flag is up.
fn stalling() -> (site::Site, Arc<AtomicBool>) {
    let stalled = Arc::new(AtomicBool::new(false));
    let waits = Arc::clone(&stalled);
    let site = site::answering_by(move |_| {
        while waits.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
        site::ok("", "hello")
    });
    (site, stalled)
}

#[test]
fn checks_that_no_worker_is_free_for_are_declared_as_overrun_and_it_ends_with_the_overload() {
    let (site, stalled) = stalling();
    let pipeline = Pipeline::new("overrun").busy_with(&site).producer_with("workers: 8");
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);

    stalled.store(true, Ordering::SeqCst);
    eventually("all workers are busy", || producer.metric("isitup_workers_busy") >= 8.0);
    let overruns = "gap WHERE reason = 'overrun'";
    eventually("all sites miss slots, and it is told at once", || {
        pipeline.count("(SELECT DISTINCT unnest(sites) FROM gap WHERE reason = 'overrun') s") == 60
    });
    check_memory(&producer);
    assert_eq!(producer.get("/health/ready").0, 200, "it does what it can");

    stalled.store(false, Ordering::SeqCst);
    eventually("the workers are free again", || producer.metric("isitup_workers_busy") < 8.0);
    // What the stalled checks had missed is told within the next second; from then on nothing is missed.
    pipeline.wait_for_more_rows(900);
    eventually("the overload is over: of two seconds' checks none is missed", || {
        let told = pipeline.count(overruns);
        pipeline.wait_for_more_rows(600);
        pipeline.count(overruns) == told
    });
    pipeline.prove(producer);
}

#[test]
fn a_database_slower_than_the_checks_shows_as_lag_and_is_caught_up_with() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("slow_database").busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    // 125 rows a second at most, where 300 come.
    pipeline.database().run(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.008); RETURN new; END';
         CREATE TRIGGER slow BEFORE INSERT ON result FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let lag = || consumer.metric("isitup_consumer_lag");
    eventually("the lag grows and is told", || lag() > 1200.0);
    check_memory(&consumer);
    check_memory(&producer);
    assert!(producer.metric("isitup_spool_events") < 300.0, "Kafka has them, the producer need not");

    pipeline.database().run("DROP TRIGGER slow ON result");
    eventually("the lag is gone", || lag() < 300.0);
    pipeline.prove(producer);
    pipeline.assert_schedule_undisturbed(0);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_database_too_slow_for_a_whole_batch_gets_smaller_ones() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("small_batches").busy_with(&site);
    let producer = pipeline.producer();
    producer.wait_until_published(1500);
    assert_eq!(pipeline.ask(&["migrate"]).code, Some(0));
    // A batch of all that waits takes far longer than the limit on a statement, half a minute.
    pipeline.database().run(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.06); RETURN new; END';
         CREATE TRIGGER slow BEFORE INSERT ON result FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let consumer = pipeline.consumer();
    within(Duration::from_secs(180), "a smaller batch is stored", || pipeline.count("check_result") > 0);
    consumer.wait_for_log("trying smaller ones");
    pipeline.database().run("DROP TRIGGER slow ON result");
    pipeline.wait_for_rows(1500);
    pipeline.prove(producer);
}
