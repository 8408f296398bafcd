//! Every connection to PostgreSQL is made here: with its password, over TLS where that is configured, and watched.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use isitup_shared::config::{PostgresConfig, PostgresTls, TlsMode};
use isitup_shared::secret::Secret;
use postgres::config::{Host, SslNegotiation, TargetSessionAttrs};
use postgres::error::SqlState;
use postgres::{Client, Config};
use r2d2_postgres::PostgresConnectionManager;

use super::StoreError;
use super::cancel::Canceller;
use super::deadline::{AnswerLimit, Watch};
use super::error::Refusal;
use super::passfile::Place;
use super::password::{self, Password, Passwords};
use super::tls::{Tls, TlsFailure};

/// How long a connection may take before the attempt counts as failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server may take over each step by which a session begins.
pub(super) const START_LIMIT: Duration = Duration::from_secs(10);

/// How long the server may take over each step of taking in that a statement is to be cancelled.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// How long a server that refused is left alone: it would do so again, and may shut out who asks too often.
const REFUSAL_PAUSE: Duration = Duration::from_secs(2);

const DEFAULT_PORT: u16 = 5432;

/// Whether `url` says only what the driver knows.
///
/// # Errors
/// What it does not know, or not so, with the remedy.
pub fn understand(url: &str) -> Result<(), String> {
    url.parse::<Config>().map(drop).map_err(|error| {
        let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        format!("{why}; correct it, or take it out")
    })
}

/// Makes connections.
pub(super) struct Connector {
    config: Config,
    watch: Watch,
    tls: PostgresTls,
    user: String,
    passwords: Passwords,
    /// Why the pool has got no connection, and since when, unless it has got one since.
    failure: Mutex<Option<(StoreError, Instant)>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("at", &self.servers()).finish_non_exhaustive()
    }
}

