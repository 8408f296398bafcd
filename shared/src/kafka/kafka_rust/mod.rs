//! The seam over the kafka crate (kafka-rust): plaintext, brokers from 0.10 to 3.9. The crate never reconnects, never
//! compares correlation ids and bounds no wait, so its client is used only behind a probe of each broker ([`probe`]),
//! on a thread that can be left behind ([`session`]), and is thrown away with all it learnt after any error.

mod failure;
mod fetch;
mod pace;
mod probe;
mod produce;
mod session;
mod sets;
mod single;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::debug;

use self::pace::Pace;
use self::probe::Fault;
use self::session::{Leaders, Session};
use super::set_size::SetSize;
use super::{Delivery, Fetched, KafkaError, OffsetRange, Receiver, Record, Sender};
use crate::config::{KafkaConfig, TopicShape};

/// The longest a call may take. Above the broker's own limit for a produce, so that its answer comes first.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// Waits between tries for a topic that the broker may be making just now; some 2 s in all.
const SETTLE_PAUSES: [u64; 6] = [20, 50, 100, 300, 600, 900];
/// So many of them once some partitions have a leader: those must not be delayed by one that has none for long.
const SHORT_PAUSES: usize = 3;

/// Sends and receives through the kafka crate. Serves one thread; connects on first use, and anew after any error.
pub(super) struct KafkaRust {
    brokers: Vec<String>,
    shape: TopicShape,
    session: Option<Session>,
    /// How many bytes are sent in one call.
    sending: Pace,
    /// How many bytes of a partition are fetched in one call.
    fetching: Pace,
    /// The most bytes of a set.
    set_size: SetSize,
    /// Partitions that need more than [`fetch::SIZE`] bytes to get on, and how many.
    sizes: HashMap<(String, i32), i32>,
    /// Offsets at which a partition holds what the crate cannot read.
    unreadable: HashMap<(String, i32), i64>,
    /// When a call to each leader failed last: how many had failed before it.
    failures: HashMap<String, usize>,
    /// How many calls to leaders have failed.
    failed: usize,
    /// After mirroring failed: until when it rests, and why.
    mirror_rests: Option<(Instant, KafkaError)>,
    /// How many sessions there have been.
    connects: u64,
}

impl KafkaRust {
    /// A client for the brokers of `config`; nothing is connected yet.
    pub(super) fn new(config: &KafkaConfig) -> Self {
        Self {
            brokers: config.brokers.clone(),
            shape: config.create_topic,
            session: None,
            sending: Pace::new(sets::CALL_SIZE),
            fetching: Pace::new(fetch::SIZE as usize),
            set_size: SetSize::new(sets::SET_LIMIT),
            sizes: HashMap::new(),
            unreadable: HashMap::new(),
            failures: HashMap::new(),
            failed: 0,
            mirror_rests: None,
            connects: 0,
        }
    }

    /// The session there is, if it may still be used, else a new one.
    fn session(&mut self) -> Result<&mut Session, KafkaError> {
        let kept = self.session.take().filter(Session::is_fresh);
        let session = match kept {
            Some(session) => session,
            None => {
                let session = self.connect()?;
                self.connects += 1;
                session
            }
        };
        Ok(self.session.insert(session))
    }

    /// Begins with the first configured broker that proves to be one.
    fn connect(&self) -> Result<Session, KafkaError> {
        let mut reasons = Vec::new();
        for broker in &self.brokers {
            match probe::probe(broker) {
                Ok(address) => return Session::start(broker, address),
                Err(Fault::TooNew(request)) => return Err(KafkaError::TooNew { request }),
                Err(Fault::Unreachable(reason)) if self.brokers.len() == 1 => reasons.push(reason),
                Err(Fault::Unreachable(reason)) => reasons.push(format!("{broker}: {reason}")),
            }
        }
        Err(KafkaError::Unreachable { brokers: self.brokers.join(","), reason: reasons.join("; ") })
    }

    /// Runs `work` on the client, and drops it with its session after any error.
    fn call<T, F>(&mut self, work: F) -> Result<T, KafkaError>
    where
        T: Send + 'static,
        F: FnOnce(&mut kafka::client::KafkaClient) -> kafka::Result<T> + Send + 'static,
    {
        self.call_within(CALL_LIMIT, work)
    }

