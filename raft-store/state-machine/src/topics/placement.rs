//! Which partition of its topic a record goes to: by its key, by turns, or as the producer says.

use serde::{Deserialize, Serialize};

use crate::ids::PartitionId;

/// Where a record goes within its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// By the key: its [`murmur2`] hash.
    Key(i32),
    /// Round-robin.
    Next,
    /// As the producer says.
    Partition(PartitionId),
}

/// Kafka's murmur2 hash of a record's key (32 bits, seed 0x9747b28c).
pub fn murmur2(key: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mut h = 0x9747_b28c_u32 ^ key.len() as u32;
    let mut chunks = key.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = chunks.remainder();
    for (i, byte) in tail.iter().enumerate() {
        h ^= u32::from(*byte) << (8 * i);
    }
    if !tail.is_empty() {
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^= h >> 15;
    h as i32
}

/// The partition of a key by its [`murmur2`] hash, as Kafka's producers place it.
pub fn partition_of(hash: i32, partitions: u32) -> u32 {
    (hash as u32 & 0x7fff_ffff) % partitions
}

#[cfg(test)]
mod tests {
    use super::{murmur2, partition_of};

    /// Hash, and partition of 3 and of 10, by Kafka's own `Utils.murmur2`.
    #[test]
    fn keys_are_placed_as_by_kafkas_producers() {
        let table: &[(&[u8], i32, u32, u32)] = &[
            (b"", 275_646_681, 0, 1),
            (b"a", -1_563_381_124, 1, 4),
            (b"21", -973_932_308, 0, 0),
            (b"abc", 479_470_107, 0, 7),
            (b"foobar", -790_332_482, 0, 6),
            (b"key-0", 29_210_041, 1, 1),
            (b"order-1234567", -728_454_695, 0, 3),
            (b"a-little-bit-long-string", -985_981_536, 2, 2),
            (b"a-little-bit-longer-string", -1_486_304_829, 2, 9),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971, 2, 7),
            (&[0], 375_494_588, 2, 8),
            (&[0xff, 0xfe, 0x80], -160_726_397, 0, 1),
            ("h\u{e9}llo".as_bytes(), 614_509_002, 0, 2),
            (&[0, 0, 0, 7], -1_028_359_445, 0, 3),
        ];
        for (key, hash, of_3, of_10) in table {
            assert_eq!(murmur2(key), *hash, "{key:?}");
            assert_eq!(partition_of(*hash, 3), *of_3, "{key:?}");
            assert_eq!(partition_of(*hash, 10), *of_10, "{key:?}");
        }
    }
}
