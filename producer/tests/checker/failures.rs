//! Each way to fail, and how it is told.

use std::net::SocketAddr;

use isitup_producer::site::{Expect, Pattern, SiteSettings};
use isitup_producer::target::Target;

use crate::server::{answering, check, closed, failure, ok, patient, read_head, serving};

const ZEROS: &[u8] = include_bytes!("zeros-4MiB.gz");

/// Resets the connection when a request is there, after `begin` was written.
fn resetting(begin: &'static str) -> SocketAddr {
    use std::io::{Read, Write};
    serving(move |mut stream| {
        // Bytes that were not read make the system reset the connection where it would close it.
        stream.read_exact(&mut [0])?;
        stream.write_all(begin.as_bytes())
    })
}

#[test]
fn each_way_to_fail_has_its_kind_and_one_line_for_people() {
    let gzip = |body: &[u8]| answering(ok("Content-Encoding: gzip\r\n", body));
    let huge_head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(2_000_000));
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: x\r\n".repeat(1_000));
    let cases = [
        (closed(), "connect_refused: connection refused by ADDRESS"),
        (answering("HTTP/1.1 503 Away\r\n\r\nx"), "status: status 503, expected 200-299"),
        (answering("HTTP/1.1 304 Same\r\n\r\n"), "status: status 304, expected 200-299"),
        (answering("HTTP/1.1 301 Moved\r\n\r\n"), "redirect: status 301 without a Location"),
        (answering(""), "protocol: connection closed before an answer"),
        (answering("HTTP/1.1 200 OK\r\nX: "), "protocol: connection closed before an answer"),
        (answering("SSH-2.0-OpenSSH_9.6\r\n\r\n"), "protocol: the answer is not HTTP"),
        (answering("HTTP/1.1 abc\r\n\r\n"), "protocol: the answer has no valid status"),
        (answering("HTTP/1.1 200 OK\r\nno header\r\n\r\n"), "protocol: the answer has a malformed header"),
        (
            answering("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
            "protocol: the answer has no valid Content-Length",
        ),
        (answering(huge_head), "protocol: the head of the answer is too large"),
        (answering(many_headers), "protocol: the head of the answer is too large"),
        (
            answering("HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
            "protocol: the server switched to another protocol (status 101)",
        ),
        (answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), "protocol: connection closed within the body"),
        (
            answering(ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n")),
            "protocol: connection closed within the body",
        ),
        (
            answering(ok("Transfer-Encoding: chunked\r\n", "zz\r\nhello\r\n")),
            "protocol: a chunk of the body is malformed",
        ),
        (resetting(""), "protocol: connection reset before an answer"),
        (resetting("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"), "protocol: connection reset within the body"),
        (gzip(b"this is no gzip at all"), "protocol: the body's compression is broken"),
        (gzip(&ZEROS[..ZEROS.len() / 2]), "body_too_large: the body is larger than 1 MiB"),
        (gzip(ZEROS), "body_too_large: the body is larger than 1 MiB"),
        (answering(ok("", vec![b'x'; (1 << 20) + 1])), "body_too_large: the body is larger than 1 MiB"),
    ];
    for (address, expected) in cases {
        let told = failure(&check(&format!("http://{address}"), patient()));
        assert_eq!(told, expected.replace("ADDRESS", &address.to_string()));
    }
}

#[test]
fn a_server_that_speaks_before_it_is_asked_is_no_http_server() {
    let address = serving(|mut stream| {
        std::io::Write::write_all(&mut stream, b"220 mail.example ESMTP\r\n")?;
        read_head(&mut stream).map(drop)
    });
    let told = failure(&check(&format!("http://{address}"), patient()));
    assert!(told.starts_with("protocol: "), "{told}");
}

#[test]
fn names_fail_in_their_own_ways() {
    for (name, expected) in [
        ("nowhere.test", "dns: no such name: nowhere.test"),
        ("servfail.test", "dns: the name servers failed to give an address for servfail.test"),
        ("empty.test", "dns: empty.test has no address"),
    ] {
        let check = check(&format!("http://{name}"), patient());
        assert_eq!(failure(&check), expected);
        assert!(check.timings_us.dns.is_some() && check.timings_us.connect.is_none(), "{:?}", check.timings_us);
    }
    let closed = closed();
    let told = failure(&check(&format!("http://site.test:{}", closed.port()), patient()));
    assert_eq!(told, format!("connect_refused: connection refused by site.test:{} (127.0.0.1)", closed.port()));
}

#[test]
fn a_url_that_cannot_be_requested_is_invalid() {
    let long = Target::parse(&format!("http://site.test/{}", "x".repeat(70_000))).unwrap_err();
    assert_eq!(
        long.to_string(),
        "a text of 70017 characters: has more than 2048 bytes",
        "no such site is ever checked"
    );
    let told = failure(&check("https://-x-.test", patient()));
    assert_eq!(told, "invalid_url: -x-.test is no host that can be connected to");
}

#[test]
fn when_several_things_are_wrong_the_first_of_status_body_and_time_is_told() {
    let expect = |body: &str, status_is_well: bool| {
        let status = if status_is_well { Expect::default().status } else { only_404() };
        let max_response_time = Some(std::time::Duration::from_nanos(1));
        let body = Some(Pattern::new(body).unwrap());
        SiteSettings { expect: Expect { status, body, max_response_time, ..Expect::default() }, ..patient() }
    };
    let url = format!("http://{}", answering(ok("Content-Length: 5\r\n", "hello")));
    assert_eq!(failure(&check(&url, expect("bye", false))), "status: status 200, expected 404");
    assert_eq!(failure(&check(&url, expect("bye", true))), r#"body_mismatch: body without a match for "bye""#);
    let slow = failure(&check(&url, expect("hello", true)));
    assert!(slow.starts_with("response_too_slow: took ") && slow.contains(", expected at most "), "{slow}");
}

#[test]
fn an_unexpected_status_says_more_than_what_became_of_its_page() {
    let check = check(&format!("http://{}", answering("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nx")), patient());
    assert_eq!(failure(&check), "status: status 500, expected 200-299");
}

fn only_404() -> isitup_producer::site::StatusSet {
    use isitup_shared::config::Scalar;
    isitup_producer::site::StatusSet::new(vec![isitup_producer::site::StatusRange::parse("404").unwrap()]).unwrap()
}
