//! `drop`: the schema with everything in it, after a clear word.

use std::fmt::Write as _;

use clap::Args;

use super::Context;
use crate::exit::{Answer, CommandError};
use crate::output::{align_right, print, table};
use crate::store::removal::{self, TableSize};
use crate::store::{Store, StoreError};

/// Options of `drop`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DropArgs {
    /// Really drop it; without this, what would be dropped is shown
    #[arg(long)]
    pub yes: bool,
}

/// Drops the schema, or says what it would drop.
///
/// # Errors
/// Without `--yes`, or when PostgreSQL does not answer or refuses.
pub(crate) fn run(context: &Context, args: DropArgs) -> Result<Answer, CommandError> {
    if !args.yes {
        return Err(refusal(context)?);
    }
    let store = context.store()?;
    let schema = store.schema().as_str();
    let mut session = store.session()?;
    let mut tx = session.begin_long()?;
    let Some(tables) = removal::tables(&mut tx)? else {
        print(&format!("there is no schema {schema}: nothing to drop"))?;
        return Ok(Answer::Yes);
    };
    removal::drop_schema(&mut tx)?;
    tx.commit()?;
    print(&format!("schema {schema} dropped, with {} tables", tables.len()))?;
    Ok(Answer::Yes)
}

/// Refuses to drop anything; with what would be dropped, where the database answers at once.
fn refusal(context: &Context) -> Result<CommandError, CommandError> {
    let store = Store::new(context.postgres()?, context.config.consumer.lease)?;
    let schema = store.schema().as_str();
    let look = || -> Result<_, StoreError> {
        let mut session = store.session()?;
        let mut tx = session.begin_fast()?;
        removal::contents(&mut tx)
    };
    let hint = match look() {
        Ok(contents) => {
            print(&describe(schema, contents.as_deref()))?;
            String::new()
        }
        Err(error) => format!(" (what schema {schema} holds cannot be shown: {error})"),
    };
    Ok(CommandError::Usage(format!("nothing was dropped; to drop all of this for good, add --yes{hint}")))
}

fn describe(schema: &str, contents: Option<&[TableSize]>) -> String {
    let Some(contents) = contents else {
        return format!("there is no schema {schema}: there would be nothing to drop");
    };
    let mut sizes = table(&["TABLE", "ROWS"]);
    for TableSize { table, rows } in contents {
        sizes.add_row([table.clone(), rows.to_string()]);
    }
    align_right(&mut sizes, [1]);
    let mut text = format!("would drop schema {schema} with its views and functions, and these tables:\n{sizes}\n");
    let total: i64 = contents.iter().map(|size| size.rows).sum();
    let written = write!(text, "{total} rows in {} tables", contents.len());
    debug_assert!(written.is_ok());
    text
}
