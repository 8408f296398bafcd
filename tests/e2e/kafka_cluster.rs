//! A cluster of several brokers loses some of them under load, and the disk of one fills up.

use crate::harness::{Cluster, Election, OwnServers, Pipeline, eventually, site};
use crate::kafka_topics::{accept_what_is_lost, wait_until_halted};

#[test]
#[ignore = "long: make test-faults runs it"]
fn leaders_that_die_end_and_come_back_lose_and_double_nothing() {
    let (servers, site) = (OwnServers::brokers(3), site::well("hello"));
    let pipeline = Pipeline::with_kafka_of(&servers, "leaders").busy_with(&site);
    let cluster = Cluster::of(&servers);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);
    cluster.wait_for_leader(pipeline.name(), 2, |led| led > 0);

    servers.kill("kafka-2").unwrap();
    cluster.wait_for_leader(pipeline.name(), 2, |led| led == 0);
    pipeline.wait_for_more_rows(600);
    servers.start_part("kafka-2").unwrap();
    cluster.wait_for_replicas(pipeline.name(), 3);
    cluster.elect_leaders(pipeline.name(), Election::Preferred);
    cluster.wait_for_leader(pipeline.name(), 2, |led| led > 0);
    pipeline.wait_for_more_rows(300);

    // The first of the addresses that both services were given.
    servers.stop("kafka").unwrap();
    cluster.wait_for_leader(pipeline.name(), 1, |led| led == 0);
    pipeline.wait_for_more_rows(600);
    consumer.wait_for_readiness(200);
    producer.wait_for_empty_spool();
    pipeline.prove(producer);
    pipeline.assert_schedule_undisturbed(0);
}

#[test]
fn events_that_only_the_leader_had_when_it_died_are_sent_again() {
    let (servers, site) = (OwnServers::brokers(3), site::well("hello"));
    let pipeline = Pipeline::with_kafka_of(&servers, "lonely_leader").busy_with(&site);
    let cluster = Cluster::of(&servers);
    cluster.create_topic(pipeline.name(), 6, &[1, 2, 3], &[]);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);

    // Less than the three seconds after which they would count as dead.
    servers.pause("kafka-2").unwrap();
    servers.pause("kafka-3").unwrap();
    site.wait_for_checks(100);
    servers.kill("kafka").unwrap();
    servers.resume("kafka-2").unwrap();
    servers.resume("kafka-3").unwrap();

    cluster.wait_for_leader(pipeline.name(), 1, |led| led == 0);
    pipeline.wait_for_more_rows(600);
    producer.wait_for_empty_spool();
    pipeline.prove(producer);
    pipeline.assert_schedule_undisturbed(0);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn with_too_few_replicas_events_wait_in_the_spool_until_there_are_enough() {
    let (servers, site) = (OwnServers::brokers(3), site::well("hello"));
    let pipeline = Pipeline::with_kafka_of(&servers, "too_few_replicas").busy_with(&site);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);

    servers.kill("kafka").unwrap();
    servers.kill("kafka-3").unwrap();
    producer.wait_for_log("fewer replicas are in sync than the topic's min.insync.replicas asks for");
    eventually("the events pile up", || producer.metric("isitup_spool_events") >= 1500.0);
    assert_eq!(producer.get("/health/ready").0, 200, "a producer that waits for Kafka does its work");

    servers.start_part("kafka-3").unwrap();
    producer.wait_for_log("Kafka takes events again");
    producer.wait_for_empty_spool();
    pipeline.wait_for_more_rows(600);
    pipeline.prove(producer);
    pipeline.assert_schedule_undisturbed(0);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn what_an_unclean_election_cut_off_unread_is_named_missing_to_the_number() {
    let (servers, site) = (OwnServers::brokers(2), site::well("hello"));
    let pipeline = Pipeline::with_kafka_of(&servers, "unclean").busy_with(&site);
    let cluster = Cluster::of(&servers);
    cluster.create_topic(pipeline.name(), 6, &[1, 2], &[("min.insync.replicas", "1")]);
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);

    // From here on the follower lacks what is written.
    servers.kill("kafka-2").unwrap();
    cluster.wait_for_replicas(pipeline.name(), 1);
    pipeline.wait_for_more_rows(600);
    assert_eq!(consumer.sigterm().code, Some(0));
    let stored = pipeline.stored_numbers();
    site.wait_for_checks(600);
    producer.wait_for_empty_spool();
    let old = pipeline.topic().messages();
    servers.kill("kafka").unwrap();
    servers.start_part("kafka-2").unwrap();
    cluster.wait_until_leaderless(pipeline.name());
    cluster.elect_leaders(pipeline.name(), Election::Unclean);
    cluster.wait_for_leader(pipeline.name(), 2, |led| led == 6);

    let mut consumer = pipeline.consumer();
    wait_until_halted(&mut consumer, pipeline.name());
    assert_eq!(consumer.sigterm().code, Some(0));
    let consumer = pipeline.consumer_with(&["run", "--accept-new-topic"]);
    pipeline.wait_for_more_rows(600);
    consumer.wait_for_readiness(200);
    assert_eq!(producer.sigterm().code, Some(0));
    let lost = pipeline.prove_but_for_lost(&stored, Some(old));
    assert!(lost.len() >= 300, "{}", lost.len());
    pipeline.assert_schedule_undisturbed(lost.len());
    accept_what_is_lost(&pipeline, lost.len());
}

