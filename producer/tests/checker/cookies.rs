//! Cookies that a site gives along with a redirect are shown where it leads, within one check and never beyond.

use std::io::Write;
use std::net::SocketAddr;

use isitup_producer::checker::Checker;
use isitup_producer::site::{Request, Site, SiteSettings};
use isitup_producer::target::Target;
use isitup_shared::time::UtcTime;
use reqwest::header::{COOKIE, HeaderMap, HeaderValue};

use crate::server::{check, failure, patient, read_head, redirect, remembering, serving, trusting};

/// Sends whoever has no cookie back to where he was, with one.
fn wanting_a_cookie() -> SocketAddr {
    serving(|mut stream| {
        let head = read_head(&mut stream)?.to_lowercase();
        let answer = if head.contains("seen=yes") {
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_owned()
        } else {
            "HTTP/1.1 302 Again\r\nSet-Cookie: seen=yes; Path=/\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".to_owned()
        };
        stream.write_all(answer.as_bytes())
    })
}

#[test]
fn a_site_that_wants_to_see_its_cookie_is_up_each_time_anew() {
    let site = Site::new(Target::parse(&format!("http://{}/", wanting_a_cookie())).unwrap(), None, patient().into());
    let mut checker = Checker::new(&trusting(Vec::new()));
    for _ in 0..2 {
        let check = checker.check(&site, UtcTime::now());
        assert_eq!((failure(&check).as_str(), check.redirects), ("up", 1), "nothing is kept from check to check");
    }
}

#[test]
fn cookies_go_beside_those_that_are_configured_and_only_where_they_belong() {
    let (foreign, foreign_heads) = remembering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let away = redirect(302, format!("http://other.test:{}/", foreign.port()));
    let own = serving(move |mut stream| {
        let head = read_head(&mut stream)?;
        let answer = if head.starts_with("GET / ") {
            "HTTP/1.1 302 On\r\nSet-Cookie: given=s3cret\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n".to_owned()
        } else if head.to_lowercase().contains("cookie: own=1; given=s3cret\r\n") {
            away.clone()
        } else {
            "HTTP/1.1 400 Not seen\r\n\r\n".to_owned()
        };
        stream.write_all(answer.as_bytes())
    });
    let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("own=1"))]);
    let settings = SiteSettings { request: Request { headers, ..Request::default() }, ..patient() };
    let check = check(&format!("http://site.test:{}/", own.port()), settings);
    assert_eq!((failure(&check).as_str(), check.redirects), ("up", 2));
    assert!(!foreign_heads.lock().unwrap().concat().to_lowercase().contains("cookie"));
    assert!(!format!("{check:?}").contains("s3cret"), "{check:?}");
}

#[test]
fn cookies_that_pile_up_are_not_carried_and_their_loop_ends() {
    let address = serving(|mut stream| {
        let seen = read_head(&mut stream)?.len();
        let cookies: String = (0..20).map(|i| format!("Set-Cookie: c{seen}-{i}={}\r\n", "x".repeat(4000))).collect();
        let answer = format!("HTTP/1.1 302 Again\r\n{cookies}Location: /\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes())
    });
    let told = failure(&check(&format!("http://{address}/"), patient()));
    assert_eq!(told, format!("redirect: http://{address}/ redirects to itself"));
}
