//! Messages that could not be stored, kept whole.

use std::collections::HashMap;

use isitup_shared::event::Detail;
use jiff::Timestamp;
use postgres::Row;
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
    pub reason: Detail,
    /// Producer and number, where the message could be read that far.
    pub number: Option<(Uuid, u64)>,
    /// Whether the number was taken by another payload already.
    pub is_doubled: bool,
}

/// A kind of reason, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It could not be read as an event.
    Unreadable,
    /// Its day is not kept.
    Day,
    /// Its number was taken by another payload.
    Doubled,
    /// It could be read, but it or the database says what cannot be.
    Invalid,
}

impl Class {
    /// As the label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Day => "day",
            Self::Doubled => "doubled",
            Self::Invalid => "invalid",
        }
    }
}

impl Rejection<'_> {
    fn class(&self) -> Class {
        match self.number {
            _ if self.is_doubled => Class::Doubled,
            None => Class::Unreadable,
            Some(_)
                if self.reason.starts_with("its day ") || self.reason.contains(" is more than one day ahead of ") =>
            {
                Class::Day
            }
            Some(_) => Class::Invalid,
        }
    }
}

/// Sets messages aside. One that was set aside before is left as it is. Returns the kinds of those that were new.
///
/// # Errors
/// When the statement fails.
pub fn insert(tx: &mut Tx<'_>, topic: &str, rejections: &[Rejection<'_>]) -> Result<Vec<Class>, StoreError> {
    let each = || rejections.iter();
    let partitions: Vec<i32> = each().map(|r| r.partition).collect();
    let offsets: Vec<i64> = each().map(|r| r.offset).collect();
    let raws: Vec<&[u8]> = each().map(|r| r.raw).collect();
    let reasons: Vec<&str> = each().map(|r| r.reason.as_str()).collect();
    let producers: Vec<Option<Uuid>> = each().map(|r| r.number.map(|(id, _)| id)).collect();
    let seqs: Vec<Option<i64>> = each().map(|r| r.number.map(|(_, seq)| super::results::big(seq))).collect();
    let doubled: Vec<bool> = each().map(|r| r.is_doubled).collect();
    let new = tx.query(
        r#"INSERT INTO rejected (topic, partition, "offset", raw, reason, producer_id, seq, doubled)
           SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::bytea[], $5::text[], $6::uuid[], $7::bigint[], $8::bool[])
           ON CONFLICT DO NOTHING RETURNING partition, "offset""#,
        &[&topic, &partitions, &offsets, &raws, &reasons, &producers, &seqs, &doubled],
    )?;
    let classes: HashMap<(i32, i64), Class> = each().map(|r| ((r.partition, r.offset), r.class())).collect();
    let class_of = |row: &Row| -> Result<Class, StoreError> {
        Ok(classes.get(&(row.try_get(0)?, row.try_get(1)?)).copied().unwrap_or(Class::Invalid))
    };
    new.iter().map(class_of).collect()
}

/// Which of the messages that were set aside are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The topic.
    pub topic: String,
    /// Partitions and offsets; `None` means all of them.
    pub addresses: Option<Vec<(i32, i64)>>,
    /// Words that the reason must have, in whatever letters; empty for any reason.
    pub reason: String,
}

/// A message that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number in the table.
    pub id: i64,
    /// The partition it came from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// When it was set aside.
    pub rejected_at: Timestamp,
    /// Why.
    pub reason: String,
    /// How many bytes the message has.
    pub size: i64,
    /// Producer and number, where the message could be read that far.
    pub number: Option<(Uuid, i64)>,
    /// Whether the number was taken by another payload already.
    pub is_doubled: bool,
    /// The message, or its first bytes.
    pub raw: Vec<u8>,
}

/// The columns of [`Kept`] and the condition of a [`Selection`], whose parameters come first.
macro_rules! select_kept {
    ($raw:literal, $more:literal) => {
        concat!(
            r#"SELECT rejected_id, partition, "offset", rejected_at, reason, octet_length(raw)::bigint, producer_id, seq,
                      doubled, "#,
            $raw,
            r#" FROM rejected
               WHERE topic = $1 AND strpos(lower(reason), lower($2)) > 0
                 AND ($3::int[] IS NULL OR (partition, "offset") IN (SELECT * FROM unnest($3::int[], $4::bigint[]))) "#,
            $more
        )
    };
}

/// Partitions and offsets, apart as PostgreSQL takes them.
type Addresses = (Option<Vec<i32>>, Option<Vec<i64>>);