    fn call_within<T, F>(&mut self, limit: Duration, work: F) -> Result<T, KafkaError>
    where
        T: Send + 'static,
        F: FnOnce(&mut kafka::client::KafkaClient) -> kafka::Result<T> + Send + 'static,
    {
        let result = self.session()?.call(limit, work);
        if let Err(error) = &result {
            debug!("dropped the Kafka connection: {error}");
            self.session = None;
        }
        result
    }

    /// The leaders of `topic`, as this session knows them. Asking a broker for a topic by name is what makes it.
    fn leaders(&mut self, topic: &str) -> Result<Leaders, KafkaError> {
        if let Some(leaders) = self.session()?.leaders.get(topic) {
            return Ok(Arc::clone(leaders));
        }
        let mut leaders = self.load(topic)?;
        // A topic in the making has no partitions for a moment, then partitions without leaders.
        for (number, pause) in SETTLE_PAUSES.into_iter().enumerate() {
            let is_settled = !leaders.is_empty() && leaders.iter().all(Option::is_some);
            let is_led_in_part = leaders.iter().any(Option::is_some);
            if is_settled || (is_led_in_part && number >= SHORT_PAUSES) {
                break;
            }
            thread::sleep(Duration::from_millis(pause));
            leaders = self.load(topic)?;
        }
        if leaders.is_empty() {
            return Err(self.no_topic(topic));
        }
        if let Some(session) = &mut self.session {
            session.leaders.insert(topic.to_owned(), Arc::clone(&leaders));
        }
        Ok(leaders)
    }

    fn load(&mut self, topic: &str) -> Result<Leaders, KafkaError> {
        let topic = topic.to_owned();
        self.call(move |client| {
            client.load_metadata(&[&topic])?;
            let topics = client.topics();
            let Some(partitions) = topics.partitions(&topic) else { return Ok(Leaders::from([])) };
            Ok(partitions.iter().map(|partition| partition.leader().map(|broker| Arc::from(broker.host()))).collect())
        })
    }

    fn no_topic(&self, topic: &str) -> KafkaError {
        KafkaError::NoTopic {
            topic: topic.to_owned(),
            brokers: self.brokers.join(","),
            partitions: self.shape.partitions,
            replication_factor: self.shape.replication_factor,
            is_secured: false,
        }
    }

    /// Leaders in the order in which to call them. A failed call takes the session of all of them with it, so those come
    /// first whose last failure is the longest ago: one that hangs holds up none of the others for good.
    fn in_turn<T>(&self, led: BTreeMap<Arc<str>, T>) -> Vec<(Arc<str>, T)> {
        let mut led: Vec<(Arc<str>, T)> = led.into_iter().collect();
        led.sort_by_key(|(leader, _)| self.failures.get(leader.as_ref()));
        led
    }

    /// Remembers that a call to `leader` failed.
    fn note_failure(&mut self, leader: &str) {
        self.failures.insert(leader.to_owned(), self.failed);
        self.failed = self.failed.wrapping_add(1);
    }

    /// Makes the next call ask for the leaders of `topic` again.
    fn forget_leaders(&mut self, topic: &str) {
        if let Some(session) = &mut self.session {
            session.leaders.remove(topic);
        }
    }

    /// Probes `leader`, a broker that the cluster named, before the crate connects to it without a limit. What the crate
    /// then connects to is the name again, each of its addresses in turn; the limit on calls covers the rest.
    fn vet(&mut self, topic: &str, leader: &str) -> Result<(), KafkaError> {
        let session = self.session()?;
        if session.vetted.contains(leader) {
            return Ok(());
        }
        match probe::probe(leader) {
            Ok(_) => {
                session.vetted.insert(leader.to_owned());
                Ok(())
            }
            Err(Fault::TooNew(request)) => Err(KafkaError::TooNew { request }),
            Err(Fault::Unreachable(reason)) => {
                let named_by = session.broker.clone();
                self.forget_leaders(topic);
                Err(KafkaError::Unreachable {
                    brokers: leader.to_owned(),
                    reason: format!("{reason} (broker {named_by} names this address; its advertised.listeners set it)"),
                })
            }
        }
    }
}

