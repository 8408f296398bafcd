//! Tells the ways to fail apart.
//!
//! The kind follows from how far the hop got and from the types of the causes; only the wording of a `protocol` failure
//! looks at the words of the HTTP library, which exports no types for them.

use std::error::Error;
use std::io;
use std::iter;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use isitup_shared::event::{Failure, FailureKind};
use reqwest::Url;

use super::body::Unread;
use super::certificate::Certificate;
use super::hop::{Phase, Reached};
use super::lookup::LookupError;
use super::via::{Via, ViaKind};
use super::words;

mod protocol;
mod proxy;
mod tls;

pub(super) use protocol::{of_garbage, of_socket};

/// The hop that failed.
pub(super) struct Step<'a> {
    pub(super) url: &'a Url,
    pub(super) reached: &'a Reached,
    /// Of the whole check.
    pub(super) timeout: Duration,
    /// The port that was connected to, where it is not the URL's.
    pub(super) port: Option<u16>,
    /// How large the body was that went with the request.
    pub(super) body_size: Option<usize>,
    /// The proxy in between.
    pub(super) via: Option<&'a Via>,
    /// Whether redirects led here.
    pub(super) is_redirected: bool,
}

impl Step<'_> {
    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The name that was looked up: behind a proxy it is that of the proxy, save where names are resolved on this side.
    fn looked_up(&self) -> &str {
        match self.via {
            Some(via) if via.kind != ViaKind::Socks => &via.host,
            _ => self.host(),
        }
    }

    /// The host with its port.
    fn target(&self) -> String {
        let port = self.port.or(self.url.port_or_known_default()).unwrap_or_default();
        format!("{}:{port}", self.host())
    }

    /// That, with what it stands for where that is not the same.
    fn address(&self) -> String {
        let addresses: Vec<String> = self.reached.addresses.iter().map(|address| address.ip().to_string()).collect();
        match addresses.as_slice() {
            [] => self.target(),
            few => format!("{} ({})", self.target(), words::short(&few.join(", "))),
        }
    }
}

/// The addresses, with port, that `url` stood for.
fn addresses(url: &Url, port: Option<u16>, reached: &Reached) -> Vec<SocketAddr> {
    let port = port.or(url.port_or_known_default()).unwrap_or_default();
    match literal(url) {
        Some(address) => vec![(address, port).into()],
        None => reached.addresses.iter().map(|address| (address.ip(), port).into()).collect(),
    }
}

/// The address that was connected to when there was no answer to tell it: known where there was but one to choose from.
pub(super) fn sole_address(url: &Url, port: Option<u16>, reached: &Reached) -> Option<SocketAddr> {
    if reached.phase() < Phase::Tls {
        return None;
    }
    match addresses(url, port, reached).as_slice() {
        [sole] => Some(*sole),
        _ => None,
    }
}

/// The address that a URL names by itself.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(_) => None,
    }
}

/// Why a request got no answer.
pub(super) fn of_request(error: &reqwest::Error, step: &Step<'_>, certificate: Option<&Certificate>) -> Failure {
    let (kind, detail) = if error.is_builder() {
        (of_address(step.is_redirected), format!("{} cannot be requested", words::short(step.url.as_str())))
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
    Failure { kind, detail: detail.into() }
}

/// The kind of failure where an address cannot be, or must not be, requested.
pub(super) fn of_address(is_redirected: bool) -> FailureKind {
    if is_redirected { FailureKind::Redirect } else { FailureKind::InvalidUrl }
}

/// Whether this machine, and not the site, is why a request got no answer.
pub(super) fn is_of_prober(error: &reqwest::Error, step: &Step<'_>) -> bool {
    if cause::<LookupError>(error).is_some_and(|error| matches!(error, LookupError::Busy(_))) {
        return true;
    }
    match step.reached.phase() {
        Phase::Waiting => error.is_timeout(),
        Phase::Dns => error.is_timeout() && !step.reached.is_looked_up,
        Phase::Connect => cause::<io::Error>(error).is_some_and(is_of_machine),
        Phase::Tls | Phase::FirstByte => false,
    }
}

/// Whether an error of a socket is this machine's own.
pub(super) fn is_of_machine(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    matches!(error.kind(), AddrNotAvailable | AddrInUse | PermissionDenied)
        || matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS | ENOMEM | ENOSPC))
}

