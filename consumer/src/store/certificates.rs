//! For whom certificates were made, and who signed them.

use sha2::{Digest, Sha256};

use super::{StoreError, Tx};

/// The names in a certificate, as an event tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Names<'a> {
    /// For whom it was made.
    pub subject: Option<&'a str>,
    /// Who signed it.
    pub issuer: Option<&'a str>,
}

impl Names<'_> {
    /// Whether there is nothing to name.
    pub fn is_empty(&self) -> bool {
        self.subject.is_none() && self.issuer.is_none()
    }

    /// What identifies them. Each name goes in with its length, so that no two pairs look alike.
    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for name in [self.subject, self.issuer] {
            hash.update(name.map_or(u64::MAX, |name| name.len() as u64).to_le_bytes());
            hash.update(name.unwrap_or_default());
        }
        hash.finalize().into()
    }
}

/// Finds or adds certificates by their names. Sorted, so that two consumers never lock in opposite orders.
///
/// # Errors
/// When a statement fails.
pub fn resolve<'a>(tx: &mut Tx<'_>, wanted: &[Names<'a>]) -> Result<Vec<(Names<'a>, i32)>, StoreError> {
    let mut sorted: Vec<([u8; 32], Names<'a>)> = wanted.iter().map(|names| (names.digest(), *names)).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let digests: Vec<&[u8]> = sorted.iter().map(|(digest, _)| digest.as_slice()).collect();
    add(tx, &sorted, &digests)?;
    let rows = tx.query(
        "SELECT n.ordinal, c.certificate_id
         FROM unnest($1::bytea[]) WITH ORDINALITY AS n (digest, ordinal) JOIN certificate c USING (digest)",
        &[&digests],
    )?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let ordinal = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
        if let Some((_, names)) = ordinal.checked_sub(1).and_then(|index| sorted.get(index)) {
            found.push((*names, row.try_get(1)?));
        }
    }
    Ok(found)
}

fn add(tx: &mut Tx<'_>, sorted: &[([u8; 32], Names<'_>)], digests: &[&[u8]]) -> Result<(), StoreError> {
    let subjects: Vec<Option<&str>> = sorted.iter().map(|(_, names)| names.subject).collect();
    let issuers: Vec<Option<&str>> = sorted.iter().map(|(_, names)| names.issuer).collect();
    tx.execute(
        "INSERT INTO certificate (subject, issuer, digest)
         SELECT n.subject, n.issuer, n.digest
         FROM unnest($1::text[], $2::text[], $3::bytea[]) AS n (subject, issuer, digest)
         WHERE NOT EXISTS (SELECT FROM certificate c WHERE c.digest = n.digest)
         ORDER BY n.digest
         ON CONFLICT DO NOTHING",
        &[&subjects, &issuers, &digests],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_names_never_look_alike() {
        let digest = |subject, issuer| Names { subject, issuer }.digest();
        let all = [
            digest(None, Some("a")),
            digest(Some("a"), None),
            digest(Some(""), Some("a")),
            digest(Some("a"), Some("")),
            digest(Some("ab"), Some("c")),
            digest(Some("a"), Some("bc")),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}");
        }
    }
}
