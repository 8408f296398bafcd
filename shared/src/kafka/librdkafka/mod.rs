//! The seam over librdkafka: Kafka 3 and 4, TLS and SASL. The library reconnects, retries and finds leaders by itself;
//! what it knows of troubles it tells by events, which [`context`] keeps and [`trouble`] puts into words. Delivery
//! reports are the only proof of a delivery, and the reading side holds explicit offsets: no group is ever joined.

mod context;
mod diagnosis;
mod receiver;
mod sender;
mod settings;
mod topics;
mod trouble;

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

pub(super) use self::receiver::LibrdkafkaReceiver;
pub(super) use self::sender::LibrdkafkaSender;
use super::KafkaError;

/// The longest a call may take.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// The longest that a question about the topic may take.
const ASK_LIMIT: Duration = Duration::from_secs(7);
/// The longest that the end of clients is waited for.
const END_LIMIT: Duration = Duration::from_secs(1);

/// How long a client may get no answer about the topic until a new one is tried.
const SICK_LIMIT: Duration = Duration::from_secs(15);

/// Since when a client gets no answer. The library reconnects by itself; but where a broker was frozen for a while, a client
/// was seen to stay without an answer for good although the broker was well again, so none is trusted for ever.
#[derive(Debug, Default)]
struct Sickness(Option<Instant>);

impl Sickness {
    /// Whether the client is to be given up after `answer`.
    fn is_hopeless<T>(&mut self, answer: &Result<T, KafkaError>) -> bool {
        match answer {
            Ok(_) | Err(KafkaError::NoTopic { .. }) => self.0 = None,
            // It may have been set right meanwhile, in a file that only a new client reads.
            Err(KafkaError::Setup(_)) => {
                self.0 = None;
                return true;
            }
            Err(_) if self.0.get_or_insert_with(Instant::now).elapsed() >= SICK_LIMIT => {
                self.0 = None;
                return true;
            }
            Err(_) => {}
        }
        false
    }
}

/// Clients that were let go of. The end of one waits for the library's threads, and one of them may wait for a name
/// server; so each ends in a thread of its own.
#[derive(Debug, Default)]
struct Ending(Vec<Receiver<()>>);

impl Ending {
    fn begin<T: Send + 'static>(&mut self, client: T) {
        let (end, ended) = channel();
        // Without a thread for it, it ends here and now.
        let _ = thread::Builder::new().name("kafka-end".to_owned()).spawn(move || {
            drop(client);
            drop(end);
        });
        self.0.retain(|ended| ended.try_recv() == Err(TryRecvError::Empty));
        self.0.push(ended);
    }

    /// Waits a while for all of them: a process that ends under the library's threads may crash in its last moment.
    fn wait(&mut self) {
        let until = Instant::now() + END_LIMIT;
        for ended in self.0.drain(..) {
            let _ = ended.recv_timeout(until.saturating_duration_since(Instant::now()));
        }
    }
}
