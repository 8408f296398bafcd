//! What a broker's error code for a produce request says of the records. One table for both clients, by the numbers of
//! <https://kafka.apache.org/protocol#protocol_error_codes>.

/// The consequence of an error code for the records of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The partition, the topic or the rights: all records of the partition wait.
    Partition,
    /// The size: of the set of records, or of a record that was sent alone.
    Size,
    /// The content of a record, whatever is tried.
    Content,
    /// Perhaps the content of a record. The code also stands for faults that pass, or is not known to this release.
    Unclear,
}

impl Blame {
    /// Whether another set of records may be taken where this one was not.
    pub(super) fn is_of_records(self) -> bool {
        self != Self::Partition
    }

    /// Whether the same record, alone, is refused again as long as nobody changes the topic.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Size | Self::Content)
    }
}

/// Message sizes.
const MESSAGE_TOO_LARGE: i16 = 10;
const RECORD_LIST_TOO_LARGE: i16 = 18;

/// What `code` blames. INVALID_TIMESTAMP (32) is unclear, since the time of a record is that of its sending: a clock that
/// is set right mends it.
pub(super) fn blame(code: i16) -> Blame {
    match code {
        MESSAGE_TOO_LARGE | RECORD_LIST_TOO_LARGE => Blame::Size,
        43 | 44 | 76 | 87 => Blame::Content,
        3
        | 5..=9
        | 13..=17
        | 19..=31
        | 33..=35
        | 41
        | 45..=59
        | 65
        | 72
        | 74..=75
        | 77..=80
        | 84
        | 88..=90
        | 96
        | 100
        | 103 => Blame::Partition,
        // The client library's own numbers: what it could not do lies not in a record.
        ..-1 => Blame::Partition,
        _ => Blame::Unclear,
    }
}

/// The name of `code` with its number.
pub(super) fn name(code: i16) -> String {
    let name = match code {
        -1 => "UNKNOWN_SERVER_ERROR",
        2 => "CORRUPT_MESSAGE",
        4 => "INVALID_FETCH_SIZE",
        MESSAGE_TOO_LARGE => "MESSAGE_TOO_LARGE",
        RECORD_LIST_TOO_LARGE => "RECORD_LIST_TOO_LARGE",
        32 => "INVALID_TIMESTAMP",
        42 => "INVALID_REQUEST",
        43 => "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        44 => "POLICY_VIOLATION",
        56 => "KAFKA_STORAGE_ERROR",
        74 => "FENCED_LEADER_EPOCH",
        75 => "UNKNOWN_LEADER_EPOCH",
        76 => "UNSUPPORTED_COMPRESSION_TYPE",
        78 => "OFFSET_NOT_AVAILABLE",
        87 => "INVALID_RECORD",
        100 => "UNKNOWN_TOPIC_ID",
        103 => "INCONSISTENT_TOPIC_ID",
        other => return format!("error code {other}"),
    };
    format!("{name}, error code {code}")
}

/// Why a record of `size` bytes, sent alone, was refused with `code`.
pub(super) fn refusal(code: i16, size: usize) -> String {
    let cause = match code {
        MESSAGE_TOO_LARGE | RECORD_LIST_TOO_LARGE => {
            "it is larger than the topic's max.message.bytes (or the broker's message.max.bytes) allows; raise that"
        }
        87 => {
            "the broker finds it invalid; look at the topic's settings and at plugins of the broker that validate records"
        }
        43 | 76 => "the topic's message format does not support it; look at message.format.version",
        44 => "a policy of the broker forbids it",
        32 => {
            "its time is too far from the broker's clock; set this machine's clock right, or the topic's message.timestamp.type to LogAppendTime"
        }
        _ => "the broker's log says why",
    };
    format!("Kafka refuses a record of {size} bytes ({}): {cause}", name(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_about_content_or_size_blame_a_record() {
        for code in [10, 18] {
            assert_eq!(blame(code), Blame::Size, "{code}");
        }
        for code in [43, 44, 76, 87] {
            assert_eq!(blame(code), Blame::Content, "{code}");
        }
        // Rights, replicas, leaders, disks, quotas, the idempotent producer's numbers, a missing topic.
        for code in [3, 5, 6, 7, 17, 19, 20, 29, 31, 45, 46, 47, 56, 58, 59, 74, 75, 89, 100] {
            assert_eq!(blame(code), Blame::Partition, "{code}");
        }
    }

    #[test]
    fn codes_of_two_meanings_and_unknown_codes_are_unclear() {
        for code in [-1, 2, 4, 32, 42, 99, 1000] {
            assert_eq!(blame(code), Blame::Unclear, "{code}");
            assert!(!blame(code).is_final());
        }
    }
}
