//! Sites to check: servers on loopback, well or misbehaving in one way each.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::waiting::eventually;

/// A server that is checked. It lives until the end of the test process.
pub(crate) struct Site {
    url: String,
    asked: Arc<AtomicU64>,
}

impl Site {
    /// What to check.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How many requests it has read.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Site {
    /// Waits until it was asked so many times more.
    #[track_caller]
    pub(crate) fn wait_for_checks(&self, more: u64) {
        let asked = self.asked();
        eventually(&format!("{more} more checks are made"), || self.asked() >= asked + more);
    }
}

/// 200, with this body.
pub(crate) fn well(body: &str) -> Site {
    answering(ok("", body))
}

/// This, whatever is asked.
pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> Site {
    let answer = answer.into();
    serving("http", move |stream, asked| respond(stream, asked, |_| answer.clone()))
}

/// What `answer` makes of the head of the request.
pub(crate) fn answering_by(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Site {
    serving("http", move |stream, asked| respond(stream, asked, &answer))
}

/// 200, after a while.
pub(crate) fn slow(after: Duration) -> Site {
    answering_by(move |_| {
        thread::sleep(after);
        ok("", "at last")
    })
}

/// Reads the request and says nothing for as long as the client stays.
pub(crate) fn silent() -> Site {
    serving("http", |mut stream, asked| {
        read_head(&mut stream)?;
        asked.fetch_add(1, Ordering::SeqCst);
        stream.read(&mut [0]).map(drop)
    })
}

/// A URL where nothing listens: below 1024, so that no test is given this port.
pub(crate) const CLOSED: &str = "http://127.0.0.1:1/";

/// A URL where the system leaves each connection unanswered: as many as its queue holds wait there already.
pub(crate) fn unconnectable() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
    }
    // They must stay for as long as somebody checks this.
    std::mem::forget((listener, waiting));
    format!("http://{address}/")
}

/// `HTTP/1.1 200` with these headers, each closed by CRLF, and this body.
pub(crate) fn ok(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let length = body.as_ref().len();
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

/// Serves each connection on a thread of its own.
fn serving(scheme: &str, behave: impl Fn(TcpStream, &AtomicU64) -> io::Result<()> + Send + Sync + 'static) -> Site {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
    let (asked, behave) = (Arc::new(AtomicU64::new(0)), Arc::new(behave));
    let counted = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (behave, counted) = (Arc::clone(&behave), Arc::clone(&counted));
            // Whether the client stays to the end is its own business.
            thread::spawn(move || drop(behave(stream, &counted)));
        }
    });
    Site { url, asked }
}

fn respond(mut stream: impl Read + Write, asked: &AtomicU64, answer: impl Fn(&str) -> Vec<u8>) -> io::Result<()> {
    let head = read_head(&mut stream)?;
    asked.fetch_add(1, Ordering::SeqCst);
    stream.write_all(&answer(&head))?;
    stream.flush()
}

/// The request's line and headers.
fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => head.extend_from_slice(&chunk[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
