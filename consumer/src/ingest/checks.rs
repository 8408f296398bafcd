//! The checks of a batch: their rows, and what to make of keys that were taken.

use std::collections::HashMap;

use isitup_shared::event::{Check, Envelope};
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::directory::{Directory, SiteRef};
use crate::store::certificates::Names;
use crate::store::results::{self, Columns, Comparison, ResultRow};
use crate::store::sites::Version;
use crate::store::{StoreError, Tx};

/// A check of the batch, and where it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingCheck<'a> {
    /// The partition.
    pub partition: i32,
    /// The offset there.
    pub offset: i64,
    /// The whole message.
    pub raw: &'a [u8],
    /// Who says it.
    pub envelope: &'a Envelope,
    /// What is said.
    pub check: &'a Check,
}

impl<'a> PendingCheck<'a> {
    fn version(&self) -> Version<'a> {
        Version { url: &self.check.url, group: self.check.group.as_deref(), config_hash: &self.check.config_hash }
    }

    fn certificate(&self) -> Names<'a> {
        let Check { certificate_subject, certificate_issuer, .. } = self.check;
        Names { subject: certificate_subject.as_deref(), issuer: certificate_issuer.as_deref() }
    }

    fn key(&self) -> (UtcTime, Uuid, u64) {
        (self.check.scheduled_at, self.envelope.producer_id, self.envelope.seq)
    }
}

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is a row now.
    Stored,
    /// The same was a row already.
    Duplicate,
    /// Something else was a row under its key.
    Doubled,
}

/// Stores checks. Returns, in the order of `pending`, what became of each and where its site stands in `directory`.
///
/// # Errors
/// When a statement fails.
pub(super) fn store(
    tx: &mut Tx<'_>,
    directory: &mut Directory,
    pending: &[PendingCheck<'_>],
) -> Result<Vec<(Fate, SiteRef)>, StoreError> {
    directory.learn_sites(tx, pending.iter().map(|p| (p.check.site.as_str(), p.version())))?;
    directory.certificates.learn(tx, pending.iter().map(PendingCheck::certificate))?;
    let find = |p: &PendingCheck<'_>| directory.find(&p.check.site, p.version());
    let sites: Vec<SiteRef> = pending.iter().filter_map(find).collect();
    let mut order: Vec<usize> = (0..pending.len()).collect();
    order.sort_by_key(|index| pending.get(*index).map(PendingCheck::key));
    let rows: Vec<ResultRow<'_>> =
        order.iter().filter_map(|index| row(directory, pending.get(*index)?, sites.get(*index)?)).collect();
    if sites.len() != pending.len() || rows.len() != pending.len() {
        return Err(StoreError::Vanished("a site, its configuration or a certificate"));
    }
    let columns = Columns::of(&rows);
    let inserted = results::insert(tx, &columns)?;
    let mut fates = vec![Fate::Stored; pending.len()];
    if usize::try_from(inserted).unwrap_or(usize::MAX) < rows.len() {
        let keys: Vec<_> = order.iter().filter_map(|index| pending.get(*index)).map(PendingCheck::key).collect();
        let sorted = judge(&keys, &results::compare(tx, &columns)?);
        for (index, fate) in order.into_iter().zip(sorted) {
            fates[index] = fate;
        }
    }
    Ok(fates.into_iter().zip(sites).collect())
}

fn row<'a>(directory: &Directory, pending: &PendingCheck<'a>, site: &SiteRef) -> Option<ResultRow<'a>> {
    let names = pending.certificate();
    let certificate_id = directory.certificates.find(names);
    (names.is_empty() || certificate_id.is_some()).then_some(ResultRow {
        envelope: pending.envelope,
        check: pending.check,
        site_id: site.site_id,
        version_id: site.version_id,
        certificate_id,
    })
}

/// Tells what became of rows some of whose keys were taken: by an earlier transaction, or by an earlier row of the
/// same batch. `keys` are sorted; of equal ones the first is the one that was inserted.
fn judge<K: PartialEq>(keys: &[K], comparisons: &[Comparison]) -> Vec<Fate> {
    let by_index: HashMap<usize, &Comparison> = comparisons.iter().map(|c| (c.index, c)).collect();
    let judge_one = |index: usize| {
        let repeats = index > 0 && keys.get(index - 1) == keys.get(index);
        match by_index.get(&index) {
            // Nothing under its key can only mean that it was removed since: it was a row.
            None => Fate::Stored,
            Some(found) if found.is_ours && !repeats => Fate::Stored,
            Some(found) if found.is_same => Fate::Duplicate,
            Some(_) => Fate::Doubled,
        }
    };
    (0..keys.len()).map(judge_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(index: usize, is_ours: bool, is_same: bool) -> Comparison {
        Comparison { index, is_ours, is_same }
    }

    #[test]
    fn a_taken_key_is_a_duplicate_or_doubled_and_the_first_of_a_batch_wins() {
        let keys = [1, 2, 2, 2, 3, 4];
        let comparisons = [
            found(0, true, true),
            found(1, true, true),
            found(2, true, true),
            found(3, true, false),
            found(4, false, true),
            found(5, false, false),
        ];
        let expected = [Fate::Stored, Fate::Stored, Fate::Duplicate, Fate::Doubled, Fate::Duplicate, Fate::Doubled];
        assert_eq!(judge(&keys, &comparisons), expected);
    }
}
