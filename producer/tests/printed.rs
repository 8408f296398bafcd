//! What the real `isitup-producer check` prints of sites and name servers that answer with what fools a terminal: the same
//! clean text for people and as JSON.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work fails the test that called it")]

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::thread;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, Record};
use isitup_shared::event::is_forbidden;
use serde_json::Value;

const FOOLING: &str = "key\0value \x1b[31m\x1b]0;title\x07 \x7f\u{85}\u{9b}2J \u{61c}\u{200f}\u{202e}\u{2028}\u{2066}";

/// A name server whose every answer is one TXT record of `text`.
fn name_server(text: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut question) {
            let question = Message::from_vec(&question[..length]).unwrap();
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            answer.metadata.response_code = ResponseCode::NoError;
            answer.add_queries(question.queries.clone());
            let data = RData::TXT(TXT::from_bytes(vec![text.as_bytes()]));
            answer.insert_answers(vec![Record::from_rdata(Name::from_ascii("a.test.").unwrap(), 60, data)]);
            let _ = socket.send_to(&answer.to_vec().unwrap(), client);
        }
    });
    address
}

fn answering(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = io::copy(&mut stream, &mut io::sink());
        }
    });
    address
}

#[test]
fn check_prints_the_same_clean_text_for_people_and_as_json() {
    let header: String = FOOLING.chars().filter(|c| !matches!(c, '\0'..='\x1f' | '\x7f')).collect();
    let page = serde_json::json!({"status": FOOLING}).to_string();
    let page = format!("HTTP/1.1 200 {header}\r\nX-Odd: {header}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    let sites = format!(
        "domains:\n  - url: dns://{}/a.test?type=TXT\n    expect: {{record: other}}\n  - url: http://{}\n    expect: {{headers: {{X-Odd: well}}, json: {{/status: ok}}}}\n  - http://{}\n",
        name_server(FOOLING),
        answering(page),
        answering(format!("HTTP/1.1 302 Found\r\nLocation: ftp://{header}\r\n\r\n")),
    );
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.yml");
    fs::write(&config, sites).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isitup-producer"));
        let output = command.args(["check", "--all", "--config"]).arg(&config).args(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let odd: Vec<char> = text.chars().filter(|c| *c != '\n' && is_forbidden(*c)).collect();
        assert!(odd.is_empty() && output.stderr.is_empty(), "{odd:?} in {text:?}, {:?}", output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        text
    };
    let (for_people, as_json) = (run(&[]), run(&["--json"]));
    let mut details = 0;
    for line in as_json.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let further = event["further_failures"].as_array().into_iter().flatten();
        for failure in further.chain([&event["failure"]]) {
            let detail = failure["detail"].as_str().unwrap();
            assert!(!detail.chars().any(is_forbidden), "{detail:?}");
            assert!(for_people.contains(detail), "{detail:?} is not in {for_people}");
            details += 1;
        }
    }
    assert_eq!(details, 4, "{as_json}");
    assert!(as_json.contains("key\u{fffd}value"), "{as_json}");
}
