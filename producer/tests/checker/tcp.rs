//! `tcp://host:port`: what is sent, what must come, and each way in which it does not.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use isitup_producer::site::{ConnectTo, Expect, IpFamily, Pattern, Route, SiteSettings};
use isitup_shared::event::Check;

use crate::server::{black_hole, check, check_by, closed, failure, patient, serving, trusting, wait_for_end};
use crate::stalls::{hasty, phases};

fn tcp(address: SocketAddr, settings: SiteSettings) -> Check {
    check(&format!("tcp://{address}"), settings)
}

fn expecting(body: &str, settings: SiteSettings) -> SiteSettings {
    SiteSettings { expect: Expect { body: Some(Pattern::new(body).unwrap()), ..Expect::default() }, ..settings }
}

fn unwanting(body: &str, settings: SiteSettings) -> SiteSettings {
    SiteSettings { expect: Expect { body_not: Some(Pattern::new(body).unwrap()), ..Expect::default() }, ..settings }
}

/// Greets, piece by piece, and then says nothing for as long as the client stays.
fn greeting(pieces: &'static [&'static str]) -> SocketAddr {
    serving(move |mut stream| {
        for piece in pieces {
            stream.write_all(piece.as_bytes())?;
            stream.flush()?;
        }
        wait_for_end(&mut stream)
    })
}

/// Greets and closes.
fn leaving(text: &'static str) -> SocketAddr {
    serving(move |mut stream| stream.write_all(text.as_bytes()))
}

#[test]
fn a_connection_alone_is_enough_where_nothing_is_expected() {
    let address = greeting(&[]);
    let check = tcp(address, patient());
    assert_eq!((failure(&check).as_str(), check.remote_addr), ("up", Some(address.to_string().into())));
    assert_eq!((phases(&check.timings_us).as_str(), check.body_bytes, check.body_matched), ("connect", None, None));
    assert_eq!((check.site, check.status), (format!("tcp://{address}").into(), None));
}

#[test]
fn what_is_wanted_is_found_as_soon_as_it_is_there_also_across_pieces() {
    let check = tcp(greeting(&["220 smt", "p.test ES", "MTP\r\n"]), expecting("^220 .*ESMTP", patient()));
    assert_eq!((failure(&check).as_str(), check.body_matched), ("up", Some(true)));
    assert_eq!((phases(&check.timings_us).as_str(), check.body_bytes), ("connect first_byte body", Some(21)));
}

#[test]
fn what_is_sent_is_what_the_server_gets_and_answers() {
    let address = serving(|mut stream| {
        let mut asked = [0; 6];
        stream.read_exact(&mut asked)?;
        stream.write_all(if asked == *b"PING\r\n" { b"+PONG\r\n" } else { b"-ERR\r\n" })?;
        wait_for_end(&mut stream)
    });
    let ping = |send: &str| SiteSettings { send: Some(send.into()), ..expecting("PONG", hasty()) };
    assert_eq!(failure(&tcp(address, ping("PING\r\n"))), "up");
    let wrong = failure(&tcp(address, ping("PINGS\n")));
    assert_eq!(wrong, r#"body_mismatch: body without a match for "PONG" within 1 s"#);
}

#[test]
fn each_way_to_fail_has_its_kind() {
    let large = |settings| SiteSettings { max_body_size: 1024, ..settings };
    let endless = serving(|mut stream| {
        loop {
            stream.write_all(&[b'x'; 100])?;
        }
    });
    // Bytes that were not read make the system reset the connection where it would close it.
    let resetting = serving(|mut stream| {
        stream.read_exact(&mut [0])?;
        stream.write_all(b"220 hello")?;
        // What arrives together with the reset may never be seen.
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    });
    let (refused, hole) = (closed(), black_hole());
    let cases = [
        (refused, patient(), "connect_refused: connection refused by ADDRESS", "connect"),
        (hole, hasty(), "connect_timeout: no connection to ADDRESS within 1 s", "connect"),
        (greeting(&[]), expecting("x", hasty()), "timeout: no answer within 1 s", "connect first_byte"),
        (
            greeting(&["421 away"]),
            expecting("^220", hasty()),
            r#"body_mismatch: body without a match for "^220" within 1 s"#,
            "connect first_byte body",
        ),
        (
            leaving("421 away"),
            expecting("^220", patient()),
            r#"body_mismatch: body without a match for "^220""#,
            "connect first_byte body",
        ),
        (
            greeting(&["421 away"]),
            unwanting("^4", patient()),
            r#"body_mismatch: body with a match for "^4""#,
            "connect first_byte body",
        ),
        (leaving("220 here"), unwanting("^4", patient()), "up", "connect first_byte body"),
        (greeting(&["220 here"]), unwanting("^4", hasty()), "up", "connect first_byte body"),
        (leaving(""), expecting("x", patient()), "protocol: connection closed before an answer", "connect first_byte"),
        (
            endless,
            expecting("y", large(patient())),
            "body_too_large: the body is larger than 1 KiB",
            "connect first_byte body",
        ),
        (
            resetting,
            SiteSettings { send: Some("hello".into()), ..expecting("y", patient()) },
            "protocol: connection reset within the body",
            "connect first_byte body",
        ),
    ];
    for (address, settings, expected, reached) in cases {
        let check = tcp(address, settings);
        assert_eq!(failure(&check).replace(&address.to_string(), "ADDRESS"), expected);
        assert_eq!(phases(&check.timings_us), reached, "{expected}");
    }
}

#[test]
fn an_answer_that_is_well_but_late_is_too_slow() {
    let expect = Expect { max_response_time: Some(Duration::from_nanos(1)), ..Expect::default() };
    let told = failure(&tcp(greeting(&[]), SiteSettings { expect, ..patient() }));
    assert!(told.starts_with("response_too_slow: took "), "{told}");
}

#[test]
fn a_server_that_reads_nothing_cannot_hold_what_is_sent_beyond_the_deadline() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let address = serving(move |_stream| {
        let _ = released.lock().unwrap().recv();
        Ok(())
    });
    let settings = SiteSettings { send: Some("x".repeat(64 << 20).into()), ..hasty() };
    assert_eq!(failure(&tcp(address, settings)), "timeout: no answer within 1 s");
    drop(release);
}

