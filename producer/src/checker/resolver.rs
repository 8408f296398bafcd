//! Resolves names, and leaves out addresses that must not be used.
//!
//! Lookups by the system run on a bounded number of threads that all checkers share (`lookups`). A name server of a site's own is
//! asked on threads apart, until the check's deadline: one that keeps silent delays nobody else. Nothing is cached here: a check
//! meets what a new visitor meets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use isitup_shared::config::Network;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

use super::hop;
use super::lookup::{Found, LookupError, by_server, unresolved};
use super::lookups::{Bounds, Job, Lookups, Reply};
use crate::site::{IpFamily, Route};

/// Lookups by the system.
const BY_SYSTEM: Bounds = Bounds { threads: Resolver::MOST_THREADS, waiting: 1024, threads_per_key: 8 };
/// Those of `localhost`, which need no name server and so must wait for none.
const LOCAL: Bounds = Bounds { threads: 8, waiting: 256, threads_per_key: 8 };
/// Those by name servers of sites' own. Each ends with its check, so that there are never more than checks in flight.
const BY_SERVER: Bounds = Bounds { threads: 10_000, waiting: 10_000, threads_per_key: 128 };
/// The deadline of a lookup that is part of no check.
const PATIENCE: Duration = Duration::from_secs(30);
/// A check ends first, with words of its own, and its lookup right after.
const AFTER_CHECK: Duration = Duration::from_millis(50);

/// The ways to resolve names, which all checkers share; cheap to clone.
#[derive(Clone)]
pub(super) struct Resolver {
    by_system: Lookups,
    local: Lookups,
    by_server: Lookups,
    deny: Arc<[Network]>,
}

impl Resolver {
    /// The most threads for lookups by the system: each that is stuck holds one.
    pub(super) const MOST_THREADS: usize = 256;

    /// Asks the system.
    pub(super) fn system() -> Self {
        Self::by(|name| Ok((name, 0).to_socket_addrs()?.collect()))
    }

    /// Asks `lookup`.
    pub(super) fn by(lookup: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self::with_threads(BY_SYSTEM.threads, lookup)
    }

    /// Asks `lookup`, on at most `threads` threads.
    fn with_threads(
        threads: usize,
        lookup: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        let lookup = Arc::new(move |job: &Job| lookup(&job.name).map_err(|error| unresolved(&job.name, &error)));
        let local = Arc::clone(&lookup);
        Self {
            by_system: Lookups::new(Bounds { threads, ..BY_SYSTEM }, move |job| lookup(job)),
            local: Lookups::new(LOCAL, move |job| local(job)),
            by_server: Lookups::new(BY_SERVER, |job| {
                let route = job.hop.as_ref().map(|hop| hop.route).unwrap_or_default();
                match route.resolver {
                    Some(server) => by_server(server, &job.name, route.family, job.deadline),
                    None => Err(LookupError::Busy(format!("{} has no name server to ask", job.name))),
                }
            }),
            deny: Arc::new([]),
        }
    }

    /// Gives no address in `networks`.
    pub(super) fn denying(self, networks: &[Network]) -> Self {
        Self { deny: networks.into(), ..self }
    }

    /// Looks up names by the system on at most `threads` threads.
    pub(super) fn bounded(self, threads: usize) -> Self {
        self.by_system.bound(threads);
        self
    }

    /// The addresses of `name` that `route` allows, without ports; waits for them until `deadline`. `None` when it passed.
    pub(super) fn ask(&self, name: &str, route: Route, deadline: Instant) -> Option<Found> {
        if let Some(to) = route.connect_to {
            return Some(self.allowed(name, route, vec![(to.ip, 0).into()]));
        }
        if let Some(refusal) = self.server_refusal(route) {
            return Some(Err(refusal));
        }
        let found = match route.resolver {
            // Whoever asks waits in any case.
            Some(server) => by_server(server, name, route.family, deadline),
            None => {
                let (answer, answered) = bounded(1);
                let job = Job {
                    key: name.to_owned(),
                    name: name.to_owned(),
                    deadline,
                    hop: None,
                    answer: Reply::Thread(answer),
                };
                if let Err(error) = self.submit(job) {
                    return Some(Err(error));
                }
                answered.recv_deadline(deadline).ok()?
            }
        };
        // What ended with the deadline is told as such by whoever set it.
        if found.is_err() && Instant::now() >= deadline {
            return None;
        }
        Some(found.and_then(|found| self.allowed(name, route, found)))
    }

    /// Puts `job` in its queue.
    fn submit(&self, job: Job) -> Result<(), LookupError> {
        let has_server = job.hop.as_ref().is_some_and(|hop| hop.route.resolver.is_some());
        let refused = if has_server {
            self.by_server.submit(job)
        } else if is_local(&job.name) {
            // Where even these are stuck, their answer is known all the same.
            self.local.submit(job).or_else(|job| {
                job.answer.send(Ok(vec![(Ipv4Addr::LOCALHOST, 0).into()]));
                Ok(())
            })
        } else {
            self.by_system.submit(job)
        };
        refused.map_err(|_| LookupError::Busy("resolver busy: too many names wait for an answer already".into()))
    }

