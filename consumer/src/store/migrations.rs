//! Brings the schema up to date: creates it where it is missing and runs each numbered migration once.

use isitup_shared::crash_point;
use postgres::{Client, NoTls};
use refinery::{Migration, Runner};

use super::{Store, StoreError};

/// The int8multirange type, which the audit counts with, is this old.
const OLDEST_SERVER: i32 = 140_000;

const MIGRATIONS: [(&str, &str); 4] = [
    ("V1__tables", include_str!("../../migrations/V1__tables.sql")),
    ("V2__views", include_str!("../../migrations/V2__views.sql")),
    ("V3__roles", include_str!("../../migrations/V3__roles.sql")),
    ("V4__truth", include_str!("../../migrations/V4__truth.sql")),
];

impl Store {
    /// Creates or updates the schema. Returns the names of the migrations that had to run. Two at once do no harm:
    /// the second waits for the first and then finds nothing to do.
    ///
    /// # Errors
    /// When PostgreSQL is away, older than 14, or refuses.
    pub fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let mut guard = self.driver_config().connect(NoTls)?;
        let version: i32 = guard.query_one("SELECT current_setting('server_version_num')::int", &[])?.get(0);
        if version < OLDEST_SERVER {
            let message = format!("PostgreSQL 14 or newer is needed, this is {}", version / 10_000);
            return Err(StoreError::Migration(message));
        }
        // A lock of a transaction, held on a connection of its own: it neither leaks through a pooler nor outlives us.
        let mut lock = guard.transaction()?;
        lock.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('isitup migrate ' || $1, 0))",
            &[&self.schema().as_str()],
        )?;
        crash_point!("migrate.locked");
        let applied = self.run_migrations();
        crash_point!("migrate.applied");
        lock.commit()?;
        applied
    }

    fn run_migrations(&self) -> Result<Vec<String>, StoreError> {
        let mut client = self.connect_in_schema()?;
        let exists = client.query_opt("SELECT FROM pg_namespace WHERE nspname = $1", &[&self.schema().as_str()])?;
        if exists.is_none() {
            client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", self.schema()))?;
            crash_point!("migrate.schema_made");
        }
        let runner = Runner::new(&migrations()?).set_grouped(true);
        let report = runner.run(&mut client).map_err(|error| StoreError::Migration(error_chain(&error)))?;
        Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
    }

    /// A connection on which every statement finds the schema first.
    fn connect_in_schema(&self) -> Result<Client, StoreError> {
        let mut config = self.driver_config().clone();
        config.options(&format!("-c search_path={} -c client_min_messages=warning", self.schema().as_str()));
        let mut client = config.connect(NoTls)?;
        // A pooler may swallow start-up options; tables in the wrong schema would be worse than none.
        let found: String = client.query_one("SHOW search_path", &[])?.get(0);
        if found == self.schema().as_str() {
            Ok(client)
        } else {
            let message = format!("search_path is {found:?} in spite of the start-up option: migrate past the pooler");
            Err(StoreError::Migration(message))
        }
    }
}

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
