//! Why a TLS handshake failed, in words for people.

use std::error::Error;
use std::io;

use isitup_shared::time::UtcTime;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

use super::super::certificate::Certificate;
use super::super::words;
use super::cause;

/// One short line for `error`, met while shaking hands with `host`, which presented `certificate`.
pub(super) fn detail(error: &(dyn Error + 'static), host: &str, certificate: Option<&Certificate>) -> String {
    use rustls::Error as Tls;
    let Some(error) = cause::<Tls>(error) else { return broken_off(error) };
    match error {
        Tls::InvalidCertificate(reason) => refused(reason, host, certificate),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::MessageTooLarge) => {
            "the server does not speak TLS on this port, but perhaps plain HTTP".into()
        }
        Tls::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the server speaks neither TLS 1.2 nor 1.3".into()
        }
        Tls::PeerIncompatible(_) => "the server and this client have no way of encryption in common".into(),
        Tls::AlertReceived(alert) => alerted(*alert),
        Tls::NoCertificatesPresented => "the server presented no certificate".into(),
        Tls::InvalidMessage(_) | Tls::InappropriateMessage { .. } | Tls::InappropriateHandshakeMessage { .. } => {
            "the server broke the TLS protocol".into()
        }
        _ => "the TLS handshake failed".into(),
    }
}

fn refused(reason: &CertificateError, host: &str, certificate: Option<&Certificate>) -> String {
    use CertificateError as Reason;
    match reason {
        Reason::ExpiredContext { not_after, .. } => format!("certificate expired on {}", date(*not_after)),
        Reason::Expired => match certificate {
            Some(certificate) => format!("certificate expired on {}", words::date(certificate.expires_at)),
            None => "certificate expired".into(),
        },
        Reason::NotValidYetContext { not_before, .. } => format!("certificate not valid before {}", date(*not_before)),
        Reason::NotValidYet => "certificate not valid yet".into(),
        Reason::NotValidForNameContext { presented, .. } => wrong_host(host, presented),
        Reason::NotValidForName => format!("certificate not made for {host}"),
        Reason::Revoked => "certificate revoked".into(),
        // A self-signed certificate may be refused for its issuer, or since it calls itself an authority.
        _ if certificate.is_some_and(|certificate| certificate.is_leaf_self_issued) => {
            "certificate is self-signed".into()
        }
        Reason::UnknownIssuer => "certificate of an unknown issuer".into(),
        Reason::BadEncoding => "certificate cannot be read".into(),
        Reason::BadSignature => "certificate with a wrong signature".into(),
        Reason::InvalidPurpose | Reason::InvalidPurposeContext { .. } => "certificate not made for servers".into(),
        _ => "certificate not trusted".into(),
    }
}

fn wrong_host(host: &str, presented: &[String]) -> String {
    // The library shows names as `DnsName("a.example")`; only the name is for people.
    let names: Vec<&str> = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
    match names.as_slice() {
        [] => format!("certificate not made for {host}"),
        names => format!("certificate made for {}, not for {host}", words::short(&names.join(", "))),
    }
}

fn alerted(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::HandshakeFailure => "the server refused the handshake".into(),
        AlertDescription::ProtocolVersion => "the server speaks neither TLS 1.2 nor 1.3".into(),
        AlertDescription::UnrecognisedName => "the server does not know this name".into(),
        AlertDescription::CertificateRequired => "the server wants a client certificate".into(),
        AlertDescription::NoApplicationProtocol => "the server speaks no version of HTTP that is asked for".into(),
        AlertDescription::InternalError => "the server failed in the TLS handshake".into(),
        alert => format!("the server ended the TLS handshake ({})", alert.as_str().unwrap_or("for an unknown reason")),
    }
}

fn broken_off(error: &(dyn Error + 'static)) -> String {
    match cause::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::UnexpectedEof) => "connection closed during the TLS handshake".into(),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            "connection reset during the TLS handshake".into()
        }
        _ => "the TLS handshake failed".into(),
    }
}

fn date(time: UnixTime) -> String {
    words::date(UtcTime::from_micros(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1_000_000)))
}
