//! Answers that are odd, and well all the same: what every browser takes.

use isitup_producer::checker::{HttpVersion, TlsOptions, Transport};
use isitup_producer::site::{Request, SiteSettings};
use reqwest::Method;

use crate::certificates::Authority;
use crate::server::{answering, answering_tls, check, check_by, failure, ok, patient, trusting};

#[test]
fn a_compressed_answer_without_a_body_is_well() {
    for (method, answer) in [
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n"),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (Method::GET, "HTTP/1.1 204 None\r\nContent-Encoding: zstd\r\n\r\n"),
        (Method::GET, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
        (Method::GET, "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (Method::GET, "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n"),
    ] {
        let address = answering(answer);
        let request = Request { method: method.clone(), ..Request::default() };
        let check = check(&format!("http://{address}"), SiteSettings { request, ..patient() });
        assert_eq!(failure(&check), "up", "{method} {answer}");
    }
}

#[test]
fn a_body_that_ends_with_the_connection_needs_no_farewell_of_tls() {
    let authority = Authority::named("system");
    let trust = trusting(vec![authority.certificate.clone()]);
    let transport = || std::sync::Arc::new(Transport::new(HttpVersion::Http1, TlsOptions::default(), None));
    for (answer, expected) in [
        (ok("", "hello"), "up"),
        (ok("Connection: close\r\n", "hello"), "up"),
        (ok("Content-Length: 9\r\n", "hello"), "protocol: connection closed within the body"),
        (ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"), "protocol: connection closed within the body"),
    ] {
        let address = answering_tls(authority.config("site.test", |_| {}), answer);
        let settings = SiteSettings { transport: transport(), ..patient() };
        let check = check_by(&trust, &format!("https://site.test:{}", address.port()), settings);
        assert_eq!(failure(&check), expected);
    }
}

#[test]
fn interim_answers_and_an_old_version_are_taken() {
    for answer in [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.0 200 OK\r\n\r\nhi",
        "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    ] {
        let check = check(&format!("http://{}", answering(answer)), patient());
        assert_eq!((failure(&check).as_str(), check.body_bytes), ("up", Some(2)), "{answer:?}");
    }
}
