//! Tells the ways to fail apart.
//!
//! The kind follows from how far the hop got and from the types of the causes; only the wording of a `protocol` failure
//! looks at the words of the HTTP library, which exports no types for them.

use std::error::Error;
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

    /// The host with its port, and what it stands for where that is not the same.
    fn address(&self) -> String {
        let port = self.url.port_or_known_default().unwrap_or_default();
        let addresses: Vec<String> = self.reached.addresses.iter().map(|address| address.ip().to_string()).collect();
        match addresses.as_slice() {
            [] => format!("{}:{port}", self.host()),
            few => format!("{}:{port} ({})", self.host(), words::short(&few.join(", "))),
        }
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
    certificate: Option<&Certificate>,
    is_redirected: bool,
) -> Failure {
    let (kind, detail) = if error.is_builder() {
        let kind = if is_redirected { FailureKind::Redirect } else { FailureKind::InvalidUrl };
        (kind, format!("{} cannot be requested", words::short(step.url.as_str())))
    } else if error.is_timeout() && !is_refused_by_system(error, step) {
        timed_out(step)
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

fn timed_out(step: &Step<'_>) -> (FailureKind, String) {
    let within = words::duration(step.timeout);
    match step.reached.phase() {
        Phase::Waiting => (FailureKind::Timeout, format!("this machine was too busy to connect within {within}")),
        Phase::Dns if step.reached.is_looked_up => {
            (FailureKind::Dns, format!("the name servers gave no answer for {} within {within}", step.host()))
        }
        Phase::Dns => (FailureKind::Dns, format!("resolver busy: {} was not looked up within {within}", step.host())),
        Phase::Connect => (FailureKind::ConnectTimeout, format!("no connection to {} within {within}", step.address())),
        Phase::Tls => (FailureKind::Timeout, format!("the TLS handshake did not end within {within}")),
        Phase::FirstByte => (FailureKind::Timeout, format!("no answer within {within}")),
    }
}

fn not_resolved(error: &reqwest::Error, step: &Step<'_>) -> (FailureKind, String) {
    match cause::<LookupError>(error) {
        Some(LookupError(detail)) => (FailureKind::Dns, words::short(detail)),
        None => (FailureKind::Dns, format!("{} cannot be resolved", step.host())),
    }
}

fn not_connected(error: &reqwest::Error, step: &Step<'_>) -> (FailureKind, String) {
    let address = step.address();
    // Where the connector never had an address to connect to, the host was not one that TLS can name.
    let Some(cause) = cause::<io::Error>(error) else {
        return (FailureKind::InvalidUrl, format!("{} is no host that can be connected to", step.host()));
    };
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
