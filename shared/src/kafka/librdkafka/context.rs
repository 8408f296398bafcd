//! What librdkafka tells by itself: log lines, troubles of its connections, and what became of each record.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::super::KafkaError;
use super::settings::Settings;
use super::trouble;

/// A record that was handed to the library.
#[derive(Debug)]
pub(super) struct Flight {
    /// The key and the value, to know it again.
    pub(super) key: Box<[u8]>,
    pub(super) value: Box<[u8]>,
    /// What the delivery report said.
    pub(super) outcome: OnceLock<Result<(), RDKafkaErrorCode>>,
}

/// Where the library's threads leave word. A clone is the same place.
#[derive(Clone, Debug)]
pub(super) struct Context {
    settings: Settings,
    word: Arc<Word>,
}

#[derive(Debug, Default)]
struct Word {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    /// Records without a report.
    under_way: usize,
    /// When the last report came.
    reported: Option<Instant>,
    /// What is the matter with the connections.
    trouble: Option<KafkaError>,
    /// How many connections were lost.
    lost: u64,
    /// The id of the topic that is read.
    topic_id: Option<String>,
    /// The library says that this client is of no more use.
    is_dead: bool,
}

impl Context {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), word: Arc::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.word.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is the matter, if the library has said so since [`Context::forget_trouble`].
    pub(super) fn trouble(&self) -> Option<KafkaError> {
        self.seen().trouble.clone()
    }

    /// Things go well.
    pub(super) fn forget_trouble(&self) {
        self.seen().trouble = None;
    }

    /// How many connections were lost.
    pub(super) fn lost(&self) -> u64 {
        self.seen().lost
    }

    /// The id of the topic that is read, as far as the library has told it: another topic of the same name has another
    /// (KIP-516).
    pub(super) fn topic_id(&self) -> Option<String> {
        self.seen().topic_id.clone()
    }

    /// Whether the library says that this client is of no more use.
    pub(super) fn is_dead(&self) -> bool {
        self.seen().is_dead
    }

    /// One more record is handed over.
    pub(super) fn depart(&self) {
        self.seen().under_way += 1;
    }

    /// A record was not taken after all.
    pub(super) fn stay(&self) {
        self.seen().under_way -= 1;
    }

    /// Waits until all that is under way is reported, or for `at_most`. Gives when the last report came.
    pub(super) fn wait_for_reports(&self, at_most: Duration) -> Option<Instant> {
        let seen = self.seen();
        let waited = self.word.changed.wait_timeout_while(seen, at_most, |seen| seen.under_way > 0 && !seen.is_dead);
        let (seen, _) = waited.unwrap_or_else(PoisonError::into_inner);
        seen.reported
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let ours = if matches!(level, RDKafkaLogLevel::Debug) { log::Level::Trace } else { log::Level::Debug };
        log::log!(ours, "librdkafka ({level:?}, {facility}): {message}");
        // What matters of it comes as an event, too, and is told in our words; but not that an idle connection was lost, nor
        // that a topic is another one.
        if facility == "FAIL" && message.contains("in state UP") {
            self.seen().lost += 1;
        }
        if let Some(id) = new_topic_id(facility, message) {
            self.seen().topic_id = Some(id.to_owned());
        }
    }

    fn error(&self, error: ClientError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        if code == RDKafkaErrorCode::PartitionEOF {
            return;
        }
        log::debug!("librdkafka: {code:?}: {reason}");
        let trouble = trouble::of_event(code, reason, &self.settings);
        let mut seen = self.seen();
        if code == RDKafkaErrorCode::Fatal {
            seen.is_dead = true;
        }
        // What can be mended by a setting is worth more than that a connection was lost over it.
        let is_known_better = matches!(seen.trouble, Some(KafkaError::Setup(_)));
        if let Some(trouble) = trouble
            && (!is_known_better || matches!(trouble, KafkaError::Setup(_)))
        {
            seen.trouble = Some(trouble);
        }
        drop(seen);
        self.word.changed.notify_all();
    }
}

/// The id that a topic has from now on, where the library's line is about that: `Topic t changed id from a to b`.
fn new_topic_id<'m>(facility: &str, message: &'m str) -> Option<&'m str> {
    let (_, ids) = message.split_once(" changed id from ").filter(|_| facility == "METADATA")?;
    ids.split_once(" to ").map(|(_, id)| id)
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Flight>;

    fn delivery(&self, result: &DeliveryResult<'_>, flight: Arc<Flight>) {
        let outcome = match result {
            Ok(stored) if stored.offset() >= 0 => Ok(()),
            // Stored nowhere that anybody could name: what the library concludes is no proof.
            Ok(_) => Err(RDKafkaErrorCode::NoOffset),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
        };
        // Each record has one report.
        let _ = flight.outcome.set(outcome);
        let mut seen = self.seen();
        seen.under_way = seen.under_way.saturating_sub(1);
        seen.reported = Some(Instant::now());
        if outcome.is_ok() {
            seen.trouble = None;
        }
        if seen.under_way == 0 {
            drop(seen);
            self.word.changed.notify_all();
        }
    }
}
