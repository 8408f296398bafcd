//! Connections that wait for an answer only so long.
//!
//! PostgreSQL's own time-outs end a statement that runs too long, and TCP's end a connection whose packets get lost. But
//! where something between acknowledges what it never delivers (a hung pooler or balancer, a frozen server), neither
//! does anything, and the driver would wait for ever, also while it connects. So each connection watches the answers
//! that it is owed. It does so below the driver, in the place where TLS would be; and above TLS, where there is some, as
//! answers are seen only there.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use postgres::Socket;
use postgres::config::{Config, Host, SslMode, SslNegotiation};
use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::owed::Owed;
use super::pulse::Came;
use super::tls::{Line, Tls};

/// How long a connection waits without a byte of an answer that it is owed; may be changed while it lives.
#[derive(Clone, Debug)]
pub(super) struct AnswerLimit(Arc<AtomicU64>);

impl AnswerLimit {
    pub(super) fn new(limit: Duration) -> Self {
        let this = Self(Arc::default());
        this.set(limit);
        this
    }

    pub(super) fn set(&self, limit: Duration) {
        self.0.store(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Wraps the driver's streams.
#[derive(Clone)]
pub(super) struct Watch {
    limit: AnswerLimit,
    tls: Tls,
    /// Whether the other end closes the connection, and not we.
    lingers: bool,
}

impl Watch {
    /// A watch for connections by `config`, which is changed so that the driver gives it the stream at once. A Unix
    /// socket leads to no network and stays unwatched, and in plaintext.
    pub(super) fn for_config(config: &mut Config, limit: AnswerLimit, tls: Tls) -> Self {
        if config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_))) {
            config.ssl_mode(SslMode::Disable);
        } else {
            config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
        }
        Self { limit, tls, lingers: false }
    }

    /// The same with another limit.
    pub(super) fn with(&self, limit: AnswerLimit) -> Self {
        Self { limit, ..self.clone() }
    }

    /// The same for requests to cancel a statement: a pooler forgets one whose connection ends before it was passed on.
    pub(super) fn for_cancelling(&self, limit: AnswerLimit) -> Self {
        Self { lingers: true, ..self.with(limit) }
    }
}

impl MakeTlsConnect<Socket> for Watch {
    type Stream = Watched;
    type TlsConnect = WatchOf;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<WatchOf> {
        Ok(WatchOf { watch: self.clone(), host: host.to_owned() })
    }
}

/// A watch for a connection to one host.
pub(super) struct WatchOf {
    watch: Watch,
    host: String,
}

impl TlsConnect<Socket> for WatchOf {
    type Stream = Watched;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Watched>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        let Self { watch: Watch { limit, tls, lingers }, host } = self;
        Box::pin(async move {
            let came = Came::default();
            let line = timeout(limit.get(), Line::over(socket, came.clone(), tls, host));
            let line = line.await.unwrap_or_else(|_| Err(given_up(limit.get())))?;
            let until = Box::pin(sleep_until(Instant::now() + limit.get()));
            Ok(Watched { line, limit, came, owed: Owed::new(), is_stuck: false, until, lingers })
        })
    }
}

fn given_up(limit: Duration) -> io::Error {
    let reason = format!("no answer within {} s, the connection is given up", limit.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, reason)
}

/// A stream that fails when an answer does not come.
pub(super) struct Watched {
    line: Line,
    limit: AnswerLimit,
    /// Whether bytes have come, be they a part of a record of TLS.
    came: Came,
    owed: Owed,
    /// The last bytes could not be sent yet.
    is_stuck: bool,
    /// When waiting ends, while there is something to wait for.
    until: Pin<Box<Sleep>>,
    lingers: bool,
}

impl Watched {
    /// Bytes have passed: the wait begins anew.
    fn moved(&mut self) {
        self.until.as_mut().reset(Instant::now() + self.limit.get());
    }

    /// Nothing whole passes just now: how long still?
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.came.take() {
            self.moved();
        }
        if !(self.owed.is_any() || self.is_stuck) || self.until.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Err(given_up(self.limit.get())))
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = into.filled().len();
        let Poll::Ready(read) = this.line.poll_read(cx, into) else { return this.wait(cx) };
        this.owed.received(into.filled().get(before..).unwrap_or_default());
        this.moved();
        Poll::Ready(read)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let Poll::Ready(written) = this.line.poll_write(cx, bytes) else {
            if !std::mem::replace(&mut this.is_stuck, true) && !this.owed.is_any() {
                this.moved();
            }
            return this.wait(cx);
        };
        this.is_stuck = false;
        this.owed.sent(bytes.get(..*written.as_ref().unwrap_or(&0)).unwrap_or_default());
        this.moved();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut rest = [0; 64];
        // Until the other end has closed it, or failed.
        while this.lingers && this.until.as_mut().poll(cx).is_pending() {
            let mut into = ReadBuf::new(&mut rest);
            match this.line.poll_read(cx, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() => {}
                Poll::Ready(_) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        self.line.poll_shutdown(cx)
    }
}

impl TlsStream for Watched {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.line {
            Line::Plain(_) => ChannelBinding::none(),
            Line::Encrypted(stream, ..) => stream.channel_binding(),
        }
    }
}
