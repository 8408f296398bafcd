//! Sites to check: servers on loopback, well or misbehaving in one way each.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

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

/// Says this at once, whatever the client may want, and waits for it to leave.
pub(crate) fn speaking_first(words: &'static str) -> Site {
    serving("http", move |mut stream, _| {
        stream.write_all(words.as_bytes())?;
        io::copy(&mut stream, &mut io::sink()).map(drop)
    })
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

/// 200 over TLS, with a certificate that nobody has signed.
pub(crate) fn self_signed() -> Site {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    over_tls(own.cert.der().clone(), &own.signing_key)
}

/// 200 over TLS, with a certificate that ends with the year 2099; who signed it is written to `ca_file`.
pub(crate) fn signed(ca_file: &Path) -> Site {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(ca_file, ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2099, 12, 31);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    over_tls(certificate.der().clone(), &key)
}

/// `HTTP/1.1 200` with these headers, each closed by CRLF, and this body.
pub(crate) fn ok(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let length = body.as_ref().len();
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

fn over_tls(certificate: CertificateDer<'static>, key: &KeyPair) -> Site {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into());
    let config = Arc::new(config.unwrap());
    serving("https", move |stream, asked| {
        let tls = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        respond(StreamOwned::new(tls, stream), asked, |_| ok("", "hi"))
    })
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
