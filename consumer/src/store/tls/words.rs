//! What is wrong with TLS, in words for people, each with its setting and the remedy.

use std::error::Error;
use std::io;

use isitup_shared::config::{PostgresTls, TlsSetting};
use isitup_shared::event::is_forbidden;
use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};

/// Lists of names are cut: a hostile server could send any amount.
const LONGEST: usize = 200;

/// The server has no TLS.
pub(super) fn no_tls(settings: &PostgresTls) -> String {
    format!(
        "the server offers no TLS, and postgres.tls.mode is {}{}: switch TLS on there (ssl = on), or set \
         postgres.tls.mode: disable where the way there is a private one",
        settings.mode,
        if settings.is_default { " (which holds for a server elsewhere unless another is set)" } else { "" }
    )
}

/// All of the authorities have expired.
pub(super) fn expired_ca(settings: &PostgresTls, not_after: UnixTime) -> String {
    format!("{}: its certificate expired on {}: get the authority's new one", ca(settings), date(not_after))
}

/// None of the authorities can be used.
pub(super) fn unusable_ca(settings: &PostgresTls) -> String {
    format!("{}: holds no certificate that can be used", ca(settings))
}

/// What `error` means, met when speaking TLS with `host`; `None` where TLS has nothing to do with it.
pub(super) fn explain(error: &io::Error, host: &str, settings: &PostgresTls) -> Option<String> {
    use rustls::Error as Tls;
    let inner = error.get_ref();
    if inner.is_some_and(<dyn Error + Send + Sync>::is::<super::TlsFailure>) {
        return None;
    }
    let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<Tls>()) else {
        let is_broken_off = error.kind() == io::ErrorKind::UnexpectedEof;
        return is_broken_off.then(|| "the server closed the connection in the middle of TLS".into());
    };
    Some(match tls {
        Tls::InvalidCertificate(reason) => refused(reason, host, settings),
        Tls::AlertReceived(alert) => alerted(*alert, settings),
        Tls::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the server speaks neither TLS 1.2 nor 1.3: raise its ssl_max_protocol_version".into()
        }
        Tls::PeerIncompatible(_) => "the server and this client have no way of encryption in common".into(),
        Tls::InvalidMessage(_) | Tls::InappropriateMessage { .. } | Tls::InappropriateHandshakeMessage { .. } => {
            "what answers there broke the TLS protocol: check host and port in postgres.url".into()
        }
        other => format!("the TLS handshake failed: {other}"),
    })
}

fn refused(reason: &CertificateError, host: &str, settings: &PostgresTls) -> String {
    use CertificateError as Reason;
    match reason {
        Reason::ExpiredContext { not_after, .. } => {
            format!("the server's certificate expired on {}: it must be renewed there", date(*not_after))
        }
        Reason::NotValidYetContext { not_before, .. } => {
            format!("the server's certificate is not valid before {}: check the clocks", date(*not_before))
        }
        Reason::NotValidForNameContext { presented, .. } => wrong_host(host, presented),
        Reason::UnknownIssuer | Reason::BadSignature => match &settings.files.ca {
            Some(_) => format!(
                "the server's certificate is not signed by the authority in {}: give the one that signed it",
                ca(settings)
            ),
            None => "the server's certificate is not signed by an authority that this system trusts: set \
                     postgres.tls.ca_file to the one that signed it"
                .into(),
        },
        other => format!("the server's certificate is not trusted: {other}"),
    }
}

fn wrong_host(host: &str, presented: &[String]) -> String {
    // The library shows names as `DnsName("a.example")`; only the name is for people.
    let names: Vec<&str> = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
    let names: String = names.join(", ").chars().filter(|c| !is_forbidden(*c)).take(LONGEST).collect();
    let whose = if names.is_empty() { "no host (it has no subjectAltName)".to_owned() } else { names };
    format!(
        "the server's certificate is for {whose}, not for {host}: correct the host in postgres.url, or have the \
         certificate made for it (postgres.tls.mode: verify-ca does not look at the name)"
    )
}

fn alerted(alert: AlertDescription, settings: &PostgresTls) -> String {
    use AlertDescription as Alert;
    let name = alert.as_str().unwrap_or("for an unknown reason");
    let has_identity = settings.files.identity.is_some();
    match alert {
        Alert::UnknownCA
        | Alert::BadCertificate
        | Alert::CertificateUnknown
        | Alert::AccessDenied
        | Alert::DecryptError
            if has_identity =>
        {
            format!(
                "the server refuses our certificate ({name}): {} must be signed by the authority in the server's ssl_ca_file",
                own(settings)
            )
        }
        Alert::CertificateExpired if has_identity => {
            format!("the server refuses our certificate as expired: renew {}", own(settings))
        }
        Alert::CertificateRequired => {
            "the server demands a client certificate: set postgres.tls.cert_file and key_file".into()
        }
        Alert::ProtocolVersion => "the server speaks neither TLS 1.2 nor 1.3".into(),
        _ => format!("the server ended TLS ({name})"),
    }
}

fn ca(settings: &PostgresTls) -> String {
    let file = settings.files.ca.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    format!("{} ({file:?})", TlsSetting::Ca)
}

fn own(settings: &PostgresTls) -> String {
    let file = settings.files.identity.as_ref().map(|(file, _)| file.display().to_string()).unwrap_or_default();
    format!("{} ({file:?})", TlsSetting::Certificate)
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "an unknown day".into(), |at| at.strftime("%Y-%m-%d").to_string())
}
