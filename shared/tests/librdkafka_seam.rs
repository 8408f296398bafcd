//! librdkafka against the cluster that comes with it for tests, which gives at will the answers that a real one gives seldom.

#![cfg(feature = "librdkafka")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a failed step may well end it, in its helpers too")]

use std::time::{Duration, Instant};

use isitup_shared::config::{Format, KafkaClient, KafkaConfig, Security, TopicShape};
use isitup_shared::kafka::{KafkaError, Record, Sender, receiver, sender};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const DEADLINE: Duration = Duration::from_secs(60);

fn config(brokers: String) -> KafkaConfig {
    KafkaConfig {
        brokers: vec![brokers],
        topic: "checks".into(),
        client: KafkaClient::Librdkafka(Security::Plaintext),
        format: Format::Json,
        create_topic: TopicShape { partitions: 1, replication_factor: 1 },
    }
}

/// Sends until all is acknowledged, as the publisher does.
fn deliver(sender: &mut dyn Sender, (topic, partition): (&str, i32), values: &[String]) {
    let records: Vec<Record<'_>> =
        values.iter().map(|value| Record { partition, key: b"site", value: value.as_bytes() }).collect();
    let began = Instant::now();
    while !matches!(sender.send(topic, &records).get(&partition), Some(Ok(()))) {
        assert!(began.elapsed() < DEADLINE, "not delivered");
    }
}

fn values_of(config: &KafkaConfig, topic: &str) -> Vec<String> {
    let mut receiver = receiver(config);
    let end = receiver.offsets(topic).unwrap()[&0].latest;
    let (mut next, mut read, began) = (0, Vec::new(), Instant::now());
    while next < end {
        assert!(began.elapsed() < DEADLINE, "only {next} of {end} were read");
        for fetched in receiver.fetch(topic, &[(0, next)]).unwrap() {
            for message in fetched.messages.unwrap() {
                next = message.offset + 1;
                read.push(String::from_utf8(message.value).unwrap());
            }
        }
    }
    read
}

/// Of a producer that it has not met in a partition yet, a broker takes records from any number on. So one that refuses the first
/// batch, as it has not heard yet that it leads, stores the second; and librdkafka would take the first for stored, too.
#[test]
fn a_batch_that_is_refused_is_sent_again_before_any_other() {
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["other", "checks"] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    let config = config(cluster.bootstrap_servers());
    let mut sender = sender(&config);
    assert_eq!(sender.partition_count("checks").unwrap(), 1);
    // So that it is connected, with a number of its own.
    deliver(&mut *sender, ("other", 0), &["first".to_owned()]);

    // Long enough for a second batch to be under way, were that allowed; and so large are the records that the library has sent
    // the first before it is given the next.
    cluster.broker_round_trip_time(1, Duration::from_millis(300)).unwrap();
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION]);
    let sent: Vec<String> = (0..10).map(|number| format!("{number:>60000}")).collect();
    deliver(&mut *sender, ("checks", 0), &sent);
    cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
    let stored: Vec<String> = values_of(&config, "checks").iter().map(|value| value.trim().to_owned()).collect();
    assert_eq!(stored, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
}

/// One broker may refuse what the others take, such as an old password; a new client is what takes up the new one.
#[test]
fn a_client_whose_records_are_refused_is_given_up_although_the_cluster_answers_it() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("checks", 1, 1).unwrap();
    let config = config(cluster.bootstrap_servers());
    let mut sender = sender(&config);
    assert_eq!(sender.partition_count("checks").unwrap(), 1);
    deliver(&mut *sender, ("checks", 0), &["first".to_owned()]);
    assert_eq!(sender.connects(), 1);

    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    let refused = sender.send("checks", &[Record { partition: 0, key: b"site", value: b"second" }]);
    assert!(matches!(refused[&0], Err(KafkaError::Setup(_))), "{refused:?}");
    let began = Instant::now();
    while sender.connects() == 1 {
        assert!(began.elapsed() < DEADLINE, "still the same client");
        assert_eq!(sender.partition_count("checks").unwrap(), 1);
    }
    deliver(&mut *sender, ("checks", 0), &["second".to_owned()]);
    assert_eq!(values_of(&config, "checks"), ["first", "second"]);
}

/// A broker is asked by one request at a time, and keeps one that asks for what is not there yet.
#[test]
fn while_nothing_new_comes_a_partition_is_read_at_the_first_call_that_asks_for_it() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("checks", 2, 1).unwrap();
    let config = config(cluster.bootstrap_servers());
    let mut sender = sender(&config);
    assert_eq!(sender.partition_count("checks").unwrap(), 2);
    for partition in [0, 1] {
        deliver(&mut *sender, ("checks", partition), &["first".to_owned(), "second".to_owned()]);
    }
    let mut receiver = receiver(&config);
    receiver.fetch("checks", &[(0, 2)]).unwrap();
    // As to a broker that is some way off.
    cluster.broker_round_trip_time(1, Duration::from_millis(400)).unwrap();
    for round in 0..3 {
        assert!(receiver.fetch("checks", &[(0, 2)]).unwrap().iter().all(|fetched| fetched.partition == 0));
        let fetched = receiver.fetch("checks", &[(1, 1)]).unwrap();
        let offsets = fetched.iter().map(|fetched| fetched.messages.as_ref().unwrap().first().map(|it| it.offset));
        assert_eq!(offsets.collect::<Vec<_>>(), [Some(1)], "round {round}");
    }
}

/// One of several records is refused alone, the others around it are delivered: whatever batches the library makes of them.
#[test]
fn a_refused_batch_goes_again_in_halves_until_one_record_is_refused() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("checks", 1, 1).unwrap();
    let config = config(cluster.bootstrap_servers());
    let mut sender = sender(&config);
    deliver(&mut *sender, ("checks", 0), &["first".to_owned()]);
    let values: Vec<String> = (0..3).map(|number| format!("value {number}")).collect();
    let records: Vec<Record<'_>> =
        values.iter().map(|value| Record { partition: 0, key: b"site", value: value.as_bytes() }).collect();
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.request_errors(RDKafkaApiKey::Produce, &[too_large; 6]);
    let delivery = sender.send("checks", &records);
    let Some(Err(KafkaError::RecordRefused(refused))) = delivery.get(&0) else { panic!("{delivery:?}") };
    assert!(refused.is_final && refused.reason.contains("max.message.bytes"), "{refused:?}");
    // What the broker refuses no longer goes through with the same client.
    cluster.clear_request_errors(RDKafkaApiKey::Produce);
    deliver(&mut *sender, ("checks", 0), &values);
    assert_eq!(values_of(&config, "checks").len(), 4);
}
