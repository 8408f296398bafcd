//! The schedule's time: the wall clock's, paced by the monotonic clock, so that a step shows instead of shifting slots.

use std::time::{Duration, Instant};

use isitup_shared::event::ClockStep;
use isitup_shared::time::UtcTime;

/// A moment of both clocks, from which later moments are counted.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    monotonic: Instant,
    wall: UtcTime,
}

impl Clock {
    /// Anchored at this moment.
    pub fn new() -> Self {
        Self { monotonic: Instant::now(), wall: UtcTime::now() }
    }

    /// The time by the monotonic clock since the anchor.
    pub fn now(&self) -> UtcTime {
        self.wall.after(self.monotonic.elapsed())
    }

    /// Compares with the wall clock, and follows it. A step from [`ClockStep::SMALLEST`] on is told, as the schedule
    /// must begin anew; less is drift.
    pub fn follow(&mut self) -> Option<ClockStep> {
        self.follow_to(Instant::now(), UtcTime::now())
    }

    fn follow_to(&mut self, monotonic: Instant, wall: UtcTime) -> Option<ClockStep> {
        let expected = self.wall.after(monotonic.saturating_duration_since(self.monotonic));
        *self = Self { monotonic, wall };
        let step_us = wall.as_micros() - expected.as_micros();
        (Duration::from_micros(step_us.unsigned_abs()) >= ClockStep::SMALLEST)
            .then_some(ClockStep { at: wall, step_us })
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_and_drift_is_followed() {
        let mut clock = Clock::new();
        let (monotonic, wall) = (clock.monotonic + Duration::from_secs(10), clock.wall.after(Duration::from_secs(10)));
        assert_eq!(clock.follow_to(monotonic, wall.after(Duration::from_millis(499))), None);
        let back = UtcTime::from_micros(wall.as_micros() - 3_600_000_000);
        let step = clock.follow_to(monotonic, back).unwrap();
        assert_eq!((step.at, step.step_us), (back, -3_600_499_000));
        assert_eq!(clock.follow_to(monotonic, back), None);
    }
}
