//! Serves bytes as a name server's answer, checks that server as a site, or uses it to resolve a site's name, and looks at
//! what came of it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use isitup_producer::checker::{Checker, Trust};
use isitup_producer::site::{Expect, Route, Site, SiteSettings};
use isitup_producer::target::Target;
use isitup_shared::config::{Format, Network, Scalar};
use isitup_shared::event::{Body, Check, Draft, LARGEST_EVENT, Sealer, decode, is_forbidden};
use isitup_shared::time::UtcTime;
use uuid::Uuid;

/// Bits of the first byte of an input.
const AS_RESOLVER: u8 = 1;
const WITH_EXPECTATIONS: u8 = 2;
/// The answer need not be one to the question.
const AS_IT_IS: u8 = 4;

/// The types that are asked for, by the upper half of the first byte.
const TYPES: [&str; 10] = ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"];

/// The answer, and whether it is sent without the question's number and section.
static ANSWER: Mutex<(Vec<u8>, bool)> = Mutex::new((Vec::new(), false));
static SERVER: LazyLock<SocketAddr> = LazyLock::new(serve);
static CHECKER: LazyLock<Mutex<Checker>> = LazyLock::new(|| Mutex::new(Checker::new(&trust())));

/// The first byte of `input` chooses what is asked, the rest is the answer from its flags on.
pub(crate) fn check(input: &[u8]) {
    let Some((choice, answer)) = input.split_first() else { return };
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = (answer.to_vec(), choice & AS_IT_IS > 0);
    let check = CHECKER.lock().unwrap_or_else(PoisonError::into_inner).check(&site(*choice), UtcTime::now());
    assert_is_proper(&check);
}

fn site(choice: u8) -> Site {
    let mut settings = SiteSettings { timeout: Duration::from_millis(200), ..SiteSettings::default() };
    let url = if choice & AS_RESOLVER > 0 {
        settings.route = Route { resolver: Some(*SERVER), ..Route::default() };
        "tcp://a.test:1".to_owned()
    } else {
        format!("dns://{}/a.test?type={}", *SERVER, TYPES[usize::from(choice >> 4) % TYPES.len()])
    };
    if choice & WITH_EXPECTATIONS > 0 && choice & AS_RESOLVER == 0 {
        settings.expect = Expect { records: vec!["192.0.2.1".into(), "v=spf1 -all".into()], ..Expect::default() };
    }
    Site::new(Target::parse(&url).unwrap(), None, settings.into())
}

/// Nothing but this machine is connected to.
fn trust() -> Trust {
    let elsewhere = "0.0.0.0/2 64.0.0.0/3 96.0.0.0/4 112.0.0.0/5 120.0.0.0/6 124.0.0.0/7 126.0.0.0/8 128.0.0.0/1 ::/0";
    let elsewhere: Vec<Network> = elsewhere.split(' ').filter_map(Network::parse).collect();
    Trust::only([]).unwrap().denying(&elsewhere)
}

fn assert_is_proper(check: &Check) {
    for failure in check.further_failures.iter().chain(check.outcome.failure()) {
        assert!(!failure.detail.is_empty(), "{check:?}");
    }
    let body = Body::Check(Box::new(check.clone()));
    for format in [Format::Json, Format::Avro] {
        let message = Sealer::new(Uuid::nil(), "fuzz").seal(&Draft::new(&body, format), 1);
        assert!(message.len() <= LARGEST_EVENT, "{check:?}");
        assert!(format == Format::Avro || !String::from_utf8_lossy(&message).chars().any(is_forbidden), "{check:?}");
        assert_eq!(decode(&message).unwrap().body, body);
    }
}

fn serve() -> SocketAddr {
    // Both need one port; another program may have taken it for TCP.
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    thread::spawn(move || {
        for stream in tcp.incoming().map_while(Result::ok) {
            // Whether the client stays to the end is its own business.
            let _ = by_tcp(stream);
        }
    });
    thread::spawn(move || {
        let mut question = [0; 4096];
        while let Ok((length, client)) = udp.recv_from(&mut question) {
            let answer = answer(&question[..length]);
            let _ = udp.send_to(&answer[..answer.len().min(4096)], client);
        }
    });
    address
}

fn by_tcp(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question)?;
    let answer = answer(&question);
    let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&answer[..usize::from(length)])
}

/// What is sent for `question`: with its number, marked as an answer, and without its section where the bytes would
/// claim another one.
fn answer(question: &[u8]) -> Vec<u8> {
    let (answer, is_as_it_is) = ANSWER.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut message = [question.get(..2).unwrap_or_default(), &answer].concat();
    if !is_as_it_is && message.len() >= 6 {
        message[2] |= 0x80;
        (message[4], message[5]) = (0, 0);
    }
    message
}
