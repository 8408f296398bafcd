//! kill -9 at random of a producer and two consumers.

use std::env;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::harness::{Pipeline, Service, site};

#[test]
fn a_producer_and_two_consumers_killed_at_random_lose_and_double_nothing() {
    kill_at_random("killed_some", 20);
}

/// `ISITUP_TEST_KILLS` kills, else some hundreds.
#[test]
#[ignore = "long: make test-faults runs it"]
fn a_producer_and_two_consumers_killed_at_random_hundreds_of_times_lose_and_double_nothing() {
    let kills = env::var("ISITUP_TEST_KILLS").map_or(400, |text| text.parse().expect("ISITUP_TEST_KILLS is a number"));
    kill_at_random("killed_often", kills);
}

fn kill_at_random(name: &str, kills: u32) {
    let mut dice = Dice::seeded();
    let site = site::well("hello");
    let pipeline = Pipeline::new(name).busy_with(&site).lease(Duration::from_secs(2));
    let start = |victim: usize| if victim == 0 { pipeline.producer() } else { pipeline.consumer() };
    let mut services: Vec<Service> = (0..3).map(start).collect();
    for kill in 0..kills {
        // Sleeping is the test here: it decides where in its work the process dies.
        thread::sleep(Duration::from_millis(dice.roll(400)));
        let victim = dice.roll(3) as usize;
        services.remove(victim).kill9();
        services.insert(victim, start(victim));
        if kill % 8 == 7 {
            pipeline.wait_for_more_rows(100);
        }
    }
    pipeline.wait_for_more_rows(300);
    pipeline.prove(services.remove(0));
}

/// Numbers by chance (xorshift64), the same ones again for the same seed.
struct Dice(u64);

impl Dice {
    /// From `ISITUP_TEST_SEED`, else by the clock; says which, for the next run.
    fn seeded() -> Self {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = env::var("ISITUP_TEST_SEED").map_or_else(|_| clock(), |text| text.parse().expect("a number"));
        eprintln!("ISITUP_TEST_SEED={seed}");
        Self(seed.max(1))
    }

    /// A number below `end`.
    fn roll(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
