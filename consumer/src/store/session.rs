//! Connections that remember their prepared statements, and transactions that bring their settings with them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use isitup_shared::config::SchemaName;
use postgres::types::ToSql;
use postgres::{Client, Row, Statement, Transaction};
use r2d2::{ManageConnection, PooledConnection};
use r2d2_postgres::PostgresConnectionManager;

use super::StoreError;
use super::deadline::{AnswerLimit, Watch};

/// Parameters of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Longer than any statement of the pipeline takes, shorter than a person waits for a stuck one.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Reports and housekeeping may read a lot.
const LONG_STATEMENT_TIMEOUT: Duration = Duration::from_secs(3600);

/// How much longer than the server lets a statement run its answer is waited for.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);

/// How long the server may take over each step by which a session begins.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How long past the lease a transaction may lie idle before the server ends it.
const IDLE_MARGIN: Duration = Duration::from_secs(5);

/// What each kind of transaction sets for itself.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) schema: SchemaName,
    fast: String,
    durable: String,
    long: String,
}

impl Settings {
    pub(super) fn new(schema: SchemaName, lease: Duration) -> Self {
        // Compiling the reports' statements takes seconds, running them milliseconds.
        let settings = |durability: &str, statement: Duration, idle: Duration| {
            format!(
                "SET LOCAL search_path TO {schema}; SET LOCAL synchronous_commit TO {durability}; \
                 SET LOCAL statement_timeout TO {}; SET LOCAL idle_in_transaction_session_timeout TO {}; \
                 SET LOCAL timezone TO 'UTC'; SET LOCAL jit TO off",
                statement.as_millis(),
                idle.as_millis(),
            )
        };
        let idle = lease + IDLE_MARGIN;
        Self {
            fast: settings("off", STATEMENT_TIMEOUT, idle),
            durable: settings("on", STATEMENT_TIMEOUT, idle),
            long: settings("on", LONG_STATEMENT_TIMEOUT, LONG_STATEMENT_TIMEOUT),
            schema,
        }
    }
}

/// A connection and the statements prepared on it.
pub(super) struct Connection {
    client: Client,
    statements: HashMap<&'static str, Statement>,
    settings: Arc<Settings>,
    limit: AnswerLimit,
}

/// Makes [`Connection`]s for the pool.
pub(super) struct Manager {
    inner: PostgresConnectionManager<Watch>,
    config: postgres::Config,
    watch: Watch,
    settings: Arc<Settings>,
}

impl Manager {
    pub(super) fn new(mut config: postgres::Config, settings: Arc<Settings>) -> Self {
        let watch = Watch::for_config(&mut config, AnswerLimit::new(START_LIMIT));
        Self { inner: PostgresConnectionManager::new(config.clone(), watch.clone()), config, watch, settings }
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection, StoreError> {
        // Each connection has a limit of its own, which its transactions set.
        let limit = AnswerLimit::new(START_LIMIT);
        let client = self.config.connect(self.watch.with(limit.clone()))?;
        Ok(Connection { client, statements: HashMap::new(), settings: Arc::clone(&self.settings), limit })
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), StoreError> {
        Ok(self.inner.is_valid(&mut connection.client)?)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        self.inner.has_broken(&mut connection.client)
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

    /// A transaction for reports and housekeeping, whose statements may take long.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn begin_long(&mut self) -> Result<Tx<'_>, StoreError> {
        self.begin(LONG_STATEMENT_TIMEOUT, |settings| &settings.long)
    }

    /// A read-only transaction that sees one moment of the database.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn begin_snapshot(&mut self) -> Result<Tx<'_>, StoreError> {
        let mut tx = self.begin_long()?;
        tx.inner.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")?;
        Ok(tx)
    }

    fn begin(&mut self, statement: Duration, choose: impl Fn(&Settings) -> &str) -> Result<Tx<'_>, StoreError> {
        let Connection { client, statements, settings, limit } = &mut *self.connection;
        limit.set(statement + ANSWER_MARGIN);
        let mut inner = client.transaction()?;
        inner.batch_execute(choose(settings))?;
        Ok(Tx { inner, statements, schema: &settings.schema })
    }

    /// Runs a command that cannot run inside a transaction.
    pub(super) fn execute_alone(&mut self, command: &str) -> Result<(), StoreError> {
        self.connection.limit.set(LONG_STATEMENT_TIMEOUT);
        Ok(self.connection.client.batch_execute(command)?)
    }
}

/// A transaction; rolled back when dropped without a commit.
pub struct Tx<'a> {
    inner: Transaction<'a>,
    statements: &'a mut HashMap<&'static str, Statement>,
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
        Ok(self.inner.execute(&statement, params)?)
    }

    pub(super) fn query(&mut self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepare(sql)?;
        Ok(self.inner.query(&statement, params)?)
    }

    pub(super) fn query_one(&mut self, sql: &'static str, params: Params<'_>) -> Result<Row, StoreError> {
        let statement = self.prepare(sql)?;
        Ok(self.inner.query_one(&statement, params)?)
    }

    /// Runs commands without parameters, such as those that make a partition.
    pub(super) fn batch(&mut self, commands: &str) -> Result<(), StoreError> {
        Ok(self.inner.batch_execute(commands)?)
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

    fn prepare(&mut self, sql: &'static str) -> Result<Statement, StoreError> {
        Ok(match self.statements.entry(sql) {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(entry) => entry.insert(self.inner.prepare(sql)?).clone(),
        })
    }
}
