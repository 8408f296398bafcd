//! A layer around reqwest's connector: it ties each connection to the hop it is made for, and notes its begin and end.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tower::{Layer, Service};

use super::hop::{self, Hop};

/// Hands the next hop to the connector of one client.
///
/// A client carries one request at a time, and its connector is called once for each. A request that was given up
/// before its connector was called could still take the next hop for its own; so its client is thrown away.
#[derive(Clone, Debug, Default)]
pub(super) struct NextHop(Arc<Mutex<Option<Arc<Hop>>>>);

impl NextHop {
    /// The next connection is made for `hop`.
    pub(super) fn set(&self, hop: Arc<Hop>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(hop);
    }

    fn take(&self) -> Option<Arc<Hop>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<S> Layer<S> for NextHop {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, next: self.clone() }
    }
}

/// A connector that tells its hop what it does.
#[derive(Clone, Debug)]
pub(super) struct Watched<S> {
    inner: S,
    next: NextHop,
}

impl<S, Destination> Service<Destination> for Watched<S>
where
    S: Service<Destination>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, destination: Destination) -> Self::Future {
        let connecting = self.inner.call(destination);
        let Some(hop) = self.next.take() else { return Box::pin(connecting) };
        hop.reached().began = Some(Instant::now());
        Box::pin(hop::during(Arc::clone(&hop), async move {
            let connected = connecting.await;
            if connected.is_ok() {
                hop.reached().connected = Some(Instant::now());
            }
            connected
        }))
    }
}
