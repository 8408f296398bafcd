//! Whether a partition still is the one whose offset we hold. Pure: what Kafka and the table say in, a verdict out.

use isitup_shared::kafka::{Message, OffsetRange};

use crate::assignment::Held;
use crate::ingest::batch::anchor;

/// What to do with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Read on.
    Same,
    /// Look at the record before the offset first.
    NeedsAnchor,
    /// Records were removed before they were read: go on at the earliest.
    Truncated {
        /// The earliest offset there is.
        earliest: i64,
    },
    /// The offset lies beyond the end.
    Shorter {
        /// One past the last offset there is.
        latest: i64,
    },
}

/// Compares the offset we hold with the offsets that the partition has.
pub(crate) fn compare_range(held: &Held, range: OffsetRange) -> Verdict {
    if held.next > range.latest {
        Verdict::Shorter { latest: range.latest }
    } else if held.next < range.earliest {
        Verdict::Truncated { earliest: range.earliest }
    } else if held.anchor.is_some() && held.next > range.earliest {
        Verdict::NeedsAnchor
    } else {
        Verdict::Same
    }
}

/// Whether the record before the offset is another one than that which was read. `messages` begin there; where that
/// very record is gone nothing can be told, and nothing is claimed.
pub(crate) fn is_another_topic(held: &Held, messages: &[Message]) -> bool {
    match (&held.anchor, messages.first()) {
        (Some(expected), Some(message)) if message.offset == held.next - 1 => {
            anchor(&message.value).as_slice() != expected.as_slice()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(next: i64, record_before: Option<&[u8]>) -> Held {
        Held { epoch: 1, next, anchor: record_before.map(|raw| anchor(raw).to_vec()), is_checked: false }
    }

    #[test]
    fn the_offset_is_compared_with_what_the_partition_has() {
        let range = OffsetRange { earliest: 10, latest: 20 };
        assert_eq!(compare_range(&held(9, None), range), Verdict::Truncated { earliest: 10 });
        assert_eq!(compare_range(&held(10, Some(b"a")), range), Verdict::Same);
        assert_eq!(compare_range(&held(11, Some(b"a")), range), Verdict::NeedsAnchor);
        assert_eq!(compare_range(&held(20, None), range), Verdict::Same);
        assert_eq!(compare_range(&held(21, Some(b"a")), range), Verdict::Shorter { latest: 20 });
    }

    #[test]
    fn another_record_before_the_offset_means_another_topic() {
        let message = |offset, value: &[u8]| Message { offset, value: value.to_vec() };
        assert!(!is_another_topic(&held(11, Some(b"a")), &[message(10, b"a"), message(11, b"b")]));
        assert!(is_another_topic(&held(11, Some(b"a")), &[message(10, b"x")]));
        assert!(!is_another_topic(&held(11, Some(b"a")), &[message(11, b"b")]));
        assert!(!is_another_topic(&held(11, Some(b"a")), &[]));
    }
}
