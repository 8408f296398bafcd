//! Whether the schema is one that this program can work with, and whether this user may.

use super::{Store, StoreError, migrations, rights};

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
    /// Whether the server only follows another one, and cannot be written.
    pub is_standby: bool,
    /// Whether the user may create a schema here, or in it what belongs there.
    pub may_create: bool,
    /// Whether there is a schema of that name that the user may not look into.
    pub is_closed: bool,
    /// Whether everybody may create objects in the schema, which then could be called instead of ours.
    pub is_open: bool,
    /// The newest migration that ran in the schema; `None` where there is no schema of ours.
    pub migrated_to: Option<i32>,
    /// Whether the user owns the tables, so that migrations can run.
    pub is_owner: bool,
    /// Rights that storing takes and that are missing, such as `INSERT on gap`.
    pub without_rights: Vec<String>,
}

const CONNECTION: &str = "SELECT current_user::text, current_database()::text,
    current_setting('server_version_num')::int / 10000,
    has_database_privilege(current_database(), 'CREATE')
        OR coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1), false),
    coalesce((SELECT NOT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1), false),
    EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE nspname = $1 AND relname = 'refinery_schema_history' AND has_schema_privilege(n.oid, 'USAGE')),
    pg_is_in_recovery(),
    coalesce((SELECT has_schema_privilege('public', oid, 'CREATE') FROM pg_namespace WHERE nspname = $1), false)";

const MIGRATED_TO: &str = "SELECT max(version)::int FROM refinery_schema_history";

/// Whether the tables are the user's own.
const OWNED: &str =
    "SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = $1 AND relkind IN ('r', 'p') AND NOT relispartition";

/// Those of the tables and rights, and of the functions, that the user does not have. What is not there yet is no lack.
const LACKING: &str = "SELECT wanted.kind || ' on ' || wanted.name
    FROM unnest($2::text[], $3::text[]) AS wanted (name, kind)
    JOIN pg_class c ON c.relname = wanted.name JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1
    WHERE NOT has_table_privilege(c.oid, wanted.kind)
    UNION SELECT 'EXECUTE on ' || proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE nspname = $1 AND proname = ANY($4) AND NOT has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1";

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
            is_standby: row.try_get(6)?,
            may_create: row.try_get(3)?,
            is_closed: row.try_get(4)?,
            is_open: row.try_get(7)?,
            schema,
            migrated_to: None,
            is_owner: false,
            without_rights: Vec::new(),
        };
        if row.try_get(5)? {
            let (tables, kinds) = wanted();
            found.migrated_to = tx.query_one(MIGRATED_TO, &[])?.try_get(0)?;
            found.is_owner = tx.query_one(OWNED, &[&found.schema])?.try_get::<_, Option<bool>>(0)?.unwrap_or(false);
            let lacking =
                tx.query(LACKING, &[&found.schema, &tables, &kinds, &rights::FUNCTIONS_OF_INGEST.as_slice()])?;
            found.without_rights = lacking.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_, StoreError>>()?;
        }
        // The row holds its statement. Behind a pooler that must be closed before the transaction ends, as nobody knows whose
        // session it would be closed in afterwards.
        drop(row);
        tx.commit()?;
        Ok(found)
    }
}

/// Each table that storing uses with each right on it.
fn wanted() -> (Vec<&'static str>, Vec<&'static str>) {
    let each = rights::OF_INGEST.iter().flat_map(|(table, rights)| {
        let rights = rights.split(", ").filter(|right| *right != "SELECT");
        std::iter::once((*table, "SELECT")).chain(rights.map(|right| (*table, right)))
    });
    each.unzip()
}

impl Readiness {
    /// Whether all migrations ran, and no newer ones.
    pub fn is_up_to_date(&self) -> bool {
        self.migrated_to == Some(migrations::newest())
    }

    /// Whether it can be worked with as it is, without a migration.
    ///
    /// # Errors
    /// What is missing, with the remedy.
    pub fn judge_as_it_is(&self) -> Result<String, String> {
        let found = self.judge()?;
        if self.is_up_to_date() {
            return Ok(found);
        }
        let (schema, newest) = (&self.schema, migrations::newest());
        let version =
            self.migrated_to.map_or_else(|| "not there yet".to_owned(), |version| format!("version {version}"));
        Err(format!(
            "schema {schema} is {version}, version {newest} is needed, and --no-migrate leaves that to somebody else: run \
             isitup-consumer migrate"
        ))
    }

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
        if self.is_standby {
            return Err(format!(
                "{at}: this server is a standby, which cannot be written: name the primary in postgres.url, or all servers \
                 (host1:5432,host2:5432)"
            ));
        }
        if self.is_open {
            return Err(format!(
                "{at}: everybody may create objects in it, and so run code as its owner: let its owner run REVOKE CREATE ON \
                 SCHEMA {schema} FROM PUBLIC, or name another one in postgres.schema"
            ));
        }
        match self.migrated_to {
            None if self.is_closed => Err(format!(
                "{at}: {user} may not look into it; let an administrator run: isitup-consumer setup-database"
            )),
            None if self.may_create => Ok(format!("{at}: not there yet, made at the first start")),
            None => Err(format!(
                "{at}: not there, and {user} may not create it; let an administrator run: isitup-consumer setup-database"
            )),
            Some(newer) if newer > migrations::newest() => Err(format!(
                "{at}: version {newer}, made by a newer release; this one knows versions up to {}: run the newer release",
                migrations::newest()
            )),
            Some(older) if older < migrations::newest() && !self.is_owner => Err(format!(
                "{at}: version {older}, {} is needed, and {user} does not own it; run as its owner: isitup-consumer migrate (or as an administrator: setup-database --apply)",
                migrations::newest()
            )),
            Some(older) if older < migrations::newest() => {
                Ok(format!("{at}: version {older}, brought to {} at the next start", migrations::newest()))
            }
            Some(_) if !self.without_rights.is_empty() => Err(format!(
                "{at}: {user} lacks {}; let an administrator run: isitup-consumer setup-database",
                few(&self.without_rights)
            )),
            Some(version) => Ok(format!("{at}: version {version}")),
        }
    }
}

/// The first few; who lacks one may lack all.
fn few(rights: &[String]) -> String {
    const MOST: usize = 5;
    let shown = rights.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    match rights.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more rights"),
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
            is_standby: false,
            may_create: false,
            is_closed: false,
            is_open: false,
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
                Readiness { is_standby: true, ..well() },
                format!(
                    "{at}: this server is a standby, which cannot be written: name the primary in postgres.url, or all servers (host1:5432,host2:5432)"
                ),
            ),
            (
                Readiness { is_open: true, ..well() },
                format!(
                    "{at}: everybody may create objects in it, and so run code as its owner: let its owner run REVOKE CREATE ON SCHEMA checks FROM PUBLIC, or name another one in postgres.schema"
                ),
            ),
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
                    "{at}: version {}, {newest} is needed, and ingest does not own it; run as its owner: isitup-consumer migrate (or as an administrator: setup-database --apply)",
                    newest - 1
                ),
            ),
            (
                Readiness { without_rights: vec!["INSERT on gap".to_owned(), "UPDATE on site".to_owned()], ..well() },
                format!(
                    "{at}: ingest lacks INSERT on gap, UPDATE on site; let an administrator run: isitup-consumer setup-database"
                ),
            ),
        ] {
            assert_eq!(found.judge().unwrap_err(), expected);
        }
        assert_eq!(well().judge().unwrap(), format!("{at}: version {newest}"));
    }
}
