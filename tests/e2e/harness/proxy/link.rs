//! What the connections of a proxy share: how they behave just now, and who they are.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::Shutdown;
use socket2::{SockFilter, SockRef};

use super::pair::Pair;
use super::wire::{Protocol, Request, Ways};
use super::{Behaviour, Call, Direction, Moment, Strike};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// `BPF_RET | BPF_K` with 0: of each packet that comes in, nothing is kept.
const DROP_ALL: [SockFilter; 1] = [SockFilter::new(0x06, 0, 0, 0)];

pub(super) struct Link {
    pub(super) protocol: Protocol,
    pub(super) server: SocketAddr,
    /// What Kafka's answers are to name instead of the brokers.
    pub(super) ways: Ways,
    listener: TcpListener,
    state: Mutex<State>,
    changed: Condvar,
}

pub(super) struct State {
    behaviour: Behaviour,
    pub(super) strike: Option<Strike>,
    pub(super) answered: BTreeMap<Call, u64>,
    pairs: BTreeMap<u64, Arc<Pair>>,
    next_pair: u64,
    /// When a slow link is free for more, upstream and downstream.
    free_at: [Instant; 2],
    has_ended: bool,
}

impl Link {
    pub(super) fn new(protocol: Protocol, server: SocketAddr, listener: TcpListener, ways: Ways) -> Self {
        let state = State {
            behaviour: Behaviour::Forward,
            strike: None,
            answered: BTreeMap::new(),
            pairs: BTreeMap::new(),
            next_pair: 0,
            free_at: [Instant::now(); 2],
            has_ended: false,
        };
        Self { protocol, server, ways, listener, state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes connections until the end, except while nobody is to listen.
    pub(super) fn accept(self: &Arc<Self>) {
        loop {
            let wait = |state: &mut State| state.behaviour == Behaviour::Refuse && !state.has_ended;
            drop(self.changed.wait_while(self.state(), wait));
            if self.state().has_ended {
                return;
            }
            // It fails when it no longer listens, which the next round looks into.
            if let Ok((client, _)) = self.listener.accept() {
                let link = Arc::clone(self);
                thread::spawn(move || link.serve(client));
            }
        }
    }

    fn serve(self: Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect_timeout(&self.server, CONNECT_LIMIT) else {
            return reset(&client);
        };
        let pair = Arc::new(Pair::new(client, server));
        let number = {
            let mut state = self.state();
            if state.behaviour == Behaviour::Refuse || state.has_ended {
                return pair.cut();
            }
            if state.behaviour == Behaviour::Silence {
                silence(&pair.client, true);
            }
            state.next_pair += 1;
            let number = state.next_pair;
            state.pairs.insert(number, Arc::clone(&pair));
            number
        };
        pair.run(&self);
        self.state().pairs.remove(&number);
        drop(pair);
        self.changed.notify_all();
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.behaviour, behaviour);
        state.free_at = [Instant::now(); 2];
        let is_silent = behaviour == Behaviour::Silence;
        if is_silent != (before == Behaviour::Silence) {
            silence(&self.listener, is_silent);
            state.pairs.values().for_each(|pair| silence(&pair.client, is_silent));
        }
        match (before, behaviour) {
            (Behaviour::Refuse, Behaviour::Refuse) => {}
            (_, Behaviour::Refuse) => rustix::net::shutdown(&self.listener, Shutdown::Read).unwrap(),
            (Behaviour::Refuse, _) => rustix::net::listen(&self.listener, 128).unwrap(),
            _ => {}
        }
        drop(state);
        self.changed.notify_all();
        if behaviour == Behaviour::Refuse {
            self.cut();
        }
    }

    /// Resets all connections there are, and returns when they are gone.
    pub(super) fn cut(&self) {
        let numbers: Vec<u64> = {
            let state = self.state();
            state.pairs.values().for_each(|pair| pair.cut());
            state.pairs.keys().copied().collect()
        };
        self.changed.notify_all();
        let is_there = |state: &mut State| numbers.iter().any(|number| state.pairs.contains_key(number));
        drop(self.changed.wait_while(self.state(), is_there));
    }

    pub(super) fn end(&self) {
        self.state().has_ended = true;
        let _ = rustix::net::shutdown(&self.listener, Shutdown::Read);
        self.cut();
    }

    /// Whether what goes in this direction vanishes.
    pub(super) fn swallows(&self, direction: Direction) -> bool {
        match self.state().behaviour {
            Behaviour::Swallow(which) => which == Direction::Both || which == direction,
            _ => false,
        }
    }

    /// Waits until the end of one side may be shown to the other.
    pub(super) fn wait_to_end(&self, pair: &Pair, direction: Direction) -> io::Result<()> {
        self.wait(pair, |behaviour| match behaviour {
            Behaviour::Swallow(which) => which == Direction::Both || which == direction,
            Behaviour::Silence => true,
            _ => false,
        })
    }

    /// Waits until a message may pass; `answered` is the request that it answers.
    pub(super) fn wait_to_pass(&self, pair: &Pair, answered: Option<&Request>) -> io::Result<()> {
        self.wait(pair, |behaviour| match behaviour {
            Behaviour::Silence => true,
            Behaviour::HoldAnswers(call) => answered.is_some_and(|request| request.is(call)),
            _ => false,
        })
    }

    fn wait(&self, pair: &Pair, is_held: impl Fn(Behaviour) -> bool) -> io::Result<()> {
        let wait = |state: &mut State| is_held(state.behaviour) && !pair.is_cut.load(Ordering::SeqCst);
        drop(self.changed.wait_while(self.state(), wait));
        if pair.is_cut.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// The cut that waits for such a request, if one does; it is this one's now.
    pub(super) fn take_strike(&self, request: &Request) -> Option<Strike> {
        self.state().strike.take_if(|strike| request.is(strike.call))
    }

    pub(super) fn count(&self, request: &Request) {
        if let Some(call) = request.call {
            *self.state().answered.entry(call).or_default() += 1;
        }
    }

    /// How many bytes may be sent at once; waits until they may.
    pub(super) fn wait_for_turn(&self, direction: Direction, length: usize) -> usize {
        let Behaviour::Slow(rate) = self.state().behaviour else { return length };
        let chunk = length.min((rate / 20).max(1) as usize);
        let begin = {
            let mut state = self.state();
            let free_at = &mut state.free_at[usize::from(direction == Direction::Downstream)];
            let begin = (*free_at).max(Instant::now());
            *free_at = begin + Duration::from_secs_f64(chunk as f64 / f64::from(rate));
            begin
        };
        thread::sleep(begin.saturating_duration_since(Instant::now()));
        chunk
    }
}

impl Moment {
    /// Whether it comes before the server has the whole request.
    pub(super) fn is_early(self) -> bool {
        matches!(self, Self::BeforeRequest | Self::InRequest)
    }
}

impl Strike {
    pub(super) fn done(&self) {
        self.happened.store(true, Ordering::SeqCst);
    }
}

/// Drops all packets that come in, before TCP sees them; or no longer.
fn silence(socket: &impl AsFd, is_on: bool) {
    let socket = SockRef::from(socket);
    if is_on {
        socket.attach_filter(&DROP_ALL).unwrap();
    } else {
        // A socket that never had one is well, too.
        let _ = socket.detach_filter();
    }
}

/// Makes the close of a connection a reset.
pub(super) fn reset(stream: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}
