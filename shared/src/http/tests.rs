//! The health port against callers that hold connections, on loopback.

use std::net::Shutdown;
use std::time::Instant;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::*;

/// What a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

struct Well;

impl Health for Well {
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A health port with metrics of `bytes` at least.
fn serving(bytes: usize) -> SocketAddr {
    let mut registry = Registry::default();
    let family = Family::<Vec<(String, String)>, Gauge>::default();
    for number in 0..bytes.div_ceil(1000) {
        family.get_or_create(&vec![("filling".to_owned(), format!("{number:0>1000}"))]).set(1);
    }
    registry.register("isitup_filling", "Fills the answer", family);
    serve(([127, 0, 0, 1], 0).into(), Arc::new(Well), registry).unwrap()
}

/// A connection on which `begin` was said.
fn begun(address: SocketAddr, begin: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(begin).unwrap();
    stream
}

/// What the other side says until it closes.
fn rest(mut stream: &TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    !matches!(read, Err(ref error) if error.kind() == io::ErrorKind::WouldBlock) && !matches!(read, Ok(1..))
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_probe_is_answered_while_half_open_connections_hang() {
    let address = serving(0);
    for begin in [&b""[..], b"GET /health/live HTTP/1.1\r\nHost: x\r\n", b"GET"] {
        let held: Vec<TcpStream> = (0..150).map(|_| begun(address, begin)).collect();
        // It is answered after all before it were accepted. By then no more than 64 are kept, long before their time is over.
        ask_live(address).unwrap();
        let closed = held.iter().filter(|stream| is_closed(stream)).count();
        assert!(closed >= 150 - 64, "only {closed} of 150 are closed");
        wait_for("half a request never ends", || held.iter().all(is_closed));
        ask_live(address).unwrap();
    }
}

#[test]
fn a_probe_is_answered_while_idle_connections_hang() {
    let address = serving(0);
    let held: Vec<TcpStream> =
        (0..150).map(|_| begun(address, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    wait_for("too many stay open", || {
        held.iter().filter(|stream| stream.peek(&mut [0; 4096]).is_ok_and(|length| length > 0)).count() >= 64
    });
    for _ in 0..5 {
        ask_live(address).unwrap();
    }
}

#[test]
fn a_caller_that_takes_no_answer_is_let_go() {
    // More than the buffers of two sockets hold.
    let address = serving(6 << 20);
    let held: Vec<TcpStream> = (0..3).map(|_| begun(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    ask_live(address).unwrap();
    wait_for("an answer that nobody takes never ends", || {
        // What was sent until then can still be read; only a write tells that the other side is gone.
        held.iter().all(|mut stream| stream.write_all(b"x").is_err())
    });
    ask_live(address).unwrap();
}

#[test]
fn a_connection_serves_several_requests() {
    let address = serving(0);
    let stream = begun(address, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut answer = [0; 4096];
    let length = (&stream).read(&mut answer).unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK\r\n"));
    (&stream).write_all(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert!(rest(&stream).ends_with("ok\n"));
}

#[test]
fn large_heads_are_refused_and_bodies_ignored() {
    let address = serving(0);
    let large = format!("GET /health/live HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(100_000));
    let stream = TcpStream::connect(address).unwrap();
    let _ = (&stream).write_all(large.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    assert!(!rest(&stream).contains(" 200 "));
    let body = format!("GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n{}", "y".repeat(5000));
    let stream = begun(address, body.as_bytes());
    let mut answer = [0; 12];
    (&stream).read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    ask_live(address).unwrap();
}
