//! What can be wrong with a batch.

use crate::errors;

/// Why a batch is not taken. Each text names the value and what was expected; [`code`] is the
/// answer on the wire.
///
/// [`code`]: BatchError::code
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// No bytes at all.
    #[error("no bytes, expected a batch")]
    Empty,
    /// The bytes end before the batch does.
    #[error("the batch has {left} bytes, expected {needed}")]
    Cut {
        /// How many bytes it needs.
        needed: u64,
        /// How many there are.
        left: usize,
    },
    /// A format that is no longer taken.
    #[error("a batch of magic {0}, expected 2")]
    OldMagic(i8),
    /// A format that nobody knows.
    #[error("a batch of magic {0}, expected 2")]
    UnknownMagic(i8),
    /// A compression that this version of Produce does not allow.
    #[error("zstd, expected a compression that version 6 of Produce and older know")]
    ZstdTooEarly,
    /// The batch says that it is shorter than its header.
    #[error("batch length {0}, expected at least 49")]
    LengthTooShort(i32),
    /// More bytes follow the batch.
    #[error("{extra} bytes follow the first batch, expected one batch")]
    NotOne {
        /// How many bytes follow.
        extra: usize,
    },
    /// Only a broker gives offsets.
    #[error("base offset {0}, expected 0")]
    BaseOffset(i64),
    /// The batch is larger than allowed.
    #[error("the batch has {size} bytes, expected at most {limit}")]
    TooLarge {
        /// Its size in bytes, the header included.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The checksum does not fit the bytes.
    #[error("checksum {found:#010x}, expected {expected:#010x}")]
    Crc {
        /// The one in the header.
        found: u32,
        /// The one of the bytes.
        expected: u32,
    },
    /// Count and last offset say different things, or there are no records.
    #[error(
        "{count} records and last offset delta {last_offset_delta}, \
         expected 1 or more, and the delta one less"
    )]
    Count {
        /// How many records the header says there are.
        count: i32,
        /// The last record's offset, less the first one's.
        last_offset_delta: i32,
    },
    /// A compression that does not exist.
    #[error("compression {0}, expected 0 to 4")]
    UnknownCodec(i16),
    /// Attributes that only a broker sets, or that mean nothing.
    #[error("attributes {0:#018b}, expected bits 6 to 15 to be 0")]
    Attributes(i16),
    /// Only a broker writes control records.
    #[error("a control batch, expected records")]
    Control,
    /// Only a broker says when a batch was appended.
    #[error("timestamps of the append, expected timestamps of the records' creation")]
    LogAppendTime,
    /// A producer id without an epoch or a sequence number.
    #[error("producer {id} with epoch {epoch} and sequence {base_sequence}, expected 0 or more")]
    Producer {
        /// The producer's id.
        id: i64,
        /// Its epoch.
        epoch: i16,
        /// The first record's sequence number.
        base_sequence: i32,
    },
    /// A transaction needs a producer id.
    #[error("a transactional batch with producer id {0}, expected 0 or more")]
    Transactional(i64),
    /// Decompressed, the records are larger than allowed.
    #[error("the records exceed {limit} bytes when decompressed, from {compressed}")]
    Bomb {
        /// The limit in bytes.
        limit: u64,
        /// How many bytes they are when compressed.
        compressed: usize,
    },
    /// The records do not decompress.
    #[error("{codec} does not decompress: {reason}")]
    Payload {
        /// The compression.
        codec: &'static str,
        /// The decompressor's own words.
        reason: String,
    },
    /// A record breaks a rule.
    #[error("record {index}: {what}")]
    Record {
        /// Which, from 0 on.
        index: u32,
        /// The rule.
        what: RecordFault,
    },
    /// More bytes follow the last record.
    #[error("bytes follow the last of {count} records")]
    Trailing {
        /// How many records there are.
        count: u32,
    },
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// The bytes end before the record does.
    #[error("the records end within it")]
    Cut,
    /// Its fields take more or fewer bytes than its length says.
    #[error("its fields take {used} bytes, its length is {length}")]
    Length {
        /// How many bytes its fields take.
        used: u64,
        /// How many its length says.
        length: u64,
    },
    /// A length is negative, and does not mean null either.
    #[error("{field} {length}, expected {least} or more")]
    Negative {
        /// Of what.
        field: &'static str,
        /// The length.
        length: i32,
        /// The least that is allowed.
        least: i32,
    },
    /// An integer of variable length is too long.
    #[error("an integer of more than {0} bits")]
    Varint(u32),
    /// Its offset is not the one after the record before it.
    #[error("offset delta {found}, expected {expected}")]
    OffsetDelta {
        /// The record's offset, less the first one's.
        found: i32,
        /// Its index.
        expected: u32,
    },
    /// Base timestamp and delta together are no number.
    #[error("timestamp delta {delta} overflows from {base}")]
    TimestampOverflow {
        /// The batch's base timestamp.
        base: i64,
        /// The record's delta.
        delta: i64,
    },
    /// Its timestamp is outside the limits.
    #[error("timestamp {found}, expected {least} to {most}, or -1")]
    Timestamp {
        /// The timestamp in milliseconds.
        found: i64,
        /// The least that is allowed.
        least: i64,
        /// The greatest that is allowed.
        most: i64,
    },
    /// A compacted topic needs keys.
    #[error("no key, expected one: the topic is compacted")]
    NoKey,
}

impl BatchError {
    /// The error code that Kafka answers.
    ///
    /// Where Kafka says UNKNOWN_SERVER_ERROR because a decompressor failed, this says
    /// INVALID_RECORD, which no client tries again. Records that are too large when decompressed
    /// are MESSAGE_TOO_LARGE: Java then splits the batch.
    pub fn code(&self) -> i16 {
        match self {
            Self::UnknownMagic(_) | Self::LengthTooShort(_) | Self::Crc { .. } => {
                errors::CORRUPT_MESSAGE
            }
            Self::ZstdTooEarly => errors::UNSUPPORTED_COMPRESSION_TYPE,
            Self::TooLarge { .. } | Self::Bomb { .. } => errors::MESSAGE_TOO_LARGE,
            Self::Transactional(_) => errors::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            Self::LogAppendTime | Self::Record { what: RecordFault::Timestamp { .. }, .. } => {
                errors::INVALID_TIMESTAMP
            }
            Self::Empty
            | Self::Cut { .. }
            | Self::OldMagic(_)
            | Self::NotOne { .. }
            | Self::BaseOffset(_)
            | Self::Count { .. }
            | Self::UnknownCodec(_)
            | Self::Attributes(_)
            | Self::Control
            | Self::Producer { .. }
            | Self::Payload { .. }
            | Self::Record { .. }
            | Self::Trailing { .. } => errors::INVALID_RECORD,
        }
    }

    /// Which record is to blame, for `record_errors` of Produce 8 and newer.
    pub fn record(&self) -> Option<u32> {
        match self {
            Self::Record { index, .. } => Some(*index),
            _ => None,
        }
    }
}
