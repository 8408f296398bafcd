//! A look of our own at a broker that the library cannot speak to. It tells of a failed handshake only that it failed, and
//! of a closed connection nothing at all; so the broker's certificate is looked at, and which protocol it speaks.
//!
//! Nothing secret is sent here: the connection only serves to see what the other side is, and trusts nobody.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::settings::Settings;
use crate::config::{KafkaTls, Security};

/// How long each step may take.
const LIMIT: Duration = Duration::from_secs(1);
/// How many brokers are tried until one takes a connection.
const MOST_TRIED: usize = 2;
/// The longest answer that is read.
const LONGEST: usize = 64 << 10;

/// What can be seen to be the matter, in words that name the setting to mend.
pub(super) fn look(settings: &Settings) -> Option<String> {
    let brokers = settings.brokers.split(',').take(MOST_TRIED);
    let (broker, stream) = brokers.filter_map(|broker| Some((broker, connect(broker)?))).next()?;
    match &settings.security {
        Security::Plaintext => speaks_tls(stream, broker)
            .then(|| format!("{broker} speaks TLS: set kafka.tls, or name the plaintext listener in kafka.brokers")),
        Security::Tls(tls) => {
            let server = Server::meet(stream, broker)?;
            of_certificates(broker, &server, tls).or_else(|| server.wants_password(broker))
        }
        Security::Sasl(tls, _) => of_certificates(broker, &Server::meet(stream, broker)?, tls),
    }
}

fn connect(broker: &str) -> Option<TcpStream> {
    let address = broker.to_socket_addrs().ok()?.next()?;
    let stream = TcpStream::connect_timeout(&address, LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    stream.set_write_timeout(Some(LIMIT)).ok()?;
    Some(stream)
}

/// The host of `host:port`, without the brackets of an address of version 6.
fn host_of(broker: &str) -> &str {
    broker.rsplit_once(':').map_or(broker, |(host, _)| host).trim_matches(['[', ']'])
}

/// Whether what is said first by a client of TLS is answered by TLS: a handshake or an alert.
fn speaks_tls(mut stream: TcpStream, broker: &str) -> bool {
    let Some(mut client) = client(broker, &Arc::default()) else { return false };
    let mut answer = [0; 2];
    client.write_tls(&mut stream).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && matches!(answer, [0x15 | 0x16, 3])
}

fn client(broker: &str, seen: &Arc<Seen>) -> Option<ClientConnection> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = ServerName::try_from(host_of(broker).to_owned()).ok()?;
    ClientConnection::new(Arc::new(config), name).ok()
}

/// A broker that speaks TLS.
struct Server {
    /// Its own certificate first.
    certificates: Vec<CertificateDer<'static>>,
    stream: Mutex<StreamOwned<ClientConnection, TcpStream>>,
}

impl Server {
    fn meet(stream: TcpStream, broker: &str) -> Option<Self> {
        let seen = Arc::new(Seen::default());
        let mut stream = StreamOwned::new(client(broker, &seen)?, stream);
        // It fails where a client certificate is wanted; until then the broker has shown its own.
        let _ = stream.flush();
        let certificates = std::mem::take(&mut *seen.0.lock().unwrap_or_else(PoisonError::into_inner));
        (!certificates.is_empty()).then(|| Self { certificates, stream: Mutex::new(stream) })
    }

    /// A listener with SASL answers the question for a mechanism by those that it has; others refuse the question.
    fn wants_password(&self, broker: &str) -> Option<String> {
        let mechanisms = self.ask_for_mechanisms().ok().flatten()?;
        Some(format!(
            "{broker} wants a user name and a password: set kafka.sasl, with its mechanism one of {}",
            mechanisms.join(", ")
        ))
    }

    /// `SaslHandshake`, version 1, for a mechanism that there is not:
    /// <https://kafka.apache.org/protocol#The_Messages_SaslHandshake>.
    fn ask_for_mechanisms(&self) -> io::Result<Option<Vec<String>>> {
        const REQUEST: &[u8] = b"\0\x11\0\x01\0\0\0\x01\0\x06isitup\0\x04NONE";
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(&(REQUEST.len() as u32).to_be_bytes())?;
        stream.write_all(REQUEST)?;
        stream.flush()?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; (u32::from_be_bytes(length) as usize).min(LONGEST)];
        stream.read_exact(&mut answer)?;
        Ok(mechanisms(&answer))
    }
}

