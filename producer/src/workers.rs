//! The pool of threads that check sites: grown as needed, each with a checker of its own, joined at the end.
//!
//! Two lanes share the threads. A site whose last check timed out or took long waits in the slow lane, which never takes all of
//! them, so that black holes starve nobody.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use isitup_shared::event::{Body, Check, Draft, FailureKind, Gap, GapReason, Name};
use isitup_shared::time::UtcTime;

use crate::checker::{Checker, Trust};
use crate::metrics::Metrics;
use crate::site::Site;
use crate::spool::Intake;
use crate::verdict::Jury;

/// Jobs that wait for a thread, in each lane.
const MOST_WAITING: usize = 1024;
/// A thread with nothing to do for this long ends.
const IDLE: Duration = Duration::from_secs(30);
/// Threads with nothing to do that a lane keeps, beside half as many as are busy, for the next burst.
const SPARE: usize = 16;
/// A check that takes longer is slow, whatever came of it: it holds a thread that others wait for.
const SLOW: Duration = Duration::from_secs(1);
/// After the system refused a thread, the next one is asked for this much later.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);
/// A check needs little stack; hundreds of threads need little each.
const STACK: usize = 512 << 10;

/// A site and the state of its checks.
#[derive(Debug)]
pub struct SiteState {
    /// What to check.
    pub site: Site,
    /// Shared with the state of the same site before its settings changed.
    flight: Arc<Flight>,
}

/// The checks of a site, by whatever settings: at most one of them is in flight.
#[derive(Debug, Default)]
struct Flight {
    state: AtomicU8,
    is_slow: AtomicBool,
    /// The slot that was begun last, in microseconds since 1970.
    slot: AtomicI64,
}

const IDLE_SITE: u8 = 0;
const IN_FLIGHT: u8 = 1;
const CUT_OFF: u8 = 2;

impl SiteState {
    /// A site that is not being checked.
    pub fn new(site: Site) -> Self {
        Self { site, flight: Arc::default() }
    }

    /// The same site with other settings: a check by the old ones may still be in flight.
    pub fn changed(&self, site: Site) -> Self {
        Self { site, flight: Arc::clone(&self.flight) }
    }

