//! One signal that ends every wait in the process.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Exit code after a second signal: 128 + SIGINT, as a shell would report it.
const ENDED_AT_ONCE: i32 = 130;

/// Signals that come so soon after the first one belong to it: `timeout` and shells signal a process and its group.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// Keeps SIGHUP from ending the process, from now on: the flag is set when one comes. A service asks for this before it
/// reads its configuration, which may take long; one-shot commands do not, and end with their terminal.
///
/// # Errors
/// When the handler cannot be set up.
pub fn hangups() -> io::Result<Arc<AtomicBool>> {
    let is_asked = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, Arc::clone(&is_asked))?;
    Ok(is_asked)
}

/// Tells all threads to finish, and wakes those that sleep. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    triggered: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl Shutdown {
    /// A shutdown that only [`Shutdown::trigger`] starts; for tests and for parts of a process.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that SIGTERM or SIGINT starts. A second signal ends the process at once with exit code 130.
    ///
    /// # Errors
    /// When the signal handlers or their thread cannot be set up.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let on_signal = shutdown.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            let mut first: Option<Instant> = None;
            for signal in signals.forever() {
                match first {
                    None => {
                        let name = signal_hook::low_level::signal_name(signal).unwrap_or("signal");
                        log::info!("{name} received: finishing");
                        first = Some(Instant::now());
                        on_signal.trigger();
                    }
                    Some(at) if at.elapsed() < SAME_SIGNAL => {}
                    Some(_) => {
                        log::warn!("second signal: ending at once");
                        std::process::exit(ENDED_AT_ONCE);
                    }
                }
            }
        })?;
        Ok(shutdown)
    }

    /// Starts the shutdown. Later calls change nothing.
    pub fn trigger(&self) {
        self.state.triggered.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        self.state.changed.notify_all();
    }

    /// Whether the shutdown has started.
    pub fn is_triggered(&self) -> bool {
        self.triggered_at().is_some()
    }

    /// When the shutdown started; `None` before.
    pub fn triggered_at(&self) -> Option<Instant> {
        *self.state.triggered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for `at_most`, or until the shutdown starts. Returns whether it has started.
    pub fn wait(&self, at_most: Duration) -> bool {
        let deadline = Instant::now() + at_most;
        let mut triggered = self.state.triggered.lock().unwrap_or_else(PoisonError::into_inner);
        while triggered.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            triggered = self.state.changed.wait_timeout(triggered, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        triggered.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeping_thread_wakes_when_the_shutdown_starts() {
        let shutdown = Shutdown::new();
        let sleeper = thread::spawn({
            let shutdown = shutdown.clone();
            move || shutdown.wait(Duration::from_secs(3600))
        });
        shutdown.trigger();
        assert!(sleeper.join().unwrap());
    }

    #[test]
    fn a_wait_without_a_shutdown_ends_by_itself() {
        assert!(!Shutdown::new().wait(Duration::from_millis(1)));
    }
}
