//! What one worker costs in descriptors and threads, held against what `capacity` counts with. In a process of its own, as it
//! counts all that the process has.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work fails the test that called it")]

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use isitup_producer::capacity::cost;
use isitup_producer::checker::{Checker, Trust};
use isitup_producer::site::{Route, Site, SiteSettings};
use isitup_producer::target::Target;
use isitup_shared::time::UtcTime;

const WORKERS: u64 = 24;

fn count(what: &str) -> u64 {
    fs::read_dir(format!("/proc/self/{what}")).unwrap().count() as u64
}

/// The most descriptors and threads that a process has beyond `before` while workers check `site`.
fn most_of(site: &Site, trust: &Trust) -> (u64, u64) {
    let before = (count("fd"), count("task"));
    let mut most = (0, 0);
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..WORKERS).map(|_| scope.spawn(|| drop(Checker::new(trust).check(site, UtcTime::now())))).collect();
        let end = Instant::now() + Duration::from_secs(60);
        while !workers.iter().all(|worker| worker.is_finished()) && Instant::now() < end {
            most = (most.0.max(count("fd") - before.0), most.1.max(count("task") - before.1));
            thread::sleep(Duration::from_millis(5));
        }
    });
    most
}

#[test]
fn a_worker_costs_no_more_than_is_counted_with() {
    // Its connections are made by the system, and never accepted.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let no_server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let trust = Trust::only([]).unwrap();
    let settings = SiteSettings { timeout: Duration::from_secs(3), ..SiteSettings::default() };
    let asking = |server: Option<SocketAddr>| Route { resolver: server, ..Route::default() };
    let by_server = SiteSettings { route: asking(no_server.local_addr().ok()), ..settings.clone() };
    for (url, settings, name_servers) in
        [(format!("http://{address}"), settings, 0), ("http://a.test".to_owned(), by_server, 1)]
    {
        let site = Site::new(Target::parse(&url).unwrap(), None, Arc::new(settings));
        let (files, threads) = most_of(&site, &trust);
        // One more: the folder that is read to count.
        let most_files = 1 + WORKERS * (cost::FILES_PER_CLIENT + cost::FILES_PER_CHECK + name_servers);
        let most_threads = WORKERS * (1 + cost::THREADS_PER_CLIENT + name_servers);
        // And no less than half of it: the count sees them.
        assert!((most_files / 2..=most_files).contains(&files), "{url}: {files} files, counted with {most_files}");
        assert!((most_threads / 2..=most_threads).contains(&threads), "{url}: {threads} threads, not {most_threads}");
    }
}
