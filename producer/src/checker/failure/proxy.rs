//! What went wrong between this machine and a proxy, or between the proxy and the site, in words for people.
//!
//! The HTTP library exports no types for it, and for SOCKS not even the cause; so its words are looked for, in all
//! causes but its outermost errors, which hold the URL.

use std::error::Error;
use std::io;

use isitup_shared::event::FailureKind;

use super::super::via::{Via, ViaKind};
use super::{Step, cause, causes, of_connect, tls};

/// The library's words for what became of a request to a proxy, and ours.
const WORDS: [(&str, &str); 13] = [
    ("tunnel error: unsuccessful", "refused to connect to"),
    ("tunnel error: unexpected end of file", "closed the connection when asked for"),
    ("tunnel error: proxy response headers too long", "answered with what is no HTTP when asked for"),
    ("tunnel error: io error", "broke the connection when asked for"),
    ("SOCKS error: connection refused", "says: connection refused by"),
    ("SOCKS error: host unreachable", "says: no route to"),
    ("SOCKS error: network unreachable", "says: no network to"),
    ("SOCKS error: ttl expired", "says: no answer from"),
    ("SOCKS error: connection not allowed", "does not allow connections to"),
    ("SOCKS error: io error", "closed the connection when asked for"),
    ("SOCKS error: general server failure", "could not connect to"),
    ("SOCKS error: command not supported", "could not connect to"),
    ("SOCKS error: address type not supported", "could not connect to"),
];
const REFUSALS: [&str; 4] = [
    "proxy authorization required",
    "SOCKS error: credentials not accepted",
    "SOCKS error: server does not support user/pass authentication",
    "SOCKS error: server implements authentication incorrectly",
];

/// Why there is no connection to the host of `step` through `via`.
pub(super) fn not_connected(error: &reqwest::Error, step: &Step<'_>, via: &Via) -> (FailureKind, String) {
    let texts: Vec<String> =
        causes(error).filter(|cause| !cause.is::<reqwest::Error>()).map(ToString::to_string).collect();
    let says = |word: &str| texts.iter().any(|text| text.contains(word));
    if REFUSALS.into_iter().any(says) {
        return (FailureKind::ConnectRefused, via.refusal());
    }
    if let Some((_, ours)) = WORDS.iter().find(|(word, _)| says(word)) {
        return (FailureKind::ConnectRefused, format!("the proxy {} {ours} {}", via.address, step.target()));
    }
    if via.kind == ViaKind::Https && cause::<rustls::Error>(error).is_some() {
        return (FailureKind::Tls, format!("the proxy {}: {}", via.address, tls::detail(error, &via.host, None)));
    }
    if says("SOCKS error: failed parsing") {
        return (FailureKind::ConnectRefused, format!("the proxy {} does not speak SOCKS 5", via.address));
    }
    let address = format!("the proxy {}", via.address);
    match cause::<io::Error>(error) {
        Some(cause) => of_connect(cause, &address),
        None => of_connect(&hidden(error).into(), &address),
    }
}

/// What became of the socket where the library shows that in no other way than for its own debugging.
fn hidden(error: &(dyn Error + 'static)) -> io::ErrorKind {
    let shown = format!("{error:?}");
    let kinds = [
        ("kind: ConnectionRefused", io::ErrorKind::ConnectionRefused),
        ("kind: TimedOut", io::ErrorKind::TimedOut),
        ("kind: HostUnreachable", io::ErrorKind::HostUnreachable),
        ("kind: NetworkUnreachable", io::ErrorKind::NetworkUnreachable),
        ("kind: ConnectionReset", io::ErrorKind::ConnectionReset),
    ];
    kinds.iter().find(|(word, _)| shown.contains(word)).map_or(io::ErrorKind::Other, |(_, kind)| *kind)
}
