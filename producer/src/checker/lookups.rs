//! Threads on which names are looked up: as many as are allowed, and no more of them for one name or one server than its share.
//!
//! The system's resolver cannot be cancelled: a name whose servers do not answer holds its thread for half a minute, long after
//! the check has ended. So what waits for a thread has a bound too; what comes on top fails at once.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use tokio::sync::oneshot;

use super::hop::Hop;
use super::lookup::Found;

/// A thread with nothing to do for this long ends.
const IDLE: Duration = Duration::from_secs(10);
/// A lookup needs little stack.
const STACK: usize = 512 << 10;

/// Looks up the name of a job.
type Lookup = dyn Fn(&Job) -> Found + Send + Sync;

/// How many lookups there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) threads: usize,
    pub(super) waiting: usize,
    /// Threads for the jobs of one key.
    pub(super) threads_per_key: usize,
}

/// The threads; cheap to clone.
#[derive(Clone)]
pub(super) struct Lookups(Arc<Shared>);

struct Shared {
    lookup: Box<Lookup>,
    bounds: Bounds,
    /// The most threads, which may be fewer than `bounds` says.
    most_threads: AtomicUsize,
    // Held for a few instructions, once for a lookup that takes two system calls at least.
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// The jobs of each key that wait for a thread or have one.
    taken: HashMap<String, usize>,
    /// Those that wait for another one of their key to end.
    parked: VecDeque<Job>,
}

/// A name to be looked up.
pub(super) struct Job {
    /// Jobs with one key share its threads: the name, or the server that is asked.
    pub(super) key: String,
    pub(super) name: String,
    /// Nobody waits for the answer after this.
    pub(super) deadline: Instant,
    /// Whose lookup it is, where it is that of an HTTP site.
    pub(super) hop: Option<Arc<Hop>>,
    pub(super) answer: Reply,
}

/// Where the answer goes: to a future, or to a thread that waits.
pub(super) enum Reply {
    Future(oneshot::Sender<Found>),
    Thread(Sender<Found>),
}

impl Reply {
    pub(super) fn send(self, found: Found) {
        // Whoever asked may have gone meanwhile.
        match self {
            Self::Future(answer) => drop(answer.send(found)),
            Self::Thread(answer) => drop(answer.send(found)),
        }
    }
}

impl Job {
    fn is_abandoned(&self) -> bool {
        let is_gone = matches!(&self.answer, Reply::Future(answer) if answer.is_closed());
        is_gone || Instant::now() >= self.deadline
    }
}

impl Lookups {
    /// Threads that look up names by `lookup`.
    pub(super) fn new(bounds: Bounds, lookup: impl Fn(&Job) -> Found + Send + Sync + 'static) -> Self {
        let lookup = Box::new(lookup);
        let most_threads = AtomicUsize::new(bounds.threads);
        Self(Arc::new(Shared { lookup, bounds, most_threads, state: Mutex::default(), work: Condvar::new() }))
    }

    /// Allows at most `threads` threads from now on.
    pub(super) fn bound(&self, threads: usize) {
        self.0.most_threads.store(threads.clamp(1, self.0.bounds.threads), Ordering::Relaxed);
    }

    /// Puts `job` in the queue and sees to it that a thread will take it; gives it back where there is no room for it.
    pub(super) fn submit(&self, job: Job) -> Result<(), Job> {
        let bounds = self.0.bounds;
        let mut state = self.0.state();
        if state.waiting.len() + state.parked.len() >= bounds.waiting {
            state.forget_abandoned();
        }
        let taken = state.taken.get(&job.key).copied().unwrap_or_default();
        if taken >= bounds.threads_per_key {
            if state.waiting.len() + state.parked.len() >= bounds.waiting {
                return Err(job);
            }
            state.parked.push_back(job);
            return Ok(());
        }
        *state.taken.entry(job.key.clone()).or_default() += 1;
        state.waiting.push_back(job);
        if state.idle >= state.waiting.len() {
            self.0.work.notify_one();
            return Ok(());
        }
        if state.threads < self.0.most_threads.load(Ordering::Relaxed) && self.start_thread(&mut state) {
            return Ok(());
        }
        if state.threads > 0 && state.waiting.len() <= bounds.waiting {
            return Ok(());
        }
        match state.waiting.pop_back() {
            Some(job) => {
                state.release(&job.key);
                Err(job)
            }
            None => Ok(()),
        }
    }

    fn start_thread(&self, state: &mut State) -> bool {
        let shared = Arc::clone(&self.0);
        // Not joined: a lookup cannot be cancelled, and nothing is lost with it.
        let started = thread::Builder::new().name("resolver".into()).stack_size(STACK).spawn(move || shared.run());
        state.threads += usize::from(started.is_ok());
        started.is_ok()
    }
}

impl State {
    /// A job of `key` has ended: one that is parked for it may begin, else its share is free.
    fn release(&mut self, key: &str) {
        if let Some(next) = self.parked.iter().position(|job| job.key == key)
            && let Some(job) = self.parked.remove(next)
        {
            self.waiting.push_back(job);
            return;
        }
        if let Some(taken) = self.taken.get_mut(key) {
            *taken -= 1;
            if *taken == 0 {
                self.taken.remove(key);
            }
        }
    }

