//! What the kafka crate's errors and the broker's codes mean to us.

use std::io::ErrorKind;

use kafka::Error;
use kafka::error::KafkaCode;

use super::super::{KafkaError, codes};

/// The meaning of an error that ended a whole call.
pub(super) fn of_call(error: &Error) -> KafkaError {
    match error {
        Error::Kafka(KafkaCode::CorruptMessage) => KafkaError::Unreadable("a record's checksum is wrong".to_owned()),
        Error::Kafka(code) => of_code(*code),
        Error::TopicPartitionError { partition_id, error_code, .. } => match of_code(*error_code) {
            KafkaError::LeaderMoving(reason) => KafkaError::LeaderMoving(format!("partition {partition_id}: {reason}")),
            other => other,
        },
        Error::UnsupportedCompression => unreadable_compression("lz4"),
        Error::UnsupportedProtocol => KafkaError::Unreadable(format!("records of a newer format; {OTHER_CLIENT}")),
        Error::InvalidSnappy(error) => KafkaError::Unreadable(format!("broken snappy compression: {error}")),
        Error::ArcSelf(inner) => of_call(inner),
        // No socket fails so: it is what decompression says.
        Error::Io(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData) => {
            KafkaError::Unreadable(format!("broken compression: {error}"))
        }
        Error::Io(error) => KafkaError::Connection(error.to_string()),
        Error::UnexpectedEOF | Error::CodecError | Error::StringDecodeError => {
            KafkaError::Connection("the answer makes no sense".to_owned())
        }
        other => KafkaError::Connection(other.to_string()),
    }
}

/// Whether the broker gave a code that the crate has no name for.
pub(super) fn is_unnamed(error: &Error) -> bool {
    match error {
        Error::Kafka(code) | Error::TopicPartitionError { error_code: code, .. } => *code == KafkaCode::Unknown,
        Error::ArcSelf(inner) => is_unnamed(inner),
        _ => false,
    }
}

/// What to do about records that only the other client reads.
const OTHER_CLIENT: &str = "set kafka.client: librdkafka";

fn unreadable_compression(what: &str) -> KafkaError {
    KafkaError::Unreadable(format!(
        "records compressed with {what}; {OTHER_CLIENT}, or let those who write to the topic use gzip, snappy or none"
    ))
}

/// The meaning of the number of a code, also of those that the crate does not know.
pub(super) fn of_number(number: i16) -> KafkaError {
    let moving = || KafkaError::LeaderMoving(codes::name(number));
    match number {
        2 => KafkaError::Unreadable("the broker finds a record's checksum wrong (CORRUPT_MESSAGE)".to_owned()),
        // KAFKA_STORAGE_ERROR, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, OFFSET_NOT_AVAILABLE, UNKNOWN_TOPIC_ID and
        // INCONSISTENT_TOPIC_ID pass with another leader, or with newer metadata.
        56 | 74 | 75 | 78 | 100 | 103 => moving(),
        76 => unreadable_compression("zstd (UNSUPPORTED_COMPRESSION_TYPE)"),
        43 => KafkaError::Unreadable(format!("records of a newer format; {OTHER_CLIENT}")),
        number => KNOWN
            .iter()
            .find(|code| **code as i16 == number)
            .map_or_else(|| KafkaError::Refused(codes::name(number)), |code| of_code(*code)),
    }
}

/// The codes that have words of their own in [`of_code`].
const KNOWN: [KafkaCode; 14] = [
    KafkaCode::OffsetOutOfRange,
    KafkaCode::UnknownTopicOrPartition,
    KafkaCode::LeaderNotAvailable,
    KafkaCode::NotLeaderForPartition,
    KafkaCode::ReplicaNotAvailable,
    KafkaCode::RequestTimedOut,
    KafkaCode::NotEnoughReplicas,
    KafkaCode::NotEnoughReplicasAfterAppend,
    KafkaCode::TopicAuthorizationFailed,
    KafkaCode::GroupAuthorizationFailed,
    KafkaCode::GroupLoadInProgress,
    KafkaCode::GroupCoordinatorNotAvailable,
    KafkaCode::InvalidTopic,
    KafkaCode::ClusterAuthorizationFailed,
];

