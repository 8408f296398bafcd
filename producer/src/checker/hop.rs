//! One hop of a check, and how far it got: one request on one fresh connection.
//!
//! reqwest's thread tells the hop what it reaches while it connects ([`note`]); the checker reads it when the answer is
//! there or the deadline has passed. Each hop has its own record, so that what a hop that was given up still does on
//! reqwest's thread never shows in the next one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::site::Route;

tokio::task_local! {
    /// The hop whose connection is being made by the future that runs.
    static CURRENT: Arc<Hop>;
}

/// One request on one fresh connection.
#[derive(Debug, Default)]
pub(super) struct Hop {
    /// Where it may connect to.
    pub(super) route: Route,
    /// When the check ends.
    pub(super) deadline: Option<Instant>,
    reached: Mutex<Reached>,
}

/// What a hop has reached so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached {
    /// The connector was called.
    pub(super) began: Option<Instant>,
    /// A name began to be resolved.
    pub(super) resolving: Option<Instant>,
    /// A thread took up the name; until then it waits for a free one.
    pub(super) is_looked_up: bool,
    /// The name was resolved.
    pub(super) resolved: Option<Instant>,
    /// To which addresses, without ports.
    pub(super) addresses: Vec<SocketAddr>,
    /// So many handshakes come first that are not the site's, but its proxy's.
    pub(super) foreign_handshakes: u8,
    /// TCP had connected and TLS began.
    pub(super) tls_began: Option<Instant>,
    /// The certificates as presented, the leaf first.
    pub(super) chain: Vec<Vec<u8>>,
    /// The connection was made, TLS included.
    pub(super) connected: Option<Instant>,
}

/// The phases of a hop, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Nothing was begun.
    Waiting,
    Dns,
    Connect,
    Tls,
    FirstByte,
}

impl Hop {
    /// A hop that takes `route`, in a check that ends at `deadline`.
    pub(super) fn new(route: Route, deadline: Instant) -> Self {
        Self { route, deadline: Some(deadline), reached: Mutex::default() }
    }

    /// What was reached until now.
    pub(super) fn reached(&self) -> MutexGuard<'_, Reached> {
        // A record is plain data: whoever panicked while holding it has left nothing half done.
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reached {
    /// A handshake begins, that of a proxy or that of the site.
    pub(super) fn handshake_begins(&mut self) {
        match self.foreign_handshakes.checked_sub(1) {
            Some(left) => self.foreign_handshakes = left,
            None => self.tls_began = Some(Instant::now()),
        }
    }

    /// These certificates were presented, the leaf first.
    pub(super) fn presented(&mut self, chain: impl Iterator<Item = Vec<u8>>) {
        if self.tls_began.is_some() {
            self.chain = chain.collect();
        }
    }

    /// In which phase it is; `is_tls` tells whether one is to come.
    pub(super) fn phase(&self) -> Phase {
        match self {
            Self { connected: Some(_), .. } => Phase::FirstByte,
            Self { tls_began: Some(_), .. } => Phase::Tls,
            Self { resolving: Some(_), resolved: None, .. } => Phase::Dns,
            Self { began: Some(_), .. } => Phase::Connect,
            _ => Phase::Waiting,
        }
    }
}

/// Runs `connecting` as part of `hop`.
pub(super) fn during<F: Future>(hop: Arc<Hop>, connecting: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(hop, connecting)
}

/// Runs `connecting`, which does not wait for futures, as part of `hop`.
pub(super) fn within<T>(hop: &Arc<Hop>, connecting: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(Arc::clone(hop), connecting)
}

/// The hop for which the running future connects.
pub(super) fn current() -> Option<Arc<Hop>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Notes something in the record of the hop for which the running future connects.
pub(super) fn note(what: impl FnOnce(&mut Reached)) {
    // Outside of a hop there is nothing to tell.
    let _ = CURRENT.try_with(|hop| what(&mut hop.reached()));
}

/// Whether the handshake that runs is with the site itself. Where nothing is known of it, it is not: then it gets the
/// stricter rules, and no certificate of ours.
pub(super) fn is_with_site() -> bool {
    CURRENT.try_with(|hop| hop.reached().tls_began.is_some()).unwrap_or(false)
}
