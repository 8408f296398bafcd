//! Brings the schema up to date: creates it where it is missing and runs each numbered migration once.

use std::time::Duration;

use isitup_shared::config::SchemaName;
use isitup_shared::crash_point;
use isitup_shared::shutdown::Shutdown;
use postgres::error::SqlState;
use postgres::{Client, Transaction as Tx};
use refinery::{Migration, Runner};
use refinery_core::traits::sync::{Migrate, Query, Transaction};

use super::cancel::{Canceller, interruptible};
use super::connect::START_LIMIT;
use super::deadline::AnswerLimit;
use super::error::describe;
use super::setup::quoted;
use super::{Store, StoreError};

/// The int8multirange type, which the audit counts with, is this old.
pub(super) const OLDEST_MAJOR: i32 = 14;

/// A migration rewrites what it must; one that another consumer runs is waited for.
const MIGRATION_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// How long a migration waits for each lock. A consumer that stores queues up behind the wait, so it is short, and the
/// migration tries again as a whole.
const LOCK_TIMEOUT: Duration = Duration::from_millis(250);

/// The first pause between two tries, which then doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often it is looked whether another consumer has finished its migration, and how often that is logged.
const TURN_PAUSE: Duration = Duration::from_millis(250);
const TURN_LOGGED_EVERY: u32 = 4 * 60;

pub(super) const MIGRATIONS: [(&str, &str); 7] = [
    ("V1__tables", include_str!("../../migrations/V1__tables.sql")),
    ("V2__views", include_str!("../../migrations/V2__views.sql")),
    ("V3__roles", include_str!("../../migrations/V3__roles.sql")),
    ("V4__truth", include_str!("../../migrations/V4__truth.sql")),
    ("V5__watching", include_str!("../../migrations/V5__watching.sql")),
    ("V6__rights", include_str!("../../migrations/V6__rights.sql")),
    ("V8__function_rights", include_str!("../../migrations/V8__function_rights.sql")),
];

/// The number of the newest migration.
pub(super) fn newest() -> i32 {
    migrations().ok().and_then(|all| all.iter().map(Migration::version).max()).unwrap_or(i32::MAX)
}

impl Store {
    /// Creates or updates the schema. Returns the names of the migrations that had to run. Two at once do no harm:
    /// the second waits for the first and then finds nothing to do.
    ///
    /// # Errors
    /// When PostgreSQL is away, older than 14, or refuses; when what there is to do is not this user's to do; or when the
    /// shutdown starts.
    pub fn migrate(&self, shutdown: &Shutdown) -> Result<Vec<String>, StoreError> {
        let found = self.readiness()?;
        found.judge().map_err(StoreError::NotReady)?;
        // Who stores without owning the schema may look no further.
        if found.is_up_to_date() { Ok(Vec::new()) } else { self.migrate_as(None, shutdown) }
    }

