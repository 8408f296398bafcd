//! Which certificates this process knows by their ids.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use crate::store::certificates::{self, Names};
use crate::store::{StoreError, Tx};

/// More than this are not remembered: servers choose the names, and may choose new ones each time.
const MOST_CERTIFICATES: usize = 200_000;

/// The ids of certificates. By the hash of their names, so that looking one up makes no text; those few that share a
/// hash are told apart by comparing.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    hasher: RandomState,
    by_hash: HashMap<u64, Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    subject: Option<String>,
    issuer: Option<String>,
    certificate_id: i32,
}

impl Certificates {
    /// Makes sure that all these certificates have ids.
    ///
    /// # Errors
    /// When a statement fails.
    pub(super) fn learn<'a>(
        &mut self,
        tx: &mut Tx<'_>,
        wanted: impl Iterator<Item = Names<'a>>,
    ) -> Result<(), StoreError> {
        if self.by_hash.len() > MOST_CERTIFICATES {
            *self = Self::default();
        }
        let missing: BTreeSet<Names<'_>> =
            wanted.filter(|names| !names.is_empty() && self.find(*names).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        for (names, certificate_id) in certificates::resolve(tx, &missing.into_iter().collect::<Vec<_>>())? {
            self.remember(names, certificate_id);
        }
        Ok(())
    }

    /// The id of a certificate, where it is known.
    pub(super) fn find(&self, names: Names<'_>) -> Option<i32> {
        let known = self.by_hash.get(&self.hasher.hash_one(names))?;
        known.iter().find(|one| one.names() == names).map(|one| one.certificate_id)
    }

    fn remember(&mut self, names: Names<'_>, certificate_id: i32) {
        let (subject, issuer) = (names.subject.map(str::to_owned), names.issuer.map(str::to_owned));
        let hash = self.hasher.hash_one(names);
        self.by_hash.entry(hash).or_default().push(Known { subject, issuer, certificate_id });
    }
}

impl Known {
    fn names(&self) -> Names<'_> {
        Names { subject: self.subject.as_deref(), issuer: self.issuer.as_deref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_found_by_both_of_its_names() {
        let mut known = Certificates::default();
        let all = [(Some("a"), Some("x")), (Some("a"), None), (None, Some("x")), (Some(""), Some("x"))];
        let all = all.map(|(subject, issuer)| Names { subject, issuer });
        for (id, names) in (1..).zip(all) {
            assert_eq!(known.find(names), None);
            known.remember(names, id);
        }
        assert_eq!(all.map(|names| known.find(names)), [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(known.find(Names { subject: Some("a"), issuer: Some("y") }), None);
    }
}
