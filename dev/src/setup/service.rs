//! Keeps one of the two services running.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::Signal;

use crate::http;
use crate::proc::Identity;
use crate::process::{Launch, Process};
use crate::spawner::Spawner;

/// The producer promises to end within 8 s. The consumer ends within seconds while its servers answer; else it is killed, which
/// loses nothing.
const STOP_LIMIT: Duration = Duration::from_secs(12);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Who ran this long before a crash is not caught in a loop.
const GOOD_RUN: Duration = Duration::from_secs(60);

/// What happened to a service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    Started(Identity),
    Ready,
    Crashed(String),
}

/// A service that is restarted when it crashes.
pub(crate) struct Service {
    name: &'static str,
    launch: Launch,
    /// Where to ask whether it is ready; nobody asks without.
    listen: Option<String>,
    process: Option<Process>,
    is_ready: bool,
    failures: u32,
    started: Instant,
    next_start: Instant,
}

impl Service {
    /// `program run --config config`, from the current folder, as paths in the configuration are meant from there.
    pub(crate) fn new(name: &'static str, program: &Path, config: &Path, log: &Path, listen: Option<String>) -> Self {
        let args = ["run".as_ref(), "--config".as_ref(), config.as_os_str()];
        let launch = Launch::new(name, program, Path::new("."), log).args(args);
        let now = Instant::now();
        Self { name, launch, listen, process: None, is_ready: false, failures: 0, started: now, next_start: now }
    }

    /// Changes how it is started.
    pub(crate) fn with_launch(mut self, change: impl FnOnce(Launch) -> Launch) -> Self {
        self.launch = change(self.launch);
        self
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Looks after it: starts it when it is due, notices when it has crashed or become ready.
    pub(crate) fn look(&mut self, spawner: &Spawner) -> Result<Option<News>> {
        let Some(process) = &mut self.process else {
            return if Instant::now() >= self.next_start { self.start(spawner).map(Some) } else { Ok(None) };
        };
        if let Some(status) = process.exited()? {
            let words = process.last_words();
            return Ok(Some(self.has_crashed(&format!("{} ended ({status}){words}", self.name))));
        }
        if !self.is_ready && self.answers() {
            self.is_ready = true;
            return Ok(Some(News::Ready));
        }
        Ok(None)
    }

    fn start(&mut self, spawner: &Spawner) -> Result<News> {
        self.is_ready = false;
        self.started = Instant::now();
        match self.launch.start(spawner) {
            Ok(process) => {
                let identity = process.identity();
                self.process = Some(process);
                Ok(News::Started(identity))
            }
            Err(error) => Ok(self.has_crashed(&format!("{error:#}"))),
        }
    }

    fn has_crashed(&mut self, how: &str) -> News {
        let ran = self.started.elapsed();
        self.process = None;
        self.failures = if ran > GOOD_RUN { 1 } else { self.failures + 1 };
        let pause = pause_after(self.failures);
        self.next_start = Instant::now() + pause;
        News::Crashed(format!("{how}\nstarting it again in {} s", pause.as_secs()))
    }

    fn answers(&self) -> bool {
        match &self.listen {
            None => true,
            Some(address) => http::get(address, "/health/ready").is_ok_and(|answer| answer.status == 200),
        }
    }

    /// Ends it in order; `look` would start it anew.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.failures = 0;
        self.is_ready = false;
        self.next_start = Instant::now();
        self.process.take().map_or(Ok(()), |process| process.stop(Signal::TERM, STOP_LIMIT))
    }
}

fn pause_after(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(5)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_half_a_minute() {
        let pauses: Vec<u64> = [1, 2, 3, 5, 6, 60].map(|failures| pause_after(failures).as_secs()).into();
        assert_eq!(pauses, [1, 2, 4, 16, 30, 30]);
    }
}
