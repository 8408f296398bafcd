//! Dropping the schema with everything in it.

use super::{StoreError, Tx};

/// A table and how many rows it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// The table, or the partitioned table as a whole.
    pub table: String,
    /// Its rows, counted.
    pub rows: i64,
}

/// Names the tables of the schema, each also as SQL has it; `None` when the schema does not exist.
///
/// # Errors
/// When a statement fails.
pub fn tables(tx: &mut Tx<'_>) -> Result<Option<Vec<(String, String)>>, StoreError> {
    let schema = tx.schema().as_str().to_owned();
    if tx.query("SELECT FROM pg_namespace WHERE nspname = $1", &[&schema])?.is_empty() {
        return Ok(None);
    }
    let tables = tx.query(
        "SELECT c.relname, format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname",
        &[&schema],
    )?;
    let names = tables.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(Some(names.collect::<Result<_, StoreError>>()?))
}

/// Counts what there is to drop, in a moment or not at all; `None` when the schema does not exist.
///
/// # Errors
/// When a statement fails, or counting takes longer.
pub fn contents(tx: &mut Tx<'_>) -> Result<Option<Vec<TableSize>>, StoreError> {
    tx.batch("SET LOCAL statement_timeout TO '5s'; SET LOCAL lock_timeout TO '1s'")?;
    let Some(tables) = tables(tx)? else { return Ok(None) };
    let count = |(table, quoted): (String, String)| Ok(TableSize { rows: tx.count_rows(&quoted)?, table });
    Ok(Some(tables.into_iter().map(count).collect::<Result<_, StoreError>>()?))
}

/// Drops the schema and all that is in it.
///
/// # Errors
/// When the statement fails.
pub fn drop_schema(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let command = format!("DROP SCHEMA {} CASCADE", tx.schema());
    tx.batch(&command)
}