/// One of the topic's settings, from the first broker that tells it.
pub(super) fn topic_setting(config: &KafkaConfig, setting: &str) -> Option<String> {
    config.brokers.iter().find_map(|broker| single::topic_setting(broker, &config.topic, setting).ok()).flatten()
}

/// Groups `items` by the leader of their partition; those without one come with the reason.
#[allow(clippy::type_complexity)]
fn by_leader<T>(
    leaders: &Leaders,
    items: impl IntoIterator<Item = (i32, T)>,
) -> (BTreeMap<Arc<str>, Vec<T>>, Vec<(i32, KafkaError)>) {
    let mut led: BTreeMap<Arc<str>, Vec<T>> = BTreeMap::new();
    let mut lost = Vec::new();
    for (partition, item) in items {
        match usize::try_from(partition).ok().and_then(|index| leaders.get(index)) {
            Some(Some(leader)) => led.entry(Arc::clone(leader)).or_default().push(item),
            Some(None) => lost.push((partition, KafkaError::LeaderMoving(format!("partition {partition} has none")))),
            None => lost.push((
                partition,
                KafkaError::LeaderMoving(format!("there is no partition {partition}, the topic has {}", leaders.len())),
            )),
        }
    }
    (led, lost)
}

impl Sender for KafkaRust {
    fn partition_count(&mut self, topic: &str) -> Result<u32, KafkaError> {
        self.forget_leaders(topic);
        self.leaders(topic).map(|leaders| u32::try_from(leaders.len()).unwrap_or(u32::MAX))
    }

    fn send(&mut self, topic: &str, records: &[Record<'_>]) -> Delivery {
        produce::send(self, topic, records)
    }

    fn connects(&self) -> u64 {
        self.connects
    }
}

impl Receiver for KafkaRust {
    fn offsets(&mut self, topic: &str) -> Result<BTreeMap<i32, OffsetRange>, KafkaError> {
        fetch::offsets(self, topic)
    }

    fn fetch(&mut self, topic: &str, positions: &[(i32, i64)]) -> Result<Vec<Fetched>, KafkaError> {
        fetch::fetch(self, topic, positions)
    }

    fn notices_another_topic(&self) -> bool {
        false
    }

    fn mirror_offsets(&mut self, group: &str, topic: &str, positions: &[(i32, i64)]) -> Result<(), KafkaError> {
        fetch::mirror_offsets(self, group, topic, positions)
    }

    fn connects(&self) -> u64 {
        self.connects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Format, KafkaClient};

    #[test]
    fn partitions_are_grouped_by_leader_and_those_without_one_are_told() {
        let leaders: Leaders = [Some("a:1"), Some("b:1"), None, Some("a:1")].map(|host| host.map(Arc::from)).into();
        let (led, lost) = by_leader(&leaders, (0..5).chain([-1]).map(|partition| (partition, partition)));
        assert_eq!(
            led.into_iter().map(|(host, items)| (host.to_string(), items)).collect::<Vec<_>>(),
            [("a:1".to_owned(), vec![0, 3]), ("b:1".to_owned(), vec![1])]
        );
        let lost: Vec<_> = lost.into_iter().map(|(partition, _)| partition).collect();
        assert_eq!(lost, [2, 4, -1]);
    }

    #[test]
    fn leaders_that_failed_come_last_and_the_latest_of_them_at_the_very_end() {
        let (brokers, topic, create_topic) = (Vec::new(), String::new(), TopicShape::default());
        let config = KafkaConfig { client: KafkaClient::KafkaRust, brokers, topic, format: Format::Json, create_topic };
        let mut kafka = KafkaRust::new(&config);
        let order = |kafka: &KafkaRust| -> Vec<String> {
            let led = ["a:1", "b:1", "c:1"].map(|leader| (Arc::from(leader), ())).into();
            kafka.in_turn(led).into_iter().map(|(leader, ())| leader.to_string()).collect()
        };
        assert_eq!(order(&kafka), ["a:1", "b:1", "c:1"]);
        kafka.note_failure("a:1");
        kafka.note_failure("b:1");
        assert_eq!(order(&kafka), ["c:1", "a:1", "b:1"]);
        kafka.note_failure("a:1");
        assert_eq!(order(&kafka), ["c:1", "b:1", "a:1"]);
    }

    #[test]
    fn both_sides_can_move_to_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<KafkaRust>();
    }
}
