//! What goes wrong on this machine says nothing about the site, and the row says so.

use std::fs::File;
use std::iter;
use std::process::Command;
use std::time::{Duration, Instant};

use isitup_producer::checker::{Checker, Trust};
use isitup_producer::site::{Route, Site, SiteSettings};
use isitup_producer::target::Target;
use isitup_shared::event::Check;
use isitup_shared::time::UtcTime;

use crate::server::{answering, check, closed, failure, ok, patient, serving, trusting};

/// What `check` tells when all files that the process may have are open. Connections of before may still give back
/// theirs, so it is told until it is the machine's fault.
fn starved(files: &mut Vec<File>, mut check: impl FnMut() -> Check) -> Check {
    let began = Instant::now();
    loop {
        files.extend(iter::from_fn(|| File::open("/dev/null").ok()));
        let check = check();
        if check.prober_fault.is_some() || began.elapsed() > Duration::from_secs(10) {
            return check;
        }
    }
}

/// Runs in a process of its own, which may open few files.
#[test]
#[ignore = "only by the test below"]
fn without_a_free_file() {
    let well = answering(ok("", "hello"));
    let site = |url: String| Site::new(Target::parse(&url).unwrap(), None, patient().into());
    let by_address = site(format!("http://{well}/"));
    let by_name = site(format!("http://localhost:{}/", well.port()));
    let mut warm = Checker::new(&trusting(Vec::new()));
    assert_eq!(failure(&warm.check(&by_address, UtcTime::now())), "up");
    let mut by_system = Checker::new(&Trust::only(Vec::new()).unwrap());
    assert_eq!(failure(&by_system.check(&by_address, UtcTime::now())), "up");
    let route = Route { resolver: Some(([127, 0, 0, 1], 1).into()), ..Route::default() };
    let target = Target::parse("http://a.test").unwrap();
    let by_server_of_its_own = Site::new(target, None, SiteSettings { route, ..patient() }.into());
    let mut by_server = Checker::new(&Trust::only(Vec::new()).unwrap());
    assert!(failure(&by_server.check(&by_server_of_its_own, UtcTime::now())).starts_with("dns: "));
    let mut files = Vec::new();
    let warm = starved(&mut files, || warm.check(&by_address, UtcTime::now()));
    let fresh = starved(&mut files, || Checker::new(&trusting(Vec::new())).check(&by_address, UtcTime::now()));
    let by_system = starved(&mut files, || by_system.check(&by_name, UtcTime::now()));
    let server = starved(&mut files, || by_server.check(&by_server_of_its_own, UtcTime::now()));
    drop(files);
    let told = failure(&warm);
    let limit = "this machine has no free file descriptor to connect to";
    assert!(told.starts_with(&format!("connect_refused: {limit} {well}")), "{told}");
    assert!(warm.prober_fault.is_some_and(|fault| fault.starts_with(limit)));
    let told = failure(&fresh);
    assert!(told.starts_with("connect_refused: this machine cannot start another client"), "{told}");
    let told = failure(&by_system);
    assert!(told.starts_with("dns: this machine has no free file descriptor to look up localhost"), "{told}");
    let told = failure(&server);
    assert!(told.starts_with("dns: this machine cannot ask the name server 127.0.0.1:1"), "{told}");
}

#[test]
fn a_machine_without_a_free_file_is_a_fault_of_the_prober() {
    let mut child = Command::new("sh");
    child.args(["-c", "ulimit -n 48 && exec \"$0\" --exact --ignored faults::without_a_free_file"]);
    let output = child.arg(std::env::current_exe().unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn what_a_site_does_is_no_fault_of_the_prober() {
    for url in [
        format!("http://{}", closed()),
        "http://nowhere.test".to_owned(),
        "http://servfail.test".to_owned(),
        format!("http://{}", answering("")),
        format!("https://{}", serving(|_| Ok(()))),
        format!("http://{}", answering("HTTP/1.1 500 Oops\r\n\r\n")),
    ] {
        let check = check(&url, patient());
        assert!(failure(&check) != "up" && check.prober_fault.is_none(), "{url}: {check:?}");
    }
}
