//! What is expected of an answer: each thing, and several at once.

use std::time::Duration;

use isitup_producer::checker::{Checker, Examination, Verdict};
use isitup_producer::site::{Expect, JsonExpectation, Pattern, Site, SiteSettings, StatusRange, StatusSet};
use isitup_producer::target::Target;
use isitup_shared::config::Scalar;
use isitup_shared::event::Check;
use reqwest::header::HeaderName;

use crate::server::{answering, check, failure, ok, patient, stalling, trusting};

fn pattern(text: &str) -> Option<Pattern> {
    Some(Pattern::new(text).unwrap())
}

fn status(text: &str) -> StatusSet {
    StatusSet::new(vec![StatusRange::parse(text).unwrap()]).unwrap()
}

fn header(name: &'static str, value: &str) -> (HeaderName, Pattern) {
    (HeaderName::from_static(name), Pattern::new(value).unwrap())
}

fn json(pointer: &str, value: &str) -> JsonExpectation {
    JsonExpectation::new(pointer.into(), value.into()).unwrap()
}

fn expecting(expect: Expect) -> SiteSettings {
    SiteSettings { expect, ..patient() }
}

/// All that was wrong, in order.
fn failures(check: &Check) -> Vec<String> {
    let all = check.outcome.failure().into_iter().chain(&check.further_failures);
    all.map(|failure| format!("{}: {}", failure.kind, failure.detail)).collect()
}

fn examine(url: &str, expect: Expect) -> Examination {
    let site = Site::new(Target::parse(url).unwrap(), None, expecting(expect).into());
    Checker::new(&trusting(Vec::new())).examine(&site)
}

#[test]
fn a_class_of_statuses_may_be_expected() {
    for (expected, is_up) in [("4xx", true), ("404", true), ("400-403", false), ("2xx", false)] {
        let address = answering("HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n");
        let told = failure(&check(
            &format!("http://{address}"),
            expecting(Expect { status: status(expected), ..Expect::default() }),
        ));
        assert_eq!(told == "up", is_up, "{expected}: {told}");
    }
}

