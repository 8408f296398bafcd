//! The seam to Kafka. What the services need of it is small: send records to chosen partitions and know which were
//! acknowledged; read from chosen offsets; learn which offsets exist. Both sides drop their connection after any
//! error that leaves its state in doubt, and connect anew on the next call; pauses between tries are the caller's.

mod codes;
mod kafka_rust;
#[cfg(feature = "librdkafka")]
mod librdkafka;
mod partitioner;
mod set_size;
mod trial;

pub use partitioner::partition_for;
pub use trial::{try_receiving, try_sending};

use std::collections::BTreeMap;

use crate::config::{KafkaClient, KafkaConfig};

/// A record to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The partition it goes to, as [`partition_for`] chose it.
    pub partition: i32,
    /// The message key.
    pub key: &'a [u8],
    /// The message.
    pub value: &'a [u8],
}

/// What became of the records of one call, by partition. After an error none of the partition's records count as acknowledged,
/// but for those before a [`KafkaError::RecordRefused`].
pub type Delivery = BTreeMap<i32, Result<(), KafkaError>>;

/// The sending side.
pub trait Sender: Send {
    /// How many partitions `topic` has. Makes the topic where it is missing and the broker allows that.
    ///
    /// # Errors
    /// [`KafkaError::NoTopic`] while there is none, else what kept the broker from answering.
    fn partition_count(&mut self, topic: &str) -> Result<u32, KafkaError>;

    /// Sends `records` and waits until all in-sync replicas have them (acks = all). Only partitions that the answer
    /// names as acknowledged are `Ok`; an `Err` record may still have been written.
    fn send(&mut self, topic: &str, records: &[Record<'_>]) -> Delivery;

    /// How often it has connected so far.
    fn connects(&self) -> u64;
}

/// The reading side.
pub trait Receiver: Send {
    /// The offsets each partition of `topic` has now. A partition without a leader is left out until it has one.
    ///
    /// # Errors
    /// [`KafkaError::NoTopic`] while there is no such topic, else what kept the broker from answering.
    fn offsets(&mut self, topic: &str) -> Result<BTreeMap<i32, OffsetRange>, KafkaError>;

    /// Messages from each `(partition, offset)` of `positions` on, in order; waits a moment at the broker when there are none.
    /// Without positions nothing is read any more, not ahead either.
    ///
    /// # Errors
    /// When no partition could be asked. What befell single partitions stands in their [`Fetched::messages`].
    fn fetch(&mut self, topic: &str, positions: &[(i32, i64)]) -> Result<Vec<Fetched>, KafkaError>;

    /// Whether [`Self::fetch`] says [`KafkaError::PerhapsAnotherTopic`] where another topic took the place of the one that was
    /// read, before it gives messages of it. Else a topic that was made anew between two calls is not told from the old one.
    fn notices_another_topic(&self) -> bool;

    /// Shows `positions` (next offsets to read) as those of consumer group `group`, for lag tools only.
    ///
    /// # Errors
    /// When the broker did not take them; nothing depends on it.
    fn mirror_offsets(&mut self, group: &str, topic: &str, positions: &[(i32, i64)]) -> Result<(), KafkaError>;

    /// How often it has connected so far.
    fn connects(&self) -> u64;
}

/// The offsets that a partition has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetRange {
    /// The oldest message still kept.
    pub earliest: i64,
    /// One past the newest message.
    pub latest: i64,
}

/// What one partition gave.
#[derive(Debug)]
pub struct Fetched {
    /// Which partition.
    pub partition: i32,
    /// One past the newest message there, for lag; `None` where the partition gave an error.
    pub latest: Option<i64>,
    /// The messages, offsets ascending and none below the one asked for; or why there are none.
    pub messages: Result<Vec<Message>, KafkaError>,
}

/// A message as it lies on the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its offset.
    pub offset: i64,
    /// Its value; empty for a tombstone.
    pub value: Vec<u8>,
}

