//! A TCP proxy that misbehaves on demand: what lies between the services and their servers in a test of the network.
//!
//! ```ignore
//! let proxy = Proxy::postgres(shared_servers().postgres_url());
//! let pipeline = Pipeline::new("name").postgres_url(proxy.url());
//! proxy.behave(Behaviour::Swallow(Direction::Both));          // lasts, for open and new connections
//! proxy.behave(Behaviour::Forward);
//! let strike = proxy.cut_next(Call::Commit, Moment::BeforeReply); // once
//! eventually("the cut happened", || strike.has_happened());
//! proxy.cut();                                                // now
//! ```
//!
//! It understands enough of both protocols to know where messages begin and what they ask for, so that whole messages
//! vanish, are held back or are cut in two. Kafka's answers that name a broker's address are made to name its proxy's, as
//! clients connect to what they are told; so no broker needs to know of it, and many tests share one broker. The proxies of
//! a cluster know each other for that: [`Proxy::kafka_cluster`].

mod link;
mod pair;
mod reached;
mod wire;

pub(crate) use reached::Reached;
pub(crate) use wire::Call;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use link::Link;
use wire::{Protocol, Ways};

/// How a proxy treats all connections, those that are open and those to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// As if it were not there.
    Forward,
    /// Takes what is sent in this direction, acknowledges it, and drops it; ends of connections, too. So does a hung
    /// balancer or pooler. TCP on either side notices nothing, ever.
    Swallow(Direction),
    /// Packets are lost, as if the cable were pulled: nothing gets through or is acknowledged, new connections get no
    /// answer. What TCP still has to send arrives when this ends, unless TCP gave up before.
    Silence,
    /// Nobody listens. Open connections are reset.
    Refuse,
    /// At most so many bytes a second in each direction, of all connections together.
    Slow(u32),
    /// Answers to these are held back until this ends, and come then: late. Requests pass.
    HoldAnswers(Call),
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From client to server.
    Upstream,
    /// From server to client.
    Downstream,
    Both,
}

/// Where in an exchange the connection is cut, by a reset to both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The client has sent the request, the server gets nothing of it.
    BeforeRequest,
    /// The server gets half of the request.
    InRequest,
    /// The server has answered, so it has done what was asked; the client gets nothing of that.
    BeforeReply,
    /// As before, but the client gets half of the answer.
    InReply,
    /// The client gets the whole answer, and then the reset.
    AfterReply,
}

/// A cut that is to happen once.
#[derive(Clone, Debug)]
pub(crate) struct Strike {
    call: Call,
    moment: Moment,
    happened: Arc<AtomicBool>,
}

impl Strike {
    /// Whether it happened.
    pub(crate) fn has_happened(&self) -> bool {
        self.happened.load(Ordering::SeqCst)
    }
}

/// A proxy. Dropped, it resets its connections and no longer listens.
pub(crate) struct Proxy {
    link: Arc<Link>,
    address: SocketAddr,
    /// What a URL has before and after the address.
    around: (String, String),
}

impl Proxy {
    /// A proxy to the broker at `host:port`.
    pub(crate) fn kafka(broker: &str) -> Self {
        Self::kafka_cluster(&[broker]).remove(0)
    }

    /// A proxy to each of the brokers, in the same order. Whichever of them is asked, the answer names none but them.
    pub(crate) fn kafka_cluster(brokers: &[impl AsRef<str>]) -> Vec<Self> {
        let listeners: Vec<(SocketAddr, TcpListener)> =
            brokers.iter().map(|broker| (broker.as_ref().parse().unwrap(), listener())).collect();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let ways: Ways = listeners.iter().map(|(broker, listener)| (broker.port(), port(listener))).collect();
        let start = |(broker, listener)| {
            let link = Link::new(Protocol::Kafka, broker, listener, ways.clone());
            Self::start(link, (String::new(), String::new()))
        };
        listeners.into_iter().map(start).collect()
    }

    /// A proxy to the server of a PostgreSQL URL.
    pub(crate) fn postgres(url: &str) -> Self {
        Self::to_postgres(url, Protocol::Postgres)
    }

    /// The same for a connection that is encrypted, of which it understands nothing: it cannot cut it at a call.
    pub(crate) fn opaque_postgres(url: &str) -> Self {
        Self::to_postgres(url, Protocol::Opaque)
    }

    fn to_postgres(url: &str, protocol: Protocol) -> Self {
        let (user, rest) = url.rsplit_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let link = Link::new(protocol, server.parse().unwrap(), listener(), Ways::new());
        Self::start(link, (format!("{user}@"), format!("/{database}")))
    }

    fn start(link: Link, around: (String, String)) -> Self {
        let (address, link) = (link.address(), Arc::new(link));
        let accepting = Arc::clone(&link);
        thread::spawn(move || accepting.accept());
        Self { link, address, around }
    }

    /// Where it listens: `127.0.0.1:<port>`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The URL it was made from, with its own address.
    pub(crate) fn url(&self) -> String {
        format!("{}{}{}", self.around.0, self.address, self.around.1)
    }

    /// Behaves so from now on.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.link.behave(behaviour);
    }

    /// Resets all connections; new ones are taken.
    pub(crate) fn cut(&self) {
        self.link.cut();
    }

    /// Cuts the connection of the next such call at this moment of it. Takes the place of one that has not happened yet.
    pub(crate) fn cut_next(&self, call: Call, moment: Moment) -> Strike {
        let strike = Strike { call, moment, happened: Arc::default() };
        self.link.state().strike = Some(strike.clone());
        strike
    }

    /// Takes back a cut that has not happened, so that it does not strike some later call.
    pub(crate) fn call_off(&self, strike: &Strike) {
        self.link.state().strike.take_if(|there| Arc::ptr_eq(&there.happened, &strike.happened));
    }

    /// How many such calls were answered, and the answer delivered.
    pub(crate) fn answered(&self, call: Call) -> u64 {
        let state = self.link.state();
        let counts: &BTreeMap<Call, u64> = &state.answered;
        counts.get(&call).copied().unwrap_or(0)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.link.end();
    }
}

/// A listener on a free port that it asked for by number: only then the port stays taken while it does not listen.
fn listener() -> TcpListener {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener;
        }
    }
}
