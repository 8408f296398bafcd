//! Messages that could not be stored, kept whole.

use uuid::Uuid;

use super::{StoreError, Tx};

/// A message to be set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection<'a> {
    /// The partition it came from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// The whole message.
    pub raw: &'a [u8],
    /// Why, for people.
    pub reason: String,
    /// Producer and number, where the message could be read that far.
    pub number: Option<(Uuid, u64)>,
    /// Whether the number was taken by another payload already.
    pub is_doubled: bool,
}

/// Sets messages aside. One that was set aside before is left as it is. Returns how many were new.
///
/// # Errors
/// When the statement fails.
pub fn insert(tx: &mut Tx<'_>, topic: &str, rejections: &[Rejection<'_>]) -> Result<u64, StoreError> {
    let each = || rejections.iter();
    let partitions: Vec<i32> = each().map(|r| r.partition).collect();
    let offsets: Vec<i64> = each().map(|r| r.offset).collect();
    let raws: Vec<&[u8]> = each().map(|r| r.raw).collect();
    // The reason may quote the message, and text in PostgreSQL cannot hold a NUL.
    let reasons: Vec<String> = each().map(|r| r.reason.replace('\0', "\\0")).collect();
    let producers: Vec<Option<Uuid>> = each().map(|r| r.number.map(|(id, _)| id)).collect();
    let seqs: Vec<Option<i64>> = each().map(|r| r.number.map(|(_, seq)| super::results::big(seq))).collect();
    let doubled: Vec<bool> = each().map(|r| r.is_doubled).collect();
    tx.execute(
        r#"INSERT INTO rejected (topic, partition, "offset", raw, reason, producer_id, seq, doubled)
           SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::bytea[], $5::text[], $6::uuid[], $7::bigint[], $8::bool[])
           ON CONFLICT DO NOTHING"#,
        &[&topic, &partitions, &offsets, &raws, &reasons, &producers, &seqs, &doubled],
    )
}