impl Selection {
    fn addresses(&self) -> Addresses {
        let addresses = self.addresses.as_ref();
        (
            addresses.map(|all| all.iter().map(|(partition, _)| *partition).collect()),
            addresses.map(|all| all.iter().map(|(_, offset)| *offset).collect()),
        )
    }
}

/// The newest messages that were set aside, with their first 64 bytes.
///
/// # Errors
/// When the statement fails.
pub fn newest(tx: &mut Tx<'_>, selection: &Selection, limit: i64) -> Result<Vec<Kept>, StoreError> {
    const SQL: &str = select_kept!("substring(raw FROM 1 FOR 64)", "ORDER BY rejected_id DESC LIMIT $5");
    let (partitions, offsets) = selection.addresses();
    let rows = tx.query(SQL, &[&selection.topic, &selection.reason, &partitions, &offsets, &limit])?;
    rows.iter().map(read).collect()
}

/// All of the selection, whole; the newest first.
///
/// # Errors
/// When the statement fails.
pub fn whole(tx: &mut Tx<'_>, selection: &Selection) -> Result<Vec<Kept>, StoreError> {
    const SQL: &str = select_kept!("raw", "ORDER BY rejected_id DESC");
    let (partitions, offsets) = selection.addresses();
    let rows = tx.query(SQL, &[&selection.topic, &selection.reason, &partitions, &offsets])?;
    rows.iter().map(read).collect()
}

/// How many there are of the selection, and the highest of their numbers.
///
/// # Errors
/// When the statement fails.
pub fn extent(tx: &mut Tx<'_>, selection: &Selection) -> Result<(i64, i64), StoreError> {
    let (partitions, offsets) = selection.addresses();
    let row = tx.query_one(
        r#"SELECT count(*), coalesce(max(rejected_id), 0) FROM rejected
           WHERE topic = $1 AND strpos(lower(reason), lower($2)) > 0
             AND ($3::int[] IS NULL OR (partition, "offset") IN (SELECT * FROM unnest($3::int[], $4::bigint[])))"#,
        &[&selection.topic, &selection.reason, &partitions, &offsets],
    )?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The next ones of the selection with numbers above `after` and up to `until`, whole, locked until the transaction ends.
/// What another transaction has locked is left to it.
///
/// # Errors
/// When the statement fails.
pub fn lock_next(
    tx: &mut Tx<'_>,
    selection: &Selection,
    (after, until): (i64, i64),
    limit: i64,
) -> Result<Vec<Kept>, StoreError> {
    const SQL: &str = select_kept!(
        "raw",
        "AND rejected_id > $5 AND rejected_id <= $6 ORDER BY rejected_id LIMIT $7 FOR UPDATE SKIP LOCKED"
    );
    let (partitions, offsets) = selection.addresses();
    let rows = tx.query(SQL, &[&selection.topic, &selection.reason, &partitions, &offsets, &after, &until, &limit])?;
    rows.iter().map(read).collect()
}

/// Removes messages that are stored now.
///
/// # Errors
/// When the statement fails.
pub fn remove(tx: &mut Tx<'_>, ids: &[i64]) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM rejected WHERE rejected_id = ANY ($1)", &[&ids])
}

/// Notes why a message stays.
///
/// # Errors
/// When the statement fails.
pub fn keep(tx: &mut Tx<'_>, id: i64, rejection: &Rejection<'_>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE rejected SET reason = $2, producer_id = $3, seq = $4, doubled = $5
         WHERE rejected_id = $1 AND (reason, producer_id, seq, doubled) IS DISTINCT FROM ($2, $3, $4, $5)",
        &[
            &id,
            &rejection.reason.as_str(),
            &rejection.number.map(|(producer, _)| producer),
            &rejection.number.map(|(_, seq)| super::results::big(seq)),
            &rejection.is_doubled,
        ],
    )?;
    Ok(())
}

fn read(row: &Row) -> Result<Kept, StoreError> {
    let (producer, seq): (Option<Uuid>, Option<i64>) = (row.try_get(6)?, row.try_get(7)?);
    Ok(Kept {
        id: row.try_get(0)?,
        partition: row.try_get(1)?,
        offset: row.try_get(2)?,
        rejected_at: row.try_get(3)?,
        reason: row.try_get(4)?,
        size: row.try_get(5)?,
        number: producer.zip(seq),
        is_doubled: row.try_get(8)?,
        raw: row.try_get(9)?,
    })
}
