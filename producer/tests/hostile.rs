//! Sites that mean harm: the real `isitup-producer check`, under limits on its process, visits one after the other, and
//! each ends by its kind. Afterwards the process tells the most memory and threads it ever had.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work fails the test that called it")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const ZEROS: &[u8] = include_bytes!("checker/zeros-4MiB.gz");
/// Each of 16 checkers has two threads, with what the allocator reserves for each and never uses, as a zstd window of
/// 128 MiB is. Names of stuck resolvers have a few more.
const LIMITS: [&str; 2] = ["--as=4294967296", "--nofile=256"];
const MOST_MEMORY_KIB: u64 = 64 << 10;
const MOST_THREADS: u64 = 48;
const MOST_FILES: u64 = 200;
/// Too little for all that is asked.
const TIGHT: [&str; 2] = ["--as=536870912", "--nofile=24"];

/// Serves each connection by `behave`, on a thread of its own.
fn serving(behave: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let behave = Arc::new(behave);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let behave = Arc::clone(&behave);
            thread::spawn(move || drop(behave(stream)));
        }
    });
    address
}

fn read_head(stream: &mut impl Read) -> io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(())
}

/// Answers by `begin`, and then by `piece` for ever, with `pause` between two.
fn endless(begin: &'static str, piece: impl AsRef<[u8]> + Send + Sync + 'static, pause: Duration) -> SocketAddr {
    serving(move |mut stream| {
        read_head(&mut stream)?;
        stream.write_all(begin.as_bytes())?;
        loop {
            stream.write_all(piece.as_ref())?;
            thread::sleep(pause);
        }
    })
}

fn answering(answer: String) -> SocketAddr {
    serving(move |mut stream| {
        read_head(&mut stream)?;
        stream.write_all(answer.as_bytes())?;
        stream.shutdown(std::net::Shutdown::Write)?;
        io::copy(&mut stream, &mut io::sink()).map(drop)
    })
}

/// A TLS server whose certificate is followed by `followers` copies of itself.
fn long_chain(followers: usize) -> SocketAddr {
    let own = rcgen::generate_simple_self_signed(["site.test".to_owned()]).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![own.cert.der().clone(); followers + 1];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    serving(move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        read_head(&mut StreamOwned::new(tls, stream))
    })
}

/// A frame with a window of 128 MiB, and of its blocks one that stands for 128 KiB in four bytes.
const ZSTD_FRAME: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88];
const ZSTD_BLOCK: [u8; 4] = [0x02, 0x00, 0x10, b'x'];

/// Each hostile site, and how its check must end.
fn sites() -> Vec<(String, &'static str)> {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    let (drip, flood) = (Duration::from_millis(10), Duration::ZERO);
    let http = |address: SocketAddr| format!("http://{address}");
    let zstd = serving(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\n\r\n")?;
        stream.write_all(&ZSTD_FRAME)?;
        loop {
            stream.write_all(&ZSTD_BLOCK.repeat(1000))?;
        }
    });
    // A record of handshake whose message says it is 16 MiB long, and then that.
    let endless_handshake = serving(|mut stream| {
        let record = [&[22, 3, 3, 0x40, 0][..], &[2, 0xff, 0xff, 0xff], &[0; 0x4000 - 4]].concat();
        loop {
            stream.write_all(&record)?;
        }
    });
    let cookies = |count: usize, size: usize| {
        format!("{OK}{}\r\nhi", format!("Set-Cookie: a={}\r\n", "x".repeat(size)).repeat(count))
    };
    let silent = || serving(|mut stream| io::copy(&mut stream, &mut io::sink()).map(drop));
    let redirects = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for (i, mut stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let _ = read_head(&mut stream);
                let _ = write!(stream, "HTTP/1.1 302 On\r\nLocation: /{i}\r\nContent-Length: 0\r\n\r\n");
            }
        });
        address
    };
    vec![
        (http(endless(OK, "X", drip)), "timeout: no answer within 1 s"),
        (http(endless(OK, "X: x\r\n", flood)), "protocol: the head of the answer is too large"),
        (http(endless("", "HTTP/1.1 103 Early Hints\r\n\r\n", flood)), "timeout: no answer within 1 s"),
        (http(endless("HTTP/1.1 200 OK\r\n\r\n", "x", drip)), "timeout: the body did not end within 1 s"),
        (
            http(endless("HTTP/1.1 200 OK\r\n\r\n", [b'x'; 65536], flood)),
            "body_too_large: the body is larger than 1 MiB",
        ),
        (
            http(endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", drip)),
            "timeout: the body did not end within 1 s",
        ),
        (
            http(endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", [b'x'; 4096], flood)),
            "protocol: a chunk of the body is malformed",
        ),
        (
            http(endless("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", ZEROS, flood)),
            "body_too_large: the body is larger than 1 MiB",
        ),
        (http(zstd), "body_too_large: the body is larger than 1 MiB"),
        (http(redirects), "redirect: more than 10 redirects, now to http://ADDRESS/10"),
        (http(answering(cookies(5000, 20))), "protocol: the head of the answer is too large"),
        (http(answering(cookies(40, 4096))), "up"),
        (format!("https://{}", long_chain(5000)), "tls: the server broke the TLS protocol"),
        (format!("tls://{}", long_chain(5000)), "tls: the server broke the TLS protocol"),
        (format!("tls://{endless_handshake}"), "tls: the server broke the TLS protocol"),
        (format!("tls://{}", silent()), "timeout: the TLS handshake did not end within 1 s"),
        (
            format!("dns://{}/a.test", name_server(b"220 hello")),
            "protocol: the answer is not DNS, or not to the question",
        ),
        ("http://stuck.test".into(), "dns: the name servers gave no answer for stuck.test within 1 s"),
        ("tcp://stuck.test:1".into(), "dns: the name servers gave no answer for stuck.test within 1 s"),
        // The last one waits, and meanwhile the process shows what the others have cost.
        (http(silent()), "timeout: no answer within 1 s"),
    ]
}

/// A name server that answers each question by `garbage`; with none, it is stuck.
fn name_server(garbage: &'static [u8]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((_, client)) = socket.recv_from(&mut question) {
            if !garbage.is_empty() {
                let _ = socket.send_to(garbage, client);
            }
        }
    });
    address
}

