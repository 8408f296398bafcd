//! A server of HTTP/2 that does as much as one request needs, and what is told when it misbehaves.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use isitup_producer::checker::{HttpVersion, TlsOptions, Transport};
use isitup_producer::site::SiteSettings;

use crate::server::{check, failure, patient, serving};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200`, entry 8 of HPACK's static table; the stream and its headers end here.
pub(crate) const WELL: &[u8] = &[0, 0, 1, HEADERS, END_HEADERS | END_STREAM, 0, 0, 0, 1, 0x88];

/// Answers the first request of a connection with `frames`.
pub(crate) fn answer_http2(mut stream: impl Read + Write, frames: &[u8]) -> io::Result<()> {
    stream.read_exact(&mut [0; 24])?;
    stream.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0])?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        stream.read_exact(&mut vec![0; length])?;
        match (head[3], head[4]) {
            (SETTINGS, 0) => stream.write_all(&[0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0])?,
            (HEADERS, _) => stream.write_all(frames)?,
            _ => {}
        }
        stream.flush()?;
    }
}

pub(crate) fn serving_http2(frames: &'static [u8]) -> SocketAddr {
    serving(move |stream| answer_http2(stream, frames))
}

#[test]
fn an_exchange_that_the_server_ends_or_breaks_says_so() {
    let settings = || SiteSettings {
        transport: Arc::new(Transport::new(HttpVersion::Http2, TlsOptions::default(), None)),
        ..patient()
    };
    let begun: &[u8] = &[0, 0, 1, HEADERS, END_HEADERS, 0, 0, 0, 1, 0x88, 0, 0, 1, DATA, 0, 0, 0, 0, 1, b'x'];
    let reset: &[u8] = &[0, 0, 4, RST_STREAM, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    let broken_off: &'static [u8] = [begun, reset].concat().leak();
    for (frames, expected) in [
        (reset, "protocol: the server reset the HTTP/2 stream"),
        (
            &[0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2][..],
            "protocol: the server ended the HTTP/2 connection",
        ),
        (&[0, 0, 1, HEADERS, END_HEADERS, 0, 0, 0, 1, 0xff], "protocol: the server broke the HTTP/2 protocol"),
        (&[0, 0, 1, DATA, 0, 0, 0, 0, 0, 0], "protocol: the server broke the HTTP/2 protocol"),
        (broken_off, "protocol: the body broke off"),
    ] {
        assert_eq!(failure(&check(&format!("http://{}", serving_http2(frames)), settings())), expected, "{frames:?}");
    }
}
