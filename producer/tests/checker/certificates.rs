//! TLS: what is trusted, what is not and why, and what is told of the certificate.

use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use isitup_producer::checker::{HttpVersion, OwnCa, TlsOptions, Transport};
use isitup_producer::site::{Expect, SiteSettings};
use isitup_shared::event::Check;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::http2::answer_http2;
use crate::server::{answering, answering_tls, check_by, failure, patient, serving, trusting, wait_for_end};

const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A certificate authority of the test's own.
pub(crate) struct Authority {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A server on `site.test` with a certificate that `change` has changed.
    pub(crate) fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> SocketAddr {
        answering_tls(self.config("site.test", change), WELL)
    }

    /// What a server named `name` needs, its certificate changed by `change`.
    pub(crate) fn config(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let (certificate, key) = self.signed(name, change);
        config(certificate.der().clone(), &key, &[])
    }

    /// A certificate for `name`, and its key.
    pub(crate) fn certified(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let (certificate, key) = self.signed(name, |_| {});
        (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// Files in `folder` with a certificate for a client, and its key.
    pub(crate) fn client_files(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.signed("client.test", |_| {});
        let files = (folder.join("client.crt"), folder.join("client.key"));
        fs::write(&files.0, certificate.pem()).unwrap();
        fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }

    fn signed(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2099, 12, 31);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn check(&self, host: &str, address: SocketAddr, settings: SiteSettings) -> Check {
        check_by(&trusting(vec![self.certificate.clone()]), &format!("https://{host}:{}", address.port()), settings)
    }
}

pub(crate) fn config(certificate: CertificateDer<'static>, key: &KeyPair, alpn: &[&str]) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

#[test]
fn a_trusted_certificate_is_up_and_its_end_is_told() {
    let authority = Authority::named("system");
    let check = authority.check("site.test", authority.server(|_| {}), patient());
    assert_eq!(failure(&check), "up");
    assert_eq!(check.certificate_expires_at.unwrap().to_string(), "2099-12-31T00:00:00.000000Z");
    let timings = check.timings_us;
    let phases = [timings.dns, timings.connect, timings.tls, timings.first_byte, timings.body];
    assert!(phases.iter().all(Option::is_some), "{timings:?}");
    assert!(timings.tls.unwrap() > 0 && phases.iter().flatten().sum::<u64>() <= timings.total, "{timings:?}");
}

#[test]
fn a_certificate_that_is_refused_says_why_and_its_end_is_told_nonetheless() {
    let authority = Authority::named("system");
    let expired = authority.server(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 11, 1);
    });
    let early = authority.server(|params| params.not_before = date_time_ymd(2098, 1, 1));
    let well = authority.server(|_| {});
    let unknown = Authority::named("stranger").server(|_| {});
    let own = rcgen::generate_simple_self_signed(["site.test".to_owned()]).unwrap();
    let self_signed = answering_tls(config(own.cert.der().clone(), &own.signing_key, &[]), WELL);
    for (host, address, expected, end) in [
        ("site.test", expired, "tls: certificate expired on 2021-11-01", "2021-11-01"),
        ("site.test", early, "tls: certificate not valid before 2098-01-01", "2099-12-31"),
        ("other.test", well, "tls: certificate made for site.test, not for other.test", "2099-12-31"),
        ("127.0.0.1", well, "tls: certificate made for site.test, not for 127.0.0.1", "2099-12-31"),
        ("site.test", unknown, "tls: certificate of an unknown issuer", "2099-12-31"),
        ("site.test", self_signed, "tls: certificate is self-signed", "4096-01-01"),
    ] {
        let check = authority.check(host, address, patient());
        assert_eq!(failure(&check), expected);
        assert!(check.certificate_expires_at.unwrap().to_string().starts_with(end), "{check:?}");
        assert!(check.timings_us.tls.is_some() && check.timings_us.first_byte.is_none(), "{:?}", check.timings_us);
        assert_eq!(check.remote_addr, Some(address.to_string().into()));
    }
}

#[test]
fn what_is_no_tls_at_all_is_tls_as_well() {
    let authority = Authority::named("system");
    let plain = serving(|mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        wait_for_end(&mut stream)
    });
    let closing = serving(|mut stream| stream.read(&mut [0; 4096]).map(drop));
    let told = |address| failure(&authority.check("site.test", address, patient()));
    assert_eq!(told(plain), "tls: the server does not speak TLS on this port, but perhaps plain HTTP");
    assert!(told(closing).starts_with("tls: connection "), "{}", told(closing));
    let http_on_tls = failure(&crate::server::check(&format!("http://{}", authority.server(|_| {})), patient()));
    assert_eq!(http_on_tls, "protocol: the server speaks TLS on this port");
}

