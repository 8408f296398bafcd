//! The end of a publisher, on a real spool, with a Kafka that answers as it is told to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use isitup_shared::config::{Format, KafkaClient, SpoolConfig, TopicShape};
use isitup_shared::event::{self, Body, Check, Draft, Event, GapReason};
use isitup_shared::kafka::RefusedRecord;
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use super::*;
use crate::spool::{Intake, Ledger, Spool, SpoolHandle};

const SOON: Duration = Duration::from_secs(20);
const PARTITIONS: u32 = 3;

/// Takes what it is given, but for the first partition of so many calls, each of which fails in this way.
struct Scripted {
    failures: VecDeque<KafkaError>,
    calls: Arc<Mutex<u32>>,
}

/// Takes what it is given, but for what `refuse` says: a failure of a partition, or of one record.
struct Picky<R> {
    refuse: R,
    taken: Taken,
}

/// Messages by partition, in the order in which they were taken.
type Taken = Arc<Mutex<BTreeMap<i32, Vec<Event>>>>;

impl<R: FnMut(&Record<'_>) -> Option<KafkaError> + Send> Sender for Picky<R> {
    fn partition_count(&mut self, _topic: &str) -> Result<u32, KafkaError> {
        Ok(PARTITIONS)
    }

    fn send(&mut self, _topic: &str, records: &[Record<'_>]) -> Delivery {
        let (mut delivery, mut taken) = (Delivery::new(), self.taken.lock().unwrap());
        let mut indices = BTreeMap::<i32, usize>::new();
        for record in records {
            let index = indices.entry(record.partition).or_default();
            if matches!(delivery.get(&record.partition), Some(Err(_))) {
                continue;
            }
            let outcome = match (self.refuse)(record) {
                None => {
                    taken.entry(record.partition).or_default().push(event::decode(record.value).unwrap());
                    Ok(())
                }
                Some(KafkaError::RecordRefused(refused)) => {
                    Err(KafkaError::RecordRefused(RefusedRecord { index: *index, ..refused }))
                }
                Some(error) => Err(error),
            };
            *index += 1;
            delivery.insert(record.partition, outcome);
        }
        delivery
    }

    fn connects(&self) -> u64 {
        1
    }
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

fn draft(number: i64) -> Draft {
    let check = Check::up(format!("site {number}"), "https://example.com/", UtcTime::from_micros(number));
    Draft::new(&Body::Check(Box::new(check)), Format::Avro)
}

/// A publisher at its end, with so many events in its spool.
struct Ending {
    publisher: Publisher,
    calls: Arc<Mutex<u32>>,
    intake: Intake,
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
            intake.put(draft(number), Vec::new());
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
        Self { publisher, calls, intake, _spool: handle, _folder: folder }
    }

    fn put(&self, number: i64) {
        self.intake.put(draft(number), Vec::new());
    }

    /// The same, with a Kafka that refuses some records.
    fn refusing(events: i64, refuse: impl FnMut(&Record<'_>) -> Option<KafkaError> + Send + 'static) -> (Self, Taken) {
        let (mut ending, taken) = (Self::with(events, []), Taken::default());
        ending.publisher.sender = Box::new(Picky { refuse, taken: Arc::clone(&taken) });
        (ending, taken)
    }

    /// Takes steps until `is_so`.
    #[track_caller]
    fn step_until(&mut self, is_so: impl Fn(&Publisher) -> bool) {
        let deadline = Instant::now() + SOON;
        while !is_so(&self.publisher) {
            assert!(Instant::now() < deadline, "not so in time");
            self.publisher.step(SHORT_WAIT).unwrap();
        }
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

fn numbers(taken: &Taken, partition: i32) -> Vec<u64> {
    let taken = taken.lock().unwrap();
    taken.get(&partition).into_iter().flatten().map(|event| event.envelope.seq).collect()
}

#[test]
fn a_failing_partition_holds_up_no_other_and_gets_all_of_its_events_later() {
    let fails = Arc::new(AtomicBool::new(true));
    let is_failing = Arc::clone(&fails);
    let (mut ending, taken) = Ending::refusing(60_000, move |record| {
        let fails = record.partition == 1 && is_failing.load(Ordering::Relaxed);
        fails.then(|| KafkaError::LeaderMoving("partition 1 has none".to_owned()))
    });
    let others = |taken: &Taken| numbers(taken, 0).len() + numbers(taken, 2).len();
    let expected =
        (0..60_000).filter(|number| partition_for(format!("site {number}").as_bytes(), PARTITIONS) != 1).count();
    ending.step_until(|_| others(&taken) >= expected);
    let lane = &ending.publisher.lanes[&1];
    assert!(lane.pending.len() <= MOST_EVENTS && lane.left.is_some(), "what waits is not all in memory");
    assert_eq!(numbers(&taken, 1), [0; 0]);

    fails.store(false, Ordering::Relaxed);
    ending.step_until(Publisher::is_done);
    let late = numbers(&taken, 1);
    assert_eq!(late.len() + others(&taken), 60_000, "each event was taken once");
    assert!(late.is_sorted(), "in order");
}

#[test]
fn a_refused_record_becomes_a_gap_and_the_others_go_on() {
    let is_refused = |record: &Record<'_>| record.key == b"site 7" || record.key == b"site 50";
    let (mut ending, taken) = Ending::refusing(100, move |record| {
        let refused = RefusedRecord { index: 0, is_final: true, reason: "too large".to_owned() };
        is_refused(record).then_some(KafkaError::RecordRefused(refused))
    });
    ending.step_until(|publisher| publisher.lanes.values().any(|lane| !lane.suspects.is_empty()));
    // As a producer's heartbeats do, others come after them.
    for number in 100..110 {
        ending.put(number);
    }
    ending.step_until(Publisher::is_done);
    let taken = taken.lock().unwrap();
    let events: Vec<&Event> = taken.values().flatten().collect();
    let gaps: BTreeMap<u64, &Gap> = events
        .iter()
        .filter_map(|event| match &event.body {
            Body::Gap(gap) => Some((gap.seqs?.first, gap)),
            _ => None,
        })
        .collect();
    assert_eq!(gaps.keys().copied().collect::<Vec<_>>(), [8, 51]);
    let span = gaps[&8].span.as_ref().unwrap();
    assert_eq!((gaps[&8].reason, span.sites.as_deref()), (GapReason::RecordRefused, Some(&["site 7".into()][..])));
    assert_eq!(events.len(), 98 + 2 + 10);
}

#[test]
fn nothing_is_given_up_while_kafka_refuses_every_record() {
    let (mut ending, _) = Ending::refusing(200, |_| {
        let reason = "too large".to_owned();
        Some(KafkaError::RecordRefused(RefusedRecord { index: 0, is_final: true, reason }))
    });
    ending.step_until(|publisher| publisher.lanes.len() == 3 && publisher.lanes.values().all(Lane::is_blocked));
    for _ in 0..50 {
        ending.publisher.step(SHORT_WAIT).unwrap();
    }
    assert_eq!(ending.publisher.feed.depth(), 200);
    assert!(ending.publisher.declaring.is_none());
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
