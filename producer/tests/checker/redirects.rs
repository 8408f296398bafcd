//! Redirects are followed by hand: which, how far, and with what.

use isitup_producer::site::{Expect, Request, SiteSettings, StatusRange, StatusSet};
use isitup_shared::config::Scalar;
use reqwest::header::{HeaderMap, HeaderValue};

use crate::server::{answering, check, failure, ok, patient, redirect, remembering};

const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn a_redirect_is_followed_and_told() {
    for status in [301, 302, 303, 307, 308] {
        let end = answering(WELL);
        let begin = answering(redirect(status, format!("http://u:p@{end}/end#top")));
        let check = check(&format!("http://{begin}/begin"), patient());
        assert_eq!(failure(&check), "up", "{status}");
        assert_eq!((check.status, check.redirects), (Some(200), 1));
        assert_eq!(check.final_url.as_deref(), Some(&*format!("http://{end}/end")));
        assert_eq!(check.url, format!("http://{begin}/begin"));
        assert_eq!(check.remote_addr, Some(end.to_string().into()));
    }
}

#[test]
fn a_redirect_that_is_expected_is_not_followed() {
    let status = StatusSet::new(vec![StatusRange::parse("302").unwrap()]).unwrap();
    let settings = SiteSettings { expect: Expect { status, ..Expect::default() }, ..patient() };
    let check = check(&format!("http://{}", answering(redirect(302, "/elsewhere"))), settings);
    assert_eq!((failure(&check).as_str(), check.status, check.redirects, check.final_url), ("up", Some(302), 0, None));
}

#[test]
fn a_loop_is_told_as_soon_as_it_closes() {
    let address = answering(redirect(302, "/again"));
    let check = check(&format!("http://{address}/begin"), patient());
    assert_eq!(failure(&check), format!("redirect: http://{address}/again redirects to itself"));
    assert_eq!((check.status, check.redirects, check.hops.len()), (Some(302), 1, 2));
}

#[test]
fn redirects_that_never_end_are_ended_after_ten() {
    // Each leads on to a longer path.
    let (address, heads) = remembering("HTTP/1.1 302 Found\r\nLocation: x/\r\nContent-Length: 0\r\n\r\n");
    let check = check(&format!("http://user:pass@{address}/"), patient());
    assert_eq!(
        failure(&check),
        format!("redirect: more than 10 redirects, now to http://{address}/{}", "x/".repeat(11))
    );
    assert_eq!((check.status, check.redirects, check.hops.len()), (Some(302), 10, 11));
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 11);
    assert!(heads.iter().all(|head| head.contains("authorization: Basic")), "credentials stay at home: {heads:?}");
}

#[test]
fn a_redirect_that_leads_nowhere_says_why() {
    for (location, expected) in [
        ("http://", r#"redirect: status 302 with a Location that is no URL: "http://""#),
        ("ftp://files.test/x", "redirect: redirected to ftp://files.test/x: only http and https are followed"),
        ("http://nowhere.test/", "dns: no such name: nowhere.test"),
    ] {
        assert_eq!(failure(&check(&format!("http://{}", answering(redirect(302, location))), patient())), expected);
    }
}

#[test]
fn headers_and_credentials_go_to_their_own_origin_and_to_no_other() {
    let (foreign, foreign_heads) = remembering(WELL);
    let there = format!("HTTP/1.1 302 Found\r\nLocation: http://{foreign}/\r\nContent-Length: 0\r\n\r\n");
    let (own, own_heads) = remembering(there.leak());
    let headers = HeaderMap::from_iter([(reqwest::header::COOKIE, HeaderValue::from_static("session=s3cret"))]);
    let check = check(
        &format!("http://user:s3cret@{own}/"),
        SiteSettings { request: Request { headers, ..Request::default() }, ..patient() },
    );
    assert_eq!(failure(&check), "up");
    let own_head = own_heads.lock().unwrap().concat().to_lowercase();
    assert!(own_head.contains("authorization: basic dxnlcjpzm2nyzxq=\r\n"), "{own_head}");
    assert!(own_head.contains("cookie: session=s3cret\r\n") && own_head.contains("user-agent: isitup/"), "{own_head}");
    let foreign_head = foreign_heads.lock().unwrap().concat().to_lowercase();
    assert!(foreign_head.contains("user-agent: isitup/"), "{foreign_head}");
    assert!(!foreign_head.contains("authorization") && !foreign_head.contains("cookie"), "{foreign_head}");
    assert!(!format!("{check:?}").contains("s3cret"), "{check:?}");
}

#[test]
fn the_body_that_counts_is_that_of_the_last_answer() {
    let end = answering(ok("Content-Length: 5\r\n", "hello"));
    let begin = answering(format!("HTTP/1.1 302 Found\r\nLocation: http://{end}/\r\nContent-Length: 7\r\n\r\nignored"));
    assert_eq!(check(&format!("http://{begin}"), patient()).body_bytes, Some(5));
}
