//! The one flag that says "end now", and the signals that raise it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

const STEP: Duration = Duration::from_millis(20);

/// Raised once, seen by everyone who waits.
#[derive(Clone, Default)]
pub(crate) struct Ending(Arc<AtomicBool>);

impl Ending {
    /// Raised by SIGTERM, SIGINT and SIGHUP; the second of them ends the process at once, and its children with it.
    pub(crate) fn on_signals() -> Result<Self> {
        let ending = Self::on_termination()?;
        flag::register(SIGHUP, Arc::clone(&ending.0)).context("could not listen for SIGHUP")?;
        Ok(ending)
    }

    /// As [`Ending::on_signals`], but leaves SIGHUP to the caller.
    pub(crate) fn on_termination() -> Result<Self> {
        let ending = Self::default();
        // A flag of its own: our input may end just before the first signal arrives, which is then still the first.
        let was_told = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&was_told))
                .and_then(|_| flag::register(signal, Arc::clone(&was_told)))
                .and_then(|_| flag::register(signal, Arc::clone(&ending.0)))
                .with_context(|| format!("could not listen for signal {signal}"))?;
        }
        Ok(ending)
    }

    /// Says that it is time to end.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it is time to end.
    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits for `duration`, less when the end comes sooner. True when time has passed and there is no end in sight.
    pub(crate) fn sleep(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        while !self.is_raised() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(STEP));
        }
        false
    }
}
