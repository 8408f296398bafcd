//! Connections that remember their prepared statements, and transactions that bring their settings with them.
//!
//! Behind a pooler in transaction mode each transaction may meet another session of the server: there nothing is
//! remembered from one to the next. Whether there is one is found out by itself: see [`Manager`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use isitup_shared::config::SchemaName;
use isitup_shared::shutdown::Shutdown;
use postgres::error::SqlState;
use postgres::types::ToSql;
use postgres::{Client, Row, SimpleQueryMessage, Statement, Transaction};
use r2d2::{ManageConnection, PooledConnection};
use r2d2_postgres::PostgresConnectionManager;

use super::cancel::{Canceller, interruptible};
use super::connect::{Connector, START_LIMIT};
use super::deadline::{AnswerLimit, Watch};
use super::{Fault, StoreError};

/// Parameters of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Longer than any statement of the pipeline takes, shorter than a person waits for a stuck one.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Reports and housekeeping may read a lot.
const LONG_STATEMENT_TIMEOUT: Duration = Duration::from_secs(3600);

/// How long the housekeeping waits for a lock: one step that waits must not hold up the others for long.
const HOUSE_LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How much longer than the server lets a statement run its answer is waited for.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);

/// How long a transaction waits for a lock, as a part of the lease and within bounds: it then lets go of what it holds
/// itself, so that leases are prolonged while something blocks. Longer than the server takes to find a deadlock.
fn lock_timeout(lease: Duration) -> Duration {
    (lease / 4).clamp(Duration::from_millis(1500), Duration::from_secs(5))
}

/// How long a transaction of the housekeeping may lie idle.
const LONG_IDLE: Duration = Duration::from_secs(60);

/// How long past the lease a transaction may lie idle before the server ends it.
const IDLE_MARGIN: Duration = Duration::from_secs(5);

/// A setting of ours that no server knows and every server takes.
const MARK: &str = "isitup.session";

/// Names a run of a server: changes with a restart, after a crash, and with a switch to a standby.
const SERVER: &str = "SELECT pg_postmaster_start_time() || ' ' || coalesce(pg_last_wal_replay_lsn()::text, '')";

/// What each kind of transaction sets for itself.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) schema: SchemaName,
    fast: String,
    durable: String,
    long: String,
    house: String,
    snapshot: String,
}

impl Settings {
    pub(super) fn new(schema: SchemaName, lease: Duration) -> Self {
        // Compiling the reports' statements takes seconds, running them milliseconds. Temporary tables come last: behind a
        // pooler they may be another program's. And what is read must be what is committed, whatever the role's default.
        let settings = |durability: &str, statement: Duration, lock: Duration, idle: Duration| {
            format!(
                "SET LOCAL search_path TO {schema}, pg_temp; SET LOCAL synchronous_commit TO {durability}; \
                 SET LOCAL statement_timeout TO {}; SET LOCAL lock_timeout TO {}; SET LOCAL idle_in_transaction_session_timeout TO {}; \
                 SET LOCAL timezone TO 'UTC'; SET LOCAL jit TO off",
                statement.as_millis(),
                lock.as_millis(),
                idle.as_millis(),
            )
        };
        let committed = |settings: String| format!("SET TRANSACTION ISOLATION LEVEL READ COMMITTED; {settings}");
        let (lock, idle) = (lock_timeout(lease), lease + IDLE_MARGIN);
        let long = settings("on", LONG_STATEMENT_TIMEOUT, LONG_STATEMENT_TIMEOUT, LONG_STATEMENT_TIMEOUT);
        // Housekeeping holds locks and asks nobody in between; a reader may be slow to take what it asked for.
        let house = settings("on", LONG_STATEMENT_TIMEOUT, HOUSE_LOCK_TIMEOUT, idle.max(LONG_IDLE));
        Self {
            fast: committed(settings("off", STATEMENT_TIMEOUT, lock, idle)),
            durable: committed(settings("on", STATEMENT_TIMEOUT, lock, idle)),
            snapshot: format!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; {long}"),
            long: committed(settings("on", LONG_STATEMENT_TIMEOUT, LONG_STATEMENT_TIMEOUT, idle.max(LONG_IDLE))),
            house: committed(house),
            schema,
        }
    }
}

