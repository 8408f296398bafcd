//! Sending. A record is handed to the library once and stays in flight until its report comes, however many calls that
//! takes: the library sends it again by itself, and its idempotent producer keeps Kafka from storing it twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer as _, ThreadedProducer};

use super::super::codes::{self, Blame};
use super::super::set_size::SetSize;
use super::super::{Delivery, KafkaError, Record, RefusedRecord, Sender};
use super::context::{Context, Flight};
use super::life::{Alive, Life};
use super::settings::Settings;
use super::{ASK_LIMIT, CALL_LIMIT, topics, trouble};
use crate::config::{KafkaConfig, Security};

/// How long the others wait for partitions whose broker says nothing. Those stay in flight.
const STRAGGLER_LIMIT: Duration = Duration::from_secs(3);
/// How long a client lives at least whose records are refused for what only a setting mends.
const REFUSED_LIMIT: Duration = Duration::from_secs(5);
/// More than a caller has of a partition: where no broker finds that too large, all is handed over at once.
const MOST_AT_ONCE: usize = 16 << 20;
/// Between looks at what is reported.
const LOOK: Duration = Duration::from_millis(250);

pub(super) type Client = ThreadedProducer<Context, NoCustomPartitioner>;

/// What was handed over of one partition.
#[derive(Default)]
struct Lane {
    /// In order; none while something of it failed.
    flights: VecDeque<Arc<Flight>>,
    /// Up to this record some were refused for what may be one of them: they go again in halves.
    suspect: usize,
}

/// Sends through librdkafka. Connects on first use.
pub(in super::super) struct LibrdkafkaSender {
    settings: Settings,
    life: Life<Client>,
    /// What was handed over, by partition.
    lanes: BTreeMap<i32, Lane>,
    /// The most bytes of a partition that are handed over at once.
    set_size: SetSize,
    /// Whether something was refused for what only a setting mends, and not all was delivered since. It may have been mended in
    /// what only a new client takes up, such as a password, while other brokers go on with this one.
    is_refused: bool,
}

impl LibrdkafkaSender {
    /// Nothing is connected yet.
    pub(in super::super) fn new(config: &KafkaConfig, security: &Security) -> Self {
        Self {
            settings: Settings::new(config, security),
            life: Life::new(),
            lanes: BTreeMap::new(),
            set_size: SetSize::new(MOST_AT_ONCE),
            is_refused: false,
        }
    }

    /// The client there is, or a new one where there is none or it is dead.
    fn client(&mut self) -> Result<&Alive<Client>, KafkaError> {
        if self.life.is_dead() {
            self.restart();
        }
        let settings = &self.settings;
        self.life.ensure(settings, |context| {
            let client = settings.producer()?.create_with_context(context);
            client.map_err(|error| trouble::of_creation(&error, settings))
        })
    }

    /// Makes the next call begin with a new client. What is in flight will be handed over again.
    fn restart(&mut self) {
        self.life.end();
        self.lanes.clear();
        self.is_refused = false;
    }

