//! Reading from chosen offsets. The library reads ahead; what it gives counts only where it is what was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::super::{Fetched, KafkaError, Message, OffsetRange, Receiver};
use super::context::Context;
use super::life::{Alive, Life};
use super::settings::Settings;
use super::{ASK_LIMIT, topics, trouble};
use crate::config::{KafkaConfig, Security};
use crate::outage_log::OutageLog;

/// How long to wait for a first message.
const WAIT: Duration = Duration::from_millis(500);
/// How long to wait for partitions whose reading begins just now. A broker is asked by one request at a time, and with nothing
/// new the one before, for other partitions, takes as long as [`WAIT`]: who gave up sooner and went back to those would never
/// read them.
const BEGIN_WAIT: Duration = Duration::from_secs(3);
/// The same, once there are messages of others.
const BEGIN_LIMIT: Duration = Duration::from_millis(300);
/// The most bytes of one call.
const CALL_SIZE: usize = 4 << 20;
/// How long to listen to what the library tells of troubles.
const HEARING: Duration = Duration::from_millis(10);
/// How long the leaders of partitions may take to tell an edge of each.
const EDGE_LIMIT: Duration = Duration::from_secs(4);
/// How long the group's coordinator may take.
const MIRROR_LIMIT: Duration = Duration::from_secs(3);
/// The library needs the name of a group although it joins none.
const NO_GROUP: &str = "isitup-reader";

type Client = BaseConsumer<Context>;
type Showing = std::sync::mpsc::Receiver<Result<(), ClientError>>;

/// Receives through librdkafka. Connects on first use.
pub(in super::super) struct LibrdkafkaReceiver {
    settings: Settings,
    group: String,
    life: Life<Client>,
    /// The offset that the library gives next, of each partition that it reads.
    cursors: BTreeMap<i32, i64>,
    /// How far each partition went when that was last told.
    ends: BTreeMap<i32, i64>,
    /// The id of the topic that is read, whichever client told it.
    topic_id: Option<String>,
    /// Records that the library cannot read, of a partition that it does not name.
    unreadable: OutageLog,
    /// Offsets that are being shown to the group, when that took too long.
    showing: Option<Showing>,
}

/// What a call gathered.
#[derive(Default)]
struct Gathered {
    messages: BTreeMap<i32, Vec<Message>>,
    /// Partitions that were read to their end.
    ended: BTreeSet<i32>,
    bytes: usize,
    /// Some offset is not there, and the library does not say of which partition.
    is_out_of_range: bool,
}

impl LibrdkafkaReceiver {
    /// Nothing is connected yet.
    pub(in super::super) fn new(config: &KafkaConfig, security: &Security) -> Self {
        Self {
            settings: Settings::new(config, security),
            group: NO_GROUP.to_owned(),
            life: Life::new(),
            cursors: BTreeMap::new(),
            ends: BTreeMap::new(),
            topic_id: None,
            unreadable: OutageLog::default(),
            showing: None,
        }
    }

    /// The client there is, or a new one where there is none or it is dead.
    fn client(&mut self) -> Result<&Alive<Client>, KafkaError> {
        if self.life.is_dead() {
            self.restart();
        }
        let (settings, group) = (&self.settings, &self.group);
        self.life.ensure(settings, |context| {
            let client = settings.consumer(group)?.create_with_context(context);
            client.map_err(|error| trouble::of_creation(&error, settings))
        })
    }

    /// Makes the next call begin with a new client.
    fn restart(&mut self) {
        self.life.end();
        self.cursors.clear();
    }

    /// Has the library read just these partitions, each from its offset. Gives those whose reading begins.
    fn direct(&mut self, topic: &str, positions: &[(i32, i64)]) -> Result<BTreeSet<i32>, KafkaError> {
        let wanted: BTreeMap<i32, i64> = positions.iter().copied().collect();
        let is_kept = |(partition, cursor): (&i32, &i64)| wanted.get(partition) == Some(cursor);
        let gone: Vec<i32> =
            self.cursors.iter().filter(|entry| !is_kept(*entry)).map(|(partition, _)| *partition).collect();
        let client = Arc::clone(&self.client()?.client);
        let failed = |error: ClientError| KafkaError::Connection(format!("partitions cannot be assigned: {error}"));
        if !gone.is_empty() {
            let mut list = TopicPartitionList::new();
            for partition in &gone {
                list.add_partition(topic, *partition);
            }
            client.incremental_unassign(&list).map_err(failed)?;
        }
        self.cursors.retain(|partition, _| !gone.contains(partition));
        let begun: BTreeSet<i32> = wanted.keys().copied().filter(|it| !self.cursors.contains_key(it)).collect();
        if !begun.is_empty() {
            let mut list = TopicPartitionList::new();
            for (partition, next) in wanted.iter().filter(|(partition, _)| begun.contains(partition)) {
                list.add_partition_offset(topic, *partition, Offset::Offset(*next)).map_err(failed)?;
            }
            client.incremental_assign(&list).map_err(failed)?;
            self.cursors.extend(wanted.into_iter().filter(|(partition, _)| begun.contains(partition)));
        }
        Ok(begun)
    }