#[test]
fn a_certificate_that_ends_too_soon_is_expiring() {
    let authority = Authority::named("system");
    let expect = Expect { certificate_valid_for: Some(Duration::from_secs(50_000 * 86_400)), ..Expect::default() };
    let check = authority.check("site.test", authority.server(|_| {}), SiteSettings { expect, ..patient() });
    let told = failure(&check);
    assert!(told.starts_with("certificate_expiring: certificate expires on 2099-12-31, in "), "{told}");
    assert!(told.ends_with(" days, expected at least 50000 days"), "{told}");
}

#[test]
fn a_site_may_bring_a_ca_of_its_own() {
    let (system, own) = (Authority::named("system"), Authority::named("own"));
    let ca = Arc::new(OwnCa::new(vec![own.certificate.clone()]).unwrap());
    let tls = TlsOptions { ca: Some(ca), ..TlsOptions::default() };
    let transport = Arc::new(Transport::new(HttpVersion::Any, tls, None));
    let with_ca = || SiteSettings { transport: Arc::clone(&transport), ..patient() };
    let (of_own, of_system) = (own.server(|_| {}), system.server(|_| {}));
    assert_eq!(failure(&system.check("site.test", of_own, patient())), "tls: certificate of an unknown issuer");
    assert_eq!(failure(&system.check("site.test", of_own, with_ca())), "up");
    assert_eq!(
        failure(&system.check("site.test", of_system, with_ca())),
        "up",
        "beside the system's, not in its place"
    );
}

#[test]
fn a_plain_server_is_asked_by_the_same_checker() {
    let authority = Authority::named("system");
    let trust = trusting(vec![authority.certificate.clone()]);
    assert_eq!(failure(&check_by(&trust, &format!("http://{}", answering(WELL)), patient())), "up");
}

/// A server that asks for a client certificate and, where it `must` have one, goes away without.
pub(crate) fn asking_clients(authority: &Authority, must: bool) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["site.test".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap().der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let clients = if must { clients } else { clients.allow_unauthenticated() };
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    Arc::new(config)
}

#[test]
fn a_server_that_wants_a_client_certificate_says_so_after_the_handshake() {
    let authority = Authority::named("system");
    let server = answering_tls(asking_clients(&authority, true), WELL);
    let check = authority.check("site.test", server, patient());
    assert_eq!(failure(&check), "tls: the server wants a client certificate");
}

#[test]
fn a_server_that_offers_http2_is_asked_by_it() {
    let authority = Authority::named("system");
    let mut params = CertificateParams::new(vec!["site.test".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2099, 12, 31);
    let key = KeyPair::generate().unwrap();
    let config = config(params.signed_by(&key, &authority.issuer).unwrap().der().clone(), &key, &["h2"]);
    let address = serving(move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        answer_http2(StreamOwned::new(tls, stream), crate::http2::WELL)
    });
    let check = authority.check("site.test", address, patient());
    assert_eq!((failure(&check).as_str(), check.http_version.as_deref()), ("up", Some("HTTP/2.0")));
}
