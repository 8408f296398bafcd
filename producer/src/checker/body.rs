//! Reads a body within its bounds, and decodes it to text.

use std::borrow::Cow;
use std::io::{self, Read};
use std::time::Instant;

use encoding_rs::{Encoding, UTF_8};
use reqwest::header::HeaderValue;

const CHUNK: usize = 16 * 1024;
/// A body buffer that grew beyond this is given back after the check: hundreds of workers keep one each.
const KEPT: usize = 64 * 1024;

/// Buffers that one checker uses again and again.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    chunk: Vec<u8>,
    body: Vec<u8>,
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is larger than allowed.
    TooLarge,
    /// The deadline passed.
    Late,
    /// It broke off.
    Broken(io::Error),
}

impl Buffers {
    /// Reads `body` to its end, but no more than `most` bytes and not beyond `deadline`. Gives how many bytes were read.
    /// They are kept for [`Buffers::text`] only where `is_kept`.
    pub(super) fn read(
        &mut self,
        body: &mut impl Read,
        most: u64,
        deadline: Instant,
        is_kept: bool,
    ) -> (u64, Result<(), Unread>) {
        self.body.clear();
        self.chunk.resize(CHUNK, 0);
        let mut size = 0;
        loop {
            let length = match body.read(&mut self.chunk) {
                Ok(0) => return (size, Ok(())),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return (size, Err(Unread::Broken(error))),
            };
            size += length as u64;
            if size > most {
                return (size, Err(Unread::TooLarge));
            }
            if is_kept {
                self.body.extend_from_slice(&self.chunk[..length]);
            }
            // The request's own deadline ends a wait for more; this one ends a body that never makes us wait.
            if Instant::now() >= deadline {
                return (size, Err(Unread::Late));
            }
        }
    }

    /// The body last read, decoded by the charset of `content_type`, else as UTF-8; what cannot be decoded is replaced.
    pub(super) fn text(&self, content_type: Option<&HeaderValue>) -> Cow<'_, str> {
        let encoding = content_type.and_then(|value| charset(value.as_bytes())).unwrap_or(UTF_8);
        encoding.decode(&self.body).0
    }

    /// Gives back what one large body made grow.
    pub(super) fn shrink(&mut self) {
        if self.body.capacity() > KEPT {
            self.body = Vec::new();
        }
    }
}

/// The encoding named in a `Content-Type`, where there is one that we know.
fn charset(content_type: &[u8]) -> Option<&'static Encoding> {
    content_type.split(|&b| b == b';').skip(1).find_map(|parameter| {
        let equals = parameter.iter().position(|&b| b == b'=')?;
        let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
        if !name.trim_ascii().eq_ignore_ascii_case(b"charset") {
            return None;
        }
        let value = value.trim_ascii();
        let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        Encoding::for_label(unquoted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charset_is_found_in_whatever_way_it_is_written() {
        for (written, name) in [
            ("text/html; charset=ISO-8859-1", Some("windows-1252")),
            ("text/html;charset=\"Shift_JIS\"", Some("Shift_JIS")),
            ("text/html; boundary=x; Charset = utf-8 ", Some("UTF-8")),
            ("text/html; charset=klingon", None),
            ("text/html", None),
        ] {
            assert_eq!(charset(written.as_bytes()).map(Encoding::name), name, "{written}");
        }
    }
}
