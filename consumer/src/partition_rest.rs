//! Partitions that could not be read rest for a while, and the others go on without them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use isitup_shared::kafka::KafkaError;
use isitup_shared::outage_log::{Notice, OutageLog};
use isitup_shared::retry::Retry;

use crate::status::{Part, Status};

/// The first rest, and the longest: each try may delay the other partitions by a request.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// What this client cannot read it will not be able to read soon.
const LONGEST_UNREADABLE: Duration = Duration::from_secs(30);

/// The partitions that rest.
#[derive(Debug, Default)]
pub(crate) struct Resting(BTreeMap<i32, Rest>);

#[derive(Debug)]
struct Rest {
    until: Instant,
    retry: Retry,
    log: OutageLog,
}

impl Resting {
    /// A partition could not be read: it rests, longer each time.
    pub(crate) fn failed(&mut self, partition: i32, error: &KafkaError, status: &Status) {
        let longest = if matches!(error, KafkaError::Unreadable(_)) { LONGEST_UNREADABLE } else { LONGEST };
        let rest = self.0.entry(partition).or_insert_with(|| Rest {
            until: Instant::now(),
            retry: Retry::new(FIRST, longest),
            log: OutageLog::default(),
        });
        rest.until = Instant::now() + rest.retry.next_pause();
        let why = format!("partition {partition} is not read: {error}");
        match rest.log.failed(Instant::now(), &why) {
            Some(Notice::First) => log::warn!("{why}"),
            Some(Notice::Again(since)) => log::warn!("for {} s now {why}", since.as_secs()),
            None => {}
        }
        status.trouble(Part::Partition(partition), why);
    }

    /// A partition was read.
    pub(crate) fn succeeded(&mut self, partition: i32, status: &Status) {
        if let Some(mut rest) = self.0.remove(&partition) {
            status.well(Part::Partition(partition));
            if let Some(outage) = rest.log.succeeded() {
                log::info!("partition {partition} is read again after {:.1} s", outage.as_secs_f64());
            }
        }
    }

    /// Whether a partition is not to be asked for now.
    pub(crate) fn is_resting(&self, partition: i32) -> bool {
        self.0.get(&partition).is_some_and(|rest| rest.until > Instant::now())
    }

    /// How long it takes until the first of them is to be tried again.
    pub(crate) fn next_in(&self) -> Option<Duration> {
        let now = Instant::now();
        self.0.values().map(|rest| rest.until.saturating_duration_since(now)).min()
    }

    /// Keeps those that are still held.
    pub(crate) fn retain(&mut self, is_held: impl Fn(i32) -> bool) {
        self.0.retain(|partition, _| is_held(*partition));
    }
}
