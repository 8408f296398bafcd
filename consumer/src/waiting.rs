//! Telling people that something is away: at once, then at growing intervals, and when it is back.

use std::fmt::Display;
use std::time::Instant;

use isitup_shared::outage_log::{Notice, OutageLog};

/// What is known of one thing that may be away.
#[derive(Debug)]
pub(crate) struct Patience {
    what: &'static str,
    log: OutageLog,
}

impl Patience {
    /// For `what`, as people call it.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, log: OutageLog::default() }
    }

    /// It failed: says so, unless just that was said a moment ago.
    pub(crate) fn failed(&mut self, why: &dyn Display) {
        if let Some(word) = self.word(Instant::now(), why.to_string()) {
            log::warn!("{word}");
        }
    }

    /// What there is to say of a failure.
    fn word(&mut self, now: Instant, why: String) -> Option<String> {
        let what = self.what;
        Some(match self.log.failed(now, &why)? {
            Notice::First => format!("waiting for {what}: {why}"),
            Notice::Again(since) => format!("still waiting for {what} after {} s: {why}", since.as_secs()),
        })
    }

    /// It works: says so, where it was away.
    pub(crate) fn succeeded(&mut self) {
        if let Some(outage) = self.log.succeeded() {
            log::info!("{} answers after {:.1} s", self.what, outage.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MOST_REASONS: usize = 10;

    #[test]
    fn each_reason_is_told_at_once_and_the_same_again_at_growing_intervals() {
        let (mut patience, begin) = (Patience::new("it"), Instant::now());
        let mut at = |seconds: u64, why: &str| patience.word(begin + Duration::from_secs(seconds), why.to_owned());
        for (seconds, why, expected) in [
            (0, "slow", Some("waiting for it: slow")),
            (1, "slow", None),
            (2, "wrong password", Some("waiting for it: wrong password")),
            (3, "slow", None),
            (8, "slow", Some("still waiting for it after 8 s: slow")),
            (17, "wrong password", None),
            (18, "wrong password", Some("still waiting for it after 18 s: wrong password")),
        ] {
            assert_eq!(at(seconds, why).as_deref(), expected, "after {seconds} s");
        }
        let told = (0..100).filter(|number| at(19, &format!("number {number}")).is_some()).count();
        assert_eq!(told, MOST_REASONS - 2);
    }
}
