//! `dns://server/name?type=A`: the answer code, the records, and each way in which there is no answer. And sites whose
//! names a name server of their own resolves.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

use hickory_proto::op::ResponseCode;
use isitup_producer::site::{ConnectTo, DnsCode, DnsCodes, Expect, IpFamily, Route, SiteSettings};
use isitup_shared::config::Scalar;
use isitup_shared::event::Check;

use crate::name_server::{address, answer, name_server, zone};
use crate::server::{check, failure, patient, serving, wait_for_end};
use crate::stalls::{hasty, phases};

fn dns(server: SocketAddr, name: &str, settings: SiteSettings) -> Check {
    check(&format!("dns://{server}/{name}"), settings)
}

#[test]
fn what_stands_in_for_hosts_by_default_does_not_stand_in_for_a_name_server() {
    let connect_to = Some(ConnectTo { ip: [127, 0, 0, 1].into(), port: Some(crate::server::closed().port()) });
    let settings = SiteSettings { route: Route { connect_to, ..Route::default() }, ..patient() };
    assert_eq!(failure(&dns(zone(), "four.test", settings)), "up");
}

fn expecting(codes: &[&str], records: &[&str]) -> SiteSettings {
    let dns_codes = DnsCodes::new(codes.iter().map(|code| DnsCode::parse(code).unwrap()).collect()).unwrap_or_default();
    let records = records.iter().map(|&record| record.to_owned()).collect();
    SiteSettings { expect: Expect { dns_codes, records, ..Expect::default() }, ..patient() }
}

