//! The servers of the table: each well or misbehaving in one way, and each made in a few words.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// A body that decompresses to 4 MiB of zeros.
pub(super) const GZIP_BOMB: &[u8] = include_bytes!("../../../producer/tests/checker/zeros-4MiB.gz");
pub(super) const DEFLATE_BOMB: &[u8] = include_bytes!("../../../producer/tests/checker/zeros-4MiB.zz");
/// And to 256 MiB.
pub(super) const BROTLI_BOMB: &[u8] = include_bytes!("../../../producer/tests/checker/zeros-256MiB.br");
pub(super) const ZSTD_BOMB: &[u8] = include_bytes!("../../../producer/tests/checker/zeros-256MiB.zst");

/// Serves each connection by `behave`, on a thread of its own. Gives `127.0.0.1:port`.
pub(super) fn serving(behave: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> String {
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
    address.to_string()
}

/// Says that it has nothing to say before it is asked, and waits for the client to leave. To close for good would reset the
/// connection or not, as chance has it.
pub(super) fn closing() -> String {
    serving(|mut stream| {
        stream.shutdown(Shutdown::Write)?;
        io::copy(&mut stream, &mut io::sink()).map(drop)
    })
}

/// Answers a request with these bytes and closes.
pub(super) fn raw(answer: impl AsRef<[u8]>) -> String {
    let answer = answer.as_ref().to_vec();
    format!("http://{}/", serving(move |stream| respond(stream, |_| answer.clone())))
}

/// `HTTP/1.1 200` with these header lines (each closed by CRLF), and this body to the end of the connection.
pub(super) fn page(headers: &str, body: impl AsRef<[u8]>) -> String {
    raw([format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes(), body.as_ref()].concat())
}

/// This status without a body.
pub(super) fn status(status: &str) -> String {
    raw(format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n"))
}

/// A redirect of this status.
pub(super) fn redirect(status: u16, location: &str) -> String {
    raw(format!("HTTP/1.1 {status} x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))
}

/// 200 when the request (its head and what came with it) has these words, else 400.
pub(super) fn wanting(words: &'static str) -> String {
    let answer = move |request: &str| {
        let status = if request.to_lowercase().contains(&words.to_lowercase()) { "200 OK" } else { "400 x" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    };
    format!("http://{}/", serving(move |stream| respond(stream, answer)))
}

/// 200 unless the request has these words, else 400.
pub(super) fn without(words: &'static str) -> String {
    let answer = move |request: &str| {
        let status = if request.to_lowercase().contains(words) { "400 x" } else { "200 OK" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    };
    format!("http://{}/", serving(move |stream| respond(stream, answer)))
}

/// Says this at once, whatever the client may want, and waits for it to leave.
pub(super) fn speaking(words: impl AsRef<[u8]>) -> String {
    let words = words.as_ref().to_vec();
    serving(move |mut stream| {
        stream.write_all(&words)?;
        io::copy(&mut stream, &mut io::sink()).map(drop)
    })
}

/// Says this to a request, then nothing more for as long as the client stays.
pub(super) fn stalling(begin: &'static str) -> String {
    let address = serving(move |mut stream| {
        read_request(&mut stream)?;
        stream.write_all(begin.as_bytes())?;
        stream.read(&mut [0]).map(drop)
    });
    format!("http://{address}/")
}

/// Says `begin`, then `drip` again and again, a little at a time, for ever.
pub(super) fn dripping(begin: &'static str, drip: &'static str) -> String {
    let address = serving(move |mut stream| {
        read_request(&mut stream)?;
        stream.write_all(begin.as_bytes())?;
        loop {
            stream.write_all(drip.as_bytes())?;
            thread::sleep(Duration::from_millis(50));
        }
    });
    format!("http://{address}/")
}

/// Says `begin`, then `flood` again and again, as fast as it is read.
pub(super) fn flooding(begin: &'static str, flood: &str) -> String {
    let flood = flood.repeat(1024);
    let address = serving(move |mut stream| {
        read_request(&mut stream)?;
        stream.write_all(begin.as_bytes())?;
        loop {
            stream.write_all(flood.as_bytes())?;
        }
    });
    format!("http://{address}/")
}

/// Says this to a request, and resets the connection.
pub(super) fn resetting(begin: &'static str) -> String {
    let address = serving(move |mut stream| {
        // The rest of the request is left unread, so that closing resets.
        let _ = stream.read(&mut [0; 8])?;
        stream.write_all(begin.as_bytes())?;
        thread::sleep(Duration::from_millis(100));
        Ok(())
    });
    format!("http://{address}/")
}

/// A SOCKS5 proxy that connects to nobody, but answers each request itself with 204.
pub(super) fn socks5() -> String {
    serving(|mut stream| {
        let mut head = [0; 2];
        stream.read_exact(&mut head)?;
        stream.read_exact(&mut vec![0; usize::from(head[1])])?;
        stream.write_all(&[5, 0])?;
        let mut request = [0; 5];
        stream.read_exact(&mut request)?;
        let rest = match request[3] {
            1 => 5,
            3 => usize::from(request[4]) + 2,
            _ => 17,
        };
        stream.read_exact(&mut vec![0; rest])?;
        stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 1])?;
        respond(stream, |_| b"HTTP/1.1 204 x\r\n\r\n".to_vec())
    })
}

/// A name server: of any name it says `rcode`, and to questions for IPv4 addresses these.
pub(super) fn name_server(rcode: u8, addresses: &'static [[u8; 4]]) -> String {
    answering_names(move |question| {
        let end = 12 + question.get(12..)?.iter().position(|&byte| byte == 0)? + 5;
        let asks_ipv4 = question.get(end - 4..end - 2)? == [0, 1];
        let addresses = if asks_ipv4 { addresses } else { &[] };
        let mut answer = question.get(..2)?.to_vec();
        answer.extend([0x81, 0x80 | rcode, 0, 1, 0, u8::try_from(addresses.len()).ok()?, 0, 0, 0, 0]);
        answer.extend(question.get(12..end)?);
        for address in addresses {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(address);
        }
        Some(answer)
    })
}

/// A name server that answers with what `answer` gives.
pub(super) fn answering_names(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = answer(&buffer[..length]) {
                let _ = socket.send_to(&answer, client);
            }
        }
    });
    address.to_string()
}

/// Who signs the certificates of the table's servers, and of a client; their files lie in a folder.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    folder: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "the authority of the table");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), own.pem()).unwrap();
        let authority = Self { issuer: Issuer::new(params, key), certificate: own.der().clone(), folder };
        let (client, client_key) = authority.sign(&["client.test"], |_| {});
        std::fs::write(authority.folder.path().join("client.pem"), pem("CERTIFICATE", &client)).unwrap();
        std::fs::write(authority.folder.path().join("client.key"), client_key.serialize_pem()).unwrap();
        authority
    }

    /// The path of one of its files: `ca.pem`, `client.pem` or `client.key`.
    pub(super) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (CertificateDer<'static>, KeyPair) {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.not_after = date_time_ymd(2099, 12, 31);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key)
    }

    /// 204 over TLS with a certificate for 127.0.0.1 that `change` has changed. Gives `127.0.0.1:port`.
    pub(super) fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let (certificate, key) = self.sign(&["127.0.0.1"], change);
        serving_tls(config(certificate, &key, None))
    }

    /// One that wants a client certificate of this authority.
    pub(super) fn asking_clients(&self) -> String {
        let (certificate, key) = self.sign(&["127.0.0.1"], |_| {});
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        serving_tls(config(certificate, &key, Some(roots)))
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = der.chunks(3).map(|three| {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let number =
            three.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        let letters =
            (0..4).map(|i| if i <= three.len() { char::from(LETTERS[number >> (18 - 6 * i) & 63]) } else { '=' });
        letters.collect::<String>()
    });
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64.collect::<Vec<_>>().join("\n"))
}

/// 204 over TLS with a certificate that nobody has signed.
pub(super) fn self_signed() -> String {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    serving_tls(config(own.cert.der().clone(), &own.signing_key, None))
}

fn config(certificate: CertificateDer<'static>, key: &KeyPair, clients: Option<RootCertStore>) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder.with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into()).unwrap()
}

fn serving_tls(config: ServerConfig) -> String {
    let config = Arc::new(config);
    serving(move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, stream);
        read_request(&mut stream)?;
        stream.write_all(b"HTTP/1.1 204 x\r\n\r\n")?;
        stream.conn.send_close_notify();
        stream.flush()
    })
}

fn respond(mut stream: TcpStream, answer: impl Fn(&str) -> Vec<u8>) -> io::Result<()> {
    let request = read_request(&mut stream)?;
    stream.write_all(&answer(&request))?;
    // All of it arrives before the end does: closing with something unread would reset the connection.
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// The request's head, and the body as far as `Content-Length` tells.
fn read_request(stream: &mut impl Read) -> io::Result<String> {
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = lengths.next().and_then(|(_, length)| length.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Ok(text);
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => request.extend_from_slice(&chunk[..length]),
        }
    }
}
