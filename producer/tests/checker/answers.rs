//! Answers that are well, and what is told of them.

use isitup_producer::site::{Expect, Pattern, SiteSettings};

use crate::server::{answering, check, failure, ok, patient};

const ZEROS: &[u8] = include_bytes!("zeros-4MiB.gz");

fn expecting(pattern: &str) -> SiteSettings {
    let body = Some(Pattern::new(pattern).unwrap());
    SiteSettings { expect: Expect { body, ..Expect::default() }, ..patient() }
}

#[test]
fn a_well_answer_is_up_with_all_that_is_known_of_it() {
    let address = answering(ok("Content-Length: 5\r\n", "hello"));
    let check = check(&format!("http://user:pass@{address}/?q=1"), expecting("^hell"));
    assert_eq!(failure(&check), "up");
    assert_eq!((check.site.as_str(), check.url.as_str()), (check.url.as_str(), &*format!("http://{address}/?q=1")));
    assert_eq!((check.status, check.body_bytes, check.body_matched), (Some(200), Some(5), Some(true)));
    assert_eq!(
        (check.http_version.as_deref(), check.remote_addr),
        (Some("HTTP/1.1"), Some(address.to_string().into()))
    );
    assert_eq!((check.redirects, check.final_url, check.certificate_expires_at), (0, None, None));
    let timings = check.timings_us;
    assert_eq!((timings.dns, timings.tls), (None, None), "an address needs no resolver, and http no TLS");
    let sum = timings.connect.unwrap() + timings.first_byte.unwrap() + timings.body.unwrap();
    assert!((1..=timings.total).contains(&sum), "{timings:?}");
    assert!(check.started_at <= check.finished_at);
}

#[test]
fn a_name_is_resolved_and_its_time_told() {
    let address = answering(ok("", "hello"));
    let check = check(&format!("http://site.test:{}", address.port()), patient());
    assert_eq!((failure(&check).as_str(), check.remote_addr), ("up", Some(address.to_string().into())));
    assert!(check.timings_us.dns.is_some());
}

#[test]
fn a_pattern_is_searched_in_the_text_decoded_by_its_charset() {
    for (content_type, body, is_up) in [
        ("text/html; charset=iso-8859-1", &b"gr\xfc\xdfe"[..], true),
        ("text/html; charset=utf-8", "grüße".as_bytes(), true),
        ("text/html", "grüße".as_bytes(), true),
        ("text/html; charset=klingon", "grüße".as_bytes(), true),
        ("text/html; charset=utf-16le", b"g\0r\0\xfc\0\xdf\0e\0", true),
        ("text/html", b"gr\xfc\xdfe", false),
    ] {
        let address = answering(ok(&format!("Content-Type: {content_type}\r\n"), body));
        let check = check(&format!("http://{address}"), expecting("grüße"));
        assert_eq!(check.body_matched, Some(is_up), "{content_type} {body:?}");
    }
}

#[test]
fn a_pattern_is_found_across_chunks() {
    let chunked = "3\r\nSig\r\n5\r\nn in \r\n0\r\n\r\n";
    let address = answering(ok("Transfer-Encoding: chunked\r\n", chunked));
    assert_eq!(failure(&check(&format!("http://{address}"), expecting("Sign in"))), "up");
}

#[test]
fn the_size_of_a_body_is_counted_after_decompression_and_its_limit_is_allowed() {
    let address = answering(ok("Content-Encoding: gzip\r\n", ZEROS));
    let check = check(&format!("http://{address}"), SiteSettings { max_body_size: 4 << 20, ..patient() });
    assert_eq!((failure(&check).as_str(), check.body_bytes), ("up", Some(4 << 20)));
}
