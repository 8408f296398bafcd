//! A pipeline's topic, read and written past the services.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use isitup_shared::config::{Format, KafkaClient, KafkaConfig, TopicShape};
use isitup_shared::kafka::{Delivery, OffsetRange, Record, Sender, receiver, sender};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext};
use serde_json::Value;

use super::lane::Lane;
use super::message::as_json;
use super::waiting::eventually;

/// A message as it lies on the topic.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) value: Vec<u8>,
}

/// A topic.
pub(crate) struct Topic {
    config: KafkaConfig,
}

impl Topic {
    /// The topic `name` on a cluster of these brokers.
    pub(crate) fn at(brokers: &[String], name: &str) -> Self {
        Self::by(Lane::current().client(), brokers, name)
    }

    /// The same, looked at by this client.
    pub(crate) fn by(client: KafkaClient, brokers: &[String], name: &str) -> Self {
        let (brokers, topic) = (brokers.to_vec(), name.to_owned());
        let replication_factor = u16::try_from(brokers.len()).unwrap();
        Self {
            config: KafkaConfig {
                client,
                brokers,
                topic,
                format: Format::Json,
                create_topic: TopicShape { replication_factor, ..TopicShape::default() },
            },
        }
    }

    /// Makes sure that it is there, with all its partitions.
    pub(crate) fn create(&self) {
        let mut sender = sender(&self.config);
        eventually("the topic is made", || sender.partition_count(&self.config.topic).is_ok_and(|count| count == 6));
    }

    /// Appends messages to one partition, as some other program would.
    pub(crate) fn send(&self, partition: i32, messages: &[Vec<u8>]) {
        let delivery = self.try_send(partition, messages);
        assert!(delivery.values().all(Result::is_ok), "{delivery:?}");
    }

    /// Appends messages as a program with another compression would, and without a key where there is none. Returns the code of the
    /// first that was refused.
    pub(crate) fn send_compressed(
        &self,
        compression: &str,
        partition: i32,
        key: Option<&[u8]>,
        messages: &[Vec<u8>],
    ) -> Option<RDKafkaErrorCode> {
        #[derive(Clone, Default)]
        struct Reports(Arc<Mutex<Option<RDKafkaErrorCode>>>);
        impl ClientContext for Reports {}
        impl ProducerContext for Reports {
            type DeliveryOpaque = ();
            fn delivery(&self, report: &DeliveryResult<'_>, (): ()) {
                if let Err((error, _)) = report {
                    self.0.lock().unwrap().get_or_insert(error.rdkafka_error_code().unwrap());
                }
            }
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.config.brokers.join(",")).set("compression.type", compression);
        let reports = Reports::default();
        let producer: ThreadedProducer<Reports> = config.create_with_context(reports.clone()).unwrap();
        for message in messages {
            let record = BaseRecord::<[u8], [u8]>::to(&self.config.topic).partition(partition).payload(message);
            let record = if let Some(key) = key { record.key(key) } else { record };
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
        *reports.0.lock().unwrap()
    }

    /// As [`Topic::send`]; what is not delivered may be there all the same.
    pub(crate) fn try_send(&self, partition: i32, messages: &[Vec<u8>]) -> Delivery {
        let record = |value| Record { partition, key: b"anything", value };
        let records: Vec<Record<'_>> = messages.iter().map(|message| record(message.as_slice())).collect();
        sender(&self.config).send(&self.config.topic, &records)
    }

    /// What the producer sends by.
    pub(crate) fn sender(&self) -> Box<dyn Sender> {
        sender(&self.config)
    }

    /// One past the last offset of each partition.
    pub(crate) fn ends(&self) -> BTreeMap<i32, i64> {
        self.ranges().into_iter().map(|(partition, range)| (partition, range.latest)).collect()
    }

    /// The offsets of each partition, once all have a leader.
    fn ranges(&self) -> BTreeMap<i32, OffsetRange> {
        let (mut receiver, mut ranges) = (receiver(&self.config), None);
        eventually("the topic tells its offsets", || {
            ranges = receiver.offsets(&self.config.topic).ok();
            ranges.is_some()
        });
        ranges.unwrap()
    }

    /// All messages' values.
    pub(crate) fn messages(&self) -> Vec<Vec<u8>> {
        self.read().into_iter().map(|message| message.value).collect()
    }

    /// All messages that there are, partition by partition.
    pub(crate) fn read(&self) -> Vec<Message> {
        let ranges = self.ranges();
        let ends: BTreeMap<i32, i64> = ranges.iter().map(|(partition, range)| (*partition, range.latest)).collect();
        let mut receiver = receiver(&self.config);
        let mut next: BTreeMap<i32, i64> =
            ranges.into_iter().map(|(partition, range)| (partition, range.earliest)).collect();
        let mut read: BTreeMap<i32, Vec<Message>> = BTreeMap::new();
        loop {
            // Somebody may be writing on, so more may come than what was there when the ends were asked for.
            let is_left = |(partition, next): &(&i32, &i64)| ends.get(partition).is_some_and(|end| *next < end);
            let positions: Vec<(i32, i64)> = next.iter().filter(is_left).map(|(p, n)| (*p, *n)).collect();
            if positions.is_empty() {
                break;
            }
            for fetched in receiver.fetch(&self.config.topic, &positions).unwrap() {
                let partition = fetched.partition;
                for isitup_shared::kafka::Message { offset, value } in fetched.messages.unwrap() {
                    let expected = next.insert(partition, offset + 1);
                    assert_eq!(Some(offset), expected, "offsets of partition {partition} were passed over");
                    read.entry(partition).or_default().push(Message { partition, offset, value });
                }
            }
        }
        read.into_values().flatten().collect()
    }

    /// All messages as JSON; all of them must be events, in either format.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.messages().iter().map(|message| as_json(message).unwrap()).collect()
    }
}
