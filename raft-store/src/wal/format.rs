//! The bytes of the write-ahead log.
//!
//! A *segment* is a file: a head of [`HEAD_LEN`] bytes, then groups, each at a multiple of
//! [`ALIGN`]. A *group* is a head and a body. The body is a sequence of records. All numbers are
//! little-endian. `docs/data-format.md` has the tables.
//!
//! Both heads have a checksum of their own, so a length is never believed that was not written.
//! Each segment has a *salt*, drawn when the segment is begun. A group's head is mixed with it, so
//! groups of an earlier use of the file are not taken for this one's.

use bytes::Bytes;
use thiserror::Error;

/// How the format of a data folder is numbered. A folder with a greater number is refused.
pub(crate) const FORMAT: u32 = 1;

/// A segment's head with its padding.
pub(crate) const HEAD_LEN: u64 = 4096;

/// The part of a segment's head that is not padding.
const HEAD_USED: usize = 60;

/// Groups begin at multiples of this.
pub(crate) const ALIGN: u64 = 8;

/// A group's head.
pub(crate) const GROUP_HEAD_LEN: usize = 40;

const SEGMENT_MAGIC: [u8; 8] = *b"cohrtWAL";
const GROUP_MAGIC: u32 = 0x4f52_4743;

/// Which of a folder's segments it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    /// The number of the folder's format.
    pub(crate) format: u32,
    /// The folder that it belongs to.
    pub(crate) folder: u64,
    /// Its number; the next segment has the next one.
    pub(crate) number: u64,
    /// What its groups are mixed with.
    pub(crate) salt: u64,
    /// The number of its first group, and so of the last group before it.
    pub(crate) first_seq: u64,
    /// How long the file was, durably, when it got its name, in bytes. It never gets shorter. 0:
    /// written by a version that did not say.
    pub(crate) len: u64,
}

/// What is said of a segment later, in the padding of its head. It is written and not synced: it
/// says only what was durable before it was written, and nothing relies on its being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// The last group that was durable.
    pub(crate) synced: u64,
    /// Whether there is a next segment.
    pub(crate) has_next: bool,
}

impl Note {
    /// Where it stands in a segment.
    pub(crate) const AT: u64 = 64;

    /// How many bytes it takes.
    const LEN: usize = 16;

    /// Its bytes.
    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.synced.to_le_bytes());
        bytes[8] = self.has_next.into();
        let crc = crc32c::crc32c(&bytes[..12]);
        bytes[12..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// From the first [`HEAD_LEN`] bytes of a segment, if it has one.
    pub(crate) fn decode(head: &[u8]) -> Option<Self> {
        let bytes = head.get(Self::AT as usize..)?.get(..Self::LEN)?;
        let (synced, is_good) =
            (u64_at(bytes, 0), u32_at(bytes, 12) == crc32c::crc32c(&bytes[..12]));
        (synced > 0 && is_good).then_some(Self { synced, has_next: bytes[8] != 0 })
    }
}

/// Why the head of a segment is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BadHead {
    /// No segment of cohort's.
    #[error("it does not begin as a segment does")]
    Magic,
    /// The checksum does not agree.
    #[error("the checksum of its head does not agree")]
    Checksum,
    /// Written by a later version.
    #[error("it has format {0}, and this version reads formats up to {FORMAT}")]
    Newer(u32),
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl SegmentHead {
    /// Its bytes, padded to [`HEAD_LEN`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_LEN as usize);
        bytes.extend_from_slice(&SEGMENT_MAGIC);
        bytes.extend_from_slice(&self.format.to_le_bytes());
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        for number in [self.folder, self.number, self.salt, self.first_seq] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.len.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        debug_assert_eq!(bytes.len(), HEAD_USED);
        bytes.resize(HEAD_LEN as usize, 0);
        bytes
    }

    /// From the first [`HEAD_LEN`] bytes of a file. The padding is not looked at.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadHead> {
        if bytes.len() < HEAD_USED || bytes[..8] != SEGMENT_MAGIC {
            return Err(BadHead::Magic);
        }
        if u32_at(bytes, HEAD_USED - 4) != crc32c::crc32c(&bytes[..HEAD_USED - 4]) {
            return Err(BadHead::Checksum);
        }
        let format = u32_at(bytes, 8);
        if format > FORMAT {
            return Err(BadHead::Newer(format));
        }
        Ok(Self {
            format,
            folder: u64_at(bytes, 16),
            number: u64_at(bytes, 24),
            salt: u64_at(bytes, 32),
            first_seq: u64_at(bytes, 40),
            len: u64_at(bytes, 48),
        })
    }
}

