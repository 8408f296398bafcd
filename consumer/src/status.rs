//! What this process can and cannot do right now, for `/health/ready` and the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use isitup_shared::heartbeat::Heartbeat;
use isitup_shared::http::Health;

/// Parts of the service that may be in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The topic is not the one that was read.
    Topic,
    /// Connection to the brokers, and the partitions held.
    Kafka,
    /// The pipeline's transactions.
    Database,
    /// The leases' transactions.
    Leases,
    /// Partitions, sums and retention.
    Housekeeping,
}

/// The troubles of each part.
#[derive(Debug)]
pub(crate) struct Status {
    troubles: Mutex<BTreeMap<Part, String>>,
    /// The heartbeat of the thread that reads and stores.
    pub pipeline: Heartbeat,
    /// The heartbeat of the thread that keeps the leases.
    pub keeper: Heartbeat,
    /// The heartbeat of the thread that keeps house.
    pub housekeeper: Heartbeat,
}

/// A task of the housekeeping is one statement of an hour at most, and a few short ones.
const LONGEST_TASK: Duration = Duration::from_secs(2 * 3600);

/// Each call to Kafka and each statement is bounded; a round has many of them. Waiting for either of the two beats on.
const LONGEST_ROUND: Duration = Duration::from_secs(600);

impl Status {
    /// A service whose `parts` have not answered yet.
    pub(crate) fn starting(parts: &[Part]) -> Self {
        let troubles = parts.iter().map(|part| (*part, format!("{part:?} has not answered yet"))).collect();
        Self {
            troubles: Mutex::new(troubles),
            pipeline: Heartbeat::new("pipeline", LONGEST_ROUND),
            keeper: Heartbeat::new("keeper of the leases", LONGEST_ROUND),
            housekeeper: Heartbeat::new("housekeeper", LONGEST_TASK),
        }
    }

    /// This part works.
    pub(crate) fn well(&self, part: Part) {
        self.lock().remove(&part);
    }

    /// This part does not work, and why.
    pub(crate) fn trouble(&self, part: Part, why: impl Into<String>) {
        self.lock().insert(part, why.into());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Part, String>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Health for Status {
    fn live(&self) -> Result<(), String> {
        Heartbeat::check_all(&[&self.pipeline, &self.keeper, &self.housekeeper])
    }

    fn ready(&self) -> Result<(), String> {
        let troubles = self.lock();
        if troubles.is_empty() {
            return Ok(());
        }
        let lines: Vec<&str> = troubles.values().map(String::as_str).collect();
        Err(lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_ready_when_all_parts_are_well() {
        let status = Status::starting(&[Part::Kafka, Part::Database]);
        status.well(Part::Kafka);
        assert!(status.ready().is_err());
        status.well(Part::Database);
        assert_eq!(status.ready(), Ok(()));
        status.trouble(Part::Topic, "recreated");
        assert_eq!(status.ready(), Err("recreated".into()));
    }
}
