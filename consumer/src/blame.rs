//! The rule by which one record is blamed for what PostgreSQL refuses, so that none is tried for ever, and no trouble of
//! the whole database is taken for bad data.
//!
//! An error that names the data (a value out of range, a violated CHECK) points at a record of the batch by itself. Any
//! other error counts only by comparison: after each failure harmless records of every type are written in the same place
//! and rolled back, the *control*. Where the control fails too, the trouble concerns all, and the count begins again. Where
//! the control passes and the batch fails, again and again, it is the batch: it is halved, down to one record, and that one
//! is set aside after as many failures of its own. What the server calls a state of its own (a full disk, a lock, a missing
//! right, read-only) never counts against a record, however long it lasts: its partition waits, and others go on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::store::Fault;

/// What it takes to blame a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Proof {
    /// So many failures in a row, after each of which the control passed.
    failures: u32,
    /// Over at least so long.
    over: Duration,
}

/// What it takes with this fault; `None` where nothing is proof. Less is enough where the same symptom was proved lately.
fn proof(fault: Fault, is_known: bool) -> Option<Proof> {
    let proof = |failures, seconds| Some(Proof { failures, over: Duration::from_secs(seconds) });
    match fault {
        Fault::Data => proof(1, 0),
        Fault::Odd | Fault::Conflict | Fault::Slow if is_known => proof(1, 0),
        Fault::Odd | Fault::Conflict => proof(5, 2),
        // Each of them took half a minute.
        Fault::Slow => proof(3, 0),
        // A record that ends the server's process each time looks just like an outage, but for the control.
        Fault::Away if is_known => proof(2, 0),
        Fault::Away => proof(8, 30),
        Fault::NoPartition | Fault::State => None,
    }
}

/// What to do with a batch that failed while the control passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is proved yet: try it again later.
    Wait,
    /// One of its records is to blame.
    Halve,
    /// It is one record, and that one is to blame.
    SetAside,
}

/// A run of records of one partition that keeps failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suspect {
    /// The offset that it begins at.
    pub position: i64,
    /// How many records it has.
    pub size: usize,
    failures: u32,
    since: Instant,
}

impl Suspect {
    /// A run that has not failed yet.
    pub(crate) fn new(position: i64, size: usize, now: Instant) -> Self {
        Self { position, size, failures: 0, since: now }
    }

    /// The control failed as well: what was counted may have been of that trouble.
    pub(crate) fn acquit(&mut self, now: Instant) {
        (self.failures, self.since) = (0, now);
    }

    /// It failed, and the control passed.
    pub(crate) fn failed(&mut self, fault: Fault, is_known: bool, now: Instant) -> Verdict {
        self.failures += 1;
        let is_proved = proof(fault, is_known).is_some_and(|proof| {
            self.failures >= proof.failures && now.saturating_duration_since(self.since) >= proof.over
        });
        match (is_proved, self.size) {
            (false, _) => Verdict::Wait,
            (true, 0 | 1) => Verdict::SetAside,
            (true, _) => Verdict::Halve,
        }
    }
}

/// For so long a symptom that was proved is known.
const KNOWN_FOR: Duration = Duration::from_secs(600);

/// Symptoms of which it was proved lately that a record causes them: the next record with the same does not hold up the
/// others for as long.
#[derive(Debug, Default)]
pub(crate) struct KnownSymptoms {
    proved: HashMap<String, Instant>,
}

impl KnownSymptoms {
    /// A record was set aside for this.
    pub(crate) fn prove(&mut self, symptom: String, now: Instant) {
        self.proved.retain(|_, at| now.saturating_duration_since(*at) < KNOWN_FOR);
        self.proved.insert(symptom, now);
    }

    /// Whether one was lately.
    pub(crate) fn contains(&self, symptom: &str, now: Instant) -> bool {
        self.proved.get(symptom).is_some_and(|at| now.saturating_duration_since(*at) < KNOWN_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [Fault; 2] = [Fault::State, Fault::NoPartition];

    /// The verdicts on a run that fails each second.
    fn verdicts(size: usize, fault: Fault, is_known: bool, count: u64) -> Vec<Verdict> {
        let begin = Instant::now();
        let mut suspect = Suspect::new(7, size, begin);
        (0..count).map(|second| suspect.failed(fault, is_known, begin + Duration::from_secs(second))).collect()
    }

    #[test]
    fn an_odd_error_is_blamed_on_a_record_after_five_failures_beside_a_passing_control() {
        use Verdict::{Halve, SetAside, Wait};
        assert_eq!(verdicts(1, Fault::Odd, false, 5), [Wait, Wait, Wait, Wait, SetAside]);
        assert_eq!(verdicts(2, Fault::Odd, false, 5), [Wait, Wait, Wait, Wait, Halve]);
        assert_eq!(verdicts(1, Fault::Odd, true, 1), [SetAside]);
        assert_eq!(verdicts(1, Fault::Data, false, 1), [SetAside]);
    }

    #[test]
    fn failures_in_one_moment_prove_nothing() {
        let now = Instant::now();
        let mut suspect = Suspect::new(7, 1, now);
        let all: Vec<Verdict> = (0..100).map(|_| suspect.failed(Fault::Odd, false, now)).collect();
        assert_eq!(all, [Verdict::Wait; 100]);
    }

    #[test]
    fn a_failed_control_begins_the_count_again() {
        let begin = Instant::now();
        let mut suspect = Suspect::new(7, 1, begin);
        for second in 0..100 {
            let now = begin + Duration::from_secs(second);
            if second % 5 == 4 {
                suspect.acquit(now);
            } else {
                assert_eq!(suspect.failed(Fault::Odd, false, now), Verdict::Wait, "after {second} s");
            }
        }
    }

    #[test]
    fn a_state_of_the_server_is_never_blamed_on_a_record() {
        for fault in STATES {
            assert!(verdicts(1, fault, true, 100_000).iter().all(|verdict| *verdict == Verdict::Wait), "{fault:?}");
        }
    }

    #[test]
    fn a_record_that_looks_like_an_outage_is_blamed_after_half_a_minute() {
        let blamed = |is_known| verdicts(1, Fault::Away, is_known, 60).iter().position(|v| *v == Verdict::SetAside);
        assert_eq!((blamed(false), blamed(true)), (Some(30), Some(1)));
    }

    #[test]
    fn a_proved_symptom_is_known_for_ten_minutes() {
        let (mut known, now) = (KnownSymptoms::default(), Instant::now());
        known.prove("P0001".into(), now);
        assert!(known.contains("P0001", now) && !known.contains("P0002", now));
        assert!(!known.contains("P0001", now + KNOWN_FOR));
    }
}
