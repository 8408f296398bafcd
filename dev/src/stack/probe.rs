//! Asks the servers themselves whether they are ready, in a few bytes of their own protocols.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(2);
/// No answer asked for here is anywhere near as long; what claims to be is no answer of ours.
const LONGEST: usize = 1 << 20;

/// Ready, or why not yet.
pub(crate) type Probe = Result<(), String>;

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Sends ZooKeeper a four-letter word and reads its answer (zookeeperAdmin, "The Four Letter Words").
pub(crate) fn zookeeper_word(port: u16, word: &str) -> io::Result<String> {
    let mut stream = connect(port)?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.take(LONGEST as u64).read_to_string(&mut answer)?;
    Ok(answer)
}

/// ZooKeeper is ready when it says that it serves.
pub(crate) fn zookeeper(port: u16) -> Probe {
    match zookeeper_word(port, "srvr") {
        Ok(answer) if answer.contains("Mode: standalone") => Ok(()),
        Ok(answer) => Err(format!("it answered {:?}", answer.lines().next().unwrap_or_default())),
        Err(error) => Err(error.to_string()),
    }
}

/// Kafka is ready when its metadata names a controller and, at the address we gave it, the broker itself.
pub(crate) fn kafka(port: u16) -> Probe {
    let cluster = kafka_metadata(port).map_err(|error| error.to_string())?;
    if !cluster.ports.contains(&i32::from(port)) {
        return Err("its metadata does not list the broker yet".to_owned());
    }
    if cluster.controller < 0 { Err("it has no controller yet".to_owned()) } else { Ok(()) }
}

#[derive(Debug, PartialEq)]
struct Cluster {
    ports: Vec<i32>,
    controller: i32,
}

/// A Metadata request, version 1, for no topics: <https://kafka.apache.org/protocol#The_Messages_Metadata>.
fn kafka_metadata(port: u16) -> io::Result<Cluster> {
    const API_KEY: i16 = 3;
    const VERSION: i16 = 1;
    let client = b"isitup-dev";
    let mut request = Vec::new();
    request.extend(API_KEY.to_be_bytes());
    request.extend(VERSION.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend((client.len() as i16).to_be_bytes());
    request.extend(client);
    request.extend(0_i32.to_be_bytes());

    let mut stream = connect(port)?;
    stream.write_all(&(request.len() as i32).to_be_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| *length <= LONGEST);
    let mut answer = vec![0; length.ok_or_else(no_kafka)?];
    stream.read_exact(&mut answer)?;
    parse_cluster(&answer).ok_or_else(no_kafka)
}

fn no_kafka() -> io::Error {
    io::Error::other("what answers there is not Kafka")
}

/// Correlation id, brokers (node id, host, port, rack), controller; no topics follow.
fn parse_cluster(mut answer: &[u8]) -> Option<Cluster> {
    let rest = &mut answer;
    int32(rest)?;
    let count = int32(rest)?;
    let mut ports = Vec::new();
    for _ in 0..count {
        int32(rest)?;
        skip_string(rest)?;
        ports.push(int32(rest)?);
        skip_string(rest)?;
    }
    Some(Cluster { ports, controller: int32(rest)? })
}

fn int32(rest: &mut &[u8]) -> Option<i32> {
    let (value, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(i32::from_be_bytes(*value))
}

/// A length of -1 means null.
fn skip_string(rest: &mut &[u8]) -> Option<()> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let length = usize::try_from(i16::from_be_bytes(*length)).unwrap_or(0);
    *rest = after.get(length..)?;
    Some(())
}

/// PostgreSQL is ready when it answers the start of a session by asking who we are ('R'), and not by an error such as
/// "the database system is starting up": <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
pub(crate) fn postgres(port: u16) -> Probe {
    let mut message = 196_608_i32.to_be_bytes().to_vec();
    message.extend(b"user\0isitup\0database\0isitup\0\0");
    let ask = || -> io::Result<Vec<u8>> {
        let mut stream = connect(port)?;
        stream.write_all(&(message.len() as i32 + 4).to_be_bytes())?;
        stream.write_all(&message)?;
        let mut answer = vec![0; 512];
        let length = stream.read(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    };
    match ask() {
        Ok(answer) if answer.first() == Some(&b'R') => Ok(()),
        Ok(answer) => Err(String::from_utf8_lossy(&answer).replace('\0', " ")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_of_a_metadata_answer_are_read() {
        let mut answer = vec![0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 9];
        answer.extend(b"127.0.0.1");
        answer.extend(29092_i32.to_be_bytes());
        answer.extend((-1_i16).to_be_bytes());
        answer.extend(1_i32.to_be_bytes());
        answer.extend(0_i32.to_be_bytes());
        assert_eq!(parse_cluster(&answer), Some(Cluster { ports: vec![29092], controller: 1 }));
        assert_eq!(parse_cluster(&answer[..20]), None);
    }

    #[test]
    fn a_closed_port_is_not_ready_and_says_why() {
        let port = super::super::ports::Port::free().unwrap();
        let why = kafka(port.number()).unwrap_err();
        assert!(why.contains("refused"), "{why}");
        assert!(zookeeper(port.number()).is_err());
        assert!(postgres(port.number()).is_err());
    }
}
