//! Resolves names on a bounded number of threads that all checkers share.
//!
//! The system's resolver cannot be cancelled: a name whose servers do not answer holds its thread for half a minute,
//! long after the check has ended. So there is a most of threads, and of names that wait for one; what comes on top
//! fails at once. Nothing is cached here: a check meets what a new visitor meets.
//!
//! Here is also where it is decided which of a name's addresses a check may connect to.

mod lookup;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

use super::deny::Denied;
use super::hop::{self, Hop};
use super::nameserver::{self, Patience};
use crate::site::Route;

pub(super) use lookup::LookupError;

const MOST_THREADS: usize = 256;
const MOST_WAITING: usize = 1024;
const IDLE: Duration = Duration::from_secs(10);
/// As long as the system's resolver tries, by its usual settings.
const LONGEST_LOOKUP: Duration = Duration::from_secs(30);

/// A lookup of one name, on a thread of its own for as long as it takes.
type Lookup = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

type Answer = Result<Vec<SocketAddr>, LookupError>;

/// The shared threads, and what they may give; cheap to clone.
#[derive(Clone)]
pub(super) struct Resolver {
    shared: Arc<Shared>,
    denied: Denied,
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
    hop: Option<Arc<Hop>>,
    asker: Asker,
}

/// Who wants to know.
enum Asker {
    /// A future of reqwest's, which is dropped at its deadline.
    Future(oneshot::Sender<Answer>),
    /// A thread that waits until then.
    Thread(Sender<Answer>, Instant),
}

impl Asker {
    /// Whoever asked may have gone while the name waited.
    fn is_gone(&self) -> bool {
        match self {
            Self::Future(answer) => answer.is_closed(),
            Self::Thread(_, deadline) => Instant::now() >= *deadline,
        }
    }

    fn answer(self, answer: Answer) {
        match self {
            Self::Future(sender) => drop(sender.send(answer)),
            Self::Thread(sender, _) => drop(sender.send(answer)),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("denied", &self.denied).finish_non_exhaustive()
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

    fn bounded(
        most_threads: usize,
        most_waiting: usize,
        lookup: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        let lookup = Box::new(lookup);
        let shared = Shared { lookup, most_threads, most_waiting, state: Mutex::default(), work: Condvar::new() };
        Self { shared: Arc::new(shared), denied: Denied::default() }
    }

    /// Gives no address that is `denied`.
    pub(super) fn denying(self, denied: Denied) -> Self {
        Self { denied, ..self }
    }

    /// As this one, but by the threads and the lookup of `other`.
    pub(super) fn by_those_of(self, other: Self) -> Self {
        Self { shared: other.shared, ..self }
    }

    /// Why a host that is written as an `address` may not be connected to by `route`; `None` where it may.
    pub(super) fn literal_refusal(&self, address: IpAddr, route: Route) -> Option<String> {
        lookup::literal_refusal(address, route, &self.denied)
    }

    /// Resolves `name` for `hop`; `None` when there was no answer until `deadline`.
    pub(super) fn addresses(&self, name: &str, hop: &Arc<Hop>, deadline: Instant) -> Option<Answer> {
        if let Some(answer) = self.known(name, Some(hop)) {
            return Some(answer);
        }
        let (answer, answered) = bounded(1);
        let asker = Asker::Thread(answer, deadline);
        if let Err(busy) = self.submit(Job { name: name.to_owned(), hop: Some(Arc::clone(hop)), asker }) {
            return Some(Err(busy));
        }
        let answer = answered.recv_deadline(deadline).ok()?;
        Some(answer.and_then(|addresses| self.admit(name, addresses, Some(hop))))
    }

    /// The answer for which nobody need be asked: `hop` has an address of its own, or its name server may not be asked.
    fn known(&self, name: &str, hop: Option<&Arc<Hop>>) -> Option<Answer> {
        let hop = hop?;
        let route = hop.route();
        if let Some(other) = route.connect_to {
            let address = SocketAddr::new(other.ip, other.port.unwrap_or(0));
            let admitted = lookup::admitted(name, vec![address], route, &self.denied);
            if let Ok(addresses) = &admitted {
                hop.reached().addresses.clone_from(addresses);
            }
            return Some(admitted);
        }
        hop.reached().resolving = Some(Instant::now());
        let refusal = self.denied.refusal(route.resolver?.ip())?;
        Some(Err(LookupError::Denied(format!("name server: {refusal}"))))
    }

    /// Keeps of `addresses` those that may be connected to, and tells `hop`.
    fn admit(&self, name: &str, addresses: Vec<SocketAddr>, hop: Option<&Arc<Hop>>) -> Answer {
        let route = hop.map(|hop| hop.route()).unwrap_or_default();
        let addresses = lookup::admitted(name, addresses, route, &self.denied)?;
        if let Some(hop) = hop {
            let mut reached = hop.reached();
            reached.resolved = Some(Instant::now());
            reached.addresses.clone_from(&addresses);
        }
        Ok(addresses)
    }

    /// Puts `job` in the queue and sees to it that a thread will take it.
    fn submit(&self, job: Job) -> Result<(), LookupError> {
        let shared = &self.shared;
        let mut state = shared.state();
        state.waiting.push_back(job);
        if state.idle >= state.waiting.len() {
            shared.work.notify_one();
            return Ok(());
        }
        if state.threads < shared.most_threads && self.start_thread(&mut state) {
            return Ok(());
        }
        if state.threads > 0 && state.waiting.len() <= shared.most_waiting {
            return Ok(());
        }
        state.waiting.pop_back();
        Err(LookupError::Failed("resolver busy: too many names wait for an answer already".into()))
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
            if job.asker.is_gone() {
                continue;
            }
            let mut route = Route::default();
            if let Some(hop) = &job.hop {
                hop.reached().is_looked_up = true;
                route = hop.route();
            }
            let answer = match route.resolver {
                Some(server) => {
                    let deadline = Instant::now() + LONGEST_LOOKUP;
                    let patience = Patience { deadline, is_wanted: &|| !job.asker.is_gone() };
                    nameserver::addresses(server, &job.name, route.family, &patience).map_err(LookupError::Failed)
                }
                None => {
                    (self.lookup)(&job.name).map_err(|error| LookupError::Failed(lookup::reason(&job.name, &error)))
                }
            };
            job.asker.answer(answer);
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
        let give = |answer: Answer| Ok(Box::new(answer?.into_iter()) as Addrs);
        if let Some(answer) = self.known(&name, hop.as_ref()) {
            return Box::pin(async move { give(answer) });
        }
        let (answer, answered) = oneshot::channel();
        let submitted = self.submit(Job { name: name.clone(), hop: hop.clone(), asker: Asker::Future(answer) });
        let resolver = self.clone();
        Box::pin(async move {
            submitted?;
            let broken_off = |_| LookupError::Failed(format!("the lookup of {name} was broken off"));
            let addresses = answered.await.map_err(broken_off)??;
            give(resolver.admit(&name, addresses, hop.as_ref()))
        })
    }
}
