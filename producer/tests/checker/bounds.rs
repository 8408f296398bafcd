//! Whatever a site, a name server or a proxy answers: the event is within its limits in both formats, holds nothing that a
//! terminal obeys, is read back by the decoder and valid by the JSON Schema.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::{NULL, TXT};
use isitup_producer::checker::{Checker, HttpVersion, Proxy, TlsOptions, Transport, Trust};
use isitup_producer::site::{Expect, JsonExpectation, Pattern, Site, SiteSettings};
use isitup_producer::target::Target;
use isitup_shared::config::{Format, Network, Scalar};
use isitup_shared::event::{Body, Check, Draft, LARGEST_EVENT, Sealer, decode, is_forbidden, json_schema};
use isitup_shared::secret::Secret;
use isitup_shared::time::UtcTime;
use proptest::prelude::*;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::Value;
use uuid::Uuid;

use crate::certificates::config;
use crate::name_server::{answer, name_server, record};
use crate::server::{answering, answering_tls, check, check_by, failure, ok, patient, read_head, serving, trusting};
use crate::stalls::hasty;

/// Characters that a terminal, a log line or a reader is fooled by: NUL, BEL, ESC, DEL, C1, turns of direction, lines.
const FOOLING: &str =
    "\0\x07\x1b]0;t\x07\x1b[2J\x7f\u{85}\u{9b}31m\u{61c}\u{200e}\u{200f}\u{202e}\u{2028}\u{2029}\u{2066}";

fn assert_is_bounded(check: &Check) {
    static SCHEMA: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::validator_for(&json_schema()).unwrap());
    let body = Body::Check(Box::new(check.clone()));
    let sealer = Sealer::new(Uuid::max(), "tests");
    for format in [Format::Json, Format::Avro] {
        let message = sealer.seal(&Draft::new(&body, format), u64::from(u32::MAX));
        assert!(message.len() <= LARGEST_EVENT, "{} bytes in {format:?}", message.len());
        assert_eq!(decode(&message).unwrap().body, body);
    }
    let json: Value = serde_json::from_slice(&sealer.seal(&Draft::new(&body, Format::Json), 1)).unwrap();
    let wrong = SCHEMA.validate(&json).err().map(|error| error.to_string());
    assert_eq!(wrong, None, "{json:#}");
    assert_is_clean(&json);
}

