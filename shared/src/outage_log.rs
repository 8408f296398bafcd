//! When to log that something is away: each reason at once, then again at growing intervals, at most 5 minutes apart.

use std::time::{Duration, Instant};

/// The first repetition comes after this long, each next after twice as long.
const FIRST_INTERVAL: Duration = Duration::from_secs(5);
/// The longest silence.
const LONGEST_INTERVAL: Duration = Duration::from_secs(300);
/// So many reasons are logged as soon as they show; a reason that never stays the same must not fill the log.
const MOST_REASONS: usize = 10;

/// Decides when an outage is logged. Knows nothing of the words.
#[derive(Debug, Default)]
pub struct OutageLog {
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    next_at: Instant,
    interval: Duration,
    logged: Vec<String>,
}

/// What is to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A reason that was not logged in this outage.
    First,
    /// The outage goes on, for so long by now.
    Again(Duration),
}

impl OutageLog {
    /// Takes a failure, and returns what is to be logged of it, if anything.
    pub fn failed(&mut self, now: Instant, reason: &str) -> Option<Notice> {
        let outage = self.outage.get_or_insert_with(|| Outage {
            since: now,
            next_at: now,
            interval: FIRST_INTERVAL,
            logged: Vec::new(),
        });
        if outage.logged.len() < MOST_REASONS && outage.logged.iter().all(|logged| logged != reason) {
            outage.next_at = now + outage.interval;
            outage.logged.push(reason.to_owned());
            return Some(Notice::First);
        }
        if now < outage.next_at {
            return None;
        }
        outage.interval = (outage.interval * 2).min(LONGEST_INTERVAL);
        outage.next_at = now + outage.interval;
        Some(Notice::Again(now.saturating_duration_since(outage.since)))
    }

    /// Ends the outage. Returns how long it took, where there was one.
    pub fn succeeded(&mut self) -> Option<Duration> {
        self.outage.take().map(|outage| outage.since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_logged_again_for_as_long_as_it_lasts() {
        let (mut log, begin) = (OutageLog::default(), Instant::now());
        let times: Vec<u64> =
            (0..2000).filter(|second| log.failed(begin + Duration::from_secs(*second), "away").is_some()).collect();
        assert_eq!(times, [0, 5, 15, 35, 75, 155, 315, 615, 915, 1215, 1515, 1815]);
        assert!(log.succeeded().is_some() && log.succeeded().is_none());
        assert_eq!(log.failed(begin, "away"), Some(Notice::First));
    }
}
