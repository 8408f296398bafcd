//! What the checks check: a small server on loopback, plain, over TLS, and one that never answers.
//!
//! It runs as a child of the bench, so that its CPU time is nobody else's. A few threads each serve one visitor after
//! the other. It leaves the end of the connection to the visitor, as most web servers do.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::process::Running;

/// The first argument of this role.
pub(crate) const ROLE: &str = "__target";

const THREADS: usize = 16;
const LONGEST_HEAD: usize = 8 * 1024;
/// Visitors that hang up late must not hold a thread for ever.
const VISIT_LIMIT: Duration = Duration::from_secs(10);
/// Longer than any check waits.
const SILENCE: Duration = Duration::from_secs(15);

/// The running server.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) http: String,
    pub(crate) https: String,
    /// Takes connections, reads nothing and says nothing.
    pub(crate) black_hole: String,
    /// The certificate (PEM) that signed that of `https`.
    pub(crate) ca_file: PathBuf,
    _child: Running,
}

impl Target {
    /// Starts the server; it keeps its certificate below `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ROLE).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Running::start("the target", &mut command)?;
        let output = child.child().stdout.take().context("the target has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let ports: [u16; 3] = serde_json::from_str(&line).context("the target did not start")?;
        let [http, https, black_hole] = ports;
        Ok(Self {
            http: format!("http://127.0.0.1:{http}/"),
            https: format!("https://127.0.0.1:{https}/"),
            black_hole: format!("http://127.0.0.1:{black_hole}/"),
            ca_file: folder.join("ca.pem"),
            _child: child,
        })
    }
}

/// Serves until the input ends.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let folder = args.first().context("the target needs a folder")?;
    let tls = Arc::new(tls_config(Path::new(folder))?);
    let http = serve(answer)?;
    let https = serve(move |stream| {
        let session = ServerConnection::new(Arc::clone(&tls)).map_err(io::Error::other)?;
        answer(StreamOwned::new(session, stream))
    })?;
    let black_hole = keep_silent()?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&[http, https, black_hole])?)?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// Listens on a free port with some threads.
fn serve(handle: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    for _ in 0..THREADS {
        let (listener, handle) = (listener.try_clone()?, handle.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A visitor that hangs up in the middle is its own affair: it counts it as an error.
                let _ = stream.set_read_timeout(Some(VISIT_LIMIT)).and_then(|()| handle(stream));
            }
        });
    }
    Ok(port)
}

/// Answers one request by a page of 1 KiB, and waits until the visitor hangs up.
fn answer(mut stream: impl Read + Write) -> io::Result<()> {
    const BODY: [u8; 1024] = [b'x'; 1024];
    let mut head = [0; LONGEST_HEAD];
    let mut length = 0;
    while !head[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[length..])? {
            0 => return Ok(()),
            more => length += more,
        }
    }
    let mut page =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", BODY.len()).into_bytes();
    page.extend_from_slice(&BODY);
    stream.write_all(&page)?;
    stream.flush()?;
    stream.read(&mut head).map(drop)
}

/// Takes connections and holds them for a while.
fn keep_silent() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let mut held: VecDeque<(Instant, TcpStream)> = VecDeque::new();
        for stream in listener.incoming().flatten() {
            held.push_back((Instant::now(), stream));
            while held.front().is_some_and(|(since, _)| since.elapsed() > SILENCE) {
                held.pop_front();
            }
        }
    });
    Ok(port)
}

/// A certificate for 127.0.0.1, signed by a CA of its own, which is written to `ca.pem`.
fn tls_config(folder: &Path) -> Result<ServerConfig> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "isitup bench CA");
    fs::write(folder.join("ca.pem"), ca.self_signed(&ca_key)?.pem())?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["127.0.0.1".into()])?.signed_by(&key, &Issuer::new(ca, ca_key))?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Nobody comes twice: tickets would be work for nothing.
    config.send_tls13_tickets = 0;
    Ok(config)
}