/// Correlation id, error code (33: no such mechanism), and the mechanisms there are.
fn mechanisms(answer: &[u8]) -> Option<Vec<String>> {
    let (code, rest) = answer.get(4..)?.split_first_chunk::<2>()?;
    let (_, mut rest) = rest.split_first_chunk::<4>()?;
    let mut found = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (name, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        found.push(String::from_utf8_lossy(name).into_owned());
        rest = after;
    }
    (i16::from_be_bytes(*code) == 33 && !found.is_empty()).then_some(found)
}

/// What is wrong with the certificates of either side, as far as dates and names tell.
fn of_certificates(broker: &str, server: &Server, tls: &KafkaTls) -> Option<String> {
    let now = Timestamp::now().as_second();
    let (leaf, others) = server.certificates.split_first()?;
    if let Some(end) = expired(leaf, now) {
        return Some(format!("the certificate of {broker} has expired on {end}: let the broker have a new one"));
    }
    if let Some(end) = others.iter().find_map(|certificate| expired(certificate, now)) {
        return Some(format!(
            "the authority of the certificate of {broker} has expired on {end}: the broker sends an old one"
        ));
    }
    if let Some((file, end)) = tls.ca_file.as_deref().and_then(|file| Some((file, expired_file(file, now)?))) {
        return Some(format!(
            "the authority in kafka.tls.ca_file {:?} has expired on {end}: get the new one",
            shown(file)
        ));
    }
    if let Some(names) = other_names(leaf, host_of(broker)) {
        return Some(format!(
            "the certificate of {broker} is for {names}, not for {}: write in kafka.brokers a name that it is for",
            host_of(broker)
        ));
    }
    let own = tls.identity.as_ref().map(|pair| pair.cert_file.as_path());
    let (file, end) = own.and_then(|file| Some((file, expired_file(file, now)?)))?;
    Some(format!("our certificate, kafka.tls.cert_file {:?}, has expired on {end}: get a new one", shown(file)))
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

/// When a certificate ended, if it has.
fn expired(certificate: &CertificateDer<'_>, now: i64) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let end = certificate.validity().not_after.timestamp();
    Timestamp::from_second(end).ok().filter(|_| end < now)
}

/// When the first certificate of a file ended. Beside one that is well, others may lie that ended.
fn expired_file(file: &Path, now: i64) -> Option<Timestamp> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file).ok()?.flatten().collect();
    let ends: Vec<_> = certificates.iter().map(|certificate| expired(certificate, now)).collect();
    ends.iter().all(Option::is_some).then(|| ends.into_iter().next().flatten()).flatten()
}

/// The names that a certificate is for, when `host` is none of them.
fn other_names(certificate: &CertificateDer<'_>, host: &str) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = &certificate.subject_alternative_name().ok().flatten()?.value.general_names;
    let is_host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => is_same(name, host),
        GeneralName::IPAddress(bytes) => address(bytes).is_some_and(|address| host.parse() == Ok(address)),
        _ => false,
    };
    let told = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    let others: Vec<String> = names.iter().filter_map(told).collect();
    (!names.iter().any(is_host) && !others.is_empty()).then(|| others.join(", "))
}

/// A star stands for one label, the leftmost.
fn is_same(name: &str, host: &str) -> bool {
    let rest = |text: &str| text.split_once('.').map(|(_, rest)| rest.to_ascii_lowercase());
    name.eq_ignore_ascii_case(host) || (name.starts_with("*.") && rest(name).is_some() && rest(name) == rest(host))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    four.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

/// Takes whatever certificates it is shown, and keeps them.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<CertificateDer<'static>>>);

impl Seen {
    fn provider() -> CryptoProvider {
        ring::default_provider()
    }
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _host: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(leaf).chain(others).map(|certificate| certificate.clone().into_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(is_same("*.kafka.example.com", "b1.Kafka.example.com"));
        assert!(!is_same("*.kafka.example.com", "a.b1.kafka.example.com"));
        assert!(!is_same("*.example.com", "example.com"));
        assert!(!is_same("kafka", "other"));
    }

    #[test]
    fn the_host_of_an_address_of_version_6_has_no_brackets() {
        assert_eq!((host_of("kafka:9092"), host_of("[::1]:9092")), ("kafka", "::1"));
    }

    #[test]
    fn only_the_answer_of_a_listener_with_sasl_names_mechanisms() {
        let answer = b"\0\0\0\x01\0\x21\0\0\0\x02\0\x05PLAIN\0\x0dSCRAM-SHA-512";
        assert_eq!(mechanisms(answer), Some(vec!["PLAIN".to_owned(), "SCRAM-SHA-512".to_owned()]));
        assert_eq!(mechanisms(b"\0\0\0\x01\0\x22\0\0\0\0"), None);
        assert_eq!(mechanisms(b"\0\0"), None);
    }
}