/// A connection and what is remembered of its session.
pub(super) struct Connection {
    client: Client,
    connector: Arc<Connector>,
    memory: Memory,
    settings: Arc<Settings>,
    /// Whether something failed that may hang on this very connection, such as a plan that a migration outdated.
    is_spent: bool,
    limit: AnswerLimit,
}

impl Connection {
    fn canceller(&self) -> Canceller {
        self.connector.canceller(&self.client)
    }
}

/// What outlives a transaction.
enum Memory {
    /// The statements prepared on the session, which is ours alone.
    Statements(HashMap<&'static str, Statement>),
    /// Behind a pooler: which run of which server answered the last time.
    Server(Option<String>),
}

/// Makes [`Connection`]s for the pool.
///
/// A session of our own takes a setting of ours at its start. `PgBouncer` refuses such a setting or drops it, and so
/// do its kin.
pub(super) struct Manager {
    connector: Arc<Connector>,
    inner: PostgresConnectionManager<Watch>,
    is_pooled: AtomicBool,
    settings: Arc<Settings>,
}

impl Manager {
    pub(super) fn new(connector: Arc<Connector>, settings: Arc<Settings>) -> Self {
        Self { inner: connector.manager(), connector, is_pooled: AtomicBool::new(false), settings }
    }

    /// A connection, and whether its session is ours alone.
    fn open(&self, limit: &AnswerLimit) -> Result<(Client, bool), StoreError> {
        let plain = || self.connector.connect(None, limit);
        if self.is_pooled.load(Ordering::Relaxed) {
            return Ok((plain()?, false));
        }
        match self.connector.connect(Some(&format!("-c {MARK}=on")), limit) {
            Ok(mut client) => {
                let ask = format!("SELECT pg_catalog.current_setting('{MARK}', true)");
                let is_ours = value(&client.simple_query(&ask)?).as_deref() == Some("on");
                Ok((client, is_ours))
            }
            Err(StoreError::Sql(error)) if is_mark_refused(&error) => Ok((plain()?, false)),
            Err(error) => Err(error),
        }
    }
}

/// Whether a pooler may have told that it passes on no such setting; each has words of its own for it.
fn is_mark_refused(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| [&SqlState::PROTOCOL_VIOLATION, &SqlState::FEATURE_NOT_SUPPORTED].contains(&code))
}

/// The one value of an answer.
fn value(answer: &[SimpleQueryMessage]) -> Option<String> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection, StoreError> {
        // The pool tries again each second, for each who waits.
        if let Some(refused) = self.connector.refused_lately() {
            return Err(refused);
        }
        // Each connection has a limit of its own, which its transactions set.
        let limit = AnswerLimit::new(START_LIMIT);
        let opened = self.open(&limit);
        self.connector.remember(&opened);
        let (client, is_ours) = opened?;
        let memory = if is_ours {
            Memory::Statements(HashMap::new())
        } else {
            if !self.is_pooled.swap(true, Ordering::Relaxed) {
                log::info!("a pooler stands before PostgreSQL: statements are prepared anew in each transaction");
            }
            Memory::Server(None)
        };
        let connector = Arc::clone(&self.connector);
        Ok(Connection { client, connector, memory, settings: Arc::clone(&self.settings), is_spent: false, limit })
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), StoreError> {
        Ok(self.inner.is_valid(&mut connection.client)?)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_spent || self.inner.has_broken(&mut connection.client)
    }
}

/// A connection of the pool, given back on drop.
pub struct Session {
    connection: PooledConnection<Manager>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    pub(super) fn new(connection: PooledConnection<Manager>) -> Self {
        Self { connection }
    }