    /// Takes what the library has: waits for the first message, and for word of the partitions of `begun`.
    fn gather(&mut self, begun: &BTreeSet<i32>) -> Result<Gathered, KafkaError> {
        let mut gathered = Gathered::default();
        let started = Instant::now();
        let mut until = started + if begun.is_empty() { WAIT } else { BEGIN_WAIT };
        while gathered.bytes < CALL_SIZE {
            let Some(alive) = self.life.alive() else { break };
            let left = until.saturating_duration_since(Instant::now());
            let Some(event) = alive.client.poll(left) else { break };
            match event {
                Ok(message) => take(&mut gathered, &mut self.cursors, &message),
                Err(ClientError::PartitionEOF(partition)) => {
                    gathered.ended.insert(partition);
                }
                Err(error) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                        gathered.is_out_of_range = true;
                        break;
                    }
                    Some(
                        code @ (RDKafkaErrorCode::BadMessage
                        | RDKafkaErrorCode::BadCompression
                        | RDKafkaErrorCode::NotImplemented
                        | RDKafkaErrorCode::InvalidMessage
                        | RDKafkaErrorCode::UnsupportedCompressionType),
                    ) => {
                        if self.unreadable.failed(Instant::now(), &code.to_string()).is_some() {
                            log::warn!(
                                "a partition holds a record that librdkafka cannot read, and stands still: {code}"
                            );
                        }
                        continue;
                    }
                    // The context has kept what matters.
                    _ => continue,
                },
            }
            let is_here = |it: &i32| gathered.messages.contains_key(it) || gathered.ended.contains(it);
            until = match (begun.iter().all(is_here), gathered.messages.is_empty()) {
                (true, true) => started + WAIT,
                (true, false) => Instant::now(),
                (false, true) => until,
                (false, false) => until.min(started + BEGIN_LIMIT),
            };
        }
        Ok(gathered)
    }

    /// What to tell of each partition. Of one that gave nothing, and whose end was not met, nothing is known.
    fn tell(&mut self, gathered: Gathered) -> Vec<Fetched> {
        let mut messages = gathered.messages;
        for partition in gathered.ended {
            messages.entry(partition).or_default();
            if let Some(cursor) = self.cursors.get(&partition) {
                self.ends.insert(partition, *cursor);
            }
        }
        let told = messages.into_iter().map(|(partition, messages)| {
            let cursor = self.cursors.get(&partition).copied();
            let latest = self.ends.get(&partition).copied().max(cursor);
            Fetched { partition, latest, messages: Ok(messages) }
        });
        told.collect()
    }

    /// Whether the library has met another topic under the name since this was last asked. Its word of that comes before
    /// any message of the new one, since brokers are asked for topics by their ids (from Kafka 3.1 on).
    fn meets_another_topic(&mut self) -> bool {
        let Some(now) = self.life.alive().and_then(|alive| alive.context.topic_id()) else { return false };
        let before = self.topic_id.replace(now);
        before.is_some() && before != self.topic_id
    }

    /// Which of the positions are not in their partitions. They will be assigned anew.
    fn find_out_of_range(&mut self, topic: &str, positions: &[(i32, i64)]) -> Result<Vec<Fetched>, KafkaError> {
        let ranges = self.offsets(topic)?;
        let mut told = Vec::new();
        for (partition, next) in positions {
            let Some(range) = ranges.get(partition) else { continue };
            if *next < range.earliest || *next > range.latest {
                let messages = Err(KafkaError::OffsetOutOfRange);
                told.push(Fetched { partition: *partition, latest: None, messages });
            }
        }
        // The library has stopped reading those that failed; which they were is known no better.
        self.restart();
        Ok(told)
    }

    /// One edge of each partition: its first offset or the one after its last.
    fn edges(&self, topic: &str, partitions: &[i32], edge: Offset) -> Result<BTreeMap<i32, i64>, KafkaError> {
        let Some(alive) = self.life.alive() else { return Ok(BTreeMap::new()) };
        let failed = |error: ClientError| {
            alive.context.trouble().unwrap_or_else(|| trouble::of_metadata(&error, &self.settings))
        };
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(topic, *partition, edge).map_err(failed)?;
        }
        let found = alive.client.offsets_for_times(list, EDGE_LIMIT).map_err(failed)?;
        let offset = |it: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match (it.error(), it.offset()) {
            (Ok(()), Offset::Offset(offset)) => Some((it.partition(), offset)),
            _ => None,
        };
        Ok(found.elements().into_iter().filter_map(offset).collect())
    }

    fn ask_offsets(&mut self, topic: &str) -> Result<BTreeMap<i32, OffsetRange>, KafkaError> {
        if self.life.is_outdated(&self.settings) {
            self.restart();
        }
        let client = Arc::clone(&self.client()?.client);
        let partitions = topics::ask(client.client(), topic, &self.settings, ASK_LIMIT, || self.hear())?;
        let led: Vec<i32> = partitions.iter().filter(|it| it.has_leader).map(|it| it.number).collect();
        if led.is_empty() {
            return Err(KafkaError::LeaderMoving("no partition has a leader".to_owned()));
        }
        let earliest = self.edges(topic, &led, Offset::Beginning)?;
        let latest = self.edges(topic, &led, Offset::End)?;
        let range = |partition: &i32| {
            let range = OffsetRange { earliest: *earliest.get(partition)?, latest: *latest.get(partition)? };
            (range.earliest >= 0 && range.latest >= range.earliest).then_some((*partition, range))
        };
        let ranges: BTreeMap<i32, OffsetRange> = led.iter().filter_map(range).collect();
        if ranges.len() < led.len() || ranges.is_empty() {
            return Err(KafkaError::LeaderMoving("not every partition tells its offsets".to_owned()));
        }
        self.ends = ranges.iter().map(|(partition, range)| (*partition, range.latest)).collect();
        Ok(ranges)
    }

    /// Lets the library tell what it has to tell beside messages.
    fn hear(&self) {
        if let Some(alive) = self.life.alive()
            && self.cursors.is_empty()
        {
            // Without a moment to wait it would end at the first of its log lines.
            while alive.client.poll(HEARING).is_some() {}
        }
    }
}

