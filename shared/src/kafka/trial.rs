//! Trying the way to Kafka once, for people who want to know before they start a service.

use crate::config::{KafkaClient, KafkaConfig};

#[cfg(feature = "librdkafka")]
use super::librdkafka;
use super::{KafkaError, kafka_rust, receiver, sender};

/// What a producer needs of Kafka: brokers that answer, a topic, which is made where it is missing, and the right to write to
/// it. Gives what was found, in words.
///
/// # Errors
/// What a producer would meet.
pub fn try_sending(config: &KafkaConfig) -> Result<String, KafkaError> {
    let partitions = sender(config).partition_count(&config.topic)?;
    match &config.client {
        // It has no user whom a right could be lacking.
        KafkaClient::KafkaRust => {}
        #[cfg(feature = "librdkafka")]
        KafkaClient::Librdkafka(security) => librdkafka::may_write(config, security)?,
    }
    refuse_compaction(config)?;
    Ok(format!(
        "topic {} at {} has {partitions} partitions ({})",
        config.topic,
        config.brokers.join(","),
        config.client
    ))
}

/// What a consumer needs of Kafka: brokers that answer, a topic, and the right to read it. Gives what was found, in words.
///
/// # Errors
/// What a consumer would meet.
pub fn try_receiving(config: &KafkaConfig) -> Result<String, KafkaError> {
    let mut receiver = receiver(config);
    let ranges = receiver.offsets(&config.topic)?;
    let messages: i64 = ranges.values().map(|range| range.latest - range.earliest).sum();
    let positions: Vec<(i32, i64)> = ranges.iter().map(|(partition, range)| (*partition, range.earliest)).collect();
    for fetched in receiver.fetch(&config.topic, &positions)? {
        fetched.messages?;
    }
    refuse_compaction(config)?;
    let (topic, brokers, client) = (&config.topic, config.brokers.join(","), &config.client);
    Ok(format!("topic {topic} at {brokers} has {} partitions with {messages} messages ({client})", ranges.len()))
}

/// Where a topic is compacted, Kafka removes all but the newest event of each key: results are lost, which `audit` names as missing.
/// Nothing is said where the broker does not tell.
fn refuse_compaction(config: &KafkaConfig) -> Result<(), KafkaError> {
    let policy = match &config.client {
        KafkaClient::KafkaRust => kafka_rust::topic_setting(config, "cleanup.policy"),
        #[cfg(feature = "librdkafka")]
        KafkaClient::Librdkafka(security) => librdkafka::topic_setting(config, security, "cleanup.policy"),
    };
    match policy {
        Some(policy) if policy.contains("compact") => Err(KafkaError::Setup(format!(
            "topic {topic} has cleanup.policy={policy}: Kafka removes all but the newest event of each site, and so loses results; \
             run: kafka-configs --bootstrap-server {} --alter --entity-type topics --entity-name {topic} \
             --add-config cleanup.policy=delete",
            config.brokers.join(","),
            topic = config.topic
        ))),
        _ => Ok(()),
    }
}