    /// Begins a check, unless one is in flight.
    fn begin(&self, slot: UtcTime) -> bool {
        let state = &self.flight.state;
        let is_free = state.compare_exchange(IDLE_SITE, IN_FLIGHT, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if is_free {
            self.flight.slot.store(slot.as_micros(), Ordering::Release);
        }
        is_free
    }

    /// Ends the check in flight. False when it was cut off: its slot has been declared.
    fn end(&self) -> bool {
        self.flight.state.compare_exchange(IN_FLIGHT, IDLE_SITE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Cuts off the check in flight: its result will be thrown away. Gives its slot; `None` when none is in flight.
    pub fn cut_off(&self) -> Option<UtcTime> {
        let cut = self.flight.state.compare_exchange(IN_FLIGHT, CUT_OFF, Ordering::AcqRel, Ordering::Acquire);
        cut.ok().map(|_| UtcTime::from_micros(self.flight.slot.load(Ordering::Acquire)))
    }

    /// Whether a check is in flight.
    pub fn is_in_flight(&self) -> bool {
        self.flight.state.load(Ordering::Acquire) == IN_FLIGHT
    }
}

/// A check that is due.
#[derive(Debug)]
struct Job {
    state: Arc<SiteState>,
    slot: UtcTime,
    queued_at: Instant,
}

/// Why a check was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The site's check before is still in flight.
    InFlight,
    /// All threads are busy and the queue is full.
    Full,
}

/// The pool.
#[derive(Debug)]
pub struct Workers {
    fast: Lane,
    slow: Lane,
    shared: Arc<Pool>,
}

#[derive(Debug)]
struct Lane {
    jobs: Sender<Job>,
    waiting: Receiver<Job>,
    threads: Arc<LaneThreads>,
    most: AtomicUsize,
}

#[derive(Debug, Default)]
struct LaneThreads {
    all: AtomicUsize,
    idle: AtomicUsize,
}

/// What all threads share.
#[derive(Debug)]
struct Pool {
    most: AtomicUsize,
    threads: AtomicUsize,
    handles: Mutex<Vec<JoinHandle<()>>>,
    /// When the system last refused a thread.
    refused_at: Mutex<Option<Instant>>,
    trust: Trust,
    jury: Jury,
    intake: Mutex<Option<Intake>>,
    metrics: Metrics,
}

impl Workers {
    /// A pool of at most `most` threads, which give their results to `intake`. Threads start as checks come.
    pub fn new(most: usize, trust: Trust, jury: Jury, intake: Intake, metrics: Metrics) -> Self {
        let shared = Arc::new(Pool {
            most: AtomicUsize::new(most),
            threads: AtomicUsize::new(0),
            handles: Mutex::new(Vec::new()),
            refused_at: Mutex::new(None),
            trust,
            jury,
            intake: Mutex::new(Some(intake)),
            metrics,
        });
        let workers = Self { fast: Lane::new(), slow: Lane::new(), shared };
        workers.bound(most);
        workers
    }

    /// Allows at most `most` threads from now on. Threads beyond that end when they have nothing to do.
    pub fn bound(&self, most: usize) {
        self.shared.most.store(most, Ordering::Relaxed);
        self.fast.most.store(most.max(1), Ordering::Relaxed);
        self.slow.most.store((most * 3 / 4).max(1), Ordering::Relaxed);
    }

    /// Hands over the check of `state` for `slot`. Never waits.
    ///
    /// # Errors
    /// Why the check was not begun; its slot is missed then.
    pub fn begin(&self, state: &Arc<SiteState>, slot: UtcTime) -> Result<(), Refusal> {
        if !state.begin(slot) {
            return Err(Refusal::InFlight);
        }
        let lane = if state.flight.is_slow.load(Ordering::Relaxed) { &self.slow } else { &self.fast };
        if lane.jobs.try_send(Job { state: Arc::clone(state), slot, queued_at: Instant::now() }).is_err() {
            state.end();
            return Err(Refusal::Full);
        }
        lane.grow(&self.shared);
        Ok(())
    }

    /// Takes no more checks, and ends the threads as they become free, those that are free by `deadline` joined. A
    /// thread that hangs in a check is left to the end of the process.
    pub fn finish(self, deadline: Instant) {
        let Self { fast, slow, shared } = self;
        drop((fast, slow));
        shared.intake.lock().unwrap_or_else(PoisonError::into_inner).take();
        let handles = std::mem::take(&mut *shared.handles.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in handles {
            while !handle.is_finished() && Instant::now() < deadline {
                thread::park_timeout(Duration::from_millis(2));
            }
            if handle.is_finished() && handle.join().is_err() {
                log::error!("a worker panicked outside a check");
            }
        }
    }
}

impl Lane {
    fn new() -> Self {
        let (jobs, waiting) = bounded(MOST_WAITING);
        Self { jobs, waiting, threads: Arc::new(LaneThreads::default()), most: AtomicUsize::new(1) }
    }

    /// Starts a thread when more checks wait than threads are free.
    fn grow(&self, shared: &Arc<Pool>) {
        let all = self.threads.all.load(Ordering::Relaxed);
        let is_enough = self.waiting.len() <= self.threads.idle.load(Ordering::Relaxed);
        let most = (self.most.load(Ordering::Relaxed), shared.most.load(Ordering::Relaxed));
        let is_full = all >= most.0 || shared.threads.load(Ordering::Relaxed) >= most.1;
        if is_enough || ((is_full || shared.was_refused()) && all > 0) {
            return;
        }
        let Some(intake) = shared.intake.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        let (pool, lane, waiting) = (Arc::clone(shared), Arc::clone(&self.threads), self.waiting.clone());
        lane.all.fetch_add(1, Ordering::Relaxed);
        shared.threads.fetch_add(1, Ordering::Relaxed);
        let started = thread::Builder::new().name("worker".into()).stack_size(STACK).spawn(move || {
            Worker { checker: Checker::new(&pool.trust), intake, pool: &pool, lane: &lane }.run(&waiting);
            lane.all.fetch_sub(1, Ordering::Relaxed);
            pool.threads.fetch_sub(1, Ordering::Relaxed);
        });
        let mut handles = shared.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.retain(|handle| !handle.is_finished());
        match started {
            Ok(handle) => handles.push(handle),
            Err(error) => {
                self.threads.all.fetch_sub(1, Ordering::Relaxed);
                let threads = shared.threads.fetch_sub(1, Ordering::Relaxed) - 1;
                *shared.refused_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                log::error!(
                    "the system gives no more than {threads} worker threads: {error}; raise its limit of threads"
                );
            }
        }
    }
}

impl Pool {
    fn was_refused(&self) -> bool {
        let refused_at = *self.refused_at.lock().unwrap_or_else(PoisonError::into_inner);
        refused_at.is_some_and(|at| at.elapsed() < REFUSED_PAUSE)
    }
}

struct Worker<'a> {
    checker: Checker,
    intake: Intake,
    pool: &'a Pool,
    lane: &'a LaneThreads,
}

impl Worker<'_> {
    fn run(mut self, waiting: &Receiver<Job>) {
        loop {
            self.lane.idle.fetch_add(1, Ordering::Relaxed);
            let job = waiting.recv_timeout(IDLE);
            let others_idle = self.lane.idle.fetch_sub(1, Ordering::Relaxed) - 1;
            match job {
                Ok(job) => self.check(&job),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
            // A burst leaves more threads than the load needs: few and warm ones do the same work cheaper. And when black
            // holes pass from one lane to the other, the threads they leave are those that the other lane needs.
            let busy = self.lane.all.load(Ordering::Relaxed).saturating_sub(others_idle);
            if others_idle > SPARE + busy / 2 {
                return;
            }
        }
    }

    fn check(&mut self, job: &Job) {
        let metrics = &self.pool.metrics;
        let site = &job.state.site;
        let queued = job.queued_at.elapsed();
        metrics.workers_busy.inc();
        let checked =
            catch_unwind(AssertUnwindSafe(|| self.pool.jury.check(&mut self.checker, site, job.slot, queued)));
        metrics.workers_busy.dec();
        let drafts = match checked {
            Ok(checks) => {
                checks.iter().for_each(|check| metrics.count(check));
                job.state.flight.is_slow.store(checks.iter().any(is_slow), Ordering::Relaxed);
                checks.into_iter().map(|check| self.intake.draft(&Body::Check(Box::new(check)))).collect()
            }
            Err(_) => {
                log::error!("the check of {} panicked: a defect in isitup; its slot is declared a gap", site.name);
                metrics.panics.inc();
                self.checker = Checker::new(&self.pool.trust);
                let sites = Some([Name::from(&*site.name)].into());
                vec![self.intake.draft(&Body::Gap(Gap::of_span(GapReason::Overrun, job.slot, job.slot, sites)))]
            }
        };
        if job.state.end() {
            self.put(drafts, job.slot);
        }
    }

    /// Gives the results of a slot to the spool. The last one closes the slot: until then a crash declares all of it.
    fn put(&self, drafts: Vec<Draft>, slot: UtcTime) {
        let last = drafts.len().saturating_sub(1);
        for (index, draft) in drafts.into_iter().enumerate() {
            let closes = if index == last { vec![slot] } else { Vec::new() };
            self.intake.put(draft, closes);
        }
    }
}

/// Whether the site's next check belongs in the slow lane.
fn is_slow(check: &Check) -> bool {
    let has_timed_out = check
        .outcome
        .failure()
        .is_some_and(|failure| matches!(failure.kind, FailureKind::Timeout | FailureKind::ConnectTimeout));
    has_timed_out || Duration::from_micros(check.timings_us.total) > SLOW
}
