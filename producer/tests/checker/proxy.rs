//! Small proxies: HTTP, HTTP over TLS, and SOCKS 5.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::server::{read_head, serving};

/// What the heads of the requests to a proxy were.
pub(crate) type Heads = Arc<Mutex<Vec<String>>>;

/// Takes bytes from one to the other, both ways, until either closes.
fn join(client: &TcpStream, site: &TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_site) = (client.try_clone()?, site.try_clone()?);
    let upwards = thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_site);
        let _ = to_site.shutdown(Shutdown::Write);
    });
    let (mut from_site, mut to_client) = (site.try_clone()?, client.try_clone()?);
    let _ = io::copy(&mut from_site, &mut to_client);
    let _ = to_client.shutdown(Shutdown::Write);
    upwards.join().map_err(|_| io::Error::other("a panic"))
}

/// An HTTP proxy that connects all to `site`, whatever is asked for: tunnels, and requests as they are.
pub(crate) fn http_proxy(site: SocketAddr) -> (SocketAddr, Heads) {
    let heads = Heads::default();
    let kept = Arc::clone(&heads);
    let address = serving(move |mut client| {
        let head = read_head(&mut client)?;
        kept.lock().unwrap().push(head.clone());
        let mut site = TcpStream::connect(site)?;
        if head.starts_with("CONNECT ") {
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        } else {
            site.write_all(head.as_bytes())?;
        }
        join(&client, &site)
    });
    (address, heads)
}

/// The same over TLS, one request at a time: what the site says is passed on, then the connection ends.
pub(crate) fn https_proxy(config: Arc<ServerConfig>, site: SocketAddr) -> SocketAddr {
    recording_https_proxy(config, site).0
}

/// The same, with the head of each request, after a line that says how many certificates the client showed.
pub(crate) fn recording_https_proxy(config: Arc<ServerConfig>, site: SocketAddr) -> (SocketAddr, Heads) {
    let heads = Heads::default();
    let kept = Arc::clone(&heads);
    let address = serving(move |client| {
        let tls = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        let mut client = StreamOwned::new(tls, client);
        let head = read_head(&mut client)?;
        let shown = client.conn.peer_certificates().map_or(0, <[_]>::len);
        kept.lock().unwrap().push(format!("certificates: {shown}\r\n{head}"));
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        client.flush()?;
        let site = TcpStream::connect(site)?;
        client.sock.set_read_timeout(Some(Duration::from_millis(5)))?;
        site.set_read_timeout(Some(Duration::from_millis(5)))?;
        let is_late = |error: &io::Error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        let mut chunk = [0; 16 * 1024];
        loop {
            match client.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => (&site).write_all(&chunk[..length])?,
                Err(error) if is_late(&error) => {}
                Err(error) => return Err(error),
            }
            match (&site).read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => client.write_all(&chunk[..length])?,
                Err(error) if is_late(&error) => {}
                Err(error) => return Err(error),
            }
        }
    });
    (address, heads)
}

/// A SOCKS 5 proxy (RFC 1928) that wants `credentials`, where there are some, and answers with `status`: 0 connects to
/// `site`. Keeps what it is asked for.
pub(crate) fn socks_proxy(site: SocketAddr, status: u8, credentials: Option<&'static str>) -> (SocketAddr, Heads) {
    let asked = Heads::default();
    let kept = Arc::clone(&asked);
    let address = serving(move |mut client| {
        let read = |length: usize| {
            let mut bytes = vec![0; length];
            (&client).read_exact(&mut bytes).map(|()| bytes)
        };
        let methods = read(2)?[1];
        let methods = read(methods.into())?;
        if let Some(credentials) = credentials {
            if !methods.contains(&2) {
                return (&client).write_all(&[5, 0xff]);
            }
            (&client).write_all(&[5, 2])?;
            let length = read(2)?[1];
            let user = read(length.into())?;
            let length = read(1)?[0];
            let password = read(length.into())?;
            let is_well = [user, password].join(&b':') == credentials.as_bytes();
            (&client).write_all(&[1, u8::from(!is_well)])?;
        } else {
            (&client).write_all(&[5, 0])?;
        }
        let kind = read(4)?[3];
        let host = match kind {
            1 => read(4)?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
            3 => {
                let length = read(1)?[0];
                String::from_utf8_lossy(&read(length.into())?).into_owned()
            }
            _ => format!("{:?}", read(16)?),
        };
        read(2)?;
        kept.lock().unwrap().push(host);
        client.write_all(&[5, status, 0, 1, 0, 0, 0, 0, 0, 0])?;
        if status > 0 {
            return Ok(());
        }
        join(&client, &TcpStream::connect(site)?)
    });
    (address, asked)
}
