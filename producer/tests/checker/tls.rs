//! `tls://host:port`: the handshake and the certificate alone.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use isitup_producer::checker::{HttpVersion, OwnCa, TlsOptions, Transport};
use isitup_producer::site::{Expect, SiteSettings};
use isitup_shared::event::Check;
use rcgen::date_time_ymd;

use crate::certificates::{Authority, asking_clients, config};
use crate::server::{answering_tls, black_hole, check_by, closed, failure, patient, serving, trusting, wait_for_end};
use crate::stalls::{hasty, phases};

fn tls(authority: &Authority, host: &str, address: SocketAddr, settings: SiteSettings) -> Check {
    let trust = trusting(vec![authority.certificate.clone()]);
    check_by(&trust, &format!("tls://{host}:{}", address.port()), settings)
}

#[test]
fn a_trusted_certificate_is_up_and_its_end_is_told() {
    let authority = Authority::named("system");
    let address = authority.server(|_| {});
    let check = tls(&authority, "site.test", address, patient());
    assert_eq!((failure(&check).as_str(), check.remote_addr), ("up", Some(address.to_string().into())));
    assert_eq!(check.certificate_expires_at.unwrap().to_string(), "2099-12-31T00:00:00.000000Z");
    assert_eq!(phases(&check.timings_us), "dns connect tls");
    assert_eq!((check.status, check.http_version, check.body_bytes), (None, None, None));
}

#[test]
fn a_certificate_that_is_refused_says_why_and_its_end_is_told_nonetheless() {
    let authority = Authority::named("system");
    let expired = authority.server(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 11, 1);
    });
    let well = authority.server(|_| {});
    let unknown = Authority::named("stranger").server(|_| {});
    let own = rcgen::generate_simple_self_signed(["site.test".to_owned()]).unwrap();
    let self_signed = answering_tls(config(own.cert.der().clone(), &own.signing_key, &[]), "");
    for (host, address, expected, end) in [
        ("site.test", expired, "tls: certificate expired on 2021-11-01", "2021-11-01"),
        ("other.test", well, "tls: certificate made for site.test, not for other.test", "2099-12-31"),
        ("127.0.0.1", well, "tls: certificate made for site.test, not for 127.0.0.1", "2099-12-31"),
        ("site.test", unknown, "tls: certificate of an unknown issuer", "2099-12-31"),
        ("site.test", self_signed, "tls: certificate is self-signed", "4096-01-01"),
    ] {
        let check = tls(&authority, host, address, patient());
        assert_eq!(failure(&check), expected);
        assert!(check.certificate_expires_at.unwrap().to_string().starts_with(end), "{check:?}");
        assert!(phases(&check.timings_us).ends_with("connect tls"), "{:?}", check.timings_us);
    }
}

#[test]
fn a_certificate_that_ends_too_soon_is_expiring() {
    let authority = Authority::named("system");
    let expect = Expect { certificate_valid_for: Some(Duration::from_secs(50_000 * 86_400)), ..Expect::default() };
    let check = tls(&authority, "site.test", authority.server(|_| {}), SiteSettings { expect, ..patient() });
    let told = failure(&check);
    assert!(told.starts_with("certificate_expiring: certificate expires on 2099-12-31, in "), "{told}");
}

#[test]
fn a_site_may_bring_a_ca_of_its_own() {
    let (system, own) = (Authority::named("system"), Authority::named("own"));
    let ca = std::sync::Arc::new(OwnCa::new(vec![own.certificate.clone()]).unwrap());
    let options = TlsOptions { ca: Some(ca), ..TlsOptions::default() };
    let transport = std::sync::Arc::new(Transport::new(HttpVersion::Any, options, None));
    let check = tls(&system, "site.test", own.server(|_| {}), SiteSettings { transport, ..patient() });
    assert_eq!(failure(&check), "up");
}

#[test]
fn a_server_of_another_protocol_is_not_offered_http() {
    let authority = Authority::named("system");
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["site.test".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    // It ends the handshake where a client names protocols and this one is not among them.
    let imap = answering_tls(config(certificate.der().clone(), &key, &["imap"]), "");
    assert_eq!(failure(&tls(&authority, "site.test", imap, patient())), "up");
}

#[test]
fn a_server_that_wants_a_client_certificate_says_so_and_one_that_can_do_without_is_up() {
    let authority = Authority::named("system");
    for (must, expected) in [(true, "tls: the server wants a client certificate"), (false, "up")] {
        let server = answering_tls(asking_clients(&authority, must), "");
        assert_eq!(failure(&tls(&authority, "site.test", server, patient())), expected);
    }
}

#[test]
fn each_way_to_fail_before_there_is_a_certificate_has_its_kind() {
    let authority = Authority::named("system");
    let plain = serving(|mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        wait_for_end(&mut stream)
    });
    let silent = serving(|mut stream| wait_for_end(&mut stream));
    let dripping = serving(|mut stream| {
        // The begin of a record of 16 KiB, a byte at a time.
        stream.write_all(&[22, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xf0])?;
        loop {
            stream.write_all(&[0])?;
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let (refused, hole) = (closed(), black_hole());
    for (address, expected, reached) in [
        (plain, "tls: the server does not speak TLS on this port, but perhaps plain HTTP", "connect tls"),
        (silent, "timeout: the TLS handshake did not end within 1 s", "connect tls"),
        (dripping, "timeout: the TLS handshake did not end within 1 s", "connect tls"),
        (refused, "connect_refused: connection refused by ADDRESS", "connect"),
        (hole, "connect_timeout: no connection to ADDRESS within 1 s", "connect"),
    ] {
        let check = tls(&authority, "127.0.0.1", address, hasty());
        assert_eq!(failure(&check).replace(&address.to_string(), "ADDRESS"), expected);
        assert_eq!(phases(&check.timings_us), reached, "{expected}");
        assert_eq!(check.certificate_expires_at, None);
    }
}
