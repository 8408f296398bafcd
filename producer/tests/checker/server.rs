//! Servers on loopback, each a line to start, and the checker to send there.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use isitup_producer::checker::{Checker, Trust};
use isitup_producer::site::{Site, SiteSettings};
use isitup_producer::target::Target;
use isitup_shared::event::Check;
use isitup_shared::time::UtcTime;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A connection, encrypted or not.
pub(crate) trait Connection: Read + Write {
    /// The socket below.
    fn socket(&self) -> &TcpStream;
}

impl Connection for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Connection for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

/// Serves each connection by `behave`, on a thread of its own.
pub(crate) fn serving(behave: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let behave = Arc::new(behave);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let behave = Arc::clone(&behave);
            // Whether the client stays to the end is its own business.
            thread::spawn(move || drop(behave(stream)));
        }
    });
    address
}

/// Reads a request, writes `answer` and closes.
pub(crate) fn answering(answer: impl AsRef<[u8]> + Send + Sync + 'static) -> SocketAddr {
    serving(move |stream| answer_with(stream, answer.as_ref()))
}

/// As [`answering`], but over TLS.
pub(crate) fn answering_tls(config: Arc<ServerConfig>, answer: impl AsRef<[u8]> + Send + Sync + 'static) -> SocketAddr {
    serving(move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        answer_with(StreamOwned::new(tls, stream), answer.as_ref())
    })
}

/// Reads a request, writes `begin`, and then says nothing for as long as the client stays.
pub(crate) fn stalling(begin: impl AsRef<[u8]> + Send + Sync + 'static) -> SocketAddr {
    serving(move |mut stream| {
        read_head(&mut stream)?;
        stream.write_all(begin.as_ref())?;
        wait_for_end(&mut stream)
    })
}

/// Answers well, and keeps the head of each request.
pub(crate) fn remembering(answer: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    let address = serving(move |mut stream| {
        let head = read_head(&mut stream)?;
        kept.lock().unwrap().push(head);
        stream.write_all(answer.as_bytes())
    });
    (address, heads)
}

/// An address where nothing listens, nor will: a port that was let go might be another server's by then.
pub(crate) fn closed() -> SocketAddr {
    ([127, 0, 0, 1], 1).into()
}

/// An address where the system leaves each connection unanswered: more than its queue holds wait there already.
pub(crate) fn black_hole() -> SocketAddr {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let entered = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap().into_std().unwrap();
    drop(entered);
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    let mut unanswered = 0;
    while unanswered < 2 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => unanswered += 1,
        }
    }
    // They must outlive the test, as must the listener.
    std::mem::forget((listener, waiting));
    address
}

/// `HTTP/1.1 200` with `headers` and `body`, to be ended by the end of the connection.
pub(crate) fn ok(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes();
    answer.extend_from_slice(body.as_ref());
    answer
}

/// A bare redirect by `status` to `location`.
pub(crate) fn redirect(status: u16, location: impl std::fmt::Display) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

fn answer_with(mut stream: impl Connection, answer: &[u8]) -> io::Result<()> {
    read_head(&mut stream)?;
    stream.write_all(answer)?;
    stream.flush()?;
    stream.socket().shutdown(std::net::Shutdown::Write)?;
    wait_for_end(&mut stream)
}

pub(crate) fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Waits until the client closes.
pub(crate) fn wait_for_end(stream: &mut impl Read) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(drop)
}

/// Settings for a check that has all the time it needs.
pub(crate) fn patient() -> SiteSettings {
    SiteSettings { timeout: Duration::from_secs(20), ..SiteSettings::default() }
}

/// Names below `.test` are loopback; `nowhere.test` does not exist, and `stuck.test` is looked up for ever.
pub(crate) fn trusting(roots: Vec<rustls::pki_types::CertificateDer<'static>>) -> Trust {
    Trust::only(roots).unwrap().resolving_by(|name| match name {
        "nowhere.test" => Err(io::Error::other("failed to lookup address information: Name or service not known")),
        "servfail.test" => {
            Err(io::Error::other("failed to lookup address information: Temporary failure in name resolution"))
        }
        "empty.test" => Ok(Vec::new()),
        "stuck.test" => loop {
            thread::park();
        },
        _ => Ok(vec![([127, 0, 0, 1], 0).into()]),
    })
}

/// One check of `url` by a checker that trusts `trust`.
pub(crate) fn check_by(trust: &Trust, url: &str, settings: SiteSettings) -> Check {
    let site = Site::new(Target::parse(url).unwrap(), None, settings.into());
    Checker::new(trust).check(&site, UtcTime::now())
}

/// One check of `url` by a checker that trusts nobody.
pub(crate) fn check(url: &str, settings: SiteSettings) -> Check {
    check_by(&trusting(Vec::new()), url, settings)
}

/// How a check failed, as `kind: detail`.
pub(crate) fn failure(check: &Check) -> String {
    check.outcome.failure().map_or_else(|| "up".to_owned(), |failure| format!("{}: {}", failure.kind, failure.detail))
}
