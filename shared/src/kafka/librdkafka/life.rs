//! The life of a client: made when it is first needed; given up when it is dead, gets no answers, or others are the
//! certificates on disk, which it reads but once.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::super::KafkaError;
use super::context::Context;
use super::settings::{Files, Settings};

/// How long a client may get no answer about the topic until a new one is tried. The library reconnects by itself; but where a
/// broker was frozen for a while, a client was seen to stay without an answer for good although the broker was well again.
const SICK_LIMIT: Duration = Duration::from_secs(15);
/// The longest that the end of clients is waited for.
const END_LIMIT: Duration = Duration::from_secs(1);

/// The client there is, if any, and what is counted over all that there were.
#[derive(Debug)]
pub(super) struct Life<C> {
    alive: Option<Alive<C>>,
    made: u64,
    /// Connections lost by clients that ended.
    lost: u64,
    /// Since when the client gets no answer.
    sick_since: Option<Instant>,
    ending: Ending,
}

/// A client, since when, where its threads leave word, and the files that it read.
#[derive(Debug)]
pub(super) struct Alive<C> {
    pub(super) client: Arc<C>,
    pub(super) context: Context,
    since: Instant,
    files: Files,
}

impl<C> Life<C> {
    /// There is no client yet.
    pub(super) const fn new() -> Self {
        Self { alive: None, made: 0, lost: 0, sick_since: None, ending: Ending(Vec::new()) }
    }

    pub(super) fn alive(&self) -> Option<&Alive<C>> {
        self.alive.as_ref()
    }

    /// The client there is, or one made by `make` with a context of its own.
    pub(super) fn ensure(
        &mut self,
        settings: &Settings,
        make: impl FnOnce(Context) -> Result<C, KafkaError>,
    ) -> Result<&Alive<C>, KafkaError> {
        let alive = match self.alive.take() {
            Some(alive) => alive,
            None => {
                let (files, context) = (settings.files(), Context::new(settings));
                let client = Arc::new(make(context.clone())?);
                self.made += 1;
                Alive { client, context, since: Instant::now(), files }
            }
        };
        Ok(self.alive.insert(alive))
    }

    /// What is the matter with the connections of the client, if something is.
    pub(super) fn trouble(&self) -> Option<KafkaError> {
        self.alive.as_ref().and_then(|alive| alive.context.trouble())
    }

    /// Whether the library says that the client is of no more use.
    pub(super) fn is_dead(&self) -> bool {
        self.alive.as_ref().is_some_and(|alive| alive.context.is_dead())
    }

    /// How long the client has been there.
    pub(super) fn age(&self) -> Option<Duration> {
        self.alive.as_ref().map(|alive| alive.since.elapsed())
    }

    /// Whether other certificates are on disk than the client read. To be asked now and then, not for each record.
    pub(super) fn is_outdated(&self, settings: &Settings) -> bool {
        self.alive.as_ref().is_some_and(|alive| alive.files != settings.files())
    }

    /// Whether the client is to be given up after `answer` about the topic.
    pub(super) fn is_hopeless<T>(&mut self, answer: &Result<T, KafkaError>) -> bool {
        match answer {
            Ok(_) | Err(KafkaError::NoTopic { .. }) => {
                self.sick_since = None;
                false
            }
            // It may have been set right meanwhile, in a file that only a new client reads.
            Err(KafkaError::Setup(_)) => true,
            Err(_) => self.sick_since.get_or_insert_with(Instant::now).elapsed() >= SICK_LIMIT,
        }
    }

    /// How often a connection was made, by all clients.
    pub(super) fn connects(&self) -> u64 {
        self.made + self.lost + self.alive.as_ref().map_or(0, |alive| alive.context.lost())
    }
}

impl<C: Send + Sync + 'static> Life<C> {
    /// Gives the client up.
    pub(super) fn end(&mut self) {
        self.sick_since = None;
        if let Some(alive) = self.alive.take() {
            self.lost += alive.context.lost();
            self.ending.begin(alive.client);
        }
    }

    /// Gives the client up, and waits a while for this and all ends before it.
    pub(super) fn end_and_wait(&mut self) {
        self.end();
        self.ending.wait();
    }
}

/// Clients that were let go of. The end of one waits for the library's threads, and one of them may wait for a name
/// server; so each ends in a thread of its own.
#[derive(Debug)]
struct Ending(Vec<Receiver<()>>);

impl Ending {
    fn begin<C: Send + 'static>(&mut self, client: C) {
        let (end, ended) = channel();
        // Without a thread for it, it ends here and now.
        let _ = thread::Builder::new().name("kafka-end".to_owned()).spawn(move || {
            drop(client);
            drop(end);
        });
        self.0.retain(|ended| ended.try_recv() == Err(TryRecvError::Empty));
        self.0.push(ended);
    }

    /// A process that ends under the library's threads may crash in its last moment.
    fn wait(&mut self) {
        let until = Instant::now() + END_LIMIT;
        for ended in self.0.drain(..) {
            let _ = ended.recv_timeout(until.saturating_duration_since(Instant::now()));
        }
    }
}
