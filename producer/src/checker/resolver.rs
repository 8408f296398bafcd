//! Resolves names on a bounded number of threads that all checkers share, and leaves out addresses that must not be used.
//!
//! The system's resolver cannot be cancelled: a name whose servers do not answer holds its thread for half a minute,
//! long after the check has ended. So there is a most of threads, and of names that wait for one; what comes on top
//! fails at once. Nothing is cached here: a check meets what a new visitor meets.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use isitup_shared::config::Network;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

use super::hop::{self, Hop};
use super::lookup::{Found, LookupError, by_server, unresolved};
use crate::site::{IpFamily, Route};

const MOST_THREADS: usize = 256;
const MOST_WAITING: usize = 1024;
const IDLE: Duration = Duration::from_secs(10);

/// A lookup of one name, on a thread of its own for as long as it takes.
type Lookup = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// The shared threads; cheap to clone.
#[derive(Clone)]
pub(super) struct Resolver {
    shared: Arc<Shared>,
    deny: Arc<[Network]>,
}

struct Shared {
    lookup: Box<Lookup>,
    most_threads: usize,
    most_waiting: usize,
    // Held for a few instructions, once for a lookup that takes two system calls at least.
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

struct Job {
    name: String,
    /// Which name server to ask, where it is not the system's resolver, and for which addresses.
    route: Route,
    hop: Option<Arc<Hop>>,
    answer: Reply,
}

/// Where the answer goes: to a future, or to a thread that waits.
enum Reply {
    Future(oneshot::Sender<Found>),
    Thread(Sender<Found>),
}

impl Reply {
    fn is_abandoned(&self) -> bool {
        matches!(self, Self::Future(answer) if answer.is_closed())
    }

    fn send(self, found: Found) {
        // Whoever asked may have gone meanwhile.
        match self {
            Self::Future(answer) => drop(answer.send(found)),
            Self::Thread(answer) => drop(answer.send(found)),
        }
    }
}

impl Resolver {
    /// Asks the system.
    pub(super) fn system() -> Self {
        Self::by(|name| Ok((name, 0).to_socket_addrs()?.collect()))
    }

    /// Asks `lookup`.
    pub(super) fn by(lookup: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self::bounded(MOST_THREADS, MOST_WAITING, lookup)
    }

    /// Gives no address in `networks`.
    pub(super) fn denying(self, networks: &[Network]) -> Self {
        Self { deny: networks.into(), ..self }
    }

    fn bounded(
        most_threads: usize,
        most_waiting: usize,
        lookup: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        let lookup = Box::new(lookup);
        let shared = Shared { lookup, most_threads, most_waiting, state: Mutex::default(), work: Condvar::new() };
        Self { shared: Arc::new(shared), deny: Arc::new([]) }
    }

    /// The addresses of `name` that `route` allows, without ports; waits for them until `deadline`. `None` when it passed.
    pub(super) fn ask(&self, name: &str, route: Route, deadline: Instant) -> Option<Found> {
        if let Some(to) = route.connect_to {
            return Some(self.allowed(name, route, vec![(to.ip, 0).into()]));
        }
        if let Some(refusal) = self.server_refusal(route) {
            return Some(Err(refusal));
        }
        let (answer, answered) = bounded(1);
        let job = Job { name: name.to_owned(), route, hop: None, answer: Reply::Thread(answer) };
        if let Err(error) = self.submit(job) {
            return Some(Err(error));
        }
        let found = answered.recv_deadline(deadline).ok()?;
        Some(found.and_then(|found| self.allowed(name, route, found)))
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

    /// Puts `job` in the queue and sees to it that a thread will take it.
    fn submit(&self, job: Job) -> Result<(), LookupError> {
        let mut state = self.shared.state();
        state.waiting.push_back(job);
        if state.idle >= state.waiting.len() {
            self.shared.work.notify_one();
            return Ok(());
        }
        if state.threads < self.shared.most_threads && self.start_thread(&mut state) {
            return Ok(());
        }
        if state.threads > 0 && state.waiting.len() <= self.shared.most_waiting {
            return Ok(());
        }
        state.waiting.pop_back();
        Err(LookupError::Busy("resolver busy: too many names wait for an answer already".into()))
    }

    fn start_thread(&self, state: &mut State) -> bool {
        let shared = Arc::clone(&self.shared);
        // Not joined: a lookup cannot be cancelled, and nothing is lost with it.
        let started = thread::Builder::new().name("resolver".into()).spawn(move || shared.run());
        state.threads += usize::from(started.is_ok());
        started.is_ok()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while let Some(job) = self.next() {
            // Whoever asked may have gone while the name waited.
            if job.answer.is_abandoned() {
                continue;
            }
            if let Some(hop) = &job.hop {
                hop.reached().is_looked_up = true;
            }
            let found = match job.route.resolver {
                Some(server) => by_server(server, &job.name, job.route.family),
                None => (self.lookup)(&job.name).map_err(|error| unresolved(&job.name, &error)),
            };
            job.answer.send(found);
        }
    }

    /// The next job, or `None` when there was none for a while.
    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        let idle_until = Instant::now() + IDLE;
        loop {
            if let Some(job) = state.waiting.pop_front() {
                return Some(job);
            }
            let left = idle_until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            state =
                self.work.wait_timeout(state, left).map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
            state.idle -= 1;
        }
    }
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
            (None, None) => self.submit(Job { name: name.clone(), route, hop: hop.clone(), answer }),
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
    use std::sync::mpsc;

    use super::*;

    fn job(name: &str) -> (Job, oneshot::Receiver<Found>) {
        let (answer, answered) = oneshot::channel();
        (Job { name: name.into(), route: Route::default(), hop: None, answer: Reply::Future(answer) }, answered)
    }

    #[test]
    fn stuck_lookups_hold_no_more_threads_than_allowed_and_then_the_resolver_says_it_is_busy() {
        let (release, released) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        let gate = Mutex::new(released);
        let resolver = Resolver::bounded(2, 1, move |name| {
            begun.send(name.to_owned()).unwrap();
            let _ = gate.lock().unwrap().recv();
            Ok(vec![([127, 0, 0, 1], 0).into()])
        });
        let mut answers = Vec::new();
        for name in ["a", "b"] {
            let (job, answered) = job(name);
            resolver.submit(job).unwrap();
            answers.push(answered);
        }
        let mut names = [begins.recv().unwrap(), begins.recv().unwrap()];
        names.sort();
        assert_eq!(names, ["a", "b"]);
        let (third, answered) = job("c");
        resolver.submit(third).unwrap();
        answers.push(answered);
        assert!(resolver.submit(job("d").0).unwrap_err().to_string().starts_with("resolver busy"));
        drop(release);
        for answer in answers {
            assert_eq!(answer.blocking_recv().unwrap().unwrap().len(), 1);
        }
        assert_eq!(begins.recv().unwrap(), "c");
        assert_eq!(resolver.shared.state().threads, 2);
    }
}