/// What can go wrong. All of it may pass: callers retry after a pause, and say what is the matter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KafkaError {
    /// No broker took a TCP connection.
    #[error("no Kafka broker answers at {brokers}: {reason}")]
    Unreachable {
        /// Those tried, comma-separated.
        brokers: String,
        /// The last one's error.
        reason: String,
    },
    /// The broker knows no such topic, and did not make it.
    #[error(
        "Kafka has no topic {topic:?} yet; where the broker does not make topics by itself, run: \
         kafka-topics --bootstrap-server {brokers}{} --create --topic {topic} --partitions {partitions} \
         --replication-factor {replication_factor} --config message.timestamp.type=LogAppendTime",
        if *.is_secured { " --command-config client.properties" } else { "" }
    )]
    NoTopic {
        /// The topic.
        topic: String,
        /// Where to make it.
        brokers: String,
        /// With how many partitions.
        partitions: u32,
        /// With how many replicas.
        replication_factor: u16,
        /// Whether whoever does so needs TLS or a password, too.
        is_secured: bool,
    },
    /// A setting, a certificate or a right must be mended; until then it fails again and again.
    #[error("{0}")]
    Setup(String),
    /// The broker says it takes only newer versions of the requests: Kafka 4 dropped the old protocol.
    #[error(
        "the broker no longer takes this client's {request} requests, it is Kafka 4 or newer: \
         set kafka.client: librdkafka, or use a broker up to 3.9"
    )]
    TooNew {
        /// Which request.
        request: &'static str,
    },
    /// The offset asked for is not, or no longer, in the partition.
    #[error("the offset asked for is not in the partition")]
    OffsetOutOfRange,
    /// The topic may have been made anew: look at what was read last before reading on.
    #[error("the topic may have been made anew")]
    PerhapsAnotherTopic,
    /// The partition has no leader for now, or another one; metadata is read anew before the next call.
    #[error("the partition's leader is moving: {0}")]
    LeaderMoving(String),
    /// The broker refused the records or the request.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// The broker definitely refused one record, which was sent alone. The partition's records before it were acknowledged, those
    /// after it were not sent, or count as not sent.
    #[error("{}", .0.reason)]
    RecordRefused(RefusedRecord),
    /// The partition holds what this client cannot read; the others are not touched by that.
    #[error("the partition holds what this client cannot read: {0}")]
    Unreadable(String),
    /// The broker did not answer in time; the connection was dropped.
    #[error("connection to Kafka lost: no answer within {seconds} s")]
    NoAnswer {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The connection failed, or what came over it was no sense; it was dropped.
    #[error("connection to Kafka lost: {0}")]
    Connection(String),
}

/// A record that the broker refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Its place among the records of its partition in the call, from 0 on.
    pub index: usize,
    /// Whether the code speaks of the record itself. Else it may also stand for a fault that passes.
    pub is_final: bool,
    /// The code and its remedy, in words.
    pub reason: String,
}

impl KafkaError {
    /// Whether Kafka as a whole is away, so that nobody's records are taken.
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NoAnswer { .. } | Self::Connection(_))
    }

    /// Whether it may well be over in a second, without anybody's doing.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::LeaderMoving(_) | Self::Refused(_) | Self::RecordRefused(_) | Self::Connection(_))
    }
}

/// The sending side as configured. Connects on first use.
pub fn sender(config: &KafkaConfig) -> Box<dyn Sender> {
    match &config.client {
        KafkaClient::KafkaRust => Box::new(kafka_rust::KafkaRust::new(config)),
        #[cfg(feature = "librdkafka")]
        KafkaClient::Librdkafka(security) => Box::new(librdkafka::LibrdkafkaSender::new(config, security)),
    }
}

/// The reading side as configured. Connects on first use.
pub fn receiver(config: &KafkaConfig) -> Box<dyn Receiver> {
    match &config.client {
        KafkaClient::KafkaRust => Box::new(kafka_rust::KafkaRust::new(config)),
        #[cfg(feature = "librdkafka")]
        KafkaClient::Librdkafka(security) => Box::new(librdkafka::LibrdkafkaReceiver::new(config, security)),
    }
}