impl Connector {
    /// For the server of `settings`.
    ///
    /// # Errors
    /// When the URL holds a setting that is not understood.
    pub(super) fn new(settings: &PostgresConfig) -> Result<Self, StoreError> {
        let mut config: Config = settings.url.as_str().parse().map_err(StoreError::from)?;
        config
            .application_name("isitup-consumer")
            .notice_callback(|notice| log::debug!("PostgreSQL: {}", notice.message()))
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(Duration::from_secs(10))
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(3))
            .keepalives_retries(3);
        if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
            // The others may be standbys, whose place changes.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let tls = Tls::new(settings.tls.clone(), config.get_ssl_negotiation() == SslNegotiation::Direct);
        let watch = Watch::for_config(&mut config, AnswerLimit::new(START_LIMIT), tls);
        // As the driver does where none is named.
        let user = config.get_user().map_or_else(|| std::env::var("USER").unwrap_or_default(), str::to_owned);
        let passwords = Passwords::new(settings.password.clone(), places(&config, &user));
        Ok(Self { config, watch, tls: settings.tls.clone(), user, passwords, failure: Mutex::default() })
    }

    /// What looks after connections that a pool has.
    pub(super) fn manager(&self) -> PostgresConnectionManager<Watch> {
        PostgresConnectionManager::new(self.config.clone(), self.watch.clone())
    }

    /// A connection whose answers are waited for as `limit` says; with `options` for the session beside those of the URL.
    ///
    /// # Errors
    /// When none can be made.
    pub(super) fn connect(&self, options: Option<&str>, limit: &AnswerLimit) -> Result<Client, StoreError> {
        let mut config = self.config.clone();
        if let Some(options) = options {
            config.options(&format!("{} {options}", config.get_options().unwrap_or_default()));
        }
        self.connect_by(&config, limit).map_err(|error| match error {
            StoreError::Refused(Refusal { why, wants_password }) => {
                StoreError::Refused(Refusal { why: self.at(&why), wants_password })
            }
            StoreError::Unreachable(why) => StoreError::Unreachable(self.at(&why)),
            // Whoever asked looks at the server's code.
            error => error,
        })
    }

    /// What cancels the statements of a connection of ours.
    pub(super) fn canceller(&self, client: &Client) -> Canceller {
        Canceller::new(client.cancel_token(), self.watch.for_cancelling(AnswerLimit::new(CANCEL_LIMIT)))
    }

    fn connect_by(&self, config: &Config, limit: &AnswerLimit) -> Result<Client, StoreError> {
        let password = self.passwords.now();
        let error = match self.try_with(config, password.as_ref(), limit) {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        let Some(password) = password.filter(|_| is_wrong_password(&error)) else {
            return Err(self.named(error, None));
        };
        // Passwords from vaults end, and those in files are replaced.
        match self.passwords.another_than(&password) {
            Ok(Some(another)) => {
                self.try_with(config, Some(&another), limit).map_err(|error| self.named(error, Some(&another)))
            }
            Ok(None) => Err(self.named(error, Some(&password))),
            Err(reason) => Err(StoreError::refused(format!("the password could not be had anew: {reason}"))),
        }
    }

    fn try_with(
        &self,
        config: &Config,
        password: Option<&Password>,
        limit: &AnswerLimit,
    ) -> Result<Client, postgres::Error> {
        let mut config = config.clone();
        if let Some(password) = password {
            config.password(password.secret.expose());
        }
        config.connect(self.watch.with(limit.clone()))
    }

    /// Tells what waiting does not mend, with the setting and the remedy.
    fn named(&self, error: postgres::Error, password: Option<&Password>) -> StoreError {
        if let Some(failure) = tls_failure(&error) {
            return StoreError::refused(format!("TLS to PostgreSQL: {failure}"));
        }
        if is_password_missing(&error) {
            let file = password::file().map(|file| file.display().to_string()).unwrap_or_default();
            let why = format!(
                "PostgreSQL demands a password for user {:?}, and none is configured: set postgres.password_file, \
                 postgres.password_command or PGPASSWORD, or add a line to {file}",
                self.user
            );
            return StoreError::Refused(Refusal { why, wants_password: true });
        }
        if let Some(reason) = unresolved(&error) {
            return StoreError::Unreachable(format!("PostgreSQL: the host in postgres.url does not resolve: {reason}"));
        }
        let Some(db) = error.as_db_error() else { return error.into() };
        let remedy = if is_wrong_password(&error) {
            match password {
                Some(password) => {
                    format!("check the user in postgres.url, and the password, which {}", password.origin)
                }
                None => "check the user in postgres.url, and set a password".into(),
            }
        } else if *db.code() == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
            self.remedy_of_refusal(db.message())
        } else if *db.code() == SqlState::INVALID_CATALOG_NAME {
            "create the database (isitup-consumer setup-database shows how), or correct postgres.url".into()
        } else if *db.code() == SqlState::INSUFFICIENT_PRIVILEGE {
            "grant CONNECT on the database to this user (isitup-consumer setup-database shows how)".into()
        } else {
            return error.into();
        };
        StoreError::refused(format!("PostgreSQL refused: {} [{}]; {remedy}", db.message(), db.code().code()))
    }

    /// The server's pg_hba.conf said no, or the role is not there.
    fn remedy_of_refusal(&self, message: &str) -> String {
        if message.contains("client certificate") {
            return "set postgres.tls.cert_file and key_file to a certificate for this user".into();
        }
        if message.contains("no encryption") && self.tls.mode == TlsMode::Disable {
            return "the server may demand TLS: set postgres.tls.mode to verify-full and postgres.tls.ca_file, or allow this \
                    connection in its pg_hba.conf"
                .into();
        }
        if message.contains("certificate authentication failed") {
            return "postgres.tls.cert_file must be made for this user, by name".into();
        }
        "check the user in postgres.url, and the server's pg_hba.conf".into()
    }

    /// Takes a password that somebody typed.
    pub(super) fn typed(&self, password: Secret) {
        self.passwords.typed(password);
        // It is worth a try at once.
        *self.failure() = None;
    }

    /// Who connects, and where to, for the one who is asked for the password.
    pub(super) fn describe(&self) -> String {
        format!("user {} at {}", self.user, self.servers())
    }

    /// How the way there is protected, for people.
    pub(super) fn protection(&self) -> String {
        let why = if self.tls.is_default { ", as nothing else is configured for a server there" } else { "" };
        match self.tls.mode {
            TlsMode::Disable => format!("in plaintext (postgres.tls.mode: disable{why})"),
            mode => format!("over TLS (postgres.tls.mode: {mode}{why})"),
        }
    }

    /// Keeps how the pool's last attempt went, for all who wait for a connection: the pool itself tells a reason to one
    /// of them only.
    pub(super) fn remember<T>(&self, attempt: &Result<T, StoreError>) {
        let failure = attempt.as_ref().err().map(|error| match error {
            StoreError::Sql(_) => StoreError::Unreachable(self.at(error)),
            error => error.repeated(),
        });
        *self.failure() = failure.map(|failure| (failure, Instant::now()));
    }

    /// Why the pool has no connection, as [`remember`](Self::remember) keeps it.
    pub(super) fn last_failure(&self) -> Option<StoreError> {
        self.failure().as_ref().map(|(failure, _)| failure.repeated())
    }

    /// What the server refused the pool a moment ago.
    pub(super) fn refused_lately(&self) -> Option<StoreError> {
        self.failure().as_ref().and_then(|(failure, at)| {
            let is_so = matches!(failure, StoreError::Refused(_)) && at.elapsed() < REFUSAL_PAUSE;
            is_so.then(|| failure.repeated())
        })
    }

    fn failure(&self) -> MutexGuard<'_, Option<(StoreError, Instant)>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same words, with which servers it is about.
    pub(super) fn at(&self, why: &dyn fmt::Display) -> String {
        format!("{why} (at {})", self.servers())
    }

    /// `host:port` of each server.
    pub(super) fn servers(&self) -> String {
        let servers = self.config.get_hosts().iter().enumerate();
        let text: Vec<String> = servers.map(|(i, host)| format!("{}:{}", name(host), port(&self.config, i))).collect();
        text.join(", ")
    }
}

