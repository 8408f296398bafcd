//! The thread that takes events from the spool to Kafka, and forgets only what Kafka has acknowledged.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::thread;
use std::time::{Duration, Instant};

use isitup_shared::config::KafkaConfig;
use isitup_shared::crash_point;
use isitup_shared::heartbeat::Heartbeat;
use isitup_shared::kafka::{self, Delivery, KafkaError, Record, Sender, partition_for};
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;

use crate::metrics::Metrics;
use crate::spool::{Feed, Stored};

/// Events that wait for their acknowledgement, in memory.
const MOST_PENDING: usize = 4096;
/// Waiting for new events ends with the first one; this bounds only how fast a shutdown is noticed.
const WAIT: Duration = Duration::from_millis(200);
/// At the end there is little time.
const WAIT_AT_END: Duration = Duration::from_millis(10);

/// How often the topic is asked whether it has other partitions now. Somebody who adds some wants them used.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Events on their way, by partition, each partition's in order.
pub struct Publisher {
    feed: Feed,
    sender: Box<dyn Sender>,
    topic: String,
    wanted_partitions: u32,
    metrics: Metrics,
    /// How many there are, and when that was asked.
    partitions: Option<(u32, Instant)>,
    /// The number of partitions that was told last.
    told: Option<u32>,
    pending: BTreeMap<i32, VecDeque<Stored>>,
    retry: Retry,
    trouble: Option<String>,
}

impl Publisher {
    /// Publishes what `feed` gives to the topic of `kafka`.
    pub fn new(feed: Feed, kafka: &KafkaConfig, metrics: Metrics) -> Self {
        Self {
            feed,
            sender: kafka::sender(kafka),
            topic: kafka.topic.clone(),
            wanted_partitions: kafka.create_topic.partitions,
            metrics,
            partitions: None,
            told: None,
            pending: BTreeMap::new(),
            retry: Retry::for_service(),
            trouble: None,
        }
    }

    /// Publishes until `stop`.
    pub fn run(&mut self, stop: &Shutdown, heart: &Heartbeat) {
        let _pulse = heart.begin();
        while !stop.is_triggered() {
            heart.beat();
            let result = self.step(WAIT);
            self.count_reconnects();
            if let Err(error) = result {
                self.metrics.publish_errors.inc();
                self.complain(&error.to_string());
                self.partitions = None;
                self.retry.pause(stop);
            }
        }
    }

    fn count_reconnects(&self) {
        let reconnects = self.sender.connects().saturating_sub(1);
        self.metrics.kafka_reconnects.inc_by(reconnects.saturating_sub(self.metrics.kafka_reconnects.get()));
    }

    /// Publishes what the spool still holds, until it is empty or `deadline` comes, or Kafka fails in a way that does not pass
    /// in seconds. A partition that fails in passing must not keep what the others have.
    pub fn drain(&mut self, deadline: Instant) {
        let mut failure = None;
        while Instant::now() < deadline {
            match self.step(WAIT_AT_END) {
                Ok(0) if self.pending.is_empty() && self.feed.is_empty() => return,
                Ok(_) => {}
                Err(error) => {
                    let is_passing = error.is_passing();
                    failure = Some(error);
                    if !is_passing {
                        break;
                    }
                    self.partitions = None;
                    thread::sleep(WAIT_AT_END);
                }
            }
        }
        let why = failure.map_or_else(|| "the time was too short".to_owned(), |error| error.to_string());
        log::warn!("not all was published, the rest stays in the spool for the next start: {why}");
    }

    /// Sends what is pending and what the spool has beside it. Returns how many events were acknowledged.
    fn step(&mut self, wait: Duration) -> Result<usize, KafkaError> {
        // First the partitions, so that nothing is taken that has no place to go.
        let partitions = self.partition_count()?;
        let pending: usize = self.pending.values().map(VecDeque::len).sum();
        let at_most = if pending == 0 { wait } else { Duration::ZERO };
        let taken = self.feed.take(MOST_PENDING.saturating_sub(pending), at_most);
        let events = taken.map_err(|error| KafkaError::Refused(format!("the spool cannot be read back: {error}")))?;
        self.place(events, partitions);
        self.send()
    }

