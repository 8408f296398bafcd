//! Asks one name server one question: by UDP, and by TCP where the answer does not fit.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::str::FromStr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

/// After this long the question is asked again, and then after twice as long each time: datagrams get lost.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LARGEST_DATAGRAM: usize = 4096;

/// What a name server answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// In capitals, such as `NXDOMAIN`.
    pub(super) code: String,
    /// The data of its records, as a zone file has them; those of aliases on the way too.
    pub(super) records: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The name cannot be asked for.
    BadName,
    /// The deadline passed.
    Late,
    /// What came was no answer.
    Garbage,
    Broken(io::Error),
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Late,
            _ => Self::Broken(error),
        }
    }
}

/// Asks `server` for the records of type `record_type` of `name`, until `deadline`.
pub(super) fn ask(server: SocketAddr, name: &str, record_type: &str, deadline: Instant) -> Result<Answer, NoAnswer> {
    let question = question(name, record_type).ok_or(NoAnswer::BadName)?;
    let mut answer = by_udp(server, &question, deadline)?;
    if answer.metadata.truncation {
        answer = by_tcp(server, &question, deadline)?;
    }
    Ok(read(&question, &answer))
}

fn question(name: &str, record_type: &str) -> Option<Message> {
    let mut name = Name::from_utf8(name).ok()?;
    // Whole as it stands: no search list is tried.
    name.set_fqdn(true);
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Query;
    message.metadata.recursion_desired = true;
    message.queries.push(Query::query(name, RecordType::from_str(record_type).ok()?));
    Some(message)
}

fn by_udp(server: SocketAddr, question: &Message, deadline: Instant) -> Result<Message, NoAnswer> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    // Connected, so that nothing from elsewhere is heard, and a closed port is told.
    socket.connect(server)?;
    let bytes = question.to_vec().map_err(|_| NoAnswer::BadName)?;
    let mut buffer = [0; LARGEST_DATAGRAM];
    // An answer to another question may be late, or forged: the right one may still come.
    let (mut wait, mut has_strange) = (FIRST_WAIT, false);
    loop {
        socket.send(&bytes)?;
        let again_at = (Instant::now() + wait).min(deadline);
        wait *= 2;
        while set_timeout(again_at, |left| socket.set_read_timeout(Some(left)))? {
            let length = match socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
                Err(error) => return Err(error.into()),
            };
            let message = Message::from_vec(&buffer[..length]).map_err(|_| NoAnswer::Garbage)?;
            if is_answer(question, &message) {
                return Ok(message);
            }
            has_strange = true;
        }
        if Instant::now() >= deadline {
            return Err(if has_strange { NoAnswer::Garbage } else { NoAnswer::Late });
        }
    }
}

fn by_tcp(server: SocketAddr, question: &Message, deadline: Instant) -> Result<Message, NoAnswer> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(NoAnswer::Late);
    }
    let mut stream = TcpStream::connect_timeout(&server, left)?;
    let bytes = question.to_vec().map_err(|_| NoAnswer::BadName)?;
    let length = u16::try_from(bytes.len()).map_err(|_| NoAnswer::BadName)?;
    stream.set_write_timeout(Some(left))?;
    stream.write_all(&[&length.to_be_bytes()[..], &bytes].concat())?;
    let mut length = [0; 2];
    read_exactly(&mut stream, &mut length, deadline)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    read_exactly(&mut stream, &mut bytes, deadline)?;
    let message = Message::from_vec(&bytes).map_err(|_| NoAnswer::Garbage)?;
    if is_answer(question, &message) { Ok(message) } else { Err(NoAnswer::Garbage) }
}

fn read_exactly(stream: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> Result<(), NoAnswer> {
    let mut filled = 0;
    while filled < buffer.len() {
        if !set_timeout(deadline, |left| stream.set_read_timeout(Some(left)))? {
            return Err(NoAnswer::Late);
        }
        match stream.read(&mut buffer[filled..])? {
            0 => return Err(NoAnswer::Garbage),
            length => filled += length,
        }
    }
    Ok(())
}

/// Sets a socket's time-out to what is left until `until`; false when nothing is.
pub(super) fn set_timeout(until: Instant, set: impl FnOnce(Duration) -> io::Result<()>) -> io::Result<bool> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(false);
    }
    set(left).map(|()| true)
}

/// Whether `message` answers `question`, and not another one.
fn is_answer(question: &Message, message: &Message) -> bool {
    message.metadata.id == question.metadata.id
        && message.metadata.message_type == MessageType::Response
        // A server that could not read the question need not repeat it.
        && (message.queries == question.queries || message.queries.is_empty())
}

fn read(question: &Message, answer: &Message) -> Answer {
    // Only what the name leads to, by its aliases: a server may tell of others whatever it likes.
    let mut chain: Vec<&Name> = question.queries.iter().map(|query| &query.name).collect();
    let mut addresses = Vec::new();
    for record in answer.answers.iter().filter(|record| !matches!(record.data, RData::A(_) | RData::AAAA(_))) {
        if let RData::CNAME(alias) = &record.data
            && chain.contains(&&record.name)
        {
            chain.push(&alias.0);
        }
    }
    for record in answer.answers.iter().filter(|record| chain.contains(&&record.name)) {
        match &record.data {
            RData::A(address) => addresses.push(IpAddr::V4(address.0)),
            RData::AAAA(address) => addresses.push(IpAddr::V6(address.0)),
            _ => {}
        }
    }
    let records = answer.answers.iter().map(|record| record.data.to_string()).collect();
    Answer { code: code(answer.metadata.response_code), records, addresses }
}

fn code(code: ResponseCode) -> String {
    match code {
        ResponseCode::Unknown(number) => format!("RCODE{number}"),
        known => format!("{known:?}").to_ascii_uppercase(),
    }
}
