//! `tls://host:port`: connects, shakes hands, and looks at the certificate.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use isitup_shared::event::{Failure, FailureKind};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, SignatureScheme};

use super::certificate::Certificate;
use super::dial::{Bounded, Dial};
use super::failure;
use super::findings::Findings;
use super::hop;
use super::resolver::Resolver;
use crate::site::Site;
use crate::target::Address;

/// How long a server that asks for the client's certificate is given to refuse it.
const VERDICT: Duration = Duration::from_millis(500);

/// Checks `site` at `address` by the settings `config`; the check `began` just now.
pub(super) fn probe(
    site: &Site,
    address: &Address,
    config: ClientConfig,
    resolver: &Resolver,
    began: Instant,
) -> Findings {
    let dial = Dial::new(site, address, resolver, began);
    let mut found = Findings::default();
    let failure = match dial.connect() {
        Ok((stream, remote)) => {
            found.remote_addr = Some(remote);
            hop::during_sync(&dial.hop, || shake_hands(address, config, stream, &dial)).err()
        }
        Err(failure) => Some(failure),
    };
    let reached = dial.hop.reached();
    found.phases.add_connection(&reached, Instant::now());
    found.certificate = certificate(reached.certificate.as_deref());
    found.failure = failure;
    found
}

fn shake_hands(
    address: &Address,
    mut config: ClientConfig,
    mut stream: Bounded,
    dial: &Dial<'_>,
) -> Result<(), Failure> {
    // A server of another protocol may end the handshake for an offer of HTTP.
    config.alpn_protocols.clear();
    let asked = Arc::new(Asked { inner: config.client_auth_cert_resolver, is_asked: AtomicBool::new(false) });
    config.client_auth_cert_resolver = Arc::<Asked>::clone(&asked);
    let host = address.host.to_string();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
    let name = name.map_err(|_| invalid_name(&host))?;
    dial.hop.reached().handshake_begins();
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|_| invalid_name(&host))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| broken(&error, &host, dial))?;
    }
    dial.hop.reached().connected = Some(Instant::now());
    if asked.is_asked.load(Ordering::Relaxed) {
        stream.hurry(Instant::now() + VERDICT);
        await_verdict(&mut connection, &mut stream).map_err(|error| broken(&error, &host, dial))?;
    }
    // A good-bye, so that the server logs no error; whether it goes through is no matter.
    connection.send_close_notify();
    let _ = connection.write_tls(&mut stream);
    Ok(())
}

/// Waits for what the server says to the client's certificate, or to there being none: by TLS 1.3 that comes after the
/// handshake. One that says nothing is content.
fn await_verdict(connection: &mut ClientConnection, stream: &mut Bounded) -> io::Result<()> {
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

fn broken(error: &io::Error, host: &str, dial: &Dial<'_>) -> Failure {
    if error.kind() == io::ErrorKind::TimedOut {
        return dial.timed_out();
    }
    let certificate = certificate(dial.hop.reached().certificate.as_deref());
    failure::of_handshake(error, host, certificate)
}

fn certificate(presented: Option<&[u8]>) -> Option<Certificate> {
    Certificate::read(presented?)
}

fn invalid_name(host: &str) -> Failure {
    Failure { kind: FailureKind::InvalidUrl, detail: format!("{host} is no host that can be connected to") }
}
