//! `setup-database`: a database with an owner, a user that stores and one that reads, each with the least rights.

use std::path::{Path, PathBuf};

use clap::Args;
use isitup_shared::config::{Credential, PostgresConfig, SecretCommand, SecretSource};
use isitup_shared::secret::Secret;

use super::Context;
use crate::exit::{Answer, CommandError};
use crate::output::print;
use crate::run::retention_days;
use crate::store::setup::{RolePasswords, SetUp};
use crate::store::{Refusal, Store, StoreError};

/// Options of `setup-database`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SetUpArgs {
    /// Do it, as the administrator; without this, the SQL is printed for psql
    #[arg(long)]
    pub apply: bool,
    /// How the administrator reaches the server, such as postgres://postgres@db:5432/postgres; TLS is as in postgres.tls
    #[arg(long, value_name = "URL", env = "ISITUP_ADMIN_URL", hide_env_values = true)]
    pub admin_url: Option<String>,
    /// A file with the administrator's password; else it is in the URL, PGPASSWORD or the password file, or asked for
    #[arg(long, value_name = "FILE", conflicts_with = "admin_password_command")]
    pub admin_password_file: Option<PathBuf>,
    /// A command that prints it, run by /bin/sh
    #[arg(long, value_name = "COMMAND")]
    pub admin_password_command: Option<String>,
    /// Who is to own database and schema [default: DATABASE_owner]
    #[arg(long, value_name = "ROLE")]
    pub owner: Option<String>,
    /// Who is to read the views [default: DATABASE_reader]
    #[arg(long, value_name = "ROLE")]
    pub reader: Option<String>,
    /// A file with the password to give to the owner
    #[arg(long, value_name = "FILE")]
    pub owner_password_file: Option<PathBuf>,
    /// A file with the password to give to the reader
    #[arg(long, value_name = "FILE")]
    pub reader_password_file: Option<PathBuf>,
}

/// Prints the SQL, or runs it.
///
/// # Errors
/// When the configuration does not name what is to be made, or the administrator may not.
pub(crate) fn run(context: &Context, args: &SetUpArgs) -> Result<Answer, CommandError> {
    let config = context.postgres()?;
    let set_up = set_up(config, args, retention_days(&context.config.consumer))?;
    if !args.apply {
        print(set_up.script()?.trim_end())?;
        return Ok(Answer::Yes);
    }
    let passwords = RolePasswords {
        owner: read(args.owner_password_file.as_deref(), "--owner-password-file")?,
        ingest: config.password.as_ref().map(|credential| credential.secret.clone()),
        reader: read(args.reader_password_file.as_deref(), "--reader-password-file")?,
    };
    let mut admin = administrator(config, args)?;
    // Asks for the password, where one is wanted and none is given; and waits until the server answers.
    let typed = context.reach(&Store::new(&admin, context.config.consumer.lease)?).map_err(of_administrator)?;
    if let Some(secret) = typed {
        admin.password = Some(given(secret, SecretSource::Given, "the terminal"));
    }
    let mut inside = admin.clone();
    inside.url.set_path(config.url.path());
    for line in
        set_up.apply(&admin, &inside, &passwords, &context.shutdown).map_err(|error| of_administrator(error.into()))?
    {
        print(&line)?;
    }
    Ok(Answer::Yes)
}

/// Who and what, as the configuration of the service has it.
fn set_up(config: &PostgresConfig, args: &SetUpArgs, retention_days: i32) -> Result<SetUp, CommandError> {
    let usage = |text: &str| CommandError::Usage(text.to_owned());
    let (ingest, database) = (config.user(), config.database());
    let ingest =
        ingest.ok_or_else(|| usage("postgres.url must name the user that is to store, such as isitup_ingest"))?;
    let database = database.ok_or_else(|| usage("postgres.url must name the database, such as isitup"))?;
    let owner = args.owner.clone().unwrap_or_else(|| format!("{database}_owner"));
    let reader = args.reader.clone().unwrap_or_else(|| format!("{database}_reader"));
    let all = [&owner, &ingest, &reader];
    if (0..all.len()).any(|i| all.get(i + 1..).is_some_and(|rest| rest.contains(&all[i]))) {
        return Err(usage("owner, reader and the user in postgres.url must be three: see --owner and --reader"));
    }
    Ok(SetUp { database, schema: config.schema.clone(), owner, ingest, reader, retention_days })
}

fn administrator(config: &PostgresConfig, args: &SetUpArgs) -> Result<PostgresConfig, CommandError> {
    let missing = "--apply needs an administrator: give --admin-url, or set ISITUP_ADMIN_URL";
    let url = args.admin_url.as_deref().ok_or_else(|| CommandError::Usage(missing.into()))?;
    let wrong = |what| CommandError::Usage(format!("--admin-url: the value (not shown) is not {what}"));
    let mut admin = config.with_url(url).map_err(wrong)?;
    let file = read(args.admin_password_file.as_deref(), "--admin-password-file")?;
    if let Some(secret) = file {
        admin.password = Some(given(secret, SecretSource::Given, "--admin-password-file"));
    }
    if let Some(text) = &args.admin_password_command {
        let name = "--admin-password-command";
        let command = SecretCommand::of_shell(text);
        let secret = command.run().map_err(|reason| CommandError::Usage(format!("{name}: the command {reason}")))?;
        admin.password = Some(given(secret, SecretSource::Command(command), name));
    }
    Ok(admin)
}

fn given(secret: Secret, source: SecretSource, setting: &str) -> Credential {
    Credential { secret, setting: setting.to_owned(), source }
}

fn read(file: Option<&Path>, option: &str) -> Result<Option<Secret>, CommandError> {
    let wrong = |reason| CommandError::Usage(format!("{option}: {reason}"));
    file.map(|file| SecretSource::File(file.to_owned()).read().map_err(wrong)).transpose().map(Option::flatten)
}

/// The same error by the names of the administrator's options.
fn of_administrator(error: CommandError) -> CommandError {
    match error {
        CommandError::Store(StoreError::Refused(Refusal { why, wants_password })) => {
            let why = why
                .replace("set postgres.password_file, postgres.password_command", "give --admin-password-file")
                .replace("postgres.url", "--admin-url");
            CommandError::Store(StoreError::Refused(Refusal { why, wants_password }))
        }
        other => other,
    }
}
