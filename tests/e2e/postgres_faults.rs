//! PostgreSQL answers, but not as one would wish: locks that others hold, deadlocks, time-outs, a full disk. What Kafka
//! holds is stored afterwards, once, and nothing of it is taken for bad data.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::consumers::wait_for_shares;
use crate::harness::{Database, OwnPostgres, OwnServers, Pipeline, Service, eventually, site};

/// Waits until the consumer says that it is not ready, and why.
#[track_caller]
fn wait_until_troubled(consumer: &Service, why: &str) {
    eventually(&format!("the consumer is not ready because of {why:?}"), || {
        let (code, text) = consumer.get("/health/ready");
        code == 503 && text.contains(why)
    });
}

#[track_caller]
fn wait_until_well(consumers: &[Service]) {
    for consumer in consumers {
        eventually("the consumer is ready again", || consumer.get("/health/ready").0 == 200);
    }
}

/// Who holds which partition, under which epoch.
fn leases(pipeline: &Pipeline<'_>) -> BTreeSet<String> {
    let sql = "SELECT partition || ' ' || coalesce(owner::text, 'nobody') || ' ' || epoch FROM partition_offset";
    pipeline.database().column::<String>(sql, &[]).into_iter().collect()
}

/// For so long nobody can reach the results; the leases stay with those who have them.
fn results_locked(name: &str, hold: Duration) {
    let site = site::well("hello");
    let pipeline = Pipeline::new(name).busy_with(&site).lease(Duration::from_secs(12));
    let consumers = [pipeline.consumer(), pipeline.consumer()];
    let producer = pipeline.producer();
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.wait_for_more_rows(300);
    let before = leases(&pipeline);

    let mut lock = pipeline.database();
    lock.run("BEGIN; LOCK TABLE result IN ACCESS EXCLUSIVE MODE");
    let until = Instant::now() + hold;
    for consumer in &consumers {
        wait_until_troubled(consumer, "lock timeout");
        eventually("the lag shows", || consumer.metric("isitup_consumer_lag") >= 300.0);
    }
    while Instant::now() < until {
        let expired = "partition_offset WHERE expires_at < clock_timestamp()";
        assert_eq!(pipeline.database().count(expired), 0, "a lease ran out while the results were locked");
        thread::sleep(Duration::from_millis(100));
    }
    lock.run("ROLLBACK");
    wait_until_well(&consumers);
    assert_eq!(leases(&pipeline), before, "the partitions moved");
    pipeline.wait_for_more_rows(600);
    eventually("the lag is gone", || consumers.iter().all(|c| c.metric("isitup_consumer_lag") < 300.0));
    pipeline.prove(producer);
}

#[test]
fn while_the_results_are_locked_the_leases_last_and_afterwards_all_is_stored() {
    results_locked("results_locked", Duration::from_secs(15));
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn while_the_results_are_locked_for_a_minute_the_leases_last_and_afterwards_all_is_stored() {
    results_locked("locked_long", Duration::from_secs(65));
}

#[test]
fn rows_that_another_session_locks_only_hold_up_the_work() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("rows_locked").busy_with(&site).lease(Duration::from_secs(3));
    let consumers = [pipeline.consumer(), pipeline.consumer()];
    let producer = pipeline.producer();
    wait_for_shares(&pipeline, &[3, 3]);
    // Only a row that is there can be locked.
    pipeline.wait_for_each_site();
    let mut other = pipeline.database();
    for rows in ["site_status", "partition_offset", "site_version, dirty_hour"] {
        other.run(&format!("BEGIN; SELECT FROM {rows} FOR UPDATE"));
        // Longer than a lease lasts.
        wait_until_troubled(&consumers[0], "lock timeout");
        wait_until_troubled(&consumers[1], "lock timeout");
        other.run("ROLLBACK");
        pipeline.wait_for_more_rows(300);
    }
    wait_until_well(&consumers);
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.prove(producer);
}

#[test]
fn a_deadlock_with_another_session_is_tried_again_at_once() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "deadlock").busy_with(&site);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    let deadlocks = |database: &mut Database| -> i64 {
        database.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    };
    let (mut other, mut looking) = (pipeline.database(), pipeline.database());
    let before = deadlocks(&mut looking);
    // The server ends the one that has waited for as long as it cares to: the consumer.
    other.run("SET deadlock_timeout = '1 h'");
    for _ in 0..2 {
        let known = deadlocks(&mut looking);
        // On a busy machine it may look for one before there is one.
        eventually("the server has met a deadlock", || {
            other.run("BEGIN; SELECT FROM site_status FOR UPDATE");
            eventually("the consumer waits for a status", || {
                looking.count("pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE site_status%' AND datname = current_database()") > 0
            });
            // What it holds already.
            other.run("SELECT FROM partition_offset FOR UPDATE; ROLLBACK");
            // Counted when the consumer's session next tells its statistics.
            pipeline.wait_for_more_rows(600);
            deadlocks(&mut looking) > known
        });
    }
    assert!(deadlocks(&mut looking) >= before + 2);
    let waits = |line: &String| line.contains("waiting for PostgreSQL") && line.contains("deadlock");
    assert!(!consumer.said().iter().any(waits), "a deadlock is nothing to wait for");
    pipeline.prove(producer);
}