#[test]
fn what_a_running_consumer_read_before_an_unclean_election_is_not_lost() {
    let (servers, site) = (OwnServers::brokers(2), site::well("hello"));
    let pipeline = Pipeline::with_kafka_of(&servers, "unclean_read").busy_with(&site);
    let cluster = Cluster::of(&servers);
    cluster.create_topic(pipeline.name(), 6, &[1, 2], &[("min.insync.replicas", "1")]);
    let (producer, mut consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(300);

    servers.kill("kafka-2").unwrap();
    cluster.wait_for_replicas(pipeline.name(), 1);
    pipeline.wait_for_more_rows(900);
    servers.kill("kafka").unwrap();
    servers.start_part("kafka-2").unwrap();
    cluster.wait_until_leaderless(pipeline.name());
    cluster.elect_leaders(pipeline.name(), Election::Unclean);
    cluster.wait_for_leader(pipeline.name(), 2, |led| led == 6);

    wait_until_halted(&mut consumer, pipeline.name());
    let stored = pipeline.stored_numbers();
    assert_eq!(consumer.sigterm().code, Some(0));
    let consumer = pipeline.consumer_with(&["run", "--accept-new-topic"]);
    pipeline.wait_for_more_rows(600);
    eventually("what was read before is met again and ignored", || consumer.metric("isitup_duplicates_total") >= 300.0);
    assert_eq!(producer.sigterm().code, Some(0));
    let lost = pipeline.prove_but_for_lost(&stored, None);
    pipeline.assert_schedule_undisturbed(lost.len());
    if !lost.is_empty() {
        accept_what_is_lost(&pipeline, lost.len());
    }
}

#[test]
fn a_broker_whose_disk_is_full_loses_nothing_that_it_acknowledged() {
    let (servers, site) = (OwnServers::broker_on_small_disk(), site::well("hello"));
    let pipeline = Pipeline::with_kafka_of(&servers, "broker_disk").busy_with(&site);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);

    servers.fill_disk().unwrap();
    eventually("the events pile up", || producer.metric("isitup_spool_events") >= 900.0);
    site.wait_for_checks(300);
    assert_eq!(producer.get("/health/ready").0, 200, "a producer that waits for Kafka does its work");

    servers.free_disk().unwrap();
    servers.restart("kafka").unwrap();
    producer.wait_for_empty_spool();
    pipeline.wait_for_more_rows(300);
    pipeline.prove(producer);
    pipeline.assert_schedule_undisturbed(0);
}
