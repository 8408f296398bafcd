//! What a lookup ends in: the addresses that may be connected to, or why there are none.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::super::deny::Denied;
use crate::site::{IpFamily, Route};

/// Why there is no address to connect to, in words for people.
#[derive(Debug)]
pub(in super::super) enum LookupError {
    /// There is none.
    Failed(String),
    /// There is, but none that may be connected to.
    Denied(String),
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(detail) | Self::Denied(detail) => f.write_str(detail),
        }
    }
}

impl Error for LookupError {}

/// Those of the `addresses` of `name` that `route` wants and that are not `denied`, at least one.
pub(super) fn admitted(
    name: &str,
    mut addresses: Vec<SocketAddr>,
    route: Route,
    denied: &Denied,
) -> Result<Vec<SocketAddr>, LookupError> {
    addresses.retain(|address| route.family.contains(address.ip()));
    let Some(first) = addresses.first().map(SocketAddr::ip) else {
        return Err(LookupError::Failed(format!("{name} has no {}", address_of(route.family))));
    };
    addresses.retain(|address| denied.network_of(address.ip()).is_none());
    match denied.refusal(first) {
        Some(refusal) if addresses.is_empty() => Err(LookupError::Denied(format!("{name}: {refusal}"))),
        _ => Ok(addresses),
    }
}

/// Why `address`, which a URL names by itself, may not be connected to by `route`.
pub(super) fn literal_refusal(address: IpAddr, route: Route, denied: &Denied) -> Option<String> {
    // Where another address stands in for it, that one is connected to.
    let address = route.connect_to.map_or(address, |other| other.ip);
    if !route.family.contains(address) {
        return Some(format!("{address} is not an {}, as ip_version wants", address_of(route.family)));
    }
    denied.refusal(address)
}

fn address_of(family: IpFamily) -> &'static str {
    match family {
        IpFamily::Any => "address",
        IpFamily::V4 => "IPv4 address",
        IpFamily::V6 => "IPv6 address",
    }
}

/// The system's reasons come as text only: those of glibc, then of musl.
pub(super) fn reason(name: &str, error: &io::Error) -> String {
    let text = error.to_string();
    let is = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if is(&[
        "Name or service not known",
        "No address associated",
        "Name does not resolve",
        "Name has no usable address",
    ]) {
        format!("no such name: {name}")
    } else if is(&["Temporary failure", "Try again"]) {
        // The system does not say which: an answer that says so, and no answer at all, are one to it.
        format!("the name servers failed for {name}, or none could be reached")
    } else if is(&["Non-recoverable failure", "Unrecoverable error"]) {
        format!("the name servers refused to answer for {name}")
    } else {
        let plain = text.trim_start_matches("failed to lookup address information: ");
        format!("{name} cannot be resolved: {plain}")
    }
}
