//! How what is said on a connection is kept from damage, and from forgery where both ends have the
//! cluster's secret. Pure.
//!
//! ```text
//! frame    length u32 of what follows its head, a check of it, then it
//! check    without a secret: CRC-32C u32 of what follows
//!          with one: the first 16 bytes of BLAKE3, keyed with the connection's key, of the number
//!          u64 of the frame on its connection, from 0 on; the length u32; and what follows
//! ```
//!
//! Numbers are big-endian. The key is made of numbers that both ends drew for this connection, so a
//! frame of another connection is none of this one. Its number shows one that was sent again, left
//! out, or put before another.

use bytes::BytesMut;

use super::frames::BadFrame;

/// The bytes of a length.
const LENGTH: usize = 4;
/// The bytes of a checksum.
const CHECKSUM: usize = 4;
/// The bytes of a code: a guess is right once in 2^128.
const CODE: usize = 16;

/// One end of a connection: of what is written, or of what is read.
#[derive(Clone)]
pub(super) enum Seal {
    /// Against damage.
    Checksum,
    /// Against forgery.
    Keyed {
        /// The connection's key.
        key: [u8; 32],
        /// The number of the next frame.
        next: u64,
    },
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Checksum => f.write_str("Checksum"),
            Self::Keyed { next, .. } => write!(f, "Keyed {{ next: {next} }}"),
        }
    }
}

impl Seal {
    /// One whose codes nobody can make who does not have the key.
    pub(super) fn keyed(key: [u8; 32]) -> Self {
        Self::Keyed { key, next: 0 }
    }

    fn head(&self) -> usize {
        match self {
            Self::Checksum => LENGTH + CHECKSUM,
            Self::Keyed { .. } => LENGTH + CODE,
        }
    }

    /// How many bytes a frame takes.
    pub(super) fn frame_len(&self, body: &[u8]) -> usize {
        self.head() + body.len()
    }

    /// Appends the next frame.
    ///
    /// # Panics
    /// Where what it carries has 4 GiB. Whoever calls this has a far smaller bound.
    pub(super) fn put(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let length = u32::try_from(body.len()).expect("below 4 GiB").to_be_bytes();
        out.extend_from_slice(&length);
        match self {
            Self::Checksum => out.extend_from_slice(&crc32c::crc32c(body).to_be_bytes()),
            Self::Keyed { key, next } => {
                let code = code(key, *next, length, body);
                out.extend_from_slice(&code.as_bytes()[..CODE]);
                *next += 1;
            }
        }
        out.extend_from_slice(body);
    }

    /// How many bytes are missing of the frame that has begun, if its length is known.
    pub(super) fn missing(&self, input: &BytesMut) -> usize {
        let Some(length) = input.first_chunk::<LENGTH>() else { return 0 };
        (self.head() + u32::from_be_bytes(*length) as usize).saturating_sub(input.len())
    }

    /// Takes the next whole frame out of what was read, of at most so many bytes. `None`: there is
    /// none yet.
    pub(super) fn take(
        &mut self,
        input: &mut BytesMut,
        most: usize,
    ) -> Result<Option<BytesMut>, BadFrame> {
        let Some(length) = input.first_chunk::<LENGTH>().copied() else { return Ok(None) };
        let len = u32::from_be_bytes(length) as usize;
        if len > most {
            return Err(BadFrame::Length { len, most });
        }
        if input.len() < self.head() + len {
            return Ok(None);
        }
        let head = input.split_to(self.head());
        let (check, body) = (&head[LENGTH..], input.split_to(len));
        match self {
            Self::Checksum if *check != crc32c::crc32c(&body).to_be_bytes() => {
                Err(BadFrame::Checksum)
            }
            Self::Keyed { key, next } => {
                // A hash of its own, whose comparison takes the same time for all.
                let mut said = [0; 32];
                let code = code(key, *next, length, &body);
                said[..CODE].copy_from_slice(check);
                said[CODE..].copy_from_slice(&code.as_bytes()[CODE..]);
                *next += 1;
                if code == said { Ok(Some(body)) } else { Err(BadFrame::Code) }
            }
            Self::Checksum => Ok(Some(body)),
        }
    }
}

fn code(key: &[u8; 32], number: u64, length: [u8; LENGTH], body: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&number.to_be_bytes());
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PEER_FRAME;

    fn both() -> [Seal; 2] {
        [Seal::Checksum, Seal::keyed([7; 32])]
    }

    fn frame(seal: &mut Seal, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        seal.put(body, &mut out);
        out
    }

    fn take(seal: &mut Seal, bytes: &[u8]) -> Result<Option<BytesMut>, BadFrame> {
        seal.take(&mut BytesMut::from(bytes), PEER_FRAME)
    }

    #[test]
    fn frames_come_in_any_pieces() {
        for seal in both() {
            let (mut writer, bodies) = (seal.clone(), [&b"one"[..], b"", b"three"]);
            let sent: Vec<u8> = bodies.iter().flat_map(|b| frame(&mut writer, b)).collect();
            let len: usize = bodies.iter().map(|body| seal.frame_len(body)).sum();
            assert_eq!(sent.len(), len);
            for cut in 0..=sent.len() {
                let (mut reader, mut taken) = (seal.clone(), Vec::new());
                let mut input = BytesMut::new();
                for piece in [&sent[..cut], &sent[cut..]] {
                    input.extend_from_slice(piece);
                    while let Some(body) = reader.take(&mut input, PEER_FRAME).expect("frames") {
                        taken.push(body.to_vec());
                    }
                }
                assert_eq!(taken, bodies, "{seal:?}, cut at {cut}");
            }
        }
    }

    #[test]
    fn no_flipped_bit_of_a_frame_is_believed() {
        for seal in both() {
            let sent = frame(&mut seal.clone(), b"message");
            for bit in 0..8 * sent.len() {
                let mut changed = sent.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                // Of a longer one the rest is waited for, and its check is wrong then.
                let taken = take(&mut seal.clone(), &changed);
                assert!(!matches!(taken, Ok(Some(_))), "{seal:?}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_length_is_judged_before_anything_is_kept_for_it() {
        let most = u32::try_from(PEER_FRAME).expect("of 32 bits");
        for mut seal in both() {
            for (len, allowed) in [(most, true), (most + 1, false), (u32::MAX, false)] {
                let mut head = len.to_be_bytes().to_vec();
                head.extend([0; CODE]);
                assert_eq!(take(&mut seal, &head).is_ok(), allowed, "{len}");
            }
        }
    }

    #[test]
    fn a_frame_counts_once_in_its_place_and_on_its_connection() {
        let seal = Seal::keyed([7; 32]);
        let mut writer = seal.clone();
        let (first, second) = (frame(&mut writer, b"one"), frame(&mut writer, b"two"));
        let mut reader = seal.clone();
        assert!(take(&mut reader, &first).is_ok());
        assert!(matches!(take(&mut reader.clone(), &first), Err(BadFrame::Code)), "again");
        assert!(take(&mut reader, &second).is_ok());
        assert!(matches!(take(&mut seal.clone(), &second), Err(BadFrame::Code)), "out of order");
        let mut elsewhere = Seal::keyed([8; 32]);
        assert!(matches!(take(&mut elsewhere, &first), Err(BadFrame::Code)), "of another one");
        let mut without = frame(&mut Seal::Checksum, b"one");
        without.extend([0; CODE]);
        assert!(matches!(take(&mut seal.clone(), &without), Err(BadFrame::Code)), "a checksum");
    }
}
