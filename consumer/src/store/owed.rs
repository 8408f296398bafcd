//! How many answers a PostgreSQL connection is owed, seen from the bytes that pass.
//!
//! Messages are `type, length, content`, the first of a client without the type. A client's Query and Sync, and its start,
//! are each answered by something that ends with ReadyForQuery:
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

/// Counts answers owed.
#[derive(Debug)]
pub(super) struct Owed {
    sent: Messages,
    received: Messages,
    answers: usize,
}

impl Owed {
    /// For a connection over which nothing has passed: its start is answered first.
    pub(super) fn new() -> Self {
        Self { sent: Messages::without_first_type(), received: Messages::default(), answers: 1 }
    }

    /// The client has sent these bytes.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        self.answers += self.sent.count(bytes, b"QS");
    }

    /// The server has sent these bytes.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        self.answers = self.answers.saturating_sub(self.received.count(bytes, b"Z"));
    }

    /// Whether the server has something to say.
    pub(super) fn is_any(&self) -> bool {
        self.answers > 0
    }
}

/// Where in its messages a stream of bytes is.
#[derive(Debug, Default)]
struct Messages {
    /// Type and length, as far as they are known.
    head: [u8; 5],
    known: usize,
    /// How much of the content is still to come.
    content: usize,
}

impl Messages {
    fn without_first_type() -> Self {
        Self { known: 1, ..Self::default() }
    }

    /// How many messages of `types` begin in `bytes`, or before and have their length there.
    fn count(&mut self, mut bytes: &[u8], types: &[u8]) -> usize {
        let mut found = 0;
        while !bytes.is_empty() {
            let skipped = self.content.min(bytes.len());
            self.content -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((byte, rest)) = bytes.split_first().filter(|_| self.content == 0) else { continue };
            bytes = rest;
            if let Some(place) = self.head.get_mut(self.known) {
                *place = *byte;
            }
            self.known += 1;
            if self.known == self.head.len() {
                let [kind, length @ ..] = std::mem::take(&mut self.head);
                // The length counts itself.
                self.content = (u32::from_be_bytes(length) as usize).saturating_sub(4);
                self.known = 0;
                found += usize::from(types.contains(&kind));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, content].concat()
    }

    #[test]
    fn answers_are_owed_for_the_start_each_query_and_each_sync_wherever_reads_are_cut() {
        let start = message(b'?', b"user\0isitup\0\0")[1..].to_vec();
        // Contents that look like messages are none.
        let asked = [message(b'Q', b"SELECT 'S\0\0\0\x04'\0"), message(b'P', b"s\0Q\0"), message(b'S', b"")].concat();
        let ready = message(b'Z', b"I");
        let answer = [message(b'D', &ready), ready].concat();
        for size in [1, 2, 3, 5, 7, 1000] {
            let mut owed = Owed::new();
            let sent = [start.clone(), asked.clone()].concat();
            sent.chunks(size).for_each(|bytes| owed.sent(bytes));
            for _ in 0..3 {
                assert!(owed.is_any());
                answer.chunks(size).for_each(|bytes| owed.received(bytes));
            }
            assert!(!owed.is_any(), "cut into {size}");
        }
    }
}
