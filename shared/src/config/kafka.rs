//! The `kafka` section.

use super::{KafkaClient, Scalar, Section};

/// How to reach Kafka, and which topic to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Which client library speaks to them, and how.
    pub client: KafkaClient,
    /// `host:port` of the brokers to begin with.
    pub brokers: Vec<String>,
    /// The topic of all events.
    pub topic: String,
    /// How events are written.
    pub format: Format,
    /// How to make the topic where it is missing.
    pub create_topic: TopicShape,
}

/// How events are written on the topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Readable JSON.
    #[default]
    Json,
    /// Avro, which is smaller and faster: see `shared/schema/event.avsc`.
    Avro,
}

/// The shape of a topic that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicShape {
    /// How many partitions; as many consumers can share the work.
    pub partitions: u32,
    /// How many brokers keep each message.
    pub replication_factor: u16,
}

impl Default for TopicShape {
    fn default() -> Self {
        Self { partitions: 6, replication_factor: 1 }
    }
}

impl KafkaConfig {
    /// Reads the section `kafka` of `root`.
    pub fn read(root: &mut Section) -> Option<Self> {
        let mut section = root.section("kafka");
        let client = KafkaClient::read(&mut section);
        let brokers =
            section.require_list::<Broker>("brokers", "the Kafka brokers to begin with, such as [kafka:9092]");
        let topic = section.get::<TopicName>("topic").map_or_else(|| "isitup.checks".to_owned(), |name| name.0);
        let format = section.get("format").unwrap_or_default();
        let mut shape = section.section("create_topic");
        let default = TopicShape::default();
        let create_topic = TopicShape {
            partitions: shape.get_in("partitions", 1..=10_000).unwrap_or(default.partitions),
            replication_factor: shape.get_in("replication_factor", 1..=100).unwrap_or(default.replication_factor),
        };
        shape.finish();
        section.finish();
        Some(Self {
            client: client?,
            brokers: brokers?.into_iter().map(|broker| broker.0).collect(),
            topic,
            format,
            create_topic,
        })
    }
}

impl Scalar for Format {
    const WHAT: &'static str = "a format: json or avro";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        match text {
            "json" => Some(Self::Json),
            "avro" => Some(Self::Avro),
            _ => None,
        }
    }
}

struct Broker(String);

impl Scalar for Broker {
    const WHAT: &'static str = "a broker's address: write host:port, such as kafka:9092";

    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let is_odd = |c: char| matches!(c, '/' | '@') || c.is_whitespace() || c.is_control();
        let well = !host.is_empty() && !host.contains(is_odd) && port.parse::<u16>().is_ok_and(|port| port > 0);
        well.then(|| Self(text.to_owned()))
    }
}

struct TopicName(String);

impl Scalar for TopicName {
    const WHAT: &'static str = "a topic's name: 1 to 249 of a-z, A-Z, 0-9, dot, underscore and dash";

    fn parse(text: &str) -> Option<Self> {
        let well = (1..=249).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            && !matches!(text, "." | "..");
        well.then(|| Self(text.to_owned()))
    }
}
