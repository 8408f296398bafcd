//! Addresses that answer while this machine's network is well: asked when a site cannot be reached, so that our own
//! network being away is not told as the site's failure.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::checker::Trust;

/// How long an answer holds for all: in an outage of ours, hundreds of sites ask at once.
const HOLDS: Duration = Duration::from_secs(1);
/// How long the addresses may take to answer, all together.
const PATIENCE: Duration = Duration::from_secs(2);

/// The reference addresses of a producer.
#[derive(Debug)]
pub struct Reference {
    trust: Trust,
    addresses: Vec<String>,
    /// When they were last asked, and whether one answered. Held while they are asked: whoever comes meanwhile waits for
    /// that answer.
    last: Mutex<Option<(Instant, bool)>>,
}

impl Reference {
    /// The `addresses`, each a host and a port, resolved as `trust` has it.
    pub fn new(trust: &Trust, addresses: Vec<String>) -> Self {
        // They are the operator's own word; what sites may not lead to is no matter here.
        Self { trust: trust.clone().denying(&[]), addresses, last: Mutex::new(None) }
    }

    /// Whether one of them accepts a connection now, or did within the last second; `None` where there are none.
    pub fn answers(&self) -> Option<bool> {
        if self.addresses.is_empty() {
            return None;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = match *last {
            Some((at, answers)) if at.elapsed() < HOLDS => answers,
            _ => self.ask(),
        };
        *last = Some((Instant::now(), answers));
        Some(answers)
    }

    fn ask(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        self.addresses.iter().enumerate().any(|(index, address)| {
            let left = deadline.saturating_duration_since(Instant::now());
            // A share for each, so that the first one does not use up the time of the others.
            let share = left / u32::try_from(self.addresses.len() - index).unwrap_or(u32::MAX);
            self.trust.accepts(address, Instant::now() + share)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};

    use super::*;

    fn reference(addresses: &[SocketAddr]) -> Reference {
        let addresses = addresses.iter().map(ToString::to_string).collect();
        Reference::new(&Trust::only([]).unwrap(), addresses)
    }

    #[test]
    fn one_address_that_answers_is_enough_and_without_any_nothing_is_known() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(reference(&[closed, listener.local_addr().unwrap()]).answers(), Some(true));
        assert_eq!(reference(&[closed]).answers(), Some(false));
        assert_eq!(reference(&[]).answers(), None);
    }

    #[test]
    fn many_who_ask_at_once_make_one_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let reference = reference(&[listener.local_addr().unwrap()]);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(reference.answers(), Some(true)));
            }
        });
        listener.set_nonblocking(true).unwrap();
        let connections = std::iter::from_fn(|| listener.accept().ok()).count();
        // More than one only where the machine was so slow that an answer no longer held.
        assert!((1..8).contains(&connections), "{connections}");
    }
}
