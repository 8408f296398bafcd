//! Resolves names on a bounded number of threads that all checkers share.
//!
//! The system's resolver cannot be cancelled: a name whose servers do not answer holds its thread for half a minute,
//! long after the check has ended. So there is a most of threads, and of names that wait for one; what comes on top
//! fails at once. Nothing is cached here: a check meets what a new visitor meets.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

use super::hop::{self, Hop};

const MOST_THREADS: usize = 256;
const MOST_WAITING: usize = 1024;
const IDLE: Duration = Duration::from_secs(10);

/// A lookup of one name, on a thread of its own for as long as it takes.
type Lookup = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// The shared threads; cheap to clone.
#[derive(Clone)]
pub(super) struct Resolver(Arc<Shared>);

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
    answer: oneshot::Sender<io::Result<Vec<SocketAddr>>>,
}

/// Why a name has no address, in words for people.
#[derive(Debug)]
pub(super) struct LookupError(pub(super) String);

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for LookupError {}

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
        Self(Arc::new(Shared { lookup, most_threads, most_waiting, state: Mutex::default(), work: Condvar::new() }))
    }

    /// Puts `job` in the queue and sees to it that a thread will take it.
    fn submit(&self, job: Job) -> Result<(), LookupError> {
        let mut state = self.0.state();
        state.waiting.push_back(job);
        if state.idle >= state.waiting.len() {
            self.0.work.notify_one();
            return Ok(());
        }
        if state.threads < self.0.most_threads && self.start_thread(&mut state) {
            return Ok(());
        }
        if state.threads > 0 && state.waiting.len() <= self.0.most_waiting {
            return Ok(());
        }
        state.waiting.pop_back();
        Err(LookupError("resolver busy: too many names wait for an answer already".into()))
    }

    fn start_thread(&self, state: &mut State) -> bool {
        let shared = Arc::clone(&self.0);
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
            if job.answer.is_closed() {
                continue;
            }
            if let Some(hop) = job.hop {
                hop.reached().is_looked_up = true;
            }
            let _ = job.answer.send((self.lookup)(&job.name));
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
        if let Some(hop) = &hop {
            hop.reached().resolving = Some(Instant::now());
        }
        let (answer, answered) = oneshot::channel();
        let submitted = self.submit(Job { name: name.clone(), hop: hop.clone(), answer });
        Box::pin(async move {
            submitted?;
            let answered = answered.await.map_err(|_| LookupError(format!("the lookup of {name} was broken off")))?;
            let addresses = answered.map_err(|error| LookupError(reason(&name, &error)))?;
            if addresses.is_empty() {
                return Err(LookupError(format!("{name} has no address")).into());
            }
            if let Some(hop) = hop {
                let mut reached = hop.reached();
                reached.resolved = Some(Instant::now());
                reached.addresses.clone_from(&addresses);
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The system's reasons come as text only: those of glibc, then of musl.
fn reason(name: &str, error: &io::Error) -> String {
    let text = error.to_string();
    let is = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if is(&[
        "Name or service not known",
        "No address associated",
        "Name does not resolve",
        "Name has no usable address",
    ]) {
        format!("no such name: {name}")
    } else if is(&["Temporary failure", "Try again"]) {
        format!("the name servers gave no answer for {name}")
    } else if is(&["Non-recoverable failure", "Unrecoverable error"]) {
        format!("the name servers refused to answer for {name}")
    } else {
        let plain = text.trim_start_matches("failed to lookup address information: ");
        format!("{name} cannot be resolved: {plain}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn job(name: &str) -> (Job, oneshot::Receiver<io::Result<Vec<SocketAddr>>>) {
        let (answer, answered) = oneshot::channel();
        (Job { name: name.into(), hop: None, answer }, answered)
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
        assert!(resolver.submit(job("d").0).unwrap_err().0.starts_with("resolver busy"));
        drop(release);
        for answer in answers {
            assert_eq!(answer.blocking_recv().unwrap().unwrap().len(), 1);
        }
        assert_eq!(begins.recv().unwrap(), "c");
        assert_eq!(resolver.0.state().threads, 2);
    }
}
