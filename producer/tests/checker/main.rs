//! The checker against real servers on loopback that misbehave, each in its own way.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work fails the test that called it")]

mod answers;
mod bombs;
mod bounds;
mod certificates;
mod chains;
mod cookies;
mod deny;
mod dns;
mod expectations;
mod failures;
mod faults;
mod hops;
mod http2;
mod name_server;
mod odd;
mod proxies;
mod proxy;
mod redirects;
mod requests;
mod server;
mod stalls;
mod tcp;
mod tls;
