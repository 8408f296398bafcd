//! Telling people that something is away: at once, then at growing intervals, and when it is back.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// The first repetition comes after this long, each next after twice as long.
const FIRST_INTERVAL: Duration = Duration::from_secs(5);

/// The longest silence.
const LONGEST_INTERVAL: Duration = Duration::from_secs(300);

/// What is known of one thing that may be away.
#[derive(Debug)]
pub(crate) struct Patience {
    what: &'static str,
    away: Option<Away>,
}

#[derive(Debug)]
struct Away {
    since: Instant,
    next_word: Instant,
    interval: Duration,
}

impl Patience {
    /// For `what`, as people call it.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, away: None }
    }

    /// It failed: says so, unless that was said a moment ago.
    pub(crate) fn failed(&mut self, why: &dyn Display) {
        let now = Instant::now();
        match &mut self.away {
            None => {
                log::warn!("waiting for {}: {why}", self.what);
                let interval = FIRST_INTERVAL;
                self.away = Some(Away { since: now, next_word: now + interval, interval });
            }
            Some(away) if now >= away.next_word => {
                let waited = now.duration_since(away.since).as_secs();
                log::warn!("still waiting for {} after {waited} s: {why}", self.what);
                away.interval = (away.interval * 2).min(LONGEST_INTERVAL);
                away.next_word = now + away.interval;
            }
            Some(_) => {}
        }
    }

    /// It works: says so, where it was away.
    pub(crate) fn succeeded(&mut self) {
        if let Some(away) = self.away.take() {
            log::info!("{} answers after {:.1} s", self.what, away.since.elapsed().as_secs_f64());
        }
    }
}