fn name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    }
}

fn port(config: &Config, index: usize) -> u16 {
    config.get_ports().get(index).or(config.get_ports().first()).copied().unwrap_or(DEFAULT_PORT)
}

/// What lines of the password file may be for. A socket in the usual place goes by the name of this machine there.
fn places(config: &Config, user: &str) -> Vec<Place> {
    let database = config.get_dbname().unwrap_or(user);
    let place = |(index, host): (usize, &Host)| Place {
        host: match host {
            Host::Unix(folder) if folder.ends_with("postgresql") => "localhost".into(),
            host => name(host),
        },
        port: port(config, index),
        database: database.to_owned(),
        user: user.to_owned(),
    };
    config.get_hosts().iter().enumerate().map(place).collect()
}

/// Poolers have a code of their own for it.
fn is_wrong_password(error: &postgres::Error) -> bool {
    error.as_db_error().is_some_and(|db| {
        *db.code() == SqlState::INVALID_PASSWORD
            || *db.code() == SqlState::PROTOCOL_VIOLATION && db.message().contains("authentication failed")
    })
}

/// The driver tells it by words only.
fn is_password_missing(error: &postgres::Error) -> bool {
    error.as_db_error().is_none() && error.source().is_some_and(|source| source.to_string() == "password missing")
}

/// Why a name has no address, where that is the matter. The standard library tells it by words only.
fn unresolved(error: &postgres::Error) -> Option<String> {
    let text = error.source()?.to_string();
    text.strip_prefix("failed to lookup address information: ").map(str::to_owned)
}

fn tls_failure(error: &postgres::Error) -> Option<&TlsFailure> {
    let mut source = error.source();
    while let Some(inner) = source {
        let held = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(failure) = held.and_then(|held| held.downcast_ref::<TlsFailure>()) {
            return Some(failure);
        }
        source = inner.source();
    }
    None
}
