//! What Kafka refuses for good, and what a client cannot read: it is said, it is declared, and it delays nothing else.

use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;
use uuid::Uuid;

use crate::harness::{Cluster, Lane, Pipeline, eventually, shared_servers, site, within};
use crate::poison::check;

/// The declared gaps, as the producer counts them.
const DECLARED: &str = "isitup_gaps_declared_total{reason=\"record_refused\"}";

/// A site whose results are larger than those of others: it redirects to a long path.
fn large_site() -> site::Site {
    site::answering_by(|head| {
        if head.starts_with("GET / ") {
            let path = "x".repeat(1500);
            format!("HTTP/1.1 302 Found\r\nLocation: /{path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .into_bytes()
        } else {
            site::ok("", "hello")
        }
    })
}

#[test]
fn records_above_a_lowered_limit_are_declared_and_delay_no_other() {
    let (small, large) = (site::well("hello"), large_site());
    let pipeline = Pipeline::new("refused_size").every(Duration::from_secs(1)).site("large", large.url());
    let pipeline = (0..60).fold(pipeline, |pipeline, number| pipeline.site(&format!("small {number}"), small.url()));
    let cluster = Cluster::of(shared_servers());
    cluster.create_topic(pipeline.name(), 6, &[1], &[]);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_each_site();

    cluster.set_topic(pipeline.name(), "max.message.bytes", "1600");
    eventually("refused results are declared", || producer.metric(DECLARED) >= 3.0);
    producer.wait_for_log("declared as a gap (record_refused)");
    producer.wait_for_log("max.message.bytes");
    pipeline.wait_for_more_rows(300);
    assert_eq!(producer.get("/health/ready"), (200, "ok\n".to_owned()));
    assert_eq!(pipeline.count("gap WHERE reason <> 'record_refused' AND reason <> 'overrun'"), 0);

    cluster.set_topic(pipeline.name(), "max.message.bytes", "1048588");
    let stored = pipeline.count("check_result WHERE site = 'large'");
    eventually("large results are stored again", || pipeline.count("check_result WHERE site = 'large'") > stored + 2);
    producer.wait_for_empty_spool();
    pipeline.prove(producer);
    assert!(pipeline.count("gap WHERE reason = 'record_refused' AND first_seq = last_seq") >= 3);
}

#[test]
fn a_limit_below_every_event_declares_nothing_and_loses_nothing() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("refused_all").site("a", site.url()).site("b", site.url());
    let cluster = Cluster::of(shared_servers());
    cluster.create_topic(pipeline.name(), 6, &[1], &[]);
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_each_site();

    cluster.set_topic(pipeline.name(), "max.message.bytes", "50");
    // Each partition stops at so many refused records; the others wait behind them.
    eventually("events wait", || producer.metric("isitup_spool_events") > 120.0);
    within_minutes("it is no longer ready", || producer.get("/health/ready").0 == 503);
    let (_, why) = producer.get("/health/ready");
    assert!(why.contains("nothing was published for ") && why.contains("max.message.bytes"), "{why}");
    assert_eq!(producer.get("/health/live").0, 200, "no restart would help");
    assert!(producer.metric("isitup_publish_silence_seconds") >= 60.0);
    producer.wait_for_log("events still wait in the spool after ");
    assert_eq!(producer.metric(DECLARED), 0.0, "what befalls all events is no fault of a record");

    cluster.set_topic(pipeline.name(), "max.message.bytes", "1048588");
    within_minutes("all is published", || producer.metric("isitup_spool_events") < 20.0);
    eventually("it is ready again", || producer.get("/health/ready") == (200, "ok\n".to_owned()));
    producer.wait_for_empty_spool();
    pipeline.prove(producer);
    assert_eq!(pipeline.count("gap WHERE reason = 'record_refused'"), 0);
}

/// Refused records are tried again once a minute.
#[track_caller]
fn within_minutes(what: &str, is_so: impl FnMut() -> bool) {
    within(Duration::from_secs(150), what, is_so);
}

#[test]
fn a_compacted_topic_takes_our_events_and_check_config_refuses_it() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("refused_compact").busy_with(&site);
    Cluster::of(shared_servers()).create_topic(pipeline.name(), 6, &[1], &[("cleanup.policy", "compact")]);
    let refused = pipeline.topic().send_compressed("none", 2, None, &[b"without a key".to_vec()]);
    assert_eq!(refused, Some(RDKafkaErrorCode::InvalidRecord));
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_rows(600);
    for program in ["isitup-producer", "isitup-consumer"] {
        let checked = pipeline.check_config(program);
        assert_eq!(checked.code, Some(3), "{checked:?}");
        let told = checked.output + &checked.log;
        assert!(told.contains("cleanup.policy=compact") && told.contains("kafka-configs"), "{told}");
    }
    pipeline.prove(producer);
}

#[test]
fn a_partition_that_the_client_cannot_read_is_named_and_delays_no_other() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("unreadable").busy_with(&site);
    let (topic, stranger) = (pipeline.topic(), Uuid::new_v4());
    topic.create();
    let event = |seq| check(stranger, seq).to_string().into_bytes();
    for (compression, partition, seq) in [("zstd", 3, 1), ("lz4", 4, 2)] {
        assert_eq!(topic.send_compressed(compression, partition, Some(b"a"), &[event(seq)]), None);
    }
    let (producer, consumer) = (pipeline.producer(), pipeline.consumer());
    if Lane::current() != Lane::KafkaRust {
        eventually("both are read", || pipeline.count("check_result WHERE location = 'tests' AND site = 'a'") == 2);
        return;
    }
    pipeline.wait_for_rows(900);
    let (status, why) = consumer.get("/health/ready");
    assert_eq!(status, 503);
    for words in ["partition 3 is not read", "zstd", "partition 4 is not read", "lz4", "kafka.client: librdkafka"] {
        assert!(why.contains(words), "{words:?} is not in: {why}");
    }
    assert!(!why.contains("leader"), "{why}");
    assert_eq!(consumer.get("/health/live").0, 200);
    pipeline.wait_for_more_rows(900);
    let lines = consumer.times_logged("zstd");
    assert!((1..=5).contains(&lines), "{lines} lines");
    assert_eq!(pipeline.count("partition_offset WHERE partition IN (3, 4) AND next_offset > 0"), 0);
    assert_eq!(producer.sigterm().code, Some(0));

    // The other client goes on where this one stood.
    drop(consumer);
    let servers = shared_servers();
    let by_other = format!("client: librdkafka, brokers: [{}]", servers.kafka());
    let pipeline = pipeline.kafka(by_other);
    let _consumer = pipeline.consumer();
    eventually("both are stored", || pipeline.count("check_result WHERE site = 'a' AND location = 'tests'") == 2);
}
