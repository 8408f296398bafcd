//! The tests that cross process borders: the real services on real Kafka, ZooKeeper and PostgreSQL, against sites on
//! loopback that misbehave.
//!
//! Each test has a topic, a schema, a spool and ports of its own, so that all of them run at once, again and again.
//! Nothing here is a stand-in, and nothing sleeps and hopes: a test waits until something is so, or fails and says what
//! was not. What a test of this kind does is read best in `start_order.rs`; how it does it, in `harness/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and tell on standard error what the services said"
)]

mod audit;
mod avro;
mod clock;
mod commands;
mod consumers;
mod crash_points;
mod environment;
mod guarantees;
mod harness;
mod housekeeping;
mod kafka_cluster;
mod kafka_network;
mod kafka_outages;
mod kafka_security;
mod kafka_topics;
mod migration;
mod no_false_alarms;
mod overload;
mod packaging;
mod pgbouncer;
mod poison;
mod postgres_failover;
mod postgres_faults;
mod postgres_network;
mod postgres_outages;
mod postgres_passwords;
mod postgres_tls;
mod power_cut;
mod power_loss;
mod producer_crash;
mod rejected;
mod reload;
mod rights;
mod secrets;
mod setup_database;
mod spool_faults;
mod start_order;
mod stopping;
mod storm;
mod systemd;
mod table;
mod unresolved;
mod upgrade;
mod verdicts;
mod watching;
mod zombie;
