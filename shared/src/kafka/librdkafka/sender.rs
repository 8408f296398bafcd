//! Sending. A record is handed to the library once and stays in flight until its report comes, however many calls that
//! takes: the library sends it again by itself, and its idempotent producer keeps Kafka from storing it twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer as _, ThreadedProducer};

use super::super::{Delivery, KafkaError, Record, Sender};
use super::context::{Context, Flight};
use super::life::{Alive, Life};
use super::settings::{BATCH_LIMIT, Settings};
use super::{ASK_LIMIT, CALL_LIMIT, topics, trouble};
use crate::config::{KafkaConfig, Security};

/// How long the others wait for partitions whose broker says nothing. Those stay in flight.
const STRAGGLER_LIMIT: Duration = Duration::from_secs(3);
/// How long a client lives at least whose records are refused for what only a setting mends.
const REFUSED_LIMIT: Duration = Duration::from_secs(5);
/// Between looks at what is reported.
const LOOK: Duration = Duration::from_millis(250);

pub(super) type Client = ThreadedProducer<Context, NoCustomPartitioner>;

/// Sends through librdkafka. Connects on first use.
pub(in super::super) struct LibrdkafkaSender {
    settings: Settings,
    life: Life<Client>,
    /// What was handed over, by partition, in order.
    flights: BTreeMap<i32, VecDeque<Arc<Flight>>>,
    /// Less than [`BATCH_LIMIT`] once a broker found that too large.
    batch_limit: usize,
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
            flights: BTreeMap::new(),
            batch_limit: BATCH_LIMIT,
            is_refused: false,
        }
    }

    /// The client there is, or a new one where there is none or it is dead.
    fn client(&mut self) -> Result<&Alive<Client>, KafkaError> {
        if self.life.is_dead() {
            self.restart();
        }
        let (settings, batch_limit) = (&self.settings, self.batch_limit);
        self.life.ensure(settings, |context| {
            let client = settings.producer(batch_limit)?.create_with_context(context);
            client.map_err(|error| trouble::of_creation(&error, settings))
        })
    }

    /// Makes the next call begin with a new client. What is in flight will be handed over again.
    fn restart(&mut self) {
        self.life.end();
        self.flights.clear();
        self.is_refused = false;
    }

    /// Hands over what of `records` is not in flight or delivered yet.
    fn hand_over(&mut self, topic: &str, partition: i32, records: &[&Record<'_>]) -> Result<(), KafkaError> {
        let mut flights = self.flights.remove(&partition).unwrap_or_default();
        let known = records.iter().zip(&flights).take_while(|(record, flight)| is_same(record, flight)).count();
        flights.truncate(known);
        drop_failed(&mut flights);
        let mut result = Ok(());
        // While some of it is open after a failure nothing later follows, so that the order stays.
        if !flights.iter().any(|flight| matches!(flight.outcome.get(), Some(Err(_)))) {
            let alive = self.client()?;
            for record in records.iter().skip(flights.len()) {
                match hand_to(&alive.client, &alive.context, topic, record) {
                    Ok(flight) => flights.push_back(flight),
                    Err(code) => {
                        result = Err(code);
                        break;
                    }
                }
            }
        }
        self.flights.insert(partition, flights);
        result.map_err(|code| self.refusal(code, partition))
    }

    /// What is known of a partition by now; `None` while it is in flight.
    fn outcome(&mut self, partition: i32, asked: usize) -> Option<Result<(), KafkaError>> {
        let Some(flights) = self.flights.get_mut(&partition) else {
            // All that was in flight is handed over again.
            return Some(Err(KafkaError::Connection("the client was given up".to_owned())));
        };
        if is_open(flights) {
            return None;
        }
        let failure = flights.iter().find_map(|flight| flight.outcome.get()?.err());
        if failure.is_none() && flights.len() == asked {
            self.flights.remove(&partition);
            return Some(Ok(()));
        }
        drop_failed(flights);
        Some(Err(failure.map_or_else(
            || KafkaError::Connection("not all was handed over".to_owned()),
            |code| self.refusal(code, partition),
        )))
    }

    /// What a code means for a partition, and what the next call must do otherwise.
    fn refusal(&mut self, code: RDKafkaErrorCode, partition: i32) -> KafkaError {
        let known = self.life.trouble();
        if code == RDKafkaErrorCode::MessageSizeTooLarge {
            return self.shrink();
        }
        if code == RDKafkaErrorCode::Fatal {
            self.restart();
        }
        match known {
            Some(error @ KafkaError::Setup(_)) => error,
            _ => trouble::of_partition(code, partition, &self.settings),
        }
    }

    /// The broker found a batch too large.
    fn shrink(&mut self) -> KafkaError {
        const LEAST: usize = 1024;
        if self.batch_limit <= LEAST {
            let message = "a record is larger than the topic's max.message.bytes; raise that";
            return KafkaError::Refused(message.to_owned());
        }
        self.batch_limit = (self.batch_limit / 2).max(LEAST);
        let limit = self.batch_limit;
        self.restart();
        KafkaError::Refused(format!("a batch was too large; next time at most {limit} bytes are sent in one"))
    }

    /// Waits until each partition has its outcome. When some have, the others are not waited for much longer: what they
    /// have in flight stays there.
    fn await_reports(&mut self, asked: &BTreeMap<i32, Vec<&Record<'_>>>, delivery: &mut Delivery) {
        let mut begun = Instant::now();
        while let Some(alive) = self.life.alive() {
            let reported = alive.context.wait_for_reports(LOOK);
            let is_dead = alive.context.is_dead();
            let is_setup = matches!(alive.context.trouble(), Some(KafkaError::Setup(_)));
            for (partition, records) in asked {
                if !delivery.contains_key(partition)
                    && let Some(outcome) = self.outcome(*partition, records.len())
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

/// Once all is reported, those that were delivered need not go again; from the first that was not on, all do.
fn drop_failed(flights: &mut VecDeque<Arc<Flight>>) {
    if !is_open(flights) {
        let well = flights.iter().take_while(|flight| flight.outcome.get() == Some(&Ok(()))).count();
        flights.truncate(well);
    }
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
            if let Err(error) = self.hand_over(topic, *partition, records) {
                delivery.insert(*partition, Err(error));
            }
        }
        self.await_reports(&asked, &mut delivery);
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
