//! Tells the ways to fail apart.
//!
//! The kind follows from how far the hop got and from the types of the causes; only the wording of a `protocol` failure
//! looks at the words of the HTTP library, which exports no types for them.

use std::error::Error;
use std::fmt;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::time::Duration;

use isitup_shared::event::{Failure, FailureKind};
use reqwest::Url;

use super::body::Unread;
use super::certificate::Certificate;
use super::hop::{Phase, Reached};
use super::resolver::LookupError;
use super::visit::literal;
use super::words;

mod protocol;
mod tls;

/// The hop that failed.
pub(super) struct Step<'a> {
    pub(super) url: &'a Url,
    pub(super) reached: &'a Reached,
    /// Of the whole check.
    pub(super) timeout: Duration,
}

impl Step<'_> {
    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    fn peer(&self) -> Peer<'_> {
        let port = self.url.port_or_known_default().unwrap_or_default();
        Peer { host: self.host(), port, addresses: &self.reached.addresses }
    }
}

/// Who should be at the other end.
pub(super) struct Peer<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    /// What the host was found to stand for.
    pub(super) addresses: &'a [SocketAddr],
}

/// The host with its port, and what it stands for where that is not the same.
impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)?;
        let addresses: Vec<String> = self.addresses.iter().map(|address| address.ip().to_string()).collect();
        if addresses.is_empty() { Ok(()) } else { write!(f, " ({})", words::short(&addresses.join(", "))) }
    }
}

/// The addresses, with port, that `url` stood for.
pub(super) fn addresses(url: &Url, reached: &Reached) -> Vec<SocketAddr> {
    let port = url.port_or_known_default().unwrap_or_default();
    match literal(url) {
        Some(address) => vec![(address, port).into()],
        None => reached.addresses.iter().map(|address| (address.ip(), port).into()).collect(),
    }
}

/// Why a request got no answer.
pub(super) fn of_request(
    error: &reqwest::Error,
    step: &Step<'_>,
    certificate: Option<Certificate>,
    is_redirected: bool,
) -> Failure {
    let kind_of_url = if is_redirected { FailureKind::Redirect } else { FailureKind::InvalidUrl };
    let (kind, detail) = if error.is_builder() {
        (kind_of_url, format!("{} cannot be requested", words::short(step.url.as_str())))
    } else if error.is_timeout() && !is_refused_by_system(error, step) {
        timed_out(step.reached, &step.peer(), step.timeout)
    } else if let Some(LookupError::Denied(detail)) = cause::<LookupError>(error) {
        (kind_of_url, detail.clone())
    } else {
        match step.reached.phase() {
            Phase::Waiting | Phase::Dns => not_resolved(error, step),
            Phase::Connect => not_connected(error, step),
            Phase::Tls => (FailureKind::Tls, tls::detail(error, step.host(), certificate)),
            // A client certificate that is asked for and not there is told only after the handshake.
            Phase::FirstByte if step.is_tls() && cause::<rustls::Error>(error).is_some() => {
                (FailureKind::Tls, tls::detail(error, step.host(), certificate))
            }
            Phase::FirstByte => (FailureKind::Protocol, protocol::of_head(error)),
        }
    };
    Failure { kind, detail }
}

/// Why a body was not read to its end.
pub(super) fn of_body(unread: &Unread, most: u64, timeout: Duration) -> Failure {
    let (kind, detail) = match unread {
        Unread::TooLarge => (FailureKind::BodyTooLarge, format!("the body is larger than {}", words::size(most))),
        Unread::Broken(error) if !is_timeout(error) => (FailureKind::Protocol, protocol::of_body(error)),
        Unread::Late | Unread::Broken(_) => {
            (FailureKind::Timeout, format!("the body did not end within {}", words::duration(timeout)))
        }
    };
    Failure { kind, detail }
}