/// What stands before a group's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupHead {
    /// How long the body is.
    pub(crate) body_len: u32,
    /// Its number; the next group has the next one.
    pub(crate) seq: u64,
    /// The last group that was known to be durable when this one was written. So groups up to it
    /// cannot be a torn tail.
    pub(crate) synced: u64,
    /// The incarnation of the node that wrote it.
    pub(crate) incarnation: u64,
    /// Checksum of the body.
    pub(crate) body_crc: u32,
}

impl GroupHead {
    /// Its bytes in a segment with that salt.
    pub(crate) fn encode(&self, salt: u64) -> [u8; GROUP_HEAD_LEN] {
        let mut bytes = [0; GROUP_HEAD_LEN];
        bytes[..4].copy_from_slice(&magic(salt).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.synced.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = head_crc(&bytes[..36], salt);
        bytes[36..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// From the bytes of a segment with that salt, if a head of its groups stands there.
    pub(crate) fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let bytes = bytes.get(..GROUP_HEAD_LEN)?;
        if u32_at(bytes, 0) != magic(salt) || u32_at(bytes, 36) != head_crc(&bytes[..36], salt) {
            return None;
        }
        Some(Self {
            body_len: u32_at(bytes, 4),
            seq: u64_at(bytes, 8),
            synced: u64_at(bytes, 16),
            incarnation: u64_at(bytes, 24),
            body_crc: u32_at(bytes, 32),
        })
    }

    /// How many bytes the group takes, with its padding.
    pub(crate) fn group_len(body_len: usize) -> u64 {
        (GROUP_HEAD_LEN as u64 + body_len as u64).next_multiple_of(ALIGN)
    }
}

/// What a group's head begins with. Half of the salt is in it.
fn magic(salt: u64) -> u32 {
    GROUP_MAGIC ^ (salt as u32)
}

/// The checksum of a group's head. The other half of the salt is in it.
fn head_crc(head: &[u8], salt: u64) -> u32 {
    crc32c::crc32c(head) ^ ((salt >> 32) as u32)
}

/// An entry's place in the Raft log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogId {
    /// The term of the leader that proposed it.
    pub(crate) term: u64,
    /// Its index.
    pub(crate) index: u64,
}

/// Whom a node voted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vote {
    /// In which term.
    pub(crate) term: u64,
    /// For which node.
    pub(crate) node: u64,
    /// Whether a quorum voted the same.
    pub(crate) committed: bool,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Nothing: a new leader's first.
    Blank,
    /// A batch of commands, in the form in which it is sent to followers.
    Batch(Bytes),
    /// Who is in the Raft group: for each configuration its voters, and all nodes.
    Membership {
        /// One configuration, or two while the group changes.
        configs: Vec<Vec<u64>>,
        /// Voters and learners.
        nodes: Vec<u64>,
    },
}

/// One thing that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// The node voted.
    Vote(Vote),
    /// An entry at the end of the log.
    Entry(LogId, Payload),
    /// The log ends before this index.
    TruncateFrom(u64),
    /// The log is raft-committed up to here.
    Committed(LogId),
    /// The log begins after this entry.
    Purged(LogId),
    /// The process that writes has this incarnation.
    Incarnation(u64),
    /// An incarnation of a peer was heard.
    Heard {
        /// The peer.
        node: u64,
        /// Its incarnation.
        incarnation: u64,
    },
}

mod kind {
    pub(super) const VOTE: u8 = 1;
    pub(super) const BLANK: u8 = 2;
    pub(super) const BATCH: u8 = 3;
    pub(super) const MEMBERSHIP: u8 = 4;
    pub(super) const TRUNCATE_FROM: u8 = 5;
    pub(super) const COMMITTED: u8 = 6;
    pub(super) const PURGED: u8 = 7;
    pub(super) const INCARNATION: u8 = 8;
    pub(super) const HEARD: u8 = 9;
}

/// Why the body of a group, whose checksum agrees, cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BadRecord {
    /// A kind of record that this version does not know.
    #[error("a record of kind {0}, which this version does not know")]
    Kind(u8),
    /// Its length does not fit what it says.
    #[error("a record of kind {0} with {1} bytes")]
    Length(u8, usize),
    /// It goes beyond the body.
    #[error("a record that is longer than its group")]
    Cut,
}