    fn forget_abandoned(&mut self) {
        self.parked.retain(|job| !job.is_abandoned());
        let (gone, waiting): (VecDeque<Job>, _) =
            std::mem::take(&mut self.waiting).into_iter().partition(Job::is_abandoned);
        self.waiting = waiting;
        gone.iter().for_each(|job| self.release(&job.key));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while let Some(job) = self.next() {
            let key = job.key.clone();
            // Whoever asked may have gone while the name waited.
            if !job.is_abandoned() {
                if let Some(hop) = &job.hop {
                    hop.reached().is_looked_up = true;
                }
                // What a name server sends is read here; the thread and its key's share must outlive a defect in that.
                if let Ok(found) = catch_unwind(AssertUnwindSafe(|| (self.lookup)(&job))) {
                    job.answer.send(found);
                }
            }
            self.state().release(&key);
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::lookup::LookupError;
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn job(name: &str, within: Duration) -> (Job, oneshot::Receiver<Found>) {
        let (answer, answered) = oneshot::channel();
        let (key, name) = (name.to_owned(), name.to_owned());
        (Job { key, name, deadline: Instant::now() + within, hop: None, answer: Reply::Future(answer) }, answered)
    }

    /// Lookups that tell when they begin and last until the sender is dropped.
    fn gated(bounds: Bounds) -> (Lookups, mpsc::Receiver<String>, mpsc::Sender<()>) {
        let (release, released) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        let gate = Mutex::new(released);
        let lookups = Lookups::new(bounds, move |job| {
            begun.send(job.name.clone()).unwrap();
            let _ = gate.lock().unwrap().recv();
            Ok(vec![([127, 0, 0, 1], 0).into()])
        });
        (lookups, begins, release)
    }

    #[test]
    fn stuck_lookups_hold_no_more_threads_than_allowed() {
        let (lookups, begins, release) = gated(Bounds { threads: 2, waiting: 1, threads_per_key: 2 });
        let mut answers = Vec::new();
        for name in ["a", "b"] {
            let (job, answered) = job(name, LONG);
            assert!(lookups.submit(job).is_ok());
            answers.push(answered);
        }
        let mut names = [begins.recv().unwrap(), begins.recv().unwrap()];
        names.sort();
        assert_eq!(names, ["a", "b"]);
        let (third, answered) = job("c", LONG);
        assert!(lookups.submit(third).is_ok());
        answers.push(answered);
        assert!(lookups.submit(job("d", LONG).0).is_err());
        drop(release);
        for answer in answers {
            assert_eq!(answer.blocking_recv().unwrap().unwrap().len(), 1);
        }
        assert_eq!(begins.recv().unwrap(), "c");
        assert_eq!(lookups.0.state().threads, 2);
    }

    #[test]
    fn one_stuck_name_leaves_threads_to_the_others() {
        let (lookups, begins, release) = gated(Bounds { threads: 3, waiting: 8, threads_per_key: 2 });
        let stuck: Vec<_> = (0..6)
            .map(|_| {
                let (job, answered) = job("stuck", LONG);
                assert!(lookups.submit(job).is_ok());
                answered
            })
            .collect();
        assert_eq!([begins.recv().unwrap(), begins.recv().unwrap()], ["stuck", "stuck"]);
        let (other, answered) = job("other", LONG);
        assert!(lookups.submit(other).is_ok());
        assert_eq!(begins.recv().unwrap(), "other");
        drop(release);
        for answer in stuck.into_iter().chain([answered]) {
            assert!(answer.blocking_recv().unwrap().is_ok());
        }
        while !lookups.0.state().taken.is_empty() {
            thread::yield_now();
        }
    }

    #[test]
    fn abandoned_lookups_make_room_and_are_never_begun() {
        let (lookups, begins, release) = gated(Bounds { threads: 1, waiting: 2, threads_per_key: 1 });
        let (first, answered) = job("first", LONG);
        assert!(lookups.submit(first).is_ok());
        assert_eq!(begins.recv().unwrap(), "first");
        let (late, mut late_answered) = job("late", Duration::ZERO);
        assert!(lookups.submit(late).is_ok());
        // Its receiver is gone.
        assert!(lookups.submit(job("gone", LONG).0).is_ok());
        let (second, second_answered) = job("second", LONG);
        assert!(lookups.submit(second).is_ok());
        drop(release);
        assert!(answered.blocking_recv().unwrap().is_ok() && second_answered.blocking_recv().unwrap().is_ok());
        assert_eq!(begins.recv().unwrap(), "second");
        assert!(late_answered.try_recv().is_err());
    }

    #[test]
    fn a_lookup_that_panics_costs_no_thread() {
        let bounds = Bounds { threads: 1, waiting: 2, threads_per_key: 1 };
        let lookups = Lookups::new(bounds, |job| match job.name.as_str() {
            "bad" => panic!("a defect"),
            _ => Err(LookupError::Unresolved("none".into())),
        });
        let (bad, broken) = job("bad", LONG);
        assert!(lookups.submit(bad).is_ok());
        assert!(broken.blocking_recv().is_err());
        let (good, answered) = job("good", LONG);
        assert!(lookups.submit(good).is_ok());
        assert!(answered.blocking_recv().unwrap().is_err());
    }
}
