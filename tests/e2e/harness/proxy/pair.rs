//! One connection through a proxy: two sockets, and two threads that carry messages between them.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::link::{Link, reset};
use super::wire::{Frames, Request, Requests};
use super::{Direction, Moment, Strike};

/// How long a write that does not get on goes unlooked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) struct Pair {
    pub(super) client: TcpStream,
    server: TcpStream,
    pub(super) is_cut: AtomicBool,
    /// Requests that the server has not answered yet, oldest first.
    asked: Mutex<VecDeque<Asked>>,
}

struct Asked {
    request: Request,
    /// The cut that is to happen at its answer.
    strike: Option<Strike>,
}

impl Pair {
    pub(super) fn new(client: TcpStream, server: TcpStream) -> Self {
        for socket in [&client, &server] {
            socket.set_nodelay(true).unwrap();
            socket.set_write_timeout(Some(LOOK_EVERY)).unwrap();
        }
        Self { client, server, is_cut: AtomicBool::new(false), asked: Mutex::default() }
    }

    /// Carries until both sides have ended, or one was reset, or it is cut.
    pub(super) fn run(&self, link: &Link) {
        thread::scope(|scope| {
            scope.spawn(|| self.ending(self.carry_up(link)));
            self.ending(self.carry_down(link));
        });
    }

    /// A reset on one side becomes one on the other.
    fn ending(&self, carried: io::Result<()>) {
        if carried.is_err() {
            self.cut();
        }
    }

    /// Makes both threads end; with the last of them the sockets close, by a reset.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for socket in [&self.client, &self.server] {
            reset(socket);
            // It wakes the thread that reads there, and tells the other side nothing.
            let _ = socket.shutdown(Shutdown::Read);
        }
    }

    fn carry_up(&self, link: &Link) -> io::Result<()> {
        let (mut frames, mut requests) = (Frames::of_client(link.protocol), Requests::new(link.protocol));
        while read(&self.client, &mut frames)? {
            while let Some(frame) = frames.next() {
                if frame.is_tls_request() {
                    // We take none, so that messages can be read.
                    self.write(link, Direction::Downstream, b"N")?;
                    continue;
                }
                let request = requests.read(&frame.bytes);
                if link.swallows(Direction::Upstream) {
                    continue;
                }
                self.ask(link, request, &frame.bytes)?;
            }
        }
        link.wait_to_end(self, Direction::Upstream)?;
        self.server.shutdown(Shutdown::Write)
    }

    fn ask(&self, link: &Link, request: Option<Request>, bytes: &[u8]) -> io::Result<()> {
        let mut strike = request.as_ref().and_then(|request| link.take_strike(request));
        if let Some(strike) = strike.take_if(|strike| strike.moment.is_early()) {
            if strike.moment == Moment::InRequest {
                self.write(link, Direction::Upstream, &bytes[..bytes.len() / 2])?;
            }
            return self.strike(&strike);
        }
        if let Some(request) = request {
            self.asked().push_back(Asked { request, strike });
        }
        link.wait_to_pass(self, None)?;
        self.write(link, Direction::Upstream, bytes)
    }

    fn carry_down(&self, link: &Link) -> io::Result<()> {
        let mut frames = Frames::of_server(link.protocol);
        let mut struck = Vec::new();
        while read(&self.server, &mut frames)? {
            while let Some(mut frame) = frames.next() {
                let is_last = frame.ends_answer(link.protocol);
                let (request, strike) = self.answered(is_last);
                if let Some(strike) = strike {
                    struck.extend_from_slice(&frame.bytes);
                    if is_last {
                        return self.strike_answer(link, &strike, &struck);
                    }
                    continue;
                }
                if link.swallows(Direction::Downstream) {
                    continue;
                }
                if let Some(request) = &request {
                    request.redirect(&mut frame.bytes, &link.ways);
                }
                link.wait_to_pass(self, request.as_ref())?;
                self.write(link, Direction::Downstream, &frame.bytes)?;
                if let Some(request) = request.filter(|_| is_last) {
                    link.count(&request);
                }
            }
        }
        link.wait_to_end(self, Direction::Downstream)?;
        self.client.shutdown(Shutdown::Write)
    }

    /// What is being answered, and the cut that is to happen then.
    fn answered(&self, is_last: bool) -> (Option<Request>, Option<Strike>) {
        let mut asked = self.asked();
        let first = asked.front().map(|asked| (asked.request, asked.strike.clone()));
        if is_last {
            asked.pop_front();
        }
        first.map_or((None, None), |(request, strike)| (Some(request), strike))
    }

    fn strike_answer(&self, link: &Link, strike: &Strike, answer: &[u8]) -> io::Result<()> {
        let length = match strike.moment {
            Moment::InReply => answer.len() / 2,
            Moment::AfterReply => answer.len(),
            _ => 0,
        };
        self.write(link, Direction::Downstream, &answer[..length])?;
        self.strike(strike)
    }

    fn strike(&self, strike: &Strike) -> io::Result<()> {
        self.cut();
        strike.done();
        Err(ErrorKind::ConnectionAborted.into())
    }

    fn write(&self, link: &Link, direction: Direction, mut bytes: &[u8]) -> io::Result<()> {
        let mut socket = if direction == Direction::Upstream { &self.server } else { &self.client };
        while !bytes.is_empty() {
            let chunk = link.wait_for_turn(direction, bytes.len());
            match socket.write(&bytes[..chunk]) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
            if self.is_cut.load(Ordering::SeqCst) {
                return Err(ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(())
    }

    fn asked(&self) -> MutexGuard<'_, VecDeque<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads more; false at the end.
fn read(mut socket: &TcpStream, frames: &mut Frames) -> io::Result<bool> {
    let mut chunk = vec![0; 64 << 10];
    let length = socket.read(&mut chunk)?;
    frames.add(&chunk[..length]);
    Ok(length > 0)
}
