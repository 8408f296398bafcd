//! Marks on hours whose sums no longer hold.

use isitup_shared::time::UtcTime;

use super::{PgTime, StoreError, Tx};

/// An hour and the topic partition whose events touched it.
pub type Mark = (UtcTime, i32);

/// Marks hours. `marks` must be sorted: two consumers then never lock in opposite orders.
///
/// # Errors
/// When the statement fails.
pub fn mark(tx: &mut Tx<'_>, marks: &[Mark]) -> Result<(), StoreError> {
    let hours: Vec<PgTime> = marks.iter().map(|mark| PgTime(mark.0)).collect();
    let partitions: Vec<i32> = marks.iter().map(|mark| mark.1).collect();
    tx.execute(
        "INSERT INTO dirty_hour (hour, partition) SELECT * FROM unnest($1::timestamptz[], $2::int[])
         ON CONFLICT (hour, partition) DO UPDATE SET marks = dirty_hour.marks + 1, marked_at = now()",
        &[&hours, &partitions],
    )?;
    Ok(())
}
