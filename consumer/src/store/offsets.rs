//! Where reading goes on in each partition: the compare-and-set that keeps everyone but the owner out.

use std::time::Duration;

use uuid::Uuid;

use super::{StoreError, Tx};

/// A move of one partition's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The partition.
    pub partition: i32,
    /// The lease under which it is moved.
    pub epoch: i64,
    /// Where the offset must stand.
    pub expected: i64,
    /// Where it goes.
    pub next: i64,
    /// SHA-256 of the record before `next`; `None` where there is none to hold on to.
    pub anchor: Option<[u8; 32]>,
}

/// Adds partitions that are not known yet, to be read from their earliest offset.
///
/// # Errors
/// When the statement fails.
pub fn add_partitions(tx: &mut Tx<'_>, topic: &str, earliest: &[(i32, i64)]) -> Result<u64, StoreError> {
    let (partitions, offsets): (Vec<i32>, Vec<i64>) = earliest.iter().copied().unzip();
    tx.execute(
        "INSERT INTO partition_offset (topic, partition, next_offset)
         SELECT $1, partition, next_offset FROM unnest($2::int[], $3::bigint[]) AS new (partition, next_offset)
         ON CONFLICT DO NOTHING",
        &[&topic, &partitions, &offsets],
    )
}

/// Moves offsets, where they still stand as expected under the same lease, and prolongs the lease. Returns the
/// partitions that moved.
///
/// # Errors
/// When the statement fails.
pub fn advance(
    tx: &mut Tx<'_>,
    topic: &str,
    owner: Uuid,
    moves: &[Move],
    lease: Duration,
) -> Result<Vec<i32>, StoreError> {
    let partitions: Vec<i32> = moves.iter().map(|m| m.partition).collect();
    let epochs: Vec<i64> = moves.iter().map(|m| m.epoch).collect();
    let expected: Vec<i64> = moves.iter().map(|m| m.expected).collect();
    let next: Vec<i64> = moves.iter().map(|m| m.next).collect();
    let anchors: Vec<Option<&[u8]>> = moves.iter().map(|m| m.anchor.as_ref().map(<[u8; 32]>::as_slice)).collect();
    let rows = tx.query(
        "UPDATE partition_offset p
         SET next_offset = m.next_offset, anchor = m.anchor, expires_at = clock_timestamp() + $8 * interval '1 s'
         FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[])
              AS m (partition, epoch, expected, next_offset, anchor)
              JOIN (SELECT partition FROM partition_offset WHERE topic = $1 AND owner = $2 AND partition = ANY ($3)
                    ORDER BY partition FOR UPDATE) locked USING (partition)
         WHERE p.topic = $1 AND p.owner = $2 AND p.partition = m.partition AND p.epoch = m.epoch
           AND p.next_offset = m.expected
         RETURNING p.partition",
        &[&topic, &owner, &partitions, &epochs, &expected, &next, &anchors, &lease.as_secs_f64()],
    )?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Where the offset of one partition stands under the lease `epoch` of `owner`; `None` when the lease is gone. Waits
/// for a transaction that is still moving it.
///
/// # Errors
/// When the statement fails.
pub fn position_under_lease(
    tx: &mut Tx<'_>,
    topic: &str,
    owner: Uuid,
    partition: i32,
    epoch: i64,
) -> Result<Option<i64>, StoreError> {
    let rows = tx.query(
        "SELECT next_offset FROM partition_offset
         WHERE topic = $1 AND owner = $2 AND partition = $3 AND epoch = $4 FOR UPDATE",
        &[&topic, &owner, &partition, &epoch],
    )?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}

/// A partition as it stands, for a person who moves offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The partition.
    pub partition: i32,
    /// Where reading goes on.
    pub next: i64,
    /// Whether a living consumer holds it.
    pub is_held: bool,
}

/// All partitions of `topic`, locked until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub fn lock_all(tx: &mut Tx<'_>, topic: &str) -> Result<Vec<Standing>, StoreError> {
    let rows = tx.query(
        "SELECT partition, next_offset, owner IS NOT NULL AND expires_at > clock_timestamp()
         FROM partition_offset WHERE topic = $1 ORDER BY partition FOR UPDATE",
        &[&topic],
    )?;
    let read = |row: &postgres::Row| {
        Ok(Standing { partition: row.try_get(0)?, next: row.try_get(1)?, is_held: row.try_get(2)? })
    };
    rows.iter().map(read).collect()
}

/// Puts one partition's offset where a person wants it. Whoever held the partition loses it.
///
/// # Errors
/// When the statement fails.
pub fn rewind(tx: &mut Tx<'_>, topic: &str, partition: i32, next: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE partition_offset
         SET next_offset = $3, anchor = NULL, owner = NULL, expires_at = NULL, epoch = epoch + 1
         WHERE topic = $1 AND partition = $2",
        &[&topic, &partition, &next],
    )?;
    Ok(())
}
