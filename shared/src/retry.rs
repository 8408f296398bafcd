//! Growing pauses between tries of something that is away. The only module that knows the `backoff` crate
//! (unmaintained, fixed by the owner), of which only the intervals are used.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

use crate::shutdown::Shutdown;

/// Pauses that grow from one failure to the next, with jitter, up to a longest one; for ever.
#[derive(Debug)]
pub struct Retry {
    intervals: ExponentialBackoff,
    longest: Duration,
}

impl Retry {
    /// Pauses from about `first` up to about `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        let intervals = ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            max_interval: longest,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { intervals, longest }
    }

    /// What suits a service on the same network: 100 ms up to 5 s.
    pub fn for_service() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// The next pause, for callers that wait by other means.
    pub fn next_pause(&mut self) -> Duration {
        self.intervals.next_backoff().unwrap_or(self.longest)
    }

    /// Sleeps for the next pause. Returns whether a shutdown cut it short.
    pub fn pause(&mut self, shutdown: &Shutdown) -> bool {
        shutdown.wait(self.next_pause())
    }

    /// Begins again with the shortest pause; to be called after a success.
    pub fn reset(&mut self) {
        self.intervals.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_never_end() {
        let mut retry = Retry::new(Duration::from_millis(10), Duration::from_millis(100));
        let pauses: Vec<Duration> = (0..100).map(|_| retry.next_pause()).collect();
        assert!(pauses[0] <= Duration::from_millis(15));
        assert!(pauses[50..].iter().all(|p| (Duration::from_millis(50)..=Duration::from_millis(150)).contains(p)));
        retry.reset();
        assert!(retry.next_pause() <= Duration::from_millis(15));
    }
}
