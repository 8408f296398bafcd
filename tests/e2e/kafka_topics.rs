//! The topic is deleted, made anew, truncated or widened under load. What Kafka itself loses is named, the rest arrives.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Cluster, Pipeline, Service, eventually, shared_servers, site};

/// Waits until the consumer says that it will not read on, and of this topic why.
#[track_caller]
pub(crate) fn wait_until_halted(consumer: &mut Service, topic: &str) {
    eventually("the topic is halted", || consumer.metric("isitup_topic_halted") > 0.0);
    let (status, why) = consumer.get("/health/ready");
    assert_eq!(status, 503);
    for words in
        [&format!("topic {topic} is halted: partition "), "made anew", "unclean leader election", "--accept-new-topic"]
    {
        assert!(why.contains(words), "{words:?} is not in: {why}");
    }
    assert_eq!(consumer.get("/health/live").0, 200, "a halted consumer lives, to tell why");
    assert!(!consumer.has_ended());
}

/// A person looks at what is missing and declares it lost; then the audit is content.
#[track_caller]
pub(crate) fn accept_what_is_lost(pipeline: &Pipeline<'_>, lost: usize) {
    let (code, audit) = pipeline.audit();
    assert_eq!((code, &audit["ok"]), (Some(1), &Value::Bool(false)), "{audit}");
    assert_eq!(audit["producers"][0]["missing"], lost, "{audit}");
    assert!(audit["truncations"].as_array().is_some_and(|all| !all.is_empty()), "what explains it is shown: {audit}");
    let accepted = pipeline.ask(&["audit", "--accept-truncation", "--yes", "--json"]);
    let audit: Value = serde_json::from_str(&accepted.output).unwrap();
    let producer = &audit["producers"][0];
    assert_eq!((accepted.code, &audit["ok"]), (Some(0), &Value::Bool(true)), "{audit}");
    assert_eq!((&producer["missing"], producer["declared"].as_u64()), (&Value::from(0), Some(lost as u64)), "{audit}");
    assert_eq!(audit.get("truncations"), None, "{audit}");
    let undeclared = |fault: &&String| fault.starts_with("neither checked nor declared");
    let slots: Vec<String> = pipeline.verdict().faults.iter().filter(undeclared).cloned().collect();
    assert_eq!(slots, [""; 0], "the slots of what is lost are declared with it");
}

/// Waits until the producer's start is stored: were that what is lost, nobody could say from when on slots are due.
#[track_caller]
fn wait_for_start(pipeline: &Pipeline<'_>) {
    eventually("the start is stored", || pipeline.count("producer_event WHERE seq = 1") == 1);
}

#[test]
fn a_topic_deleted_under_load_halts_the_consumer_until_a_person_accepts_the_new_one() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("topic_deleted").busy_with(&site);
    let cluster = Cluster::of(shared_servers());
    // The one that the broker will make in its place has six.
    cluster.create_topic(pipeline.name(), 9, &[1], &[]);
    let (producer, mut consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(900);
    wait_for_start(&pipeline);

    cluster.delete_topic(pipeline.name());
    wait_until_halted(&mut consumer, pipeline.name());
    let stored = pipeline.stored_numbers();
    site.wait_for_checks(300);
    producer.wait_for_empty_spool();
    assert_eq!(pipeline.stored_numbers(), stored, "a halted topic is not read");
    assert_eq!(consumer.sigterm().code, Some(0));

    let consumer = pipeline.consumer_with(&["run", "--accept-new-topic"]);
    pipeline.wait_for_more_rows(600);
    consumer.wait_for_readiness(200);
    assert_eq!(producer.sigterm().code, Some(0));
    let lost = pipeline.prove_but_for_lost(&stored, None);
    pipeline.assert_schedule_undisturbed(lost.len());
    if !lost.is_empty() {
        accept_what_is_lost(&pipeline, lost.len());
    }
}

#[test]
fn a_topic_made_anew_unseen_halts_the_consumer_though_it_holds_more_than_was_read_of_the_old_one() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("topic_unseen").busy_with(&site);
    let cluster = Cluster::of(shared_servers());
    let (producer, mut consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(60);
    wait_for_start(&pipeline);
    assert_eq!(producer.sigterm().code, Some(0));
    pipeline.wait_until_read();
    let (old, read, stored) = (pipeline.topic().messages(), pipeline.topic().ends(), pipeline.stored_numbers());

    // Nothing tells it that the topic was gone for a while: the answer to what it asked for last has come by then.
    consumer.signal(Signal::STOP);
    thread::sleep(Duration::from_secs(2));
    cluster.delete_topic(pipeline.name());
    cluster.create_topic(pipeline.name(), 6, &[1], &[]);
    let producer = pipeline.producer();
    eventually("the new topic holds more than was read of the old one", || {
        let ends = pipeline.topic().ends();
        read.iter().all(|(partition, end)| ends.get(partition) > Some(end))
    });
    consumer.signal(Signal::CONT);
    wait_until_halted(&mut consumer, pipeline.name());
    assert_eq!(pipeline.stored_numbers(), stored, "nothing of the new topic is stored unasked");
    assert_eq!(consumer.sigterm().code, Some(0));

    let _consumer = pipeline.consumer_with(&["run", "--accept-new-topic"]);
    pipeline.wait_for_more_rows(300);
    assert_eq!(producer.sigterm().code, Some(0));
    let lost = pipeline.prove_but_for_lost(&stored, Some(old));
    assert!(lost.is_empty(), "all of the old topic had been stored, and all of the new one is: {lost:?}");
}

