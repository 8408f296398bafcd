//! Whom a connection trusts: libpq's three ways of looking at a server's certificate.

use std::sync::Arc;

use isitup_shared::config::{PostgresTls, TlsMode};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{TlsFailure, words};

/// Looks at a server's certificate as `postgres.tls.mode` says.
#[derive(Debug)]
pub(super) struct Verifier {
    /// Who may have signed it; `None` where it is not looked at.
    chain: Option<Chain>,
    /// Whether it must be for the host that we speak to.
    is_name_checked: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
struct Chain {
    roots: RootCertStore,
    /// What is trusted itself, whoever signed it: servers that sign their own certificate, as PostgreSQL's manual shows it.
    pinned: Vec<CertificateDer<'static>>,
}

impl Verifier {
    /// As `settings` have it; `system` gives the system's authorities where no others are named.
    pub(super) fn new(
        settings: &PostgresTls,
        provider: &Arc<CryptoProvider>,
        system: impl FnOnce() -> RootCertStore,
    ) -> Result<Self, TlsFailure> {
        let own = settings.files.read_ca().map_err(|problem| TlsFailure(problem.to_string()))?;
        let chain = match own {
            Some(own) => Some(Chain::of(own, settings)?),
            // As libpq: without an authority to ask, `require` asks nobody.
            None if settings.mode == TlsMode::Require => None,
            None => Some(Chain { roots: system(), pinned: Vec::new() }),
        };
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { chain, is_name_checked: settings.mode == TlsMode::VerifyFull, algorithms })
    }
}

/// The system's authorities.
pub(super) fn system() -> RootCertStore {
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        log::warn!("some of the system's certificates cannot be read: {error}");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        log::warn!("the system has no trusted certificates: set postgres.tls.ca_file, or install ca-certificates");
    }
    roots
}

impl Chain {
    fn of(own: Vec<CertificateDer<'static>>, settings: &PostgresTls) -> Result<Self, TlsFailure> {
        let now = UnixTime::now();
        let mut roots = RootCertStore::empty();
        let mut pinned = Vec::new();
        let mut expired = None;
        for certificate in own {
            // An authority's dates are nowhere looked at but here.
            match dates(&certificate, now) {
                Err(CertificateError::ExpiredContext { not_after, .. }) => expired = Some(not_after),
                _ => {
                    if roots.add(certificate.clone()).is_ok() {
                        pinned.push(certificate);
                    }
                }
            }
        }
        match expired {
            _ if !roots.is_empty() => Ok(Self { roots, pinned }),
            Some(not_after) => Err(TlsFailure(words::expired_ca(settings, not_after))),
            None => Err(TlsFailure(words::unusable_ca(settings))),
        }
    }

    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        if self.pinned.iter().any(|pinned| pinned == certificate) {
            return Ok(dates(certificate, now)?);
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms.all)
    }
}

/// Whether `certificate` holds at this time.
fn dates(certificate: &CertificateDer<'_>, time: UnixTime) -> Result<(), CertificateError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let unix =
        |seconds: i64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    let (not_before, not_after) =
        (unix(parsed.validity().not_before.timestamp()), unix(parsed.validity().not_after.timestamp()));
    if time < not_before {
        return Err(CertificateError::NotValidYetContext { time, not_before });
    }
    if time > not_after {
        return Err(CertificateError::ExpiredContext { time, not_after });
    }
    Ok(())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify(end_entity, intermediates, now, self.algorithms)?;
        }
        if self.is_name_checked {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
