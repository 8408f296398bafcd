//! Sites behind proxies: what the proxy is asked, what is told of the site, and of a proxy that fails.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use isitup_producer::checker::{HttpVersion, Identity, OwnCa, Proxy, TlsOptions, Transport};
use isitup_producer::site::SiteSettings;
use isitup_shared::event::Check;
use isitup_shared::secret::Secret;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::certificates::Authority;
use crate::proxy::{http_proxy, https_proxy, recording_https_proxy, socks_proxy};
use crate::server::{
    answering, answering_tls, black_hole, check, check_by, closed, failure, ok, patient, serving, stalling, trusting,
    wait_for_end,
};

/// Settings for a site behind the proxy at `url`.
fn behind(url: impl AsRef<str>, no_proxy: &[&str]) -> SiteSettings {
    let no_proxy = no_proxy.iter().map(|&host| host.to_owned()).collect();
    let proxy = Proxy::parse(&Secret::new(url.as_ref()), no_proxy).unwrap();
    let transport = Transport::new(HttpVersion::Any, TlsOptions::default(), Some(proxy));
    SiteSettings { transport: Arc::new(transport), ..patient() }
}

#[test]
fn a_plain_site_is_requested_through_its_proxy() {
    let site = answering(ok("Content-Length: 5\r\n", "hello"));
    let (proxy, heads) = http_proxy(site);
    let check = check("http://site.invalid/x?y", behind(format!("http://user:s3cret@{proxy}"), &[]));
    assert_eq!((failure(&check).as_str(), check.status, check.body_bytes), ("up", Some(200), Some(5)));
    assert_eq!(check.remote_addr, Some(proxy.to_string().into()), "it is the proxy that answers");
    let head = heads.lock().unwrap().concat().to_lowercase();
    assert!(head.starts_with("get http://site.invalid/x?y http/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic dxnlcjpzm2nyzxq=\r\n"), "{head}");
    assert!(!format!("{check:?}").contains("s3cret"), "{check:?}");
}

#[test]
fn an_encrypted_site_is_reached_through_a_tunnel_and_its_phases_and_certificate_are_its_own() {
    let authority = Authority::named("system");
    let (proxy, heads) = http_proxy(authority.server(|_| {}));
    let trust = trusting(vec![authority.certificate.clone()]);
    let check = check_by(&trust, "https://site.test/x", behind(format!("http://user:s3cret@{proxy}"), &[]));
    assert_eq!(failure(&check), "up");
    assert!(check.certificate_expires_at.is_some() && check.timings_us.tls.is_some(), "{check:?}");
    let head = heads.lock().unwrap().concat().to_lowercase();
    assert!(head.starts_with("connect site.test:443 http/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic dxnlcjpzm2nyzxq=\r\n") && !head.contains("/x"), "{head}");
}

#[test]
fn behind_an_encrypted_proxy_handshake_and_certificate_are_those_of_the_site() {
    let authority = Authority::named("system");
    let site = authority.server(|_| {});
    let trust = trusting(vec![authority.certificate.clone()]);
    let proxy =
        https_proxy(authority.config("proxy.test", |params| params.not_after = rcgen::date_time_ymd(2050, 1, 1)), site);
    let told = |proxy: SocketAddr, host: &str| {
        check_by(&trust, &format!("https://{host}"), behind(format!("https://proxy.test:{}", proxy.port()), &[]))
    };
    let well = told(proxy, "site.test");
    assert_eq!(failure(&well), "up");
    assert!(well.certificate_expires_at.unwrap().to_string().starts_with("2099"), "{well:?}");
    assert!(well.timings_us.tls.is_some() && well.timings_us.connect.is_some(), "{well:?}");
    let wrong = told(proxy, "other.test");
    assert_eq!(failure(&wrong), "tls: certificate made for site.test, not for other.test");
    let stranger = https_proxy(Authority::named("stranger").config("proxy.test", |_| {}), site);
    let refused = told(stranger, "site.test");
    let port = stranger.port();
    assert_eq!(failure(&refused), format!("tls: the proxy proxy.test:{port}: certificate of an unknown issuer"));
    assert_eq!((refused.certificate_expires_at, refused.timings_us.tls), (None, None), "the site was not reached");
}

