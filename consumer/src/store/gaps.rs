//! What was not checked, not kept, or lost.

use isitup_shared::event::{Envelope, Gap, GapReason};
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::producers::Insertion;
use super::results::big;
use super::{PgTime, StoreError, Tx};

/// Stores one gap event. They are rare, so one at a time will do.
///
/// # Errors
/// When a statement fails.
pub fn insert_event(tx: &mut Tx<'_>, envelope: &Envelope, gap: &Gap) -> Result<Insertion, StoreError> {
    let (seq, reason) = (big(envelope.seq), gap.reason.as_str());
    let (first, last) = (gap.seqs.map(|seqs| big(seqs.first)), gap.seqs.map(|seqs| big(seqs.last)));
    let span = gap.span.as_ref();
    let (from, to) = (span.map(|span| PgTime(span.from)), span.map(|span| PgTime(span.to)));
    let sites = span.and_then(|span| span.sites.as_ref());
    let sites: Option<Vec<&str>> = sites.map(|sites| sites.iter().map(|site| &**site).collect());
    let location = envelope.location.as_str();
    let params: &[&(dyn postgres::types::ToSql + Sync)] =
        &[&envelope.producer_id, &seq, &location, &reason, &first, &last, &from, &to, &sites];
    let inserted = tx.execute(
        r#"INSERT INTO gap (producer_id, seq, location, reason, first_seq, last_seq, "from", "to", sites)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING"#,
        params,
    )?;
    if inserted == 1 {
        return Ok(Insertion::Stored);
    }
    let same = tx.query_one(
        r#"SELECT (location, reason, first_seq, last_seq, "from", "to", sites)
                  IS NOT DISTINCT FROM ($3::text, $4::text, $5::bigint, $6::bigint, $7::timestamptz, $8::timestamptz, $9::text[])
           FROM gap WHERE producer_id = $1 AND seq = $2"#,
        params,
    )?;
    Ok(if same.try_get(0)? { Insertion::Duplicate } else { Insertion::Doubled })
}

/// Records that Kafka no longer has the records `first` to `last` of a partition, which were not read yet; `last` is
/// `None` where nobody can know.
///
/// # Errors
/// When the statement fails.
pub fn insert_truncation(
    tx: &mut Tx<'_>,
    topic: &str,
    partition: i32,
    first: i64,
    last: Option<i64>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO gap (reason, topic, partition, first_offset, last_offset) VALUES ($1, $2, $3, $4, $5)",
        &[&GapReason::TopicTruncated.as_str(), &topic, &partition, &first, &last],
    )?;
    Ok(())
}

/// A truncation of the topic.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Truncation {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset lost.
    pub first_offset: i64,
    /// The last offset lost, where it is known.
    pub last_offset: Option<i64>,
    /// When it was found.
    pub recorded_at: UtcTime,
}

/// The truncations that no person has accepted yet.
///
/// # Errors
/// When the statement fails.
pub fn open_truncations(tx: &mut Tx<'_>) -> Result<Vec<Truncation>, StoreError> {
    let rows = tx.query(
        "SELECT topic, partition, first_offset, last_offset, recorded_at FROM gap
         WHERE topic IS NOT NULL AND accepted_at IS NULL ORDER BY gap_id",
        &[],
    )?;
    let read = |row: &postgres::Row| -> Result<Truncation, StoreError> {
        Ok(Truncation {
            topic: row.try_get(0)?,
            partition: row.try_get(1)?,
            first_offset: row.try_get(2)?,
            last_offset: row.try_get(3)?,
            recorded_at: row.try_get::<_, jiff::Timestamp>(4)?.into(),
        })
    };
    rows.iter().map(read).collect()
}

/// Notes that a person has accepted all truncations found up to `last`.
///
/// # Errors
/// When the statement fails.
pub fn accept_truncations(tx: &mut Tx<'_>, last: UtcTime) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE gap SET accepted_at = now() WHERE topic IS NOT NULL AND accepted_at IS NULL AND recorded_at <= $1",
        &[&PgTime(last)],
    )
}

/// Declares the numbers `first` to `last` of a producer lost by a truncation. Nobody knows their slots; they lie between
/// the producer's words before and behind, give or take the hour that a check may take at most;
/// where there is none before, a week before it was heard of, which is Kafka's usual retention.
///
/// # Errors
/// When the statement fails.
pub fn declare_lost(tx: &mut Tx<'_>, producer_id: Uuid, first: i64, last: i64) -> Result<(), StoreError> {
    tx.execute(
        r#"INSERT INTO gap (producer_id, reason, first_seq, last_seq, "from", "to")
           SELECT $1, $2, $3, $4, least("from", "to"), "to"
           FROM (SELECT coalesce((SELECT at - interval '1 hour' FROM producer_event
                                  WHERE producer_id = $1 AND seq < $3 ORDER BY seq DESC LIMIT 1),
                                 (SELECT first_seen_at - interval '7 days' FROM producer WHERE producer_id = $1),
                                 now()) AS "from",
                        least((SELECT at + interval '1 hour' FROM producer_event
                               WHERE producer_id = $1 AND seq > $4 ORDER BY seq LIMIT 1),
                              now()) AS "to") AS around"#,
        &[&producer_id, &GapReason::TopicTruncated.as_str(), &first, &last],
    )?;
    Ok(())
}
