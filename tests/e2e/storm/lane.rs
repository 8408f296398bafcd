//! Lanes: faults of one kind come one after the other, those of different lanes at the same time.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// A fault that strikes, lasts, and is over when this returns; all is as it was before, but for the scars.
pub(super) type Fault<'a> = Box<dyn Fn(&mut Rng) + Send + 'a>;

/// Faults of which one strikes at a time.
pub(super) struct Lane<'a> {
    pub(super) name: &'static str,
    pub(super) faults: Vec<(&'static str, Fault<'a>)>,
}

/// The whole of it.
pub(super) struct Storm {
    seed: u64,
    began: Instant,
    ends: Instant,
    struck: Mutex<BTreeMap<(&'static str, &'static str), u32>>,
}

impl Storm {
    pub(super) fn new(seed: u64, length: Duration) -> Self {
        let began = Instant::now();
        Self { seed, began, ends: began + length, struck: Mutex::default() }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn length(&self) -> Duration {
        self.ends - self.began
    }

    /// How often each fault struck.
    pub(super) fn struck(&self) -> BTreeMap<(&'static str, &'static str), u32> {
        self.struck.lock().unwrap().clone()
    }

    /// Lets the lane's faults strike, each once in random order before any comes again, until the end.
    pub(super) fn run(&self, lane: Lane<'_>) {
        // Each lane draws from numbers of its own, whatever the others do.
        let salt = lane.name.bytes().fold(0_u64, |salt, byte| salt.wrapping_mul(31).wrapping_add(byte.into()));
        let mut rng = Rng::with_seed(self.seed ^ salt);
        let mut deck: Vec<usize> = Vec::new();
        while self.pause(&mut rng) {
            if deck.is_empty() {
                deck = (0..lane.faults.len()).collect();
                rng.shuffle(&mut deck);
            }
            let Some((what, fault)) = deck.pop().map(|number| &lane.faults[number]) else { return };
            let began = self.began.elapsed().as_secs_f64();
            fault(&mut rng);
            let lasted = self.began.elapsed().as_secs_f64() - began;
            eprintln!("{began:7.1} s  {:9} {what}, {lasted:.1} s", lane.name);
            *self.struck.lock().unwrap().entry((lane.name, what)).or_default() += 1;
        }
    }

    /// A pause between two faults, which is itself random. Whether the storm goes on after it.
    fn pause(&self, rng: &mut Rng) -> bool {
        thread::sleep(Duration::from_millis(rng.u64(500..6000)));
        Instant::now() < self.ends
    }
}