/// Settings for a site with `tls` behind the proxy at `proxy.test`, which gets a password.
fn with_tls(tls: TlsOptions, proxy: SocketAddr) -> SiteSettings {
    let url = Secret::new(format!("https://user:s3cret@proxy.test:{}", proxy.port()));
    let proxy = Proxy::parse(&url, Vec::new()).unwrap();
    SiteSettings { transport: Arc::new(Transport::new(HttpVersion::Any, tls, Some(proxy))), ..patient() }
}

#[test]
fn insecure_and_ca_of_a_site_do_not_hold_for_its_proxy() {
    let stranger = Authority::named("stranger");
    let site = stranger.server(|_| {});
    let plain_site = answering(ok("", "hello"));
    let own_ca = OwnCa::new(vec![stranger.certificate.clone()]).unwrap();
    for tls in [
        TlsOptions { insecure: true, ..TlsOptions::default() },
        TlsOptions { ca: Some(Arc::new(own_ca)), ..TlsOptions::default() },
    ] {
        for (url, behind_proxy) in [("https://site.test/", site), ("http://site.test/", plain_site)] {
            let (proxy, heads) = recording_https_proxy(stranger.config("proxy.test", |_| {}), behind_proxy);
            let told = failure(&check(url, with_tls(tls.clone(), proxy)));
            let port = proxy.port();
            let reason = "certificate of an unknown issuer";
            assert_eq!(told, format!("tls: the proxy proxy.test:{port}: {reason}"), "{url} {tls:?}");
            assert!(heads.lock().unwrap().is_empty(), "the proxy got the password: {heads:?}");
        }
        let system = Authority::named("system");
        let proxy = https_proxy(system.config("proxy.test", |_| {}), site);
        let trust = trusting(vec![system.certificate.clone()]);
        let told = failure(&check_by(&trust, "https://site.test/", with_tls(tls, proxy)));
        assert_eq!(told, "up", "they hold for the site behind a proxy that the system trusts");
    }
}

#[test]
fn a_site_s_client_certificate_is_not_shown_to_its_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let system = Authority::named("system");
    let (certificate, key) = system.client_files(folder.path());
    let tls =
        TlsOptions { identity: Some(Arc::new(Identity::read(&certificate, &key).unwrap())), ..TlsOptions::default() };
    let trust = trusting(vec![system.certificate.clone()]);
    let site = answering_tls(asking_for_certificates(&system, "site.test", true), ok("Content-Length: 2\r\n", "hi"));
    let (proxy, heads) = recording_https_proxy(asking_for_certificates(&system, "proxy.test", false), site);
    let told = failure(&check_by(&trust, "https://site.test/", with_tls(tls.clone(), proxy)));
    assert_eq!(told, "up", "the site wants the certificate, and gets it");
    let plain_site = answering(ok("Content-Length: 2\r\n", "hi"));
    let (plain_proxy, plain_heads) =
        recording_https_proxy(asking_for_certificates(&system, "proxy.test", false), plain_site);
    check_by(&trust, "http://site.test/", with_tls(tls, plain_proxy));
    for heads in [heads, plain_heads] {
        let heads = heads.lock().unwrap().concat();
        assert!(heads.starts_with("certificates: 0\r\n"), "{heads}");
        assert!(heads.to_lowercase().contains("proxy-authorization: basic"), "{heads}");
    }
}

/// A server that asks for the client's certificate, which it must have where it `is_needed`.
fn asking_for_certificates(authority: &Authority, name: &str, is_needed: bool) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let verifier = if is_needed { verifier } else { verifier.allow_unauthenticated() };
    let (certificates, key) = authority.certified(name);
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_client_cert_verifier(verifier.build().unwrap());
    Arc::new(builder.with_single_cert(certificates, key).unwrap())
}

