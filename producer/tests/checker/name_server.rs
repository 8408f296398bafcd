//! A small name server on loopback, by UDP and TCP on one port, that answers as it is told, or not at all.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, MX, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Udp,
    Tcp,
}

/// Serves by `answer`, which gives the bytes to send for a question; none where it gives nothing.
pub(crate) fn name_server(answer: impl Fn(&Message, By) -> Option<Vec<u8>> + Send + Sync + 'static) -> SocketAddr {
    // Both need one port; another test may have taken it for TCP.
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    let answer = Arc::new(answer);
    let by_tcp = Arc::clone(&answer);
    thread::spawn(move || {
        for mut stream in tcp.incoming().map_while(Result::ok) {
            let mut length = [0; 2];
            let mut question = Vec::new();
            if stream.read_exact(&mut length).is_ok() {
                question.resize(usize::from(u16::from_be_bytes(length)), 0);
            }
            let Ok(question) = stream.read_exact(&mut question).map(|()| Message::from_vec(&question).unwrap()) else {
                continue;
            };
            if let Some(bytes) = by_tcp(&question, By::Tcp) {
                let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                let _ = stream.write_all(&[&length, bytes.as_slice()].concat());
            }
        }
    });
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = udp.recv_from(&mut buffer) {
            let question = Message::from_vec(&buffer[..length]).unwrap();
            if let Some(bytes) = answer(&question, By::Udp) {
                let _ = udp.send_to(&bytes, client);
            }
        }
    });
    address
}

/// An answer to `question` by `code` with `records`.
pub(crate) fn answer(question: &Message, code: ResponseCode, records: Vec<Record>) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.response_code = code;
    answer.add_queries(question.queries.clone());
    answer.insert_answers(records);
    answer
}

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

pub(crate) fn record(owner: &str, data: RData) -> Record {
    Record::from_rdata(name(owner), 60, data)
}

pub(crate) fn address(owner: &str, address: &str) -> Record {
    record(
        owner,
        match address.parse().unwrap() {
            IpAddr::V4(v4) => RData::A(v4.into()),
            IpAddr::V6(v6) => RData::AAAA(v6.into()),
        },
    )
}

/// A zone with one name for each way to answer well or badly.
pub(crate) fn zone() -> SocketAddr {
    name_server(|question, by| {
        let query = &question.queries[0];
        let asked = query.name.to_ascii().trim_end_matches('.').to_owned();
        let of_type = |records: Vec<Record>| {
            let is_wanted =
                |record: &Record| record.record_type() == query.query_type || record.record_type() == RecordType::CNAME;
            Some(answer(question, ResponseCode::NoError, records.into_iter().filter(is_wanted).collect()))
        };
        let failing = |code| Some(answer(question, code, Vec::new()));
        let message = match asked.as_str() {
            "both.test" => of_type(vec![address("both.test.", "127.0.0.1"), address("both.test.", "::1")]),
            "four.test" => of_type(vec![address("four.test.", "127.0.0.1")]),
            "two.test" => of_type(vec![address("two.test.", "192.0.2.1"), address("two.test.", "192.0.2.2")]),
            "six.test" => of_type(vec![address("six.test.", "::1")]),
            "alias.test" => of_type(vec![
                record("alias.test.", RData::CNAME(CNAME(name("Other.test.")))),
                record("other.test.", RData::CNAME(CNAME(name("four.test.")))),
                address("four.test.", "127.0.0.1"),
                // Nobody asked for this one.
                address("evil.test.", "192.0.2.66"),
            ]),
            "loop.test" => of_type(vec![record("loop.test.", RData::CNAME(CNAME(name("loop.test."))))]),
            "mail.test" => of_type(vec![record("mail.test.", RData::MX(MX::new(10, name("Mx.mail.test."))))]),
            "text.test" => {
                of_type(vec![record("text.test.", RData::TXT(TXT::new(vec!["v=spf1 ".to_owned(), "-all".to_owned()])))])
            }
            "empty.test" => of_type(Vec::new()),
            "servfail.test" => failing(ResponseCode::ServFail),
            "refused.test" => failing(ResponseCode::Refused),
            // IPv6 questions are dropped, as some balancers do.
            "dropping.test" if query.query_type == RecordType::AAAA => None,
            "dropping.test" => of_type(vec![address("dropping.test.", "127.0.0.1")]),
            "silent.test" => None,
            "large.test" if by == By::Udp => {
                let mut cut = answer(question, ResponseCode::NoError, Vec::new());
                cut.metadata.truncation = true;
                Some(cut)
            }
            "large.test" => of_type((0..200).map(|i| address("large.test.", &format!("127.0.1.{i}"))).collect()),
            _ => failing(ResponseCode::NXDomain),
        };
        message.map(|message| message.to_vec().unwrap())
    })
}
