//! Every way to fail, and the ways not to, from a real server on loopback to the row in the database.

use std::path::Path;
use std::time::Duration;

use crate::harness::{Pipeline, site};

/// A site: its name, its URL, its settings, and what its row must say: outcome or kind of failure, status, redirects.
type Case = (&'static str, String, &'static str, &'static str, Option<i32>, i32);

fn down() -> Vec<Case> {
    let url = |site: site::Site| site.url().to_owned();
    let status = |status: &str| url(site::answering(format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n")));
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n";
    vec![
        ("a host that is none", "https://a..b/".into(), "group: g", "invalid_url", None, 0),
        ("a name that no server knows", "http://a..b/".into(), "group: g", "dns", None, 0),
        ("nothing listens", site::CLOSED.into(), "group: g", "connect_refused", None, 0),
        ("nobody answers", site::unconnectable(), "timeout: 500ms", "connect_timeout", None, 0),
        ("self-signed", url(site::self_signed()), "group: g", "tls", None, 0),
        (
            "plain HTTP for HTTPS",
            url(site::speaking_first("HTTP/1.1 400 x\r\n\r\n")).replace("http:", "https:"),
            "group: g",
            "tls",
            None,
            0,
        ),
        ("silent", url(site::silent()), "timeout: 500ms", "timeout", None, 0),
        ("a redirect to nowhere", status("302"), "group: g", "redirect", Some(302), 0),
        (
            "a loop",
            url(site::answering("HTTP/1.1 301 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")),
            "group: g",
            "redirect",
            Some(301),
            0,
        ),
        ("no HTTP", url(site::speaking_first("SSH-2.0-OpenSSH_9.2\r\n")), "group: g", "protocol", None, 0),
        ("half a body", url(site::answering(format!("{head}\r\nhalf"))), "group: g", "protocol", Some(200), 0),
        (
            "no gzip",
            url(site::answering(format!("{head}Content-Encoding: gzip\r\n\r\n0123456789"))),
            "group: g",
            "protocol",
            Some(200),
            0,
        ),
        ("another protocol", status("101"), "group: g", "protocol", Some(101), 0),
        ("too large", url(site::well(&"x".repeat(2000))), "max_body_size: 1KiB", "body_too_large", Some(200), 0),
        ("an error", status("503"), "group: g", "status", Some(503), 0),
        ("not modified", status("304"), "group: g", "status", Some(304), 0),
        ("an unexpected page", url(site::well("sold out")), "expect: {body: welcome}", "body_mismatch", Some(200), 0),
        (
            "too late",
            url(site::slow(Duration::from_millis(300))),
            "expect: {max_response_time: 100ms}",
            "response_too_slow",
            Some(200),
            0,
        ),
    ]
}

fn up(ca_file: &Path) -> Vec<Case> {
    let url = |site: site::Site| site.url().to_owned();
    let goal = url(site::well("you have arrived"));
    let redirect = site::answering(format!("HTTP/1.1 307 x\r\nLocation: {goal}\r\nContent-Length: 0\r\n\r\n"));
    let latin = site::ok("Content-Type: text/plain; charset=iso-8859-1\r\n", b"caf\xe9");
    let signed = url(site::signed(ca_file));
    let expiring = "tls: {ca_file: ca.pem}, expect: {certificate_valid_for: 36500d}";
    vec![
        ("expiring", signed.clone(), expiring, "certificate_expiring", Some(200), 0),
        ("trusted", signed, "tls: {ca_file: ca.pem}, expect: {certificate_valid_for: 365d}", "up", Some(200), 0),
        ("redirected", url(redirect), "expect: {body: arrived}", "up", Some(200), 1),
        ("a match", goal, "expect: {body: '(?i)^YOU have'}", "up", Some(200), 0),
        ("another charset", url(site::answering(latin)), "expect: {body: '^café$'}", "up", Some(200), 0),
        (
            "expected to be gone",
            url(site::answering("HTTP/1.1 410 x\r\n\r\n")),
            "expect: {status: [410]}",
            "up",
            Some(410),
            0,
        ),
    ]
}

#[test]
fn each_way_to_fail_ends_as_its_own_row_and_so_does_being_up() {
    let mut pipeline = Pipeline::new("kinds").every(Duration::from_secs(1));
    let mut cases = down();
    cases.extend(up(&pipeline.folder().join("ca.pem")));
    for (name, url, settings, ..) in &cases {
        pipeline = pipeline.site_with(name, url, settings);
    }
    let (producer, _consumer) = (pipeline.producer(), pipeline.consumer());
    pipeline.wait_for_each_site();
    pipeline.prove(producer);

    let mut database = pipeline.database();
    for (name, url, settings, wanted, status, redirects) in cases {
        let said = "SELECT DISTINCT format('%s, status %s, %s redirects, %s', coalesce(failure_kind, outcome), status, redirects, url)
                    FROM check_result WHERE site = $1";
        let status = status.map_or_else(String::new, |status| status.to_string());
        let wanted = format!("{wanted}, status {status}, {redirects} redirects, {url}");
        assert_eq!(database.column::<String>(said, &[&name]), [wanted], "{name} ({settings})");
    }
    let kinds: i64 = database.value("SELECT count(DISTINCT failure_kind) FROM check_result");
    assert_eq!(kinds, 13, "all kinds of failure have met a server");
    assert_eq!(database.count("check_result WHERE (outcome = 'up') <> (failure_detail IS NULL)"), 0);
    assert_eq!(database.count("check_result WHERE failure_detail = ''"), 0, "each failure says what it was");
}
