//! What was wrong with an answer, in words for people. Its kind is certain before these words are looked for.

use std::error::Error;
use std::io::{self, Read};

use super::{cause, causes};

/// The HTTP library's words in the causes of an error, and ours for them; the first that is found counts.
const WORDS_OF_HEADS: [(&str, &str); 17] = [
    ("message head is too large", "the head of the answer is too large"),
    ("too many headers", "the head of the answer is too large"),
    ("found HTTP2 preface", "the server speaks HTTP/2 unasked"),
    ("stream error received", "the server reset the HTTP/2 stream"),
    ("connection error received", "the server ended the HTTP/2 connection"),
    ("frame with invalid size", "the answer is not HTTP/2"),
    ("connection error detected", "the server broke the HTTP/2 protocol"),
    ("stream error detected", "the server broke the HTTP/2 protocol"),
    ("invalid HTTP version", "the answer is not HTTP"),
    ("invalid HTTP status", "the answer has no valid status"),
    ("invalid content-length", "the answer has no valid Content-Length"),
    ("unexpected transfer-encoding", "the answer has a Transfer-Encoding where none may be"),
    ("invalid HTTP header", "the answer has a malformed header"),
    ("before message completed", "connection closed before an answer"),
    // It spoke before it was asked. Whether that is seen is chance, and hardly any such server speaks HTTP.
    ("unexpected message", "the answer is not HTTP"),
    ("http2 error", "the HTTP/2 exchange failed"),
    ("operation was canceled", "connection closed before an answer"),
];

/// Words that tell that the connection failed under a body, and not its compression.
const BODY_OF_CONNECTION: &str = "error reading a body from connection";

/// Why there is no head.
pub(super) fn of_head(error: &(dyn Error + 'static)) -> String {
    if let Some(reason) = of_socket(error, "before an answer") {
        return reason;
    }
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    let found = WORDS_OF_HEADS.iter().find(|(word, _)| texts.iter().any(|text| text.contains(word)));
    found.map_or("the answer is not HTTP", |(_, ours)| ours).to_owned()
}

/// What an answer is that begins with no status line, as far as its first bytes tell.
pub(in super::super) fn of_garbage(answer: &mut impl Read) -> String {
    let mut begin = [0; 3];
    let length = answer.read(&mut begin).unwrap_or_default();
    match &begin[..length] {
        // A TLS record: an alert or a handshake, of any version.
        [0x15 | 0x16, 0x03, ..] => "the server speaks TLS on this port".into(),
        _ => "the answer is not HTTP".into(),
    }
}

/// Why a body broke off.
pub(super) fn of_body(error: &io::Error) -> String {
    if let Some(reason) = of_socket(error, "within the body") {
        return reason;
    }
    if !causes(error).any(|cause| cause.to_string().contains(BODY_OF_CONNECTION)) {
        return "the body's compression is broken".into();
    }
    match cause::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => "a chunk of the body is malformed".into(),
        Some(io::ErrorKind::UnexpectedEof) => "connection closed within the body".into(),
        _ => "the body broke off".into(),
    }
}

/// What became of the socket, where that is all there is to say.
pub(in super::super) fn of_socket(error: &(dyn Error + 'static), when: &str) -> Option<String> {
    match cause::<io::Error>(error)?.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            Some(format!("connection reset {when}"))
        }
        _ => None,
    }
}