fn assert_is_clean(value: &Value) {
    match value {
        Value::String(text) => assert!(!text.chars().any(is_forbidden), "{text:?}"),
        Value::Array(items) => items.iter().for_each(assert_is_clean),
        Value::Object(fields) => fields.values().for_each(assert_is_clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A redirect whose `Location` is these bytes.
fn redirect_to(location: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 302 Found\r\nLocation: ", location, b"\r\nContent-Length: 0\r\n\r\n"].concat()
}

/// Gives these answers, one a connection, and the last one again and again.
fn answering_in_turn(answers: Vec<Vec<u8>>) -> SocketAddr {
    let turn = AtomicUsize::new(0);
    serving(move |mut stream| {
        read_head(&mut stream)?;
        let turn = turn.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        stream.write_all(&answers[turn])?;
        stream.shutdown(std::net::Shutdown::Write)?;
        io::copy(&mut stream, &mut io::sink()).map(drop)
    })
}

#[test]
fn a_location_of_120_000_odd_bytes_is_told_cut() {
    let address = answering(redirect_to(&[&b"/"[..], &[0xff; 120_000]].concat()));
    let check = check(&format!("http://{address}/"), patient());
    assert_is_bounded(&check);
    assert!(failure(&check).starts_with("redirect: "), "{}", failure(&check));
    let shown = check.final_url.unwrap();
    assert!(shown.starts_with(&format!("http://{address}/%EF%BF%BD")) && shown.ends_with('…'), "{shown}");
    assert_eq!(check.hops.last().unwrap().url, shown);
}

#[test]
fn ten_redirects_to_60_000_backslashes_are_one_small_event() {
    let location = |n: usize| redirect_to(format!("?{n}{}", "\\".repeat(60_000)).as_bytes());
    let answers = (0..10).map(location).chain([ok("Content-Length: 2\r\n", "hi")]).collect();
    let check = check(&format!("http://{}/", answering_in_turn(answers)), patient());
    assert_eq!((failure(&check).as_str(), check.redirects, check.hops.len()), ("up", 10, 11));
    assert!(check.hops[1].url.contains("?0\\\\\\") && check.hops[1].url.ends_with('…'), "{}", check.hops[1].url);
    assert_is_bounded(&check);
}

#[test]
fn of_many_redirects_the_first_ten_and_the_last_are_told() {
    let answers = (1..=20).map(|n| redirect_to(format!("/{n}").as_bytes())).chain([ok("", "hi")]).collect();
    let mut settings = patient();
    settings.redirects.most = 50;
    let check = check(&format!("http://{}/0", answering_in_turn(answers)), settings);
    assert_eq!((failure(&check).as_str(), check.redirects), ("up", 20));
    let paths: Vec<&str> = check.hops.iter().map(|hop| hop.url.rsplit('/').next().unwrap()).collect();
    assert_eq!(paths, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "20"]);
    assert_is_bounded(&check);
}

#[test]
fn credentials_of_a_long_location_are_not_told() {
    for location in [
        format!("http://user:{}@127.0.0.1:1/", "hunter2".repeat(1000)),
        format!("ftp://user:{}@127.0.0.1/", "hunter2".repeat(1000)),
        format!("http://user:{}@\u{7f}/", "hunter2".repeat(1000)),
    ] {
        let check = check(&format!("http://{}/", answering(redirect_to(location.as_bytes()))), patient());
        assert_is_bounded(&check);
        assert!(failure(&check) != "up" && !format!("{check:?}").contains("hunter2"), "{check:?}");
    }
}

#[test]
fn what_a_name_server_answers_is_told_without_what_fools_a_terminal() {
    for said in ["key\0value", "\x1b[31mred", "\x07bell", "\u{9b}2J", "a\u{202e}b", FOOLING, &FOOLING.repeat(30)] {
        let text = said.to_owned();
        let server = name_server(move |question, _| {
            let parts: Vec<Vec<u8>> = text.as_bytes().chunks(255).map(<[u8]>::to_vec).collect();
            let records = vec![
                record("a.test.", RData::TXT(TXT::from_bytes(parts.iter().map(Vec::as_slice).collect()))),
                record("a.test.", RData::NULL(NULL::with(text.as_bytes().to_vec()))),
            ];
            Some(answer(question, ResponseCode::NoError, records).to_vec().unwrap())
        });
        let expect = Expect { records: vec!["other".into(), format!("odd{FOOLING}")], ..Expect::default() };
        let check = check(&format!("dns://{server}/a.test?type=TXT"), SiteSettings { expect, ..patient() });
        let told = failure(&check);
        assert!(told.starts_with("body_mismatch: no record \"other\" in the answer"), "{told}");
        assert_is_bounded(&check);
    }
}

#[test]
fn certificates_are_told_without_what_fools_a_terminal() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["site.test".to_owned()]).unwrap();
    for sort in [DnType::CommonName, DnType::OrganizationName] {
        params.distinguished_name.push(sort, format!("{FOOLING}{}", "\u{1f512}".repeat(1000)));
    }
    let own = params.self_signed(&key).unwrap();
    let address = answering_tls(config(own.der().clone(), &key, &[]), ok("", "hi"));
    for scheme in ["https", "tls"] {
        let url = format!("{scheme}://site.test:{}", address.port());
        let check = check_by(&trusting(Vec::new()), &url, patient());
        assert_eq!(failure(&check), "tls: certificate is self-signed");
        let (subject, issuer) =
            (check.certificate_subject.as_ref().unwrap(), check.certificate_issuer.as_ref().unwrap());
        assert!(subject == issuer && subject.contains('\u{fffd}') && subject.ends_with('…'), "{subject}");
        assert_is_bounded(&check);
    }
}

/// Settings that expect much of an answer, more than an event tells.
fn demanding() -> SiteSettings {
    let json = |n: u32| JsonExpectation::new(format!("/{n}/a~1b"), "ok".into());
    let header = |name: &str| (name.parse().unwrap(), Pattern::new("^well$").unwrap());
    let expect = Expect {
        body: Pattern::new("well said").ok(),
        body_not: Pattern::new("x").ok(),
        headers: vec![header("x-odd"), header("content-type")],
        json: (0..50).filter_map(json).collect(),
        ..Expect::default()
    };
    SiteSettings { expect, max_body_size: 64 << 10, ..patient() }
}

#[test]
fn values_of_headers_and_json_are_told_without_what_fools_a_terminal() {
    // NUL, and line breaks, are no part of a header.
    let odd: String = FOOLING.chars().filter(|c| *c != '\0').collect();
    let values: Vec<Value> =
        (0..50).map(|_| serde_json::json!({"a/b": format!("{FOOLING}{}", "\\\"".repeat(5000))})).collect();
    let body = Value::from(values).to_string();
    let check =
        check(&format!("http://{}", answering(ok(&format!("X-Odd: a{odd}\r\n"), &body[..60_000]))), demanding());
    assert_is_bounded(&check);
    let small: Vec<Value> = (0..50).map(|_| serde_json::json!({"a/b": FOOLING})).collect();
    let small = Value::from(small).to_string();
    let told =
        crate::server::check(&format!("http://{}", answering(ok("X-Odd: \u{202e}\u{9b}\r\n", small))), demanding());
    assert!(failure(&told).starts_with("body_mismatch: header x-odd is "), "{}", failure(&told));
    assert_eq!(told.further_failures.len(), 32);
    assert_eq!(told.further_failures.last().unwrap().detail, "21 more expectations were not met");
    assert_is_bounded(&told);
}

