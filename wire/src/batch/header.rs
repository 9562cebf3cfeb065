//! The header of a batch: which field lies where, and the fields that a broker writes.

/// How many bytes of a batch come before its records.
pub const HEADER_SIZE: usize = 61;

/// How many bytes the length field does not count: base offset and the length itself.
pub(crate) const LENGTH_FROM: usize = 12;
/// How many bytes reach up to the magic, itself included.
pub(crate) const MAGIC_END: usize = 17;
/// Where the bytes begin that the checksum covers.
const CHECKED_FROM: usize = 21;

pub(crate) const LOG_APPEND_TIME: i16 = 1 << 3;
pub(crate) const TRANSACTIONAL: i16 = 1 << 4;
pub(crate) const CONTROL: i16 = 1 << 5;
/// The attributes that a producer may set: codec, timestamp type, transactional, control.
pub(crate) const KNOWN_ATTRIBUTES: i16 = 0b0011_1111;

/// How records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// One member of RFC 1952.
    Gzip,
    /// One block, or the frames of xerial's Java library.
    Snappy,
    /// One frame.
    Lz4,
    /// One frame of RFC 8878.
    Zstd,
}

impl Codec {
    /// The codec with this number, the lowest three bits of the attributes.
    pub(crate) fn from_attributes(attributes: i16) -> Result<Self, i16> {
        match attributes & 0b111 {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            unknown => Err(unknown),
        }
    }
}

/// Who wrote a batch, and where it stands among that producer's batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// The producer's id, 0 or more.
    pub id: i64,
    /// The epoch of the id, 0 or more.
    pub epoch: i16,
    /// The sequence number of the first record, 0 or more.
    pub base_sequence: i32,
}

/// The fields of a header, as they stand there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header<'a> {
    bytes: &'a [u8; HEADER_SIZE],
}

impl<'a> Header<'a> {
    /// The header in front of a batch, if there are as many bytes.
    pub(crate) fn of(batch: &'a [u8]) -> Option<Self> {
        batch.first_chunk().map(|bytes| Self { bytes })
    }

    fn at<const N: usize>(&self, offset: usize) -> [u8; N] {
        *self.bytes[offset..].first_chunk().expect("fields lie within the header")
    }

    pub(crate) fn base_offset(&self) -> i64 {
        i64::from_be_bytes(self.at(0))
    }
    pub(crate) fn crc(&self) -> u32 {
        u32::from_be_bytes(self.at(17))
    }
    pub(crate) fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.at(21))
    }
    pub(crate) fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(self.at(23))
    }
    pub(crate) fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.at(27))
    }
    pub(crate) fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.at(35))
    }
    pub(crate) fn producer_id(&self) -> i64 {
        i64::from_be_bytes(self.at(43))
    }
    pub(crate) fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(self.at(51))
    }
    pub(crate) fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(self.at(53))
    }
    pub(crate) fn count(&self) -> i32 {
        i32::from_be_bytes(self.at(57))
    }
}

/// The checksum that a batch ought to have: CRC-32C over what follows the checksum.
///
/// # Panics
///
/// If there are fewer bytes than a header has.
pub fn crc_of(batch: &[u8]) -> u32 {
    assert!(batch.len() >= HEADER_SIZE, "a batch of {} bytes", batch.len());
    crc32c::crc32c(&batch[CHECKED_FROM..])
}

/// Writes the checksum anew, after a change to what it covers.
///
/// # Panics
///
/// If there are fewer bytes than a header has.
pub fn seal(batch: &mut [u8]) {
    let crc = crc_of(batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// Writes the offset of the first record. The checksum does not cover it.
///
/// # Panics
///
/// If there are fewer bytes than a header has, or the offset is over 2^63 - 1.
pub fn set_base_offset(batch: &mut [u8], offset: u64) {
    assert!(batch.len() >= HEADER_SIZE, "a batch of {} bytes", batch.len());
    let offset = i64::try_from(offset).expect("offsets are below 2^63");
    batch[..8].copy_from_slice(&offset.to_be_bytes());
}

/// Writes the epoch of the leader that appended the batch. The checksum does not cover it.
///
/// # Panics
///
/// If there are fewer bytes than a header has.
pub fn set_leader_epoch(batch: &mut [u8], epoch: i32) {
    assert!(batch.len() >= HEADER_SIZE, "a batch of {} bytes", batch.len());
    batch[12..16].copy_from_slice(&epoch.to_be_bytes());
}

/// Writes the greatest timestamp of the records, and the checksum, which covers it.
///
/// # Panics
///
/// If there are fewer bytes than a header has.
pub fn set_max_timestamp(batch: &mut [u8], timestamp: i64) {
    assert!(batch.len() >= HEADER_SIZE, "a batch of {} bytes", batch.len());
    batch[35..43].copy_from_slice(&timestamp.to_be_bytes());
    seal(batch);
}
