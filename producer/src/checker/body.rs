//! Reads a body within its bounds, and decodes it to text.

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use encoding_rs::{Encoding, UTF_8};
use regex::bytes::Regex;
use reqwest::header::HeaderValue;

const CHUNK: usize = 16 * 1024;
/// A body buffer that grew beyond this is given back after the check: hundreds of workers keep one each.
const KEPT: usize = 64 * 1024;

/// Memory is asked for in pieces of this size.
const PIECE: u64 = 256 * 1024;
/// A text that is decoded takes as much again, or more, beside its bytes.
const PER_BYTE: u64 = 2;

/// The memory that the bodies of all checkers may take together. Hundreds of sites that send all that is allowed, slowly, would
/// take more than the process has.
#[derive(Clone, Debug)]
pub(super) struct BodyMemory(Arc<(AtomicU64, u64)>);

impl BodyMemory {
    /// At most `most` bytes.
    pub(super) fn new(most: u64) -> Self {
        Self(Arc::new((AtomicU64::new(0), most)))
    }

    fn take(&self, bytes: u64) -> bool {
        let (used, most) = &*self.0;
        let more = |used: u64| used.checked_add(bytes).filter(|sum| sum <= most);
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.0.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Default for BodyMemory {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

/// Buffers that one checker uses again and again.
#[derive(Debug)]
pub(super) struct Buffers {
    chunk: Vec<u8>,
    body: Vec<u8>,
    memory: BodyMemory,
    /// Taken of the memory.
    taken: u64,
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is larger than allowed.
    TooLarge,
    /// The deadline passed.
    Late,
    /// This machine has no memory for it.
    NoMemory,
    /// It broke off.
    Broken(io::Error),
}

impl Buffers {
    /// Buffers that take what is large of `memory`.
    pub(super) fn new(memory: &BodyMemory) -> Self {
        Self { chunk: Vec::new(), body: Vec::new(), memory: memory.clone(), taken: 0 }
    }

    /// Whether there is memory for a body of `size` bytes.
    fn has_room(&mut self, size: u64) -> bool {
        // What each checker keeps in any case is counted with it.
        let needed = size.saturating_sub(KEPT as u64) * PER_BYTE;
        if needed <= self.taken {
            return true;
        }
        let more = (needed - self.taken).next_multiple_of(PIECE);
        let has_room = self.memory.take(more);
        self.taken += if has_room { more } else { 0 };
        has_room
    }

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
                if !self.has_room(size) {
                    return (size, Err(Unread::NoMemory));
                }
                self.body.extend_from_slice(&self.chunk[..length]);
            }
            // The request's own deadline ends a wait for more; this one ends a body that never makes us wait.
            if Instant::now() >= deadline {
                return (size, Err(Unread::Late));
            }
        }
    }

    /// The body last read, decoded as browsers do it: by its byte order mark, else by the charset of `content_type`, else
    /// by what a page says of itself, else as UTF-8. What cannot be decoded is replaced.
    pub(super) fn text(&self, content_type: Option<&HeaderValue>) -> Cow<'_, str> {
        let content_type = content_type.map(HeaderValue::as_bytes);
        let named = content_type.and_then(charset);
        let encoding = named.or_else(|| charset_of_page(content_type, &self.body)).unwrap_or(UTF_8);
        encoding.decode(&self.body).0
    }

    /// Gives back what one large body made grow.
    pub(super) fn shrink(&mut self) {
        if self.body.capacity() > KEPT {
            self.body = Vec::new();
        }
        self.memory.give_back(std::mem::take(&mut self.taken));
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        self.shrink();
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

/// How far into a page its charset is looked for, as browsers do it.
const PAGE_HEAD: usize = 1024;

/// The `charset` of a `meta` element, in both of its forms; comments are passed over.
static META: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?is-u)<!--.*?-->|<meta[\s/][^>]*?charset\s*=\s*["']?\s*([^\s"'/>;]+)"#).ok());

/// The encoding that an HTML page names for itself.
fn charset_of_page(content_type: Option<&[u8]>, body: &[u8]) -> Option<&'static Encoding> {
    let is_page = content_type.is_none_or(|value| value.to_ascii_lowercase().windows(4).any(|part| part == b"html"));
    let head = &body[..body.len().min(PAGE_HEAD)];
    if !is_page {
        return None;
    }
    let label = META.as_ref()?.captures_iter(head).find_map(|found| found.get(1))?;
    // Whoever could read as much of the page as ASCII knows that it is not UTF-16.
    Encoding::for_label(label.as_bytes()).map(Encoding::output_encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_take_no_more_memory_together_than_is_allowed() {
        let memory = BodyMemory::new(3 << 20);
        let deadline = Instant::now() + std::time::Duration::from_secs(600);
        let (mut one, mut other) = (Buffers::new(&memory), Buffers::new(&memory));
        let body = vec![b'x'; 1 << 20];
        let read = |buffers: &mut Buffers, body: &[u8]| buffers.read(&mut &*body, 1 << 30, deadline, true).1;
        assert!(read(&mut one, &body).is_ok());
        assert!(matches!(read(&mut other, &body), Err(Unread::NoMemory)));
        // What is small needs none of it, and what is not kept either.
        assert!(Buffers::new(&memory).read(&mut &body[..KEPT], 1 << 30, deadline, true).1.is_ok());
        assert!(Buffers::new(&memory).read(&mut &*body, 1 << 30, deadline, false).1.is_ok());
        drop(other);
        one.shrink();
        assert!(read(&mut Buffers::new(&memory), &body).is_ok());
        assert_eq!(memory.0.0.load(Ordering::Relaxed), 0);
    }

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

    #[test]
    fn a_page_may_name_its_charset_itself() {
        for (content_type, page, name) in [
            (None, r#"<html><head><meta charset="iso-8859-2">"#, Some("ISO-8859-2")),
            (Some("text/html"), "<META\nname=x CharSet = 'Shift_JIS' />", Some("Shift_JIS")),
            (
                Some("Text/HTML"),
                r#"<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">"#,
                Some("windows-1251"),
            ),
            (None, "<!-- <meta charset=koi8-r> --><meta charset=big5>", Some("Big5")),
            (None, "<meta charset=utf-16le>", Some("UTF-8")),
            (None, "<meta name=charset content=big5>", None),
            (Some("text/plain"), "<meta charset=big5>", None),
        ] {
            let found = charset_of_page(content_type.map(str::as_bytes), page.as_bytes());
            assert_eq!(found.map(Encoding::name), name, "{page}");
        }
        let late = format!("{}<meta charset=big5>", " ".repeat(1024));
        assert_eq!(charset_of_page(None, late.as_bytes()), None);
    }
}
