//! Checks `tcp://host:port`: the connection, and what the server says where that is expected.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use isitup_shared::event::FailureKind;

use super::dial::{Dial, is_late};
use super::failure;
use super::findings::Findings;
use super::judge::Which;
use super::words;
use crate::target::Address;

const CHUNK: usize = 4096;

/// Connects to `address`; sends and reads what is configured.
pub(super) fn probe(dial: &Dial<'_>, address: &Address) -> Findings {
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
        read(dial, &mut stream, &mut found);
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

/// Reads until what is expected was said, the server closes or the deadline passes.
fn read(dial: &Dial<'_>, stream: &mut TcpStream, found: &mut Findings) {
    let settings = &dial.site.settings;
    let (began, mut said, mut chunk) = (Instant::now(), Vec::new(), [0; CHUNK]);
    let end = loop {
        match dial.set_timeouts(stream).and_then(|is_time| if is_time { stream.read(&mut chunk) } else { late() }) {
            Ok(0) => break Ok(()),
            Ok(length) => said.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => break Err(error),
        }
        found.phases.first_byte.get_or_insert_with(|| began.elapsed());
        if said.len() as u64 > settings.max_body_size {
            let most = words::size(settings.max_body_size);
            found.fail(FailureKind::BodyTooLarge, format!("the body is larger than {most}"));
            found.body_bytes = Some(said.len() as u64);
            found.phases.body = Some(began.elapsed() - found.phases.first_byte.unwrap_or_default());
            return;
        }
        if settings.expect.body.as_ref().is_some_and(|pattern| pattern.is_in(&String::from_utf8_lossy(&said))) {
            break Ok(());
        }
    };
    found.phases.first_byte.get_or_insert_with(|| began.elapsed());
    found.phases.body = (!said.is_empty()).then(|| began.elapsed() - found.phases.first_byte.unwrap_or_default());
    found.body_bytes = Some(said.len() as u64);
    match end {
        Ok(()) if said.is_empty() => found.fail(FailureKind::Protocol, "connection closed before an answer"),
        Err(error) if said.is_empty() || !is_late(&error) => {
            fail(dial, found, &error, if said.is_empty() { "before an answer" } else { "within the body" })
        }
        // A server that said something and then waits has said all that it has to say.
        end => {
            found.judge_text(&settings.expect, &String::from_utf8_lossy(&said));
            found.is_text_judged = true;
            if let (Err(_), Some(unmet)) = (end, found.unmet.iter_mut().find(|unmet| unmet.which == Which::Body)) {
                unmet.failure.detail += &format!(" within {}", dial.within());
            }
        }
    }
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
