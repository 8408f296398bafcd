//! Which partition a key belongs to: Java's `DefaultPartitioner`, so that kcat, Kafka's own tools and every client of
//! isitup agree. kafka-rust's partitioner hashes otherwise and is not used.

/// The partition of `key` on a topic of `partitions` partitions, as Kafka's Java client chooses it.
///
/// From `org.apache.kafka.clients.producer.internals.BuiltInPartitioner`: `toPositive(murmur2(key)) % partitions`. A topic
/// always has a partition, so 0 counts as 1.
pub fn partition_for(key: &[u8], partitions: u32) -> i32 {
    // The mask is Java's `toPositive`; with it the remainder of any count fits an i32.
    let hash = murmur2(key) & 0x7fff_ffff;
    (hash % partitions.max(1)).cast_signed()
}

/// `org.apache.kafka.common.utils.Utils.murmur2`: `MurmurHash2` with a seed of Kafka's own.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // Kafka's own limits keep a key below 2 GiB; beyond that Java's int would wrap just so.
    #[allow(clippy::cast_possible_truncation)]
    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, byte| (rest << 8) | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key, `Utils.murmur2`, and the partitions of 6 and of 7: printed by kafka-clients 3.9.1.
    const JAVA: &[(&[u8], i32, i32, i32)] = &[
        (b"", 275_646_681, 3, 2),
        (b"a", -1_563_381_124, 4, 5),
        (b"ab", 316_155_434, 2, 0),
        (b"abc", 479_470_107, 3, 4),
        (b"abcd", -1_323_649_548, 2, 5),
        (b"abcde", 461_995_741, 1, 4),
        (b"21", -973_932_308, 0, 3),
        (b"foobar", -790_332_482, 0, 0),
        (b"https://example.com", -2_051_016_858, 2, 0),
        (b"https://example.com/login", 1_919_885_194, 4, 3),
        (b"login", 35_787_599, 5, 1),
        ("zürich ✓".as_bytes(), -1_949_539_061, 3, 1),
        (b"a-little-bit-long-string", -985_981_536, 2, 1),
        (b"The quick brown fox jumps over the lazy dog", 495_243_318, 0, 3),
        (&[0xff, 0x80, 0xfe, 0x81, 0x90, 0xa0, 0xf0], -52_668_305, 3, 5),
    ];

    #[test]
    fn hashes_and_partitions_are_those_of_java() {
        for &(key, hash, of_six, of_seven) in JAVA {
            assert_eq!(murmur2(key).cast_signed(), hash, "{key:?}");
            assert_eq!(partition_for(key, 6), of_six, "{key:?}");
            assert_eq!(partition_for(key, 7), of_seven, "{key:?}");
        }
    }

    #[test]
    fn any_count_gives_a_partition_below_it() {
        for count in [1, 2, 1000, u32::MAX] {
            assert!((0..i64::from(count)).contains(&i64::from(partition_for(b"a", count))));
        }
        assert_eq!(partition_for(b"a", 0), 0);
    }
}
