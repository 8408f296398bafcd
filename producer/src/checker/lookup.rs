//! One lookup of one name: by a name server of a site's own, and what the system's reasons mean.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::failure;
use super::nameserver::{self, NoAnswer};
use crate::site::IpFamily;

/// How long a name server of a site's own is asked, where the check has more time.
const MOST_ASKED: Duration = Duration::from_secs(10);
/// How long the answer for the second family may take once there is one for the first.
const SECOND_FAMILY: Duration = Duration::from_millis(500);

/// What a lookup gives.
pub(super) type Found = Result<Vec<SocketAddr>, LookupError>;

/// Why a name has no address, in words for people.
#[derive(Debug)]
pub(super) enum LookupError {
    /// The name servers have none, or did not say.
    Unresolved(String),
    /// This machine could not even ask.
    Busy(String),
    /// It has only addresses that must not be connected to.
    Denied(String),
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(detail) | Self::Busy(detail) | Self::Denied(detail) => f.write_str(detail),
        }
    }
}

impl Error for LookupError {}

/// Asks a name server of a site's own, for the families that are wanted, until `deadline`.
pub(super) fn by_server(server: SocketAddr, name: &str, family: IpFamily, deadline: Instant) -> Found {
    let record_types: &[&str] = match family {
        IpFamily::Any => &["A", "AAAA"],
        IpFamily::V4 => &["A"],
        IpFamily::V6 => &["AAAA"],
    };
    let mut found: Vec<SocketAddr> = Vec::new();
    for record_type in record_types {
        // Some servers never answer for IPv6: what is known already must not wait long for that.
        let patience = if found.is_empty() { MOST_ASKED } else { SECOND_FAMILY };
        let until = deadline.min(Instant::now() + patience);
        let answer = match nameserver::ask(server, name, record_type, until) {
            Err(_) if !found.is_empty() => break,
            answer => answer.map_err(|error| unanswered(server, name, &error))?,
        };
        match answer.code.as_str() {
            "NOERROR" => found.extend(answer.addresses.into_iter().map(|address| SocketAddr::new(address, 0))),
            _ if !found.is_empty() => break,
            "NXDOMAIN" => return Err(LookupError::Unresolved(format!("no such name: {name}"))),
            code => {
                return Err(LookupError::Unresolved(format!("the name server {server} failed for {name} ({code})")));
            }
        }
    }
    Ok(found)
}

fn unanswered(server: SocketAddr, name: &str, error: &NoAnswer) -> LookupError {
    LookupError::Unresolved(match error {
        NoAnswer::Broken(error) if failure::is_of_machine(error) => {
            return LookupError::Busy(format!("this machine cannot ask the name server {server}: {error}"));
        }
        NoAnswer::BadName => format!("no such name: {name}"),
        NoAnswer::Late => format!("the name server {server} gave no answer for {name}"),
        NoAnswer::Garbage => format!("what the name server {server} answers is not DNS"),
        NoAnswer::Broken(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            format!("the name server {server} cannot be reached: connection refused")
        }
        NoAnswer::Broken(_) => format!("the name server {server} cannot be reached"),
    })
}

/// Why the system found no address. Without a free file descriptor it cannot even read its own settings, and then says
/// that there is no such name; so before that is believed, it is seen whether there is one.
pub(super) fn unresolved(name: &str, error: &io::Error) -> LookupError {
    let has_room = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map(drop);
    if failure::is_of_machine(error) || has_room.is_err_and(|error| failure::is_of_machine(&error)) {
        return LookupError::Busy(format!(
            "this machine has no free file descriptor to look up {name}: raise its limit (ulimit -n)"
        ));
    }
    LookupError::Unresolved(reason(name, error))
}

/// The system's reasons come as text only: those of glibc, then of musl.
fn reason(name: &str, error: &io::Error) -> String {
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
        format!("the name servers failed to give an address for {name}")
    } else if is(&["Non-recoverable failure", "Unrecoverable error"]) {
        format!("the name servers refused to answer for {name}")
    } else {
        let plain = text.trim_start_matches("failed to lookup address information: ");
        format!("{name} cannot be resolved: {plain}")
    }
}