#[test]
fn a_site_is_reached_through_socks_with_its_name_resolved_here_or_there() {
    let site = answering(ok("", "hello"));
    for (scheme, host, asked) in [("socks5", "site.test", "127.0.0.1"), ("socks5h", "site.invalid", "site.invalid")] {
        let (proxy, hosts) = socks_proxy(site, 0, Some("user:s3cret"));
        let check = check(&format!("http://{host}"), behind(format!("{scheme}://user:s3cret@{proxy}"), &[]));
        assert_eq!(failure(&check), "up", "{scheme}");
        assert_eq!(hosts.lock().unwrap().concat(), asked);
    }
    let authority = Authority::named("system");
    let (proxy, _) = socks_proxy(authority.server(|_| {}), 0, None);
    let trust = trusting(vec![authority.certificate.clone()]);
    let check = check_by(&trust, "https://site.test", behind(format!("socks5h://{proxy}"), &[]));
    assert_eq!(failure(&check), "up");
    assert!(check.timings_us.tls.is_some(), "{check:?}");
}

#[test]
fn hosts_that_are_excepted_are_requested_directly() {
    let site = answering(ok("", "hello"));
    let dead = closed();
    for rule in ["site.test", ".test", "*"] {
        let check = check(&format!("http://site.test:{}", site.port()), behind(format!("http://{dead}"), &[rule]));
        assert_eq!(failure(&check), "up", "{rule}");
    }
    let by_network = check(&format!("http://{site}"), behind(format!("http://{dead}"), &["other.test", "127.0.0.0/8"]));
    assert_eq!(failure(&by_network), "up");
    let told = failure(&check(&format!("http://{dead}"), behind(format!("http://{site}"), &["127.0.0.0/8"])));
    assert_eq!(told, format!("connect_refused: connection refused by {dead}"), "not the proxy's fault");
}

fn told(url: &str, proxy: impl AsRef<str>) -> String {
    let check: Check = check(url, behind(proxy, &[]));
    assert!(!format!("{check:?}").contains("s3cret"), "{check:?}");
    failure(&check)
}

#[test]
fn a_proxy_that_fails_is_named() {
    let dead = closed();
    for url in ["http://site.test/", "https://auth.socks.test/"] {
        for scheme in ["http", "https", "socks5", "socks5h"] {
            let told = told(url, format!("{scheme}://user:s3cret@{dead}"));
            assert_eq!(told, format!("connect_refused: connection refused by the proxy {dead}"), "{scheme} {url}");
        }
    }
    assert_eq!(told("http://site.test/", "http://nowhere.test:3128"), "dns: no such name: nowhere.test");
    let refusing = answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let closing = answering("");
    let garbling = answering("SSH-2.0\r\n\r\n");
    for (proxy, expected) in [
        (refusing, "the proxy ADDRESS refused to connect to site.test:443"),
        (garbling, "the proxy ADDRESS refused to connect to site.test:443"),
        (closing, "the proxy ADDRESS closed the connection when asked for site.test:443"),
    ] {
        let expected = format!("connect_refused: {}", expected.replace("ADDRESS", &proxy.to_string()));
        assert_eq!(told("https://site.test/", format!("http://{proxy}")), expected);
    }
}

#[test]
fn a_proxy_that_wants_credentials_says_so() {
    let proxy = answering("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n");
    for url in ["http://site.test/", "https://site.test/"] {
        assert_eq!(
            told(url, format!("http://{proxy}")),
            format!("connect_refused: the proxy {proxy} wants credentials (status 407)")
        );
        assert_eq!(
            told(url, format!("http://user:s3cret@{proxy}")),
            format!("connect_refused: the proxy {proxy} refuses the credentials (status 407)")
        );
    }
    let (proxy, _) = socks_proxy(closed(), 0, Some("user:other"));
    for (credentials, what) in [("", "wants credentials"), ("user:s3cret@", "refuses the credentials")] {
        let told = told("http://site.test/", format!("socks5h://{credentials}{proxy}"));
        assert_eq!(told, format!("connect_refused: the proxy {proxy} {what}"));
    }
}

