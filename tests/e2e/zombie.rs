//! Consumers that are frozen in the middle of a transaction for longer than their lease. Others go on meanwhile, and
//! what the zombie still tries when it wakes is refused.

use std::time::Duration;

use rustix::process::Signal;

use crate::consumers::wait_for_shares;
use crate::harness::{Database, Pipeline, Service, eventually, site};

const LEASE: Duration = Duration::from_secs(3);

/// How the consumer is known in the lease table.
fn owner(consumer: &Service) -> String {
    consumer.wait_for_log(" stores topic ");
    let said = consumer.said();
    let line = said.iter().find(|line| line.contains(" stores topic ")).unwrap();
    line.split_once("consumer ").unwrap().1.split(' ').next().unwrap().to_owned()
}

/// A place in the transactions of one consumer where the test can hold them up, by a trigger and an advisory lock.
struct Gate<'a> {
    database: Database,
    consumer: &'a Service,
}

impl<'a> Gate<'a> {
    /// When all rows of a transaction are there and only the commit is missing.
    fn before_commit(pipeline: &Pipeline<'_>, consumer: &'a Service) -> Self {
        let held = format!("SELECT min(partition) FROM partition_offset WHERE owner = '{}'", owner(consumer));
        let partition: i32 = pipeline.database().value(&held);
        let trigger = format!(
            "CREATE TRIGGER gate AFTER INSERT OR UPDATE ON dirty_hour FOR EACH ROW WHEN (NEW.partition = {partition})"
        );
        Self::make(pipeline, consumer, &trigger)
    }

    /// When the commit was asked for and is not done.
    fn in_commit(pipeline: &Pipeline<'_>, consumer: &'a Service) -> Self {
        let trigger = format!(
            "CREATE CONSTRAINT TRIGGER gate AFTER UPDATE ON partition_offset DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW WHEN (NEW.next_offset <> OLD.next_offset AND NEW.owner = '{}')",
            owner(consumer)
        );
        Self::make(pipeline, consumer, &trigger)
    }

    fn make(pipeline: &Pipeline<'_>, consumer: &'a Service, trigger: &str) -> Self {
        let mut database = pipeline.database();
        database.run(
            "CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock_shared(hashtext(TG_TABLE_SCHEMA), 1); RETURN NULL; END'",
        );
        database.run(&format!("{trigger} EXECUTE FUNCTION pass()"));
        Self { database, consumer }
    }

    /// Freezes the consumer while its transaction waits here, then opens. Gives the server's process, which is then in
    /// this state.
    fn freeze(&mut self, state: &str) -> i32 {
        let mut frozen = 0;
        eventually("the consumer is frozen in the middle", || {
            self.consumer.signal(Signal::CONT);
            self.database.run("SELECT pg_advisory_lock(hashtext(current_schema()), 1)");
            eventually("a transaction waits at the gate", || {
                frozen = self.waiting();
                frozen != 0
            });
            self.consumer.signal(Signal::STOP);
            self.database.run("SELECT pg_advisory_unlock(hashtext(current_schema()), 1)");
            eventually("the server has done what it was asked", || self.state(frozen) != "active");
            // It may have given up waiting at this very moment.
            self.state(frozen) == state
        });
        frozen
    }

    fn waiting(&mut self) -> i32 {
        self.database.value(
            "SELECT coalesce(max(pid), 0) FROM pg_locks
             WHERE locktype = 'advisory' AND NOT granted AND classid = hashtext(current_schema())::bit(32)::bigint::oid",
        )
    }

    /// What the server's process does; "gone" when it has ended.
    fn state(&mut self, pid: i32) -> String {
        self.database.value(&format!("SELECT coalesce(max(state), 'gone') FROM pg_stat_activity WHERE pid = {pid}"))
    }
}

/// A table that gets a row whenever an offset goes back.
fn watch_offsets(pipeline: &Pipeline<'_>) {
    pipeline.database().run(
        "CREATE TABLE step_back (partition int);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN INSERT INTO step_back VALUES (NEW.partition); RETURN NULL; END';
         CREATE TRIGGER back AFTER UPDATE ON partition_offset FOR EACH ROW WHEN (NEW.next_offset < OLD.next_offset)
         EXECUTE FUNCTION note()",
    );
}

/// Two consumers, busy, the first of which is to be a zombie.
fn two_at_work(name: &str) -> (Pipeline<'static>, [Service; 2], Service) {
    let site = site::well("hello");
    let pipeline = Pipeline::new(name).busy_with(&site).lease(LEASE);
    let consumers = [pipeline.consumer(), pipeline.consumer()];
    let producer = pipeline.producer();
    wait_for_shares(&pipeline, &[3, 3]);
    pipeline.wait_for_more_rows(300);
    watch_offsets(&pipeline);
    (pipeline, consumers, producer)
}

/// The other takes over and goes on; the zombie wakes, and both share the work again.
fn wake(pipeline: &Pipeline<'_>, zombie: &Service, producer: Service) {
    wait_for_shares(pipeline, &[6]);
    pipeline.wait_for_more_rows(600);
    zombie.signal(Signal::CONT);
    wait_for_shares(pipeline, &[3, 3]);
    pipeline.wait_for_more_rows(600);
    eventually("the zombie is well", || zombie.get("/health/ready").0 == 200);
    assert_eq!(pipeline.count("step_back"), 0, "no offset went back");
    pipeline.prove(producer);
}

#[test]
fn a_consumer_frozen_in_mid_transaction_is_ended_by_the_server_and_stores_nothing_when_it_wakes() {
    let (pipeline, [zombie, _survivor], producer) = two_at_work("zombie_amid");
    let mut gate = Gate::before_commit(&pipeline, &zombie);
    let frozen = gate.freeze("idle in transaction");
    eventually("the server ends the session", || gate.state(frozen) == "gone");
    wake(&pipeline, &zombie, producer);
}

#[test]
fn a_consumer_frozen_after_it_asked_for_the_commit_goes_on_cleanly_when_it_wakes() {
    let (pipeline, [zombie, _survivor], producer) = two_at_work("zombie_committed");
    let mut gate = Gate::in_commit(&pipeline, &zombie);
    gate.freeze("idle");
    wake(&pipeline, &zombie, producer);
}

#[test]
fn a_consumer_frozen_in_a_commit_that_fails_looks_and_lets_go_when_it_wakes() {
    let (pipeline, [zombie, _survivor], producer) = two_at_work("zombie_cut");
    let mut gate = Gate::in_commit(&pipeline, &zombie);
    gate.database.run("SELECT pg_advisory_lock(hashtext(current_schema()), 1)");
    let mut waiting = 0;
    eventually("a commit waits at the gate", || {
        waiting = gate.waiting();
        waiting != 0
    });
    zombie.signal(Signal::STOP);
    gate.database.run(&format!("SELECT pg_terminate_backend({waiting})"));
    eventually("its session is gone", || gate.state(waiting) == "gone");
    gate.database.run("SELECT pg_advisory_unlock(hashtext(current_schema()), 1)");
    wait_for_shares(&pipeline, &[6]);
    wake(&pipeline, &zombie, producer);
    zombie.wait_for_log("COMMIT got no answer");
}
