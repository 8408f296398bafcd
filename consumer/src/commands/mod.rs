//! The one-shot commands, a module each.

pub(crate) mod audit;
pub(crate) mod check_config;
pub(crate) mod decode;
pub(crate) mod drop;
pub(crate) mod health;
mod message;
pub(crate) mod migrate;
pub(crate) mod peek;
pub(crate) mod rejected;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod setup_database;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use isitup_shared::config::PostgresConfig;
use isitup_shared::retry::Retry;
use isitup_shared::secret::Secret;
use isitup_shared::shutdown::Shutdown;

use crate::config::Config;
use crate::exit::CommandError;
use crate::store::{Store, StoreError};
use crate::waiting::Patience;

/// What every command gets.
#[derive(Debug)]
pub(crate) struct Context {
    /// The configuration.
    pub config: Config,
    /// How long to wait for services.
    pub wait: Duration,
    /// Ends waiting.
    pub shutdown: Shutdown,
}

impl Context {
    /// The database, once it answers.
    ///
    /// # Errors
    /// When it does not in time, or refuses.
    pub(crate) fn store(&self) -> Result<Store, CommandError> {
        let store = Store::new(self.postgres()?, self.config.consumer.lease)?;
        self.reach(&store)?;
        Ok(store)
    }

    /// The section `postgres`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn postgres(&self) -> Result<&PostgresConfig, CommandError> {
        let missing = || CommandError::Usage("this command needs the section postgres in the configuration".into());
        self.config.postgres.as_ref().ok_or_else(missing)
    }

    /// Waits until `store` answers. The password that was asked for at the terminal, where one was.
    ///
    /// # Errors
    /// When it does not in time, or refuses.
    pub(crate) fn reach(&self, store: &Store) -> Result<Option<Secret>, CommandError> {
        let ask =
            || self.until("PostgreSQL", StoreError::is_unreachable, || store.session()?.begin_durable()?.commit());
        match ask() {
            Err(StoreError::Refused(refusal)) if refusal.wants_password && io::stdin().is_terminal() => {
                // Asked by the terminal itself, so that it works while the output goes into a file.
                let typed = Secret::new(rpassword::prompt_password(format!("Password of {}: ", store.describe()))?);
                store.typed(typed.clone());
                ask()?;
                Ok(Some(typed))
            }
            result => Ok(result.map(|()| None)?),
        }
    }

    /// Tries `work` until it succeeds, fails for good, or the time is over.
    fn until<T, E: std::fmt::Display>(
        &self,
        what: &'static str,
        is_passing: impl Fn(&E) -> bool,
        mut work: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        let deadline = Instant::now() + self.wait;
        let (mut patience, mut retry) = (Patience::new(what), Retry::for_service());
        loop {
            match work() {
                Err(error) if is_passing(&error) && Instant::now() < deadline => {
                    patience.failed(&error);
                    if retry.pause(&self.shutdown) {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
    }
}