#[test]
fn what_a_socks_proxy_says_of_a_site_is_told() {
    for (status, what) in [
        (2, "does not allow connections to"),
        (3, "says: no network to"),
        (4, "says: no route to"),
        (5, "says: connection refused by"),
        (6, "says: no answer from"),
        (1, "could not connect to"),
        (7, "could not connect to"),
    ] {
        let (proxy, _) = socks_proxy(closed(), status, None);
        let told = told("http://site.test:81/", format!("socks5h://{proxy}"));
        assert_eq!(told, format!("connect_refused: the proxy {proxy} {what} site.test:81"));
    }
    let http = serving(|mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        wait_for_end(&mut stream)
    });
    let told = told("http://site.test/", format!("socks5h://{http}"));
    assert_eq!(told, format!("connect_refused: the proxy {http} does not speak SOCKS 5"));
}

#[test]
fn a_proxy_that_says_nothing_is_named_by_the_timeout() {
    let hasty = |proxy: SocketAddr, scheme: &str| SiteSettings {
        timeout: Duration::from_secs(1),
        ..behind(format!("{scheme}://{proxy}"), &[])
    };
    let silent = stalling("");
    let mute = serving(|mut stream| wait_for_end(&mut stream));
    let full = black_hole();
    for (url, settings, proxy) in [
        ("https://site.test/", hasty(silent, "http"), silent),
        ("http://site.test:443/", hasty(mute, "socks5h"), mute),
        ("http://site.test:443/", hasty(full, "http"), full),
        ("https://site.test/", hasty(mute, "https"), mute),
    ] {
        assert_eq!(
            failure(&check(url, settings)),
            format!("connect_timeout: no connection to site.test:443 through the proxy {proxy} within 1 s")
        );
    }
}

#[test]
fn an_answer_of_407_without_a_proxy_is_a_status_like_any_other() {
    let site = answering("HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(failure(&check(&format!("http://{site}"), patient())), "status: status 407, expected 200-299");
}

/// Runs in a process of its own, whose environment names a proxy: that of a process cannot be changed safely.
#[test]
#[ignore = "only by the test below"]
fn behind_the_proxy_of_the_environment() {
    let told = failure(&check(&std::env::var("CHECKED_URL").unwrap(), behind("environment", &[])));
    assert_eq!(told, std::env::var("EXPECTED").unwrap());
}

#[test]
fn the_proxy_of_the_environment_serves_where_it_is_asked_for() {
    let site = answering(ok("", "hello"));
    let (proxy, heads) = http_proxy(site);
    let dead = closed();
    let refused = format!("connect_refused: connection refused by the proxy {dead}");
    for (url, environment, expected) in [
        ("http://site.invalid/".to_owned(), vec![("HTTP_PROXY", format!("http://{proxy}"))], "up".to_owned()),
        ("http://site.invalid/".to_owned(), vec![("ALL_PROXY", format!("socks5h://{dead}"))], refused.clone()),
        ("https://site.invalid/".to_owned(), vec![("HTTPS_PROXY", format!("http://{dead}"))], refused),
        (
            format!("http://{site}/"),
            vec![("HTTP_PROXY", format!("http://{dead}")), ("NO_PROXY", "127.0.0.0/8".to_owned())],
            "up".to_owned(),
        ),
    ] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            child.env_remove(name).env_remove(name.to_lowercase());
        }
        child.args(["--exact", "--ignored", "proxies::behind_the_proxy_of_the_environment"]);
        let output = child.envs(environment).env("CHECKED_URL", &url).env("EXPECTED", expected).output().unwrap();
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(heads.lock().unwrap().len(), 1);
    let direct = check(&format!("http://{site}/"), patient());
    assert_eq!(failure(&direct), "up", "whatever the environment says, where no proxy is asked for");
}
