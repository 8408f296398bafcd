//! The certificate of the demo sites: self-signed, made anew at each start, so that no client can trust it.

use std::sync::Arc;

use anyhow::Result;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;

const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "demo-sites"];

/// A TLS server with a fresh self-signed certificate.
pub(crate) fn self_signed() -> Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned))?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    Ok(Arc::new(config))
}
