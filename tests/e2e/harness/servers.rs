//! Kafka (as [`Lane`] says) and PostgreSQL: one set that all tests share, and sets of their own for tests that treat them
//! badly.

use std::ops::Deref;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use isitup_dev::{Addresses, Stack, StackOptions};
use postgres::Config;

use super::lane::Lane;
use super::{binaries, secured};

/// How many tests may have servers of their own at one time: each set takes half a gigabyte and some CPU to start.
const MOST_OWN: usize = 2;

/// The servers that tests share. They end with this process.
pub(crate) fn shared_servers() -> &'static Stack {
    static SHARED: OnceLock<Stack> = OnceLock::new();
    SHARED.get_or_init(|| start(&["kafka", "postgres"], Lane::current().options()))
}

/// A Kafka 4 with secured listeners, which tests share whatever the lane.
pub(crate) fn secured_kafka() -> &'static Stack {
    static SECURED: OnceLock<Stack> = OnceLock::new();
    if Lane::current().options().is_secured {
        return shared_servers();
    }
    SECURED.get_or_init(|| start(&["kafka"], Lane::Mtls.options()))
}

/// Servers for one test, to be killed, stopped and started as it likes.
pub(crate) struct OwnServers {
    stack: Stack,
    _turn: Turn,
}

impl OwnServers {
    /// Waits for its turn and starts them.
    pub(crate) fn start() -> Self {
        let turn = Turn::take();
        Self { stack: start(&["kafka", "postgres"], Lane::current().options()), _turn: turn }
    }

    /// So many brokers, and no database: for [`Pipeline::with_kafka_of`](super::Pipeline::with_kafka_of).
    pub(crate) fn brokers(brokers: usize) -> Self {
        Self::kafka(StackOptions { brokers, ..Lane::current().options() })
    }

    /// One broker, whose disk can be filled up, and no database.
    pub(crate) fn broker_on_small_disk() -> Self {
        Self::kafka(StackOptions { has_small_disk: true, ..Lane::current().options() })
    }

    fn kafka(options: StackOptions) -> Self {
        let turn = Turn::take();
        Self { stack: start(&["kafka"], options), _turn: turn }
    }

    /// So many brokers, and a database.
    pub(crate) fn brokers_and_database(brokers: usize) -> Self {
        let turn = Turn::take();
        let options = StackOptions { brokers, ..Lane::current().options() };
        Self { stack: start(&["kafka", "postgres"], options), _turn: turn }
    }
}

impl Deref for OwnServers {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

fn start(only: &[&str], options: StackOptions) -> Stack {
    let only = only.iter().map(|part| (*part).to_owned()).collect();
    let program = binaries::fresh("isitup-dev");
    // Without fsync the database loses nothing as long as the machine runs, and no test stops the machine.
    let stack =
        Stack::start_with(&program, &StackOptions { only, no_fsync: true, postgres_tls: true, ..options }).unwrap();
    let Addresses { postgres_url, postgres_tls, .. } = stack.addresses();
    if let (Some(url), Some(folder)) = (postgres_url, postgres_tls) {
        secured::note(url.parse::<Config>().unwrap().get_ports()[0], folder);
    }
    stack
}

static OWN_RUNNING: Mutex<usize> = Mutex::new(0);
static TURN_ENDED: Condvar = Condvar::new();

/// The right to run servers of one's own.
struct Turn;

impl Turn {
    fn take() -> Self {
        let running = OWN_RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running = TURN_ENDED.wait_while(running, |running| *running >= MOST_OWN).unwrap();
        *running += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *OWN_RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        TURN_ENDED.notify_one();
    }
}
