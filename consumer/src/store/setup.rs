//! A database for isitup alone, with the least rights: an owner, who migrates; who stores; and who reads the views.
//!
//! The same SQL is printed for an administrator to look at and to give to psql, and run by `--apply`. All of it may be done
//! again, after an upgrade too.

use std::fmt::Write as _;
use std::time::Duration;

use isitup_shared::config::{PostgresConfig, SchemaName};
use isitup_shared::secret::Secret;
use isitup_shared::shutdown::Shutdown;
use postgres::Client;
use postgres::error::{DbError, SqlState};
use postgres_protocol::password::scram_sha_256;
use refinery::Migration;

use super::migrations::MIGRATIONS;
use super::{Store, StoreError, rights};

/// What is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetUp {
    /// The database.
    pub database: String,
    /// The schema in it.
    pub schema: SchemaName,
    /// Owns both, and migrates.
    pub owner: String,
    /// Stores: the user of the service.
    pub ingest: String,
    /// Reads the views.
    pub reader: String,
    /// How many days before today are kept: the storing role may drop no younger ones.
    pub retention_days: i32,
}

/// The passwords to give to the roles; who has none here keeps the one there is.
#[derive(Clone, Debug, Default)]
pub struct RolePasswords {
    /// The owner's.
    pub owner: Option<Secret>,
    /// That of who stores.
    pub ingest: Option<Secret>,
    /// The reader's.
    pub reader: Option<Secret>,
}

/// In a schema that others may write to, a function or operator of theirs could be called instead of PostgreSQL's own. So
/// nothing is looked up anywhere else.
const TRUSTED_PATH: &str = "search_path TO pg_catalog, pg_temp";

/// How long the printed SQL waits for a lock. Whoever stores queues up behind it; a script cannot try again by itself.
const SCRIPT_LOCK_TIMEOUT: &str = "2s";

/// A name as SQL has it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    // An E string, in which a backslash is one whatever the server's settings say.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

impl SetUp {
    /// The SQL for psql, to be run by an administrator.
    ///
    /// # Errors
    /// When a migration cannot be read, which no release has.
    pub fn script(&self) -> Result<String, StoreError> {
        let (database, roles) = (quoted(&self.database), self.roles());
        let mut text = format!(
            "-- Run by an administrator: isitup-consumer setup-database | psql \"$ADMIN_URL\" -v ON_ERROR_STOP=1\n\
             -- Again after each upgrade, after a change of consumer.retention, and after a lock timeout, which means that\n\
             -- somebody reads or writes for long; what is there already stays as it is.\n\n\
             SET {TRUSTED_PATH};\n\
             {roles}\n\
             SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = {name}) AS is_new \\gset\n\\if :is_new\n\
             {create};\n{close};\n\\endif\n{connect}\n\\connect {database}\nSET {TRUSTED_PATH};\n\n{schema}\n",
            name = literal(&self.database),
            create = self.create_database(),
            close = self.close_database(),
            connect = self.let_in(),
            schema = self.make_schema(),
        );
        self.add_migrations(&mut text)?;
        add(&mut text, &format!("\nBEGIN;\n{}COMMIT;\n", self.grants()));
        add(&mut text, "\n-- Each needs a password now, unless it comes in by other means:\n");
        for role in [&self.owner, &self.ingest, &self.reader] {
            add(&mut text, &format!("-- \\password {}\n", quoted(role)));
        }
        Ok(text)
    }

