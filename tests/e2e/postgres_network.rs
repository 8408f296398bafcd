//! The network between the consumer and PostgreSQL misbehaves: commits of unknown outcome, black holes, slow links.

use std::time::Duration;

use crate::harness::proxy::{Behaviour, Call, Direction, Moment, Proxy};
use crate::harness::{Pipeline, Service, eventually, shared_servers, site, within};

/// The consumer's words when a connection ends while a COMMIT is on its way.
const UNKNOWN: &str = "COMMIT got no answer";
/// Its words when its view of an offset proves wrong.
const LETS_GO: &str = "lost the lease on partitions";

fn proxy() -> Proxy {
    Proxy::postgres(shared_servers().postgres_url())
}

/// Waits until the consumer has told that it cannot store, by health.
#[track_caller]
fn wait_until_told(consumer: &Service, limit: Duration) {
    within(limit, "the consumer says that it cannot store", || consumer.get("/health/ready").0 == 503);
}

/// Cuts the connection of five commits of results at `moment`. Gives how often the consumer did not know the outcome.
fn cut_five_commits(name: &str, moment: Moment) -> usize {
    let (proxy, site) = (proxy(), site::well("hello"));
    let pipeline = Pipeline::new(name).busy_with(&site).postgres_url(proxy.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    for _ in 0..5 {
        let strike = proxy.cut_next(Call::Commit, moment);
        eventually("a commit is cut", || strike.has_happened());
        pipeline.wait_for_more_rows(100);
    }
    let unknown = consumer.times_logged(UNKNOWN);
    // Would the consumer guess wrong, then the offsets' compare-and-set would still keep the rows right; but it would
    // find that the offsets are not where it thinks, and lose its partitions for a while.
    assert_eq!(consumer.times_logged(LETS_GO), 0);
    pipeline.prove(producer);
    assert_eq!(consumer.metric("isitup_duplicates_total"), 0.0, "a batch was stored that was there");
    unknown
}

#[test]
fn a_commit_that_never_reached_postgres_is_made_again() {
    // The proxy held the COMMIT in its hands when it cut the connection, so PostgreSQL has rolled back.
    assert_eq!(cut_five_commits("commit_lost", Moment::BeforeRequest), 5);
}

#[test]
fn a_commit_of_which_half_reached_postgres_is_made_again() {
    assert_eq!(cut_five_commits("commit_half", Moment::InRequest), 5);
}

#[test]
fn a_commit_that_was_made_but_never_answered_is_not_made_again() {
    // The proxy held PostgreSQL's whole answer in its hands, so the transaction was committed.
    assert_eq!(cut_five_commits("commit_unanswered", Moment::BeforeReply), 5);
}

#[test]
fn a_commit_of_whose_answer_only_half_arrived_is_not_made_again() {
    assert_eq!(cut_five_commits("commit_half_answer", Moment::InReply), 5);
}

#[test]
fn a_connection_cut_right_after_a_commit_was_answered_is_only_a_pause() {
    // Answer and reset may arrive at one time, and the driver then tells of the reset only: so it may look, too.
    cut_five_commits("commit_answered", Moment::AfterReply);
}

#[test]
fn connections_reset_at_any_moment_under_two_consumers_lose_and_double_nothing() {
    let (proxy, site) = (proxy(), site::well("hello"));
    let pipeline = Pipeline::new("postgres_reset").busy_with(&site).postgres_url(proxy.url());
    let (producer, _consumers) = (pipeline.producer(), [pipeline.consumer(), pipeline.consumer()]);
    pipeline.wait_for_rows(300);
    for _ in 0..10 {
        proxy.cut();
        pipeline.wait_for_more_rows(60);
    }
    pipeline.prove(producer);
}

#[test]
fn while_postgres_refuses_connections_results_wait_in_kafka() {
    let (proxy, site) = (proxy(), site::well("hello"));
    let pipeline = Pipeline::new("postgres_refuses").busy_with(&site).postgres_url(proxy.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    proxy.behave(Behaviour::Refuse);
    wait_until_told(&consumer, Duration::from_secs(60));
    let published = producer.metric("isitup_events_published_total");
    eventually("600 more are published", || producer.metric("isitup_events_published_total") >= published + 600.0);
    proxy.behave(Behaviour::Forward);
    pipeline.wait_for_more_rows(600);
    pipeline.prove(producer);
}

#[test]
fn a_cable_pulled_from_postgres_is_noticed_within_seconds_and_costs_nothing() {
    let (proxy, site) = (proxy(), site::well("hello"));
    let pipeline =
        Pipeline::new("postgres_silent").busy_with(&site).lease(Duration::from_secs(3)).postgres_url(proxy.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    proxy.behave(Behaviour::Silence);
    // TCP gives up after 10 s without an acknowledgement, instead of after a quarter of an hour.
    wait_until_told(&consumer, Duration::from_secs(10 + 30));
    proxy.behave(Behaviour::Forward);
    // What PostgreSQL still held open for the dead connection, it ends when the lease and 5 s have passed.
    pipeline.wait_for_more_rows(600);
    eventually("the consumer is ready again", || consumer.get("/health/ready").0 == 200);
    pipeline.prove(producer);
}

#[test]
fn a_link_to_postgres_too_slow_for_the_load_only_delays_rows() {
    let (proxy, site) = (proxy(), site::well("hello"));
    let pipeline = Pipeline::new("postgres_slow").busy_with(&site).postgres_url(proxy.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    proxy.behave(Behaviour::Slow(40_000));
    let behind = || producer.metric("isitup_events_published_total") - pipeline.count("check_result") as f64;
    eventually("rows fall behind", || behind() >= 1500.0);
    pipeline.wait_for_more_rows(300);
    proxy.behave(Behaviour::Forward);
    eventually("the rows have caught up", || behind() < 500.0);
    assert_eq!(consumer.times_logged(UNKNOWN), 0, "slow is not lost");
    pipeline.prove(producer);
}

/// What is sent in `direction` vanishes for as long as the consumer does not notice by itself, as behind a hung pooler
/// whose machine goes on acknowledging.
fn swallow(name: &str, direction: Direction) {
    let (proxy, site) = (proxy(), site::well("hello"));
    let pipeline = Pipeline::new(name).busy_with(&site).postgres_url(proxy.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    proxy.behave(Behaviour::Swallow(direction));
    // TCP cannot notice this, nor can the server. The consumer waits 35 s for an answer, 5 s longer than PostgreSQL lets
    // a statement run.
    wait_until_told(&consumer, Duration::from_secs(45));
    // Connections that were being made meanwhile must not keep new ones from being made.
    eventually("the pool says so too", || consumer.times_logged("waiting for PostgreSQL") > 0);
    proxy.behave(Behaviour::Forward);
    pipeline.wait_for_more_rows(600);
    eventually("the consumer is ready again", || consumer.get("/health/ready").0 == 200);
    pipeline.prove(producer);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn requests_to_postgres_that_vanish_hold_the_consumer_up_for_less_than_a_minute() {
    swallow("postgres_hole_up", Direction::Upstream);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn answers_of_postgres_that_vanish_hold_the_consumer_up_for_less_than_a_minute() {
    swallow("postgres_hole_down", Direction::Downstream);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_black_hole_between_consumer_and_postgres_for_three_minutes_costs_nothing() {
    let (proxy, site) = (proxy(), site::well("hello"));
    let pipeline = Pipeline::new("postgres_hole").busy_with(&site).postgres_url(proxy.url());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);
    let published = producer.metric("isitup_events_published_total");
    proxy.behave(Behaviour::Swallow(Direction::Both));
    wait_until_told(&consumer, Duration::from_secs(45));
    let limit = Duration::from_secs(240);
    within(limit, "three minutes of checks are published", || {
        producer.metric("isitup_events_published_total") >= published + 3.0 * 60.0 * 300.0
    });
    proxy.behave(Behaviour::Forward);
    let behind = || producer.metric("isitup_events_published_total") - pipeline.count("check_result") as f64;
    within(limit, "the rows have caught up", || behind() < 500.0);
    pipeline.prove(producer);
}
