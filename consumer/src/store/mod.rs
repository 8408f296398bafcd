//! PostgreSQL: connections, transactions, and all SQL of this crate, one function to a statement.
//!
//! Nothing is set for a session: schema, time-outs and durability are set for each transaction, so that a pooler in
//! transaction mode may stand between.

pub mod audit;
pub mod certificates;
pub mod days;
mod deadline;
pub mod dirty;
mod error;
pub mod gaps;
pub mod incidents;
pub mod jumps;
pub mod leases;
pub mod maintenance;
pub mod migrations;
pub mod offsets;
mod owed;
pub mod producers;
pub mod readiness;
pub mod reading;
pub mod rejected;
pub mod removal;
pub mod results;
mod session;
pub mod sites;
pub mod statuses;
mod time;

pub use error::{Fault, StoreError};
pub use session::{Session, Tx};
pub use time::PgTime;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use isitup_shared::config::{PostgresConfig, SchemaName};
use postgres::config::Host;
use r2d2::{NopErrorHandler, Pool};

use session::{Manager, Settings};

/// How long a connection may take before the attempt counts as failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a thread waits for a connection of the pool: short, so that a shutdown is noticed.
const POOL_TIMEOUT: Duration = Duration::from_secs(2);

/// One each for the pipeline, the leases and the maintenance, and one to spare.
const CONNECTIONS: u32 = 4;

/// The database, reached through a pool of connections.
#[derive(Clone)]
pub struct Store {
    pool: Pool<Manager>,
    config: postgres::Config,
    settings: Arc<Settings>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("schema", self.schema()).finish_non_exhaustive()
    }
}

impl Store {
    /// A store that connects on first use. `lease` bounds how long a transaction may lie idle.
    ///
    /// # Errors
    /// When the URL holds a setting that is not understood.
    pub fn new(config: &PostgresConfig, lease: Duration) -> Result<Self, StoreError> {
        let driver_config = driver_config(config)?;
        let settings = Arc::new(Settings::new(config.schema.clone(), lease));
        let manager = Manager::new(driver_config.clone(), Arc::clone(&settings));
        let pool = Pool::builder()
            .max_size(CONNECTIONS)
            .min_idle(Some(0))
            .connection_timeout(POOL_TIMEOUT)
            // A broken connection shows itself at the first statement; asking before each use costs a round trip.
            .test_on_check_out(false)
            // What keeps connections from being made reaches the caller, who logs it once.
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(manager);
        Ok(Self { pool, config: driver_config, settings })
    }

    /// A connection of the pool.
    ///
    /// # Errors
    /// When none could be had in time.
    pub fn session(&self) -> Result<Session, StoreError> {
        Ok(Session::new(self.pool.get().map_err(|error| unreachable(&error, &self.config))?))
    }

    /// The schema of all tables.
    pub fn schema(&self) -> &SchemaName {
        &self.settings.schema
    }

    /// How the driver connects; for connections outside the pool.
    fn driver_config(&self) -> &postgres::Config {
        &self.config
    }
}

/// The pool tells that the time is over, and after a colon the last reason, where there was one.
fn unreachable(error: &r2d2::Error, config: &postgres::Config) -> StoreError {
    let text = error.to_string();
    let reason = text.split_once(": ").map_or("no connection became free in time", |(_, reason)| reason);
    let name = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    };
    let port = |index: usize| config.get_ports().get(index).or(config.get_ports().first()).copied().unwrap_or(5432);
    let servers: Vec<String> =
        config.get_hosts().iter().enumerate().map(|(index, host)| format!("{}:{}", name(host), port(index))).collect();
    StoreError::Unreachable(format!("{reason} (at {})", servers.join(", ")))
}

fn driver_config(config: &PostgresConfig) -> Result<postgres::Config, StoreError> {
    let mut driver: postgres::Config = config.url.as_str().parse().map_err(StoreError::from)?;
    if let Some(password) = &config.password {
        driver.password(password.expose());
    }
    driver
        .application_name("isitup-consumer")
        .notice_callback(|notice| log::debug!("PostgreSQL: {}", notice.message()))
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(Duration::from_secs(10))
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(3))
        .keepalives_retries(3);
    Ok(driver)
}
