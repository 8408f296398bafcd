//! Who reads which partition until when, by the database's clock.

use std::time::Duration;

use postgres::Row;
use uuid::Uuid;

use super::{StoreError, Tx};

/// A partition that this process holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The partition.
    pub partition: i32,
    /// Grows with each take-over.
    pub epoch: i64,
    /// Where reading goes on.
    pub next: i64,
    /// SHA-256 of the record before `next`, where one was read.
    pub anchor: Option<Vec<u8>>,
}

impl Lease {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { partition: row.try_get(0)?, epoch: row.try_get(1)?, next: row.try_get(2)?, anchor: row.try_get(3)? })
    }
}

/// How many share what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// Partitions of the topic.
    pub partitions: usize,
    /// Consumers that live, this one included.
    pub consumers: usize,
    /// How many of them come before this one.
    pub rank: usize,
}

/// Says that `owner` lives for another `lease`, and forgets those that do not.
///
/// # Errors
/// When the statement fails.
pub fn announce(tx: &mut Tx<'_>, topic: &str, owner: Uuid, lease: Duration) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO consumer (topic, owner, expires_at) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 s')
         ON CONFLICT (topic, owner) DO UPDATE SET expires_at = excluded.expires_at",
        &[&topic, &owner, &lease.as_secs_f64()],
    )?;
    tx.execute(
        "DELETE FROM consumer WHERE (topic, owner) IN (
             SELECT topic, owner FROM consumer WHERE topic = $1 AND expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED)",
        &[&topic],
    )?;
    Ok(())
}

/// Prolongs what `owner` holds, and returns it. Locks in the order of partitions, as [`super::offsets::advance`] does: else a
/// consumer's own two threads would meet in deadlocks.
///
/// # Errors
/// When the statement fails.
pub fn renew(tx: &mut Tx<'_>, topic: &str, owner: Uuid, lease: Duration) -> Result<Vec<Lease>, StoreError> {
    let rows = tx.query(
        "UPDATE partition_offset p SET expires_at = clock_timestamp() + $3 * interval '1 s'
         FROM (SELECT partition FROM partition_offset WHERE topic = $1 AND owner = $2 ORDER BY partition FOR UPDATE) held
         WHERE p.topic = $1 AND p.partition = held.partition
         RETURNING p.partition, p.epoch, p.next_offset, p.anchor",
        &[&topic, &owner, &lease.as_secs_f64()],
    )?;
    rows.iter().map(Lease::read).collect()
}

/// Counts partitions and consumers.
///
/// # Errors
/// When the statement fails.
pub fn crowd(tx: &mut Tx<'_>, topic: &str, owner: Uuid) -> Result<Crowd, StoreError> {
    let row = tx.query_one(
        "SELECT (SELECT count(*) FROM partition_offset WHERE topic = $1),
                count(*), count(*) FILTER (WHERE owner < $2)
         FROM consumer WHERE topic = $1 AND (expires_at > clock_timestamp() OR owner = $2)",
        &[&topic, &owner],
    )?;
    let count =
        |index| -> Result<usize, StoreError> { Ok(usize::try_from(row.try_get::<_, i64>(index)?).unwrap_or(0)) };
    Ok(Crowd { partitions: count(0)?, consumers: count(1)?, rank: count(2)? })
}

/// Takes up to `count` partitions that nobody holds.
///
/// # Errors
/// When the statement fails.
pub fn claim(
    tx: &mut Tx<'_>,
    topic: &str,
    owner: Uuid,
    lease: Duration,
    count: usize,
) -> Result<Vec<Lease>, StoreError> {
    let rows = tx.query(
        "UPDATE partition_offset SET owner = $2, epoch = epoch + 1, expires_at = clock_timestamp() + $3 * interval '1 s'
         WHERE topic = $1 AND partition IN (
             SELECT partition FROM partition_offset
             WHERE topic = $1 AND (owner IS NULL OR expires_at < clock_timestamp()) AND owner IS DISTINCT FROM $2
             ORDER BY partition LIMIT $4 FOR UPDATE SKIP LOCKED)
         RETURNING partition, epoch, next_offset, anchor",
        &[&topic, &owner, &lease.as_secs_f64(), &i64::try_from(count).unwrap_or(i64::MAX)],
    )?;
    rows.iter().map(Lease::read).collect()
}

/// Lets go of some partitions.
///
/// # Errors
/// When the statement fails.
pub fn release(tx: &mut Tx<'_>, topic: &str, owner: Uuid, partitions: &[i32]) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE partition_offset SET owner = NULL, expires_at = NULL
         WHERE topic = $1 AND owner = $2 AND partition = ANY ($3)",
        &[&topic, &owner, &partitions],
    )?;
    Ok(())
}

/// Lets go of everything: this consumer ends.
///
/// # Errors
/// When a statement fails.
pub fn leave(tx: &mut Tx<'_>, topic: &str, owner: Uuid) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE partition_offset SET owner = NULL, expires_at = NULL WHERE topic = $1 AND owner = $2",
        &[&topic, &owner],
    )?;
    tx.execute("DELETE FROM consumer WHERE topic = $1 AND owner = $2", &[&topic, &owner])?;
    Ok(())
}
