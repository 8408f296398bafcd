//! The end of a publisher, on a real spool, with a Kafka that answers as it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use isitup_shared::config::{Format, KafkaClient, SpoolConfig, TopicShape};
use isitup_shared::event::{Body, Check, Draft};
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use super::*;
use crate::spool::{Ledger, Spool, SpoolHandle};

const SOON: Duration = Duration::from_secs(20);
const PARTITIONS: u32 = 3;

/// Takes what it is given, but for the first partition of so many calls, each of which fails in this way.
struct Scripted {
    failures: VecDeque<KafkaError>,
    calls: Arc<Mutex<u32>>,
}

impl Sender for Scripted {
    fn partition_count(&mut self, _topic: &str) -> Result<u32, KafkaError> {
        Ok(PARTITIONS)
    }

    fn send(&mut self, _topic: &str, records: &[Record<'_>]) -> Delivery {
        *self.calls.lock().unwrap() += 1;
        let mut delivery: Delivery = records.iter().map(|record| (record.partition, Ok(()))).collect();
        if let (Some(first), Some(failure)) = (delivery.values_mut().next(), self.failures.pop_front()) {
            *first = Err(failure);
        }
        delivery
    }

    fn connects(&self) -> u64 {
        1
    }
}

/// A publisher at its end, with so many events in its spool.
struct Ending {
    publisher: Publisher,
    calls: Arc<Mutex<u32>>,
    _spool: SpoolHandle,
    _folder: TempDir,
}

impl Ending {
    fn with(events: i64, failures: impl IntoIterator<Item = KafkaError>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = SpoolConfig { path: folder.path().join("spool"), max_size: 1 << 30 };
        let spool = Spool::open(&config, "here", Format::Avro).unwrap();
        let (intake, feed, handle) = spool.start(Arc::new(Ledger::default()), Shutdown::new()).unwrap();
        for number in 0..events {
            let check = Check::up(format!("site {number}"), "https://example.com/", UtcTime::from_micros(number));
            intake.put(Draft::new(&Body::Check(Box::new(check)), Format::Avro), Vec::new());
        }
        handle.flush(Instant::now() + SOON);
        let kafka = KafkaConfig {
            client: KafkaClient::KafkaRust,
            brokers: vec!["127.0.0.1:1".to_owned()],
            topic: "checks".to_owned(),
            format: Format::Avro,
            create_topic: TopicShape::default(),
        };
        let mut publisher = Publisher::new(feed, &kafka, Metrics::new(&mut Registry::default()), Progress::default());
        let calls = Arc::default();
        publisher.sender = Box::new(Scripted { failures: failures.into_iter().collect(), calls: Arc::clone(&calls) });
        Self { publisher, calls, _spool: handle, _folder: folder }
    }

    /// Whether all was published when its time was more than enough.
    fn publishes_all(&mut self) -> bool {
        let deadline = Instant::now() + SOON;
        self.publisher.drain(deadline);
        assert!(Instant::now() < deadline, "it waited for nothing");
        self.publisher.is_done()
    }

    fn calls(&self) -> u32 {
        *self.calls.lock().unwrap()
    }
}

#[test]
fn at_the_end_what_fails_in_passing_is_sent_again() {
    let moving = || KafkaError::LeaderMoving("partition 0 is moving".to_owned());
    let mut ending = Ending::with(100, [moving(), KafkaError::Connection("cut".to_owned()), moving()]);
    assert!(ending.publishes_all());
    assert_eq!(ending.calls(), 4);
}

#[test]
fn at_the_end_nothing_is_tried_again_that_takes_longer_than_there_is_time() {
    let mut ending = Ending::with(100, [KafkaError::NoAnswer { seconds: 15 }]);
    assert!(!ending.publishes_all());
    assert_eq!(ending.calls(), 1);
}

#[test]
fn at_the_end_all_is_published_however_often_a_mark_must_be_waited_for() {
    let mut ending = Ending::with(40_000, []);
    assert!(ending.publishes_all());
}
