//! Brings the schema up to date: creates it where it is missing and runs each numbered migration once.

use std::time::Duration;

use isitup_shared::config::SchemaName;
use isitup_shared::crash_point;
use postgres::Client;
use refinery::{Migration, Runner};
use refinery_core::traits::sync::{Migrate, Query, Transaction};

use super::connect::START_LIMIT;
use super::deadline::AnswerLimit;
use super::setup::quoted;
use super::{Store, StoreError};

/// The int8multirange type, which the audit counts with, is this old.
pub(super) const OLDEST_MAJOR: i32 = 14;

/// A migration rewrites what it must; one that another consumer runs is waited for.
const MIGRATION_LIMIT: Duration = Duration::from_secs(24 * 3600);

pub(super) const MIGRATIONS: [(&str, &str); 7] = [
    ("V1__tables", include_str!("../../migrations/V1__tables.sql")),
    ("V2__views", include_str!("../../migrations/V2__views.sql")),
    ("V3__roles", include_str!("../../migrations/V3__roles.sql")),
    ("V4__truth", include_str!("../../migrations/V4__truth.sql")),
    ("V5__watching", include_str!("../../migrations/V5__watching.sql")),
    ("V6__rights", include_str!("../../migrations/V6__rights.sql")),
    ("V7__identity", include_str!("../../migrations/V7__identity.sql")),
];

/// The number of the newest migration.
pub(super) fn newest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

impl Store {
    /// Creates or updates the schema. Returns the names of the migrations that had to run. Two at once do no harm:
    /// the second waits for the first and then finds nothing to do.
    ///
    /// # Errors
    /// When PostgreSQL is away, older than 14, or refuses; or when what there is to do is not this user's to do.
    pub fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let found = self.readiness()?;
        found.judge().map_err(StoreError::NotReady)?;
        // Who stores without owning the schema may look no further.
        if found.is_up_to_date() { Ok(Vec::new()) } else { self.migrate_as(None) }
    }

    /// The same as a role that the user may take, without a look at what is there.
    pub(super) fn migrate_as(&self, role: Option<&str>) -> Result<Vec<String>, StoreError> {
        let mut guard = self.connect()?;
        // A lock of a transaction, held on a connection of its own: it neither leaks through a pooler nor outlives us.
        let mut lock = guard.transaction()?;
        lock.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('isitup migrate ' || $1, 0))",
            &[&self.schema().as_str()],
        )?;
        crash_point!("migrate.locked");
        let schema = self.schema();
        if lock.query_opt("SELECT FROM pg_namespace WHERE nspname = $1", &[&schema.as_str()])?.is_none() {
            self.connect()?.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))?;
            crash_point!("migrate.schema_made");
        }
        let applied = self.run_migrations(role)?;
        if !applied.is_empty() {
            self.renew_rights(role)?;
        }
        crash_point!("migrate.applied");
        lock.commit()?;
        Ok(applied)
    }

    /// A connection outside the pool, whose statements may take long.
    pub(super) fn connect(&self) -> Result<Client, StoreError> {
        let limit = AnswerLimit::new(START_LIMIT);
        let client = self.connector().connect(None, &limit)?;
        limit.set(MIGRATION_LIMIT);
        Ok(client)
    }

    fn run_migrations(&self, role: Option<&str>) -> Result<Vec<String>, StoreError> {
        let schema = self.schema();
        let mut client = InSchema { client: self.connect()?, schema, role: role.map(quoted) };
        let mut runner = Runner::new(&migrations()?).set_grouped(true);
        runner.set_migration_table_name(format!("{schema}.refinery_schema_history"));
        let report = runner.run(&mut client).map_err(|error| StoreError::Migration(error_chain(&error)))?;
        Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
    }
}

/// A connection whose migrations find the schema first. Set for each transaction, so that a pooler may stand between;
/// and a migration takes as long as it takes, whatever the role's settings say.
struct InSchema<'a> {
    client: Client,
    schema: &'a SchemaName,
    /// Whom to be, quoted.
    role: Option<String>,
}

impl Transaction for InSchema<'_> {
    type Error = postgres::Error;

    fn execute<'q, T: Iterator<Item = &'q str>>(&mut self, queries: T) -> Result<usize, Self::Error> {
        let mut tx = self.client.transaction()?;
        tx.batch_execute(&format!(
            "SET LOCAL search_path TO {}; SET LOCAL client_min_messages TO warning;
             SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO 0",
            self.schema
        ))?;
        if let Some(role) = &self.role {
            tx.batch_execute(&format!("SET LOCAL ROLE {role}"))?;
        }
        let mut count = 0;
        for query in queries {
            tx.batch_execute(query)?;
            count += 1;
        }
        tx.commit()?;
        Ok(count)
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