    /// Does it. `admin` is the administrator's way to any database of the server, `inside` the one to ours. Returns what was
    /// done, for people.
    ///
    /// # Errors
    /// When the server does not answer, or the administrator may not.
    pub fn apply(
        &self,
        admin: &PostgresConfig,
        inside: &PostgresConfig,
        passwords: &RolePasswords,
        shutdown: &Shutdown,
    ) -> Result<Vec<String>, StoreError> {
        self.apply_all(admin, inside, passwords, shutdown).map_err(|error| match &error {
            StoreError::Sql(sql) if sql.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                let message = sql.as_db_error().map(DbError::message).unwrap_or_default();
                StoreError::NotReady(format!(
                    "PostgreSQL refused: {message} [42501]; the administrator must be allowed to create roles and databases \
                     (CREATEROLE, CREATEDB), and to change those roles that are there already (WITH ADMIN OPTION)"
                ))
            }
            _ => error,
        })
    }

    fn apply_all(
        &self,
        admin: &PostgresConfig,
        inside: &PostgresConfig,
        passwords: &RolePasswords,
        shutdown: &Shutdown,
    ) -> Result<Vec<String>, StoreError> {
        let mut done = Vec::new();
        let mut client = store_for(admin)?.connect()?;
        run_trusted(&mut client, &self.roles())?;
        let of =
            [(&self.owner, &passwords.owner), (&self.ingest, &passwords.ingest), (&self.reader, &passwords.reader)];
        for (role, password) in of {
            // The server gets what it checks a password by, so the password itself stands in no log of its.
            let password = password.as_ref().map(|secret| scram_sha_256(secret.expose().as_bytes()));
            if let Some(verifier) = &password {
                client.batch_execute(&format!("ALTER ROLE {} PASSWORD {}", quoted(role), literal(verifier)))?;
            }
            done.push(format!("role {role}{}", if password.is_some() { ", with its password" } else { "" }));
        }
        let is_there = self.has_database(&mut client)?;
        if !is_there {
            client.batch_execute(&self.create_database())?;
            client.batch_execute(&self.close_database())?;
        }
        run_trusted(&mut client, &self.let_in())?;
        done.push(format!("database {}{}", self.database, if is_there { ", which was there" } else { ", made" }));
        let store = store_for(inside)?;
        let mut client = store.connect()?;
        run_trusted(&mut client, &self.make_schema())?;
        let applied = store.migrate_as(Some(&self.owner), shutdown)?;
        done.extend(applied.iter().map(|migration| format!("schema {}: applied {migration}", self.schema.as_str())));
        run_trusted(&mut client, &self.grants())?;
        done.push(format!("schema {}: the rights of {} and {}", self.schema.as_str(), self.ingest, self.reader));
        done.push(format!("schema {}: a retention of {} days", self.schema.as_str(), self.retention_days));
        Ok(done)
    }

    fn has_database(&self, client: &mut Client) -> Result<bool, StoreError> {
        let mut tx = client.transaction()?;
        tx.batch_execute(&format!("SET LOCAL {TRUSTED_PATH}"))?;
        Ok(tx.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&self.database])?.is_some())
    }

    fn roles(&self) -> String {
        let mut text = "DO $$\nBEGIN\n".to_owned();
        for role in [&self.owner, &self.ingest, &self.reader] {
            let (name, role) = (literal(role), quoted(role));
            add(
                &mut text,
                &format!(
                    "    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) THEN\n        \
                             CREATE ROLE {role} LOGIN;\n    \
                     ELSIF NOT (SELECT rolcanlogin FROM pg_roles WHERE rolname = {name}) THEN\n        \
                             -- As migrations make those of these names, for people to grant.\n        \
                             ALTER ROLE {role} LOGIN;\n    END IF;\n"
                ),
            );
        }
        let (name, owner) = (literal(&self.owner), quoted(&self.owner));
        add(
            &mut text,
            &format!(
                "    -- To act for the owner takes belonging to it, except for superusers.\n    \
                     IF NOT pg_has_role(current_user, {name}, 'USAGE') THEN\n        \
                         GRANT {owner} TO CURRENT_USER;\n    END IF;\nEND\n$$;\n"
            ),
        );
        text
    }

    fn create_database(&self) -> String {
        let (database, owner) = (quoted(&self.database), quoted(&self.owner));
        format!("CREATE DATABASE {database} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8'")
    }

    fn close_database(&self) -> String {
        format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", quoted(&self.database))
    }

    fn let_in(&self) -> String {
        let mut text = "DO $$\nBEGIN\n".to_owned();
        let database = &self.database;
        for role in [&self.owner, &self.ingest, &self.reader] {
            add(
                &mut text,
                &format!(
                    "    IF NOT has_database_privilege({}, {}, 'CONNECT') THEN\n        \
                             GRANT CONNECT ON DATABASE {} TO {};\n    END IF;\n",
                    literal(role),
                    literal(database),
                    quoted(database),
                    quoted(role)
                ),
            );
        }
        add(&mut text, "END\n$$;\n");
        text
    }

    fn make_schema(&self) -> String {
        let (name, schema, owner) = (literal(self.schema.as_str()), &self.schema, quoted(&self.owner));
        format!(
            "DO $$\nDECLARE\n    there text;\nBEGIN\n    \
             SELECT pg_get_userbyid(nspowner) INTO there FROM pg_namespace WHERE nspname = {name};\n    \
             IF there IS NULL THEN\n        CREATE SCHEMA {schema} AUTHORIZATION {owner};\n    \
             ELSIF there <> {} THEN\n        \
             RAISE EXCEPTION 'the schema belongs to %: give --owner %, and let postgres.url name another user', there, there;\n    \
             END IF;\nEND\n$$;\n\
             -- Whoever may create objects in it can have them called by the owner.\n\
             REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC;\n\
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;\n",
            literal(&self.owner)
        )
    }

    fn add_migrations(&self, text: &mut String) -> Result<(), StoreError> {
        let (schema, owner) = (&self.schema, quoted(&self.owner));
        // As the library that counts migrations makes it.
        add(
            text,
            &format!(
                "BEGIN;\nSET LOCAL ROLE {owner};\nSET LOCAL search_path TO {schema}, pg_temp;\n\
                 CREATE TABLE IF NOT EXISTS refinery_schema_history(\n    version INT4 PRIMARY KEY,\n    \
                 name VARCHAR(255),\n    applied_on VARCHAR(255),\n    checksum VARCHAR(255));\nCOMMIT;\n"
            ),
        );
        for (name, sql) in MIGRATIONS {
            let migration = Migration::unapplied(name, sql).map_err(|e| StoreError::Migration(e.to_string()))?;
            let (version, checksum) = (migration.version(), migration.checksum());
            let label = literal(migration.name());
            add(
                text,
                &format!(
                    "\nSELECT NOT EXISTS (SELECT FROM {schema}.refinery_schema_history WHERE version = {version}) AS is_due \\gset\n\
                     \\if :is_due\nBEGIN;\nSET LOCAL ROLE {owner};\nSET LOCAL search_path TO {schema}, pg_temp;\n\
                     SET LOCAL client_min_messages TO warning;\nSET LOCAL lock_timeout TO '{SCRIPT_LOCK_TIMEOUT}';\n{sql}\n\
                     INSERT INTO refinery_schema_history (version, name, applied_on, checksum)\n\
                     VALUES ({version}, {label}, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '{checksum}');\n\
                     COMMIT;\n\\endif\n"
                ),
            );
        }
        Ok(())
    }

    /// What each role may do, all else taken back; within a transaction, so that nobody lacks anything meanwhile. And how
    /// long results are kept.
    fn grants(&self) -> String {
        let (schema, owner, days) = (&self.schema, quoted(&self.owner), self.retention_days);
        let (ingest, reader) = (quoted(&self.ingest), quoted(&self.reader));
        let mut text = format!("SET LOCAL ROLE {owner};\nSET LOCAL search_path TO {schema}, pg_temp;\n");
        add(&mut text, &rights::revoke_all(&format!("{ingest}, {reader}"), schema));
        add(&mut text, &format!("GRANT USAGE ON SCHEMA {schema} TO {ingest}, {reader};\n"));
        add(&mut text, &rights::grant_ingest(&ingest, schema));
        add(&mut text, &rights::grant_reader(&reader));
        add(
            &mut text,
            &format!(
                "INSERT INTO retention (keep_days) VALUES ({days})\n    \
                 ON CONFLICT (only_row) DO UPDATE SET keep_days = excluded.keep_days, recorded_at = now()\n    \
                 WHERE retention.keep_days <> excluded.keep_days;\n"
            ),
        );
        text
    }
}

