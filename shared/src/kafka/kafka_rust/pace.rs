//! How much one call carries: little where no answer came in time, as on a slow line, then again more. A backlog sent or
//! fetched at once would never get through a line on which that takes longer than a call may: each try would end too
//! early, and what it left under way would hold up the next.

use std::time::Duration;

use super::super::KafkaError;
use super::CALL_LIMIT;

/// A size that adapts.
#[derive(Debug)]
pub(super) struct Pace {
    size: usize,
    most: usize,
}

/// Gets through within [`CALL_LIMIT`] where hardly anything does.
const LEAST: usize = 32 << 10;

impl Pace {
    /// Begins with the most there may be.
    pub(super) fn new(most: usize) -> Self {
        Self { size: most, most }
    }

    /// What the next call should carry at most.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// A call ended after `took`. Twice as much comes only where twice as long is well within the limit.
    pub(super) fn learn<T>(&mut self, result: &Result<T, KafkaError>, took: Duration) {
        match result {
            Err(KafkaError::NoAnswer { .. }) => self.size = LEAST,
            Ok(_) if took < CALL_LIMIT / 4 => self.size = (self.size * 2).min(self.most),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_answer_that_did_not_come_calls_begin_small_and_grow_while_answers_come_quickly() {
        let mut pace = Pace::new(8 << 20);
        pace.learn(&Err::<(), _>(KafkaError::NoAnswer { seconds: 15 }), CALL_LIMIT);
        assert_eq!(pace.size(), LEAST);
        pace.learn(&Ok(()), Duration::ZERO);
        pace.learn(&Ok(()), CALL_LIMIT / 2);
        assert_eq!(pace.size(), LEAST * 2, "in time, but twice that would hardly be");
        pace.learn(&Err::<(), _>(KafkaError::Connection("reset".to_owned())), Duration::ZERO);
        assert_eq!(pace.size(), LEAST * 2);
        (0..20).for_each(|_| pace.learn(&Ok(()), Duration::ZERO));
        assert_eq!(pace.size(), 8 << 20);
    }
}