fn take(gathered: &mut Gathered, cursors: &mut BTreeMap<i32, i64>, message: &BorrowedMessage<'_>) {
    let Some(cursor) = cursors.get_mut(&message.partition()) else { return };
    if message.offset() < *cursor {
        return;
    }
    *cursor = message.offset() + 1;
    let value = message.payload().unwrap_or_default().to_vec();
    gathered.bytes += value.len() + 100;
    let messages = gathered.messages.entry(message.partition()).or_default();
    messages.push(Message { offset: message.offset(), value });
    gathered.ended.remove(&message.partition());
}

impl Receiver for LibrdkafkaReceiver {
    fn offsets(&mut self, topic: &str) -> Result<BTreeMap<i32, OffsetRange>, KafkaError> {
        let answer = self.ask_offsets(topic);
        if self.life.is_hopeless(&answer) {
            self.restart();
        }
        answer
    }

    fn fetch(&mut self, topic: &str, positions: &[(i32, i64)]) -> Result<Vec<Fetched>, KafkaError> {
        let begun = self.direct(topic, positions)?;
        if positions.is_empty() {
            self.hear();
            return Ok(Vec::new());
        }
        if let Some(alive) = self.life.alive() {
            alive.context.forget_trouble();
        }
        let gathered = self.gather(&begun)?;
        if self.meets_another_topic() {
            self.restart();
            let doubt = |&(partition, _): &(i32, i64)| Fetched {
                partition,
                latest: None,
                messages: Err(KafkaError::PerhapsAnotherTopic),
            };
            return Ok(positions.iter().map(doubt).collect());
        }
        let is_out_of_range = gathered.is_out_of_range;
        let mut told = self.tell(gathered);
        if is_out_of_range {
            // What came of the others before is told all the same.
            told.extend(self.find_out_of_range(topic, positions)?);
            return Ok(told);
        }
        match self.life.trouble() {
            Some(error) if told.is_empty() => {
                if matches!(error, KafkaError::Setup(_)) {
                    self.restart();
                }
                Err(error)
            }
            _ => Ok(told),
        }
    }

    fn notices_another_topic(&self) -> bool {
        self.topic_id.is_some()
    }

    fn mirror_offsets(&mut self, group: &str, topic: &str, positions: &[(i32, i64)]) -> Result<(), KafkaError> {
        if positions.is_empty() {
            return Ok(());
        }
        if self.showing.as_ref().is_some_and(|told| told.try_recv() == Err(TryRecvError::Empty)) {
            return Err(KafkaError::Refused("the group's coordinator has not answered yet".to_owned()));
        }
        self.showing = None;
        if self.group != group {
            self.restart();
            group.clone_into(&mut self.group);
        }
        let failed = |error: ClientError| KafkaError::Refused(format!("offsets cannot be shown: {error}"));
        let mut list = TopicPartitionList::new();
        for (partition, next) in positions {
            list.add_partition_offset(topic, *partition, Offset::Offset(*next)).map_err(failed)?;
        }
        let client = Arc::clone(&self.client()?.client);
        // The library waits without a limit while the group has no coordinator: so in a thread, which may be left behind.
        let (tell, told) = channel();
        thread::Builder::new()
            .name("kafka-group".to_owned())
            .spawn(move || {
                // Nobody listens any more when the time is over.
                let _ = tell.send(client.commit(&list, CommitMode::Sync));
            })
            .map_err(|error| KafkaError::Connection(format!("no thread for it: {error}")))?;
        match told.recv_timeout(MIRROR_LIMIT) {
            Ok(outcome) => outcome.map_err(failed),
            Err(_) => {
                self.showing = Some(told);
                Err(KafkaError::NoAnswer { seconds: MIRROR_LIMIT.as_secs() })
            }
        }
    }

    fn connects(&self) -> u64 {
        self.life.connects()
    }
}

impl Drop for LibrdkafkaReceiver {
    fn drop(&mut self) {
        self.life.end_and_wait();
    }
}
