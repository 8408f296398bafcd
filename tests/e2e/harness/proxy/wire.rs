//! The least of both protocols that it takes to know where messages begin, and what they ask for.
//!
//! Kafka: <https://kafka.apache.org/protocol#protocol_common>. PostgreSQL:
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use std::collections::{BTreeMap, HashSet};

/// Calls that tests do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// Whatever is asked.
    Any,
    /// Kafka takes records.
    Produce,
    /// Kafka gives records.
    Fetch,
    /// PostgreSQL commits a transaction that stored results.
    Commit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Kafka,
    Postgres,
    /// Whatever: it may be encrypted.
    Opaque,
}

/// The port of each broker's proxy, by the port of the broker.
pub(super) type Ways = BTreeMap<u16, u16>;

/// Kafka's numbers of requests.
const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;
const DESCRIBE_CLUSTER: i16 = 60;
/// Whose answers name addresses of brokers. Those to the first two do in newer versions, where a leader has moved.
const NAMING_BROKERS: [i16; 5] = [PRODUCE, FETCH, METADATA, FIND_COORDINATOR, DESCRIBE_CLUSTER];

/// The code in the place of a version by which a client asks for TLS.
const TLS_REQUEST: i32 = 80_877_103;
/// What a transaction runs that stores results.
const STORING: &[u8] = b"INSERT INTO result (";

/// Bytes on their way to being messages.
pub(super) struct Frames {
    protocol: Protocol,
    /// The first message of a PostgreSQL client has no type before its length.
    is_untyped: bool,
    bytes: Vec<u8>,
}

/// A whole message.
pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
    is_untyped: bool,
}

impl Frames {
    pub(super) fn of_client(protocol: Protocol) -> Self {
        Self { protocol, is_untyped: protocol == Protocol::Postgres, bytes: Vec::new() }
    }

    pub(super) fn of_server(protocol: Protocol) -> Self {
        Self { protocol, is_untyped: false, bytes: Vec::new() }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message that is there as a whole.
    pub(super) fn next(&mut self) -> Option<Frame> {
        let is_untyped = self.is_untyped;
        let length = match self.protocol {
            Protocol::Kafka => 4 + length(self.bytes.get(..4)?),
            Protocol::Opaque => self.bytes.len(),
            Protocol::Postgres if is_untyped => length(self.bytes.get(..4)?),
            Protocol::Postgres => 1 + length(self.bytes.get(1..5)?),
        };
        if self.bytes.is_empty() || self.bytes.len() < length {
            return None;
        }
        let rest = self.bytes.split_off(length);
        let frame = Frame { bytes: std::mem::replace(&mut self.bytes, rest), is_untyped };
        self.is_untyped = frame.is_tls_request();
        Some(frame)
    }
}

impl Frame {
    /// Whether a PostgreSQL client asks for TLS.
    pub(super) fn is_tls_request(&self) -> bool {
        self.is_untyped && self.bytes.get(4..8) == Some(&TLS_REQUEST.to_be_bytes()[..])
    }

    /// Whether the server's answer ends with this: Kafka's are one message, PostgreSQL's end with ReadyForQuery.
    pub(super) fn ends_answer(&self, protocol: Protocol) -> bool {
        protocol != Protocol::Postgres || self.bytes.first() == Some(&b'Z')
    }
}

/// What a client asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) call: Option<Call>,
    /// Whether Kafka's answer to it names addresses of brokers.
    names_broker: bool,
}

impl Request {
    pub(super) fn is(&self, call: Call) -> bool {
        call == Call::Any || self.call == Some(call)
    }

    /// Makes an answer that names brokers' addresses name the proxies': each is a host as text, then its port, in all
    /// versions of these answers. A host in the text of a record is followed by no such number.
    pub(super) fn redirect(&self, answer: &mut [u8], ways: &Ways) {
        const HOST: &[u8] = b"127.0.0.1";
        if !self.names_broker {
            return;
        }
        let mut at = 0;
        while let Some(found) = answer[at..].iter().position(|byte| *byte == HOST[0]) {
            at += found + 1;
            let Some(port) = answer[at - 1..].strip_prefix(HOST).and_then(|rest| rest.first_chunk::<4>()) else {
                continue;
            };
            let proxy = u16::try_from(i32::from_be_bytes(*port)).ok().and_then(|port| ways.get(&port));
            if let Some(proxy) = proxy {
                let place = at - 1 + HOST.len();
                answer[place..place + 4].copy_from_slice(&i32::from(*proxy).to_be_bytes());
            }
        }
    }
}

/// A client's messages, read for what they ask.
pub(super) struct Requests {
    protocol: Protocol,
    is_begun: bool,
    /// Names of the prepared statements that store results.
    storing: HashSet<Vec<u8>>,
    /// Whether this transaction has stored results.
    has_stored: bool,
}

impl Requests {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self { protocol, is_begun: false, storing: HashSet::new(), has_stored: false }
    }

    /// The request that is complete with this message, if one is.
    pub(super) fn read(&mut self, message: &[u8]) -> Option<Request> {
        match self.protocol {
            Protocol::Kafka => Some(kafka_request(message)),
            Protocol::Opaque => None,
            Protocol::Postgres => {
                let call = self.postgres_call(message)?;
                Some(Request { call, names_broker: false })
            }
        }
    }

    /// A request of the simple protocol is one message; one of the extended protocol ends with Sync. The start of a
    /// session is answered like a request.
    fn postgres_call(&mut self, message: &[u8]) -> Option<Option<Call>> {
        if !std::mem::replace(&mut self.is_begun, true) {
            return Some(None);
        }
        let content = message.get(5..).unwrap_or_default();
        match message.first() {
            Some(b'Q') => Some(self.query(content)),
            Some(b'P') => {
                let mut texts = content.split(|byte| *byte == 0);
                let (name, text) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
                if contains(text, STORING) {
                    self.storing.insert(name.to_owned());
                }
                None
            }
            Some(b'B') => {
                let statement = content.split(|byte| *byte == 0).nth(1).unwrap_or_default();
                self.has_stored |= self.storing.contains(statement);
                None
            }
            Some(b'S') => Some(None),
            _ => None,
        }
    }

    fn query(&mut self, text: &[u8]) -> Option<Call> {
        let is_commit = text.starts_with(b"COMMIT");
        if is_commit || text.starts_with(b"ROLLBACK") {
            let has_stored = std::mem::take(&mut self.has_stored);
            return (is_commit && has_stored).then_some(Call::Commit);
        }
        self.has_stored |= contains(text, STORING);
        None
    }
}

fn kafka_request(message: &[u8]) -> Request {
    let number = message.get(4..6).and_then(|bytes| bytes.try_into().ok()).map_or(-1, i16::from_be_bytes);
    let call = match number {
        PRODUCE => Some(Call::Produce),
        FETCH => Some(Call::Fetch),
        _ => None,
    };
    Request { call, names_broker: NAMING_BROKERS.contains(&number) }
}

fn length(bytes: &[u8]) -> usize {
    bytes.try_into().ok().map(i32::from_be_bytes).and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|there| there == words)
}
