//! One visit: reads the head of a request, writes the page, closes. HTTP/1.1 with `Connection: close`, nothing more.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use rustls::{ServerConnection, StreamOwned};

use super::pages::{Page, page, reason};

const LONGEST_HEAD: usize = 8 * 1024;
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Whoever waits on `/silent` longer than this has no time-out of their own.
const SILENCE_LIMIT: Duration = Duration::from_secs(120);

/// How many visitors may wait in silence.
#[derive(Debug)]
pub(crate) struct Limits {
    most_silent: usize,
    silent: AtomicUsize,
}

impl Limits {
    /// At most `most_silent` at once.
    pub(crate) fn new(most_silent: usize) -> Self {
        Self { most_silent, silent: AtomicUsize::new(0) }
    }
}

/// A connection, encrypted or not.
pub(crate) trait Connection: Read + Write {
    /// The socket below.
    fn socket(&self) -> &TcpStream;

    /// Says goodbye, so that the visitor sees a whole answer.
    fn finish(&mut self) -> io::Result<()>;
}

impl Connection for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }
}

impl Connection for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }

    fn finish(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()
    }
}

/// Answers one request.
pub(crate) fn answer(mut stream: impl Connection, limits: &Limits) -> io::Result<()> {
    stream.socket().set_read_timeout(Some(REQUEST_LIMIT))?;
    stream.socket().set_write_timeout(Some(REQUEST_LIMIT))?;
    stream.socket().set_nodelay(true)?;
    let head = read_head(&mut stream)?;
    let Some((method, path)) = request_line(&head) else {
        return write(&mut stream, "GET", 400, "no request we understand\n", None);
    };
    match page(path, unix_seconds()) {
        Page::Answer { status, body, location, delay } => {
            thread::sleep(delay);
            write(&mut stream, method, status, body, location)
        }
        Page::Silence => stay_silent(&mut stream, limits),
    }
}

fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let length = stream.read(&mut chunk)?;
        if length == 0 || head.len() > LONGEST_HEAD {
            return Err(io::Error::other("no whole request came"));
        }
        head.extend_from_slice(&chunk[..length]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Method and path, without the query.
fn request_line(head: &str) -> Option<(&str, &str)> {
    let mut words = head.lines().next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let path = target.split(['?', '#']).next()?;
    (version.starts_with("HTTP/1.") && path.starts_with('/')).then_some((method, path))
}

fn write(
    stream: &mut impl Connection,
    method: &str,
    status: u16,
    body: &str,
    location: Option<&str>,
) -> io::Result<()> {
    let length = body.len();
    let location = location.map(|target| format!("Location: {target}\r\n")).unwrap_or_default();
    let body = if method == "HEAD" { "" } else { body };
    let answer = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n{location}\
         Connection: close\r\n\r\n{body}",
        reason(status)
    );
    stream.write_all(answer.as_bytes())?;
    stream.finish()?;
    stream.socket().shutdown(Shutdown::Write)
}

/// Waits until the visitor gives up.
fn stay_silent(stream: &mut impl Connection, limits: &Limits) -> io::Result<()> {
    let waiting = limits.silent.fetch_add(1, Ordering::SeqCst);
    let result = if waiting < limits.most_silent {
        stream.socket().set_read_timeout(Some(SILENCE_LIMIT)).and_then(|()| {
            let mut rest = [0; 256];
            while stream.read(&mut rest)? > 0 {}
            Ok(())
        })
    } else {
        Err(io::Error::other("too many wait in silence already"))
    };
    limits.silent.fetch_sub(1, Ordering::SeqCst);
    result
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_does_not_belong_to_the_path() {
        assert_eq!(request_line("GET /steady?x=1 HTTP/1.1\r\n"), Some(("GET", "/steady")));
    }

    #[test]
    fn what_is_no_http_is_refused() {
        assert_eq!(request_line("\u{16}\u{3}\u{1}"), None);
        assert_eq!(request_line("GET steady HTTP/1.1"), None);
    }
}
