//! What a check tells of a certificate.

use isitup_shared::event::Name;
use isitup_shared::time::UtcTime;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

/// The certificate of a chain that expires first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) expires_at: UtcTime,
    pub(super) subject: Name,
    pub(super) issuer: Name,
    /// Whether the chain's leaf has itself as its issuer.
    pub(super) is_leaf_self_issued: bool,
}

impl Certificate {
    /// Reads a `chain` as presented, the leaf first; `None` when the leaf is no certificate. A root that was sent along
    /// does not count: it is trusted, or not, whatever its dates say.
    pub(super) fn of_chain(chain: &[Vec<u8>]) -> Option<Self> {
        let (leaf, rest) = chain.split_first()?;
        let leaf = parse(leaf)?;
        let is_leaf_self_issued = is_self_issued(&leaf);
        let above = rest.iter().filter_map(|der| parse(der)).filter(|above| !is_self_issued(above));
        let first = above.fold(leaf, |first, next| if not_after(&next) < not_after(&first) { next } else { first });
        Some(Self {
            expires_at: UtcTime::from_micros(not_after(&first).saturating_mul(1_000_000)),
            subject: name(first.subject()),
            issuer: name(first.issuer()),
            is_leaf_self_issued,
        })
    }
}

/// When the first of `certificates` expires.
pub(crate) fn first_expiry(certificates: &[CertificateDer<'_>]) -> Option<UtcTime> {
    let first = certificates.iter().filter_map(|der| parse(der)).map(|certificate| not_after(&certificate)).min();
    first.map(|seconds| UtcTime::from_micros(seconds.saturating_mul(1_000_000)))
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.issuer().as_raw() == certificate.subject().as_raw()
}

/// In seconds since 1970.
fn not_after(certificate: &X509Certificate<'_>) -> i64 {
    certificate.validity().not_after.timestamp()
}

fn name(name: &X509Name<'_>) -> Name {
    name.to_string().into()
}
