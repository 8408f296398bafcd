//! Whether events get to Kafka: for health, metrics, and a log that says so again and again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use isitup_shared::kafka::KafkaError;
use isitup_shared::outage_log::{Notice, OutageLog};

/// Events that wait for longer than this, while nothing is published, are told.
const LIMIT: Duration = Duration::from_secs(60);

/// What the publisher knows of its progress. Clones share it.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// When Kafka last acknowledged something, or nothing waited.
    published: Instant,
    /// Why nothing is published.
    failure: Option<KafkaError>,
    /// Partitions that take nothing: since when, and why.
    partitions: BTreeMap<i32, (Instant, String)>,
    log: OutageLog,
}

/// Why events do not get on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// What is wrong, for people.
    pub why: String,
    /// Whether the producer counts as ready all the same: Kafka itself is away, or only some partitions take nothing.
    pub is_ready: bool,
}

impl Default for Progress {
    fn default() -> Self {
        let published = Instant::now();
        let (failure, partitions) = (None, BTreeMap::new());
        Self(Arc::new(Mutex::new(State { published, failure, partitions, log: OutageLog::default() })))
    }
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was acknowledged, or there is nothing to publish.
    pub(super) fn published(&self) {
        self.lock().published = Instant::now();
    }

    /// What is wrong after a round: with Kafka, or with single partitions. Logs it where it is due.
    pub(super) fn note(&self, failure: Option<&KafkaError>, partitions: BTreeMap<i32, String>, waiting: i64) {
        let (now, mut state) = (Instant::now(), self.lock());
        let since: BTreeMap<i32, Instant> = state.partitions.iter().map(|(of, (since, _))| (*of, *since)).collect();
        let first = partitions.first_key_value().map(|(partition, why)| format!("partition {partition}: {why}"));
        let why = failure.map(ToString::to_string).or(first);
        state.failure = failure.cloned();
        state.partitions =
            partitions.into_iter().map(|(of, why)| (of, (since.get(&of).copied().unwrap_or(now), why))).collect();
        match why {
            Some(why) => match state.log.failed(now, &why) {
                Some(Notice::First) => log::warn!("events wait in the spool: {why}"),
                Some(Notice::Again(since)) => {
                    log::warn!("events still wait in the spool after {} s, {waiting} by now: {why}", since.as_secs());
                }
                None => {}
            },
            None if state.log.succeeded().is_some() => log::info!("Kafka takes events again"),
            None => {}
        }
    }

    /// For how long nothing was published although events wait.
    pub fn silence(&self, waiting: i64) -> Duration {
        if waiting > 0 { self.lock().published.elapsed() } else { Duration::ZERO }
    }

    /// How many partitions have taken nothing for long.
    pub fn stalled_partitions(&self) -> usize {
        self.lock().partitions.values().filter(|(since, _)| since.elapsed() >= LIMIT).count()
    }

    /// What keeps events from being published for longer than a minute, if something does.
    pub fn stall(&self, waiting: i64) -> Option<Stall> {
        self.stall_at(Instant::now(), waiting)
    }

    fn stall_at(&self, now: Instant, waiting: i64) -> Option<Stall> {
        let state = self.lock();
        let silence = if waiting > 0 { now.saturating_duration_since(state.published) } else { Duration::ZERO };
        let mut lines = Vec::new();
        if silence >= LIMIT {
            let partition = state.partitions.values().next().map(|(_, why)| why.clone());
            let why = state.failure.as_ref().map(ToString::to_string).or(partition);
            let why = why.unwrap_or_else(|| "no attempt has ended yet".to_owned());
            lines.push(format!(
                "nothing was published for {} s although {waiting} events wait: {why}",
                silence.as_secs()
            ));
        }
        let ages = state.partitions.iter().map(|(of, (since, why))| (of, now.saturating_duration_since(*since), why));
        lines.extend(ages.filter(|(_, age, _)| *age >= LIMIT).map(|(partition, age, why)| {
            format!("partition {partition} has not taken all events for {} s: {why}", age.as_secs())
        }));
        let is_ready = silence < LIMIT || state.failure.as_ref().is_some_and(KafkaError::is_away);
        (!lines.is_empty()).then(|| Stall { why: lines.join("\n"), is_ready })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> KafkaError {
        KafkaError::Refused("not enough replicas".to_owned())
    }

    #[test]
    fn waiting_events_of_which_none_is_published_are_told_after_a_minute() {
        let progress = Progress::default();
        progress.note(Some(&refused()), BTreeMap::new(), 7);
        let begin = progress.lock().published;
        assert_eq!(progress.stall_at(begin + Duration::from_secs(59), 7), None);
        assert_eq!(progress.stall_at(begin + LIMIT, 0), None, "nothing waits");
        let stall = progress.stall_at(begin + LIMIT, 7).unwrap();
        let why = "nothing was published for 60 s although 7 events wait: the broker refused: not enough replicas";
        assert_eq!((stall.why.as_str(), stall.is_ready), (why, false));
        progress.published();
        assert_eq!(progress.stall_at(begin + LIMIT, 7), None);
    }

    #[test]
    fn a_producer_is_ready_while_kafka_is_away_or_one_partition_fails() {
        let progress = Progress::default();
        progress.note(Some(&KafkaError::NoAnswer { seconds: 15 }), BTreeMap::new(), 7);
        let later = Instant::now() + LIMIT;
        assert!(progress.stall_at(later, 7).is_some_and(|stall| stall.is_ready));

        progress.note(None, BTreeMap::from([(3, "it has no leader".to_owned())]), 7);
        let later = Instant::now() + LIMIT;
        progress.lock().published = later;
        let stall = progress.stall_at(later, 7).unwrap();
        assert_eq!(stall.why, "partition 3 has not taken all events for 60 s: it has no leader");
        assert!(stall.is_ready);
    }
}
