//! Waiting for something to be so.

use std::thread;
use std::time::{Duration, Instant};

/// Far beyond what anything here takes on an idle machine; only a failing test, or a very busy machine, gets near it.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Waits until `is_so`, and fails when it never is.
#[track_caller]
pub(crate) fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    within(LIMIT, what, is_so);
}

/// Waits until `is_so`, and fails when it is not within `limit`.
#[track_caller]
pub(crate) fn within(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "not so within {limit:?}: {what}");
        thread::sleep(LOOK_EVERY);
    }
}
