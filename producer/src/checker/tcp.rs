//! `tcp://host:port`: connects, sends what is configured, and searches what the server sends.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use encoding_rs::UTF_8;
use isitup_shared::event::{Failure, FailureKind};

use super::body::Unread;
use super::dial::{Bounded, Dial};
use super::failure;
use super::findings::Findings;
use super::resolver::Resolver;
use super::words;
use crate::site::{Expect, Pattern, Site};
use crate::target::Address;

const CHUNK: usize = 16 * 1024;
/// Of the time that passes, searching takes at most about this part: what drips byte by byte is not searched at each.
const SEARCHING_PART: u32 = 10;

/// Checks `site` at `address`; the check `began` just now.
pub(super) fn probe(site: &Site, address: &Address, resolver: &Resolver, began: Instant) -> Findings {
    let dial = Dial::new(site, address, resolver, began);
    let mut found = Findings::default();
    let mut stream = match dial.connect() {
        Ok((stream, remote)) => {
            dial.hop.reached().connected = Some(Instant::now());
            found.remote_addr = Some(remote);
            stream
        }
        Err(failure) => {
            found.phases.add_connection(&dial.hop.reached(), Instant::now());
            found.failure = Some(failure);
            return found;
        }
    };
    let sent = stream.write_all(site.settings.send.as_deref().unwrap_or_default().as_bytes());
    let expect = &site.settings.expect;
    if expect.body.is_none() && expect.body_not.is_none() {
        found.phases.add_connection(&dial.hop.reached(), Instant::now());
        found.failure = sent.err().map(|error| failed(&dial, &error, "while sending"));
        return found;
    }
    let mut conversation = Conversation::new(expect, site.settings.max_body_size);
    // Where not all could be sent, an answer may still lie there, and say why.
    let end = conversation.read(&mut stream, dial.deadline);
    let first_byte = conversation.first_byte.unwrap_or_else(Instant::now);
    found.phases.add(&dial.hop.reached(), first_byte);
    found.body_bytes = Some(conversation.received.len() as u64);
    if conversation.first_byte.is_some() {
        found.phases.body = Some(first_byte.elapsed());
    }
    conversation.judge(&end, &dial, site, &mut found);
    found
}

fn failed(dial: &Dial<'_>, error: &io::Error, when: &str) -> Failure {
    if error.kind() == io::ErrorKind::TimedOut { dial.timed_out() } else { failure::of_connection(error, when) }
}

/// What the server sends, as far as it must be known.
struct Conversation<'a> {
    wanted: Option<&'a Pattern>,
    unwanted: Option<&'a Pattern>,
    most: u64,
    received: Vec<u8>,
    first_byte: Option<Instant>,
    is_found: bool,
    is_unwanted_found: bool,
}

/// Why no more was read.
enum End {
    /// All that is to be known is known.
    Known,
    Closed,
    Late,
    TooLarge,
    Broken(io::Error),
}

impl<'a> Conversation<'a> {
    fn new(expect: &'a Expect, most: u64) -> Self {
        Self {
            wanted: expect.body.as_ref(),
            unwanted: expect.body_not.as_ref(),
            most,
            received: Vec::new(),
            first_byte: None,
            is_found: false,
            is_unwanted_found: false,
        }
    }

    /// Reads until it is known whether what is wanted is there, the server closes or the deadline passes.
    fn read(&mut self, stream: &mut Bounded, deadline: Instant) -> End {
        let mut chunk = [0; CHUNK];
        let (mut search_at, mut is_searched) = (Instant::now(), true);
        loop {
            if !is_searched && Instant::now() >= search_at {
                let took = self.search();
                if self.is_known() {
                    return End::Known;
                }
                (search_at, is_searched) = (Instant::now() + took * SEARCHING_PART, true);
            }
            let until = if is_searched { deadline } else { search_at.min(deadline) };
            let end = match stream.read_until(&mut chunk, until) {
                Ok(0) => End::Closed,
                Ok(length) => {
                    self.first_byte.get_or_insert_with(Instant::now);
                    self.received.extend_from_slice(&chunk[..length]);
                    is_searched = false;
                    if self.received.len() as u64 <= self.most {
                        continue;
                    }
                    End::TooLarge
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::TimedOut && Instant::now() < deadline => continue,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => End::Late,
                Err(error) => End::Broken(error),
            };
            self.search();
            return if self.is_known() { End::Known } else { end };
        }
    }

    /// Searches what was received, and tells how long that took.
    fn search(&mut self) -> Duration {
        let began = Instant::now();
        let text = UTF_8.decode_without_bom_handling(&self.received).0;
        self.is_found = self.wanted.is_some_and(|pattern| pattern.is_in(&text));
        self.is_unwanted_found = self.unwanted.is_some_and(|pattern| pattern.is_in(&text));
        began.elapsed()
    }

    fn is_known(&self) -> bool {
        self.is_found || self.is_unwanted_found
    }

    fn judge(&self, end: &End, dial: &Dial<'_>, site: &Site, found: &mut Findings) {
        let (timeout, has_received) = (site.settings.timeout, !self.received.is_empty());
        if has_received || self.is_found {
            found.body_matched = self.wanted.map(|_| self.is_found);
        }
        let pattern = |pattern: Option<&Pattern>| words::short(pattern.map_or("", Pattern::as_str));
        match end {
            _ if self.is_unwanted_found => {
                let detail = format!("body with a match for {:?}", pattern(self.unwanted));
                found.fail(FailureKind::BodyMismatch, detail);
            }
            _ if self.is_found => {}
            End::Closed if !has_received => {
                found.fail(FailureKind::Protocol, "connection closed before an answer");
            }
            End::Late if !has_received => found.failure = Some(dial.timed_out()),
            End::Late if self.wanted.is_some() => {
                let within = words::duration(timeout);
                let detail = format!("body without a match for {:?} within {within}", pattern(self.wanted));
                found.fail(FailureKind::BodyMismatch, detail);
            }
            End::Closed if self.wanted.is_some() => {
                let detail = format!("body without a match for {:?}", pattern(self.wanted));
                found.fail(FailureKind::BodyMismatch, detail);
            }
            End::TooLarge => found.failure = Some(failure::of_body(&Unread::TooLarge, self.most, timeout)),
            End::Broken(error) => {
                let when = if has_received { "within the body" } else { "before an answer" };
                found.failure = Some(failed(dial, error, when));
            }
            End::Known | End::Closed | End::Late => {}
        }
    }
}
