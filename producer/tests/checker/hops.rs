//! Redirects hop by hop: the phases of each, their sums, and redirects that must not be followed.

use isitup_producer::site::{Redirects, SiteSettings};
use isitup_shared::event::{Check, Timings};

use crate::certificates::Authority;
use crate::server::{
    answering, answering_tls, check, check_by, failure, ok, patient, redirect, serving, stalling, trusting,
};

fn following(most: u32, forbid_downgrade: bool) -> SiteSettings {
    SiteSettings { redirects: Redirects { most, forbid_downgrade }, ..patient() }
}

/// The sum of a phase over all hops; `None` where none of them had it.
fn sum(check: &Check, phase: impl Fn(&Timings) -> Option<u64>) -> Option<u64> {
    let phases: Vec<u64> = check.hops.iter().filter_map(|hop| phase(&hop.timings_us)).collect();
    (!phases.is_empty()).then(|| phases.iter().sum())
}

/// Sums differ from those of the whole by what is lost when each is cut to whole microseconds.
fn assert_is_sum(check: &Check, phase: impl Fn(&Timings) -> Option<u64>) {
    match (phase(&check.timings_us), sum(check, &phase)) {
        (Some(whole), Some(parts)) => assert!(whole.abs_diff(parts) <= check.hops.len() as u64, "{check:?}"),
        (whole, parts) => assert_eq!(whole, parts, "{check:?}"),
    }
}

#[test]
fn each_hop_is_told_with_its_own_phases_and_they_sum_up() {
    let authority = Authority::named("system");
    let end = answering(ok("Content-Length: 5\r\n", "hello"));
    let middle = answering_tls(authority.config("site.test", |_| {}), redirect(302, format!("http://{end}/end")));
    let begin = answering(redirect(301, format!("https://site.test:{}/", middle.port())));
    let trust = trusting(vec![authority.certificate.clone()]);
    let check = check_by(&trust, &format!("http://user:s3cret@{begin}/begin"), patient());
    assert_eq!((failure(&check).as_str(), check.redirects), ("up", 2));
    let told: Vec<_> = check
        .hops
        .iter()
        .map(|hop| (hop.url.to_string(), hop.status, hop.remote_addr.as_deref().map(str::to_owned)))
        .collect();
    let hop = |url: String, status, address: std::net::SocketAddr| (url, Some(status), Some(address.to_string()));
    assert_eq!(
        told,
        [
            hop(format!("http://{begin}/begin"), 301, begin),
            hop(format!("https://site.test:{}/", middle.port()), 302, middle),
            hop(format!("http://{end}/end"), 200, end),
        ]
    );
    let has = |index: usize| {
        let timings = check.hops[index].timings_us;
        let phases = [timings.dns, timings.connect, timings.tls, timings.first_byte, timings.body];
        assert!(phases.iter().flatten().sum::<u64>() <= timings.total, "{timings:?}");
        phases.map(|phase| phase.is_some())
    };
    assert_eq!(has(0), [false, true, false, true, false]);
    assert_eq!(has(1), [true, true, true, true, false]);
    assert_eq!(has(2), [false, true, false, true, true]);
    assert_is_sum(&check, |timings| timings.dns);
    assert_is_sum(&check, |timings| timings.connect);
    assert_is_sum(&check, |timings| timings.tls);
    assert_is_sum(&check, |timings| timings.first_byte);
    assert_is_sum(&check, |timings| timings.body);
    assert!(sum(&check, |timings| Some(timings.total)).unwrap() <= check.timings_us.total, "{check:?}");
    assert!(!format!("{check:?}").contains("s3cret"), "{check:?}");
    assert!(check.certificate_expires_at.is_some(), "that of the last TLS connection");
}

#[test]
fn a_check_without_redirects_has_no_hops() {
    let well = check(&format!("http://{}", answering(ok("", "x"))), patient());
    assert_eq!((failure(&well).as_str(), well.hops.len()), ("up", 0));
}

#[test]
fn a_hop_that_fails_is_told_as_far_as_it_got() {
    let dead = crate::server::closed();
    let check = check(&format!("http://{}", answering(redirect(302, format!("http://{dead}/")))), patient());
    assert_eq!(failure(&check), format!("connect_refused: connection refused by {dead}"));
    assert_eq!(check.hops.len(), 2);
    assert_eq!((check.hops[1].status, check.status), (None, None), "the last hop had no answer");
    assert!(check.hops[1].timings_us.connect.is_some() && check.hops[1].timings_us.first_byte.is_none());
}

#[test]
fn a_hop_that_stalls_within_its_body_is_told_with_its_phases() {
    let silent = stalling("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
    let settings = SiteSettings { timeout: std::time::Duration::from_secs(1), ..SiteSettings::default() };
    let check = check(&format!("http://{}", answering(redirect(302, format!("http://{silent}/")))), settings);
    assert_eq!(failure(&check), "timeout: the body did not end within 1 s");
    assert_eq!(check.hops.len(), 2);
    assert!(check.hops[1].timings_us.body.is_some());
}

#[test]
fn no_more_redirects_are_followed_than_configured() {
    let forth = serving(|mut stream| {
        let head = crate::server::read_head(&mut stream)?;
        let next = head.split(' ').nth(1).unwrap().len();
        std::io::Write::write_all(&mut stream, redirect(302, format!("/{}", "x".repeat(next))).as_bytes())
    });
    for (most, expected) in [
        (1, format!("redirect: more than 1 redirect, now to http://{forth}/xx")),
        (3, format!("redirect: more than 3 redirects, now to http://{forth}/xxxx")),
        (0, "status: status 302, expected 200-299".to_owned()),
    ] {
        let check = check(&format!("http://{forth}"), following(most, false));
        assert_eq!(failure(&check), expected);
        assert_eq!((check.redirects, check.status), (most, Some(302)));
        assert_eq!(check.hops.len(), if most == 0 { 0 } else { most as usize + 1 });
    }
}

#[test]
fn a_downgrade_is_a_failure_where_it_is_forbidden() {
    let authority = Authority::named("system");
    let trust = trusting(vec![authority.certificate.clone()]);
    let end = answering(ok("", "hello"));
    let begin = answering_tls(authority.config("site.test", |_| {}), redirect(302, format!("http://{end}/")));
    let url = format!("https://site.test:{}", begin.port());
    assert_eq!(failure(&check_by(&trust, &url, following(10, false))), "up");
    let told = failure(&check_by(&trust, &url, following(10, true)));
    assert_eq!(told, format!("redirect: redirected from https to http://{end}/"));
}

#[test]
fn a_chain_that_leads_back_is_a_loop() {
    let there = std::sync::Arc::new(std::sync::OnceLock::new());
    let then = std::sync::Arc::clone(&there);
    let back = serving(move |mut stream| {
        crate::server::read_head(&mut stream)?;
        let first: &std::net::SocketAddr = then.wait();
        std::io::Write::write_all(&mut stream, redirect(302, format!("http://{first}/begin")).as_bytes())
    });
    let first = answering(redirect(302, format!("http://{back}/")));
    there.set(first).unwrap();
    let check = check(&format!("http://{first}/begin"), patient());
    let told = failure(&check);
    assert!(told.starts_with("redirect: ") && told.contains(&format!("http://{first}/begin")), "{told}");
    assert_eq!(check.redirects, 1, "the one that leads back is not followed");
}
