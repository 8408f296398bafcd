//! Requests of our own to one broker, a connection each: for the error codes that the kafka crate does not know and all calls
//! "unknown", and for the topic's settings, which it cannot ask for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::super::Record;

/// Bounds one connection and answer, beside what the broker is told to wait.
const LIMIT: Duration = Duration::from_secs(5);
/// An answer may hold a batch of records; more is not needed.
const LARGEST_ANSWER: usize = 64 << 20;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const DESCRIBE_CONFIGS: i16 = 32;
const CORRELATION: [u8; 4] = *b"one1";
/// The kind of a resource in `DescribeConfigs`.
const TOPIC: u8 = 2;

/// Sends `record` alone and waits until all in-sync replicas have it. Returns the broker's code; 0 acknowledges.
pub(super) fn produce(leader: &str, topic: &str, record: &Record<'_>, ack_limit: Duration) -> io::Result<i16> {
    let message = message(record)?;
    let mut body = Body::default();
    body.int16(-1).int32(millis(ack_limit)?).int32(1).text(topic)?.int32(1).int32(record.partition).bytes(&message)?;
    let answer = ask(leader, PRODUCE, &body, LIMIT + ack_limit)?;
    let mut answer = Answer(&answer);
    answer.int32()?;
    answer.skip_text()?;
    answer.int32()?;
    if answer.int32()? != record.partition {
        return Err(odd());
    }
    answer.int16()
}

/// Reads `partition` from `offset` on, with at most `size` bytes, only for the code of the answer.
pub(super) fn fetch_code(leader: &str, topic: &str, partition: i32, offset: i64, size: i32) -> io::Result<i16> {
    let mut body = Body::default();
    body.int32(-1).int32(0).int32(1).int32(1).text(topic)?.int32(1).int32(partition).int64(offset).int32(size);
    let answer = ask(leader, FETCH, &body, LIMIT)?;
    let mut answer = Answer(&answer);
    answer.int32()?;
    answer.skip_text()?;
    answer.int32()?;
    if answer.int32()? != partition {
        return Err(odd());
    }
    answer.int16()
}

/// The value of one of the topic's settings, where the broker tells it.
pub(super) fn topic_setting(broker: &str, topic: &str, setting: &str) -> io::Result<Option<String>> {
    let mut body = Body::default();
    body.int32(1).int8(TOPIC).text(topic)?.int32(1).text(setting)?;
    let answer = ask(broker, DESCRIBE_CONFIGS, &body, LIMIT)?;
    let mut answer = Answer(&answer);
    answer.int32()?;
    answer.int32()?;
    if answer.int16()? != 0 {
        return Ok(None);
    }
    answer.skip_text()?;
    answer.take::<1>()?;
    answer.skip_text()?;
    if answer.int32()? < 1 {
        return Ok(None);
    }
    answer.skip_text()?;
    answer.text()
}

/// A record in the format of the requests' version 0.
fn message(record: &Record<'_>) -> io::Result<Vec<u8>> {
    let mut content = Body::default();
    content.int8(0).int8(0).bytes(record.key)?.bytes(record.value)?;
    let mut message = Body::default();
    let checked = [&crc32fast::hash(&content.0).to_be_bytes()[..], &content.0].concat();
    message.int64(0).bytes(&checked)?;
    Ok(message.0)
}

/// Sends a request of version 0 and reads the answer, without its head.
fn ask(broker: &str, api: i16, body: &Body, limit: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + limit;
    let mut head = Body::default();
    head.int16(api).int16(0).0.extend(CORRELATION);
    head.text("isitup")?;
    let mut stream = connect(broker)?;
    stream.set_write_timeout(Some(limit))?;
    let size = i32::try_from(head.0.len() + body.0.len()).map_err(|_| odd())?;
    stream.write_all(&[&size.to_be_bytes()[..], &head.0, &body.0].concat())?;
    let mut start = [0; 8];
    read_until(&mut stream, &mut start, deadline)?;
    let [s0, s1, s2, s3, correlation @ ..] = start;
    let size = usize::try_from(i32::from_be_bytes([s0, s1, s2, s3])).unwrap_or(0);
    if !(CORRELATION.len()..=LARGEST_ANSWER).contains(&size) || correlation != CORRELATION {
        return Err(odd());
    }
    let mut answer = vec![0; size - CORRELATION.len()];
    read_until(&mut stream, &mut answer, deadline)?;
    Ok(answer)
}

fn connect(broker: &str) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("its name has no address");
    for address in broker.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn read_until(stream: &mut TcpStream, mut into: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !into.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(into) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => into = into.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn odd() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "malformed response from broker")
}

fn millis(duration: Duration) -> io::Result<i32> {
    i32::try_from(duration.as_millis()).map_err(|_| odd())
}

/// Bytes of a request.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn int8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    fn int16(&mut self, value: i16) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn int32(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn int64(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn text(&mut self, value: &str) -> io::Result<&mut Self> {
        self.int16(i16::try_from(value.len()).map_err(|_| odd())?).0.extend(value.as_bytes());
        Ok(self)
    }

    fn bytes(&mut self, value: &[u8]) -> io::Result<&mut Self> {
        self.int32(i32::try_from(value.len()).map_err(|_| odd())?).0.extend(value);
        Ok(self)
    }
}

/// What is left of an answer.
struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (value, rest) = self.0.split_first_chunk::<N>().ok_or_else(odd)?;
        self.0 = rest;
        Ok(*value)
    }

    fn int16(&mut self) -> io::Result<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn int32(&mut self) -> io::Result<i32> {
        self.take().map(i32::from_be_bytes)
    }

    /// A length of -1 means null.
    fn text(&mut self) -> io::Result<Option<String>> {
        let Ok(length) = usize::try_from(self.int16()?) else { return Ok(None) };
        let (text, rest) = self.0.split_at_checked(length).ok_or_else(odd)?;
        self.0 = rest;
        Ok(Some(String::from_utf8_lossy(text).into_owned()))
    }

    fn skip_text(&mut self) -> io::Result<()> {
        self.text().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_framed_with_its_size_and_checksum() {
        let message = message(&Record { partition: 0, key: b"k", value: b"value" }).unwrap();
        assert_eq!(message.len(), 8 + 4 + 4 + 2 + 4 + 1 + 4 + 5);
        assert_eq!(message[8..12], 20_i32.to_be_bytes());
        assert_eq!(message[12..16], crc32fast::hash(&message[16..]).to_be_bytes());
    }
}
