//! Serves bytes as an answer, checks that server as a site, and looks at what came of it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use isitup_producer::checker::{Checker, HttpVersion, TlsOptions, Transport, Trust};
use isitup_producer::site::{Expect, JsonExpectation, Pattern, Redirects, Site, SiteSettings};
use isitup_producer::target::Target;
use isitup_shared::config::{Format, Network, Scalar};
use isitup_shared::event::{Body, Check, Draft, LARGEST_EVENT, Sealer, decode, is_forbidden};
use isitup_shared::time::UtcTime;
use uuid::Uuid;

const LARGEST_BODY: u64 = 64 << 10;
const MOST_REDIRECTS: u32 = 2;
/// Bits of the first byte of an input.
const WITH_EXPECTATIONS: u8 = 1;
const OVER_HTTP2: u8 = 2;
const WITHOUT_REDIRECTS: u8 = 4;

/// Words of libraries and of machines, which no person should have to read.
const JARGON: [&str; 9] =
    ["0x", "hyper", "reqwest", "rustls", "h2::", "os error", "Error", "Some(", "error sending request"];

static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static SERVER: LazyLock<SocketAddr> = LazyLock::new(serve);
static CHECKER: LazyLock<Mutex<Checker>> = LazyLock::new(|| Mutex::new(Checker::new(&trust())));

/// The first byte of `input` chooses the settings, the rest is the answer.
pub(crate) fn check(input: &[u8]) {
    let Some((choice, answer)) = input.split_first() else { return };
    answer.clone_into(&mut ANSWER.lock().unwrap_or_else(PoisonError::into_inner));
    let site = site(*choice);
    let slot = UtcTime::now();
    let check = CHECKER.lock().unwrap_or_else(PoisonError::into_inner).check(&site, slot);
    assert_is_proper(&check, slot);
}

fn site(choice: u8) -> Site {
    let mut settings =
        SiteSettings { timeout: Duration::from_secs(1), max_body_size: LARGEST_BODY, ..SiteSettings::default() };
    settings.redirects.most = MOST_REDIRECTS;
    if choice & WITHOUT_REDIRECTS > 0 {
        settings.redirects = Redirects { most: 0, forbid_downgrade: false };
    }
    if choice & WITH_EXPECTATIONS > 0 {
        settings.expect = Expect {
            body: Pattern::new("(?i)well|<title>.*up").ok(),
            body_not: Pattern::new("error").ok(),
            headers: vec![("content-type".parse().unwrap(), Pattern::new("html|json").unwrap())],
            json: JsonExpectation::new("/status/0/a~1b".into(), "1.5e3".into()).into_iter().collect(),
            ..Expect::default()
        };
    }
    if choice & OVER_HTTP2 > 0 {
        settings.transport = Arc::new(Transport::new(HttpVersion::Http2, TlsOptions::default(), None));
    }
    Site::new(Target::parse(&format!("http://site.test:{}/a", SERVER.port())).unwrap(), None, Arc::new(settings))
}

/// All names lead to this machine and nothing else is connected to, so that a redirect leads nowhere else.
fn trust() -> Trust {
    let elsewhere = "0.0.0.0/2 64.0.0.0/3 96.0.0.0/4 112.0.0.0/5 120.0.0.0/6 124.0.0.0/7 126.0.0.0/8 128.0.0.0/1 ::/0";
    let elsewhere: Vec<Network> = elsewhere.split(' ').filter_map(Network::parse).collect();
    let at_home = |_: &str| Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
    Trust::only([]).unwrap().resolving_by(at_home).denying(&elsewhere)
}

fn assert_is_proper(check: &Check, slot: UtcTime) {
    if let Some(failure) = check.outcome.failure() {
        for failure in check.further_failures.iter().chain([failure]) {
            let detail = &failure.detail;
            assert!(!detail.is_empty() && detail.chars().count() < 500, "{detail:?}");
            assert!(!detail.chars().any(char::is_control), "{detail:?}");
            let ours = detail.split('"').step_by(2).collect::<String>();
            assert!(!JARGON.iter().any(|word| ours.contains(word)), "{detail:?}");
        }
    }
    assert!(check.redirects <= MOST_REDIRECTS);
    assert!(check.body_bytes.is_none_or(|size| size <= LARGEST_BODY + (64 << 10)), "{check:?}");
    let timings = check.timings_us;
    let phases = [timings.dns, timings.connect, timings.tls, timings.first_byte, timings.body];
    assert!(phases.iter().flatten().sum::<u64>() <= timings.total + 10, "{timings:?}");
    assert!(slot <= check.started_at && check.started_at <= check.finished_at);
    let body = Body::Check(Box::new(check.clone()));
    for format in [Format::Json, Format::Avro] {
        let message = Sealer::new(Uuid::nil(), "fuzz").seal(&Draft::new(&body, format), 1);
        assert!(message.len() <= LARGEST_EVENT, "{check:?}");
        assert!(format == Format::Avro || !String::from_utf8_lossy(&message).chars().any(is_forbidden), "{check:?}");
        assert_eq!(decode(&message).unwrap().body, body);
    }
}

fn serve() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Whether the client stays to the end is its own business.
            let _ = answer(stream);
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    stream.set_write_timeout(Some(Duration::from_millis(500)))?;
    // The request must be read, else closing resets the connection.
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    let answer = ANSWER.lock().unwrap_or_else(PoisonError::into_inner).clone();
    stream.write_all(&answer)?;
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut request)? > 0 {}
    Ok(())
}
