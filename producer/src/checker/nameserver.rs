//! Asks one name server, as a plain client does: by UDP, again when nothing comes, and by TCP where the answer was cut
//! short.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

use super::dial::Bounded;

mod addresses;

pub(super) use addresses::addresses;

/// Until a question is asked again; from then on twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Whether the answer is still wanted is looked at this often.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How long to wait for an answer.
pub(super) struct Patience<'a> {
    pub(super) deadline: Instant,
    pub(super) is_wanted: &'a dyn Fn() -> bool,
}

/// Why a name server has not answered.
#[derive(Debug)]
pub(super) enum Unanswered {
    Late,
    /// The system could not reach it.
    Unreachable(io::Error),
    /// What it sent is no answer.
    Garbage,
}

/// Questions on their way to a server.
struct Asking {
    server: SocketAddr,
    socket: UdpSocket,
    questions: Vec<Asked>,
    /// Something came that was no answer to any of them.
    is_garbled: bool,
}

struct Asked {
    query: Query,
    id: u16,
    message: Vec<u8>,
    answer: Option<Message>,
}

/// A name that can be asked for; absolute, whether it ends with a dot or not.
pub(super) fn name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// Asks `server` for the records of type `record_type` of `name`.
pub(super) fn ask(
    server: SocketAddr,
    name: &Name,
    record_type: RecordType,
    patience: &Patience<'_>,
) -> Result<Message, Unanswered> {
    let mut asking = Asking::new(server, name, &[record_type])?;
    asking.wait(patience, |_| None)?;
    asking.questions.remove(0).answer.ok_or(Unanswered::Late)
}

/// An answer code as it is written everywhere.
pub(super) fn code_word(code: ResponseCode) -> String {
    match u16::from(code) {
        0 => "NOERROR".into(),
        1 => "FORMERR".into(),
        2 => "SERVFAIL".into(),
        3 => "NXDOMAIN".into(),
        4 => "NOTIMP".into(),
        5 => "REFUSED".into(),
        6 => "YXDOMAIN".into(),
        7 => "YXRRSET".into(),
        8 => "NXRRSET".into(),
        9 => "NOTAUTH".into(),
        10 => "NOTZONE".into(),
        other => format!("RCODE{other}"),
    }
}

impl Asking {
    fn new(server: SocketAddr, name: &Name, types: &[RecordType]) -> Result<Self, Unanswered> {
        let any = match server {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        // A port of its own, which the system draws; connected, so that nobody else is listened to and a port that is
        // closed is told.
        let socket = UdpSocket::bind(any).and_then(|socket| socket.connect(server).map(|()| socket));
        let socket = socket.map_err(Unanswered::Unreachable)?;
        let questions = types.iter().filter_map(|record_type| Asked::new(name, *record_type)).collect();
        Ok(Self { server, socket, questions, is_garbled: false })
    }

    /// Waits until all is answered. Once `grace` names a time, the rest has only that long.
    fn wait(
        &mut self,
        patience: &Patience<'_>,
        grace: impl Fn(&[Asked]) -> Option<Duration>,
    ) -> Result<(), Unanswered> {
        let mut buffer = [0; 4096];
        let mut deadline = patience.deadline;
        let (mut resend_at, mut pause) = (Instant::now(), FIRST_PAUSE);
        let mut is_hurried = false;
        while self.questions.iter().any(|asked| asked.answer.is_none()) {
            let now = Instant::now();
            if now >= deadline || !(patience.is_wanted)() {
                return self.given_up(is_hurried);
            }
            if now >= resend_at {
                self.send()?;
                (resend_at, pause) = (now + pause, pause * 2);
            }
            let until = deadline.min(resend_at).min(now + LONGEST_WAIT);
            if let Some(length) = self.receive(&mut buffer, until)? {
                self.take(&buffer[..length], patience.deadline)?;
                if let (false, Some(grace)) = (is_hurried, grace(&self.questions)) {
                    is_hurried = true;
                    deadline = deadline.min(Instant::now() + grace);
                }
            }
        }
        Ok(())
    }

    fn given_up(&self, is_enough: bool) -> Result<(), Unanswered> {
        match (is_enough, self.is_garbled) {
            (true, _) => Ok(()),
            (false, true) => Err(Unanswered::Garbage),
            (false, false) => Err(Unanswered::Late),
        }
    }

    fn send(&self) -> Result<(), Unanswered> {
        for asked in self.questions.iter().filter(|asked| asked.answer.is_none()) {
            self.socket.send(&asked.message).map_err(Unanswered::Unreachable)?;
        }
        Ok(())
    }

    /// The length of what came until `until`; `None` where nothing did.
    fn receive(&self, buffer: &mut [u8], until: Instant) -> Result<Option<usize>, Unanswered> {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let received = self.socket.set_read_timeout(Some(left)).and_then(|()| self.socket.recv(buffer));
        match received {
            Ok(length) => Ok(Some(length)),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(Unanswered::Unreachable(error)),
            },
        }
    }

    /// Takes what came as the answer to the question it belongs to.
    fn take(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Unanswered> {
        let id = bytes.first_chunk().map(|id| u16::from_be_bytes(*id));
        let asked = self.questions.iter_mut().find(|asked| Some(asked.id) == id && asked.answer.is_none());
        // A late double, or someone who guesses. If nothing better comes, it is told.
        let Some(asked) = asked else {
            self.is_garbled |= !self.questions.iter().any(|asked| Some(asked.id) == id);
            return Ok(());
        };
        match asked.read(bytes) {
            Some(answer) if answer.metadata.truncation => {
                let whole = by_tcp(self.server, &asked.message, deadline)?;
                asked.answer = Some(asked.read(&whole).ok_or(Unanswered::Garbage)?);
            }
            Some(answer) => asked.answer = Some(answer),
            None => return Err(Unanswered::Garbage),
        }
        Ok(())
    }
}

impl Asked {
    fn new(name: &Name, record_type: RecordType) -> Option<Self> {
        let query = Query::query(name.clone(), record_type);
        // Its id is random.
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(query.clone());
        Some(Self { query, id: message.metadata.id, message: message.to_vec().ok()?, answer: None })
    }

    /// Reads an answer to this question.
    fn read(&self, bytes: &[u8]) -> Option<Message> {
        let answer = Message::from_vec(bytes).ok()?;
        let is_answer = answer.metadata.message_type == MessageType::Response && answer.metadata.id == self.id;
        let is_to_this = match answer.queries.as_slice() {
            // Some servers leave it out when they refuse.
            [] => answer.metadata.response_code != ResponseCode::NoError,
            [query] => query.query_type == self.query.query_type && query.name.eq_ignore_root(&self.query.name),
            _ => false,
        };
        (is_answer && is_to_this).then_some(answer)
    }
}

fn by_tcp(server: SocketAddr, message: &[u8], deadline: Instant) -> Result<Vec<u8>, Unanswered> {
    let exchange = || -> io::Result<Vec<u8>> {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let mut stream = Bounded::new(TcpStream::connect_timeout(&server, left)?, deadline);
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), message].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    exchange().map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => Unanswered::Late,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Unanswered::Garbage,
        _ => Unanswered::Unreachable(error),
    })
}