#[test]
fn a_statement_timeout_of_the_role_does_not_end_what_takes_longer() {
    let (servers, site) = (OwnServers::start(), site::well("hello"));
    let pipeline = Pipeline::on(&servers, "role_timeout").busy_with(&site);
    let mut admin = Database::connect(servers.postgres_url(), "public").unwrap();
    let mut database = Database::connect(servers.postgres_url(), pipeline.name()).unwrap();
    admin.run("ALTER ROLE isitup SET statement_timeout = '30 ms'; ALTER ROLE isitup SET lock_timeout = '1 ms'");
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    eventually("the schema is made", || pipeline.count("partition_offset") == 6);
    // Each transaction takes longer than that now.
    database.run(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END';
         CREATE TRIGGER slow AFTER UPDATE ON site_status FOR EACH STATEMENT EXECUTE FUNCTION slow()",
    );
    pipeline.wait_for_more_rows(600);
    eventually("the consumer is well", || consumer.get("/health/ready").0 == 200);
    admin.run("SET statement_timeout = 0; ALTER ROLE isitup RESET ALL");
    pipeline.prove(producer);
}

#[test]
fn a_full_disk_is_waited_out_and_nothing_is_taken_for_bad_data() {
    let site = site::well("hello");
    let mut database = OwnPostgres::on_small_disk(180);
    let pipeline = Pipeline::new("disk_full").busy_with(&site).postgres_url(database.url()).proved_at(database.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    for _ in 0..2 {
        database.fill_disk();
        wait_until_troubled(&consumer, "");
        let asked = site.asked();
        eventually("600 checks are made meanwhile", || site.asked() >= asked + 600);
        assert_eq!(consumer.metric("isitup_events_rejected_total"), 0.0, "no record is to blame");
        database.free_disk();
        let wanted = pipeline.count("check_result") + 600;
        eventually("it is stored again", || {
            // Without room for its journal it has given up, or will; else it goes on by itself.
            database.restart_if_ended();
            pipeline.count("check_result") >= wanted
        });
    }
    let said = consumer.said().join("\n") + &database.log();
    assert!(said.contains("No space left on device"), "{said}");
    wait_until_well(std::slice::from_ref(&consumer));
    pipeline.prove(producer);
}

/// What a release to come may do: additions to the tables that the consumer writes, in one transaction, as `migrate`
/// runs them. Every other time in the order that is opposite to the consumer's.
fn made_up_migration(version: i32) -> String {
    let mut tables = ["partition_offset", "result", "site_status", "dirty_hour"];
    if version % 2 == 0 {
        tables.reverse();
    }
    let additions: String = tables
        .iter()
        .map(|table| format!("ALTER TABLE {table} ADD COLUMN made_up_{version} integer NOT NULL DEFAULT 7;"))
        .collect();
    format!(
        "BEGIN;
         SELECT pg_advisory_xact_lock(hashtextextended('isitup migrate ' || current_schema(), 0));
         {additions}
         UPDATE site_status SET made_up_{version} = 8;
         CREATE TABLE made_up_{version} (name text);
         INSERT INTO refinery_schema_history VALUES ({version}, 'made_up', now()::text, '{version}');
         COMMIT"
    )
}

#[test]
fn consumers_go_on_while_newer_ones_migrate() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("migrated_amid").busy_with(&site).lease(Duration::from_secs(6));
    let consumers = [pipeline.consumer(), pipeline.consumer()];
    let producer = pipeline.producer();
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.wait_for_more_rows(300);
    let mut migrating = pipeline.database();
    for version in 1005..1011 {
        // One that loses a deadlock is tried again, as a consumer does at its start.
        eventually("the migration is done", || {
            let is_done = migrating.try_run(&made_up_migration(version)).is_ok();
            if !is_done {
                migrating.run("ROLLBACK");
            }
            is_done
        });
        pipeline.wait_for_more_rows(100);
    }
    // Statements that were prepared before say "cached plan must not change result type" now.
    migrating.run("CREATE DOMAIN hash AS bytea; ALTER TABLE partition_offset ALTER COLUMN anchor TYPE hash");
    let now: String = migrating.value("SELECT clock_timestamp()::text");
    eventually("both have taken care of their leases since", || {
        pipeline.count(&format!("consumer WHERE expires_at > '{now}'::timestamptz + interval '4 s'")) == 2
    });
    wait_until_well(&consumers);
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.prove(producer);
}