/// Runs commands that an administrator may, in one transaction.
fn run_trusted(client: &mut Client, commands: &str) -> Result<(), StoreError> {
    let mut tx = client.transaction()?;
    tx.batch_execute(&format!("SET LOCAL {TRUSTED_PATH}"))?;
    tx.batch_execute(commands)?;
    Ok(tx.commit()?)
}

impl Store {
    /// Lets those who store or read already do so with what migrations have added, too. By the owner.
    pub(super) fn renew_rights(&self, role: Option<&str>) -> Result<(), StoreError> {
        const HOLDERS: &str = "SELECT DISTINCT c.relname::text,
                CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
             WHERE n.nspname = $1 AND a.grantee <> c.relowner
               AND (c.relname, a.privilege_type) IN (('result', 'INSERT'), ('uptime', 'SELECT'), ('audit', 'SELECT'))";
        let mut client = self.connect()?;
        let mut tx = client.transaction()?;
        if let Some(role) = role {
            tx.batch_execute(&format!("SET LOCAL ROLE {}", quoted(role)))?;
        }
        tx.batch_execute(&format!("SET LOCAL search_path TO {}, pg_temp", self.schema()))?;
        for row in tx.query(HOLDERS, &[&self.schema().as_str()])? {
            let (right, holder): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let grants = match right.as_str() {
                "result" if holder != "PUBLIC" => rights::grant_ingest(&holder, self.schema()),
                _ => rights::grant_functions_of_reader(&holder),
            };
            tx.batch_execute(&grants)?;
        }
        Ok(tx.commit()?)
    }
}

fn store_for(config: &PostgresConfig) -> Result<Store, StoreError> {
    // Nothing of ours lies idle here, so the lease is of no matter.
    Store::new(config, Duration::from_secs(15))
}

fn add(text: &mut String, more: &str) {
    let written = text.write_str(more);
    debug_assert!(written.is_ok());
}
