//! Moves of offsets beside reading. The database itself notes replays and what another hand did (see V5); here the rest
//! is told to it, and all of it read.

use isitup_shared::time::UtcTime;
use postgres::Row;

use super::{StoreError, Tx};

/// A move of one partition's offset beside reading.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OffsetJump {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Where reading would have gone on.
    pub from_offset: i64,
    /// Where it goes on; `None` where the partition's row was removed.
    pub to_offset: Option<i64>,
    /// `replay`, `new_topic`, `truncated` or `unexplained`.
    pub reason: String,
    /// When.
    pub at: UtcTime,
    /// The role of the database that did it.
    pub moved_by: String,
    /// Whether a person has accepted it.
    pub accepted: bool,
    /// In the order of their happening.
    #[serde(skip)]
    pub number: i64,
}

impl OffsetJump {
    /// Whether it is a fault: nobody said why, and nobody has accepted it.
    pub fn is_fault(&self) -> bool {
        self.reason == "unexplained" && !self.accepted
    }

    /// What happened, for people.
    pub fn describe(&self) -> String {
        let Self { topic, partition, from_offset, to_offset, moved_by, .. } = self;
        match to_offset {
            Some(to) => {
                format!("the offset of {topic}, partition {partition}, went from {from_offset} to {to}, by {moved_by}")
            }
            None => format!(
                "the offset of {topic}, partition {partition}, which was {from_offset}, was removed by {moved_by}"
            ),
        }
    }
}

/// Why our own code moves an offset past what it did not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// Kafka no longer has the records.
    Truncated,
    /// The topic was made anew, and a person said to begin anew.
    NewTopic,
}

/// Notes such a move.
///
/// # Errors
/// When the statement fails.
pub fn note(tx: &mut Tx<'_>, topic: &str, partition: i32, (from, to): (i64, i64), why: Skip) -> Result<(), StoreError> {
    let reason = match why {
        Skip::Truncated => "truncated",
        Skip::NewTopic => "new_topic",
    };
    tx.execute(
        "INSERT INTO offset_jump (topic, partition, from_offset, to_offset, reason) VALUES ($1, $2, $3, $4, $5)",
        &[&topic, &partition, &from, &to, &reason],
    )?;
    Ok(())
}

/// All faults among the jumps, and beside them the newest 20 of the others; the oldest first.
///
/// # Errors
/// When the statement fails.
pub fn notable(tx: &mut Tx<'_>) -> Result<Vec<OffsetJump>, StoreError> {
    let rows = tx.query(
        "SELECT topic, partition, from_offset, to_offset, reason, at, moved_by, accepted_at IS NOT NULL, jump_id
         FROM offset_jump
         WHERE reason = 'unexplained' AND accepted_at IS NULL
            OR jump_id IN (SELECT jump_id FROM offset_jump WHERE reason <> 'unexplained' OR accepted_at IS NOT NULL
                           ORDER BY jump_id DESC LIMIT 20)
         ORDER BY jump_id",
        &[],
    )?;
    rows.iter().map(read).collect()
}

/// The faults of `topic` that came after the jump `after`.
///
/// # Errors
/// When the statement fails.
pub fn faults_since(tx: &mut Tx<'_>, topic: &str, after: i64) -> Result<Vec<OffsetJump>, StoreError> {
    let rows = tx.query(
        "SELECT topic, partition, from_offset, to_offset, reason, at, moved_by, false, jump_id FROM offset_jump
         WHERE topic = $1 AND jump_id > $2 AND reason = 'unexplained' AND accepted_at IS NULL ORDER BY jump_id",
        &[&topic, &after],
    )?;
    rows.iter().map(read).collect()
}

/// Notes that a person has accepted all of them.
///
/// # Errors
/// When the statement fails.
pub fn accept(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    tx.execute("UPDATE offset_jump SET accepted_at = now() WHERE reason = 'unexplained' AND accepted_at IS NULL", &[])
}

fn read(row: &Row) -> Result<OffsetJump, StoreError> {
    Ok(OffsetJump {
        topic: row.try_get(0)?,
        partition: row.try_get(1)?,
        from_offset: row.try_get(2)?,
        to_offset: row.try_get(3)?,
        reason: row.try_get(4)?,
        at: row.try_get::<_, jiff::Timestamp>(5)?.into(),
        moved_by: row.try_get(6)?,
        accepted: row.try_get(7)?,
        number: row.try_get(8)?,
    })
}
