//! Serves the health port, and bounds what its callers may hold: connections, memory and time.
//!
//! Whoever can connect here shares the descriptors of the checks. So there is a most of connections; one more closes the one
//! that deserves it least, so that a probe gets its answer while a thousand others say nothing.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

/// Connections at one time.
const MOST_CONNECTIONS: usize = 64;
/// How long the head of a request may take, counted from the connection or from the first byte after an answer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept after a request; its answer must be taken within that time too.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the caller may take no bytes of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that asked for nothing yet is closed for another one only after this time, while others are idle.
const FRESH: Duration = Duration::from_secs(1);
/// How often a connection's deadline is read again, as it may have moved.
const TICK: Duration = Duration::from_secs(1);
/// The pause after an error that the next accept would meet again, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The largest head of a request, in bytes.
const MOST_HEAD: usize = 16 << 10;

/// Serves `routes` on `listener`. Never ends.
pub(super) async fn serve(listener: TcpListener, routes: Router) {
    let mut connections = Connections::default();
    let mut is_failing = false;
    loop {
        tokio::select! {
            Some(ended) = connections.tasks.join_next_with_id(), if !connections.tasks.is_empty() => {
                connections.forget(ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    is_failing = false;
                    connections.add(stream, routes.clone()).await;
                }
                // The caller went away before it was accepted.
                Err(error) if is_of_caller(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        log::warn!("the health port cannot accept connections: {error}; trying again");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn is_of_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// The open connections.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: HashMap<Id, (AbortHandle, Arc<Activity>)>,
}

impl Connections {
    /// Serves `stream`; closes another connection for it where there are too many.
    async fn add(&mut self, stream: TcpStream, routes: Router) {
        while self.tasks.len() >= MOST_CONNECTIONS {
            let now = Instant::now();
            let least = self.open.values().min_by_key(|(_, activity)| activity.state().rank(now));
            if let Some((task, _)) = least {
                task.abort();
            }
            // Until a task has ended, its descriptor is open.
            if let Some(ended) = self.tasks.join_next_with_id().await {
                self.forget(ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
        }
        let activity = Arc::new(Activity::new());
        let task = self.tasks.spawn(run(stream, routes, Arc::clone(&activity)));
        self.open.insert(task.id(), (task, activity));
    }

    fn forget(&mut self, task: Id) {
        self.open.remove(&task);
    }
}

/// Serves one connection to its end or its deadline.
async fn run(stream: TcpStream, routes: Router, activity: Arc<Activity>) {
    let routes = TowerToHyperService::new(routes);
    let asked = Arc::clone(&activity);
    let service = service_fn(move |request| {
        asked.state().enter(Phase::Answered);
        routes.call(request)
    });
    let io = TokioIo::new(Watched { stream, activity: Arc::clone(&activity) });
    let connection = http1::Builder::new().max_buf_size(MOST_HEAD).serve_connection(io, service);
    tokio::select! {
        // How a connection ends is the caller's business.
        _ = connection => {}
        () = activity.deadline_passes() => {}
    }
}

/// What a connection does.
struct Activity(Mutex<State>);

#[derive(Clone, Copy)]
struct State {
    phase: Phase,
    /// When the phase began.
    since: Instant,
    /// Since when the caller takes no bytes.
    blocked_since: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The head of a request is awaited.
    Head,
    /// A request came whole: its answer is being taken, or the connection is idle.
    Answered,
}

impl State {
    fn enter(&mut self, phase: Phase) {
        (self.phase, self.since) = (phase, Instant::now());
    }

    fn deadline(&self) -> Instant {
        let end = match self.phase {
            Phase::Head => self.since + HEAD_TIMEOUT,
            Phase::Answered => self.since + IDLE_TIMEOUT,
        };
        self.blocked_since.map_or(end, |blocked| end.min(blocked + WRITE_TIMEOUT))
    }

    /// The connection of the lowest rank is closed first: one that has been asking for a while, then an idle one, then one that
    /// just came, and last one that takes its answer; of each sort the oldest.
    fn rank(&self, now: Instant) -> (u8, Instant) {
        let sort = match self.phase {
            Phase::Head if now.duration_since(self.since) > FRESH => 0,
            Phase::Answered if self.blocked_since.is_none() => 1,
            Phase::Head => 2,
            Phase::Answered => 3,
        };
        (sort, self.since)
    }
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(State { phase: Phase::Head, since: Instant::now(), blocked_since: None }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn deadline_passes(&self) {
        loop {
            let (deadline, now) = (self.state().deadline(), Instant::now());
            if now >= deadline {
                return;
            }
            sleep_until(deadline.min(now + TICK)).await;
        }
    }

    /// Notes whether the caller takes bytes.
    fn wrote<T>(&self, written: Poll<T>) -> Poll<T> {
        let mut state = self.state();
        match written {
            Poll::Ready(_) => state.blocked_since = None,
            Poll::Pending => {
                state.blocked_since.get_or_insert_with(Instant::now);
            }
        }
        written
    }
}

/// A socket that tells what its caller does.
struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        let mut state = self.activity.state();
        if buffer.filled().len() > before && state.phase == Phase::Answered {
            state.enter(Phase::Head);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.activity.wrote(written)
    }
}
