//! TLS to PostgreSQL, as `postgres.tls` has it.

mod trust;
mod words;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use isitup_shared::config::{PostgresTls, TlsMode};
use postgres::Socket;
use postgres::tls::{MakeTlsConnect, TlsConnect};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::pulse::{Came, Pulse};

/// A stream over TLS.
pub(super) type Encrypted = <MakeRustlsConnect as MakeTlsConnect<Pulse>>::Stream;

/// By this a client asks for TLS: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What a server that begins with TLS is told: <https://www.postgresql.org/docs/current/protocol-flow.html>.
const PROTOCOL: &[u8] = b"postgresql";

/// TLS is configured, or spoken, in a way that does not work. The text is for people, whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct TlsFailure(pub(super) String);

impl From<TlsFailure> for io::Error {
    fn from(failure: TlsFailure) -> Self {
        Self::other(failure)
    }
}

/// How connections are encrypted; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    settings: Arc<PostgresTls>,
    /// Begins with the handshake, without asking (`sslnegotiation=direct`).
    is_direct: bool,
    /// The system's authorities, read once.
    system: Arc<OnceLock<RootCertStore>>,
}

impl Tls {
    pub(super) fn new(settings: PostgresTls, is_direct: bool) -> Self {
        Self { settings: Arc::new(settings), is_direct, system: Arc::default() }
    }

    /// Whether connections are encrypted at all.
    pub(super) fn is_wanted(&self) -> bool {
        self.settings.mode != TlsMode::Disable
    }

    /// Asks the server at the other end of `socket` for TLS and shakes hands with it as with `host`.
    ///
    /// # Errors
    /// A [`TlsFailure`] where it is TLS that does not work.
    pub(super) async fn begin(&self, mut socket: Pulse, host: &str) -> io::Result<Encrypted> {
        // Each file is read for each connection, so that one that was replaced is taken up; and before anything is sent.
        let config = self.client_config()?;
        if !self.is_direct {
            self.ask(&mut socket).await?;
        }
        let Ok(connector) = MakeTlsConnect::<Pulse>::make_tls_connect(&mut MakeRustlsConnect::new(config), host);
        connector.connect(socket).await.map_err(|error| self.explained(error, host))
    }

    async fn ask(&self, socket: &mut Pulse) -> io::Result<()> {
        socket.write_all(&TLS_REQUEST).await?;
        let mut answer = [0];
        socket.read_exact(&mut answer).await?;
        match answer {
            [b'S'] => Ok(()),
            _ => Err(TlsFailure(words::no_tls(&self.settings)).into()),
        }
    }

    /// The same error in words for people, where it is one of TLS.
    pub(super) fn explained(&self, error: io::Error, host: &str) -> io::Error {
        words::explain(&error, host, &self.settings).map_or(error, |text| TlsFailure(text).into())
    }

    fn client_config(&self) -> Result<ClientConfig, TlsFailure> {
        let failed = |error: &dyn std::fmt::Display| TlsFailure(error.to_string());
        let provider = Arc::new(ring::default_provider());
        let verifier =
            trust::Verifier::new(&self.settings, &provider, || self.system.get_or_init(trust::system).clone())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let identity = self.settings.files.read_identity().map_err(|problem| failed(&problem))?;
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(own) => builder.with_client_auth_cert(own.chain, own.key).map_err(|error| failed(&error))?,
        };
        if self.is_direct {
            config.alpn_protocols = vec![PROTOCOL.to_vec()];
        }
        Ok(config)
    }
}

/// A connection's bytes, encrypted or not.
pub(super) enum Line {
    /// As they are.
    Plain(Pulse),
    /// Encrypted; with what explains errors that come later, and whom we speak to. By TLS 1.3 a server refuses a client's
    /// certificate after the handshake.
    Encrypted(Box<Encrypted>, Tls, String),
}

impl Line {
    pub(super) async fn over(socket: Socket, came: Came, tls: Tls, host: String) -> io::Result<Self> {
        let socket = Pulse::new(socket, came);
        if !tls.is_wanted() {
            return Ok(Self::Plain(socket));
        }
        let stream = tls.begin(socket, &host).await?;
        Ok(Self::Encrypted(Box::new(stream), tls, host))
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, into),
            Self::Encrypted(stream, tls, host) => {
                let read = Pin::new(stream.as_mut()).poll_read(cx, into);
                read.map_err(|error| tls.explained(error, host))
            }
        }
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Encrypted(stream, ..) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Encrypted(stream, ..) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Encrypted(stream, ..) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
