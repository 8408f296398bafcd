//! A service manager as systemd is one: a socket that services tell of themselves.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::waiting::eventually;

/// The limit of the watchdog that services are told.
const WATCHDOG: Duration = Duration::from_millis(600);

/// Listens to one service.
pub(crate) struct Manager {
    socket: PathBuf,
    heard: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Manager {
    /// With its socket in `folder`.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let socket = folder.join("notify");
        let listener = UnixDatagram::bind(&socket).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        thread::spawn(move || {
            let mut message = [0; 4096];
            while let Ok(length) = listener.recv(&mut message) {
                let text = String::from_utf8_lossy(&message[..length]).into_owned();
                let lines = text.lines().map(|line| (Instant::now(), line.to_owned()));
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
            }
        });
        Self { socket, heard }
    }

    /// `command` as this manager starts it.
    pub(crate) fn managing(&self, mut command: Command) -> Command {
        command.env("NOTIFY_SOCKET", &self.socket).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        command.env_remove("WATCHDOG_PID");
        command
    }

    /// All lines so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(_, line)| line.clone()).collect()
    }

    /// How many lines begin so.
    pub(crate) fn times(&self, begin: &str) -> usize {
        self.heard().iter().filter(|line| line.starts_with(begin)).count()
    }

    /// Waits until some line has these words.
    #[track_caller]
    pub(crate) fn wait_for(&self, words: &str) {
        eventually(&format!("the manager is told {words:?}; it heard {:?}", self.heard()), || {
            self.heard().iter().any(|line| line.contains(words))
        });
    }

    /// Whether a manager would end the service now: its watchdog was not fed for long.
    pub(crate) fn would_restart(&self) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let fed = heard.iter().rev().find(|(_, line)| line == "WATCHDOG=1");
        fed.is_some_and(|(at, _)| at.elapsed() > WATCHDOG * 5)
    }
}
