//! Which password a connection is made with. In this order: one typed at the terminal, the configured one, `PGPASSWORD`,
//! the password file of libpq. The first that there is counts.

use std::env;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use isitup_shared::config::{Credential, SecretSource};
use isitup_shared::secret::Secret;

use super::passfile::{self, Place};

/// How often, at most, a file or command is asked again: a wrong password is tried for ever.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A password and where it came from, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Password {
    pub(super) secret: Secret,
    pub(super) origin: String,
}

/// The passwords there are.
pub(super) struct Passwords {
    configured: Option<Credential>,
    places: Vec<Place>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    typed: Option<Secret>,
    /// What the file or command gave the last time, and when.
    renewed: Option<Secret>,
    asked: Option<Instant>,
    /// Why it gave nothing.
    failure: Option<String>,
}

impl Passwords {
    /// For a server at `places`.
    pub(super) fn new(configured: Option<Credential>, places: Vec<Place>) -> Self {
        Self { configured, places, state: Mutex::default() }
    }

    /// Takes one that somebody typed.
    pub(super) fn typed(&self, secret: Secret) {
        self.state().typed = Some(secret);
    }

    /// The password to try now.
    pub(super) fn now(&self) -> Option<Password> {
        let state = self.state();
        if let Some(secret) = state.typed.clone() {
            return Some(Password { secret, origin: "was typed at the terminal".into() });
        }
        if let Some(Credential { secret, setting, source }) = &self.configured {
            let secret = state.renewed.as_ref().unwrap_or(secret).clone();
            let origin = match source {
                SecretSource::File(file) => format!("comes from {setting} ({:?})", file.display().to_string()),
                SecretSource::Given | SecretSource::Command(_) => format!("comes from {setting}"),
            };
            return Some(Password { secret, origin });
        }
        drop(state);
        if let Some(secret) = env::var("PGPASSWORD").ok().filter(|secret| !secret.is_empty()) {
            return Some(Password { secret: Secret::new(secret), origin: "comes from PGPASSWORD".into() });
        }
        let (file, secret) = passfile::look_up(&self.places)?;
        Some(Password { secret, origin: format!("comes from {:?}", file.display().to_string()) })
    }

    /// The server refused `password`: another one, where its file has been written anew or its command prints another.
    ///
    /// # Errors
    /// Why none could be had.
    pub(super) fn another_than(&self, password: &Password) -> Result<Option<Password>, String> {
        let Some(configured) = self.configured.as_ref().filter(|_| self.state().typed.is_none()) else {
            return Ok(None);
        };
        let is_due = {
            let mut state = self.state();
            let is_due = state.asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN_AFTER);
            if is_due {
                state.asked = Some(Instant::now());
            }
            is_due
        };
        if is_due {
            // Without the lock, as a command may take its time.
            let read = configured.source.read();
            let mut state = self.state();
            state.failure = read.as_ref().err().map(|reason| format!("{}: {reason}", configured.setting));
            if let Ok(Some(secret)) = read {
                state.renewed = Some(secret);
            }
        }
        match self.now().filter(|now| now != password) {
            // Perhaps another connection has asked.
            Some(another) => Ok(Some(another)),
            None => self.state().failure.clone().map_or(Ok(None), Err),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The password file, whether it is there or not.
pub(super) fn file() -> Option<PathBuf> {
    passfile::path()
}
