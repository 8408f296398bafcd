//! What the kafka crate's errors and the broker's codes mean to us.

use kafka::Error;
use kafka::error::KafkaCode;

use super::super::KafkaError;

/// The meaning of an error that ended a whole call.
pub(super) fn of_call(error: &Error) -> KafkaError {
    match error {
        Error::Kafka(KafkaCode::CorruptMessage) => KafkaError::Unreadable("a record's checksum is wrong".to_owned()),
        Error::Kafka(code) => of_code(*code),
        Error::TopicPartitionError { partition_id, error_code, .. } => match of_code(*error_code) {
            KafkaError::LeaderMoving(reason) => KafkaError::LeaderMoving(format!("partition {partition_id}: {reason}")),
            other => other,
        },
        Error::UnsupportedCompression => KafkaError::Unreadable(
            "records compressed with lz4 or zstd; let those who write to the topic use gzip, snappy or none".to_owned(),
        ),
        Error::UnsupportedProtocol => KafkaError::Unreadable("records of a newer format".to_owned()),
        Error::InvalidSnappy(error) => KafkaError::Unreadable(format!("broken snappy compression: {error}")),
        Error::ArcSelf(inner) => of_call(inner),
        Error::Io(error) => KafkaError::Connection(error.to_string()),
        Error::UnexpectedEOF | Error::CodecError | Error::StringDecodeError => {
            KafkaError::Connection("the answer makes no sense".to_owned())
        }
        other => KafkaError::Connection(other.to_string()),
    }
}

/// The meaning of a code that the broker gave for a partition or a request.
///
/// The crate knows the codes up to 35 and calls all others unknown; most of those (a fenced leader, a failed disk) pass
/// with another leader, so unknown ones are taken for that.
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
        KafkaCode::Unknown => KafkaError::LeaderMoving("the broker names no reason that this client knows".to_owned()),
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

/// Whether the broker found the records of a call too large for one batch.
pub(super) fn is_too_large(code: KafkaCode) -> bool {
    matches!(code, KafkaCode::MessageSizeTooLarge | KafkaCode::RecordListTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_pass_with_another_leader_are_told_as_such() {
        use KafkaCode::{
            LeaderNotAvailable, NotLeaderForPartition, ReplicaNotAvailable, Unknown, UnknownTopicOrPartition,
        };
        for code in [UnknownTopicOrPartition, LeaderNotAvailable, NotLeaderForPartition, ReplicaNotAvailable, Unknown] {
            assert!(matches!(of_code(code), KafkaError::LeaderMoving(_)), "{code:?}");
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