#[test]
fn texts_of_proxies_and_malformed_answers_are_told_without_what_fools_a_terminal() {
    let behind = |proxy: String| {
        let proxy = Proxy::parse(&Secret::new(proxy.as_str()), Vec::new()).unwrap();
        SiteSettings {
            transport: Arc::new(Transport::new(HttpVersion::Any, TlsOptions::default(), Some(proxy))),
            ..hasty()
        }
    };
    for begin in ["HTTP/1.1 502 ", "HTTP/1.1 407 ", "HTTP/1.1 ", "", "\x05\u{7f}", "HTTP/1.1 200 OK\r\nX: "] {
        let address = answering(format!("{begin}{FOOLING}{}\r\n\r\n", "é".repeat(10_000)));
        assert_is_bounded(&check(&format!("http://{address}"), hasty()));
        for (scheme, url) in
            [("http", "https://site.invalid"), ("http", "http://site.invalid"), ("socks5h", "http://site.invalid")]
        {
            assert_is_bounded(&check(url, behind(format!("{scheme}://user:s3cret@{address}"))));
        }
    }
}

/// All names lead to this machine and nothing else is connected to.
fn at_home() -> Trust {
    let elsewhere = "0.0.0.0/2 64.0.0.0/3 96.0.0.0/4 112.0.0.0/5 120.0.0.0/6 124.0.0.0/7 126.0.0.0/8 128.0.0.0/1 ::/0";
    let elsewhere: Vec<Network> = elsewhere.split(' ').filter_map(Network::parse).collect();
    let at_home = |_: &str| Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
    Trust::only([]).unwrap().resolving_by(at_home).denying(&elsewhere)
}

/// Bytes as nobody sends them: any, or one piece again and again.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\\".to_vec()),
        Just(b"\"".to_vec()),
        Just(vec![0xff]),
        Just("\u{10ffff}".as_bytes().to_vec()),
        Just(FOOLING.as_bytes().to_vec()),
        Just(b"[{\"\":0},".to_vec()),
        Just(b"%0a".to_vec()),
        "(?s:.{1,9})".prop_map(String::into_bytes),
    ];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3000),
        (piece, 0..20_000_usize).prop_map(|(piece, times)| piece.repeat(times.min(60_000 / piece.len()))),
    ]
}

/// The same, as far as it can stand in a header.
fn header() -> impl Strategy<Value = Vec<u8>> {
    bytes().prop_map(|mut bytes| {
        bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
        bytes
    })
}

fn one_answer() -> impl Strategy<Value = Vec<u8>> {
    let way = prop::sample::select(vec!["/", "?", "/a?b#", "//a.test/", ""]);
    let redirect = (way, header()).prop_map(|(way, rest)| redirect_to(&[way.as_bytes(), &rest].concat()));
    let page = (header(), header(), bytes()).prop_map(|(odd, content_type, body)| {
        [b"HTTP/1.1 200 OK\r\nX-Odd: ", &odd[..], b"\r\nContent-Type: ", &content_type, b"\r\n\r\n", &body].concat()
    });
    prop_oneof![6 => redirect, 2 => page, 1 => bytes()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_of_a_site_becomes_an_event_within_its_limits(answers in prop::collection::vec(one_answer(), 1..13)) {
        let address = answering_in_turn(answers);
        let mut settings = demanding();
        settings.redirects.most = 50;
        let site = Site::new(Target::parse(&format!("http://{address}/")).unwrap(), None, settings.into());
        assert_is_bounded(&Checker::new(&at_home()).check(&site, UtcTime::now()));
    }

    #[test]
    fn every_answer_of_a_name_server_becomes_an_event_within_its_limits(texts in prop::collection::vec(bytes(), 1..9)) {
        let server = name_server(move |question, by| {
            let txt = |text: &Vec<u8>| {
                let parts: Vec<&[u8]> = text.chunks(255).take(20).collect();
                record("a.test.", RData::TXT(TXT::from_bytes(parts)))
            };
            let mut message = answer(question, ResponseCode::NoError, texts.iter().map(txt).collect());
            if by == crate::name_server::By::Udp {
                message = answer(question, ResponseCode::NoError, Vec::new());
                message.metadata.truncation = true;
            }
            Some(message.to_vec().unwrap())
        });
        let expect = Expect { records: vec!["other".into(); 50], ..Expect::default() };
        let url = format!("dns://{server}/a.test?type=TXT");
        assert_is_bounded(&check(&url, SiteSettings { expect, ..patient() }));
    }
}
