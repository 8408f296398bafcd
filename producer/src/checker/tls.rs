//! Checks `tls://host:port`: the handshake, and the certificates.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use isitup_shared::event::FailureKind;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, SignatureScheme};
use url::Host;

use super::certificate::Certificate;
use super::dial::{Dial, is_late};
use super::failure;
use super::findings::Findings;
use super::hop::{self, Hop};
use crate::endpoint::Address;

/// How long a server that asks for the client's certificate is given to refuse it.
const VERDICT: Duration = Duration::from_millis(500);

/// Connects to `address` and shakes hands as `config` has it.
pub(super) fn probe(dial: &Dial<'_>, address: &Address, config: ClientConfig) -> Findings {
    let mut found = Findings::default();
    let Some(name) = server_name(&address.host) else {
        found.fail(FailureKind::InvalidUrl, format!("{} is no name that a certificate can have", address.host));
        return found;
    };
    let Some(mut stream) = dial.connect(address, &mut found) else { return found };
    let (began, hop) = (Instant::now(), Arc::new(Hop::default()));
    let shaken = hop::within(&hop, || shake_hands(dial, &mut stream, config, name));
    found.phases.tls = Some(began.elapsed());
    found.certificate = Certificate::of_chain(&hop.reached().chain);
    if let Err(error) = shaken {
        if is_late(&error) {
            let detail = format!("the TLS handshake did not end within {}", dial.within());
            found.fail(FailureKind::Timeout, detail);
        } else {
            let host = address.host.to_string();
            let detail = failure::of_handshake(&error, &host, found.certificate.as_ref());
            found.fail(FailureKind::Tls, detail);
        }
    }
    found
}

fn server_name(host: &Host<String>) -> Option<ServerName<'static>> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
        Host::Ipv4(address) => Some(ServerName::IpAddress((*address).into())),
        Host::Ipv6(address) => Some(ServerName::IpAddress((*address).into())),
    }
}

fn shake_hands(
    dial: &Dial<'_>,
    stream: &mut TcpStream,
    mut config: ClientConfig,
    name: ServerName<'static>,
) -> io::Result<()> {
    // A server of another protocol may end the handshake for an offer of HTTP.
    config.alpn_protocols.clear();
    let asked = Arc::new(Asked { inner: config.client_auth_cert_resolver, is_asked: AtomicBool::new(false) });
    config.client_auth_cert_resolver = Arc::<Asked>::clone(&asked);
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while connection.is_handshaking() || connection.wants_write() {
        if !dial.set_timeouts(stream)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if connection.wants_write() {
            connection.write_tls(stream)?;
            continue;
        }
        if connection.read_tls(stream)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Err(error) = connection.process_new_packets() {
            // The server is told why, as far as it still listens.
            let _ = connection.write_tls(stream);
            return Err(io::Error::other(error));
        }
    }
    if asked.is_asked.load(Ordering::Relaxed) {
        await_verdict(&mut connection, stream)?;
    }
    // A good-bye, so that the server logs no error; whether it goes through is no matter.
    connection.send_close_notify();
    let _ = connection.write_tls(stream);
    Ok(())
}

/// Waits for what the server says to the client's certificate, or to there being none: by TLS 1.3 that comes after the
/// handshake. One that says nothing is content.
fn await_verdict(connection: &mut ClientConnection, stream: &mut TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(VERDICT))?;
    match connection.read_tls(stream) {
        Ok(_) => connection.process_new_packets().map(drop).map_err(io::Error::other),
        Err(_) => Ok(()),
    }
}

/// Answers as `inner` does when the server asks for the client's certificate, and notes that it did.
#[derive(Debug)]
struct Asked {
    inner: Arc<dyn ResolvesClientCert>,
    is_asked: AtomicBool,
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.is_asked.store(true, Ordering::Relaxed);
        self.inner.resolve(issuers, schemes)
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}