/// The meaning of a code that the broker gave for a partition or a request.
///
/// The crate knows the codes up to 35 and calls all others unknown. Which of those it is tells [`super::single`].
pub(super) fn of_code(code: KafkaCode) -> KafkaError {
    let refused = |reason: &str| KafkaError::Refused(reason.to_owned());
    match code {
        KafkaCode::OffsetOutOfRange => KafkaError::OffsetOutOfRange,
        KafkaCode::UnknownTopicOrPartition => {
            KafkaError::LeaderMoving("the broker does not know the partition".to_owned())
        }
        KafkaCode::LeaderNotAvailable => KafkaError::LeaderMoving("none is elected yet".to_owned()),
        KafkaCode::NotLeaderForPartition => KafkaError::LeaderMoving("it is another broker now".to_owned()),
        KafkaCode::ReplicaNotAvailable => KafkaError::LeaderMoving("a replica is missing".to_owned()),
        KafkaCode::Unknown => refused("an error that kafka-rust does not know; the broker's log says which"),
        KafkaCode::RequestTimedOut => refused("its replicas did not take the records in time"),
        KafkaCode::NotEnoughReplicas | KafkaCode::NotEnoughReplicasAfterAppend => {
            refused("fewer replicas are in sync than the topic's min.insync.replicas asks for")
        }
        KafkaCode::TopicAuthorizationFailed => {
            refused("this client has no rights on the topic; grant them by kafka-acls")
        }
        KafkaCode::GroupAuthorizationFailed => {
            refused("this client has no rights on the group; grant them by kafka-acls")
        }
        KafkaCode::GroupLoadInProgress => refused("the group's coordinator is still loading its offsets"),
        KafkaCode::GroupCoordinatorNotAvailable => refused("the group has no coordinator yet"),
        other => KafkaError::Refused(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_pass_with_another_leader_are_told_as_such() {
        use KafkaCode::{LeaderNotAvailable, NotLeaderForPartition, ReplicaNotAvailable, UnknownTopicOrPartition};
        for code in [UnknownTopicOrPartition, LeaderNotAvailable, NotLeaderForPartition, ReplicaNotAvailable] {
            assert!(matches!(of_code(code), KafkaError::LeaderMoving(_)), "{code:?}");
            assert_eq!(of_number(code as i16), of_code(code));
        }
        for number in [56, 74, 75, 78] {
            assert!(matches!(of_number(number), KafkaError::LeaderMoving(_)), "{number}");
        }
    }

    #[test]
    fn codes_that_no_leader_change_mends_are_not_called_a_leader_change() {
        assert!(matches!(of_code(KafkaCode::Unknown), KafkaError::Refused(_)));
        let zstd = of_number(76);
        assert!(matches!(&zstd, KafkaError::Unreadable(_)), "{zstd}");
        for words in ["zstd", "kafka.client: librdkafka"] {
            assert!(zstd.to_string().contains(words), "{zstd}");
        }
        for number in [-1, 35, 87, 99, 1000] {
            assert!(matches!(of_number(number), KafkaError::Refused(_)), "{number}");
        }
    }

    #[test]
    fn a_refusal_and_a_lost_offset_are_no_leader_trouble() {
        assert_eq!(of_code(KafkaCode::OffsetOutOfRange), KafkaError::OffsetOutOfRange);
        assert!(matches!(of_code(KafkaCode::NotEnoughReplicas), KafkaError::Refused(_)));
        assert!(matches!(of_code(KafkaCode::InvalidTopic), KafkaError::Refused(_)));
    }

    #[test]
    fn what_cannot_be_read_is_told_apart_from_a_lost_connection() {
        assert!(matches!(of_call(&Error::UnsupportedCompression), KafkaError::Unreadable(_)));
        assert!(matches!(of_call(&Error::Kafka(KafkaCode::CorruptMessage)), KafkaError::Unreadable(_)));
        assert!(matches!(of_call(&Error::CodecError), KafkaError::Connection(_)));
        let moved = Error::TopicPartitionError {
            topic_name: "t".to_owned(),
            partition_id: 4,
            error_code: KafkaCode::NotLeaderForPartition,
        };
        assert_eq!(
            of_call(&moved).to_string(),
            "the partition's leader is moving: partition 4: it is another broker now"
        );
    }
}
