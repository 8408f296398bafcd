//! `migrate`: the schema, brought up to date.

use super::Context;
use crate::exit::{Answer, CommandError};
use crate::output::print;
use crate::run::retention_days;
use crate::store::days;

/// Runs the migrations that did not run yet.
///
/// # Errors
/// When PostgreSQL does not answer, or refuses.
pub(crate) fn run(context: &Context) -> Result<Answer, CommandError> {
    let store = context.store()?;
    let applied = store.migrate(&context.shutdown)?;
    let mut session = store.session()?;
    let mut tx = session.begin_durable()?;
    days::agree_on_retention(&mut tx, retention_days(&context.config.consumer))?;
    tx.commit()?;
    let schema = store.schema().as_str();
    if applied.is_empty() {
        print(&format!("schema {schema} is up to date"))?;
    }
    for migration in applied {
        print(&format!("schema {schema}: applied {migration}"))?;
    }
    Ok(Answer::Yes)
}
