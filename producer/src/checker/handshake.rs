//! What the TLS library tells while it shakes hands: when it began, and which certificate was presented.
//!
//! reqwest gives neither. The moment at which TCP is done and TLS begins is seen through the session store: rustls asks
//! it for an old session as the first step of a handshake, before anything is sent, and hyper begins the handshake as
//! soon as it has the socket. So the mark is exact to a microsecond and costs one reading of the clock.

use std::iter;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, ResolvesClientCert, Tls12ClientSessionValue, Tls13ClientSessionValue, WebPkiServerVerifier,
};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error, NamedGroup, SignatureScheme};

use super::hop;

/// A session store that never holds a session, and notes when it is asked for one.
#[derive(Debug)]
pub(super) struct NoSessions;

impl ClientSessionStore for NoSessions {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

    /// Asked for once in each handshake, before all else.
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        hop::note(|reached| reached.handshake_begins());
        None
    }
}

/// Verifies as configured, and keeps the certificates that were presented, also when they are refused.
///
/// The HTTP library has one TLS configuration for the site and for an `https` proxy on the way to it. What is configured
/// for the site must not weaken the way to the proxy, which gets a password of its own: a handshake with a proxy is
/// verified by `of_proxies`.
#[derive(Debug)]
pub(super) struct Witness {
    verifying: Verifying,
    of_proxies: Verifying,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Shows the client's certificate to the site alone, not to a proxy on the way.
#[derive(Debug)]
pub(super) struct ShownToSite(pub(super) Arc<dyn ResolvesClientCert>);

impl ResolvesClientCert for ShownToSite {
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        if hop::is_with_site() { self.0.resolve(issuers, schemes) } else { None }
    }

    fn has_certs(&self) -> bool {
        self.0.has_certs()
    }
}

/// How certificates are verified.
#[derive(Clone, Debug)]
pub(super) enum Verifying {
    By(Arc<WebPkiServerVerifier>),
    /// No certificate at all is trusted.
    Impossible,
    /// All are taken, as configured.
    Nothing,
}

impl Witness {
    pub(super) fn new(verifying: Verifying, of_proxies: Verifying, provider: &CryptoProvider) -> Self {
        Self { verifying, of_proxies, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        hop::note(|reached| {
            reached.presented(iter::once(leaf).chain(intermediates).map(|certificate| certificate.to_vec()));
        });
        match if hop::is_with_site() { &self.verifying } else { &self.of_proxies } {
            Verifying::By(verifier) => verifier.verify_server_cert(leaf, intermediates, name, ocsp, now),
            Verifying::Impossible => Err(CertificateError::UnknownIssuer.into()),
            Verifying::Nothing => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
