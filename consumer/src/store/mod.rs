//! PostgreSQL: connections, transactions, and all SQL of this crate, one function to a statement.
//!
//! Nothing is set for a session: schema, time-outs and durability are set for each transaction, so that a pooler in
//! transaction mode may stand between.

pub mod audit;
mod cancel;
pub mod certificates;
mod connect;
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
mod passfile;
mod password;
pub mod producers;
mod pulse;
pub mod readiness;
pub mod reading;
pub mod rejected;
pub mod removal;
pub mod results;
mod rights;
mod session;
pub mod setup;
pub mod sites;
pub mod statuses;
mod time;
mod tls;

pub use connect::understand;
pub use error::{Fault, Outlook, Refusal, StoreError};
pub use session::{Session, Tx};
pub use time::PgTime;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use isitup_shared::config::{PostgresConfig, SchemaName};
use isitup_shared::secret::Secret;
use r2d2::{NopErrorHandler, Pool};

use connect::Connector;
use session::{Manager, Settings};

/// How long a thread waits for a connection of the pool: short, so that a shutdown is noticed.
const POOL_TIMEOUT: Duration = Duration::from_secs(2);

/// One each for the pipeline, the leases and the maintenance, and one to spare.
const CONNECTIONS: u32 = 4;

/// The database, reached through a pool of connections.
#[derive(Clone)]
pub struct Store {
    pool: Pool<Manager>,
    connector: Arc<Connector>,
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
        let connector = Arc::new(Connector::new(config)?);
        let settings = Arc::new(Settings::new(config.schema.clone(), lease));
        let manager = Manager::new(Arc::clone(&connector), Arc::clone(&settings));
        let pool = Pool::builder()
            .max_size(CONNECTIONS)
            .min_idle(Some(0))
            .connection_timeout(POOL_TIMEOUT)
            // A broken connection shows itself at the first statement; asking before each use costs a round trip.
            .test_on_check_out(false)
            // What keeps connections from being made reaches the caller, who logs it once.
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(manager);
        Ok(Self { pool, connector, settings })
    }

    /// A connection of the pool.
    ///
    /// # Errors
    /// When none could be had in time.
    pub fn session(&self) -> Result<Session, StoreError> {
        Ok(Session::new(self.pool.get().map_err(|_| self.unreachable())?))
    }

    /// The schema of all tables.
    pub fn schema(&self) -> &SchemaName {
        &self.settings.schema
    }

    /// Takes a password that somebody typed.
    pub fn typed(&self, password: Secret) {
        self.connector.typed(password);
    }

    /// Who connects, and where to.
    pub fn describe(&self) -> String {
        self.connector.describe()
    }

    /// How the way there is protected.
    pub fn protection(&self) -> String {
        self.connector.protection()
    }

    /// What makes connections; for those outside the pool.
    fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Why there is none: what the last attempt to connect met. One may still be under way, or all may be taken.
    fn unreachable(&self) -> StoreError {
        self.connector.last_failure().unwrap_or_else(|| {
            let why = format!("no connection within {} s", POOL_TIMEOUT.as_secs());
            StoreError::Unreachable(self.connector.at(&why))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::Instant;

    use isitup_shared::config::{PostgresTls, Scalar, TlsFiles, TlsMode};

    use super::*;

    /// A store on a server that does this with its connections.
    fn store_on(serve: impl FnOnce(TcpListener) + Send + 'static) -> Store {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://isitup@{}/isitup", listener.local_addr().unwrap()).parse().unwrap();
        thread::spawn(move || serve(listener));
        let tls = PostgresTls { mode: TlsMode::Disable, is_default: true, files: TlsFiles::default() };
        let config = PostgresConfig { url, password: None, schema: SchemaName::parse("isitup").unwrap(), tls };
        Store::new(&config, Duration::from_secs(15)).unwrap()
    }

    /// Takes in how a client begins. Closed with something unread, a connection would be reset instead.
    fn hear_out(client: &mut TcpStream) {
        let mut length = [0; 4];
        client.read_exact(&mut length).unwrap();
        client.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize - length.len()]).unwrap();
    }

    #[test]
    fn all_who_wait_are_told_why_there_is_no_connection() {
        let store = store_on(|listener| {
            hear_out(&mut listener.accept().unwrap().0);
            // The next ones get no answer.
            listener.incoming().for_each(std::mem::forget);
        });
        // On a busy machine there may be no reason yet.
        let mut told = (0..3).map(|_| store.session().unwrap_err().to_string());
        let why = told.find(|why| why.contains("connection closed")).unwrap();
        assert_eq!(store.session().unwrap_err().to_string(), why);
    }

    #[test]
    fn a_server_that_refuses_is_left_alone_for_a_while() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let store = store_on(move |listener| {
            for client in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let mut client = client.unwrap();
                hear_out(&mut client);
                client.write_all(b"E\0\0\0\x20SFATAL\0C28000\0Mnot for you\0\0").unwrap();
            }
        });
        let begun = Instant::now();
        for _ in 0..3 {
            let why = store.session().unwrap_err();
            assert!(matches!(&why, StoreError::Refused(refusal) if refusal.why.contains("not for you")), "{why}");
        }
        // One more, as two may ask at one moment.
        let most = begun.elapsed().as_secs() / 2 + 2;
        assert!(u64::from(asked.load(Ordering::SeqCst)) <= most, "{asked:?} of {most}");
    }
}
