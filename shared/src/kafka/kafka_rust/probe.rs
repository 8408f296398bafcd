//! Tries a broker's address before the kafka crate gets it. The crate connects without a time limit and allocates
//! whatever size the first four bytes of an answer name: a black hole would hold it for minutes, a TLS or HTTP port
//! would ask it for gigabytes. So we speak one small request of our own, under a limit, and look at the answer.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The longest that one address may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// The longest that the whole answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// The real answer has some 400 bytes.
const LARGEST_ANSWER: usize = 64 * 1024;
/// Any number will do that another protocol is unlikely to send back.
const CORRELATION: [u8; 4] = *b"isup";

/// The request `ApiVersions`, which every Kafka since 0.10 answers, before it asks for anything else.
const REQUEST: &[u8] = b"\0\0\0\x10\0\x12\0\0isup\0\x06isitup";

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const LIST_OFFSETS: i16 = 2;

/// Why an address cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing usable answers there, and why.
    Unreachable(String),
    /// A broker that dropped the versions the kafka crate speaks; the name of such a request.
    TooNew(&'static str),
}

fn unreachable(reason: impl Into<String>) -> Fault {
    Fault::Unreachable(reason.into())
}

/// Finds the first address behind `broker` (`host:port`) at which a usable Kafka broker answers.
///
/// Only the resolver is without a limit of ours: getaddrinfo cannot be cancelled, and has its own.
pub(super) fn probe(broker: &str) -> Result<SocketAddr, Fault> {
    let addresses =
        broker.to_socket_addrs().map_err(|error| unreachable(format!("its name does not resolve: {error}")))?;
    let mut fault = unreachable("its name has no address");
    for address in addresses {
        match ask(address) {
            Ok(()) => return Ok(address),
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

fn ask(address: SocketAddr) -> Result<(), Fault> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT).map_err(|error| unreachable(name(&error)))?;
    let deadline = Instant::now() + ANSWER_LIMIT;
    let dead = |error: std::io::Error| unreachable(name(&error));
    stream.set_write_timeout(Some(ANSWER_LIMIT)).map_err(dead)?;
    stream.write_all(REQUEST).map_err(dead)?;
    let mut head = [0; 8];
    read_until(&mut stream, &mut head, deadline)?;
    let size = answer_size(head)?;
    let mut body = vec![0; size];
    read_until(&mut stream, &mut body, deadline)?;
    judge(&body)
}

/// Fills `into`, however slowly the bytes trickle in, but not beyond `deadline`.
fn read_until(stream: &mut TcpStream, into: &mut [u8], deadline: Instant) -> Result<(), Fault> {
    let mut filled = 0;
    while filled < into.len() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(silent());
        }
        stream.set_read_timeout(Some(left)).map_err(|error| unreachable(name(&error)))?;
        match stream.read(into.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => return Err(closed(into.get(..filled).unwrap_or_default())),
            Ok(count) => filled += count,
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(silent()),
                ErrorKind::ConnectionReset => return Err(closed(into.get(..filled).unwrap_or_default())),
                _ => return Err(unreachable(name(&error))),
            },
        }
    }
    Ok(())
}

fn silent() -> Fault {
    unreachable("it takes the connection but gives no answer; is this a Kafka port without TLS?")
}

/// A TLS alert is shorter than the head of our answer, so what came before the end is looked at, too.
fn closed(got: &[u8]) -> Fault {
    foreign(got).unwrap_or_else(|| {
        unreachable(
            "it closes the connection on a Kafka request; is this a Kafka port without TLS, and Kafka 0.10 or newer?",
        )
    })
}

/// Names the other protocols that are met on wrong ports.
fn foreign(start: &[u8]) -> Option<Fault> {
    match start {
        [b'H', b'T', b'T', b'P', ..] => Some(unreachable("an HTTP server answers there, no Kafka broker")),
        [0x15 | 0x16, 0x03, ..] => {
            Some(unreachable("it speaks TLS, and kafka-rust does not: name a plaintext listener of the broker"))
        }
        _ => None,
    }
}

