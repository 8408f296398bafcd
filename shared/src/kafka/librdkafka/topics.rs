//! What the cluster says of a topic, and making it where it is missing.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::Client;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};

use super::super::KafkaError;
use super::context::Context;
use super::settings::Settings;
use super::{diagnosis, trouble};
use crate::config::{KafkaConfig, Security};

/// How long a broker may take to make a topic.
const CREATION_LIMIT: Duration = Duration::from_secs(7);

/// How long brokers may take to learn of a topic that another one of them made.
const SPREAD_LIMIT: Duration = Duration::from_secs(3);

/// A partition, and whether some broker leads it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) number: i32,
    pub(super) has_leader: bool,
}

/// The partitions of `topic`. Gives up as soon as the library has named a trouble that only a setting can mend; `hear`
/// lets it tell.
pub(super) fn ask(
    client: &Client<Context>,
    topic: &str,
    settings: &Settings,
    limit: Duration,
    hear: impl Fn(),
) -> Result<Vec<Partition>, KafkaError> {
    let until = Instant::now() + limit;
    let mut slice = Duration::from_millis(500);
    let mut has_looked = false;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let error = match client.fetch_metadata(Some(topic), slice.min(left)) {
            Ok(metadata) => match judge(&metadata, topic, settings) {
                Err(KafkaError::LeaderMoving(_)) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                }
                answer => return answer,
            },
            Err(error) => error,
        };
        hear();
        let (trouble, is_over) = (client.context().trouble(), Instant::now() >= until);
        // The library knows little of why, so we look for ourselves; but what only takes its time is no trouble.
        if (trouble.is_some() || is_over)
            && !std::mem::replace(&mut has_looked, true)
            && let Some(found) = diagnosis::look(settings)
        {
            return Err(KafkaError::Setup(found));
        }
        if let Some(setup @ KafkaError::Setup(_)) = trouble {
            return Err(setup);
        }
        if is_over {
            return Err(trouble.unwrap_or_else(|| trouble::of_metadata(&error, settings)));
        }
        // A far broker needs more than the first slice; a refused connection ends it at once.
        std::thread::sleep(Duration::from_millis(20));
        slice *= 2;
    }
}

/// What `ask` finds of a topic that was made just now, once the broker that is asked knows of it.
pub(super) fn once_known<T>(ask: impl Fn() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let until = Instant::now() + SPREAD_LIMIT;
    loop {
        match ask() {
            Err(KafkaError::NoTopic { .. }) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(50));
            }
            found => return found,
        }
    }
}

/// One of the topic's settings, where the cluster tells it.
pub(in super::super) fn topic_setting(config: &KafkaConfig, security: &Security, setting: &str) -> Option<String> {
    let settings = Settings::new(config, security);
    let admin: AdminClient<Context> = settings.admin().ok()?.create_with_context(Context::new(&settings)).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
    let options = AdminOptions::new().request_timeout(Some(CREATION_LIMIT));
    let topic = ResourceSpecifier::Topic(&config.topic);
    let described = admin.describe_configs([&topic], &options);
    let described = runtime.block_on(described).ok()?.into_iter().next()?.ok()?;
    described.get(setting)?.value.clone()
}

fn judge(metadata: &Metadata, topic: &str, settings: &Settings) -> Result<Vec<Partition>, KafkaError> {
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Err(no_topic(topic, settings));
    };
    match found.error().map(RDKafkaErrorCode::from) {
        None => {}
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            return Err(no_topic(topic, settings));
        }
        Some(code) => return Err(trouble::of_topic(code, topic, settings)),
    }
    if found.partitions().is_empty() {
        return Err(KafkaError::LeaderMoving("the topic has no partitions yet".to_owned()));
    }
    Ok(partitions(found))
}

fn partitions(topic: &MetadataTopic) -> Vec<Partition> {
    let partition =
        |it: &rdkafka::metadata::MetadataPartition| Partition { number: it.id(), has_leader: it.leader() >= 0 };
    topic.partitions().iter().map(partition).collect()
}

fn no_topic(topic: &str, settings: &Settings) -> KafkaError {
    KafkaError::NoTopic {
        topic: topic.to_owned(),
        brokers: settings.brokers.clone(),
        partitions: settings.shape.partitions,
        replication_factor: settings.shape.replication_factor,
        is_secured: settings.security != Security::Plaintext,
    }
}

/// Makes `topic` with the configured shape. Well, too, when somebody else was faster.
pub(super) fn create(topic: &str, settings: &Settings) -> Result<(), KafkaError> {
    let (partitions, replicas) = (settings.shape.partitions, settings.shape.replication_factor);
    let wanted = NewTopic::new(
        topic,
        i32::try_from(partitions).unwrap_or(i32::MAX),
        TopicReplication::Fixed(i32::from(replicas)),
    )
    .set("message.timestamp.type", "LogAppendTime");
    let failed = |error: &ClientError| trouble::of_metadata(error, settings);
    let config: ClientConfig = settings.admin()?;
    let admin: AdminClient<Context> =
        config.create_with_context(Context::new(settings)).map_err(|error| trouble::of_creation(&error, settings))?;
    let options = AdminOptions::new().request_timeout(Some(CREATION_LIMIT)).operation_timeout(Some(CREATION_LIMIT));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| KafkaError::Connection(format!("no runtime to make the topic with: {error}")))?;
    let results = runtime.block_on(admin.create_topics([&wanted], &options)).map_err(|error| failed(&error))?;
    match results.into_iter().next() {
        None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
            log::info!("made topic {topic} with {partitions} partitions and {replicas} replicas of each");
            Ok(())
        }
        Some(Err((_, code))) => Err(trouble::of_creating(code, &no_topic(topic, settings), settings)),
    }
}
