//! Whether threads still live: each says so again and again, and one that has been silent for far longer than it ever
//! waits has died or hangs. Only a restart would help then, so this is what `/health/live` goes by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Not at work: before its beginning or after its end in order.
const RESTS: u64 = u64::MAX;
/// Ended by a panic.
const DIED: u64 = u64::MAX - 1;

/// The heartbeat of one thread. Clones share it.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    name: &'static str,
    limit: Duration,
    born: Instant,
    /// When it was felt last, in milliseconds since `born`; or a word from above.
    last: Arc<AtomicU64>,
}

/// Held by the thread while it works. Its end in order is well, its end by a panic is not.
#[derive(Debug)]
pub struct Pulse(Heartbeat);

impl Heartbeat {
    /// For the thread called `name`, of which a silence of `limit` means that it hangs. It rests for now.
    pub fn new(name: &'static str, limit: Duration) -> Self {
        Self { name, limit, born: Instant::now(), last: Arc::new(AtomicU64::new(RESTS)) }
    }

    /// Begins to beat, until the result is dropped.
    #[must_use = "the thread is watched only as long as it holds this"]
    pub fn begin(&self) -> Pulse {
        self.beat();
        Pulse(self.clone())
    }

    /// Says that the thread lives. Costs a look at the clock and a store.
    pub fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// Takes a silence until now as well founded: what the thread waits for is known to be away.
    pub fn excuse(&self) {
        let now = self.now();
        let beats = |last: u64| (last < DIED).then_some(now);
        // Nothing is to be done where it rests or has died.
        let _ = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, beats);
    }

    /// Whether the thread lives, or rests.
    ///
    /// # Errors
    /// What became of it, for people.
    pub fn check(&self) -> Result<(), String> {
        let name = self.name;
        match self.last.load(Ordering::Relaxed) {
            RESTS => Ok(()),
            DIED => Err(format!("the {name} died: restart, and report the panic in the log")),
            last => {
                let silence = Duration::from_millis(self.now().saturating_sub(last));
                if silence <= self.limit {
                    return Ok(());
                }
                Err(format!("the {name} hangs: nothing was heard of it for {} s", silence.as_secs()))
            }
        }
    }

    /// Checks several at once.
    ///
    /// # Errors
    /// What became of those that do not live, a line each.
    pub fn check_all(all: &[&Self]) -> Result<(), String> {
        let faults: Vec<String> = all.iter().filter_map(|one| one.check().err()).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(0)
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let word = if thread::panicking() { DIED } else { RESTS };
        self.0.last.store(word, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    fn wait_until(is_so: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < Duration::from_secs(30));
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_stuck_thread_is_told_and_one_that_goes_on_is_well_again() {
        let heart = Heartbeat::new("worker", LIMIT);
        assert_eq!(heart.check(), Ok(()), "it rests");
        let (unstick, stuck) = channel::<()>();
        let worker = thread::spawn({
            let heart = heart.clone();
            move || {
                let _pulse = heart.begin();
                while stuck.recv().is_ok() {
                    heart.beat();
                }
            }
        });
        wait_until(|| heart.check().is_err());
        assert!(heart.check().is_err_and(|why| why.contains("the worker hangs")));
        unstick.send(()).unwrap();
        wait_until(|| heart.check().is_ok());
        wait_until(|| heart.check().is_err());
        heart.excuse();
        assert_eq!(heart.check(), Ok(()), "what it waits for is away");
        drop(unstick);
        worker.join().unwrap();
        thread::sleep(LIMIT * 2);
        assert_eq!(heart.check(), Ok(()), "it has ended in order");
    }

    #[test]
    fn a_thread_that_panics_is_told_at_once_and_for_ever() {
        let heart = Heartbeat::new("worker", Duration::from_secs(3600));
        let panicking = heart.clone();
        let worker = thread::spawn(move || {
            let _pulse = panicking.begin();
            panic!("a defect");
        });
        assert!(worker.join().is_err());
        heart.excuse();
        let well = Heartbeat::new("other", LIMIT);
        assert_eq!(Heartbeat::check_all(&[&well, &heart]).unwrap_err().lines().count(), 1);
        assert!(heart.check().is_err_and(|why| why.contains("the worker died")));
    }
}
