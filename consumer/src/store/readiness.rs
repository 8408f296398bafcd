//! Whether the schema is one that this program can work with, and whether this user may.

use super::{Store, StoreError, migrations};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The user as whom we are connected.
    pub user: String,
    /// The database's name.
    pub database: String,
    /// The schema's name.
    pub schema: String,
    /// The server's major version.
    pub server: i32,
    /// Whether the user may create a schema here.
    pub may_create: bool,
    /// The newest migration that ran in the schema; `None` where there is no schema of ours.
    pub migrated_to: Option<i32>,
    /// Whether the user owns the tables, so that migrations can run.
    pub is_owner: bool,
    /// Tables on which a right is missing that storing takes.
    pub without_rights: Vec<String>,
}

const CONNECTION: &str = "SELECT current_user::text, current_database()::text,
    current_setting('server_version_num')::int / 10000,
    has_database_privilege(current_database(), 'CREATE')
        OR coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1), false),
    EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE nspname = $1 AND relname = 'refinery_schema_history')
        AND has_schema_privilege($1, 'USAGE')";

const MIGRATED_TO: &str = "SELECT max(version)::int FROM refinery_schema_history";

const RIGHTS: &str = "SELECT relname::text, pg_has_role(relowner, 'USAGE'),
    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
        AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = $1 AND relname IN ('site', 'result', 'site_status', 'incident', 'uptime_hour', 'gap', 'producer',
        'producer_event', 'partition_offset', 'rejected')
    ORDER BY relname";

impl Store {
    /// Looks at the schema, without a change to it.
    ///
    /// # Errors
    /// When PostgreSQL is away or does not let this user look.
    pub fn readiness(&self) -> Result<Readiness, StoreError> {
        let mut session = self.session()?;
        let mut tx = session.begin_fast()?;
        let schema = self.schema().as_str().to_owned();
        let row = tx.query_one(CONNECTION, &[&schema])?;
        let mut found = Readiness {
            user: row.try_get(0)?,
            database: row.try_get(1)?,
            server: row.try_get(2)?,
            may_create: row.try_get(3)?,
            schema,
            migrated_to: None,
            is_owner: false,
            without_rights: Vec::new(),
        };
        if row.try_get(4)? {
            found.migrated_to = tx.query_one(MIGRATED_TO, &[])?.try_get(0)?;
            let rights = tx.query(RIGHTS, &[&found.schema])?;
            found.is_owner = true;
            for row in rights {
                found.is_owner &= row.try_get::<_, bool>(1)?;
                if !row.try_get::<_, bool>(2)? {
                    found.without_rights.push(row.try_get(0)?);
                }
            }
        }
        tx.commit()?;
        Ok(found)
    }
}

impl Readiness {
    /// What is there in words, where all is well.
    ///
    /// # Errors
    /// What is missing, with the remedy.
    pub fn judge(&self) -> Result<String, String> {
        let Self { user, database, schema, server, .. } = self;
        if *server < migrations::OLDEST_MAJOR {
            return Err(format!("PostgreSQL {} or newer is needed, this is {server}", migrations::OLDEST_MAJOR));
        }
        let at = format!("schema {schema} of database {database} (PostgreSQL {server}, user {user})");
        match self.migrated_to {
            None if self.may_create => Ok(format!("{at}: not there yet, made at the first start")),
            None => Err(format!(
                "{at}: not there, and {user} may not create it; let an administrator run: isitup-consumer setup-database"
            )),
            Some(newer) if newer > migrations::newest() => Err(format!(
                "{at}: version {newer}, made by a newer release; this one knows versions up to {}: run the newer release",
                migrations::newest()
            )),
            Some(older) if older < migrations::newest() && !self.is_owner => Err(format!(
                "{at}: version {older}, {} is needed, and {user} does not own it; run as its owner: isitup-consumer migrate",
                migrations::newest()
            )),
            Some(older) if older < migrations::newest() => {
                Ok(format!("{at}: version {older}, brought to {} at the next start", migrations::newest()))
            }
            Some(_) if !self.without_rights.is_empty() => Err(format!(
                "{at}: {user} may not select, insert, update and delete in {}; grant it the role isitup_ingest",
                self.without_rights.join(", ")
            )),
            Some(version) => Ok(format!("{at}: version {version}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Readiness {
        Readiness {
            user: "ingest".to_owned(),
            database: "isitup".to_owned(),
            schema: "checks".to_owned(),
            server: 17,
            may_create: false,
            migrated_to: Some(migrations::newest()),
            is_owner: false,
            without_rights: Vec::new(),
        }
    }

    #[test]
    fn each_lack_is_told_with_its_remedy() {
        let newest = migrations::newest();
        let at = "schema checks of database isitup (PostgreSQL 17, user ingest)";
        for (found, expected) in [
            (Readiness { server: 13, ..well() }, "PostgreSQL 14 or newer is needed, this is 13".to_owned()),
            (
                Readiness { migrated_to: None, ..well() },
                format!(
                    "{at}: not there, and ingest may not create it; let an administrator run: isitup-consumer setup-database"
                ),
            ),
            (
                Readiness { migrated_to: Some(newest + 1), ..well() },
                format!(
                    "{at}: version {}, made by a newer release; this one knows versions up to {newest}: run the newer release",
                    newest + 1
                ),
            ),
            (
                Readiness { migrated_to: Some(newest - 1), ..well() },
                format!(
                    "{at}: version {}, {newest} is needed, and ingest does not own it; run as its owner: isitup-consumer migrate",
                    newest - 1
                ),
            ),
            (
                Readiness { without_rights: vec!["gap".to_owned(), "site".to_owned()], ..well() },
                format!(
                    "{at}: ingest may not select, insert, update and delete in gap, site; grant it the role isitup_ingest"
                ),
            ),
        ] {
            assert_eq!(found.judge().unwrap_err(), expected);
        }
        assert_eq!(well().judge().unwrap(), format!("{at}: version {newest}"));
    }
}