impl Record {
    /// Appends the record to a body: its kind, the length of what follows, and that.
    pub(crate) fn encode(&self, body: &mut Vec<u8>) {
        let mut put = |kind: u8, numbers: &[u64], bytes: &[u8]| {
            let len = u32::try_from(8 * numbers.len() + bytes.len()).expect("below 4 GiB");
            body.push(kind);
            body.extend_from_slice(&len.to_le_bytes());
            numbers.iter().for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
            body.extend_from_slice(bytes);
        };
        match self {
            Self::Vote(Vote { term, node, committed }) => {
                put(kind::VOTE, &[*term, *node], &[u8::from(*committed)]);
            }
            Self::Entry(LogId { term, index }, Payload::Blank) => {
                put(kind::BLANK, &[*term, *index], &[]);
            }
            Self::Entry(LogId { term, index }, Payload::Batch(batch)) => {
                put(kind::BATCH, &[*term, *index], batch);
            }
            Self::Entry(LogId { term, index }, Payload::Membership { configs, nodes }) => {
                let mut numbers = vec![*term, *index, configs.len() as u64];
                for list in configs.iter().chain([nodes]) {
                    numbers.push(list.len() as u64);
                    numbers.extend_from_slice(list);
                }
                put(kind::MEMBERSHIP, &numbers, &[]);
            }
            Self::TruncateFrom(index) => put(kind::TRUNCATE_FROM, &[*index], &[]),
            Self::Committed(LogId { term, index }) => put(kind::COMMITTED, &[*term, *index], &[]),
            Self::Purged(LogId { term, index }) => put(kind::PURGED, &[*term, *index], &[]),
            Self::Incarnation(incarnation) => put(kind::INCARNATION, &[*incarnation], &[]),
            Self::Heard { node, incarnation } => put(kind::HEARD, &[*node, *incarnation], &[]),
        }
    }

    /// Reads the first record of a body, and what comes after it.
    pub(crate) fn decode(body: &Bytes, at: usize) -> Result<(Self, usize), BadRecord> {
        let head = body.get(at..at + 5).ok_or(BadRecord::Cut)?;
        let (kind, len) = (head[0], u32_at(head, 1) as usize);
        let end = (at + 5).checked_add(len).filter(|end| *end <= body.len());
        let end = end.ok_or(BadRecord::Cut)?;
        let rest = &body[at + 5..end];
        let wrong = BadRecord::Length(kind, len);
        let exactly = |expected: usize| if len == expected { Ok(()) } else { Err(wrong) };
        let log_id = || LogId { term: u64_at(rest, 0), index: u64_at(rest, 8) };
        let record = match kind {
            kind::VOTE => {
                exactly(17)?;
                Self::Vote(Vote {
                    term: u64_at(rest, 0),
                    node: u64_at(rest, 8),
                    committed: rest[16] != 0,
                })
            }
            kind::BLANK => {
                exactly(16)?;
                Self::Entry(log_id(), Payload::Blank)
            }
            kind::BATCH if len >= 16 => {
                Self::Entry(log_id(), Payload::Batch(body.slice(at + 5 + 16..end)))
            }
            kind::MEMBERSHIP if len >= 24 && len.is_multiple_of(8) => {
                let (configs, nodes) = membership(&rest[16..]).ok_or(wrong)?;
                Self::Entry(log_id(), Payload::Membership { configs, nodes })
            }
            kind::BATCH | kind::MEMBERSHIP => return Err(wrong),
            kind::TRUNCATE_FROM => {
                exactly(8)?;
                Self::TruncateFrom(u64_at(rest, 0))
            }
            kind::COMMITTED => {
                exactly(16)?;
                Self::Committed(log_id())
            }
            kind::PURGED => {
                exactly(16)?;
                Self::Purged(log_id())
            }
            kind::INCARNATION => {
                exactly(8)?;
                Self::Incarnation(u64_at(rest, 0))
            }
            kind::HEARD => {
                exactly(16)?;
                Self::Heard { node: u64_at(rest, 0), incarnation: u64_at(rest, 8) }
            }
            unknown => return Err(BadRecord::Kind(unknown)),
        };
        Ok((record, end))
    }

    /// All records of a body.
    pub(crate) fn decode_all(body: &Bytes) -> Result<Vec<Self>, BadRecord> {
        let (mut records, mut at) = (Vec::new(), 0);
        while at < body.len() {
            let (record, end) = Self::decode(body, at)?;
            records.push(record);
            at = end;
        }
        Ok(records)
    }
}