    /// The same as a role that the user may take, without a look at what is there.
    pub(super) fn migrate_as(&self, role: Option<&str>, shutdown: &Shutdown) -> Result<Vec<String>, StoreError> {
        let mut guard = self.connect()?;
        // A lock of a transaction, held on a connection of its own: it neither leaks through a pooler nor outlives us.
        let mut lock = guard.transaction()?;
        self.take_turn(&mut lock, shutdown)?;
        crash_point!("migrate.locked");
        let schema = self.schema();
        if lock.query_opt("SELECT FROM pg_namespace WHERE nspname = $1", &[&schema.as_str()])?.is_none() {
            self.connect()?.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))?;
            crash_point!("migrate.schema_made");
        }
        let applied = self.run_migrations(role, shutdown)?;
        if !applied.is_empty() {
            self.renew_rights(role)?;
        }
        crash_point!("migrate.applied");
        lock.commit()?;
        Ok(applied)
    }

    /// Waits until no other consumer migrates this schema, and lets none begin until the transaction ends.
    fn take_turn(&self, lock: &mut Tx<'_>, shutdown: &Shutdown) -> Result<(), StoreError> {
        // It lies idle while the migrations run. And its functions are PostgreSQL's, whatever others have in `public`.
        lock.batch_execute(
            "SET LOCAL search_path TO pg_catalog, pg_temp; SET LOCAL statement_timeout TO 0;
             SET LOCAL idle_in_transaction_session_timeout TO 0",
        )?;
        let (ask, schema) =
            ("SELECT pg_try_advisory_xact_lock(hashtextextended('isitup migrate ' || $1, 0))", self.schema());
        let mut looks = 0;
        while !lock.query_one(ask, &[&schema.as_str()])?.try_get::<_, bool>(0)? {
            if looks % TURN_LOGGED_EVERY == 0 {
                log::info!("another process migrates schema {}: waiting until it has finished", schema.as_str());
            }
            looks += 1;
            if shutdown.wait(TURN_PAUSE) {
                return Err(StoreError::Migration("interrupted while another process migrates it".into()));
            }
        }
        Ok(())
    }

    /// A connection outside the pool, whose statements may take long.
    pub(super) fn connect(&self) -> Result<Client, StoreError> {
        let limit = AnswerLimit::new(START_LIMIT);
        let client = self.connector().connect(None, &limit)?;
        limit.set(MIGRATION_LIMIT);
        Ok(client)
    }

    fn run_migrations(&self, role: Option<&str>, shutdown: &Shutdown) -> Result<Vec<String>, StoreError> {
        let schema = self.schema();
        let client = self.connect()?;
        let canceller = self.connector().canceller(&client);
        let mut client = InSchema { client, canceller, schema, role: role.map(quoted), shutdown };
        let mut runner = Runner::new(&migrations()?).set_grouped(true);
        runner.set_migration_table_name(format!("{schema}.refinery_schema_history"));
        let report = runner.run(&mut client).map_err(|error| StoreError::Migration(error_chain(&error)))?;
        Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
    }
}

/// A connection whose migrations find the schema first. Set for each transaction, so that a pooler may stand between;
/// and a migration takes as long as it takes, whatever the role's settings say. What it does not take is a place in the
/// queue before those who store: locks are waited for briefly, again and again.
struct InSchema<'a> {
    client: Client,
    canceller: Canceller,
    schema: &'a SchemaName,
    /// Whom to be, quoted.
    role: Option<String>,
    shutdown: &'a Shutdown,
}

impl InSchema<'_> {
    fn execute_once(&mut self, queries: &[&str]) -> Result<usize, postgres::Error> {
        let mut tx = self.client.transaction()?;
        tx.batch_execute(&format!(
            "SET LOCAL search_path TO {}, pg_temp; SET LOCAL client_min_messages TO warning;
             SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO {}",
            self.schema,
            LOCK_TIMEOUT.as_millis()
        ))?;
        if let Some(role) = &self.role {
            tx.batch_execute(&format!("SET LOCAL ROLE {role}"))?;
        }
        interruptible(&self.canceller, self.shutdown, MIGRATION_LIMIT, || {
            queries.iter().try_for_each(|query| tx.batch_execute(query))
        })?;
        tx.commit()?;
        Ok(queries.len())
    }
}

impl Transaction for InSchema<'_> {
    type Error = postgres::Error;

    fn execute<'q, T: Iterator<Item = &'q str>>(&mut self, queries: T) -> Result<usize, Self::Error> {
        let queries: Vec<&str> = queries.collect();
        let mut pause = FIRST_PAUSE;
        loop {
            let result = self.execute_once(&queries);
            let Err(error) = &result else { return result };
            if error.code() != Some(&SqlState::LOCK_NOT_AVAILABLE) {
                return result;
            }
            log::warn!(
                "the migration of schema {} waits for a lock, which it tries to take for {} ms at a time so that storing \
                 goes on: {}; end transactions that last long; trying again in {} s",
                self.schema.as_str(),
                LOCK_TIMEOUT.as_millis(),
                describe(error),
                pause.as_secs()
            );
            if self.shutdown.wait(pause) {
                return result;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Query<Vec<Migration>> for InSchema<'_> {
    fn query(&mut self, query: &str) -> Result<Vec<Migration>, Self::Error> {
        Query::query(&mut self.client, query)
    }
}

impl Migrate for InSchema<'_> {}

fn migrations() -> Result<Vec<Migration>, StoreError> {
    let parse = |(name, sql): &(&str, &str)| Migration::unapplied(name, sql);
    MIGRATIONS.iter().map(parse).collect::<Result<_, _>>().map_err(|error| StoreError::Migration(error.to_string()))
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