#[test]
fn what_must_not_be_in_a_body_is_a_failure_when_it_is() {
    for (body, body_not, expected, matched) in [
        (None, pattern("(?i)error"), "up", Some(true)),
        (None, pattern("world"), r#"body_mismatch: body with a match for "world""#, Some(false)),
        (pattern("hello"), pattern("world"), r#"body_mismatch: body with a match for "world""#, Some(false)),
        (pattern("hello"), pattern("bye"), "up", Some(true)),
        (pattern("bye"), pattern("error"), r#"body_mismatch: body without a match for "bye""#, Some(false)),
        (None, None, "up", None),
    ] {
        let address = answering(ok("Content-Length: 11\r\n", "hello world"));
        let check = check(&format!("http://{address}"), expecting(Expect { body, body_not, ..Expect::default() }));
        assert_eq!((failure(&check).as_str(), check.body_matched), (expected, matched));
    }
}

#[test]
fn headers_must_be_there_and_match() {
    for (expected, told) in [
        (header("x-cache", ""), "up"),
        (header("x-cache", "^HIT$"), "up"),
        (header("set-cookie", "^b="), "up"),
        (header("x-none", ""), "body_mismatch: no header x-none"),
        (header("x-cache", "MISS"), r#"body_mismatch: header x-cache is "HIT", without a match for "MISS""#),
    ] {
        let address = answering(ok("X-Cache: HIT\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n", ""));
        let expect = Expect { headers: vec![expected], ..Expect::default() };
        assert_eq!(failure(&check(&format!("http://{address}"), expecting(expect))), told);
    }
}

#[test]
fn a_long_header_is_not_told_in_full() {
    let address = answering(ok(&format!("X-Long: {}\r\n", "x".repeat(4000)), ""));
    let expect = Expect { headers: vec![header("x-long", "y")], ..Expect::default() };
    let told = failure(&check(&format!("http://{address}"), expecting(expect)));
    assert!(told.starts_with(r#"body_mismatch: header x-long is "xxx"#) && told.len() < 300, "{told}");
}

#[test]
fn json_must_have_the_value_at_its_place() {
    const BODY: &str = r#"{"status": "ok", "count": 3, "up": true, "none": null, "list": [1, {"a/b": "deep"}]}"#;
    for (expected, told) in [
        (json("/status", "ok"), "up"),
        (json("/count", "3"), "up"),
        (json("/count", "3.0"), "up"),
        (json("/up", "true"), "up"),
        (json("/none", "null"), "up"),
        (json("/list/1/a~1b", "deep"), "up"),
        (json("/list", r#"[1,{"a/b":"deep"}]"#), "up"),
        (json("/status", "down"), r#"body_mismatch: "ok" at /status in the JSON body, expected "down""#),
        (json("/count", "4"), r#"body_mismatch: 3 at /count in the JSON body, expected "4""#),
        (json("/list", "1"), r#"body_mismatch: [1,{"a/b":"deep"}] at /list in the JSON body, expected "1""#),
        (json("/list/2", "1"), r#"body_mismatch: nothing at /list/2 in the JSON body, expected "1""#),
    ] {
        let address = answering(ok("Content-Type: application/json\r\n", BODY));
        let expect = Expect { json: vec![expected], ..Expect::default() };
        assert_eq!(failure(&check(&format!("http://{address}"), expecting(expect))), told);
    }
}

#[test]
fn a_body_that_is_no_json_has_no_value_anywhere() {
    for body in ["<html>", "", "{\"status\": \"ok\"", &"[".repeat(100_000)] {
        let address = answering(ok("", body));
        let expect = Expect { json: vec![json("/status", "ok")], ..Expect::default() };
        assert_eq!(
            failure(&check(&format!("http://{address}"), expecting(expect))),
            "body_mismatch: the body is not JSON"
        );
    }
}

#[test]
fn all_that_is_wrong_is_told_and_the_first_of_it_is_the_failure() {
    let expect = Expect {
        status: status("404"),
        body: pattern("bye"),
        body_not: pattern("hello"),
        headers: vec![header("x-none", "")],
        json: vec![json("/status", "ok")],
        max_response_time: Some(Duration::from_nanos(1)),
        ..Expect::default()
    };
    let check = check(&format!("http://{}", answering(ok("", "hello"))), expecting(expect));
    let all = failures(&check);
    assert_eq!(
        all[..5],
        [
            "status: status 200, expected 404",
            "body_mismatch: no header x-none",
            r#"body_mismatch: body without a match for "bye""#,
            r#"body_mismatch: body with a match for "hello""#,
            "body_mismatch: the body is not JSON",
        ]
    );
    assert!(all.len() == 6 && all[5].starts_with("response_too_slow: took "), "{all:?}");
}

#[test]
fn a_broken_body_stands_behind_an_unexpected_status_alone() {
    let expect = Expect { headers: vec![header("x-none", "")], ..Expect::default() };
    let broken = |status: &str| answering(format!("HTTP/1.1 {status} X\r\nContent-Length: 9\r\n\r\nx"));
    let unexpected = check(&format!("http://{}", broken("500")), expecting(expect.clone()));
    assert_eq!(
        failures(&unexpected),
        [
            "status: status 500, expected 200-299",
            "protocol: connection closed within the body",
            "body_mismatch: no header x-none"
        ]
    );
    let expected = check(&format!("http://{}", broken("200")), expecting(expect));
    assert_eq!(failures(&expected), ["protocol: connection closed within the body", "body_mismatch: no header x-none"]);
}

#[test]
fn an_examination_tells_of_each_expectation_whether_it_was_met() {
    let expect = Expect {
        body: pattern("hello"),
        headers: vec![header("x-none", "")],
        max_response_time: Some(Duration::from_secs(60)),
        ..Expect::default()
    };
    let examined = examine(&format!("http://{}", answering(ok("", "hello"))), expect.clone());
    assert_eq!(failure(&examined.check), "body_mismatch: no header x-none");
    let told = |verdict: &Verdict| {
        let how = match &verdict.failure {
            None if verdict.is_known => "met".to_owned(),
            None => "unknown".to_owned(),
            Some(failure) => failure.detail.to_string(),
        };
        format!("{}: {how}", verdict.expected)
    };
    let all: Vec<String> = examined.verdicts.iter().map(told).collect();
    assert_eq!(
        all,
        [
            "status 200-299: met",
            "header x-none: no header x-none",
            r#"body matches "hello": met"#,
            "took at most 60 s: met",
        ]
    );
    let refused = examine(&format!("http://{}", crate::server::closed()), expect);
    assert!(refused.verdicts.len() == 4 && refused.verdicts.iter().all(|verdict| !verdict.is_known), "{refused:?}");
}

#[test]
fn an_examination_that_ended_within_the_body_still_knows_the_status() {
    let address = stalling("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
    let settings = SiteSettings {
        timeout: Duration::from_secs(1),
        expect: Expect { body: pattern("x"), ..Expect::default() },
        ..SiteSettings::default()
    };
    let site = Site::new(Target::parse(&format!("http://{address}")).unwrap(), None, settings.into());
    let examined = Checker::new(&trusting(Vec::new())).examine(&site);
    let known: Vec<bool> = examined.verdicts.iter().map(|verdict| verdict.is_known).collect();
    assert_eq!(known, [true, false]);
}

#[test]
fn a_page_is_decoded_by_what_it_says_of_itself() {
    for (headers, body, is_up) in [
        ("Content-Type: text/html\r\n", &b"<meta charset=iso-8859-1>gr\xfc\xdfe"[..], true),
        (
            "Content-Type: text/html\r\n",
            b"<meta http-equiv=content-type content='text/html; charset=latin1'>gr\xfc\xdfe",
            true,
        ),
        ("Content-Type: text/html\r\n", b"\xff\xfeg\0r\0\xfc\0\xdf\0e\0", true),
        ("", b"<meta charset=latin1>gr\xfc\xdfe", true),
        ("Content-Type: text/plain\r\n", b"<meta charset=latin1>gr\xfc\xdfe", false),
        ("Content-Type: text/html; charset=utf-8\r\n", b"<meta charset=latin1>gr\xfc\xdfe", false),
    ] {
        let address = answering(ok(headers, body));
        let expect = Expect { body: pattern("grüße"), ..Expect::default() };
        let check = check(&format!("http://{address}"), expecting(expect));
        assert_eq!(check.body_matched, Some(is_up), "{headers} {body:?}");
    }
}
