//! Connects a probe to its host, within its deadline, and tells how far it got.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use isitup_shared::event::{Failure, FailureKind};

use super::failure::{self, Peer};
use super::hop::Hop;
use super::resolver::{LookupError, Resolver};
use super::words;
use crate::site::Site;
use crate::target::{self, Address};

/// A host that a probe connects to.
pub(super) struct Dial<'a> {
    address: &'a Address,
    /// As people write it.
    shown: String,
    resolver: &'a Resolver,
    pub(super) hop: Arc<Hop>,
    pub(super) deadline: Instant,
    timeout: Duration,
}

impl<'a> Dial<'a> {
    /// The way to `address` for a check of `site` that `began` just now.
    pub(super) fn new(site: &Site, address: &'a Address, resolver: &'a Resolver, began: Instant) -> Self {
        let hop = Hop::new(site.route());
        let timeout = site.settings.timeout;
        let shown = address.host.to_string();
        Self { address, shown, resolver, hop: Arc::new(hop), deadline: began + timeout, timeout }
    }

    /// The addresses to connect to, at least one.
    pub(super) fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let route = self.hop.route();
        let port = route.connect_to.and_then(|other| other.port).unwrap_or(self.address.port);
        if let Some(address) = target::literal(&self.address.host) {
            return self.literal(address, port);
        }
        match self.resolver.addresses(&self.shown, &self.hop, self.deadline) {
            Some(Ok(addresses)) => Ok(addresses.iter().map(|address| (address.ip(), port).into()).collect()),
            Some(Err(LookupError::Failed(detail))) => {
                Err(Failure { kind: FailureKind::Dns, detail: words::short(&detail) })
            }
            Some(Err(LookupError::Denied(detail))) => Err(Failure { kind: FailureKind::InvalidUrl, detail }),
            None => Err(self.timed_out()),
        }
    }

    /// An address written as such, or the one that stands in for it.
    fn literal(&self, address: IpAddr, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let route = self.hop.route();
        match self.resolver.literal_refusal(address, route) {
            Some(detail) => Err(Failure { kind: FailureKind::InvalidUrl, detail }),
            None => Ok(vec![(route.connect_to.map_or(address, |other| other.ip), port).into()]),
        }
    }

    /// Connects to the first of the host's addresses that lets us.
    pub(super) fn connect(&self) -> Result<(Bounded, SocketAddr), Failure> {
        let addresses = self.addresses()?;
        self.hop.reached().began = Some(Instant::now());
        let mut last = None;
        for (i, address) in addresses.iter().enumerate() {
            // Its share of the time: an address that does not answer leaves some to those after it.
            let share = self.left() / u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
            if share.is_zero() {
                return Err(self.timed_out());
            }
            match TcpStream::connect_timeout(address, share) {
                Ok(stream) => {
                    // What is sent goes out at once, as with any client that speaks by turns.
                    let _ = stream.set_nodelay(true);
                    return Ok((Bounded::new(stream, self.deadline), *address));
                }
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(error) if !is_our_timeout(&error) => self.unconnected(&error),
            _ => self.timed_out(),
        })
    }

    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The deadline passed.
    pub(super) fn timed_out(&self) -> Failure {
        let reached = self.hop.reached();
        let (kind, detail) = failure::timed_out(&reached, &self.peer(&reached.addresses), self.timeout);
        Failure { kind, detail }
    }

    /// The system made no connection.
    pub(super) fn unconnected(&self, error: &io::Error) -> Failure {
        let reached = self.hop.reached();
        let (kind, detail) = failure::unconnected(error, &self.peer(&reached.addresses));
        Failure { kind, detail }
    }

    fn peer<'b>(&'b self, addresses: &'b [SocketAddr]) -> Peer<'b> {
        Peer { host: &self.shown, port: self.address.port, addresses }
    }
}

/// Whether an attempt to connect ended by the time we gave it, and not by an answer of the system.
fn is_our_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
}

/// A connection on which nothing waits beyond the deadline: then it fails by [`io::ErrorKind::TimedOut`].
#[derive(Debug)]
pub(super) struct Bounded {
    stream: TcpStream,
    deadline: Instant,
}

impl Bounded {
    pub(super) fn new(stream: TcpStream, deadline: Instant) -> Self {
        Self { stream, deadline }
    }

    /// Brings the deadline forward to `until`.
    pub(super) fn hurry(&mut self, until: Instant) {
        self.deadline = self.deadline.min(until);
    }

    /// Reads as [`Read::read`] does, but waits no longer than `until`.
    pub(super) fn read_until(&mut self, buffer: &mut [u8], until: Instant) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(until.min(self.deadline))?))?;
        self.stream.read(buffer).map_err(as_timeout)
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_until(buffer, self.deadline)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(bytes).map_err(as_timeout)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A socket's own time-out shows as a read that would block.
fn as_timeout(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}
