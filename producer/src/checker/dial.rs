//! Resolves and connects for the sites that are not HTTP, within one deadline, and notes how far it got.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use isitup_shared::event::FailureKind;
use url::Host;

use super::failure;
use super::findings::Findings;
use super::lookup::LookupError;
use super::nameserver::set_timeout;
use super::resolver::Resolver;
use super::words;
use crate::endpoint::Address;
use crate::site::{Route, Site};

/// A check of a site that is not HTTP.
pub(super) struct Dial<'a> {
    pub(super) site: &'a Site,
    pub(super) resolver: &'a Resolver,
    pub(super) deadline: Instant,
}

impl Dial<'_> {
    /// Connects to `address`, or to where the site's route says.
    pub(super) fn connect(&self, address: &Address, found: &mut Findings) -> Option<TcpStream> {
        let addresses = self.resolve(address, self.site.settings.route, found)?;
        let began = Instant::now();
        let connected = self.connect_to_any(&addresses, address);
        found.phases.connect = Some(began.elapsed());
        match connected {
            Ok((stream, remote)) => {
                found.remote_addr = Some(remote);
                Some(stream)
            }
            Err((kind, detail, is_of_machine)) => {
                if let [sole] = addresses.as_slice() {
                    found.remote_addr = Some(*sole);
                }
                found.prober_fault = is_of_machine.then(|| detail.as_str().into());
                found.fail(kind, detail);
                None
            }
        }
    }

    /// The addresses of `address`, one at least.
    pub(super) fn resolve(&self, address: &Address, route: Route, found: &mut Findings) -> Option<Vec<SocketAddr>> {
        let port = route.connect_to.and_then(|to| to.port).unwrap_or(address.port);
        let literal = match &address.host {
            Host::Ipv4(ip) => Some(IpAddr::from(*ip)),
            Host::Ipv6(ip) => Some(IpAddr::from(*ip)),
            Host::Domain(_) => None,
        };
        if let (Some(ip), None) = (literal, route.connect_to) {
            if let Some(refusal) = self.resolver.literal_refusal(ip, route) {
                found.fail(FailureKind::InvalidUrl, refusal);
                return None;
            }
            return Some(vec![(ip, port).into()]);
        }
        let (name, began) = (address.host.to_string(), Instant::now());
        let answer = self.resolver.ask(&name, route, self.deadline);
        if route.connect_to.is_none() {
            found.phases.dns = Some(began.elapsed());
        }
        let within = words::duration(self.site.settings.timeout);
        match answer {
            Some(Ok(addresses)) => {
                return Some(addresses.iter().map(|found| SocketAddr::new(found.ip(), port)).collect());
            }
            Some(Err(LookupError::Denied(detail))) => found.fail(FailureKind::InvalidUrl, words::short(&detail)),
            Some(Err(LookupError::Unresolved(detail))) => found.fail(FailureKind::Dns, words::short(&detail)),
            Some(Err(LookupError::Busy(detail))) => {
                found.prober_fault = Some(detail.as_str().into());
                found.fail(FailureKind::Dns, detail);
            }
            None => {
                found.fail(FailureKind::Dns, format!("the name servers gave no answer for {name} within {within}"));
            }
        }
        None
    }

    /// The first of `addresses` that takes the connection. Each has a share of the time, so that a black hole among them
    /// does not use up all of it.
    fn connect_to_any(
        &self,
        addresses: &[SocketAddr],
        asked: &Address,
    ) -> Result<(TcpStream, SocketAddr), (FailureKind, String, bool)> {
        let mut last = None;
        for (index, address) in addresses.iter().enumerate() {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            if share.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(address, share) {
                Ok(stream) => return Ok((stream, *address)),
                Err(error) => last = Some(error),
            }
        }
        let shown = self.shown(addresses, asked);
        match last {
            Some(error) if error.raw_os_error().is_some() => {
                let (kind, detail) = failure::of_connect(&error, &shown);
                Err((kind, detail, failure::is_of_machine(&error)))
            }
            _ => {
                let within = words::duration(self.site.settings.timeout);
                Err((FailureKind::ConnectTimeout, format!("no connection to {shown} within {within}"), false))
            }
        }
    }

    fn shown(&self, addresses: &[SocketAddr], asked: &Address) -> String {
        let ips: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        match &asked.host {
            Host::Domain(_) => format!("{asked} ({})", words::short(&ips.join(", "))),
            _ => asked.to_string(),
        }
    }

    /// Sets the time-outs of `stream` to what is left; false when nothing is.
    pub(super) fn set_timeouts(&self, stream: &TcpStream) -> io::Result<bool> {
        set_timeout(self.deadline, |left: Duration| {
            stream.set_read_timeout(Some(left))?;
            stream.set_write_timeout(Some(left))
        })
    }

    /// The words for a deadline that passed.
    pub(super) fn within(&self) -> String {
        words::duration(self.site.settings.timeout)
    }
}

/// Whether a socket's time-out passed.
pub(super) fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