/// How many bytes follow the size and the correlation id in `head`.
fn answer_size(head: [u8; 8]) -> Result<usize, Fault> {
    let [s0, s1, s2, s3, correlation @ ..] = head;
    let size = usize::try_from(i32::from_be_bytes([s0, s1, s2, s3])).unwrap_or(0);
    // The least is the id, an error code and an empty list.
    if (10..=LARGEST_ANSWER).contains(&size) && correlation == CORRELATION {
        return Ok(size - CORRELATION.len());
    }
    Err(foreign(&head).unwrap_or_else(|| unreachable("what answers there is no Kafka broker")))
}

/// Looks whether the broker still takes version 0 of what the kafka crate sends.
///
/// The lowest version of Produce does not tell: Kafka 4 refuses version 0 but lists it all the same, for old librdkafka
/// (KAFKA-18659). Fetch and `ListOffsets` went in the same release and are listed truly.
fn judge(body: &[u8]) -> Result<(), Fault> {
    let no_broker = || unreachable("what answers there is no Kafka broker");
    let (head, list) = body.split_first_chunk::<6>().ok_or_else(no_broker)?;
    if head[..2] != [0, 0] {
        return Err(no_broker());
    }
    let lowest = |api: i16| {
        let mut entries = list.as_chunks::<6>().0.iter();
        entries.find(|entry| entry[..2] == api.to_be_bytes()).map(|entry| i16::from_be_bytes([entry[2], entry[3]]))
    };
    if lowest(PRODUCE).is_none() {
        return Err(unreachable("it is a Kafka controller and takes no records: name a broker's listener"));
    }
    for (api, request) in [(FETCH, "fetch"), (LIST_OFFSETS, "list offsets")] {
        if lowest(api).is_some_and(|version| version > 0) {
            return Err(Fault::TooNew(request));
        }
    }
    Ok(())
}

fn name(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "it takes no connection in time".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(apis: &[(i16, i16)]) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 0, 0, u8::try_from(apis.len()).unwrap()];
        for (api, lowest) in apis {
            body.extend([api.to_be_bytes(), lowest.to_be_bytes(), 20_i16.to_be_bytes()].concat());
        }
        body
    }

    #[test]
    fn the_request_says_its_own_size() {
        assert_eq!(REQUEST.len(), 4 + 0x10);
    }

    #[test]
    fn kafka_3_is_taken() {
        assert_eq!(judge(&answer(&[(0, 0), (1, 0), (2, 0), (3, 0)])), Ok(()));
    }

    #[test]
    fn kafka_4_is_too_new_although_it_lists_the_first_produce() {
        assert_eq!(judge(&answer(&[(0, 0), (1, 4), (2, 1), (3, 0)])), Err(Fault::TooNew("fetch")));
    }

    #[test]
    fn a_controller_is_named_as_such() {
        let Err(Fault::Unreachable(reason)) = judge(&answer(&[(1, 4), (18, 0)])) else { panic!("taken") };
        assert!(reason.contains("controller"), "{reason}");
    }

    #[test]
    fn a_torn_or_failed_answer_is_no_broker() {
        for body in [&[][..], &[0, 0, 0], &[0, 35, 0, 0, 0, 0]] {
            assert!(matches!(judge(body), Err(Fault::Unreachable(_))), "{body:?}");
        }
    }

    #[test]
    fn an_absurd_size_or_a_foreign_correlation_is_refused_before_anything_is_allocated() {
        for head in [
            *b"HTTP/1.1",
            *b"\x15\x03\x03\0\x02\x02\x28\0",
            [0x7f; 8],
            [0; 8],
            *b"\0\0\0\x20abcd",
            *b"\xff\xff\xff\xffisup",
        ] {
            assert!(answer_size(head).is_err(), "{head:?}");
        }
        assert_eq!(answer_size(*b"\0\0\x01\x00isup"), Ok(252));
    }
}