/// The most that the process has shown so far.
#[derive(Debug, Default)]
struct Most {
    memory_kib: u64,
    threads: u64,
    files: u64,
}

impl Most {
    fn observe(&mut self, pid: u32) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let value = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
        };
        self.memory_kib = self.memory_kib.max(value("VmHWM:"));
        self.threads = self.threads.max(value("Threads:"));
        let files = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |files| files.count() as u64);
        self.files = self.files.max(files);
    }
}

fn check(urls: &[String], limits: [&str; 2]) -> (Child, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.yml");
    fs::write(&config, format!("defaults: {{timeout: 1s, resolver: '{}'}}\n", name_server(b""))).unwrap();
    let child = Command::new("prlimit")
        .args(limits)
        .args([env!("CARGO_BIN_EXE_isitup-producer"), "check", "--json", "--config"])
        .arg(&config)
        .args(urls)
        .stdout(Stdio::piped())
        .spawn();
    (child.unwrap(), dir)
}

/// How a check failed, as `kind: detail`.
fn failure(event: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    let failure = &event["failure"];
    match (failure["kind"].as_str(), failure["detail"].as_str()) {
        (Some(kind), Some(detail)) => format!("{kind}: {detail}"),
        _ => event["outcome"].as_str().unwrap_or_default().to_owned(),
    }
}

#[test]
fn hostile_sites_end_by_their_kind_within_bounded_memory_threads_and_files() {
    let sites = sites();
    let urls: Vec<String> = sites.iter().map(|(url, _)| url.clone()).collect();
    let (mut child, _dir) = check(&urls, LIMITS);
    let output = BufReader::new(child.stdout.take().unwrap());
    let lines = thread::spawn(move || output.lines().map_while(Result::ok).collect::<Vec<String>>());
    let mut most = Most::default();
    let given_up = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() {
        most.observe(child.id());
        if Instant::now() > given_up {
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(5));
    }
    let told: Vec<String> = lines.join().unwrap().iter().map(|line| failure(line)).collect();
    let authority = |url: &str| url.split('/').nth(2).unwrap_or_default().to_owned();
    let expected: Vec<String> =
        sites.iter().map(|(url, expected)| expected.replace("ADDRESS", &authority(url))).collect();
    assert_eq!(told, expected);
    println!("{most:?}");
    assert!((1..=MOST_MEMORY_KIB).contains(&most.memory_kib), "{most:?}");
    assert!((1..=MOST_THREADS).contains(&most.threads), "{most:?}");
    assert!((1..=MOST_FILES).contains(&most.files), "{most:?}");
}

#[test]
fn a_process_that_gets_no_threads_memory_or_files_tells_of_each_site_nonetheless() {
    let urls: Vec<String> = sites().into_iter().map(|(url, _)| url).collect();
    let (child, _dir) = check(&urls, TIGHT);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), told.lines().count()), (Some(1), urls.len()), "{told}");
}
