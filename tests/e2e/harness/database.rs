//! A pipeline's schema, asked in SQL.

use postgres::types::{FromSqlOwned, ToSql};
use postgres::{Client, Config, NoTls, Row};

/// A connection that finds the pipeline's schema first.
pub(crate) struct Database {
    client: Client,
}

impl Database {
    /// Connects, which fails while PostgreSQL is away.
    pub(crate) fn connect(url: &str, schema: &str) -> Result<Self, postgres::Error> {
        let mut config: Config = url.parse()?;
        config.options(&format!("-c search_path={schema} -c timezone=UTC"));
        Ok(Self { client: config.connect(NoTls)? })
    }

    /// The one value that a query gives, or why it gives none.
    pub(crate) fn try_value<T: FromSqlOwned>(&mut self, sql: &str) -> Result<T, postgres::Error> {
        self.client.query_one(sql, &[])?.try_get(0)
    }

    /// The one value that a query gives.
    #[track_caller]
    pub(crate) fn value<T: FromSqlOwned>(&mut self, sql: &str) -> T {
        self.try_value(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// The first column of all rows.
    #[track_caller]
    pub(crate) fn column<T: FromSqlOwned>(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Vec<T> {
        self.rows(sql, parameters).iter().map(|row| row.get(0)).collect()
    }

    /// All rows.
    #[track_caller]
    pub(crate) fn rows(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        self.client.query(sql, parameters).unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// All rows, or why there are none.
    pub(crate) fn try_rows(&mut self, sql: &str) -> Result<Vec<Row>, postgres::Error> {
        self.client.query(sql, &[])
    }

    /// Whether the server understands a statement, without running it.
    pub(crate) fn prepare(&mut self, sql: &str) -> Result<(), postgres::Error> {
        self.client.prepare(sql).map(drop)
    }

    /// Runs commands, which may fail.
    pub(crate) fn try_run(&mut self, sql: &str) -> Result<(), postgres::Error> {
        self.client.batch_execute(sql)
    }

    /// Runs commands.
    #[track_caller]
    pub(crate) fn run(&mut self, sql: &str) {
        self.client.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// How many rows a table or view has, all of it or where some condition holds.
    #[track_caller]
    pub(crate) fn count(&mut self, of: &str) -> i64 {
        self.value(&format!("SELECT count(*) FROM {of}"))
    }
}