#[test]
fn what_a_topic_held_unread_when_it_was_made_anew_is_named_missing_to_the_number() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("topic_made_anew").busy_with(&site);
    let cluster = Cluster::of(shared_servers());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);
    wait_for_start(&pipeline);
    assert_eq!(consumer.sigterm().code, Some(0));
    let stored = pipeline.stored_numbers();
    site.wait_for_checks(300);
    assert_eq!(producer.sigterm().code, Some(0));
    let old = pipeline.topic().messages();

    cluster.delete_topic(pipeline.name());
    cluster.create_topic(pipeline.name(), 6, &[1], &[]);
    let (producer, mut consumer) = (pipeline.producer(), pipeline.consumer());
    wait_until_halted(&mut consumer, pipeline.name());
    assert_eq!(pipeline.stored_numbers(), stored, "nothing of the new topic is stored unasked");
    assert_eq!(consumer.sigterm().code, Some(0));

    let unread = old.len() - stored.len();
    let _consumer = pipeline.consumer_with(&["run", "--accept-new-topic"]);
    pipeline.wait_for_more_rows(300);
    assert_eq!(producer.sigterm().code, Some(0));
    let lost = pipeline.prove_but_for_lost(&stored, Some(old));
    assert_eq!(lost.len(), unread, "what was on the old topic and not stored, and nothing else");
    accept_what_is_lost(&pipeline, unread);
}

#[test]
fn what_retention_removed_unread_is_named_with_the_truncation_beside_it() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("topic_truncated").busy_with(&site);
    let cluster = Cluster::of(shared_servers());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);
    assert_eq!(consumer.sigterm().code, Some(0));
    let stored = pipeline.stored_numbers();
    site.wait_for_checks(600);
    producer.wait_for_empty_spool();
    let (old, ends) = (pipeline.topic().messages(), pipeline.topic().ends());
    cluster.truncate_topic(pipeline.name(), &ends);

    let consumer = pipeline.consumer();
    pipeline.wait_for_more_rows(600);
    consumer.wait_for_readiness(200);
    assert_eq!(producer.sigterm().code, Some(0));
    let lost = pipeline.prove_but_for_lost(&stored, Some(old));
    pipeline.assert_schedule_undisturbed(lost.len());
    assert!(lost.len() >= 300, "{}", lost.len());
    assert_eq!(removed_offsets(&pipeline), (6, lost.len()), "a row for each partition; each offset is a number lost");
    let text = pipeline.ask(&["audit"]);
    for words in ["NOT CLEAN", "missing ", "Kafka had removed offsets", "audit --accept-truncation --yes"] {
        assert!(text.output.contains(words), "{words:?} is not in: {}", text.output);
    }
    accept_what_is_lost(&pipeline, lost.len());
}

#[test]
fn what_retention_removes_ahead_of_a_consumer_that_runs_is_named_too() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("topic_truncated_ahead").busy_with(&site);
    let cluster = Cluster::of(shared_servers());
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);
    consumer.signal(Signal::STOP);
    site.wait_for_checks(900);
    producer.wait_for_empty_spool();
    let (old, ends) = (pipeline.topic().messages(), pipeline.topic().ends());
    cluster.truncate_topic(pipeline.name(), &ends);
    consumer.signal(Signal::CONT);

    pipeline.wait_for_more_rows(600);
    consumer.wait_for_readiness(200);
    assert_eq!(producer.sigterm().code, Some(0));
    pipeline.wait_until_read();
    // What it had read ahead before it was stopped is stored, and not lost.
    let lost = pipeline.prove_but_for_lost(&pipeline.stored_numbers(), Some(old));
    pipeline.assert_schedule_undisturbed(lost.len());
    assert!(lost.len() >= 300, "{}", lost.len());
    let (_, offsets) = removed_offsets(&pipeline);
    assert_eq!(
        offsets,
        lost.len(),
        "each offset that is declared removed is a number lost, and each of those is declared"
    );
    accept_what_is_lost(&pipeline, lost.len());
}

/// How many gaps tell of offsets that Kafka removed, and of how many offsets.
fn removed_offsets(pipeline: &Pipeline<'_>) -> (i64, usize) {
    const REMOVED: &str = "gap WHERE reason = 'topic_truncated' AND producer_id IS NULL";
    let offsets: i64 =
        pipeline.database().value(&format!("SELECT sum(last_offset - first_offset + 1)::bigint FROM {REMOVED}"));
    (pipeline.count(REMOVED), usize::try_from(offsets).unwrap())
}

#[test]
fn partitions_added_under_load_are_used_by_the_producer_and_shared_by_the_consumers() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("topic_widened").busy_with(&site);
    let (producer, _consumers) = (pipeline.producer(), [pipeline.consumer(), pipeline.consumer()]);
    pipeline.wait_for_rows(600);

    Cluster::of(shared_servers()).widen_topic(pipeline.name(), 9);
    eventually("each partition has events", || {
        let ends = pipeline.topic().ends();
        ends.len() == 9 && ends.values().all(|end| *end > 0)
    });
    eventually("the consumers share nine partitions", || {
        pipeline.count("partition_offset WHERE owner IS NOT NULL") == 9
            && pipeline.count("(SELECT FROM partition_offset GROUP BY owner HAVING count(*) IN (4, 5)) o") == 2
    });
    pipeline.wait_for_more_rows(600);
    pipeline.prove(producer);
    pipeline.assert_schedule_undisturbed(0);
    let overwritten = "latest_status l WHERE seq < (SELECT max(seq) FROM check_result c WHERE c.site = l.site)";
    assert_eq!(
        pipeline.count(overwritten),
        0,
        "an older event never overwrites a newer one, in whatever order they come"
    );
}