    /// Keeps what is known of the first of `records`, and forgets what is known of others.
    fn align(&mut self, partition: i32, records: &[&Record<'_>]) {
        let lane = self.lanes.entry(partition).or_default();
        let known = records.iter().zip(&lane.flights).take_while(|(record, flight)| is_same(record, flight)).count();
        lane.flights.truncate(known);
        lane.suspect = lane.suspect.min(records.len());
        if !is_open(&lane.flights) {
            lane.flights.truncate(delivered(&lane.flights));
        }
    }

    /// What is known of a partition by now; `None` while something of it is in flight. Once nothing is, hands over more.
    fn advance(&mut self, topic: &str, partition: i32, records: &[&Record<'_>]) -> Option<Result<(), KafkaError>> {
        let Some(lane) = self.lanes.get_mut(&partition) else {
            // All that was in flight is handed over again.
            return Some(Err(KafkaError::Connection("the client was given up".to_owned())));
        };
        if is_open(&lane.flights) {
            return None;
        }
        let done = delivered(&lane.flights);
        if done == records.len() {
            self.lanes.remove(&partition);
            return Some(Ok(()));
        }
        let failed: Vec<(usize, RDKafkaErrorCode)> =
            (0..).zip(&lane.flights).filter_map(|(at, flight)| Some((at, flight.outcome.get()?.err()?))).collect();
        lane.flights.truncate(done);
        if let Some(error) = self.judge(partition, records, done, &failed) {
            return Some(Err(error));
        }
        self.hand_over(topic, partition, records).err().map(Err)
    }

    /// What failures mean for a partition, and what is to be done otherwise. `None` where fewer records are to be tried at once.
    fn judge(
        &mut self,
        partition: i32,
        records: &[&Record<'_>],
        done: usize,
        failed: &[(usize, RDKafkaErrorCode)],
    ) -> Option<KafkaError> {
        let (last, _) = *failed.last()?;
        let blamed = failed.iter().map(|(_, code)| (*code, blame_of(*code)));
        let Some((code, blame)) = blamed.clone().find(|(_, blame)| blame.is_of_records()) else {
            let (_, code) = *failed.first()?;
            return Some(self.refusal(code, partition));
        };
        if let [(index, _)] = failed {
            // A batch is refused as a whole, so that this one was alone in its batch.
            self.lanes.remove(&partition);
            return Some(refused(code, *index, records));
        }
        if blame == Blame::Size {
            let size = failed.iter().filter_map(|(at, _)| records.get(*at)).map(|record| size_of(record)).sum();
            self.set_size.too_large(size, Instant::now());
        }
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.suspect = (last + 1).max(done);
        }
        None
    }

    /// Hands over the next of `records`. Of suspect ones at most the first half, and no more than the brokers take at once.
    fn hand_over(&mut self, topic: &str, partition: i32, records: &[&Record<'_>]) -> Result<(), KafkaError> {
        let limit = self.set_size.limit(Instant::now());
        let mut lane = self.lanes.remove(&partition).unwrap_or_default();
        let done = lane.flights.len();
        let suspects = lane.suspect.saturating_sub(done);
        let most = if suspects > 0 { suspects.div_ceil(2) } else { usize::MAX };
        let mut bytes = 0;
        let mut failure = None;
        let alive = self.client()?;
        for record in records.iter().skip(done).take(most) {
            bytes += size_of(record);
            if bytes > limit && lane.flights.len() > done {
                break;
            }
            match hand_to(&alive.client, &alive.context, topic, record) {
                Ok(flight) => lane.flights.push_back(flight),
                Err(code) => {
                    failure = Some(code);
                    break;
                }
            }
        }
        // What was not taken is tried again once the report of the last one that was has come.
        let failure = failure.filter(|_| lane.flights.len() == done);
        self.lanes.insert(partition, lane);
        match failure {
            None => Ok(()),
            // The library's own limit.
            Some(code) if blame_of(code).is_of_records() => {
                self.lanes.remove(&partition);
                Err(refused(code, done, records))
            }
            Some(code) => Err(self.refusal(code, partition)),
        }
    }

    /// What a code means for a partition, and what the next call must do otherwise.
    fn refusal(&mut self, code: RDKafkaErrorCode, partition: i32) -> KafkaError {
        let known = self.life.trouble();
        if code == RDKafkaErrorCode::Fatal {
            self.restart();
        }
        match known {
            Some(error @ KafkaError::Setup(_)) => error,
            _ => trouble::of_partition(code, partition, &self.settings),
        }
    }

    /// Waits until each partition has its outcome. When some have, the others are not waited for much longer: what they
    /// have in flight stays there.
    fn await_reports(&mut self, topic: &str, asked: &BTreeMap<i32, Vec<&Record<'_>>>, delivery: &mut Delivery) {
        let mut begun = Instant::now();
        while let Some(alive) = self.life.alive() {
            let reported = alive.context.wait_for_reports(LOOK);
            let is_dead = alive.context.is_dead();
            let is_setup = matches!(alive.context.trouble(), Some(KafkaError::Setup(_)));
            for (partition, records) in asked {
                if !delivery.contains_key(partition)
                    && let Some(outcome) = self.advance(topic, *partition, records)
                {
                    delivery.insert(*partition, outcome);
                    begun = Instant::now();
                }
            }
            let (now, is_some_done) = (Instant::now(), !delivery.is_empty());
            let last = reported.map_or(begun, |at| at.max(begun));
            let is_late = is_some_done && now.saturating_duration_since(last) >= STRAGGLER_LIMIT;
            // As long as reports come, a slow line only takes its time.
            let is_silent = now.saturating_duration_since(last) >= CALL_LIMIT;
            let is_over = is_silent || is_late || is_dead || is_setup;
            if delivery.len() == asked.len() || is_over {
                break;
            }
        }
        let trouble = self.life.trouble();
        for partition in asked.keys() {
            let open = || match &trouble {
                Some(error @ (KafkaError::Setup(_) | KafkaError::Unreachable { .. })) if !is_silent(error) => {
                    Err(error.clone())
                }
                _ => Err(KafkaError::NoAnswer { seconds: CALL_LIMIT.as_secs() }),
            };
            delivery.entry(*partition).or_insert_with(open);
        }
    }
}

/// Whether a broker was reached, and said nothing.
fn is_silent(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Unreachable { reason, .. } if reason.contains("timed out"))
}

/// Whether a report is missing.
fn is_open(flights: &VecDeque<Arc<Flight>>) -> bool {
    flights.iter().any(|flight| flight.outcome.get().is_none())
}

/// How many of the first were delivered. They need not go again; from the first that was not on, all do.
fn delivered(flights: &VecDeque<Arc<Flight>>) -> usize {
    flights.iter().take_while(|flight| flight.outcome.get() == Some(&Ok(()))).count()
}

/// The broker's codes have their own numbers in the library. One of the library's own says that another record of the batch was
/// refused.
fn blame_of(code: RDKafkaErrorCode) -> Blame {
    match code {
        RDKafkaErrorCode::InvalidDifferentRecord => Blame::Unclear,
        code => i16::try_from(code as i32).map_or(Blame::Partition, codes::blame),
    }
}

fn refused(code: RDKafkaErrorCode, index: usize, records: &[&Record<'_>]) -> KafkaError {
    let size = records.get(index).map_or(0, |record| size_of(record));
    let number = i16::try_from(code as i32).unwrap_or(-1);
    let reason = codes::refusal(number, size);
    KafkaError::RecordRefused(RefusedRecord { index, is_final: codes::blame(number).is_final(), reason })
}

fn size_of(record: &Record<'_>) -> usize {
    record.key.len() + record.value.len()
}

fn is_same(record: &Record<'_>, flight: &Flight) -> bool {
    record.value == &*flight.value && record.key == &*flight.key
}

pub(super) fn hand_to(
    client: &Client,
    context: &Context,
    topic: &str,
    record: &Record<'_>,
) -> Result<Arc<Flight>, RDKafkaErrorCode> {
    let flight = Arc::new(Flight { key: record.key.into(), value: record.value.into(), outcome: Default::default() });
    let message = BaseRecord::with_opaque_to(topic, Arc::clone(&flight))
        .partition(record.partition)
        .key(record.key)
        .payload(record.value);
    context.depart();
    match client.send(message) {
        Ok(()) => Ok(flight),
        Err((error, _)) => {
            context.stay();
            Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown))
        }
    }
}

impl Sender for LibrdkafkaSender {
    fn partition_count(&mut self, topic: &str) -> Result<u32, KafkaError> {
        let is_refused_for_long = self.is_refused && self.life.age().is_some_and(|age| age >= REFUSED_LIMIT);
        if is_refused_for_long || self.life.is_outdated(&self.settings) {
            self.restart();
        }
        let settings = self.settings.clone();
        let alive = self.client()?;
        let ask = || topics::ask(alive.client.client(), topic, &settings, ASK_LIMIT, || ());
        let counted = match ask() {
            Err(KafkaError::NoTopic { .. }) => topics::create(topic, &settings).and_then(|()| topics::once_known(ask)),
            counted => counted,
        };
        if counted.is_ok() {
            alive.context.forget_trouble();
        }
        if self.life.is_hopeless(&counted) {
            self.restart();
        }
        counted.map(|partitions| u32::try_from(partitions.len()).unwrap_or(u32::MAX))
    }

    fn send(&mut self, topic: &str, records: &[Record<'_>]) -> Delivery {
        let mut asked: BTreeMap<i32, Vec<&Record<'_>>> = BTreeMap::new();
        for record in records {
            asked.entry(record.partition).or_default().push(record);
        }
        let mut delivery = Delivery::new();
        for (partition, records) in &asked {
            self.align(*partition, records);
        }
        for (partition, records) in &asked {
            if let Some(outcome) = self.advance(topic, *partition, records) {
                delivery.insert(*partition, outcome);
            }
        }
        self.await_reports(topic, &asked, &mut delivery);
        let is_refused = delivery.values().any(|result| matches!(result, Err(KafkaError::Setup(_))));
        // The library tells of the same failure again only after a while.
        self.is_refused = is_refused || (self.is_refused && delivery.values().any(Result::is_err));
        delivery
    }

    fn connects(&self) -> u64 {
        self.life.connects()
    }
}

impl Drop for LibrdkafkaSender {
    fn drop(&mut self) {
        self.life.end_and_wait();
    }
}