#[test]
fn a_name_is_resolved_by_the_shared_resolver_and_its_failures_are_told() {
    let address = greeting(&["hi"]);
    let well = check(&format!("tcp://site.test:{}", address.port()), expecting("hi", patient()));
    assert_eq!((failure(&well).as_str(), phases(&well.timings_us).as_str()), ("up", "dns connect first_byte body"));
    for (name, expected) in [
        ("nowhere.test", "dns: no such name: nowhere.test"),
        ("empty.test", "dns: empty.test has no address"),
        ("stuck.test", "dns: the name servers gave no answer for stuck.test within 1 s"),
    ] {
        let check = check(&format!("tcp://{name}:1"), hasty());
        assert_eq!((failure(&check).as_str(), phases(&check.timings_us).as_str()), (expected, "dns"));
    }
}

#[test]
fn only_addresses_of_the_wanted_family_are_used() {
    let address = greeting(&[]);
    let only = |family| SiteSettings { route: Route { family, ..Route::default() }, ..patient() };
    let site = format!("tcp://site.test:{}", address.port());
    assert_eq!(failure(&check(&site, only(IpFamily::V4))), "up");
    for scheme in ["tcp", "tls", "http", "https"] {
        let told = |host: &str| failure(&check(&format!("{scheme}://{host}:{}", address.port()), only(IpFamily::V6)));
        assert_eq!(told("site.test"), "dns: site.test has no IPv6 address");
        assert_eq!(told("127.0.0.1"), "invalid_url: 127.0.0.1 is not an IPv6 address, as ip_version wants");
    }
}

#[test]
fn an_address_that_does_not_answer_leaves_time_for_those_after_it() {
    let hole = black_hole();
    // Both on one port: the hole has it on 127.0.0.1, and whatever answers has it on another address of loopback.
    let listener = std::net::TcpListener::bind(("127.0.0.2", hole.port())).unwrap();
    std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(|mut s| drop(wait_for_end(&mut s))));
    let trust = trusting(Vec::new()).resolving_by(|_| Ok(vec![([127, 0, 0, 1], 0).into(), ([127, 0, 0, 2], 0).into()]));
    let check = check_by(&trust, &format!("tcp://two.test:{}", hole.port()), hasty());
    assert_eq!(
        (failure(&check).as_str(), check.remote_addr),
        ("up", Some(format!("127.0.0.2:{}", hole.port()).into()))
    );
}

#[test]
fn connect_to_stands_in_for_the_host_and_its_port() {
    let address = greeting(&["hi"]);
    let connect_to = Some(ConnectTo { ip: address.ip(), port: Some(address.port()) });
    let settings = || SiteSettings { route: Route { connect_to, ..Route::default() }, ..expecting("hi", patient()) };
    for url in ["tcp://nowhere.test:1", "tcp://192.0.2.1:1"] {
        let check = check(url, settings());
        assert_eq!((failure(&check).as_str(), check.remote_addr), ("up", Some(address.to_string().into())));
        assert_eq!(phases(&check.timings_us), "connect first_byte body", "nobody was asked for the name");
    }
}
