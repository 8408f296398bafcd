//! What is told of the certificates that a server presents: that of them which expires first.

use std::net::SocketAddr;
use std::sync::Arc;

use isitup_shared::event::{Check, Name};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::server::{answering_tls, check_by, failure, patient, trusting};

/// Certificates from a root to a leaf, each valid to the end of its year.
struct Chain {
    root: CertificateDer<'static>,
    middle: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
    key: KeyPair,
}

fn params(name: &str, year: i32, is_authority: bool) -> CertificateParams {
    let names = if is_authority { Vec::new() } else { vec!["site.test".to_owned()] };
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Test");
    params.not_after = date_time_ymd(year, 12, 31);
    if is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

impl Chain {
    fn of_years(root: i32, middle: i32, leaf: i32) -> Self {
        let root = CertifiedIssuer::self_signed(params("root", root, true), KeyPair::generate().unwrap()).unwrap();
        let middle =
            CertifiedIssuer::signed_by(params("middle", middle, true), KeyPair::generate().unwrap(), &root).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = params("leaf", leaf, false).signed_by(&key, &middle).unwrap();
        Self { root: root.der().clone(), middle: middle.der().clone(), leaf: leaf.der().clone(), key }
    }

    fn serve(&self) -> SocketAddr {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.leaf.clone(), self.middle.clone(), self.root.clone()],
                PrivatePkcs8KeyDer::from(self.key.serialize_der()).into(),
            )
            .unwrap();
        answering_tls(Arc::new(config), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    }

    fn check(&self) -> Check {
        let trust = trusting(vec![self.root.clone()]);
        check_by(&trust, &format!("https://site.test:{}", self.serve().port()), patient())
    }
}

fn certificate(check: &Check) -> (String, String, String) {
    let end = check.certificate_expires_at.unwrap().to_string();
    let names = (check.certificate_subject.clone().unwrap(), check.certificate_issuer.clone().unwrap());
    (end[..4].to_owned(), names.0.into(), names.1.into())
}

fn told(end: &str, subject: &str, issuer: &str) -> (String, String, String) {
    let name = |name: &str| format!("CN={name}, O=Test");
    (end.to_owned(), name(subject), name(issuer))
}

#[test]
fn the_certificate_that_expires_first_is_told_and_the_root_does_not_count() {
    for (years, expected) in [
        ((2099, 2090, 2080), told("2080", "leaf", "middle")),
        ((2099, 2070, 2080), told("2070", "middle", "root")),
        ((2060, 2090, 2080), told("2080", "leaf", "middle")),
    ] {
        let check = Chain::of_years(years.0, years.1, years.2).check();
        assert_eq!(failure(&check), "up");
        assert_eq!(certificate(&check), expected);
    }
}

#[test]
fn a_handshake_that_is_refused_tells_of_the_certificate_all_the_same() {
    let check = Chain::of_years(2099, 2021, 2080).check();
    assert_eq!(failure(&check), "tls: certificate expired on 2021-12-31");
    assert_eq!(certificate(&check), told("2021", "middle", "root"));
}

#[test]
fn the_names_of_a_certificate_are_cut_and_hold_no_control_characters() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["site.test".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("a\n\u{1b}[31m{}", "x".repeat(5000)));
    let own = params.self_signed(&key).unwrap();
    let chain = Chain { root: own.der().clone(), middle: own.der().clone(), leaf: own.der().clone(), key };
    let check = check_by(&trusting(Vec::new()), &format!("https://site.test:{}", chain.serve().port()), patient());
    assert_eq!(failure(&check), "tls: certificate is self-signed");
    let subject = check.certificate_subject.unwrap();
    assert!(subject.chars().count() == Name::MOST_CHARS && subject.ends_with('…'), "{subject}");
    assert!(subject.contains("a\u{fffd}\u{fffd}[31mxxx"), "{subject:?}");
}
