//! One deadline for all: a server that stalls in a phase ends the check there, and the row says where.

use std::io::Write;
use std::time::Duration;

use isitup_producer::site::SiteSettings;
use isitup_shared::event::Timings;

use crate::server::{black_hole, check, failure, read_head, redirect, serving, stalling, wait_for_end};

pub(crate) fn hasty() -> SiteSettings {
    SiteSettings { timeout: Duration::from_secs(1), ..SiteSettings::default() }
}

/// Which phases a check got to.
pub(crate) fn phases(timings: &Timings) -> String {
    let all = [
        ("dns", timings.dns),
        ("connect", timings.connect),
        ("tls", timings.tls),
        ("first_byte", timings.first_byte),
        ("body", timings.body),
    ];
    let reached: Vec<&str> = all.iter().filter(|(_, us)| us.is_some()).map(|(name, _)| *name).collect();
    reached.join(" ")
}

#[test]
fn a_name_that_is_never_resolved_is_dns() {
    let check = check("http://stuck.test", hasty());
    assert_eq!(failure(&check), "dns: the name servers gave no answer for stuck.test within 1 s");
    assert_eq!(phases(&check.timings_us), "dns");
}

#[test]
fn a_black_hole_is_a_connect_timeout() {
    let address = black_hole();
    let check = check(&format!("http://{address}"), hasty());
    assert_eq!(failure(&check), format!("connect_timeout: no connection to {address} within 1 s"));
    assert_eq!(phases(&check.timings_us), "connect");
    assert_eq!(check.remote_addr, None);
}

#[test]
fn a_handshake_that_never_ends_is_a_timeout() {
    let address = serving(|mut stream| wait_for_end(&mut stream));
    let check = check(&format!("https://{address}"), hasty());
    assert_eq!(failure(&check), "timeout: the TLS handshake did not end within 1 s");
    assert_eq!(phases(&check.timings_us), "connect tls");
    assert_eq!(check.remote_addr, Some(address.to_string().into()));
}

#[test]
fn an_answer_that_never_comes_is_a_timeout() {
    let check = check(&format!("http://{}", stalling("")), hasty());
    assert_eq!(failure(&check), "timeout: no answer within 1 s");
    assert_eq!(phases(&check.timings_us), "connect first_byte");
}

#[test]
fn a_head_that_never_ends_is_a_timeout() {
    for begin in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX: y", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let check = check(&format!("http://{}", stalling(begin)), hasty());
        assert_eq!(failure(&check), "timeout: no answer within 1 s", "{begin:?}");
        assert_eq!((phases(&check.timings_us).as_str(), check.status), ("connect first_byte", None));
    }
}

#[test]
fn a_body_that_never_ends_is_a_timeout() {
    let check = check(&format!("http://{}", stalling("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")), hasty());
    assert_eq!(failure(&check), "timeout: the body did not end within 1 s");
    assert_eq!(phases(&check.timings_us), "connect first_byte body");
    assert_eq!((check.status, check.body_bytes), (Some(200), Some(1)));
}

#[test]
fn a_body_that_drips_is_cut_off_by_the_same_deadline() {
    let address = serving(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(b"x")?;
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(failure(&check(&format!("http://{address}"), hasty())), "timeout: the body did not end within 1 s");
}

#[test]
fn redirects_count_against_the_same_deadline() {
    let silent = stalling("");
    let first = stalling(redirect(302, format!("http://{silent}/")));
    let check = check(&format!("http://{first}"), hasty());
    assert_eq!(failure(&check), "timeout: no answer within 1 s");
    assert_eq!((check.redirects, check.final_url), (1, Some(format!("http://{silent}/").into())));
}

#[test]
fn a_check_that_was_cut_off_leaves_nothing_behind_for_the_next() {
    use isitup_producer::checker::Checker;
    use isitup_producer::site::{Site, SiteSettings};
    use isitup_producer::target::Target;
    use isitup_shared::time::UtcTime;

    let site = |url: String, settings: SiteSettings| Site::new(Target::parse(&url).unwrap(), None, settings.into());
    let mut checker = Checker::new(&crate::server::trusting(Vec::new()));
    let silent = site(format!("http://{}", stalling("")), hasty());
    let well =
        site(format!("http://{}", crate::server::answering("HTTP/1.1 200 OK\r\n\r\nx")), crate::server::patient());
    for _ in 0..2 {
        assert_eq!(failure(&checker.check(&silent, UtcTime::now())), "timeout: no answer within 1 s");
        let check = checker.check(&well, UtcTime::now());
        assert_eq!((failure(&check).as_str(), phases(&check.timings_us).as_str()), ("up", "connect first_byte body"));
    }
}