    /// A transaction for rows whose offset moves with them: a crash may undo the last ones, rows and offset together.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn begin_fast(&mut self) -> Result<Tx<'_>, StoreError> {
        self.begin(STATEMENT_TIMEOUT, |settings| &settings.fast)
    }

    /// A transaction that is on disk once committed.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn begin_durable(&mut self) -> Result<Tx<'_>, StoreError> {
        self.begin(STATEMENT_TIMEOUT, |settings| &settings.durable)
    }

    /// A transaction for commands, whose statements may take long and wait for locks as long.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn begin_long(&mut self) -> Result<Tx<'_>, StoreError> {
        self.begin(LONG_STATEMENT_TIMEOUT, |settings| &settings.long)
    }

    /// A transaction for housekeeping, whose statements may take long but wait for no lock for long.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn begin_house(&mut self) -> Result<Tx<'_>, StoreError> {
        self.begin(LONG_STATEMENT_TIMEOUT, |settings| &settings.house)
    }

    /// A read-only transaction that sees one moment of the database.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn begin_snapshot(&mut self) -> Result<Tx<'_>, StoreError> {
        self.begin(LONG_STATEMENT_TIMEOUT, |settings| &settings.snapshot)
    }

    fn begin(&mut self, statement: Duration, choose: impl Fn(&Settings) -> &str) -> Result<Tx<'_>, StoreError> {
        let Connection { client, memory, settings, is_spent, limit, .. } = &mut *self.connection;
        limit.set(statement + ANSWER_MARGIN);
        let mut inner = client.transaction()?;
        match memory {
            Memory::Statements(_) => inner.batch_execute(choose(settings))?,
            Memory::Server(known) => {
                let server = value(&inner.simple_query(&format!("{}; {SERVER}", choose(settings)))?);
                let before = known.replace(server.unwrap_or_default());
                if before.is_some() && before != *known {
                    // A connection of our own would have ended. It may have lost the last commits.
                    return Err(StoreError::Unreachable(
                        "behind the pooler is another server now, or a new run".into(),
                    ));
                }
            }
        }
        Ok(Tx { inner, memory, is_spent, schema: &settings.schema })
    }

    /// Runs a command that cannot run inside a transaction.
    pub(super) fn execute_alone(&mut self, command: &str) -> Result<(), StoreError> {
        self.connection.limit.set(LONG_STATEMENT_TIMEOUT);
        Ok(self.connection.client.batch_execute(command)?)
    }

    /// Does `work` on this session; its statements are cancelled once the shutdown has started, or after `limit`.
    pub(crate) fn interruptible<T>(
        &mut self,
        shutdown: &Shutdown,
        limit: Duration,
        work: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let canceller = self.connection.canceller();
        interruptible(&canceller, shutdown, limit, || work(self))
    }
}

/// A transaction; rolled back when dropped without a commit.
pub struct Tx<'a> {
    inner: Transaction<'a>,
    memory: &'a mut Memory,
    is_spent: &'a mut bool,
    schema: &'a SchemaName,
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tx")
    }
}

impl Tx<'_> {
    pub(super) fn schema(&self) -> &SchemaName {
        self.schema
    }

    pub(super) fn execute(&mut self, sql: &'static str, params: Params<'_>) -> Result<u64, StoreError> {
        let statement = self.prepare(sql)?;
        let result = self.inner.execute(&statement, params);
        self.noted(result)
    }

    pub(super) fn query(&mut self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepare(sql)?;
        let result = self.inner.query(&statement, params);
        self.noted(result)
    }

    pub(super) fn query_one(&mut self, sql: &'static str, params: Params<'_>) -> Result<Row, StoreError> {
        let statement = self.prepare(sql)?;
        let result = self.inner.query_one(&statement, params);
        self.noted(result)
    }

    /// Runs commands without parameters, such as those that make a partition.
    pub(super) fn batch(&mut self, commands: &str) -> Result<(), StoreError> {
        let result = self.inner.batch_execute(commands);
        self.noted(result)
    }

    /// Counts the rows of a table whose name the server has quoted.
    pub(super) fn count_rows(&mut self, quoted: &str) -> Result<i64, StoreError> {
        Ok(self.inner.query_one(&format!("SELECT count(*) FROM {quoted}"), &[])?.try_get(0)?)
    }

    /// Makes the changes last.
    ///
    /// # Errors
    /// When the connection fails: whether the changes were made is then unknown.
    pub fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit()?)
    }

    /// What is tried again on a new connection must not meet this one in the pool.
    fn noted<T>(&mut self, result: Result<T, postgres::Error>) -> Result<T, StoreError> {
        let result = result.map_err(StoreError::from);
        *self.is_spent |= result.as_ref().is_err_and(|error| error.fault() == Fault::Away);
        result
    }

    fn prepare(&mut self, sql: &'static str) -> Result<Statement, StoreError> {
        let statements = match self.memory {
            Memory::Statements(statements) => statements,
            // Closed when dropped, which is before the transaction ends: the session's next user does not meet it.
            Memory::Server(_) => {
                let result = self.inner.prepare(sql);
                return self.noted(result);
            }
        };
        Ok(match statements.entry(sql) {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(entry) => entry.insert(self.inner.prepare(sql)?).clone(),
        })
    }
}