/// A server that answers the `n`th question by what `bytes` makes of it.
fn misbehaving(
    bytes: impl Fn(u32, &hickory_proto::op::Message) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> SocketAddr {
    let asked = AtomicU32::new(0);
    name_server(move |question, _| bytes(asked.fetch_add(1, Ordering::SeqCst), question))
}

#[test]
fn an_answer_is_up_with_its_code_and_phases() {
    let server = zone();
    let check = dns(server, "four.test", patient());
    assert_eq!((failure(&check).as_str(), check.dns_code.as_deref()), ("up", Some("NOERROR")));
    assert_eq!(
        (phases(&check.timings_us).as_str(), check.remote_addr),
        ("first_byte", Some(server.to_string().into()))
    );
    let by_name = crate::server::check(&format!("dns://ns.test:{}/four.test", server.port()), patient());
    assert_eq!((failure(&by_name).as_str(), phases(&by_name.timings_us).as_str()), ("up", "dns first_byte"));
}

#[test]
fn each_answer_is_held_against_the_codes_and_records_that_are_expected() {
    let server = zone();
    for (asked, codes, records, expected) in [
        ("two.test", &[][..], &["192.0.2.2", "192.0.2.1"][..], "up"),
        ("mail.test?type=mx", &[], &["10 MX.mail.test"], "up"),
        ("text.test?type=TXT", &[], &["v=spf1 -all"], "up"),
        ("six.test?type=AAAA", &[], &["0:0:0:0:0:0:0:1"], "up"),
        ("alias.test", &[], &["four.test.", "127.0.0.1"], "up"),
        ("large.test", &[], &["127.0.1.199"], "up"),
        ("nowhere.test", &["NXDOMAIN"], &[], "up"),
        ("_sip._tcp.a-b.test.?type=SRV", &["NXDOMAIN"], &[], "up"),
        ("nowhere.test", &["noerror", "nxdomain"], &[], "up"),
        ("nowhere.test", &[], &[], "status: answer code NXDOMAIN, expected NOERROR"),
        ("servfail.test", &[], &[], "status: answer code SERVFAIL, expected NOERROR"),
        ("refused.test", &["NXDOMAIN", "SERVFAIL"], &[], "status: answer code REFUSED, expected NXDOMAIN, SERVFAIL"),
        ("four.test", &["NXDOMAIN"], &[], "status: answer code NOERROR, expected NXDOMAIN"),
        (
            "two.test",
            &[],
            &["192.0.2.1", "192.0.2.3"],
            r#"body_mismatch: no record "192.0.2.3" in the answer, which has 192.0.2.1, 192.0.2.2"#,
        ),
        (
            "empty.test",
            &[],
            &["192.0.2.1"],
            r#"body_mismatch: no record "192.0.2.1" in the answer, which has no records"#,
        ),
    ] {
        let check = dns(server, asked, expecting(codes, records));
        assert_eq!(failure(&check), expected, "{asked}");
        assert!(check.dns_code.is_some(), "{check:?}");
    }
}

#[test]
fn each_way_to_have_no_answer_has_its_kind() {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let garbage = misbehaving(|_, question| Some([&question.metadata.id.to_be_bytes()[..], b"220 hello"].concat()));
    let to_another = misbehaving(|_, question| {
        let mut other = question.clone();
        other.queries[0].name = crate::name_server::name("other.test.");
        Some(answer(&other, ResponseCode::NoError, Vec::new()).to_vec().unwrap())
    });
    let wrong_id = misbehaving(|_, question| {
        let mut message = answer(question, ResponseCode::NoError, Vec::new());
        message.metadata.id = !question.metadata.id;
        Some(message.to_vec().unwrap())
    });
    let looping = misbehaving(|_, question| {
        let mut bytes = question.metadata.id.to_be_bytes().to_vec();
        // An answer whose name points to itself.
        bytes.extend([0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1]);
        Some(bytes)
    });
    let stalling_tcp = name_server(|question, by| match by {
        crate::name_server::By::Udp => {
            let mut cut = answer(question, ResponseCode::NoError, Vec::new());
            cut.metadata.truncation = true;
            Some(cut.to_vec().unwrap())
        }
        crate::name_server::By::Tcp => {
            std::thread::park();
            None
        }
    });
    let garbled = "protocol: the answer is not DNS, or not to the question";
    for (server, expected) in [
        (nobody, "connect_refused: connection refused by ADDRESS"),
        (misbehaving(|_, _| None), "timeout: no answer within 1 s"),
        (garbage, garbled),
        (to_another, garbled),
        (wrong_id, garbled),
        (looping, garbled),
        (stalling_tcp, "timeout: no answer within 1 s"),
    ] {
        let check = dns(server, "a.test", hasty());
        assert_eq!(failure(&check).replace(&server.to_string(), "ADDRESS"), expected);
        assert_eq!((phases(&check.timings_us).as_str(), check.dns_code), ("first_byte", None), "{expected}");
    }
}

#[test]
fn a_question_that_was_lost_is_asked_again_and_doubles_and_guesses_are_passed_over() {
    let lossy = misbehaving(|n, question| {
        (n > 0).then(|| answer(question, ResponseCode::NoError, Vec::new()).to_vec().unwrap())
    });
    assert_eq!(failure(&dns(lossy, "a.test", patient())), "up");
    let guessed = misbehaving(|n, question| {
        let mut message = answer(question, ResponseCode::NXDomain, Vec::new());
        message.metadata.response_code = ResponseCode::NXDomain;
        if n == 0 {
            message.metadata.id = !question.metadata.id;
        } else {
            message = answer(question, ResponseCode::NoError, vec![address("a.test.", "192.0.2.1")]);
        }
        Some(message.to_vec().unwrap())
    });
    assert_eq!(failure(&dns(guessed, "a.test", expecting(&[], &["192.0.2.1"]))), "up");
}

fn resolved_by(server: SocketAddr, family: IpFamily, settings: SiteSettings) -> SiteSettings {
    SiteSettings { route: Route { resolver: Some(server), family, ..Route::default() }, ..settings }
}

#[test]
fn a_site_s_own_name_server_resolves_its_names_and_tells_its_failures_apart() {
    let (server, site) = (zone(), serving(|mut stream| wait_for_end(&mut stream)));
    let shut = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let garbage = misbehaving(|_, question| Some(question.metadata.id.to_be_bytes().to_vec()));
    let any = IpFamily::Any;
    for (host, server, family, expected) in [
        ("four.test", server, any, "up"),
        ("both.test", server, any, "up"),
        ("both.test", server, IpFamily::V4, "up"),
        ("alias.test", server, any, "up"),
        ("dropping.test", server, any, "up"),
        ("four.test", server, IpFamily::V6, "dns: four.test has no IPv6 address"),
        ("six.test", server, IpFamily::V4, "dns: six.test has no IPv4 address"),
        ("nowhere.test", server, any, "dns: no such name: nowhere.test"),
        ("empty.test", server, any, "dns: empty.test has no address"),
        ("loop.test", server, any, "dns: loop.test has no address"),
        ("servfail.test", server, any, "dns: the name server SERVER failed for servfail.test (SERVFAIL)"),
        ("refused.test", server, any, "dns: the name server SERVER failed for refused.test (REFUSED)"),
        ("silent.test", server, any, "dns: the name servers gave no answer for silent.test within 1 s"),
        ("a.test", shut, any, "dns: the name server SERVER cannot be reached: connection refused"),
        ("a.test", garbage, any, "dns: what the name server SERVER answers is not DNS"),
    ] {
        let url = format!("tcp://{host}:{}", site.port());
        let told = failure(&check(&url, resolved_by(server, family, hasty())));
        assert_eq!(told.replace(&server.to_string(), "SERVER"), expected, "{host}");
    }
}

#[test]
fn an_http_site_uses_its_own_name_server_too() {
    let (server, site) = (zone(), crate::server::answering(crate::server::ok("", "hello")));
    let http = |host: &str, family| {
        let check = check(&format!("http://{host}:{}", site.port()), resolved_by(server, family, patient()));
        failure(&check).replace(&server.to_string(), "SERVER")
    };
    assert_eq!(http("alias.test", IpFamily::Any), "up");
    assert_eq!(http("four.test", IpFamily::V6), "dns: four.test has no IPv6 address");
    assert_eq!(http("servfail.test", IpFamily::Any), "dns: the name server SERVER failed for servfail.test (SERVFAIL)");
}
