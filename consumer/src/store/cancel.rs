//! Cancels statements that the process can no longer wait for.
//!
//! A statement may wait for a lock, or for a reader's transaction, for as long as the server lets it. A thread that is told
//! to end cannot see that while it waits for the answer, so another one asks the server to cancel the statement.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use isitup_shared::shutdown::Shutdown;
use postgres::CancelToken;

use super::deadline::Watch;

/// How often it is looked whether the shutdown has started.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A cancellation may come between two statements and hit neither, so it is asked for again after so long.
const AGAIN: Duration = Duration::from_millis(500);

/// Cancels the statement that one connection has under way.
#[derive(Clone)]
pub(super) struct Canceller {
    token: CancelToken,
    watch: Watch,
}

impl Canceller {
    pub(super) fn new(token: CancelToken, watch: Watch) -> Self {
        Self { token, watch }
    }

    /// Asks the server to, in a thread of its own: the way there may be a black hole.
    fn cancel(&self) {
        let Self { token, watch } = self.clone();
        let ask = move || {
            if let Err(error) = token.cancel_query(watch) {
                log::debug!("a statement could not be cancelled: {error}");
            }
        };
        if let Err(error) = thread::Builder::new().name("cancel".into()).spawn(ask) {
            log::warn!("a statement could not be cancelled: {error}");
        }
    }
}

/// Does `work`, and cancels statements of its connection while it lasts once the shutdown has started or `limit` has passed.
pub(super) fn interruptible<T>(
    canceller: &Canceller,
    shutdown: &Shutdown,
    limit: Duration,
    work: impl FnOnce() -> T,
) -> T {
    // Held until the work has ended, also by a panic.
    let (ended, has_ended) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| watch(canceller, shutdown, limit, has_ended));
        let result = work();
        drop::<mpsc::Sender<()>>(ended);
        result
    })
}

fn watch(canceller: &Canceller, shutdown: &Shutdown, limit: Duration, has_ended: Receiver<()>) {
    let begun = Instant::now();
    let mut pause = LOOK_EVERY;
    while has_ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        if shutdown.is_triggered() || begun.elapsed() >= limit {
            canceller.cancel();
            pause = AGAIN;
        }
    }
}