    fn partition_count(&mut self) -> Result<u32, KafkaError> {
        if let Some((partitions, _)) = self.partitions.filter(|(_, asked)| asked.elapsed() < LOOK_EVERY) {
            return Ok(partitions);
        }
        let partitions = self.sender.partition_count(&self.topic)?;
        if self.told != Some(partitions) {
            self.told = Some(partitions);
            self.tell_partitions(partitions);
            self.place_anew(partitions);
        }
        self.partitions = Some((partitions, Instant::now()));
        Ok(partitions)
    }

    /// Gives what is pending the partitions that its keys have now: those it waited for may be gone for good, as a topic
    /// made anew can have fewer. What had arrived all the same is a duplicate, which the consumer ignores.
    fn place_anew(&mut self, partitions: u32) {
        let mut events: Vec<Stored> = std::mem::take(&mut self.pending).into_values().flatten().collect();
        events.sort_unstable_by_key(|event| event.seq);
        self.place(events, partitions);
    }

    fn place(&mut self, events: impl IntoIterator<Item = Stored>, partitions: u32) {
        for event in events {
            self.pending.entry(partition_for(&event.key, partitions)).or_default().push_back(event);
        }
    }

    /// A broker that makes topics by itself gives them its own number of partitions, which bounds how many consumers
    /// can share the work.
    fn tell_partitions(&self, partitions: u32) {
        let (topic, wanted) = (&self.topic, self.wanted_partitions);
        if partitions < wanted {
            log::warn!(
                "topic {topic} has {partitions} partitions, kafka.create_topic.partitions says {wanted}; to add them, \
                 run: kafka-topics --bootstrap-server BROKER --alter --topic {topic} --partitions {wanted}"
            );
        } else {
            log::info!("publishing to topic {topic} with {partitions} partitions");
        }
    }

    fn send(&mut self) -> Result<usize, KafkaError> {
        let records: Vec<Record<'_>> =
            self.pending.iter().flat_map(|(partition, events)| records(*partition, events)).collect();
        if records.is_empty() {
            return Ok(0);
        }
        crash_point!("publish.begin");
        let delivery = self.sender.send(&self.topic, &records);
        drop(records);
        crash_point!("publish.sent");
        let acknowledged = self.forget(delivery);
        crash_point!("publish.acknowledged");
        acknowledged
    }

    /// Forgets what was acknowledged, and gives the first failure.
    fn forget(&mut self, delivery: Delivery) -> Result<usize, KafkaError> {
        let (mut acknowledged, mut failure) = (0, None);
        for (partition, result) in delivery {
            match result {
                Ok(()) => acknowledged += self.pending.remove(&partition).map_or(0, |events| self.done(&events)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let oldest = self.pending.values().filter_map(VecDeque::front).min_by_key(|event| event.seq);
        let floor = oldest.map_or(self.feed.taken(), |event| event.seq - 1);
        self.feed.acknowledged(floor, acknowledged, oldest.map(|event| event.accepted_at));
        self.metrics.published.inc_by(acknowledged as u64);
        match failure {
            Some(error) => Err(error),
            None => {
                self.retry.reset();
                if self.trouble.take().is_some() {
                    log::info!("Kafka takes events again");
                }
                Ok(acknowledged)
            }
        }
    }

    /// Notes how long a partition's events took. Returns how many they are.
    fn done(&self, events: &VecDeque<Stored>) -> usize {
        if let Some(oldest) = events.front() {
            self.metrics.publish_lag.observe(UtcTime::now().since(oldest.accepted_at).as_secs_f64());
        }
        events.len()
    }

    /// Says what is the matter, once for each change of it.
    fn complain(&mut self, trouble: &str) {
        if self.trouble.as_deref() != Some(trouble) {
            log::warn!("events wait in the spool: {trouble}");
            self.trouble = Some(trouble.to_owned());
        }
    }
}

fn records(partition: i32, events: &VecDeque<Stored>) -> impl Iterator<Item = Record<'_>> {
    events.iter().map(move |event| Record { partition, key: &event.key, value: &event.message })
}
