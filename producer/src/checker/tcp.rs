//! Checks `tcp://host:port`: the connection, and what the server says where that is expected.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use isitup_shared::event::FailureKind;

use super::dial::{Dial, is_late};
use super::failure;
use super::findings::Findings;
use super::judge::{Judging, Which};
use super::nameserver::set_timeout;
use super::words;
use crate::endpoint::Address;
use crate::site::Expect;

const CHUNK: usize = 4096;
/// Of the time that passes, searching takes at most about this part: what drips byte by byte is not searched at each.
const SEARCHING_PART: u32 = 10;

/// Connects to `address`; sends and reads what is configured.
pub(super) fn probe(dial: &Dial<'_>, address: &Address, judging: &mut Judging<'_>) -> Findings {
    let mut found = Findings::default();
    let Some(mut stream) = dial.connect(address, &mut found) else { return found };
    let settings = &dial.site.settings;
    if let Some(words) = &settings.send
        && let Err(error) = send(dial, &mut stream, words.as_bytes())
    {
        fail(dial, &mut found, &error, "before an answer");
        return found;
    }
    if settings.expect.body.is_some() || settings.expect.body_not.is_some() {
        read(dial, &mut stream, &mut found, judging);
    }
    found
}

fn send(dial: &Dial<'_>, stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        if !dial.set_timeouts(stream)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let length = stream.write(bytes)?;
        bytes = &bytes[length..];
    }
    Ok(())
}

/// Reads until what is expected, or what is not, was said; the server closes; or the deadline passes.
fn read(dial: &Dial<'_>, stream: &mut TcpStream, found: &mut Findings, judging: &mut Judging<'_>) {
    let settings = &dial.site.settings;
    let began = Instant::now();
    let mut talk =
        Talk { expect: &settings.expect, judging, said: Vec::new(), first_byte: None, searching: Duration::ZERO };
    let end = talk.listen(dial, stream, settings.max_body_size);
    let first_byte = talk.first_byte.unwrap_or_else(Instant::now);
    found.phases.first_byte = Some(first_byte - began);
    found.phases.body = talk.first_byte.map(|first_byte| first_byte.elapsed());
    let said = talk.said;
    found.body_bytes = Some(said.len() as u64);
    match end {
        Ok(End::TooMuch) => {
            let most = words::size(settings.max_body_size);
            found.fail(FailureKind::BodyTooLarge, format!("the body is larger than {most}"));
        }
        Ok(End::Closed) if said.is_empty() => {
            found.fail(FailureKind::Protocol, "connection closed before an answer");
        }
        Err(error) if said.is_empty() => fail(dial, found, &error, "before an answer"),
        Err(error) if !is_late(&error) => fail(dial, found, &error, "within the body"),
        // A server that said something and then waits has said all that it has to say.
        end => {
            found.judge_text(&settings.expect, &String::from_utf8_lossy(&said), judging);
            if let (Err(_), Some(unmet)) = (end, found.unmet.iter_mut().find(|unmet| unmet.which == Which::Body)) {
                unmet.failure.detail = format!("{} within {}", unmet.failure.detail, dial.within()).into();
            }
        }
    }
}

/// What the server says, as far as it must be known.
struct Talk<'a, 'b> {
    expect: &'a Expect,
    judging: &'a mut Judging<'b>,
    said: Vec<u8>,
    first_byte: Option<Instant>,
    /// How long the next search is put off.
    searching: Duration,
}

/// Why no more was read, though it could be.
enum End {
    /// All that is to be known is known.
    Known,
    Closed,
    TooMuch,
}

impl Talk<'_, '_> {
    fn listen(&mut self, dial: &Dial<'_>, stream: &mut TcpStream, most: u64) -> io::Result<End> {
        let mut chunk = [0; CHUNK];
        let mut search_at = None;
        loop {
            if search_at.is_some_and(|at| Instant::now() >= at) {
                search_at = None;
                if self.is_known() {
                    return Ok(End::Known);
                }
            }
            match read_until(dial, stream, &mut chunk, search_at.unwrap_or(dial.deadline)) {
                Ok(0) => return Ok(if self.is_known() { End::Known } else { End::Closed }),
                Ok(length) => {
                    self.first_byte.get_or_insert_with(Instant::now);
                    self.said.extend_from_slice(&chunk[..length]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_late(&error) && Instant::now() < dial.deadline => continue,
                Err(error) => {
                    self.judging.begin();
                    return if self.is_known() { Ok(End::Known) } else { Err(error) };
                }
            }
            if self.said.len() as u64 > most {
                return Ok(if self.is_known() { End::Known } else { End::TooMuch });
            }
            if search_at.is_none() {
                search_at = Some(Instant::now() + self.searching);
            }
        }
    }

    /// Whether nothing that is still to come matters.
    fn is_known(&mut self) -> bool {
        let began = Instant::now();
        let text = String::from_utf8_lossy(&self.said);
        let patterns = [&self.expect.body, &self.expect.body_not];
        // Where the deadline passed, nothing that is still to come matters either.
        let is_known = patterns.into_iter().flatten().any(|pattern| self.judging.is_in(pattern, &text).unwrap_or(true));
        self.searching = began.elapsed() * SEARCHING_PART;
        is_known
    }
}

/// Reads what there is, and waits for it until `until` at most.
fn read_until(dial: &Dial<'_>, stream: &mut TcpStream, chunk: &mut [u8], until: Instant) -> io::Result<usize> {
    let is_time = set_timeout(until.min(dial.deadline), |left| stream.set_read_timeout(Some(left)))?;
    if is_time { stream.read(chunk) } else { late() }
}

fn late() -> io::Result<usize> {
    Err(io::ErrorKind::TimedOut.into())
}

fn fail(dial: &Dial<'_>, found: &mut Findings, error: &io::Error, when: &str) {
    if is_late(error) {
        found.fail(FailureKind::Timeout, format!("no answer within {}", dial.within()));
    } else {
        let detail = failure::of_socket(error, when).unwrap_or_else(|| format!("connection broken {when}"));
        found.fail(FailureKind::Protocol, detail);
    }
}
