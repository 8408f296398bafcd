//! Asks the servers themselves whether they are ready, in a few bytes of their own protocols.

use std::io::{self, Read, Write};

use super::wire::{self, int16, int32, string};

/// The longest answer of `ZooKeeper` that is read.
const LONGEST: u64 = 1 << 20;

/// Ready, or why not yet.
pub(crate) type Probe = Result<(), String>;

/// Sends ZooKeeper a four-letter word and reads its answer (zookeeperAdmin, "The Four Letter Words").
pub(crate) fn zookeeper_word(port: u16, word: &str) -> io::Result<String> {
    let mut stream = wire::connect(port)?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer)?;
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
    parse_cluster(&wire::ask(port, (3, 1), &0_i32.to_be_bytes())?).ok_or_else(wire::no_kafka)
}

/// Brokers (node id, host, port, rack), controller; no topics follow.
fn parse_cluster(mut answer: &[u8]) -> Option<Cluster> {
    let rest = &mut answer;
    let count = int32(rest)?;
    let mut ports = Vec::new();
    for _ in 0..count {
        int32(rest)?;
        string(rest)?;
        ports.push(int32(rest)?);
        string(rest)?;
    }
    Some(Cluster { ports, controller: int32(rest)? })
}

/// A controller is ready when it says which requests it knows, which it does to everybody.
pub(crate) fn controller(port: u16) -> Probe {
    let answer = wire::ask(port, (18, 0), &[]).map_err(|error| error.to_string())?;
    match int16(&mut answer.as_slice()) {
        Some(0) => Ok(()),
        code => Err(format!("its error code is {code:?}")),
    }
}

/// PostgreSQL is ready when it answers the start of a session by asking who we are ('R'), and not by an error such as
/// "the database system is starting up": <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
pub(crate) fn postgres(port: u16) -> Probe {
    let mut message = 196_608_i32.to_be_bytes().to_vec();
    message.extend(b"user\0isitup\0database\0isitup\0\0");
    let ask = || -> io::Result<Vec<u8>> {
        let mut stream = wire::connect(port)?;
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
        let mut answer = vec![0, 0, 0, 1, 0, 0, 0, 1, 0, 9];
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
