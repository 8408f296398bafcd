//! What a site is asked: method, headers, body; over which version of HTTP, with which certificate, and along redirects.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use isitup_producer::checker::{HttpVersion, Identity, TlsOptions, Transport};
use isitup_producer::site::{ConnectTo, Request, Route, SiteSettings};
use isitup_shared::secret::Secret;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::certificates::Authority;
use crate::server::{
    answering, answering_tls, check, check_by, failure, ok, patient, read_head, redirect, serving, trusting,
};

const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// Answers the first request with `first` and each other with `then`, and keeps them all, bodies included.
fn recording(first: impl Into<String>, then: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let (first, requests) = (first.into(), Arc::new(Mutex::new(Vec::new())));
    let kept = Arc::clone(&requests);
    let address = serving(move |mut stream| {
        let mut request = read_head(&mut stream)?.to_lowercase();
        let length = request.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body)?;
        request.push_str(&String::from_utf8_lossy(&body));
        let mut requests = kept.lock().unwrap();
        stream.write_all(if requests.is_empty() { first.as_bytes() } else { then.as_bytes() })?;
        requests.push(request);
        Ok(())
    });
    (address, requests)
}

fn headers(headers: &[(HeaderName, &'static str)]) -> HeaderMap {
    headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
}

fn asking(method: Method, body: Option<&str>, own: &[(HeaderName, &'static str)]) -> SiteSettings {
    let body = body.map(|body| Arc::new(Secret::new(body)));
    SiteSettings { request: Request { method, headers: headers(own), body }, ..patient() }
}

fn over(http_version: HttpVersion) -> SiteSettings {
    SiteSettings { transport: Arc::new(Transport::new(http_version, TlsOptions::default(), None)), ..patient() }
}

#[test]
fn method_headers_and_body_are_sent_as_configured() {
    let (address, requests) = recording(WELL, WELL);
    let own = [(CONTENT_TYPE, "application/json"), (HOST, "other.example")];
    let check = check(&format!("http://{address}/path?q"), asking(Method::POST, Some(r#"{"a":1}"#), &own));
    assert_eq!(failure(&check), "up");
    let request = requests.lock().unwrap().concat();
    assert!(request.starts_with("post /path?q http/1.1\r\n") && request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
    assert!(request.contains("content-type: application/json\r\n"), "{request}");
    assert!(request.contains("host: other.example\r\n") && !request.contains(&address.to_string()), "{request}");
}

#[test]
fn an_authorization_that_is_configured_goes_before_that_of_the_url() {
    let (address, requests) = recording(WELL, WELL);
    let own = [(reqwest::header::AUTHORIZATION, "Bearer token")];
    let check = check(&format!("http://user:pass@{address}/"), asking(Method::GET, None, &own));
    assert_eq!(failure(&check), "up");
    let request = requests.lock().unwrap().concat();
    assert!(request.contains("authorization: bearer token\r\n") && !request.contains("basic"), "{request}");
}

#[test]
fn a_head_is_answered_without_a_body() {
    let (address, requests) = recording("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", WELL);
    let check = check(&format!("http://{address}"), asking(Method::HEAD, None, &[]));
    assert_eq!((failure(&check).as_str(), check.body_bytes), ("up", Some(0)));
    assert!(requests.lock().unwrap().concat().starts_with("head / http/1.1\r\n"));
}

#[test]
fn a_redirect_turns_a_post_into_a_page_or_keeps_it_as_its_status_has_it() {
    for (status, asked, then) in [
        (301, Method::POST, "get"),
        (302, Method::POST, "get"),
        (303, Method::POST, "get"),
        (303, Method::PUT, "get"),
        (302, Method::PUT, "put"),
        (307, Method::POST, "post"),
        (308, Method::POST, "post"),
    ] {
        let (address, requests) = recording(redirect(status, "/next"), WELL);
        let own = [(CONTENT_TYPE, "text/plain"), (COOKIE, "a=1")];
        let check = check(&format!("http://{address}/"), asking(asked, Some("body"), &own));
        assert_eq!(failure(&check), "up", "{status}");
        let request = requests.lock().unwrap().pop().unwrap();
        assert!(request.starts_with(&format!("{then} /next http/1.1\r\n")), "{status}: {request}");
        assert!(request.contains("cookie: a=1\r\n"), "{request}");
        let has_body = then != "get";
        assert_eq!(request.ends_with("body"), has_body, "{status}: {request}");
        assert_eq!(request.contains("content-type"), has_body, "{status}: {request}");
    }
}

#[test]
fn only_get_and_head_without_a_body_leave_the_origin() {
    let (foreign, foreign_requests) = recording(WELL, WELL);
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let methods: [Method; 7] = methods.map(|name| name.parse().unwrap());
    for status in [301, 302, 303, 307, 308] {
        for method in &methods {
            for body in [None, Some("s3cret")] {
                let case = format!("{status} {method} {body:?}");
                let turns = *method == Method::POST && status < 303;
                let becomes = match (status, method) {
                    (303, method) if *method != Method::HEAD => Method::GET,
                    _ if turns => Method::GET,
                    _ => method.clone(),
                };
                let has_body = body.is_some() && !turns && (status != 303 || *method == Method::HEAD);
                let may_leave = !has_body && [Method::GET, Method::HEAD].contains(&becomes);
                let (own, _) = recording(redirect(status, format!("http://{foreign}/")), WELL);
                let told = failure(&check(&format!("http://{own}/"), asking(method.clone(), body, &[])));
                let requests: Vec<String> = foreign_requests.lock().unwrap().drain(..).collect();
                if may_leave {
                    assert_eq!(told, "up", "{case}");
                    assert!(requests.concat().starts_with(&format!("{becomes} / ").to_lowercase()), "{case}");
                } else {
                    let what = if has_body { "the body".to_owned() } else { format!("a {becomes} request") };
                    let expected =
                        format!("redirect: status {status} would send {what} to another origin: http://{foreign}/");
                    assert_eq!((told, requests), (expected, Vec::new()), "{case}");
                }
            }
        }
    }
}

#[test]
fn every_method_follows_redirects_within_its_origin() {
    for status in [301, 302, 307, 308] {
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let (address, requests) = recording(redirect(status, "/next"), WELL);
            assert_eq!(failure(&check(&format!("http://{address}/"), asking(method.clone(), None, &[]))), "up");
            let expected = format!("{method} /next ").to_lowercase();
            assert!(requests.lock().unwrap()[1].starts_with(&expected), "{status} {method}");
        }
    }
}

#[test]
fn nothing_of_the_request_goes_to_another_origin() {
    let (foreign, foreign_requests) = recording(WELL, WELL);
    let (own, _) = recording(redirect(302, format!("http://{foreign}/")), WELL);
    let headers = [(HOST, "own.example"), (COOKIE, "s3cret"), (CONTENT_TYPE, "text/plain")];
    let up = check(&format!("http://{own}/"), asking(Method::POST, Some("s3cret"), &headers));
    assert_eq!(failure(&up), "up");
    let request = foreign_requests.lock().unwrap().pop().unwrap();
    assert!(
        request.starts_with("get / http/1.1\r\n") && request.contains(&format!("host: {foreign}\r\n")),
        "{request}"
    );
    assert!(!["s3cret", "content-type", "own.example"].iter().any(|own| request.contains(own)), "{request}");
    for status in [307, 308] {
        let (own, _) = recording(redirect(status, format!("http://{foreign}/")), WELL);
        let stopped = check(&format!("http://{own}/"), asking(Method::POST, Some("s3cret"), &[]));
        let shown = format!("http://{foreign}/");
        let expected = format!("redirect: status {status} would send the body to another origin: {shown}");
        assert_eq!(failure(&stopped), expected);
    }
    assert!(foreign_requests.lock().unwrap().is_empty());
}

#[test]
fn another_address_can_stand_in_for_that_of_the_host() {
    let (address, requests) = recording(redirect(302, "/next"), WELL);
    let to = |port| Some(ConnectTo { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), port });
    let settings = |port| SiteSettings { route: Route { connect_to: to(port), ..Route::default() }, ..patient() };
    let elsewhere = check("http://nowhere.test:81/x", settings(Some(address.port())));
    assert_eq!((failure(&elsewhere).as_str(), elsewhere.redirects), ("up", 1));
    assert_eq!(elsewhere.remote_addr, Some(address.to_string().into()));
    assert_eq!(elsewhere.final_url.as_deref(), Some("http://nowhere.test:81/next"));
    for request in &*requests.lock().unwrap() {
        assert!(request.contains("host: nowhere.test:81\r\n"), "{request}");
    }
    let same_port = check(&format!("http://nowhere.test:{}", address.port()), settings(None));
    assert_eq!(failure(&same_port), "up");
    let dead = crate::server::closed();
    let refused = check("http://nowhere.test/", settings(Some(dead.port())));
    let expected = format!("connect_refused: connection refused by nowhere.test:{} (127.0.0.1)", dead.port());
    assert_eq!((failure(&refused), refused.remote_addr), (expected, None));
}

#[test]
fn the_stand_in_is_asked_for_the_certificate_of_the_host_and_other_hosts_go_their_own_way() {
    let authority = Authority::named("system");
    let trust = trusting(vec![authority.certificate.clone()]);
    let end = answering(WELL);
    let away = redirect(302, format!("http://elsewhere.test:{}/", end.port()));
    let own = answering_tls(authority.config("nowhere.test", |_| {}), away);
    let connect_to = Some(ConnectTo { ip: own.ip(), port: Some(own.port()) });
    let settings = SiteSettings { route: Route { connect_to, ..Route::default() }, ..over(HttpVersion::Http1) };
    let check = check_by(&trust, "https://nowhere.test/", settings);
    assert_eq!((failure(&check).as_str(), check.remote_addr), ("up", Some(end.to_string().into())));
}

/// A TLS server of `authority` that takes only clients with a certificate of it.
fn wanting_certificates(authority: &Authority, answer: String) -> SocketAddr {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let (chain, key) = authority.certified("site.test");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .unwrap();
    answering_tls(Arc::new(config), answer)
}

#[test]
fn a_client_certificate_is_shown_to_the_own_origin_and_to_no_other() {
    let authority = Authority::named("system");
    let trust = trusting(vec![authority.certificate.clone()]);
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.client_files(folder.path());
    let identity = Some(Arc::new(Identity::read(&certificate, &key).unwrap()));
    let tls = TlsOptions { identity, ..TlsOptions::default() };
    let settings =
        || SiteSettings { transport: Arc::new(Transport::new(HttpVersion::Any, tls.clone(), None)), ..patient() };
    let own = wanting_certificates(&authority, WELL.to_owned());
    assert_eq!(failure(&check_by(&trust, &format!("https://site.test:{}", own.port()), settings())), "up");
    let other = wanting_certificates(&authority, WELL.to_owned());
    let leaving = wanting_certificates(&authority, redirect(302, format!("https://site.test:{}/", other.port())));
    let left = check_by(&trust, &format!("https://site.test:{}", leaving.port()), settings());
    assert_eq!((failure(&left).as_str(), left.redirects), ("tls: the server wants a client certificate", 1));
}

#[test]
fn a_certificate_that_is_not_verified_is_told_with_the_result() {
    let address = Authority::named("stranger").server(|params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    let tls = TlsOptions { insecure: true, ..TlsOptions::default() };
    let insecure =
        || SiteSettings { transport: Arc::new(Transport::new(HttpVersion::Any, tls.clone(), None)), ..patient() };
    let encrypted = check(&format!("https://other.test:{}", address.port()), insecure());
    assert_eq!((failure(&encrypted).as_str(), encrypted.insecure), ("up", true));
    assert!(encrypted.certificate_expires_at.unwrap().to_string().starts_with("2021-01-01"));
    let plain = answering(WELL);
    assert!(!check(&format!("http://{plain}"), insecure()).insecure, "nothing was to be verified");
    let leading = answering(redirect(302, format!("https://other.test:{}/", address.port())));
    assert!(check(&format!("http://{leading}"), insecure()).insecure);
}

#[test]
fn only_the_version_of_http_that_is_configured_is_spoken() {
    let authority = Authority::named("system");
    let trust = trusting(vec![authority.certificate.clone()]);
    let config = |alpn: &[&str]| {
        let mut config = ServerConfig::clone(&authority.config("site.test", |_| {}));
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    };
    let old = answering_tls(config(&["h2", "http/1.1"]), WELL);
    let url = |address: SocketAddr| format!("https://site.test:{}", address.port());
    let by_one = check_by(&trust, &url(old), over(HttpVersion::Http1));
    assert_eq!((failure(&by_one).as_str(), by_one.http_version.as_deref()), ("up", Some("HTTP/1.1")));
    let only_one = answering_tls(config(&["http/1.1"]), WELL);
    let by_two = check_by(&trust, &url(only_one), over(HttpVersion::Http2));
    assert_eq!(failure(&by_two), "tls: the server speaks no version of HTTP that is asked for");
    let plain = check(&format!("http://{}", crate::http2::serving_http2(crate::http2::WELL)), over(HttpVersion::Http2));
    assert_eq!((failure(&plain).as_str(), plain.http_version.as_deref()), ("up", Some("HTTP/2.0")));
    let not_two = check(&format!("http://{}", answering(ok("", "hello"))), over(HttpVersion::Http2));
    assert_eq!(failure(&not_two), "protocol: the answer is not HTTP/2");
}

#[test]
fn a_large_body_that_is_not_taken_is_worth_a_word() {
    let address = serving(|mut stream| {
        stream.read_exact(&mut [0])?;
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        let _ = never.recv();
        Ok::<(), io::Error>(())
    });
    let body = "x".repeat(32 << 20);
    let settings =
        SiteSettings { timeout: std::time::Duration::from_secs(1), ..asking(Method::POST, Some(&body), &[]) };
    let told = failure(&check(&format!("http://{address}"), settings));
    assert_eq!(told, "timeout: no answer within 1 s, in which a body of 32 MiB was to be sent");
}

#[test]
fn an_answer_that_comes_before_the_body_was_taken_counts() {
    let address = serving(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")?;
        crate::server::wait_for_end(&mut stream)
    });
    let told = failure(&check(&format!("http://{address}"), asking(Method::POST, Some(&"x".repeat(8 << 20)), &[])));
    assert_eq!(told, "status: status 413, expected 200-299");
}
