//! What all checkers of a process share: whom TLS trusts, and the threads that resolve names.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use isitup_shared::config::Network;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use super::body::BodyMemory;
use super::handshake::{NoSessions, ShownToSite, Verifying, Witness};
use super::resolver::Resolver;
use crate::site::{HttpVersion, Route, Transport};

/// What all checkers of a process share; cheap to clone.
#[derive(Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    pub(super) config: ClientConfig,
    pub(super) resolver: Resolver,
    pub(super) bodies: BodyMemory,
}

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct TrustError(String);

impl Trust {
    /// Trusts the system's certificates, or Mozilla's where the system has none.
    ///
    /// # Errors
    /// When TLS cannot be set up, which no known system does.
    pub fn system() -> Result<Self, TrustError> {
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            log::warn!("some of the system's certificates cannot be read: {error}");
        }
        let mut roots = RootCertStore::empty();
        let (_, unusable) = roots.add_parsable_certificates(native.certs);
        if unusable > 0 {
            log::debug!("{unusable} of the system's certificates cannot be used");
        }
        if roots.is_empty() {
            log::info!("the system has no trusted certificates; Mozilla's, which are built in, serve instead");
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Self::with_roots(roots)
    }

    /// Trusts `certificates` and no others.
    ///
    /// # Errors
    /// When one of them is no certificate.
    pub fn only(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|error| TrustError(error.to_string()))?;
        }
        Self::with_roots(roots)
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, TrustError> {
        let roots = Arc::new(roots);
        let config = client_config(Arc::clone(&roots), &roots, &Transport::default())?;
        Ok(Self { roots, config, resolver: Resolver::system(), bodies: BodyMemory::default() })
    }

    /// Resolves names by `lookup`, called on the resolver's threads, and not by the system. The port it gives is not used.
    #[must_use]
    pub fn resolving_by(
        mut self,
        lookup: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        self.resolver = Resolver::by(lookup);
        self
    }

    /// Connects to no address in `networks`, whatever leads there.
    #[must_use]
    pub fn denying(mut self, networks: &[Network]) -> Self {
        self.resolver = self.resolver.denying(networks);
        self
    }

    /// Looks up names by the system on at most `lookups` threads, and keeps at most `bodies` bytes of bodies at one time.
    #[must_use]
    pub fn bounded(mut self, lookups: usize, bodies: u64) -> Self {
        self.resolver = self.resolver.bounded(lookups);
        self.bodies = BodyMemory::new(bodies);
        self
    }

    /// Whether `address`, a host and a port, accepts a TCP connection before `deadline`.
    pub(crate) fn accepts(&self, address: &str, deadline: Instant) -> bool {
        let Some((host, port)) = address.rsplit_once(':') else { return false };
        let Ok(port) = port.parse::<u16>() else { return false };
        let found = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(literal) => vec![SocketAddr::new(literal, port)],
            Err(_) => match self.resolver.ask(host, Route::default(), deadline) {
                Some(Ok(found)) => found.iter().map(|found| SocketAddr::new(found.ip(), port)).collect(),
                Some(Err(_)) | None => return false,
            },
        };
        found.iter().any(|address| {
            let left = deadline.saturating_duration_since(Instant::now());
            !left.is_zero() && TcpStream::connect_timeout(address, left).is_ok()
        })
    }

    /// The TLS settings for connections by `transport`; made once for all checkers.
    pub(super) fn config_for(&self, transport: &Transport) -> Result<ClientConfig, TrustError> {
        if transport.secret_fingerprint().is_empty() {
            return Ok(self.config.clone());
        }
        if let Some(config) = transport.config.get() {
            return Ok(config.clone());
        }
        let mut roots = Arc::clone(&self.roots);
        if let Some(ca) = &transport.tls.ca {
            Arc::make_mut(&mut roots).add_parsable_certificates(ca.certificates().iter().cloned());
        }
        let config = client_config(roots, &self.roots, transport)?;
        Ok(transport.config.get_or_init(|| config).clone())
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

/// The settings for a site that is trusted by `roots`; a proxy on the way to it must be by those `of_system`.
///
/// No session is ever resumed: a check meets what a new visitor meets, the whole handshake.
fn client_config(
    roots: Arc<RootCertStore>,
    of_system: &Arc<RootCertStore>,
    transport: &Transport,
) -> Result<ClientConfig, TrustError> {
    let failed = |error: &dyn fmt::Display| TrustError(error.to_string());
    let provider = Arc::new(ring::default_provider());
    let verifying_by = |roots: Arc<RootCertStore>| {
        if roots.is_empty() {
            return Ok(Verifying::Impossible);
        }
        let built = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        built.map(Verifying::By).map_err(|error| failed(&error))
    };
    let of_proxies = verifying_by(Arc::clone(of_system))?;
    let verifying = if transport.tls.insecure {
        Verifying::Nothing
    } else if Arc::ptr_eq(&roots, of_system) {
        of_proxies.clone()
    } else {
        verifying_by(roots)?
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Witness::new(verifying, of_proxies, &provider)));
    let mut config = match &transport.tls.identity {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let config = builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key());
            let mut config = config.map_err(|error| failed(&error))?;
            config.client_auth_cert_resolver = Arc::new(ShownToSite(config.client_auth_cert_resolver));
            config
        }
    };
    let (one, two) = (b"http/1.1".to_vec(), b"h2".to_vec());
    config.alpn_protocols = match transport.http_version {
        HttpVersion::Any => vec![two, one],
        HttpVersion::Http1 => vec![one],
        HttpVersion::Http2 => vec![two],
    };
    config.resumption = Resumption::store(Arc::new(NoSessions));
    Ok(config)
}