/// The configurations of a membership, and its nodes: lists of numbers, each after its length.
fn membership(bytes: &[u8]) -> Option<(Vec<Vec<u64>>, Vec<u64>)> {
    let mut numbers = bytes.chunks_exact(8).map(|chunk| u64_at(chunk, 0));
    let list = |numbers: &mut dyn Iterator<Item = u64>| {
        let len = numbers.next()?;
        let list: Vec<u64> = numbers.take(usize::try_from(len).ok()?).collect();
        (list.len() as u64 == len).then_some(list)
    };
    let count = numbers.next().filter(|count| *count <= 2)?;
    let mut configs = Vec::new();
    for _ in 0..count {
        configs.push(list(&mut numbers)?);
    }
    let nodes = list(&mut numbers)?;
    numbers.next().is_none().then_some((configs, nodes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: LogId = LogId { term: 3, index: 12 };

    fn records() -> Vec<Record> {
        vec![
            Record::Vote(Vote { term: 3, node: 2, committed: true }),
            Record::Entry(ID, Payload::Blank),
            Record::Entry(ID, Payload::Batch(Bytes::from_static(b"commands"))),
            Record::Entry(ID, Payload::Batch(Bytes::new())),
            Record::Entry(
                ID,
                Payload::Membership {
                    configs: vec![vec![1, 2, 3], vec![2, 3]],
                    nodes: vec![1, 2, 3, 9],
                },
            ),
            Record::TruncateFrom(7),
            Record::Committed(ID),
            Record::Purged(ID),
            Record::Incarnation(1 << 50),
            Record::Heard { node: 2, incarnation: 77 },
        ]
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let mut body = Vec::new();
        records().iter().for_each(|record| record.encode(&mut body));
        assert_eq!(Record::decode_all(&body.into()), Ok(records()));
    }

    #[test]
    fn a_record_that_is_cut_or_lies_about_its_length_is_an_error() {
        for record in records() {
            let mut body = Vec::new();
            record.encode(&mut body);
            for cut in 1..body.len() {
                let cut = Bytes::copy_from_slice(&body[..cut]);
                assert_eq!(Record::decode_all(&cut), Err(BadRecord::Cut), "{record:?}");
            }
            body[1] = body[1].wrapping_add(1);
            body.push(0);
            let lies = Record::decode_all(&body.into());
            let grown_batch = matches!(record, Record::Entry(_, Payload::Batch(_)));
            assert_eq!(lies.is_err(), !grown_batch, "{record:?}: {lies:?}");
        }
        assert_eq!(
            Record::decode_all(&Bytes::from_static(&[99, 0, 0, 0, 0])),
            Err(BadRecord::Kind(99))
        );
    }

    #[test]
    fn no_flipped_bit_of_a_head_is_believed() {
        let head = SegmentHead {
            format: FORMAT,
            folder: 5,
            number: 7,
            salt: 0x1234_5678_9abc,
            first_seq: 9,
            len: 4_096,
        };
        let bytes = head.encode();
        assert_eq!(SegmentHead::decode(&bytes), Ok(head));
        for bit in 0..8 * HEAD_USED {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHead::decode(&bytes).is_err(), "bit {bit}");
        }
        let group = GroupHead { body_len: 9, seq: 4, synced: 3, incarnation: 2, body_crc: 1 };
        let bytes = group.encode(head.salt);
        assert_eq!(GroupHead::decode(&bytes, head.salt), Some(group));
        assert_eq!(GroupHead::decode(&bytes, head.salt ^ 1), None, "of another use of the file");
        assert_eq!(GroupHead::decode(&bytes, head.salt ^ (1 << 40)), None);
        for bit in 0..8 * GROUP_HEAD_LEN {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(GroupHead::decode(&bytes, head.salt), None, "bit {bit}");
        }
    }

    #[test]
    fn a_note_is_read_as_it_was_written_or_not_at_all() {
        let note = Note { synced: 7 << 33, has_next: true };
        let mut head = vec![0; HEAD_LEN as usize];
        assert_eq!(Note::decode(&head), None);
        head[64..80].copy_from_slice(&note.encode());
        assert_eq!(Note::decode(&head), Some(note));
        for bit in 8 * 64..8 * 80 {
            head[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Note::decode(&head), None, "bit {bit}");
            head[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_head_of_a_newer_format_is_named() {
        let mut bytes =
            SegmentHead { format: FORMAT + 1, folder: 5, number: 7, salt: 1, first_seq: 9, len: 0 }
                .encode();
        assert_eq!(SegmentHead::decode(&bytes), Err(BadHead::Newer(FORMAT + 1)));
        bytes[0] = b'x';
        assert_eq!(SegmentHead::decode(&bytes), Err(BadHead::Magic));
    }
}