/// The deadline, `timeout` after the begin, passed before `peer` had answered.
pub(super) fn timed_out(reached: &Reached, peer: &Peer<'_>, timeout: Duration) -> (FailureKind, String) {
    let (within, host) = (words::duration(timeout), peer.host);
    match reached.phase() {
        Phase::Waiting => (FailureKind::Timeout, format!("this machine was too busy to connect within {within}")),
        Phase::Dns if reached.is_looked_up => {
            (FailureKind::Dns, format!("the name servers gave no answer for {host} within {within}"))
        }
        Phase::Dns => (FailureKind::Dns, format!("resolver busy: {host} was not looked up within {within}")),
        Phase::Connect => (FailureKind::ConnectTimeout, format!("no connection to {peer} within {within}")),
        Phase::Tls => (FailureKind::Timeout, format!("the TLS handshake did not end within {within}")),
        Phase::FirstByte => (FailureKind::Timeout, format!("no answer within {within}")),
    }
}

fn not_resolved(error: &reqwest::Error, step: &Step<'_>) -> (FailureKind, String) {
    match cause::<LookupError>(error) {
        Some(error) => (FailureKind::Dns, words::short(&error.to_string())),
        None => (FailureKind::Dns, format!("{} cannot be resolved", step.host())),
    }
}

fn not_connected(error: &reqwest::Error, step: &Step<'_>) -> (FailureKind, String) {
    match cause::<io::Error>(error) {
        Some(cause) => unconnected(cause, &step.peer()),
        // Where the connector never had an address to connect to, the host was not one that TLS can name.
        None => (FailureKind::InvalidUrl, format!("{} is no host that can be connected to", step.host())),
    }
}

/// Why the system made no connection to `address`.
pub(super) fn unconnected(cause: &io::Error, address: &Peer<'_>) -> (FailureKind, String) {
    let detail = match cause.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {address}"),
        io::ErrorKind::TimedOut => {
            return (FailureKind::ConnectTimeout, format!("no connection to {address}: the system gave up"));
        }
        io::ErrorKind::HostUnreachable => format!("no route to {address}"),
        io::ErrorKind::NetworkUnreachable => format!("no network to {address}"),
        io::ErrorKind::ConnectionReset => format!("connection reset by {address}"),
        io::ErrorKind::PermissionDenied => format!("this machine may not connect to {address}"),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => {
            format!("this machine has no free port to connect to {address}")
        }
        _ if cause.raw_os_error() == Some(EMFILE) => {
            format!("this machine has no free file descriptor to connect to {address}: raise its limit (ulimit -n)")
        }
        _ => format!("no connection to {address}: {cause}"),
    };
    (FailureKind::ConnectRefused, detail)
}

/// Why a TLS handshake with `host`, which presented `certificate`, failed.
pub(super) fn of_handshake(error: &io::Error, host: &str, certificate: Option<Certificate>) -> Failure {
    Failure { kind: FailureKind::Tls, detail: tls::detail(error, host, certificate) }
}

/// Why a connection broke off at the time `when`, such as "within the body".
pub(super) fn of_connection(error: &io::Error, when: &str) -> Failure {
    let detail = protocol::of_socket(error, when).unwrap_or_else(|| format!("the connection broke off {when}"));
    Failure { kind: FailureKind::Protocol, detail }
}

/// Too many open files, on all Unix systems.
const EMFILE: i32 = 24;

/// Whether it was the system that gave up connecting, and not our deadline.
fn is_refused_by_system(error: &reqwest::Error, step: &Step<'_>) -> bool {
    step.reached.phase() == Phase::Connect
        && cause::<io::Error>(error).is_some_and(|cause| cause.raw_os_error().is_some())
}

fn is_timeout(error: &io::Error) -> bool {
    causes(error).any(|cause| cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout))
}

/// The deepest cause of type `E`.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).filter_map(|cause| cause.downcast_ref::<E>()).last()
}

/// `error` and all that caused it. An I/O error that wraps another is no cause of it by itself, as `source` has it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => {
            let wrapped: &(dyn Error + 'static) = wrapped;
            Some(wrapped)
        }
        None => error.source(),
    })
}
