//! What systemd is told by sd_notify(3): that the service has started, how it is, that it lives, reads its configuration
//! anew, and ends. Elsewhere (`NOTIFY_SOCKET` is not set) nothing of this does anything.
//!
//! Started means what `/health/live` means, not `/health/ready`: a service waits for Kafka and PostgreSQL by itself, and a
//! manager that killed it for that would only make it wait anew. What it waits for stands in the status line. The watchdog
//! is fed as long as the heartbeats of the service's own threads are felt; so a thread that hangs ends in a restart.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::http::Health;
use crate::shutdown::Shutdown;

/// How often the status is looked at.
const TICK: Duration = Duration::from_secs(1);
/// The watchdog is fed so many times within its limit, as a busy machine may be late.
const FED_WITHIN_LIMIT: u32 = 3;

/// The thread that tells. When this is dropped after the shutdown has begun, that has been told.
#[derive(Debug)]
#[must_use = "the end of the service is told only when this is dropped"]
pub struct Supervision {
    thread: Option<JoinHandle<()>>,
    shutdown: Shutdown,
}

impl Drop for Supervision {
    fn drop(&mut self) {
        // A service that fails ends without a word; its manager sees that by itself.
        if let Some(thread) = self.thread.take().filter(|_| self.shutdown.is_triggered()) {
            let _ = thread.join();
        }
    }
}

/// Says that the service has started, and goes on to tell of it until `shutdown`, on a thread of its own.
///
/// # Errors
/// When the thread cannot be started.
pub fn begin(health: Arc<dyn Health>, shutdown: &Shutdown) -> io::Result<Supervision> {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(Supervision { thread: None, shutdown: shutdown.clone() });
    }
    let watchdog = sd_notify::watchdog_enabled();
    let mut reporter = Reporter { health, has_watchdog: watchdog.is_some(), told: None };
    let pause = watchdog.map_or(TICK, |limit| TICK.min(limit / FED_WITHIN_LIMIT));
    let ends = shutdown.clone();
    let thread = thread::Builder::new().name("supervision".into()).spawn(move || {
        tell(&[NotifyState::Ready]);
        loop {
            reporter.report(tell);
            if ends.wait(pause) {
                break;
            }
        }
        tell(&[NotifyState::Stopping, NotifyState::Status("finishing")]);
    })?;
    Ok(Supervision { thread: Some(thread), shutdown: shutdown.clone() })
}

/// Tells that the configuration is being read anew while `read` does it, and that it is done.
pub fn reloading<T>(read: impl FnOnce() -> T) -> T {
    // From systemd 253 on it wants to know when; without a clock nothing is said.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
    let result = read();
    tell(&[NotifyState::Ready]);
    result
}

/// A manager that cannot be told is no reason to stop working; it will act by its own limits.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("NOTIFY_SOCKET takes nothing: {error}");
    }
}

/// Tells what has changed, and feeds the watchdog.
struct Reporter {
    health: Arc<dyn Health>,
    has_watchdog: bool,
    told: Option<String>,
}

impl Reporter {
    fn report(&mut self, tell: impl Fn(&[NotifyState<'_>])) {
        let live = self.health.live();
        if self.has_watchdog && live.is_ok() {
            tell(&[NotifyState::Watchdog]);
        }
        let status = match live.and_then(|()| self.health.ready()) {
            Ok(()) => "ready".to_owned(),
            // A line end would begin another message.
            Err(why) => why.lines().collect::<Vec<_>>().join("; "),
        };
        if self.told.as_ref() != Some(&status) {
            tell(&[NotifyState::Status(&status)]);
            self.told = Some(status);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Mutex;

    use super::*;

    /// Lives and is ready as the test says.
    #[derive(Default)]
    struct Patient {
        fault: Mutex<Option<String>>,
        lack: Mutex<Option<String>>,
    }

    impl Health for Patient {
        fn live(&self) -> Result<(), String> {
            self.fault.lock().unwrap().clone().map_or(Ok(()), Err)
        }

        fn ready(&self) -> Result<(), String> {
            self.lack.lock().unwrap().clone().map_or(Ok(()), Err)
        }
    }

    fn told(reporter: &mut Reporter) -> Vec<String> {
        let heard = RefCell::new(Vec::new());
        reporter.report(|states| heard.borrow_mut().extend(states.iter().map(ToString::to_string)));
        heard.into_inner()
    }

    #[test]
    fn the_watchdog_is_fed_while_the_threads_live_whatever_they_wait_for() {
        let patient = Arc::new(Patient::default());
        let mut reporter = Reporter { health: Arc::clone(&patient) as _, has_watchdog: true, told: None };
        assert_eq!(told(&mut reporter), ["WATCHDOG=1", "STATUS=ready"]);
        assert_eq!(told(&mut reporter), ["WATCHDOG=1"], "the same status is told once");
        *patient.lack.lock().unwrap() = Some("Kafka is away\nREADY=1".into());
        assert_eq!(told(&mut reporter), ["WATCHDOG=1", "STATUS=Kafka is away; READY=1"]);
        *patient.fault.lock().unwrap() = Some("the pipeline hangs".into());
        assert_eq!(told(&mut reporter), ["STATUS=the pipeline hangs"]);
        assert!(told(&mut reporter).is_empty());
    }

    #[test]
    fn without_a_watchdog_none_is_fed() {
        let mut reporter = Reporter { health: Arc::new(Patient::default()), has_watchdog: false, told: None };
        assert_eq!(told(&mut reporter), ["STATUS=ready"]);
    }
}
