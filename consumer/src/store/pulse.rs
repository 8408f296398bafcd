//! A socket that tells whether bytes have come over it: below TLS, where a slow line shows that it is alive long before
//! a whole record of 16 KiB has come.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use postgres::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether bytes have come since this was asked the last time.
#[derive(Clone, Debug, Default)]
pub(super) struct Came(Arc<AtomicBool>);

impl Came {
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// The socket.
pub(super) struct Pulse {
    socket: Socket,
    came: Came,
}

impl Pulse {
    pub(super) fn new(socket: Socket, came: Came) -> Self {
        Self { socket, came }
    }
}

impl AsyncRead for Pulse {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, into);
        if into.filled().len() > before {
            self.came.0.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Pulse {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
