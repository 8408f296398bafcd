//! How many bytes of records are sent as one set: less after a broker found a set too large, and more again later, since a
//! topic's `max.message.bytes` may have been raised meanwhile.

use std::time::{Duration, Instant};

/// After so long without a refusal twice as much is tried.
const GROW_AFTER: Duration = Duration::from_secs(30);

/// A limit that adapts to what the brokers take.
#[derive(Debug)]
pub(super) struct SetSize {
    limit: usize,
    most: usize,
    /// When the limit changed last, unless it is `most`.
    changed: Option<Instant>,
}

impl SetSize {
    /// Begins with the most that is ever sent.
    pub(super) fn new(most: usize) -> Self {
        Self { limit: most, most, changed: None }
    }

    /// The bytes that the next set may have. A single record may have more.
    pub(super) fn limit(&mut self, now: Instant) -> usize {
        if self.changed.is_some_and(|at| now.saturating_duration_since(at) >= GROW_AFTER) {
            self.limit = self.limit.saturating_mul(2).min(self.most);
            self.changed = (self.limit < self.most).then_some(now);
        }
        self.limit
    }

    /// A broker found a set of `size` bytes too large.
    pub(super) fn too_large(&mut self, size: usize, now: Instant) {
        self.limit = (size / 2).clamp(1, self.most);
        self.changed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_halves_after_a_refusal_and_grows_back_to_the_most() {
        let (mut size, begin) = (SetSize::new(1000), Instant::now());
        assert_eq!(size.limit(begin), 1000);
        size.too_large(800, begin);
        size.too_large(400, begin);
        assert_eq!(size.limit(begin), 200);
        let after = |rounds: u32| begin + GROW_AFTER * rounds;
        assert_eq!([1, 2, 3, 4].map(|rounds| size.limit(after(rounds))), [400, 800, 1000, 1000]);
    }
}
