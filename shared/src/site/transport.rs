//! What connections to a site are made of: TLS, proxy and HTTP version. A client is made for each that is different.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::config::Scalar;
use crate::secret::Secret;
use crate::tls::{self, IdentityError};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};
use url::Url;

use super::short_hash;

/// What connections to a site are made of.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// The versions of HTTP that are offered.
    pub http_version: HttpVersion,
    /// How TLS is made.
    pub tls: TlsOptions,
    /// Through which proxy.
    pub proxy: Option<Proxy>,
    /// Hash of all of it, secrets included.
    fingerprint: String,
    /// Made at the first check, for all checkers.
    pub config: OnceLock<ClientConfig>,
}

/// How TLS is made with a site.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// Certificates that are trusted beside the system's.
    pub ca: Option<Arc<OwnCa>>,
    /// The client's own certificate.
    pub identity: Option<Arc<Identity>>,
    /// Whether the server's certificate is not verified. Each result says so.
    pub insecure: bool,
}

impl Transport {
    /// Connections of `http_version` with `tls` through `proxy`.
    pub fn new(http_version: HttpVersion, tls: TlsOptions, proxy: Option<Proxy>) -> Self {
        let mut transport = Self { http_version, tls, proxy, ..Self::default() };
        let mut parts = Vec::new();
        transport.describe(&mut parts);
        if let Some(ca) = &transport.tls.ca {
            parts.push(("ca", ca.fingerprint().to_owned()));
        }
        if let Some(Proxy::At { url, .. }) = &transport.proxy {
            parts.push(("proxy_url", url.expose().to_owned()));
        }
        parts.retain(|(_, value)| !value.is_empty());
        if !parts.is_empty() {
            transport.fingerprint = short_hash(parts.iter().flat_map(|(key, value)| [*key, value]));
        }
        transport
    }

    /// Hash of all of it, secrets included; empty where nothing is configured. Never leaves the process.
    pub fn secret_fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// All but the own CA, which every site's hash has elsewhere, and the secrets.
    pub(crate) fn describe(&self, parts: &mut Vec<(&str, String)>) {
        let version = match self.http_version {
            HttpVersion::Any => "",
            HttpVersion::Http1 => "1.1",
            HttpVersion::Http2 => "2",
        };
        parts.push(("http_version", version.into()));
        parts.push(("identity", self.tls.identity.as_ref().map(|own| own.fingerprint.clone()).unwrap_or_default()));
        parts.push(("insecure", if self.tls.insecure { "true".into() } else { String::new() }));
        parts.push(("proxy", self.proxy.as_ref().map(ToString::to_string).unwrap_or_default()));
    }
}

/// The versions of HTTP that are offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/2 where the server takes it, else HTTP/1.1.
    #[default]
    Any,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone; over plain `http` at once, without asking.
    Http2,
}

impl Scalar for HttpVersion {
    const WHAT: &'static str = "any, 1.1 or 2";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        match text {
            "any" => Some(Self::Any),
            "1.1" => Some(Self::Http1),
            "2" => Some(Self::Http2),
            _ => None,
        }
    }
}

/// The port of SOCKS proxies where none is named (RFC 1928).
const SOCKS_PORT: u16 = 1080;

/// Through which proxy a site is requested.
#[derive(Clone, Debug)]
pub enum Proxy {
    /// That which `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name.
    Environment,
    /// This one.
    At {
        /// Its URL, perhaps with credentials.
        url: Arc<Secret>,
        /// Hosts that are requested without it: names with their subdomains, addresses, networks.
        no_proxy: Vec<String>,
    },
}

impl Proxy {
    /// Reads `environment`, or the URL of a proxy; else why it is none, without the URL, which may hold a password.
    ///
    /// # Errors
    /// When it is no URL, or one of a scheme that no proxy speaks.
    pub fn parse(text: &Secret, no_proxy: Vec<String>) -> Result<Self, String> {
        const ALLOWED: &str = "(not shown) is not a proxy: write http://host:port, https://host:port, socks5://host:port or `environment`";
        if text.expose() == "environment" {
            return Ok(Self::Environment);
        }
        if text.expose().chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!("{ALLOWED}; a space or line break stands in it"));
        }
        let mut url = Url::parse(text.expose()).map_err(|_| ALLOWED.to_owned())?;
        let is_proxy = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") && url.has_host();
        if !is_proxy {
            return Err(ALLOWED.into());
        }
        if url.scheme().starts_with("socks") && url.port().is_none() {
            // Fails only for URLs without a host.
            let _ = url.set_port(Some(SOCKS_PORT));
        }
        Ok(Self::At { url: Arc::new(Secret::new(url.as_str())), no_proxy })
    }
}

/// Without credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::At { url, no_proxy } => {
                let mut shown = Url::parse(url.expose()).map_err(|_| fmt::Error)?;
                let _ = shown.set_username("");
                let _ = shown.set_password(None);
                write!(f, "{shown}")?;
                if no_proxy.is_empty() { Ok(()) } else { write!(f, " except {}", no_proxy.join(", ")) }
            }
        }
    }
}

/// A client's own certificate and key.
pub struct Identity {
    /// The certificate, then those that signed it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate.
    pub key: PrivateKeyDer<'static>,
    fingerprint: String,
}

impl Identity {
    /// Reads the PEM files of the certificate chain and of its key.
    ///
    /// # Errors
    /// Which of the files is wrong, with the reason in words that complete "the file …".
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let tls::Identity { chain, key } = tls::identity(certificate, key)?;
        let encoded: Vec<String> = chain.iter().map(|c| c.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
        let fingerprint = short_hash(encoded.iter().map(String::as_str));
        Ok(Self { chain, key, fingerprint })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

const NO_CERTIFICATE: &str = "holds no certificate: it must have lines from BEGIN CERTIFICATE to END CERTIFICATE";

/// Certificates of a site's own, trusted for its checks beside the system's: what a visitor has who belongs to the house.
pub struct OwnCa {
    certificates: Vec<CertificateDer<'static>>,
    fingerprint: String,
}

impl OwnCa {
    /// Reads the certificates of a PEM file.
    ///
    /// # Errors
    /// Why there are none to be had, in words that complete "the file …".
    pub fn read(file: &Path) -> Result<Self, String> {
        Self::new(tls::certificates(file)?)
    }

    /// The CA made of `certificates`.
    ///
    /// # Errors
    /// When there are none, or one of them is none.
    pub fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        if certificates.is_empty() {
            return Err(NO_CERTIFICATE.into());
        }
        let mut roots = RootCertStore::empty();
        let mut hasher = Sha256::new();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|_| "holds a certificate that cannot be used".to_owned())?;
            hasher.update(certificate);
        }
        let fingerprint = hasher.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(Self { certificates, fingerprint })
    }

    /// The certificates.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// SHA-256 over the certificates, in hex.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl fmt::Debug for OwnCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCa").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}
