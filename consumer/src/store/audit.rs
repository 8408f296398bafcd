//! Every number of every producer: stored, declared, missing or doubled.

use postgres::Row;
use uuid::Uuid;

use super::{StoreError, Tx};

/// Numbers from the first to the last, both included.
pub type Range = (i64, i64);

/// The numbers of one producer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ProducerAudit {
    /// The producer.
    pub producer_id: Uuid,
    /// The first number there should be.
    pub first: i64,
    /// The last one seen.
    pub last: i64,
    /// How many are stored, over all types of event.
    pub stored: i64,
    /// How many lie in a declared gap and are not stored.
    pub declared: i64,
    /// How many are neither; without those that may be on their way, once [`ProducerAudit::keep_missing`] has taken them out.
    pub missing: i64,
    /// How many were met more than once with different content.
    pub doubled: i64,
    /// Those missing.
    pub missing_ranges: Vec<Range>,
    /// Those doubled.
    pub doubled_ranges: Vec<Range>,
}

impl ProducerAudit {
    /// Takes for missing only what is in these ranges, too; which are in order.
    pub fn keep_missing(&mut self, ranges: &[Range]) {
        self.missing_ranges = common(&self.missing_ranges, ranges);
        self.missing = self.missing_ranges.iter().map(|(first, last)| last - first + 1).sum();
    }
}

/// What is in both of two lists of ranges, each in order.
fn common(mut ours: &[Range], mut theirs: &[Range]) -> Vec<Range> {
    let mut both = Vec::new();
    while let ([our, our_rest @ ..], [their, their_rest @ ..]) = (ours, theirs) {
        let (first, last) = (our.0.max(their.0), our.1.min(their.1));
        if first <= last {
            both.push((first, last));
        }
        if our.1 <= their.1 {
            ours = our_rest;
        } else {
            theirs = their_rest;
        }
    }
    both
}

/// The audit of all producers.
///
/// # Errors
/// When the statement fails.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<ProducerAudit>, StoreError> {
    let rows = tx.query(
        "SELECT producer_id, 1::bigint, last, count_of(stored), count_of(declared), count_of(missing), count_of(doubled),
                ARRAY(SELECT lower(r) FROM unnest(missing) r), ARRAY(SELECT upper(r) - 1 FROM unnest(missing) r),
                ARRAY(SELECT lower(r) FROM unnest(doubled) r), ARRAY(SELECT upper(r) - 1 FROM unnest(doubled) r)
         FROM audit_ranges ORDER BY producer_id",
        &[],
    )?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<ProducerAudit, StoreError> {
    let ranges = |index: usize| -> Result<Vec<Range>, StoreError> {
        let firsts: Vec<i64> = row.try_get(index)?;
        let lasts: Vec<i64> = row.try_get(index + 1)?;
        Ok(firsts.into_iter().zip(lasts).collect())
    };
    Ok(ProducerAudit {
        producer_id: row.try_get(0)?,
        first: row.try_get(1)?,
        last: row.try_get(2)?,
        stored: row.try_get(3)?,
        declared: row.try_get(4)?,
        missing: row.try_get(5)?,
        doubled: row.try_get(6)?,
        missing_ranges: ranges(7)?,
        doubled_ranges: ranges(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_is_what_was_missing_before_too() {
        for (ours, theirs, both) in [
            (&[(1, 3), (7, 9)][..], &[(2, 8)][..], &[(2, 3), (7, 8)][..]),
            (&[(1, 1)], &[], &[]),
            (&[], &[(1, 1)], &[]),
            (&[(1, 2), (4, 4)], &[(3, 3), (5, 9)], &[]),
            (&[(1, 9)], &[(1, 1), (3, 4), (9, 12)], &[(1, 1), (3, 4), (9, 9)]),
        ] {
            assert_eq!(common(ours, theirs), both, "{ours:?} and {theirs:?}");
            assert_eq!(common(theirs, ours), both, "{theirs:?} and {ours:?}");
        }
    }
}
