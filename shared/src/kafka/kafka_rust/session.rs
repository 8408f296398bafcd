//! One `KafkaClient` on a thread of its own. The crate waits up to 120 s for an answer, and for ever for a connection;
//! neither can be set, nor its sockets reached. So it works on a thread that can be left behind: a call that takes too
//! long is given up, and with it the client; the thread ends by itself once the crate lets go. A panic of the crate on
//! bytes it did not expect ends that thread, too, and not ours.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use kafka::client::{GroupOffsetStorage, KafkaClient};

use super::super::KafkaError;
use super::failure;

/// An idle session is not used again: brokers close idle connections after ten minutes, and the crate reconnects
/// after nine.
const IDLE_LIMIT: Duration = Duration::from_mins(4);
/// Between the crate's own tries, which only the mirroring of offsets has.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// The leader's `host:port` of each partition, by number; `None` where there is none for now.
pub(super) type Leaders = Arc<[Option<Arc<str>>]>;

type Job = Box<dyn FnOnce(&mut KafkaClient) + Send>;

/// A connected client, and what was learnt through it.
pub(super) struct Session {
    jobs: Sender<Job>,
    /// Where its metadata comes from, for messages.
    pub(super) broker: String,
    /// Brokers that answered a probe.
    pub(super) vetted: HashSet<String>,
    /// What its client has loaded.
    pub(super) leaders: HashMap<String, Leaders>,
    /// Groups whose coordinator is known to have loaded their offsets.
    pub(super) ready_groups: HashSet<String>,
    used: Instant,
}

impl Session {
    /// A client that begins with `address`, which `broker` resolved to and a probe found well.
    pub(super) fn start(broker: &str, address: SocketAddr) -> Result<Self, KafkaError> {
        let (jobs, inbox) = channel::<Job>();
        let work = move || {
            let mut client = client(address);
            for job in inbox {
                job(&mut client);
            }
        };
        thread::Builder::new()
            .name("kafka".to_owned())
            .spawn(work)
            .map_err(|error| KafkaError::Connection(format!("no thread for it: {error}")))?;
        Ok(Self {
            jobs,
            broker: broker.to_owned(),
            vetted: HashSet::from([broker.to_owned()]),
            leaders: HashMap::new(),
            ready_groups: HashSet::new(),
            used: Instant::now(),
        })
    }

    /// Whether it was used lately enough to be used again.
    pub(super) fn is_fresh(&self) -> bool {
        self.used.elapsed() < IDLE_LIMIT
    }

    /// Runs `work` on the client for at most `limit`. After any error the session is in doubt and must be dropped: a late answer would be
    /// taken for the next one's.
    pub(super) fn call<T, F>(&mut self, limit: Duration, work: F) -> Result<T, KafkaError>
    where
        T: Send + 'static,
        F: FnOnce(&mut KafkaClient) -> kafka::Result<T> + Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        let job: Job = Box::new(move |client| {
            // Nobody listens any more when the call was given up.
            let _ = answer.send(work(client));
        });
        let ended = || KafkaError::Connection("the client stumbled over what the broker sent".to_owned());
        self.jobs.send(job).map_err(|_| ended())?;
        let result = match answered.recv_timeout(limit) {
            Ok(result) => result.map_err(|error| failure::of_call(&error)),
            Err(RecvTimeoutError::Timeout) => Err(KafkaError::NoAnswer { seconds: limit.as_secs() }),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        };
        self.used = Instant::now();
        result
    }
}

fn client(address: SocketAddr) -> KafkaClient {
    let mut client = KafkaClient::new(vec![address.to_string()]);
    client.set_client_id("isitup".to_owned());
    client.set_fetch_min_bytes(1);
    client.set_group_offset_storage(Some(GroupOffsetStorage::Kafka));
    client.set_retry_backoff_time(RETRY_PAUSE);
    client
}
