//! A pipeline's topic, read and written past the services.

use std::collections::BTreeMap;

use isitup_shared::config::{Format, KafkaConfig, TopicShape};
use isitup_shared::kafka::{Record, Sender, receiver, sender};
use serde_json::Value;

use super::waiting::eventually;

/// A topic.
pub(crate) struct Topic {
    config: KafkaConfig,
}

impl Topic {
    /// The topic `name` on the broker at `address`.
    pub(crate) fn at(address: &str, name: &str) -> Self {
        let (brokers, topic) = (vec![address.to_owned()], name.to_owned());
        Self { config: KafkaConfig { brokers, topic, format: Format::Json, create_topic: TopicShape::default() } }
    }

    /// Makes sure that it is there, with all its partitions.
    pub(crate) fn create(&self) {
        let mut sender = sender(&self.config);
        eventually("the topic is made", || sender.partition_count(&self.config.topic).is_ok_and(|count| count == 6));
    }

    /// Appends messages to one partition, as some other program would.
    pub(crate) fn send(&self, partition: i32, messages: &[Vec<u8>]) {
        let record = |value| Record { partition, key: b"anything", value };
        let records: Vec<Record<'_>> = messages.iter().map(|message| record(message.as_slice())).collect();
        let delivery = sender(&self.config).send(&self.config.topic, &records);
        assert!(delivery.values().all(Result::is_ok), "{delivery:?}");
    }

    /// What the producer sends by.
    pub(crate) fn sender(&self) -> Box<dyn Sender> {
        sender(&self.config)
    }

    /// One past the last offset of each partition.
    pub(crate) fn ends(&self) -> BTreeMap<i32, i64> {
        let ranges = receiver(&self.config).offsets(&self.config.topic).unwrap();
        ranges.into_iter().map(|(partition, range)| (partition, range.latest)).collect()
    }

    /// All messages from the first on, partition by partition.
    pub(crate) fn messages(&self) -> Vec<Vec<u8>> {
        let ends = self.ends();
        let mut receiver = receiver(&self.config);
        let mut next: BTreeMap<i32, i64> = ends.keys().map(|partition| (*partition, 0)).collect();
        let mut read: BTreeMap<i32, Vec<Vec<u8>>> = BTreeMap::new();
        while next != ends {
            let positions: Vec<(i32, i64)> = next
                .iter()
                .filter(|(partition, next)| ends.get(partition) != Some(next))
                .map(|(p, n)| (*p, *n))
                .collect();
            for fetched in receiver.fetch(&self.config.topic, &positions).unwrap() {
                for message in fetched.messages.unwrap() {
                    next.insert(fetched.partition, message.offset + 1);
                    read.entry(fetched.partition).or_default().push(message.value);
                }
            }
        }
        read.into_values().flatten().collect()
    }

    /// All messages as JSON; none of them may be anything else.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.messages().iter().map(|message| serde_json::from_slice(message).unwrap()).collect()
    }
}