    /// Those of `found` that may be connected to for `name`.
    fn allowed(&self, name: &str, route: Route, mut found: Vec<SocketAddr>) -> Found {
        if found.is_empty() && route.family == IpFamily::Any {
            return Err(LookupError::Unresolved(format!("{name} has no address")));
        }
        found.retain(|address| route.family.contains(address.ip()));
        if found.is_empty() {
            let version = if route.family == IpFamily::V4 { 4 } else { 6 };
            return Err(LookupError::Unresolved(format!("{name} has no IPv{version} address")));
        }
        let refusals: Vec<Option<String>> = found.iter().map(|address| self.refusal(address.ip())).collect();
        match refusals.iter().flatten().next() {
            Some(refusal) if refusals.iter().all(Option::is_some) => {
                Err(LookupError::Denied(format!("{name}: {refusal}")))
            }
            _ => {
                let mut refusals = refusals.iter();
                found.retain(|_| refusals.next().is_some_and(Option::is_none));
                Ok(found)
            }
        }
    }

    /// Why `address` must not be connected to, where it must not.
    pub(super) fn refusal(&self, address: IpAddr) -> Option<String> {
        let rule = self.deny.iter().find(|network| network.contains(address))?;
        Some(format!("{address} may not be connected to: deny_networks has {}", rule.text))
    }

    /// Why a URL with `address` for a host must not be requested by `route`, where it must not.
    pub(super) fn literal_refusal(&self, address: IpAddr, route: Route) -> Option<String> {
        if !route.family.contains(address) {
            let version = if route.family == IpFamily::V4 { 4 } else { 6 };
            return Some(format!("{address} is not an IPv{version} address, as ip_version wants"));
        }
        self.refusal(address)
    }

    /// Why the name server of `route` must not be asked, where it must not.
    fn server_refusal(&self, route: Route) -> Option<LookupError> {
        let refusal = self.refusal(route.resolver?.ip())?;
        Some(LookupError::Denied(format!("name server: {refusal}")))
    }
}

/// Whether `name` is this machine's own (RFC 6761).
fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let hop = hop::current();
        let route = hop.as_ref().map(|hop| hop.route).unwrap_or_default();
        if let Some(hop) = &hop {
            hop.reached().resolving = Some(Instant::now());
        }
        let (answer, answered) = oneshot::channel();
        let answer = Reply::Future(answer);
        let submitted = match (route.connect_to, self.server_refusal(route)) {
            (Some(to), _) => {
                answer.send(Ok(vec![(to.ip, 0).into()]));
                Ok(())
            }
            (None, Some(refusal)) => Err(refusal),
            (None, None) => {
                let key = route.resolver.map_or_else(|| name.clone(), |server| server.to_string());
                let deadline = hop
                    .as_ref()
                    .and_then(|hop| hop.deadline)
                    .map_or_else(|| Instant::now() + PATIENCE, |deadline| deadline + AFTER_CHECK);
                self.submit(Job { key, name: name.clone(), deadline, hop: hop.clone(), answer })
            }
        };
        let resolver = self.clone();
        Box::pin(async move {
            submitted?;
            let broken_off = |_| LookupError::Busy(format!("the lookup of {name} was broken off"));
            let addresses = resolver.allowed(&name, route, answered.await.map_err(broken_off)??)?;
            if let Some(hop) = hop {
                let mut reached = hop.reached();
                reached.resolved = Some(Instant::now());
                reached.addresses.clone_from(&addresses);
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::Mutex;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const PLENTY: Duration = Duration::from_secs(60);

    #[test]
    fn localhost_is_found_while_all_other_lookups_are_stuck() {
        let (release, released) = mpsc::channel::<()>();
        let gate = Mutex::new(released);
        let resolver = Resolver::with_threads(2, move |name| {
            if !is_local(name) {
                let _ = gate.lock().unwrap().recv();
            }
            Ok(vec![([127, 0, 0, 1], 0).into()])
        });
        let deadline = Instant::now() + PLENTY;
        thread::scope(|scope| {
            let ask = |name: String| resolver.ask(&name, Route::default(), deadline);
            for number in 0..4 {
                scope.spawn(move || ask(format!("{number}.stuck.test")));
            }
            for name in ["localhost", "LOCALHOST.", "a.localhost"] {
                assert!(ask(name.to_owned()).unwrap().is_ok(), "{name}");
            }
            drop(release);
        });
    }

    #[test]
    fn silent_name_servers_hold_up_no_lookup_of_another_kind() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let route = Route { resolver: silent.local_addr().ok(), ..Route::default() };
        let resolver = Resolver::with_threads(1, |_| Ok(vec![([127, 0, 0, 1], 0).into()]));
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    assert!(resolver.ask("a.test", route, Instant::now() + Duration::from_secs(1)).is_none());
                });
            }
            assert!(resolver.ask("b.test", Route::default(), Instant::now() + PLENTY).unwrap().is_ok());
        });
    }
}
