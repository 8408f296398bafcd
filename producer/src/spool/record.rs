//! How records lie in a segment: framed, checksummed, and found again after damage.
//!
//! ```text
//! crc32 u32 | length u32 | seq u64 | accepted_us i64 | kind u8 | key_length u16 | key | message
//! ```
//!
//! Numbers are little-endian. The checksum covers all that follows it, `length` counts the key and the message. An
//! unwritten part of a segment is zeros, which are no record: a record's kind is never 0.

use isitup_shared::event::Rank;
use isitup_shared::time::UtcTime;
use uuid::Uuid;

/// Bytes before the key.
pub(super) const HEADER: usize = 4 + 4 + 8 + 8 + 1 + 2;

/// Longer records than any event are taken for damage.
pub(super) const LONGEST: usize = 16 << 20;

/// Bytes of a [`Head`].
pub(super) const HEAD_SIZE: usize = HEADER + 16;

const MARK: u8 = 255;
const HEAD: u8 = 254;

/// An event that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub seq: u64,
    /// When the spool took it.
    pub accepted_at: UtcTime,
    /// How much it would be missed.
    pub rank: Rank,
    /// The message key.
    pub key: Vec<u8>,
    /// The whole message.
    pub message: Vec<u8>,
}

impl Stored {
    /// Bytes it takes in a segment.
    pub(super) fn size(&self) -> usize {
        HEADER + self.key.len() + self.message.len()
    }
}

/// What the spool knew when it wrote a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Every slot before this moment has ended as an event; `None` before the first schedule.
    pub(super) settled: Option<UtcTime>,
    /// Every event up to this number was acknowledged by Kafka.
    pub(super) acked: u64,
    /// Events up to this number may have been handed to Kafka.
    pub(super) handed: u64,
}

/// A record of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Event(Stored),
    Mark(Mark),
    Head(Head),
}

/// Opens a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Who made the events.
    pub(super) producer_id: Uuid,
    /// Bytes of the file; a file of another size was cut.
    pub(super) size: u64,
    /// No event of the segment is of a slot before this moment; `None` where nothing was known, as by an older release.
    pub(super) since: Option<UtcTime>,
}

/// Appends `event` to `out`.
pub(super) fn write_event(out: &mut Vec<u8>, event: &Stored) {
    write(out, rank_code(event.rank), event.seq, event.accepted_at.as_micros(), &event.key, &event.message);
}

/// Appends `mark` to `out`.
pub(super) fn write_mark(out: &mut Vec<u8>, mark: &Mark) {
    let settled = mark.settled.map_or(i64::MIN, UtcTime::as_micros);
    write(out, MARK, mark.acked, settled, &[], &mark.handed.to_le_bytes());
}

/// Appends the head of a segment to `out`.
pub(super) fn write_head(out: &mut Vec<u8>, head: &Head) {
    let since = head.since.map_or(0, UtcTime::as_micros);
    write(out, HEAD, head.size, since, &[], head.producer_id.as_bytes());
}

fn write(out: &mut Vec<u8>, kind: u8, number: u64, time: i64, key: &[u8], message: &[u8]) {
    // Keys are site names; those beyond 64 KiB are refused with the configuration.
    let key = &key[..key.len().min(usize::from(u16::MAX))];
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&u32::try_from(key.len() + message.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&time.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(message);
    let crc = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The record at the start of `bytes` and its size, unless there is no whole one.
pub(super) fn read(bytes: &[u8]) -> Option<(Record, usize)> {
    let crc = u32::from_le_bytes(array(bytes, 0)?);
    let length = u32::from_le_bytes(array(bytes, 4)?) as usize;
    let number = u64::from_le_bytes(array(bytes, 8)?);
    let time = i64::from_le_bytes(array(bytes, 16)?);
    let kind = *bytes.get(24)?;
    let key_length = usize::from(u16::from_le_bytes(array(bytes, 25)?));
    // Of bytes that are no record few pass here, so that few checksums are computed in vain.
    let is_kind = kind == HEAD || kind == MARK || rank_of(kind).is_some();
    if !is_kind || length > LONGEST || key_length > length {
        return None;
    }
    let size = HEADER + length;
    let body = bytes.get(4..size)?;
    if crc32fast::hash(body) != crc {
        return None;
    }
    let (key, message) = bytes[HEADER..size].split_at(key_length);
    let record = match kind {
        HEAD => {
            let since = (time != 0).then(|| UtcTime::from_micros(time));
            Record::Head(Head { producer_id: Uuid::from_slice(message).ok()?, size: number, since })
        }
        MARK => {
            let settled = (time != i64::MIN).then(|| UtcTime::from_micros(time));
            Record::Mark(Mark { settled, acked: number, handed: u64::from_le_bytes(message.try_into().ok()?) })
        }
        rank => Record::Event(Stored {
            seq: number,
            accepted_at: UtcTime::from_micros(time),
            rank: rank_of(rank)?,
            key: key.to_vec(),
            message: message.to_vec(),
        }),
    };
    Some((record, size))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn rank_code(rank: Rank) -> u8 {
    match rank {
        Rank::Routine => 1,
        Rank::Outage => 2,
        Rank::Account => 3,
    }
}

fn rank_of(code: u8) -> Option<Rank> {
    [Rank::Routine, Rank::Outage, Rank::Account].into_iter().find(|rank| rank_code(*rank) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, message: &[u8]) -> Stored {
        Stored {
            seq,
            accepted_at: UtcTime::from_micros(7),
            rank: Rank::Outage,
            key: b"site".to_vec(),
            message: message.to_vec(),
        }
    }

    #[test]
    fn records_read_back_as_they_were_written() {
        let mut out = Vec::new();
        let mark = Mark { settled: Some(UtcTime::from_micros(5)), acked: 6, handed: 9 };
        write_event(&mut out, &event(1, b"hello"));
        write_mark(&mut out, &mark);
        let (first, size) = read(&out).unwrap();
        assert_eq!(first, Record::Event(event(1, b"hello")));
        assert_eq!(size, event(1, b"hello").size());
        assert_eq!(read(&out[size..]).unwrap().0, Record::Mark(mark));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_passes_for_a_record() {
        let mut out = Vec::new();
        write_event(&mut out, &event(3, b"message"));
        for cut in 0..out.len() {
            assert_eq!(read(&out[..cut]), None);
        }
        for bit in 0..out.len() * 8 {
            let mut damaged = out.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&damaged), None, "bit {bit}");
        }
        assert_eq!(read(&[0; 100]), None);
    }
}