/// Why a body was not read to its end.
pub(super) fn of_body(unread: &Unread, most: u64, timeout: Duration) -> Failure {
    let (kind, detail) = match unread {
        Unread::TooLarge => (FailureKind::BodyTooLarge, format!("the body is larger than {}", words::size(most))),
        Unread::Broken(error) if !is_timeout(error) => (FailureKind::Protocol, protocol::of_body(error)),
        Unread::NoMemory => (FailureKind::BodyTooLarge, "this machine has no memory left for the body".into()),
        Unread::Late | Unread::Broken(_) => {
            (FailureKind::Timeout, format!("the body did not end within {}", words::duration(timeout)))
        }
    };
    Failure { kind, detail: detail.into() }
}

/// Whether TLS alone misses a farewell of the server. Many close without one, and no browser minds.
pub(super) fn is_without_farewell(unread: &Unread) -> bool {
    let Unread::Broken(error) = unread else { return false };
    causes(error).any(|cause| {
        let is_end = cause.downcast_ref::<io::Error>().is_some_and(|end| end.kind() == io::ErrorKind::UnexpectedEof);
        is_end && cause.to_string().contains("close_notify")
    })
}

fn timed_out(step: &Step<'_>) -> (FailureKind, String) {
    let within = words::duration(step.timeout);
    match step.reached.phase() {
        Phase::Waiting => (FailureKind::Timeout, format!("this machine was too busy to connect within {within}")),
        Phase::Dns if step.reached.is_looked_up => {
            (FailureKind::Dns, format!("the name servers gave no answer for {} within {within}", step.looked_up()))
        }
        Phase::Dns => {
            (FailureKind::Dns, format!("resolver busy: {} was not looked up within {within}", step.looked_up()))
        }
        Phase::Connect => {
            let detail = match step.via {
                // Whether it was the proxy that did not answer, or the site, only the proxy knows.
                Some(via) => {
                    format!("no connection to {} through the proxy {} within {within}", step.target(), via.address)
                }
                None => format!("no connection to {} within {within}", step.address()),
            };
            (FailureKind::ConnectTimeout, detail)
        }
        Phase::Tls => (FailureKind::Timeout, format!("the TLS handshake did not end within {within}")),
        Phase::FirstByte => (FailureKind::Timeout, no_answer(step, &within)),
    }
}

/// Whether all of a large body was taken is not known; that there was one is worth a word.
fn no_answer(step: &Step<'_>, within: &str) -> String {
    const LARGE: usize = 64 * 1024;
    match step.body_size {
        Some(size) if size > LARGE => {
            let size = words::size(size as u64);
            format!("no answer within {within}, in which a body of {size} was to be sent")
        }
        _ => format!("no answer within {within}"),
    }
}

fn not_resolved(error: &reqwest::Error, step: &Step<'_>) -> (FailureKind, String) {
    match cause::<LookupError>(error) {
        Some(LookupError::Denied(detail)) => (of_address(step.is_redirected), words::short(detail)),
        Some(LookupError::Unresolved(detail) | LookupError::Busy(detail)) => (FailureKind::Dns, words::short(detail)),
        None => (FailureKind::Dns, format!("{} cannot be resolved", step.looked_up())),
    }
}

fn not_connected(error: &reqwest::Error, step: &Step<'_>) -> (FailureKind, String) {
    if let Some(via) = step.via {
        return proxy::not_connected(error, step, via);
    }
    // Where the connector never had an address to connect to, the host was not one that TLS can name.
    match cause::<io::Error>(error) {
        Some(cause) => of_connect(cause, &step.address()),
        None => (FailureKind::InvalidUrl, format!("{} is no host that can be connected to", step.host())),
    }
}

/// Why there is no TCP connection to `address`.
pub(super) fn of_connect(cause: &io::Error, address: &str) -> (FailureKind, String) {
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
        _ if matches!(cause.raw_os_error(), Some(EMFILE | ENFILE)) => {
            format!("this machine has no free file descriptor to connect to {address}: raise its limit (ulimit -n)")
        }
        _ => format!("no connection to {address}"),
    };
    (FailureKind::ConnectRefused, detail)
}

/// Too many open files of the process, of the system, no memory for sockets or at all, and too many sockets waited for; on Linux.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const ENOBUFS: i32 = 105;
const ENOMEM: i32 = 12;
const ENOSPC: i32 = 28;

/// Whether it was the system that gave up connecting, and not our deadline.
fn is_refused_by_system(error: &reqwest::Error, step: &Step<'_>) -> bool {
    step.reached.phase() == Phase::Connect
        && cause::<io::Error>(error).is_some_and(|cause| cause.raw_os_error().is_some())
}

/// Why a TLS handshake with `host`, which presented `certificate`, ended.
pub(super) fn of_handshake(error: &io::Error, host: &str, certificate: Option<&Certificate>) -> String {
    tls::detail(error, host, certificate)
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
