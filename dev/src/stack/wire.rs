//! The least of Kafka's own protocol: a request and its answer over a plaintext listener.
//! <https://kafka.apache.org/protocol#protocol_messages>

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(2);
/// No answer asked for here is anywhere near as long; what claims to be is no answer of Kafka's.
const LONGEST: usize = 1 << 20;

/// A request's number and version.
pub(super) type Api = (i16, i16);

/// A connection to a server of the stack that will not be waited for long.
pub(super) fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Sends a request and reads its answer, without its head.
pub(super) fn ask(port: u16, (api, version): Api, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    put_string(&mut request, "isitup-dev");
    request.extend(body);

    let mut stream = connect(port)?;
    stream.write_all(&(request.len() as i32).to_be_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| (4..=LONGEST).contains(length));
    let mut answer = vec![0; length.ok_or_else(no_kafka)?];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4))
}

/// What is no answer of Kafka's.
pub(super) fn no_kafka() -> io::Error {
    io::Error::other("what answers there is not Kafka")
}

/// Appends a text, its length before it.
pub(super) fn put_string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as i16).to_be_bytes());
    bytes.extend(text.as_bytes());
}

/// Takes a number off an answer.
pub(super) fn int32(rest: &mut &[u8]) -> Option<i32> {
    take::<4>(rest).map(i32::from_be_bytes)
}

/// Takes a number off an answer.
pub(super) fn int16(rest: &mut &[u8]) -> Option<i16> {
    take::<2>(rest).map(i16::from_be_bytes)
}

/// Takes a text off an answer. A length of -1 means null, which is told as nothing.
pub(super) fn string(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(int16(rest)?).unwrap_or(0);
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (value, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*value)
}
