//! Ports, given or free.
//!
//! A port that tests stop and start a server on must not be handed out by the kernel meanwhile, neither to another
//! stack nor to an outgoing connection. So free ports are taken from below the kernel's ephemeral range, and each is
//! claimed for the life of this process by an abstract Unix socket of that name: no files, and gone with us.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use anyhow::{Result, bail};

use crate::proc;

/// What developers and other services like to have for themselves is left alone: 10000 and up, and not the ports of
/// `config.dev.yml`.
const FREE: Range<u16> = 10_000..32_768;
const TRIES: usize = 200;

/// A port on 127.0.0.1 that is ours while this lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    is_given: bool,
    _claim: Option<UnixListener>,
}

impl Port {
    /// The given port, which must be free, or any free one.
    pub(crate) fn given_or_free(given: Option<u16>, part: &str) -> Result<Self> {
        match given {
            None => Self::free(),
            Some(number) => match Self::claim(number) {
                Some(port) => Ok(Self { is_given: true, ..port }),
                None => bail!("port {number} for {part} is taken by {}", holder(number)),
            },
        }
    }

    /// The wanted port if it can be had, else any free one.
    pub(crate) fn wanted(number: u16) -> Result<Self> {
        Self::claim(number).map_or_else(Self::free, Ok)
    }

    /// Any free port.
    pub(crate) fn free() -> Result<Self> {
        let mut number = FREE.start + (random() % u64::from(FREE.end - FREE.start)) as u16;
        for _ in 0..TRIES {
            let reserved = crate::setup::WANTED_PORTS.contains(&number);
            if let Some(port) = Some(number).filter(|_| !reserved).and_then(Self::claim) {
                return Ok(port);
            }
            number = if number + 1 < FREE.end { number + 1 } else { FREE.start };
        }
        bail!("found no free port near {number} in {TRIES} tries: is something else listening on all of them?")
    }

    /// Its number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Whether somebody asked for this very port, so that no other will do.
    pub(crate) fn is_given(&self) -> bool {
        self.is_given
    }

    /// `127.0.0.1:<port>`
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }

    fn claim(number: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("isitup-dev-port-{number}")).ok()?;
        let claim = UnixListener::bind_addr(&name).ok()?;
        is_free(number).then_some(Self { number, is_given: false, _claim: Some(claim) })
    }
}

/// Whether a server could listen on the port now.
pub(crate) fn is_free(number: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
}

/// Who has the port, for an error message.
pub(crate) fn holder(number: u16) -> String {
    proc::listener_on(number).unwrap_or_else(|| "another process (see `ss -ltnp`)".to_owned())
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_port_is_not_handed_out_again() {
        let first = Port::free().unwrap();
        assert!(Port::claim(first.number()).is_none());
        assert_ne!(Port::wanted(first.number()).unwrap().number(), first.number());
    }

    #[test]
    fn free_ports_lie_below_the_ephemeral_range() {
        assert!(FREE.contains(&Port::free().unwrap().number()));
    }

    #[test]
    fn a_taken_port_names_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.local_addr().unwrap().port();
        let error = Port::given_or_free(Some(number), "kafka").unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {number} for kafka is taken by ")), "{error}");
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    }
}
