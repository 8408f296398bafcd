//! What a check tells of a certificate.

use isitup_shared::time::UtcTime;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The leaf certificate of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) expires_at: UtcTime,
    /// Its issuer is its own subject.
    pub(super) is_self_issued: bool,
}

impl Certificate {
    /// Reads `der`; `None` when it is no certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let seconds = certificate.validity().not_after.timestamp();
        Some(Self {
            expires_at: UtcTime::from_micros(seconds.saturating_mul(1_000_000)),
            is_self_issued: certificate.issuer().as_raw() == certificate.subject().as_raw(),
        })
    }
}
